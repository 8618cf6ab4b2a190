//! What an account keeps for Sieve: its scripts, what they remember, and what they decided about each delivery.

mod decisions;
mod events;
mod scripts;

pub use decisions::{Answered, Decided, DecidedDelivery, NewCopy, Recorded, Seen};
pub use events::EVENT_SCRIPT;
pub use scripts::{MAX_SCRIPT_NAME_BYTES, Script, ScriptFault, ScriptInfo, ScriptLimits, Unless};

use crate::MailboxId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The active script as last read; delivery asks for it with every turn.
#[derive(Default)]
pub(crate) struct Active(Mutex<Option<Option<Arc<Script>>>>);

/// The scripts that mailboxes name for what happens in them, as last read; every command that changes messages asks.
#[derive(Default)]
pub(crate) struct EventScripts(Mutex<HashMap<MailboxId, Option<Arc<str>>>>);
