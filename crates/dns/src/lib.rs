//! Questions to the DNS, each answer with whether DNSSEC vouches for it.
//!
//! A mail server believes the DNS about where mail goes (MX, RFC 5321 §5.1), who may send it (SPF, DKIM, DMARC) and which certificate the
//! other side shows (TLSA, RFC 7672). The last of these only means something when nobody on the way can have made the answer up. So every
//! [`Answer`] says whether it is [`Security::Secure`]: signed, from the root down (RFC 4035). This crate checks that itself, and does not
//! rely on what another resolver says about it.
//!
//! An answer that is missing is as telling as one that is there, and there are several ways of missing ([`Error`]): the name does not
//! exist, or exists without such records; nobody could be asked; or what came is forged or broken ([`Error::Bogus`]). Only the first two
//! are answers. Who takes one of the others for "there is nothing" lets an attacker switch security off by dropping packets.
//!
//! **Exposed to:** the name servers that are asked, and through them every stranger whose domain a message names. **Touches:** UDP and TCP
//! to the name servers; `/etc/resolv.conf` where no name servers are set; the trust anchor file where one is set. **Bounds:** see [`Limits`].
//!
//! hickory does the work on the wire and the signatures; `resolver.rs` says what is checked beyond it.

mod answer;
mod cache;
mod name;
mod options;
mod record;
mod resolver;
mod response;

pub use answer::{Answer, Error, Security};
pub use options::{Limits, Options, Validation};
pub use record::{Mx, Srv, Tlsa};
pub use resolver::Resolver;
