//! What came of the scripts: mailboxes, messages that go out, what is to be remembered, and why.

use crate::plan::Reason;
use directory::{Directory, Resolution};
use sieve::Target;
use std::sync::Arc;
use store::{Answered, Seen};

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

impl Sending {
    /// A message of ours, which nobody is to answer.
    pub fn ours(kind: &'static str, recipients: Vec<String>, bytes: Vec<u8>) -> Sending {
        Sending {
            kind,
            sender: String::new(),
            recipients,
            bytes,
            notify: None,
            ret: None,
        }
    }

    /// Somebody else's message, which is sent on.
    pub fn is_redirect(&self) -> bool {
        self.kind == "redirect"
    }
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
        } else if !self.piped.is_empty() || self.sending.iter().any(Sending::is_redirect) {
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
            let gone = s.is_redirect() && s.recipients.iter().all(unknown);
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

    pub(crate) fn keep(&mut self, flags: Vec<String>, message: usize) {
        if !self.filed.iter().any(|f| f.place == Place::Kept) {
            self.filed.push(Filed {
                place: Place::Kept,
                flags,
                message,
            });
        }
    }
}
