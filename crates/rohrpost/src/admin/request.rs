//! What can be asked of a server, and what comes back: one line of JSON each.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A bound that may be none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Most {
    Unbounded,
    Number(u64),
}

/// A question or an order. `verb` names it; the other fields are its arguments.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Request {
    AccountAdd {
        address: String,
        name: Option<String>,
        password: Secret,
        quota: Option<u64>,
    },
    AccountList,
    AccountShow {
        address: String,
    },
    AccountPasswd {
        address: String,
        password: Secret,
    },
    AccountDisable {
        address: String,
    },
    AccountEnable {
        address: String,
    },
    AccountDelete {
        address: String,
    },
    AccountQuota {
        address: String,
        quota: Option<u64>,
        /// `None`: as it is.
        messages: Option<Most>,
    },
    AddressAdd {
        account: String,
        address: String,
    },
    AddressRemove {
        address: String,
    },
    SenderAdd {
        account: String,
        address: String,
    },
    SenderRemove {
        account: String,
        address: String,
    },
    AccountForwarding {
        address: String,
        /// Who is told of what fails: the owner, or the sender; none: as the settings say.
        owner: Option<bool>,
    },
    AccountHold {
        address: String,
    },
    AccountRelease {
        address: String,
        /// What waited is thrown away.
        cancel: bool,
    },
    DomainAdd {
        domain: String,
    },
    DomainList,
    DomainRemove {
        domain: String,
    },
    DomainCatchAll {
        domain: String,
        address: Option<String>,
    },
    AliasAdd {
        address: String,
        targets: Vec<String>,
    },
    AliasList,
    AliasRemove {
        address: String,
    },
    GroupAdd {
        address: String,
        name: Option<String>,
        quota: Option<u64>,
    },
    GroupList,
    GroupMembers {
        group: String,
    },
    GroupJoin {
        group: String,
        member: String,
        rights: String,
    },
    GroupLeave {
        group: String,
        member: String,
    },
    GroupSeen {
        group: String,
        own: bool,
    },
    AclList {
        account: String,
    },
    AclSet {
        account: String,
        mailbox: String,
        who: String,
        rights: String,
    },
    QueueList {
        which: QueueSelection,
        limit: u32,
    },
    QueueDestinations {
        limit: u32,
    },
    QueueShow {
        id: String,
    },
    QueueOrder {
        order: QueueOrder,
        which: QueueSelection,
    },
    Trace(Trace),
    Sieve(SieveOrder),
    SettingsShow {
        account: String,
    },
    SettingsChange {
        account: String,
        /// The version of the script that the change was made for; none: whichever there is.
        version: Option<u64>,
        change: settings::Change,
    },
    Audit,
    Reclaim,
    Verify,
    SearchRebuild {
        account: Option<String>,
    },
    SearchList,
}

/// What is to be done with rows of the queue.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum QueueOrder {
    Retry,
    Hold,
    Release,
    Cancel,
    Bounce,
}

/// Which rows of the queue; times are seconds since 1970. What is left out matches.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct QueueSelection {
    pub id: Option<String>,
    pub recipient: Option<u32>,
    pub to: Option<String>,
    pub from: Option<String>,
    pub destination: Option<String>,
    /// Accepted before.
    pub before: Option<i64>,
    pub state: Option<String>,
    pub lane: Option<String>,
    /// For lists: the row after which to go on.
    pub after: Option<String>,
}

/// Which rows of the ledger `trace` wants; times are seconds since 1970.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct Trace {
    pub to: Option<String>,
    pub from: Option<String>,
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub min_size: Option<u64>,
    pub fate: Option<String>,
    pub limit: u32,
}

/// About the filters of an account. Scripts travel as text.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "order", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum SieveOrder {
    Check {
        script: String,
    },
    List {
        account: String,
    },
    Get {
        account: String,
        name: String,
    },
    Put {
        account: String,
        name: String,
        script: String,
        activate: bool,
    },
    Activate {
        account: String,
        name: Option<String>,
    },
    Delete {
        account: String,
        name: String,
    },
    Run {
        account: String,
        script: String,
        /// Another script: only messages are listed that the two treat differently.
        old: Option<String>,
        mailbox: String,
        /// At most so many of the newest messages.
        last: u32,
        /// A message in place of those of the mailbox.
        message: Option<String>,
        /// File them.
        apply: bool,
    },
    Log {
        account: String,
        /// At most so many of the newest decisions.
        last: u32,
    },
}

/// A password on its way through the socket; never printed.
#[derive(Clone, Serialize, Deserialize, PartialEq)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// One line of an answer. Any number of rows, then one of the other two.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// A row of a list, or the thing asked for.
    Row(Value),
    /// That was all.
    Done(Done),
    /// It was not done.
    Failed {
        /// What went wrong.
        message: String,
        /// What to do.
        advice: String,
        /// The exit code.
        exit: u8,
    },
}

/// How an order ended that could be carried out.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Done {
    /// A sentence for the person who asked; empty when the rows say it all.
    pub message: String,
    /// `audit` and `verify` found something: exit code 1.
    pub faults: bool,
}

impl Done {
    /// Done, and here is what to say.
    pub fn say(message: impl fmt::Display) -> Done {
        Done {
            message: message.to_string(),
            faults: false,
        }
    }
}

impl From<Failure> for Line {
    fn from(failure: Failure) -> Self {
        Line::Failed {
            message: failure.message,
            advice: failure.advice,
            exit: failure.exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_wire_and_hide_passwords() {
        for request in [
            Request::AccountAdd {
                address: "a@b".into(),
                name: None,
                password: Secret("geheim".into()),
                quota: Some(5),
            },
            Request::AccountList,
            Request::Trace(Trace {
                to: Some("@b".into()),
                limit: 10,
                ..Trace::default()
            }),
        ] {
            let line = serde_json::to_string(&request).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
            assert!(!format!("{request:?}").contains("geheim"));
        }
        assert!(serde_json::from_str::<Request>(r#"{"verb":"account-lost"}"#).is_err());
    }
}
