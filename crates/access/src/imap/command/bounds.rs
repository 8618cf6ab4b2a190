//! Commands on very many messages, cut into pieces where the administrator wants it. MESSAGELIMIT, RFC 9738.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::connection::Connection;
use imap::response::{Code, Status};
use store::Snapshot;

impl Connection {
    /// Cuts positions (ascending) down to what one command works on: the last ones. The lowest UID that is left, where something was cut.
    pub(crate) fn limit_messages(&self, told: &Snapshot, positions: &mut Vec<u32>) -> Option<u32> {
        let most = self.options().messages_per_command?;
        let excess = positions
            .len()
            .checked_sub(most as usize)
            .filter(|excess| *excess > 0)?;
        positions.drain(..excess);
        let first = positions.first()?;
        told.at(*first as usize).map(|message| message.uid.0)
    }

    /// The answer to a command that has worked on some of its messages only.
    pub(crate) fn limited(&self, answer: Answer, lowest: Option<u32>) -> Answer {
        let (Some(lowest), Some(most)) = (lowest, self.options().messages_per_command) else {
            return answer;
        };
        if answer.status != Status::Ok || answer.code.is_some() {
            return answer;
        }
        let code = Code::MessageLimit {
            most,
            lowest: Some(lowest),
        };
        let own = answer.own;
        let mut limited =
            Answer::ok(format!("done with the last {most}; go on below UID {lowest}")).with(OwnCode::Plain(code));
        limited.own = own;
        limited
    }

    /// The refusal of a command that is done as a whole or not at all.
    pub(crate) fn too_many_messages(&self, count: usize) -> Option<Answer> {
        let most = self.options().messages_per_command?;
        (count > most as usize).then(|| {
            let code = Code::MessageLimit { most, lowest: None };
            Answer::no(Some(code), format!("at most {most} messages at once"))
        })
    }
}
