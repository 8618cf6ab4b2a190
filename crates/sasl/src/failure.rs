/// Why an exchange ended without success. The text is for the log; to the client every refusal should read the same, so that
/// it does not tell which part was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The response does not follow the mechanism's grammar.
    #[error("malformed response: {0}")]
    Malformed(&'static str),
    /// Something is longer than [`crate::Limits`] allow.
    #[error("too long: {0}")]
    TooLong(&'static str),
    /// SCRAM: the client thinks that the server cannot bind to the channel, and the server said that it can. Somebody between
    /// them took `-PLUS` out of the list (RFC 5802 §6).
    #[error("the list of mechanisms was tampered with: the client did not see -PLUS")]
    Downgrade,
    /// SCRAM: channel binding was asked for that this mechanism, this connection or this server does not have, or not asked
    /// for where the mechanism needs it.
    #[error("channel binding: {0}")]
    Binding(&'static str),
    /// SCRAM: the client's view of the TLS channel is not the server's. Somebody sits between them.
    #[error("channel binding does not match: the TLS connection of the client is not ours")]
    BindingMismatch,
    /// SCRAM: the nonce that came back is not the one sent out.
    #[error("nonce does not match")]
    Nonce,
    /// SCRAM: the proof is wrong: a wrong password, or no such user.
    #[error("wrong password or no such user")]
    Proof,
    /// The access token is no good: forged, expired, for somebody else or another service.
    #[error("the access token was refused")]
    Token,
    /// The caller called out of turn, or gave an unusable nonce or credentials.
    #[error("called out of turn: {0}")]
    Sequence(&'static str),
}

impl Failure {
    /// Whether this is a wrong password or name (a `535`/`NO [AUTHENTICATIONFAILED]`), as opposed to a broken exchange
    /// (a `501`/`BAD`).
    pub fn is_credentials(&self) -> bool {
        matches!(self, Failure::Proof | Failure::Token)
    }
}
