//! What the commands do, one file for each group.

mod acl;
mod append;
mod bounds;
mod compress;
mod context;
mod copy;
mod evaluate;
mod fetch;
mod flags;
mod glance;
mod list;
mod listing;
mod mailboxes;
mod metadata;
mod multisearch;
mod notify;
mod query;
mod quota;
mod resync;
mod search;
mod section;
mod select;
mod sort;
mod unauthenticate;
mod url;
mod urlauth;

pub(crate) use append::Incoming;
pub(crate) use context::is_timed;
pub(crate) use mailboxes::status_values;

use crate::imap::answer::Answer;
use crate::imap::connection::{Connection, Owner};
use crate::imap::place::{OTHERS, SHARED};
use crate::imap::selected::Selected;
use imap::Command;
use imap::response::{Code, Namespaces};
use std::io;
use std::sync::Arc;
use store::{Account, Quota};

/// Commands that change mailboxes in one piece, without waiting for the client in between.
fn works_at_once(command: &Command) -> bool {
    matches!(
        command,
        Command::Close
            | Command::Create(_)
            | Command::Delete(_)
            | Command::Rename { .. }
            | Command::Expunge(_)
            | Command::Store(_)
            | Command::Copy(_)
            | Command::Move(_)
    )
}

impl Connection {
    /// Does what a command says, up to its tagged answer. What belongs to the session itself is done by the connection.
    pub(crate) async fn execute(&mut self, tag: &str, command: Command) -> io::Result<Answer> {
        let _turn = match &self.owner {
            Some(owner) if works_at_once(&command) => owner.account.turn().await,
            _ => None,
        };
        Ok(match command {
            Command::Capability => {
                let names = self.capabilities();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.encoder().capability(&names);
                Answer::ok("that is all")
            }
            Command::Noop | Command::Check => Answer::ok("done"),
            Command::Id(fields) => self.id(&fields),
            Command::Login(login) => self.login(login).await,
            Command::Enable(names) => self.enable(&names),
            Command::Select(select) => self.select(&select).await?,
            Command::Close => self.close(),
            Command::Unselect => self.unselect(),
            Command::Create(create) => self.create(&create),
            Command::Delete(mailbox) => self.delete(&mailbox),
            Command::Rename { from, to } => self.rename(&from, &to),
            Command::Subscribe(mailbox) => self.subscribe(&mailbox, true),
            Command::Unsubscribe(mailbox) => self.subscribe(&mailbox, false),
            Command::Namespace => {
                let namespaces = Namespaces {
                    others: Some(OTHERS),
                    shared: Some(SHARED),
                };
                self.encoder().namespace('/', &namespaces);
                Answer::ok("that is all")
            }
            Command::SetAcl(set) => self.set_acl(&set),
            Command::DeleteAcl(entry) => self.delete_acl(&entry),
            Command::GetAcl(mailbox) => self.get_acl(&mailbox),
            Command::ListRights(entry) => self.list_rights(&entry),
            Command::MyRights(mailbox) => self.my_rights(&mailbox),
            Command::GenUrlAuth(urls) => self.gen_url_auth(&urls),
            Command::ResetKey(reset) => self.reset_key(&reset),
            Command::UrlFetch(urls) => self.url_fetch(&urls).await?,
            Command::GetQuota(root) => self.get_quota(&root),
            Command::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox),
            Command::SetQuota(set) => self.set_quota(&set),
            Command::GetMetadata(get) => self.get_metadata(&get),
            Command::SetMetadata(set) => self.set_metadata(&set),
            Command::Status { mailbox, items } => self.status(&mailbox, &items),
            Command::List(list) => self.list(&list),
            Command::Lsub(lsub) => self.lsub(&lsub),
            Command::Expunge(set) => self.expunge(set.as_ref()),
            Command::Store(store) => self.store(&store),
            Command::Copy(copy) => self.copy(&copy),
            Command::Move(copy) => self.move_messages(&copy),
            Command::Notify(notify) => self.notify(notify).await?,
            Command::Search(search) => self.search(tag, &search).await?,
            Command::CancelUpdate(tags) => self.cancel_update(&tags),
            Command::MultiSearch(search) => self.multisearch(tag, &search).await?,
            Command::Sort(sort) => self.sort(tag, &sort).await?,
            Command::Thread(thread) => self.thread(&thread).await?,
            Command::Fetch(fetch) => self.fetch(&fetch).await?,
            _ => Answer::bad("that command cannot be used here"),
        })
    }

    /// The account that has logged in.
    pub(crate) fn account(&self) -> Result<Arc<Account>, Answer> {
        match &self.owner {
            Some(Owner { account, .. }) => Ok(Arc::clone(account)),
            None => Err(Answer::bad("log in first")),
        }
    }

    /// The most that an account may hold.
    pub(crate) fn quota(&self, account: &Account) -> Quota {
        filter::quota_of(&self.listener.context.directory, account.id())
    }

    /// The selected mailbox and the account it is in.
    pub(crate) fn working(&mut self) -> Result<(Arc<Account>, &mut Selected), Answer> {
        match self.selected.as_deref_mut() {
            Some(selected) => Ok((Arc::clone(&selected.account), selected)),
            None => Err(Answer::bad("select a mailbox first")),
        }
    }

    /// ID. RFC 2971: for the log; who says what it is gets to know what we are.
    fn id(&mut self, fields: &[(String, Option<String>)]) -> Answer {
        let value = |name: &str| {
            let found = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.and_then(|(_, value)| value.as_deref()).unwrap_or("")
        };
        tracing::debug!(
            session = self.name,
            program = value("name"),
            version = value("version"),
            "the client says what it is"
        );
        let ours = [("name", Some("Rohrpost")), ("version", Some(env!("CARGO_PKG_VERSION")))];
        self.encoder().id(&ours);
        Answer::ok("pleased to meet you")
    }

    /// ENABLE. RFC 9051 §6.3.1.
    fn enable(&mut self, names: &[String]) -> Answer {
        let mut enabled = Vec::new();
        for name in names {
            match name.as_str() {
                "IMAP4REV2" => {
                    self.rev2 = true;
                    enabled.push("IMAP4rev2");
                }
                "CONDSTORE" => {
                    self.condstore_enable();
                    enabled.push("CONDSTORE");
                }
                "QRESYNC" => {
                    self.condstore_enable();
                    self.qresync = true;
                    enabled.push("QRESYNC");
                }
                "UTF8=ACCEPT" => {
                    self.utf8_accept = true;
                    enabled.push("UTF8=ACCEPT");
                }
                "METADATA" => {
                    self.announce_begin(true, true);
                    enabled.push("METADATA");
                }
                "METADATA-SERVER" => {
                    self.announce_begin(false, true);
                    enabled.push("METADATA-SERVER");
                }
                "UIDONLY" => {
                    self.uid_only = true;
                    enabled.push("UIDONLY");
                }
                _ => {}
            }
        }
        self.encoder().enabled(&enabled);
        Answer::ok("done")
    }

    /// The client has shown that it knows of mod-sequences: from here on it is told of them. RFC 7162 §3.1: if a mailbox is
    /// selected, its highest one at once.
    pub(crate) fn condstore_enable(&mut self) {
        if self.condstore {
            return;
        }
        self.condstore = true;
        if let Some(selected) = &self.selected {
            let highest = selected.told.highest_modseq.0;
            self.encoder().untagged(
                imap::response::Status::Ok,
                Some(&Code::HighestModSeq(highest)),
                "changes are counted from here",
            );
        }
    }
}
