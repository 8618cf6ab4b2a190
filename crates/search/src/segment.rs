//! A segment: up to 512 messages whose index is finished.

use crate::cells::{Cells, pack, put_number, seal, unpack, unseal};
use crate::columns::{Chunk, Group};
use crate::doc::Doc;
use crate::gram::{self, SLOTS};
use crate::{Error, Result};

/// Octets of text that are compressed together.
const BLOCK: usize = 64 << 10;

/// Where the text of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block: u32,
    pub(crate) start: usize,
    pub(crate) head: usize,
    pub(crate) body: usize,
    pub(crate) cut: bool,
}

/// Where the texts of a segment are.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) places: Vec<Place>,
    /// The pairs of octets that have a row, ascending.
    pairs: Vec<u16>,
}

impl Layout {
    /// Whether there must be a row of triples that begin with that pair.
    pub(crate) fn has_pair(&self, pair: u32) -> bool {
        u16::try_from(pair).is_ok_and(|pair| self.pairs.binary_search(&pair).is_ok())
    }

    pub(crate) fn weight(&self) -> usize {
        self.places.len() * size_of::<Place>() + self.pairs.len() * 2
    }
}

/// All rows of a segment, before they have its number.
pub(crate) struct Made {
    pub(crate) ids: Vec<u8>,
    pub(crate) layout: Vec<u8>,
    pub(crate) columns: Vec<(Group, Vec<u8>)>,
    pub(crate) blocks: Vec<Vec<u8>>,
    pub(crate) grams: Vec<(u32, Vec<u8>)>,
}

/// What goes into a segment; at most [`SLOTS`].
pub(crate) struct Source<'d> {
    pub(crate) id: u32,
    pub(crate) head: &'d str,
    pub(crate) body: &'d str,
    pub(crate) cut: bool,
}

impl<'d> Source<'d> {
    pub(crate) fn of(id: u32, doc: &'d Doc) -> Source<'d> {
        Source {
            id,
            head: &doc.head,
            body: &doc.body,
            cut: doc.cut,
        }
    }
}

pub(crate) fn make(sources: &[Source<'_>], columns: impl Fn(Group) -> Chunk) -> Made {
    debug_assert!(sources.len() <= SLOTS);
    let grams = gram::rows(sources.iter().map(|source| [source.head, source.body]));
    let mut layout = Vec::new();
    put_number(&mut layout, grams.len() as u64);
    let mut before = 0;
    for (pair, _) in &grams {
        put_number(&mut layout, u64::from(pair - before));
        before = *pair;
    }
    let mut blocks = Vec::new();
    let mut open = String::new();
    for source in sources {
        put_number(&mut layout, blocks.len() as u64);
        put_number(&mut layout, open.len() as u64);
        put_number(&mut layout, source.head.len() as u64);
        put_number(&mut layout, source.body.len() as u64);
        put_number(&mut layout, u64::from(source.cut));
        open.push_str(source.head);
        open.push_str(source.body);
        if open.len() >= BLOCK {
            blocks.push(pack(open.as_bytes()));
            open.clear();
        }
    }
    if !open.is_empty() {
        blocks.push(pack(open.as_bytes()));
    }
    let mut ids = Vec::new();
    let mut before = 0;
    for source in sources {
        put_number(&mut ids, u64::from(source.id - before));
        before = source.id;
    }
    Made {
        ids: seal(ids),
        layout: seal(layout),
        columns: Group::ALL
            .iter()
            .map(|group| (*group, pack(&columns(*group).encode())))
            .collect(),
        blocks,
        grams: grams.into_iter().map(|(pair, row)| (pair, seal(row))).collect(),
    }
}

pub(crate) fn read_ids(octets: &[u8]) -> Result<Vec<u32>> {
    let mut cells = Cells(unseal(octets)?);
    let mut ids = Vec::new();
    let mut before = 0u32;
    while !cells.is_end() {
        let id = before
            .checked_add(cells.id()?)
            .filter(|id| *id > before || ids.is_empty())
            .ok_or(Error::Damaged("ids of a segment do not ascend"))?;
        ids.push(id);
        before = id;
    }
    if ids.is_empty() || ids.len() > SLOTS {
        return Err(Error::Damaged("a segment has an impossible size"));
    }
    Ok(ids)
}

pub(crate) fn read_layout(octets: &[u8], rows: usize) -> Result<Layout> {
    let mut cells = Cells(unseal(octets)?);
    let mut pairs = Vec::new();
    let mut pair = 0u64;
    for _ in 0..cells.size()? {
        pair = pair.saturating_add(cells.number()?);
        pairs.push(u16::try_from(pair).map_err(|_| Error::Damaged("a pair is out of range"))?);
    }
    let mut places = Vec::with_capacity(rows);
    while !cells.is_end() {
        places.push(Place {
            block: cells.id()?,
            start: cells.size()?,
            head: cells.size()?,
            body: cells.size()?,
            cut: cells.number()? != 0,
        });
    }
    if places.len() == rows {
        Ok(Layout { places, pairs })
    } else {
        Err(Error::Damaged("a layout does not fit its segment"))
    }
}

/// The texts of a block.
pub(crate) fn read_block(packed: &[u8]) -> Result<String> {
    String::from_utf8(unpack(packed)?).map_err(|_| Error::Damaged("a text is not UTF-8"))
}

impl Place {
    /// Head and body out of the block's text.
    pub(crate) fn of<'b>(&self, block: &'b str) -> Result<(&'b str, &'b str)> {
        const WRONG: Error = Error::Damaged("a text is not where it should be");
        let middle = self.start.checked_add(self.head).ok_or(WRONG)?;
        let end = middle.checked_add(self.body).ok_or(WRONG)?;
        Ok((
            block.get(self.start..middle).ok_or(WRONG)?,
            block.get(middle..end).ok_or(WRONG)?,
        ))
    }
}
