use std::fmt;
use std::str::FromStr;

/// The name of a blob: the BLAKE3 hash of its bytes. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// The id of these bytes.
    pub fn of(bytes: &[u8]) -> BlobId {
        BlobId(*blake3::hash(bytes).as_bytes())
    }

    /// The hash itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight bytes as a number: uniformly distributed, in the order of the ids.
    pub(crate) fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Another eight bytes, independent of [`BlobId::prefix`].
    pub(crate) fn suffix(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl From<[u8; 32]> for BlobId {
    fn from(hash: [u8; 32]) -> BlobId {
        BlobId(hash)
    }
}

impl TryFrom<&[u8]> for BlobId {
    type Error = std::array::TryFromSliceError;

    fn try_from(hash: &[u8]) -> Result<BlobId, Self::Error> {
        Ok(BlobId(hash.try_into()?))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

/// The text was not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a blob id: 64 hexadecimal digits are needed")]
pub struct NotABlobId;

impl FromStr for BlobId {
    type Err = NotABlobId;

    fn from_str(text: &str) -> Result<BlobId, NotABlobId> {
        let hash = blake3::Hash::from_hex(text).map_err(|_| NotABlobId)?;
        Ok(BlobId(*hash.as_bytes()))
    }
}
