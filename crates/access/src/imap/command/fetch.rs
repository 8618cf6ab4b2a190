//! FETCH. RFC 9051 §6.4.5. Flags, dates and sizes come from the view in memory, envelopes and structures from the rows, and octets in
//! pieces from the blob store: none of it is held longer than it takes to send it.

use super::listing;
use super::section::{Octets, PIECE, Reading};
use crate::imap::answer::Answer;
use crate::imap::blocking;
use crate::imap::connection::{Connection, OUT_BUFFER};
use crate::imap::decode::Decoder;
use crate::imap::object;
use crate::imap::selected::{begin, flag_names, sequence};
use imap::command::{Fetch, FetchItem, Section, SectionText};
use imap::response::{Code, FetchResponse};
use imap::{DateTime, ObjectKind};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use store::{
    Account, Content, ContentId, FlagChange, Flags, MailboxId, Message, ModSeq, Result, Snapshot, Uid, Wanted,
};

/// Messages whose rows are read at once.
const BATCH: usize = 32;

/// What a FETCH works on.
pub(super) struct Work {
    pub(super) account: Arc<Account>,
    mailbox: MailboxId,
    /// Of the messages at hand, what only their rows know.
    saved: HashMap<Uid, i64>,
    threads: HashMap<ContentId, ContentId>,
    newest: Arc<Snapshot>,
    pub(super) items: Vec<FetchItem>,
    /// Messages that were not seen until this command.
    pub(super) seen: Vec<Uid>,
    recent_from: Uid,
    condstore: bool,
    pub(super) uid_only: bool,
    rev2: bool,
    pub(super) header_limit: u64,
}

/// What could not be answered, for the last line.
#[derive(Default)]
struct Failures {
    gone: bool,
    unknown_encoding: bool,
    damaged: Option<(u32, store::Error)>,
}

/// The session cannot go on: octets were announced that cannot be read.
fn torn(error: &store::Error) -> io::Error {
    io::Error::other(format!("a message broke off while it was sent: {error}"))
}

impl Connection {
    pub(crate) async fn fetch(&mut self, fetch: &Fetch) -> io::Result<Answer> {
        if fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq) {
            self.condstore_enable();
        }
        if fetch.vanished && !self.qresync {
            return Ok(Answer::bad("enable QRESYNC first"));
        }
        let (rev2, condstore, uid_only) = (self.rev2, self.condstore, self.uid_only);
        let header_limit = self.options().header;
        let (account, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return Ok(answer),
        };
        let mut positions = match selected.positions(&fetch.set, fetch.uid) {
            Ok(positions) => positions,
            Err(text) => return Ok(Answer::bad(text)),
        };
        let told = Arc::clone(&selected.told);
        let lowest = self.limit_messages(&told, &mut positions);
        let (_, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return Ok(answer),
        };
        let mailbox = selected.mailbox;
        let recent_from = selected.open.recent_from;
        let mut newest = selected.open.snapshot();
        if let (Some(since), true) = (fetch.changed_since, fetch.vanished) {
            let most = told.uid_next.0.saturating_sub(1);
            let among = fetch.set.resolve(most).unwrap_or_else(|| selected.saved.clone());
            match blocking(|| selected.expunged_since(since, &among)) {
                Ok(gone) => self.encoder().vanished(true, &gone),
                Err(error) => return Ok(self.trouble(&error)),
            }
        }
        let (_, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return Ok(answer),
        };
        if let Some(since) = fetch.changed_since {
            let changed = changed_since(&told, &newest, ModSeq(since));
            positions.retain(|position| changed.binary_search(position).is_ok());
        }
        if let Some(partial) = fetch.partial {
            positions = positions.get(partial.of(positions.len())).unwrap_or_default().to_vec();
        }
        let mut own = Vec::new();
        let mut seen = Vec::new();
        let mut unread = Arc::clone(&newest);
        if !selected.read_only
            && selected.rights.contains(store::Rights::SEEN)
            && fetch.items.iter().any(FetchItem::sets_seen)
        {
            let mut seeker = newest.seek();
            let mut uids = selected.uids(&positions);
            uids.retain(|uid| {
                let found = seeker.uid(*uid);
                found.is_some_and(|(_, message)| !message.flags.contains(Flags::SEEN))
            });
            if !uids.is_empty() {
                let (mailbox, reader) = (selected.mailbox, selected.reader);
                match blocking(|| account.message_flag_as(reader, mailbox, &uids, FlagChange::Add(Flags::SEEN), None)) {
                    Ok(flagged) => {
                        own = flagged.modseqs;
                        seen = flagged.changed;
                        unread = Arc::clone(&newest);
                        newest = selected.open.snapshot();
                    }
                    // Reading goes on where writing can't.
                    Err(error) => {
                        tracing::warn!(session = self.name, %error, "messages that were read could not be marked as seen");
                    }
                }
            }
        }
        if !seen.is_empty() {
            let reader = self.selected.as_ref().and_then(|selected| selected.reader);
            let read = |flags: Flags| flags | Flags::SEEN;
            self.event_flagged(&account, mailbox, reader, &unread, &seen, read);
        }
        let mut work = Arc::new(Work {
            mailbox,
            saved: HashMap::new(),
            threads: HashMap::new(),
            account,
            newest,
            items: fetch.items.clone(),
            seen,
            recent_from,
            condstore,
            uid_only,
            rev2,
            header_limit,
        });
        let mut failures = Failures::default();
        let rows = work.items.iter().any(needs_row);
        let walk = listing::wanted(&work.items).filter(|_| rows);
        let batch = match (rows, walk) {
            (true, None) => BATCH,
            _ => listing::WALK,
        };
        let mut messages: Vec<(u32, Message)> = Vec::with_capacity(batch);
        let same = Arc::ptr_eq(&told, &work.newest);
        for positions in positions.chunks(batch) {
            messages.clear();
            let (mut at_told, mut at_newest) = (told.seek(), work.newest.seek());
            for position in positions {
                let Some(known) = at_told.at(*position as usize) else {
                    continue;
                };
                // A message that is gone, and of which the client has not been told yet, still has its flags.
                let message = if same {
                    Some(known)
                } else {
                    at_newest.uid(known.uid).map(|(_, message)| message)
                };
                // Its mod-sequence may have been told from a newer snapshot already: that it is gone is its last change.
                let gone = || Message {
                    modseq: known.modseq.max(work.newest.highest_modseq),
                    ..*known
                };
                messages.push((sequence(*position as usize), message.copied().unwrap_or_else(gone)));
            }
            if let Some(wanted) = walk {
                let messages = Arc::new(std::mem::take(&mut messages));
                self.fetch_walk(&work, wanted, &messages, &mut failures).await?;
            } else if rows {
                let ids: Vec<_> = messages.iter().map(|(_, message)| message.content).collect();
                let contents = blocking(|| work.account.contents(&ids));
                // Nobody else has it: it is shared where a walk goes ahead, and then nothing of this is asked for.
                if let Some(work) = Arc::get_mut(&mut work)
                    && let Err(error) = blocking(|| extra(work, &messages))
                {
                    return Ok(self.trouble(&error));
                }
                for ((number, message), content) in messages.iter().zip(contents) {
                    self.fetch_message(&work, *number, message, Some(content), &mut failures)
                        .await?;
                }
            } else {
                for (number, message) in &messages {
                    self.fetch_message(&work, *number, message, None, &mut failures).await?;
                }
            }
        }
        let answer = self.outcome(failures);
        let mut answer = self.limited(answer, lowest);
        answer.own = own;
        Ok(answer)
    }

    /// Answers for these messages, walk by walk: while the octets of one are sent, the next is made ready. A client that stops reading has
    /// two of them in memory and holds up nobody.
    async fn fetch_walk(
        &mut self,
        work: &Arc<Work>,
        wanted: Wanted,
        messages: &Arc<Vec<(u32, Message)>>,
        failures: &mut Failures,
    ) -> io::Result<()> {
        let mut at = 0;
        let mut spare = Vec::new();
        while let Some(rest) = messages.get(at..).filter(|rest| !rest.is_empty()) {
            let turn = work.account.turn().await;
            let walked = if self.out.len() < OUT_BUFFER {
                let walked = blocking(|| listing::walk(work, wanted, &mut self.out, rest));
                drop(turn);
                walked
            } else {
                let (work, messages) = (Arc::clone(work), Arc::clone(messages));
                let mut out: Vec<u8> = std::mem::take(&mut spare);
                let ahead = tokio::task::spawn_blocking(move || {
                    let _turn = turn;
                    let rest = messages.get(at..).unwrap_or_default();
                    let walked = listing::walk(&work, wanted, &mut out, rest);
                    (out, walked)
                });
                self.flush_kept().await?;
                let (out, walked) = ahead.await.map_err(io::Error::other)?;
                spare = std::mem::replace(&mut self.out, out);
                walked
            };
            at += walked.done;
            if walked.odd
                && let Some((number, message)) = messages.get(at)
            {
                let content = blocking(|| work.account.content(message.content));
                self.fetch_message(work, *number, message, Some(content), failures)
                    .await?;
                at += 1;
            }
        }
        Ok(())
    }

    fn outcome(&self, failures: Failures) -> Answer {
        if let Some((uid, error)) = failures.damaged {
            let answer = self.trouble(&error);
            let text = format!("UID {uid}: {}", answer.text);
            return Answer { text, ..answer };
        }
        if failures.unknown_encoding {
            return Answer::no(
                Some(Code::UnknownCte),
                "a part has a transfer encoding that is not known here",
            );
        }
        if failures.gone {
            return Answer::no(Some(Code::ExpungeIssued), "some of the messages are gone");
        }
        Answer::ok("that is all")
    }

    async fn fetch_message(
        &mut self,
        work: &Work,
        number: u32,
        message: &Message,
        content: Option<Result<Content>>,
        failures: &mut Failures,
    ) -> io::Result<()> {
        let content = match content {
            None => None,
            Some(Ok(content)) => Some(content),
            Some(Err(error)) => {
                failures.note(message.uid, error);
                None
            }
        };
        let start = self.out.len();
        let mut response = begin(
            &mut self.out,
            number.saturating_sub(1) as usize,
            message.uid,
            work.uid_only,
        );
        let reading = content
            .as_ref()
            .map(|content| Reading::new(&work.account, content, work.header_limit));
        let flags = work.items.contains(&FetchItem::Flags);
        let newly_seen = work.seen.binary_search(&message.uid).is_ok();
        for item in &work.items {
            let simple = simple_item(work, &mut self.out, &mut response, message, item);
            if simple {
                continue;
            }
            let Some(reading) = &reading else { continue };
            if let Err(error) = self.octet_item(&mut response, reading, item, failures).await? {
                failures.note(message.uid, error);
            }
        }
        if newly_seen && !flags {
            simple_item(work, &mut self.out, &mut response, message, &FetchItem::Flags);
        }
        if response.is_empty() && self.out.len() >= start {
            // Nothing could be said of this message.
            self.out.truncate(start);
            return Ok(());
        }
        response.end(&mut self.out);
        if self.out.len() >= OUT_BUFFER {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes an item that needs the message's row or its octets. What cannot be read is left out.
    async fn octet_item(
        &mut self,
        response: &mut FetchResponse,
        reading: &Reading<'_>,
        item: &FetchItem,
        failures: &mut Failures,
    ) -> io::Result<Result<()>> {
        match item {
            FetchItem::Envelope => {
                response.item(&mut self.out, "ENVELOPE");
                match reading.content.digest.envelope.as_slice() {
                    [] => mime::Envelope::default().write_imap(&mut self.out),
                    envelope => self.out.extend_from_slice(envelope),
                }
                Ok(Ok(()))
            }
            FetchItem::Preview { lazy } => {
                let preview = match (&reading.content.digest.preview, lazy) {
                    (Some(preview), _) => Some(preview.clone()),
                    (None, true) => None,
                    (None, false) => match blocking(|| reading.preview()) {
                        Ok(preview) => Some(preview),
                        Err(error) => return Ok(Err(error)),
                    },
                };
                let utf8 = self.utf8();
                response.preview(&mut self.out, preview.as_deref(), utf8);
                Ok(Ok(()))
            }
            FetchItem::Body | FetchItem::BodyStructure => {
                let structure = match blocking_if_needed(reading) {
                    Ok(structure) => structure,
                    Err(error) => return Ok(Err(error)),
                };
                if *item == FetchItem::Body {
                    response.item(&mut self.out, "BODY");
                    structure.write_body(&mut self.out);
                } else {
                    response.item(&mut self.out, "BODYSTRUCTURE");
                    structure.write_bodystructure(&mut self.out);
                }
                Ok(Ok(()))
            }
            FetchItem::Section { section, partial, .. } => {
                let octets = blocking(|| reading.section(section, *partial));
                self.write_octets(response, reading, octets, |response, out, len, _| {
                    response.section(out, section, *partial, len);
                })
                .await
            }
            FetchItem::Rfc822 | FetchItem::Rfc822Header | FetchItem::Rfc822Text => {
                let (name, text) = match item {
                    FetchItem::Rfc822 => ("RFC822", SectionText::All),
                    FetchItem::Rfc822Header => ("RFC822.HEADER", SectionText::Header),
                    _ => ("RFC822.TEXT", SectionText::Text),
                };
                let section = Section { part: Vec::new(), text };
                let octets = blocking(|| reading.section(&section, None));
                self.write_octets(response, reading, octets, |response, out, len, _| {
                    response.rfc822(out, name, len.unwrap_or(0));
                })
                .await
            }
            FetchItem::Binary { part, partial, .. } => {
                let octets = blocking(|| reading.binary(part, *partial));
                if matches!(octets, Ok(Octets::Unknown)) {
                    failures.unknown_encoding = true;
                    return Ok(Ok(()));
                }
                self.write_octets(response, reading, octets, |response, out, len, nul| {
                    response.binary(out, part, *partial, len, nul);
                })
                .await
            }
            FetchItem::BinarySize(part) => match blocking(|| reading.binary_size(part)) {
                Ok(Some(size)) => {
                    response.binary_size(&mut self.out, part, size);
                    Ok(Ok(()))
                }
                Ok(None) => {
                    failures.unknown_encoding = true;
                    Ok(Ok(()))
                }
                Err(error) => Ok(Err(error)),
            },
            _ => Ok(Ok(())),
        }
    }

    /// Writes a literal: `head` gets its length (`None`: there is no such section) and whether it holds a NUL.
    async fn write_octets(
        &mut self,
        response: &mut FetchResponse,
        reading: &Reading<'_>,
        octets: Result<Octets>,
        head: impl Fn(&mut FetchResponse, &mut Vec<u8>, Option<u64>, bool),
    ) -> io::Result<Result<()>> {
        match octets {
            Err(error) => return Ok(Err(error)),
            Ok(Octets::Nil | Octets::Unknown) => head(response, &mut self.out, None, false),
            Ok(Octets::Here(octets)) => {
                head(response, &mut self.out, Some(octets.len() as u64), false);
                self.send(&octets).await?;
            }
            Ok(Octets::There(range)) => {
                // Only when the first piece could be read are octets announced.
                let first = blocking(|| reading.octets(range.start..range.end.min(range.start + PIECE)));
                let mut piece = match first {
                    Ok(piece) => piece,
                    Err(error) => return Ok(Err(error)),
                };
                head(response, &mut self.out, Some(range.end - range.start), false);
                let mut at = range.start + piece.len() as u64;
                self.send(&piece).await?;
                while at < range.end {
                    piece = blocking(|| reading.octets(at..range.end.min(at + PIECE))).map_err(|e| torn(&e))?;
                    at += piece.len() as u64;
                    self.send(&piece).await?;
                }
            }
            Ok(Octets::Encoded {
                part,
                encoding,
                decoded,
                nul,
            }) => {
                head(response, &mut self.out, Some(decoded.end - decoded.start), nul);
                let mut decoder = Decoder::new(encoding);
                // Where the octets that come out next stand among the decoded ones.
                let mut position = 0u64;
                let mut at = part.start;
                while position < decoded.end {
                    let piece = if at < part.end {
                        let piece = blocking(|| reading.octets(at..part.end.min(at + PIECE))).map_err(|e| torn(&e))?;
                        at += piece.len() as u64;
                        decoder.push(&piece)
                    } else {
                        at = at.saturating_add(1);
                        decoder.finish()
                    };
                    let from = decoded.start.saturating_sub(position).min(piece.len() as u64);
                    let upto = (decoded.end - position).min(piece.len() as u64);
                    position += piece.len() as u64;
                    self.send(piece.get(from as usize..upto as usize).unwrap_or_default())
                        .await?;
                    if at > part.end && position < decoded.end {
                        return Err(io::Error::other("a part decodes to less than it did a moment ago"));
                    }
                }
            }
        }
        Ok(Ok(()))
    }
}

/// Writes an item that the view in memory knows. False: it is another one.
pub(super) fn simple_item(
    work: &Work,
    out: &mut Vec<u8>,
    response: &mut FetchResponse,
    message: &Message,
    item: &FetchItem,
) -> bool {
    match item {
        FetchItem::Uid => response.uid(out, message.uid.0),
        FetchItem::Flags => {
            let recent = !work.rev2 && message.uid >= work.recent_from;
            response.flags(out, flag_names(message.flags, &work.newest.keywords, recent));
            if work.condstore && !work.items.contains(&FetchItem::ModSeq) {
                response.modseq(out, message.modseq.0);
            }
        }
        FetchItem::ModSeq => response.modseq(out, message.modseq.0),
        FetchItem::Size => response.size(out, u64::from(message.size)),
        FetchItem::InternalDate => response.internal_date(out, DateTime::utc(i64::from(message.received))),
        FetchItem::EmailId => {
            let id = object::content(work.account.id(), message.content);
            response.object_id(out, "EMAILID", Some(&ObjectKind::Email.write(id)));
        }
        FetchItem::ThreadId => {
            let thread = work.threads.get(&message.content);
            let id = thread.map(|thread| ObjectKind::Thread.write(object::content(work.account.id(), *thread)));
            response.object_id(out, "THREADID", id.as_deref());
        }
        FetchItem::SaveDate => {
            response.save_date(out, work.saved.get(&message.uid).map(|saved| DateTime::utc(*saved)));
        }
        _ => return false,
    }
    true
}

/// Positions in the mailbox as the client knows it of the messages that have changed since.
fn changed_since(told: &Snapshot, newest: &Snapshot, since: ModSeq) -> Vec<u32> {
    let stretches = newest.stretches().filter(|stretch| stretch.summary.modseq > since);
    let changed = stretches
        .flat_map(|stretch| stretch.messages)
        .filter(|message| message.modseq > since);
    let mut seeker = told.seek();
    let position = |message: &Message| seeker.uid(message.uid).and_then(|(p, _)| u32::try_from(p).ok());
    changed.filter_map(position).collect()
}

impl Failures {
    fn note(&mut self, uid: Uid, error: store::Error) {
        if matches!(error, store::Error::NoContent(_)) {
            self.gone = true;
        } else if self.damaged.is_none() {
            self.damaged = Some((uid.0, error));
        }
    }
}

/// Decoding a structure takes no disk, but one that must be made anew does.
fn blocking_if_needed<'r>(reading: &'r Reading<'_>) -> Result<&'r mime::Structure> {
    if reading.content.digest.structure.is_empty() {
        blocking(|| reading.structure())
    } else {
        reading.structure()
    }
}

pub(super) fn needs_row(item: &FetchItem) -> bool {
    !matches!(
        item,
        FetchItem::Uid
            | FetchItem::Flags
            | FetchItem::ModSeq
            | FetchItem::Size
            | FetchItem::InternalDate
            | FetchItem::EmailId
    )
}

/// Looks up what is asked for and stands neither in the view nor in the contents.
fn extra(work: &mut Work, messages: &[(u32, Message)]) -> Result<()> {
    if work.items.contains(&FetchItem::SaveDate) {
        let uids: Vec<Uid> = messages.iter().map(|(_, message)| message.uid).collect();
        let saved = work.account.message_saved(work.mailbox, &uids)?;
        work.saved = uids
            .into_iter()
            .zip(saved)
            .filter_map(|(uid, saved)| Some((uid, saved?)))
            .collect();
    }
    if work.items.contains(&FetchItem::ThreadId) {
        let ids: Vec<ContentId> = messages.iter().map(|(_, message)| message.content).collect();
        let threads = work.account.threads(&ids)?;
        work.threads = ids
            .into_iter()
            .zip(threads)
            .filter_map(|(id, thread)| Some((id, thread?)))
            .collect();
    }
    Ok(())
}
