//! Who may send, and to whom.

use super::{Door, OverQuota, blocking, now};
use crate::relay::connector::takes;
use db::AccountId;
use directory::Resolution;
use filter::quota_of;
use ledger::{Lane, NewRecipient};
use smtp::{Hold, Recipient, Reply, Sender, Status};

/// Why a recipient is refused.
pub(super) struct Refused {
    pub(super) reply: Reply,
    /// Nobody has the address: somebody may be guessing.
    pub(super) unknown: bool,
}

impl From<Reply> for Refused {
    fn from(reply: Reply) -> Refused {
        Refused { reply, unknown: false }
    }
}

impl Door {
    /// RFC 6409 §6.1: who has logged in sends under a name of his own. The null path is everybody's.
    pub(super) fn check_sender(&self, account: Option<AccountId>, sender: &Sender) -> Result<(), Reply> {
        let (Some(account), Some(address)) = (account, sender.path.address()) else {
            return Ok(());
        };
        if !self.context.options.own_senders_only || self.context.directory.may_send_as(account, address.as_str()) {
            return Ok(());
        }
        Err(Reply::new(553, Status(5, 7, 1), "this is not an address of yours"))
    }

    /// When a message is to be worked on (RFC 4865 §4): a time that has passed, or is too far away, is wrong.
    pub(super) fn release_at(&self, sender: &Sender) -> Result<Option<i64>, Reply> {
        let (Some(hold), Some(longest)) = (sender.hold, self.session.future_release) else {
            return Ok(None);
        };
        let now = now();
        let at = match hold {
            Hold::For(seconds) => now.saturating_add(seconds),
            Hold::Until(time) => time,
        };
        if at < now {
            return Err(Reply::new(501, Status(5, 5, 4), "this time has passed"));
        }
        if at - now > i64::from(longest) {
            let last = smtp::timestamp(now.saturating_add(i64::from(longest)));
            let text = format!("a message may wait {longest} seconds, now until {last}");
            return Err(Reply::new(501, Status(5, 5, 4), text));
        }
        Ok(Some(at))
    }

    /// Whether the mail for this recipient can be taken, and where it goes.
    pub(super) fn check_recipient(
        &self,
        account: Option<AccountId>,
        sender: Option<&Sender>,
        recipient: &Recipient,
    ) -> Result<NewRecipient, Refused> {
        let address = recipient.address.as_str();
        let size = sender.and_then(|sender| sender.size);
        if let Some(path) = self.context.forwarding.as_ref().and_then(|f| f.reverse(address, now())) {
            let bounce = sender.is_some_and(|sender| sender.path.address().is_none());
            return match path {
                Ok(_) if bounce => Ok(new(recipient, Lane::Local)),
                Ok(_) => Err(Reply::new(550, Status(5, 7, 1), "this address takes bounces only").into()),
                Err(refused) => Err(Refused {
                    reply: Reply::new(550, Status(5, 1, 1), refused.to_string()),
                    unknown: true,
                }),
            };
        }
        let lane = match self.context.directory.resolve(address) {
            Resolution::Account { account, .. } => {
                self.check_room(account, size)?;
                Lane::Local
            }
            Resolution::Alias { .. } => Lane::Local,
            Resolution::Remote if account.is_some() || self.relays_for(address) => Lane::Remote,
            Resolution::Remote => {
                return Err(Reply::new(550, Status(5, 7, 1), "relaying denied: this is not our domain").into());
            }
            Resolution::Disabled { .. } => {
                return Err(Reply::new(550, Status(5, 2, 1), "this mailbox is disabled").into());
            }
            Resolution::Unknown => {
                return Err(Refused {
                    reply: Reply::new(550, Status(5, 1, 1), "there is no such address here"),
                    unknown: true,
                });
            }
        };
        Ok(new(recipient, lane))
    }

    /// Whether we are a backup MX for the domain of an address, or stand in front of its server.
    fn relays_for(&self, address: &str) -> bool {
        let domains = &self.context.options.relay_domains;
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        !domains.is_empty() && authentication::normal(domain).is_some_and(|domain| takes(domains, &domain))
    }

    /// Whether a message of this size fits into the account. What cannot be found out now, delivery will.
    fn check_room(&self, account: AccountId, size: Option<u64>) -> Result<(), Reply> {
        let quota = quota_of(&self.context.directory, account);
        if quota == store::Quota::NONE {
            return Ok(());
        }
        let store = &self.context.store;
        let used = blocking(|| match store.account_exists(account) {
            true => store.account(account).map(|account| account.usage()),
            false => Ok(store::Usage::default()),
        });
        match used {
            // A message has an octet at least.
            Ok(used) if quota.room(used, store::Usage::of([size.unwrap_or(0).max(1)])).is_ok() => Ok(()),
            Ok(_) => Err(match self.context.options.over_quota {
                OverQuota::Defer => Reply::new(452, Status(4, 2, 2), "this mailbox is full, try again later"),
                OverQuota::Refuse => Reply::new(552, Status(5, 2, 2), "this mailbox is full"),
            }),
            Err(error) => {
                tracing::warn!(account = account.0, %error, "cannot tell how full the account is");
                Ok(())
            }
        }
    }
}

fn new(recipient: &Recipient, lane: Lane) -> NewRecipient {
    NewRecipient {
        address: recipient.address.as_str().to_owned(),
        original: recipient.orcpt.clone(),
        notify: recipient.notify.map(|notify| notify.to_string()),
        lane,
    }
}
