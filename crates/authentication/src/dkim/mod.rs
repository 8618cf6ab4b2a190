//! DomainKeys Identified Mail (RFC 6376, with RFC 8301 and RFC 8463): a domain signs a message.
//!
//! A signature names its fields, canonicalizations and key in a `DKIM-Signature` field; the key stands in the signer's zone. What is
//! verified is that the listed fields and the body are those that were signed, and nothing about who wrote them: that is [`dmarc`](crate::dmarc)'s.
//!
//! Three decisions where the standard leaves a choice:
//!
//! - `rsa-sha1` and keys under 1,024 bits are `policy`: RFC 8301 forbids to take them for good.
//! - A signature with `l=` whose body has grown behind the signed part is good by the letter. It says nothing about what a reader sees, as
//!   everybody can append. [`Verification::whole`] is false then, and DMARC does not count it.
//! - A field that occurs more often than it was signed (a second From or Subject on top) is what RFC 6376 §8.15 warns of. A signature that
//!   leaves one of [`SINGLE`] uncovered counts as not whole in the same way.

mod canon;
mod sign;
mod signature;
mod verify;

pub use canon::{BodyDigest, Canon};
pub(crate) use canon::{BodyHash, header_field};
pub(crate) use sign::fold_base64;
pub use sign::{Request, SIGNED, sign};
pub(crate) use sign::{finish, names};
pub(crate) use signature::{Signature, Trouble, algorithm, without_b};
pub(crate) use verify::{Public, Selection};
pub use verify::{Verification, verify};

/// Fields that a message has once at most (RFC 5322 §3.6) and that readers are shown.
pub const SINGLE: [&str; 5] = ["From", "Subject", "To", "Date", "Reply-To"];
