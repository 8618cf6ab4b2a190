//! Command lines: RFC 5321 §4.1, RFC 2033 §4.1 (`LHLO`), RFC 3030 §2 (`BDAT`), RFC 3207 (`STARTTLS`), RFC 4954 (`AUTH`).

use crate::address::{forward_path, reverse_path};
use crate::{Address, Error, Reply, ReversePath, Status, parameter};
use crate::{Recipient, Sender};

/// How the client said hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hello {
    Helo,
    Ehlo,
    Lhlo,
}

/// A command, read and with its address checked; parameters wait until the session knows whether they are allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Hello {
        kind: Hello,
        name: &'a str,
    },
    Mail {
        path: ReversePath,
        parameters: &'a str,
    },
    Rcpt {
        address: Address,
        parameters: &'a str,
    },
    Data,
    Bdat {
        size: u64,
        last: bool,
    },
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
    StartTls,
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    /// The client speaks HTTP: somebody abuses a browser.
    OtherProtocol,
}

/// A command line that is no command, and whether the bytes behind it can still be told apart from commands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub reply: Reply,
    pub lost: bool,
}

impl From<Reply> for Wrong {
    fn from(reply: Reply) -> Wrong {
        Wrong { reply, lost: false }
    }
}

/// Reads a line, without its CRLF.
pub(crate) fn parse(line: &str) -> Result<Command<'_>, Wrong> {
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim_start_matches([' ', '\t']);
    let is = |name: &str| verb.eq_ignore_ascii_case(name);
    let alone = |command: Command<'static>| match rest {
        "" => Ok(command),
        _ => Err(syntax("this command takes no argument").into()),
    };
    if is("MAIL") {
        let text = after_keyword(rest, "FROM:").ok_or_else(|| syntax("it should be MAIL FROM:<address>"))?;
        let (path, parameters) = reverse_path(text).map_err(|error| wrong_address(&error, Status(5, 1, 7)))?;
        Ok(Command::Mail { path, parameters })
    } else if is("RCPT") {
        let text = after_keyword(rest, "TO:").ok_or_else(|| syntax("it should be RCPT TO:<address>"))?;
        let (address, parameters) = forward_path(text).map_err(|error| wrong_address(&error, Status(5, 1, 3)))?;
        Ok(Command::Rcpt { address, parameters })
    } else if is("DATA") {
        alone(Command::Data)
    } else if is("BDAT") {
        bdat(rest)
    } else if is("EHLO") {
        hello(Hello::Ehlo, rest)
    } else if is("HELO") {
        hello(Hello::Helo, rest)
    } else if is("LHLO") {
        hello(Hello::Lhlo, rest)
    } else if is("RSET") {
        alone(Command::Rset)
    } else if is("NOOP") {
        Ok(Command::Noop)
    } else if is("QUIT") {
        alone(Command::Quit)
    } else if is("STARTTLS") {
        alone(Command::StartTls)
    } else if is("AUTH") {
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        match (words.next(), words.next(), words.next()) {
            (Some(mechanism), initial, None) => Ok(Command::Auth { mechanism, initial }),
            _ => Err(syntax("it should be AUTH mechanism [response]").into()),
        }
    } else if is("VRFY") {
        if rest.is_empty() {
            Err(syntax("VRFY takes a name").into())
        } else {
            Ok(Command::Vrfy)
        }
    } else if is("EXPN") {
        Ok(Command::Expn)
    } else if is("HELP") {
        Ok(Command::Help)
    } else if ["GET", "POST", "PUT", "CONNECT", "OPTIONS", "HEAD"].into_iter().any(is) && rest.contains("HTTP/") {
        Ok(Command::OtherProtocol)
    } else {
        Err(Reply::new(500, Status(5, 5, 1), "command not known").into())
    }
}

/// `MAIL FROM:` and `RCPT TO:`; white space behind the colon is wrong, common and harmless.
fn after_keyword<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    let (head, rest) = (text.get(..keyword.len())?, text.get(keyword.len()..)?);
    head.eq_ignore_ascii_case(keyword)
        .then(|| rest.trim_start_matches([' ', '\t']))
}

/// `ehlo = "EHLO" SP ( Domain / address-literal )`: anything printable is let through, as so many clients do not know their name.
fn hello(kind: Hello, name: &str) -> Result<Command<'_>, Wrong> {
    if name.is_empty() || name.len() > 255 || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(syntax("it takes your host name").into());
    }
    Ok(Command::Hello { kind, name })
}

/// `bdat-cmd = "BDAT" SP chunk-size [ SP "LAST" ] CRLF`. When the size cannot be read, nobody knows where the chunk ends.
fn bdat(rest: &str) -> Result<Command<'static>, Wrong> {
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let size = words
        .next()
        .filter(|word| word.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|word| word.parse().ok());
    let last = match (words.next(), words.next()) {
        (None, _) => Some(false),
        (Some(word), None) if word.eq_ignore_ascii_case("LAST") => Some(true),
        _ => None,
    };
    match (size, last) {
        (Some(size), Some(last)) => Ok(Command::Bdat { size, last }),
        _ => Err(Wrong {
            reply: syntax("it should be BDAT size [LAST]"),
            lost: true,
        }),
    }
}

fn syntax(text: &'static str) -> Reply {
    Reply::new(501, Status(5, 5, 4), text)
}

fn wrong_address(error: &Error, status: Status) -> Reply {
    match error {
        Error::Address(reason) => Reply::new(501, status, format!("not an address: {reason}")),
        _ => Reply::new(501, status, "not an address"),
    }
}

/// `MAIL` with its parameters.
pub(crate) fn sender(path: ReversePath, parameters: &str, extended: bool, future: bool) -> Result<Sender, Reply> {
    let sender = parameter::sender(path, parameters, extended, future)?;
    if !sender.smtputf8 && sender.path.address().is_some_and(|address| !address.is_ascii()) {
        return Err(Reply::new(553, Status(5, 6, 7), "this address needs SMTPUTF8"));
    }
    Ok(sender)
}

/// `RCPT` with its parameters.
pub(crate) fn recipient(
    address: Address,
    parameters: &str,
    extended: bool,
    smtputf8: bool,
) -> Result<Recipient, Reply> {
    let ascii = address.is_ascii() && parameters.is_ascii();
    if !ascii && !smtputf8 {
        return Err(Reply::new(553, Status(5, 6, 7), "this address needs SMTPUTF8"));
    }
    parameter::recipient(address, parameters, extended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let cases: &[(&str, Result<&str, u16>)] = &[
            (
                "EHLO client.example",
                Ok("Hello { kind: Ehlo, name: \"client.example\" }"),
            ),
            ("helo [192.0.2.1]  ", Ok("Hello { kind: Helo, name: \"[192.0.2.1]\" }")),
            ("EHLO", Err(501)),
            ("EHLO a b", Err(501)),
            (
                "Mail From:<> SIZE=1",
                Ok("Mail { path: Null, parameters: \" SIZE=1\" }"),
            ),
            ("MAIL FROM: <>", Ok("Mail { path: Null, parameters: \"\" }")),
            ("MAIL FROM <>", Err(501)),
            ("MAIL", Err(501)),
            ("MAIL FROM:ada@phys.example", Err(501)),
            ("RCPT TO:<>", Err(501)),
            ("RCPT TO:<\"a", Err(501)),
            ("DATA", Ok("Data")),
            ("DATA now", Err(501)),
            ("BDAT 0 last", Ok("Bdat { size: 0, last: true }")),
            (
                "BDAT 18446744073709551615",
                Ok("Bdat { size: 18446744073709551615, last: false }"),
            ),
            ("BDAT 18446744073709551616", Err(501)),
            ("BDAT -1", Err(501)),
            ("BDAT", Err(501)),
            ("BDAT 1 FIRST", Err(501)),
            ("BDAT 1 LAST LAST", Err(501)),
            ("AUTH PLAIN", Ok("Auth { mechanism: \"PLAIN\", initial: None }")),
            (
                "AUTH PLAIN =",
                Ok("Auth { mechanism: \"PLAIN\", initial: Some(\"=\") }"),
            ),
            ("AUTH", Err(501)),
            ("AUTH PLAIN a b", Err(501)),
            ("NOOP whatever", Ok("Noop")),
            ("VRFY", Err(501)),
            ("VRFY ada", Ok("Vrfy")),
            ("HELP me", Ok("Help")),
            ("QUIT now", Err(501)),
            ("GET / HTTP/1.1", Ok("OtherProtocol")),
            ("", Err(500)),
            (" NOOP", Err(500)),
            ("XYZZY", Err(500)),
        ];
        for (line, expected) in cases {
            match (parse(line), expected) {
                (Ok(command), Ok(expected)) => assert_eq!(format!("{command:?}"), *expected, "{line}"),
                (Err(wrong), Err(code)) => assert_eq!(wrong.reply.code(), *code, "{line}"),
                (result, _) => panic!("{line}: {result:?}"),
            }
        }
    }
}
