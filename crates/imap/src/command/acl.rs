//! SETACL, DELETEACL, LISTRIGHTS. RFC 4314 §3. (GETACL and MYRIGHTS have a mailbox and nothing else.)

use crate::cursor::Cursor;
use crate::{Error, MailboxName, Result};

/// SETACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAcl {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// For whom; with a `-` in front: whose rights are taken away.
    pub identifier: String,
    /// How the rights change.
    pub change: RightsChange,
    /// The rights, a letter or digit each.
    pub rights: String,
}

/// What SETACL does with the rights it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsChange {
    /// These and no others.
    Replace,
    /// `+`: these, too.
    Add,
    /// `-`: these no longer.
    Remove,
}

/// A mailbox and somebody: DELETEACL and LISTRIGHTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// For whom.
    pub identifier: String,
}

impl Cursor<'_> {
    // setacl = "SETACL" SP mailbox SP identifier SP mod-rights
    pub(crate) fn set_acl(&mut self) -> Result<SetAcl> {
        let AclEntry { mailbox, identifier } = self.acl_entry()?;
        self.space()?;
        let text = self.astring_text()?;
        let (change, rights) = match text.as_bytes().first() {
            Some(b'+') => (RightsChange::Add, text.get(1..)),
            Some(b'-') => (RightsChange::Remove, text.get(1..)),
            _ => (RightsChange::Replace, text.get(..)),
        };
        let rights = rights.unwrap_or_default();
        // RFC 4314 §2: rights are lower-case letters and digits; upper case is BAD.
        if !rights.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(Error::Expected("rights in lower-case letters"));
        }
        Ok(SetAcl {
            mailbox,
            identifier,
            change,
            rights: rights.to_owned(),
        })
    }

    // deleteacl = "DELETEACL" SP mailbox SP identifier; listrights likewise
    pub(crate) fn acl_entry(&mut self) -> Result<AclEntry> {
        let mailbox = self.mailbox()?;
        self.space()?;
        Ok(AclEntry {
            mailbox,
            identifier: self.astring_text()?,
        })
    }
}
