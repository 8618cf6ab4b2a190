//! SASL mechanisms as state machines: passwords, SCRAM, access tokens, certificates for servers; passwords and SCRAM for clients ([`client`]).
//!
//! SASL (RFC 4422) is the part of SMTP, IMAP and POP3 in which somebody proves who they are: client and server swap opaque
//! *responses* and *challenges* until the mechanism is satisfied. How those travel (base64 lines, `=` for an empty initial
//! response, `*` to cancel) is the protocol's business; this crate sees the decoded bytes only.
//!
//! Two names can appear. The *authentication identity* (`authcid`) is whose password is used; the *authorization identity*
//! (`authzid`) is whom the client wants to act as. They are reported separately and unchanged; an empty authzid is `None`.
//! Whether one may act as the other is the caller's decision, and the safe answer is "only when equal".
//!
//! | mechanism | standard | what the server learns |
//! |---|---|---|
//! | `PLAIN` | RFC 4616 | the password: offer it under TLS only |
//! | `LOGIN` | draft-murchison-sasl-login | the password; old clients only |
//! | `SCRAM-SHA-1`, `SCRAM-SHA-1-PLUS` | RFC 5802 | as SCRAM-SHA-256; for clients that know no other |
//! | `SCRAM-SHA-256` | RFC 5802, RFC 7677 | that the client knows the password |
//! | `SCRAM-SHA-256-PLUS` | the same, with `tls-exporter` of RFC 9266 | that, and that nobody sits between the two TLS ends |
//! | `OAUTHBEARER`, `XOAUTH2` | RFC 7628 | an access token: offer them under TLS only |
//! | `EXTERNAL` | RFC 4422 appendix A | nothing new: the client's TLS certificate says who it is |
//!
//! ```
//! use sasl::{ChannelBinding, Exchange, Mechanism, Step};
//! let mut exchange = Exchange::new(Mechanism::Plain, String::new(), ChannelBinding::None);
//! match exchange.respond(Some(b"\0ada@phys.example\0secret")) {
//!     Step::Password { authcid, password, .. } => {
//!         assert_eq!(authcid, "ada@phys.example");
//!         assert_eq!(password.as_bytes(), b"secret"); // the caller verifies it
//!     }
//!     other => panic!("{other:?}"),
//! }
//! ```
//!
//! The crate has no clock and no randomness: the server's nonce comes in as an argument.

pub mod client;
mod credentials;
mod exchange;
mod external;
mod failure;
mod limits;
mod login;
mod mechanism;
mod password;
mod plain;
mod prepare;
mod scram;
mod token;

pub use credentials::{ScramCredentials, ScramHash};
pub use exchange::{ChannelBinding, Exchange, Step};
pub use failure::Failure;
pub use limits::Limits;
pub use mechanism::{Mechanism, Offer};
pub use password::Password;
pub use prepare::prepare;
