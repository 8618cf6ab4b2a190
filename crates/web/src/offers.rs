//! What mail programs can be told to use: the listeners that there are.

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From the first octet.
    Immediate,
    /// After STARTTLS.
    StartTls,
    /// Not at all; listeners on a loopback address only.
    None,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferProtocol {
    /// Reading.
    Imap,
    /// Fetching.
    Pop3,
    /// Sending.
    Submission,
}

/// A port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is spoken.
    pub protocol: OfferProtocol,
    /// Where.
    pub port: u16,
    /// How it is encrypted.
    pub encryption: Encryption,
}

/// All ports, the best of each protocol first, at one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    host: String,
    all: Vec<Offer>,
}

impl Offers {
    /// Puts them in order: encrypted from the first octet before STARTTLS (RFC 8314 §3).
    pub fn new(host: impl Into<String>, mut all: Vec<Offer>) -> Offers {
        all.sort_by_key(|offer| match offer.encryption {
            Encryption::Immediate => 0,
            Encryption::StartTls => 1,
            Encryption::None => 2,
        });
        Offers { host: host.into(), all }
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// All of a protocol, the best first.
    pub fn of(&self, protocol: OfferProtocol) -> impl Iterator<Item = &Offer> {
        self.all.iter().filter(move |offer| offer.protocol == protocol)
    }

    /// The best of a protocol.
    pub fn best(&self, protocol: OfferProtocol) -> Option<&Offer> {
        self.of(protocol).next()
    }
}
