//! A mailbox as one moment saw it. Messages are in chunks that neighbouring snapshots share, so a change copies one chunk, and comparing two
//! snapshots skips all that is the same memory.

use crate::{AccountId, ContentId, Flags, Keywords, ModSeq, Uid};
use std::sync::Arc;

/// Messages in a chunk when a mailbox is loaded or grows at its end: a change copies at most this many, and one pointer for each chunk.
const CHUNK: usize = 512;
/// The same in a large mailbox, where the pointers would weigh more than the chunk.
const CHUNK_LARGE: usize = 2048;
/// Messages from which on a mailbox is large.
const LARGE: usize = 1 << 16;
/// A chunk left smaller than this by expunging is joined with its neighbour.
const CHUNK_SMALL: usize = CHUNK / 4;

/// What the view keeps of a message: 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// Octets as served; larger than 4 GiB is never accepted.
    pub size: u32,
    /// Flags and keywords.
    pub flags: Flags,
    /// When it last changed.
    pub modseq: ModSeq,
    /// Internal date, seconds since 1970 (until 2106; earlier dates read as 0).
    pub received: u32,
    /// What it says.
    pub content: ContentId,
}

/// Some neighbouring messages, and what can be said of all of them without looking at each.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    messages: Vec<Message>,
    summary: Summary,
}

/// What holds for a stretch of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Flags that all of them have.
    pub all: Flags,
    /// Flags that at least one of them has.
    pub any: Flags,
    /// The highest modification sequence among them.
    pub modseq: ModSeq,
}

/// A stretch of a snapshot's messages.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'s> {
    /// Position of its first message.
    pub start: usize,
    /// Its messages, never none.
    pub messages: &'s [Message],
    /// What holds for them.
    pub summary: Summary,
}

impl Chunk {
    fn new(messages: Vec<Message>) -> Chunk {
        let summary = Summary::of(&messages);
        Chunk { messages, summary }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<Message>)) {
        change(&mut self.messages);
        self.summary = Summary::of(&self.messages);
    }
}

impl std::ops::Deref for Chunk {
    type Target = [Message];

    fn deref(&self) -> &[Message] {
        &self.messages
    }
}

impl Summary {
    fn of(messages: &[Message]) -> Summary {
        let begin = Summary {
            all: Flags(u64::MAX),
            any: Flags::NONE,
            modseq: ModSeq(0),
        };
        messages.iter().fold(begin, |sum, m| Summary {
            all: sum.all & m.flags,
            any: sum.any | m.flags,
            modseq: sum.modseq.max(m.modseq),
        })
    }
}

/// The messages of a mailbox in UID order, with the numbers a client may ask for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    chunks: Vec<Arc<Chunk>>,
    /// Position of each chunk's first message.
    starts: Vec<u32>,
    len: usize,
    /// RFC 9051 §2.3.1.1
    pub uid_validity: u32,
    /// The least UID the next message may get.
    pub uid_next: Uid,
    /// RFC 7162 §3.1.2.1
    pub highest_modseq: ModSeq,
    /// The account's keywords as of now.
    pub keywords: Arc<Keywords>,
    /// `\Seen` is this reader's own, whatever others have seen.
    pub reader: Option<AccountId>,
    /// The mailbox was deleted: sessions that have it selected must be told.
    pub deleted: bool,
}

impl Snapshot {
    pub(crate) fn new(uid_validity: u32, uid_next: Uid, highest_modseq: ModSeq, keywords: Arc<Keywords>) -> Self {
        Snapshot {
            chunks: Vec::new(),
            starts: Vec::new(),
            len: 0,
            uid_validity,
            uid_next,
            highest_modseq,
            keywords,
            reader: None,
            deleted: false,
        }
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The message at a position, counted from 0 (a sequence number less one).
    pub fn at(&self, position: usize) -> Option<&Message> {
        if position >= self.len {
            return None;
        }
        let chunk = self.starts.partition_point(|start| *start as usize <= position) - 1;
        self.chunks[chunk].get(position - self.starts[chunk] as usize)
    }

    /// The position of the message with that UID.
    pub fn position(&self, uid: Uid) -> Option<usize> {
        let position = self.lower_bound(uid);
        (self.at(position)?.uid == uid).then_some(position)
    }

    /// The position of the first message whose UID is at least `uid`; `len()` if there is none.
    pub fn lower_bound(&self, uid: Uid) -> usize {
        let after = self.chunks.partition_point(|chunk| chunk[0].uid <= uid);
        if after == 0 {
            return 0;
        }
        let within = self.chunks[after - 1].partition_point(|m| m.uid < uid);
        self.starts[after - 1] as usize + within
    }

    /// The chunk that a position is in, and the position of its first message; none where the position is behind the end.
    pub(crate) fn chunk_around(&self, position: usize) -> (usize, &[Message]) {
        let chunk = self
            .starts
            .partition_point(|start| *start as usize <= position)
            .saturating_sub(1);
        match self.chunks.get(chunk) {
            Some(messages) if position < self.len => (self.starts[chunk] as usize, messages),
            _ => (position, &[]),
        }
    }

    /// Messages from a position on, in order.
    pub fn iter_from(&self, position: usize) -> impl Iterator<Item = &Message> {
        let chunk = self
            .starts
            .partition_point(|start| *start as usize <= position)
            .saturating_sub(1);
        let skip = position.saturating_sub(self.starts.get(chunk).map_or(0, |s| *s as usize));
        self.chunks
            .get(chunk..)
            .unwrap_or_default()
            .iter()
            .flat_map(|c| c.iter())
            .skip(skip)
    }

    /// All messages, in UID order.
    pub fn iter(&self) -> impl Iterator<Item = &Message> {
        self.chunks.iter().flat_map(|c| c.iter())
    }

    /// All messages in stretches, each with what holds for all of its messages: where that decides, they need not be looked at.
    pub fn stretches(&self) -> impl Iterator<Item = Stretch<'_>> {
        self.chunks.iter().zip(&self.starts).map(|(chunk, start)| Stretch {
            start: *start as usize,
            messages: chunk,
            summary: chunk.summary,
        })
    }

    /// The position of the first message without `flag`.
    pub fn first_without(&self, flag: Flags) -> Option<usize> {
        let stretch = self.stretches().find(|s| !s.summary.all.contains(flag))?;
        let within = stretch.messages.iter().position(|m| !m.flags.contains(flag))?;
        Some(stretch.start + within)
    }

    /// Octets of memory that its messages take.
    pub fn weight(&self) -> usize {
        self.len * size_of::<Message>() + self.chunks.len() * (size_of::<Chunk>() + 32)
    }

    /// The last message.
    pub fn last(&self) -> Option<&Message> {
        self.chunks.last().and_then(|c| c.last())
    }

    /// Adds messages at the end; their UIDs ascend and are above all there are.
    pub(crate) fn append(&mut self, messages: &[Message]) {
        let unseen: Vec<Message>;
        let mut rest = messages;
        let full = if self.len + messages.len() < LARGE {
            CHUNK
        } else {
            CHUNK_LARGE
        };
        if self.reader.is_some() {
            // What is new was seen by the owner at most.
            let strip = |m: &Message| Message {
                flags: m.flags & !Flags::SEEN,
                ..*m
            };
            unseen = messages.iter().map(strip).collect();
            rest = &unseen;
        }
        if let Some(last) = self.chunks.last_mut()
            && last.len() < full
        {
            let (now, later) = rest.split_at(rest.len().min(full - last.len()));
            match Arc::get_mut(last) {
                Some(last) => last.change(|messages| messages.extend_from_slice(now)),
                None => *last = Arc::new(Chunk::new([&***last, now].concat())),
            }
            rest = later;
        }
        for chunk in rest.chunks(full) {
            self.chunks.push(Arc::new(Chunk::new(chunk.to_vec())));
        }
        self.index();
    }

    /// Gives each message at one of `positions` (ascending) the flags that `flags` works out, and `modseq`.
    pub(crate) fn flag(&mut self, positions: &[usize], modseq: ModSeq, flags: impl Fn(Flags) -> Flags) {
        // Others do not change what a reader has seen himself.
        let kept = if self.reader.is_some() {
            Flags::SEEN
        } else {
            Flags::NONE
        };
        let mut rest = positions;
        for (chunk, start) in self.chunks.iter_mut().zip(&self.starts) {
            let start = *start as usize;
            let within = rest.partition_point(|p| *p < start + chunk.len());
            let (here, later) = rest.split_at(within);
            if !here.is_empty() {
                Arc::make_mut(chunk).change(|messages| {
                    for position in here {
                        let message = &mut messages[position - start];
                        message.flags = (flags(message.flags) & !kept) | (message.flags & kept);
                        message.modseq = modseq;
                    }
                });
            }
            rest = later;
        }
    }

    /// Puts flags at positions (ascending); without `seen`, `\Seen` stays as it is.
    pub(crate) fn flags_put(&mut self, flags: &[(usize, Flags)], modseq: ModSeq, seen: bool) {
        let kept = if seen { Flags::NONE } else { Flags::SEEN };
        let mut rest = flags;
        for (chunk, start) in self.chunks.iter_mut().zip(&self.starts) {
            let start = *start as usize;
            let (here, later) = rest.split_at(rest.partition_point(|(p, _)| *p < start + chunk.len()));
            if !here.is_empty() {
                Arc::make_mut(chunk).change(|messages| {
                    for (position, flags) in here {
                        let message = &mut messages[position - start];
                        message.flags = (*flags & !kept) | (message.flags & kept);
                        message.modseq = modseq;
                    }
                });
            }
            rest = later;
        }
    }

    /// Makes it a reader's own: `rows` are what he has seen or marked as new again, by ascending UID.
    pub(crate) fn read_by(&mut self, reader: AccountId, rows: &[(Uid, bool, ModSeq)]) {
        self.reader = Some(reader);
        for chunk in &mut self.chunks {
            Arc::make_mut(chunk).change(|messages| {
                for message in messages {
                    message.flags = message.flags & !Flags::SEEN;
                    if let Ok(at) = rows.binary_search_by_key(&message.uid, |(uid, _, _)| *uid) {
                        let (_, seen, modseq) = rows[at];
                        if seen {
                            message.flags = message.flags | Flags::SEEN;
                        }
                        message.modseq = message.modseq.max(modseq);
                    }
                }
            });
        }
    }

    /// Takes away the messages at `positions` (ascending).
    pub(crate) fn remove(&mut self, positions: &[usize]) {
        let mut rest = positions;
        let mut kept: Vec<Arc<Chunk>> = Vec::with_capacity(self.chunks.len());
        for (chunk, start) in self.chunks.iter().zip(&self.starts) {
            let start = *start as usize;
            let (here, later) = rest.split_at(rest.partition_point(|p| *p < start + chunk.len()));
            rest = later;
            let left = if here.is_empty() {
                Arc::clone(chunk)
            } else {
                let mut gone = here.iter().map(|p| p - start).peekable();
                let left: Vec<Message> = chunk
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| gone.next_if_eq(i).is_none())
                    .map(|(_, m)| *m)
                    .collect();
                Arc::new(Chunk::new(left))
            };
            match kept.last_mut() {
                _ if left.is_empty() => {}
                Some(before) if before.len() + left.len() <= CHUNK && before.len().min(left.len()) < CHUNK_SMALL => {
                    Arc::make_mut(before).change(|messages| messages.extend_from_slice(&left));
                }
                _ => kept.push(left),
            }
        }
        self.chunks = kept;
        self.index();
    }

    fn index(&mut self) {
        self.starts.clear();
        let mut start = 0u32;
        for chunk in &self.chunks {
            self.starts.push(start);
            start += chunk.len() as u32;
        }
        self.len = start as usize;
    }

    /// What happened between this snapshot and a newer one of the same mailbox.
    pub fn diff(&self, newer: &Snapshot) -> Diff {
        let mut diff = Diff::default();
        let (mut old, mut new) = (Cursor::new(self), Cursor::new(newer));
        loop {
            if let (Some(a), Some(b)) = (old.chunk_at_start(), new.chunk_at_start())
                && Arc::ptr_eq(a, b)
            {
                old.skip_chunk();
                new.skip_chunk();
                continue;
            }
            match (old.message(), new.message()) {
                (Some(a), Some(b)) if a.uid == b.uid => {
                    if a.modseq != b.modseq {
                        diff.changed.push(new.position);
                    }
                    old.step();
                    new.step();
                }
                (Some(a), b) if b.is_none_or(|b| a.uid < b.uid) => {
                    diff.expunged.push(old.position);
                    old.step();
                }
                (_, Some(_)) => {
                    diff.appended += 1;
                    new.step();
                }
                (_, None) => return diff,
            }
        }
    }
}

/// What a newer snapshot has that an older one has not. Positions count from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Positions in the older snapshot of messages that are gone, ascending.
    pub expunged: Vec<usize>,
    /// Positions in the newer snapshot of messages that both have and that changed, ascending.
    pub changed: Vec<usize>,
    /// Messages that came to the end.
    pub appended: usize,
}

impl Diff {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.expunged.is_empty() && self.changed.is_empty() && self.appended == 0
    }
}

struct Cursor<'s> {
    snapshot: &'s Snapshot,
    chunk: usize,
    within: usize,
    position: usize,
}

impl<'s> Cursor<'s> {
    fn new(snapshot: &'s Snapshot) -> Self {
        Cursor {
            snapshot,
            chunk: 0,
            within: 0,
            position: 0,
        }
    }

    fn chunk_at_start(&self) -> Option<&'s Arc<Chunk>> {
        (self.within == 0)
            .then(|| self.snapshot.chunks.get(self.chunk))
            .flatten()
    }

    fn message(&self) -> Option<&'s Message> {
        self.snapshot.chunks.get(self.chunk).map(|c| &c[self.within])
    }

    fn skip_chunk(&mut self) {
        self.position += self.snapshot.chunks[self.chunk].len();
        self.chunk += 1;
    }

    fn step(&mut self) {
        self.position += 1;
        self.within += 1;
        if self.within == self.snapshot.chunks[self.chunk].len() {
            self.within = 0;
            self.chunk += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(uid: u32) -> Message {
        Message {
            uid: Uid(uid),
            size: 1,
            flags: Flags::NONE,
            modseq: ModSeq(1),
            received: 0,
            content: ContentId(uid),
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Flag(Vec<prop::sample::Index>),
        Remove(Vec<prop::sample::Index>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let some = prop::collection::vec(any::<prop::sample::Index>(), 0..400);
        prop::collection::vec(
            prop_oneof![
                (0usize..1500).prop_map(Step::Append),
                some.clone().prop_map(Step::Flag),
                some.prop_map(Step::Remove),
            ],
            1..8,
        )
    }

    fn pick(of: &[prop::sample::Index], len: usize) -> Vec<usize> {
        let mut all: Vec<usize> = if len == 0 {
            vec![]
        } else {
            of.iter().map(|i| i.index(len)).collect()
        };
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What is said of whole chunks is about the flags that the reader has, not about those of all.
    #[test]
    fn a_readers_chunks_are_summed_up_as_he_sees_them() {
        let seen = |uid| Message {
            flags: Flags::SEEN,
            ..message(uid)
        };
        let mut snapshot = Snapshot::new(1, Uid(1), ModSeq(1), Arc::default());
        snapshot.append(&(1..=1500).map(seen).collect::<Vec<_>>());
        assert_eq!(snapshot.first_without(Flags::SEEN), None);
        // He has read the first 700; what others have read is new to him, also what comes.
        let rows: Vec<_> = (1..=700).map(|uid| (Uid(uid), true, ModSeq(2))).collect();
        snapshot.read_by(AccountId(9), &rows);
        snapshot.append(&(1501..=1600).map(seen).collect::<Vec<_>>());
        // Others unmark a message that he has read, and mark one that he has not.
        snapshot.flag(&[3], ModSeq(5), |flags| flags & !Flags::SEEN);
        snapshot.flag(&[800], ModSeq(6), |flags| flags | Flags::SEEN);
        snapshot.flags_put(&[(900, Flags::SEEN)], ModSeq(7), false);
        assert_eq!(snapshot.first_without(Flags::SEEN), Some(700));
        let check = |snapshot: &Snapshot| {
            for stretch in snapshot.stretches() {
                assert_eq!(stretch.summary, Summary::of(stretch.messages));
            }
        };
        check(&snapshot);
        // He reads one himself.
        snapshot.flags_put(&[(700, Flags::SEEN)], ModSeq(8), true);
        assert_eq!(snapshot.first_without(Flags::SEEN), Some(701));
        snapshot.remove(&[701]);
        assert_eq!(snapshot.first_without(Flags::SEEN), Some(701));
        check(&snapshot);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// A snapshot is always the plain list it stands for, and a diff applied to the old list gives the new one.
        #[test]
        fn is_the_list_it_stands_for(steps in steps(), since in any::<prop::sample::Index>()) {
            let mut snapshot = Snapshot::new(1, Uid(1), ModSeq(1), Arc::default());
            let mut list: Vec<Message> = vec![];
            let mut next = 1;
            let mut history = vec![(snapshot.clone(), list.clone())];
            for (n, step) in steps.iter().enumerate() {
                let modseq = ModSeq(n as u64 + 2);
                match step {
                    Step::Append(count) => {
                        let new: Vec<_> = (next..).take(*count).map(message).collect();
                        next += *count as u32;
                        snapshot.append(&new);
                        list.extend(new);
                    }
                    Step::Flag(which) => {
                        let at = pick(which, list.len());
                        snapshot.flag(&at, modseq, |f| f | Flags::SEEN);
                        for i in at {
                            list[i].flags = list[i].flags | Flags::SEEN;
                            list[i].modseq = modseq;
                        }
                    }
                    Step::Remove(which) => {
                        let at = pick(which, list.len());
                        snapshot.remove(&at);
                        for i in at.iter().rev() {
                            list.remove(*i);
                        }
                    }
                }
                prop_assert_eq!(snapshot.len(), list.len());
                prop_assert!(snapshot.iter().eq(list.iter()));
                for (i, m) in list.iter().enumerate().step_by(97) {
                    prop_assert_eq!(snapshot.at(i), Some(m));
                    prop_assert_eq!(snapshot.position(m.uid), Some(i));
                    prop_assert_eq!(snapshot.iter_from(i).next(), Some(m));
                }
                let unseen = list.iter().position(|m| !m.flags.contains(Flags::SEEN));
                prop_assert_eq!(snapshot.first_without(Flags::SEEN), unseen);
                for stretch in snapshot.stretches() {
                    prop_assert_eq!(stretch.messages, &list[stretch.start..stretch.start + stretch.messages.len()]);
                    prop_assert_eq!(stretch.summary, Summary::of(stretch.messages));
                }
                prop_assert_eq!(snapshot.at(list.len()), None);
                prop_assert_eq!(snapshot.lower_bound(Uid(next)), list.len());
                history.push((snapshot.clone(), list.clone()));
            }
            let (old, mut told) = history[since.index(history.len())].clone();
            let diff = old.diff(&snapshot);
            for i in diff.expunged.iter().rev() {
                told.remove(*i);
            }
            told.extend(list[list.len() - diff.appended..].iter());
            for i in diff.changed {
                prop_assert_ne!(told[i], list[i]);
                told[i] = list[i];
            }
            prop_assert_eq!(told, list);
        }
    }
}
