//! One message, the scripts that apply to it, and what comes of them.
//!
//! The administrator's script before runs first. Where it keeps the message the user's script has its turn, with the message as it is by
//! then; where that keeps it, the administrator's script after. What "keep" means is decided by the last that ran. A script that fails keeps
//! the message, and the next one goes on (RFC 5228 §2.10.6).

use crate::plan::Reason;
use crate::world::Here;
use crate::{Filter, compose, may_be_answered};
use directory::{Directory, Resolution};
use sieve::{Action, Envelope, Fcc, Input, Outcome, ProgramKind, Redirect, Target, World as _};
use std::cell::Cell;
use std::sync::Arc;
use store::{Account, Answered, Script, Seen};

/// A message to decide about.
#[derive(Clone, Debug, Default)]
pub struct Delivery<'d> {
    /// The message.
    pub message: &'d [u8],
    /// Its envelope.
    pub envelope: Envelope,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// A word that is this delivery's alone, for ids.
    pub unique: String,
    /// What `environment` answers beyond what is always known (RFC 5183, RFC 6785 §3.5).
    pub environment: Vec<(String, String)>,
    /// Flags that the message has already.
    pub flags: Vec<String>,
    /// The script is only tried: no program runs.
    pub rehearsal: bool,
}

impl Delivery<'_> {
    /// Whether an IMAP event runs the script (RFC 6785), over a message that lies in a mailbox: `environment` says so.
    pub fn is_event(&self) -> bool {
        self.environment.iter().any(|(item, _)| item == "imap.cause")
    }
}

/// Whose script it is.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// The main address.
    pub address: String,
    /// All addresses.
    pub addresses: Vec<String>,
    /// The name; may be empty.
    pub name: String,
}

/// What deliveries before this one have decided and not written yet.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Whom they answered.
    pub answered: Vec<Answered>,
    /// What they have seen.
    pub seen: Vec<Seen>,
    /// Messages they send.
    pub sent: u64,
}

/// A mailbox as a script names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where mail goes without a script.
    Kept,
    /// Into this one.
    Mailbox(Target),
}

/// A copy for a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Into which.
    pub place: Place,
    /// Flags and keywords.
    pub flags: Vec<String>,
    /// Which of [`Verdict::messages`]; 0 is the one that came.
    pub message: usize,
}

/// A message that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// What it is: `redirect`, `vacation`, `notify`, `reject`, `report`, `fault`.
    pub kind: &'static str,
    /// Reverse path; empty for `<>`.
    pub sender: String,
    /// Whom to.
    pub recipients: Vec<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// NOTIFY (RFC 6009).
    pub notify: Option<String>,
    /// RET (RFC 6009).
    pub ret: Option<String>,
}

/// The message is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to tell the sender.
    pub reason: String,
    /// Only in the dialogue, if that is still possible (RFC 5429 §2.1).
    pub in_dialogue: bool,
}

/// Why the verdict is as it is, script by script.
pub type Why = Vec<Reason>;

/// What came of the scripts.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Into which mailboxes; none: nowhere.
    pub filed: Vec<Filed>,
    /// What goes out.
    pub sending: Vec<Sending>,
    /// Refused.
    pub refusal: Option<Refusal>,
    /// Messages other than the one that came: [`Filed::message`] counts them from 1.
    pub messages: Vec<Arc<[u8]>>,
    /// Whom it answers.
    pub answered: Vec<Answered>,
    /// What is to be remembered as seen.
    pub seen: Vec<Seen>,
    /// Why.
    pub why: Why,
    /// What went wrong in the user's own script.
    pub fault: Option<String>,
    /// The actions, each in a few words.
    pub said: Vec<String>,
    /// Programs that have taken the message, or would.
    pub piped: Vec<String>,
    /// A program would have had a say, and was not asked since the script was only tried: it may come otherwise.
    pub guessed: bool,
}

impl Verdict {
    /// How the delivery ends for the ledger.
    pub fn fate(&self) -> &'static str {
        if !self.filed.is_empty() {
            "delivered"
        } else if self.refusal.is_some() {
            "rejected"
        } else if !self.piped.is_empty() || self.sending.iter().any(|s| s.kind == "redirect") {
            "redirected"
        } else {
            "discarded"
        }
    }

    /// Whether no rule says anything: the message is kept as it would be without a script, and there is nothing to remember.
    pub fn is_plain(&self) -> bool {
        let kept = Filed {
            place: Place::Kept,
            flags: Vec::new(),
            message: 0,
        };
        let silent = |reason: &Reason| {
            let implied = |d: &sieve::Decision| d.line == 0 && d.script.is_none();
            reason.notes.is_empty() && reason.decisions.iter().all(implied)
        };
        self.filed == [kept]
            && self.sending.is_empty()
            && self.piped.is_empty()
            && self.refusal.is_none()
            && self.fault.is_none()
            && self.answered.is_empty()
            && self.seen.is_empty()
            && self.why.iter().all(silent)
    }

    /// Messages that count against the bound of the account.
    pub fn sent(&self) -> u32 {
        let counted = self.sending.iter().filter(|s| s.kind != "fault");
        u32::try_from(counted.map(|s| s.recipients.len()).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Takes out what is sent on to addresses of ours that nobody has: the message is kept instead.
    pub fn answerable(&mut self, directory: &Directory) {
        let mut nobody = Vec::new();
        self.sending.retain(|s| {
            let unknown = |r: &String| matches!(directory.resolve(r), Resolution::Unknown);
            let gone = s.kind == "redirect" && s.recipients.iter().all(unknown);
            if gone {
                nobody.extend(s.recipients.iter().cloned());
            }
            !gone
        });
        if nobody.is_empty() {
            return;
        }
        if let Some(reason) = self.why.last_mut() {
            let note = format!(
                "not sent on to {}: nobody has that address; the message is kept",
                nobody.join(", ")
            );
            reason.notes.push(note);
        }
        self.keep(Vec::new(), 0);
    }

    fn keep(&mut self, flags: Vec<String>, message: usize) {
        if !self.filed.iter().any(|f| f.place == Place::Kept) {
            self.filed.push(Filed {
                place: Place::Kept,
                flags,
                message,
            });
        }
    }
}

/// Extensions that an IMAP event may not use (RFC 6785 §3.11).
const AT_DELIVERY: [&str; 4] = ["reject", "ereject", "vacation", "vacation-seconds"];

/// A script in its place in the chain.
enum Link {
    Before,
    /// The administrator's for what happens in mailboxes.
    Events,
    User(Arc<Script>),
    After,
}

impl Filter {
    /// Runs the scripts of an account over a message. Changes nothing.
    pub fn decide(
        &self,
        account: &Account,
        person: &Person,
        delivery: &Delivery<'_>,
        memory: &Memory,
    ) -> store::Result<Verdict> {
        let mut links = Vec::with_capacity(3);
        if self.options().before.is_some() {
            links.push(Link::Before);
        }
        if let Some(script) = account.script_active()? {
            links.push(Link::User(script));
        }
        if self.options().after.is_some() {
            links.push(Link::After);
        }
        Ok(self.run(links, account, person, delivery, memory))
    }

    /// Runs what an IMAP event runs: the administrator's script for events, then the one that the mailbox names.
    pub(crate) fn decide_event(
        &self,
        script: Option<Arc<Script>>,
        account: &Account,
        person: &Person,
        delivery: &Delivery<'_>,
        memory: &Memory,
    ) -> Verdict {
        let mut links = Vec::with_capacity(2);
        if self.options().events.script.is_some() {
            links.push(Link::Events);
        }
        links.extend(script.map(Link::User));
        self.run(links, account, person, delivery, memory)
    }

    /// Runs one script alone, as if it were the user's: for a dry run.
    pub fn decide_by(
        &self,
        script: Arc<Script>,
        account: &Account,
        person: &Person,
        delivery: &Delivery<'_>,
    ) -> Verdict {
        self.run(vec![Link::User(script)], account, person, delivery, &Memory::default())
    }

    fn run(
        &self,
        links: Vec<Link>,
        account: &Account,
        person: &Person,
        delivery: &Delivery<'_>,
        memory: &Memory,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let mut globals = Vec::new();
        // Which message the next script gets.
        let mut current = 0;
        let mut kept = Some(delivery.flags.clone());
        for link in links {
            let (name, ready) = match &link {
                Link::Before => ("before", self.options().before.as_deref().map(|f| self.file(f))),
                Link::Events => ("events", self.options().events.script.as_deref().map(|f| self.file(f))),
                Link::After => ("after", self.options().after.as_deref().map(|f| self.file(f))),
                Link::User(script) => (script.info.name.as_str(), Some(self.user(account.id(), script))),
            };
            let Some(ready) = ready else { continue };
            let own = matches!(link, Link::User(_));
            let mut reason = Reason {
                script: name.to_owned(),
                ..Reason::default()
            };
            let compiled = match ready {
                Ok(compiled) => compiled,
                Err(errors) => {
                    // It was right once: an extension was switched off, or a file was changed.
                    let text = errors.first().map(ToString::to_string).unwrap_or_default();
                    reason
                        .notes
                        .push(format!("the script cannot be used, the message is kept: {text}"));
                    tracing::warn!(
                        account = account.id().0,
                        script = name,
                        error = text,
                        "a Sieve script cannot be used"
                    );
                    if own {
                        verdict.fault = Some(text);
                    }
                    verdict.why.push(reason);
                    continue;
                }
            };
            if delivery.is_event()
                && let Some(word) = compiled.required().iter().find(|r| AT_DELIVERY.contains(&r.as_str()))
            {
                let text =
                    format!("it requires \"{word}\", which is for mail that is being delivered (RFC 6785 §3.11)");
                reason.notes.push(text.clone());
                if own {
                    verdict.fault = Some(text);
                }
                verdict.why.push(reason);
                continue;
            }
            let message: Arc<[u8]>;
            let bytes = match current {
                0 => delivery.message,
                n => {
                    message = Arc::clone(&verdict.messages[n - 1]);
                    &message
                }
            };
            let input = Input {
                message: bytes,
                structure: None,
                envelope: delivery.envelope.clone(),
                now: delivery.now,
                own_addresses: person.addresses.clone(),
                globals: std::mem::take(&mut globals),
            };
            let here = Here {
                filter: self,
                account,
                delivery,
                memory,
                person,
                guessed: Cell::new(false),
            };
            let mut outcome = compiled.run(&input, &here, &self.options().limits);
            verdict.guessed |= here.guessed.get();
            // In a script that is included, what cannot be done here shows only when it is done.
            let refused = |t: &sieve::Taken| matches!(t.action, Action::Reject { .. } | Action::Vacation(_));
            if delivery.is_event()
                && let Some(taken) = outcome.actions.iter().find(|t| refused(t))
            {
                let text = format!("{} is for mail that is being delivered (RFC 6785 §3.11)", taken.action);
                reason.notes.push(text.clone());
                if own {
                    verdict.fault = Some(text);
                }
                verdict.why.push(reason);
                break;
            }
            self.pipe(&mut outcome, bytes, &here, &mut reason);
            globals = std::mem::take(&mut outcome.globals);
            if let Some(error) = &outcome.error {
                reason.notes.push(format!("it failed, the message is kept: {error}"));
                tracing::warn!(account = account.id().0, script = name, %error, "a Sieve script failed");
                if own {
                    verdict.fault = Some(error.to_string());
                }
            }
            reason.notes.extend(outcome.warnings.iter().map(ToString::to_string));
            for line in &outcome.logs {
                tracing::info!(account = account.id().0, script = name, line, "debug_log");
            }
            reason.decisions = outcome.explanation.reasons();
            kept = self.take(
                &mut verdict,
                &mut reason,
                outcome,
                &mut current,
                person,
                delivery,
                account,
                memory,
            );
            verdict.why.push(reason);
            if kept.is_none() {
                break;
            }
        }
        if let Some(flags) = kept {
            verdict.keep(flags, current);
        }
        verdict
    }

    /// Gives the message to programs, where a script says so. One that fails is the script's failure, which keeps the message and does
    /// nothing else; with `:try` it is as if the script had not said so.
    fn pipe(&self, outcome: &mut Outcome, message: &[u8], here: &Here<'_>, reason: &mut Reason) {
        if here.delivery.rehearsal || !outcome.actions.iter().any(|t| matches!(t.action, Action::Pipe { .. })) {
            return;
        }
        let mut untaken = Vec::new();
        for (at, taken) in outcome.actions.iter().enumerate() {
            let Action::Pipe {
                program,
                arguments,
                copy,
                r#try,
            } = &taken.action
            else {
                continue;
            };
            let input = outcome.message(taken, message);
            let ended = here.program_run(ProgramKind::Pipe, program, arguments, input);
            let failed = match ended {
                Ok(Some(_)) => continue,
                Ok(None) => "it ended with a failure".to_owned(),
                Err(failed) => failed,
            };
            let text = format!("pipe \"{program}\": {failed}");
            if *r#try {
                reason.notes.push(text);
                untaken.push((at, *copy));
                continue;
            }
            let mut error = sieve::Error::run(taken.position, text);
            error.script.clone_from(&taken.script);
            outcome.fail(error, here.delivery.flags.clone());
            return;
        }
        let stays = untaken.iter().any(|(_, copy)| !copy);
        for (at, _) in untaken.into_iter().rev() {
            outcome.actions.remove(at);
        }
        // It was to go to the program and nowhere else.
        if stays && !outcome.takes_message() {
            outcome.keep(here.delivery.flags.clone());
        }
    }

    /// Takes over what a script decided. Gives the flags of its keep, if it keeps the message.
    #[allow(clippy::too_many_arguments)]
    fn take(
        &self,
        verdict: &mut Verdict,
        reason: &mut Reason,
        outcome: Outcome,
        current: &mut usize,
        person: &Person,
        delivery: &Delivery<'_>,
        account: &Account,
        memory: &Memory,
    ) -> Option<Vec<String>> {
        let base = verdict.messages.len();
        let came = *current;
        verdict.messages.extend(outcome.messages.iter().cloned());
        let number = |message: usize| if message == 0 { came } else { base + message };
        verdict.seen.extend(outcome.duplicates.iter().map(|d| Seen {
            handle: d.id.handle.clone(),
            id: d.id.id.clone(),
            until: delivery.now.saturating_add(d.seconds.cast_signed()),
        }));
        // Looked for when an action asks: most do not.
        let header = || {
            let end = mime::header_end(delivery.message);
            delivery.message.get(..end).unwrap_or_default()
        };
        let sender = delivery.envelope.from.clone().unwrap_or_default();
        let mut kept = None;
        let mut count = 0;
        for taken in outcome.actions {
            let at = number(taken.message);
            verdict.said.push(taken.action.to_string());
            count += 1;
            let unique = format!("{}.{}{count}", delivery.unique, if base > 0 { "b" } else { "" });
            let bytes: Arc<[u8]> = match at {
                0 => Arc::from(&[][..]),
                n => verdict
                    .messages
                    .get(n - 1)
                    .cloned()
                    .unwrap_or_else(|| Arc::from(&[][..])),
            };
            let message = if at == 0 { delivery.message } else { &bytes };
            let from = compose::From {
                address: &person.address,
                name: &person.name,
                hostname: &self.options().hostname,
                unique: &unique,
                now: delivery.now,
            };
            match taken.action {
                Action::Keep { flags, .. } => {
                    *current = at;
                    kept = Some(flags);
                }
                Action::FileInto { target, flags, .. } => {
                    let filed = Filed {
                        place: Place::Mailbox(target),
                        flags,
                        message: at,
                    };
                    if !verdict.filed.contains(&filed) {
                        verdict.filed.push(filed);
                    }
                }
                Action::Redirect(redirect) => {
                    let (recipients, not) = self.redirected_to(&redirect, person);
                    let not = not
                        .or_else(|| self.no_redirect(header(), person))
                        .or_else(|| self.no_more(account, memory, verdict, delivery.now));
                    if let Some(not) = not {
                        reason.notes.push(format!(
                            "not sent on to {}: {not}; the message is kept",
                            redirect.address
                        ));
                        kept.get_or_insert_with(|| delivery.flags.clone());
                        continue;
                    }
                    verdict.sending.push(Sending {
                        kind: "redirect",
                        sender: sender.clone(),
                        recipients,
                        bytes: compose::redirect(&from, message, (!redirect.list).then_some(redirect.address.as_str())),
                        notify: redirect.notify,
                        ret: redirect.ret,
                    });
                }
                Action::Discard => {}
                Action::Pipe { program, .. } => verdict.piped.push(program),
                Action::Reject {
                    reason: text,
                    in_dialogue,
                } => {
                    if let Err(why) = may_be_answered(&sender, header(), &person.addresses) {
                        reason
                            .notes
                            .push(format!("refused without a word to the sender: {why}"));
                    } else {
                        // At delivery the dialogue is over; then the refusal is told as RFC 5429 §2.1.2 has it.
                        verdict.sending.push(Sending {
                            kind: "reject",
                            sender: String::new(),
                            recipients: vec![sender.clone()],
                            bytes: compose::refusal(&from, delivery.message, &sender, &text),
                            notify: None,
                            ret: None,
                        });
                    }
                    verdict.refusal = Some(Refusal {
                        reason: text,
                        in_dialogue,
                    });
                }
                Action::Vacation(vacation) => {
                    let to = vacation.to.to_lowercase();
                    let until = memory
                        .answered
                        .iter()
                        .find(|a| a.handle == vacation.handle && a.sender == to)
                        .map(|a| a.until)
                        .or_else(|| account.answered_until(&vacation.handle, &to).ok().flatten());
                    let not = may_be_answered(&vacation.to, header(), &person.addresses)
                        .err()
                        .or_else(|| {
                            until
                                .filter(|until| *until > delivery.now && vacation.seconds > 0)
                                .map(|_| "the sender was answered lately".to_owned())
                        })
                        .or_else(|| self.no_more(account, memory, verdict, delivery.now));
                    if let Some(not) = not {
                        reason.notes.push(format!("vacation does not answer: {not}"));
                        continue;
                    }
                    let answer = compose::vacation(&from, delivery.message, &vacation);
                    fcc(verdict, vacation.fcc.as_ref(), &answer);
                    if vacation.seconds > 0 {
                        verdict.answered.push(Answered {
                            handle: vacation.handle,
                            sender: to,
                            until: delivery.now.saturating_add(vacation.seconds.cast_signed()),
                        });
                    }
                    verdict.sending.push(Sending {
                        kind: "vacation",
                        sender: String::new(),
                        recipients: vec![vacation.to],
                        bytes: answer,
                        notify: None,
                        ret: None,
                    });
                }
                Action::Notify(notify) => {
                    // RFC 5436 §2.7.1: a notice must not be answered with a notice.
                    let automatic = mime::header_field(header(), "Auto-Submitted")
                        .is_some_and(|v| !v.trim_ascii().eq_ignore_ascii_case(b"no"));
                    let not = automatic
                        .then(|| "the message was sent by a program (Auto-Submitted)".to_owned())
                        .or_else(|| self.no_more(account, memory, verdict, delivery.now));
                    if let Some(not) = not {
                        reason.notes.push(format!("no notice is sent: {not}"));
                        continue;
                    }
                    let Some((bytes, recipients)) = compose::notice(&from, message, &notify) else {
                        reason.notes.push("no notice is sent: it names nobody".to_owned());
                        continue;
                    };
                    fcc(verdict, notify.fcc.as_ref(), &bytes);
                    verdict.sending.push(Sending {
                        kind: "notify",
                        sender: if sender.is_empty() {
                            String::new()
                        } else {
                            person.address.clone()
                        },
                        recipients,
                        bytes,
                        notify: None,
                        ret: None,
                    });
                }
                Action::Report {
                    feedback,
                    text,
                    address,
                    headers_only,
                } => {
                    if let Some(not) = self.no_more(account, memory, verdict, delivery.now) {
                        reason.notes.push(format!("no report is sent: {not}"));
                        continue;
                    }
                    let bytes = compose::report(&from, delivery.message, &address, &feedback, &text, headers_only);
                    verdict.sending.push(Sending {
                        kind: "report",
                        sender: String::new(),
                        recipients: vec![address],
                        bytes,
                        notify: None,
                        ret: None,
                    });
                }
                other => {
                    reason
                        .notes
                        .push(format!("{other} cannot be done here; the message is kept"));
                    kept.get_or_insert_with(|| delivery.flags.clone());
                }
            }
        }
        kept
    }

    /// Whom a message is sent on to, and if it must not be, why. Members of a list who are the user himself have it already.
    fn redirected_to(&self, redirect: &Redirect, person: &Person) -> (Vec<String>, Option<String>) {
        if !redirect.list {
            return (vec![redirect.address.clone()], None);
        }
        let list = match self.list(&redirect.address) {
            Ok(Some(list)) => list,
            Ok(None) => return (Vec::new(), Some("there is no such list any more".to_owned())),
            Err(reason) => return (Vec::new(), Some(reason)),
        };
        let own = |address: &String| person.addresses.iter().any(|a| a.eq_ignore_ascii_case(address));
        let others = list.entries.iter().filter(|entry| entry.contains('@') && !own(entry));
        let recipients: Vec<String> = others.cloned().collect();
        let most = self.options().list_recipients;
        let not = if recipients.is_empty() {
            Some("nobody is in the list".to_owned())
        } else {
            (recipients.len() > most).then(|| format!("more than {most} are in the list (limit list_recipients)"))
        };
        (recipients, not)
    }

    /// Why a message must not be sent on: it goes in a circle.
    fn no_redirect(&self, header: &[u8], person: &Person) -> Option<String> {
        let mut hops = 0;
        for field in mime::fields(header) {
            if field.is("Received") {
                hops += 1;
            } else if field.is("Delivered-To") {
                let value = String::from_utf8_lossy(&mime::unfold(field.value)).trim().to_owned();
                if person.addresses.iter().any(|a| a.eq_ignore_ascii_case(&value)) {
                    return Some(
                        "it was sent on by this account before (Delivered-To): it goes in a circle".to_owned(),
                    );
                }
            }
        }
        (hops > self.options().hops).then(|| format!("it has passed {hops} servers: it goes in a circle"))
    }

    /// Why nothing more is sent: too much was.
    fn no_more(&self, account: &Account, memory: &Memory, verdict: &Verdict, now: i64) -> Option<String> {
        let limit = self.options().sent_per_day;
        let before = account.sent_since(now / 3600 - 23).unwrap_or(0);
        (before + memory.sent + u64::from(verdict.sent()) >= limit)
            .then(|| format!("scripts of this account have sent {limit} messages in 24 hours (limit sent_per_day)"))
    }
}

/// A copy of what is sent, for a mailbox (RFC 8580).
fn fcc(verdict: &mut Verdict, fcc: Option<&Fcc>, bytes: &[u8]) {
    if let Some(fcc) = fcc {
        verdict.messages.push(Arc::from(bytes));
        verdict.filed.push(Filed {
            place: Place::Mailbox(fcc.target.clone()),
            flags: fcc.flags.clone(),
            message: verdict.messages.len(),
        });
    }
}
