/// What a client may send. Longer is refused before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a whole response. Default 8,192: access tokens that carry many groups are the longest.
    pub response: usize,
    /// Octets of an authcid or authzid after unescaping. Default 320: an address is 64 + 1 + 255 at most (RFC 5321 §4.5.3.1).
    pub name: usize,
    /// Octets of a password. Default 1,024: RFC 4616 §2 wants at least 255.
    pub password: usize,
    /// Octets of a client's SCRAM nonce. Default 256.
    pub nonce: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            response: 8192,
            name: 320,
            password: 1024,
            nonce: 256,
        }
    }
}
