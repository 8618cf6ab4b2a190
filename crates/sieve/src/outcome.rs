//! What a script decided.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Position};
use crate::explain::Explanation;
use crate::world::{DuplicateId, ProgramKind};

/// What came of running a script.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// What to do, in the order in which it was decided. The implicit keep (RFC 5228 §2.10.2), where it was not cancelled, is the
    /// last entry and says so. Filing into one mailbox twice, or redirecting to one address twice, is there once (§2.10.3);
    /// `keep` and filing into INBOX are the same.
    ///
    /// After an error at run time this is the implicit keep alone (§2.10.6).
    pub actions: Vec<Taken>,
    /// What had been decided before an error, and is not to be done.
    pub abandoned: Vec<Taken>,
    /// Messages as changed by the script (editheader, replace, enclose, filter): [`Taken::message`] counts them from 1.
    pub messages: Vec<Arc<[u8]>>,
    /// Why.
    pub explanation: Explanation,
    /// What stopped the script, if something did. Warnings are not here.
    pub error: Option<Error>,
    /// What went wrong without stopping the script.
    pub warnings: Vec<Error>,
    /// Ids to remember once the actions are done (RFC 7352 §3); not to be remembered after an error.
    pub duplicates: Vec<DuplicateRecord>,
    /// What `debug_log` wrote.
    pub logs: Vec<String>,
    /// Variables that all scripts share, for the next script of the same delivery.
    pub globals: Vec<(String, String)>,
    /// Commands and tests executed.
    pub steps: usize,
}

impl Outcome {
    /// Whether the message is kept in the inbox, by `keep` or because nothing said otherwise.
    pub fn keeps(&self) -> bool {
        self.actions
            .iter()
            .any(|taken| matches!(taken.action, Action::Keep { .. }))
    }

    /// Whether the message goes anywhere.
    pub fn takes_message(&self) -> bool {
        self.actions.iter().any(|taken| takes_message(&taken.action))
    }

    /// Keeps the message that came, since nothing else took it.
    pub fn keep(&mut self, flags: Vec<String>) {
        self.actions.retain(|taken| taken.action != Action::Discard);
        self.actions.push(Taken {
            action: Action::Keep { flags, implicit: true },
            position: Position::default(),
            script: None,
            message: 0,
        });
    }

    /// Makes it what a script comes to that failed (RFC 5228 §2.10.6): for what shows only when its actions are done.
    pub fn fail(&mut self, error: Error, flags: Vec<String>) {
        self.abandoned = std::mem::take(&mut self.actions);
        self.messages.clear();
        self.duplicates.clear();
        self.error = Some(error);
        self.keep(flags);
    }

    /// The message as it was when the action was decided; `original` if it was not changed.
    pub fn message<'a>(&'a self, taken: &Taken, original: &'a [u8]) -> &'a [u8] {
        taken
            .message
            .checked_sub(1)
            .and_then(|at| self.messages.get(at))
            .map_or(original, |bytes| bytes)
    }
}

/// An action and where it was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// What to do.
    pub action: Action,
    /// Where the script says so; line 0 for the implicit keep.
    pub position: Position,
    /// The included script it stands in.
    pub script: Option<String>,
    /// Which message: 0 is the one that came, n is `messages[n - 1]`.
    pub message: usize,
}

/// A mailbox to file into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name, in UTF-8.
    pub mailbox: String,
    /// Goes before the name, if there is a mailbox of that id (RFC 9042).
    pub mailbox_id: Option<String>,
    /// Goes before the name, if there is a mailbox of that use (RFC 8579); with `create`, what the new one is for.
    pub special_use: Option<String>,
    /// Whether to make the mailbox if it is not there (RFC 5490 §3.2).
    pub create: bool,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// Into the inbox.
    Keep {
        /// Flags and keywords to set.
        flags: Vec<String>,
        /// Nothing said otherwise (RFC 5228 §2.10.2).
        implicit: bool,
    },
    /// Into a mailbox.
    FileInto {
        /// Which.
        target: Target,
        /// Flags and keywords to set.
        flags: Vec<String>,
        /// Did not cancel the implicit keep.
        copy: bool,
    },
    /// To another address.
    Redirect(Redirect),
    /// Nowhere. Stands only if nothing else takes the message.
    Discard,
    /// Back to the sender.
    Reject {
        /// What to tell.
        reason: String,
        /// `ereject`: refuse in the dialogue if that is still possible, never by a bounce to a forged sender.
        in_dialogue: bool,
    },
    /// An answer to the sender.
    Vacation(Vacation),
    /// A notice to somebody.
    Notify(Notify),
    /// To a program that the administrator listed.
    Pipe {
        /// Its name.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// Did not cancel the implicit keep.
        copy: bool,
        /// A failure is not an error.
        r#try: bool,
    },
    /// A report in the Abuse Reporting Format (vnd.dovecot.report).
    Report {
        /// `abuse`, `fraud`, `virus`, `not-spam` …
        feedback: String,
        /// What to say about it.
        text: String,
        /// Whom to.
        address: String,
        /// The header only.
        headers_only: bool,
    },
}

/// What `redirect` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Whom to; with `list`, the list whose members are meant (RFC 6134 §2.6).
    pub address: String,
    /// `address` names a list.
    pub list: bool,
    /// Did not cancel the implicit keep.
    pub copy: bool,
    /// `NOTIFY=` (RFC 6009 §4).
    pub notify: Option<String>,
    /// `RET=` (RFC 6009 §4).
    pub ret: Option<String>,
    /// Deliver by (RFC 6009 §5).
    pub by: Option<RedirectBy>,
}

/// When a redirected message is to arrive (RFC 6009 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectBy {
    /// Seconds from now, at least 1.
    pub seconds: i64,
    /// `notify` gives `N`, `return` gives `R`.
    pub mode: char,
    /// `:bytrace`.
    pub trace: bool,
}

/// What `vacation` asks for (RFC 5230). The interpreter has compared the addresses and looked at the header; whether an answer was
/// sent lately, and whom not to answer by policy, is the caller's to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacation {
    /// Whom to answer: the envelope's sender.
    pub to: String,
    /// `From` of the answer; none: the user's own address.
    pub from: Option<String>,
    /// `Subject` of the answer; none: made from the message's.
    pub subject: Option<String>,
    /// The text, or with `mime` a whole MIME part with its header.
    pub reason: String,
    /// `reason` is a MIME part.
    pub mime: bool,
    /// What tells this answer from others the user sends: no sender gets the same one twice within the period.
    pub handle: String,
    /// The period in seconds, within the limits; 0 answers always (RFC 6131).
    pub seconds: u64,
    /// Where to keep a copy of the answer (RFC 8580).
    pub fcc: Option<Fcc>,
}

/// Where to keep a copy of what is sent (RFC 8580).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fcc {
    /// The mailbox.
    pub target: Target,
    /// Flags and keywords.
    pub flags: Vec<String>,
}

/// What `notify` asks for (RFC 5435).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// The method's URI as written.
    pub method: String,
    /// The URI's recipients and fields, if it is `mailto:` (RFC 5436).
    pub mailto: Option<Mailto>,
    /// `:from`.
    pub from: Option<String>,
    /// `:importance`: 1 high, 2 normal, 3 low.
    pub importance: u8,
    /// `:options`, each `name=value`.
    pub options: Vec<String>,
    /// `:message`.
    pub message: Option<String>,
    /// Where to keep a copy.
    pub fcc: Option<Fcc>,
}

/// A `mailto:` URI (RFC 6068).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailto {
    /// Recipients.
    pub to: Vec<String>,
    /// Further fields, such as `Cc` and `Subject`; those RFC 5436 §2.3 refuses are left out.
    pub fields: Vec<(String, String)>,
    /// `body`.
    pub body: Option<String>,
}

/// An id to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateRecord {
    /// List and id.
    pub id: DuplicateId,
    /// For how many seconds from now.
    pub seconds: u64,
}

/// What an action is, in a few words of the script's language.
impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let q = |text: &str| {
            let mut text = text.replace(['\r', '\n'], " ");
            crate::template::cut(&mut text, 200);
            crate::printer::quote(&text)
        };
        let flags = |flags: &[String]| {
            if flags.is_empty() {
                String::new()
            } else {
                format!(" with {}", flags.join(" "))
            }
        };
        match self {
            Action::Keep { flags: set, implicit } => {
                write!(f, "{}{}", if *implicit { "implicit keep" } else { "keep" }, flags(set))
            }
            Action::FileInto {
                target,
                flags: set,
                copy,
            } => {
                write!(
                    f,
                    "fileinto {}{}",
                    q(&target.mailbox),
                    if *copy { " as a copy" } else { "" }
                )?;
                if let Some(id) = &target.mailbox_id {
                    write!(f, " or the mailbox with id {id}")?;
                }
                if let Some(use_flag) = &target.special_use {
                    write!(f, " or the mailbox for {use_flag}")?;
                }
                f.write_str(&flags(set))
            }
            Action::Redirect(redirect) => {
                write!(
                    f,
                    "redirect {}{}",
                    q(&redirect.address),
                    if redirect.copy { " as a copy" } else { "" }
                )
            }
            Action::Discard => f.write_str("discard"),
            Action::Reject { reason, in_dialogue } => {
                write!(f, "{} {}", if *in_dialogue { "ereject" } else { "reject" }, q(reason))
            }
            Action::Vacation(vacation) => write!(f, "vacation to {}", q(&vacation.to)),
            Action::Notify(notify) => write!(f, "notify {}", q(&notify.method)),
            Action::Pipe { program, copy, .. } => {
                write!(f, "pipe {}{}", q(program), if *copy { " as a copy" } else { "" })
            }
            Action::Report { feedback, address, .. } => write!(f, "report {feedback} to {}", q(address)),
        }
    }
}

impl ProgramKind {
    /// The command's name.
    pub fn name(self) -> &'static str {
        match self {
            ProgramKind::Pipe => "pipe",
            ProgramKind::Filter => "filter",
            ProgramKind::Execute => "execute",
        }
    }
}

/// Whether the action takes the message to somewhere.
pub(crate) fn takes_message(action: &Action) -> bool {
    matches!(
        action,
        Action::Keep { .. }
            | Action::FileInto { .. }
            | Action::Redirect(_)
            | Action::Reject { .. }
            | Action::Pipe { .. }
    )
}
