//! Looking for something in the index.

use crate::cells::unseal;
use crate::columns::{Columns, Group};
use crate::doc::Doc;
use crate::fuzzy::{FuzzyWords, Scope};
use crate::gram::{self, Slots};
use crate::index::Index;
use crate::segment::Layout;
use crate::{Error, Result};
use memchr::memmem;
use mime::Needle;
use std::ops::Range;

/// What can be looked for in a message.
#[derive(Clone, Debug)]
pub enum Leaf {
    /// In header or body.
    Text(Needle),
    /// In the body, headers of parts included.
    Body(Needle),
    /// In a field of that name. With an empty needle: there is such a field.
    Header {
        /// In lower case.
        name: String,
        /// What its value is to contain.
        needle: Needle,
    },
    /// In the subject.
    Subject(Needle),
    /// In `From` (0), `To` (1), `Cc` (2) or `Bcc` (3).
    People(usize, Needle),
    /// `Date:` names one of these days.
    Sent(Range<i64>),
    /// Words, or words like them.
    Fuzzy(Scope, FuzzyWords),
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// It is not what is looked for.
    No,
    /// It is.
    Yes,
    /// The index cannot say: it does not have the message, or not all of its text.
    Unsure,
}

/// The answer for a list of messages, in its order.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// For each whether it is what is looked for.
    pub hits: Vec<Hit>,
    /// For each how well it fits, 0 and up. Empty but for [`Leaf::Fuzzy`].
    pub scores: Vec<f32>,
}

impl Leaf {
    /// A header field, by any of its names.
    pub fn header(name: &str, needle: &str) -> Leaf {
        Leaf::Header {
            name: mime::fold(name),
            needle: Needle::new(needle),
        }
    }

    pub(crate) fn is_in(&self, doc: &Doc) -> bool {
        match self {
            Leaf::Subject(needle) => needle.is_in_folded(&doc.keys.subject),
            Leaf::People(which, needle) => {
                let people = doc.keys.people.get(*which);
                people.is_some_and(|people| needle.is_in_folded(people))
            }
            Leaf::Sent(days) => doc.keys.day.is_some_and(|day| days.contains(&day)),
            leaf => leaf.is_in_text(&doc.head, &doc.body).is_some(),
        }
    }

    /// For leaves that look into texts: how well they fit, if they do.
    pub(crate) fn is_in_text(&self, head: &str, body: &str) -> Option<f32> {
        let found = match self {
            Leaf::Text(needle) => needle.is_in_folded(head) || needle.is_in_folded(body),
            Leaf::Body(needle) => needle.is_in_folded(body),
            Leaf::Header { name, needle } => has_field(head, name, needle),
            Leaf::Fuzzy(scope, words) => return words.score(*scope, head, body),
            _ => false,
        };
        found.then_some(1.0)
    }

    fn group(&self) -> Option<Group> {
        match self {
            Leaf::Subject(_) | Leaf::Sent(_) => Some(Group::Subject),
            Leaf::People(..) => Some(Group::People),
            _ => None,
        }
    }
}

/// Whether a header, a field a line, has such a field.
fn has_field(head: &str, name: &str, needle: &Needle) -> bool {
    let value = |line: &str| -> bool {
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        value.is_some_and(|value| needle.is_in_folded(value))
    };
    // Most headers do not have it, and their lines need not be told apart.
    memmem::find(head.as_bytes(), name.as_bytes()).is_some() && head.lines().any(value)
}

impl Index {
    /// Says of each of these contents, given in ascending order, whether it is what is looked for. `stop` is asked now and then.
    pub fn find(&self, ids: &[u32], leaf: &Leaf, stop: &dyn Fn() -> bool) -> Result<Found> {
        debug_assert!(ids.is_sorted());
        let _reading = self.reading();
        if let Some(group) = leaf.group() {
            let columns = self.columns_now(group)?;
            return Ok(Found {
                hits: by_column(ids, leaf, &columns),
                scores: Vec::new(),
            });
        }
        let mut found = self.by_text(ids, leaf, stop)?;
        if let Leaf::Fuzzy(scope, words) = leaf
            && !words.is_loose()
            && !found.hits.contains(&Hit::Yes)
        {
            // Nothing has these words; perhaps one is misspelt.
            let loose = Leaf::Fuzzy(*scope, words.loosened());
            found = self.by_text(ids, &loose, stop)?;
        }
        Ok(found)
    }

    fn by_text(&self, ids: &[u32], leaf: &Leaf, stop: &dyn Fn() -> bool) -> Result<Found> {
        let view = self.view()?;
        let mut hits = vec![Hit::Unsure; ids.len()];
        let mut scores = vec![0.0; ids.len()];
        let mut note = |at: usize, score: Option<f32>, cut: bool| {
            let hit = match score {
                Some(_) => Hit::Yes,
                None if cut => Hit::Unsure,
                None => Hit::No,
            };
            if let (Some(slot), Some(place)) = (hits.get_mut(at), scores.get_mut(at)) {
                *slot = hit;
                *place = score.unwrap_or(0.0);
            }
        };
        let filter = Filter::of(leaf);
        for segment in view.segments.iter() {
            if stop() {
                return Err(Error::Stopped);
            }
            let wanted = meeting(ids, &segment.ids);
            if wanted.is_empty() {
                continue;
            }
            let layout = self.layout(&view, segment.number)?;
            let candidates = self.candidates(segment.number, &filter, &layout)?;
            let mut look: Vec<(usize, usize)> = Vec::new();
            for &(at, slot) in &wanted {
                if !candidates.contains(slot) && !segment.has_cuts {
                    note(at, None, false);
                } else if filter.is_answer && candidates.contains(slot) {
                    note(at, Some(1.0), false);
                } else {
                    look.push((at, slot));
                }
            }
            self.look(segment.number, &layout, &look, &candidates, |at, texts, cut| {
                note(at, texts.and_then(|(head, body)| leaf.is_in_text(head, body)), cut);
            })?;
        }
        for (at, slot) in meeting(ids, &view.tail.ids) {
            if slot % 64 == 0 && stop() {
                return Err(Error::Stopped);
            }
            if let Some(doc) = view.tail.docs.get(slot) {
                note(at, leaf.is_in_text(&doc.head, &doc.body), doc.cut);
            }
        }
        if !matches!(leaf, Leaf::Fuzzy(..)) {
            scores.clear();
        }
        Ok(Found { hits, scores })
    }

    /// Texts of a segment that may be what is looked for.
    fn candidates(&self, segment: i64, filter: &Filter, layout: &Layout) -> Result<Slots> {
        if filter.any.is_empty() {
            return Ok(Slots::ALL);
        }
        self.read(|tx| {
            let row = |pair: u32, thirds: &dyn Fn(u8) -> bool| {
                if !layout.has_pair(pair) {
                    return Ok(Slots::NONE);
                }
                let read = tx.query_row(
                    "SELECT slots FROM search_gram WHERE account = ?1 AND segment = ?2 AND pair = ?3",
                    &[self.account(), segment.into(), pair.into()],
                    |row| Ok(unseal(row.blob(0)?).and_then(|slots| gram::read(slots, thirds))),
                )?;
                read.unwrap_or(Err(Error::Damaged("a row of triples is not there")))
            };
            let mut any = Slots::NONE;
            for wanted in &filter.any {
                let mut slots = Slots::ALL;
                match wanted {
                    Wanted::Triples(triples) => {
                        for [a, b, c] in triples {
                            slots.keep(&row(u32::from(*a) << 8 | u32::from(*b), &|third| third == *c)?);
                            if slots.is_empty() {
                                break;
                            }
                        }
                    }
                    Wanted::Pair(pair) => slots = row(*pair, &|_| true)?,
                }
                any.add(&slots);
            }
            Ok(any)
        })
    }

    /// Reads texts of a segment, given as (position in the list, slot) in ascending order.
    fn look(
        &self,
        segment: i64,
        layout: &Layout,
        look: &[(usize, usize)],
        candidates: &Slots,
        mut each: impl FnMut(usize, Option<(&str, &str)>, bool),
    ) -> Result<()> {
        if look.is_empty() {
            return Ok(());
        }
        let mut open: Option<(u32, String)> = None;
        for &(at, slot) in look {
            let place = layout.places.get(slot).ok_or(Error::Damaged("a text has no place"))?;
            if !candidates.contains(slot) {
                each(at, None, place.cut);
                continue;
            }
            if open.as_ref().is_none_or(|(block, _)| *block != place.block) {
                open = Some((place.block, self.block(segment, place.block)?));
            }
            if let Some((_, text)) = &open {
                each(at, Some(place.of(text)?), place.cut);
            }
        }
        Ok(())
    }
}

fn by_column(ids: &[u32], leaf: &Leaf, columns: &Columns) -> Vec<Hit> {
    let mut hint = (0, 0);
    let mut hits = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(row) = columns.row_near(*id, &mut hint) else {
            hits.push(Hit::Unsure);
            continue;
        };
        let found = match leaf {
            Leaf::Subject(needle) => needle.is_in_folded(row.subject()),
            Leaf::People(which, needle) => needle.is_in_folded(row.people(*which)),
            Leaf::Sent(days) => row.day().is_some_and(|day| days.contains(&day)),
            _ => false,
        };
        hits.push(match found {
            true => Hit::Yes,
            false if row.is_cut() && !matches!(leaf, Leaf::Sent(_)) => Hit::Unsure,
            false => Hit::No,
        });
    }
    hits
}

/// Positions of what two ascending lists have in common.
fn meeting(ids: &[u32], known: &[u32]) -> Vec<(usize, usize)> {
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return Vec::new();
    };
    let from = ids.partition_point(|id| id < first);
    let mut meeting = Vec::new();
    let mut slot = 0;
    for (at, id) in ids.iter().enumerate().skip(from) {
        if id > last {
            break;
        }
        while known.get(slot).is_some_and(|known| known < id) {
            slot += 1;
        }
        if known.get(slot) == Some(id) {
            meeting.push((at, slot));
        }
    }
    meeting
}

/// What a text must hold to be looked into.
struct Filter {
    /// One of these. Empty: nothing is ruled out.
    any: Vec<Wanted>,
    /// Whoever passes is what is looked for.
    is_answer: bool,
}

enum Wanted {
    /// All of these.
    Triples(Vec<[u8; 3]>),
    /// Two octets in a row, with another behind, as there always is: a text ends with a line end.
    Pair(u32),
}

impl Filter {
    fn of(leaf: &Leaf) -> Filter {
        let all = Filter {
            any: Vec::new(),
            is_answer: false,
        };
        match leaf {
            Leaf::Text(needle) | Leaf::Body(needle) => match needle.folded() {
                [] => Filter { is_answer: true, ..all },
                // One letter is in nearly every text.
                [_] => all,
                [a, b] => Filter {
                    any: vec![Wanted::Pair(u32::from(*a) << 8 | u32::from(*b))],
                    is_answer: matches!(leaf, Leaf::Text(_)),
                },
                longer => Filter {
                    any: vec![Wanted::Triples(gram::triples(longer))],
                    is_answer: longer.len() == 3 && matches!(leaf, Leaf::Text(_)),
                },
            },
            Leaf::Header { name, needle } => {
                let mut triples = gram::triples(format!("{name}: ").as_bytes());
                triples.extend(gram::triples(needle.folded()));
                Filter {
                    any: vec![Wanted::Triples(triples)],
                    ..all
                }
            }
            Leaf::Fuzzy(_, words) => Filter {
                any: words
                    .beginnings()
                    .iter()
                    .map(|start| Wanted::Triples(gram::triples(start.as_bytes())))
                    .collect(),
                ..all
            },
            _ => all,
        }
    }
}
