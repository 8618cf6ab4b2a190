use crate::{ChannelBinding, ScramHash};

/// A mechanism that this server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4422 appendix A: who it is was shown below, by a TLS client certificate.
    External,
    /// RFC 7677 with channel binding (RFC 9266).
    ScramSha256Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with channel binding (RFC 9266).
    ScramSha1Plus,
    /// RFC 5802.
    ScramSha1,
    /// RFC 7628: an access token.
    OauthBearer,
    /// What Google and Microsoft made before RFC 7628; many programs still know only this one.
    Xoauth2,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: never a standard, still what some clients send.
    Login,
}

/// What a connection has, beside SCRAM, which can always be offered.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Passwords and tokens may cross it: TLS, or allowed by setting.
    pub secrets: bool,
    /// What TLS gives to bind to.
    pub binding: ChannelBinding,
    /// Access tokens can be verified here.
    pub tokens: bool,
    /// The client has shown a certificate that was verified.
    pub certificate: bool,
}

impl Mechanism {
    /// All, strongest first.
    pub const ALL: [Mechanism; 9] = [
        Mechanism::External,
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha1,
        Mechanism::OauthBearer,
        Mechanism::Xoauth2,
        Mechanism::Plain,
        Mechanism::Login,
    ];

    /// The mechanism of this name; case does not matter (RFC 4422 §3.1 names are upper case, clients vary).
    pub fn parse(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name))
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::External => "EXTERNAL",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::OauthBearer => "OAUTHBEARER",
            Mechanism::Xoauth2 => "XOAUTH2",
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }

    /// Whether what crosses the wire would let anybody in who saw it, so that the mechanism may only be used under TLS (or on a
    /// listener whose settings allow plaintext).
    pub fn reveals_secret(self) -> bool {
        matches!(
            self,
            Mechanism::Plain | Mechanism::Login | Mechanism::OauthBearer | Mechanism::Xoauth2
        )
    }

    /// SCRAM: with which hash, and whether with channel binding.
    pub(crate) fn scram(self) -> Option<(ScramHash, bool)> {
        match self {
            Mechanism::ScramSha256Plus => Some((ScramHash::Sha256, true)),
            Mechanism::ScramSha256 => Some((ScramHash::Sha256, false)),
            Mechanism::ScramSha1Plus => Some((ScramHash::Sha1, true)),
            Mechanism::ScramSha1 => Some((ScramHash::Sha1, false)),
            _ => None,
        }
    }

    /// Whether a connection that has this can be offered the mechanism.
    pub fn is_offered(self, offer: &Offer) -> bool {
        let bound = matches!(offer.binding, ChannelBinding::TlsExporter(_));
        match self {
            Mechanism::External => offer.certificate,
            Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus => bound,
            Mechanism::ScramSha256 | Mechanism::ScramSha1 => true,
            Mechanism::OauthBearer | Mechanism::Xoauth2 => offer.tokens && offer.secrets,
            Mechanism::Plain | Mechanism::Login => offer.secrets,
        }
    }

    /// What a server should offer on a connection. It must really offer all of these, since [`crate::Failure::Downgrade`] is judged by it.
    pub fn offered(offer: &Offer) -> impl Iterator<Item = Mechanism> + use<> {
        let offer = offer.clone();
        Mechanism::ALL.into_iter().filter(move |m| m.is_offered(&offer))
    }
}
