//! One message on its way: who takes it, who does not, and what is known when the connection ends too early.

use super::capabilities::Capabilities;
use super::content::{Content, Stuffer};
use super::reply::{Reply, Violation};
use crate::Status;
use std::collections::VecDeque;

/// What is to be sent. Addresses and parameters are as a [`crate::Session`] has read them.
#[derive(Clone, Debug)]
pub struct Mail<'a> {
    /// The reverse path; empty for `<>`.
    pub sender: &'a str,
    /// At least one.
    pub recipients: Vec<Recipient<'a>>,
    /// Octets of the message.
    pub size: u64,
    /// What its octets ask of the way.
    pub content: Content,
    /// It came with REQUIRETLS, which is passed on (RFC 8689 §4.2.1).
    pub requiretls: bool,
    /// `ENVID`, in xtext.
    pub envid: Option<&'a str>,
    /// `RET`.
    pub ret: Option<&'a str>,
}

/// A recipient.
#[derive(Clone, Debug)]
pub struct Recipient<'a> {
    /// The address.
    pub address: &'a str,
    /// `NOTIFY`.
    pub notify: Option<&'a str>,
    /// `ORCPT`, in xtext.
    pub original: Option<&'a str>,
}

impl Mail<'_> {
    /// Whether it can only go to a server with SMTPUTF8 (RFC 6531 §3.2): by its addresses or its header, not by what was said about it.
    pub fn needs_smtputf8(&self) -> bool {
        self.content.utf8_header
            || !self.sender.is_ascii()
            || self.recipients.iter().any(|recipient| !recipient.address.is_ascii())
    }
}

/// What came of it for a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server has taken responsibility.
    Taken(Reply),
    /// The server refused.
    Refused(Reply),
    /// The connection ended before the message was given as a whole, or the service was closed with this reply: nothing was taken.
    Broken(Option<Reply>),
    /// The connection ended after the last octet and before the answer: it may have been taken (RFC 1047).
    Doubtful,
}

/// What a server lacks that a message needs, in words for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than the server's SIZE (RFC 1870 §6.1).
    #[error("the message has {size} octets, and the server takes {limit}")]
    Size {
        /// Octets of the message.
        size: u64,
        /// What the server takes.
        limit: u64,
    },
    /// 8-bit content and no 8BITMIME. It is not converted: that would break every signature in it (RFC 6152 §3).
    #[error("the message has 8-bit content, and the server does not offer 8BITMIME")]
    EightBit,
    /// Binary content and no BINARYMIME (RFC 3030 §3).
    #[error("the message has binary content or line ends that are none, and the server does not offer BINARYMIME")]
    Binary,
    /// Addresses or header in UTF-8 and no SMTPUTF8 (RFC 6531 §3.2).
    #[error("the message has addresses or header fields that need SMTPUTF8, and the server does not offer it")]
    Utf8,
    /// REQUIRETLS is not offered (RFC 8689 §4.2.1).
    #[error("the message must go over verified TLS all the way (REQUIRETLS), and the server does not offer that")]
    RequireTls,
    /// An address that would end a command, or be none.
    #[error("the address cannot stand in a command")]
    Address,
}

impl Refusal {
    /// The enhanced status for it.
    pub fn status(self) -> Status {
        match self {
            Refusal::Size { .. } => Status(5, 3, 4),
            Refusal::EightBit | Refusal::Binary => Status(5, 6, 3),
            Refusal::Utf8 => Status(5, 6, 7),
            Refusal::RequireTls => Status(5, 7, 30),
            Refusal::Address => Status(5, 1, 3),
        }
    }
}

pub(super) fn check(mail: &Mail<'_>, has: &Capabilities) -> Result<(), Refusal> {
    let mut addresses = std::iter::once(mail.sender).chain(mail.recipients.iter().map(|r| r.address));
    if addresses.any(|address| address.chars().any(char::is_control)) {
        return Err(Refusal::Address);
    }
    match has.size_limit {
        Some(limit) if mail.size > limit => return Err(Refusal::Size { size: mail.size, limit }),
        _ => {}
    }
    if mail.requiretls && !has.requiretls {
        return Err(Refusal::RequireTls);
    }
    if mail.needs_smtputf8() && !has.smtputf8 {
        return Err(Refusal::Utf8);
    }
    if mail.content.binary && !has.binarymime {
        return Err(Refusal::Binary);
    }
    // RFC 6531 §3.1: who offers SMTPUTF8 takes 8 bits.
    if mail.content.eight_bit && !has.eightbitmime && !has.smtputf8 && !mail.content.binary {
        return Err(Refusal::EightBit);
    }
    Ok(())
}

/// What is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Mail,
    Recipient(usize),
    Data,
    Chunk,
}

#[derive(Clone, Debug)]
enum Way {
    /// `DATA`, with dots doubled.
    Data(Stuffer),
    /// One `BDAT … LAST`; so many octets are still to come.
    Chunk(u64),
}

/// How far the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    NotYet,
    Under,
    Given,
}

/// What is under way.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    steps: VecDeque<(Step, String)>,
    pipelining: bool,
    eager: bool,
    way: Way,
    progress: Progress,
    fates: Vec<Option<Fate>>,
    mail_taken: bool,
    /// Who was accepted and has no answer to the message yet, in order.
    takers: VecDeque<usize>,
    /// Answered behind its message, so that nothing is left of it at the server.
    complete: bool,
}

impl Transaction {
    pub(super) fn new(mail: &Mail<'_>, has: &Capabilities, eager: u64) -> Transaction {
        let mut line = format!("MAIL FROM:<{}>", mail.sender);
        if has.size {
            line.push_str(&format!(" SIZE={}", mail.size));
        }
        if mail.content.binary {
            line.push_str(" BODY=BINARYMIME");
        } else if mail.content.eight_bit && has.eightbitmime {
            line.push_str(" BODY=8BITMIME");
        }
        if mail.needs_smtputf8() {
            line.push_str(" SMTPUTF8");
        }
        if mail.requiretls {
            line.push_str(" REQUIRETLS");
        }
        if has.dsn {
            parameter(&mut line, "RET", mail.ret);
            parameter(&mut line, "ENVID", mail.envid);
        }
        line.push_str("\r\n");
        let mut steps = VecDeque::with_capacity(mail.recipients.len() + 2);
        steps.push_back((Step::Mail, line));
        for (index, recipient) in mail.recipients.iter().enumerate() {
            let mut line = format!("RCPT TO:<{}>", recipient.address);
            if has.dsn {
                parameter(&mut line, "NOTIFY", recipient.notify);
                parameter(&mut line, "ORCPT", recipient.original);
            }
            line.push_str("\r\n");
            steps.push_back((Step::Recipient(index), line));
        }
        let way = if has.chunking {
            steps.push_back((Step::Chunk, format!("BDAT {} LAST\r\n", mail.size)));
            Way::Chunk(mail.size)
        } else {
            steps.push_back((Step::Data, "DATA\r\n".to_owned()));
            Way::Data(Stuffer::new())
        };
        Transaction {
            steps,
            pipelining: has.pipelining,
            eager: mail.size <= eager,
            way,
            progress: Progress::NotYet,
            fates: vec![None; mail.recipients.len()],
            mail_taken: false,
            takers: VecDeque::new(),
            complete: false,
        }
    }

    /// The next command that may be written now; `settled`: every command before it has been answered.
    pub(super) fn next_step(&mut self, settled: bool, output: &mut Vec<u8>) -> Option<Step> {
        let (step, _) = self.steps.front()?;
        if settled && self.fates.iter().all(Option::is_some) {
            // Nobody is left to send it to.
            self.steps.clear();
            return None;
        }
        let now = match step {
            // A large message is not begun before it is known that somebody takes it.
            Step::Chunk => settled || (self.pipelining && self.eager),
            Step::Mail | Step::Recipient(_) | Step::Data => settled || self.pipelining,
        };
        if !now {
            return None;
        }
        let (step, line) = self.steps.pop_front()?;
        output.extend_from_slice(line.as_bytes());
        if step == Step::Chunk {
            self.progress = Progress::Under;
        }
        Some(step)
    }

    pub(super) fn mail_answered(&mut self, reply: Reply) -> Result<(), Violation> {
        if reply.is_positive() {
            self.mail_taken = true;
        } else if reply.is_refusal() {
            self.fates.fill(Some(Fate::Refused(reply)));
        } else {
            return Err(Violation::OutOfPlace);
        }
        Ok(())
    }

    pub(super) fn recipient_answered(&mut self, index: usize, reply: Reply) -> Result<(), Violation> {
        let fate = self.fates.get_mut(index).ok_or(Violation::Unasked)?;
        if fate.is_some() {
            // MAIL was refused, so whatever is said about this one does not count.
        } else if reply.is_positive() {
            self.takers.push_back(index);
        } else if reply.is_refusal() {
            *fate = Some(Fate::Refused(reply));
        } else {
            return Err(Violation::OutOfPlace);
        }
        Ok(())
    }

    /// The answer to DATA; true: the message can begin.
    pub(super) fn data_answered(&mut self, reply: &Reply, output: &mut Vec<u8>) -> Result<bool, Violation> {
        if (300..400).contains(&reply.code) {
            self.progress = Progress::Under;
            if self.takers.is_empty() {
                // RFC 2920 §3.1: with nobody to send it to, nothing is sent, and that has an end, too.
                self.body_end(output);
            }
            return Ok(true);
        }
        if !reply.is_refusal() {
            return Err(Violation::OutOfPlace);
        }
        self.refuse(reply);
        Ok(false)
    }

    /// An answer to the message; true: another one follows.
    pub(super) fn message_answered(&mut self, reply: Reply, each: bool) -> Result<bool, Violation> {
        if (300..400).contains(&reply.code) {
            return Err(Violation::OutOfPlace);
        }
        if self.progress != Progress::Given {
            if reply.is_positive() {
                // It cannot have taken what it has not got.
                return Err(Violation::OutOfPlace);
            }
            self.refuse(&reply);
            return Ok(false);
        }
        self.complete = !self.takers.is_empty() || matches!(self.way, Way::Data(_));
        let fate = |reply: Reply| {
            if reply.is_positive() {
                Fate::Taken(reply)
            } else {
                Fate::Refused(reply)
            }
        };
        if each {
            if let Some(index) = self.takers.pop_front() {
                self.settle(index, fate(reply));
            }
            return Ok(!self.takers.is_empty());
        }
        for index in std::mem::take(&mut self.takers) {
            self.settle(index, fate(reply.clone()));
        }
        Ok(false)
    }

    pub(super) fn wants_body(&self) -> bool {
        self.progress == Progress::Under
    }

    pub(super) fn is_given(&self) -> bool {
        self.progress == Progress::Given
    }

    pub(super) fn has_takers(&self) -> bool {
        !self.takers.is_empty()
    }

    pub(super) fn body(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        if self.progress != Progress::Under {
            return;
        }
        match &mut self.way {
            Way::Data(stuffer) => stuffer.write(piece, output),
            Way::Chunk(left) => {
                let piece = piece
                    .get(..usize::try_from(*left).unwrap_or(usize::MAX))
                    .unwrap_or(piece);
                *left -= piece.len() as u64;
                output.extend_from_slice(piece);
            }
        }
    }

    /// False: it is shorter than was said.
    pub(super) fn body_end(&mut self, output: &mut Vec<u8>) -> bool {
        if self.progress != Progress::Under {
            return true;
        }
        match &self.way {
            Way::Data(stuffer) => stuffer.finish(output),
            Way::Chunk(0) => {}
            Way::Chunk(_) => return false,
        }
        self.progress = Progress::Given;
        true
    }

    /// Whether the server holds a transaction that has not ended.
    pub(super) fn is_left_open(&self) -> bool {
        self.mail_taken && !self.complete
    }

    /// Whether it ended in the middle of the message.
    pub(super) fn is_cut_short(&self) -> bool {
        self.progress == Progress::Under
    }

    /// One fate for each recipient; who has none shares the fate of the connection.
    pub(super) fn end(self, closed_with: Option<Reply>) -> Vec<Fate> {
        let doubtful = self.progress == Progress::Given && closed_with.is_none();
        let rest = if doubtful {
            Fate::Doubtful
        } else {
            Fate::Broken(closed_with)
        };
        self.fates
            .into_iter()
            .map(|fate| fate.unwrap_or_else(|| rest.clone()))
            .collect()
    }

    fn settle(&mut self, index: usize, fate: Fate) {
        if let Some(slot) = self.fates.get_mut(index) {
            *slot = Some(fate);
        }
    }

    fn refuse(&mut self, reply: &Reply) {
        for index in std::mem::take(&mut self.takers) {
            self.settle(index, Fate::Refused(reply.clone()));
        }
    }
}

/// A parameter that came to us from outside, if it can stand in a line.
fn parameter(line: &mut String, keyword: &str, value: Option<&str>) {
    if let Some(value) = value
        && !value.is_empty()
        && value.chars().all(|c| !c.is_control() && c != ' ')
    {
        line.push_str(&format!(" {keyword}={value}"));
    }
}
