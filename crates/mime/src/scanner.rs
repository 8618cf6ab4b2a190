//! The single pass over a message: a machine fed with lines (RFC 2046 §5.1).
//!
//! The machine is either in a header or in a body, and has a stack of open parts, from the message down to the part being
//! read. A header is collected until its end and then says what the part is. In a body only two things matter: line ends,
//! which are counted, and lines that begin with two hyphens, which may be the boundary of one of the open multiparts. A
//! boundary of an outer multipart ends all that is open within it, so a lost closing boundary costs nothing.
//!
//! Where no multipart is open nothing can end the body, and bytes are only counted.

use memchr::{memchr, memchr_iter};

use crate::content::{Content, parameter};
use crate::envelope::Envelope;
use crate::header::{LINE_HEAD, LineKind};
use crate::limits::Limits;
use crate::structure::{Kind, Part, Structure};

/// Finds the structure of a message as its bytes arrive. How they are cut into pieces makes no difference.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    parts: Vec<Part>,
    open: Vec<Open>,
    in_header: bool,
    /// Lines of the header being read, as far as it is kept.
    header: Vec<u8>,
    /// No line of this header has been seen yet.
    header_fresh: bool,
    /// The beginning of a line whose end has not arrived.
    pending: Vec<u8>,
    pending_len: u64,
    pending_last: u8,
    /// Where the current line begins.
    offset: u64,
    /// Line ends before the current line.
    newlines: u64,
    /// Length of the line end just before the current line.
    previous_end: u64,
    /// Open multiparts that still wait for boundaries.
    waiting: usize,
    kept: usize,
}

/// A part that is being read, or that holds the one that is.
#[derive(Debug)]
struct Open {
    part: usize,
    /// Of a multipart, until its closing boundary has come.
    boundary: Option<Box<[u8]>>,
    newlines_before_body: u64,
    /// Children without a type are messages (RFC 2046 §5.1.5).
    digest: bool,
}

/// A line that is a boundary.
struct Delimiter {
    level: usize,
    closing: bool,
}

impl Scanner {
    /// A scanner before the first byte of a message.
    pub fn new(limits: Limits) -> Scanner {
        let mut scanner = Scanner {
            limits,
            parts: Vec::with_capacity(4),
            open: Vec::with_capacity(4),
            in_header: true,
            header: Vec::with_capacity(4096),
            header_fresh: true,
            pending: Vec::new(),
            pending_len: 0,
            pending_last: 0,
            offset: 0,
            newlines: 0,
            previous_end: 0,
            waiting: 0,
            kept: 0,
        };
        scanner.open_part(0);
        scanner
    }

    /// Reads on. Never fails, whatever the bytes are.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if !self.in_header && self.waiting == 0 {
                self.newlines += memchr_iter(b'\n', rest).count() as u64;
                self.offset += rest.len() as u64;
                return;
            }
            let Some(at) = memchr(b'\n', rest) else {
                self.keep_pending(rest);
                return;
            };
            let (line, after) = rest.split_at(at + 1);
            rest = after;
            if self.pending_len == 0 {
                let end = if line.ends_with(b"\r\n") { 2 } else { 1 };
                self.line(line, line.len() as u64, end);
            } else {
                let before = if at > 0 {
                    line.get(at - 1).copied().unwrap_or(0)
                } else {
                    self.pending_last
                };
                self.keep_pending(line);
                self.pending_line(if before == b'\r' { 2 } else { 1 });
            }
        }
    }

    /// The message is whole.
    pub fn finish(mut self) -> Structure {
        if self.pending_len > 0 {
            self.pending_line(0);
        }
        while self.in_header {
            self.end_header(self.offset, self.newlines);
        }
        self.previous_end = 0;
        self.close_above(0, self.offset);
        Structure { parts: self.parts }
    }

    fn keep_pending(&mut self, bytes: &[u8]) {
        let most = if self.in_header {
            self.header_room().max(LINE_HEAD + 2)
        } else {
            LINE_HEAD + 2
        };
        let room = most.saturating_sub(self.pending.len()).min(bytes.len());
        self.pending.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.pending_len += bytes.len() as u64;
        self.pending_last = bytes.last().copied().unwrap_or(self.pending_last);
    }

    fn pending_line(&mut self, end: u64) {
        let mut line = std::mem::take(&mut self.pending);
        let len = std::mem::take(&mut self.pending_len);
        self.line(&line, len, end);
        line.clear();
        self.pending = line;
    }

    /// One line of `len` bytes, the last `end` of them its line end. Of a long line only the beginning may be at hand.
    fn line(&mut self, line: &[u8], len: u64, end: u64) {
        let start = self.offset;
        self.offset += len;
        if self.waiting > 0
            && line.starts_with(b"--")
            && let Some(delimiter) = self.delimiter(line, len, end)
        {
            self.cross(&delimiter, start);
            self.newlines += u64::from(end > 0);
            self.previous_end = end;
            return;
        }
        // A line that is no field ends the header before it, and may do the same to the header of a message within.
        while self.in_header {
            if self.header_line(line, start, end) {
                break;
            }
        }
        self.newlines += u64::from(end > 0);
        self.previous_end = end;
    }

    /// Takes a line of a header. False where the header has ended before the line.
    fn header_line(&mut self, line: &[u8], start: u64, end: u64) -> bool {
        let first = std::mem::replace(&mut self.header_fresh, false);
        match LineKind::of(line, first) {
            LineKind::Blank => self.end_header(self.offset, self.newlines + u64::from(end > 0)),
            LineKind::Other => {
                self.end_header(start, self.newlines);
                return false;
            }
            LineKind::MboxFrom => {}
            LineKind::Field | LineKind::Continuation => {
                let room = self.header_room().min(line.len());
                self.header.extend_from_slice(line.get(..room).unwrap_or_default());
            }
        }
        true
    }

    fn header_room(&self) -> usize {
        self.limits.header_bytes.saturating_sub(self.header.len())
    }

    /// The header is whole: what is the part?
    fn end_header(&mut self, body_start: u64, newlines: u64) {
        let depth = self.open.len();
        let (outer, top) = match self.open.as_mut_slice() {
            [] => return,
            [only] => (None, only),
            [.., outer, top] => (Some(outer), top),
        };
        top.newlines_before_body = newlines;
        let digest = outer.as_ref().is_some_and(|outer| outer.digest);
        let content = Content::parse(&self.header, &self.limits);
        self.kept += content.weight();

        let spent = depth >= self.limits.depth || self.parts.len() >= self.limits.parts;
        let Some(part) = self.parts.get_mut(top.part) else {
            return;
        };
        part.body_start = body_start;
        part.parameters = content.parameters;
        part.encoding = content.encoding;
        part.id = content.id;
        part.description = content.description;
        part.md5 = content.md5;
        part.disposition = content.disposition;
        part.languages = content.languages;
        part.location = content.location;
        match content.media {
            Some((media_type, subtype)) => (part.media_type, part.media_subtype) = (media_type, subtype),
            None if digest && !content.typed => {
                (part.media_type, part.media_subtype) = (Box::from(*b"message"), Box::from(*b"rfc822"));
            }
            None => {}
        }
        if part.media_type.eq_ignore_ascii_case(b"multipart") {
            match boundary(part) {
                Some(_) if spent => part.kind = Kind::Opaque,
                Some(boundary) => {
                    part.kind = Kind::Multipart;
                    top.boundary = Some(boundary);
                    top.digest = part.media_subtype.eq_ignore_ascii_case(b"digest");
                    self.waiting += 1;
                }
                // Without a boundary the type is no valid one, and such a part is plain text (RFC 2045 §5.2).
                None => {
                    (part.media_type, part.media_subtype) = (Box::from(*b"text"), Box::from(*b"plain"));
                    part.parameters.clear();
                }
            }
        } else if part.is("message", "rfc822") || part.is("message", "global") {
            part.kind = if spent { Kind::Opaque } else { Kind::Message };
        }
        let message_within = part.kind == Kind::Message;

        // The header of a message within a message: its envelope belongs to the part that holds it.
        if let Some(outer) = outer.map(|outer| outer.part)
            && let Some(holder) = self.parts.get_mut(outer).filter(|holder| holder.kind == Kind::Message)
        {
            let envelope = Envelope::parse_within(&self.header, &self.limits);
            self.kept += envelope.weight();
            holder.envelope = Some(Box::new(envelope));
        }
        self.in_header = false;
        if message_within {
            self.open_part(body_start);
        }
    }

    fn open_part(&mut self, header_start: u64) {
        self.open.push(Open {
            part: self.parts.len(),
            boundary: None,
            newlines_before_body: self.newlines,
            digest: false,
        });
        self.parts.push(Part {
            header_start,
            body_start: header_start,
            body_end: header_start,
            lines: 0,
            kind: Kind::Leaf,
            media_type: Box::from(*b"text"),
            media_subtype: Box::from(*b"plain"),
            parameters: Vec::new(),
            encoding: None,
            id: None,
            description: None,
            md5: None,
            disposition: None,
            languages: Vec::new(),
            location: None,
            envelope: None,
            end: 0,
        });
        self.in_header = true;
        self.header.clear();
        self.header_fresh = true;
    }

    /// Whether the line is a boundary of an open multipart, and of which.
    ///
    /// RFC 2046 §5.1.1: it is enough that a line begins with the boundary. So that one boundary may be the beginning of
    /// another, a line that is exactly a boundary comes first, then the longest, then the innermost.
    fn delimiter(&self, line: &[u8], len: u64, end: u64) -> Option<Delimiter> {
        let content_len = len.saturating_sub(end).min(LINE_HEAD as u64) as usize;
        let content = line.get(2..content_len)?;
        let whole = len.saturating_sub(end) <= LINE_HEAD as u64;
        let blank = |rest: &[u8]| rest.iter().all(|&byte| byte == b' ' || byte == b'\t' || byte == b'\r');
        let mut best: Option<((bool, usize), Delimiter)> = None;
        for (level, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = open.boundary.as_deref() else {
                continue;
            };
            let Some(rest) = content.strip_prefix(boundary) else {
                continue;
            };
            let closing = rest.starts_with(b"--");
            let exact = whole
                && blank(if closing {
                    rest.get(2..).unwrap_or_default()
                } else {
                    rest
                });
            let rank = (exact, boundary.len());
            if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                best = Some((rank, Delimiter { level, closing }));
            }
        }
        best.map(|(_, delimiter)| delimiter)
    }

    /// A boundary line begins at `start`: ends what is open within its multipart and begins the next part.
    fn cross(&mut self, delimiter: &Delimiter, start: u64) {
        // A header that ends here may open a part too: the message within a digest.
        while self.in_header {
            self.end_header(start, self.newlines);
        }
        if !delimiter.closing && (self.parts.len() >= self.limits.parts || self.kept >= self.limits.kept_bytes) {
            for open in &mut self.open {
                open.boundary = None;
            }
            self.waiting = 0;
            return;
        }
        self.close_above(delimiter.level + 1, start);
        if delimiter.closing {
            if let Some(open) = self.open.get_mut(delimiter.level) {
                open.boundary = None;
                self.waiting -= 1;
            }
        } else {
            self.open_part(self.offset);
        }
    }

    /// Ends the parts of the stack from `level` up. The line end before `start` belongs to the boundary there.
    fn close_above(&mut self, level: usize, start: u64) {
        let end = start.saturating_sub(self.previous_end);
        let mut inner_end = 0;
        while self.open.len() > level {
            let Some(open) = self.open.pop() else { return };
            if open.boundary.is_some() {
                self.waiting -= 1;
            }
            let count = self.parts.len();
            let Some(part) = self.parts.get_mut(open.part) else {
                return;
            };
            part.body_end = end.max(part.body_start).max(inner_end);
            let stripped = u64::from(part.body_end < start);
            part.lines = self
                .newlines
                .saturating_sub(open.newlines_before_body)
                .saturating_sub(stripped);
            part.end = count;
            inner_end = part.body_end;
        }
    }
}

fn boundary(part: &Part) -> Option<Box<[u8]>> {
    let boundary = parameter(&part.parameters, "boundary")?;
    let trimmed = boundary.trim_ascii_end();
    (!trimmed.is_empty() && trimmed.len() + 4 <= LINE_HEAD).then(|| Box::from(trimmed))
}
