//! Who sent a message, as far as it can be known.
//!
//! Anybody can write any name into a message. Four standards tell more, and each of them tells something else:
//!
//! - **SPF** (RFC 7208, [`spf`]): may this *host* send for the domain of the envelope's sender? Breaks when mail is forwarded.
//! - **DKIM** (RFC 6376, [`dkim`]): which domain has *signed* this content? Breaks when the content is changed on the way.
//! - **DMARC** (RFC 7489 and its revision, [`dmarc`]): is one of the two about the domain people *see*, in From; and what does that domain
//!   want done if not?
//! - **ARC** (RFC 8617, [`arc`]): what did those find who had the message before a forwarder changed it?
//!
//! [`results`] writes what was found into the message (RFC 8601) and takes out what somebody else wrote in our name. [`srs`] makes return
//! paths for what we forward, and [`report`] the reports that DMARC asks for.
//!
//! A message is heard while it streams: [`Listener`] keeps its header and hashes its body, so that a hundred megabytes are never in memory.
//! Nothing here opens a socket or looks at a clock: the DNS is a trait, [`Dns`], and the time comes in.
//!
//! **Exposed to:** every octet of every message from anybody, and every record that a stranger's name server gives. **Touches:** nothing.
//! **Bounds:** [`Limits`].

pub mod arc;
pub mod dkim;
pub mod dmarc;
mod dns;
mod key;
mod limits;
mod listener;
mod message;
mod name;
pub mod report;
pub mod results;
pub mod spf;
pub mod srs;
mod tags;

pub use dns::{Dns, Missing};
pub use key::{Algorithm, KeyError, Random, SigningKey};
pub use limits::Limits;
pub use listener::{Heard, Listener};
pub use message::{Field, fields};
pub use name::{labels, normal};
