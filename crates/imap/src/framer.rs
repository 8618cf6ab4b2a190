//! From octets to complete commands. RFC 9051 §2.2.1 (lines and literals), §4.3; RFC 7888 (non-synchronizing literals).
//!
//! A command is a line in which every `{n}` at the end announces `n` octets and more of the line. The framer gathers it up to
//! [`Limits`] and hands it out whole, except for the message of an APPEND: that passes through in pieces and is never held.
//!
//! What is too long is refused with the command's tag, and swallowed up to its end where the client is sending it anyway, so
//! that the session goes on. Only a client that never ends is told to leave.

use crate::command::{Append, AppendPart, Appending, Piece, Segment, append_begin};
use crate::cursor::{LiteralMark, is_tag, literal_mark};
use crate::{Error, Limits};
use std::collections::VecDeque;

/// Octets kept of a line that is being thrown away: enough for `~{9223372036854775807+}` and the line end.
const TAIL: usize = 26;
/// Octets of a tag that is repeated when its command was refused unread.
const TAG: usize = 64;
/// Capacity that the buffer keeps between two commands.
const KEPT: usize = 4096;

/// What one call of [`Framer::input`] has found.
#[derive(Debug)]
pub struct Step<'a> {
    /// How many octets of the input are dealt with. The next call starts behind them.
    pub used: usize,
    /// What they meant.
    pub event: Event<'a>,
}

/// What the octets of a client mean.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing yet: more octets are needed.
    More,
    /// The client waits to be told to send a literal: answer with a continuation request.
    Continue,
    /// A complete command without its last line end, ready for [`Request::parse`](crate::Request::parse).
    Command(&'a [u8]),
    /// The line that [`Framer::expect_line`] asked for, without its end.
    Line(&'a [u8]),
    /// The head of an APPEND or REPLACE, or of a further message in it. The message follows as [`Event::Literal`] up to [`Event::AppendEnd`]. If [`Append::sync`] the
    /// client waits: answer with a continuation request, or with `NO` after [`Framer::append_refuse`].
    Append(Box<Append>),
    /// An octet string in a CATENATE: follows as [`Event::Literal`]. If [`AppendPart::sync`] the client waits, as for a message.
    Part(AppendPart),
    /// A URL in a CATENATE, whose octets are to be put here.
    Url(String),
    /// A piece of the APPEND's message.
    Literal(&'a [u8]),
    /// The APPEND is complete.
    AppendEnd,
    /// The command is refused and done with: answer `BAD` (without a tag: untagged). Ends an APPEND too.
    Rejected {
        /// The tag, if one could be read.
        tag: Option<String>,
        /// Why.
        error: Error,
    },
    /// The client doesn't come to an end: say `BYE` and close.
    Fatal(Error),
}

#[derive(Debug)]
enum State {
    /// In the line of a command.
    Line,
    /// In a literal of a command.
    Literal { left: u64 },
    /// In the message of an APPEND.
    Message { left: u64 },
    /// Behind a message of an APPEND.
    MessageTail,
    /// In a line that is thrown away; its last octets are in the buffer.
    Discard { error: Error },
    /// In a literal that is thrown away.
    DiscardLiteral { left: u64, error: Error },
    /// One raw line was asked for.
    Raw,
    /// Too much came.
    Dead,
}

/// Cuts a stream of octets into commands.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
    buffer: Vec<u8>,
    /// Where in `buffer` the current line of the command starts.
    line_start: usize,
    /// The tag of a command that is being thrown away or whose message is coming.
    tag: Option<String>,
    discarded: u64,
    /// The buffer was handed out and is to be emptied first.
    spent: bool,
    utf8: bool,
    /// The APPEND that is being read, from the first of its messages on.
    appending: Option<Box<Appending>>,
    /// What was understood and not handed out yet.
    queue: VecDeque<Event<'static>>,
}

impl Framer {
    /// A framer at the beginning of a connection.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            state: State::Line,
            buffer: Vec::new(),
            line_start: 0,
            tag: None,
            discarded: 0,
            spent: false,
            utf8: false,
            appending: None,
            queue: VecDeque::new(),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Other limits from here on, such as when somebody has logged in.
    pub fn limits_set(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Mailbox names come in UTF-8 from here on (IMAP4rev2 was enabled).
    pub fn utf8_enable(&mut self) {
        self.utf8 = true;
    }

    /// The next line is no command but a SASL response or the end of IDLE.
    pub fn expect_line(&mut self) {
        self.reset();
        self.state = State::Raw;
    }

    /// The synchronizing literal of the last [`Event::Append`] is not wanted: the client will not send it.
    pub fn append_refuse(&mut self) {
        self.reset();
    }

    /// Whether [`input`](Self::input) has something to say without any further octet.
    pub fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether a command has begun and not ended.
    pub fn is_midway(&self) -> bool {
        !(self.spent || (matches!(self.state, State::Line | State::Raw) && self.buffer.is_empty()))
    }

    /// Gives memory back. To be called when nothing is to be expected for a while.
    pub fn shrink(&mut self) {
        if self.spent {
            self.reset_buffer();
        }
        self.buffer.shrink_to_fit();
    }

    /// Takes octets from the connection and says what the first of them mean. To be called until [`Event::More`] comes, each time
    /// with what the call before has left.
    pub fn input<'a>(&'a mut self, input: &'a [u8]) -> Step<'a> {
        if self.spent {
            self.reset_buffer();
        }
        if let Some(event) = self.queue.pop_front() {
            return Step { used: 0, event };
        }
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            match &mut self.state {
                State::Message { left } if *left > 0 => {
                    let piece = head(rest, *left);
                    if piece.is_empty() {
                        return Step {
                            used,
                            event: Event::More,
                        };
                    }
                    *left -= piece.len() as u64;
                    return Step {
                        used: used + piece.len(),
                        event: Event::Literal(piece),
                    };
                }
                State::Message { .. } => {
                    self.state = State::MessageTail;
                    continue;
                }
                State::Literal { left } => {
                    let piece = head(rest, *left);
                    used += piece.len();
                    *left -= piece.len() as u64;
                    self.buffer.extend_from_slice(piece);
                    if *left > 0 {
                        return Step {
                            used,
                            event: Event::More,
                        };
                    }
                    self.line_start = self.buffer.len();
                    self.state = match self.appending {
                        Some(_) => State::MessageTail,
                        None => State::Line,
                    };
                    continue;
                }
                State::DiscardLiteral { left, error } => {
                    let piece = head(rest, *left);
                    used += piece.len();
                    *left -= piece.len() as u64;
                    if *left > 0 {
                        return Step {
                            used,
                            event: Event::More,
                        };
                    }
                    self.state = State::Discard { error: error.clone() };
                    continue;
                }
                State::Dead => {
                    return Step {
                        used: input.len(),
                        event: Event::Fatal(Error::CommandTooLong),
                    };
                }
                State::Line | State::Raw | State::MessageTail | State::Discard { .. } => {}
            }

            let Some(len) = memchr::memchr(b'\n', rest).map(|i| i + 1) else {
                if let Some(event) = self.line_part(rest) {
                    return Step {
                        used: input.len(),
                        event,
                    };
                }
                return Step {
                    used: input.len(),
                    event: Event::More,
                };
            };
            used += len;
            let line = rest.get(..len).unwrap_or_default();

            // The common case: a whole line at once, no literal, nothing to copy.
            if self.buffer.is_empty() && len <= self.limits.line {
                let text = without_end(line);
                match self.state {
                    State::Raw => {
                        self.state = State::Line;
                        return Step {
                            used,
                            event: Event::Line(text),
                        };
                    }
                    State::Line if !text.ends_with(b"}") && !is_catenation(text) => {
                        return Step {
                            used,
                            event: Event::Command(text),
                        };
                    }
                    _ => {}
                }
            }
            if let Some(event) = self.line_part(line) {
                return Step {
                    used: input.len(),
                    event,
                };
            }
            if let Some(outcome) = self.line_end() {
                let used = if matches!(outcome, Outcome::Fatal) {
                    input.len()
                } else {
                    used
                };
                return Step {
                    used,
                    event: self.outcome(outcome),
                };
            }
        }
    }

    /// Part of a line, perhaps with its end, goes into the buffer.
    fn line_part(&mut self, part: &[u8]) -> Option<Event<'static>> {
        match &self.state {
            State::Discard { .. } => {
                self.discarded += part.len() as u64;
                if self.discarded > self.limits.discard {
                    self.state = State::Dead;
                    self.reset_buffer();
                    return Some(Event::Fatal(Error::CommandTooLong));
                }
                self.keep_tail(part);
                None
            }
            _ => {
                let over = self.buffer.len() - self.line_start + part.len() > self.limits.line
                    || self.buffer.len() + part.len() > self.limits.command;
                if !over {
                    self.buffer.extend_from_slice(part);
                    return None;
                }
                // What of the line came before counts like the rest of it, and may hold the beginning of its literal mark.
                let came = self.buffer.get(self.line_start..).unwrap_or_default();
                self.discarded += came.len() as u64;
                let tail = came.get(came.len().saturating_sub(TAIL)..).unwrap_or_default().to_vec();
                if self.tag.is_none() {
                    let missing = (TAG + 1).saturating_sub(self.buffer.len()).min(part.len());
                    self.buffer.extend_from_slice(part.get(..missing).unwrap_or_default());
                    self.tag = tag_of(&self.buffer);
                }
                self.reset_buffer();
                self.buffer.extend_from_slice(&tail);
                self.state = State::Discard {
                    error: Error::LineTooLong,
                };
                self.line_part(part)
            }
        }
    }

    fn keep_tail(&mut self, part: &[u8]) {
        let from = part.len().saturating_sub(TAIL);
        self.buffer.extend_from_slice(part.get(from..).unwrap_or_default());
        let excess = self.buffer.len().saturating_sub(TAIL);
        self.buffer.drain(..excess);
    }

    /// A line is complete in the buffer. `None`: go on reading.
    fn line_end(&mut self) -> Option<Outcome> {
        let line = without_end(self.buffer.get(self.line_start..).unwrap_or_default());
        match &self.state {
            State::Raw => Some(Outcome::Line),
            State::MessageTail => self.append_segment(),
            State::Discard { error } => {
                let error = error.clone();
                match literal_mark(line) {
                    Ok(Some(mark)) if !mark.sync => self.discard_literal(mark, error),
                    Err(_) => Some(Outcome::Fatal),
                    _ => Some(Outcome::Rejected(error)),
                }
            }
            _ => match literal_mark(line) {
                Ok(None) => self.command_end(),
                Ok(Some(mark)) => self.literal_begin(mark),
                // The number has more digits than any literal: there is no telling where it ends.
                Err(_) if line.ends_with(b"+}") => Some(Outcome::Fatal),
                Err(error) => {
                    self.tag = tag_of(&self.buffer);
                    Some(Outcome::Rejected(error))
                }
            },
        }
    }

    fn literal_begin(&mut self, mark: LiteralMark) -> Option<Outcome> {
        let command = without_end(&self.buffer);
        let head = command
            .get(..command.len().saturating_sub(mark.width))
            .unwrap_or_default();
        match append_begin(head, Some(mark), self.utf8, &self.limits) {
            None | Some(Ok((Segment::Argument, _))) => {}
            Some(Ok((segment, appending))) => {
                if !mark.sync && mark.size > self.limits.nonsync_literal {
                    return self.literal_refuse(mark, Error::LiteralTooBig);
                }
                self.appending = Some(Box::new(appending));
                return self.append_pieces(segment, Some(mark));
            }
            Some(Err(error)) => return self.literal_refuse(mark, error),
        }
        self.literal_gather(mark)
    }

    /// A command without a literal at its end: one that hands over messages by URLs alone, or any other.
    fn command_end(&mut self) -> Option<Outcome> {
        let command = without_end(&self.buffer);
        match append_begin(command, None, self.utf8, &self.limits) {
            Some(Ok((segment @ Segment::Complete(_), appending))) => {
                self.appending = Some(Box::new(appending));
                self.append_pieces(segment, None)
            }
            _ => Some(Outcome::Command),
        }
    }

    /// A line of an APPEND behind one of its messages.
    fn append_segment(&mut self) -> Option<Outcome> {
        let text = without_end(&self.buffer);
        let mark = match literal_mark(without_end(self.buffer.get(self.line_start..).unwrap_or_default())) {
            Ok(mark) => mark,
            Err(_) => return Some(Outcome::Fatal),
        };
        let width = mark.map_or(0, |mark| mark.width);
        let segment = text.get(..text.len().saturating_sub(width)).unwrap_or_default();
        let Some(appending) = &mut self.appending else {
            return Some(Outcome::Rejected(Error::OneMessage));
        };
        match (appending.segment(segment, mark, self.utf8, &self.limits), mark) {
            (Ok(Segment::Argument), Some(mark)) => self.literal_gather(mark),
            (Ok(_), Some(mark)) if !mark.sync && mark.size > self.limits.nonsync_literal => {
                self.literal_refuse(mark, Error::LiteralTooBig)
            }
            (Ok(segment), mark) => self.append_pieces(segment, mark),
            (Err(error), Some(mark)) => self.literal_refuse(mark, error),
            (Err(error), None) => Some(Outcome::Rejected(error)),
        }
    }

    /// Hands out what a segment means, and takes the literal behind it for a message's.
    fn append_pieces(&mut self, segment: Segment, mark: Option<LiteralMark>) -> Option<Outcome> {
        let (pieces, complete) = match segment {
            Segment::Complete(pieces) => (pieces, true),
            Segment::Pieces(pieces) => (pieces, false),
            Segment::Argument => return Some(Outcome::Rejected(Error::Expected("a message as literal"))),
        };
        self.tag = self.appending.as_ref().map(|appending| appending.tag().to_owned());
        self.reset_buffer();
        for piece in pieces {
            self.queue.push_back(match piece {
                Piece::Message(append) => Event::Append(Box::new(append)),
                Piece::Part(part) => Event::Part(part),
                Piece::Url(url) => Event::Url(url),
            });
        }
        if complete {
            self.queue.push_back(Event::AppendEnd);
            self.appending = None;
            self.tag = None;
            self.state = State::Line;
        } else {
            self.state = State::Message {
                left: mark.map_or(0, |mark| mark.size),
            };
        }
        Some(Outcome::Queued)
    }

    fn literal_gather(&mut self, mark: LiteralMark) -> Option<Outcome> {
        let whole = (self.buffer.len() as u64).saturating_add(mark.size);
        if mark.size > self.limits.literal
            || whole > self.limits.command as u64
            || (!mark.sync && mark.size > self.limits.nonsync_literal)
        {
            return self.literal_refuse(mark, Error::LiteralTooBig);
        }
        self.state = State::Literal { left: mark.size };
        if mark.sync { Some(Outcome::Continue) } else { None }
    }

    fn literal_refuse(&mut self, mark: LiteralMark, error: Error) -> Option<Outcome> {
        if self.appending.is_none() {
            self.tag = tag_of(&self.buffer);
        }
        if mark.sync {
            Some(Outcome::Rejected(error))
        } else {
            self.discard_literal(mark, error)
        }
    }

    fn discard_literal(&mut self, mark: LiteralMark, error: Error) -> Option<Outcome> {
        self.discarded = self.discarded.saturating_add(mark.size);
        self.reset_buffer();
        if self.discarded > self.limits.discard {
            return Some(Outcome::Fatal);
        }
        self.state = State::DiscardLiteral { left: mark.size, error };
        None
    }

    fn outcome(&mut self, outcome: Outcome) -> Event<'_> {
        match outcome {
            Outcome::Continue => Event::Continue,
            Outcome::Command => {
                self.spent = true;
                self.state = State::Line;
                Event::Command(without_end(&self.buffer))
            }
            Outcome::Line => {
                self.spent = true;
                self.state = State::Line;
                Event::Line(without_end(&self.buffer))
            }
            Outcome::Queued => self.queue.pop_front().unwrap_or(Event::More),
            Outcome::Rejected(error) => {
                let tag = self.tag.take();
                self.reset();
                Event::Rejected { tag, error }
            }
            Outcome::Fatal => {
                self.reset();
                self.state = State::Dead;
                Event::Fatal(Error::CommandTooLong)
            }
        }
    }

    fn reset(&mut self) {
        self.state = State::Line;
        self.tag = None;
        self.appending = None;
        self.queue.clear();
        self.discarded = 0;
        self.reset_buffer();
    }

    fn reset_buffer(&mut self) {
        self.spent = false;
        self.buffer.clear();
        self.line_start = 0;
        self.buffer.shrink_to(KEPT);
    }
}

enum Outcome {
    Continue,
    Command,
    Line,
    Queued,
    Rejected(Error),
    Fatal,
}

fn head(input: &[u8], left: u64) -> &[u8] {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    input.get(..len).unwrap_or_default()
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a line may be an APPEND or REPLACE that needs no literal.
fn is_catenation(line: &[u8]) -> bool {
    line.ends_with(b")") && line.windows(8).any(|window| window.eq_ignore_ascii_case(b"CATENATE"))
}

fn tag_of(command: &[u8]) -> Option<String> {
    let len = command.iter().take(TAG + 1).position(|&b| !is_tag(b))?;
    let tag = command
        .get(..len)
        .filter(|tag| !tag.is_empty() && command.get(len) == Some(&b' '))?;
    String::from_utf8(tag.to_vec()).ok()
}
