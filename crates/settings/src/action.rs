//! What is done with a message.

use crate::model::is_false;
use serde::{Deserialize, Serialize};

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Put into a mailbox.
    FileInto {
        /// The mailbox, `/` between levels.
        mailbox: String,
        /// And go on as if it had not been: a copy stays where it would have gone (RFC 3894).
        #[serde(default, skip_serializing_if = "is_false")]
        copy: bool,
        /// Make the mailbox where it is not there (RFC 5490).
        #[serde(default, skip_serializing_if = "is_false")]
        create: bool,
        /// With these flags and no others (RFC 5232).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flags: Option<Vec<String>>,
    },
    /// Send on to somebody.
    Redirect {
        /// To whom.
        to: String,
        /// And go on as if it had not been: a copy stays here (RFC 3894).
        #[serde(default, skip_serializing_if = "is_false")]
        copy: bool,
    },
    /// Leave in the inbox.
    Keep {
        /// With these flags and no others (RFC 5232).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flags: Option<Vec<String>>,
    },
    /// Throw away.
    Discard,
    /// Try no further rule.
    Stop,
    /// Give these flags or labels as well (RFC 5232): `\Seen` marks as read, `\Flagged` flags, any other word is a label.
    AddFlags {
        /// The flags.
        flags: Vec<String>,
    },
    /// Give these flags and no others.
    SetFlags {
        /// The flags.
        flags: Vec<String>,
    },
    /// Take these flags away.
    RemoveFlags {
        /// The flags.
        flags: Vec<String>,
    },
    /// Send back, with a reason (RFC 5429).
    Reject {
        /// What the sender reads.
        text: String,
        /// In the dialogue with the sender's server (`ereject`) rather than as a message where that is too late.
        #[serde(default, skip_serializing_if = "is_false")]
        early: bool,
    },
    /// Answer (RFC 5230).
    Vacation(Reply),
    /// Tell somebody that it came (RFC 5435).
    Notify(Notice),
}

/// An answer to the sender (RFC 5230).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The least time between two answers to the same sender; none: the server's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The subject; none: made from that of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The sender of the answer; none: the person's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Further addresses of this person: only mail to one of hers is answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Answers with the same handle count as the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// The text is a MIME entity with its own header.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mime: bool,
    /// The text.
    pub text: String,
}

/// A time between two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interval {
    /// In days.
    Days(u64),
    /// In seconds (RFC 6131).
    Seconds(u64),
}

/// A notification (RFC 5435).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Where to: `mailto:somebody@phys.example`.
    pub to: String,
    /// In whose name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// 1 high, 2 normal, 3 low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<String>,
    /// What the method asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The text; none: the server's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Action {
    /// Put into a mailbox, which is made where it is not there.
    pub fn file_into(mailbox: impl Into<String>) -> Action {
        Action::FileInto {
            mailbox: mailbox.into(),
            copy: false,
            create: true,
            flags: None,
        }
    }

    /// Send on.
    pub fn redirect(to: impl Into<String>, copy: bool) -> Action {
        Action::Redirect { to: to.into(), copy }
    }

    /// Mark as read.
    pub fn mark_read() -> Action {
        Action::AddFlags {
            flags: vec!["\\Seen".into()],
        }
    }

    /// Leave in the inbox.
    pub fn keep() -> Action {
        Action::Keep { flags: None }
    }
}
