//! What the tests of sending on and of notices share: the parts of a server with Ada and Bob, and mail that is taken into custody.
#![allow(clippy::unwrap_used)]
#![allow(dead_code)] // each test file uses some of it

use blobs::Blobs;
use db::{AccountId, Database};
use directory::{Directory, NewAccount};
use ledger::{Acceptance, AcceptanceId, Lane, Ledger, NewRecipient, Record};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Store;

pub struct Base {
    pub database: Arc<Database>,
    pub blobs: Blobs,
    pub store: Arc<Store>,
    pub directory: Directory,
    pub ledger: Ledger,
    folder: tempfile::TempDir,
}

impl Base {
    /// The accounts ada@our.test and bob@our.test.
    pub fn new() -> Base {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let schemas = [ledger::SCHEMA, directory::SCHEMA];
        let database = Arc::new(Database::open(&path.join("server.db"), &schemas, db::Options::default()).unwrap());
        let blobs = Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
        let store = Arc::new(Store::open(&path.join("accounts"), blobs.clone(), store::Options::default()).unwrap());
        let directory = Directory::open(Arc::clone(&database)).unwrap();
        directory.domain_add("our.test").unwrap();
        for address in ["ada@our.test", "bob@our.test"] {
            let new = NewAccount {
                address,
                ..NewAccount::default()
            };
            directory.account_add(&new).unwrap();
        }
        let ledger = Ledger::open(Arc::clone(&database), blobs.clone(), &ledger::Options::default()).unwrap();
        Base {
            database,
            blobs,
            store,
            directory,
            ledger,
            folder,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn id(&self, address: &str) -> AccountId {
        self.directory.account_show(address).unwrap().id
    }

    pub fn show(&self, id: AcceptanceId) -> Record {
        self.ledger.show(id).unwrap().unwrap()
    }

    /// Takes mail for somebody of ours into custody.
    pub async fn take(&self, from: &str, to: &str, notify: Option<&str>, text: &str) -> AcceptanceId {
        let id = self.ledger.next_id();
        let acceptance = Acceptance {
            sender: from.into(),
            recipients: vec![NewRecipient {
                address: to.to_owned(),
                original: None,
                notify: notify.map(str::to_owned),
                lane: Lane::Local,
            }],
            ..Acceptance::ours(id, id.seconds(), "smtp")
        };
        let commit = self.blobs.put(text.as_bytes()).unwrap();
        self.ledger.accept(acceptance, commit, None).await.unwrap();
        id
    }

    pub async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < end, "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
