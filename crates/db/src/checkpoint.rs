//! Writing logs back into their files, beside those who commit.
//!
//! SQLite does it in the commit that finds the log long enough: some ten milliseconds that one caller waits for all. Here a thread copies what
//! the log holds while others go on writing into it. That leaves the little that was written meanwhile; the next transaction copies that
//! (`Database::write`), and the one after it begins the log anew.

use crate::{Options, Result, sqlite};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

/// A thread that writes logs back; for any number of files, one at a time.
#[derive(Clone, Debug)]
pub struct Checkpointer(Arc<Running>);

#[derive(Debug)]
struct Running {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    inner: Mutex<(VecDeque<Weak<Log>>, bool)>,
    news: Condvar,
}

impl Checkpointer {
    /// Starts the thread; it ends when nobody has this any more.
    pub fn start() -> std::io::Result<Checkpointer> {
        let queue = Arc::new(Queue::default());
        let mine = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("db-checkpoint".into())
            .spawn(move || {
                while let Some(log) = mine.next() {
                    if let Some(log) = log.upgrade() {
                        log.copy();
                    }
                }
            })?;
        Ok(Checkpointer(Arc::new(Running {
            queue,
            thread: Some(thread),
        })))
    }
}

impl Queue {
    fn next(&self) -> Option<Weak<Log>> {
        let mut inner = self.inner.lock();
        loop {
            if inner.1 {
                return None;
            }
            if let Some(log) = inner.0.pop_front() {
                return Some(log);
            }
            self.news.wait(&mut inner);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queue.inner.lock().1 = true;
        self.queue.news.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// The log of one file, as far as it is written back here.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    options: Options,
    queue: Arc<Queue>,
    /// Pages in it, as the last commit left it.
    pages: AtomicU32,
    /// The thread was asked, or has copied and left the rest to the writer.
    asked: AtomicBool,
    copied: AtomicBool,
    /// Held while it is copied; true: the file is closed.
    closed: Mutex<bool>,
}

/// Where the thread does not keep up, a commit does its work from so many times the usual pages on: the log must not grow without end.
const BEHIND: u32 = 8;

impl Log {
    pub(crate) fn new(path: &Path, options: &Options, checkpointer: &Checkpointer) -> Arc<Log> {
        Arc::new(Log {
            path: path.to_path_buf(),
            options: Options {
                checkpointer: None,
                ..options.clone()
            },
            queue: Arc::clone(&checkpointer.0.queue),
            pages: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            copied: AtomicBool::new(false),
            closed: Mutex::new(false),
        })
    }

    pub(crate) fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }

    /// The writer's commit has left so many pages in the log.
    pub(crate) fn committed(self: &Arc<Self>, pages: u32) {
        self.pages.store(pages, Ordering::Relaxed);
        let due = self.options.checkpoint_pages;
        if pages >= due.saturating_mul(BEHIND) {
            self.copied.store(true, Ordering::Relaxed);
        } else if pages >= due && !self.asked.swap(true, Ordering::Relaxed) {
            self.queue.inner.lock().0.push_back(Arc::downgrade(self));
            self.queue.news.notify_one();
        }
    }

    /// Whether the writer is to copy the rest now: the thread keeps away as long as the answer is held. Where it does not keep up, the
    /// writer waits for it here.
    pub(crate) fn take_rest(&self) -> Option<MutexGuard<'_, bool>> {
        if !self.copied.load(Ordering::Relaxed) {
            return None;
        }
        let away = self.closed.lock();
        self.copied.store(false, Ordering::Relaxed);
        self.asked.store(false, Ordering::Relaxed);
        Some(away)
    }

    fn copy(&self) {
        let closed = self.closed.lock();
        if *closed {
            return;
        }
        if let Err(error) = self.copy_now() {
            tracing::debug!(file = %self.path.display(), %error, "the log is left for the next commit");
        }
        self.copied.store(true, Ordering::Relaxed);
        drop(closed);
    }

    fn copy_now(&self) -> Result<()> {
        // Of its own, because commits go on in the writer's. One that reads may write back, and never makes a file that is not there.
        let connection = sqlite::open(&self.path, &self.options, false)?;
        checkpoint(&connection, &self.path)
    }

    /// Waits until the thread is not at it, and keeps it away.
    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
    }
}

/// Copies what can be copied without waiting for anybody.
pub(crate) fn checkpoint(connection: &Connection, path: &Path) -> Result<()> {
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .map_err(|e| sqlite::classify(path, e))
}
