//! The database behaves as its callers rely on: durability levels, rollback, readers beside a writer, migrations, open files.
#![allow(clippy::unwrap_used)]

use db::{Checkpointer, Database, Durability, Error, Migration, OpenFiles, Options, Schema};
use std::num::NonZeroUsize;
use std::sync::Arc;

const ONE: Schema = Schema {
    component: "test",
    steps: &[Migration {
        name: "first",
        sql: "CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT)",
    }],
};
const TWO: Schema = Schema {
    component: "test",
    steps: &[
        Migration {
            name: "first",
            sql: "CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT)",
        },
        Migration {
            name: "second",
            sql: "ALTER TABLE t ADD COLUMN c BLOB",
        },
    ],
};

fn open(dir: &tempfile::TempDir, m: Schema) -> db::Result<Database> {
    Database::open(&dir.path().join("x.db"), &[m], Options::default())
}

fn count(d: &Database) -> i64 {
    d.read(|tx| tx.query_row("SELECT count(*) FROM t", &[], |r| r.i64(0)))
        .unwrap()
        .unwrap()
}

#[test]
fn engine_has_the_wal_reset_fix() {
    let parts: Vec<u32> = db::engine_version().split('.').map(|p| p.parse().unwrap()).collect();
    assert!(
        parts >= vec![3, 51, 3],
        "SQLite {} is older than 3.51.3",
        db::engine_version()
    );
}

#[test]
fn commit_keeps_and_error_rolls_back() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(&dir, ONE).unwrap();
    for level in [Durability::Synced, Durability::Deferred] {
        let before = count(&d);
        d.write(level, |tx| {
            tx.execute("INSERT INTO t VALUES (?1, ?2)", &[(before + 1).into(), "x".into()])
        })
        .unwrap();
        let failed: db::Result<()> = d.write(level, |tx| {
            tx.execute("INSERT INTO t VALUES (?1, ?2)", &[99.into(), "x".into()])?;
            Err(Error::Constraint("on purpose".into()))
        });
        assert!(failed.is_err());
        assert_eq!(count(&d), before + 1);
    }
    d.sync().unwrap();
    drop(d);
    assert_eq!(count(&open(&dir, ONE).unwrap()), 2);
}

#[test]
fn a_reader_sees_one_state_while_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(&dir, ONE).unwrap();
    d.read(|tx| {
        let seen = |tx: &db::Transaction<'_>| {
            tx.query_row("SELECT count(*) FROM t", &[], |r| r.i64(0))
                .map(Option::unwrap)
        };
        assert_eq!(seen(tx)?, 0);
        d.write(Durability::Deferred, |w| {
            w.execute("INSERT INTO t VALUES (1, NULL)", &[])
        })?;
        assert_eq!(seen(tx)?, 0);
        Ok(())
    })
    .unwrap();
    assert_eq!(count(&d), 1);
}

#[test]
fn typed_rows_refuse_the_wrong_type() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(&dir, ONE).unwrap();
    d.write(Durability::Deferred, |tx| {
        tx.execute("INSERT INTO t VALUES (1, 'text')", &[])
    })
    .unwrap();
    let got = d.read(|tx| tx.query_row("SELECT b FROM t", &[], |r| r.i64(0)));
    assert!(matches!(got, Err(Error::Column { column: 0, .. })), "{got:?}");
}

#[test]
fn migrations_go_forward_and_refuse_the_future() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir, ONE)
        .unwrap()
        .write(Durability::Synced, |tx| {
            tx.execute("INSERT INTO t VALUES (7, 'kept')", &[])
        })
        .unwrap();
    let newer = open(&dir, TWO).unwrap();
    let row = newer.read(|tx| {
        tx.query_row("SELECT a, b, c FROM t", &[], |r| {
            Ok((r.i64(0)?, r.text(1)?.to_owned(), r.opt_blob(2)?.is_none()))
        })
    });
    assert_eq!(row.unwrap(), Some((7, "kept".into(), true)));
    drop(newer);
    let old = open(&dir, ONE);
    assert!(matches!(
        old.err(),
        Some(Error::FromTheFuture { found: 2, known: 1, .. })
    ));
}

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.db"), [b'?'; 8192]).unwrap();
    assert!(matches!(open(&dir, ONE).err(), Some(Error::Corrupt { .. })));
}

#[test]
fn a_file_in_use_is_never_opened_twice() {
    let dir = tempfile::tempdir().unwrap();
    let files = OpenFiles::new(NonZeroUsize::MIN);
    let make = |n: u32| {
        let path = dir.path().join(format!("{n}.db"));
        move || Database::open(&path, &[ONE], Options::default())
    };
    let first = files.open(1, make(1)).unwrap();
    files.open(2, make(2)).unwrap();
    files.open(3, make(3)).unwrap();
    let again = files
        .open(1, || -> db::Result<Database> { panic!("opened a second time") })
        .unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    drop((first, again));
    files.open(2, make(2)).unwrap();
    let mut opened = false;
    files
        .open(1, || {
            opened = true;
            make(1)()
        })
        .unwrap();
    assert!(opened, "an idle file pushed out of the cache is closed");
}

#[test]
fn a_file_that_opens_slowly_holds_up_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let files: Arc<OpenFiles<u32, Database>> = Arc::new(OpenFiles::new(NonZeroUsize::new(4).unwrap()));
    let path = |n: u32| dir.path().join(format!("{n}.db"));
    let (begun, begins) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let slow = std::thread::spawn({
        let (files, path) = (Arc::clone(&files), path(1));
        move || {
            let open = || {
                begun.send(()).unwrap();
                waits.recv().unwrap();
                Database::open(&path, &[ONE], Options::default())
            };
            files.open(1, open).unwrap()
        }
    });
    begins.recv().unwrap();
    files
        .open(2, || Database::open(&path(2), &[ONE], Options::default()))
        .unwrap();
    let second = std::thread::spawn({
        let files = Arc::clone(&files);
        move || {
            files
                .open(1, || -> db::Result<Database> { panic!("opened twice") })
                .unwrap()
        }
    });
    go_on.send(()).unwrap();
    assert!(Arc::ptr_eq(&slow.join().unwrap(), &second.join().unwrap()));
}

#[test]
fn a_copy_is_a_whole_database() {
    let dir = tempfile::tempdir().unwrap();
    let d = open(&dir, ONE).unwrap();
    d.write(Durability::Deferred, |tx| {
        tx.execute("INSERT INTO t VALUES (1, 'x')", &[])
    })
    .unwrap();
    let to = dir.path().join("copy.db");
    d.copy_to(&to).unwrap();
    assert_eq!(count(&Database::open(&to, &[ONE], Options::default()).unwrap()), 1);
    assert!(d.check_integrity().unwrap().is_empty());
}

fn log_bytes(dir: &tempfile::TempDir) -> u64 {
    std::fs::metadata(dir.path().join("x.db-wal")).map_or(0, |about| about.len())
}

fn written_back_beside(dir: &tempfile::TempDir, checkpoint_pages: u32) -> Database {
    let options = Options {
        checkpoint_pages,
        checkpointer: Some(Checkpointer::start().unwrap()),
        ..Options::default()
    };
    Database::open(&dir.path().join("x.db"), &[ONE], options).unwrap()
}

/// Each commit is about two pages: the log would be 16 MB long if nobody wrote it back.
#[test]
fn the_log_is_written_back_beside_the_writer_and_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let d = written_back_beside(&dir, 100);
    for n in 0..2000i64 {
        let text = "x".repeat(1000);
        d.write(Durability::Deferred, |tx| {
            tx.execute("INSERT INTO t VALUES (?1, ?2)", &[n.into(), text.as_str().into()])
        })
        .unwrap();
    }
    // Eight times the hundred pages is where a commit would have to do it, and no more than a commit comes on top.
    assert!(log_bytes(&dir) < 1000 * 4120, "{}", log_bytes(&dir));
    assert_eq!(count(&d), 2000);
    drop(d);
    assert_eq!(log_bytes(&dir), 0);
    assert_eq!(count(&open(&dir, ONE).unwrap()), 2000);
}

/// A log that has zeros behind its end says the same as one that has not: also when it is found after a crash, and when its beginning is
/// all that is there.
#[test]
fn a_log_with_room_is_read_like_one_without() {
    let dir = tempfile::tempdir().unwrap();
    let d = written_back_beside(&dir, 100_000);
    let mut last = 0;
    let mut grown = 0;
    for n in 0..600i64 {
        d.write(Durability::Synced, |tx| {
            tx.execute("INSERT INTO t VALUES (?1, ?2)", &[n.into(), "x".into()])
        })
        .unwrap();
        let bytes = log_bytes(&dir);
        grown += u32::from(bytes != last);
        last = bytes;
    }
    let pages = 600 * 2 + 20;
    assert!(grown < 150, "the log grew {grown} times in 600 commits");
    assert!(last < 2 * pages * 4120 + (1 << 20), "{last}");
    let log = std::fs::read(dir.path().join("x.db-wal")).unwrap();
    let end = log.iter().rposition(|byte| *byte != 0).unwrap();
    assert!(end + 4120 < log.len(), "no zeros behind the end");
    for cut in [log.len(), end + 1, end - 2 * 4120] {
        let other = tempfile::tempdir().unwrap();
        std::fs::copy(dir.path().join("x.db"), other.path().join("x.db")).unwrap();
        let mut part = log[..cut].to_vec();
        part.resize(log.len(), 0);
        std::fs::write(other.path().join("x.db-wal"), part).unwrap();
        let found = count(&open(&other, ONE).unwrap());
        let least = if cut > end { 600 } else { 590 };
        assert!((least..=600).contains(&found), "{found} rows at {cut}");
    }
}
