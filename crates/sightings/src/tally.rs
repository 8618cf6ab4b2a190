//! What was seen of mail in the names of domains, by day.

use db::{Database, Durability};
use std::sync::Arc;

/// Lines of one domain's day; further ones are left out.
const LINES_PER_DOMAIN: i64 = 10_000;
/// Days after which rows are forgotten, reported or not.
const KEPT_DAYS: i64 = 7;
/// Days of domains that are named at once.
const DAYS: i64 = 10_000;
/// Rows that one transaction writes.
const CHUNK: usize = 500;

/// Messages of a day that have something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The day, counted from 1970.
    pub day: i64,
    /// The domain that wants to be told.
    pub domain: String,
    /// What they have in common, as the caller writes it.
    pub line: String,
    /// The domain's record as it was when the last of them came.
    pub record: String,
    /// How many.
    pub count: u64,
}

/// The tally.
pub struct Tally {
    database: Arc<Database>,
    table: &'static str,
}

impl Tally {
    /// Of mail in domains' names. In a database with the tables of [`SCHEMA`](crate::SCHEMA).
    pub fn new(database: Arc<Database>) -> Tally {
        Tally {
            database,
            table: "dmarc_seen",
        }
    }

    /// Of TLS with domains.
    pub fn of_tls(database: Arc<Database>) -> Tally {
        Tally {
            database,
            table: "tls_seen",
        }
    }

    /// Adds to what was seen. On an error, the first chunks may have been added: the number says how many sightings were.
    pub fn add(&self, seen: &[Sighting]) -> Result<(), (usize, db::Error)> {
        for (number, chunk) in seen.chunks(CHUNK).enumerate() {
            self.database
                .write(Durability::Deferred, |tx| {
                    chunk.iter().try_for_each(|sighting| add_in(tx, self.table, sighting))
                })
                .map_err(|error| (number * CHUNK, error))?;
        }
        Ok(())
    }

    /// Whole days of domains of which something was seen before this day. What is too old to be reported is forgotten.
    pub fn days_before(&self, today: i64) -> db::Result<Vec<(i64, String)>> {
        let table = self.table;
        self.database.write(Durability::Deferred, |tx| {
            tx.execute(
                &format!("DELETE FROM {table} WHERE day < ?1"),
                &[(today - KEPT_DAYS).into()],
            )?;
            tx.query_all(
                &format!("SELECT DISTINCT day, domain FROM {table} WHERE day < ?1 ORDER BY day, domain LIMIT ?2"),
                &[today.into(), DAYS.into()],
                |row| Ok((row.i64(0)?, row.text(1)?.to_owned())),
            )
        })
    }

    /// What was seen of a domain on a day.
    pub fn of(&self, day: i64, domain: &str) -> db::Result<Vec<Sighting>> {
        let table = self.table;
        self.database.read(|tx| {
            tx.query_all(
                &format!("SELECT line, record, count FROM {table} WHERE day = ?1 AND domain = ?2"),
                &[day.into(), domain.into()],
                |row| {
                    Ok(Sighting {
                        day,
                        domain: domain.to_owned(),
                        line: row.text(0)?.to_owned(),
                        record: row.text(1)?.to_owned(),
                        count: row.u64(2)?,
                    })
                },
            )
        })
    }

    /// Forgets a domain's day: it has been reported. On disk when it returns, so that it is not reported twice.
    pub fn forget(&self, day: i64, domain: &str) -> db::Result<()> {
        let table = self.table;
        self.database.write(Durability::Synced, |tx| {
            tx.execute(
                &format!("DELETE FROM {table} WHERE day = ?1 AND domain = ?2"),
                &[day.into(), domain.into()],
            )?;
            Ok(())
        })
    }
}

fn add_in(tx: &db::Transaction<'_>, table: &str, sighting: &Sighting) -> db::Result<()> {
    let Sighting {
        day,
        domain,
        line,
        record,
        count,
    } = sighting;
    let count = i64::try_from(*count).unwrap_or(i64::MAX);
    let known = tx.execute(
        &format!("UPDATE {table} SET count = count + ?4, record = ?5 WHERE day = ?1 AND domain = ?2 AND line = ?3"),
        &[(*day).into(), domain.into(), line.into(), count.into(), record.into()],
    )?;
    if known > 0 {
        return Ok(());
    }
    let rows = tx.query_row(
        &format!("SELECT count(*) FROM {table} WHERE day = ?1 AND domain = ?2"),
        &[(*day).into(), domain.into()],
        |row| row.i64(0),
    )?;
    if rows.unwrap_or(0) < LINES_PER_DOMAIN {
        tx.execute(
            &format!("INSERT INTO {table} (day, domain, line, record, count) VALUES (?1, ?2, ?3, ?4, ?5)"),
            &[(*day).into(), domain.into(), line.into(), record.into(), count.into()],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_add_up_and_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.db");
        let database = Database::open(&file, &[crate::SCHEMA], db::Options::default()).unwrap();
        let tally = Tally::new(Arc::new(database));
        let seen = |day, domain: &str, line: &str, count| Sighting {
            day,
            domain: domain.to_owned(),
            line: line.to_owned(),
            record: format!("record of day {day}"),
            count,
        };
        let some = [
            seen(10, "a.example", "x", 2),
            seen(10, "a.example", "y", 1),
            seen(11, "b.example", "x", 5),
        ];
        tally.add(&some).unwrap();
        tally.add(&some[..1]).unwrap();
        assert_eq!(
            tally.of(10, "a.example").unwrap(),
            [seen(10, "a.example", "x", 4), seen(10, "a.example", "y", 1)]
        );
        assert_eq!(tally.days_before(11).unwrap(), [(10, "a.example".to_owned())]);
        tally.forget(10, "a.example").unwrap();
        assert_eq!(tally.of(10, "a.example").unwrap(), []);
        assert_eq!(tally.days_before(12).unwrap(), [(11, "b.example".to_owned())]);
        // Nobody is told of what lies back longer than a week.
        assert_eq!(tally.days_before(11 + KEPT_DAYS + 1).unwrap(), []);
        assert_eq!(tally.of(11, "b.example").unwrap(), []);
    }

    #[test]
    fn a_domains_day_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.db");
        let database = Database::open(&file, &[crate::SCHEMA], db::Options::default()).unwrap();
        let tally = Tally::new(Arc::new(database));
        let many: Vec<Sighting> = (0..LINES_PER_DOMAIN + 20)
            .map(|n| Sighting {
                day: 1,
                domain: "a.example".to_owned(),
                line: n.to_string(),
                record: String::new(),
                count: 1,
            })
            .collect();
        tally.add(&many).unwrap();
        assert_eq!(tally.of(1, "a.example").unwrap().len() as i64, LINES_PER_DOMAIN);
    }
}
