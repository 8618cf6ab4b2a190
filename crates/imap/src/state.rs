//! Which command in which state. RFC 9051 §3.

use crate::Command;
use crate::command::{Search, SearchKey, Sort, Thread};

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has logged in.
    NotAuthenticated,
    /// Somebody has.
    Authenticated,
    /// A mailbox is open.
    Selected {
        /// By EXAMINE.
        read_only: bool,
    },
    /// BYE was said.
    Logout,
}

impl State {
    /// Whether somebody has logged in.
    pub fn is_authenticated(self) -> bool {
        matches!(self, State::Authenticated | State::Selected { .. })
    }

    /// `Err` with a sentence for `BAD` if `command` isn't one for this state. What a read-only mailbox refuses is answered with
    /// `NO` and not told here: see [`changes_mailbox`].
    pub fn check(self, command: &Command) -> Result<(), &'static str> {
        use Command as C;
        let least = match command {
            C::Capability | C::Noop | C::Logout | C::Id(_) => return Ok(()),
            C::StartTls | C::Authenticate(_) | C::Login(_) => {
                return match self {
                    State::NotAuthenticated => Ok(()),
                    _ => Err("you are logged in already"),
                };
            }
            C::Enable(_)
            | C::Select(_)
            | C::Create(_)
            | C::Delete(_)
            | C::Rename { .. }
            | C::Subscribe(_)
            | C::Unsubscribe(_)
            | C::List(_)
            | C::Lsub(_)
            | C::Namespace
            | C::Status { .. }
            | C::MultiSearch(_)
            | C::Idle
            | C::Compress(_)
            | C::GenUrlAuth(_)
            | C::ResetKey(_)
            | C::UrlFetch(_)
            | C::SetAcl(_)
            | C::DeleteAcl(_)
            | C::GetAcl(_)
            | C::ListRights(_)
            | C::MyRights(_)
            | C::GetQuota(_)
            | C::GetQuotaRoot(_)
            | C::SetQuota(_)
            | C::GetMetadata(_)
            | C::SetMetadata(_)
            | C::Unauthenticate
            | C::Notify(_) => State::Authenticated,
            C::Check
            | C::Close
            | C::Unselect
            | C::Expunge(_)
            | C::Search(_)
            | C::CancelUpdate(_)
            | C::Sort(_)
            | C::Thread(_)
            | C::Fetch(_)
            | C::Store(_)
            | C::Copy(_)
            | C::Move(_) => State::Selected { read_only: false },
        };
        match (self, least) {
            (State::Logout, _) => Err("the session is over"),
            (State::NotAuthenticated, _) => Err("log in first"),
            (State::Authenticated, State::Selected { .. }) => Err("select a mailbox first"),
            _ => Ok(()),
        }
    }
}

/// Whether a command would change the selected mailbox, and so is answered with `NO [READ-ONLY]` after EXAMINE. CLOSE isn't among
/// them: it then closes without expunging.
pub fn changes_mailbox(command: &Command) -> bool {
    matches!(command, Command::Store(_) | Command::Expunge(_) | Command::Move(_))
}

/// Whether EXPUNGE responses may be sent while the command is in progress. RFC 9051 §7.5.1: not during FETCH, STORE and SEARCH,
/// whose arguments or answers are sequence numbers; the UID forms allow it.
pub fn allows_expunge(command: &Command) -> bool {
    match command {
        Command::Fetch(fetch) => fetch.uid,
        Command::Store(store) => store.uid,
        Command::Search(search) => search.uid,
        Command::Sort(sort) => sort.uid,
        Command::Thread(thread) => thread.uid,
        _ => true,
    }
}

/// Whether a command speaks of messages by their sequence numbers, which a client that has enabled UIDONLY must not. RFC 9586 §3.1.
pub fn uses_sequence_numbers(command: &Command) -> bool {
    match command {
        Command::Fetch(fetch) => !fetch.uid,
        Command::Store(store) => !store.uid,
        Command::Copy(copy) | Command::Move(copy) => !copy.uid,
        Command::Search(Search { uid, keys, .. })
        | Command::Sort(Sort { uid, keys, .. })
        | Command::Thread(Thread { uid, keys, .. }) => !uid || keys.iter().any(SearchKey::has_sequence),
        Command::MultiSearch(multi) => multi.search.keys.iter().any(SearchKey::has_sequence),
        Command::Select(select) => select.qresync.as_ref().is_some_and(|qresync| qresync.matched.is_some()),
        _ => false,
    }
}

/// Whether a command is a search whose result is to be kept. RFC 5182 §2.1: where it fails, `$` is empty.
pub fn saves_result(command: &Command) -> bool {
    let returns = match command {
        Command::Search(search) => &search.returns,
        Command::MultiSearch(multi) => &multi.search.returns,
        Command::Sort(sort) => &sort.returns,
        _ => return false,
    };
    returns.as_ref().is_some_and(|returns| returns.save)
}

/// Whether a command may change what other mailboxes hold, which there are, or what is said about them.
pub fn changes_mailboxes(command: &Command) -> bool {
    matches!(
        command,
        Command::Create(_)
            | Command::Delete(_)
            | Command::Rename { .. }
            | Command::Subscribe(_)
            | Command::Unsubscribe(_)
            | Command::Copy(_)
            | Command::Move(_)
            | Command::SetMetadata(_)
    )
}
