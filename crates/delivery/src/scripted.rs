//! Delivery where a Sieve script has a say.
//!
//! A decision is made once. It is written into the account's file in the transaction that files the message, keyed by acceptance and
//! recipient; the fate and the messages that go out follow in one transaction of the ledger. A crash in between finds the decision and
//! goes on with it: what was remembered (whom vacation answered) and what goes out stay together.

use crate::local::{Local, Outcome, prefix};
use crate::notifier::News;
use crate::patience;
use bytes::Bytes;
use directory::Directory;
use filter::outgoing::{self, Came, Departure, Leaving, Origin};
use filter::{Delivery, Filter, Memory, Person, Place, Placed, Plan, Sending, Verdict};
use ledger::{Acceptance, Conclusion, Fate, Offspring, Settlement, Work};
use smtp::dsn::Action;
use std::sync::Arc;
use store::{Account, Decided, DecidedDelivery, Digest, Flags, MailboxId, NewCopy, NewMessage};

/// A delivery with what the script made of it, ready to be written.
struct Ready {
    prefix: Vec<u8>,
    copies: Vec<Copy>,
    plan: Plan,
    /// The plan as it is kept; empty where there is nothing to keep of it.
    encoded: String,
    verdict: Verdict,
    /// The bytes of what goes out, in the order of the plan.
    bytes: Vec<Bytes>,
}

/// A copy of the message for a mailbox.
struct Copy {
    mailbox: MailboxId,
    flags: Flags,
    blob: blobs::BlobId,
    len: u64,
    digest: Arc<Digest>,
    /// Whether the lines for this recipient stand before it: not before messages that the script made itself.
    prefixed: bool,
}

/// Whether scripts run for this account.
pub(crate) fn applies(filter: &Filter, account: &Account) -> store::Result<bool> {
    Ok(filter.has_administrators() || account.script_active()?.is_some())
}

/// Whose script it is, as the directory knows.
pub(crate) fn person(directory: &Directory, account: &Account) -> Person {
    directory
        .account(account.id())
        .map_or_else(Person::default, |a| Person {
            address: a.address().to_owned(),
            addresses: a.addresses.clone(),
            name: a.name.clone(),
        })
}

/// The envelope as scripts see it.
pub(crate) fn envelope(
    acceptance: &Acceptance,
    recipient: &str,
    original: Option<&str>,
    notify: Option<&str>,
) -> sieve::Envelope {
    sieve::Envelope {
        from: Some(acceptance.sender.clone()),
        to: Some(recipient.to_owned()),
        ret: acceptance.ret.clone(),
        envid: acceptance.envid.as_deref().map(xtext_decoded),
        orcpt: original.map(xtext_decoded),
        notify: notify.map(str::to_owned),
        ..sieve::Envelope::default()
    }
}

/// What xtext stands for: `+` and two hexadecimal digits are an octet (RFC 3461 §4). Scripts compare what was meant (RFC 6009 §3).
fn xtext_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let octet = match (first, behind) {
            (b'+', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        match octet {
            Some(octet) => {
                out.push(octet);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What `environment` tells of the connection (RFC 5183 §4.1).
pub(crate) fn environment(acceptance: &Acceptance) -> Vec<(String, String)> {
    let mut items = vec![("remote-host".to_owned(), acceptance.helo.clone())];
    if let Ok(peer) = acceptance.client.parse::<std::net::SocketAddr>() {
        items.push(("remote-ip".to_owned(), peer.ip().to_canonical().to_string()));
    }
    items
}

impl Local {
    /// Delivers a turn of an account that has scripts.
    pub(crate) fn deliver_scripted(
        &self,
        account: &Account,
        turn: Vec<(Work, Option<String>)>,
        inbox: MailboxId,
        now: i64,
        outcome: &mut Outcome,
    ) {
        // What was handed over with its bytes has just come in: nobody can have decided about it before.
        let again = turn.iter().filter(|(work, _)| work.bytes.is_none());
        let again: Vec<(i64, u32)> = again.map(|(work, _)| (work.acceptance.id.0, work.number)).collect();
        let known = match again.is_empty() {
            true => Ok(Vec::new()),
            false => account.decisions(&again),
        };
        let mut known = match known {
            Ok(known) => known.into_iter(),
            Err(e) => return self.defer(turn.iter().map(|(w, _)| w), &e, now, outcome),
        };
        let person = person(&self.directory, account);
        let mut memory = Memory::default();
        let mut ready = Vec::with_capacity(turn.len());
        let mut conclusions = Vec::with_capacity(turn.len());
        let mut settled_before = Vec::new();
        for (work, subaddress) in turn {
            if work.bytes.is_none()
                && let Some(known) = known.next().flatten()
            {
                // Decided by an earlier run, which did not come to settle it.
                settled_before.push((work, known));
                continue;
            }
            let kept_in = self.kept_in(account, &work, subaddress.as_deref(), inbox);
            match self.prepare(account, &person, &work, kept_in, &memory, now) {
                Ok(r) => {
                    memory.answered.extend(r.verdict.answered.iter().cloned());
                    memory.seen.extend(r.verdict.seen.iter().cloned());
                    memory.sent += u64::from(r.verdict.sent());
                    ready.push((work, r));
                }
                Err(e) => self.defer([&work], &e, now, outcome),
            }
        }
        let decided: Vec<Decided<'_>> = ready.iter().map(|(work, r)| r.decided(work, now)).collect();
        // Only what is on disk is settled: until then the open row in the ledger is what makes it safe.
        let delivered = account
            .deliver_decided(&decided)
            .and_then(|d| account.sync().map(|()| d));
        drop(decided);
        match delivered {
            Ok(delivered) => {
                for ((work, r), d) in ready.into_iter().zip(delivered) {
                    // An earlier order may have been quicker than we thought: what it decided stands.
                    let other = d.before.as_deref().and_then(Plan::decode);
                    let (plan, bytes) = match other {
                        Some(plan) => (plan, Vec::new()),
                        None => (r.plan, r.bytes),
                    };
                    conclusions.push(self.conclusion(account, &work, &plan, &d, bytes, now));
                    outcome.delivered += 1;
                }
            }
            Err(e) => self.defer(ready.iter().map(|(work, _)| work), &e, now, outcome),
        }
        for (work, known) in settled_before {
            let plan = match known.before.as_deref() {
                Some(text) => Plan::decode(text).unwrap_or_default(),
                // Delivered before there was a script.
                None => Plan {
                    fate: "delivered".into(),
                    ..Plan::default()
                },
            };
            conclusions.push(self.conclusion(account, &work, &plan, &known, Vec::new(), now));
            outcome.delivered += 1;
        }
        if !conclusions.is_empty() {
            self.ledger.conclude(conclusions);
        }
    }

    /// Runs the scripts over one message, finds the mailboxes and writes the bytes of what comes of it.
    fn prepare(
        &self,
        account: &Account,
        person: &Person,
        work: &Work,
        kept_in: MailboxId,
        memory: &Memory,
        now: i64,
    ) -> store::Result<Ready> {
        let digest = self.digest(work)?;
        let mut came = None;
        let mut verdict = if work.size > self.filter.options().message_bytes {
            let mut verdict = Verdict::default();
            verdict.filed.push(filter::Filed {
                place: Place::Kept,
                flags: Vec::new(),
                message: 0,
            });
            verdict.why.push(filter::Reason {
                script: "-".into(),
                notes: vec![format!(
                    "no script has seen it: it has {} octets, and scripts see up to {} (limit message_bytes)",
                    work.size,
                    self.filter.options().message_bytes
                )],
                ..filter::Reason::default()
            });
            verdict
        } else {
            let bytes = match &work.bytes {
                Some(bytes) => bytes.clone(),
                None => Bytes::from(self.store.blobs().read(work.blob)?),
            };
            came = Some(bytes.clone());
            let delivery = Delivery {
                message: &bytes,
                envelope: envelope(
                    &work.acceptance,
                    &work.address,
                    work.original.as_deref(),
                    work.notify.as_deref(),
                ),
                now,
                unique: format!("{}.{}", work.acceptance.id, work.number),
                environment: environment(&work.acceptance),
                flags: Vec::new(),
                rehearsal: false,
            };
            let mut verdict = self.filter.decide(account, person, &delivery, memory)?;
            verdict.answerable(&self.directory);
            self.tell_of_fault(account, person, &mut verdict, &bytes, &delivery.unique, now);
            verdict
        };
        // The bytes that are new: messages the script changed, and what goes out.
        let blobs = self.store.blobs();
        let mut written = Vec::new();
        let mut made = Vec::with_capacity(verdict.messages.len());
        for message in &verdict.messages {
            let commit = blobs.put(message)?;
            made.push((commit.id(), commit.len(), Arc::new(Digest::of(message))));
            written.push(commit);
        }
        let leaving = Leaving {
            account: account.id(),
            address: &person.address,
            message: came.as_deref().unwrap_or_default(),
            accepted: true,
            now,
        };
        let how = Came {
            body: &work.acceptance.body,
            smtputf8: Some(work.acceptance.smtputf8),
        };
        let departure = self.forwarding.as_deref().map(|f| f as &dyn Departure);
        let mut outgoing = Vec::with_capacity(verdict.sending.len());
        let mut sent = Vec::with_capacity(verdict.sending.len());
        for out in outgoing::write(blobs, departure, &leaving, how, &mut verdict.sending)? {
            outgoing.push(out.plan);
            sent.push(out.bytes);
            written.push(out.commit);
        }
        // What the account's file is to speak of must be on disk before it.
        for commit in &written {
            commit.wait()?;
        }
        let mut copies = Vec::with_capacity(verdict.filed.len());
        let mut names = Vec::new();
        let mut notes = Vec::new();
        for filed in &verdict.filed {
            let mailbox = match &filed.place {
                Place::Kept => kept_in,
                Place::Mailbox(target) => match filter::place_made(account, target, self.filter.options())? {
                    Placed::In(id, _) => id,
                    Placed::New(name, _) | Placed::Nowhere(name) => {
                        notes.push(format!("{name}; the message is kept in the inbox"));
                        kept_in
                    }
                },
            };
            names.push(account.mailbox_name(mailbox).unwrap_or_else(|| "INBOX".to_owned()));
            let flags = match account.flags_resolve(filed.flags.iter().map(String::as_str), true) {
                Ok(flags) => flags,
                Err(e @ store::Error::Limit(_)) => {
                    notes.push(format!("flags were left out: {e}"));
                    Flags::NONE
                }
                Err(e) => return Err(e),
            };
            let (blob, len, digest) = match filed.message {
                0 => (work.blob, work.size, Arc::clone(&digest)),
                n => match made.get(n - 1) {
                    Some((blob, len, digest)) => (*blob, *len, Arc::clone(digest)),
                    None => (work.blob, work.size, Arc::clone(&digest)),
                },
            };
            // Twice into one mailbox is once (RFC 5228 §2.10.3), also where two names or failures lead to it.
            if copies.iter().any(|c: &Copy| c.mailbox == mailbox && c.blob == blob) {
                continue;
            }
            copies.push(Copy {
                mailbox,
                flags,
                blob,
                len,
                digest,
                prefixed: true,
            });
        }
        if !notes.is_empty() {
            match verdict.why.last_mut() {
                Some(reason) => reason.notes.append(&mut notes),
                None => verdict.why.push(filter::Reason {
                    notes,
                    ..filter::Reason::default()
                }),
            }
        }
        let mut said = Vec::new();
        if !names.is_empty() {
            names.dedup();
            said.push(format!("into {}", names.join(", ")));
        }
        for out in &outgoing {
            said.push(format!("{} to {}", out.kind, out.recipients.join(", ")));
        }
        for program in &verdict.piped {
            said.push(format!("to the program {program}"));
        }
        if let Some(refusal) = &verdict.refusal {
            said.push(format!(
                "refused: {}",
                refusal.reason.lines().next().unwrap_or_default()
            ));
        }
        if said.is_empty() {
            said.push("thrown away".to_owned());
        }
        let plain = verdict.is_plain();
        if plain {
            // Most mail matches no rule: that is said in the ledger, and nothing is kept beside it.
            let scripts: Vec<&str> = verdict.why.iter().map(|reason| reason.script.as_str()).collect();
            said.push(format!("no rule of {} says otherwise", scripts.join(", ")));
        }
        let plan = Plan {
            fate: verdict.fate().to_owned(),
            detail: format!("Sieve: {}", said.join("; ")),
            outgoing,
            reasons: std::mem::take(&mut verdict.why),
        };
        Ok(Ready {
            prefix: prefix(work),
            copies,
            encoded: if plain { String::new() } else { plan.encode() },
            plan,
            verdict,
            bytes: sent,
        })
    }

    /// A script that fails is noted with it, and the user is told once a day.
    fn tell_of_fault(
        &self,
        account: &Account,
        person: &Person,
        verdict: &mut Verdict,
        message: &[u8],
        unique: &str,
        now: i64,
    ) {
        let Some(fault) = verdict.fault.clone() else { return };
        let Ok(Some(script)) = account.script_active() else {
            return;
        };
        let every = self.filter.options().fault_every;
        match account.script_failed(&script.info.name, script.info.version, &fault, now, every) {
            Ok(true) => {
                let from = filter::compose::From {
                    address: &person.address,
                    name: &person.name,
                    hostname: &self.filter.options().hostname,
                    unique,
                    now,
                };
                let bytes = filter::compose::fault(&from, &script.info.name, &fault, message, "was kept in your inbox");
                let to = vec![person.address.clone()];
                verdict.sending.push(Sending::ours("fault", to, bytes));
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(account = account.id().0, %error, "a failed script was not noted"),
        }
    }

    /// The fate, and the messages that come of it.
    fn conclusion(
        &self,
        account: &Account,
        work: &Work,
        plan: &Plan,
        delivered: &DecidedDelivery,
        bytes: Vec<Bytes>,
        now: i64,
    ) -> Conclusion {
        let fate = match plan.fate.as_str() {
            "discarded" => Fate::Discarded,
            "redirected" => Fate::Redirected,
            "rejected" => Fate::Rejected,
            _ => Fate::Delivered,
        };
        let parent = &work.acceptance;
        let origin = Origin {
            parent: Some((parent, work.number)),
            login: None,
            message_id: parent.message_id.clone(),
            bulk: parent.bulk,
            owner: work.address.clone(),
            about: format!("from {}", parent.id),
        };
        let hostname = &self.filter.options().hostname;
        let mut bytes = bytes.into_iter().map(Some);
        let offspring = plan
            .outgoing
            .iter()
            .filter_map(|out| {
                let bytes = bytes.next().flatten();
                let Some(blob) = blob_of(&out.blob) else {
                    tracing::error!(acceptance = %work.acceptance.id, blob = out.blob, "a stored plan cannot be read");
                    return None;
                };
                Some(Offspring {
                    acceptance: out.acceptance(&origin, &self.directory, hostname, self.ledger.next_id(), now),
                    blob,
                    size: out.size,
                    bytes,
                })
            })
            .collect();
        let mut offspring: Vec<Offspring> = offspring;
        if fate == Fate::Delivered
            && News::is_wanted(work, Action::Delivered)
            && let Some(notifier) = &self.notifier
        {
            match notifier.notices(&[patience::in_the_mailbox(work.clone(), now)]) {
                Ok(notices) => offspring.extend(notices),
                Err(error) => {
                    tracing::error!(acceptance = %work.acceptance.id, %error, "a notice of success can't be written");
                }
            }
        }
        Conclusion {
            settlements: vec![Settlement {
                acceptance: work.acceptance.id,
                number: work.number,
                fate,
                at: now,
                detail: (!plan.detail.is_empty()).then(|| plan.detail.clone()),
                account: Some(account.id()),
                place: delivered.place.map(|d| (d.mailbox.0, d.uid.0)),
                attempt: None,
            }],
            deferrals: Vec::new(),
            offspring,
        }
    }
}

impl Ready {
    fn decided<'r>(&'r self, work: &Work, now: i64) -> Decided<'r> {
        Decided {
            acceptance: work.acceptance.id.0,
            recipient: work.number,
            at: now,
            copies: self
                .copies
                .iter()
                .map(|c| NewCopy {
                    mailbox: c.mailbox,
                    message: NewMessage {
                        blob: c.blob,
                        blob_len: c.len,
                        prefix: if c.prefixed { &self.prefix } else { &[] },
                        digest: &c.digest,
                        flags: c.flags,
                        received: work.acceptance.received_at,
                    },
                })
                .collect(),
            plan: &self.encoded,
            blobs: self.plan.outgoing.iter().filter_map(|o| blob_of(&o.blob)).collect(),
            sent: self.verdict.sent(),
            answered: self.verdict.answered.clone(),
            seen: self.verdict.seen.clone(),
        }
    }
}

fn blob_of(hex: &str) -> Option<blobs::BlobId> {
    hex.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::xtext_decoded;

    #[test]
    fn xtext() {
        for (text, meant) in [
            ("rfc822;ada+2Blist@x.example", "rfc822;ada+list@x.example"),
            ("QQ314159", "QQ314159"),
            ("a+3Db+", "a=b+"),
            ("+2B+2", "++2"),
            ("+C3+BC", "ü"),
            ("", ""),
        ] {
            assert_eq!(xtext_decoded(text), meant, "{text}");
        }
    }
}
