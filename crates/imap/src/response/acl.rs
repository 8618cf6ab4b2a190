//! ACL, LISTRIGHTS, MYRIGHTS. RFC 4314 §3.6 to §3.8.

use crate::MailboxName;
use crate::response::{Encoder, astring};

impl Encoder<'_> {
    /// `* ACL mailbox identifier rights …`
    pub fn acl(&mut self, mailbox: &MailboxName, entries: &[(String, String)]) {
        self.push("* ACL ");
        self.mailbox(mailbox);
        for (identifier, rights) in entries {
            self.push(" ");
            astring(self.out, identifier.as_bytes(), self.utf8);
            self.push(" ");
            astring(self.out, rights.as_bytes(), self.utf8);
        }
        self.end();
    }

    /// `* LISTRIGHTS mailbox identifier required optional …`; rights in one string are given or taken together.
    pub fn list_rights(&mut self, mailbox: &MailboxName, identifier: &str, required: &str, optional: &[&str]) {
        self.push("* LISTRIGHTS ");
        self.mailbox(mailbox);
        for text in [identifier, required].iter().chain(optional) {
            self.push(" ");
            astring(self.out, text.as_bytes(), self.utf8);
        }
        self.end();
    }

    /// `* MYRIGHTS mailbox rights`
    pub fn my_rights(&mut self, mailbox: &MailboxName, rights: &str) {
        self.push("* MYRIGHTS ");
        self.mailbox(mailbox);
        self.push(" ");
        astring(self.out, rights.as_bytes(), self.utf8);
        self.end();
    }
}
