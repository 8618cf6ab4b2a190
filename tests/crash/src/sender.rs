//! Clients that send until the server is gone, and know what they were promised.

/// By which door a message goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// SMTP to the MX.
    Smtp,
    /// LMTP.
    Lmtp,
    /// IMAP APPEND.
    Append,
}

/// placeholder
#[derive(Debug)]
pub struct Sent;

/// placeholder
#[derive(Debug)]
pub struct Sender;
