//! What an account keeps for Sieve: its scripts, what they remember, and what they decided about each delivery.

mod decisions;
mod scripts;

pub use decisions::{Answered, Decided, DecidedDelivery, NewCopy, Seen};
pub use scripts::{MAX_SCRIPT_NAME_BYTES, Script, ScriptFault, ScriptInfo, ScriptLimits, Unless};

use parking_lot::Mutex;
use std::sync::Arc;

/// The active script as last read; delivery asks for it with every turn.
#[derive(Default)]
pub(crate) struct Active(Mutex<Option<Option<Arc<Script>>>>);
