//! What the message itself tells: DKIM, DMARC, ARC; and what is written into it.

use super::visitor::{later, short};
use super::{Admission, Inspector};
use authentication::dmarc::Policy;
use authentication::results::{self, Results, Verdict as Found};
use authentication::{Heard, arc, dkim, dmarc, spf};
use net::now;
use smtp::{Reply, Status};
use std::net::IpAddr;
use tokio::time::timeout;

/// What was found, and what comes of it.
pub(crate) struct Examined {
    /// What the client is told instead of `250`.
    pub(crate) refusal: Option<Reply>,
    pub(crate) verdict: Verdict,
}

/// A message that may come in.
pub(crate) struct Verdict {
    /// Authentication-Results, with its line end.
    pub(crate) field: String,
    /// Where in the header fields stand that claim to be ours.
    pub(crate) forged: Vec<std::ops::Range<usize>>,
    /// For the ledger.
    pub(crate) notes: String,
    /// Why it goes to Junk.
    pub(crate) quarantine: Option<String>,
}

impl Inspector {
    /// Examines a message. `sender`: the envelope's.
    pub(crate) async fn examine(
        &self,
        admission: &Admission,
        address: IpAddr,
        helo: &str,
        sender: &str,
        heard: &Heard,
    ) -> Examined {
        let options = &self.options;
        let time = u64::try_from(now()).unwrap_or(0);
        let asked = async {
            let dkim = dkim::verify(&self.names, heard, &options.limits, time).await;
            let spf = Some(&admission.spf);
            let dmarc = dmarc::verify(&self.names, heard.header(), spf, &dkim, &options.limits).await;
            let arc = arc::verify(&self.names, heard, &options.limits, time).await;
            (dkim, dmarc, arc)
        };
        let Ok((dkim, dmarc, arc)) = timeout(options.patience, asked).await else {
            return Examined {
                refusal: Some(later("the DNS takes too long over this message's signatures")),
                verdict: Verdict {
                    field: String::new(),
                    forged: Vec::new(),
                    notes: String::new(),
                    quarantine: None,
                },
            };
        };
        let mut admission = admission.clone();
        let (refusal, overridden) = self.judge(&mut admission, &dmarc, &arc);
        if options.reports {
            let done = match (&refusal, &admission.quarantine) {
                (Some(reply), _) if reply.code() < 500 => None,
                (Some(_), _) => Some(Policy::Reject),
                (None, Some(_)) => Some(Policy::Quarantine),
                (None, None) => Some(Policy::None),
            };
            if let Some(done) = done {
                self.observed
                    .note(address, sender, &admission.spf, &dkim, &dmarc, done, overridden);
            }
        }
        let mut field = Results::new(&options.hostname);
        field.iprev(
            admission.facts.reverse,
            address.to_canonical(),
            admission.facts.name.as_deref(),
        );
        let said = match admission.spf.identity {
            spf::Identity::Helo => helo,
            spf::Identity::MailFrom => sender,
        };
        field.spf(&admission.spf, said);
        field.dkim(&dkim);
        field.dmarc(&dmarc);
        field.arc(&arc);
        for list in &admission.facts.blocked {
            field.other("dnsbl", Found::Fail, "policy.list", list);
        }
        if let Some(list) = &admission.facts.allowed {
            field.other("dnswl", Found::Pass, "policy.list", list);
        }
        // RFC 8601 has no names for these.
        let client = address.to_canonical().to_string();
        if admission.helo.is_some() {
            field.other("x-helo", Found::Fail, "smtp.helo", helo);
        }
        if admission.early {
            field.other("x-early-talker", Found::Fail, "policy.client", &client);
        }
        if options.greylist && admission.doubtful && admission.facts.allowed.is_none() {
            // Who did not come back has no message that could say so.
            field.other("x-greylist", Found::Pass, "policy.client", &client);
        }
        let mut notes = String::new();
        for mark in &admission.marks {
            notes.push_str(mark);
            notes.push_str("; ");
        }
        notes.push_str(&field.summary());
        Examined {
            refusal,
            verdict: Verdict {
                field: field.field(),
                forged: results::forged(heard.header(), &options.hostname),
                notes,
                quarantine: admission.quarantine,
            },
        }
    }

    /// What DMARC comes to by the settings; and why the author's domain was overruled, if it was.
    fn judge(
        &self,
        admission: &mut Admission,
        dmarc: &dmarc::Verification,
        arc: &arc::Chain,
    ) -> (Option<Reply>, Option<String>) {
        if dmarc.verdict == Found::TempError {
            let reason = dmarc.reason.clone().unwrap_or_default();
            return (Some(later(&format!("DMARC of {}: {reason}", dmarc.domain))), None);
        }
        if dmarc.verdict == Found::PermError {
            return (self.judge_nameless(admission, dmarc), None);
        }
        if dmarc.verdict != Found::Fail || dmarc.disposition == Policy::None {
            return (None, None);
        }
        let why = format!(
            "DMARC: {} asks to {} mail that neither SPF nor DKIM vouches for",
            dmarc.domain,
            dmarc.disposition.name()
        );
        if !self.options.dmarc {
            admission.marks.push(why);
            return (None, Some("policies are not followed here".to_owned()));
        }
        if let Some(sealer) = self.vouched(arc) {
            admission.marks.push(format!(
                "{why}; overruled, because {sealer} says that it was good before"
            ));
            return (None, Some(format!("arc=pass, sealed by {sealer}")));
        }
        match dmarc.disposition {
            // RFC 7489 §10.3; the code is that of RFC 7372 §3.4.
            Policy::Reject => (Some(Reply::new(550, Status(5, 7, 26), short(&why))), None),
            _ => {
                admission.marks.push(why.clone());
                admission.quarantine.get_or_insert(why);
                (None, None)
            }
        }
    }

    /// Mail whose author cannot be told, so that no domain's policy could be followed (RFC 7489 §6.6.1). Several From fields show one author to
    /// a check and another to a reader: no program writes that by mistake. A message without any is merely suspicious.
    fn judge_nameless(&self, admission: &mut Admission, dmarc: &dmarc::Verification) -> Option<Reply> {
        let why = format!("DMARC: {}", dmarc.reason.as_deref().unwrap_or("there is no author"));
        admission.marks.push(why.clone());
        if !self.options.dmarc {
            return None;
        }
        if dmarc.several_authors {
            return Some(Reply::new(550, Status(5, 7, 1), short(&why)));
        }
        admission.quarantine.get_or_insert(why);
        None
    }

    /// A sealer that is believed, and says that DMARC had passed before the message was changed (RFC 8617 §7.2.1).
    fn vouched(&self, arc: &arc::Chain) -> Option<String> {
        if arc.verdict != Found::Pass {
            return None;
        }
        let sealer = arc
            .sealer
            .as_ref()
            .filter(|sealer| self.options.sealers.contains(sealer))?;
        let results = arc.results.as_deref()?;
        let passed = results
            .split(';')
            .any(|entry| entry.trim().split_ascii_whitespace().next() == Some("dmarc=pass"));
        passed.then(|| sealer.clone())
    }
}
