//! What a script may ask of the world around it. The interpreter itself knows only the message.

use std::sync::Arc;

use crate::program::Compiled;

/// The envelope of the message (RFC 5228 §5.4, RFC 6009).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The sender, without angle brackets; `Some("")` is the null sender, `None` if there is no envelope.
    pub from: Option<String>,
    /// The recipient that the script runs for.
    pub to: Option<String>,
    /// The recipient as it was first given, before aliases. For `vacation` and envelope parts `orig_to`.
    pub original_to: Option<String>,
    /// `AUTH=` of the sender.
    pub auth: Option<String>,
    /// `NOTIFY=`, its words separated by commas.
    pub notify: Option<String>,
    /// `ORCPT=`, decoded.
    pub orcpt: Option<String>,
    /// `RET=`.
    pub ret: Option<String>,
    /// `ENVID=`, decoded.
    pub envid: Option<String>,
    /// `BY=`, its time as a moment: seconds since 1970, and its mode (`N`, `R`), and whether it is traced.
    pub by: Option<DeliverBy>,
}

/// The BY parameter (RFC 2852).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverBy {
    /// When it is to be delivered: seconds since 1970.
    pub time: i64,
    /// `N` (notify) or `R` (return).
    pub mode: char,
    /// Whether `T` was given.
    pub trace: bool,
}

/// Whose script an `include` names (RFC 6609 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// The user's.
    Personal,
    /// The administrator's.
    Global,
}

/// What came of looking for a script to include.
#[derive(Debug, Clone)]
pub enum Included {
    /// There is none of that name.
    Missing,
    /// There is one, with errors: what to tell.
    Broken(String),
    /// Here it is.
    Script(Arc<Compiled>),
}

/// A score as `spamtest` and `virustest` know it (RFC 5235).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// 0.0 is surely good, 1.0 surely spam or infected.
    pub share: f64,
}

/// Which kind of program a script starts (Dovecot's `vnd.dovecot.pipe`, `.filter`, `.execute`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// Gets the message, gives nothing.
    Pipe,
    /// Gets the message, gives another.
    Filter,
    /// Gets some text, gives some.
    Execute,
}

/// An id of a message that `duplicate` asks about (RFC 7352).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DuplicateId {
    /// The name of the list it is kept in; empty for the usual one.
    pub handle: String,
    /// The id.
    pub id: String,
}

/// The world around a script. Every question has an answer that suits where there is nothing to ask: no mailbox but the inbox,
/// no list, no score, no program.
///
/// The answers are taken for true while the script runs; none of these calls may change anything.
pub trait World {
    /// An item of `environment` (RFC 5183), such as `domain`, `host`, `location`, `name`, `phase`, `remote-host`, `remote-ip`,
    /// `version`, or of imapsieve (RFC 6785 §3.5): `imap.user`, `imap.email`, `imap.cause`, `imap.mailbox`, `imap.changedflags`.
    /// `None`: unknown item, on which every test fails.
    fn environment(&self, item: &str) -> Option<String> {
        let _ = item;
        None
    }

    /// `${env.NAME}` of vnd.dovecot.environment: any item of `environment`, such as `vnd.dovecot.username` and
    /// `vnd.dovecot.config.SETTING`; the prefix of settings may be left out.
    fn environment_variable(&self, name: &str) -> Option<String> {
        self.environment(name)
            .or_else(|| self.environment(&format!("vnd.dovecot.config.{name}")))
    }

    /// Minutes east of UTC at that moment, where the user lives. For `date` and `currentdate` without a zone.
    fn zone_minutes(&self, at: i64) -> i16 {
        let _ = at;
        0
    }

    /// Whether the user has a mailbox of that name and may file into it (RFC 5490 §3.1). Names are UTF-8.
    fn mailbox_exists(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("inbox")
    }

    /// Whether a mailbox has that special use, any mailbox if none is named (RFC 8579 §3.1). `use_flag` is like `\Junk`.
    fn special_use_exists(&self, mailbox: Option<&str>, use_flag: &str) -> bool {
        let _ = (mailbox, use_flag);
        false
    }

    /// Whether there is a mailbox of that id (RFC 9042).
    fn mailbox_id_exists(&self, id: &str) -> bool {
        let _ = id;
        false
    }

    /// An annotation of a mailbox (RFC 5490 §3.3); `None` if there is none.
    fn mailbox_metadata(&self, mailbox: &str, annotation: &str) -> Option<String> {
        let _ = (mailbox, annotation);
        None
    }

    /// An annotation of the server (RFC 5490 §3.5).
    fn server_metadata(&self, annotation: &str) -> Option<String> {
        let _ = annotation;
        None
    }

    /// Whether that id was seen before and is not forgotten yet (RFC 7352).
    fn duplicate_seen(&self, id: &DuplicateId) -> bool {
        let _ = id;
        false
    }

    /// A script to include (RFC 6609). The caller keeps compiled ones.
    fn include(&self, location: Location, name: &str) -> Included {
        let _ = (location, name);
        Included::Missing
    }

    /// Whether a list of that name may be used (RFC 6134 §2.8), such as `:addrbook:default`.
    fn list_exists(&self, list: &str) -> bool {
        let _ = list;
        false
    }

    /// Whether a value is in a list; `None` if the list cannot be asked.
    fn list_contains(&self, list: &str, value: &str) -> Option<bool> {
        let _ = (list, value);
        None
    }

    /// What the spam filter said; `None` if it did not look.
    fn spam_score(&self) -> Option<Score> {
        None
    }

    /// What the virus filter said, from 1 (clean) to 5 (infected); `None` if it did not look (RFC 5235 §3.3).
    fn virus_score(&self) -> Option<u8> {
        None
    }

    /// Whether there is an envelope to ask about; where there is none, the test `envelope` ends the script (RFC 6785 §4.6).
    fn has_envelope(&self) -> bool {
        true
    }

    /// Whether what is kept goes to the inbox, so that `keep` and filing into INBOX are one. Not so on IMAP events: there `keep` leaves a
    /// message where it is, and filing always makes another (RFC 6785 §3.3).
    fn keeps_in_inbox(&self) -> bool {
        true
    }

    /// Flags that the message has already: for scripts that run on IMAP events.
    fn flags(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the administrator listed that program.
    fn program_listed(&self, kind: ProgramKind, name: &str) -> bool {
        let _ = (kind, name);
        false
    }

    /// Runs a listed program on some input. `Err`: what went wrong. `Ok(None)`: it ended with a failure of its own.
    fn program_run(
        &self,
        kind: ProgramKind,
        name: &str,
        arguments: &[String],
        input: &[u8],
    ) -> Result<Option<Vec<u8>>, String> {
        let _ = (kind, name, arguments, input);
        Err("programs are not run here".into())
    }

    /// Whether notifications by that method can be sent (RFC 5435 §4); `method` is the URI's scheme in small letters.
    fn notify_method(&self, method: &str) -> bool {
        method == "mailto"
    }

    /// A capability of a notification method for a recipient (RFC 5435 §5), such as `online`: `yes`, `no`, `maybe`.
    fn notify_capability(&self, uri: &str, capability: &str) -> Option<String> {
        let _ = uri;
        capability.eq_ignore_ascii_case("online").then(|| "maybe".to_owned())
    }
}

/// A world in which there is nothing but the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl World for Nowhere {}
