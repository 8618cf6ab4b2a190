//! HTTP: what the world asks a mail server for beside mail, and for those who run it: is it alive, is it ready, and its figures.
//!
//! | path | asked at | answers |
//! |---|---|---|
//! | `/.well-known/mta-sts.txt` | `mta-sts.DOMAIN` | the policy that mail to us must be encrypted (RFC 8461 §3.2) |
//! | `/mail/config-v1.1.xml`, `/.well-known/autoconfig/mail/config-v1.1.xml` | `autoconfig.DOMAIN`, `DOMAIN` | how Thunderbird and others set an account up |
//! | `/autodiscover/autodiscover.xml`, `.json` | `autodiscover.DOMAIN`, `DOMAIN` | the same for Outlook |
//! | `/mail.mobileconfig` | any of these | the same for Apple's programs |
//! | `/.well-known/acme-challenge/…` | any | what proves that a name leads to us (RFC 8555 §8.3) |
//! | `/healthz`, `/healthz/live`, `/healthz/ready`, `/metrics` | any | [`health`], for networks that may ask |
//!
//! Exposed to: whoever reaches the listener. What is said depends on the domain alone, never on whether somebody has an account there.
//! Touches: what the closures in [`Parts`] and [`Site`] touch. **Bounds:** [`Limits`], and those of [`net::Bounds`].

mod apple;
mod autoconfig;
mod autodiscover;
mod health;
mod mta_sts;
mod offers;
mod server;
mod site;
mod xml;

pub use health::{Health, Parts};
pub use mta_sts::{StsMode, StsPolicy};
pub use offers::{Encryption, Offer, OfferProtocol, Offers};
pub use server::{Context, Limits, Metrics, serve};
pub use site::{Challenges, Site};
