//! Reading what messages say.

use crate::account::Account;
use crate::{ContentId, Digest, Error, Result};
use blobs::BlobId;
use std::io::Read;
use std::ops::Range;

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

impl Account {
    /// What is kept of one message.
    pub fn content(&self, id: ContentId) -> Result<Content> {
        self.contents(&[id]).pop().unwrap_or(Err(Error::NoContent(id.0)))
    }

    /// What is kept of several messages, in their order. One that can't be read does not keep the others from being read.
    pub fn contents(&self, ids: &[ContentId]) -> Vec<Result<Content>> {
        let mut found = Vec::with_capacity(ids.len());
        let read = self.database().read(|tx| {
            for id in ids {
                let row = tx.query_row(
                    "SELECT blob, prefix, size, envelope, structure, preview FROM content WHERE account = ?1 AND id = ?2",
                    &[self.id().0.into(), (*id).into()],
                    |row| {
                        let blob = BlobId::try_from(row.blob(0)?).map_err(|_| db::Error::Column {
                            column: 0,
                            reason: "is not a hash".into(),
                        })?;
                        Ok(Content {
                            blob,
                            prefix: row.blob(1)?.to_vec(),
                            blob_len: row.u64(2)?,
                            digest: Digest {
                                envelope: row.blob(3)?.to_vec(),
                                structure: row.blob(4)?.to_vec(),
                                preview: row.opt_text(5)?.map(str::to_owned),
                            },
                        })
                    },
                );
                found.push(match row {
                    Ok(Some(content)) => Ok(content),
                    Ok(None) => Err(Error::NoContent(id.0)),
                    Err(e) => Err(e.into()),
                });
            }
            Ok(())
        });
        if read.is_err() {
            // Not even a transaction could be begun.
            found.clear();
            found.extend(ids.iter().map(|id| Err(Error::NoContent(id.0))));
        }
        found
    }

    /// A part of a message as served; what lies beyond its end is left out.
    pub fn content_range(&self, content: &Content, range: Range<u64>) -> Result<Vec<u8>> {
        let prefix = content.prefix.len() as u64;
        let end = range.end.min(content.len());
        let mut bytes = Vec::new();
        if range.start >= end {
            return Ok(bytes);
        }
        if range.start < prefix {
            let upto = end.min(prefix);
            bytes.extend_from_slice(&content.prefix[range.start as usize..upto as usize]);
        }
        if end > prefix {
            let from = range.start.max(prefix) - prefix;
            let rest = self.blobs().read_range(content.blob, from..end - prefix)?;
            if bytes.is_empty() {
                bytes = rest;
            } else {
                bytes.extend_from_slice(&rest);
            }
        }
        Ok(bytes)
    }

    /// A whole message as served, read as it goes.
    pub fn content_reader(&self, content: &Content) -> Result<impl Read + Send + use<>> {
        let prefix = std::io::Cursor::new(content.prefix.clone());
        Ok(prefix.chain(self.blobs().reader(content.blob)?))
    }
}
