//! The message itself, by `DATA` or `BDAT`, and its final reply.

use super::commands::too_large;
use super::{Message, Session, Stage, Waiting};
use crate::data::{DataReader, Piece};
use crate::header::Verdict;
use crate::{Event, Reply, Role, Status};

impl Session {
    /// Answers [`Event::MessageStart`]. A refusal ends the transaction.
    pub fn answer_start(&mut self, answer: Result<(), Reply>) {
        let (chunk, smtp) = match self.stage {
            Stage::Waiting(Waiting::StartData) => (None, true),
            Stage::Waiting(Waiting::StartChunk { size, last }) => (Some((size, last)), false),
            _ => return,
        };
        self.stage = Stage::Command;
        if let (Ok(()), Some(transaction)) = (&answer, &mut self.transaction) {
            transaction.message = Some(Message::default());
        }
        match (answer, chunk) {
            (Ok(()), None) => {
                self.say_fixed(b"354 go ahead, end with CRLF.CRLF\r\n");
                self.stage = Stage::Data(DataReader::default());
            }
            (Ok(()), Some((size, last))) => self.begin_chunk(size, last, None),
            (Err(reply), _) if smtp => {
                self.transaction = None;
                self.say(&reply);
            }
            (Err(reply), chunk) => {
                self.transaction = None;
                let (size, last) = chunk.unwrap_or_default();
                self.begin_chunk(size, last, Some(reply));
            }
        }
    }

    /// Answers [`Event::MessageEnd`]: over SMTP with one reply, over LMTP with one for each recipient that was accepted, in their order
    /// (RFC 2033 §4.2). Where there are fewer, the last one stands for the rest.
    pub fn answer_message(&mut self, replies: &[Reply]) {
        if !matches!(self.stage, Stage::Waiting(Waiting::Message)) {
            return;
        }
        self.stage = Stage::Command;
        self.finish(replies);
    }

    pub(super) fn take_piece<'a>(&mut self, piece: Piece<'a>, bare: bool) -> Option<Event<'a>> {
        match piece {
            Piece::Data(data) => self.take_data(data, bare && !self.config.bare_newlines),
            Piece::End => self.end(),
        }
    }

    /// Octets of a BDAT; `left` in the stage has already been brought forward.
    pub(super) fn take_chunk<'a>(&mut self, data: &'a [u8]) -> Option<Event<'a>> {
        let Stage::Chunk {
            size,
            left,
            last,
            refuse,
        } = &mut self.stage
        else {
            return None;
        };
        let (size, left, last, refused) = (*size, *left, *last, refuse.is_some());
        if refused {
            if !self.discard(data.len() as u64) {
                self.hang_up(None);
                return None;
            }
            if left == 0
                && let Stage::Chunk {
                    refuse: Some(reply), ..
                } = std::mem::replace(&mut self.stage, Stage::Command)
            {
                self.fail(&reply);
            }
            return None;
        }
        if !data.is_empty()
            && let Some(event) = self.take_data(data, false)
        {
            // The end of the chunk is seen in the next round, with no data.
            return Some(event);
        }
        if left > 0 || matches!(self.stage, Stage::Closed) {
            return None;
        }
        self.stage = Stage::Command;
        if last {
            return self.end();
        }
        match self
            .transaction
            .as_mut()
            .and_then(|transaction| transaction.message.as_mut())
            .and_then(|message| message.failed.take())
        {
            Some(reply) => {
                self.transaction = None;
                self.fail(&reply);
            }
            None => self.say(&Reply::new(250, Status(2, 0, 0), format!("{size} octets received"))),
        }
        None
    }

    /// Octets of the message; `bare`: the last of them shows a CR or LF that stands alone. What is wrong first is what the client is told,
    /// however its octets were cut into pieces.
    fn take_data<'a>(&mut self, data: &'a [u8], bare: bool) -> Option<Event<'a>> {
        let limits = &self.config.limits;
        let message = self
            .transaction
            .as_mut()
            .and_then(|transaction| transaction.message.as_mut())?;
        let room = usize::try_from(limits.message_size.saturating_sub(message.size)).unwrap_or(usize::MAX);
        message.size = message.size.saturating_add(data.len() as u64);
        if message.failed.is_some() {
            self.discard_message(data.len() as u64);
            return None;
        }
        let taken = data.get(..room).unwrap_or(data);
        let reply = match message.header.push(taken, limits.hops, limits.header_size) {
            Verdict::Loop => Reply::new(
                554,
                Status(5, 4, 6),
                "the message has passed too many servers, it is in a loop",
            ),
            Verdict::TooLarge => Reply::new(
                552,
                Status(5, 3, 4),
                format!("a message's header may have {} octets", limits.header_size),
            ),
            Verdict::Fine if taken.len() < data.len() => too_large(limits.message_size),
            Verdict::Fine if bare => Reply::new(
                554,
                Status(5, 6, 0),
                "a CR or LF stands alone in the message; lines end with CR and LF",
            ),
            Verdict::Fine => return Some(Event::MessageData(data)),
        };
        // The message cannot be taken; the rest of it is read and thrown away, as is what came before.
        message.failed = Some(reply);
        let size = message.size;
        self.discard_message(size);
        Some(Event::Aborted)
    }

    fn discard_message(&mut self, octets: u64) {
        if !self.discard(octets) {
            let message = self
                .transaction
                .as_mut()
                .and_then(|transaction| transaction.message.as_mut());
            let reply = message.and_then(|message| message.failed.take());
            self.hang_up(reply);
        }
    }

    /// Too much was thrown away.
    fn hang_up(&mut self, reply: Option<Reply>) {
        self.transaction = None;
        self.close(&reply.unwrap_or_else(|| Reply::new(421, Status(4, 7, 0), "too much that cannot be taken")));
    }

    /// The last byte is here.
    fn end<'a>(&mut self) -> Option<Event<'a>> {
        self.stage = Stage::Command;
        let message = self
            .transaction
            .as_mut()
            .and_then(|transaction| transaction.message.as_mut())?;
        if let Some(reply) = message.failed.take() {
            self.errors += 1;
            self.finish(&[reply]);
            return None;
        }
        self.stage = Stage::Waiting(Waiting::Message);
        Some(Event::MessageEnd)
    }

    fn finish(&mut self, replies: &[Reply]) {
        let recipients = self.transaction.take().map_or(0, |transaction| transaction.recipients);
        let count = if self.config.role == Role::Lmtp { recipients } else { 1 };
        let missing = Reply::new(451, Status(4, 3, 0), "the message could not be taken");
        for index in 0..count {
            let reply = replies.get(index).or(replies.last()).unwrap_or(&missing);
            self.say(reply);
        }
    }
}
