//! One message, the scripts that apply to it, and what comes of them.
//!
//! The administrator's script before runs first. Where it keeps the message the user's script has its turn, with the message as it is by
//! then; where that keeps it, the administrator's script after. What "keep" means is decided by the last that ran. A script that fails keeps
//! the message, and the next one goes on (RFC 5228 §2.10.6).

use crate::Filter;
use crate::actions::Taking;
use crate::plan::Reason;
use crate::verdict::Verdict;
use crate::world::Here;
use sieve::{Action, Envelope, Input, Outcome, ProgramKind, World as _};
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
            let mut taking = Taking {
                filter: self,
                account,
                person,
                delivery,
                memory,
                verdict: &mut verdict,
                reason: &mut reason,
            };
            kept = taking.take(outcome, &mut current);
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
}
