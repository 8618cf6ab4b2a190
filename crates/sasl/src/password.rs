use std::fmt;
use zeroize::Zeroizing;

/// A password as the client sent it. Its memory is overwritten when dropped, and it cannot be printed by accident.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes over the bytes.
    pub fn new(bytes: Vec<u8>) -> Password {
        Password(Zeroizing::new(bytes))
    }

    /// The bytes; valid UTF-8 without NUL when they came from an [`crate::Exchange`], not otherwise prepared.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
