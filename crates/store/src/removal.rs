//! Taking messages away by name, whatever their flags: what POP3's QUIT does (RFC 1939 §6), and a MOVE into another's mailbox.

use crate::account::Account;
use crate::{Expunged, MailboxId, Message, Result, Uid, expunge};
use db::Durability;

impl Account {
    /// Takes messages away, whatever their flags: in one transaction that is on disk when this
    /// returns. UIDs ascend; those that are not there are passed over.
    pub fn message_remove(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Expunged> {
        let mut state = self.lock();
        let snapshot = self.snapshot(&mut state, mailbox)?;
        let mut seeker = snapshot.seek();
        let (positions, gone): (Vec<usize>, Vec<Message>) = uids
            .iter()
            .filter_map(|uid| seeker.uid(*uid))
            .map(|(position, message)| (position, *message))
            .unzip();
        if gone.is_empty() {
            return Ok(Expunged {
                uids: Vec::new(),
                modseq: snapshot.highest_modseq,
            });
        }
        let account = self.id();
        let modseq = self.change(&mut state, Durability::Synced, |tx, draft| {
            let modseq = expunge::take_in(tx, account, draft, mailbox, &gone)?;
            expunge::contents_drop_in(tx, account, gone.iter().map(|message| message.content))?;
            Ok(modseq)
        })?;
        state.publish(mailbox, |snapshot| snapshot.remove(&positions));
        Ok(Expunged {
            uids: gone.iter().map(|message| message.uid).collect(),
            modseq,
        })
    }
}
