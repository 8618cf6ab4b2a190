//! Looking up many messages of one snapshot. Commands name messages in order, so that the next one asked for is most often the one behind
//! the last: a seeker looks there before it searches.

use crate::{Message, Snapshot, Uid};

/// A place in a snapshot. It answers any question, and quickly where each is about what comes after the last.
#[derive(Debug)]
pub struct Seeker<'s> {
    snapshot: &'s Snapshot,
    chunk: &'s [Message],
    /// Position of the chunk's first message.
    start: usize,
    /// Where in the chunk the next message is expected.
    within: usize,
}

impl Snapshot {
    /// A seeker at the front.
    pub fn seek(&self) -> Seeker<'_> {
        let (start, chunk) = self.chunk_around(0);
        Seeker {
            snapshot: self,
            chunk,
            start,
            within: 0,
        }
    }
}

impl<'s> Seeker<'s> {
    /// The message with that UID, and its position.
    pub fn uid(&mut self, uid: Uid) -> Option<(usize, &'s Message)> {
        if self.chunk.get(self.within).is_none_or(|message| message.uid != uid) {
            let position = self.snapshot.lower_bound(uid);
            self.go(position);
        }
        self.take().filter(|(_, message)| message.uid == uid)
    }

    /// The message at a position.
    pub fn at(&mut self, position: usize) -> Option<&'s Message> {
        if position != self.start + self.within || self.within >= self.chunk.len() {
            self.go(position);
        }
        self.take().map(|(_, message)| message)
    }

    fn go(&mut self, position: usize) {
        if position < self.start || position >= self.start + self.chunk.len() {
            (self.start, self.chunk) = self.snapshot.chunk_around(position);
        }
        self.within = position - self.start;
    }

    /// What is here, if anything; the next question is expected to be about what follows it.
    fn take(&mut self) -> Option<(usize, &'s Message)> {
        let message = self.chunk.get(self.within)?;
        self.within += 1;
        Some((self.start + self.within - 1, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentId, Flags, ModSeq};
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        /// It answers as the searches do, in whatever order it is asked, about what is there and what is not.
        #[test]
        fn finds_what_searching_finds(
            runs in prop::collection::vec((1u32..900, 0u32..3), 0..5),
            asked in prop::collection::vec((0u32..3000, 1usize..700), 0..12),
        ) {
            let mut snapshot = Snapshot::new(1, Uid(1), ModSeq(1), Arc::default());
            let mut uid = 0;
            for (length, gap) in runs {
                uid += gap;
                let messages: Vec<Message> = (0..length).map(|_| {
                    uid += 1;
                    Message { uid: Uid(uid), size: 1, flags: Flags::NONE, modseq: ModSeq(1), received: 0, content: ContentId(uid) }
                }).collect();
                snapshot.append(&messages);
            }
            let (mut by_uid, mut by_position) = (snapshot.seek(), snapshot.seek());
            for (from, count) in asked {
                for n in from..from + count as u32 {
                    let expected = snapshot.position(Uid(n)).and_then(|p| Some((p, snapshot.at(p)?)));
                    prop_assert_eq!(by_uid.uid(Uid(n)), expected);
                    prop_assert_eq!(by_position.at(n as usize), snapshot.at(n as usize));
                }
            }
        }
    }
}
