//! One seeded life of a house after the other, each ended by a power cut.

use crate::house::House;
use crate::relaying::{ADDRESSES, Elsewhere, LATEST};
use crate::tracked::{Image, Tracked};
use blobs::BlobId;
use blobs::simulation::{Chance, SimulatedDisk};
use db::AccountId;
use ledger::{Acceptance, Work};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::{Digest, FlagChange, Flags, Fresh, NewMessage};
use tempfile::TempDir;

/// Accounts in the house.
pub(crate) const ACCOUNTS: i64 = 3;
/// When the first life begins, in seconds since 1970.
const BEGIN: i64 = 1_800_000_000;

/// A recipient: the acceptance, and the number in it.
pub(crate) type Key = (i64, u32);

/// A message as it was handed in.
pub(crate) struct Message {
    pub(crate) to: Vec<To>,
    pub(crate) bytes: Vec<u8>,
    /// Not to be sent before.
    pub(crate) release_at: Option<i64>,
}

/// Whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Account(AccountId),
    Elsewhere(&'static str),
}

/// A fault that is built in, to see that these tests see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None: all is as it should be.
    None,
    /// Housekeeping reclaims bytes whose references' removal is not durable.
    Forgetful,
    /// A connection sends its next message before what came of the last is durable.
    Hasty,
    /// A notice does not enter custody in the transaction that settles what it is about.
    Apart,
}

/// The disk, what was done on it, and what must be found.
pub struct World {
    pub(crate) fault: Fault,
    seed: u64,
    pub(crate) chance: Chance,
    pub(crate) disk: SimulatedDisk,
    scratch: TempDir,
    life: u32,
    clock: Arc<AtomicI64>,
    files: BTreeMap<Part, Tracked>,
    steps_left: usize,
    serial: u64,
    /// Every message that was handed in, by acceptance.
    pub(crate) tried: BTreeMap<i64, Message>,
    pub(crate) accepted: BTreeSet<i64>,
    /// Every message that was appended, by its bytes; and whether that was confirmed.
    pub(crate) appended: BTreeMap<Vec<u8>, (AccountId, bool)>,
    /// What a user took away, as bytes with the lines before them: may be back after a cut.
    pub(crate) expunged: HashSet<(AccountId, Vec<u8>)>,
    pub(crate) elsewhere: Elsewhere,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Server,
    Account(i64),
}

/// The power goes; this is what the SQLite files will be.
pub(crate) struct Cut(BTreeMap<PathBuf, Image>);

impl World {
    /// An empty house with its accounts.
    pub fn new(seed: u64) -> World {
        World::with(seed, Fault::None)
    }

    /// A house with a fault.
    pub fn with(seed: u64, fault: Fault) -> World {
        let mut world = World {
            fault,
            seed,
            chance: Chance::new(seed),
            disk: SimulatedDisk::new(seed),
            scratch: crate::scratch(),
            life: 0,
            clock: Arc::new(AtomicI64::new(BEGIN)),
            files: BTreeMap::new(),
            steps_left: 0,
            serial: 0,
            tried: BTreeMap::new(),
            accepted: BTreeSet::new(),
            appended: BTreeMap::new(),
            expunged: HashSet::new(),
            elsewhere: Elsewhere::default(),
        };
        std::fs::create_dir_all(world.folder()).expect("folder");
        let house = world.open();
        for id in 1..=ACCOUNTS {
            house.account(AccountId(id));
        }
        drop(house);
        world.track();
        world
    }

    /// Works until the power goes, comes back, and asserts what must be; then the same again, `lives` times.
    pub async fn run(&mut self, lives: u32) {
        for _ in 0..lives {
            self.steps_left = 1 + self.chance.below(80);
            let house = self.open();
            self.track();
            if self.chance.percent(40) {
                self.disk.cut_after(1 + self.chance.below(150) as u64);
            }
            let Cut(images) = loop {
                if let Err(cut) = self.work(&house).await {
                    break cut;
                }
            };
            self.disk.cut_after(0);
            drop(house);
            self.disk.power_cycle();
            self.life += 1;
            for (path, image) in &images {
                image.put(&self.folder().join(path));
            }
            let house = self.open();
            self.check_what_stands(&house);
            self.steps_left = usize::MAX;
            self.track();
            self.relay_all(&house).await;
            self.deliver_all(&house).await;
            self.check_mailboxes(&house);
            self.check_elsewhere(&house);
        }
    }

    fn open(&self) -> House {
        House::open(&self.folder(), &self.disk, &self.clock)
    }

    /// Which world, for people who look for it again.
    pub(crate) fn at(&self) -> String {
        format!("seed {} life {}", self.seed, self.life)
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Time passes.
    pub(crate) fn pass(&self, seconds: usize) {
        self.clock.fetch_add(seconds as i64, Ordering::Relaxed);
    }

    fn folder(&self) -> PathBuf {
        self.scratch.path().join(self.life.to_string())
    }

    fn path(part: Part) -> PathBuf {
        match part {
            Part::Server => "server.db".into(),
            Part::Account(id) => format!("accounts/{:02x}/{id}.db", id & 0xff).into(),
        }
    }

    fn track(&mut self) {
        let parts = std::iter::once(Part::Server).chain((1..=ACCOUNTS).map(Part::Account));
        self.files = parts
            .map(|part| (part, Tracked::new(&self.folder().join(World::path(part)))))
            .collect();
    }

    /// Something was done on a part. Here the power may go: before it counts as done, or, as the next step sees it, after.
    pub(crate) fn step(&mut self, part: Part, synced: bool) -> Result<(), Cut> {
        self.steps_left = self.steps_left.saturating_sub(1);
        // The simulated disk may have lost its power by itself.
        if self.steps_left > 0 && self.disk.is_powered() {
            if let Some(file) = self.files.get_mut(&part) {
                file.step(synced);
            }
            return Ok(());
        }
        let chance = &mut self.chance;
        Err(Cut(self
            .files
            .iter()
            .map(|(part, file)| (World::path(*part), file.cut(chance)))
            .collect()))
    }

    async fn work(&mut self, house: &House) -> Result<(), Cut> {
        let seconds = 1 + self.chance.below(100);
        self.pass(seconds);
        match self.chance.below(18) {
            0..=4 => self.accept(house).await,
            5..=8 => {
                let most = 1 + self.chance.below(6) as u32;
                let work = house.ledger.claim(most).await.expect("claim");
                self.step(Part::Server, false)?;
                self.deliver(house, work).await
            }
            9..=12 => self.relay(house).await,
            13 => self.order(house).await,
            14 | 15 => self.append(house),
            16 => self.expunge(house),
            _ => self.reclaim(house),
        }
    }

    pub(crate) fn message(&mut self) -> Vec<u8> {
        self.serial += 1;
        let mut bytes = format!("Subject: {} of seed {}\r\n\r\n", self.serial, self.seed).into_bytes();
        let len = match self.chance.below(10) {
            0 => 12_000,
            1 => 4_000,
            _ => self.chance.below(900),
        };
        let mask = if self.chance.percent(50) { 0x1f } else { 0x7f };
        bytes.extend((0..len).map(|_| self.chance.bits() as u8 & mask));
        bytes
    }

    /// Some messages come in at once.
    async fn accept(&mut self, house: &House) -> Result<(), Cut> {
        let mut waiting = Vec::new();
        for _ in 0..1 + self.chance.below(4) {
            let bytes = self.message();
            let id = house.ledger.next_id();
            let mut to: Vec<To> = (1..=ACCOUNTS)
                .filter(|_| self.chance.percent(40))
                .map(|id| To::Account(AccountId(id)))
                .collect();
            let elsewhere = ADDRESSES.iter().filter(|_| self.chance.percent(20));
            to.extend(elsewhere.map(|address| To::Elsewhere(address)));
            if to.is_empty() {
                to.push(To::Account(AccountId(1)));
            }
            let Ok(commit) = house.blobs.put(&bytes) else { break };
            let in_time = self.now() + 1 + self.chance.below(LATEST) as i64;
            let message = Message {
                to,
                bytes,
                release_at: self.chance.percent(8).then_some(in_time),
            };
            let held = self.chance.percent(8);
            let acceptance = Acceptance {
                held: held.then(|| "too much at once".to_owned()),
                ..message.acceptance(id)
            };
            self.tried.insert(id.0, message);
            let ledger = house.ledger.clone();
            let task = tokio::spawn(async move { ledger.accept(acceptance, commit, None).await.is_ok() });
            waiting.push((id.0, held, task));
        }
        let mut answered = Vec::new();
        for (id, held, task) in waiting {
            if task.await.expect("task") {
                answered.push((id, held));
            }
        }
        // Only what was answered before the power went counts.
        self.step(Part::Server, true)?;
        for (id, held) in answered {
            self.accepted.insert(id);
            if held {
                self.held_from_the_start(id);
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, house: &House, work: Vec<Work>) -> Result<(), Cut> {
        let mut by_account: BTreeMap<i64, Vec<Work>> = BTreeMap::new();
        for w in work {
            by_account
                .entry(w.address.parse().expect("account"))
                .or_default()
                .push(w);
        }
        for (id, work) in by_account {
            if !self.disk.is_powered() {
                return self.step(Part::Server, false);
            }
            let settlements = match house.deliver(AccountId(id), &work) {
                Ok(settlements) => settlements,
                Err(error) => {
                    assert!(
                        !self.disk.is_powered(),
                        "bytes of an open recipient, with power: {error:?}"
                    );
                    return self.step(Part::Server, false);
                }
            };
            self.step(Part::Account(id), false)?;
            house.account(AccountId(id)).sync().expect("sync");
            self.step(Part::Account(id), true)?;
            house.ledger.settle(settlements);
            // Answered when the settlements are written, for they were asked for before.
            house.ledger.claim(0).await.expect("claim");
            self.step(Part::Server, false)?;
        }
        Ok(())
    }

    fn append(&mut self, house: &House) -> Result<(), Cut> {
        let bytes = self.message();
        let id = AccountId(1 + self.chance.below(ACCOUNTS as usize) as i64);
        let account = house.account(id);
        let inbox = account.mailbox_find("INBOX").expect("INBOX").id;
        // Half of them are put beside their rows, and wait for the disk once.
        let together = self.chance.below(2) == 0;
        let put = match together {
            true => house.blobs.put_at_leisure(&bytes),
            false => house.blobs.put(&bytes),
        };
        let Ok(commit) = put else {
            return self.step(Part::Server, false);
        };
        if !together && commit.wait().is_err() {
            return self.step(Part::Server, false);
        }
        self.appended.insert(bytes.clone(), (id, false));
        let message = NewMessage {
            blob: commit.id(),
            blob_len: commit.len(),
            prefix: b"",
            digest: &Digest::of(&bytes),
            flags: Flags::NONE,
            received: 0,
        };
        let fresh = together.then(|| Fresh {
            commit: commit.clone(),
            bytes: bytes.clone(),
        });
        account
            .messages_append(inbox, &[message], fresh.into_iter().collect(), None, store::Quota::NONE)
            .expect("append");
        self.step(Part::Account(id.0), true)?;
        self.appended.insert(bytes, (id, true));
        if self.chance.below(3) == 0 {
            // The disk may be full just now; then they stay where they are.
            let _ = account.fresh_settle();
            self.step(Part::Account(id.0), false)?;
        }
        Ok(())
    }

    /// A user deletes some messages.
    fn expunge(&mut self, house: &House) -> Result<(), Cut> {
        let id = AccountId(1 + self.chance.below(ACCOUNTS as usize) as i64);
        if !self.disk.is_powered() {
            return self.step(Part::Server, false);
        }
        let account = house.account(id);
        let inbox = account.mailbox_find("INBOX").expect("INBOX").id;
        let open = account.mailbox_open(inbox, false).expect("INBOX");
        // Opening syncs what was not yet durable.
        self.step(Part::Account(id.0), true)?;
        let mut uids = Vec::new();
        for message in open.snapshot().iter() {
            if !self.chance.percent(40) {
                continue;
            }
            let content = account.content(message.content).expect("content");
            // The disk of the bytes may be off already.
            let Ok(bytes) = account.content_range(&content, 0..content.len()) else {
                break;
            };
            self.expunged.insert((id, bytes));
            uids.push(message.uid);
        }
        account
            .message_flag(inbox, &uids, FlagChange::Add(Flags::DELETED), None)
            .expect("flag");
        self.step(Part::Account(id.0), false)?;
        account.message_expunge(inbox, Some(&uids)).expect("expunge");
        self.step(Part::Account(id.0), false)
    }

    /// Space of dead bytes is given back, as the server's housekeeping does it.
    fn reclaim(&mut self, house: &House) -> Result<(), Cut> {
        let mark = house.blobs.mark();
        let mut live: HashSet<BlobId> = HashSet::new();
        let mut found = |id| {
            live.insert(id);
        };
        house.ledger.blob_references(&mut found).expect("references");
        for id in 1..=ACCOUNTS {
            let account = house.account(AccountId(id));
            account.blob_references(&mut found).expect("references");
        }
        // A row whose removal could be undone by a power cut still needs its bytes.
        if self.fault != Fault::Forgetful {
            house.database.sync().expect("sync");
            self.step(Part::Server, true)?;
            for id in 1..=ACCOUNTS {
                house.account(AccountId(id)).sync().expect("sync");
                self.step(Part::Account(id), true)?;
            }
        }
        let policy = blobs::Policy {
            dead_part: 0.2,
            ..blobs::Policy::default()
        };
        let _ = house.blobs.reclaim(mark, &|id| live.contains(id), &policy);
        self.step(Part::Server, false)
    }

    /// What is open is delivered, as after every start.
    async fn deliver_all(&mut self, house: &House) {
        loop {
            let work = house.ledger.claim(100).await.expect("claim");
            if work.is_empty() {
                break;
            }
            assert!(self.deliver(house, work).await.is_ok());
        }
    }
}
