use crate::account::Shared;
use crate::indexing::{self, IndexDue, Indexing, SearchOptions};
use crate::sweep::{Sweeper, Sweeps};
use crate::warm::Warm;
use crate::{Account, AccountId, Result};
use blobs::Blobs;
use db::{Checkpointer, OpenFiles};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How accounts are kept open.
#[derive(Clone, Debug)]
pub struct Options {
    /// Account files kept open when nobody uses them. Each takes some hundred KiB and four file descriptors.
    pub accounts_open: NonZeroUsize,
    /// Cache of one account file's writer, in KiB.
    pub cache_kib: u32,
    /// How they are searched.
    pub search: SearchOptions,
    /// Octets of views that are kept of mailboxes nobody has open, for all accounts together: some 40 a message. Opening such a mailbox
    /// again reads nothing.
    pub views_kept: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            accounts_open: NonZeroUsize::new(128).unwrap_or(NonZeroUsize::MIN),
            cache_kib: 1024,
            search: SearchOptions::default(),
            views_kept: 64 << 20,
        }
    }
}

/// All accounts of a data directory.
pub struct Store {
    directory: PathBuf,
    blobs: Blobs,
    open: Arc<OpenFiles<AccountId, Account>>,
    shared: Shared,
    sweeper: Sweeper,
    options: Options,
    index_due: Arc<IndexDue>,
}

impl Store {
    /// The accounts below `directory`, which is created when it is missing. Opens no account.
    pub fn open(directory: &Path, blobs: Blobs, options: Options) -> Result<Store> {
        std::fs::create_dir_all(directory).map_err(|source| db::Error::Io {
            file: directory.to_path_buf(),
            source,
        })?;
        let open = Arc::new(OpenFiles::new(options.accounts_open));
        let sweeps = Arc::new(Sweeps::default());
        let sweeper = Sweeper::start(Arc::clone(&sweeps), Arc::downgrade(&open)).map_err(|source| db::Error::Io {
            file: directory.to_path_buf(),
            source,
        })?;
        let checkpointer = Checkpointer::start().map_err(|source| db::Error::Io {
            file: directory.to_path_buf(),
            source,
        })?;
        Ok(Store {
            directory: directory.to_path_buf(),
            blobs,
            open,
            shared: Shared {
                warm: Arc::new(Warm::new(options.views_kept)),
                sweeps,
                checkpointer,
            },
            sweeper,
            options,
            index_due: Arc::default(),
        })
    }

    /// Accounts that have got messages their index does not have yet.
    pub fn index_due(&self) -> &IndexDue {
        &self.index_due
    }

    /// The account of that id; its file is created on first use, with the mailboxes everybody has.
    ///
    /// Whoever asks has found the id in the directory: the store does not know which accounts there should be.
    pub fn account(&self, id: AccountId) -> Result<Arc<Account>> {
        let mut opened = false;
        let account = self.open.open(id, || {
            opened = true;
            let path = self.path_of(id);
            let directory = path.parent().unwrap_or(&self.directory);
            if !directory.is_dir() {
                let io = |source| db::Error::Io {
                    file: directory.to_path_buf(),
                    source,
                };
                std::fs::create_dir_all(directory).map_err(io)?;
                std::fs::File::open(&self.directory)
                    .and_then(|d| d.sync_all())
                    .map_err(io)?;
            }
            let indexing = Indexing::new(self.options.search.clone(), Arc::clone(&self.index_due));
            Account::open(
                id,
                &path,
                self.blobs.clone(),
                self.options.cache_kib,
                self.shared.clone(),
                indexing,
            )
        })?;
        if opened {
            // Perhaps something was left half done.
            self.shared.sweeps.ask(id);
        }
        Ok(account)
    }

    /// Whether the account has a file already.
    pub fn account_exists(&self, id: AccountId) -> bool {
        self.path_of(id).exists()
    }

    /// Closes the files nobody uses: each is left in one piece, without a log beside it.
    pub fn close(&self) {
        self.sweeper.stop();
        self.open.clear();
    }

    /// Takes the account's file away for good. Its messages' bytes are reclaimed later, where no other account refers to them.
    pub fn account_delete(&self, id: AccountId) -> Result<()> {
        if let Some(account) = self.open.peek(id) {
            account.close_views();
        }
        self.open.forget(id);
        let path = self.path_of(id);
        search::Index::remove(&indexing::path_of(&path))?;
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            let file = PathBuf::from(name);
            match std::fs::remove_file(&file) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(db::Error::Io { file, source }.into()),
            }
        }
        Ok(())
    }

    /// The message bytes that the accounts refer to.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The file of an account: `ab/<id>.db`, where `ab` is the id's last byte in hex, so that no folder gets large.
    pub fn path_of(&self, id: AccountId) -> PathBuf {
        self.directory
            .join(format!("{:02x}", id.0 & 0xff))
            .join(format!("{}.db", id.0))
    }
}
