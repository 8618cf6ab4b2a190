//! Greylisting (RFC 6647): who is doubtful is asked to come back. Real mail servers do; most of what is bought to send spam does not.
//!
//! Who came back is known for [`KEPT`], and with it its network, so that one delay is all that a server of the honest ever meets.

use db::{Database, Durability};
use std::sync::Arc;
use std::time::Duration;

/// Who did not come back within this time is as if it had never been there, in seconds.
const WINDOW: i64 = 2 * 86_400;
/// How long it is remembered who came back, in seconds.
const KEPT: i64 = 35 * 86_400;
/// Rows at most; with more, the oldest go.
const ROWS: i64 = 1_000_000;

/// The greylist.
pub struct Greylist {
    database: Arc<Database>,
    wait: i64,
}

/// What is known of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It came back.
    Good,
    /// It is to come back, in so many seconds at the earliest.
    Wait(i64),
}

impl Greylist {
    /// In a database with the tables of [`SCHEMA`](crate::SCHEMA). `wait`: how soon somebody may come back.
    pub fn new(database: Arc<Database>, wait: Duration) -> Greylist {
        Greylist {
            database,
            wait: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        }
    }

    /// Whether this mail has been asked to come back and does now.
    pub fn ask(&self, network: &str, sender: &str, recipient: &str, now: i64) -> db::Result<Known> {
        let place = subject(&[network]);
        let mail = subject(&[network, sender, recipient]);
        let find = |tx: &db::Transaction<'_>, subject: &[u8; 20]| {
            tx.query_row(
                "SELECT first_at, last_at, passed FROM greylist WHERE subject = ?1",
                &[subject.as_slice().into()],
                |row| Ok((row.i64(0)?, row.i64(1)?, row.bool(2)?)),
            )
        };
        let (known, before) = self.database.read(|tx| Ok((find(tx, &place)?, find(tx, &mail)?)))?;
        if let Some((_, last, true)) = known
            && now - last < KEPT
        {
            if now - last > 86_400 {
                self.keep(&place, last, now, true)?;
            }
            return Ok(Known::Good);
        }
        match before {
            Some((first, last, _)) if now - last < WINDOW => {
                if now - first < self.wait {
                    return Ok(Known::Wait(self.wait - (now - first)));
                }
                self.keep(&mail, first, now, true)?;
                self.keep(&place, first, now, true)?;
                Ok(Known::Good)
            }
            _ => {
                self.keep(&mail, now, now, false)?;
                Ok(Known::Wait(self.wait))
            }
        }
    }

    /// It need not survive a power cut: then somebody is asked once more.
    fn keep(&self, subject: &[u8; 20], first: i64, last: i64, passed: bool) -> db::Result<()> {
        self.database.write(Durability::Deferred, |tx| {
            tx.execute(
                "INSERT INTO greylist (subject, first_at, last_at, passed) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (subject) DO UPDATE SET first_at = ?2, last_at = ?3, passed = ?4",
                &[subject.as_slice().into(), first.into(), last.into(), passed.into()],
            )?;
            Ok(())
        })
    }

    /// Forgets whoever does not matter any more, in small transactions.
    pub fn prune(&self, now: i64) -> db::Result<()> {
        loop {
            let gone = self.database.write(Durability::Deferred, |tx| {
                tx.execute(
                    "DELETE FROM greylist WHERE subject IN (SELECT subject FROM greylist
                     WHERE last_at < ?1 OR (last_at < ?2 AND passed = 0) ORDER BY last_at LIMIT 1000)",
                    &[(now - KEPT).into(), (now - WINDOW).into()],
                )
            })?;
            if gone == 0 {
                break;
            }
        }
        let rows = self
            .database
            .read(|tx| tx.query_row("SELECT count(*) FROM greylist", &[], |row| row.i64(0)))?
            .unwrap_or(0);
        if rows > ROWS {
            self.database.write(Durability::Deferred, |tx| {
                tx.execute(
                    "DELETE FROM greylist WHERE subject IN (SELECT subject FROM greylist ORDER BY passed, last_at LIMIT ?1)",
                    &[(rows - ROWS).into()],
                )
            })?;
        }
        Ok(())
    }
}

/// A short name for who it is, from which nobody can be read back. It need not resist forgery: who wants to be known just comes back.
fn subject(parts: &[&str]) -> [u8; 20] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.to_lowercase().as_bytes());
        hasher.update(&[0]);
    }
    let mut short = [0; 20];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..20]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SCHEMA;

    #[test]
    fn the_doubtful_come_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("server.db"), &[SCHEMA], db::Options::default()).unwrap();
        let list = Greylist::new(Arc::new(database), Duration::from_secs(300));
        let ask = |network: &str, recipient: &str, now| list.ask(network, "a@far.example", recipient, now).unwrap();
        assert_eq!(ask("192.0.2", "ada", 1000), Known::Wait(300));
        assert_eq!(ask("192.0.2", "ada", 1100), Known::Wait(200));
        assert_eq!(ask("192.0.2", "ben", 1200), Known::Wait(300));
        assert_eq!(ask("192.0.2", "ada", 1300), Known::Good);
        // Now the network is known, for everybody.
        assert_eq!(ask("192.0.2", "cleo", 1301), Known::Good);
        assert_eq!(ask("198.51.100", "ada", 1301), Known::Wait(300));
        // Who comes back too late has never been there.
        assert_eq!(ask("198.51.100", "ada", 1301 + WINDOW), Known::Wait(300));
        list.prune(1301 + KEPT + WINDOW + 400_000).unwrap();
        assert_eq!(ask("192.0.2", "dora", 1301 + KEPT + WINDOW + 400_000), Known::Wait(300));
    }
}
