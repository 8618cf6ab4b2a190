//! How long to wait for what: RFC 5321 §4.5.3.2.

use std::time::Duration;

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing: it is the caller's turn.
    Idle,
    /// The greeting.
    Greeting,
    /// The answer to EHLO, AUTH, STARTTLS or RSET.
    Command,
    /// TLS.
    Handshake,
    /// The answer to MAIL.
    Mail,
    /// The answer to RCPT.
    Recipient,
    /// The answer to DATA.
    Data,
    /// That the server takes the next octets of the message.
    Content,
    /// The answer to the message.
    End,
    /// The answer to QUIT.
    Quit,
}

/// For how long. The defaults are what the standard asks for at least, except where it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Timeouts {
    pub greeting: Duration,
    pub command: Duration,
    /// Not in the standard: a minute.
    pub handshake: Duration,
    pub mail: Duration,
    pub recipient: Duration,
    pub data: Duration,
    pub content: Duration,
    pub end: Duration,
    /// Not in the standard: nothing depends on the answer, so 5 seconds.
    pub quit: Duration,
}

impl Timeouts {
    /// The time for a phase; `None` where nothing is awaited.
    pub fn of(&self, phase: Phase) -> Option<Duration> {
        Some(match phase {
            Phase::Idle => return None,
            Phase::Greeting => self.greeting,
            Phase::Command => self.command,
            Phase::Handshake => self.handshake,
            Phase::Mail => self.mail,
            Phase::Recipient => self.recipient,
            Phase::Data => self.data,
            Phase::Content => self.content,
            Phase::End => self.end,
            Phase::Quit => self.quit,
        })
    }

    /// The same, none longer than `most`.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Timeouts {
        Timeouts {
            greeting: self.greeting.min(most),
            command: self.command.min(most),
            handshake: self.handshake.min(most),
            mail: self.mail.min(most),
            recipient: self.recipient.min(most),
            data: self.data.min(most),
            content: self.content.min(most),
            end: self.end.min(most),
            quit: self.quit.min(most),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Timeouts {
            greeting: minutes(5),
            command: minutes(5),
            handshake: minutes(1),
            mail: minutes(5),
            recipient: minutes(5),
            data: minutes(2),
            content: minutes(3),
            end: minutes(10),
            quit: Duration::from_secs(5),
        }
    }
}
