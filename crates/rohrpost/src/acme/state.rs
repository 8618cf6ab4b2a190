//! How orders stand, written down so that a restart does not begin anew, and so that `rohrpost check` can tell.

use super::renewal::Renewal;
use crate::failure::{At as _, Failure};
use crate::files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// How one certificate stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// When it was last tried, seconds since 1970.
    pub tried_at: i64,
    /// Not before this.
    pub next_at: i64,
    /// How often in a row it has failed.
    pub failures: u32,
    /// Why, the last time.
    pub error: Option<String>,
    /// Who signed the one that is there.
    pub directory: String,
    /// When its authority wants it renewed.
    pub renewal: Option<Renewal>,
}

/// How all stand, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The host's by its name, the others by their domains.
    pub certificates: BTreeMap<String, Progress>,
}

static NEW: Progress = Progress {
    tried_at: 0,
    next_at: 0,
    failures: 0,
    error: None,
    directory: String::new(),
    renewal: None,
};

impl State {
    /// As it was written last; as new where that cannot be read.
    pub fn read(folder: &Path) -> State {
        let text = std::fs::read(folder.join("state.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn of(&self, name: &str) -> &Progress {
        self.certificates.get(name).unwrap_or(&NEW)
    }

    pub(super) fn of_mut(&mut self, name: &str) -> &mut Progress {
        self.certificates.entry(name.to_owned()).or_default()
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self).map_err(Failure::new)?;
        let path = folder.join("state.json");
        files::replace(&path, &text, 0o600).at("write", &path)
    }
}
