//! One account: its file, its lock, its open mailboxes.
//!
//! What a client has seen must survive a crash, or a UID could come to stand for another message (RFC 9051 §2.3.1.1). So a new
//! message is shown only once it is on stable storage: deliveries commit without waiting and are published by [`Account::sync`];
//! everything else that makes UIDs waits for its commit. Flags may be lost in a crash, their modification sequence may not be given out twice:
//! each opening of the file starts a good way above the last number written.

use crate::fresh::Waiting;
use crate::indexing::Indexing;
use crate::mailbox::{self, Mailbox, SpecialUse};
use crate::metadata::MetadataChanges;
use crate::sharing::{self, NO_MAILBOX, Sharing};
use crate::sweep::Sweeps;
use crate::warm::Warm;
use crate::{AccountId, ContentId, Error, Flags, Keywords, MailboxId, Message, ModSeq, Result, Snapshot, Uid};
use blobs::Blobs;
use db::{Database, Durability, Migration, Schema, Transaction};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The tables of an account file.
pub const SCHEMA: Schema = Schema {
    component: "store",
    steps: &[
        Migration {
            name: "mailboxes and messages",
            sql: include_str!("../migrations/0001_mailboxes.sql"),
        },
        Migration {
            name: "access control lists, metadata, seen by whom",
            sql: include_str!("../migrations/0002_sharing.sql"),
        },
        Migration {
            name: "save dates, previews and conversations",
            sql: include_str!("../migrations/0003_objects.sql"),
        },
        Migration {
            name: "fields that are listed",
            sql: include_str!("../migrations/0004_listing.sql"),
        },
        Migration {
            name: "Sieve scripts and what they remember",
            sql: include_str!("../migrations/0005_sieve.sql"),
        },
        Migration {
            name: "keys of URLs",
            sql: include_str!("../migrations/0006_url_keys.sql"),
        },
        Migration {
            name: "bytes on their way",
            sql: include_str!("../migrations/0007_fresh.sql"),
        },
        Migration {
            name: "places of bytes on their way",
            sql: include_str!("../migrations/0008_fresh_places.sql"),
        },
    ],
};

/// More changes than can be committed and not yet be on disk: the log is synced whenever it is written back.
const MODSEQ_GAP: u64 = 1 << 20;
/// Changes after which the last modification sequence is written to the account's own row. Rows of mailboxes have it in between.
const MODSEQ_KEPT: u64 = 1 << 16;

/// Sessions of one account that work at once.
const TURNS: usize = 4;

/// Messages that one transaction changes where the standard lets a command be done in parts (STORE, EXPUNGE, MOVE): a
/// few milliseconds of work to some ten, after which others may write.
const CHUNK: usize = 8192;

/// An account's mailboxes. All methods block on the disk; call them where that is allowed.
pub struct Account {
    id: AccountId,
    database: Database,
    blobs: Blobs,
    shared: Shared,
    turns: Arc<Semaphore>,
    state: Mutex<State>,
    indexing: Indexing,
    active_script: crate::sieve::Active,
    event_scripts: crate::sieve::EventScripts,
    /// Counts changes, for whoever wants to hear that there was one.
    changes: watch::Sender<u64>,
}

/// What all accounts of a store share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) warm: Arc<Warm>,
    pub(crate) sweeps: Arc<Sweeps>,
    pub(crate) checkpointer: db::Checkpointer,
}

pub(crate) struct State {
    pub(crate) rows: Rows,
    pub(crate) keywords: Arc<Keywords>,
    views: HashMap<MailboxId, Weak<View>>,
    /// The same for readers with a `\Seen` of their own.
    pub(crate) readers: HashMap<MailboxId, Vec<(AccountId, Weak<View>)>>,
    /// Committed, not yet known to be on disk: not shown to anybody.
    pending: VecDeque<(u64, MailboxId, Vec<Message>)>,
    pending_next: u64,
    unsynced: bool,
    /// Mailboxes whose recent mark is not in the file.
    unsaved: BTreeSet<MailboxId>,
    pub(crate) metadata: MetadataChanges,
    pub(crate) fresh: Waiting,
}

/// What is kept in memory of the account's tables.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) counters: Counters,
    /// The counters as they stand in the account's row.
    kept: Counters,
    pub(crate) mailboxes: BTreeMap<MailboxId, Mailbox>,
    /// What a new mailbox at the top begins with.
    pub(crate) defaults: Sharing,
}

impl Rows {
    /// What a mailbox of that name inherits: from the nearest above it that is there.
    pub(crate) fn sharing_above(&self, name: &str) -> &Sharing {
        let above = name.match_indices('/').rev().filter_map(|(at, _)| name.get(..at));
        let find = |above: &str| self.mailboxes.values().find(|m| m.name == above);
        let found = above.filter_map(find).next();
        found.map_or(&self.defaults, |mailbox| &mailbox.sharing)
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Counters {
    pub(crate) modseq: u64,
    pub(crate) next_content: u32,
    pub(crate) next_mailbox: u32,
    pub(crate) uid_validity: u32,
}

/// A mailbox that somebody has open: its newest snapshot.
pub(crate) struct View {
    sender: watch::Sender<Arc<Snapshot>>,
}

impl View {
    /// Octets that its messages take.
    pub(crate) fn weight(&self) -> usize {
        self.sender.borrow().weight()
    }
}

/// A mailbox opened by a session. The view lives as long as one of these does.
pub struct OpenMailbox {
    view: Arc<View>,
    receiver: watch::Receiver<Arc<Snapshot>>,
    /// Messages from this UID up are recent to this session (RFC 3501 §2.3.2).
    pub recent_from: Uid,
}

impl View {
    pub(crate) fn new(snapshot: Snapshot) -> View {
        View {
            sender: watch::channel(Arc::new(snapshot)).0,
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.sender.borrow())
    }
}

impl OpenMailbox {
    /// Shows the mailbox in another view from now on.
    pub(crate) fn show(&mut self, view: Arc<View>) {
        self.receiver = view.sender.subscribe();
        self.view = view;
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.view.sender.borrow())
    }

    /// Waits until there is a snapshot that was not seen by an earlier call; cancel-safe.
    pub async fn changed(&mut self) {
        // The sender lives in `view`, so this can't fail.
        let _ = self.receiver.changed().await;
    }

    /// Whether [`changed`](Self::changed) would return at once.
    pub fn has_changed(&self) -> bool {
        self.receiver.has_changed().unwrap_or(false)
    }
}

impl Account {
    pub(crate) fn open(
        id: AccountId,
        path: &Path,
        blobs: Blobs,
        cache_kib: u32,
        shared: Shared,
        indexing: Indexing,
    ) -> Result<Account> {
        let options = db::Options {
            cache_kib,
            checkpointer: Some(shared.checkpointer.clone()),
            ..db::Options::default()
        };
        let database = Database::open(path, &[SCHEMA], options)?;
        let (rows, mut keywords) = match load(id, &database)? {
            Some(found) => found,
            None => {
                database.write(Durability::Synced, |tx| create_in(tx, id))?;
                database.sync()?;
                load(id, &database)?.unwrap_or_default()
            }
        };
        if !keywords.has_room() {
            forget_unused(id, &database, &mut keywords)?;
        }
        let fresh = Waiting::load(id, &database, &blobs)?;
        Ok(Account {
            id,
            database,
            blobs,
            shared,
            turns: Arc::new(Semaphore::new(TURNS)),
            state: Mutex::new(State {
                rows,
                keywords: Arc::new(keywords),
                views: HashMap::new(),
                readers: HashMap::new(),
                pending: VecDeque::new(),
                pending_next: 0,
                unsynced: true,
                unsaved: BTreeSet::new(),
                metadata: MetadataChanges::default(),
                fresh,
            }),
            indexing,
            active_script: crate::sieve::Active::default(),
            event_scripts: crate::sieve::EventScripts::default(),
            changes: watch::channel(0).0,
        })
    }

    /// The account's id.
    pub fn id(&self) -> AccountId {
        self.id
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn indexing(&self) -> &Indexing {
        &self.indexing
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// A turn at work that takes the processor or the disk for a while. An account has a few at a time, so that one with hundreds of
    /// sessions takes no more of the machine than one with some, and its sessions wait for each other without a thread each.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn active_script(&self) -> &crate::sieve::Active {
        &self.active_script
    }

    pub(crate) fn event_scripts(&self) -> &crate::sieve::EventScripts {
        &self.event_scripts
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Works on many messages a chunk at a time, each with the account locked; between two chunks whoever waits for it comes first.
    pub(crate) fn in_chunks(&self, uids: &[Uid], mut work: impl FnMut(&mut State, &[Uid]) -> Result<()>) -> Result<()> {
        let (first, rest) = uids.split_at(uids.len().min(CHUNK));
        let mut state = self.lock();
        work(&mut state, first)?;
        for chunk in rest.chunks(CHUNK) {
            MutexGuard::unlock_fair(state);
            state = self.lock();
            work(&mut state, chunk)?;
        }
        Ok(())
    }

    /// A number that is another after each change of any mailbox, of its messages or of a subscription.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn tell_of_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// The account's keywords now.
    pub fn keywords(&self) -> Arc<Keywords> {
        Arc::clone(&self.lock().keywords)
    }

    /// Whether nobody is at work in the account just now, so that a small change has not to wait for others. A hint: it may be otherwise a
    /// moment later.
    pub fn is_idle(&self) -> bool {
        !self.state.is_locked()
    }

    /// Whether nobody is at work here, and a mailbox is in memory, all of it, so that opening it reads nothing. A hint as well.
    pub fn is_at_hand(&self, mailbox: MailboxId) -> bool {
        self.state.try_lock().is_some_and(|state| {
            let in_memory = state.views.get(&mailbox).is_some_and(|view| view.strong_count() > 0);
            in_memory && state.pending.iter().all(|(_, of, _)| *of != mailbox)
        })
    }

    /// Opens a mailbox. With `claim_recent` the session takes the `\Recent` messages for itself (SELECT, not EXAMINE).
    pub fn mailbox_open(&self, mailbox: MailboxId, claim_recent: bool) -> Result<OpenMailbox> {
        let mut state = self.lock();
        let row = state.rows.mailboxes.get_mut(&mailbox).ok_or(Error::NoMailbox)?;
        let recent_from = row.recent_from;
        if claim_recent && row.recent_from != row.uid_next {
            // A message delivered but not yet shown stays recent for whoever sees it first; being recent twice is allowed. So opening a
            // mailbox writes nothing: the mark goes to the file with the mailbox's next change, or when the account is closed.
            row.recent_from = row.uid_next;
            state.unsaved.insert(mailbox);
        }
        // Who opens it sees all that STATUS counts.
        if state.pending.iter().any(|(_, of, _)| *of == mailbox) {
            self.settle(&mut state)?;
        }
        let view = self.view(&mut state, mailbox)?;
        self.shared.warm.keep(self.id, mailbox, &view);
        Ok(OpenMailbox {
            receiver: view.sender.subscribe(),
            view,
            recent_from,
        })
    }

    /// Makes everything committed durable, then shows new messages to the sessions that have their mailboxes open.
    pub fn sync(&self) -> Result<()> {
        let upto = {
            let state = self.lock();
            if !state.unsynced {
                return Ok(());
            }
            state.pending_next
        };
        self.database.sync()?;
        let mut state = self.lock();
        if state.pending_next == upto {
            state.unsynced = false;
        }
        state.show_pending(upto);
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Makes everything committed durable and shows it, while nobody else can commit.
    fn settle(&self, state: &mut State) -> Result<()> {
        self.database.sync()?;
        state.unsynced = false;
        state.show_pending(u64::MAX);
        Ok(())
    }

    /// Runs `work` in a transaction on a draft of the rows and, when it is committed, keeps the draft.
    pub(crate) fn change<T>(
        &self,
        state: &mut State,
        durability: Durability,
        mut work: impl FnMut(&Transaction<'_>, &mut Draft<'_>) -> db::Result<T>,
    ) -> Result<T> {
        let id = self.id;
        let rows = &state.rows;
        let (value, counters, kept, changed) = self.database.write(durability, |tx| {
            let mut draft = Draft {
                rows,
                counters: rows.counters,
                changed: BTreeMap::new(),
            };
            let value = work(tx, &mut draft)?;
            let kept = draft.save_in(tx, id)?;
            Ok((value, draft.counters, kept, draft.changed))
        })?;
        if counters.next_content != state.rows.counters.next_content {
            self.indexing.due.note(id);
        }
        state.rows.counters = counters;
        state.rows.kept = kept;
        for (mailbox, row) in changed {
            state.unsaved.remove(&mailbox);
            match row {
                Some(row) => state.rows.mailboxes.insert(mailbox, row),
                None => state.rows.mailboxes.remove(&mailbox),
            };
        }
        match durability {
            // The commit has synced the log, and with it all that was committed before.
            Durability::Synced => {
                state.unsynced = false;
                state.show_pending(u64::MAX);
            }
            Durability::Deferred => state.unsynced = true,
        }
        self.changes.send_modify(|count| *count += 1);
        Ok(value)
    }

    /// The view of a mailbox, loaded if nobody has it open. What it shows is on disk.
    pub(crate) fn view(&self, state: &mut State, mailbox: MailboxId) -> Result<Arc<View>> {
        if let Some(view) = state.views.get(&mailbox).and_then(Weak::upgrade) {
            return Ok(view);
        }
        if state.unsynced {
            self.settle(state)?;
        }
        let row = state.rows.mailboxes.get(&mailbox).ok_or(Error::NoMailbox)?;
        let mut snapshot = Snapshot::new(
            row.uid_validity,
            row.uid_next,
            row.highest_modseq,
            Arc::clone(&state.keywords),
        );
        let messages = self.database.read(|tx| messages_in(tx, self.id, mailbox))?;
        snapshot.append(&messages);
        let view = Arc::new(View {
            sender: watch::channel(Arc::new(snapshot)).0,
        });
        state.views.retain(|_, weak| weak.strong_count() > 0);
        state.views.insert(mailbox, Arc::downgrade(&view));
        Ok(view)
    }

    /// A mailbox that is empty and about to be filled is opened: that costs nothing now, and nothing later either.
    pub(crate) fn view_if_empty(&self, state: &mut State, mailbox: MailboxId) {
        if state.rows.mailboxes.get(&mailbox).is_some_and(|m| m.messages == 0)
            && let Ok(view) = self.view(state, mailbox)
        {
            self.shared.warm.keep(self.id, mailbox, &view);
        }
    }

    /// The newest snapshot of a mailbox, loaded for the moment if nobody has it open.
    pub(crate) fn snapshot(&self, state: &mut State, mailbox: MailboxId) -> Result<Arc<Snapshot>> {
        let view = self.view(state, mailbox)?;
        let snapshot = Arc::clone(&view.sender.borrow());
        Ok(snapshot)
    }

    pub(crate) fn close_views(&self) {
        let mut state = self.lock();
        for mailbox in state.open_mailboxes() {
            state.publish(mailbox, |snapshot| snapshot.deleted = true);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut state = self.lock();
        let unsaved = std::mem::take(&mut state.unsaved);
        if !unsaved.is_empty() {
            let saved = self.change(&mut state, Durability::Deferred, |_, draft| {
                for mailbox in &unsaved {
                    draft.mailbox(*mailbox);
                }
                Ok(())
            });
            if let Err(e) = saved {
                tracing::debug!(account = self.id.0, error = %e, "recent marks are not kept");
            }
        }
        drop(state);
        self.shared.warm.forget_account(self.id);
    }
}

impl State {
    /// Changes the snapshot of a mailbox for all who have it open.
    pub(crate) fn publish(&mut self, mailbox: MailboxId, change: impl Fn(&mut Snapshot)) {
        if let Some(view) = self.views.get(&mailbox).and_then(Weak::upgrade) {
            self.publish_in(&view, mailbox, &change);
        }
        if let Some(readers) = self.readers.get(&mailbox) {
            for view in readers.iter().filter_map(|(_, view)| view.upgrade()) {
                self.publish_in(&view, mailbox, &change);
            }
        }
    }

    fn open_mailboxes(&self) -> Vec<MailboxId> {
        let mut open: Vec<MailboxId> = self.views.keys().chain(self.readers.keys()).copied().collect();
        open.sort_unstable();
        open.dedup();
        open
    }

    fn publish_in(&self, view: &View, mailbox: MailboxId, change: &impl Fn(&mut Snapshot)) {
        let row = self.rows.mailboxes.get(&mailbox);
        // Who is told that he knows all up to here must not miss what is not shown yet.
        let hidden = self.pending.iter().filter(|(_, of, _)| *of == mailbox);
        let hidden = hidden
            .filter_map(|(_, _, messages)| messages.first())
            .map(|m| m.modseq.0)
            .min();
        view.sender.send_modify(|snapshot| {
            // Copied only where a session still speaks of the one before.
            let snapshot = Arc::make_mut(snapshot);
            change(snapshot);
            if let Some(row) = row {
                snapshot.uid_next = row.uid_next;
                snapshot.highest_modseq = row.highest_modseq;
                snapshot.uid_validity = row.uid_validity;
            }
            if let Some(hidden) = hidden {
                snapshot.highest_modseq = snapshot.highest_modseq.min(ModSeq(hidden.saturating_sub(1)));
            }
            snapshot.keywords = Arc::clone(&self.keywords);
        });
    }

    pub(crate) fn publish_all(&mut self) {
        for mailbox in self.open_mailboxes() {
            self.publish(mailbox, |_| {});
        }
    }

    /// Keeps new messages back until they are on disk.
    pub(crate) fn publish_when_synced(&mut self, mailbox: MailboxId, messages: Vec<Message>) {
        self.pending_next += 1;
        let readers = self.readers.get(&mailbox).into_iter().flatten();
        let mut open = readers.map(|(_, view)| view).chain(self.views.get(&mailbox));
        if open.any(|view| view.strong_count() > 0) {
            self.pending.push_back((self.pending_next, mailbox, messages));
        }
    }

    fn show_pending(&mut self, upto: u64) {
        while let Some((number, _, _)) = self.pending.front()
            && *number <= upto
        {
            if let Some((_, mailbox, messages)) = self.pending.pop_front() {
                self.publish(mailbox, |snapshot| {
                    // A view loaded meanwhile has them already.
                    let after = snapshot.last().map_or(Uid(0), |m| m.uid);
                    let fresh = messages.partition_point(|m| m.uid <= after);
                    snapshot.append(&messages[fresh..]);
                });
            }
        }
    }
}

/// Rows as they will be once the transaction is committed.
pub(crate) struct Draft<'r> {
    rows: &'r Rows,
    pub(crate) counters: Counters,
    changed: BTreeMap<MailboxId, Option<Mailbox>>,
}

impl Draft<'_> {
    /// A mailbox's row, to be changed and written with the transaction.
    pub(crate) fn mailbox(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        self.changed
            .entry(id)
            .or_insert_with(|| self.rows.mailboxes.get(&id).cloned())
            .as_mut()
    }

    pub(crate) fn mailbox_add(&mut self, name: &str, special_use: Option<SpecialUse>, now: i64) -> MailboxId {
        let id = MailboxId(self.counters.next_mailbox);
        self.counters.next_mailbox += 1;
        // Above all that were given before, so that a name that comes back never has an old value (RFC 9051 §2.3.1.1).
        self.counters.uid_validity = u32::try_from(now)
            .unwrap_or(u32::MAX)
            .max(self.counters.uid_validity.saturating_add(1));
        let modseq = self.next_modseq();
        let uid_validity = self.counters.uid_validity;
        self.changed
            .insert(id, Some(Mailbox::new(id, name, special_use, uid_validity, modseq)));
        id
    }

    pub(crate) fn mailbox_remove(&mut self, id: MailboxId) {
        self.changed.insert(id, None);
    }

    pub(crate) fn next_modseq(&mut self) -> ModSeq {
        self.counters.modseq += 1;
        ModSeq(self.counters.modseq)
    }

    pub(crate) fn next_content(&mut self) -> ContentId {
        let id = ContentId(self.counters.next_content);
        self.counters.next_content += 1;
        id
    }

    /// Writes what has changed; gives the counters as they stand in the account's row now. A modification sequence alone is not written
    /// there each time: the mailbox that it was given in has it. Nor is the next content: the last one's row tells, and who takes that away
    /// writes here (`expunge::contents_drop_in`).
    fn save_in(&self, tx: &Transaction<'_>, account: AccountId) -> db::Result<Counters> {
        let kept = self.rows.kept;
        let told_elsewhere = Counters {
            modseq: kept.modseq,
            next_content: kept.next_content,
            ..self.counters
        } == kept;
        let due = self.counters.modseq.saturating_sub(kept.modseq) >= MODSEQ_KEPT;
        let removed = self.changed.values().any(Option::is_none);
        let write = self.counters != kept && (!told_elsewhere || due || removed);
        if write {
            tx.execute(
                "UPDATE account_state SET modseq = ?2, next_content = ?3, next_mailbox = ?4, uid_validity = ?5 WHERE account = ?1",
                &[
                    account.0.into(),
                    self.counters.modseq.cast_signed().into(),
                    self.counters.next_content.into(),
                    self.counters.next_mailbox.into(),
                    self.counters.uid_validity.into(),
                ],
            )?;
        }
        for (id, row) in &self.changed {
            match row {
                Some(row) => mailbox::save_in(tx, account, self.rows.mailboxes.get(id), row)?,
                None => {
                    tx.execute(
                        "DELETE FROM mailbox WHERE account = ?1 AND id = ?2",
                        &[account.0.into(), (*id).into()],
                    )?;
                }
            }
        }
        Ok(if write { self.counters } else { kept })
    }
}

fn create_in(tx: &Transaction<'_>, account: AccountId) -> db::Result<()> {
    tx.execute(
        "INSERT INTO account_state (account, modseq, next_content, next_mailbox, uid_validity) VALUES (?1, 1, 1, 1, 1)",
        &[account.0.into()],
    )?;
    let counters = Counters {
        modseq: 1,
        next_content: 1,
        next_mailbox: 1,
        uid_validity: 1,
    };
    let rows = Rows {
        counters,
        kept: counters,
        mailboxes: BTreeMap::new(),
        defaults: Sharing::default(),
    };
    let mut draft = Draft {
        rows: &rows,
        counters: rows.counters,
        changed: BTreeMap::new(),
    };
    let now = mailbox::now();
    for (name, special_use) in mailbox::FIRST_MAILBOXES {
        draft.mailbox_add(name, *special_use, now);
        tx.execute(
            "INSERT INTO subscription (account, name) VALUES (?1, ?2)",
            &[account.0.into(), (*name).into()],
        )?;
    }
    draft.save_in(tx, account).map(drop)
}

fn load(id: AccountId, database: &Database) -> Result<Option<(Rows, Keywords)>> {
    Ok(database.read(|tx| {
        let counters = tx.query_row(
            "SELECT modseq, next_content, next_mailbox, uid_validity FROM account_state WHERE account = ?1",
            &[id.0.into()],
            |row| {
                Ok(Counters {
                    modseq: row.u64(0)?,
                    next_content: row.u32(1)?,
                    next_mailbox: row.u32(2)?,
                    uid_validity: row.u32(3)?,
                })
            },
        )?;
        let Some(kept) = counters else { return Ok(None) };
        let mut mailboxes = mailbox::load_in(tx, id)?;
        let mut sharing = sharing::load_in(tx, id)?;
        let defaults = sharing.remove(&NO_MAILBOX).unwrap_or_default();
        for (mailbox, sharing) in sharing {
            if let Some(row) = mailboxes.get_mut(&mailbox) {
                row.sharing = sharing;
            }
        }
        let last = mailboxes
            .values()
            .map(|m| m.highest_modseq.0)
            .fold(kept.modseq, u64::max);
        let newest = tx.query_row(
            "SELECT id FROM content WHERE account = ?1 ORDER BY id DESC LIMIT 1",
            &[id.0.into()],
            |row| row.u32(0),
        )?;
        let counters = Counters {
            modseq: last + MODSEQ_GAP,
            next_content: newest.map_or(0, |id| id.saturating_add(1)).max(kept.next_content),
            ..kept
        };
        let mut keywords = Keywords::default();
        tx.query(
            "SELECT bit, name FROM keyword WHERE account = ?1",
            &[id.0.into()],
            |row| {
                keywords.insert(row.u32(0)?, row.text(1)?);
                Ok(())
            },
        )?;
        let rows = Rows {
            counters,
            kept,
            mailboxes,
            defaults,
        };
        Ok(Some((rows, keywords)))
    })?)
}

/// Takes away the keywords that no message has, of an account that has no room for another. That is done where it is opened: nobody holds
/// flags yet whose bits could come to mean something else.
fn forget_unused(id: AccountId, database: &Database, keywords: &mut Keywords) -> Result<()> {
    let mut used = Flags::NONE;
    database.read(|tx| {
        tx.query(
            "SELECT DISTINCT flags FROM message WHERE account = ?1",
            &[id.0.into()],
            |row| {
                used = used | Flags(row.i64(0)?.cast_unsigned());
                Ok(())
            },
        )
    })?;
    let unused = keywords.retain(used);
    database.write(Durability::Deferred, |tx| {
        for bit in &unused {
            tx.execute(
                "DELETE FROM keyword WHERE account = ?1 AND bit = ?2",
                &[id.0.into(), (*bit).into()],
            )?;
        }
        Ok(())
    })?;
    Ok(())
}

fn messages_in(tx: &Transaction<'_>, account: AccountId, mailbox: MailboxId) -> db::Result<Vec<Message>> {
    tx.query_all(
        "SELECT uid, size, flags, modseq, received, content FROM message WHERE account = ?1 AND mailbox = ?2 ORDER BY uid",
        &[account.0.into(), mailbox.into()],
        |row| {
            Ok(Message {
                uid: Uid(row.u32(0)?),
                size: row.u32(1)?,
                flags: Flags(row.i64(2)?.cast_unsigned()),
                modseq: ModSeq(row.u64(3)?),
                received: crate::message::moment(row.i64(4)?),
                content: ContentId(row.u32(5)?),
            })
        },
    )
}
