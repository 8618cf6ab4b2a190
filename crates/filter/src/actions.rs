//! The actions of a script, taken over into the verdict: what goes out is put together and counted, and what may not be done keeps the message.

use crate::decide::{Delivery, Memory, Person};
use crate::plan::Reason;
use crate::verdict::{Filed, Place, Refusal, Sending, Verdict};
use crate::{Filter, compose, may_be_answered};
use sieve::{Action, Fcc, Notify, Outcome, Redirect, Vacation};
use std::sync::Arc;
use store::{Account, Answered, Seen};

/// Takes over what a script decided.
pub(crate) struct Taking<'t> {
    pub(crate) filter: &'t Filter,
    pub(crate) account: &'t Account,
    pub(crate) person: &'t Person,
    pub(crate) delivery: &'t Delivery<'t>,
    pub(crate) memory: &'t Memory,
    pub(crate) verdict: &'t mut Verdict,
    /// What is said about this script.
    pub(crate) reason: &'t mut Reason,
}

impl Taking<'_> {
    /// Takes over the actions, in their order. `current`: which of the verdict's messages the script had, and which the next one gets.
    /// Gives the flags of its keep, if it keeps the message.
    pub(crate) fn take(&mut self, outcome: Outcome, current: &mut usize) -> Option<Vec<String>> {
        let base = self.verdict.messages.len();
        let came = *current;
        self.verdict.messages.extend(outcome.messages.iter().cloned());
        let number = |message: usize| if message == 0 { came } else { base + message };
        let now = self.delivery.now;
        self.verdict.seen.extend(outcome.duplicates.iter().map(|d| Seen {
            handle: d.id.handle.clone(),
            id: d.id.id.clone(),
            until: now.saturating_add(d.seconds.cast_signed()),
        }));
        let mut kept = None;
        for (count, taken) in outcome.actions.into_iter().enumerate() {
            let at = number(taken.message);
            self.verdict.said.push(taken.action.to_string());
            let unique = format!(
                "{}.{}{}",
                self.delivery.unique,
                if base > 0 { "b" } else { "" },
                count + 1
            );
            let from = compose::From {
                address: &self.person.address,
                name: &self.person.name,
                hostname: &self.filter.options().hostname,
                unique: &unique,
                now,
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
                    if !self.verdict.filed.contains(&filed) {
                        self.verdict.filed.push(filed);
                    }
                }
                Action::Redirect(redirect) => {
                    if let Err(not) = self.redirect(&from, &redirect, at) {
                        self.reason.notes.push(format!(
                            "not sent on to {}: {not}; the message is kept",
                            redirect.address
                        ));
                        kept.get_or_insert_with(|| self.delivery.flags.clone());
                    }
                }
                Action::Discard => {}
                Action::Pipe { program, .. } => self.verdict.piped.push(program),
                Action::Reject {
                    reason: text,
                    in_dialogue,
                } => self.refuse(&from, text, in_dialogue),
                Action::Vacation(vacation) => {
                    if let Err(not) = self.answer(&from, vacation) {
                        self.reason.notes.push(format!("vacation does not answer: {not}"));
                    }
                }
                Action::Notify(notify) => {
                    if let Err(not) = self.notify(&from, &notify, at) {
                        self.reason.notes.push(format!("no notice is sent: {not}"));
                    }
                }
                Action::Report {
                    feedback,
                    text,
                    address,
                    headers_only,
                } => match self.no_more() {
                    Err(not) => self.reason.notes.push(format!("no report is sent: {not}")),
                    Ok(()) => {
                        let original = self.delivery.message;
                        let bytes = compose::report(&from, original, &address, &feedback, &text, headers_only);
                        self.verdict.sending.push(Sending::ours("report", vec![address], bytes));
                    }
                },
                other => {
                    self.reason
                        .notes
                        .push(format!("{other} cannot be done here; the message is kept"));
                    kept.get_or_insert_with(|| self.delivery.flags.clone());
                }
            }
        }
        kept
    }

    /// The header of the message as it came. Looked for when an action asks: most do not.
    fn header(&self) -> &[u8] {
        let end = mime::header_end(self.delivery.message);
        self.delivery.message.get(..end).unwrap_or_default()
    }

    /// Who had sent it; empty for nobody.
    fn sender(&self) -> String {
        self.delivery.envelope.from.clone().unwrap_or_default()
    }

    /// The message as the script had made it.
    fn message(&self, at: usize) -> &[u8] {
        match at.checked_sub(1).and_then(|at| self.verdict.messages.get(at)) {
            Some(made) => made,
            None => self.delivery.message,
        }
    }

    fn redirect(&mut self, from: &compose::From<'_>, redirect: &Redirect, at: usize) -> Result<(), String> {
        let recipients = self.redirected_to(redirect)?;
        self.goes_in_no_circle()?;
        self.no_more()?;
        if redirect.by.is_some() {
            let note = "the time limit of redirect is not passed on: mail leaves here without DELIVERBY (RFC 2852)";
            self.reason.notes.push(note.to_owned());
        }
        let to = (!redirect.list).then_some(redirect.address.as_str());
        let bytes = compose::redirect(from, self.message(at), to);
        self.verdict.sending.push(Sending {
            sender: self.sender(),
            notify: redirect.notify.clone(),
            ret: redirect.ret.clone(),
            ..Sending::ours("redirect", recipients, bytes)
        });
        Ok(())
    }

    /// Whom a message is sent on to, or why it must not be. Members of a list who are the user himself have it already.
    fn redirected_to(&self, redirect: &Redirect) -> Result<Vec<String>, String> {
        if !redirect.list {
            return Ok(vec![redirect.address.clone()]);
        }
        let list = self
            .filter
            .list(&redirect.address)?
            .ok_or("there is no such list any more")?;
        let own = |address: &String| self.person.addresses.iter().any(|a| a.eq_ignore_ascii_case(address));
        let others = list.entries.iter().filter(|entry| entry.contains('@') && !own(entry));
        let recipients: Vec<String> = others.cloned().collect();
        let most = self.filter.options().list_recipients;
        match recipients.len() {
            0 => Err("nobody is in the list".to_owned()),
            members if members > most => Err(format!("more than {most} are in the list (limit list_recipients)")),
            _ => Ok(recipients),
        }
    }

    /// Whether a message may be sent on, or comes round.
    fn goes_in_no_circle(&self) -> Result<(), String> {
        let mut hops = 0;
        for field in mime::fields(self.header()) {
            if field.is("Received") {
                hops += 1;
            } else if field.is("Delivered-To") {
                let value = String::from_utf8_lossy(&mime::unfold(field.value)).trim().to_owned();
                if self.person.addresses.iter().any(|a| a.eq_ignore_ascii_case(&value)) {
                    return Err("it was sent on by this account before (Delivered-To): it goes in a circle".to_owned());
                }
            }
        }
        if hops > self.filter.options().hops {
            return Err(format!("it has passed {hops} servers: it goes in a circle"));
        }
        Ok(())
    }

    fn refuse(&mut self, from: &compose::From<'_>, text: String, in_dialogue: bool) {
        let sender = self.sender();
        match may_be_answered(&sender, self.header(), &self.person.addresses) {
            Err(why) => self
                .reason
                .notes
                .push(format!("refused without a word to the sender: {why}")),
            Ok(()) => {
                // At delivery the dialogue is over; then the refusal is told as RFC 5429 §2.1.2 has it.
                let bytes = compose::refusal(from, self.delivery.message, &sender, &text);
                self.verdict.sending.push(Sending::ours("reject", vec![sender], bytes));
            }
        }
        self.verdict.refusal = Some(Refusal {
            reason: text,
            in_dialogue,
        });
    }

    fn answer(&mut self, from: &compose::From<'_>, vacation: Vacation) -> Result<(), String> {
        let to = vacation.to.to_lowercase();
        may_be_answered(&vacation.to, self.header(), &self.person.addresses)?;
        let lately = self
            .memory
            .answered
            .iter()
            .find(|a| a.handle == vacation.handle && a.sender == to)
            .map(|a| a.until)
            .or_else(|| self.account.answered_until(&vacation.handle, &to).ok().flatten());
        if vacation.seconds > 0 && lately.is_some_and(|until| until > self.delivery.now) {
            return Err("the sender was answered lately".to_owned());
        }
        self.no_more()?;
        let answer = compose::vacation(from, self.delivery.message, &vacation);
        self.copy_of(vacation.fcc.as_ref(), &answer);
        if vacation.seconds > 0 {
            self.verdict.answered.push(Answered {
                handle: vacation.handle,
                sender: to,
                until: self.delivery.now.saturating_add(vacation.seconds.cast_signed()),
            });
        }
        let sending = Sending::ours("vacation", vec![vacation.to], answer);
        self.verdict.sending.push(sending);
        Ok(())
    }

    fn notify(&mut self, from: &compose::From<'_>, notify: &Notify, at: usize) -> Result<(), String> {
        // RFC 5436 §2.7.1: a notice must not be answered with a notice.
        let automatic = mime::header_field(self.header(), "Auto-Submitted")
            .is_some_and(|v| !v.trim_ascii().eq_ignore_ascii_case(b"no"));
        if automatic {
            return Err("the message was sent by a program (Auto-Submitted)".to_owned());
        }
        self.no_more()?;
        let (bytes, recipients) = compose::notice(from, self.message(at), notify).ok_or("it names nobody")?;
        self.copy_of(notify.fcc.as_ref(), &bytes);
        let sender = match self.sender().as_str() {
            "" => String::new(),
            _ => self.person.address.clone(),
        };
        self.verdict.sending.push(Sending {
            sender,
            ..Sending::ours("notify", recipients, bytes)
        });
        Ok(())
    }

    /// Whether something more may be sent, or too much was.
    fn no_more(&self) -> Result<(), String> {
        let limit = self.filter.options().sent_per_day;
        let before = self.account.sent_since(self.delivery.now / 3600 - 23).unwrap_or(0);
        if before + self.memory.sent + u64::from(self.verdict.sent()) >= limit {
            return Err(format!(
                "scripts of this account have sent {limit} messages in 24 hours (limit sent_per_day)"
            ));
        }
        Ok(())
    }

    /// A copy of what is sent, for a mailbox (RFC 8580).
    fn copy_of(&mut self, fcc: Option<&Fcc>, bytes: &[u8]) {
        if let Some(fcc) = fcc {
            self.verdict.messages.push(Arc::from(bytes));
            self.verdict.filed.push(Filed {
                place: Place::Mailbox(fcc.target.clone()),
                flags: fcc.flags.clone(),
                message: self.verdict.messages.len(),
            });
        }
    }
}
