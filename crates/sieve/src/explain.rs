//! Why a script decided as it did.
//!
//! While the script runs only places and values are noted; the words are made when somebody asks.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::program::{Site, SiteId};

/// What was tested and done, in order. [`Explanation::decisions`] gives it as data to store, `Display` as text to read.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    pub(crate) scripts: Vec<(Option<String>, Arc<[Site]>)>,
    pub(crate) events: Vec<Event>,
    /// Events beyond the limit.
    pub(crate) left_out: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub script: u16,
    pub site: SiteId,
    pub what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A test and how it ended. With the value that matched, or how many did not.
    Test {
        passed: bool,
        value: Option<Box<str>>,
        looked_at: u32,
    },
    /// An action. `because` are the events that led to it.
    Done(Box<Done>),
    /// A word about what happened otherwise.
    Note(Box<str>),
}

/// Tests are many and actions few: the list of events stays small.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub text: Box<str>,
    pub because: Box<[u32]>,
}

/// One line of an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The included script; none for the script itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Its line; 0 for the implicit keep.
    pub line: u32,
    /// A test, as written, or an action as done.
    pub what: String,
    /// How a test ended; none for an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// The value that matched, cut if it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How many values a failed test looked at; 0 means that there was no such field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<u32>,
    /// For an action: indices of the tests that led to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<u32>,
}

impl Explanation {
    /// Everything noted: actions, and the tests of each `if` of which a branch was taken, those that failed too.
    pub fn decisions(&self) -> Vec<Decision> {
        self.events.iter().map(|event| self.decision(event)).collect()
    }

    /// The actions, and the tests that led to them: what is worth keeping with a delivery.
    pub fn reasons(&self) -> Vec<Decision> {
        let mut kept: Vec<u32> = Vec::new();
        for (at, event) in (0u32..).zip(&self.events) {
            match &event.what {
                What::Done(done) => {
                    kept.extend(done.because.iter());
                    kept.push(at);
                }
                What::Note(_) => kept.push(at),
                What::Test { .. } => {}
            }
        }
        kept.sort_unstable();
        kept.dedup();
        kept.iter()
            .filter_map(|at| self.events.get(*at as usize))
            .map(|event| {
                let mut decision = self.decision(event);
                for because in &mut decision.because {
                    *because = kept
                        .binary_search(because)
                        .ok()
                        .and_then(|at| u32::try_from(at).ok())
                        .unwrap_or(0);
                }
                decision
            })
            .collect()
    }

    /// How many events there were beyond the limit.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    fn decision(&self, event: &Event) -> Decision {
        let script = self.scripts.get(event.script as usize);
        let site = script.and_then(|(_, sites)| sites.get(event.site as usize));
        let mut decision = Decision {
            script: script.and_then(|(name, _)| name.clone()),
            line: site.map_or(0, |site| site.position.line),
            what: site.map_or_else(String::new, |site| site.text.to_string()),
            passed: None,
            value: None,
            looked_at: None,
            because: Vec::new(),
        };
        match &event.what {
            What::Test {
                passed,
                value,
                looked_at,
            } => {
                decision.passed = Some(*passed);
                decision.value = value.as_ref().map(|value| value.to_string());
                decision.looked_at = (!passed).then_some(*looked_at);
            }
            What::Done(done) => {
                decision.what = done.text.to_string();
                decision.because = done.because.to_vec();
            }
            What::Note(text) => decision.what = text.to_string(),
        }
        decision
    }
}

/// A test, said in a line.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(script) = &self.script {
            write!(f, "{script}, ")?;
        }
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.what)?;
        match (self.passed, &self.value, self.looked_at) {
            (Some(true), Some(value), _) => write!(f, " matched {}", crate::printer::quote(value)),
            (Some(true), None, _) => f.write_str(" is true"),
            (Some(false), _, Some(0) | None) => f.write_str(" is false"),
            (Some(false), _, Some(1)) => f.write_str(" did not match (1 value)"),
            (Some(false), _, Some(n)) => write!(f, " did not match ({n} values)"),
            (None, ..) => Ok(()),
        }
    }
}

/// A line for each action: `line 12: header :contains "subject" "[list]" matched "[list] hello" → fileinto "Lists"`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decisions = self.decisions();
        for decision in decisions.iter().filter(|decision| decision.passed.is_none()) {
            let reasons: Vec<String> = decision
                .because
                .iter()
                .filter_map(|at| decisions.get(*at as usize))
                .map(ToString::to_string)
                .collect();
            if reasons.is_empty() {
                writeln!(f, "{decision}")?;
            } else {
                writeln!(f, "{} → {}", reasons.join(" and "), decision.what)?;
            }
        }
        Ok(())
    }
}
