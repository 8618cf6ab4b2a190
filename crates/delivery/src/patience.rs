//! How long a recipient of ours waits, and what its sender hears of it.
//!
//! What can't be delivered is tried for as long as mail for other servers (RFC 5321 §4.5.4.1) and then given back; who waits for longer than
//! people expect is told once. Success is told where `NOTIFY` asks for it (RFC 3461 §4.1).

use crate::notifier::{News, Notifier};
use crate::retry::{Patience, Strategy, seconds};
use ledger::{Conclusion, Deferral, Fate, Ledger, Settlement, Work};
use smtp::Status;
use smtp::dsn::Action;

/// Keeps a recipient open after a failed attempt; or gives it up, where that was its last.
pub(crate) fn put_off(
    ledger: &Ledger,
    notifier: Option<&Notifier>,
    patience: &Patience,
    work: &Work,
    strategy: Strategy,
    reason: &str,
    now: i64,
) {
    let schedule = patience.of(strategy);
    let until = work.queued_at.saturating_add(seconds(schedule.lifetime));
    let deferral = |strategy: Strategy, told| Deferral {
        acceptance: work.acceptance.id,
        number: work.number,
        lease: work.lease,
        due_at: now + patience.of(strategy).wait(work.attempts),
        reason: reason.to_owned(),
        strategy: strategy.name(),
        delay_told: told,
        failed: true,
        attempt: None,
    };
    let over = now >= until;
    let late = |after| now >= work.queued_at.saturating_add(seconds(after));
    let late = schedule.delay_notice.is_some_and(late) && !work.delay_told;
    let Some(notifier) = notifier.filter(|_| over || late) else {
        return ledger.defer(vec![deferral(strategy, false)]);
    };
    let news = News {
        work: work.clone(),
        action: if over {
            Action::Failed
        } else {
            Action::Delayed { until }
        },
        // RFC 3463 §3.5: delivery time expired; §3.3: for now it does not work.
        status: if over { Status(4, 4, 7) } else { Status(4, 2, 0) },
        remote: None,
        diagnostic: reason.to_owned(),
        at: now,
    };
    match notifier.notices(&[news]) {
        Ok(offspring) if over => ledger.conclude(vec![Conclusion {
            settlements: vec![Settlement {
                acceptance: work.acceptance.id,
                number: work.number,
                fate: Fate::Failed,
                at: now,
                detail: Some(format!("given up; at last: {reason}")),
                account: None,
                place: None,
                attempt: None,
            }],
            deferrals: Vec::new(),
            offspring,
        }]),
        Ok(offspring) => ledger.conclude(vec![Conclusion {
            settlements: Vec::new(),
            deferrals: vec![deferral(strategy, true)],
            offspring,
        }]),
        Err(error) => {
            tracing::warn!(acceptance = %work.acceptance.id, %error, "a notice can't be written; what it is about waits");
            ledger.defer(vec![deferral(Strategy::ShortOfSpace, false)]);
        }
    }
}

/// Settles what was delivered, and tells who asked to be told. What can't be told of now stays open and is delivered again, which is
/// harmless.
pub(crate) fn delivered(
    ledger: &Ledger,
    notifier: Option<&Notifier>,
    patience: &Patience,
    done: Vec<(Work, Settlement)>,
) {
    let mut plain = Vec::with_capacity(done.len());
    for (work, settlement) in done {
        let Some(notifier) = notifier.filter(|_| News::is_wanted(&work, Action::Delivered)) else {
            plain.push(settlement);
            continue;
        };
        let now = settlement.at;
        match notifier.notices(&[in_the_mailbox(work.clone(), now)]) {
            Ok(offspring) => ledger.conclude(vec![Conclusion {
                settlements: vec![settlement],
                deferrals: Vec::new(),
                offspring,
            }]),
            Err(error) => {
                let reason = error.to_string();
                put_off(ledger, None, patience, &work, Strategy::ShortOfSpace, &reason, now);
            }
        }
    }
    ledger.settle(plain);
}

/// The good news.
pub(crate) fn in_the_mailbox(work: Work, at: i64) -> News {
    News {
        work,
        action: Action::Delivered,
        status: Status(2, 1, 5),
        remote: None,
        diagnostic: "it is in the mailbox".to_owned(),
        at,
    }
}
