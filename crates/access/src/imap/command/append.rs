//! APPEND (RFC 9051 §6.3.12) of one message or several (RFC 3502), whole or in parts (RFC 4469), and REPLACE (RFC 8508). Messages go into
//! the blob store while they arrive; they and their rows are on the disk before the OK, all of them or none.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::{Connection, Next};
use crate::imap::place::{Place, flags_allowed, not_allowed};
use filter::Cause;
use imap::command::{Append, AppendPart, Replace};
use imap::response::{Code, Status};
use imap::{Bound, DateTime, Flag, ImapUrl, NumberSet};
use std::sync::Arc;
use store::{
    Account, AccountId, Digest, Digester, FlagChange, Flags, Fresh, MailboxId, NewMessage, Rights, Uid, Usage,
};

/// Octets of small messages that are put beside their rows by one APPEND.
const FRESH_TOGETHER: usize = 64 << 10;

/// An APPEND whose messages are coming.
pub(crate) struct Incoming {
    tag: String,
    name: &'static str,
    /// Octets of the literal at hand that are still to come.
    left: u64,
    what: What,
}

enum What {
    Taken(Box<Taken>),
    /// Messages are read and thrown away, then this is said.
    Refused(Answer),
}

struct Taken {
    account: Arc<Account>,
    mailbox: MailboxId,
    rights: Rights,
    /// For whom `\Seen` is kept there.
    reader: Option<AccountId>,
    replace: Option<(MailboxId, Uid)>,
    complete: Vec<Complete>,
    current: Option<Current>,
}

/// A message that is coming.
struct Current {
    flags: Vec<Flag>,
    date: Option<DateTime>,
    writer: blobs::Writer,
    digester: Digester,
    size: u64,
    /// All of it so far, as long as that is little.
    bytes: Option<Vec<u8>>,
}

impl Current {
    fn write(&mut self, octets: &[u8]) -> Result<(), blobs::Error> {
        self.digester.push(octets);
        if let Some(bytes) = &mut self.bytes {
            if bytes.len() + octets.len() <= Fresh::LONGEST {
                bytes.extend_from_slice(octets);
            } else {
                self.bytes = None;
            }
        }
        self.writer.write(octets)
    }
}

/// A message that is here, on its way to the disk.
struct Complete {
    flags: Vec<Flag>,
    date: Option<DateTime>,
    commit: blobs::Commit,
    digest: Digest,
    /// All of it, where that is little.
    bytes: Option<Vec<u8>>,
}

impl Connection {
    /// The head of an APPEND, or of a further message in it. False: the message is not wanted.
    pub(crate) fn append_begin(&mut self, append: Append) -> bool {
        let left = append.size;
        let incoming = match self.append.take() {
            Some(mut incoming) => {
                incoming.left = left;
                incoming.what = match incoming.what {
                    What::Taken(taken) => self.append_next(taken, append),
                    refused => refused,
                };
                incoming
            }
            None => Incoming {
                tag: append.tag.clone(),
                name: if append.replace.is_some() { "REPLACE" } else { "APPEND" },
                left,
                what: match self.append_check(&append) {
                    Ok(taken) => self.append_next(Box::new(taken), append),
                    Err(answer) => What::Refused(answer),
                },
            },
        };
        let taken = matches!(incoming.what, What::Taken(_));
        self.append = Some(incoming);
        taken
    }

    /// A literal of a CATENATE. False: it is not wanted.
    pub(crate) fn append_part(&mut self, part: AppendPart) -> bool {
        let utf8 = self.utf8();
        let limit = self.options().message_size;
        let Some(incoming) = &mut self.append else { return false };
        incoming.left = part.size;
        let What::Taken(taken) = &mut incoming.what else {
            return false;
        };
        let refusal = match &mut taken.current {
            _ if part.utf8 && !utf8 => Some(utf8_first()),
            Some(current) => {
                current.size = current.size.saturating_add(part.size);
                (current.size > limit).then(|| too_big(limit))
            }
            None => Some(Answer::bad("a part of no message")),
        };
        match refusal {
            None => true,
            Some(answer) => {
                incoming.what = What::Refused(answer);
                false
            }
        }
    }

    /// A URL of a CATENATE: its octets are put here.
    pub(crate) fn append_url(&mut self, url: &str) {
        let Some(mut incoming) = self.append.take() else { return };
        if let What::Taken(taken) = &mut incoming.what
            && let Err(answer) = self.append_from(taken, url)
        {
            incoming.what = What::Refused(answer);
        }
        self.append = Some(incoming);
    }

    fn append_from(&self, taken: &mut Taken, url: &str) -> Result<(), Answer> {
        let bad = || Answer::no(None, "that URL cannot be fetched").with(OwnCode::BadUrl(url.to_owned()));
        let parsed = ImapUrl::parse(url).ok_or_else(bad)?;
        // RFC 4469 §3: only what this session could fetch itself.
        if parsed.host.is_some() || parsed.auth.is_some() {
            return Err(bad());
        }
        let current = taken.current.as_mut().ok_or_else(bad)?;
        let found = self.url_place(&parsed).ok_or_else(bad)?;
        let limit = self.options().message_size;
        let header_limit = self.options().header;
        let mut trouble = None;
        let read = blocking(|| {
            found.read(&parsed, header_limit, |octets| {
                current.size = current.size.saturating_add(octets.len() as u64);
                if current.size > limit {
                    trouble = Some(too_big(limit));
                    return false;
                }
                match current.write(octets) {
                    Ok(()) => true,
                    Err(error) => {
                        trouble = Some(self.trouble(&error.into()));
                        false
                    }
                }
            })
        });
        match (trouble, read) {
            (Some(answer), _) => Err(answer),
            (None, Ok(true)) => Ok(()),
            (None, _) => Err(bad()),
        }
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

    fn append_check(&mut self, append: &Append) -> Result<Taken, Answer> {
        if !self.state.is_authenticated() {
            return Err(Answer::bad("log in first"));
        }
        let replace = match append.replace {
            Some(replace) => Some(self.append_replaced(replace)?),
            None => None,
        };
        let Place {
            account,
            mailbox,
            rights,
            reader,
            ..
        } = self.place_for_messages(&append.mailbox)?;
        if let Some((owner, _, _)) = &replace
            && owner.id() != account.id()
        {
            return Err(Answer::no(
                Some(Code::Cannot),
                "a message is replaced within one account",
            ));
        }
        Ok(Taken {
            account,
            mailbox: mailbox.id,
            rights,
            reader,
            replace: replace.map(|(_, mailbox, uid)| (mailbox, uid)),
            complete: Vec::new(),
            current: None,
        })
    }

    /// The message that is to be replaced.
    fn append_replaced(&mut self, replace: Replace) -> Result<(Arc<Account>, MailboxId, Uid), Answer> {
        if self.uid_only && !replace.uid {
            return Err(
                Answer::bad("after ENABLE UIDONLY messages are named by UIDs").with(OwnCode::Plain(Code::UidRequired))
            );
        }
        let (account, selected) = self.working()?;
        if selected.read_only {
            return Err(Answer::no(Some(Code::ReadOnly), "the mailbox was opened read-only"));
        }
        // What is replaced is expunged, and needs what that needs (RFC 8508 §4.1).
        if !selected.rights.contains(Rights::DELETED | Rights::EXPUNGE) {
            return Err(not_allowed());
        }
        let told = &selected.told;
        let message = match (replace.message, replace.uid) {
            (Bound::Largest, _) => told.last(),
            (Bound::Number(uid), true) => told.position(Uid(uid)).and_then(|position| told.at(position)),
            (Bound::Number(number), false) => {
                let message = told.at(number as usize - 1);
                if message.is_none() {
                    return Err(Answer::bad("there is no message of that number"));
                }
                message
            }
        };
        let Some(message) = message else {
            return Err(Answer::no(Some(Code::NonExistent), "there is no message of that UID"));
        };
        Ok((account, selected.mailbox, message.uid))
    }

    fn append_next(&self, mut taken: Box<Taken>, append: Append) -> What {
        if let Err(answer) = self.append_finish(&mut taken) {
            return What::Refused(answer);
        }
        if let Some(refusal) = self.too_many_messages(taken.complete.len() + 1) {
            return What::Refused(refusal);
        }
        let limit = self.options().message_size;
        if append.size > limit {
            return What::Refused(too_big(limit));
        }
        if append.utf8 && !self.utf8() {
            return What::Refused(utf8_first());
        }
        if append.size == 0 && !append.catenate {
            // RFC 3502 §6.3.11: this is how a client thinks better of it.
            return What::Refused(Answer::no(
                None,
                "a message without an octet is none; nothing was appended",
            ));
        }
        // What is replaced makes room, which the store knows.
        let here = taken.complete.iter().map(|complete| complete.commit.len());
        let more = Usage::of(here.chain([append.size]));
        if taken.replace.is_none()
            && let Err(error) = self.quota(&taken.account).room(taken.account.usage(), more)
        {
            return What::Refused(self.trouble(&error));
        }
        taken.current = Some(Current {
            flags: append.flags,
            date: append.date,
            writer: self.listener.context.store.blobs().writer(),
            digester: Digester::new(),
            size: append.size,
            bytes: Some(Vec::new()),
        });
        What::Taken(taken)
    }

    /// The message at hand is complete.
    fn append_finish(&self, taken: &mut Taken) -> Result<(), Answer> {
        let Some(current) = taken.current.take() else {
            return Ok(());
        };
        if current.size == 0 {
            return Err(Answer::no(
                None,
                "a message without an octet is none; nothing was appended",
            ));
        }
        let digest = current.digester.finish();
        // What goes beside its rows is safe there.
        let commit = match current.bytes {
            Some(_) => current.writer.finish_at_leisure(),
            None => current.writer.finish(),
        };
        let commit = commit.map_err(|error| self.trouble(&error.into()))?;
        taken.complete.push(Complete {
            flags: current.flags,
            date: current.date,
            commit,
            digest,
            bytes: current.bytes,
        });
        Ok(())
    }

    /// A piece of the message.
    pub(crate) fn append_push(&mut self, octets: &[u8]) {
        let Some(incoming) = &mut self.append else { return };
        incoming.left = incoming.left.saturating_sub(octets.len() as u64);
        if let What::Taken(taken) = &mut incoming.what
            && let Some(current) = &mut taken.current
            && let Err(error) = current.write(octets)
        {
            // The rest is read and thrown away, so that the session can go on.
            let answer = self.trouble(&error.into());
            if let Some(incoming) = &mut self.append {
                incoming.what = What::Refused(answer);
            }
        }
    }

    /// All messages are here.
    pub(crate) async fn append_end(&mut self) -> std::io::Result<Next> {
        let Some(Incoming { tag, name, what, .. }) = self.append.take() else {
            return Ok(Next::Command);
        };
        let answer = match what {
            What::Refused(answer) => answer,
            What::Taken(mut taken) => match self.append_finish(&mut taken) {
                Ok(()) => self.append_keep(*taken).await,
                Err(answer) => answer,
            },
        };
        self.watch_refresh();
        self.events_run().await;
        self.answer_in_full(&tag, name, &answer, true).await
    }

    async fn append_keep(&mut self, taken: Taken) -> Answer {
        let Taken {
            account,
            mailbox,
            rights,
            reader,
            replace,
            mut complete,
            ..
        } = taken;
        // Few small messages wait for the disk together with their rows; what is more goes there first.
        let octets = complete.iter().map(|message| message.bytes.as_ref().map(Vec::len));
        let together = octets
            .sum::<Option<usize>>()
            .is_some_and(|octets| octets <= FRESH_TOGETHER);
        let mut fresh = Vec::new();
        for message in &mut complete {
            match message.bytes.take() {
                Some(bytes) if together => fresh.push(Fresh {
                    commit: message.commit.clone(),
                    bytes,
                }),
                _ => {
                    if let Err(error) = message.commit.durable().await {
                        return self.trouble(&error.into());
                    }
                }
            }
        }
        let quota = self.quota(&account);
        let now = crate::imap::now();
        let appended = blocking(|| {
            let mut own_seen = Vec::with_capacity(complete.len());
            let mut messages = Vec::with_capacity(complete.len());
            for message in &complete {
                // RFC 4314 §4: a flag one may not set is left out.
                let names = || message.flags.iter().map(Flag::name);
                // A message with more keywords than there is room for is not to be lost for that: RFC 9051 §6.3.12 says SHOULD of flags.
                let flags = match account.flags_resolve(names(), rights.contains(Rights::WRITE)) {
                    Err(store::Error::Limit(_)) => account.flags_resolve(names(), false)?,
                    other => other?,
                };
                let flags = flags & flags_allowed(rights);
                own_seen.push(reader.is_some() && flags.contains(Flags::SEEN));
                let kept = if reader.is_some() { flags & !Flags::SEEN } else { flags };
                messages.push(NewMessage {
                    blob: message.commit.id(),
                    blob_len: message.commit.len(),
                    prefix: &[],
                    digest: &message.digest,
                    flags: kept,
                    received: message.date.map_or(now, |date| date.seconds),
                });
            }
            let appended = account.messages_append(mailbox, &messages, fresh, replace, quota)?;
            let seen = appended.uids.iter().zip(&own_seen).filter(|(_, seen)| **seen);
            let seen: Vec<Uid> = seen.map(|(uid, _)| *uid).collect();
            if !seen.is_empty() {
                account.message_flag_as(reader, mailbox, &seen, FlagChange::Add(Flags::SEEN), None)?;
            }
            Ok(appended)
        });
        match appended {
            Ok(appended) => {
                for message in &complete {
                    self.listener.metrics.own().appended(message.commit.len());
                }
                self.event_arrived(&account, mailbox, Cause::Append, &appended.uids);
                let uids: NumberSet = appended.uids.iter().map(|uid| uid.0).collect();
                let validity = appended.uid_validity;
                // RFC 9051 §6.3.12: who may not read the mailbox learns nothing of its UIDs.
                let readable = rights.contains(Rights::READ);
                if replace.is_none() {
                    let appended = Answer::ok("appended");
                    return match readable {
                        true => appended.with(OwnCode::AppendUid { validity, uids }),
                        false => appended,
                    };
                }
                // RFC 8508 §4.3: where the new one is before the old one is gone.
                let code = Code::AppendUid { validity, uids: &uids };
                if readable {
                    self.encoder()
                        .untagged(Status::Ok, Some(&code), "the message is in its place");
                }
                if self.qresync {
                    let highest = self.highest_modseq(appended.modseq);
                    return Answer::ok("replaced").with(OwnCode::Plain(Code::HighestModSeq(highest)));
                }
                Answer::ok("replaced")
            }
            Err(store::Error::NoMailbox) => Answer::no(Some(Code::TryCreate), "there is no such mailbox"),
            Err(error) => self.trouble(&error),
        }
    }
}

fn too_big(limit: u64) -> Answer {
    Answer::no(Some(Code::TooBig), format!("a message has at most {limit} octets here"))
}

fn utf8_first() -> Answer {
    Answer::bad("enable UTF8=ACCEPT first")
}
