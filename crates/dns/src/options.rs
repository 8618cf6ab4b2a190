//! What a resolver is made of.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How to ask.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Recursive name servers, in order of preference; empty: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// Whether answers are validated.
    pub validation: Validation,
    /// A file with the DNSKEY records that are trusted; None: the keys of the root zone, as built in.
    pub trust_anchor: Option<PathBuf>,
    /// How much is too much.
    pub limits: Limits,
}

/// Whether answers are validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// Yes, unless the name servers take the signatures out, which is found out by asking for the keys of the root. Without
    /// signatures from there nothing can be [`Secure`](crate::Security::Secure); with this set, mail flows nevertheless.
    #[default]
    Auto,
    /// Yes. Where the signatures don't come through, nothing resolves.
    On,
    /// No; nothing is [`Secure`](crate::Security::Secure).
    Off,
}

/// How much is too much.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long one try at one name server may take. RFC 1123 §6.1.3.3 asks for 5 s at least between tries; name servers near by answer
    /// in far less.
    pub timeout: Duration,
    /// How long a question may take with everything it entails: aliases, keys, tries. SMTP clients have patience for minutes, not for hours.
    pub patience: Duration,
    /// Tries after the first.
    pub retries: usize,
    /// CNAME records that are followed, one after the other. Sound zones have one or two.
    pub aliases: usize,
    /// Records of an answer that are looked at. The largest MX sets that anybody runs are a fifth of this.
    pub records: usize,
    /// Octets of one TXT record that are looked at. Long DKIM keys take under 1,000.
    pub text: usize,
    /// Answers that are remembered.
    pub cache: usize,
    /// The longest time for which an answer is remembered, whatever it says (RFC 8767 §4 suggests days; a wrong answer should not live on so
    /// long).
    pub longest: Duration,
    /// The longest time for which it is remembered that there is nothing (RFC 2308 §5 suggests one to three hours).
    pub longest_absence: Duration,
    /// For how long a failure is remembered (RFC 2308 §7: at most 5 minutes), so that a thousand messages for one broken domain ask once.
    pub failure: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            timeout: Duration::from_secs(5),
            patience: Duration::from_secs(30),
            retries: 2,
            aliases: 8,
            records: 100,
            text: 16 * 1024,
            cache: 50_000,
            longest: Duration::from_secs(24 * 3600),
            longest_absence: Duration::from_secs(3600),
            failure: Duration::from_secs(5),
        }
    }
}
