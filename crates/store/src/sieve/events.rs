//! Which script runs when something happens in a mailbox (RFC 6785 §2.3.1): a metadata entry names it.

use crate::account::Account;
use crate::{Audience, MailboxId, Result};
use std::sync::Arc;

/// The entry, of a mailbox or of the server.
pub const EVENT_SCRIPT: &str = "/shared/imapsieve/script";

impl Account {
    /// The script that a mailbox names. `None`: it names none, and the server's entry counts; an empty name: there none runs. From memory,
    /// but the first time.
    pub fn event_script(&self, mailbox: MailboxId) -> Result<Option<Arc<str>>> {
        // The lock is held while the file is read: a change that comes meanwhile forgets it afterwards.
        let mut scripts = self.event_scripts().0.lock();
        if let Some(known) = scripts.get(&mailbox) {
            return Ok(known.clone());
        }
        let found = self.metadata(Some(mailbox), Audience::Shared, |entry| {
            entry.eq_ignore_ascii_case(EVENT_SCRIPT)
        })?;
        let found = found.into_iter().next();
        let name: Option<Arc<str>> = found.map(|(_, value)| String::from_utf8_lossy(&value).trim().into());
        scripts.insert(mailbox, name.clone());
        Ok(name)
    }

    pub(crate) fn event_scripts_forget(&self) {
        self.event_scripts().0.lock().clear();
    }
}
