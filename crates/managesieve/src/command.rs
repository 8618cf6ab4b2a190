//! Commands: RFC 5804 §2 and the grammar of §4.

use crate::{Error, check_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The largest number there is (RFC 5804 §4: 32 bits).
const MAX_NUMBER: u64 = u32::MAX as u64;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// §2.1
    Authenticate {
        /// The SASL mechanism, in capitals.
        mechanism: String,
        /// The initial response, decoded.
        initial: Option<Vec<u8>>,
    },
    /// §2.2
    StartTls,
    /// §2.3
    Logout,
    /// §2.4
    Capability,
    /// §2.5
    HaveSpace {
        /// The script's name.
        name: String,
        /// How large it will be.
        size: u64,
    },
    /// §2.6
    PutScript {
        /// The script's name.
        name: String,
        /// Its text.
        script: Vec<u8>,
    },
    /// §2.7
    ListScripts,
    /// §2.8; `None`: no script shall be active.
    SetActive(Option<String>),
    /// §2.9
    GetScript(String),
    /// §2.10
    DeleteScript(String),
    /// §2.11
    RenameScript {
        /// What it is called.
        from: String,
        /// What it shall be called.
        to: String,
    },
    /// §2.12
    CheckScript(Vec<u8>),
    /// §2.13, with what is to be repeated in the answer.
    Noop(Option<String>),
    /// §2.14
    Unauthenticate,
}

impl Command {
    /// Reads a command that the framer has cut out.
    pub fn parse(line: &[u8]) -> Result<Command, Error> {
        let word = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
        let (name, rest) = line.split_at(word);
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        let Some(name) = NAMES.iter().find(|n| **n == name).copied() else {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(Error::Unknown(shown));
        };
        let mut arguments = Arguments { command: name, rest };
        let command = match name {
            "AUTHENTICATE" => {
                let mechanism = arguments.text("expected the name of a mechanism")?.to_ascii_uppercase();
                let initial = match arguments.optional()? {
                    Some(initial) => Some(decode(&initial).ok_or(Error::Arguments {
                        command: name,
                        what: "the initial response is not base64",
                    })?),
                    None => None,
                };
                Command::Authenticate { mechanism, initial }
            }
            "STARTTLS" => Command::StartTls,
            "LOGOUT" => Command::Logout,
            "CAPABILITY" => Command::Capability,
            "HAVESPACE" => Command::HaveSpace {
                name: arguments.name()?,
                size: arguments.number()?,
            },
            "PUTSCRIPT" => Command::PutScript {
                name: arguments.name()?,
                script: arguments.string("expected the script as a literal, such as {42+}")?,
            },
            "LISTSCRIPTS" => Command::ListScripts,
            "SETACTIVE" => {
                let name = arguments.text("expected the name of a script, or \"\"")?;
                Command::SetActive(match name.is_empty() {
                    true => None,
                    false => Some(check_name(&name)?),
                })
            }
            "GETSCRIPT" => Command::GetScript(arguments.name()?),
            "DELETESCRIPT" => Command::DeleteScript(arguments.name()?),
            "RENAMESCRIPT" => Command::RenameScript {
                from: arguments.name()?,
                to: arguments.name()?,
            },
            "CHECKSCRIPT" => Command::CheckScript(arguments.string("expected the script as a literal, such as {42+}")?),
            "NOOP" => {
                let tag = arguments.optional()?.map(String::from_utf8).transpose();
                Command::Noop(tag.map_err(|_| Error::Malformed("text is not UTF-8"))?)
            }
            _ => Command::Unauthenticate,
        };
        arguments.end()?;
        Ok(command)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Authenticate { .. } => "AUTHENTICATE",
            Command::StartTls => "STARTTLS",
            Command::Logout => "LOGOUT",
            Command::Capability => "CAPABILITY",
            Command::HaveSpace { .. } => "HAVESPACE",
            Command::PutScript { .. } => "PUTSCRIPT",
            Command::ListScripts => "LISTSCRIPTS",
            Command::SetActive(_) => "SETACTIVE",
            Command::GetScript(_) => "GETSCRIPT",
            Command::DeleteScript(_) => "DELETESCRIPT",
            Command::RenameScript { .. } => "RENAMESCRIPT",
            Command::CheckScript(_) => "CHECKSCRIPT",
            Command::Noop(_) => "NOOP",
            Command::Unauthenticate => "UNAUTHENTICATE",
        }
    }

    /// Whether it may be used before a login.
    pub fn before_login(&self) -> bool {
        matches!(
            self,
            Command::Authenticate { .. } | Command::StartTls | Command::Logout | Command::Capability | Command::Noop(_)
        )
    }
}

const NAMES: [&str; 14] = [
    "AUTHENTICATE",
    "STARTTLS",
    "LOGOUT",
    "CAPABILITY",
    "HAVESPACE",
    "PUTSCRIPT",
    "LISTSCRIPTS",
    "SETACTIVE",
    "GETSCRIPT",
    "DELETESCRIPT",
    "RENAMESCRIPT",
    "CHECKSCRIPT",
    "NOOP",
    "UNAUTHENTICATE",
];

/// A line that answers a challenge (§2.1): the response decoded, or `None` where the client gives up with `"*"`.
pub fn sasl_response(line: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut arguments = Arguments {
        command: "AUTHENTICATE",
        rest: line,
    };
    let text = arguments.here("expected a string in quotes or a literal")?;
    arguments.end()?;
    if text == b"*" {
        return Ok(None);
    }
    let wrong = Error::Malformed("the response is not base64");
    decode(&text).map(Some).ok_or(wrong)
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// What follows a command's name.
struct Arguments<'a> {
    command: &'static str,
    rest: &'a [u8],
}

impl Arguments<'_> {
    fn wrong(&self, what: &'static str) -> Error {
        Error::Arguments {
            command: self.command,
            what,
        }
    }

    /// Steps over the space before an argument; false at the end.
    fn space(&mut self) -> bool {
        let spaces = self.rest.iter().take_while(|b| **b == b' ').count();
        self.rest = self.rest.get(spaces..).unwrap_or_default();
        spaces > 0 && !self.rest.is_empty()
    }

    fn end(&mut self) -> Result<(), Error> {
        self.space();
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.wrong("there is more than it takes"))
        }
    }

    fn string(&mut self, what: &'static str) -> Result<Vec<u8>, Error> {
        if !self.space() {
            return Err(self.wrong(what));
        }
        self.here(what)
    }

    /// string = quoted / literal-c2s
    fn here(&mut self, what: &'static str) -> Result<Vec<u8>, Error> {
        match self.rest.first() {
            Some(b'"') => {
                let mut text = Vec::new();
                let mut at = 1;
                loop {
                    match self.rest.get(at) {
                        Some(b'"') => break,
                        Some(b'\\') => {
                            match self.rest.get(at + 1) {
                                Some(c @ (b'"' | b'\\')) => text.push(*c),
                                _ => return Err(self.wrong("only \\\" and \\\\ may follow a backslash")),
                            }
                            at += 2;
                        }
                        Some(b'\r' | b'\n' | 0) | None => return Err(self.wrong("a quoted string has no end")),
                        Some(c) => {
                            text.push(*c);
                            at += 1;
                        }
                    }
                }
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                Ok(text)
            }
            Some(b'{') => {
                let end = memchr::memchr(b'\n', self.rest)
                    .ok_or_else(|| self.wrong("a literal is written {42+}, with a plus: it is not waited for"))?;
                let (head, rest) = self.rest.split_at(end);
                let head = head.strip_suffix(b"\r").unwrap_or(head);
                let size = head
                    .strip_prefix(b"{")
                    .and_then(|h| h.strip_suffix(b"+}"))
                    .and_then(|h| std::str::from_utf8(h).ok()?.parse::<usize>().ok())
                    .ok_or_else(|| self.wrong("malformed literal"))?;
                let text = rest.get(1..=size).ok_or_else(|| self.wrong("malformed literal"))?;
                self.rest = rest.get(size + 1..).unwrap_or_default();
                Ok(text.to_vec())
            }
            _ => Err(self.wrong(what)),
        }
    }

    fn optional(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.space() {
            self.here("expected a string in quotes or a literal").map(Some)
        } else {
            Ok(None)
        }
    }

    fn text(&mut self, what: &'static str) -> Result<String, Error> {
        String::from_utf8(self.string(what)?).map_err(|_| self.wrong("text is not UTF-8"))
    }

    fn name(&mut self) -> Result<String, Error> {
        check_name(&self.text("expected the name of a script")?)
    }

    fn number(&mut self) -> Result<u64, Error> {
        const WHAT: &str = "expected a number of octets";
        if !self.space() {
            return Err(self.wrong(WHAT));
        }
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        std::str::from_utf8(number)
            .ok()
            .and_then(|n| n.parse().ok())
            .filter(|n| *n <= MAX_NUMBER)
            .ok_or_else(|| self.wrong(WHAT))
    }
}
