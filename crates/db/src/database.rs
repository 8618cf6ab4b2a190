use crate::checkpoint::{self, Checkpointer, Log};
use crate::{Error, Result, Row, Schema, Value, migrate, sqlite};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How an engine's file is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Page cache per connection, KiB. Default 512: the system's own page cache stands behind it.
    pub cache_kib: u32,
    /// Readers kept open between uses. More may exist at once, never waiting for each other.
    pub readers_kept: usize,
    /// Pages in the write-ahead log at which a commit also checkpoints. Default 1,000 (4 MB).
    pub checkpoint_pages: u32,
    /// Who writes the log back; `None`: the commit that finds it long enough, while its caller waits.
    pub checkpointer: Option<Checkpointer>,
    /// How long a statement waits for another program's lock, milliseconds.
    pub busy_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_kib: 512,
            readers_kept: 2,
            checkpoint_pages: 1000,
            checkpointer: None,
            busy_ms: 5000,
        }
    }
}

/// What a commit promises when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On stable storage: a power cut keeps it.
    Synced,
    /// Visible and safe from a crash of the process; a power cut may take it back until [`Database::sync`] returns.
    Deferred,
}

/// How often a transaction is tried when the engine says "busy" or "serialise again".
const TRIES: u32 = 5;

/// One database file: one writer, parallel readers, prepared statements kept.
pub struct Database {
    path: PathBuf,
    options: Options,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
    directory_synced: AtomicBool,
    /// A sync of the log failed. The kernel may have dropped what was dirty and will call the next sync a success all the same.
    sync_failed: AtomicBool,
}

struct Writer {
    connection: Connection,
    /// What `PRAGMA synchronous` stands at, so that it is only changed when a caller wants the other.
    durability: Durability,
    /// The write-ahead log, opened when first synced.
    log: Option<File>,
    /// How far the log is written back, where that is not SQLite's own work.
    back: Option<Arc<Log>>,
    /// Octets that the log's file has, as last looked, and pages that were in it then.
    room: (u64, u32),
}

impl Database {
    /// Opens `path`, creating it if it is not there, and brings the tables of `schemas` to their newest version.
    pub fn open(path: &Path, schemas: &[Schema], options: Options) -> Result<Database> {
        let mut connection = sqlite::open(path, &options, true)?;
        let back = options
            .checkpointer
            .as_ref()
            .map(|checkpointer| Log::new(path, &options, checkpointer));
        if let Some(log) = &back {
            let log = Arc::clone(log);
            connection
                .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
                    log.committed(u32::try_from(pages).unwrap_or(0));
                    Ok(())
                }))
                .map_err(|e| sqlite::classify(path, e))?;
        }
        let database = Database {
            path: path.to_path_buf(),
            options,
            writer: Mutex::new(Writer {
                connection,
                durability: Durability::Deferred,
                log: None,
                back,
                room: (0, 0),
            }),
            readers: Mutex::new(Vec::new()),
            directory_synced: AtomicBool::new(false),
            sync_failed: AtomicBool::new(false),
        };
        // Looking first keeps opening free of writes when there is nothing to migrate.
        if database.is_behind(schemas)? {
            database.write(Durability::Synced, |tx| migrate::apply_in(tx, schemas, path))?;
            database.sync()?;
        }
        Ok(database)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a transaction that may write, commits, and gives back what it returned. An error rolls back.
    /// Only one writer runs at a time; `work` may be run again if the engine asks for it.
    pub fn write<T>(&self, durability: Durability, mut work: impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut writer = self.writer.lock();
        writer
            .set_durability(durability)
            .map_err(|e| sqlite::classify(&self.path, e))?;
        if let Some(_away) = writer.back.as_ref().and_then(|log| log.take_rest()) {
            // Next time is another chance; the transaction itself can go on.
            if let Err(error) = checkpoint::checkpoint(&writer.connection, &self.path) {
                tracing::debug!(file = %self.path.display(), %error, "the log is not written back");
            }
        }
        let mut tried = 0;
        loop {
            tried += 1;
            match self.attempt(&mut writer, durability, &mut work) {
                Err(Error::Busy { .. }) if tried < TRIES => {}
                other => return other,
            }
        }
    }

    fn attempt<T>(
        &self,
        writer: &mut Writer,
        durability: Durability,
        work: &mut impl FnMut(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let Writer {
            connection: c,
            back,
            room,
            ..
        } = writer;
        let tx = Transaction {
            connection: c,
            file: &self.path,
        };
        tx.execute("BEGIN IMMEDIATE", &[])?;
        let open = RollbackOnDrop(c);
        if durability == Durability::Synced
            && let Some(log) = back
        {
            make_room(&self.path, log.pages(), room);
        }
        let value = work(&tx)?;
        tx.execute("COMMIT", &[])?;
        std::mem::forget(open);
        Ok(value)
    }

    /// Runs `work` over one consistent state, beside writers and other readers.
    pub fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let kept = self.readers.lock().pop();
        let connection = match kept {
            Some(c) => c,
            None => sqlite::open(&self.path, &self.options, false)?,
        };
        let result = {
            let tx = Transaction {
                connection: &connection,
                file: &self.path,
            };
            tx.execute("BEGIN", &[])?;
            let _end = RollbackOnDrop(&connection);
            work(&tx)
        };
        let mut readers = self.readers.lock();
        if readers.len() < self.options.readers_kept {
            readers.push(connection);
        }
        result
    }

    /// Puts everything committed so far on stable storage: one `fdatasync` of the write-ahead log.
    pub fn sync(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::Acquire) {
            self.checkpoint_all()?;
            self.sync_failed.store(false, Ordering::Release);
            return Ok(());
        }
        let io = |source| Error::Io {
            file: self.path.clone(),
            source,
        };
        let log = {
            let mut writer = self.writer.lock();
            match &writer.log {
                Some(log) => log.try_clone().map_err(io)?,
                None => {
                    let path = log_path(&self.path);
                    let file = match File::open(&path) {
                        Ok(file) => file,
                        // No log: all is in the main file, which a checkpoint has synced.
                        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                        Err(e) => return Err(io(e)),
                    };
                    let clone = file.try_clone().map_err(io)?;
                    writer.log = Some(file);
                    clone
                }
            }
        };
        if let Err(e) = log.sync_data() {
            self.sync_failed.store(true, Ordering::Release);
            return Err(io(e));
        }
        if !self.directory_synced.load(Ordering::Acquire) {
            let directory = self.path.parent().unwrap_or_else(|| Path::new("."));
            File::open(directory).and_then(|d| d.sync_all()).map_err(io)?;
            self.directory_synced.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Copies everything from the log into the main file and syncs that: the only proof of durability after a sync of the log failed.
    fn checkpoint_all(&self) -> Result<()> {
        let connection = sqlite::open(&self.path, &self.options, true)?;
        let (busy, logged, copied): (i64, i64, i64) = connection
            .query_row("PRAGMA wal_checkpoint(FULL)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .map_err(|e| sqlite::classify(&self.path, e))?;
        if busy != 0 || logged != copied {
            return Err(Error::Busy {
                file: self.path.clone(),
            });
        }
        Ok(())
    }

    /// Writes a consistent copy of the file to `target`, while others go on reading and writing.
    pub fn copy_to(&self, target: &Path) -> Result<()> {
        self.read(|tx| {
            let mut to = Connection::open(target).map_err(|e| sqlite::classify(target, e))?;
            let backup =
                rusqlite::backup::Backup::new(tx.connection, &mut to).map_err(|e| sqlite::classify(target, e))?;
            backup
                .run_to_completion(1024, std::time::Duration::ZERO, None)
                .map_err(|e| sqlite::classify(target, e))
        })
    }

    /// Lets the engine prove its own structures; gives the faults it names, none when the file is sound.
    pub fn check_integrity(&self) -> Result<Vec<String>> {
        self.read(|tx| {
            let mut faults = Vec::new();
            tx.query("PRAGMA quick_check(20)", &[], |row| {
                let text = row.text(0)?;
                if text != "ok" {
                    faults.push(text.to_owned());
                }
                Ok(())
            })?;
            Ok(faults)
        })
    }

    /// Every table and index as the engine has it, one statement a line, in a settled order and with spaces folded: two files
    /// have the same schema when these are equal.
    pub fn describe_schema(&self) -> Result<String> {
        self.read(|tx| {
            let mut lines = tx.query_all(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'",
                &[],
                |row| {
                    Ok(row
                        .text(0)?
                        .lines()
                        .map(|l| l.split("--").next().unwrap_or(""))
                        .collect::<Vec<_>>()
                        .join(" ")
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" "))
                },
            )?;
            lines.sort();
            Ok(lines.join("\n"))
        })
    }

    fn is_behind(&self, schemas: &[Schema]) -> Result<bool> {
        let writer = self.writer.lock();
        let tx = Transaction {
            connection: &writer.connection,
            file: &self.path,
        };
        migrate::is_behind(&tx, schemas, &self.path)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The last connection to close writes back what is left and takes the log away: that is to be one of these.
        if let Some(log) = &self.writer.get_mut().back {
            log.close();
        }
    }
}

impl Writer {
    fn set_durability(&mut self, wanted: Durability) -> rusqlite::Result<()> {
        if self.durability != wanted {
            let level = match wanted {
                Durability::Synced => "PRAGMA synchronous=FULL",
                Durability::Deferred => "PRAGMA synchronous=NORMAL",
            };
            self.connection.prepare_cached(level)?.raw_execute()?;
            self.durability = wanted;
        }
        Ok(())
    }
}

/// Octets of a page in the log.
const FRAME: u64 = 4096 + 24;
/// Pages from which on a log is given room ahead, and that it always has room for then.
const ROOM_FROM: u32 = 64;
/// Octets that a log grows by at a time: as many as it has, within these.
const ROOM: (u64, u64) = (256 << 10, 1 << 20);

/// Lets the log grow by zeros, in steps, while the transaction holds the right to write it: pages that overwrite them are synced without a
/// commit of the file system's journal, which takes as long again. A page of zeros has no valid checksum and ends the log for whoever reads
/// it. What cannot be made room for now (the disk is full) is the commit's own affair.
fn make_room(path: &Path, pages: u32, room: &mut (u64, u32)) {
    let need = u64::from(pages + ROOM_FROM) * FRAME;
    if pages < ROOM_FROM || (need <= room.0 && pages >= room.1) {
        room.1 = pages;
        return;
    }
    let Ok(file) = std::fs::OpenOptions::new().write(true).open(log_path(path)) else {
        return;
    };
    // Only behind its end, wherever that is: nothing is overwritten.
    let length = file.metadata().map_or(u64::MAX, |about| about.len());
    *room = (length, pages);
    if need > length {
        let more = length.clamp(ROOM.0, ROOM.1);
        let zeros = vec![0; usize::try_from(more).unwrap_or(0)];
        if file.write_all_at(&zeros, length).is_ok() {
            room.0 = length + more;
        }
    }
}

fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

struct RollbackOnDrop<'c>(&'c Connection);

impl Drop for RollbackOnDrop<'_> {
    fn drop(&mut self) {
        if let Err(e) = self.0.execute_batch("ROLLBACK") {
            // The engine rolls back by itself after a full disk or an I/O error; then there is nothing left to do.
            tracing::debug!(error = %e, "rollback");
        }
    }
}

/// A running transaction: statements with `?1`, `?2` … as parameters.
pub struct Transaction<'c> {
    connection: &'c Connection,
    file: &'c Path,
}

impl Transaction<'_> {
    /// Runs one statement; gives the number of rows it changed.
    pub fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<usize> {
        self.execute_inner(sql, parameters).map_err(|e| self.classify(e))
    }

    fn execute_inner(&self, sql: &str, parameters: &[Value<'_>]) -> rusqlite::Result<usize> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, parameters)?;
        statement.raw_execute()
    }

    /// Runs several statements without parameters, as migrations do.
    pub fn batch(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|e| self.classify(e))
    }

    /// Calls `each` for every row of the answer, in its order; an error from `each` ends the query.
    pub fn query(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let engine = |e| self.classify(e);
        let mut statement = self.connection.prepare_cached(sql).map_err(engine)?;
        bind(&mut statement, parameters).map_err(engine)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(engine)? {
            each(&Row(row))?;
        }
        Ok(())
    }

    /// The same, until `each` says that it is enough.
    pub fn walk(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let engine = |e| self.classify(e);
        let mut statement = self.connection.prepare_cached(sql).map_err(engine)?;
        bind(&mut statement, parameters).map_err(engine)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(engine)? {
            if each(&Row(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The first row of the answer, if there is one.
    pub fn query_row<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let engine = |e| self.classify(e);
        let mut statement = self.connection.prepare_cached(sql).map_err(engine)?;
        bind(&mut statement, parameters).map_err(engine)?;
        let mut rows = statement.raw_query();
        match rows.next().map_err(engine)? {
            Some(row) => read(&Row(row)).map(Some),
            None => Ok(None),
        }
    }

    /// All rows of the answer, each read by `read`.
    pub fn query_all<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.query(sql, parameters, |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    fn classify(&self, e: rusqlite::Error) -> Error {
        if sqlite::is_retry(&e) {
            return Error::Busy {
                file: self.file.to_path_buf(),
            };
        }
        sqlite::classify(self.file, e)
    }
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, parameters: &[Value<'_>]) -> rusqlite::Result<()> {
    for (i, value) in parameters.iter().enumerate() {
        match *value {
            Value::Null => statement.raw_bind_parameter(i + 1, rusqlite::types::Null)?,
            Value::Integer(v) => statement.raw_bind_parameter(i + 1, v)?,
            Value::Text(v) => statement.raw_bind_parameter(i + 1, v)?,
            Value::Blob(v) => statement.raw_bind_parameter(i + 1, v)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Migration;

    #[test]
    fn after_a_failed_sync_only_the_main_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let schema = Schema {
            component: "test",
            steps: &[Migration {
                name: "one",
                sql: "CREATE TABLE t (a BIGINT PRIMARY KEY)",
            }],
        };
        let database = Database::open(&path, &[schema], Options::default()).unwrap();
        let insert = |n: i64| {
            let done = database.write(Durability::Deferred, |tx| {
                tx.execute("INSERT INTO t (a) VALUES (?1)", &[n.into()])
            });
            done.unwrap();
        };
        insert(1);
        // A device that can't be synced stands in for a disk that fails once.
        database.writer.lock().log = Some(File::open("/dev/null").unwrap());
        assert!(matches!(database.sync(), Err(Error::Io { .. })));
        database.writer.lock().log = None;
        insert(2);
        database.sync().unwrap();
        // The main file alone has it all: the log, of which nothing is known, is not needed.
        let alone = folder.path().join("alone.db");
        std::fs::copy(&path, &alone).unwrap();
        let alone = Database::open(&alone, &[schema], Options::default()).unwrap();
        let rows = alone
            .read(|tx| tx.query_row("SELECT count(*) FROM t", &[], |row| row.i64(0)))
            .unwrap();
        assert_eq!(rows, Some(2));
        insert(3);
        database.sync().unwrap();
    }
}
