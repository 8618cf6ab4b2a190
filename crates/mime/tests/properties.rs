//! What holds for every message: pieces make no difference, parts tile, what is written is valid IMAP, nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use mime::{Date, Envelope, Limits, Scanner, Structure, decode_header, fields, header_fields, search_text};
use proptest::prelude::*;

/// Lines from which odd messages are made.
const LINES: &[&str] = &[
    "Content-Type: multipart/mixed; boundary=a",
    "Content-Type: multipart/digest; boundary=\"ab\"",
    "Content-Type: multipart/alternative;\n boundary=abc",
    "Content-Type: message/rfc822",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Type: image/gif; name=\"\u{e4}",
    "Content-Disposition: attachment; filename*=utf-8''%c3",
    "Content-Transfer-Encoding: base64",
    "Content-ID: <\0>",
    "Subject: =?utf-8?q?=C3=A4?= (",
    "To: a: b@c, \"d\" <e@f>;, (",
    "From: <@x:y",
    "Date: Fri, 21 Nov 1997 09:55:06 -0600",
    "From x",
    " folded",
    "",
    "",
    "--a",
    "--a--",
    "--ab",
    "--ab--",
    "--abc",
    "--abc-- ",
    "text",
    "\u{e4}\r",
    "<p>a &amp; b",
];

fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        9 => (0..LINES.len()).prop_map(|index| LINES[index].as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let lines = proptest::collection::vec((line, prop_oneof![Just("\n"), Just("\r\n")]), 0..40);
    (lines, any::<bool>()).prop_map(|(lines, ended)| {
        let mut message: Vec<u8> = lines
            .into_iter()
            .flat_map(|(line, end)| [line, end.as_bytes().to_vec()].concat())
            .collect();
        if !ended {
            message.pop();
        }
        message
    })
}

fn scan(pieces: &[&[u8]], limits: Limits) -> Structure {
    let mut scanner = Scanner::new(limits);
    pieces.iter().for_each(|piece| scanner.push(piece));
    scanner.finish()
}

fn few() -> Limits {
    let mut limits = Limits::default();
    limits.depth = 3;
    limits.parts = 5;
    limits.header_bytes = 60;
    limits.kept_bytes = 400;
    limits
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_make_no_difference(message in message(), mut cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        for limits in [Limits::default(), few()] {
            let whole = scan(&[&message], limits.clone());
            let mut at: Vec<usize> = cuts.iter_mut().map(|cut| cut.index(message.len() + 1)).collect();
            at.extend([0, message.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &message[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&scan(&pieces, limits.clone()), &whole);
            let bytes: Vec<&[u8]> = message.chunks(1).collect();
            prop_assert_eq!(&scan(&bytes, limits), &whole);
        }
    }

    #[test]
    fn parts_tile_and_what_is_written_is_imap(message in message()) {
        let structure = scan(&[&message], Limits::default());
        let parts = structure.parts();
        prop_assert_eq!(parts[0].header_start, 0);
        prop_assert_eq!(parts[0].body_end, message.len() as u64);
        for part in parts {
            prop_assert!(part.header_start <= part.body_start && part.body_start <= part.body_end);
            let body = &message[part.body_start as usize..part.body_end as usize];
            prop_assert_eq!(part.lines, body.iter().filter(|&&byte| byte == b'\n').count() as u64);
        }
        for pair in parts.windows(2) {
            let within = pair[1].header_start >= pair[0].body_start && pair[1].body_end <= pair[0].body_end;
            prop_assert!(within || pair[1].header_start >= pair[0].body_end);
        }
        prop_assert_eq!(&Structure::decode(&structure.encode()).unwrap(), &structure);

        let mut out = Vec::new();
        structure.write_bodystructure(&mut out);
        out.push(b' ');
        structure.write_body(&mut out);
        out.push(b' ');
        Envelope::parse(&message).write_imap(&mut out);
        prop_assert!(balanced(&out), "{}", String::from_utf8_lossy(&out));
        let _ = search_text(&message, &structure, true);
        let envelope = Envelope::parse(&message);
        prop_assert_eq!(Envelope::decode(&envelope.encode()).unwrap(), envelope);
    }

    #[test]
    fn bytes_of_any_kind(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let structure = scan(&[&bytes], Limits::default());
        let _ = search_text(&bytes, &structure, true);
        let _ = Structure::decode(&bytes);
        let _ = Envelope::decode(&bytes);
        let _ = Envelope::parse(&bytes);
        let _ = Date::parse(&bytes);
        let _ = decode_header(&bytes);
        let _ = header_fields(&bytes, &["a"], true);
        prop_assert!(fields(&bytes).map(|field| field.raw.len()).sum::<usize>() <= bytes.len());
        let mut damaged = vec![1, 1];
        damaged.extend(&bytes);
        let _ = Structure::decode(&damaged);
    }
}

/// Strings and literals are whole, parentheses match, nothing else is 8-bit or a line end.
fn balanced(bytes: &[u8]) -> bool {
    let (mut depth, mut at) = (0i64, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' => loop {
                at += 1;
                match bytes.get(at) {
                    Some(b'"') => break,
                    Some(b'\\') => at += 1,
                    Some(0 | b'\r' | b'\n' | 128..) | None => return false,
                    Some(_) => {}
                }
            },
            b'{' => {
                let Some(end) = bytes[at..].iter().position(|&byte| byte == b'}') else {
                    return false;
                };
                let length: usize = String::from_utf8_lossy(&bytes[at + 1..at + end]).parse().unwrap();
                let literal = &bytes[at + end + 3..at + end + 3 + length];
                if literal.contains(&0) || &bytes[at + end + 1..at + end + 3] != b"\r\n" {
                    return false;
                }
                at += end + 2 + length;
            }
            b'0'..=b'9' | b'A'..=b'Z' | b' ' => {}
            _ => return false,
        }
        if depth < 0 {
            return false;
        }
        at += 1;
    }
    depth == 0
}
