//! COPY and MOVE. RFC 9051 §6.4.7, §6.4.8.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::Connection;
use imap::NumberSet;
use imap::command::Copy;
use imap::response::{Code, Status};
use std::sync::Arc;
use store::{Account, Copied, MailboxId, ModSeq, Uid};

/// What is to go where.
struct Errand {
    account: Arc<Account>,
    from: MailboxId,
    uids: Vec<Uid>,
    to: MailboxId,
}

impl Connection {
    pub(crate) fn copy(&mut self, copy: &Copy) -> Answer {
        let errand = match self.errand(copy) {
            Ok(errand) => errand,
            Err(answer) => return answer,
        };
        let quota = self.quota(&errand.account);
        let copied = blocking(|| errand.account.message_copy(errand.from, &errand.uids, errand.to, quota));
        match copied {
            Ok(copied) => match went(&copied) {
                Some((from, to)) => Answer::ok("copied").with(OwnCode::CopyUid {
                    validity: copied.uid_validity,
                    from,
                    to,
                }),
                None => Answer::ok("nothing to copy"),
            },
            Err(error) => self.trouble(&error),
        }
    }

    pub(crate) fn move_messages(&mut self, copy: &Copy) -> Answer {
        let errand = match self.errand(copy) {
            Ok(errand) => errand,
            Err(answer) => return answer,
        };
        match blocking(|| errand.account.message_move(errand.from, &errand.uids, errand.to)) {
            Ok(copied) => {
                // RFC 6851 §4.3: where they went is said before they are expunged.
                if let Some((from, to)) = went(&copied) {
                    let code = Code::CopyUid {
                        validity: copied.uid_validity,
                        from: &from,
                        to: &to,
                    };
                    self.encoder().untagged(Status::Ok, Some(&code), "moved");
                    if self.qresync {
                        // RFC 6851 §4.4
                        let highest = self.highest_modseq(ModSeq(u64::MAX));
                        return Answer::ok("done").with(OwnCode::Plain(Code::HighestModSeq(highest)));
                    }
                }
                Answer::ok("done")
            }
            Err(error) => self.trouble(&error),
        }
    }

    fn errand(&mut self, copy: &Copy) -> Result<Errand, Answer> {
        let target = self.place_for_messages(&copy.mailbox);
        let (account, selected) = self.working()?;
        let positions = selected.positions(&copy.set, copy.uid).map_err(Answer::bad)?;
        let target = target?.mailbox;
        Ok(Errand {
            from: selected.mailbox,
            uids: selected.uids(&positions),
            to: target.id,
            account,
        })
    }
}

/// UIDs before and after; `None` if nothing went.
fn went(copied: &Copied) -> Option<(NumberSet, NumberSet)> {
    let set = |uids: &[Uid]| -> NumberSet { uids.iter().map(|uid| uid.0).collect() };
    (!copied.from.is_empty()).then(|| (set(&copied.from), set(&copied.to)))
}
