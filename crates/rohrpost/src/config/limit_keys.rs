//! The keys of `[limits]`.

use super::keys::{Key, Kind, Section, Set, at_least_one, setting};
use super::{Config, Limits};
use std::time::Duration;

const fn limit(name: &'static str, kind: Kind, default: &'static str, about: &'static str, set: Set) -> Key {
    setting(Section::Limits, name, kind, default, about, set)
}

fn put(config: &mut Config, change: impl FnOnce(&mut Limits)) -> Result<(), String> {
    change(&mut config.limits);
    Ok(())
}

pub static KEYS: &[Key] = &[
    limit(
        "message_size",
        Kind::Size,
        "\"100 MiB\"",
        "The largest message, in SMTP, LMTP and IMAP APPEND. Announced as SIZE.",
        |c, g| {
            if g.number() < 64 * 1024 || g.number() > u64::from(u32::MAX) {
                return Err("must be between 64 KiB (RFC 5321 §4.5.3.1.7) and 4 GB".to_owned());
            }
            put(c, |l| l.message_size = g.number())
        },
    ),
    limit(
        "recipients",
        Kind::Number,
        "1000",
        "Recipients of one message.",
        |c, g| {
            if g.number() < 100 {
                return Err("must be at least 100 (RFC 5321 §4.5.3.1.8)".to_owned());
            }
            put(c, |l| l.recipients = g.number())
        },
    ),
    limit(
        "header_size",
        Kind::Size,
        "\"1 MiB\"",
        "The largest header of a message that comes by SMTP or LMTP.",
        |c, g| {
            if g.number() < 64 * 1024 {
                return Err("must be at least 64 KiB".to_owned());
            }
            put(c, |l| l.header_size = g.number())
        },
    ),
    limit(
        "hops",
        Kind::Number,
        "50",
        "`Received` lines in a message; one with more runs in a circle and is refused.",
        |c, g| {
            if g.number() < 30 {
                return Err("must be at least 30".to_owned());
            }
            put(c, |l| l.hops = g.number())
        },
    ),
    limit(
        "smtp_command_line",
        Kind::Size,
        "2000",
        "Octets in one SMTP or LMTP command.",
        |c, g| {
            if g.number() < 512 {
                return Err("must be at least 512 (RFC 5321 §4.5.3.1.4)".to_owned());
            }
            put(c, |l| l.smtp_command_line = g.number())
        },
    ),
    limit(
        "smtp_errors",
        Kind::Number,
        "20",
        "Refused commands after which an SMTP session is ended.",
        |c, g| {
            let n = at_least_one(g)?;
            put(c, |l| l.smtp_errors = n)
        },
    ),
    limit(
        "smtp_refused_recipients",
        Kind::Number,
        "100",
        "Refused recipients after which an SMTP session is ended.",
        |c, g| {
            let n = at_least_one(g)?;
            put(c, |l| l.smtp_refused_recipients = n)
        },
    ),
    limit(
        "smtp_idle",
        Kind::Duration,
        "\"5 min\"",
        "Silence after which an SMTP session is ended (RFC 5321 §4.5.3.2.7 asks for 5 minutes).",
        |c, g| put(c, |l| l.smtp_idle = g.duration()),
    ),
    limit(
        "smtp_session",
        Kind::Duration,
        "\"2 h\"",
        "The longest an SMTP session may last.",
        |c, g| put(c, |l| l.smtp_session = g.duration()),
    ),
    limit(
        "bad_recipient_delay",
        Kind::Duration,
        "\"500 ms\"",
        "Pause before each refusal of a recipient that does not exist: it makes guessing addresses slow.",
        |c, g| put(c, |l| l.bad_recipient_delay = g.duration()),
    ),
    limit(
        "login_failure_delay",
        Kind::Duration,
        "\"2 s\"",
        "Pause before a failed login is answered: it makes guessing passwords slow.",
        |c, g| put(c, |l| l.login_failure_delay = g.duration()),
    ),
    limit(
        "login_failures",
        Kind::Number,
        "5",
        "Failed logins after which a session is ended.",
        |c, g| {
            let n = at_least_one(g)?;
            put(c, |l| l.login_failures = n)
        },
    ),
    limit(
        "connections",
        Kind::Number,
        "10000",
        "Connections at once on one listener.",
        |c, g| {
            let n = at_least_one(g)?;
            put(c, |l| l.connections = n)
        },
    ),
    limit(
        "connections_per_address",
        Kind::Number,
        "200",
        "Connections at once from one client address on one listener.",
        |c, g| {
            let n = at_least_one(g)?;
            put(c, |l| l.connections_per_address = n)
        },
    ),
    limit(
        "handshake",
        Kind::Duration,
        "\"30 s\"",
        "How long a TLS handshake or a PROXY protocol header may take.",
        |c, g| put(c, |l| l.handshake = g.duration()),
    ),
    limit(
        "imap_line",
        Kind::Size,
        "\"64 KiB\"",
        "Octets in one IMAP command, literals of APPEND not counted.",
        |c, g| {
            if g.number() < 8192 {
                return Err("must be at least 8 KiB (RFC 7162 §4)".to_owned());
            }
            put(c, |l| l.imap_line = g.number())
        },
    ),
    limit(
        "imap_messages",
        Kind::Number,
        "0",
        "Messages that one IMAP command works on, announced as MESSAGELIMIT (RFC 9738); 0: as many as there are.",
        |c, g| put(c, |l| l.imap_messages = g.number()),
    ),
    limit(
        "imap_contexts",
        Kind::Number,
        "16",
        "Searches of one IMAP session whose results are kept up to date for its client (RFC 5267); each change of the mailbox is put to each \
         of them.",
        |c, g| {
            let n = at_least_one(g)?;
            put(c, |l| l.imap_contexts = n)
        },
    ),
    limit(
        "imap_errors",
        Kind::Number,
        "50",
        "Commands that cannot be read (BAD; -ERR) after which an IMAP or POP3 session is ended.",
        |c, g| {
            let n = at_least_one(g)?;
            put(c, |l| l.imap_errors = n)
        },
    ),
    limit(
        "imap_login_idle",
        Kind::Duration,
        "\"1 min\"",
        "Silence after which an IMAP or POP3 session is ended that has not logged in.",
        |c, g| put(c, |l| l.imap_login_idle = g.duration()),
    ),
    limit(
        "imap_idle",
        Kind::Duration,
        "\"30 min\"",
        "Silence after which a logged-in IMAP session is ended (RFC 9051 §5.4 asks for 30 minutes).",
        |c, g| {
            if g.duration() < Duration::from_secs(60) {
                return Err("must be at least 1 min".to_owned());
            }
            put(c, |l| l.imap_idle = g.duration())
        },
    ),
    limit(
        "imap_stall",
        Kind::Duration,
        "\"5 min\"",
        "How long an IMAP or POP3 client may take to read a piece of an answer, or to send a piece of a message.",
        |c, g| put(c, |l| l.imap_stall = g.duration()),
    ),
    limit(
        "pop3_idle",
        Kind::Duration,
        "\"10 min\"",
        "Silence after which a logged-in POP3 session is ended, without removing anything, so that another one can have the mailbox \
         (RFC 1939 §3 asks for at least 10 minutes).",
        |c, g| {
            if g.duration() < Duration::from_secs(600) {
                return Err("must be at least 10 min".to_owned());
            }
            put(c, |l| l.pop3_idle = g.duration())
        },
    ),
    limit(
        "shutdown",
        Kind::Duration,
        "\"10 s\"",
        "How long running sessions may go on after SIGTERM before they are cut.",
        |c, g| put(c, |l| l.shutdown = g.duration()),
    ),
];
