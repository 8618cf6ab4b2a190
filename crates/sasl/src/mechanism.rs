use crate::ChannelBinding;

/// A mechanism that this server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: never a standard, still what some clients send.
    Login,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 with channel binding (RFC 9266).
    ScramSha256Plus,
}

impl Mechanism {
    /// All, strongest first.
    pub const ALL: [Mechanism; 4] = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
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
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// Whether the password itself crosses the wire, so that the mechanism may only be used under TLS (or on a listener whose
    /// settings allow plaintext).
    pub fn reveals_password(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::Login)
    }

    /// What a server should offer on a connection: those that reveal passwords only if `plaintext` (TLS, or allowed by setting),
    /// `-PLUS` only if there is a channel to bind to. The server must really offer all of these, since
    /// [`crate::Failure::Downgrade`] is judged by it.
    pub fn offered(plaintext: bool, binding: &ChannelBinding) -> impl Iterator<Item = Mechanism> + use<> {
        let bound = matches!(binding, ChannelBinding::TlsExporter(_));
        Mechanism::ALL.into_iter().filter(move |m| match m {
            Mechanism::ScramSha256Plus => bound,
            Mechanism::ScramSha256 => true,
            Mechanism::Plain | Mechanism::Login => plaintext,
        })
    }
}
