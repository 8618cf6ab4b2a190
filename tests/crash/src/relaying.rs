//! Another server, and the queue runner's way with the ledger, step by step: rows are leased, the other server takes a message, what came of it
//! is written and synced, and only then the next one is sent.
//!
//! What the other server has is in no file of ours, so no power cut takes it back. That makes the one moment that nothing can mend: it has
//! taken a message, and the power goes before that is written. Each such moment is counted ([`Elsewhere`]), and allows this message, and no
//! other, to come once more.

use crate::house::House;
use crate::world::{Cut, Fault, Key, Message, Part, To, World};
use db::AccountId;
use ledger::{Acceptance, AcceptanceId, Ask, Attempt, Conclusion, Deferral, Fate, Lane, NewRecipient, Offspring};
use ledger::{Order, RecipientRecord, Selection, Settlement, State, Work};
use std::collections::{BTreeMap, BTreeSet};

/// Whom mail elsewhere is for. `gone` is refused for good, `later` is put off now and then, everybody else is taken, mostly.
pub(crate) const ADDRESSES: [&str; 5] = [
    "ada@far.test",
    "later@far.test",
    "gone@far.test",
    "bob@off.test",
    "gone@off.test",
];
const DESTINATIONS: [&str; 2] = ["far.test", "off.test"];
/// How far ahead senders may say that a message is to leave, in seconds.
pub(crate) const LATEST: usize = 50_000;
/// Who is told what became of his mail.
const SENDER: AccountId = AccountId(1);

/// What is known of mail elsewhere without asking our disk.
#[derive(Default)]
pub(crate) struct Elsewhere {
    /// How often a recipient got his message.
    taken: BTreeMap<Key, u32>,
    /// How often he got it without that being known here for certain.
    doubts: BTreeMap<Key, u32>,
    /// Attempts that were made, and of these, such as are known to be on record.
    attempts: BTreeMap<Key, (u32, u32)>,
    /// Rows whose state is known to be durable, and changes by an order alone, if at all.
    stands: BTreeMap<Key, (State, Option<Fate>)>,
    /// Rows that somebody wanted cancelled, and what their recipient had got when that was certain.
    cancelled: BTreeMap<Key, Option<u32>>,
    /// Rows that an administrator was at, or that were held from the start.
    touched: BTreeSet<Key>,
    turn: i64,
}

/// What the other server does with a transaction.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    /// The connection ends before the message was given.
    Breaks,
    /// It ends after the message was taken, and before that was said.
    FallsSilent,
}

/// What we were told of a recipient.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    Taken,
    Refused,
    PutOff(&'static str),
}

impl Told {
    fn word(self) -> &'static str {
        match self {
            Told::Taken => "taken",
            Told::Refused => "refused",
            Told::PutOff(word) => word,
        }
    }
}

impl World {
    /// A turn of the queue runner: some rows of each destination, one transaction after the other.
    pub(crate) async fn relay(&mut self, house: &House) -> Result<(), Cut> {
        let most = 1 + self.chance.below(6) as u32;
        let asks = DESTINATIONS.map(|destination| Ask {
            destination: destination.into(),
            limit: most,
            turn: self.elsewhere.turn,
        });
        let ledger = house.ledger.clone();
        let claimed = tokio::task::spawn_blocking(move || ledger.claim_destinations(asks.to_vec()));
        let found = claimed.await.expect("thread").expect("claim");
        self.step(Part::Server, false)?;
        let mut bundles: Vec<Vec<Work>> = Vec::new();
        for found in found {
            self.elsewhere.turn = found.turn;
            for work in found.work {
                match bundles.last_mut() {
                    Some(last)
                        if last[0].acceptance.id == work.acceptance.id && last[0].destination == work.destination =>
                    {
                        last.push(work);
                    }
                    _ => bundles.push(vec![work]),
                }
            }
        }
        for bundle in bundles {
            if self.chance.percent(8) {
                // As when an administrator takes it back, or the connection is needed for others.
                let leases = bundle.iter().map(|w| (w.acceptance.id, w.number, w.lease)).collect();
                house.ledger.put_back(leases);
                house.ledger.claim(0).await.expect("claim");
                self.step(Part::Server, false)?;
            } else {
                self.transact(house, bundle).await?;
            }
        }
        Ok(())
    }

    /// One transaction, and what comes of it.
    async fn transact(&mut self, house: &House, works: Vec<Work>) -> Result<(), Cut> {
        let bytes = match house.blobs.read(works[0].blob) {
            Ok(bytes) => bytes,
            Err(error) => {
                assert!(
                    !self.disk.is_powered(),
                    "bytes of an open recipient, with power: {error:?}"
                );
                return self.step(Part::Server, false);
            }
        };
        let mood = match self.chance.below(20) {
            0 => Mood::FallsSilent,
            1 | 2 => Mood::Breaks,
            _ => Mood::Answers,
        };
        let seconds = 1 + self.chance.below(20);
        self.pass(seconds);
        let told: Vec<Told> = works.iter().map(|work| self.receive(work, &bytes, mood)).collect();
        // The power may go before anything of it is written.
        self.step(Part::Server, false)?;
        let now = self.now();
        let mut conclusion = Conclusion::default();
        let mut notices = Vec::new();
        for (work, told) in works.iter().zip(&told) {
            let late = matches!(told, Told::PutOff(_)) && !work.delay_told && self.chance.percent(30);
            match told {
                Told::Taken => conclusion.settlements.push(settlement(work, Fate::Relayed, *told, now)),
                Told::Refused => conclusion.settlements.push(settlement(work, Fate::Failed, *told, now)),
                Told::PutOff(_) => {
                    let due_at = now + self.chance.below(7200) as i64;
                    conclusion.deferrals.push(deferral(work, due_at, late, *told, now));
                }
            }
            if late || *told == Told::Refused {
                let Some(notice) = self.notice(house, work) else {
                    return self.step(Part::Server, false);
                };
                notices.push(notice);
            }
        }
        let told_of: Vec<i64> = notices.iter().map(|notice| notice.acceptance.id.0).collect();
        if self.fault == Fault::Apart {
            // A notice that does not enter custody together with what it is about.
            let alone = Conclusion {
                offspring: std::mem::take(&mut notices),
                ..Conclusion::default()
            };
            conclude(house, alone).await;
            self.step(Part::Server, true)?;
        }
        conclusion.offspring = notices;
        if self.fault == Fault::Hasty {
            // The next message is sent before this is on disk.
            house.ledger.settle(conclusion.settlements);
            house.ledger.defer(conclusion.deferrals);
            house.ledger.claim(0).await.expect("claim");
            self.step(Part::Server, false)?;
        } else {
            conclude(house, conclusion).await;
            self.step(Part::Server, true)?;
        }
        self.accepted.extend(told_of);
        for (work, told) in works.iter().zip(told) {
            let key = (work.acceptance.id.0, work.number);
            self.elsewhere.attempts.entry(key).or_default().1 += 1;
            if told == Told::Taken {
                *self.elsewhere.doubts.entry(key).or_default() -= 1;
            }
            let fate = match told {
                Told::Taken => Fate::Relayed,
                Told::Refused => Fate::Failed,
                Told::PutOff(_) => continue,
            };
            self.elsewhere.stands.insert(key, (State::Settled, Some(fate)));
        }
        Ok(())
    }

    /// The other server's side.
    fn receive(&mut self, work: &Work, bytes: &[u8], mood: Mood) -> Told {
        let key = (work.acceptance.id.0, work.number);
        let sent = &self.tried[&key.0];
        assert!(bytes == sent.bytes, "{}: other bytes", self.at());
        assert!(matches!(sent.to.get(key.1 as usize), Some(To::Elsewhere(a)) if *a == work.address));
        let held = matches!(self.elsewhere.stands.get(&key), Some((State::Held, _)));
        assert!(!held, "{}: it is held, and was sent", self.at());
        let early = sent.release_at.is_some_and(|at| at > self.now());
        assert!(!early, "{}: sent before its time", self.at());
        self.elsewhere.attempts.entry(key).or_default().0 += 1;
        let takes = match mood {
            Mood::Breaks => return Told::PutOff("broken"),
            _ if work.address.starts_with("gone") => return Told::Refused,
            _ if work.address.starts_with("later") && self.chance.percent(60) => return Told::PutOff("deferred"),
            Mood::Answers => Told::Taken,
            Mood::FallsSilent => Told::PutOff("doubtful"),
        };
        *self.elsewhere.taken.entry(key).or_default() += 1;
        *self.elsewhere.doubts.entry(key).or_default() += 1;
        takes
    }

    /// What the sender is told of a recipient, its bytes durable; nothing where the power of their disk has gone.
    fn notice(&mut self, house: &House, work: &Work) -> Option<Offspring> {
        let bytes = self.message();
        let commit = house.blobs.put(&bytes).ok()?;
        commit.wait().ok()?;
        let id = house.ledger.next_id();
        let message = Message {
            to: vec![To::Account(SENDER)],
            bytes: bytes.clone(),
            release_at: None,
        };
        let acceptance = Acceptance {
            parent: Some((work.acceptance.id, work.number)),
            ..message.acceptance(id)
        };
        self.tried.insert(id.0, message);
        Some(Offspring {
            acceptance,
            blob: commit.id(),
            size: commit.len(),
            bytes: None,
        })
    }

    /// An administrator holds, releases, cancels or hurries the recipients of a message.
    pub(crate) async fn order(&mut self, house: &House) -> Result<(), Cut> {
        let some = self.chance.below(self.accepted.len());
        let Some(&id) = self.accepted.iter().nth(some) else {
            return Ok(());
        };
        let order = [Order::Hold, Order::Hold, Order::Release, Order::Cancel, Order::Retry][self.chance.below(5)];
        for row in rows(house, id) {
            let key = (id, row.number);
            if row.state == State::Settled {
                continue;
            }
            self.elsewhere.touched.insert(key);
            if order != Order::Retry {
                self.elsewhere.stands.remove(&key);
            }
            if order == Order::Cancel {
                self.elsewhere.cancelled.insert(key, None);
            }
        }
        let selection = Selection {
            id: Some(AcceptanceId(id)),
            ..Selection::default()
        };
        house.ledger.order(order, &selection).await.expect("order");
        self.step(Part::Server, true)?;
        for row in rows(house, id) {
            let key = (id, row.number);
            if row.state != State::Due {
                self.elsewhere.stands.insert(key, (row.state, row.fate));
            }
            if row.fate == Some(Fate::Cancelled) {
                let got = self.elsewhere.taken.get(&key).copied().unwrap_or_default();
                self.elsewhere.cancelled.insert(key, Some(got));
            }
        }
        Ok(())
    }

    /// A message was accepted and held in the same breath.
    pub(crate) fn held_from_the_start(&mut self, id: i64) {
        let recipients = self.tried[&id].to.len() as u32;
        let stands = (0..recipients).map(|number| ((id, number), (State::Held, None)));
        self.elsewhere.stands.extend(stands);
        self.elsewhere
            .touched
            .extend((0..recipients).map(|number| (id, number)));
    }

    /// Whether somebody wanted this row cancelled, and it may be.
    pub(crate) fn is_cancelled(&self, house: &House, key: Key) -> bool {
        self.elsewhere.cancelled.contains_key(&key)
            && rows(house, key.0)
                .iter()
                .any(|row| row.number == key.1 && row.fate == Some(Fate::Cancelled))
    }

    /// What was durable stands, right after the power came back.
    pub(crate) fn check_what_stands(&self, house: &House) {
        let at = self.at();
        for (key, known) in &self.elsewhere.stands {
            let row = rows(house, key.0).into_iter().find(|row| row.number == key.1);
            let found = row.map(|row| (row.state, row.fate));
            assert_eq!(found, Some(*known), "{at}: {key:?} was something else");
        }
        for id in &self.accepted {
            let Some(release_at) = self.tried[id].release_at.filter(|at| *at > self.now()) else {
                continue;
            };
            for row in rows(house, *id) {
                assert!(
                    row.state == State::Settled || row.due_at == release_at,
                    "{at}: it waits for another time"
                );
                assert!(
                    matches!(row.fate, None | Some(Fate::Cancelled)),
                    "{at}: before its time"
                );
            }
        }
    }

    /// Time passes, whatever is held is released, and everything is sent on.
    pub(crate) async fn relay_all(&mut self, house: &House) {
        let all = Selection::default();
        house.ledger.order(Order::Release, &all).await.expect("order");
        self.elsewhere.stands.retain(|_, (state, _)| *state == State::Settled);
        // Whatever is to go later, here and elsewhere, has its time now.
        self.pass(LATEST);
        let mut turns = 0;
        while house.ledger.totals().expect("totals").remote > 0 {
            self.pass(10_000);
            assert!(self.relay(house).await.is_ok());
            turns += 1;
            assert!(turns < 2000, "{}: mail waits for ever", self.at());
        }
    }

    /// What the other server has, against what the ledger says, when nothing is open any more.
    pub(crate) fn check_elsewhere(&self, house: &House) {
        let at = self.at();
        for (id, message) in &self.tried {
            let record = house.ledger.show(AcceptanceId(*id)).expect("ledger");
            let Some(record) = record else {
                assert!(!self.accepted.contains(id), "{at}: accepted and lost");
                continue;
            };
            for row in record.recipients {
                let key = (*id, row.number);
                let number = |of: &BTreeMap<Key, u32>| of.get(&key).copied().unwrap_or_default();
                let (taken, doubts) = (number(&self.elsewhere.taken), number(&self.elsewhere.doubts));
                assert!(
                    taken <= 1 + doubts,
                    "{at}: {key:?} was taken {taken} times, with {doubts} doubts"
                );
                let (made, written) = self.elsewhere.attempts.get(&key).copied().unwrap_or_default();
                let last = row.tries.last().map(|t| t.outcome.as_str());
                let told = record
                    .offspring
                    .iter()
                    .filter(|(_, number)| *number == row.number)
                    .count();
                if let To::Account(_) = message.to[row.number as usize] {
                    assert_eq!((made, row.attempts), (0, 0), "{at}");
                    continue;
                }
                assert!(
                    written <= row.attempts && row.attempts <= made,
                    "{at}: {} attempts on record, {made} made, {written} known to be written",
                    row.attempts
                );
                assert_eq!(row.tries.len(), row.attempts.min(20) as usize, "{at}");
                match row.fate {
                    Some(Fate::Relayed) => assert!(taken >= 1 && last == Some("taken"), "{at}: said to be taken"),
                    Some(Fate::Failed) => assert!(taken == 0 && last == Some("refused"), "{at}: said to be refused"),
                    Some(Fate::Cancelled) => {
                        let then = self.elsewhere.cancelled.get(&key);
                        let then = then.unwrap_or_else(|| panic!("{at}: nobody cancelled it"));
                        assert!(
                            then.is_none_or(|then| then == taken),
                            "{at}: sent after it was cancelled"
                        );
                    }
                    other => panic!("{at}: {key:?} ended as {other:?}"),
                }
                // Whoever was held begins anew, and is told anew that it is late.
                let owed = usize::from(row.delay_told) + usize::from(row.fate == Some(Fate::Failed));
                let begun_anew = self.elsewhere.touched.contains(&key);
                assert!(
                    told == owed || (begun_anew && told > owed),
                    "{at}: {told} notices about {key:?}, {owed} owed"
                );
            }
        }
    }
}

fn rows(house: &House, id: i64) -> Vec<RecipientRecord> {
    let record = house.ledger.show(AcceptanceId(id)).expect("ledger");
    record.map(|record| record.recipients).unwrap_or_default()
}

/// Written and durable, as the connection waits for it.
async fn conclude(house: &House, conclusion: Conclusion) {
    let ledger = house.ledger.clone();
    let written = tokio::task::spawn_blocking(move || ledger.conclude_all(vec![conclusion]));
    let stale = written.await.expect("thread").expect("ledger");
    assert!(stale.iter().all(Vec::is_empty), "nobody else is at work: {stale:?}");
}

fn attempt(told: Told, at: i64) -> Attempt {
    Attempt {
        at,
        host: "mx.far.test".to_owned(),
        address: None,
        tls: None,
        policy: String::new(),
        outcome: told.word(),
        reply: told.word().to_owned(),
    }
}

fn settlement(work: &Work, fate: Fate, told: Told, at: i64) -> Settlement {
    Settlement {
        acceptance: work.acceptance.id,
        number: work.number,
        fate,
        at,
        detail: None,
        account: None,
        place: None,
        attempt: Some(attempt(told, at)),
    }
}

fn deferral(work: &Work, due_at: i64, delay_told: bool, told: Told, at: i64) -> Deferral {
    Deferral {
        acceptance: work.acceptance.id,
        number: work.number,
        lease: work.lease,
        due_at,
        reason: told.word().to_owned(),
        strategy: "of this test",
        delay_told,
        failed: true,
        attempt: Some(attempt(told, at)),
    }
}

impl Message {
    /// Its envelope.
    pub(crate) fn acceptance(&self, id: AcceptanceId) -> Acceptance {
        let recipients = self.to.iter().map(|to| NewRecipient {
            address: match to {
                To::Account(account) => account.0.to_string(),
                To::Elsewhere(address) => (*address).to_owned(),
            },
            original: None,
            notify: None,
            lane: match to {
                To::Account(_) => Lane::Local,
                To::Elsewhere(_) => Lane::Remote,
            },
        });
        Acceptance {
            sender: format!("{}@our.test", id.0 % 5),
            protocol: "ESMTP".into(),
            client: "test".into(),
            helo: "test".into(),
            body: "8BITMIME".into(),
            release_at: self.release_at,
            recipients: recipients.collect(),
            ..Acceptance::ours(id, 0, "test")
        }
    }
}
