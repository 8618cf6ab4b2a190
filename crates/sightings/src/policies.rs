//! Policies of other domains (MTA-STS, RFC 8461): they hold for as long as they said, also when they cannot be fetched meanwhile.

use db::{Database, Durability};
use std::sync::Arc;

/// Policies that are kept. Whoever has us send to domains of theirs can make them grow to this.
const MOST: i64 = 100_000;

/// A policy as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The `id` of the record when it was fetched.
    pub id: String,
    /// The policy's text.
    pub policy: String,
    /// When it was fetched, in seconds since 1970.
    pub fetched: i64,
    /// Until when it holds.
    pub expires: i64,
}

/// The policies.
pub struct Policies {
    database: Arc<Database>,
}

impl Policies {
    /// In a database with the tables of [`SCHEMA`](crate::SCHEMA).
    pub fn new(database: Arc<Database>) -> Policies {
        Policies { database }
    }

    /// The policy of a domain, if it still holds.
    pub fn find(&self, domain: &str, now: i64) -> db::Result<Option<Kept>> {
        self.database.read(|tx| {
            tx.query_row(
                "SELECT id, policy, fetched, expires FROM sts_policy WHERE domain = ?1 AND expires > ?2",
                &[domain.into(), now.into()],
                |row| {
                    Ok(Kept {
                        id: row.text(0)?.to_owned(),
                        policy: row.text(1)?.to_owned(),
                        fetched: row.i64(2)?,
                        expires: row.i64(3)?,
                    })
                },
            )
        })
    }

    /// Keeps a policy in place of an earlier one. Where there is no room, those that end first make way. On disk when it returns: who has
    /// seen a policy must not forget it in a crash (RFC 8461 §10.2).
    pub fn keep(&self, domain: &str, kept: &Kept, now: i64) -> db::Result<()> {
        self.database.write(Durability::Synced, |tx| {
            tx.execute(
                "DELETE FROM sts_policy WHERE domain = ?1 OR expires <= ?2",
                &[domain.into(), now.into()],
            )?;
            let rows = tx.query_row("SELECT count(*) FROM sts_policy", &[], |row| row.i64(0))?;
            if rows.unwrap_or(0) >= MOST {
                tx.execute(
                    "DELETE FROM sts_policy WHERE domain IN (SELECT domain FROM sts_policy ORDER BY expires LIMIT 100)",
                    &[],
                )?;
            }
            let Kept {
                id,
                policy,
                fetched,
                expires,
            } = kept;
            tx.execute(
                "INSERT INTO sts_policy (domain, id, policy, fetched, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[
                    domain.into(),
                    id.into(),
                    policy.into(),
                    (*fetched).into(),
                    (*expires).into(),
                ],
            )?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_hold_for_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.db");
        let database = Database::open(&file, &[crate::SCHEMA], db::Options::default()).unwrap();
        let policies = Policies::new(Arc::new(database));
        let kept = |id: &str, expires| Kept {
            id: id.to_owned(),
            policy: "text".to_owned(),
            fetched: 5,
            expires,
        };
        policies.keep("a.example", &kept("1", 100), 5).unwrap();
        policies.keep("a.example", &kept("2", 50), 5).unwrap();
        policies.keep("b.example", &kept("3", 100), 5).unwrap();
        assert_eq!(policies.find("a.example", 49).unwrap(), Some(kept("2", 50)));
        assert_eq!(policies.find("a.example", 50).unwrap(), None);
        assert_eq!(policies.find("b.example", 50).unwrap(), Some(kept("3", 100)));
    }
}
