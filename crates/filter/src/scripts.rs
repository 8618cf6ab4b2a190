//! Scripts made ready to run, and kept so.

use crate::Options;
use crate::lists::{List, Lists};
use crate::programs::Programs;
use directory::Directory;
use lru::LruCache;
use parking_lot::Mutex;
use sieve::{Compiled, Error};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use store::{Account, AccountId, ModSeq, Script};

/// Compiled scripts kept in memory.
const KEPT: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Octets of an administrator's script: as those of users, the language bounds them.
const SUFFIX: &str = "sieve";

type Ready = Result<Arc<Compiled>, Arc<[Error]>>;

/// Runs scripts.
pub struct Filter {
    options: Options,
    language: sieve::Options,
    /// By version: each change of a script of an account gets one that no other has.
    users: Mutex<LruCache<(AccountId, ModSeq), Ready>>,
    files: Mutex<LruCache<PathBuf, (Option<SystemTime>, Ready)>>,
    pub(crate) programs: Programs,
    lists: Lists,
    /// Knows what is said about the server (RFC 5464).
    directory: Option<Directory>,
}

/// A script of the administrator's that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptsFault {
    /// The file can't be read.
    #[error("{file}: {reason}", file = file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// It has faults.
    #[error("{file}: {first}", file = file.display())]
    Broken {
        /// Which.
        file: PathBuf,
        /// The first of its faults.
        first: String,
    },
}

impl Filter {
    /// A filter with these options. Files are read when they are first used.
    pub fn new(options: Options) -> Filter {
        let mut language = sieve::Options::default();
        language.limits = options.limits.clone();
        language.extensions = options.extensions.clone();
        let programs = Programs::new(options.programs.clone());
        let lists = Lists::new(options.lists.clone(), &options.hostname);
        Filter {
            programs,
            lists,
            options,
            language,
            users: Mutex::new(LruCache::new(KEPT)),
            files: Mutex::new(LruCache::new(KEPT)),
            directory: None,
        }
    }

    /// With what is said about the server, for `servermetadata` (RFC 5490 §3.5). Without it nothing is.
    #[must_use]
    pub fn with_directory(mut self, directory: Directory) -> Filter {
        self.directory = Some(directory);
        self
    }

    /// A `/shared` entry of the server.
    pub(crate) fn server_metadata(&self, entry: &str) -> Option<Vec<u8>> {
        self.directory.as_ref()?.server_metadata_entry(entry)
    }

    /// A list that scripts may ask. `Ok(None)`: there is none of that name. `Err`: it cannot be read now.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Arc<List>>, String> {
        let found = self.lists.find(name, self.directory.as_ref());
        if let Err(reason) = &found {
            tracing::warn!(list = name, reason, "a list that a script asks for cannot be read");
        }
        found
    }

    /// What scripts may do.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Checks a script as it will be run; all that is wrong with it, never none.
    pub fn check(&self, script: &[u8]) -> Result<Compiled, Vec<Error>> {
        Compiled::compile(script, &self.language)
    }

    /// Reads the administrator's scripts now, so that the server does not start with one that can't be used.
    pub fn administrators(&self) -> Result<(), ScriptsFault> {
        for file in [&self.options.before, &self.options.after, &self.options.events.script]
            .into_iter()
            .flatten()
        {
            std::fs::read(file).map_err(|reason| ScriptsFault::Unreadable {
                file: file.clone(),
                reason,
            })?;
            if let Err(errors) = self.file(file) {
                return Err(ScriptsFault::Broken {
                    file: file.clone(),
                    first: errors.first().map(ToString::to_string).unwrap_or_default(),
                });
            }
        }
        Ok(())
    }

    /// Whether anything runs for an account that has no active script.
    pub fn has_administrators(&self) -> bool {
        self.options.before.is_some() || self.options.after.is_some()
    }

    /// A script of a user, compiled once for each version.
    pub(crate) fn user(&self, account: AccountId, script: &Script) -> Ready {
        let key = (account, script.info.version);
        if let Some(ready) = self.users.lock().get(&key) {
            return ready.clone();
        }
        let ready = self.ready(script.text.as_bytes());
        self.users.lock().put(key, ready.clone());
        ready
    }

    /// Whether an account's active script may refuse mail: then it is worth asking it while the sender still waits.
    ///
    /// One that asks a program is not asked then: programs run once for a message, when it is delivered.
    pub fn may_reject(&self, account: &Account) -> bool {
        let requires =
            |compiled: &Compiled, names: &[&str]| compiled.required().iter().any(|r| names.contains(&r.as_str()));
        let refuses = |compiled: &Compiled| {
            requires(compiled, &["reject", "ereject", "include"])
                && !requires(compiled, &["vnd.dovecot.filter", "vnd.dovecot.execute"])
        };
        let own = match account.script_active() {
            Ok(Some(script)) => self.user(account.id(), &script).is_ok_and(|c| refuses(&c)),
            _ => false,
        };
        own || [&self.options.before, &self.options.after]
            .into_iter()
            .flatten()
            .any(|file| self.file(file).is_ok_and(|c| refuses(&c)))
    }

    /// A script in a file, read again when the file is another.
    pub(crate) fn file(&self, path: &Path) -> Ready {
        let changed = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        if let Some((known, ready)) = self.files.lock().get(path)
            && *known == changed
        {
            return ready.clone();
        }
        let ready = match std::fs::read(path) {
            Ok(text) => self.ready(&text),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a Sieve script of the administrator's cannot be read");
                // As good as an empty one: mail goes on.
                self.ready(b"")
            }
        };
        self.files.lock().put(path.to_owned(), (changed, ready.clone()));
        ready
    }

    /// The file that `include :global` means.
    pub(crate) fn global(&self, name: &str) -> Option<PathBuf> {
        let folder = self.options.global.as_ref()?;
        let plain = !name.is_empty()
            && !name.starts_with('.')
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '));
        let file = folder.join(format!("{name}.{SUFFIX}"));
        (plain && file.is_file()).then_some(file)
    }

    fn ready(&self, text: &[u8]) -> Ready {
        self.check(text).map(Arc::new).map_err(Arc::from)
    }
}
