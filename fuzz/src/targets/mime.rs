//! The scanner and all that is made of what it finds.

use super::{Target, cuts};
use crate::signature::Signature;
use mime::{Envelope, Kind, Limits, Scanner, SectionText, Structure};

pub(super) const TARGET: Target = Target {
    name: "mime",
    about: "messages: structure, envelope, sections, decoding, text for search",
    tokens: TOKENS,
    longest: 32 * 1024,
    seeds: Vec::new,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\r\n--b\r\n",
    b"\r\n--b--\r\n",
    b"--",
    b"\r\n--c\r\n",
    b"\r\n--c--\r\n",
    b"Content-Type: ",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: multipart/digest; boundary=\"c\"\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/html; charset=iso-8859-1\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''a%20; filename*1=b\r\n",
    b"From: ",
    b"To: a: b@c, d@e;\r\n",
    b"Date: Thu, 21 May 2026 05:33:29 -0700\r\n",
    b"Subject: =?utf-8?B?w7w=?= =?iso-8859-1?Q?=FC?=\r\n",
    b"=?utf-8?Q?",
    b"?=",
    b"=\r\n",
    b"=3D",
    b"=C3",
    b"%",
    b"*0*=",
    b";",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"<",
    b">",
    b"@",
    b",",
    b":",
    b" ",
    b"\t",
    b"boundary=",
    b"charset=",
    b"Message-ID: <a@b>\r\n",
    b"Content-Language: de, en\r\n",
    b"Content-MD5: x\r\n",
    b"\0",
    b"\xC3\xBC",
    b"\xFF",
    b"name*=utf-8'de'%C3%BC",
    b"begin 644 x\r\n",
];

fn small() -> Limits {
    let mut limits = Limits::default();
    limits.depth = 4;
    limits.parts = 12;
    limits.header_bytes = 600;
    limits.kept_bytes = 500;
    limits.parameters = 3;
    limits.addresses = 4;
    limits
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    for (name, limits) in [("default", Limits::default()), ("small", small())] {
        let mut scanned: Option<Structure> = None;
        for pieces in cuts(input) {
            let mut scanner = Scanner::new(limits.clone());
            for piece in pieces {
                scanner.push(piece);
            }
            let structure = scanner.finish();
            match &scanned {
                None => scanned = Some(structure),
                Some(first) => assert_eq!(first, &structure, "{name}: other pieces, other structure"),
            }
        }
        if let Some(structure) = scanned {
            structure_holds(input, &structure, &limits, &mut signature);
        }
    }
    header_holds(input, &mut signature);
    signature
}

/// What must be true of every structure.
fn structure_holds(input: &[u8], structure: &Structure, limits: &Limits, signature: &mut Signature) {
    let len = input.len() as u64;
    assert_eq!(structure.len(), len, "the message ends where its bytes end");
    assert!(
        structure.parts().len() <= limits.parts.max(1),
        "more parts than the limit"
    );
    for part in structure.parts() {
        assert!(
            part.header_start <= part.body_start && part.body_start <= part.body_end && part.body_end <= len,
            "{part:?}"
        );
        assert!(part.lines <= part.body_len(), "more line ends than octets");
        signature.note((
            part.kind as u8,
            part.encoding.is_some(),
            part.envelope.is_some(),
            part.disposition.is_some(),
        ));
        signature.note((
            "type",
            part.is_text(),
            part.parameters.len().min(4),
            part.languages.len().min(2),
        ));
    }
    signature.note((
        "parts",
        structure.parts().len().ilog2(),
        structure.parts().iter().any(|p| p.kind == Kind::Opaque),
    ));

    let encoded = structure.encode();
    assert_eq!(
        Structure::decode(&encoded).as_ref(),
        Ok(structure),
        "encoded and decoded"
    );
    for cut in [encoded.len() / 2, encoded.len().saturating_sub(1)] {
        assert!(
            Structure::decode(encoded.get(..cut).unwrap_or_default()).is_err(),
            "half a structure was decoded"
        );
    }
    // What an encoding became on a bad disk must not take the reader down.
    let _ = Structure::decode(input);
    let _ = Envelope::decode(input);

    let shifted = structure.clone().shifted(100);
    assert_eq!(shifted.len(), len + 100);

    let mut rendered = Vec::new();
    structure.write_body(&mut rendered);
    assert_balanced(&rendered);
    rendered.clear();
    structure.write_bodystructure(&mut rendered);
    assert_balanced(&rendered);
    assert!(
        rendered.len() <= 4096 + 12 * input.len() + 400 * structure.parts().len(),
        "a structure of {} octets",
        rendered.len()
    );

    for path in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 1], &[0], &[u32::MAX], &[3, 1, 1]] {
        for text in [
            SectionText::Whole,
            SectionText::Header,
            SectionText::Text,
            SectionText::Mime,
        ] {
            if let Some(range) = structure.locate(path, text) {
                assert!(
                    range.start <= range.end && range.end <= len,
                    "{path:?} {text:?} {range:?}"
                );
                signature.note(("section", path.len(), text as u8));
            }
        }
    }
    for part in structure.parts().iter().take(20) {
        let body = part.body_range();
        if let (Ok(start), Ok(end)) = (usize::try_from(body.start), usize::try_from(body.end))
            && let Some(bytes) = input.get(start..end)
        {
            let decoded = mime::decode_part(bytes, part.transfer_encoding());
            assert!(decoded.len() <= bytes.len(), "decoding never makes it longer");
            signature.note(("decoded", decoded.len() == bytes.len(), decoded.is_empty()));
        }
    }
    let text = mime::search_text(input, structure, true);
    // Characters grow to three octets at most when folded and decoded from eight-bit charsets.
    assert!(
        text.len() <= 4096 + 12 * input.len(),
        "text of {} octets from {}",
        text.len(),
        input.len()
    );
    assert!(mime::contains_folded(&text, ""), "everything contains nothing");
}

fn header_holds(input: &[u8], signature: &mut Signature) {
    let end = mime::header_end(input);
    assert!(end <= input.len());
    let header = input.get(..end).unwrap_or_default();
    let envelope = Envelope::parse(header);
    assert_eq!(
        Envelope::decode(&envelope.encode()).as_ref(),
        Ok(&envelope),
        "envelope encoded and decoded"
    );
    let mut rendered = Vec::new();
    envelope.write_imap(&mut rendered);
    assert_balanced(&rendered);
    signature.note(("envelope", rendered.len().max(1).ilog2()));
    signature.note(("date", mime::sent_date(header).is_some()));
    for text in [
        envelope.from_text(),
        envelope.to_text(),
        envelope.subject_text(),
        envelope.cc_text(),
        envelope.bcc_text(),
    ] {
        assert!(text.len() <= 4096 + 12 * input.len());
    }
    let some = mime::header_fields(header, &["Subject", "from"], false);
    let others = mime::header_fields(header, &["subject", "FROM"], true);
    assert!(
        some.len() + others.len() <= header.len() + 8,
        "fields and the rest are the header"
    );
    let _ = mime::decode_header(header);
}

/// Brackets close, strings end, literals are as long as they say: a client can read on behind it.
fn assert_balanced(rendered: &[u8]) {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&b) = rendered.get(at) {
        at += 1;
        match b {
            b'(' => depth += 1,
            b')' => {
                depth = depth
                    .checked_sub(1)
                    .unwrap_or_else(|| fail("closes what was not opened", rendered));
            }
            b'"' => loop {
                match rendered.get(at) {
                    Some(b'\\') => at += 2,
                    Some(b'"') => break at += 1,
                    Some(b'\r' | b'\n' | 0) | None => fail("a string does not end", rendered),
                    Some(_) => at += 1,
                }
            },
            b'{' => {
                let rest = rendered.get(at..).unwrap_or_default();
                let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                let number = std::str::from_utf8(rest.get(..digits).unwrap_or_default()).unwrap_or_default();
                let length: usize = number
                    .parse()
                    .unwrap_or_else(|_| fail("a literal without length", rendered));
                assert!(
                    rest.get(digits..).unwrap_or_default().starts_with(b"}\r\n"),
                    "a literal begins with its line end"
                );
                at += digits + 3 + length;
                assert!(at <= rendered.len(), "a literal is shorter than it says");
            }
            b'\r' | b'\n' | 0 => fail("a line end where none can be", rendered),
            _ => {}
        }
    }
    assert_eq!(
        depth,
        0,
        "brackets are open at the end: {:?}",
        String::from_utf8_lossy(rendered)
    );
}

#[allow(clippy::panic)]
fn fail(what: &str, rendered: &[u8]) -> ! {
    panic!("{what}: {:?}", String::from_utf8_lossy(rendered))
}
