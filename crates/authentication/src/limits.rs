//! How much is too much.

/// What a stranger's message and a stranger's zone may cost us.
#[derive(Clone, Debug)]
pub struct Limits {
    /// DKIM signatures of a message that are verified, from the top; further ones are not looked at. Default 10: mail with more than five
    /// is rare, and each costs a question to the DNS and an RSA operation.
    pub signatures: usize,
    /// ARC sets. Default 50 (RFC 8617 §4.2.1).
    pub arc_sets: usize,
    /// Octets of all ARC fields together; with more the chain counts as broken. Every seal covers all fields before it, so the work
    /// grows with the square. Default 262,144.
    pub arc_octets: usize,
    /// Header octets that are kept. The door's limit is the same. Default 1,048,576 and the field that goes beyond it.
    pub header: usize,
    /// SPF terms that ask the DNS. Default 10 (RFC 7208 §4.6.4).
    pub spf_lookups: u32,
    /// SPF questions that find nothing. Default 2 (RFC 7208 §4.6.4).
    pub spf_void_lookups: u32,
    /// Hosts of one `mx`, names of one `ptr`. Default 10 (RFC 7208 §4.6.4).
    pub spf_names: usize,
    /// Octets of an SPF record. Default 4,096; what is published in practice has a tenth of this.
    pub spf_record: usize,
    /// Names that are asked for a DMARC record on the way up from an author's domain. Default 8 (RFC 9989 §4.10).
    pub dmarc_steps: usize,
    /// Author domains of a message that are looked at, where From names several people. Default 4; with more, the verdict is `permerror`.
    pub author_domains: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            signatures: 10,
            arc_sets: 50,
            arc_octets: 256 * 1024,
            header: 1024 * 1024,
            spf_lookups: 10,
            spf_void_lookups: 2,
            spf_names: 10,
            spf_record: 4096,
            dmarc_steps: 8,
            author_domains: 4,
        }
    }
}
