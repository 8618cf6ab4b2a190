//! Authentication-Results (RFC 8601): what was found, told to those who read the message later; and the fields of that name that are not to
//! be believed, because they claim to be ours and came from outside (§5).

use crate::dkim::Verification;
use crate::message::{Field, fields};
use crate::{arc, dmarc, spf};
use std::fmt::Write;
use std::net::IpAddr;
use std::ops::Range;

/// What a check came to (§2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// There was nothing to check.
    None,
    /// It is so.
    Pass,
    /// It is not so.
    Fail,
    /// It probably is not so (SPF).
    SoftFail,
    /// The domain says nothing about it.
    Neutral,
    /// It would be so, but is not taken for good here.
    Policy,
    /// It could not be found out now.
    TempError,
    /// It can never be found out.
    PermError,
}

impl Verdict {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::SoftFail => "softfail",
            Verdict::Neutral => "neutral",
            Verdict::Policy => "policy",
            Verdict::TempError => "temperror",
            Verdict::PermError => "permerror",
        }
    }
}

/// A field in the making.
#[derive(Clone, Debug)]
pub struct Results {
    host: String,
    entries: Vec<String>,
}

impl Results {
    /// With our name, the authserv-id.
    pub fn new(host: &str) -> Results {
        Results {
            host: host.to_owned(),
            entries: Vec::new(),
        }
    }

    /// Whether the address has a name that leads back to it (§3).
    pub fn iprev(&mut self, verdict: Verdict, address: IpAddr, name: Option<&str>) {
        let mut entry = format!("iprev={} policy.iprev={}", verdict.name(), value(&address.to_string()));
        if let Some(name) = name {
            // Writing to a String cannot fail.
            let _ = write!(entry, " ({})", comment(name));
        }
        self.entries.push(entry);
    }

    /// SPF of one identity. `sender`: the envelope's, `local@domain`, or what HELO said.
    pub fn spf(&mut self, outcome: &spf::Outcome, sender: &str) {
        let property = match outcome.identity {
            spf::Identity::Helo => "smtp.helo",
            spf::Identity::MailFrom => "smtp.mailfrom",
        };
        let mut entry = format!("spf={}", outcome.verdict.name());
        reason(&mut entry, outcome.reason.as_deref());
        // Writing to a String cannot fail.
        let _ = write!(entry, " {property}={}", value(sender));
        self.entries.push(entry);
    }

    /// DKIM, signature by signature.
    pub fn dkim(&mut self, verifications: &[Verification]) {
        if verifications.is_empty() {
            self.entries.push("dkim=none".to_owned());
        }
        for found in verifications {
            let mut entry = format!("dkim={}", found.verdict.name());
            let partial = (found.verdict == crate::results::Verdict::Pass && !found.whole)
                .then_some("parts that readers see are not signed");
            reason(&mut entry, found.reason.as_deref().or(partial));
            let properties = [
                ("header.d", found.domain.as_str()),
                ("header.s", found.selector.as_str()),
                ("header.a", found.algorithm),
                ("header.b", found.b.as_str()),
            ];
            for (property, text) in properties {
                if !text.is_empty() {
                    // Writing to a String cannot fail.
                    let _ = write!(entry, " {property}={}", value(text));
                }
            }
            self.entries.push(entry);
        }
    }

    /// DMARC.
    pub fn dmarc(&mut self, found: &dmarc::Verification) {
        let mut entry = format!("dmarc={}", found.verdict.name());
        if let Some(policy) = found.policy {
            // Writing to a String cannot fail.
            let _ = write!(entry, " (p={})", policy.name());
        }
        reason(&mut entry, found.reason.as_deref());
        if !found.domain.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(entry, " header.from={}", value(&found.domain));
        }
        self.entries.push(entry);
    }

    /// ARC.
    pub fn arc(&mut self, found: &arc::Chain) {
        let mut entry = format!("arc={}", found.verdict.name());
        reason(&mut entry, found.reason.as_deref());
        if let Some(domain) = &found.sealer {
            // Writing to a String cannot fail.
            let _ = write!(
                entry,
                " header.oldest-pass={} arc.sealer={}",
                found.oldest_pass,
                value(domain)
            );
        }
        self.entries.push(entry);
    }

    /// Who logged in (RFC 8601 §2.7.4).
    pub fn auth(&mut self, verdict: Verdict, user: &str) {
        self.entries
            .push(format!("auth={} smtp.auth={}", verdict.name(), value(user)));
    }

    /// A finding of another kind, such as a list that the address stands on; `method` is a keyword.
    pub fn other(&mut self, method: &str, verdict: Verdict, property: &str, text: &str) {
        self.entries
            .push(format!("{method}={} {property}={}", verdict.name(), value(text)));
    }

    /// What stands behind the colon, without a line end; the first line has no space before it.
    pub fn text(&self) -> String {
        let mut text = self.host.clone();
        if self.entries.is_empty() {
            text.push_str("; none");
        }
        for entry in &self.entries {
            text.push_str(";\r\n\t");
            text.push_str(entry);
        }
        text
    }

    /// The whole field, with its line end.
    pub fn field(&self) -> String {
        format!("Authentication-Results: {}\r\n", self.text())
    }

    /// The findings on one line, for the ledger.
    pub fn summary(&self) -> String {
        self.entries.join("; ")
    }
}

/// Where in a header fields stand that claim to be ours: Authentication-Results with our name (§5). `header` up to the empty line.
pub fn forged(header: &[u8], ours: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let start = header.as_ptr() as usize;
    for field in fields(header).filter(|field| field.is("Authentication-Results")) {
        if is_ours(&field, ours) {
            let at = field.raw.as_ptr() as usize - start;
            ranges.push(at..at + field.raw.len());
        }
    }
    ranges
}

/// Whether the authserv-id, which stands first, is this one. What cannot be read counts as ours: nobody needs it.
fn is_ours(field: &Field<'_>, ours: &str) -> bool {
    let Some(id) = authserv_id(field.value) else {
        return true;
    };
    let id = String::from_utf8_lossy(&id).into_owned();
    let id = id.strip_suffix('.').unwrap_or(&id);
    id.eq_ignore_ascii_case(ours) || crate::normal(id).is_some_and(|id| id.eq_ignore_ascii_case(ours))
}

/// The first word, behind comments.
fn authserv_id(value: &[u8]) -> Option<Vec<u8>> {
    let mut id = Vec::new();
    let (mut depth, mut quoted) = (0u32, false);
    let mut octets = value.iter().copied();
    while let Some(b) = octets.next() {
        match b {
            b'\\' => {
                let next = octets.next()?;
                if depth == 0 {
                    id.push(next);
                }
            }
            b'"' if depth == 0 => quoted = !quoted,
            _ if quoted => id.push(b),
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            b' ' | b'\t' | b'\r' | b'\n' if id.is_empty() => {}
            b' ' | b'\t' | b'\r' | b'\n' | b';' => break,
            _ => id.push(b),
        }
    }
    (depth == 0 && !quoted && !id.is_empty()).then_some(id)
}

fn reason(entry: &mut String, reason: Option<&str>) {
    if let Some(reason) = reason {
        // Writing to a String cannot fail.
        let _ = write!(entry, " reason={}", quoted(reason));
    }
}

/// A value as it may stand: bare where it is a token or an address, quoted otherwise. Whatever came from outside can end neither the
/// value nor the line.
fn value(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-._`{|}~@^".contains(c);
    if !text.is_empty() && text.len() <= LENGTH && text.chars().all(bare) {
        return text.to_owned();
    }
    quoted(text)
}

/// Octets of one value.
const LENGTH: usize = 320;

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() > LENGTH {
            break;
        }
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

fn comment(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '\\'))
        .take(LENGTH)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_and_others() {
        let cases = [
            (" mail.phys.example; spf=pass\r\n", true),
            (" MAIL.Phys.Example.;\r\n spf=pass\r\n", true),
            (" (a (b)) mail.phys.example 1; none\r\n", true),
            ("\"mail.phys.example\"; none\r\n", true),
            (" mail.\\phys.example; none\r\n", true),
            (" (never closed; none\r\n", true),
            (
                "\r\n\tother.example; spf=pass smtp.mailfrom=mail.phys.example\r\n",
                false,
            ),
            (" mail.phys.example.org; none\r\n", false),
        ];
        for (value, expected) in cases {
            let header = format!("From: a\r\nAuthentication-Results:{value}To: b\r\n");
            let ranges = forged(header.as_bytes(), "mail.phys.example");
            assert_eq!(!ranges.is_empty(), expected, "{value}");
            for range in ranges {
                assert_eq!(&header[range], format!("Authentication-Results:{value}"));
            }
        }
    }

    #[test]
    fn what_came_from_outside_stays_in_its_quotes() {
        let mut results = Results::new("mail.phys.example");
        results.iprev(Verdict::Fail, "2001:db8::1".parse().unwrap(), Some("a)b\r\nc"));
        results.other("dnsbl", Verdict::Fail, "policy.list", "x\";\r\ndkim=pass");
        results.auth(Verdict::Pass, "ada@phys.example");
        assert_eq!(
            results.field(),
            "Authentication-Results: mail.phys.example;\r\n\tiprev=fail policy.iprev=\"2001:db8::1\" (abc);\r\n\t\
             dnsbl=fail policy.list=\"x\\\";dkim=pass\";\r\n\tauth=pass smtp.auth=ada@phys.example\r\n"
        );
        assert_eq!(
            Results::new("a.example").field(),
            "Authentication-Results: a.example; none\r\n"
        );
    }
}
