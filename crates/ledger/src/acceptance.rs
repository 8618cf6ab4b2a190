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

/// What the sender asks of TLS on the way of a message (RFC 8689).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequireTls {
    /// Nothing: it goes as the policies of its destinations have it.
    #[default]
    Unsaid,
    /// `REQUIRETLS`: over verified TLS all the way, or not at all.
    Yes,
    /// `TLS-Required: No`: also where the policies of its destinations cannot be kept.
    No,
}

impl RequireTls {
    pub(crate) fn number(self) -> i64 {
        match self {
            RequireTls::Unsaid => 0,
            RequireTls::Yes => 1,
            RequireTls::No => 2,
        }
    }

    pub(crate) fn of(number: i64) -> RequireTls {
        match number {
            1 => RequireTls::Yes,
            2 => RequireTls::No,
            _ => RequireTls::Unsaid,
        }
    }

    /// What the field `TLS-Required` of a message says (RFC 8689 §3).
    pub fn of_field(value: &[u8]) -> RequireTls {
        if value.trim_ascii().eq_ignore_ascii_case(b"no") {
            RequireTls::No
        } else {
            RequireTls::Unsaid
        }
    }

    /// Its name; nothing where nothing was said.
    pub fn name(self) -> Option<&'static str> {
        match self {
            RequireTls::Unsaid => None,
            RequireTls::Yes => Some("yes"),
            RequireTls::No => Some("no"),
        }
    }
}

/// The domain of an address in lower case: what remote recipients are grouped by where nobody knows better.
pub fn domain_of(address: &str) -> String {
    let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain);
    domain.to_lowercase()
}

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
    /// REQUIRETLS or `TLS-Required: No` (RFC 8689 §4.1).
    pub requiretls: RequireTls,
    /// Sent to many, or by a program: after an outage people's mail goes first.
    pub bulk: bool,
    /// Not to be worked on before this time, in seconds since 1970 (FUTURERELEASE, RFC 4865); its lifetime begins then.
    pub release_at: Option<i64>,
    /// Why it is held back from the start, until an administrator releases it.
    pub held: Option<String>,
    /// The session, as the log names it.
    pub session: String,
    /// The Message-ID field; for people who search, never for deciding.
    pub message_id: Option<String>,
    /// Whatever made us treat it differently.
    pub notes: Option<String>,
    /// Why it goes to Junk, unless its recipient's own rules say otherwise.
    pub quarantine: Option<String>,
    /// The recipient of another message that it came from: a script's answer, or what it sends on.
    pub parent: Option<(AcceptanceId, u32)>,
    /// At least one.
    pub recipients: Vec<NewRecipient>,
}

impl Acceptance {
    /// A message of our own making, with no reverse path and no recipients yet; `by`: which part of us made it.
    pub fn ours(id: AcceptanceId, received_at: i64, by: &str) -> Acceptance {
        Acceptance {
            id,
            received_at,
            sender: String::new(),
            protocol: "local".to_owned(),
            listener: by.to_owned(),
            client: String::new(),
            helo: String::new(),
            tls: None,
            login: None,
            envid: None,
            ret: None,
            body: "7BIT".to_owned(),
            smtputf8: false,
            requiretls: RequireTls::Unsaid,
            bulk: false,
            release_at: None,
            held: None,
            session: by.to_owned(),
            message_id: None,
            notes: None,
            quarantine: None,
            parent: None,
            recipients: Vec::new(),
        }
    }

    /// A number made of who sent it: the account, where somebody had logged in, else the reverse path. Whoever sends much to a destination
    /// gets his turn there, and so does everybody else.
    pub fn sender_key(&self) -> i64 {
        match self.login {
            Some(login) => fnv(&login.0.to_le_bytes()),
            None => fnv(self.sender.to_lowercase().as_bytes()),
        }
    }
}

/// FNV-1a, without its sign: it only spreads, and must be the same in every run.
fn fnv(octets: &[u8]) -> i64 {
    let hash = octets.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 1).cast_signed()
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
