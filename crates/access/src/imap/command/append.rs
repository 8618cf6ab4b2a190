//! APPEND. RFC 9051 §6.3.12. The message goes into the blob store while it arrives; it and its row are on the disk before the OK.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::{Connection, Next};
use crate::imap::place::{Place, flags_allowed};
use imap::command::Append;
use imap::response::Code;
use imap::{DateTime, Flag};
use std::sync::Arc;
use store::{Account, Digester, MailboxId, NewMessage, Rights};

/// An APPEND whose message is coming.
pub(crate) struct Incoming {
    tag: String,
    left: u64,
    what: What,
}

enum What {
    Taken(Box<Taken>),
    /// The message is read and thrown away, then this is said.
    Refused(Answer),
}

struct Taken {
    account: Arc<Account>,
    mailbox: MailboxId,
    rights: Rights,
    flags: Vec<Flag>,
    date: Option<DateTime>,
    writer: blobs::Writer,
    digester: Digester,
}

impl Connection {
    /// The head of an APPEND. False: the message is not wanted.
    pub(crate) fn append_begin(&mut self, append: Append) -> bool {
        let (tag, left) = (append.tag.clone(), append.size);
        let what = match self.append_check(append) {
            Ok(taken) => What::Taken(Box::new(taken)),
            Err(answer) => What::Refused(answer),
        };
        let taken = matches!(what, What::Taken(_));
        self.append = Some(Incoming { tag, left, what });
        taken
    }

    /// Whether a message that is refused is too long to be read and thrown away.
    pub(crate) fn append_is_endless(&self) -> bool {
        let bound = if self.state.is_authenticated() {
            self.options().message_size.saturating_mul(2)
        } else {
            self.options().protocol.discard
        };
        self.append.as_ref().is_some_and(|incoming| incoming.left > bound)
    }

    fn append_check(&mut self, append: Append) -> Result<Taken, Answer> {
        if !self.state.is_authenticated() {
            return Err(Answer::bad("log in first"));
        }
        let limit = self.options().message_size;
        if append.size > limit {
            return Err(Answer::no(
                Some(Code::TooBig),
                format!("a message has at most {limit} octets here"),
            ));
        }
        let Place {
            account,
            mailbox,
            rights,
            ..
        } = self.place_for_messages(&append.mailbox)?;
        if let Some(quota) = self.quota(&account) {
            let used = account.bytes_used();
            if used.saturating_add(append.size) > quota {
                return Err(self.trouble(&store::Error::OverQuota { used, limit: quota }));
            }
        }
        Ok(Taken {
            account,
            mailbox: mailbox.id,
            rights,
            flags: append.flags,
            date: append.date,
            writer: self.listener.context.store.blobs().writer(),
            digester: Digester::new(),
        })
    }

    /// A piece of the message.
    pub(crate) fn append_push(&mut self, octets: &[u8]) {
        let Some(incoming) = &mut self.append else { return };
        incoming.left = incoming.left.saturating_sub(octets.len() as u64);
        if let What::Taken(taken) = &mut incoming.what {
            taken.digester.push(octets);
            if let Err(error) = taken.writer.write(octets) {
                // The rest is read and thrown away, so that the session can go on.
                let answer = self.trouble(&error.into());
                if let Some(incoming) = &mut self.append {
                    incoming.what = What::Refused(answer);
                }
            }
        }
    }

    /// The message is here.
    pub(crate) async fn append_end(&mut self) -> std::io::Result<Next> {
        let Some(Incoming { tag, what, .. }) = self.append.take() else {
            return Ok(Next::Command);
        };
        let answer = match what {
            What::Refused(answer) => answer,
            What::Taken(taken) => self.append_keep(*taken).await,
        };
        Ok(self.answer(&tag, "APPEND", &answer, true))
    }

    async fn append_keep(&mut self, taken: Taken) -> Answer {
        let Taken {
            account,
            mailbox,
            rights,
            flags,
            date,
            writer,
            digester,
        } = taken;
        let digest = digester.finish();
        let commit = match writer.finish() {
            Ok(commit) => commit,
            Err(error) => return self.trouble(&error.into()),
        };
        if let Err(error) = commit.durable().await {
            return self.trouble(&error.into());
        }
        let quota = self.quota(&account);
        let appended = blocking(|| {
            // RFC 4314 §4: a flag one may not set is left out.
            let flags = account.flags_resolve(flags.iter().map(Flag::name), rights.contains(Rights::WRITE))?;
            let message = NewMessage {
                blob: commit.id(),
                blob_len: commit.len(),
                prefix: &[],
                digest: &digest,
                flags: flags & flags_allowed(rights),
                received: date.map_or_else(crate::imap::now, |date| date.seconds),
            };
            account.message_append(mailbox, &message, quota)
        });
        match appended {
            Ok(appended) => {
                self.listener.metrics.appended(commit.len());
                Answer::ok("appended").with(OwnCode::Plain(Code::AppendUid {
                    validity: appended.uid_validity,
                    uid: appended.uid.0,
                }))
            }
            Err(store::Error::NoMailbox) => Answer::no(Some(Code::TryCreate), "there is no such mailbox"),
            Err(error) => self.trouble(&error),
        }
    }
}
