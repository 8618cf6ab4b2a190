//! A verdict in words that last: kept with the delivery, read again after a crash, shown to whoever asks why.

use serde::{Deserialize, Serialize};
use sieve::Decision;

/// What was decided about one delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How the delivery ends for the ledger: `delivered`, `discarded`, `redirected`, `rejected`.
    pub fate: String,
    /// The same in one line, for people.
    pub detail: String,
    /// Messages that go out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outgoing: Vec<Outgoing>,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// A message that goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// What it is: `redirect`, `vacation`, `notify`, `reject`, `report`, `fault`.
    pub kind: String,
    /// Reverse path; empty for `<>`.
    pub sender: String,
    /// Whom to.
    pub recipients: Vec<String>,
    /// The hash of its bytes, in hexadecimal digits.
    pub blob: String,
    /// How many octets.
    pub size: u64,
    /// NOTIFY for the recipients (RFC 6009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    /// RET (RFC 6009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<String>,
    /// BODY that it needs.
    #[serde(default = "eight_bit", skip_serializing_if = "is_eight_bit")]
    pub body: String,
    /// It needs SMTPUTF8.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub smtputf8: bool,
}

fn eight_bit() -> String {
    "8BITMIME".to_owned()
}

fn is_eight_bit(body: &str) -> bool {
    body == "8BITMIME"
}

/// What one script did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which script: `before`, `after`, or the name of the user's.
    pub script: String,
    /// What it decided and on which grounds.
    pub decisions: Vec<Decision>,
    /// What did not go as the script wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Octets of a plan that is kept; of a longer one the reasons are cut.
const KEPT: usize = 16 * 1024;

impl Plan {
    /// As it is kept.
    pub fn encode(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        if text.len() <= KEPT {
            return text;
        }
        let mut short = self.clone();
        for reason in &mut short.reasons {
            // The last decisions are the ones that filed it.
            let from = reason.decisions.len().saturating_sub(20);
            reason.decisions.drain(..from);
            for decision in &mut reason.decisions {
                decision.because.clear();
            }
            reason
                .notes
                .push("the explanation was too long and has been cut".to_owned());
        }
        serde_json::to_string(&short).unwrap_or_default()
    }

    /// Reads what was kept.
    pub fn decode(text: &str) -> Option<Plan> {
        serde_json::from_str(text).ok()
    }

    /// Why, line by line.
    pub fn explain(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for reason in &self.reasons {
            let place = |d: &Decision| match (&d.script, d.line) {
                (Some(script), line) => format!("{}, included {script}, line {line}", reason.script),
                (None, 0) => reason.script.clone(),
                (None, line) => format!("{}, line {line}", reason.script),
            };
            for d in &reason.decisions {
                lines.push(match (d.passed, &d.value) {
                    (Some(true), Some(value)) => format!("{}: {} matched {value:?}", place(d), d.what),
                    (Some(true), None) => format!("{}: {} is true", place(d), d.what),
                    (Some(false), _) => format!("{}: {} is false", place(d), d.what),
                    (None, _) => format!("{}: → {}", place(d), d.what),
                });
            }
            lines.extend(reason.notes.iter().map(|note| format!("{}: {note}", reason.script)));
        }
        lines
    }
}
