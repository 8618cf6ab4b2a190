//! What the commands do. RFC 5804 §2.4 to §2.14.

use super::connection::{Connection, READ};
use managesieve::{Code, Command, Status};
use net::blocking;
use sasl::Mechanism;
use std::sync::Arc;
use store::{Account, Error, ModSeq, Unless};

/// How a command is answered.
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) code: Option<Code>,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn ok(code: Option<Code>, text: impl Into<String>) -> Answer {
        Answer {
            status: Status::Ok,
            code,
            text: text.into(),
        }
    }

    pub(super) fn no(code: Option<Code>, text: impl Into<String>) -> Answer {
        Answer {
            status: Status::No,
            code,
            text: text.into(),
        }
    }
}

impl Connection {
    /// What we can do, in the state the session is in (§1.7).
    pub(super) fn capabilities(&mut self) {
        let filter = Arc::clone(&self.listener.context.filter);
        let options = filter.options();
        let mechanisms: Vec<&str> = match &self.owner {
            None => Mechanism::offered(&self.offer()).map(Mechanism::name).collect(),
            Some(_) => Vec::new(),
        };
        let starttls = self.offers_tls() && self.owner.is_none();
        let owner = self
            .owner
            .as_ref()
            .and_then(|owner| self.listener.context.directory.account(owner.id))
            .map(|account| account.address().to_owned());
        let extensions = options.extensions.iter().collect::<Vec<_>>().join(" ");
        let redirects = options.limits.redirects.to_string();
        let mut encoder = self.encoder();
        let implementation = concat!("Rohrpost ", env!("CARGO_PKG_VERSION"));
        encoder.capability("IMPLEMENTATION", Some(implementation));
        encoder.capability("SIEVE", Some(&extensions));
        // RFC 5804 §1.7: the list may be empty only where STARTTLS will fill it.
        if !mechanisms.is_empty() || starttls {
            encoder.capability("SASL", Some(&mechanisms.join(" ")));
        }
        if starttls {
            encoder.capability("STARTTLS", None);
        }
        if options.extensions.contains("enotify") {
            encoder.capability("NOTIFY", Some("mailto"));
        }
        encoder.capability("MAXREDIRECTS", Some(&redirects));
        if let Some(owner) = &owner {
            encoder.capability("OWNER", Some(owner));
        }
        encoder.capability("LANGUAGE", Some("en"));
        encoder.capability("UNAUTHENTICATE", None);
        encoder.capability("VERSION", Some("1.0"));
    }

    /// Commands about scripts.
    pub(super) fn scripts(&mut self, command: Command) -> Answer {
        let Some(account) = self.owner.as_ref().map(|owner| Arc::clone(&owner.account)) else {
            return Answer::no(None, "log in first");
        };
        let filter = Arc::clone(&self.listener.context.filter);
        let limits = filter.options().scripts;
        let done = match command {
            Command::HaveSpace { name, size } => {
                blocking(|| account.script_room(&name, size, &limits)).map(|()| Answer::ok(None, "there is room"))
            }
            Command::PutScript { name, script } => match check(&filter, &script) {
                Err(refused) => Ok(refused),
                Ok((text, answer)) => {
                    let unless = self.known(&name).map_or(Unless::Never, Unless::OtherThan);
                    let put = blocking(|| account.script_put(&name, text, unless, &limits));
                    put.map(|version| {
                        self.know(name, Some(version));
                        answer
                    })
                }
            },
            Command::CheckScript(script) => {
                if script.len() as u64 > limits.bytes {
                    Err(Error::ScriptSize {
                        bytes: script.len() as u64,
                        limit: limits.bytes,
                    })
                } else {
                    Ok(check(&filter, &script).map_or_else(|refused| refused, |(_, answer)| answer))
                }
            }
            Command::ListScripts => blocking(|| account.script_list()).map(|list| {
                let mut encoder = self.encoder();
                for script in &list {
                    encoder.script_name(&script.name, script.active);
                }
                Answer::ok(None, "")
            }),
            Command::GetScript(name) => match blocking(|| account.script_read(&name)) {
                Ok(Some(script)) => {
                    self.know(name, Some(script.info.version));
                    self.encoder().script(script.text.as_bytes());
                    Ok(Answer::ok(None, ""))
                }
                Ok(None) => Err(Error::NoScript),
                Err(error) => Err(error),
            },
            Command::SetActive(name) => blocking(|| activate(&filter, &account, name.as_deref())),
            Command::DeleteScript(name) => {
                let deleted = blocking(|| account.script_delete(&name));
                deleted.map(|()| {
                    self.know(name, None);
                    Answer::ok(None, "deleted")
                })
            }
            Command::RenameScript { from, to } => {
                let renamed = blocking(|| account.script_rename(&from, &to));
                renamed.map(|()| {
                    let version = self.known(&from);
                    self.know(from, None);
                    self.know(to, version);
                    Answer::ok(None, "renamed")
                })
            }
            _ => Ok(Answer::no(None, "not here")),
        };
        done.unwrap_or_else(|error| self.refusal(&error))
    }

    /// The version of a script that this session has seen.
    fn known(&self, name: &str) -> Option<ModSeq> {
        self.owner.as_ref()?.read.get(name).copied()
    }

    fn know(&mut self, name: String, version: Option<ModSeq>) {
        if let Some(owner) = &mut self.owner {
            if owner.read.len() >= READ {
                owner.read.clear();
            }
            match version {
                Some(version) => owner.read.insert(name, version),
                None => owner.read.remove(&name),
            };
        }
    }

    fn refusal(&self, error: &Error) -> Answer {
        let code = match error {
            Error::NoScript => Code::Nonexistent,
            Error::ScriptExists => Code::AlreadyExists,
            Error::ScriptActive => Code::Active,
            Error::ScriptSize { .. } => Code::QuotaMaxSize,
            Error::ScriptNumber(_) => Code::QuotaMaxScripts,
            Error::ScriptName(_) => return Answer::no(None, error.to_string()),
            Error::ScriptChanged => {
                return Answer::no(
                    None,
                    "somebody else has changed the script since you read it, nothing was written: read it again",
                );
            }
            error if error.is_no_space() => Code::Quota,
            _ => {
                tracing::error!(session = self.name, %error, "scripts cannot be reached");
                return Answer::no(
                    Some(Code::TryLater),
                    "the scripts cannot be reached now; the administrator will find the reason in the log",
                );
            }
        };
        Answer::no(Some(code), error.to_string())
    }
}

/// A script's text and what to say of it, or why it is refused: one line for each fault, with line and column.
fn check<'s>(filter: &filter::Filter, script: &'s [u8]) -> Result<(&'s str, Answer), Answer> {
    let refuse = |errors: &[sieve::Error]| Answer::no(None, lines(errors));
    let compiled = filter.check(script).map_err(|errors| refuse(&errors))?;
    let text = std::str::from_utf8(script).map_err(|_| Answer::no(None, "the script is not UTF-8"))?;
    Ok((
        text,
        match compiled.warnings() {
            [] => Answer::ok(None, ""),
            warnings => Answer::ok(Some(Code::Warnings), lines(warnings)),
        },
    ))
}

fn lines(errors: &[sieve::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\r\n")
}

/// A script that is not right any more, since an extension was switched off, must not become active unseen.
fn activate(filter: &filter::Filter, account: &Account, name: Option<&str>) -> store::Result<Answer> {
    if let Some(name) = name {
        let script = account.script_read(name)?.ok_or(Error::NoScript)?;
        if let Err(errors) = filter.check(script.text.as_bytes()) {
            return Ok(Answer::no(None, lines(&errors)));
        }
    }
    account.script_activate(name)?;
    Ok(Answer::ok(
        None,
        if name.is_some() {
            "mail is filtered by it from now on"
        } else {
            "no script is active now"
        },
    ))
}
