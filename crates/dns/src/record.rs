//! Records, as far as they are more than a text or an address.

/// Who takes mail for a domain (RFC 1035 §3.3.9).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mx {
    /// Lower is better.
    pub preference: u16,
    /// The host; lower case, no dot at the end. Empty: nobody takes mail (RFC 7505).
    pub host: String,
}

/// Which certificate a server has (RFC 6698 §2.1). The numbers are as they stand in the record; RFC 7671 names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE.
    pub usage: u8,
    /// 0 the certificate, 1 its public key.
    pub selector: u8,
    /// 0 as it is, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// What it must be.
    pub data: Vec<u8>,
}

/// Where a service of a domain is (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Srv {
    /// Lower is tried first.
    pub priority: u16,
    /// Among equals, how large a part of the clients it gets.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; lower case, no dot at the end. Empty: the service is not offered.
    pub host: String,
}
