//! Reading what messages say.

use crate::account::Account;
use crate::{ContentId, Digest, Error, Result};
use blobs::BlobId;
use std::io::Read;
use std::ops::{ControlFlow, Range};

/// What is kept of a message beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub blob: BlobId,
    /// Header lines served before them.
    pub prefix: Vec<u8>,
    /// Octets of the bytes alone.
    pub blob_len: u64,
    /// Envelope and structure of the bytes alone: offsets do not count the prefix.
    pub digest: Digest,
}

impl Content {
    /// Octets as served.
    pub fn len(&self) -> u64 {
        self.blob_len + self.prefix.len() as u64
    }

    /// Whether the message has no octet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a walk is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All but the listed fields.
    Digest,
    /// The listed fields alone.
    Fields,
    /// Everything.
    Both,
}

/// What is kept of a message beside its bytes, where it lies. What was not wanted is empty.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    /// The bytes; `None` where they were not wanted.
    pub blob: Option<BlobId>,
    /// Header lines served before them.
    pub prefix: &'r [u8],
    /// Octets of the bytes alone.
    pub blob_len: u64,
    /// See [`Digest::envelope`].
    pub envelope: &'r [u8],
    /// See [`Digest::structure`].
    pub structure: &'r [u8],
    /// See [`Digest::preview`].
    pub preview: Option<&'r str>,
    /// See [`Digest::fields`].
    pub fields: &'r [u8],
}

impl<'r> Row<'r> {
    fn of(row: &'r db::Row<'_>, wanted: Wanted) -> db::Result<Row<'r>> {
        if wanted == Wanted::Fields {
            return Ok(Row {
                blob: None,
                prefix: &[],
                blob_len: 0,
                envelope: &[],
                structure: &[],
                preview: None,
                fields: row.blob(1)?,
            });
        }
        let blob = BlobId::try_from(row.blob(1)?).map_err(|_| db::Error::Column {
            column: 1,
            reason: "is not a hash".into(),
        })?;
        Ok(Row {
            blob: Some(blob),
            prefix: row.blob(2)?,
            blob_len: row.u64(3)?,
            envelope: row.blob(4)?,
            structure: row.blob(5)?,
            preview: row.opt_text(6)?,
            fields: match wanted {
                Wanted::Both => row.opt_blob(7)?.unwrap_or_default(),
                _ => &[],
            },
        })
    }

    /// A copy of what it takes to read the octets, without the digest.
    pub fn to_octets(&self) -> Content {
        Content {
            blob: self.blob.unwrap_or(BlobId::from([0; 32])),
            prefix: self.prefix.to_vec(),
            blob_len: self.blob_len,
            digest: Digest::default(),
        }
    }

    /// A copy, to be kept. Of a row that has no bytes nothing can be read.
    pub fn to_content(&self) -> Content {
        Content {
            digest: Digest {
                envelope: self.envelope.to_vec(),
                structure: self.structure.to_vec(),
                preview: self.preview.map(str::to_owned),
                fields: self.fields.to_vec(),
            },
            ..self.to_octets()
        }
    }
}

/// How many of these ids, from the first on, ascend and lie so close together that walking over what is between them costs less than
/// looking each up.
fn run_length(ids: &[ContentId]) -> usize {
    const APART: u32 = 4;
    let far = |pair: &[ContentId]| pair[1] <= pair[0] || pair[1].0 - pair[0].0 > APART;
    ids.windows(2).position(far).map_or(ids.len(), |at| at + 1)
}

impl Account {
    /// What is kept of one message.
    pub fn content(&self, id: ContentId) -> Result<Content> {
        self.contents(&[id]).pop().unwrap_or(Err(Error::NoContent(id.0)))
    }

    /// What is kept of several messages, in their order. One that can't be read does not keep the others from being read.
    pub fn contents(&self, ids: &[ContentId]) -> Vec<Result<Content>> {
        let mut found: Vec<Result<Content>> = Vec::with_capacity(ids.len());
        let read = self.content_rows(ids, Wanted::Digest, |index, row| {
            let id = ids.get(index).map_or(0, |id| id.0);
            found.push(row.map(|row| row.to_content()).ok_or(Error::NoContent(id)));
            ControlFlow::Continue(())
        });
        if let Err(e) = read {
            tracing::debug!(account = self.id().0, error = %e, "contents");
            // One at a time: what is damaged is named, what is not is read.
            if ids.len() > 1 {
                return ids.iter().map(|id| self.content(*id)).collect();
            }
            return vec![Err(e)];
        }
        found
    }

    /// Calls `each` with what is kept of these messages, in their order: its index in `ids`, and the row, if there is one. Nothing is
    /// copied, and what neighbours have is read in one walk: ids that ascend cost least. The walk ends early when `each` says so.
    pub fn content_rows(
        &self,
        ids: &[ContentId],
        wanted: Wanted,
        mut each: impl FnMut(usize, Option<Row<'_>>) -> ControlFlow<()>,
    ) -> Result<()> {
        let sql = match wanted {
            Wanted::Digest => {
                "SELECT id, blob, prefix, size, envelope, structure, preview FROM content
                 WHERE account = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id"
            }
            Wanted::Fields => {
                "SELECT id, fields FROM content_fields WHERE account = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id"
            }
            Wanted::Both => {
                "SELECT c.id, c.blob, c.prefix, c.size, c.envelope, c.structure, c.preview, f.fields FROM content c
                 LEFT JOIN content_fields f ON f.account = ?1 AND f.id = c.id
                 WHERE c.account = ?1 AND c.id BETWEEN ?2 AND ?3 ORDER BY c.id"
            }
        };
        Ok(self.database().read(|tx| {
            let mut begin = 0;
            while begin < ids.len() {
                let run = run_length(&ids[begin..]);
                let mut next = begin;
                let end = begin + run;
                let mut stopped = false;
                tx.walk(
                    sql,
                    &[self.id().0.into(), ids[begin].into(), ids[end - 1].into()],
                    |row| {
                        let id = ContentId(row.u32(0)?);
                        while next < end && ids[next] < id {
                            let index = next;
                            next += 1;
                            if each(index, None).is_break() {
                                stopped = true;
                                return Ok(ControlFlow::Break(()));
                            }
                        }
                        if next < end && ids[next] == id {
                            let index = next;
                            next += 1;
                            if each(index, Some(Row::of(row, wanted)?)).is_break() {
                                stopped = true;
                                return Ok(ControlFlow::Break(()));
                            }
                        }
                        Ok(ControlFlow::Continue(()))
                    },
                )?;
                if stopped {
                    return Ok(());
                }
                for index in next..end {
                    if each(index, None).is_break() {
                        return Ok(());
                    }
                }
                begin = end;
            }
            Ok(())
        })?)
    }

    /// A part of a message as served; what lies beyond its end is left out.
    pub fn content_range(&self, content: &Content, range: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.content_range_into(content, range, &mut bytes)?;
        Ok(bytes)
    }

    /// The same, added to `out`.
    pub fn content_range_into(&self, content: &Content, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        let prefix = content.prefix.len() as u64;
        let end = range.end.min(content.len());
        if range.start >= end {
            return Ok(());
        }
        if range.start < prefix {
            let upto = end.min(prefix);
            out.extend_from_slice(&content.prefix[range.start as usize..upto as usize]);
        }
        if end > prefix {
            let from = range.start.max(prefix) - prefix;
            match self.blobs().read_range_into(content.blob, from..end - prefix, out) {
                Err(blobs::Error::NotFound(blob)) => self.fresh_range(blob, from..end - prefix, out)?,
                read => read?,
            }
        }
        Ok(())
    }

    /// A whole message as served, read as it goes.
    pub fn content_reader(&self, content: &Content) -> Result<impl Read + Send + use<>> {
        let prefix = std::io::Cursor::new(content.prefix.clone());
        let body: Box<dyn Read + Send> = match self.blobs().reader(content.blob) {
            Err(blobs::Error::NotFound(blob)) => {
                let mut bytes = Vec::new();
                self.fresh_range(blob, 0..content.len() - content.prefix.len() as u64, &mut bytes)?;
                Box::new(std::io::Cursor::new(bytes))
            }
            reader => Box::new(reader?),
        };
        Ok(prefix.chain(body))
    }
}
