use crate::{MailboxId, Uid};

/// Why the store can't do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such mailbox in the account (any more).
    #[error("there is no such mailbox")]
    NoMailbox,
    /// A mailbox of that name exists.
    #[error("a mailbox of that name exists")]
    MailboxExists,
    /// The name can't be one of a mailbox.
    #[error("mailbox name refused: {0}")]
    MailboxName(&'static str),
    /// INBOX can't be deleted.
    #[error("INBOX always exists")]
    Inbox,
    /// A named limit was reached.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// A value of metadata is larger than [`MAX_METADATA_BYTES`](crate::MAX_METADATA_BYTES).
    #[error("metadata values have at most {} octets", crate::MAX_METADATA_BYTES)]
    MetadataSize,
    /// More metadata than [`MAX_METADATA_ENTRIES`](crate::MAX_METADATA_ENTRIES).
    #[error("a mailbox has at most {} metadata entries", crate::MAX_METADATA_ENTRIES)]
    MetadataCount,
    /// The account's quota leaves no room.
    #[error("the mailbox is full: {used} of {limit} bytes are used")]
    OverQuota {
        /// Bytes used now.
        used: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The account's quota leaves no room for another message.
    #[error("the mailbox is full: it has {used} of {limit} messages")]
    OverQuotaMessages {
        /// Messages now.
        used: u64,
        /// Messages allowed.
        limit: u64,
    },
    /// A message's stored form can't be read; others are not affected.
    #[error("message {uid} of mailbox {mailbox} is damaged: {reason}")]
    Damaged {
        /// The mailbox.
        mailbox: MailboxId,
        /// The message.
        uid: Uid,
        /// What is wrong with it.
        reason: String,
    },
    /// The content is not there: its last message was expunged meanwhile, or its row is damaged.
    #[error("content {0} is gone")]
    NoContent(u32),
    /// There is no script of that name.
    #[error("there is no script of that name")]
    NoScript,
    /// A script of that name exists.
    #[error("a script of that name exists")]
    ScriptExists,
    /// The active script can't be deleted.
    #[error("the script is active: activate another one, or none, first")]
    ScriptActive,
    /// The script was changed or deleted since it was read.
    #[error("the script has been changed by somebody else meanwhile: read it again and repeat your change")]
    ScriptChanged,
    /// The name can't be one of a script.
    #[error("script name refused: {0}")]
    ScriptName(&'static str),
    /// The script is larger than may be.
    #[error("the script has {bytes} octets; {limit} are allowed")]
    ScriptSize {
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// There are as many scripts as may be.
    #[error("an account may have {0} scripts")]
    ScriptNumber(u32),
    /// From the database.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// From the search index.
    #[error(transparent)]
    Search(#[from] search::Error),
    /// From the message bytes.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
}

impl Error {
    /// Whether the disk is full: the same request can succeed later.
    pub fn is_no_space(&self) -> bool {
        matches!(
            self,
            Error::Db(db::Error::NoSpace { .. }) | Error::Blobs(blobs::Error::NoSpace { .. })
        )
    }
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;
