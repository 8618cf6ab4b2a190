//! Settings of a person, read from and written to the active script of the account: one call for command line, web and migration.

use crate::Filter;
use settings::{Limits, Owner, Reading, Refused, Settings};
use store::{Account, Error, ModSeq, Script, ScriptFault, Unless};

/// The script that is made where an account has none.
pub const SETTINGS_SCRIPT: &str = "rohrpost";

/// Settings as they stand in a script of an account.
#[derive(Clone, Debug)]
pub struct StoredSettings {
    /// What the script says.
    pub reading: Reading,
    /// The name of the script.
    pub script: String,
    /// Its version when it was read; none where there is no script yet.
    pub version: Option<ModSeq>,
    /// Whether it filters mail. Writing settings makes it so.
    pub active: bool,
    /// What went wrong when it last ran, until it is written again.
    pub fault: Option<ScriptFault>,
}

/// Why settings could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The script is no Sieve: it has to be put right as a script first.
    #[error("the script «{script}» cannot be read: {error}")]
    Unreadable {
        /// Its name.
        script: String,
        /// What is wrong, and where.
        error: Box<sieve::Error>,
    },
    /// What was wanted cannot be set.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The script that would come of it may not run here: an extension is switched off, or a limit is reached.
    #[error("{}«{script}»: {error}", rule.as_ref().map(|r| format!("the rule «{r}» in the script ")).unwrap_or("the script ".into()))]
    NotHere {
        /// The script's name.
        script: String,
        /// The rule that is at fault, if one is.
        rule: Option<String>,
        /// What is wrong.
        error: Box<sieve::Error>,
    },
    /// From the store; [`Error::ScriptChanged`] where somebody else has written the script since it was read.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Filter {
    /// The settings in the active script; where none is active, in the one named [`SETTINGS_SCRIPT`]; where there is none, none.
    ///
    /// # Errors
    /// [`SettingsError::Unreadable`], and what the store says.
    pub fn settings_read(&self, account: &Account) -> Result<StoredSettings, SettingsError> {
        let active = account.script_active()?;
        let found = match &active {
            Some(script) => Some((**script).clone()),
            None => account.script_read(SETTINGS_SCRIPT)?,
        };
        let (script, text, version, fault) = match found {
            Some(Script { info, text }) => (info.name, text, Some(info.version), info.fault),
            None => (SETTINGS_SCRIPT.to_owned(), String::new(), None, None),
        };
        match Reading::of(&text) {
            Ok(reading) => Ok(StoredSettings {
                reading,
                script,
                version,
                active: active.is_some(),
                fault,
            }),
            Err(error) => Err(SettingsError::Unreadable {
                script,
                error: Box::new(error),
            }),
        }
    }

    /// Writes settings into the script they were read from, and makes it the active one. Gives the settings as they are now.
    ///
    /// # Errors
    /// [`SettingsError::Refused`] with what cannot be set; [`Error::ScriptChanged`] or [`Error::ScriptExists`] where the script is not the one
    /// any more that was read: nothing is overwritten.
    pub fn settings_write(
        &self,
        account: &Account,
        stored: &StoredSettings,
        wanted: &Settings,
        owner: &Owner,
    ) -> Result<StoredSettings, SettingsError> {
        let scripts = self.options().scripts;
        let limits = Limits {
            script: usize::try_from(scripts.bytes).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        let text = stored.reading.write(wanted, owner, &limits)?;
        if text == stored.reading.source() && (stored.active || text.is_empty()) {
            return Ok(stored.clone());
        }
        if let Err(errors) = self.check(text.as_bytes())
            && let Some(error) = errors.into_iter().next()
        {
            let part = Reading::of(&text).ok().and_then(|r| r.part_at(error.position.line));
            return Err(SettingsError::NotHere {
                script: stored.script.clone(),
                rule: part.and_then(|p| p.name),
                error: Box::new(error),
            });
        }
        let unless = stored.version.map_or(Unless::Exists, Unless::OtherThan);
        account.script_put(&stored.script, &text, unless, &scripts)?;
        if !stored.active {
            account.script_activate(Some(&stored.script))?;
        }
        self.settings_read(account)
    }
}
