//! METADATA. RFC 5464 §4.4.

use crate::MailboxName;
use crate::response::{Encoder, astring, literal, quoted_or_literal};

impl Encoder<'_> {
    /// `* METADATA mailbox (entry value …)`
    pub fn metadata(&mut self, mailbox: &MailboxName, entries: &[(String, Option<Vec<u8>>)]) {
        self.push("* METADATA ");
        self.mailbox(mailbox);
        self.push(" (");
        for (i, (entry, value)) in entries.iter().enumerate() {
            if i > 0 {
                self.push(" ");
            }
            astring(self.out, entry.as_bytes(), self.utf8);
            self.push(" ");
            match value {
                None => self.push("NIL"),
                Some(value) if value.contains(&0) => {
                    self.push("~");
                    literal(self.out, value);
                }
                Some(value) => quoted_or_literal(self.out, value, self.utf8),
            }
        }
        self.push(")");
        self.end();
    }

    /// `* METADATA mailbox entry …`: these have changed.
    pub fn metadata_changed(&mut self, mailbox: &MailboxName, entries: &[String]) {
        self.push("* METADATA ");
        self.mailbox(mailbox);
        for entry in entries {
            self.push(" ");
            astring(self.out, entry.as_bytes(), self.utf8);
        }
        self.end();
    }
}
