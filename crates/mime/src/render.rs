//! `BODY` and `BODYSTRUCTURE` (RFC 9051 §7.5.2, grammar in §9; RFC 3501 has the same forms).

use crate::content::Parameter;
use crate::envelope::Envelope;
use crate::quoting::{write_nstring, write_number, write_string};
use crate::structure::{Kind, Part, Structure};

/// The grammar wants at least one part in a multipart and one in a message; where none came, this stands.
const EMPTY_PART: &[u8] = b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";

impl Structure {
    /// Writes the value of the `BODY` item: the structure without extension data.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        self.write_part(out, 0, false);
    }

    /// Writes the value of the `BODYSTRUCTURE` item.
    pub fn write_bodystructure(&self, out: &mut Vec<u8>) {
        self.write_part(out, 0, true);
    }

    /// Recursion is as deep as the parts are nested, which [`Limits::depth`](crate::Limits) bounds.
    fn write_part(&self, out: &mut Vec<u8>, index: usize, extended: bool) {
        let Some(part) = self.parts.get(index) else { return };
        match part.kind {
            Kind::Multipart => {
                out.push(b'(');
                let mut any = false;
                for child in self.children(index) {
                    any = true;
                    self.write_part(out, child, extended);
                }
                if !any {
                    write_empty_part(out, extended);
                }
                out.push(b' ');
                write_string(out, &part.media_subtype);
                if extended {
                    out.push(b' ');
                    write_parameters(out, &part.parameters, false);
                    write_disposition_on(out, part);
                }
                out.push(b')');
            }
            Kind::Message => {
                write_fields(out, part);
                out.push(b' ');
                match &part.envelope {
                    Some(envelope) => envelope.write_imap(out),
                    None => Envelope::default().write_imap(out),
                }
                out.push(b' ');
                if self.children(index).next().is_some() {
                    self.write_part(out, index + 1, extended);
                } else {
                    write_empty_part(out, extended);
                }
                out.push(b' ');
                write_number(out, part.lines);
                write_single_end(out, part, extended);
            }
            Kind::Leaf | Kind::Opaque => {
                write_fields(out, part);
                if part.is_text() {
                    out.push(b' ');
                    write_number(out, part.lines);
                }
                write_single_end(out, part, extended);
            }
        }
    }
}

fn write_empty_part(out: &mut Vec<u8>, extended: bool) {
    out.extend_from_slice(EMPTY_PART);
    out.extend_from_slice(if extended { b" NIL NIL NIL NIL)" } else { b")" });
}

/// `(type subtype parameters id description encoding octets`, not closed.
fn write_fields(out: &mut Vec<u8>, part: &Part) {
    out.push(b'(');
    if part.kind == Kind::Opaque {
        // Named multipart or message it would have to show parts that were not looked for.
        out.extend_from_slice(b"\"application\" \"octet-stream\"");
    } else {
        write_string(out, &part.media_type);
        out.push(b' ');
        write_string(out, &part.media_subtype);
    }
    out.push(b' ');
    write_parameters(out, &part.parameters, part.is_text());
    out.push(b' ');
    write_nstring(out, part.id.as_deref());
    out.push(b' ');
    write_nstring(out, part.description.as_deref());
    out.push(b' ');
    write_string(out, part.encoding.as_deref().unwrap_or(b"7bit"));
    out.push(b' ');
    write_number(out, part.body_len());
}

fn write_single_end(out: &mut Vec<u8>, part: &Part, extended: bool) {
    if extended {
        out.push(b' ');
        write_nstring(out, part.md5.as_deref());
        write_disposition_on(out, part);
    }
    out.push(b')');
}

/// ` disposition language location`.
fn write_disposition_on(out: &mut Vec<u8>, part: &Part) {
    match &part.disposition {
        Some(disposition) => {
            out.extend_from_slice(b" (");
            write_string(out, &disposition.kind);
            out.push(b' ');
            write_parameters(out, &disposition.parameters, false);
            out.push(b')');
        }
        None => out.extend_from_slice(b" NIL"),
    }
    out.push(b' ');
    match part.languages.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        several => {
            for (index, language) in several.iter().enumerate() {
                out.push(if index == 0 { b'(' } else { b' ' });
                write_string(out, language);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    write_nstring(out, part.location.as_deref());
}

/// A text part without a charset is US-ASCII (RFC 2045 §5.2), and says so, as the examples of RFC 9051 do.
fn write_parameters(out: &mut Vec<u8>, parameters: &[Parameter], text: bool) {
    let add_charset = text && !parameters.iter().any(|p| p.name.eq_ignore_ascii_case(b"charset"));
    if parameters.is_empty() && !add_charset {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (index, parameter) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        write_string(out, &parameter.name);
        out.push(b' ');
        write_string(out, &parameter.value);
    }
    if add_charset {
        if !parameters.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(b"\"charset\" \"us-ascii\"");
    }
    out.push(b')');
}
