//! A structure and an envelope as bytes to be stored: a version, then numbers as varints and texts with their lengths.

use crate::address::{Address, Mailbox};
use crate::content::{Disposition, Parameter};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::structure::{Kind, Part, Structure};

const VERSION: u8 = 1;

impl Structure {
    /// The structure as compact bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 * self.parts.len());
        out.push(VERSION);
        number(&mut out, self.parts.len() as u64);
        let mut before = 0;
        for (index, part) in self.parts.iter().enumerate() {
            number(&mut out, part.header_start.saturating_sub(before));
            number(&mut out, part.body_start.saturating_sub(part.header_start));
            number(&mut out, part.body_end.saturating_sub(part.body_start));
            number(&mut out, part.lines);
            number(&mut out, part.end.saturating_sub(index) as u64);
            before = part.header_start;
            out.push(match part.kind {
                Kind::Leaf => 0,
                Kind::Opaque => 1,
                Kind::Multipart => 2,
                Kind::Message => 3,
            });
            text(&mut out, &part.media_type);
            text(&mut out, &part.media_subtype);
            parameters(&mut out, &part.parameters);
            // Most parts have few of these fields: a byte says which follow.
            let texts = [&part.encoding, &part.id, &part.description, &part.md5, &part.location];
            let mut present = 0u8;
            for (bit, value) in texts.iter().enumerate() {
                present |= u8::from(value.is_some()) << bit;
            }
            present |= u8::from(part.disposition.is_some()) << 5;
            present |= u8::from(!part.languages.is_empty()) << 6;
            present |= u8::from(part.envelope.is_some()) << 7;
            out.push(present);
            for value in texts.into_iter().flatten() {
                text(&mut out, value);
            }
            if let Some(disposition) = &part.disposition {
                text(&mut out, &disposition.kind);
                parameters(&mut out, &disposition.parameters);
            }
            if !part.languages.is_empty() {
                number(&mut out, part.languages.len() as u64);
                for language in &part.languages {
                    text(&mut out, language);
                }
            }
            if let Some(envelope) = &part.envelope {
                write_envelope(&mut out, envelope);
            }
        }
        out
    }

    /// Reads back what [`Structure::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Structure> {
        let mut reader = Reader { bytes, at: 0 };
        reader.version()?;
        let count = reader.count()?;
        let mut parts: Vec<Part> = Vec::with_capacity(count.min(1024));
        let mut before = 0u64;
        for index in 0..count {
            let header_start = reader.sum(before)?;
            let body_start = reader.sum(header_start)?;
            let body_end = reader.sum(body_start)?;
            let lines = reader.number()?;
            let end = reader.sum(index as u64)? as usize;
            before = header_start;
            let kind = match reader.byte()? {
                0 => Kind::Leaf,
                1 => Kind::Opaque,
                2 => Kind::Multipart,
                3 => Kind::Message,
                _ => return Err(reader.damaged()),
            };
            if end <= index || end > count || (kind == Kind::Message && end < index + 2) {
                return Err(reader.damaged());
            }
            let media_type = reader.text()?;
            let media_subtype = reader.text()?;
            let parameters = reader.parameters()?;
            let present = reader.byte()?;
            let mut optional = |bit: u8| {
                if present & (1 << bit) != 0 {
                    reader.text().map(Some)
                } else {
                    Ok(None)
                }
            };
            let [encoding, id, description, md5, location] =
                [optional(0)?, optional(1)?, optional(2)?, optional(3)?, optional(4)?];
            let disposition = if present & (1 << 5) != 0 {
                Some(Disposition {
                    kind: reader.text()?,
                    parameters: reader.parameters()?,
                })
            } else {
                None
            };
            let languages = if present & (1 << 6) != 0 {
                reader.texts()?
            } else {
                Vec::new()
            };
            let envelope = if present & (1 << 7) != 0 {
                Some(Box::new(reader.envelope()?))
            } else {
                None
            };
            parts.push(Part {
                header_start,
                body_start,
                body_end,
                lines,
                kind,
                media_type,
                media_subtype,
                parameters,
                encoding,
                id,
                description,
                md5,
                disposition,
                languages,
                location,
                envelope,
                end,
            });
        }
        reader.finished(Structure { parts }, |structure| !structure.parts.is_empty())
    }
}

impl Envelope {
    /// The envelope as compact bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.push(VERSION);
        write_envelope(&mut out, self);
        out
    }

    /// Reads back what [`Envelope::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Envelope> {
        let mut reader = Reader { bytes, at: 0 };
        reader.version()?;
        let envelope = reader.envelope()?;
        reader.finished(envelope, |_| true)
    }
}

fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    for value in [
        &envelope.date,
        &envelope.subject,
        &envelope.in_reply_to,
        &envelope.message_id,
    ] {
        optional(out, value.as_deref());
    }
    let lists = [
        &envelope.from,
        &envelope.sender,
        &envelope.reply_to,
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        number(out, list.len() as u64);
        for address in list {
            match address {
                Address::Mailbox(mailbox) => {
                    out.push(0);
                    optional(out, mailbox.name.as_deref());
                    optional(out, mailbox.route.as_deref());
                    text(out, &mailbox.local);
                    text(out, &mailbox.host);
                }
                Address::GroupStart(name) => {
                    out.push(1);
                    text(out, name);
                }
                Address::GroupEnd => out.push(2),
            }
        }
    }
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, value: &[u8]) {
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Zero for none, else the length plus one.
fn optional(out: &mut Vec<u8>, value: Option<&[u8]>) {
    number(out, value.map_or(0, |value| value.len() as u64 + 1));
    out.extend_from_slice(value.unwrap_or_default());
}

fn parameters(out: &mut Vec<u8>, list: &[Parameter]) {
    number(out, list.len() as u64);
    for parameter in list {
        text(out, &parameter.name);
        text(out, &parameter.value);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self) -> Error {
        Error::Damaged(self.at)
    }

    fn version(&mut self) -> Result<()> {
        match self.byte()? {
            VERSION => Ok(()),
            other => Err(Error::Version(other)),
        }
    }

    fn finished<T>(&self, value: T, valid: impl Fn(&T) -> bool) -> Result<T> {
        if self.at == self.bytes.len() && valid(&value) {
            Ok(value)
        } else {
            Err(self.damaged())
        }
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or(self.damaged())?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    fn sum(&mut self, base: u64) -> Result<u64> {
        base.checked_add(self.number()?).ok_or(self.damaged())
    }

    /// A number of things that each take at least a byte.
    fn count(&mut self) -> Result<usize> {
        let count = self.number()?;
        if count > (self.bytes.len() - self.at) as u64 {
            Err(self.damaged())
        } else {
            Ok(count as usize)
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(self.damaged())?;
        let bytes = self.bytes.get(self.at..end).ok_or(self.damaged())?;
        self.at = end;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<Box<[u8]>> {
        let length = self.count()?;
        Ok(Box::from(self.take(length)?))
    }

    fn optional(&mut self) -> Result<Option<Box<[u8]>>> {
        match self.number()? {
            0 => Ok(None),
            length => {
                let length = usize::try_from(length - 1).map_err(|_| self.damaged())?;
                Ok(Some(Box::from(self.take(length)?)))
            }
        }
    }

    fn texts(&mut self) -> Result<Vec<Box<[u8]>>> {
        let count = self.count()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn parameters(&mut self) -> Result<Vec<Parameter>> {
        let count = self.count()?;
        (0..count)
            .map(|_| {
                Ok(Parameter {
                    name: self.text()?,
                    value: self.text()?,
                })
            })
            .collect()
    }

    fn envelope(&mut self) -> Result<Envelope> {
        Ok(Envelope {
            date: self.optional()?,
            subject: self.optional()?,
            in_reply_to: self.optional()?,
            message_id: self.optional()?,
            from: self.addresses()?,
            sender: self.addresses()?,
            reply_to: self.addresses()?,
            to: self.addresses()?,
            cc: self.addresses()?,
            bcc: self.addresses()?,
        })
    }

    fn addresses(&mut self) -> Result<Vec<Address>> {
        let count = self.count()?;
        (0..count)
            .map(|_| match self.byte()? {
                0 => Ok(Address::Mailbox(Mailbox {
                    name: self.optional()?,
                    route: self.optional()?,
                    local: self.text()?,
                    host: self.text()?,
                })),
                1 => Ok(Address::GroupStart(self.text()?)),
                2 => Ok(Address::GroupEnd),
                _ => Err(self.damaged()),
            })
            .collect()
    }
}
