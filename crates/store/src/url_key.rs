//! Mailbox access keys: what URLs that let others at a message are signed with. RFC 4467 §9.
//!
//! A key is made when the first URL of its mailbox is signed, and leaves the account's file never. Taking it away makes every URL signed with
//! it worthless.

use crate::account::Account;
use crate::{Error, MailboxId, Result};
use db::Durability;

/// The first octet of a token: how the rest was made. 1: BLAKE3 with the mailbox's key.
const ALGORITHM: u8 = 1;

impl Account {
    /// Signs a text in a mailbox's name. `random` becomes its key where it has none; the key is on disk when this returns.
    pub fn url_token(&self, mailbox: MailboxId, text: &str, random: [u8; 32]) -> Result<String> {
        if self.mailbox(mailbox).is_none() {
            return Err(Error::NoMailbox);
        }
        let key = match self.url_key(mailbox)? {
            Some(key) => key,
            None => {
                self.database().write(Durability::Synced, |tx| {
                    tx.execute(
                        "INSERT INTO url_key (account, mailbox, access) VALUES (?1, ?2, ?3) ON CONFLICT (account, mailbox) DO NOTHING",
                        &[self.id().0.into(), mailbox.into(), (&random[..]).into()],
                    )
                })?;
                // Another session may have been first.
                self.url_key(mailbox)?.ok_or(Error::NoMailbox)?
            }
        };
        let mac = blake3::keyed_hash(&key, text.as_bytes());
        Ok(format!("{ALGORITHM:02x}{}", mac.to_hex()))
    }

    /// Whether a token was made by [`url_token`](Self::url_token) for this mailbox and text, with the key that is there now.
    pub fn url_token_is_right(&self, mailbox: MailboxId, text: &str, token: &str) -> Result<bool> {
        let given = token
            .strip_prefix(&format!("{ALGORITHM:02x}"))
            .and_then(|hex| blake3::Hash::from_hex(hex).ok());
        let (Some(given), Some(key)) = (given, self.url_key(mailbox)?) else {
            return Ok(false);
        };
        // Comparing two blake3::Hash takes constant time.
        Ok(blake3::keyed_hash(&key, text.as_bytes()) == given)
    }

    /// Takes the key of a mailbox away, or with `None` those of all.
    pub fn url_keys_reset(&self, mailbox: Option<MailboxId>) -> Result<()> {
        let account = self.id().0;
        self.database().write(Durability::Synced, |tx| match mailbox {
            Some(mailbox) => tx.execute(
                "DELETE FROM url_key WHERE account = ?1 AND mailbox = ?2",
                &[account.into(), mailbox.into()],
            ),
            None => tx.execute("DELETE FROM url_key WHERE account = ?1", &[account.into()]),
        })?;
        Ok(())
    }

    fn url_key(&self, mailbox: MailboxId) -> Result<Option<[u8; 32]>> {
        let key = self.database().read(|tx| {
            tx.query_row(
                "SELECT access FROM url_key WHERE account = ?1 AND mailbox = ?2",
                &[self.id().0.into(), mailbox.into()],
                |row| {
                    <[u8; 32]>::try_from(row.blob(0)?).map_err(|_| db::Error::Column {
                        column: 0,
                        reason: "is not a key".into(),
                    })
                },
            )
        })?;
        Ok(key)
    }
}
