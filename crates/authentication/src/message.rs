//! A message's header, field by field, with every octet as it came: what signatures are about.

/// A field (RFC 5322 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The whole of it, with the line end.
    pub raw: &'a [u8],
    /// Its name, as written; space before the colon is not part of it.
    pub name: &'a [u8],
    /// What stands behind the colon, with the line end.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether it has this name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value as text; `None` if it is not UTF-8 (RFC 6532).
    pub fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.value).ok()
    }
}

/// The fields of a header, from the top. Lines that are no field are left out; the empty line ends it.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() || rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
                return None;
            }
            let mut end = 0;
            loop {
                end = match memchr::memchr(b'\n', rest.get(end..)?) {
                    Some(at) => end + at + 1,
                    None => rest.len(),
                };
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let (raw, behind) = rest.split_at(end);
            rest = behind;
            if let Some(colon) = memchr::memchr(b':', raw)
                && let (name, Some(value)) = (raw.get(..colon)?.trim_ascii_end(), raw.get(colon + 1..))
                && !name.is_empty()
                && name.iter().all(u8::is_ascii_graphic)
            {
                return Some(Field { raw, name, value });
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let header = b"From: a\r\n b\r\nno field\r\nTo :x\r\n\tc\r\nLast: z";
        let found: Vec<_> = fields(header)
            .map(|f| (String::from_utf8_lossy(f.name), String::from_utf8_lossy(f.value)))
            .collect();
        let expected = [("From", " a\r\n b\r\n"), ("To", "x\r\n\tc\r\n"), ("Last", " z")];
        assert_eq!(found.len(), expected.len());
        for ((name, value), (a, b)) in found.iter().zip(expected) {
            assert_eq!((name.as_ref(), value.as_ref()), (a, b));
        }
        assert_eq!(fields(b"\r\nFrom: a\r\n").count(), 0);
        assert_eq!(fields(b"").count(), 0);
    }
}
