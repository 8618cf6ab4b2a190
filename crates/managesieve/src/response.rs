//! Answers: RFC 5804 §1.2 (`OK`, `NO`, `BYE`), §1.3 (codes), and the data of `CAPABILITY`, `LISTSCRIPTS`, `GETSCRIPT`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// The server closes the connection.
    Bye,
}

/// What programs understand of an answer (§1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// The mechanism is too weak for this account.
    AuthTooWeak,
    /// Start TLS first.
    EncryptNeeded,
    /// There are as many scripts as may be.
    QuotaMaxScripts,
    /// The script is larger than may be.
    QuotaMaxSize,
    /// There is no room.
    Quota,
    /// The last data of the mechanism.
    Sasl(Vec<u8>),
    /// Later it may work.
    TryLater,
    /// Not while the script is active.
    Active,
    /// There is no such script.
    Nonexistent,
    /// There is such a script already.
    AlreadyExists,
    /// What NOOP gave to repeat.
    Tag(String),
    /// Valid, but perhaps not meant so: the text says what.
    Warnings,
}

/// Octets up to which text is sent in quotes.
const QUOTED: usize = 1024;

/// Writes answers into a buffer.
pub struct Encoder<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Encoder<'o> {
    /// Writes behind what `out` holds.
    pub fn new(out: &'o mut Vec<u8>) -> Encoder<'o> {
        Encoder { out }
    }

    /// The line that ends the answer to a command. `text` is for people.
    pub fn status(&mut self, status: Status, code: Option<&Code>, text: &str) {
        self.out.extend_from_slice(match status {
            Status::Ok => b"OK",
            Status::No => b"NO",
            Status::Bye => b"BYE",
        });
        if let Some(code) = code {
            self.out.extend_from_slice(b" (");
            self.code(code);
            self.out.push(b')');
        }
        if !text.is_empty() {
            self.out.push(b' ');
            self.string(text.as_bytes());
        }
        self.end();
    }

    fn code(&mut self, code: &Code) {
        let name: &[u8] = match code {
            Code::AuthTooWeak => b"AUTH-TOO-WEAK",
            Code::EncryptNeeded => b"ENCRYPT-NEEDED",
            Code::QuotaMaxScripts => b"QUOTA/MAXSCRIPTS",
            Code::QuotaMaxSize => b"QUOTA/MAXSIZE",
            Code::Quota => b"QUOTA",
            Code::Sasl(_) => b"SASL",
            Code::TryLater => b"TRYLATER",
            Code::Active => b"ACTIVE",
            Code::Nonexistent => b"NONEXISTENT",
            Code::AlreadyExists => b"ALREADYEXISTS",
            Code::Tag(_) => b"TAG",
            Code::Warnings => b"WARNINGS",
        };
        self.out.extend_from_slice(name);
        match code {
            Code::Sasl(data) => {
                self.out.push(b' ');
                let text = STANDARD.encode(data);
                self.string(text.as_bytes());
            }
            Code::Tag(tag) => {
                self.out.push(b' ');
                self.string(tag.as_bytes());
            }
            _ => {}
        }
    }

    /// A line of CAPABILITY (§1.7).
    pub fn capability(&mut self, name: &str, value: Option<&str>) {
        self.string(name.as_bytes());
        if let Some(value) = value {
            self.out.push(b' ');
            self.string(value.as_bytes());
        }
        self.end();
    }

    /// A line of LISTSCRIPTS (§2.7).
    pub fn script_name(&mut self, name: &str, active: bool) {
        self.string(name.as_bytes());
        if active {
            self.out.extend_from_slice(b" ACTIVE");
        }
        self.end();
    }

    /// The text of GETSCRIPT (§2.9), always a literal.
    pub fn script(&mut self, script: &[u8]) {
        self.literal(script);
        self.end();
    }

    /// A challenge of AUTHENTICATE (§2.1): a literal, as other servers send it and some clients (Cyrus' sivtest) expect it.
    pub fn challenge(&mut self, challenge: &[u8]) {
        let text = STANDARD.encode(challenge);
        self.literal(text.as_bytes());
        self.end();
    }

    /// string = quoted / literal-s2c
    fn string(&mut self, text: &[u8]) {
        if text.len() > QUOTED
            || text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
            || std::str::from_utf8(text).is_err()
        {
            self.literal(text);
            return;
        }
        self.out.push(b'"');
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(*byte);
        }
        self.out.push(b'"');
    }

    fn literal(&mut self, text: &[u8]) {
        self.out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        self.out.extend_from_slice(text);
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}
