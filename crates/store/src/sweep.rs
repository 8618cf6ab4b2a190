//! What is left of deleted mailboxes is taken away afterwards, some messages at a time, so that DELETE costs the same for any mailbox and
//! nobody waits long behind the work. What was begun when the process ended is gone on with when the account is opened again.

use crate::account::Account;
use crate::expunge::contents_drop_in;
use crate::{AccountId, ContentId, MailboxId, Result, Uid};
use db::{Durability, OpenFiles};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

/// Messages taken away in one transaction: a millisecond or so.
const STEP: u32 = 256;

/// Accounts that have something to be swept.
#[derive(Default)]
pub(crate) struct Sweeps {
    inner: Mutex<Inner>,
    news: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<AccountId>,
    stopped: bool,
}

impl Sweeps {
    /// There is something to be swept in this account.
    pub(crate) fn ask(&self, account: AccountId) {
        let mut inner = self.inner.lock();
        if !inner.waiting.contains(&account) {
            inner.waiting.push_back(account);
            self.news.notify_one();
        }
    }

    fn next(&self) -> Option<AccountId> {
        let mut inner = self.inner.lock();
        loop {
            if inner.stopped {
                return None;
            }
            if let Some(account) = inner.waiting.pop_front() {
                return Some(account);
            }
            self.news.wait(&mut inner);
        }
    }

    fn is_stopped(&self) -> bool {
        self.inner.lock().stopped
    }
}

/// The thread that sweeps.
pub(crate) struct Sweeper {
    sweeps: Arc<Sweeps>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    pub(crate) fn start(sweeps: Arc<Sweeps>, open: Weak<OpenFiles<AccountId, Account>>) -> std::io::Result<Sweeper> {
        let mine = Arc::clone(&sweeps);
        let thread = std::thread::Builder::new()
            .name("store-sweep".into())
            .spawn(move || {
                while let Some(id) = mine.next() {
                    // An account that is closed meanwhile asks again when it is opened.
                    let Some(account) = open.upgrade().and_then(|open| open.peek(id)) else {
                        continue;
                    };
                    loop {
                        match account.sweep_step() {
                            Ok(true) if !mine.is_stopped() => std::thread::yield_now(),
                            Ok(_) => break,
                            Err(error) => {
                                tracing::warn!(account = id.0, %error, "what is left of a deleted mailbox could not be taken away; tried again later");
                                break;
                            }
                        }
                    }
                }
            })?;
        Ok(Sweeper {
            sweeps,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread after the transaction it is in.
    pub(crate) fn stop(&self) {
        self.sweeps.inner.lock().stopped = true;
        self.sweeps.news.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Account {
    /// Takes away all that is left of deleted mailboxes.
    pub fn sweep(&self) -> Result<()> {
        while self.sweep_step()? {}
        Ok(())
    }

    /// Takes away some; whether there may be more.
    fn sweep_step(&self) -> Result<bool> {
        let account = self.id();
        // The account's lock is not needed: no view shows these messages, and a content that a living one needs is left.
        Ok(self.database().write(Durability::Deferred, |tx| {
            let mailbox = tx.query_row(
                "SELECT id FROM mailbox_deleted WHERE account = ?1 AND emptied = 0 LIMIT 1",
                &[account.0.into()],
                |row| Ok(MailboxId(row.u32(0)?)),
            )?;
            let Some(mailbox) = mailbox else { return Ok(false) };
            let some = tx.query_all(
                "SELECT uid, content FROM message WHERE account = ?1 AND mailbox = ?2 ORDER BY uid LIMIT ?3",
                &[account.0.into(), mailbox.into(), STEP.into()],
                |row| Ok((Uid(row.u32(0)?), ContentId(row.u32(1)?))),
            )?;
            if let Some((last, _)) = some.last() {
                tx.execute(
                    "DELETE FROM message WHERE account = ?1 AND mailbox = ?2 AND uid <= ?3",
                    &[account.0.into(), mailbox.into(), (*last).into()],
                )?;
                contents_drop_in(tx, account, some.iter().map(|(_, content)| *content))?;
            }
            if some.len() < STEP as usize {
                tx.execute(
                    "DELETE FROM expunged WHERE account = ?1 AND mailbox = ?2",
                    &[account.0.into(), mailbox.into()],
                )?;
                tx.execute(
                    "UPDATE mailbox_deleted SET emptied = 1 WHERE account = ?1 AND id = ?2",
                    &[account.0.into(), mailbox.into()],
                )?;
            }
            Ok(true)
        })?)
    }
}
