//! The commands. RFC 9051 §6 and, where rev1 has more, RFC 3501 §6; one file for each group or extension.

mod acl;
mod append;
mod context;
mod copy;
mod fetch;
mod list;
mod mailboxes;
mod metadata;
mod multisearch;
mod notify;
mod qresync;
mod quota;
mod search;
mod session;
mod sort;
mod store;
mod urlauth;

pub use acl::{AclEntry, RightsChange, SetAcl};
pub use append::{Append, AppendPart, Replace};
pub(crate) use append::{Appending, Piece, Segment, append_begin};
pub use copy::Copy;
pub use fetch::{Fetch, FetchItem, Part, Partial, Section, SectionText};
pub use list::{List, ListReturn, ListSelect, Lsub};
pub use mailboxes::{Create, Select, StatusItem};
pub use metadata::{Depth, GetMetadata, MetadataQuery, SetMetadata};
pub use multisearch::{MultiSearch, Source};
pub use notify::{NOTIFY_EVENTS, Notify, NotifyEvents, NotifyGroup, NotifyMailboxes};
pub use qresync::Qresync;
pub use quota::SetQuota;
pub use search::{PartialRange, Search, SearchKey, SearchReturn};
pub use session::{Authenticate, Login, sasl_response};
pub use sort::{Sort, SortCriterion, SortKey, Thread};
pub use store::{Store, StoreAction};
pub use urlauth::ResetKey;

use crate::cursor::{Cursor, is_tag};
use crate::{Error, Limits, MailboxName, Result, SequenceSet};

/// A complete command with its tag.
#[derive(Debug, PartialEq)]
pub struct Request {
    /// The tag, to be repeated in the answer.
    pub tag: String,
    /// What is asked for.
    pub command: Command,
}

/// A command that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The tag, if there was one.
    pub tag: Option<String>,
    /// Why; [`Error::Charset`] is answered with `NO [BADCHARSET …]`, all else with `BAD`.
    pub error: Error,
    /// It was a search whose result was to be kept: where it is answered with `NO`, `$` is empty from then on (RFC 5182 §2.1).
    pub saves: bool,
}

impl Request {
    /// Understands what [`Event::Command`](crate::Event::Command) has handed out. With `utf8`, mailbox names are UTF-8, else
    /// modified UTF-7.
    pub fn parse(line: &[u8], utf8: bool, limits: &Limits) -> std::result::Result<Request, Refused> {
        let mut cursor = Cursor::new(line, utf8, limits);
        let tag = cursor.tag().map_err(|error| Refused {
            tag: None,
            error,
            saves: false,
        })?;
        match Command::parse(&mut cursor) {
            Ok(command) => Ok(Request { tag, command }),
            Err(error) => Err(Refused {
                tag: Some(tag),
                error,
                saves: cursor.saves,
            }),
        }
    }
}

/// What a client can ask for. APPEND is not among them: see [`Append`].
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// RFC 9051 §6.1.1
    Capability,
    /// §6.1.2
    Noop,
    /// §6.1.3
    Logout,
    /// §6.2.1
    StartTls,
    /// §6.2.2
    Authenticate(Authenticate),
    /// §6.2.3
    Login(Login),
    /// §6.3.1: names of extensions, in upper case.
    Enable(Vec<String>),
    /// §6.3.2 and §6.3.3
    Select(Select),
    /// §6.3.4
    Create(Create),
    /// §6.3.5
    Delete(MailboxName),
    /// §6.3.6
    Rename {
        /// The mailbox.
        from: MailboxName,
        /// Its new name.
        to: MailboxName,
    },
    /// §6.3.7
    Subscribe(MailboxName),
    /// §6.3.8
    Unsubscribe(MailboxName),
    /// §6.3.9
    List(List),
    /// RFC 3501 §6.3.9
    Lsub(Lsub),
    /// §6.3.10
    Namespace,
    /// §6.3.11
    Status {
        /// The mailbox.
        mailbox: MailboxName,
        /// What to tell of it.
        items: Vec<StatusItem>,
    },
    /// §6.3.13
    Idle,
    /// RFC 3501 §6.4.1
    Check,
    /// §6.4.1
    Close,
    /// §6.4.2
    Unselect,
    /// §6.4.3; with a set it is `UID EXPUNGE` (§6.4.9).
    Expunge(Option<SequenceSet>),
    /// §6.4.4
    Search(Search),
    /// RFC 5267 §4.3.5: tags of searches.
    CancelUpdate(Vec<String>),
    /// RFC 7377
    MultiSearch(MultiSearch),
    /// RFC 5256 §3
    Sort(Sort),
    /// RFC 5256 §3
    Thread(Thread),
    /// §6.4.5
    Fetch(Fetch),
    /// §6.4.6
    Store(Store),
    /// §6.4.7
    Copy(Copy),
    /// §6.4.8
    Move(Copy),
    /// RFC 4467: URL rumps with their mechanisms, in upper case.
    GenUrlAuth(Vec<(String, String)>),
    /// RFC 4467
    ResetKey(ResetKey),
    /// RFC 4467
    UrlFetch(Vec<String>),
    /// RFC 2971
    Id(Vec<(String, Option<String>)>),
    /// RFC 4978: the algorithm, in upper case.
    Compress(String),
    /// RFC 8437
    Unauthenticate,
    /// RFC 4314 §3.1
    SetAcl(SetAcl),
    /// RFC 4314 §3.2
    DeleteAcl(AclEntry),
    /// RFC 4314 §3.3
    GetAcl(MailboxName),
    /// RFC 4314 §3.4
    ListRights(AclEntry),
    /// RFC 4314 §3.5
    MyRights(MailboxName),
    /// RFC 9208 §4.1.1
    GetQuota(String),
    /// RFC 9208 §4.1.2
    GetQuotaRoot(MailboxName),
    /// RFC 9208 §4.1.3
    SetQuota(SetQuota),
    /// RFC 5464 §4.2
    GetMetadata(GetMetadata),
    /// RFC 5464 §4.3
    SetMetadata(SetMetadata),
    /// RFC 5465
    Notify(Notify),
}

impl Command {
    /// The name, in upper case: for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Capability => "CAPABILITY",
            Command::Noop => "NOOP",
            Command::Logout => "LOGOUT",
            Command::StartTls => "STARTTLS",
            Command::Authenticate(_) => "AUTHENTICATE",
            Command::Login(_) => "LOGIN",
            Command::Enable(_) => "ENABLE",
            Command::Select(Select { read_only: false, .. }) => "SELECT",
            Command::Select(_) => "EXAMINE",
            Command::Create(_) => "CREATE",
            Command::Delete(_) => "DELETE",
            Command::Rename { .. } => "RENAME",
            Command::Subscribe(_) => "SUBSCRIBE",
            Command::Unsubscribe(_) => "UNSUBSCRIBE",
            Command::List(_) => "LIST",
            Command::Lsub(_) => "LSUB",
            Command::Namespace => "NAMESPACE",
            Command::GenUrlAuth(_) => "GENURLAUTH",
            Command::ResetKey(_) => "RESETKEY",
            Command::UrlFetch(_) => "URLFETCH",
            Command::Status { .. } => "STATUS",
            Command::Idle => "IDLE",
            Command::Check => "CHECK",
            Command::Close => "CLOSE",
            Command::Unselect => "UNSELECT",
            Command::Expunge(_) => "EXPUNGE",
            Command::Search(_) => "SEARCH",
            Command::CancelUpdate(_) => "CANCELUPDATE",
            Command::MultiSearch(_) => "ESEARCH",
            Command::Sort(_) => "SORT",
            Command::Thread(_) => "THREAD",
            Command::Fetch(_) => "FETCH",
            Command::Store(_) => "STORE",
            Command::Copy(_) => "COPY",
            Command::Move(_) => "MOVE",
            Command::Id(_) => "ID",
            Command::Compress(_) => "COMPRESS",
            Command::Unauthenticate => "UNAUTHENTICATE",
            Command::SetAcl(_) => "SETACL",
            Command::DeleteAcl(_) => "DELETEACL",
            Command::GetAcl(_) => "GETACL",
            Command::ListRights(_) => "LISTRIGHTS",
            Command::MyRights(_) => "MYRIGHTS",
            Command::GetQuota(_) => "GETQUOTA",
            Command::GetQuotaRoot(_) => "GETQUOTAROOT",
            Command::SetQuota(_) => "SETQUOTA",
            Command::GetMetadata(_) => "GETMETADATA",
            Command::SetMetadata(_) => "SETMETADATA",
            Command::Notify(_) => "NOTIFY",
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Command> {
        let name = cursor.word("a command")?.to_ascii_uppercase();
        let command = match name.as_str() {
            "CAPABILITY" => Command::Capability,
            "NOOP" => Command::Noop,
            "LOGOUT" => Command::Logout,
            "STARTTLS" => Command::StartTls,
            "NAMESPACE" => Command::Namespace,
            "IDLE" => Command::Idle,
            "CHECK" => Command::Check,
            "CLOSE" => Command::Close,
            "UNSELECT" => Command::Unselect,
            "EXPUNGE" => Command::Expunge(None),
            "UNAUTHENTICATE" => Command::Unauthenticate,
            "RESETKEY" if cursor.is_end() => Command::ResetKey(ResetKey {
                mailbox: None,
                mechanisms: Vec::new(),
            }),
            "UID" => {
                cursor.space()?;
                let name = cursor.word("a command")?.to_ascii_uppercase();
                cursor.space()?;
                match name.as_str() {
                    "EXPUNGE" => Command::Expunge(Some(cursor.sequence_set()?)),
                    "REPLACE" => return Err(Error::Expected("a message as literal")),
                    name => Command::on_messages(name, true, cursor)?.ok_or(Error::UnknownCommand)?,
                }
            }
            name => {
                // Told apart before the space is asked for: `FOO` alone is unknown, not short of an argument.
                if !WITH_ARGUMENTS.contains(&name) {
                    return Err(Error::UnknownCommand);
                }
                cursor.space()?;
                match Command::on_messages(name, false, cursor)? {
                    Some(command) => command,
                    None => Command::on_mailboxes(name, cursor)?,
                }
            }
        };
        cursor.end()?;
        Ok(command)
    }

    fn on_messages(name: &str, uid: bool, cursor: &mut Cursor<'_>) -> Result<Option<Command>> {
        Ok(Some(match name {
            "FETCH" => Command::Fetch(cursor.fetch(uid)?),
            "SEARCH" => Command::Search(cursor.search(uid)?),
            "SORT" => Command::Sort(cursor.sort(uid)?),
            "THREAD" => Command::Thread(cursor.thread(uid)?),
            "STORE" => Command::Store(cursor.store(uid)?),
            "COPY" => Command::Copy(cursor.copy(uid)?),
            "MOVE" => Command::Move(cursor.copy(uid)?),
            _ => return Ok(None),
        }))
    }

    fn on_mailboxes(name: &str, cursor: &mut Cursor<'_>) -> Result<Command> {
        Ok(match name {
            "AUTHENTICATE" => Command::Authenticate(cursor.authenticate()?),
            "LOGIN" => Command::Login(cursor.login()?),
            "ENABLE" => Command::Enable(cursor.enable()?),
            "ID" => Command::Id(cursor.id()?),
            "NOTIFY" => Command::Notify(cursor.notify()?),
            "COMPRESS" => Command::Compress(cursor.atom("an algorithm")?.to_ascii_uppercase()),
            "SELECT" => Command::Select(cursor.select(false)?),
            "EXAMINE" => Command::Select(cursor.select(true)?),
            "CREATE" => Command::Create(cursor.create()?),
            "DELETE" => Command::Delete(cursor.mailbox()?),
            "RENAME" => {
                let from = cursor.mailbox()?;
                cursor.space()?;
                Command::Rename {
                    from,
                    to: cursor.mailbox()?,
                }
            }
            "SUBSCRIBE" => Command::Subscribe(cursor.mailbox()?),
            "UNSUBSCRIBE" => Command::Unsubscribe(cursor.mailbox()?),
            "LIST" => Command::List(cursor.list_command()?),
            "LSUB" => Command::Lsub(cursor.lsub()?),
            "CANCELUPDATE" => Command::CancelUpdate(cursor.cancel_update()?),
            "ESEARCH" => Command::MultiSearch(cursor.multisearch()?),
            "STATUS" => {
                let mailbox = cursor.mailbox()?;
                cursor.space()?;
                Command::Status {
                    mailbox,
                    items: cursor.list(false, Cursor::status_item)?,
                }
            }
            "SETACL" => Command::SetAcl(cursor.set_acl()?),
            "DELETEACL" => Command::DeleteAcl(cursor.acl_entry()?),
            "GETACL" => Command::GetAcl(cursor.mailbox()?),
            "LISTRIGHTS" => Command::ListRights(cursor.acl_entry()?),
            "MYRIGHTS" => Command::MyRights(cursor.mailbox()?),
            "GENURLAUTH" => Command::GenUrlAuth(cursor.gen_url_auth()?),
            "RESETKEY" => Command::ResetKey(cursor.reset_key()?),
            "URLFETCH" => Command::UrlFetch(cursor.url_fetch()?),
            "GETQUOTA" => Command::GetQuota(cursor.astring_text()?),
            "GETQUOTAROOT" => Command::GetQuotaRoot(cursor.mailbox()?),
            "SETQUOTA" => Command::SetQuota(cursor.set_quota()?),
            "GETMETADATA" => Command::GetMetadata(cursor.get_metadata()?),
            "SETMETADATA" => Command::SetMetadata(cursor.set_metadata()?),
            // Without a literal there is no message.
            "APPEND" | "REPLACE" => return Err(Error::Expected("a message as literal")),
            _ => return Err(Error::UnknownCommand),
        })
    }
}

const WITH_ARGUMENTS: &[&str] = &[
    "GENURLAUTH",
    "RESETKEY",
    "URLFETCH",
    "AUTHENTICATE",
    "LOGIN",
    "ENABLE",
    "ID",
    "COMPRESS",
    "NOTIFY",
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST",
    "LSUB",
    "STATUS",
    "APPEND",
    "REPLACE",
    "FETCH",
    "SEARCH",
    "ESEARCH",
    "CANCELUPDATE",
    "SORT",
    "THREAD",
    "STORE",
    "COPY",
    "MOVE",
    "SETACL",
    "DELETEACL",
    "GETACL",
    "LISTRIGHTS",
    "MYRIGHTS",
    "GETQUOTA",
    "GETQUOTAROOT",
    "SETQUOTA",
    "GETMETADATA",
    "SETMETADATA",
];

impl<'a> Cursor<'a> {
    // tag = 1*<any ASTRING-CHAR except "+">
    pub(crate) fn tag(&mut self) -> Result<String> {
        let tag = self.run(is_tag);
        if tag.is_empty() || self.space().is_err() {
            return Err(Error::Tag);
        }
        String::from_utf8(tag.to_vec()).map_err(|_| Error::Tag)
    }
}
