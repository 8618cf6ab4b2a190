//! The ledger's part of the custody invariant. Whether delivered messages are in their mailboxes, the caller asks the store.

use crate::trace::{State, recipients_in};
use crate::{AcceptanceId, Fate, Ledger, Result, record};
use blobs::BlobId;
use db::AccountId;

/// Messages read in one go.
const PAGE: u32 = 1000;

/// An exception to the custody invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The message.
    pub acceptance: AcceptanceId,
    /// The recipient, where it is about one.
    pub number: Option<u32>,
    /// What is wrong.
    pub what: String,
}

/// What the ledger says was delivered, for the store to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditedRecipient {
    /// The message.
    pub acceptance: AcceptanceId,
    /// The recipient.
    pub number: u32,
    /// Where it was delivered to.
    pub account: AccountId,
}

impl Ledger {
    /// Goes through the whole ledger. `fault` gets every exception, `delivered` every delivery that the store should know; how many
    /// messages were looked at. Reads page by page and holds nobody up.
    pub fn audit(&self, mut fault: impl FnMut(Fault), mut delivered: impl FnMut(AuditedRecipient)) -> Result<u64> {
        let mut from = i64::MIN;
        let mut seen = 0;
        loop {
            let page = self.database().read(|tx| {
                let mut page = Vec::new();
                for found in record::acceptances_in(tx, from, PAGE)? {
                    let recipients = recipients_in(tx, found.acceptance.id)?;
                    page.push((found, recipients));
                }
                Ok(page)
            })?;
            let Some((last, _)) = page.last() else { break };
            from = last.acceptance.id.0.saturating_add(1);
            for (found, recipients) in page {
                seen += 1;
                let acceptance = found.acceptance.id;
                let mut say = |number, what: String| {
                    fault(Fault {
                        acceptance,
                        number,
                        what,
                    });
                };
                let given = recipients.iter().filter(|r| r.parent.is_none()).count();
                if given != found.recipients as usize {
                    say(
                        None,
                        format!("was accepted for {} recipients, has {given}", found.recipients),
                    );
                }
                let open = recipients.iter().any(|r| r.state != State::Settled);
                if open && self.blobs().len_of(found.blob)?.is_none() {
                    say(
                        None,
                        format!("has open recipients, and its bytes {} are missing", found.blob),
                    );
                }
                for r in &recipients {
                    match (r.state, r.fate) {
                        (State::Settled, None) => say(Some(r.number), "is settled without a fate".into()),
                        (State::Due | State::Held, Some(_)) => say(Some(r.number), "has a fate and is open".into()),
                        (State::Settled, Some(Fate::Delivered)) => match r.account {
                            Some(account) => delivered(AuditedRecipient {
                                acceptance,
                                number: r.number,
                                account,
                            }),
                            None => say(Some(r.number), "is delivered to no account".into()),
                        },
                        _ => {}
                    }
                    if let Some(parent) = r.parent
                        && !recipients
                            .iter()
                            .any(|p| p.number == parent && p.fate == Some(Fate::Expanded))
                    {
                        say(
                            Some(r.number),
                            format!("came from recipient {parent}, which was not expanded"),
                        );
                    }
                }
            }
        }
        let orphans = self.database().read(|tx| {
            tx.query_all(
                "SELECT DISTINCT acceptance FROM recipient WHERE NOT EXISTS (SELECT 1 FROM acceptance WHERE id = recipient.acceptance)",
                &[],
                |row| row.i64(0),
            )
        })?;
        for id in orphans {
            fault(Fault {
                acceptance: AcceptanceId(id),
                number: None,
                what: "has recipients and no message".into(),
            });
        }
        Ok(seen)
    }

    /// Calls `each` with the bytes that open recipients still need.
    pub fn blob_references(&self, mut each: impl FnMut(BlobId)) -> Result<()> {
        Ok(self.database().read(|tx| {
            tx.query(
                "SELECT DISTINCT acceptance.blob FROM acceptance JOIN recipient ON recipient.acceptance = acceptance.id
                 WHERE recipient.state <> 1",
                &[],
                |row| {
                    each(record::blob_of(row.blob(0)?)?);
                    Ok(())
                },
            )
        })?)
    }
}
