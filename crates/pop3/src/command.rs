//! What a line asks for. RFC 1939 §3: a keyword of three or four letters in either case, arguments behind single spaces.

use sasl::Password;

/// A command, understood.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// RFC 1939 §7
    User(String),
    /// RFC 1939 §7
    Pass(Password),
    /// RFC 5034 §4; `None`: which mechanisms are there? An initial response is still in base64.
    Auth(Option<(String, Option<Vec<u8>>)>),
    /// RFC 2595 §4
    Stls,
    /// RFC 2449 §5
    Capa,
    /// RFC 6856 §2.1
    Utf8,
    /// RFC 6856 §3
    Lang(Option<String>),
    /// RFC 1939 §5
    Stat,
    /// RFC 1939 §5; messages count from 1.
    List(Option<u64>),
    /// RFC 1939 §7
    Uidl(Option<u64>),
    /// RFC 1939 §5
    Retr(u64),
    /// RFC 1939 §7: a message and how many lines of its body.
    Top(u64, u64),
    /// RFC 1939 §5
    Dele(u64),
    /// RFC 1939 §5
    Rset,
    /// RFC 1939 §5
    Noop,
    /// RFC 1939 §5 and §6
    Quit,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no such command.
    Unknown,
    /// Its arguments are wrong.
    Arguments,
    /// What should be text is not UTF-8, or has control characters.
    Text,
}

impl Command {
    pub(crate) fn parse(line: &[u8]) -> Result<Command, Fault> {
        let (keyword, rest) = match memchr::memchr(b' ', line) {
            Some(at) => {
                let (keyword, rest) = line.split_at_checked(at).unwrap_or((line, b""));
                (keyword, rest.get(1..))
            }
            None => (line, None),
        };
        // Some clients leave a blank behind a command.
        let bare = |command| match rest.map(<[u8]>::trim_ascii) {
            None | Some(b"") => Ok(command),
            Some(_) => Err(Fault::Arguments),
        };
        let keyword = keyword.to_ascii_uppercase();
        Ok(match keyword.as_slice() {
            b"USER" => match text(rest.ok_or(Fault::Arguments)?)?.trim() {
                "" => return Err(Fault::Arguments),
                name => Command::User(name.to_owned()),
            },
            // A password may have blanks, at its ends too.
            b"PASS" => {
                let password = text(rest.ok_or(Fault::Arguments)?)?;
                Command::Pass(Password::new(password.as_bytes().to_vec()))
            }
            b"AUTH" => {
                let rest = text(rest.unwrap_or_default())?;
                let mut words = rest.split_ascii_whitespace();
                match (words.next(), words.next(), words.next()) {
                    (None, ..) => Command::Auth(None),
                    (Some(mechanism), initial, None) => Command::Auth(Some((
                        mechanism.to_owned(),
                        initial.map(|initial| initial.as_bytes().to_vec()),
                    ))),
                    _ => return Err(Fault::Arguments),
                }
            }
            b"STLS" => bare(Command::Stls)?,
            b"CAPA" => bare(Command::Capa)?,
            b"UTF8" => bare(Command::Utf8)?,
            b"LANG" => match text(rest.unwrap_or_default())?.trim() {
                "" => Command::Lang(None),
                range if range.contains(' ') => return Err(Fault::Arguments),
                range => Command::Lang(Some(range.to_owned())),
            },
            b"STAT" => bare(Command::Stat)?,
            b"RSET" => bare(Command::Rset)?,
            b"NOOP" => bare(Command::Noop)?,
            b"QUIT" => bare(Command::Quit)?,
            b"LIST" => Command::List(maybe_number(rest)?),
            b"UIDL" => Command::Uidl(maybe_number(rest)?),
            b"RETR" => Command::Retr(maybe_number(rest)?.ok_or(Fault::Arguments)?),
            b"DELE" => Command::Dele(maybe_number(rest)?.ok_or(Fault::Arguments)?),
            b"TOP" => {
                let rest = text(rest.ok_or(Fault::Arguments)?)?;
                let mut words = rest.split_ascii_whitespace();
                match (words.next(), words.next(), words.next()) {
                    (Some(message), Some(lines), None) => Command::Top(number(message)?, number(lines)?),
                    _ => return Err(Fault::Arguments),
                }
            }
            _ => return Err(Fault::Unknown),
        })
    }

    /// Its name, for counters and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Command::User(_) => "USER",
            Command::Pass(_) => "PASS",
            Command::Auth(_) => "AUTH",
            Command::Stls => "STLS",
            Command::Capa => "CAPA",
            Command::Utf8 => "UTF8",
            Command::Lang(_) => "LANG",
            Command::Stat => "STAT",
            Command::List(_) => "LIST",
            Command::Uidl(_) => "UIDL",
            Command::Retr(_) => "RETR",
            Command::Top(..) => "TOP",
            Command::Dele(_) => "DELE",
            Command::Rset => "RSET",
            Command::Noop => "NOOP",
            Command::Quit => "QUIT",
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Text)?;
    if text.chars().any(char::is_control) {
        return Err(Fault::Text);
    }
    Ok(text)
}

fn maybe_number(rest: Option<&[u8]>) -> Result<Option<u64>, Fault> {
    match rest.map(<[u8]>::trim_ascii) {
        None | Some(b"") => Ok(None),
        Some(digits) => number(text(digits)?).map(Some),
    }
}

/// A number without a sign. One too large for any mailbox is a number still, of a message that is not there.
fn number(digits: &str) -> Result<u64, Fault> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Arguments);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}
