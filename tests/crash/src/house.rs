//! Custody and mailboxes in this process: the floors below the doors, put together as the server does.

use blobs::Blobs;
use blobs::simulation::SimulatedDisk;
use db::{AccountId, Database};
use ledger::{Ledger, Settlement, Work};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::{Account, Arrival, Digest, Flags, NewMessage, Store};

/// Pages after which the log is written back: few, so that power cuts meet checkpoints; more than two steps write.
const CHECKPOINT_PAGES: u32 = 150;

/// The opened data.
pub struct House {
    /// Rows of the server.
    pub database: Arc<Database>,
    /// Message bytes, on the simulated disk.
    pub blobs: Blobs,
    /// Custody.
    pub ledger: Ledger,
    /// Mailboxes.
    pub store: Store,
}

impl House {
    /// Opens what is in a folder and on a disk. `clock`: what time it is there, in seconds since 1970.
    pub fn open(folder: &Path, disk: &SimulatedDisk, clock: &Arc<AtomicI64>) -> House {
        let options = blobs::Options {
            segment_bytes: 32 << 10,
            own_segment_bytes: 8 << 10,
            chunk_bytes: 2 << 10,
            ahead_bytes: 4 << 10,
            ..blobs::Options::default()
        };
        let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/blobs"), options).expect("blobs");
        let options = db::Options {
            checkpoint_pages: CHECKPOINT_PAGES,
            ..db::Options::default()
        };
        let database = Database::open(&House::server(folder), &[ledger::SCHEMA], options).expect("server.db");
        let database = Arc::new(database);
        let clock = Arc::clone(clock);
        let options = ledger::Options {
            clock: Arc::new(move || clock.load(Ordering::Relaxed)),
            ..ledger::Options::default()
        };
        let ledger = Ledger::open(Arc::clone(&database), blobs.clone(), &options).expect("ledger");
        let store = Store::open(&folder.join("accounts"), blobs.clone(), store::Options::default()).expect("store");
        House {
            database,
            blobs,
            ledger,
            store,
        }
    }

    /// The path of the server's rows.
    pub fn server(folder: &Path) -> PathBuf {
        folder.join("server.db")
    }

    /// An account that was made before.
    pub fn account(&self, id: AccountId) -> Arc<Account> {
        self.store.account(id).expect("account")
    }

    /// Puts work of one account into its INBOX; not durable yet. Lines before the message name the delivery.
    ///
    /// # Errors
    /// The bytes can't be read: another thread's write has used up what the disk's power was good for.
    pub fn deliver(&self, id: AccountId, work: &[Work]) -> Result<Vec<Settlement>, blobs::Error> {
        let account = self.account(id);
        let inbox = account.mailbox_find("INBOX").expect("INBOX").id;
        let prepared = work
            .iter()
            .map(|w| {
                let bytes = self.blobs.read(w.blob)?;
                let prefix = format!("X-Delivery: {} {}\r\n", w.acceptance.id.0, w.number);
                Ok((prefix.into_bytes(), Digest::of(&bytes)))
            })
            .collect::<Result<Vec<(Vec<u8>, Digest)>, blobs::Error>>()?;
        let arrivals: Vec<Arrival<'_>> = work
            .iter()
            .zip(&prepared)
            .map(|(w, (prefix, digest))| Arrival {
                acceptance: w.acceptance.id.0,
                recipient: w.number,
                mailbox: inbox,
                message: NewMessage {
                    blob: w.blob,
                    blob_len: w.size,
                    prefix,
                    digest,
                    flags: Flags::NONE,
                    received: w.acceptance.received_at,
                },
            })
            .collect();
        let delivered = account.deliver(&arrivals).expect("delivery");
        let settled = work.iter().zip(delivered).map(|(w, d)| Settlement {
            acceptance: w.acceptance.id,
            number: w.number,
            fate: ledger::Fate::Delivered,
            at: 0,
            detail: None,
            account: Some(id),
            place: Some((d.mailbox.0, d.uid.0)),
            attempt: None,
        });
        Ok(settled.collect())
    }
}
