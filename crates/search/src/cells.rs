//! Numbers and texts one after the other in a row of octets.

use crate::{Error, Result};

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Signed numbers, small ones in few octets.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what was put.
pub(crate) struct Cells<'a>(pub(crate) &'a [u8]);

const SHORT: Error = Error::Damaged("a row ends too early");

impl<'a> Cells<'a> {
    pub(crate) fn is_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64> {
        // Most are small.
        match self.0 {
            [byte @ ..0x80, rest @ ..] => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.number_long(),
        }
    }

    fn number_long(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Damaged("a number has no end"))
    }

    pub(crate) fn size(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| Error::Damaged("a size is out of range"))
    }

    pub(crate) fn id(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| Error::Damaged("an id is out of range"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    pub(crate) fn octets(&mut self, len: usize) -> Result<&'a [u8]> {
        let (octets, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(octets)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        let len = self.size()?;
        std::str::from_utf8(self.octets(len)?).map_err(|_| Error::Damaged("a text is not UTF-8"))
    }
}

/// zstd level: texts are written once and read often, and the processor is for delivering.
const LEVEL: i32 = 3;

/// Puts a checksum behind a row: the engine has none, and a wrong row must not give a wrong answer.
pub(crate) fn seal(mut row: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&row);
    row.extend_from_slice(&sum.to_le_bytes());
    row
}

/// The row without its checksum, if that is right.
pub(crate) fn unseal(row: &[u8]) -> Result<&[u8]> {
    match row.split_last_chunk::<4>() {
        Some((row, sum)) if crc32fast::hash(row).to_le_bytes() == *sum => Ok(row),
        _ => Err(Error::Damaged("a row has a wrong checksum")),
    }
}

pub(crate) fn pack(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() / 2 + 16);
    put_number(&mut out, raw.len() as u64);
    match zstd::bulk::compress(raw, LEVEL) {
        Ok(packed) => out.extend_from_slice(&packed),
        // Nothing but a lack of memory makes it fail.
        Err(_) => out.clear(),
    }
    seal(out)
}

/// No row unpacks to more than this; a damaged one must not ask for all memory.
const UNPACKED_MOST: usize = 256 << 20;

pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut cells = Cells(unseal(packed)?);
    let len = cells.size()?;
    if len > UNPACKED_MOST {
        return Err(Error::Damaged("a row is too large"));
    }
    let raw = zstd::bulk::decompress(cells.0, len).map_err(|_| Error::Damaged("a row cannot be unpacked"))?;
    if raw.len() == len {
        Ok(raw)
    } else {
        Err(Error::Damaged("a row has another size than it says"))
    }
}
