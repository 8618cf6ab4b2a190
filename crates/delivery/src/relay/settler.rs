//! Writes what came of transactions, for all connections that finished one meanwhile at once, and makes the notices that are owed.
//!
//! While the ledger can't write (the disk is full), connections wait: nothing more is sent of which it could not be recorded that it was.

use crate::notifier::{News, Notifier};
use crate::retry::Strategy;
use ledger::{AcceptanceId, Conclusion, Deferral, Fate, Ledger, Settlement};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Conclusions handed over at once at most.
const BATCH: usize = 256;
/// Hand-overs that the ledger has at once. While it waits for the disk with one, the next joins what it writes then; with one alone, a
/// connection that ends its message just after would wait for the disk twice.
const AT_ONCE: usize = 4;
/// How long a failure waits whose notice can't be written, in seconds.
const WITHOUT_NOTICE: i64 = 300;

/// What came of a transaction, or of waiting: all about one message.
#[derive(Default)]
pub(crate) struct Upshot {
    pub(crate) settlements: Vec<Settlement>,
    pub(crate) deferrals: Vec<Deferral>,
    /// Whom to tell what of it.
    pub(crate) news: Vec<News>,
}

type Asked = (Conclusion, oneshot::Sender<Vec<(AcceptanceId, u32)>>);

pub(crate) struct Settler {
    notifier: Arc<Notifier>,
    asked: mpsc::Sender<Asked>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Settler {
    pub(crate) fn start(ledger: Ledger, notifier: Arc<Notifier>) -> Settler {
        let (asked, mut receiver) = mpsc::channel::<Asked>(BATCH);
        let task = tokio::spawn(async move {
            let under_way = Arc::new(Semaphore::new(AT_ONCE));
            let mut batch = Vec::with_capacity(BATCH);
            while let Ok(permit) = Arc::clone(&under_way).acquire_owned().await
                && receiver.recv_many(&mut batch, BATCH).await > 0
            {
                let (conclusions, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
                let ledger = ledger.clone();
                tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    // Closing: the rows stay open, and what was sent will be sent again; whoever waits sees that nobody answers.
                    let Ok(stale) = ledger.conclude_all(conclusions) else {
                        return;
                    };
                    for (reply, stale) in replies.into_iter().zip(stale) {
                        let _ = reply.send(stale);
                    }
                });
            }
        });
        Settler {
            notifier,
            asked,
            task: Mutex::new(Some(task)),
        }
    }

    /// Writes it, with the notices that are owed. `false`: the ledger is closing.
    pub(crate) async fn settle(&self, upshot: Upshot) -> bool {
        let Upshot {
            settlements,
            deferrals,
            mut news,
        } = upshot;
        // Who is told of something must not wait for who is not, nor the other way round.
        let told: HashSet<(AcceptanceId, u32)> = news.iter().map(|n| n.work.key()).collect();
        let (mut told_settled, settlements): (Vec<_>, Vec<_>) = settlements
            .into_iter()
            .partition(|s| told.contains(&(s.acceptance, s.number)));
        let (mut told_deferred, deferrals): (Vec<_>, Vec<_>) = deferrals
            .into_iter()
            .partition(|d| told.contains(&(d.acceptance, d.number)));
        if !(settlements.is_empty() && deferrals.is_empty()) {
            let plain = Conclusion {
                settlements,
                deferrals,
                offspring: Vec::new(),
            };
            if self.write(plain).await.is_none() {
                return false;
            }
        }
        // A notice speaks of several recipients: if one of them was settled meanwhile, it is written anew without that one.
        while !news.is_empty() {
            let notifier = Arc::clone(&self.notifier);
            let (made, back) = match tokio::task::spawn_blocking(move || (notifier.notices(&news), news)).await {
                Ok(made) => made,
                Err(_) => return false,
            };
            news = back;
            let offspring = match made {
                Ok(offspring) => offspring,
                Err(error) => {
                    tracing::warn!(%error, "a notice can't be written");
                    return self.without(&news, told_settled, told_deferred, &error).await;
                }
            };
            let conclusion = Conclusion {
                settlements: told_settled.clone(),
                deferrals: told_deferred.clone(),
                offspring,
            };
            let alone = conclusion.offspring.is_empty();
            let Some(stale) = self.write(conclusion).await else {
                return false;
            };
            if stale.is_empty() || alone {
                return true;
            }
            let gone: HashSet<_> = stale.into_iter().collect();
            // Their attempts are still worth recording.
            let (lost_settled, lost_deferred): (Vec<_>, Vec<_>) = (
                told_settled
                    .extract_if(.., |s| gone.contains(&(s.acceptance, s.number)))
                    .collect(),
                told_deferred
                    .extract_if(.., |d| gone.contains(&(d.acceptance, d.number)))
                    .collect(),
            );
            let lost = Conclusion {
                settlements: lost_settled,
                deferrals: lost_deferred,
                offspring: Vec::new(),
            };
            if self.write(lost).await.is_none() {
                return false;
            }
            news.retain(|n| !gone.contains(&n.work.key()));
        }
        true
    }

    /// The notices can't be written now: what can't go without is put off, the rest is written.
    async fn without(
        &self,
        news: &[News],
        settlements: Vec<Settlement>,
        mut deferrals: Vec<Deferral>,
        error: &ledger::Error,
    ) -> bool {
        let (failed, settlements): (Vec<_>, Vec<_>) = settlements.into_iter().partition(|s| s.fate == Fate::Failed);
        deferrals.iter_mut().for_each(|d| d.delay_told = false);
        deferrals.extend(failed.into_iter().filter_map(|s| {
            let of = news.iter().find(|n| n.work.key() == (s.acceptance, s.number))?;
            Some(Deferral {
                acceptance: s.acceptance,
                number: s.number,
                lease: of.work.lease,
                due_at: s.at + WITHOUT_NOTICE,
                reason: format!("{}; and the notice about it can't be written: {error}", of.diagnostic),
                strategy: Strategy::ShortOfSpace.name(),
                delay_told: false,
                failed: true,
                attempt: s.attempt,
            })
        }));
        let plain = Conclusion {
            settlements,
            deferrals,
            offspring: Vec::new(),
        };
        self.write(plain).await.is_some()
    }

    async fn write(&self, conclusion: Conclusion) -> Option<Vec<(AcceptanceId, u32)>> {
        let (reply, answer) = oneshot::channel();
        self.asked.send((conclusion, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Ends it, when nobody waits for it any more.
    pub(crate) async fn stop(&self) {
        if let Some(task) = self.task.lock().await.take() {
            task.abort();
        }
    }
}
