//! Object identifiers (RFC 8474): the account and the number within it, so that what two accounts share a view of cannot be confused.

use store::{AccountId, ContentId, MailboxId};

/// The number of a MAILBOXID.
pub(crate) fn mailbox(account: AccountId, mailbox: MailboxId) -> u64 {
    number(account, mailbox.0)
}

/// The number of an EMAILID, or with the first content of a conversation of a THREADID.
pub(crate) fn content(account: AccountId, content: ContentId) -> u64 {
    number(account, content.0)
}

/// The content that a number stands for, if it is one of the account.
pub(crate) fn content_of(account: AccountId, number: u64) -> Option<ContentId> {
    let id = ContentId(u32::try_from(number & 0xffff_ffff).ok()?);
    (content(account, id) == number).then_some(id)
}

fn number(account: AccountId, within: u32) -> u64 {
    account.0.cast_unsigned() << 32 | u64::from(within)
}
