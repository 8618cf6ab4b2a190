use crate::AcceptanceId;
use db::AccountId;

/// By which way a recipient's mail leaves custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// A mailbox or alias of ours.
    Local,
    /// Another server.
    Remote,
}

impl Lane {
    pub(crate) fn number(self) -> i64 {
        match self {
            Lane::Local => 0,
            Lane::Remote => 1,
        }
    }

    pub(crate) fn of(number: i64) -> Lane {
        if number == 0 { Lane::Local } else { Lane::Remote }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Local => "local",
            Lane::Remote => "remote",
        }
    }
}

/// What the notes of a message begin with that goes to Junk, unless its recipient's own rules say otherwise. Behind it stands why.
pub const QUARANTINE: &str = "quarantined: ";

/// A message to be taken into custody: its envelope and where it came from.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// From [`Ledger::next_id`](crate::Ledger::next_id).
    pub id: AcceptanceId,
    /// Seconds since 1970.
    pub received_at: i64,
    /// Reverse path; empty for `<>` (RFC 5321 §4.5.5).
    pub sender: String,
    /// With what protocol, as the Received line names it (RFC 5321 §4.4, RFC 3848).
    pub protocol: String,
    /// By which of our doors.
    pub listener: String,
    /// The peer's address and port.
    pub client: String,
    /// What it called itself.
    pub helo: String,
    /// TLS version and cipher, where there was TLS.
    pub tls: Option<String>,
    /// Who had logged in.
    pub login: Option<AccountId>,
    /// ENVID, as it came (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// RET (RFC 3461 §4.3): `FULL` or `HDRS`.
    pub ret: Option<String>,
    /// BODY (RFC 6152, RFC 3030): `7BIT`, `8BITMIME` or `BINARYMIME`.
    pub body: String,
    /// SMTPUTF8 was asked for (RFC 6531).
    pub smtputf8: bool,
    /// The session, as the log names it.
    pub session: String,
    /// The Message-ID field; for people who search, never for deciding.
    pub message_id: Option<String>,
    /// Whatever made us treat it differently.
    pub notes: Option<String>,
    /// The recipient of another message that it came from: a script's answer, or what it sends on.
    pub parent: Option<(AcceptanceId, u32)>,
    /// At least one.
    pub recipients: Vec<NewRecipient>,
}

impl Acceptance {
    /// Whether it goes to Junk, unless its recipient's own rules say otherwise.
    pub fn is_quarantined(&self) -> bool {
        self.notes.as_deref().is_some_and(|notes| notes.starts_with(QUARANTINE))
    }
}

/// A recipient as RCPT gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecipient {
    /// The address.
    pub address: String,
    /// ORCPT, as it came (RFC 3461 §4.2).
    pub original: Option<String>,
    /// NOTIFY, as it came (RFC 3461 §4.1).
    pub notify: Option<String>,
    /// Ours or another server's.
    pub lane: Lane,
}
