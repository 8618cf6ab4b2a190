//! One measurement.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What was done to whom, and the figures, each under a name that says its unit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// The server.
    pub server: String,
    /// What was done, in words; results with the same words are compared.
    pub work: String,
    /// Name and value.
    pub figures: BTreeMap<String, f64>,
}

impl Record {
    /// A record without figures.
    pub fn new(server: &str, work: impl Into<String>) -> Record {
        Record {
            server: server.to_owned(),
            work: work.into(),
            figures: BTreeMap::new(),
        }
    }

    /// Adds a figure.
    pub fn with(mut self, name: &str, value: f64) -> Record {
        self.figures.insert(name.to_owned(), value);
        self
    }

    /// Messages that were not accepted or not found.
    pub fn failed(&self) -> f64 {
        self.figures.get("failed").copied().unwrap_or(0.0)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:18} {}:", self.server, self.work)?;
        for (name, value) in &self.figures {
            write!(f, "  {name} {}", rounded(*value))?;
        }
        Ok(())
    }
}

/// Three digits that mean something.
pub fn rounded(value: f64) -> String {
    match value.abs() {
        v if v == 0.0 || v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All records of these files, one a line.
pub fn read(files: &[PathBuf]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for line in text.lines().filter(|l| l.starts_with('{')) {
            records.push(serde_json::from_str(line).with_context(|| format!("{}: {line}", file.display()))?);
        }
    }
    Ok(records)
}
