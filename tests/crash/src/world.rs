//! One seeded life of a house after the other, each ended by a power cut.

use crate::house::House;
use crate::tracked::{Image, Tracked};
use blobs::BlobId;
use blobs::simulation::{Chance, SimulatedDisk};
use db::AccountId;
use ledger::{Acceptance, Lane, NewRecipient, Work};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use store::{ArrivalState, Digest, FlagChange, Flags, Fresh, NewMessage};
use tempfile::TempDir;

/// Accounts in the house.
const ACCOUNTS: i64 = 3;

/// The disk, what was done on it, and what must be found.
pub struct World {
    seed: u64,
    chance: Chance,
    disk: SimulatedDisk,
    scratch: TempDir,
    life: u32,
    files: BTreeMap<Part, Tracked>,
    steps_left: usize,
    serial: u64,
    /// Every message that was handed in, by acceptance.
    tried: BTreeMap<i64, (Vec<AccountId>, Vec<u8>)>,
    accepted: BTreeSet<i64>,
    /// Every message that was appended, by its bytes; and whether that was confirmed.
    appended: BTreeMap<Vec<u8>, (AccountId, bool)>,
    /// Housekeeping reclaims without making removals durable before.
    forgetful: bool,
    /// What a user took away, as bytes with the lines before them: may be back after a cut.
    expunged: HashSet<(AccountId, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Server,
    Account(i64),
}

/// The power goes; this is what the SQLite files will be.
struct Cut(BTreeMap<PathBuf, Image>);

impl World {
    /// An empty house with its accounts.
    pub fn new(seed: u64) -> World {
        let mut world = World {
            seed,
            chance: Chance::new(seed),
            disk: SimulatedDisk::new(seed),
            scratch: crate::scratch(),
            life: 0,
            files: BTreeMap::new(),
            steps_left: 0,
            serial: 0,
            tried: BTreeMap::new(),
            accepted: BTreeSet::new(),
            appended: BTreeMap::new(),
            forgetful: false,
            expunged: HashSet::new(),
        };
        std::fs::create_dir_all(world.folder()).expect("folder");
        let house = House::open(&world.folder(), &world.disk);
        for id in 1..=ACCOUNTS {
            house.account(AccountId(id));
        }
        drop(house);
        world.track();
        world
    }

    /// A house with a fault, to see that these tests see it: its housekeeping reclaims bytes whose references' removal is not durable.
    pub fn forgetful(seed: u64) -> World {
        World {
            forgetful: true,
            ..World::new(seed)
        }
    }

    /// Works until the power goes, comes back, and asserts what must be; then the same again, `lives` times.
    pub async fn run(&mut self, lives: u32) {
        for _ in 0..lives {
            self.steps_left = 1 + self.chance.below(60);
            let house = House::open(&self.folder(), &self.disk);
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
            let house = House::open(&self.folder(), &self.disk);
            self.deliver_all(&house).await;
            self.check(&house).await;
        }
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
    fn step(&mut self, part: Part, synced: bool) -> Result<(), Cut> {
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
        match self.chance.below(12) {
            0..=3 => self.accept(house).await,
            4..=7 => {
                let most = 1 + self.chance.below(6) as u32;
                let work = house.ledger.claim(most).await.expect("claim");
                self.step(Part::Server, false)?;
                self.deliver(house, work).await
            }
            8 | 9 => self.append(house),
            10 => self.expunge(house),
            _ => self.reclaim(house),
        }
    }

    fn message(&mut self) -> Vec<u8> {
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
            let recipients: Vec<AccountId> = (1..=ACCOUNTS)
                .map(AccountId)
                .filter(|_| self.chance.percent(50))
                .collect();
            let recipients = if recipients.is_empty() {
                vec![AccountId(1)]
            } else {
                recipients
            };
            let Ok(commit) = house.blobs.put(&bytes) else { break };
            let acceptance = acceptance(id, &recipients);
            self.tried.insert(id.0, (recipients, bytes));
            let ledger = house.ledger.clone();
            let task = tokio::spawn(async move { ledger.accept(acceptance, commit, None).await.is_ok() });
            waiting.push((id.0, task));
        }
        let mut answered = Vec::new();
        for (id, task) in waiting {
            if task.await.expect("task") {
                answered.push(id);
            }
        }
        // Only what was answered before the power went counts.
        self.step(Part::Server, true)?;
        self.accepted.extend(answered);
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
        if !self.forgetful {
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
        self.steps_left = usize::MAX;
        self.track();
        loop {
            let work = house.ledger.claim(100).await.expect("claim");
            if work.is_empty() {
                break;
            }
            assert!(self.deliver(house, work).await.is_ok());
        }
    }

    async fn check(&self, house: &House) {
        let at = format!("seed {} life {}", self.seed, self.life);
        let mut found: BTreeMap<(i64, u32), AccountId> = BTreeMap::new();
        let mut appended: BTreeSet<Vec<u8>> = BTreeSet::new();
        for id in (1..=ACCOUNTS).map(AccountId) {
            let account = house.account(id);
            let faults = account.faults().expect("faults");
            assert!(faults.is_empty(), "{at}: account {id:?}: {faults:?}");
            account
                .blob_references(|blob| assert!(house.blobs.len_of(blob).unwrap().is_some(), "{at}: {blob} is gone"))
                .expect("references");
            let inbox = account.mailbox_find("INBOX").expect("INBOX").id;
            for message in account.mailbox_open(inbox, false).expect("INBOX").snapshot().iter() {
                let content = account.content(message.content).expect("content");
                let bytes = account.content_range(&content, 0..content.len()).expect("bytes");
                let Some(rest) = bytes.strip_prefix(b"X-Delivery: ") else {
                    let (to, _) = self
                        .appended
                        .get(&bytes)
                        .unwrap_or_else(|| panic!("{at}: never appended"));
                    assert_eq!(*to, id, "{at}");
                    assert!(appended.insert(bytes), "{at}: appended twice");
                    continue;
                };
                let end = rest.iter().position(|b| *b == b'\r').expect("end of the line");
                let line = std::str::from_utf8(&rest[..end]).expect("line");
                let (acceptance, number) = line.split_once(' ').expect("two numbers");
                let key: (i64, u32) = (acceptance.parse().unwrap(), number.parse().unwrap());
                let (recipients, sent) = self.tried.get(&key.0).unwrap_or_else(|| panic!("{at}: never accepted"));
                assert_eq!(recipients.get(key.1 as usize), Some(&id), "{at}: wrong account");
                assert!(rest[end + 2..] == sent[..], "{at}: other bytes");
                assert!(found.insert(key, id).is_none(), "{at}: delivered twice");
            }
        }
        for id in &self.accepted {
            let (recipients, bytes) = &self.tried[id];
            for (number, account) in (0..).zip(recipients) {
                let line = format!("X-Delivery: {id} {number}\r\n");
                let gone = self.expunged.contains(&(*account, [line.as_bytes(), bytes].concat()));
                assert!(gone || found.contains_key(&(*id, number)), "{at}: accepted and lost");
            }
        }
        for (bytes, (account, confirmed)) in &self.appended {
            let gone = !confirmed || self.expunged.contains(&(*account, bytes.clone()));
            assert!(gone || appended.contains(bytes), "{at}: appended and lost");
        }
        let mut delivered = Vec::new();
        house
            .ledger
            .audit(|fault| panic!("{at}: {fault:?}"), |d| delivered.push(d))
            .expect("audit");
        for d in delivered {
            let state = house
                .account(d.account)
                .arrival_states(&[(d.acceptance.0, d.number)])
                .expect("state");
            assert!(
                matches!(state[..], [ArrivalState::Present | ArrivalState::Gone]),
                "{at}: {d:?} is {state:?}"
            );
        }
        let faults = house.database.check_integrity().expect("check");
        assert!(faults.is_empty(), "{at}: {faults:?}");
        house
            .blobs
            .verify(&mut |finding| panic!("{at}: {finding}"))
            .expect("verify");
    }
}

fn acceptance(id: ledger::AcceptanceId, recipients: &[AccountId]) -> Acceptance {
    Acceptance {
        protocol: "ESMTP".into(),
        client: "test".into(),
        helo: "test".into(),
        body: "8BITMIME".into(),
        recipients: recipients
            .iter()
            .map(|account| NewRecipient {
                address: account.0.to_string(),
                original: None,
                notify: None,
                lane: Lane::Local,
            })
            .collect(),
        ..Acceptance::ours(id, 0, "test")
    }
}
