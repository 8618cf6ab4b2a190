//! What a door is, offers and bears.

use std::time::Duration;

/// What a door is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Mail from other servers (RFC 5321).
    Mx,
    /// Mail from people's own programs (RFC 6409).
    Submission,
    /// The last hop from another mail server of the house (RFC 2033).
    Lmtp,
}

/// Who may and who must log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication {
    /// `AUTH` is there.
    pub offered: bool,
    /// No mail without it: `530`.
    pub required: bool,
    /// `AUTH` works without TLS. For loopback addresses only.
    pub plaintext: bool,
    /// Access tokens can be verified: `OAUTHBEARER` and `XOAUTH2` are there.
    pub tokens: bool,
}

/// A door's settings, shared by its sessions.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our name, in the greeting, in `EHLO` and in Received.
    pub hostname: String,
    /// What the door is for.
    pub role: Role,
    /// `STARTTLS` is there (until TLS is on).
    pub starttls: bool,
    /// Who may and must log in.
    pub authentication: Authentication,
    /// Take a CR or LF that stands alone, in commands and in `DATA`. Off by default: this is what message smuggling lives on. When on, a
    /// lone LF ends a command, but never the message.
    pub bare_newlines: bool,
    /// The longest that a message may wait with us until it is sent, in seconds: `FUTURERELEASE` (RFC 4865), which is for submission alone.
    /// `None`: messages are sent at once.
    pub future_release: Option<u32>,
    /// The limits.
    pub limits: Limits,
}

impl Config {
    /// The settings a door of this role starts from: no TLS, nobody logs in on `Mx` and `Lmtp`, everybody on `Submission`.
    pub fn new(role: Role, hostname: impl Into<String>) -> Config {
        let submission = role == Role::Submission;
        Config {
            hostname: hostname.into(),
            role,
            starttls: false,
            authentication: Authentication {
                offered: submission,
                required: submission,
                plaintext: false,
                tokens: false,
            },
            bare_newlines: false,
            future_release: None,
            limits: Limits::default(),
        }
    }
}

/// The limits of a session. Sizes are in octets.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A command line with its CRLF; a longer one is answered `500 5.5.2`. Default 2,000: RFC 5321 §4.5.3.1.4 asks for 512, its
    /// extensions add to that.
    pub command_line: usize,
    /// A line of an `AUTH` exchange with its CRLF; a longer one is answered `500 5.5.6`. Default 12,288 (RFC 4954 §4).
    pub auth_line: usize,
    /// Replies a client may send in one `AUTH` exchange. Default 8.
    pub auth_rounds: u32,
    /// Failed logins before `421`. Default 5.
    pub login_failures: u32,
    /// Recipients of a message; further ones are answered `452 4.5.3`. Default 1,000.
    pub recipients: usize,
    /// Size of a message, announced by `SIZE` (RFC 1870). Default 104,857,600.
    pub message_size: u64,
    /// Size of a message's header. Default 1,048,576.
    pub header_size: u64,
    /// Received lines before a message is taken to be in a loop (RFC 5321 §6.3): `554 5.4.6`. Default 50.
    pub hops: u32,
    /// Octets of messages and lines that cannot be taken, read and thrown away in a session; then the connection ends. Default
    /// 268,435,456.
    pub discard: u64,
    /// Wrong commands before `421`. Default 20.
    pub errors: u32,
    /// Refused recipients in a session before `421`. Default 100.
    pub refused_recipients: u32,
    /// How long a session may be silent; the shell enforces it. Default 5 minutes (RFC 5321 §4.5.3.2.7).
    pub idle: Duration,
    /// How long a session may last; the shell enforces it, between messages. Default 2 hours.
    pub session: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            command_line: 2_000,
            auth_line: 12_288,
            auth_rounds: 8,
            login_failures: 5,
            recipients: 1_000,
            message_size: 100 * 1024 * 1024,
            header_size: 1024 * 1024,
            hops: 50,
            discard: 256 * 1024 * 1024,
            errors: 20,
            refused_recipients: 100,
            idle: Duration::from_secs(300),
            session: Duration::from_secs(7_200),
        }
    }
}
