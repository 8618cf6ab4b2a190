//! A message on its way in: small ones gather in memory, larger ones stream to the blob store.

use super::{Context, blocking, now};
use authentication::{Heard, Listener};
use blobs::{Blobs, Commit, Writer};
use bytes::Bytes;
use ledger::{AcceptanceId, RequireTls};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The longest Message-ID that is kept for people who search.
const MESSAGE_ID_LENGTH: usize = 998;
/// Octets gathered before a write that may wait for the disk.
const PIECE: usize = 64 * 1024;

/// A message on its way in.
pub(super) struct Incoming {
    pub(super) id: AcceptanceId,
    pub(super) received_at: i64,
    blobs: Blobs,
    inline_bytes: usize,
    gathered: Vec<u8>,
    writer: Option<Writer>,
    glimpse: Glimpse,
    failed: Option<blobs::Error>,
    /// Heard for its signatures, and kept until it has been looked at.
    heard: Option<Hearing>,
}

/// A message that is heard while it comes, and written when it is known what belongs on top of it.
struct Hearing {
    listener: Listener,
    /// Our own lines.
    head: Vec<u8>,
    spool: PathBuf,
    /// What did not fit into the memory.
    file: Option<File>,
}

/// A message that is in.
pub(super) struct Whole {
    pub(super) commit: Commit,
    /// The bytes, where the message is small.
    pub(super) bytes: Option<Bytes>,
    pub(super) message_id: Option<String>,
    /// A program wrote it, or it goes to a list.
    pub(super) bulk: bool,
    /// What its header asks of TLS.
    pub(super) requiretls: RequireTls,
}

/// What the ledger wants to know of a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Glimpse {
    /// The Message-ID field (RFC 5322 §3.6.4).
    message_id: Option<String>,
    /// `Precedence: bulk` and its like, the fields of lists (RFC 2369, RFC 2919), or `Auto-Submitted` (RFC 3834 §5).
    bulk: bool,
    /// `TLS-Required: No` (RFC 8689 §3).
    requiretls: RequireTls,
}

impl Incoming {
    /// Begins with room for the announced size.
    pub(super) fn new(context: &Context, announced: Option<u64>) -> Incoming {
        let inline_bytes = context.options.inline_bytes;
        let room = announced
            .and_then(|size| usize::try_from(size).ok())
            .map_or(16 * 1024, |size| size.saturating_add(1024));
        Incoming {
            id: context.ledger.next_id(),
            received_at: now(),
            blobs: context.ledger.blobs().clone(),
            inline_bytes,
            gathered: Vec::with_capacity(room.min(inline_bytes)),
            writer: None,
            glimpse: Glimpse::default(),
            failed: None,
            heard: None,
        }
    }

    /// The same, and what comes is heard for its signatures.
    pub(super) fn hearing(self, context: &Context, listener: Listener) -> Incoming {
        let hearing = Hearing {
            listener,
            head: Vec::new(),
            spool: context.options.spool.clone(),
            file: None,
        };
        Incoming {
            heard: Some(hearing),
            ..self
        }
    }

    /// The trace header, before anything else.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        match &mut self.heard {
            Some(hearing) => &mut hearing.head,
            None => &mut self.gathered,
        }
    }

    /// Takes the next bytes. A failure is kept for the end: the client has to be heard out.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        let spooled = self.heard.as_ref().is_some_and(|hearing| hearing.file.is_some());
        let limit = if self.writer.is_some() || spooled {
            PIECE
        } else {
            self.inline_bytes
        };
        if self.gathered.len() + bytes.len() <= limit {
            return self.gathered.extend_from_slice(bytes);
        }
        if let Err(error) = self.pour(bytes) {
            self.failed = Some(error);
            self.writer = None;
            self.heard = None;
            self.gathered = Vec::new();
        }
    }

    fn pour(&mut self, bytes: &[u8]) -> blobs::Result<()> {
        if let Some(hearing) = &mut self.heard {
            if hearing.file.is_none() {
                self.glimpse = glimpse(&self.gathered);
            }
            blocking(|| hearing.pour(&self.gathered).and_then(|()| hearing.pour(bytes)))?;
            self.emptied();
            return Ok(());
        }
        if self.writer.is_none() {
            self.glimpse = glimpse(&self.gathered);
        }
        let writer = self.writer.get_or_insert_with(|| self.blobs.writer());
        blocking(|| writer.write(&self.gathered).and_then(|()| writer.write(bytes)))?;
        self.emptied();
        Ok(())
    }

    fn emptied(&mut self) {
        if self.gathered.capacity() > PIECE {
            self.gathered = Vec::with_capacity(PIECE);
        }
        self.gathered.clear();
    }

    /// The message has been heard to its end; `None` where nobody listened, or it has failed.
    pub(super) fn heard(&mut self) -> Option<Heard> {
        let hearing = self.heard.as_mut()?;
        let listener = std::mem::replace(&mut hearing.listener, Listener::new(authentication::Limits::default()));
        let rest = &self.gathered;
        let finish = || {
            let mut listener = listener;
            listener.push(rest);
            listener.finish()
        };
        // Hashing a small message takes some tens of microseconds: less than handing this thread's tasks to another.
        Some(if rest.len() > PIECE { blocking(finish) } else { finish() })
    }

    /// What was heard becomes what is kept: `top`, our own lines, the header given in place of the one that came, and the body.
    pub(super) fn compose(self, top: &[u8], came: &Heard, header: &[u8]) -> blobs::Result<Whole> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let head = self
            .heard
            .as_ref()
            .map(|hearing| hearing.head.clone())
            .unwrap_or_default();
        let skip = came.header().len();
        let Some(mut file) = self.heard.and_then(|hearing| hearing.file) else {
            let mut whole = Vec::with_capacity(top.len() + head.len() + self.gathered.len() + 256);
            for part in [top, &head, header, self.gathered.get(skip..).unwrap_or_default()] {
                whole.extend_from_slice(part);
            }
            let seen = glimpse(header);
            let commit = if whole.len() > PIECE {
                blocking(|| self.blobs.put(&whole))?
            } else {
                self.blobs.put(&whole)?
            };
            return Ok(Whole {
                commit,
                bytes: Some(whole.into()),
                message_id: seen.message_id,
                bulk: seen.bulk,
                requiretls: seen.requiretls,
            });
        };
        let seen = glimpse(header);
        let commit = blocking(|| {
            let mut writer = self.blobs.writer();
            writer.write(top)?;
            writer.write(&head)?;
            writer.write(header)?;
            file.seek(SeekFrom::Start(skip as u64)).map_err(spool_error)?;
            let mut piece = vec![0; PIECE];
            loop {
                match file.read(&mut piece) {
                    Ok(0) => break,
                    Ok(count) => writer.write(piece.get(..count).unwrap_or_default())?,
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(spool_error(e)),
                }
            }
            writer.write(&self.gathered)?;
            writer.finish()
        })?;
        Ok(Whole {
            commit,
            bytes: None,
            message_id: seen.message_id,
            bulk: seen.bulk,
            requiretls: seen.requiretls,
        })
    }

    /// The message is complete.
    pub(super) fn finish(self) -> blobs::Result<Whole> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.writer {
            Some(mut writer) => {
                let commit = blocking(|| writer.write(&self.gathered).and_then(|()| writer.finish()))?;
                Ok(Whole {
                    commit,
                    bytes: None,
                    message_id: self.glimpse.message_id,
                    bulk: self.glimpse.bulk,
                    requiretls: self.glimpse.requiretls,
                })
            }
            None => {
                // Waits only when the disk is far behind; a small message is not worth handing this thread's tasks to another.
                let commit = if self.gathered.len() > PIECE {
                    blocking(|| self.blobs.put(&self.gathered))?
                } else {
                    self.blobs.put(&self.gathered)?
                };
                let seen = glimpse(&self.gathered);
                Ok(Whole {
                    commit,
                    bytes: Some(self.gathered.into()),
                    message_id: seen.message_id,
                    bulk: seen.bulk,
                    requiretls: seen.requiretls,
                })
            }
        }
    }
}

fn spool_error(error: std::io::Error) -> blobs::Error {
    blobs::Error::beside(Path::new("the spool"), error)
}

impl Hearing {
    fn pour(&mut self, bytes: &[u8]) -> blobs::Result<()> {
        self.listener.push(bytes);
        let file = match &mut self.file {
            Some(file) => file,
            // It has no name, and goes with us.
            None => self
                .file
                .insert(tempfile::tempfile_in(&self.spool).map_err(spool_error)?),
        };
        file.write_all(bytes).map_err(spool_error)
    }
}

/// The header of a message whose beginning this is.
fn glimpse(message: &[u8]) -> Glimpse {
    let mut seen = Glimpse::default();
    let mut rest = message;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, behind) = rest.split_at(end + 1);
        if line == b"\r\n" || line == b"\n" {
            break;
        }
        rest = behind;
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let is = |known: &[u8]| name.trim_ascii_end().eq_ignore_ascii_case(known);
        let begins = |text: &[u8], with: &[u8]| text.get(..with.len()).is_some_and(|t| t.eq_ignore_ascii_case(with));
        if is(b"message-id") && seen.message_id.is_none() {
            seen.message_id = message_id(value, behind);
        } else if is(b"precedence") {
            seen.bulk |= [&b"bulk"[..], b"list", b"junk"].iter().any(|word| begins(value, word));
        } else if is(b"auto-submitted") {
            seen.bulk |= !begins(value, b"no");
        } else if is(b"tls-required") {
            seen.requiretls = seen.requiretls.max(RequireTls::of_field(value));
        } else if begins(name, b"list-") {
            seen.bulk = true;
        }
    }
    seen
}

/// The value of a Message-ID field; `behind`: the lines after it.
fn message_id<'m>(mut value: &'m [u8], behind: &'m [u8]) -> Option<String> {
    if value.is_empty() && behind.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
        // Some programs fold a long one right behind the colon.
        let end = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
        value = behind.get(..end).unwrap_or_default().trim_ascii();
    }
    let value = value.get(..MESSAGE_ID_LENGTH).unwrap_or(value);
    (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids() {
        let cases = [
            ("Subject: x\r\nMessage-ID: <a@b>\r\n\r\n", Some("<a@b>")),
            ("MESSAGE-ID:<a@b> \r\n\r\n", Some("<a@b>")),
            ("Message-Id:\r\n\t<long@b>\r\n\r\n", Some("<long@b>")),
            ("Subject: x\r\n\r\nMessage-ID: <a@b>\r\n", None),
            ("Message-ID:\r\nSubject: x\r\n", None),
            ("Message-ID: <cut", None),
            ("", None),
        ];
        for (message, expected) in cases {
            assert_eq!(
                glimpse(message.as_bytes()).message_id.as_deref(),
                expected,
                "{message:?}"
            );
        }
    }

    #[test]
    fn what_the_header_asks_of_tls() {
        let cases = [
            ("TLS-Required: No\r\n\r\n", RequireTls::No),
            ("tls-required:no \r\n\r\n", RequireTls::No),
            ("From: a\r\nTLS-Required: No\r\nTLS-Required: x\r\n\r\n", RequireTls::No),
            ("TLS-Required: Yes\r\n\r\n", RequireTls::Unsaid),
            ("TLS-Required: Nobody\r\n\r\n", RequireTls::Unsaid),
            ("Subject: x\r\n\r\nTLS-Required: No\r\n", RequireTls::Unsaid),
        ];
        for (message, expected) in cases {
            assert_eq!(glimpse(message.as_bytes()).requiretls, expected, "{message:?}");
        }
    }

    #[test]
    fn what_programs_and_lists_send_is_bulk() {
        let cases = [
            ("Precedence: bulk\r\n\r\n", true),
            ("PRECEDENCE: List\r\n\r\n", true),
            ("Precedence: first-class\r\n\r\n", false),
            ("From: a\r\nList-Unsubscribe: <https://x>\r\n\r\n", true),
            ("Auto-Submitted: auto-replied\r\n\r\n", true),
            ("Auto-Submitted: no\r\n\r\n", false),
            ("Subject: x\r\n\r\nPrecedence: bulk\r\n", false),
            ("Subject: about\r\n Precedence: bulk\r\n\r\n", false),
        ];
        for (message, expected) in cases {
            assert_eq!(glimpse(message.as_bytes()).bulk, expected, "{message:?}");
        }
    }
}
