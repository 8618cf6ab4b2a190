//! How much an account may hold.

use directory::Directory;
use store::{AccountId, Quota};

/// The most that an account may hold, as the directory has it, for the store to keep to.
pub fn quota_of(directory: &Directory, id: AccountId) -> Quota {
    directory.account(id).map_or(Quota::NONE, |account| Quota {
        bytes: account.quota_bytes,
        messages: account.quota_messages,
    })
}
