/// How much of a hostile message is understood. Past a limit the rest is one opaque body: it is stored and served whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Parts within parts, the message itself being the first. Deeper multiparts and messages are opaque. Default 100.
    pub depth: usize,
    /// Parts in all. Once reached, no further boundary is recognised. Default 10,000.
    pub parts: usize,
    /// Bytes of one part's header that are read for fields; the rest of the header is passed over. Default 256 KiB.
    pub header_bytes: usize,
    /// Bytes of field values kept in the structure, over all parts. Once reached, no further boundary is recognised.
    /// Default 1 MiB.
    pub kept_bytes: usize,
    /// Parameters kept of one field (`Content-Type`, `Content-Disposition`), and languages. Default 200.
    pub parameters: usize,
    /// Addresses kept of one envelope field. Default 10,000.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: 100,
            parts: 10_000,
            header_bytes: 256 * 1024,
            kept_bytes: 1024 * 1024,
            parameters: 200,
            addresses: 10_000,
        }
    }
}
