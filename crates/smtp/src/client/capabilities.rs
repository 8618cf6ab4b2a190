//! What a server says it can do: the answer to EHLO (RFC 5321 §4.1.1.1) or LHLO.

use sasl::Mechanism;

/// The extensions of a server that matter to who sends mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 2920: commands may be sent in groups.
    pub pipelining: bool,
    /// RFC 3030: `BDAT`.
    pub chunking: bool,
    /// RFC 3030.
    pub binarymime: bool,
    /// RFC 6152.
    pub eightbitmime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 1870: the parameter may be given.
    pub size: bool,
    /// The longest message it takes, if it says so.
    pub size_limit: Option<u64>,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 8689.
    pub requiretls: bool,
    /// RFC 9422: messages on one connection.
    pub mails: Option<u32>,
    /// RFC 9422: recipients of one transaction.
    pub recipients: Option<u32>,
    /// RFC 9422: domains of the recipients of one transaction.
    pub domains: Option<u32>,
    /// RFC 4954: the mechanisms we know.
    pub mechanisms: Vec<Mechanism>,
}

impl Capabilities {
    /// Reads the lines behind the first one, which has the server's name.
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Capabilities {
        let mut found = Capabilities::default();
        for line in lines {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            // Old servers of two makers write "AUTH=LOGIN PLAIN".
            let (keyword, glued) = match keyword.split_once('=') {
                Some((keyword, value)) if keyword.eq_ignore_ascii_case("AUTH") => (keyword, Some(value)),
                _ => (keyword, None),
            };
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "CHUNKING" => found.chunking = true,
                "BINARYMIME" => found.binarymime = true,
                "8BITMIME" => found.eightbitmime = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "DSN" => found.dsn = true,
                "STARTTLS" => found.starttls = true,
                "REQUIRETLS" => found.requiretls = true,
                "SIZE" => {
                    found.size = true;
                    // 0: no fixed limit.
                    found.size_limit = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                }
                "LIMITS" => found.limits(words),
                "AUTH" => {
                    for mechanism in glued.into_iter().chain(words).filter_map(Mechanism::parse) {
                        if !found.mechanisms.contains(&mechanism) {
                            found.mechanisms.push(mechanism);
                        }
                    }
                }
                _ => {}
            }
        }
        // RFC 3030 §3: BINARYMIME stands on CHUNKING.
        found.binarymime &= found.chunking;
        found
    }

    /// `limit-name "=" limit-value`; names that are not known and values that are no numbers are passed over (RFC 9422 §3).
    fn limits<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let slot = match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => &mut self.mails,
                "RCPTMAX" => &mut self.recipients,
                "RCPTDOMAINMAX" => &mut self.domains,
                _ => continue,
            };
            // A limit of nothing makes no sense, and would leave nothing to do.
            *slot = value.parse().ok().filter(|n| *n > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_real_servers() {
        let read = |text: &str| Capabilities::read(text.lines());
        let postfix = read(
            "PIPELINING\nSIZE 10240000\nVRFY\nETRN\nSTARTTLS\nAUTH PLAIN LOGIN\nAUTH=PLAIN LOGIN\nENHANCEDSTATUSCODES\n8BITMIME\nDSN\nSMTPUTF8\nCHUNKING",
        );
        let expected = Capabilities {
            pipelining: true,
            size: true,
            size_limit: Some(10_240_000),
            starttls: true,
            mechanisms: vec![Mechanism::Plain, Mechanism::Login],
            eightbitmime: true,
            dsn: true,
            smtputf8: true,
            chunking: true,
            ..Capabilities::default()
        };
        assert_eq!(postfix, expected);
        let odd = read(
            "size 0\nlimits RCPTMAX=50 mailmax=0 RCPTDOMAINMAX=x OTHER=3\nBINARYMIME\n\n  8bitmime \nAUTH GSSAPI SCRAM-SHA-256",
        );
        let expected = Capabilities {
            size: true,
            recipients: Some(50),
            eightbitmime: true,
            mechanisms: vec![Mechanism::ScramSha256],
            ..Capabilities::default()
        };
        assert_eq!(odd, expected);
    }
}
