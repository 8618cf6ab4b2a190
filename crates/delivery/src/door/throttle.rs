//! How much an account may send in an hour, and what happens with more: a password that was stolen is used to send as much as goes.
//!
//! Who sends more than [`SendingLimits`] allow, or from more networks, is held: the message is taken, but waits in the queue, as does everything
//! after it, until an administrator has looked (`rohrpost account release`). Nothing is lost if it was a newsletter; little has gone out if it
//! was a thief. The account and the postmaster are told once. While an account is held, what waits for it is bounded too: as many messages an
//! hour as it may send; further ones are put off.
//!
//! What was counted is in memory, and a restart forgets it; a hold stays.

use super::{Context, now};
use crate::alarm;
use crate::inspect::network;
use db::AccountId;
use lru::LruCache;
use parking_lot::Mutex;
use smtp::{Reply, Status};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Accounts that are remembered; who has been quiet longest is forgotten first.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(50_000).unwrap();
const HOUR: Duration = Duration::from_secs(3600);

/// What an account may do in an hour. 0: any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingLimits {
    /// Messages. Default 500.
    pub messages: u32,
    /// Recipients of them. Default 5,000.
    pub recipients: u32,
    /// Networks (IPv4: /24, IPv6: /64) that they come from. Default 10: people have a desk, a flat and a telephone.
    pub networks: u32,
    /// Addresses of accounts for whom all this does not count: programs that send to many.
    pub unlimited: Vec<String>,
}

impl Default for SendingLimits {
    fn default() -> SendingLimits {
        SendingLimits {
            messages: 500,
            recipients: 5_000,
            networks: 10,
            unlimited: Vec::new(),
        }
    }
}

/// What accounts have sent lately.
pub(super) struct Throttle(Mutex<LruCache<AccountId, Hour>>);

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

/// An account's last hour. The counters leak: each loses its whole measure within an hour.
#[derive(Clone)]
struct Hour {
    at: Instant,
    messages: f64,
    recipients: f64,
    /// Messages taken while it was held.
    held: f64,
    networks: Vec<(String, Instant)>,
}

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Send,
    /// Take it, but keep it for this reason.
    Hold(String),
    Refuse,
}

impl Throttle {
    /// Counts a message of an account's that nobody holds yet. The reason, if that is more than it may send.
    fn count(
        &self,
        account: AccountId,
        recipients: usize,
        network: &str,
        limits: &SendingLimits,
        now: Instant,
    ) -> Option<String> {
        let mut known = self.0.lock();
        let hour = known.get_or_insert_mut(account, || Hour::new(now));
        hour.leak(limits, now);
        hour.messages += 1.0;
        hour.recipients += f64::from(u32::try_from(recipients).unwrap_or(u32::MAX));
        hour.networks
            .retain(|(other, at)| other != network && now.duration_since(*at) < HOUR);
        hour.networks.push((network.to_owned(), now));
        let networks = u32::try_from(hour.networks.len()).unwrap_or(u32::MAX);
        if limits.networks == 0 || networks > limits.networks {
            // Bounded, whatever somebody does.
            hour.networks.remove(0);
        }
        let over = |count: f64, limit: u32| limit > 0 && count > f64::from(limit);
        if over(hour.messages, limits.messages) {
            Some(format!("more than {} messages within an hour", limits.messages))
        } else if over(hour.recipients, limits.recipients) {
            Some(format!("more than {} recipients within an hour", limits.recipients))
        } else if limits.networks > 0 && networks > limits.networks {
            Some(format!("from more than {} networks within an hour", limits.networks))
        } else {
            None
        }
    }

    /// Counts a message of an account's that is held; whether one more may wait.
    fn may_wait(&self, account: AccountId, limits: &SendingLimits, now: Instant) -> bool {
        let mut known = self.0.lock();
        let hour = known.get_or_insert_mut(account, || Hour::new(now));
        hour.leak(limits, now);
        let fits = limits.messages == 0 || hour.held + 1.0 <= f64::from(limits.messages);
        if fits {
            hour.held += 1.0;
        }
        fits
    }

    /// Begins anew, after an administrator has looked.
    pub(super) fn forget(&self, account: AccountId) {
        self.0.lock().pop(&account);
    }
}

impl Hour {
    fn new(at: Instant) -> Hour {
        Hour {
            at,
            messages: 0.0,
            recipients: 0.0,
            held: 0.0,
            networks: Vec::new(),
        }
    }

    fn leak(&mut self, limits: &SendingLimits, now: Instant) {
        let part = now.saturating_duration_since(self.at).as_secs_f64() / HOUR.as_secs_f64();
        self.at = now;
        let leaked = |count: f64, limit: u32| (count - f64::from(limit) * part).max(0.0);
        self.messages = leaked(self.messages, limits.messages);
        self.recipients = leaked(self.recipients, limits.recipients);
        self.held = leaked(self.held, limits.messages);
    }
}

impl Context {
    /// What to do with a message that an account submits.
    pub(super) async fn judge(&self, account: AccountId, recipients: usize, from: IpAddr) -> Judgement {
        let limits = &self.options.sending;
        let instant = Instant::now();
        if let Some(hold) = self.directory.sending_held(account) {
            return if self.throttle.may_wait(account, limits, instant) {
                Judgement::Hold(hold.reason)
            } else {
                Judgement::Refuse
            };
        }
        let exempt = |address: &String| {
            self.directory
                .account_show(address)
                .is_ok_and(|found| found.id == account)
        };
        if limits.unlimited.iter().any(exempt) {
            return Judgement::Send;
        }
        let Some(excess) = self
            .throttle
            .count(account, recipients, &network(from), limits, instant)
        else {
            return Judgement::Send;
        };
        let reason = format!("the account is held: it sent {excess}");
        match net::blocking(|| self.directory.sending_hold(account, now(), &reason)) {
            Ok(true) => {
                // What was counted has done its work; after a release it begins anew.
                self.throttle.forget(account);
                tracing::warn!(
                    account = account.0,
                    reason = excess,
                    "an account sends as if it were stolen; its mail is held"
                );
                if let Err(error) = alarm::stolen(&self.own, &self.directory, account, &excess, from).await {
                    tracing::error!(account = account.0, %error, "nobody could be told that an account is held");
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(account = account.0, %error, "an account sends as if it were stolen, and cannot be held");
            }
        }
        Judgement::Hold(reason)
    }
}

/// What somebody is told of whom no more can be kept.
pub(super) fn refusal() -> Reply {
    Reply::new(
        450,
        Status(4, 7, 28),
        "your account is held, since it has sent too much; ask your administrator",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: AccountId = AccountId(1);

    #[test]
    fn an_hour_has_its_measure() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let limits = SendingLimits {
            messages: 60,
            recipients: 100,
            networks: 2,
            ..SendingLimits::default()
        };
        let count = |seconds, recipients, network: &str| {
            throttle.count(ADA, recipients, network, &limits, start + Duration::from_secs(seconds))
        };
        for _ in 0..60 {
            assert_eq!(count(0, 1, "a"), None);
        }
        assert!(count(0, 1, "a").unwrap().contains("60 messages"));
        // A minute has room for one more.
        assert_eq!(count(120, 1, "a"), None);
        throttle.forget(ADA);
        assert_eq!(count(120, 100, "a"), None);
        assert!(count(120, 1, "a").unwrap().contains("100 recipients"));
        throttle.forget(ADA);
        assert_eq!(count(120, 1, "a"), None);
        assert_eq!(count(130, 1, "b"), None);
        assert_eq!(count(140, 1, "a"), None);
        assert!(count(150, 1, "c").unwrap().contains("2 networks"));
        // After an hour, b and a are forgotten.
        throttle.forget(ADA);
        assert_eq!(count(120, 1, "a"), None);
        assert_eq!(count(130, 1, "b"), None);
        assert_eq!(count(3_800, 1, "c"), None);
    }

    #[test]
    fn what_waits_is_bounded_too() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let limits = SendingLimits {
            messages: 3,
            ..SendingLimits::default()
        };
        assert!((0..3).all(|_| throttle.may_wait(ADA, &limits, start)));
        assert!(!throttle.may_wait(ADA, &limits, start));
        let none = SendingLimits { messages: 0, ..limits };
        assert!(throttle.may_wait(ADA, &none, start));
    }
}
