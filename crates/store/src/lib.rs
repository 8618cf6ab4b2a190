//! Accounts' mailboxes: messages, flags, changes, search, quota.
