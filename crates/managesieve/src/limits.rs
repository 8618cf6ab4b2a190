/// What a client may make us hold. Every field is a bound on hostile input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one line without its literals. 8 KiB: a quoted string has at most 1,024 octets (RFC 5804 §4), a command three of them.
    pub line: usize,
    /// Octets of one literal: the size a script may have, and a little for programs that ask before they send. 1 MiB.
    pub literal: usize,
    /// Octets of a refused literal that are read and thrown away so that the session can go on. Beyond it the connection is closed.
    /// 16 MiB.
    pub discard: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line: 8 * 1024,
            literal: 1024 * 1024,
            discard: 16 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// The same for a client that has not logged in: nothing that it may send is long.
    #[must_use]
    pub fn before_login(&self) -> Limits {
        Limits {
            line: self.line,
            literal: self.literal.min(8 * 1024),
            discard: self.discard.min(64 * 1024),
        }
    }
}
