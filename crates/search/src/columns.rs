//! Sort keys and short texts by column: what a command needs of all messages is read together, and nothing else.

use crate::cells::{Cells, put_number, put_signed, put_text};
use crate::doc::Keys;
use crate::{Error, Result};
use std::sync::Arc;

/// Columns that are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Sent date and day, subject, base subject.
    Subject,
    /// `From`, `To`, `Cc` and `Bcc` as they are searched.
    People,
    /// First addresses and names as they are sorted by.
    Names,
    /// Message-ID and references.
    Links,
}

impl Group {
    pub(crate) const ALL: [Group; 4] = [Group::Subject, Group::People, Group::Names, Group::Links];

    fn texts(self) -> usize {
        match self {
            Group::Subject => 2,
            Group::People => 4,
            Group::Names => 5,
            Group::Links => 0,
        }
    }

    fn numbers(self) -> usize {
        match self {
            Group::Subject => 3,
            Group::People => 1,
            Group::Names | Group::Links => 0,
        }
    }
}

/// A longer text is cut in a column: who needs it whole looks into the message. Bounds what a stranger can make us hold.
pub(crate) const CELL_MOST: usize = 1024;

/// In the last number of a row: the base subject was found in a reply or forward.
const REPLY: i64 = 1;
/// Texts were cut.
const CUT: i64 = 2;

/// The columns of one segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    texts: String,
    ends: Vec<u32>,
    numbers: Vec<i64>,
    links: Vec<u64>,
    link_ends: Vec<u32>,
}

impl Chunk {
    pub(crate) fn of<'k>(group: Group, keys: impl Iterator<Item = &'k Keys>) -> Chunk {
        let mut chunk = Chunk::default();
        for keys in keys {
            let mut cut = false;
            let mut push = |chunk: &mut Chunk, text: &str| {
                let mut end = text.len().min(CELL_MOST);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                cut |= end < text.len();
                chunk.texts.push_str(text.get(..end).unwrap_or_default());
                chunk.ends.push(chunk.texts.len() as u32);
            };
            match group {
                Group::Subject => {
                    push(&mut chunk, &keys.subject);
                    push(&mut chunk, &keys.base);
                    let marks = if keys.reply { REPLY } else { 0 } | if cut { CUT } else { 0 };
                    let none = i64::MIN;
                    chunk
                        .numbers
                        .extend([keys.sent.unwrap_or(none), keys.day.unwrap_or(none), marks]);
                }
                Group::People => {
                    keys.people.iter().for_each(|text| push(&mut chunk, text));
                    chunk.numbers.push(if cut { CUT } else { 0 });
                }
                Group::Names => keys
                    .mailbox
                    .iter()
                    .chain(&keys.shown)
                    .for_each(|text| push(&mut chunk, text)),
                Group::Links => {
                    chunk.links.push(keys.id.unwrap_or(0));
                    chunk.links.extend(&keys.references);
                    chunk.link_ends.push(chunk.links.len() as u32);
                }
            }
        }
        chunk
    }

    pub(crate) fn weight(&self) -> usize {
        self.texts.len()
            + self.ends.len() * 4
            + self.numbers.len() * 8
            + self.links.len() * 8
            + self.link_ends.len() * 4
    }

    /// The same for some of the rows.
    pub(crate) fn picked(&self, group: Group, slots: &[usize]) -> Chunk {
        let mut chunk = Chunk::default();
        for &slot in slots {
            for field in 0..group.texts() {
                chunk.texts.push_str(self.text(group, slot, field));
                chunk.ends.push(chunk.texts.len() as u32);
            }
            for field in 0..group.numbers() {
                chunk.numbers.push(self.number(group, slot, field));
            }
            if group == Group::Links {
                chunk.links.extend_from_slice(self.links(slot));
                chunk.link_ends.push(chunk.links.len() as u32);
            }
        }
        chunk
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.weight() + 16);
        put_text(&mut out, &self.texts);
        for ends in [&self.ends, &self.link_ends] {
            put_number(&mut out, ends.len() as u64);
            let mut before = 0;
            for end in ends {
                put_number(&mut out, u64::from(end - before));
                before = *end;
            }
        }
        put_number(&mut out, self.numbers.len() as u64);
        self.numbers.iter().for_each(|number| put_signed(&mut out, *number));
        self.links
            .iter()
            .for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
        out
    }

    pub(crate) fn decode(octets: &[u8], group: Group, rows: usize) -> Result<Chunk> {
        let mut cells = Cells(octets);
        let mut chunk = Chunk {
            texts: cells.text()?.to_owned(),
            ends: Vec::with_capacity(rows * group.texts()),
            numbers: Vec::with_capacity(rows * group.numbers()),
            ..Chunk::default()
        };
        for list in [&mut chunk.ends, &mut chunk.link_ends] {
            let mut before = 0u32;
            for _ in 0..cells.size()? {
                before = before
                    .checked_add(cells.id()?)
                    .ok_or(Error::Damaged("a column is too long"))?;
                list.push(before);
            }
        }
        for _ in 0..cells.size()? {
            chunk.numbers.push(cells.signed()?);
        }
        while let Some((id, rest)) = cells.0.split_first_chunk::<8>() {
            chunk.links.push(u64::from_le_bytes(*id));
            cells.0 = rest;
        }
        let linked = if group == Group::Links { rows } else { 0 };
        let fits = chunk.ends.len() == rows * group.texts()
            && chunk.numbers.len() == rows * group.numbers()
            && chunk.link_ends.len() == linked
            && chunk.ends.last().map_or(0, |end| *end as usize) == chunk.texts.len()
            && chunk.link_ends.last().map_or(0, |end| *end as usize) == chunk.links.len()
            && chunk.ends.iter().all(|end| chunk.texts.is_char_boundary(*end as usize));
        if fits {
            Ok(chunk)
        } else {
            Err(Error::Damaged("a column does not fit its segment"))
        }
    }

    pub(crate) fn text(&self, group: Group, slot: usize, field: usize) -> &str {
        let at = slot * group.texts() + field;
        let start = at
            .checked_sub(1)
            .and_then(|at| self.ends.get(at))
            .map_or(0, |end| *end as usize);
        let end = self.ends.get(at).map_or(start, |end| *end as usize);
        self.texts.get(start..end).unwrap_or_default()
    }

    pub(crate) fn number(&self, group: Group, slot: usize, field: usize) -> i64 {
        let at = slot * group.numbers() + field;
        self.numbers.get(at).copied().unwrap_or(i64::MIN)
    }

    fn links(&self, slot: usize) -> &[u64] {
        let start = slot
            .checked_sub(1)
            .and_then(|at| self.link_ends.get(at))
            .map_or(0, |end| *end as usize);
        let end = self.link_ends.get(slot).map_or(start, |end| *end as usize);
        self.links.get(start..end).unwrap_or_default()
    }

    pub(crate) fn is_cut(&self, group: Group, slot: usize) -> bool {
        let field = group.numbers().wrapping_sub(1);
        group.numbers() > 0 && self.number(group, slot, field) & CUT != 0
    }
}

/// One group of columns over the whole index.
#[derive(Clone)]
pub struct Columns {
    pub(crate) group: Group,
    /// Ascending by the ids in them.
    pub(crate) parts: Vec<(Arc<[u32]>, Arc<Chunk>)>,
}

/// A row of [`Columns`].
#[derive(Clone, Copy)]
pub struct Row<'c> {
    group: Group,
    chunk: &'c Chunk,
    slot: usize,
}

impl Columns {
    /// Whether these are the columns of that group.
    pub fn is_of(&self, group: Group) -> bool {
        self.group == group
    }

    /// The row of a content; `None` if it is not in the index.
    pub fn row(&self, content: u32) -> Option<Row<'_>> {
        self.row_near(content, &mut (0, 0))
    }

    /// The same for ids that come in ascending order, more or less: `hint` is kept between calls and begins with zeros.
    pub fn row_near(&self, content: u32, hint: &mut (usize, usize)) -> Option<Row<'_>> {
        let (mut part, mut slot) = *hint;
        let next = self.parts.get(part).and_then(|(ids, _)| ids.get(slot + 1));
        if next == Some(&content) {
            slot += 1;
        } else {
            part = self
                .parts
                .partition_point(|(ids, _)| ids.first().is_some_and(|first| *first <= content))
                .checked_sub(1)?;
            slot = self.parts.get(part)?.0.binary_search(&content).ok()?;
        }
        *hint = (part, slot);
        let (_, chunk) = self.parts.get(part)?;
        Some(Row {
            group: self.group,
            chunk,
            slot,
        })
    }
}

impl<'c> Row<'c> {
    fn text(&self, group: Group, field: usize) -> &'c str {
        debug_assert_eq!(self.group, group);
        self.chunk.text(group, self.slot, field)
    }

    fn number(&self, field: usize) -> Option<i64> {
        Some(self.chunk.number(self.group, self.slot, field)).filter(|number| *number != i64::MIN)
    }

    /// Of [`Group::Subject`]: seconds since 1970 of `Date:`.
    pub fn sent(&self) -> Option<i64> {
        self.number(0)
    }

    /// Of [`Group::Subject`]: the day that `Date:` names.
    pub fn day(&self) -> Option<i64> {
        self.number(1)
    }

    /// Of [`Group::Subject`]: the subject, folded, its first 1,024 octets.
    pub fn subject(&self) -> &'c str {
        self.text(Group::Subject, 0)
    }

    /// Of [`Group::Subject`]: the base subject, folded.
    pub fn base(&self) -> &'c str {
        self.text(Group::Subject, 1)
    }

    /// Of [`Group::Subject`]: whether the subject says reply or forward.
    pub fn is_reply(&self) -> bool {
        self.number(2).is_some_and(|marks| marks & REPLY != 0)
    }

    /// Of [`Group::People`]: `From` (0), `To`, `Cc`, `Bcc` (3).
    pub fn people(&self, which: usize) -> &'c str {
        self.text(Group::People, which)
    }

    /// Of [`Group::Names`]: local part of the first `From` (0), `To` (1), `Cc` (2).
    pub fn mailbox(&self, which: usize) -> &'c str {
        self.text(Group::Names, which)
    }

    /// Of [`Group::Names`]: what is shown for the first `From` (0), `To` (1).
    pub fn shown(&self, which: usize) -> &'c str {
        self.text(Group::Names, which + 3)
    }

    /// Of [`Group::Links`]: the hash of the Message-ID.
    pub fn id(&self) -> Option<u64> {
        self.chunk.links(self.slot).first().copied().filter(|id| *id != 0)
    }

    /// Of [`Group::Links`]: hashes of what the message refers to.
    pub fn references(&self) -> &'c [u64] {
        self.chunk.links(self.slot).get(1..).unwrap_or_default()
    }

    /// Texts of this row were cut.
    pub fn is_cut(&self) -> bool {
        self.chunk.is_cut(self.group, self.slot)
    }
}
