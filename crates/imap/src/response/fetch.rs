//! FETCH. RFC 9051 §7.5.2; `MODSEQ`: RFC 7162 §3.1.4.2; `BINARY`: RFC 3516 §4.3.

use std::io::Write;

use crate::DateTime;
use crate::command::{Part, Partial, Section, SectionText};
use crate::response::string::literal_head;
use crate::response::{decimal, flag_list};

/// A FETCH response that is being written. The buffer is handed in anew with each item, so that it can be sent and emptied in
/// between: octets of a literal don't have to pass through it.
#[derive(Debug)]
pub struct FetchResponse {
    first: bool,
}

impl FetchResponse {
    /// `* n FETCH (`
    pub fn begin(out: &mut Vec<u8>, sequence: u32) -> FetchResponse {
        out.extend_from_slice(b"* ");
        decimal(out, u64::from(sequence));
        out.extend_from_slice(b" FETCH (");
        FetchResponse { first: true }
    }

    /// `* uid UIDFETCH (`: RFC 9586 §3.3.
    pub fn begin_uid(out: &mut Vec<u8>, uid: u32) -> FetchResponse {
        out.extend_from_slice(b"* ");
        decimal(out, u64::from(uid));
        out.extend_from_slice(b" UIDFETCH (");
        FetchResponse { first: true }
    }

    /// `)` and the line end.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    /// Whether no item was written yet.
    pub fn is_empty(&self) -> bool {
        self.first
    }

    /// `UID n`
    pub fn uid(&mut self, out: &mut Vec<u8>, uid: u32) {
        self.name(out, "UID ");
        decimal(out, u64::from(uid));
    }

    /// `FLAGS (…)`
    pub fn flags<'n>(&mut self, out: &mut Vec<u8>, names: impl IntoIterator<Item = &'n str>) {
        self.name(out, "FLAGS ");
        flag_list(out, names);
    }

    /// `MODSEQ (n)`
    pub fn modseq(&mut self, out: &mut Vec<u8>, modseq: u64) {
        self.name(out, "MODSEQ (");
        decimal(out, modseq);
        out.push(b')');
    }

    /// `RFC822.SIZE n`
    pub fn size(&mut self, out: &mut Vec<u8>, size: u64) {
        self.name(out, "RFC822.SIZE ");
        decimal(out, size);
    }

    /// `INTERNALDATE "…"`
    pub fn internal_date(&mut self, out: &mut Vec<u8>, date: DateTime) {
        self.name(out, "INTERNALDATE ");
        // Writing to a Vec cannot fail.
        let _ = write!(out, "\"{date}\"");
    }

    /// `EMAILID (…)`, `THREADID (…)`: RFC 8474 §5.3; `None`: `NIL`.
    pub fn object_id(&mut self, out: &mut Vec<u8>, name: &str, id: Option<&str>) {
        self.item(out, name);
        match id {
            // Writing to a Vec cannot fail.
            Some(id) => drop(write!(out, "({id})")),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `SAVEDATE "…"`: RFC 8514 §4.2; `None`: `NIL`.
    pub fn save_date(&mut self, out: &mut Vec<u8>, date: Option<DateTime>) {
        self.item(out, "SAVEDATE");
        match date {
            // Writing to a Vec cannot fail.
            Some(date) => drop(write!(out, "\"{date}\"")),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `PREVIEW "…"`: RFC 8970 §3; `None`: `NIL`. `utf8`: the client reads UTF-8 in quoted strings.
    pub fn preview(&mut self, out: &mut Vec<u8>, preview: Option<&str>, utf8: bool) {
        self.item(out, "PREVIEW");
        crate::response::nstring(out, preview.map(str::as_bytes), utf8);
    }

    /// `ENVELOPE (…)`, `BODY (…)`, `BODYSTRUCTURE (…)`: the value is for the caller to write.
    pub fn item(&mut self, out: &mut Vec<u8>, name: &str) {
        self.name(out, name);
        out.push(b' ');
    }

    /// `RFC822 {n}`, `RFC822.HEADER {n}`: the octets are for the caller to send.
    pub fn rfc822(&mut self, out: &mut Vec<u8>, name: &str, len: u64) {
        self.item(out, name);
        literal_head(out, len);
    }

    /// `BODY[…]<from> {n}`: the octets are for the caller to send. `None`: there is no such part, `NIL`.
    pub fn section(&mut self, out: &mut Vec<u8>, section: &Section, partial: Option<Partial>, len: Option<u64>) {
        self.name(out, "BODY[");
        write_part(out, &section.part);
        if !section.part.is_empty() && section.text != SectionText::All {
            out.push(b'.');
        }
        match &section.text {
            SectionText::All => {}
            SectionText::Header => out.extend_from_slice(b"HEADER"),
            SectionText::Text => out.extend_from_slice(b"TEXT"),
            SectionText::Mime => out.extend_from_slice(b"MIME"),
            SectionText::HeaderFields { not, names } => {
                out.extend_from_slice(if *not {
                    b"HEADER.FIELDS.NOT ("
                } else {
                    b"HEADER.FIELDS ("
                });
                for (i, name) in names.iter().enumerate() {
                    if i > 0 {
                        out.push(b' ');
                    }
                    crate::response::astring(out, name.as_bytes(), false);
                }
                out.push(b')');
            }
        }
        out.push(b']');
        value_head(out, partial, len, false);
    }

    /// `BINARY[…]<from> {n}`, as `~{n}` if `eight` says that the octets hold a NUL.
    pub fn binary(&mut self, out: &mut Vec<u8>, part: &Part, partial: Option<Partial>, len: Option<u64>, eight: bool) {
        self.name(out, "BINARY[");
        write_part(out, part);
        out.push(b']');
        value_head(out, partial, len, eight);
    }

    /// `BINARY.SIZE[…] n`
    pub fn binary_size(&mut self, out: &mut Vec<u8>, part: &Part, len: u64) {
        self.name(out, "BINARY.SIZE[");
        write_part(out, part);
        out.extend_from_slice(b"] ");
        decimal(out, len);
    }

    fn name(&mut self, out: &mut Vec<u8>, name: &str) {
        if !self.first {
            out.push(b' ');
        }
        self.first = false;
        out.extend_from_slice(name.as_bytes());
    }
}

fn value_head(out: &mut Vec<u8>, partial: Option<Partial>, len: Option<u64>, eight: bool) {
    if let Some(partial) = partial {
        out.push(b'<');
        decimal(out, partial.from);
        out.push(b'>');
    }
    out.push(b' ');
    match len {
        Some(len) => {
            if eight {
                out.push(b'~');
            }
            literal_head(out, len);
        }
        None => out.extend_from_slice(b"NIL"),
    }
}

fn write_part(out: &mut Vec<u8>, part: &[u32]) {
    for (i, number) in part.iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        decimal(out, u64::from(*number));
    }
}
