//! The index of one account.

use crate::cells::{pack, unpack};
use crate::columns::{Chunk, Columns, Group};
use crate::doc::{Doc, Keys};
use crate::gram::SLOTS;
use crate::segment::{self, Layout, Made, Source};
use crate::{Error, Limits, Result};
use db::{AccountId, Database, Durability, Migration, Schema, Transaction, Value};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tables of an index file.
pub const SCHEMA: Schema = Schema {
    component: "search",
    steps: &[Migration {
        name: "texts and triples",
        sql: include_str!("../migrations/0001_index.sql"),
    }],
};

/// What is read out of messages, and how it is folded. An index of another form is made anew: raise it when [`Doc::read`] or
/// `mime::fold` give other text.
const FORM: i64 = 1;
/// Octets of text in the tail at which it becomes a segment before it has all its messages.
const TAIL_OCTETS: usize = 4 << 20;

/// A message for the index.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The id of what it says.
    pub content: u32,
    /// Anything that tells this content from another one that might come to have the same id.
    pub mark: i64,
    /// What is in it.
    pub doc: Doc,
}

/// An index: one writer, any number of readers.
pub struct Index {
    account: AccountId,
    path: PathBuf,
    database: Database,
    limits: Limits,
    inner: Mutex<Inner>,
    /// Held by who adds.
    writing: Mutex<()>,
    /// Held shared by who reads, alone by who takes segments away.
    segments: RwLock<()>,
}

#[derive(Default)]
struct Inner {
    next: u32,
    next_segment: i64,
    segments: Arc<Vec<Segment>>,
    tail_ids: Vec<(u32, i64)>,
    tail: Option<Arc<Tail>>,
    chunks: HashMap<(i64, Group), Arc<Chunk>>,
    layouts: HashMap<i64, Arc<Layout>>,
    /// Octets in what can be read again.
    weight: usize,
}

/// What is always in memory of a segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) number: i64,
    pub(crate) ids: Arc<[u32]>,
    pub(crate) has_cuts: bool,
    mark: i64,
}

/// Messages that are in no segment yet.
#[derive(Default)]
pub(crate) struct Tail {
    pub(crate) ids: Vec<u32>,
    pub(crate) docs: Vec<Doc>,
    weight: usize,
}

/// One state of the index.
pub(crate) struct View {
    pub(crate) segments: Arc<Vec<Segment>>,
    pub(crate) tail: Arc<Tail>,
}

/// How large an index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages in it.
    pub messages: u64,
    /// Segments.
    pub segments: u64,
    /// Octets that are held in memory and could be read again.
    pub memory: usize,
}

impl Index {
    /// Opens the file, making it if it is not there. A damaged one, or one of another form, is thrown away and begun anew.
    pub fn open(path: &Path, account: AccountId, limits: Limits) -> Result<Index> {
        match Index::try_open(path, account, limits.clone()) {
            Err(error) if error.is_damage() => {
                tracing::warn!(account = account.0, %error, "the search index is made anew");
                remove(path)?;
                Index::try_open(path, account, limits)
            }
            other => other,
        }
    }

    fn try_open(path: &Path, account: AccountId, limits: Limits) -> Result<Index> {
        let options = db::Options {
            readers_kept: 1,
            ..db::Options::default()
        };
        let database = Database::open(path, &[SCHEMA], options)?;
        let inner = load(&database, account)?;
        Ok(Index {
            account,
            path: path.to_path_buf(),
            database,
            limits,
            inner: Mutex::new(inner),
            writing: Mutex::new(()),
            segments: RwLock::new(()),
        })
    }

    /// The least id that was never given to [`add`](Self::add): all below are in the index, or were gone when it was their turn.
    pub fn next(&self) -> u32 {
        self.inner.lock().next
    }

    /// The bounds it keeps to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest messages in it, up to 16, with the marks they were added with.
    pub fn newest(&self) -> Vec<(u32, i64)> {
        let inner = self.inner.lock();
        let sealed = inner.segments.iter().rev().take(8);
        let sealed = sealed.filter_map(|segment| Some((*segment.ids.last()?, segment.mark)));
        inner.tail_ids.iter().rev().take(8).copied().chain(sealed).collect()
    }

    /// Adds messages, whose ids ascend and are not below [`next`](Self::next), and remembers that all ids below `next` had their turn.
    pub fn add(&self, entries: Vec<Entry>, next: u32) -> Result<()> {
        let _writing = self.writing.lock();
        let mut tail_octets = None;
        let mut fresh = entries;
        loop {
            let (held, number) = {
                let inner = self.inner.lock();
                (inner.tail_ids.len(), inner.next_segment)
            };
            let before = match tail_octets {
                Some(octets) => octets,
                None => self.tail_now()?.weight,
            };
            let mut octets = before;
            // How many of the fresh ones fill the segment up.
            let fill = fresh.iter().take(SLOTS - held.min(SLOTS)).position(|entry| {
                octets += entry.doc.head.len() + entry.doc.body.len();
                octets >= TAIL_OCTETS
            });
            let fill = match fill {
                Some(at) => at + 1,
                None if held + fresh.len() >= SLOTS => SLOTS - held.min(SLOTS),
                None => break,
            };
            let rest = fresh.split_off(fill);
            let last = fresh.last().map(|entry| entry.content);
            let upto = if rest.is_empty() {
                next
            } else {
                last.map_or(next, |id| id + 1)
            };
            self.seal(number, &fresh, upto)?;
            fresh = rest;
            tail_octets = Some(0);
        }
        let mut inner = self.inner.lock();
        self.database.write(Durability::Deferred, |tx| {
            for entry in &fresh {
                tx.execute(
                    "INSERT INTO search_tail (account, content, mark, doc) VALUES (?1, ?2, ?3, ?4)",
                    &[
                        self.account(),
                        entry.content.into(),
                        entry.mark.into(),
                        (&pack(&entry.doc.encode())).into(),
                    ],
                )?;
            }
            self.state_save_in(tx, next, inner.next_segment, fresh.len() as i64)
        })?;
        inner.next = next;
        inner
            .tail_ids
            .extend(fresh.iter().map(|entry| (entry.content, entry.mark)));
        if let Some(tail) = inner.tail.take() {
            inner.weight = inner.weight.saturating_sub(tail.weight);
            let mut tail = Arc::try_unwrap(tail).unwrap_or_else(|shared| Tail {
                ids: shared.ids.clone(),
                docs: shared.docs.clone(),
                weight: shared.weight,
            });
            for entry in fresh {
                tail.push(entry.content, entry.doc);
            }
            inner.weight += tail.weight;
            inner.tail = Some(Arc::new(tail));
        }
        Ok(())
    }

    /// Makes a segment of the tail and these.
    fn seal(&self, number: i64, fresh: &[Entry], next: u32) -> Result<()> {
        let tail = self.tail_now()?;
        let old = tail.ids.iter().zip(&tail.docs);
        let new = fresh.iter().map(|entry| (&entry.content, &entry.doc));
        let sources: Vec<Source<'_>> = old
            .clone()
            .chain(new.clone())
            .map(|(id, doc)| Source::of(*id, doc))
            .collect();
        let keys: Vec<&Keys> = old.chain(new).map(|(_, doc)| &doc.keys).collect();
        let made = segment::make(&sources, |group| Chunk::of(group, keys.iter().copied()));
        let cuts = sources.iter().filter(|source| source.cut).count();
        let ids: Arc<[u32]> = sources.iter().map(|source| source.id).collect();
        let mut inner = self.inner.lock();
        let mark = fresh
            .last()
            .map(|entry| entry.mark)
            .or(inner.tail_ids.last().map(|(_, mark)| *mark))
            .unwrap_or(0);
        self.database.write(Durability::Deferred, |tx| {
            self.segment_save_in(tx, number, &made, cuts, mark)?;
            tx.execute("DELETE FROM search_tail WHERE account = ?1", &[self.account()])?;
            self.state_save_in(tx, next, number + 1, fresh.len() as i64)
        })?;
        let segment = Segment {
            number,
            ids,
            has_cuts: cuts > 0,
            mark,
        };
        inner.next = next;
        inner.next_segment = number + 1;
        Arc::make_mut(&mut inner.segments).push(segment);
        inner.tail_ids.clear();
        if let Some(tail) = inner.tail.take() {
            inner.weight = inner.weight.saturating_sub(tail.weight);
        }
        Ok(())
    }

    fn segment_save_in(
        &self,
        tx: &Transaction<'_>,
        number: i64,
        made: &Made,
        cuts: usize,
        mark: i64,
    ) -> db::Result<()> {
        let account = self.account();
        tx.execute(
            "INSERT INTO search_segment (account, segment, ids, layout, cuts, mark) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &[
                account,
                number.into(),
                (&made.ids).into(),
                (&made.layout).into(),
                Value::Integer(cuts as i64),
                mark.into(),
            ],
        )?;
        for (group, cells) in &made.columns {
            tx.execute(
                "INSERT INTO search_column (account, segment, kind, cells) VALUES (?1, ?2, ?3, ?4)",
                &[account, number.into(), Value::Integer(*group as i64), cells.into()],
            )?;
        }
        for (block, text) in made.blocks.iter().enumerate() {
            tx.execute(
                "INSERT INTO search_block (account, segment, block, text) VALUES (?1, ?2, ?3, ?4)",
                &[account, number.into(), Value::Integer(block as i64), text.into()],
            )?;
        }
        for (pair, slots) in &made.grams {
            tx.execute(
                "INSERT INTO search_gram (account, segment, pair, slots) VALUES (?1, ?2, ?3, ?4)",
                &[account, number.into(), (*pair).into(), slots.into()],
            )?;
        }
        Ok(())
    }

    fn state_save_in(&self, tx: &Transaction<'_>, next: u32, next_segment: i64, more: i64) -> db::Result<()> {
        tx.execute(
            "UPDATE search_state SET next_content = ?2, next_segment = ?3, messages = messages + ?4 WHERE account = ?1",
            &[self.account(), next.into(), next_segment.into(), more.into()],
        )?;
        Ok(())
    }

    /// Takes out what is gone, where it is at least a quarter of a segment or of the tail: `alive` is asked for every id. Gives how
    /// many messages were taken out. Leaves the work for another time when somebody is reading.
    pub fn forget(&self, alive: impl Fn(u32) -> bool) -> Result<u64> {
        let _writing = self.writing.lock();
        let (segments, tail_ids) = {
            let inner = self.inner.lock();
            (Arc::clone(&inner.segments), inner.tail_ids.clone())
        };
        let mut forgotten = 0;
        let gone: Vec<u32> = tail_ids.iter().map(|(id, _)| *id).filter(|id| !alive(*id)).collect();
        if gone.len() * 4 > tail_ids.len() {
            let mut inner = self.inner.lock();
            self.database.write(Durability::Deferred, |tx| {
                for id in &gone {
                    tx.execute(
                        "DELETE FROM search_tail WHERE account = ?1 AND content = ?2",
                        &[self.account(), (*id).into()],
                    )?;
                }
                self.state_save_in(tx, inner.next, inner.next_segment, -(gone.len() as i64))
            })?;
            inner.tail_ids.retain(|(id, _)| gone.binary_search(id).is_err());
            if let Some(tail) = inner.tail.take() {
                inner.weight = inner.weight.saturating_sub(tail.weight);
            }
            forgotten += gone.len() as u64;
        }
        for segment in segments.iter() {
            let kept: Vec<usize> = (0..segment.ids.len())
                .filter(|slot| segment.ids.get(*slot).is_some_and(|id| alive(*id)))
                .collect();
            let dead = segment.ids.len() - kept.len();
            if dead * 4 <= segment.ids.len() {
                continue;
            }
            let Some(_alone) = self.segments.try_write() else { break };
            self.repack(segment, &kept)?;
            forgotten += dead as u64;
        }
        Ok(forgotten)
    }

    /// Writes a segment again with some of its messages, under its number.
    fn repack(&self, segment: &Segment, kept: &[usize]) -> Result<()> {
        let view = self.view()?;
        let layout = self.layout(&view, segment.number)?;
        let mut texts: Vec<(u32, String, String, bool)> = Vec::with_capacity(kept.len());
        let mut open: Option<(u32, String)> = None;
        for slot in kept {
            let (Some(id), Some(place)) = (segment.ids.get(*slot), layout.places.get(*slot)) else {
                continue;
            };
            if open.as_ref().is_none_or(|(block, _)| *block != place.block) {
                open = Some((place.block, self.block(segment.number, place.block)?));
            }
            if let Some((_, text)) = &open {
                let (head, body) = place.of(text)?;
                texts.push((*id, head.to_owned(), body.to_owned(), place.cut));
            }
        }
        let sources: Vec<Source<'_>> = texts
            .iter()
            .map(|(id, head, body, cut)| Source {
                id: *id,
                head,
                body,
                cut: *cut,
            })
            .collect();
        let mut columns = HashMap::new();
        for group in Group::ALL {
            columns.insert(group, self.chunk(segment, group)?.picked(group, kept));
        }
        let made = segment::make(&sources, |group| columns.get(&group).cloned().unwrap_or_default());
        let cuts = sources.iter().filter(|source| source.cut).count();
        let mut inner = self.inner.lock();
        self.database.write(Durability::Deferred, |tx| {
            for table in ["search_segment", "search_column", "search_block", "search_gram"] {
                tx.execute(
                    &format!("DELETE FROM {table} WHERE account = ?1 AND segment = ?2"),
                    &[self.account(), segment.number.into()],
                )?;
            }
            let gone = segment.ids.len() - sources.len();
            self.state_save_in(tx, inner.next, inner.next_segment, -(gone as i64))?;
            if sources.is_empty() {
                return Ok(());
            }
            // The mark stays that of the last id it was made with; where that is gone, nobody asks for it.
            self.segment_save_in(tx, segment.number, &made, cuts, segment.mark)
        })?;
        let segments = Arc::make_mut(&mut inner.segments);
        if sources.is_empty() {
            segments.retain(|s| s.number != segment.number);
        } else if let Some(s) = segments.iter_mut().find(|s| s.number == segment.number) {
            s.ids = sources.iter().map(|source| source.id).collect();
            s.has_cuts = cuts > 0;
        }
        inner.let_go();
        Ok(())
    }

    /// Throws everything away; the next message to be indexed is the first.
    pub fn clear(&self) -> Result<()> {
        let _writing = self.writing.lock();
        let _alone = self.segments.write();
        let mut inner = self.inner.lock();
        self.database.write(Durability::Deferred, |tx| {
            for table in [
                "search_segment",
                "search_column",
                "search_block",
                "search_gram",
                "search_tail",
            ] {
                tx.execute(&format!("DELETE FROM {table} WHERE account = ?1"), &[self.account()])?;
            }
            tx.execute(
                "UPDATE search_state SET next_content = 1, next_segment = 1, messages = 0 WHERE account = ?1",
                &[self.account()],
            )?;
            Ok(())
        })?;
        *inner = Inner {
            next: 1,
            next_segment: 1,
            ..Inner::default()
        };
        Ok(())
    }

    /// One group of columns of all messages in the index.
    pub fn columns(&self, group: Group) -> Result<Columns> {
        let _reading = self.reading();
        self.columns_now(group)
    }

    /// How large it is.
    pub fn statistics(&self) -> Statistics {
        let inner = self.inner.lock();
        let sealed: usize = inner.segments.iter().map(|segment| segment.ids.len()).sum();
        Statistics {
            messages: (sealed + inner.tail_ids.len()) as u64,
            segments: inner.segments.len() as u64,
            memory: inner.weight,
        }
    }

    /// Lets go of what can be read again.
    pub fn trim(&self) {
        self.inner.lock().let_go();
    }

    pub(crate) fn account(&self) -> Value<'static> {
        Value::Integer(self.account.0)
    }

    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.segments.read_recursive()
    }

    pub(crate) fn columns_now(&self, group: Group) -> Result<Columns> {
        let view = self.view()?;
        self.chunks_read(&view, group)?;
        let mut parts = Vec::with_capacity(view.segments.len() + 1);
        for segment in view.segments.iter() {
            parts.push((Arc::clone(&segment.ids), self.chunk(segment, group)?));
        }
        let tail = Chunk::of(group, view.tail.docs.iter().map(|doc| &doc.keys));
        parts.push((view.tail.ids.clone().into(), Arc::new(tail)));
        Ok(Columns { group, parts })
    }

    /// Reads what is not in memory of a group of columns, in one walk: to find one row the engine compares it with others, and reads those
    /// whole for that.
    fn chunks_read(&self, view: &View, group: Group) -> Result<()> {
        let missing: Vec<&Segment> = {
            let inner = self.inner.lock();
            let missing = |segment: &&Segment| !inner.chunks.contains_key(&(segment.number, group));
            view.segments.iter().filter(missing).collect()
        };
        let ([first, _, ..], [.., last]) = (missing.as_slice(), missing.as_slice()) else {
            return Ok(());
        };
        let mut left = missing.iter().peekable();
        self.read(|tx| {
            let mut trouble = None;
            tx.walk(
                "SELECT segment, cells FROM search_column WHERE account = ?1 AND segment BETWEEN ?2 AND ?3 AND kind = ?4 ORDER BY segment",
                &[
                    self.account(),
                    first.number.into(),
                    last.number.into(),
                    Value::Integer(group as i64),
                ],
                |row| {
                    let number = row.i64(0)?;
                    while left.next_if(|segment| segment.number < number).is_some() {}
                    let Some(segment) = left.next_if(|segment| segment.number == number) else {
                        return Ok(ControlFlow::Continue(()));
                    };
                    let decoded = unpack(row.blob(1)?).and_then(|cells| Chunk::decode(&cells, group, segment.ids.len()));
                    match decoded {
                        Ok(chunk) => {
                            let mut inner = self.inner.lock();
                            inner.make_room(chunk.weight(), self.limits.memory);
                            inner.chunks.insert((number, group), Arc::new(chunk));
                            Ok(ControlFlow::Continue(()))
                        }
                        Err(error) => {
                            trouble = Some(error);
                            Ok(ControlFlow::Break(()))
                        }
                    }
                },
            )?;
            trouble.map_or(Ok(()), Err)
        })
    }

    fn chunk(&self, segment: &Segment, group: Group) -> Result<Arc<Chunk>> {
        let key = (segment.number, group);
        if let Some(chunk) = self.inner.lock().chunks.get(&key) {
            return Ok(Arc::clone(chunk));
        }
        let cells = self.read(|tx| {
            tx.query_row(
                "SELECT cells FROM search_column WHERE account = ?1 AND segment = ?2 AND kind = ?3",
                &[self.account(), segment.number.into(), Value::Integer(group as i64)],
                |row| Ok(unpack(row.blob(0)?)),
            )?
            .unwrap_or(Err(Error::Damaged("a column is not there")))
        })?;
        let chunk = Arc::new(Chunk::decode(&cells, group, segment.ids.len())?);
        let mut inner = self.inner.lock();
        inner.make_room(chunk.weight(), self.limits.memory);
        inner.chunks.insert(key, Arc::clone(&chunk));
        Ok(chunk)
    }

    pub(crate) fn layout(&self, view: &View, number: i64) -> Result<Arc<Layout>> {
        if let Some(layout) = self.inner.lock().layouts.get(&number) {
            return Ok(Arc::clone(layout));
        }
        let rows = view
            .segments
            .iter()
            .find(|s| s.number == number)
            .map_or(0, |s| s.ids.len());
        let layout = self.read(|tx| {
            tx.query_row(
                "SELECT layout FROM search_segment WHERE account = ?1 AND segment = ?2",
                &[self.account(), number.into()],
                |row| Ok(segment::read_layout(row.blob(0)?, rows)),
            )?
            .unwrap_or(Err(Error::Damaged("a segment is not there")))
        })?;
        let layout = Arc::new(layout);
        let mut inner = self.inner.lock();
        inner.make_room(layout.weight(), self.limits.memory);
        inner.layouts.insert(number, Arc::clone(&layout));
        Ok(layout)
    }

    pub(crate) fn block(&self, segment: i64, block: u32) -> Result<String> {
        self.read(|tx| {
            tx.query_row(
                "SELECT text FROM search_block WHERE account = ?1 AND segment = ?2 AND block = ?3",
                &[self.account(), segment.into(), block.into()],
                |row| Ok(segment::read_block(row.blob(0)?)),
            )?
            .unwrap_or(Err(Error::Damaged("a block is not there")))
        })
    }

    /// Reads rows; an error within them comes out as it is.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut kept = None;
        let read = self.database.read(|tx| match work(tx) {
            Ok(value) => Ok(Some(value)),
            Err(Error::Db(error)) => Err(error),
            Err(error) => {
                kept = Some(error);
                Ok(None)
            }
        })?;
        match (read, kept) {
            (Some(value), _) => Ok(value),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::Damaged("nothing was read")),
        }
    }

    pub(crate) fn view(&self) -> Result<View> {
        let tail = self.tail_now()?;
        let inner = self.inner.lock();
        // Between the two the tail may have become a segment: then it is in both, and says the same.
        Ok(View {
            segments: Arc::clone(&inner.segments),
            tail,
        })
    }

    fn tail_now(&self) -> Result<Arc<Tail>> {
        let mut inner = self.inner.lock();
        if let Some(tail) = &inner.tail {
            return Ok(Arc::clone(tail));
        }
        let mut tail = Tail::default();
        self.read(|tx| {
            let mut trouble = None;
            tx.query(
                "SELECT content, doc FROM search_tail WHERE account = ?1 ORDER BY content",
                &[self.account()],
                |row| {
                    match unpack(row.blob(1)?).and_then(|doc| Doc::decode(&doc)) {
                        Ok(doc) => tail.push(row.u32(0)?, doc),
                        Err(error) => trouble = Some(error),
                    }
                    Ok(())
                },
            )?;
            trouble.map_or(Ok(()), Err)
        })?;
        if !tail.ids.iter().eq(inner.tail_ids.iter().map(|(id, _)| id)) {
            return Err(Error::Damaged("the tail has other messages than it should"));
        }
        let tail = Arc::new(tail);
        inner.make_room(tail.weight, self.limits.memory);
        inner.tail = Some(Arc::clone(&tail));
        Ok(tail)
    }
}

impl Tail {
    fn push(&mut self, id: u32, doc: Doc) {
        self.weight += doc.head.len() + doc.body.len() + doc.keys.subject.len() * 4 + 256;
        self.ids.push(id);
        self.docs.push(doc);
    }
}

impl Inner {
    fn make_room(&mut self, weight: usize, most: usize) {
        if self.weight + weight > most {
            self.let_go();
        }
        self.weight += weight;
    }

    fn let_go(&mut self) {
        self.chunks = HashMap::new();
        self.layouts = HashMap::new();
        self.tail = None;
        self.weight = 0;
    }
}

fn load(database: &Database, account: AccountId) -> Result<Inner> {
    let state = database.read(|tx| {
        tx.query_row(
            "SELECT form, next_content, next_segment, messages FROM search_state WHERE account = ?1",
            &[account.0.into()],
            |row| Ok((row.i64(0)?, row.u32(1)?, row.i64(2)?, row.u64(3)?)),
        )
    })?;
    let Some((form, next, next_segment, messages)) = state else {
        database.write(Durability::Deferred, |tx| {
            tx.execute(
                "INSERT INTO search_state (account, form, next_content, next_segment, messages) VALUES (?1, ?2, 1, 1, 0)",
                &[account.0.into(), FORM.into()],
            )
        })?;
        return Ok(Inner {
            next: 1,
            next_segment: 1,
            ..Inner::default()
        });
    };
    if form != FORM {
        return Err(Error::Damaged("it is of another form"));
    }
    let mut segments = Vec::new();
    let mut trouble = None;
    let tail_ids = database.read(|tx| {
        tx.query(
            "SELECT segment, ids, cuts, mark FROM search_segment WHERE account = ?1 ORDER BY segment",
            &[account.0.into()],
            |row| {
                match segment::read_ids(row.blob(1)?) {
                    Ok(ids) => segments.push(Segment {
                        number: row.i64(0)?,
                        ids: ids.into(),
                        has_cuts: row.i64(2)? > 0,
                        mark: row.i64(3)?,
                    }),
                    Err(error) => trouble = Some(error),
                }
                Ok(())
            },
        )?;
        tx.query_all(
            "SELECT content, mark FROM search_tail WHERE account = ?1 ORDER BY content",
            &[account.0.into()],
            |row| Ok((row.u32(0)?, row.i64(1)?)),
        )
    })?;
    if let Some(error) = trouble {
        return Err(error);
    }
    let held = segments.iter().map(|segment| segment.ids.len()).sum::<usize>() + tail_ids.len();
    if held as u64 != messages {
        return Err(Error::Damaged("messages are missing in it"));
    }
    let ascending = segments.windows(2).all(|pair| match pair {
        [a, b] => a.ids.last() < b.ids.first(),
        _ => true,
    });
    let last = segments.last().and_then(|segment| segment.ids.last().copied());
    if !ascending || tail_ids.first().is_some_and(|(id, _)| Some(*id) <= last) || last.is_some_and(|id| id >= next) {
        return Err(Error::Damaged("its segments overlap"));
    }
    Ok(Inner {
        next,
        next_segment,
        segments: Arc::new(segments),
        tail_ids,
        ..Inner::default()
    })
}

/// Takes the file away, with what belongs to it.
pub(crate) fn remove(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.to_path_buf().into_os_string();
        name.push(suffix);
        let file = PathBuf::from(name);
        match std::fs::remove_file(&file) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(db::Error::Io { file, source }.into()),
        }
    }
    Ok(())
}

impl Index {
    /// Takes the file of an index away that nobody has open.
    pub fn remove(path: &Path) -> Result<()> {
        remove(path)
    }
}
