//! Random commands from several sessions, held against a model of IMAP that is as simple as it gets: a mailbox is a list, and every
//! session has a copy of it that only changes by what it is told.
//!
//! `MODEL_SEEDS=100000` runs more than the few thousand of `make test`, `MODEL_SEED=17` one of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

mod common;

use common::client::{Client, Context, Modes, Reply, Value, numbers};
use common::{Mode, PASSWORD, Server, options};
use std::collections::{BTreeMap, BTreeSet};

const FLAGS: [&str; 5] = ["\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "kw"];
const COMMANDS: usize = 30;

/// A message as it is.
#[derive(Clone, Debug)]
struct Message {
    uid: u32,
    flags: BTreeSet<String>,
    text: String,
    /// When it last changed.
    step: u64,
}

#[derive(Default)]
struct Mailbox {
    messages: Vec<Message>,
    next: u32,
}

impl Mailbox {
    fn find(&self, uid: u32) -> Option<&Message> {
        self.messages.iter().find(|message| message.uid == uid)
    }

    fn add(&mut self, flags: BTreeSet<String>, text: &str, step: u64) -> u32 {
        self.next = self.next.max(1);
        let uid = self.next;
        self.next += 1;
        self.messages.push(Message {
            uid,
            flags,
            text: text.to_owned(),
            step,
        });
        uid
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % below.max(1) as u64) as usize
    }

    fn flags(&mut self) -> BTreeSet<String> {
        let bits = self.roll(1 << FLAGS.len());
        let chosen = FLAGS.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
        chosen.map(|(_, flag)| (*flag).to_owned()).collect()
    }
}

/// The world: what is true, and when it came to be.
struct World<'c> {
    dice: Dice,
    names: [String; 2],
    boxes: [Mailbox; 2],
    step: u64,
    /// Steps and the mod-sequences that were told for them.
    modseqs: BTreeMap<u64, u64>,
    clients: Vec<&'c mut Client>,
    /// Which mailbox a client has selected.
    selected: Vec<Option<usize>>,
    read_only: Vec<bool>,
}

fn list(flags: &BTreeSet<String>) -> String {
    flags.iter().cloned().collect::<Vec<_>>().join(" ")
}

impl World<'_> {
    fn next_step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    /// What a reply says of messages must be so: flags as they are, mod-sequences in the order of steps.
    fn check_fetched(&mut self, who: usize, mailbox: usize, reply: &Reply) {
        for fetched in &reply.fetched {
            let client = &self.clients[who];
            let uid = if client.modes.uid_only {
                Some(fetched.number)
            } else {
                fetched.items.get("UID").map(|uid| uid.number() as u32)
            };
            // A message that was expunged in the same answer cannot be looked up by number any more; the view is checked as a whole.
            let Some(uid) = uid else { continue };
            let Some(message) = self.boxes[mailbox].find(uid) else {
                continue;
            };
            if let Some(flags) = fetched.items.get("FLAGS") {
                let told: BTreeSet<String> = flags.words().into_iter().filter(|f| f != "\\Recent").collect();
                assert_eq!(told, message.flags, "{}", client.trouble("flags"));
            }
            if let Some(Value::List(modseq)) = fetched.items.get("MODSEQ") {
                let modseq = modseq[0].number();
                let known = *self.modseqs.entry(message.step).or_insert(modseq);
                assert_eq!(known, modseq, "{}", client.trouble("one change, two mod-sequences"));
                let below = self.modseqs.range(..message.step).next_back();
                let above = self.modseqs.range(message.step + 1..).next();
                assert!(
                    below.is_none_or(|(_, m)| *m < modseq),
                    "{}",
                    client.trouble("mod-sequences do not ascend")
                );
                assert!(
                    above.is_none_or(|(_, m)| *m > modseq),
                    "{}",
                    client.trouble("mod-sequences do not ascend")
                );
            }
            if let Some(Value::Text(text)) = fetched.items.get("BODY[]") {
                assert_eq!(text, message.text.as_bytes(), "{}", client.trouble("another message"));
            }
            if let Some(size) = fetched.items.get("RFC822.SIZE") {
                assert_eq!(size.number() as usize, message.text.len(), "{}", client.trouble("size"));
            }
        }
    }

    /// Learns what is not known yet, and then knows all there is.
    fn settle(&mut self, who: usize) {
        let Some(mailbox) = self.selected[who] else { return };
        self.learn(who, mailbox);
        let reply = self.clients[who].ok("NOOP");
        self.check_fetched(who, mailbox, &reply);
        self.learn(who, mailbox);
        let client = &self.clients[who];
        let told: Vec<_> = client
            .messages
            .iter()
            .map(|known| (known.uid.unwrap(), known.flags.clone().unwrap()))
            .collect();
        let truth: Vec<_> = self.boxes[mailbox]
            .messages
            .iter()
            .map(|m| (m.uid, m.flags.clone()))
            .collect();
        assert_eq!(
            told,
            truth,
            "{}",
            client.trouble("the client knows something else than is")
        );
        // RFC 5267 §4.3: a result that was kept up to date is what the same search finds now.
        for context in self.clients[who].contexts.clone() {
            let now = self.clients[who].ok(&context.again).found;
            let client = &self.clients[who];
            assert_eq!(
                Some(context.result),
                now,
                "{}",
                client.trouble(&format!("not what {} says", context.again))
            );
        }
    }

    fn learn(&mut self, who: usize, mailbox: usize) {
        for round in 0.. {
            let client = &mut self.clients[who];
            assert!(round < 20, "{}", client.trouble("a message that cannot be learnt of"));
            let unknown = client
                .messages
                .iter()
                .position(|k| k.uid.is_none() || k.flags.is_none());
            let Some(from) = unknown else { return };
            let reply = if client.modes.uid_only {
                let mut before = client.messages[..from].iter().filter_map(|known| known.uid);
                client.ok(&format!("UID FETCH {}:* (FLAGS)", before.next_back().unwrap_or(0) + 1))
            } else {
                client.ok(&format!("FETCH {}:* (UID FLAGS)", from + 1))
            };
            self.check_fetched(who, mailbox, &reply);
        }
    }

    fn select(&mut self, who: usize) {
        let which = self.dice.roll(2);
        let read_only = self.dice.roll(6) == 0;
        let verb = if read_only { "EXAMINE" } else { "SELECT" };
        let name = self.names[which].clone();
        // Somebody who was here before and knows all up to now comes back.
        let back = self.clients[who].modes.qresync && self.selected[who] == Some(which);
        if back {
            self.settle(who);
            let (validity, highest) = (self.clients[who].uid_validity, self.clients[who].highest);
            let mut known = std::mem::take(&mut self.clients[who].messages);
            self.clients[who].contexts.clear();
            self.clients[who].ok("UNSELECT");
            self.selected[who] = None;
            // Others go on meanwhile.
            for _ in 0..3 {
                let other = self.dice.roll(self.clients.len());
                if other != who {
                    self.act(other);
                }
            }
            self.clients[who].forget();
            let uids: Vec<String> = known.iter().filter_map(|k| k.uid).map(|uid| uid.to_string()).collect();
            let mut parameter = format!("{validity} {}", highest.max(1));
            if !uids.is_empty() && self.dice.roll(2) == 0 {
                parameter += &format!(" 1:{}", uids[uids.len() - 1]);
                if !self.clients[who].modes.uid_only {
                    parameter += &format!(" ({} {})", known.len(), uids[uids.len() - 1]);
                }
            }
            let reply = self.clients[who].ok(&format!("{verb} {name} (QRESYNC ({parameter}))"));
            known.retain(|k| k.uid.is_none_or(|uid| !reply.earlier.contains(&uid)));
            let told: Vec<u32> = known.iter().filter_map(|k| k.uid).collect();
            let there: Vec<u32> = self.boxes[which].messages.iter().map(|m| m.uid).collect();
            let upto = told.last().copied().unwrap_or(0);
            let old: Vec<u32> = there.iter().copied().filter(|uid| *uid <= upto).collect();
            assert_eq!(
                told,
                old,
                "{}",
                self.clients[who].trouble("VANISHED (EARLIER) is not what is gone")
            );
            // What FETCH did not speak of is as it was.
            for (position, k) in known.into_iter().enumerate() {
                let client = &mut self.clients[who];
                let position = match k.uid {
                    Some(uid) if client.modes.uid_only => client.position(uid),
                    _ => position,
                };
                if client.messages[position].flags.is_none() {
                    client.messages[position] = k;
                }
            }
            self.check_fetched(who, which, &reply);
        } else {
            self.clients[who].forget();
            self.clients[who].ok(&format!("{verb} {name}"));
        }
        self.selected[who] = Some(which);
        self.read_only[who] = read_only;
        self.settle(who);
    }

    /// A set of messages the client knows of: as it is written, and the UIDs.
    fn set(&mut self, who: usize, uid: bool) -> (String, Vec<u32>) {
        let client = &self.clients[who];
        let count = client.messages.len();
        let (a, b) = (self.dice.roll(count), self.dice.roll(count));
        let (from, to) = (a.min(b), a.max(b));
        let uids: Vec<u32> = client.messages[from..=to].iter().map(|k| k.uid.unwrap()).collect();
        let text = if uid {
            format!("{}:{}", uids[0], uids[uids.len() - 1])
        } else {
            format!("{}:{}", from + 1, to + 1)
        };
        (text, uids)
    }

    fn act(&mut self, who: usize) {
        let Some(mailbox) = self.selected[who] else {
            return self.append(who);
        };
        self.learn(who, mailbox);
        let uid = self.clients[who].modes.uid_only || self.dice.roll(2) == 0;
        let empty = self.clients[who].messages.is_empty();
        match self.dice.roll(23) {
            20..=21 => self.context(who, mailbox),
            22 => self.context_end(who),
            0..=2 => self.append(who),
            3..=7 if !empty => self.store(who, mailbox, uid),
            8..=9 if !empty => self.fetch(who, mailbox, uid),
            10..=11 if !empty => self.search(who, mailbox, uid),
            12..=13 if !empty => self.copy(who, mailbox, uid, false),
            14 if !empty => self.copy(who, mailbox, uid, true),
            15..=16 => self.expunge(who, mailbox),
            17 => self.close(who, mailbox),
            _ => self.settle(who),
        }
    }

    fn append(&mut self, who: usize) {
        let which = self.dice.roll(2);
        let flags = self.dice.flags();
        let step = self.next_step();
        let text = format!("Subject: {step}\r\n\r\n{}\r\n", "x".repeat(self.dice.roll(50)));
        let reply = self.clients[who].append(&self.names[which], &list(&flags), &text);
        let uid = self.boxes[which].add(flags, &text, step);
        let told = reply.code("APPENDUID").unwrap();
        assert_eq!(
            told.split(' ').nth(1),
            Some(uid.to_string().as_str()),
            "{}",
            self.clients[who].trouble("APPENDUID")
        );
        if let Some(mailbox) = self.selected[who] {
            self.check_fetched(who, mailbox, &reply);
            self.learn(who, mailbox);
        }
    }

    fn store(&mut self, who: usize, mailbox: usize, uid: bool) {
        let (set, uids) = self.set(who, uid);
        let flags = self.dice.flags();
        let sign = ["", "+", "-"][self.dice.roll(3)];
        let silent = self.dice.roll(3) == 0;
        let mut since = None;
        if self.clients[who].modes.condstore && self.dice.roll(3) == 0 {
            let pick = self.dice.roll(self.clients[who].messages.len());
            let modseq = self.clients[who].messages[pick].modseq;
            since = self
                .modseqs
                .iter()
                .find(|(_, m)| **m == modseq)
                .map(|(step, _)| (*step, modseq));
        }
        let condition = since
            .map(|(_, modseq)| format!(" (UNCHANGEDSINCE {modseq})"))
            .unwrap_or_default();
        let verb = if uid { "UID STORE" } else { "STORE" };
        let dot = if silent { ".SILENT" } else { "" };
        let before = self.clients[who].messages.clone();
        let command = format!("{verb} {set}{condition} {sign}FLAGS{dot} ({})", list(&flags));
        let reply = self.clients[who].command(&command);
        if self.read_only[who] {
            assert_eq!(reply.status, "NO", "{}", self.clients[who].trouble("read-only"));
            return;
        }
        let step = self.step + 1;
        let (mut gone, mut modified, mut changed) = (false, Vec::new(), false);
        for uid in &uids {
            let Some(message) = self.boxes[mailbox].messages.iter_mut().find(|m| m.uid == *uid) else {
                gone = true;
                continue;
            };
            if since.is_some_and(|(since, _)| message.step > since) {
                modified.push(*uid);
                continue;
            }
            let mut new = message.flags.clone();
            match sign {
                "+" => new.extend(flags.iter().cloned()),
                "-" => new.retain(|flag| !flags.contains(flag)),
                _ => new.clone_from(&flags),
            }
            if new != message.flags {
                message.flags = new;
                message.step = step;
                changed = true;
            }
        }
        self.step += u64::from(changed);
        let client = &mut self.clients[who];
        if modified.is_empty() && gone && !uid {
            assert_eq!(reply.status, "NO", "{}", client.trouble("gone"));
        } else {
            assert_eq!(reply.status, "OK", "{}", client.trouble("STORE"));
        }
        let told = reply.code("MODIFIED").map(|set| numbers(&set)).unwrap_or_default();
        let expected: Vec<u32> = if uid {
            modified.clone()
        } else {
            let number = |uid: &u32| before.iter().position(|k| k.uid == Some(*uid)).unwrap() as u32 + 1;
            modified.iter().map(number).collect()
        };
        assert_eq!(told, expected, "{}", client.trouble("MODIFIED"));
        if silent {
            // The client knows what it has done, unless it is told better.
            let spoken: BTreeSet<u32> = reply
                .fetched
                .iter()
                .filter(|f| f.items.contains_key("FLAGS"))
                .map(|f| {
                    f.items.get("UID").map_or_else(
                        || {
                            if client.modes.uid_only {
                                f.number
                            } else {
                                before[f.number as usize - 1].uid.unwrap()
                            }
                        },
                        |uid| uid.number() as u32,
                    )
                })
                .collect();
            for known in &mut client.messages {
                let uid = known.uid.unwrap_or(0);
                if !uids.contains(&uid) || modified.contains(&uid) || spoken.contains(&uid) {
                    continue;
                }
                if self.boxes[mailbox].find(uid).is_none() {
                    continue;
                }
                let mut new = known.flags.clone().unwrap_or_default();
                match sign {
                    "+" => new.extend(flags.iter().cloned()),
                    "-" => new.retain(|flag| !flags.contains(flag)),
                    _ => new.clone_from(&flags),
                }
                known.flags = Some(new);
            }
        }
        self.check_fetched(who, mailbox, &reply);
        if uid {
            self.settle(who);
        }
    }

    fn fetch(&mut self, who: usize, mailbox: usize, uid: bool) {
        let (set, uids) = self.set(who, uid);
        let verb = if uid { "UID FETCH" } else { "FETCH" };
        let items = ["(UID FLAGS)", "(UID RFC822.SIZE)", "(UID BODY.PEEK[])", "(UID BODY[])"][self.dice.roll(4)];
        let reply = self.clients[who].command(&format!("{verb} {set} {items}"));
        let reads = items.contains("BODY");
        let gone = uids.iter().any(|uid| self.boxes[mailbox].find(*uid).is_none());
        // One that is gone may still be read where a copy of it is left.
        let right = reply.status == "OK" || (reads && gone && reply.status == "NO");
        assert!(right, "{}", self.clients[who].trouble("FETCH"));
        if items.contains("BODY[") && !self.read_only[who] {
            let step = self.step + 1;
            let mut changed = false;
            for message in self.boxes[mailbox]
                .messages
                .iter_mut()
                .filter(|m| uids.contains(&m.uid))
            {
                if message.flags.insert("\\Seen".to_owned()) {
                    message.step = step;
                    changed = true;
                }
            }
            self.step += u64::from(changed);
        }
        self.check_fetched(who, mailbox, &reply);
        let told: BTreeSet<u32> = reply
            .fetched
            .iter()
            .filter_map(|f| f.items.get("UID"))
            .map(|u| u.number() as u32)
            .collect();
        for uid in uids {
            if !reads || self.boxes[mailbox].find(uid).is_some() {
                assert!(
                    told.contains(&uid),
                    "{}",
                    self.clients[who].trouble("a message was left out")
                );
            }
        }
    }

    fn search(&mut self, who: usize, mailbox: usize, uid: bool) {
        let (set, uids) = self.set(who, uid);
        let flag = FLAGS[self.dice.roll(4)];
        let (key, not) = (flag.trim_start_matches('\\').to_uppercase(), self.dice.roll(2) == 0);
        let key = if not { format!("UN{key}") } else { key };
        let or = self.dice.roll(2) == 0;
        let among = if uid { format!("UID {set}") } else { set };
        let command = match (uid, or) {
            (true, true) => format!("UID SEARCH OR {among} {key}"),
            (true, false) => format!("UID SEARCH {among} {key}"),
            (false, true) => format!("SEARCH OR {among} {key}"),
            (false, false) => format!("SEARCH {among} {key}"),
        };
        let before: Vec<u32> = self.clients[who].messages.iter().map(|k| k.uid.unwrap()).collect();
        let reply = self.clients[who].ok(&command);
        let mut expected = Vec::new();
        for (position, id) in before.iter().enumerate() {
            let Some(message) = self.boxes[mailbox].find(*id) else {
                continue;
            };
            let flagged = message.flags.contains(flag) != not;
            let inside = uids.contains(id);
            if (or && (flagged || inside)) || (flagged && inside) {
                expected.push(if uid { *id } else { position as u32 + 1 });
            }
        }
        assert_eq!(reply.found, Some(expected), "{}", self.clients[who].trouble("SEARCH"));
        self.check_fetched(who, mailbox, &reply);
    }

    /// A search that is kept up to date.
    fn context(&mut self, who: usize, mailbox: usize) {
        if self.clients[who].contexts.len() >= 3 {
            return self.context_end(who);
        }
        let modes = self.clients[who].modes;
        // Who hears of VANISHED cannot count messages whose UIDs it does not know.
        let uid = modes.uid_only || modes.qresync || self.dice.roll(2) == 0;
        let mut keys = match self.dice.roll(10) {
            0 => "UNSEEN".to_owned(),
            1 => "OR FLAGGED KEYWORD kw".to_owned(),
            2 => "NOT (DELETED ANSWERED)".to_owned(),
            3 => "LARGER 40".to_owned(),
            4 => "SUBJECT 1 UNFLAGGED".to_owned(),
            5 => "TEXT xxxxxxxxxxxxxxxxxxxxxxxx".to_owned(),
            6 => format!("UID {}:*", self.dice.roll(20) + 1),
            7 if modes.condstore => {
                let modseqs: Vec<u64> = self.modseqs.values().copied().collect();
                let pick = self.dice.roll(modseqs.len());
                format!("MODSEQ {}", modseqs.get(pick).copied().unwrap_or(1))
            }
            8 => "OR YOUNGER 3600 SEEN".to_owned(),
            _ => "ALL".to_owned(),
        };
        let mut again = keys.clone();
        if !self.clients[who].messages.is_empty() && self.dice.roll(3) == 0 {
            // Message numbers mean the messages that had them at this moment.
            let (set, _) = self.set(who, false);
            let (from, to) = set.split_once(':').unwrap();
            let range = from.parse::<usize>().unwrap() - 1..to.parse().unwrap();
            let known = &self.clients[who].messages[range];
            let uids: Vec<String> = known.iter().map(|k| k.uid.unwrap().to_string()).collect();
            again = format!("{keys} UID {}", uids.join(","));
            keys = if modes.uid_only {
                again.clone()
            } else {
                format!("{keys} {set}")
            };
        }
        let (verb, order) = match self.dice.roll(5) {
            0 => ("SORT", "(SUBJECT) UTF-8 "),
            1 => ("SORT", "(REVERSE SIZE) UTF-8 "),
            2 => ("SORT", "(SIZE REVERSE SUBJECT) UTF-8 "),
            _ => ("SEARCH", ""),
        };
        let verb = if uid { format!("UID {verb}") } else { verb.to_owned() };
        let context = Context {
            tag: self.clients[who].next_tag(),
            uid,
            again: format!("{verb} RETURN (ALL) {order}{again}"),
            result: Vec::new(),
        };
        self.clients[who].contexts.push(context);
        let reply = self.clients[who].ok(&format!("{verb} RETURN (UPDATE ALL) {order}{keys}"));
        self.check_fetched(who, mailbox, &reply);
        self.learn(who, mailbox);
    }

    fn context_end(&mut self, who: usize) {
        if let Some(context) = self.clients[who].contexts.pop() {
            let reply = self.clients[who].ok(&format!("CANCELUPDATE \"{}\"", context.tag));
            if let Some(mailbox) = self.selected[who] {
                self.check_fetched(who, mailbox, &reply);
                self.learn(who, mailbox);
            }
        }
    }

    fn copy(&mut self, who: usize, mailbox: usize, uid: bool, away: bool) {
        let (set, uids) = self.set(who, uid);
        let to = self.dice.roll(2);
        let verb = if away { "MOVE" } else { "COPY" };
        let verb = if uid { format!("UID {verb}") } else { verb.to_owned() };
        let reply = self.clients[who].command(&format!("{verb} {set} {}", self.names[to]));
        if away && self.read_only[who] {
            assert_eq!(reply.status, "NO", "{}", self.clients[who].trouble("read-only"));
            return;
        }
        assert_eq!(reply.status, "OK", "{}", self.clients[who].trouble("COPY"));
        let there: Vec<Message> = uids
            .iter()
            .filter_map(|uid| self.boxes[mailbox].find(*uid).cloned())
            .collect();
        let mut went = Vec::new();
        for message in &there {
            let step = self.next_step();
            went.push(self.boxes[to].add(message.flags.clone(), &message.text, step));
        }
        if away && !there.is_empty() {
            self.next_step();
            self.boxes[mailbox]
                .messages
                .retain(|m| !there.iter().any(|t| t.uid == m.uid));
        }
        let told = reply.code("COPYUID");
        assert_eq!(
            told.is_some(),
            !there.is_empty(),
            "{}",
            self.clients[who].trouble("COPYUID")
        );
        if let Some(told) = told {
            let mut parts = told.split(' ').skip(1).map(numbers);
            let from: Vec<u32> = there.iter().map(|m| m.uid).collect();
            assert_eq!(parts.next(), Some(from), "{}", self.clients[who].trouble("COPYUID"));
            assert_eq!(parts.next(), Some(went), "{}", self.clients[who].trouble("COPYUID"));
        }
        self.check_fetched(who, mailbox, &reply);
        self.learn(who, mailbox);
    }

    fn expunge(&mut self, who: usize, mailbox: usize) {
        let some = self.dice.roll(2) == 0 && !self.clients[who].messages.is_empty();
        let (command, among) = if some {
            let (set, uids) = self.set(who, true);
            (format!("UID EXPUNGE {set}"), Some(uids))
        } else {
            ("EXPUNGE".to_owned(), None)
        };
        let reply = self.clients[who].command(&command);
        if self.read_only[who] {
            assert_eq!(reply.status, "NO", "{}", self.clients[who].trouble("read-only"));
            return;
        }
        assert_eq!(reply.status, "OK", "{}", self.clients[who].trouble("EXPUNGE"));
        self.take_away(mailbox, among.as_deref());
        self.check_fetched(who, mailbox, &reply);
        self.settle(who);
    }

    fn take_away(&mut self, mailbox: usize, among: Option<&[u32]>) {
        let before = self.boxes[mailbox].messages.len();
        self.boxes[mailbox]
            .messages
            .retain(|m| !m.flags.contains("\\Deleted") || among.is_some_and(|among| !among.contains(&m.uid)));
        if self.boxes[mailbox].messages.len() < before {
            self.next_step();
        }
    }

    fn close(&mut self, who: usize, mailbox: usize) {
        self.clients[who].ok("CLOSE");
        if !self.read_only[who] {
            self.take_away(mailbox, None);
        }
        self.selected[who] = None;
        self.clients[who].forget();
    }
}

fn run(seed: u64, clients: &mut [Client]) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        dice.roll(2);
    }
    let names = [format!("a{seed}"), format!("b{seed}")];
    let first = dice.roll(clients.len());
    clients.rotate_left(first);
    let mut world = World {
        dice,
        names,
        boxes: Default::default(),
        step: 0,
        modseqs: BTreeMap::new(),
        clients: clients.iter_mut().take(3).collect(),
        selected: vec![None; 3],
        read_only: vec![false; 3],
    };
    for name in world.names.clone() {
        world.clients[0].ok(&format!("CREATE {name}"));
    }
    for _ in 0..world.dice.roll(6) {
        world.append(0);
    }
    for who in 0..3 {
        world.select(who);
    }
    for _ in 0..COMMANDS {
        let who = world.dice.roll(3);
        if world.dice.roll(12) == 0 {
            world.select(who);
        } else {
            world.act(who);
        }
    }
    for who in 0..3 {
        world.settle(who);
        if world.selected[who].is_some() {
            world.clients[who].ok("UNSELECT");
        }
        world.clients[who].forget();
        world.clients[who].transcript.clear();
    }
    for name in world.names.clone() {
        world.clients[0].ok(&format!("DELETE {name}"));
    }
}

/// All the ways a client may want to be told, often enough to meet each other.
fn modes() -> Vec<Modes> {
    let plain = Modes::default();
    let condstore = Modes {
        condstore: true,
        ..plain
    };
    let qresync = Modes { qresync: true, ..plain };
    vec![
        plain,
        Modes { rev2: true, ..qresync },
        Modes { rev2: true, ..plain },
        condstore,
        Modes {
            uid_only: true,
            ..plain
        },
        qresync,
        Modes {
            uid_only: true,
            ..qresync
        },
    ]
}

#[test]
fn sessions_agree_with_the_model() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (from, count) = match number("MODEL_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("MODEL_SEEDS").unwrap_or(2000)),
    };
    let lanes = if count == 1 { 1 } else { 2 };
    std::thread::scope(|scope| {
        for lane in 0..lanes {
            scope.spawn(move || {
                let server = Server::start(Mode::Plain, options());
                let mut clients: Vec<Client> = Vec::new();
                for seed in (from..from + count).filter(|seed| seed % lanes == lane % lanes || count == 1) {
                    if clients.is_empty() {
                        for (i, modes) in modes().into_iter().enumerate() {
                            clients.push(Client::open(
                                server.address,
                                &format!("c{i}"),
                                "ada@rohrpost.test",
                                PASSWORD,
                                modes,
                            ));
                        }
                    }
                    // The order of clients is the seed's alone, so that a seed can be run by itself.
                    clients.sort_by(|a, b| a.name.cmp(&b.name));
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &mut clients)));
                    assert!(result.is_ok(), "seed {seed} (MODEL_SEED={seed} repeats it)");
                }
            });
        }
    });
}
