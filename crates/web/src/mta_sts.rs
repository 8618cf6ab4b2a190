//! MTA-STS (RFC 8461): a domain says, at a place that only it can speak for, that mail to it must be encrypted and to which hosts it goes.
//! Servers that know the policy deliver nothing when somebody between takes the encryption away.

use std::fmt::Write as _;
use std::time::Duration;

/// What senders do when encryption fails (§5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StsMode {
    /// They deliver nevertheless: there is no policy any more.
    #[default]
    None,
    /// They deliver nevertheless, and report it.
    Testing,
    /// They do not deliver.
    Enforce,
}

impl StsMode {
    /// Their names, in the order of the enum.
    pub const NAMES: [&'static str; 3] = ["none", "testing", "enforce"];

    /// Its name in the policy.
    pub fn name(self) -> &'static str {
        match self {
            StsMode::None => "none",
            StsMode::Testing => "testing",
            StsMode::Enforce => "enforce",
        }
    }

    /// The mode of a name.
    pub fn named(name: &str) -> Option<StsMode> {
        [StsMode::None, StsMode::Testing, StsMode::Enforce]
            .into_iter()
            .find(|mode| mode.name() == name)
    }
}

/// A policy; the same for all our domains, since they have the same hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// What is to be done.
    pub mode: StsMode,
    /// For how long senders may remember it.
    pub max_age: Duration,
    /// Hosts that take the domains' mail; `*.` at the front stands for one label.
    pub hosts: Vec<String>,
}

impl StsPolicy {
    /// The file (§3.2).
    pub fn text(&self) -> String {
        let mut text = format!("version: STSv1\r\nmode: {}\r\n", self.mode.name());
        for host in &self.hosts {
            let _ = write!(text, "mx: {host}\r\n");
        }
        let _ = write!(text, "max_age: {}\r\n", self.max_age.as_secs());
        text
    }

    /// What stands in the record as `id` (§3.1): it changes with the policy and only with it, so that nobody has to remember to change it.
    pub fn id(&self) -> String {
        // FNV-1a: nobody gains from two policies with the same id but whoever sets both.
        let hash = self.text().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// Whether mail may go to this host by the policy (§4.1).
    pub fn covers(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => pattern == host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_id_and_hosts() {
        let mut policy = StsPolicy {
            mode: StsMode::Enforce,
            max_age: Duration::from_secs(604_800),
            hosts: vec!["mail.phys.example".to_owned(), "*.backup.example".to_owned()],
        };
        assert_eq!(
            policy.text(),
            "version: STSv1\r\nmode: enforce\r\nmx: mail.phys.example\r\nmx: *.backup.example\r\nmax_age: 604800\r\n"
        );
        let id = policy.id();
        assert!(id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        for (host, covered) in [
            ("mail.phys.example", true),
            ("a.backup.example", true),
            ("a.b.backup.example", false),
            ("backup.example", false),
            ("mail.other.example", false),
        ] {
            assert_eq!(policy.covers(host), covered, "{host}");
        }
        policy.mode = StsMode::Testing;
        assert_ne!(policy.id(), id);
        for name in StsMode::NAMES {
            assert_eq!(StsMode::named(name).map(StsMode::name), Some(name));
        }
    }
}
