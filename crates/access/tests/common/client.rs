//! A client that understands what it reads and believes nothing: every response is held against the rules before it is taken in.
//! RFC 9051 §7, RFC 7162, RFC 9586.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A value in a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Atom(String),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    pub fn number(&self) -> u64 {
        match self {
            Value::Atom(atom) => atom.parse().unwrap_or_else(|_| panic!("{atom} is no number")),
            other => panic!("{other:?} is no number"),
        }
    }

    pub fn words(&self) -> Vec<String> {
        match self {
            Value::List(list) => list
                .iter()
                .map(|value| match value {
                    Value::Atom(atom) => atom.clone(),
                    other => panic!("{other:?} is no word"),
                })
                .collect(),
            other => panic!("{other:?} is no list"),
        }
    }
}

/// Everything the client knows of a message.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub uid: Option<u32>,
    pub flags: Option<BTreeSet<String>>,
    pub modseq: u64,
}

/// A FETCH response.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Sequence number, or with UIDONLY the UID.
    pub number: u32,
    pub items: BTreeMap<String, Value>,
}

/// What a command brought.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: String,
    /// The tagged line.
    pub text: String,
    pub fetched: Vec<Fetched>,
    pub found: Option<Vec<u32>>,
    pub earlier: Vec<u32>,
    /// Untagged lines that are none of the above.
    pub others: Vec<String>,
    pub lines: Vec<String>,
}

impl Reply {
    /// The argument of a response code, wherever it stands.
    pub fn code(&self, name: &str) -> Option<String> {
        let start = format!("[{name} ");
        let lines = self.others.iter().chain([&self.text]);
        let mut found = lines.filter_map(|line| {
            let at = line.find(&start)? + start.len();
            Some(line[at..].split(']').next()?.to_owned())
        });
        found.next()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Modes {
    pub rev2: bool,
    pub condstore: bool,
    pub qresync: bool,
    pub uid_only: bool,
}

/// A search whose result the client is kept informed of.
#[derive(Clone, Debug)]
pub struct Context {
    pub tag: String,
    pub uid: bool,
    /// Asks for the same anew.
    pub again: String,
    pub result: Vec<u32>,
}

pub struct Client {
    pub name: String,
    reader: BufReader<TcpStream>,
    tag: u32,
    pub modes: Modes,
    pub messages: Vec<Known>,
    pub highest: u64,
    pub uid_validity: u32,
    pub contexts: Vec<Context>,
    /// What was said and heard of late.
    pub transcript: Vec<String>,
}

impl Client {
    pub fn open(address: SocketAddr, name: &str, user: &str, password: &str, modes: Modes) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Client {
            name: name.to_owned(),
            reader: BufReader::new(stream),
            tag: 0,
            modes: Modes::default(),
            messages: Vec::new(),
            highest: 0,
            uid_validity: 0,
            contexts: Vec::new(),
            transcript: Vec::new(),
        };
        let greeting = client.line();
        assert!(greeting.starts_with(b"* OK"));
        client.ok(&format!("LOGIN {user} {password}"));
        for (on, name) in [
            (modes.rev2, "IMAP4rev2"),
            (modes.condstore, "CONDSTORE"),
            (modes.qresync, "QRESYNC"),
            (modes.uid_only, "UIDONLY"),
        ] {
            if on {
                client.ok(&format!("ENABLE {name}"));
            }
        }
        client.modes = modes;
        client.modes.condstore |= modes.qresync;
        client
    }

    /// A line with its literals, without its end.
    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            let read = self.reader.read_until(b'\n', &mut line).unwrap();
            assert!(
                read > 0,
                "{}: the server hung up\n{}",
                self.name,
                self.transcript.join("\n")
            );
            assert!(line.ends_with(b"\r\n"));
            line.truncate(line.len() - 2);
            let Some(len) = literal(&line) else {
                super::grammar::check(&[line.as_slice(), b"\r\n"].concat(), &self.name);
                return line;
            };
            line.extend_from_slice(b"\r\n");
            let start = line.len();
            line.resize(start + len, 0);
            self.reader.read_exact(&mut line[start..]).unwrap();
        }
    }

    fn note(&mut self, line: String) {
        self.transcript.push(line);
        if self.transcript.len() > 300 {
            self.transcript.drain(..100);
        }
    }

    /// Sends a command and takes in all that comes up to its tagged answer.
    pub fn command(&mut self, command: &str) -> Reply {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.note(format!("{} -> {tag} {command}", self.name));
        self.reader
            .get_mut()
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .unwrap();
        let mut words = command.split(' ');
        let quiet = words
            .next()
            .is_some_and(|word| ["FETCH", "STORE", "SEARCH"].contains(&word));
        let mut reply = Reply::default();
        loop {
            let line = self.line();
            let text = String::from_utf8_lossy(&line).into_owned();
            self.note(format!("{} <- {text}", self.name));
            reply.lines.push(text.clone());
            if let Some(rest) = text.strip_prefix(&format!("{tag} ")) {
                reply.status = rest.split(' ').next().unwrap_or_default().to_owned();
                reply.text = rest.to_owned();
                if let Some(highest) = text.split("[HIGHESTMODSEQ ").nth(1) {
                    self.know_up_to(highest);
                }
                return reply;
            }
            let rest = line
                .strip_prefix(b"* ")
                .unwrap_or_else(|| panic!("{}", self.trouble("what is this?")));
            self.take(rest, quiet, &mut reply);
        }
    }

    pub fn ok(&mut self, command: &str) -> Reply {
        let reply = self.command(command);
        assert_eq!(reply.status, "OK", "{}", self.trouble("refused"));
        reply
    }

    pub fn append(&mut self, mailbox: &str, flags: &str, message: &str) -> Reply {
        self.ok(&format!(
            "APPEND {mailbox} ({flags}) {{{}+}}\r\n{message}",
            message.len()
        ))
    }

    /// Lines that come unasked, as far as they are here within a moment.
    pub fn trouble(&self, what: &str) -> String {
        format!("{}: {what}\n{}", self.name, self.transcript.join("\n"))
    }

    fn know_up_to(&mut self, highest: &str) {
        let highest = highest.split(']').next().unwrap_or_default();
        self.highest = self.highest.max(highest.parse().unwrap());
    }

    fn take(&mut self, rest: &[u8], quiet: bool, reply: &mut Reply) {
        let text = String::from_utf8_lossy(rest).into_owned();
        let mut words = text.split(' ');
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let number: Option<u32> = first.parse().ok();
        match (number, first, second) {
            (Some(count), _, "EXISTS") => {
                let count = count as usize;
                assert!(count >= self.messages.len(), "{}", self.trouble("EXISTS went down"));
                self.messages.resize(count, Known::default());
            }
            (Some(count), _, "RECENT") => {
                assert!(!self.modes.rev2, "{}", self.trouble("RECENT is no more in rev2"));
                assert!(
                    count as usize <= self.messages.len(),
                    "{}",
                    self.trouble("more recent than there are")
                );
            }
            (Some(number), _, "EXPUNGE") => {
                assert!(!quiet, "{}", self.trouble("EXPUNGE where numbers are in use"));
                assert!(
                    !self.modes.qresync && !self.modes.uid_only,
                    "{}",
                    self.trouble("EXPUNGE instead of VANISHED")
                );
                let there = (1..=self.messages.len()).contains(&(number as usize));
                assert!(there, "{}", self.trouble("EXPUNGE of a message that is not there"));
                let uid = self.messages.remove(number as usize - 1).uid;
                self.context_forget(Some(number), uid);
            }
            (Some(number), _, "FETCH" | "UIDFETCH") => {
                assert_eq!(
                    second == "UIDFETCH",
                    self.modes.uid_only,
                    "{}",
                    self.trouble("the wrong kind of FETCH")
                );
                let at = first.len() + second.len() + 2;
                let (value, used) = value(&rest[at..]);
                assert_eq!(used, rest.len() - at, "{}", self.trouble("text behind FETCH"));
                let items = pairs(&value);
                self.fetched(number, &items);
                reply.fetched.push(Fetched { number, items });
            }
            (None, "VANISHED", "(EARLIER)") => {
                assert!(self.modes.qresync, "{}", self.trouble("VANISHED without QRESYNC"));
                reply.earlier.extend(numbers(words.next().unwrap_or_default()));
            }
            (None, "VANISHED", set) => {
                assert!(!quiet, "{}", self.trouble("VANISHED where numbers are in use"));
                assert!(
                    self.modes.qresync || self.modes.uid_only,
                    "{}",
                    self.trouble("VANISHED was not asked for")
                );
                for uid in numbers(set) {
                    // One that was only counted so far turns out to be this one.
                    let unnamed = || self.messages.iter().position(|known| known.uid.is_none());
                    let named = self.messages.iter().position(|known| known.uid == Some(uid));
                    let at = named.or_else(unnamed);
                    self.context_forget(None, Some(uid));
                    match at {
                        Some(at) => drop(self.messages.remove(at)),
                        None => panic!("{}", self.trouble(&format!("VANISHED {uid}, which nobody knew"))),
                    }
                }
            }
            (None, "SEARCH", _) => {
                let found = text.split(" (").next().unwrap_or_default();
                let found = found.split(' ').skip(1).map(|n| n.parse().unwrap()).collect();
                reply.found = Some(found);
            }
            (None, "ESEARCH", _) if text.contains(" ADDTO ") || text.contains(" REMOVEFROM ") => {
                self.context_change(&text);
            }
            (None, "ESEARCH", _) => {
                let mut found = Vec::new();
                if let Some(all) = text.split(" ALL ").nth(1) {
                    found = numbers(all.split(' ').next().unwrap_or_default());
                }
                let tag = text.split('"').nth(1).unwrap_or_default();
                if let Some(context) = self.contexts.iter_mut().find(|context| context.tag == tag) {
                    context.result.clone_from(&found);
                }
                reply.found = Some(found);
            }
            _ => {
                if let Some(highest) = text.split("[HIGHESTMODSEQ ").nth(1) {
                    self.know_up_to(highest);
                }
                if let Some(validity) = text.split("[UIDVALIDITY ").nth(1) {
                    self.uid_validity = validity.split(']').next().unwrap_or_default().parse().unwrap();
                }
                assert!(first != "BYE", "{}", self.trouble("thrown out"));
                reply.others.push(text);
            }
        }
    }

    /// The tag of the next command.
    pub fn next_tag(&self) -> String {
        format!("t{}", self.tag + 1)
    }

    /// A message is gone: it must not be in any result any more (RFC 5267 §4.3.4), and those behind it have other numbers.
    fn context_forget(&mut self, number: Option<u32>, uid: Option<u32>) {
        for context in &self.contexts {
            let gone = if context.uid { uid } else { number };
            let there = gone.is_some_and(|gone| context.result.contains(&gone));
            assert!(!there, "{}", self.trouble("a message goes that is still in a result"));
        }
        for context in self.contexts.iter_mut().filter(|context| !context.uid) {
            let number = number.expect("numbers are counted without VANISHED only");
            context.result.iter_mut().filter(|n| **n > number).for_each(|n| *n -= 1);
        }
    }

    /// Does what ADDTO and REMOVEFROM say.
    fn context_change(&mut self, text: &str) {
        let tag = text.split('"').nth(1).unwrap_or_default().to_owned();
        let Some(at) = self.contexts.iter().position(|context| context.tag == tag) else {
            panic!("{}", self.trouble("an update that nobody has asked for"));
        };
        let mut context = self.contexts[at].clone();
        let uid = text.contains("\") UID ");
        assert_eq!(uid, context.uid, "{}", self.trouble("UIDs or not"));
        let (remove, add) = (" REMOVEFROM (", " ADDTO (");
        let mut rest = text;
        while let Some(start) = [remove, add].iter().filter_map(|word| rest.find(word)).min() {
            let adds = rest[start..].starts_with(add);
            let body = &rest[start + if adds { add.len() } else { remove.len() }..];
            let end = body.find(')').unwrap();
            let words: Vec<&str> = body[..end].split(' ').collect();
            for pair in words.chunks(2) {
                let (place, pieces): (usize, _) = (pair[0].parse().unwrap(), numbers(pair[1]));
                let count = u32::try_from(self.messages.len()).unwrap();
                let known = uid || pieces.iter().all(|number| (1..=count).contains(number));
                assert!(known, "{}", self.trouble("a result of messages that are not there"));
                match (adds, place) {
                    (true, 0) => {
                        let again = pieces.iter().any(|number| context.result.contains(number));
                        assert!(!again, "{}", self.trouble("added twice"));
                        context.result.extend(pieces);
                        context.result.sort_unstable();
                    }
                    (false, 0) => {
                        let there = pieces.iter().all(|number| context.result.contains(number));
                        assert!(there, "{}", self.trouble("removed what is not there"));
                        context.result.retain(|number| !pieces.contains(number));
                    }
                    (true, place) => drop(context.result.splice(place - 1..place - 1, pieces)),
                    (false, place) => {
                        let gone: Vec<u32> = context.result.drain(place - 1..place - 1 + pieces.len()).collect();
                        assert_eq!(gone, pieces, "{}", self.trouble("another stands in that place"));
                    }
                }
            }
            rest = &body[end..];
        }
        self.contexts[at] = context;
    }

    fn fetched(&mut self, number: u32, items: &BTreeMap<String, Value>) {
        let uid = items.get("UID").map(|uid| uid.number() as u32);
        let position = if self.modes.uid_only {
            self.position(number)
        } else {
            number as usize - 1
        };
        let uid = if self.modes.uid_only { Some(number) } else { uid };
        assert!(
            position < self.messages.len(),
            "{}",
            self.trouble("FETCH of a message that is not there")
        );
        if let Some(uid) = uid {
            if let Some(known) = self.messages[position].uid {
                assert_eq!(known, uid, "{}", self.trouble("a UID changed"));
            }
            let below = self.messages[..position]
                .iter()
                .filter_map(|known| known.uid)
                .next_back();
            let above = self.messages[position + 1..].iter().find_map(|known| known.uid);
            assert!(
                below.is_none_or(|below| below < uid),
                "{}",
                self.trouble("UIDs do not ascend")
            );
            assert!(
                above.is_none_or(|above| above > uid),
                "{}",
                self.trouble("UIDs do not ascend")
            );
        }
        let known = &mut self.messages[position];
        known.uid = uid.or(known.uid);
        let mut back = false;
        if let Some(Value::List(modseq)) = items.get("MODSEQ") {
            let modseq = modseq[0].number();
            back = modseq < known.modseq || modseq == 0;
            known.modseq = modseq;
            self.highest = self.highest.max(modseq);
        } else if self.modes.condstore && items.contains_key("FLAGS") {
            panic!("{}", self.trouble("FLAGS without MODSEQ"));
        }
        if let Some(flags) = items.get("FLAGS") {
            let flags = flags.words().into_iter().filter(|flag| flag != "\\Recent").collect();
            self.messages[position].flags = Some(flags);
        }
        assert!(!back, "{}", self.trouble("MODSEQ went back"));
    }

    /// Where a message of this UID stands among the others, where nobody counts them: one of those not known yet turns out to be it.
    pub fn position(&mut self, uid: u32) -> usize {
        if let Some(position) = self.messages.iter().position(|known| known.uid == Some(uid)) {
            return position;
        }
        let Some(unknown) = self.messages.iter().position(|known| known.uid.is_none()) else {
            panic!("{}", self.trouble("UIDFETCH of a message too many"));
        };
        self.messages.remove(unknown);
        let after = self
            .messages
            .iter()
            .position(|known| known.uid.is_none_or(|other| other > uid));
        let position = after.unwrap_or(self.messages.len());
        self.messages.insert(position, Known::default());
        position
    }

    /// Forgets the mailbox.
    pub fn forget(&mut self) {
        self.messages.clear();
        self.contexts.clear();
        self.highest = 0;
    }
}

fn literal(line: &[u8]) -> Option<usize> {
    let rest = line.strip_suffix(b"}")?;
    let start = rest.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&rest[start + 1..]).ok()?.parse().ok()
}

/// `1,3:5` as numbers.
pub fn numbers(set: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for range in set.split(',').filter(|range| !range.is_empty()) {
        let (from, to) = range.split_once(':').unwrap_or((range, range));
        let (from, to): (u32, u32) = (from.parse().unwrap(), to.parse().unwrap());
        assert!(from <= to, "{set} does not ascend");
        all.extend(from..=to);
    }
    all
}

fn pairs(value: &Value) -> BTreeMap<String, Value> {
    let Value::List(list) = value else { panic!("{value:?}") };
    assert!(list.len() % 2 == 0, "{value:?}");
    list.chunks(2)
        .map(|pair| match pair {
            [Value::Atom(name), value] => (name.clone(), value.clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn value(text: &[u8]) -> (Value, usize) {
    match text[0] {
        b'(' => {
            let mut list = Vec::new();
            let mut at = 1;
            while text[at] != b')' {
                if text[at] == b' ' {
                    at += 1;
                }
                let (item, used) = value(&text[at..]);
                list.push(item);
                at += used;
            }
            (Value::List(list), at + 1)
        }
        b'"' => {
            let mut octets = Vec::new();
            let mut at = 1;
            while text[at] != b'"' {
                at += usize::from(text[at] == b'\\');
                octets.push(text[at]);
                at += 1;
            }
            (Value::Text(octets), at + 1)
        }
        b'{' => {
            let end = text.windows(2).position(|pair| pair == b"\r\n").unwrap();
            let len = literal(&text[..end]).unwrap();
            (Value::Text(text[end + 2..end + 2 + len].to_vec()), end + 2 + len)
        }
        _ => {
            let mut depth = 0;
            let end = text.iter().position(|b| {
                match b {
                    b'[' => depth += 1,
                    b']' => depth -= 1,
                    _ => {}
                }
                depth == 0 && matches!(b, b' ' | b')')
            });
            let end = end.unwrap_or(text.len());
            (Value::Atom(String::from_utf8_lossy(&text[..end]).into_owned()), end)
        }
    }
}
