//! What SEARCH looks for, made ready for one mailbox. RFC 9051 §6.4.4.
//!
//! A key is first put to what the view in memory knows of a message. Only where that doesn't decide, the message's row is read,
//! and only for `HEADER`, `BODY` and `TEXT` its octets.

use super::section::Reading;
use crate::imap::envelope::{self, Field};
use crate::imap::selected::Selected;
use imap::command::SearchKey;
use imap::{Date, Flag, NumberSet};
use mime::Needle;
use std::ops::Range;
use store::{Flags, Keywords, Message, Result, Snapshot, Uid};

const DAY: i64 = 86_400;

/// A search key.
pub(super) enum Query {
    Always(bool),
    Flags { flags: Flags, set: bool },
    Recent(bool),
    Positions(NumberSet),
    Uids(NumberSet),
    Received(Range<i64>),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    Addresses(Field, Needle),
    Subject(Needle),
    MessageId(Needle),
    Sent(Range<i64>),
    HeaderExists(String),
    Header(String, Needle),
    Body(Needle),
    Text(Needle),
    Not(Box<Query>),
    Or(Box<(Query, Query)>),
    And(Vec<Query>),
}

/// What a query is made ready with.
pub(super) struct Setting<'a> {
    pub(super) selected: &'a Selected,
    pub(super) newest: &'a Snapshot,
    pub(super) now: i64,
}

impl Query {
    /// All of these keys. `Err`: a sequence number that is not in the mailbox.
    pub(super) fn all(keys: &[SearchKey], setting: &Setting<'_>) -> std::result::Result<Query, &'static str> {
        let mut all = keys
            .iter()
            .map(|key| Query::new(key, setting))
            .collect::<std::result::Result<Vec<Query>, _>>()?;
        // What is cheap may spare what is dear.
        all.sort_by_key(Query::cost);
        Ok(Query::And(all))
    }

    fn new(key: &SearchKey, setting: &Setting<'_>) -> std::result::Result<Query, &'static str> {
        use SearchKey as K;
        let day = |date: &Date| date.0.saturating_mul(DAY);
        let ago = |seconds: &u32| setting.now - i64::from(*seconds);
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
            // RFC 7377 §2: what lies beyond the mailbox is no error here.
            K::Sequence(imap::SequenceSet::Saved) => Query::Uids(setting.selected.saved.clone()),
            K::Sequence(set) => {
                let count = u32::try_from(setting.selected.told.len()).unwrap_or(u32::MAX);
                let numbers = set.resolve(count).unwrap_or_default();
                Query::Positions(NumberSet::from_ranges(
                    numbers.ranges().map(|range| (range.start() - 1, range.end() - 1)),
                ))
            }
            K::Uid(set) => {
                let last = setting.selected.told.last().map_or(0, |message| message.uid.0);
                Query::Uids(set.resolve(last).unwrap_or_else(|| setting.selected.saved.clone()))
            }
            K::Bcc(text) => Query::Addresses(Field::Bcc, Needle::new(text)),
            K::Cc(text) => Query::Addresses(Field::Cc, Needle::new(text)),
            K::From(text) => Query::Addresses(Field::From, Needle::new(text)),
            K::To(text) => Query::Addresses(Field::To, Needle::new(text)),
            K::Subject(text) => Query::Subject(Needle::new(text)),
            K::Header(name, text) if text.is_empty() => Query::HeaderExists(name.clone()),
            K::Header(name, text) if name.eq_ignore_ascii_case("Message-ID") => Query::MessageId(Needle::new(text)),
            K::Header(name, text) => Query::Header(name.clone(), Needle::new(text)),
            K::Body(text) => Query::Body(Needle::new(text)),
            K::Text(text) => Query::Text(Needle::new(text)),
            K::Before(date) => Query::Received(i64::MIN..day(date)),
            K::On(date) => Query::Received(day(date)..day(date) + DAY),
            K::Since(date) => Query::Received(day(date)..i64::MAX),
            K::SentBefore(date) => Query::Sent(i64::MIN..date.0),
            K::SentOn(date) => Query::Sent(date.0..date.0 + 1),
            K::SentSince(date) => Query::Sent(date.0..i64::MAX),
            K::Older(seconds) => Query::Received(i64::MIN..ago(seconds) + 1),
            K::Younger(seconds) => Query::Received(ago(seconds)..i64::MAX),
            K::Larger(octets) => Query::Larger(*octets),
            K::Smaller(octets) => Query::Smaller(*octets),
            K::ModSeq(modseq) => Query::ModSeq(*modseq),
            K::Not(key) => Query::Not(Box::new(Query::new(key, setting)?)),
            K::Or(a, b) => {
                let (a, b) = (Query::new(a, setting)?, Query::new(b, setting)?);
                Query::Or(Box::new(if a.cost() <= b.cost() { (a, b) } else { (b, a) }))
            }
            K::And(keys) => Query::all(keys, setting)?,
            _ => return Err("that search key is not known here"),
        })
    }

    fn flag(flag: &Flag, set: bool, keywords: &Keywords) -> Query {
        let known = Flags::system(flag.name()).or_else(|| keywords.find(flag.name()));
        match known {
            Some(flags) => Query::Flags { flags, set },
            // Nobody has a keyword that was never used.
            None => Query::Always(!set),
        }
    }

    /// What an answer costs: memory, a row, a header, the message.
    fn cost(&self) -> u8 {
        match self {
            Query::Addresses(..) | Query::Subject(_) | Query::MessageId(_) | Query::Sent(_) => 1,
            Query::HeaderExists(_) | Query::Header(..) => 2,
            Query::Body(_) | Query::Text(_) => 3,
            Query::Not(query) => query.cost(),
            Query::Or(both) => both.0.cost().max(both.1.cost()),
            Query::And(all) => all.iter().map(Query::cost).max().unwrap_or(0),
            _ => 0,
        }
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
            _ => return None,
        })
    }

    /// The same, reading what it takes.
    pub(super) fn full(
        &self,
        message: &Message,
        position: u32,
        recent_from: Uid,
        reading: &Reading<'_>,
        part_limit: u64,
    ) -> Result<bool> {
        let envelope = &reading.content.digest.envelope;
        let full = |query: &Query| query.full(message, position, recent_from, reading, part_limit);
        Ok(match self {
            Query::Addresses(field, needle) => needle.is_in(&envelope::addresses(envelope, *field)),
            Query::Subject(needle) => {
                let subject = envelope::text(envelope, Field::Subject).unwrap_or_default();
                needle.is_in(&mime::decode_header(&subject))
            }
            Query::MessageId(needle) => {
                let id = envelope::text(envelope, Field::MessageId).unwrap_or_default();
                needle.is_in(&String::from_utf8_lossy(&id))
            }
            Query::Sent(days) => {
                let date = envelope::text(envelope, Field::Date).and_then(|date| mime::Date::parse(&date));
                date.is_some_and(|date| days.contains(&date.day()))
            }
            Query::HeaderExists(name) => mime::header_field(&reading.header()?, name).is_some(),
            Query::Header(name, needle) => {
                let header = reading.header()?;
                mime::fields(&header)
                    .filter(|field| field.is(name))
                    .any(|field| needle.is_in(&mime::decode_header(&mime::unfold(field.value))))
            }
            Query::Body(needle) => contains(reading, needle, false, part_limit)?,
            Query::Text(needle) => contains(reading, needle, true, part_limit)?,
            Query::Not(query) => !full(query)?,
            Query::Or(both) => full(&both.0)? || full(&both.1)?,
            Query::And(all) => {
                for query in all {
                    if !full(query)? {
                        return Ok(false);
                    }
                }
                true
            }
            quick => quick.quick(message, position, recent_from).unwrap_or(false),
        })
    }
}

/// Whether the text of a message contains something, part by part. `mime::search_text` says which parts count.
fn contains(reading: &Reading<'_>, needle: &Needle, header: bool, part_limit: u64) -> Result<bool> {
    let structure = reading.structure()?;
    let mut text = String::new();
    for (index, part) in structure.parts().iter().enumerate() {
        text.clear();
        if index > 0 || header {
            let range = part.header_range();
            let octets = reading.octets(range.start..range.end.min(range.start + part_limit))?;
            mime::header_text(&octets, &mut text);
        }
        let is_text = part.is_text() || part.media_type.eq_ignore_ascii_case(b"message");
        if part.kind == mime::Kind::Leaf && is_text {
            let range = part.body_range();
            let octets = reading.octets(range.start..range.end.min(range.start + part_limit))?;
            mime::body_text(&octets, part, &mut text);
        }
        if needle.is_in(&text) {
            return Ok(true);
        }
    }
    Ok(false)
}
