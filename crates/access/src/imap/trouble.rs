//! What went wrong, in the words of the protocol. RFC 5530 gives the codes.

use imap::response::Code;
use store::Error;

/// The code and the sentence for an error of the store. The details of what is broken go to the log, not to the client.
pub(crate) fn explain(error: &Error) -> (Option<Code<'static>>, String) {
    let code = match error {
        Error::NoMailbox => Code::NonExistent,
        Error::MailboxExists => Code::AlreadyExists,
        Error::MailboxName(_) | Error::Inbox => Code::Cannot,
        Error::Limit(_) | Error::MetadataSize | Error::MetadataCount => Code::Limit,
        Error::OverQuota { .. } | Error::OverQuotaMessages { .. } => Code::OverQuota,
        Error::NoContent(_) => Code::ExpungeIssued,
        Error::Damaged { .. } => Code::ServerBug,
        error if error.is_no_space() => {
            return (
                Some(Code::Unavailable),
                "the server's disk is full, nothing was changed; try again later".to_owned(),
            );
        }
        Error::Blobs(blobs::Error::ReadOnly { .. }) => {
            return (
                Some(Code::Unavailable),
                "the server's disk cannot be written, nothing was changed; try again later".to_owned(),
            );
        }
        Error::Blobs(blobs::Error::TooLarge { .. }) => Code::TooBig,
        Error::Blobs(blobs::Error::NotFound(_) | blobs::Error::Corrupt { .. }) => {
            return (
                Some(Code::ServerBug),
                "the message is damaged on the server's disk; the administrator will find it with `rohrpost verify`"
                    .to_owned(),
            );
        }
        _ => {
            return (
                Some(Code::ServerBug),
                "the server failed at this; the administrator will find the reason in the log".to_owned(),
            );
        }
    };
    (Some(code), error.to_string())
}

/// Whether the log should tell: it is our trouble, not the client's.
pub(crate) fn is_ours(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::Db(_) | Error::Blobs(_))
}
