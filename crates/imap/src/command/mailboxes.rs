//! SELECT and EXAMINE (RFC 9051 §6.3.2, `CONDSTORE`: RFC 7162 §3.1.8), CREATE (with `USE`: RFC 6154 §3), the items of STATUS.

use crate::command::Qresync;
use crate::cursor::Cursor;
use crate::flag::SpecialUse;
use crate::{Error, MailboxName, Result};

/// SELECT or EXAMINE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// EXAMINE.
    pub read_only: bool,
    /// The client wants mod-sequences from here on.
    pub condstore: bool,
    /// What the client knows of the mailbox from before (RFC 7162 §3.2.5).
    pub qresync: Option<Qresync>,
}

/// CREATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The mailbox. A separator at its end, which announces children, is left on.
    pub mailbox: MailboxName,
    /// What it is to be for.
    pub special_use: Vec<SpecialUse>,
}

/// A thing that STATUS tells of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// How many messages.
    Messages,
    /// RFC 3501: how many of them recent.
    Recent,
    /// The UID that the next one gets.
    UidNext,
    /// The UIDVALIDITY.
    UidValidity,
    /// How many without `\Seen`.
    Unseen,
    /// How many with `\Deleted`.
    Deleted,
    /// Octets of all messages together (RFC 8438).
    Size,
    /// The highest mod-sequence (RFC 7162).
    HighestModSeq,
    /// Octets of the messages with `\Deleted` (RFC 9208 §4.1.4).
    DeletedStorage,
    /// The number that its MAILBOXID is made of (RFC 8474).
    MailboxId,
    /// Octets of the largest message that is taken there (RFC 7889 §3.1).
    AppendLimit,
}

impl StatusItem {
    /// All of them.
    pub const ALL: [StatusItem; 11] = [
        StatusItem::Messages,
        StatusItem::Recent,
        StatusItem::UidNext,
        StatusItem::UidValidity,
        StatusItem::Unseen,
        StatusItem::Deleted,
        StatusItem::Size,
        StatusItem::HighestModSeq,
        StatusItem::DeletedStorage,
        StatusItem::MailboxId,
        StatusItem::AppendLimit,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Deleted => "DELETED",
            StatusItem::Size => "SIZE",
            StatusItem::HighestModSeq => "HIGHESTMODSEQ",
            StatusItem::DeletedStorage => "DELETED-STORAGE",
            StatusItem::MailboxId => "MAILBOXID",
            StatusItem::AppendLimit => "APPENDLIMIT",
        }
    }
}

impl<'a> Cursor<'a> {
    // select = "SELECT" SP mailbox [select-params]
    pub(crate) fn select(&mut self, read_only: bool) -> Result<Select> {
        let mailbox = self.mailbox()?;
        let mut condstore = false;
        let mut qresync = None;
        if self.more() {
            self.list(false, |c| {
                if c.eat_word("CONDSTORE") {
                    condstore = true;
                } else if c.eat_word("QRESYNC") {
                    c.space()?;
                    qresync = Some(c.qresync()?);
                } else {
                    return Err(Error::Unknown("SELECT parameter"));
                }
                Ok(())
            })?;
        }
        Ok(Select {
            mailbox,
            read_only,
            condstore,
            qresync,
        })
    }

    // create = "CREATE" SP mailbox [create-params]; create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"
    pub(crate) fn create(&mut self) -> Result<Create> {
        let mailbox = self.mailbox()?;
        let mut special_use = Vec::new();
        if self.more() {
            self.list(false, |c| {
                if !c.eat_word("USE") {
                    return Err(Error::Unknown("CREATE parameter"));
                }
                c.space()?;
                special_use.extend(c.list(true, Cursor::special_use)?);
                Ok(())
            })?;
        }
        Ok(Create { mailbox, special_use })
    }

    pub(crate) fn status_item(&mut self) -> Result<StatusItem> {
        let name = self.word("a STATUS item")?;
        StatusItem::ALL
            .into_iter()
            .find(|item| item.name().eq_ignore_ascii_case(name))
            .ok_or(Error::Unknown("STATUS item"))
    }
}
