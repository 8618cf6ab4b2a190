//! A data directory, opened: rows, bytes, accounts, custody.

use crate::config::Config;
use crate::extractor::OutOfProcess;
use crate::failure::{At as _, Failure};
use crate::files::{self, DataLock};
use blobs::Blobs;
use db::{Database, Durability};
use delivery::own::OwnMail;
use delivery::{ForwardOptions, Forwarding, NoticeOptions, Notifier, Signer};
use directory::{Directory, Resolution};
use filter::Filter;
use ledger::{Lane, Ledger};
use smtp::dsn::Language;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use store::Store;

/// The one row that health checks write and read back.
const HEARTBEAT: db::Schema = db::Schema {
    component: "heartbeat",
    steps: &[db::Migration {
        name: "the row that health checks write",
        sql: "CREATE TABLE heartbeat (name TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL)",
    }],
};

/// What mail on its way to others needs.
pub struct Outward {
    /// Signs what our people and we ourselves write.
    pub signer: Arc<Signer>,
    /// Sends on.
    pub forwarding: Arc<Forwarding>,
    /// Tells senders what became of their mail.
    pub notifier: Arc<Notifier>,
    /// Mail of our own.
    pub own: OwnMail,
}

/// Everything that lies in a data directory. Whoever holds one is alone in it.
pub struct Engine {
    /// Domains, accounts, addresses.
    pub directory: Directory,
    /// What is in custody, and its history.
    pub ledger: Ledger,
    /// Mailboxes.
    pub store: Arc<Store>,
    /// Message bytes.
    pub blobs: Blobs,
    /// The rows of `server.db`.
    pub database: Arc<Database>,
    filter: OnceLock<Arc<Filter>>,
    outward: OnceLock<Arc<Outward>>,
    data: PathBuf,
    _lock: DataLock,
}

impl Engine {
    /// Opens `data`, making what is not there yet.
    pub fn open(data: &Path, lock: DataLock) -> Result<Engine, Failure> {
        Self::open_with(data, lock, directory::Options::default())
    }

    /// The same with a say in who exists and who may come in.
    pub fn open_with(data: &Path, lock: DataLock, people: directory::Options) -> Result<Engine, Failure> {
        let file = data.join("server.db");
        let schemas = [directory::SCHEMA, ledger::SCHEMA, sightings::SCHEMA, HEARTBEAT];
        let database = Arc::new(Database::open(&file, &schemas, db::Options::default()).map_err(Failure::new)?);
        let blobs = Blobs::open(&data.join("blobs"), blobs::Options::default()).map_err(Failure::new)?;
        let options = store::Options {
            search: store::SearchOptions {
                attachments: Arc::new(OutOfProcess),
                ..store::SearchOptions::default()
            },
            ..store::Options::default()
        };
        let store = Store::open(&data.join("accounts"), blobs.clone(), options).map_err(Failure::new)?;
        let ledger =
            Ledger::open(Arc::clone(&database), blobs.clone(), &ledger::Options::default()).map_err(Failure::new)?;
        let directory = Directory::open_with(Arc::clone(&database), people).map_err(Failure::new)?;
        // The folders and files just made have names, which a power cut must not take back from under their contents.
        std::fs::File::open(data).and_then(|d| d.sync_all()).at("sync", data)?;
        Ok(Engine {
            directory,
            ledger,
            store: Arc::new(store),
            blobs,
            database,
            filter: OnceLock::new(),
            outward: OnceLock::new(),
            data: data.to_path_buf(),
            _lock: lock,
        })
    }

    /// Makes the folder if need be, takes its lock and opens it; a failure when somebody else has it.
    pub fn open_alone(data: &Path) -> Result<Engine, Failure> {
        files::folder(data)?;
        match DataLock::take(data)? {
            Some(lock) => Engine::open(data, lock),
            None => Err(Failure::new(format!("another rohrpost has {} open", data.display()))
                .advise("stop it first, or name another data directory")),
        }
    }

    /// Runs scripts as `config` has it. The first call decides.
    pub fn filter_by(&self, config: &Config) -> Arc<Filter> {
        Arc::clone(
            self.filter
                .get_or_init(|| Arc::new(Filter::new(filter_options(config)).with_directory(self.directory.clone()))),
        )
    }

    /// Runs scripts, with the defaults where no settings were given.
    pub fn filter(&self) -> Arc<Filter> {
        Arc::clone(self.filter.get_or_init(|| {
            Arc::new(Filter::new(filter::Options::new("localhost")).with_directory(self.directory.clone()))
        }))
    }

    /// Signs, sends on and tells senders what became of their mail, as `config` has it. The first call decides.
    pub fn outward_by(&self, config: &Config) -> Arc<Outward> {
        Arc::clone(self.outward.get_or_init(|| {
            let set = &config.forwarding;
            let options = ForwardOptions {
                rewrite: set.rewrite,
                seal: set.seal,
                tells_owner: set.tells_owner,
                ..ForwardOptions::new(config.hostname.as_str())
            };
            Arc::new(self.outward_of(options, &config.languages))
        }))
    }

    /// Tells senders what became of their mail, as `config` has it. The first call decides.
    pub fn notifier_by(&self, config: &Config) -> Arc<Notifier> {
        Arc::clone(&self.outward_by(config).notifier)
    }

    /// The same, with the defaults where no settings were given.
    pub fn notifier(&self) -> Arc<Notifier> {
        let outward = self
            .outward
            .get_or_init(|| Arc::new(self.outward_of(ForwardOptions::new("localhost"), &[])));
        Arc::clone(&outward.notifier)
    }

    fn outward_of(&self, options: ForwardOptions, languages: &[Language]) -> Outward {
        let directory = self.directory.clone();
        let lanes = move |address: &str| match directory.resolve(address) {
            Resolution::Remote => Lane::Remote,
            _ => Lane::Local,
        };
        let notices = NoticeOptions {
            hostname: options.hostname.clone(),
            languages: languages.to_vec(),
            postmaster: delivery::own::postmaster(&self.directory, &options.hostname),
        };
        let signer = Arc::new(Signer::new(self.data.join("dkim")));
        let own = OwnMail::new(
            self.ledger.clone(),
            self.directory.clone(),
            Some(Arc::clone(&signer)),
            &options.hostname,
            languages,
        );
        let forwarding = Forwarding::new(self.directory.clone(), Some(Arc::clone(&signer)), options);
        let forwarding = Arc::new(forwarding);
        let notifier = Notifier::new(self.ledger.clone(), Arc::new(lanes), notices)
            .signed(Arc::clone(&signer))
            .forwarding(Arc::clone(&forwarding));
        Outward {
            signer,
            forwarding,
            notifier: Arc::new(notifier),
            own,
        }
    }

    /// Tries every part for real: writes a row and reads it back, asks the ledger and the bytes, looks how much room is left.
    pub fn health(&self) -> web::Health {
        vec![
            ("database", self.heartbeat()),
            ("ledger", self.ledger.totals().map(|_| ()).map_err(|e| e.to_string())),
            ("room", self.room()),
        ]
    }

    fn heartbeat(&self) -> Result<(), String> {
        let now = i64::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| d.as_micros()),
        )
        .unwrap_or(0);
        let written = self.database.write(Durability::Deferred, |tx| {
            tx.execute(
                "INSERT INTO heartbeat (name, at) VALUES ('health', ?1) ON CONFLICT (name) DO UPDATE SET at = ?1",
                &[now.into()],
            )
        });
        written.map_err(|e| e.to_string())?;
        let read = self
            .database
            .read(|tx| tx.query_row("SELECT at FROM heartbeat WHERE name = 'health'", &[], |row| row.i64(0)))
            .map_err(|e| e.to_string())?;
        // Another check may have written a later one in between.
        if read.is_some_and(|at| at >= now) {
            Ok(())
        } else {
            Err("a row was written and not found again".to_owned())
        }
    }

    fn room(&self) -> Result<(), String> {
        const LEAST: u64 = 64 << 20;
        let s = rustix::fs::statvfs(&self.data).map_err(|e| e.to_string())?;
        match s.f_bavail.saturating_mul(s.f_frsize) {
            room if room < LEAST => Err(format!("{} left on the disk", crate::config::units::size_rounded(room))),
            _ => Ok(()),
        }
    }

    /// Writes down what is still in memory and closes.
    pub fn close(&self) -> Result<(), Failure> {
        self.ledger.close();
        self.store.close();
        self.blobs.close().map_err(Failure::new)
    }
}

fn filter_options(config: &Config) -> filter::Options {
    let mut options = filter::Options::new(config.hostname.as_str());
    let sieve = &config.sieve;
    options.scripts = store::ScriptLimits {
        scripts: u32::try_from(sieve.scripts).unwrap_or(u32::MAX),
        bytes: sieve.script_size,
    };
    let whole = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    options.limits.script_bytes = whole(sieve.script_size);
    options.limits.steps = whole(sieve.steps);
    options.limits.regex_input_bytes = whole(sieve.regex_input);
    options.limits.redirects = whole(sieve.redirects);
    if let Some(folder) = &sieve.programs {
        for name in ["pipe", "filter", "execute"] {
            options.extensions = options.extensions.with(&format!("vnd.dovecot.{name}"));
        }
        options.programs = filter::ProgramOptions {
            folder: Some(folder.clone()),
            time: sieve.program_time,
            memory: sieve.program_memory,
            at_once: whole(sieve.programs_at_once),
            ..filter::ProgramOptions::default()
        };
    }
    options.lists.clone_from(&sieve.lists);
    options.extensions = sieve
        .without
        .iter()
        .fold(options.extensions, |extensions, name| extensions.without(name));
    options.before.clone_from(&sieve.before);
    options.after.clone_from(&sieve.after);
    options.global.clone_from(&sieve.global);
    options.sent_per_day = sieve.sent_per_day;
    options.create_mailboxes = sieve.create_mailboxes;
    options.events = filter::EventOptions {
        enabled: sieve.events,
        script: sieve.events_script.clone(),
        expunge: sieve.events_expunge,
        messages: whole(sieve.events_messages),
        time: sieve.events_time,
    };
    if !sieve.events {
        // A script that needs it would wait for what never happens.
        options.extensions = options.extensions.without("imapsieve");
    }
    options
}
