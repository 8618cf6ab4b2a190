//! COPY and MOVE. RFC 9051 §6.4.7 and §6.4.8 (RFC 6851).

use crate::cursor::Cursor;
use crate::{MailboxName, Result, SequenceSet};

/// Which messages go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The numbers are UIDs.
    pub uid: bool,
    /// The messages.
    pub set: SequenceSet,
    /// Where they go.
    pub mailbox: MailboxName,
}

impl<'a> Cursor<'a> {
    // copy = "COPY" SP sequence-set SP mailbox
    pub(crate) fn copy(&mut self, uid: bool) -> Result<Copy> {
        let set = self.sequence_set()?;
        self.space()?;
        Ok(Copy {
            uid,
            set,
            mailbox: self.mailbox()?,
        })
    }
}
