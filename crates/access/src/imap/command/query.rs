//! What SEARCH looks for, made ready for one mailbox. RFC 9051 §6.4.4.
//!
//! A key is first put to what the view in memory knows of a message. Where that doesn't decide, the search index is asked, and only
//! where the index cannot say, the message itself is read: see `evaluate`.

use crate::imap::blocking;
use crate::imap::object;
use ::search::{FuzzyWords, Leaf, Scope};
use imap::command::SearchKey;
use imap::{Date, Flag, NumberSet, ObjectKind, SequenceSet};
use mime::Needle;
use std::ops::Range;
use store::{Account, ContentId, Flags, Keywords, MailboxId, Message, Snapshot, Uid};

const DAY: i64 = 86_400;

/// A search key.
#[derive(Debug)]
pub(super) enum Query {
    Always(bool),
    Flags {
        flags: Flags,
        set: bool,
    },
    Recent(bool),
    Positions(NumberSet),
    Uids(NumberSet),
    Received(Range<i64>),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    /// Messages of these contents, ascending.
    Contents(Vec<ContentId>),
    /// What is in the index.
    Leaf(Box<Leaf>),
    Not(Box<Query>),
    Or(Box<(Query, Query)>),
    And(Vec<Query>),
}

/// What a query is made ready with.
pub(super) struct Setting<'a> {
    /// Where the mailbox is, for keys that the view does not know.
    pub(super) account: &'a Account,
    pub(super) mailbox: MailboxId,
    /// What the client knows.
    pub(super) told: &'a Snapshot,
    /// The result that `$` stands for.
    pub(super) saved: &'a NumberSet,
    pub(super) newest: &'a Snapshot,
    pub(super) now: i64,
}

impl Query {
    /// All of these keys.
    pub(super) fn all(keys: &[SearchKey], setting: &Setting<'_>) -> Result<Query, &'static str> {
        Query::every(keys, setting, false)
    }

    fn every(keys: &[SearchKey], setting: &Setting<'_>, fuzzy: bool) -> Result<Query, &'static str> {
        let mut all = keys
            .iter()
            .map(|key| Query::new(key, setting, fuzzy))
            .collect::<Result<Vec<Query>, _>>()?;
        // What is cheap may spare what is dear.
        all.sort_by_key(Query::cost);
        Ok(Query::And(all))
    }

    /// `fuzzy`: a FUZZY stands around it (RFC 6203 §3). What is no text is as exact as without.
    fn new(key: &SearchKey, setting: &Setting<'_>, fuzzy: bool) -> Result<Query, &'static str> {
        use SearchKey as K;
        let day = |date: &Date| date.0.saturating_mul(DAY);
        let ago = |seconds: &u32| setting.now - i64::from(*seconds);
        let leaf = |exact: Leaf, scope: Scope, text: &str| {
            Query::leaf(match fuzzy && !text.trim().is_empty() {
                true => Leaf::Fuzzy(scope, FuzzyWords::new(text)),
                false => exact,
            })
        };
        let people = |which, name, text: &str| leaf(Leaf::People(which, Needle::new(text)), Scope::Field(name), text);
        let sent = |days: Range<i64>| Query::leaf(Leaf::Sent(days));
        Ok(match key {
            K::All => Query::Always(true),
            K::Flag(flag) => Query::flag(flag, true, &setting.newest.keywords),
            K::NotFlag(flag) => Query::flag(flag, false, &setting.newest.keywords),
            K::Recent => Query::Recent(true),
            K::Old => Query::Recent(false),
            K::New => Query::And(vec![
                Query::Recent(true),
                Query::flag(&Flag::Seen, false, &setting.newest.keywords),
            ]),
            K::Sequence(SequenceSet::Saved) => Query::Uids(setting.saved.clone()),
            // RFC 7377 §2: what lies beyond the mailbox is no error here.
            K::Sequence(set) => {
                let count = u32::try_from(setting.told.len()).unwrap_or(u32::MAX);
                let numbers = set.resolve(count).unwrap_or_default();
                let positions = numbers.ranges().map(|range| (range.start() - 1, range.end() - 1));
                Query::Positions(NumberSet::from_ranges(positions))
            }
            K::Uid(set) => {
                let last = setting.told.last().map_or(0, |message| message.uid.0);
                Query::Uids(set.resolve(last).unwrap_or_else(|| setting.saved.clone()))
            }
            K::From(text) => people(0, "from", text),
            K::To(text) => people(1, "to", text),
            K::Cc(text) => people(2, "cc", text),
            K::Bcc(text) => people(3, "bcc", text),
            K::Subject(text) => leaf(Leaf::Subject(Needle::new(text)), Scope::Field("subject"), text),
            K::Header(name, text) => Query::leaf(Leaf::header(name, text)),
            K::Body(text) => leaf(Leaf::Body(Needle::new(text)), Scope::Body, text),
            K::Text(text) => leaf(Leaf::Text(Needle::new(text)), Scope::Text, text),
            K::Before(date) => Query::Received(i64::MIN..day(date)),
            K::On(date) => Query::Received(day(date)..day(date) + DAY),
            K::Since(date) => Query::Received(day(date)..i64::MAX),
            K::SentBefore(date) => sent(i64::MIN..date.0),
            K::SentOn(date) => sent(date.0..date.0 + 1),
            K::SentSince(date) => sent(date.0..i64::MAX),
            K::Older(seconds) => Query::Received(i64::MIN..ago(seconds) + 1),
            K::Younger(seconds) => Query::Received(ago(seconds)..i64::MAX),
            K::Larger(octets) => Query::Larger(*octets),
            K::Smaller(octets) => Query::Smaller(*octets),
            K::ModSeq(modseq) => Query::ModSeq(*modseq),
            K::EmailId(id) => Query::email(id, setting),
            K::ThreadId(id) => Query::thread(id, setting)?,
            K::SavedBefore(date) => Query::saved(&(i64::MIN..day(date)), setting)?,
            K::SavedOn(date) => Query::saved(&(day(date)..day(date) + DAY), setting)?,
            K::SavedSince(date) => Query::saved(&(day(date)..i64::MAX), setting)?,
            K::SaveDateSupported => Query::Always(true),
            K::Not(key) => Query::Not(Box::new(Query::new(key, setting, fuzzy)?)),
            K::Or(a, b) => {
                let (a, b) = (Query::new(a, setting, fuzzy)?, Query::new(b, setting, fuzzy)?);
                Query::Or(Box::new(if a.cost() <= b.cost() { (a, b) } else { (b, a) }))
            }
            K::And(keys) => Query::every(keys, setting, fuzzy)?,
            K::Fuzzy(key) => Query::new(key, setting, true)?,
            _ => return Err("that search key is not known here"),
        })
    }

    fn email(id: &str, setting: &Setting<'_>) -> Query {
        let number = ObjectKind::Email.read(id);
        let content = number.and_then(|number| object::content_of(setting.account.id(), number));
        Query::Contents(content.into_iter().collect())
    }

    fn thread(id: &str, setting: &Setting<'_>) -> std::result::Result<Query, &'static str> {
        let account = setting.account;
        let number = ObjectKind::Thread.read(id);
        let Some(thread) = number.and_then(|number| object::content_of(account.id(), number)) else {
            return Ok(Query::Always(false));
        };
        let contents = blocking(|| account.thread_contents(thread));
        contents
            .map(Query::Contents)
            .map_err(|_| "conversations cannot be looked up now")
    }

    fn saved(times: &Range<i64>, setting: &Setting<'_>) -> std::result::Result<Query, &'static str> {
        let uids = blocking(|| setting.account.message_saved_within(setting.mailbox, times));
        let uids = uids.map_err(|_| "save dates cannot be looked up now")?;
        Ok(Query::Uids(uids.iter().map(|uid| uid.0).collect()))
    }

    fn leaf(leaf: Leaf) -> Query {
        Query::Leaf(Box::new(leaf))
    }

    fn flag(flag: &Flag, set: bool, keywords: &Keywords) -> Query {
        let known = Flags::system(flag.name()).or_else(|| keywords.find(flag.name()));
        match known {
            Some(flags) => Query::Flags { flags, set },
            // Nobody has a keyword that was never used.
            None => Query::Always(!set),
        }
    }

    /// What an answer costs: memory, a column, a text, many texts.
    fn cost(&self) -> u8 {
        match self {
            Query::Leaf(leaf) => match **leaf {
                Leaf::Subject(_) | Leaf::People(..) | Leaf::Sent(_) => 1,
                Leaf::Header { .. } => 2,
                Leaf::Fuzzy(..) => 4,
                _ => 3,
            },
            Query::Not(query) => query.cost(),
            Query::Or(both) => both.0.cost().max(both.1.cost()),
            Query::And(all) => all.iter().map(Query::cost).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether the view in memory may not be enough.
    pub(super) fn needs_index(&self) -> bool {
        self.cost() > 0
    }

    /// What the view in memory says of a message at a position; `None` where that doesn't decide.
    pub(super) fn quick(&self, message: &Message, position: u32, recent_from: Uid) -> Option<bool> {
        Some(match self {
            Query::Always(answer) => *answer,
            Query::Flags { flags, set } => message.flags.contains(*flags) == *set,
            Query::Recent(recent) => (message.uid >= recent_from) == *recent,
            Query::Positions(positions) => positions.contains(position),
            Query::Uids(uids) => uids.contains(message.uid.0),
            Query::Received(range) => range.contains(&i64::from(message.received)),
            Query::Larger(octets) => u64::from(message.size) > *octets,
            Query::Smaller(octets) => u64::from(message.size) < *octets,
            Query::ModSeq(modseq) => message.modseq.0 >= *modseq,
            Query::Contents(contents) => contents.binary_search(&message.content).is_ok(),
            Query::Leaf(_) => return None,
            Query::Not(query) => !query.quick(message, position, recent_from)?,
            Query::Or(both) => {
                let (a, b) = (
                    both.0.quick(message, position, recent_from),
                    both.1.quick(message, position, recent_from),
                );
                match (a, b) {
                    (Some(true), _) | (_, Some(true)) => true,
                    (Some(false), Some(false)) => false,
                    _ => return None,
                }
            }
            Query::And(all) => {
                let mut open = false;
                for query in all {
                    match query.quick(message, position, recent_from) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => open = true,
                    }
                }
                if open {
                    return None;
                }
                true
            }
        })
    }
}
