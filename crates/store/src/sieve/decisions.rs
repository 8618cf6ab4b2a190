//! Deliveries that a script decided about. What it filed, what it remembers and what it sends are one transaction, keyed by (acceptance,
//! recipient) as every delivery is: an order that comes again after a crash finds the decision and does not decide anew, so that an answer is
//! neither lost nor given twice.

use crate::account::Account;
use crate::message::{Fresh, add_in};
use crate::{Delivered, MailboxId, NewMessage, Result, Uid};
use blobs::BlobId;
use db::Durability;
use std::collections::HashMap;

/// A copy of the message for a mailbox.
#[derive(Clone, Debug)]
pub struct NewCopy<'a> {
    /// Where it is to go; INBOX takes it when that mailbox is gone.
    pub mailbox: MailboxId,
    /// The message.
    pub message: NewMessage<'a>,
}

/// A sender that has been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which answer.
    pub handle: String,
    /// Who got it.
    pub sender: String,
    /// Until when there is no other, in seconds since 1970.
    pub until: i64,
}

/// An id that has been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The list it is kept in.
    pub handle: String,
    /// The id.
    pub id: String,
    /// Until when it is known.
    pub until: i64,
}

/// A delivery as a script decided it.
#[derive(Clone, Debug)]
pub struct Decided<'a> {
    /// The ledger's id of the acceptance.
    pub acceptance: i64,
    /// The recipient's number in it.
    pub recipient: u32,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Into which mailboxes; none where it was discarded, refused or sent on.
    pub copies: Vec<NewCopy<'a>>,
    /// All of the decision, in words of the caller's: given back where the same delivery is ordered again. Empty: nothing of it is kept but
    /// where the message went.
    pub plan: &'a str,
    /// Messages that go out.
    pub blobs: Vec<BlobId>,
    /// How many of them count against the account's bound.
    pub sent: u32,
    /// Whom it answered.
    pub answered: Vec<Answered>,
    /// What it has seen.
    pub seen: Vec<Seen>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecidedDelivery {
    /// Where the first copy went.
    pub place: Option<Delivered>,
    /// The plan of an earlier order, which stands.
    pub before: Option<String>,
}

/// A decision as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The ledger's id of the acceptance; of what happened over IMAP, an id that the ledger has no row for.
    pub acceptance: i64,
    /// The recipient's number in it; 0 for what happened over IMAP.
    pub recipient: u32,
    /// When, in seconds since 1970.
    pub at: i64,
    /// All of it, in words of the caller's.
    pub plan: String,
}

const ARRIVAL: &str = "SELECT mailbox, uid FROM arrival WHERE account = ?1 AND acceptance = ?2 AND recipient = ?3";
const ARRIVALS: &str = "SELECT acceptance, recipient, mailbox, uid FROM arrival
                        WHERE account = ?1 AND acceptance BETWEEN ?2 AND ?3 LIMIT ?4";
const DECISIONS: &str = "SELECT acceptance, recipient, plan FROM script_decision
                         WHERE account = ?1 AND acceptance BETWEEN ?2 AND ?3 LIMIT ?4";
/// Deliveries that may lie between those of a turn before each of them is looked up.
const NEIGHBOURS: u32 = 256;
const DECISION: &str = "SELECT plan FROM script_decision WHERE account = ?1 AND acceptance = ?2 AND recipient = ?3";

impl Account {
    /// Plans made earlier for deliveries of (acceptance, recipient), in their order, with the place of the first copy. `None`: not decided,
    /// and not delivered otherwise.
    pub fn decisions(&self, deliveries: &[(i64, u32)]) -> Result<Vec<Option<DecidedDelivery>>> {
        let account = self.id().0;
        Ok(self.database().read(|tx| {
            let known = known_in(tx, account, deliveries)?;
            Ok(deliveries.iter().map(|key| known.get(key).cloned()).collect())
        })?)
    }

    /// The newest decisions, the newest first: of deliveries, and of what happened over IMAP.
    pub fn decision_list(&self, most: u32) -> Result<Vec<Recorded>> {
        let sql = "SELECT acceptance, recipient, decided, plan FROM script_decision WHERE account = ?1
                   ORDER BY acceptance DESC, recipient DESC LIMIT ?2";
        Ok(self.database().read(|tx| {
            tx.query_all(sql, &[self.id().0.into(), most.into()], |row| {
                Ok(Recorded {
                    acceptance: row.i64(0)?,
                    recipient: row.u32(1)?,
                    at: row.i64(2)?,
                    plan: row.text(3)?.to_owned(),
                })
            })
        })?)
    }

    /// Carries out decisions, all in one transaction. Not durable, and not shown to anybody, until [`sync`](Self::sync) has returned.
    pub fn deliver_decided(&self, decided: &[Decided<'_>]) -> Result<Vec<DecidedDelivery>> {
        let mut state = self.lock();
        let account = self.id();
        let inbox = state.rows.mailboxes.values().find(|m| m.name == "INBOX").map(|m| m.id);
        let (delivered, fresh) = self.change(&mut state, Durability::Deferred, |tx, draft| {
            let mut delivered = Vec::with_capacity(decided.len());
            let mut fresh = Fresh::new();
            let keys: Vec<(i64, u32)> = decided.iter().map(|d| (d.acceptance, d.recipient)).collect();
            let known = known_in(tx, account.0, &keys)?;
            for (at, (d, key)) in decided.iter().zip(&keys).enumerate() {
                let twice = keys.get(..at).and_then(|keys| keys.iter().position(|other| other == key));
                let before = match twice {
                    // Ordered twice at once: the first of the two stands.
                    Some(first) => delivered.get(first).cloned().map(|done: DecidedDelivery| DecidedDelivery {
                        before: done.before.or_else(|| decided.get(first).map(|d| d.plan.to_owned())),
                        ..done
                    }),
                    None => known.get(key).cloned(),
                };
                if let Some(before) = before {
                    delivered.push(before);
                    continue;
                }
                let mut place = None;
                for copy in &d.copies {
                    let mailbox = match (draft.mailbox(copy.mailbox), inbox) {
                        (None, Some(inbox)) => inbox,
                        _ => copy.mailbox,
                    };
                    let Some(row) = add_in(tx, account, draft, mailbox, &copy.message)? else {
                        return Err(db::Error::Engine {
                            file: self.database().path().to_path_buf(),
                            reason: "the account has no INBOX".into(),
                        });
                    };
                    fresh.entry(mailbox).or_default().push(row);
                    place.get_or_insert(Delivered {
                        mailbox,
                        uid: row.uid,
                        before: false,
                    });
                }
                if let Some(place) = &place {
                    tx.execute(
                        "INSERT INTO arrival (account, acceptance, recipient, mailbox, uid) VALUES (?1, ?2, ?3, ?4, ?5)",
                        &[
                            account.0.into(),
                            d.acceptance.into(),
                            d.recipient.into(),
                            place.mailbox.into(),
                            place.uid.into(),
                        ],
                    )?;
                }
                remember_in(tx, account.0, d)?;
                delivered.push(DecidedDelivery { place, before: None });
            }
            Ok((delivered, fresh))
        })?;
        for (mailbox, messages) in fresh {
            state.publish_when_synced(mailbox, messages);
        }
        Ok(delivered)
    }

    /// Until when a sender gets no other answer of that handle (RFC 5230 §4.2).
    pub fn answered_until(&self, handle: &str, sender: &str) -> Result<Option<i64>> {
        self.until(
            "SELECT until FROM script_answered WHERE account = ?1 AND handle = ?2 AND sender = ?3",
            handle,
            sender,
        )
    }

    /// Until when an id is remembered (RFC 7352).
    pub fn seen_until(&self, handle: &str, id: &str) -> Result<Option<i64>> {
        self.until(
            "SELECT until FROM script_seen WHERE account = ?1 AND handle = ?2 AND id = ?3",
            handle,
            id,
        )
    }

    fn until(&self, sql: &str, handle: &str, key: &str) -> Result<Option<i64>> {
        let values = [self.id().0.into(), handle.into(), key.into()];
        Ok(self
            .database()
            .read(|tx| tx.query_row(sql, &values, |row| row.i64(0)))?)
    }

    /// Messages that scripts have sent in that hour since 1970 and later.
    pub fn sent_since(&self, hour: i64) -> Result<u64> {
        Ok(self
            .database()
            .read(|tx| {
                tx.query_row(
                    "SELECT coalesce(sum(messages), 0) FROM script_sent WHERE account = ?1 AND hour >= ?2",
                    &[self.id().0.into(), hour.into()],
                    |row| row.u64(0),
                )
            })?
            .unwrap_or(0))
    }

    /// Forgets what scripts need no longer remember at that time.
    pub fn script_memory_forget(&self, now: i64) -> Result<()> {
        let mut state = self.lock();
        let account = self.id().0;
        self.change(&mut state, Durability::Deferred, |tx, _| {
            tx.execute(
                "DELETE FROM script_answered WHERE account = ?1 AND until < ?2",
                &[account.into(), now.into()],
            )?;
            tx.execute(
                "DELETE FROM script_seen WHERE account = ?1 AND until < ?2",
                &[account.into(), now.into()],
            )?;
            let hour = now / 3600 - 48;
            tx.execute(
                "DELETE FROM script_sent WHERE account = ?1 AND hour < ?2",
                &[account.into(), hour.into()],
            )?;
            Ok(())
        })
    }
}

/// Deliveries among these that are done already. Acceptances are numbered as they come, so those of a turn are neighbours with next to
/// nothing between them, and one look at where they would be says that none of them is there.
fn known_in(
    tx: &db::Transaction<'_>,
    account: i64,
    deliveries: &[(i64, u32)],
) -> db::Result<HashMap<(i64, u32), DecidedDelivery>> {
    let acceptances = || deliveries.iter().map(|(acceptance, _)| *acceptance);
    let (Some(first), Some(last)) = (acceptances().min(), acceptances().max()) else {
        return Ok(HashMap::new());
    };
    let range = [account.into(), first.into(), last.into(), (NEIGHBOURS + 1).into()];
    let mut known: HashMap<(i64, u32), DecidedDelivery> = HashMap::new();
    let mut looked = 0;
    tx.query(ARRIVALS, &range, |row| {
        looked += 1;
        let place = Delivered {
            mailbox: MailboxId(row.u32(2)?),
            uid: Uid(row.u32(3)?),
            before: true,
        };
        known.entry((row.i64(0)?, row.u32(1)?)).or_default().place = Some(place);
        Ok(())
    })?;
    let mut decided = 0;
    tx.query(DECISIONS, &range, |row| {
        decided += 1;
        known.entry((row.i64(0)?, row.u32(1)?)).or_default().before = Some(row.text(2)?.to_owned());
        Ok(())
    })?;
    if looked <= NEIGHBOURS && decided <= NEIGHBOURS {
        return Ok(known);
    }
    // They lie far apart: each is looked up.
    known.clear();
    for (acceptance, recipient) in deliveries {
        let key = [account.into(), (*acceptance).into(), (*recipient).into()];
        let place = tx.query_row(ARRIVAL, &key, |row| {
            Ok(Delivered {
                mailbox: MailboxId(row.u32(0)?),
                uid: Uid(row.u32(1)?),
                before: true,
            })
        })?;
        let before = tx.query_row(DECISION, &key, |row| Ok(row.text(0)?.to_owned()))?;
        if place.is_some() || before.is_some() {
            known.insert((*acceptance, *recipient), DecidedDelivery { place, before });
        }
    }
    Ok(known)
}

fn remember_in(tx: &db::Transaction<'_>, account: i64, d: &Decided<'_>) -> db::Result<()> {
    let blobs: Vec<u8> = d.blobs.iter().flat_map(|b| b.as_bytes().iter().copied()).collect();
    if d.plan.is_empty() {
        // There is nothing else to remember of a delivery that no rule said anything about.
        return Ok(());
    }
    tx.execute(
        "INSERT INTO script_decision (account, acceptance, recipient, decided, plan, blobs) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &[
            account.into(),
            d.acceptance.into(),
            d.recipient.into(),
            d.at.into(),
            d.plan.into(),
            (&blobs).into(),
        ],
    )?;
    for a in &d.answered {
        tx.execute(
            "INSERT INTO script_answered (account, handle, sender, until) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, handle, sender) DO UPDATE SET until = excluded.until",
            &[account.into(), (&a.handle).into(), (&a.sender).into(), a.until.into()],
        )?;
    }
    for s in &d.seen {
        tx.execute(
            "INSERT INTO script_seen (account, handle, id, until) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, handle, id) DO UPDATE SET until = excluded.until",
            &[account.into(), (&s.handle).into(), (&s.id).into(), s.until.into()],
        )?;
    }
    if d.sent > 0 {
        tx.execute(
            "INSERT INTO script_sent (account, hour, messages) VALUES (?1, ?2, ?3)
             ON CONFLICT (account, hour) DO UPDATE SET messages = script_sent.messages + excluded.messages",
            &[account.into(), (d.at / 3600).into(), d.sent.into()],
        )?;
    }
    Ok(())
}
