//! QUOTA and QUOTAROOT. RFC 9208 §4.2.

use crate::MailboxName;
use crate::response::{Encoder, astring};

impl Encoder<'_> {
    /// `* QUOTA root (STORAGE 10 512 …)`: name, usage and limit of each resource.
    pub fn quota(&mut self, root: &str, resources: &[(&str, u64, u64)]) {
        self.push("* QUOTA ");
        astring(self.out, root.as_bytes(), self.utf8);
        self.push(" (");
        for (i, (name, usage, limit)) in resources.iter().enumerate() {
            if i > 0 {
                self.push(" ");
            }
            self.print(format_args!("{name} {usage} {limit}"));
        }
        self.push(")");
        self.end();
    }

    /// `* QUOTAROOT mailbox root …`
    pub fn quota_root(&mut self, mailbox: &MailboxName, roots: &[&str]) {
        self.push("* QUOTAROOT ");
        self.mailbox(mailbox);
        for root in roots {
            self.push(" ");
            astring(self.out, root.as_bytes(), self.utf8);
        }
        self.end();
    }
}
