//! COPY and MOVE. RFC 9051 §6.4.7, §6.4.8; what others let one do: RFC 4314 §4.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::imap::place::{Place, flags_allowed, not_allowed};
use filter::Cause;
use imap::NumberSet;
use imap::command::Copy;
use imap::response::{Code, Status};
use std::sync::Arc;
use store::{Account, AccountId, Copied, MailboxId, ModSeq, Quota, Rights, Uid};

/// What is to go where.
struct Errand {
    account: Arc<Account>,
    from: MailboxId,
    /// For whom `\Seen` is kept there.
    reader: Option<AccountId>,
    /// What may be done where it comes from.
    rights: Rights,
    uids: Vec<Uid>,
    to: Place,
}

impl Errand {
    /// Within one account, by its owner: rows are copied, nothing else.
    fn is_plain(&self) -> bool {
        self.account.id() == self.to.account.id()
            && self.rights == Rights::ALL
            && self.to.rights == Rights::ALL
            && self.reader.is_none()
            && self.to.reader.is_none()
    }

    /// Carries messages to a mailbox where the session's account may not do everything, or to another account's.
    fn carry(&self, quota: Quota) -> store::Result<Copied> {
        let parcels = self.account.message_parcels(self.from, self.reader, &self.uids)?;
        let allowed = flags_allowed(self.to.rights);
        self.to
            .account
            .message_receive(self.to.mailbox.id, self.to.reader, &parcels, allowed, quota)
    }
}

impl Connection {
    pub(crate) fn copy(&mut self, copy: &Copy) -> Answer {
        let errand = match self.errand(copy) {
            Ok(errand) => errand,
            Err(answer) => return answer,
        };
        let quota = self.quota(&errand.to.account);
        let copied = blocking(|| {
            if errand.is_plain() {
                errand
                    .account
                    .message_copy(errand.from, &errand.uids, errand.to.mailbox.id, quota)
            } else {
                errand.carry(quota)
            }
        });
        if let Ok(copied) = &copied {
            self.event_arrived(&errand.to.account, errand.to.mailbox.id, Cause::Copy, &copied.to);
        }
        match copied {
            // RFC 9051 §6.4.7: who may not read the mailbox learns nothing of its UIDs.
            Ok(copied) if !errand.to.rights.contains(Rights::READ) && !copied.from.is_empty() => Answer::ok("copied"),
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
        // It is COPY, \Deleted and EXPUNGE in one, and needs what these need (RFC 6851 §3.2).
        if !errand.rights.contains(Rights::DELETED | Rights::EXPUNGE) {
            return not_allowed();
        }
        let same = errand.account.id() == errand.to.account.id();
        // What stays in the account takes no more room than before.
        let quota = if same {
            Quota::NONE
        } else {
            self.quota(&errand.to.account)
        };
        let (copied, moved) = blocking(|| {
            if errand.is_plain() {
                return errand
                    .account
                    .message_move(errand.from, &errand.uids, errand.to.mailbox.id);
            }
            match errand.carry(quota) {
                Ok(copied) => {
                    let removed = errand.account.message_remove(errand.from, &copied.from);
                    (copied, removed.map(drop))
                }
                Err(error) => (Copied::default(), Err(error)),
            }
        });
        self.event_arrived(&errand.to.account, errand.to.mailbox.id, Cause::Copy, &copied.to);
        // RFC 6851 §4.3: where they went is said before they are expunged; also of a set that went only in part.
        let went = went(&copied);
        if let Some((from, to)) = went.as_ref().filter(|_| errand.to.rights.contains(Rights::READ)) {
            let code = Code::CopyUid {
                validity: copied.uid_validity,
                from,
                to,
            };
            self.encoder().untagged(Status::Ok, Some(&code), "moved");
        }
        if let Err(error) = moved {
            return self.trouble(&error);
        }
        if went.is_some() && self.qresync {
            // RFC 6851 §4.4
            let highest = self.highest_modseq(ModSeq(u64::MAX));
            return Answer::ok("done").with(OwnCode::Plain(Code::HighestModSeq(highest)));
        }
        Answer::ok("done")
    }

    fn errand(&mut self, copy: &Copy) -> Result<Errand, Answer> {
        let target = self.place_for_messages(&copy.mailbox);
        let (_, selected) = self.working()?;
        let positions = selected.positions(&copy.set, copy.uid).map_err(Answer::bad)?;
        if let Some(refusal) = self.too_many_messages(positions.len()) {
            return Err(refusal);
        }
        let (account, selected) = self.working()?;
        Ok(Errand {
            from: selected.mailbox,
            reader: selected.reader,
            rights: selected.rights,
            uids: selected.uids(&positions),
            to: target?,
            account,
        })
    }
}

/// UIDs before and after; `None` if nothing went.
fn went(copied: &Copied) -> Option<(NumberSet, NumberSet)> {
    let set = |uids: &[Uid]| -> NumberSet { uids.iter().map(|uid| uid.0).collect() };
    (!copied.from.is_empty()).then(|| (set(&copied.from), set(&copied.to)))
}
