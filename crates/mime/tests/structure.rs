//! Tricky messages and the BODY, BODYSTRUCTURE and sections the RFCs ask for, written by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use mime::{Limits, Scanner, SectionText, Structure};

fn scan(message: &[u8]) -> Structure {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(message);
    scanner.finish()
}

fn bodystructure(structure: &Structure) -> String {
    let mut out = Vec::new();
    structure.write_bodystructure(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn body(structure: &Structure) -> String {
    let mut out = Vec::new();
    structure.write_body(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A message is written with LF; both line ends are tried where sizes do not matter.
fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn check(name: &str, message: &str, expected: &str) {
    assert_eq!(bodystructure(&scan(&crlf(message))), expected, "{name}");
}

const PLAIN: &str = r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit""#;

#[test]
fn single_parts() {
    check("empty message", "", &format!("{PLAIN} 0 0 NIL NIL NIL NIL)"));
    check("header only", "Subject: a\n", &format!("{PLAIN} 0 0 NIL NIL NIL NIL)"));
    check(
        "header without end of line",
        "Subject: a",
        &format!("{PLAIN} 0 0 NIL NIL NIL NIL)"),
    );
    check("only the empty line", "\n", &format!("{PLAIN} 0 0 NIL NIL NIL NIL)"));
    check(
        "no header, no separator",
        "Dear all,\nbye\n",
        &format!("{PLAIN} 16 2 NIL NIL NIL NIL)"),
    );
    check(
        "body without end of line",
        "A: b\n\nxyz",
        &format!("{PLAIN} 3 0 NIL NIL NIL NIL)"),
    );
    check(
        "line in the header that is no field",
        "A: b\nno field\nC: d\n",
        &format!("{PLAIN} 16 2 NIL NIL NIL NIL)"),
    );
    check(
        "all fields",
        "Content-Type: text/HTML; charset=\"utf-8\" ; format = flowed (why)\n\
         Content-Transfer-Encoding: Quoted-Printable (yes)\n\
         Content-ID: <a@b>\nContent-Description: =?utf-8?q?=C3=A4?= \"x\"\n\
         Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nContent-Disposition: inline; filename=a b.txt\n\
         Content-Language: de, en\nContent-Location: http://a.example/\n\nhello\n",
        r#"("text" "HTML" ("charset" "utf-8" "format" "flowed") "<a@b>" "=?utf-8?q?=C3=A4?= \"x\"" "Quoted-Printable" 7 1 "Q2hlY2sgSW50ZWdyaXR5IQ==" ("inline" ("filename" "a b.txt")) ("de" "en") "http://a.example/")"#,
    );
    check(
        "RFC 2231 stays as written",
        "Content-Type: application/pdf;\n name*0*=utf-8''%41;\n name*1=\"b;c\\\"\"\nContent-Language: fr\n\nx",
        r#"("application" "pdf" ("name*0*" "utf-8''%41" "name*1" "b;c\"") NIL NIL "7bit" 1 NIL NIL ("fr") NIL)"#,
    );
    check(
        "type that is none",
        "Content-Type: nonsense\n\nx",
        &format!("{PLAIN} 1 0 NIL NIL NIL NIL)"),
    );
    check(
        "multipart without boundary",
        "Content-Type: multipart/mixed\n\nx",
        &format!("{PLAIN} 1 0 NIL NIL NIL NIL)"),
    );
    check(
        "comments and blanks in the type",
        "Content-Type: (a (b) \\) c) text / (d) csv ; (e) charset = latin1\n\n",
        r#"("text" "csv" ("charset" "latin1") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#,
    );
    check(
        "parameters that are none",
        "Content-Type: text/plain;; =x; a; \"q;r\"; b=; c=d e;\n\n",
        r#"("text" "plain" ("b" "" "c" "d e" "charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#,
    );
}

#[test]
fn eight_bit_goes_into_a_literal_and_nul_goes_away() {
    let message = b"Content-Type: text/plain; name=\"\xe4\"\nContent-Description: a\0b\n\nx";
    let mut out = Vec::new();
    scan(message).write_bodystructure(&mut out);
    assert_eq!(
        out,
        b"(\"text\" \"plain\" (\"name\" {1}\r\n\xe4 \"charset\" \"us-ascii\") NIL {2}\r\nab \"7bit\" 1 0 NIL NIL NIL NIL)"
    );
}

/// RFC 9051 §7.5.2: "a simple text message of 48 lines and 2279 octets", and the two-part one. Types as in the example.
#[test]
fn examples_of_the_rfc() {
    let line = "x".repeat(45) + "\r\n";
    let mut text = line.repeat(48);
    text.push_str(&"y".repeat(2279 - 2256));
    let message =
        format!("Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\nContent-Transfer-Encoding: 7BIT\r\n\r\n{text}");
    assert_eq!(
        body(&scan(message.as_bytes())),
        r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)"#
    );

    let first = "a".repeat(48) + "\r\n";
    let first = first.repeat(23) + &"b".repeat(1152 - 23 * 50);
    let second = ("c".repeat(60) + "\r\n").repeat(73) + &"d".repeat(4554 - 73 * 62);
    let message = format!(
        "Content-Type: MULTIPART/MIXED; boundary=q\r\n\r\n--q\r\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\nContent-Transfer-Encoding: 7BIT\r\n\r\n{first}\r\n--q\r\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\r\n\
         Content-ID: <960723163407.20117h@cac.washington.edu>\r\nContent-Description: Compiler diff\r\n\
         Content-Transfer-Encoding: BASE64\r\n\r\n{second}\r\n--q--\r\n"
    );
    assert_eq!(
        body(&scan(message.as_bytes())),
        r#"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED")"#
    );
}

#[test]
fn multiparts() {
    let a = r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)"#;
    let end = r#"("boundary" "b") NIL NIL NIL)"#;
    let head = "Content-Type: multipart/mixed; boundary=b\n\n";
    let two = format!(r#"({a}{a} "mixed" {end}"#);
    for (name, rest) in [
        ("plain", "--b\n\nx\n--b\n\ny\n--b--\n"),
        (
            "preamble and epilogue",
            "pre\n--no\n--b\n\nx\n--b\n\ny\n--b--\nepi\n--b\n\nz\n",
        ),
        ("padding", "--b \t\n\nx\n--b  \n\ny\n--b-- \n"),
        ("no closing boundary, no last line end", "--b\n\nx\n--b\n\ny"),
        ("closing boundary without line end", "--b\n\nx\n--b\n\ny\n--b--"),
    ] {
        check(name, &format!("{head}{rest}"), &two);
    }
    check(
        "nothing in it",
        &format!("{head}text\n"),
        &format!(r#"({PLAIN} 0 0 NIL NIL NIL NIL) "mixed" {end}"#),
    );
    check(
        "closed at once",
        &format!("{head}--b--\n"),
        &format!(r#"({PLAIN} 0 0 NIL NIL NIL NIL) "mixed" {end}"#),
    );
    check(
        "parts without anything, with a header only, with an empty body",
        &format!("{head}--b\n--b\nContent-Type: image/gif\n--b\n\n--b--\n"),
        &format!(
            r#"({PLAIN} 0 0 NIL NIL NIL NIL)("image" "gif" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL){PLAIN} 0 0 NIL NIL NIL NIL) "mixed" {end}"#
        ),
    );
    check(
        "lines that only look like boundaries",
        &format!("{head}--b\n\n --b\n--c\n-b\n--\n--B\nx--b\n--b--\n"),
        &format!(r#"({PLAIN} 28 5 NIL NIL NIL NIL) "mixed" {end}"#),
    );
    check(
        "the boundary begins the line and is not all of it (RFC 2046 §5.1.1)",
        &format!("{head}--b rest\n\nx\n--b\n\ny\n--b--rest\n"),
        &two,
    );
}

#[test]
fn boundaries_that_begin_with_each_other() {
    let leaf = r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)"#;
    for (outer, inner) in [
        ("q", "q1"),
        ("q1", "q"),
        ("q", "q-"),
        ("q-", "q"),
        ("q--", "q"),
        ("q", "q--"),
    ] {
        if (outer, inner) == ("q", "q--") || (outer, inner) == ("q--", "q") {
            // The closing line of one is the opening line of the other: no reading is right, any will do.
            continue;
        }
        check(
            &format!("{outer} {inner}"),
            &format!(
                "Content-Type: multipart/mixed; boundary=\"{outer}\"\n\n--{outer}\n\
                 Content-Type: multipart/alternative; boundary=\"{inner}\"\n\n--{inner}\n\nx\n--{inner}\n\ny\n--{inner}--\n\
                 --{outer}\n\nz\n--{outer}--\n"
            ),
            &format!(
                r#"(({leaf}{leaf} "alternative" ("boundary" "{inner}") NIL NIL NIL){leaf} "mixed" ("boundary" "{outer}") NIL NIL NIL)"#
            ),
        );
    }
}

#[test]
fn an_outer_boundary_ends_what_is_open() {
    let message = crlf(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nin\n\
         --o\nContent-Type: message/rfc822\n\nSubject: s\n--o--\n",
    );
    let structure = scan(&message);
    assert_eq!(
        bodystructure(&structure),
        format!(
            r#"(({PLAIN} 2 0 NIL NIL NIL NIL) "mixed" ("boundary" "i") NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 12 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) {PLAIN} 0 0 NIL NIL NIL NIL) 1 NIL NIL NIL NIL) "mixed" ("boundary" "o") NIL NIL NIL)"#
        )
    );
    tiles(&structure, message.len() as u64);
}

#[test]
fn digests_and_messages_within() {
    let inner = "From: A <a@b.example>\nSubject: in\n\nhello\n";
    check(
        "a digest's parts are messages",
        &format!(
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\n{inner}--b\nContent-Type: text/plain\n\nx\n--b--\n"
        ),
        &format!(
            r#"(("message" "rfc822" NIL NIL NIL "7bit" 43 (NIL "in" (("A" NIL "a" "b.example")) (("A" NIL "a" "b.example")) (("A" NIL "a" "b.example")) NIL NIL NIL NIL NIL) {PLAIN} 5 0 NIL NIL NIL NIL) 3 NIL NIL NIL NIL){PLAIN} 1 0 NIL NIL NIL NIL) "digest" ("boundary" "b") NIL NIL NIL)"#
        ),
    );
    check(
        "the message is a message",
        &format!("Content-Type: message/global\n\n{inner}"),
        &format!(
            r#"("message" "global" NIL NIL NIL "7bit" 45 (NIL "in" (("A" NIL "a" "b.example")) (("A" NIL "a" "b.example")) (("A" NIL "a" "b.example")) NIL NIL NIL NIL NIL) {PLAIN} 7 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)"#
        ),
    );
}

/// RFC 9051 §6.4.5.1: the part numbers of "a complex message".
const COMPLEX: &str = "\
Subject: complex
Content-Type: multipart/mixed; boundary=o

preamble
--o
Content-Type: text/plain

one
--o
Content-Type: application/octet-stream

two
--o
Content-Type: message/rfc822

Subject: three
Content-Type: multipart/mixed; boundary=t

--t
Content-Type: text/plain

three.one
--t
Content-Type: application/octet-stream

three.two
--t--
three epilogue
--o
Content-Type: multipart/mixed; boundary=f

--f
Content-Type: image/gif

four.one
--f
Content-Type: message/rfc822

Subject: four.two
Content-Type: multipart/mixed; boundary=g

--g
Content-Type: text/plain

four.two.one
--g
Content-Type: multipart/alternative; boundary=h

--h
Content-Type: text/plain

four.two.two.one
--h
Content-Type: text/richtext

four.two.two.two
--h--
--g--
--f--
--o--
epilogue
";

#[test]
fn sections_of_the_complex_message() {
    let whole = crlf(COMPLEX);
    for message in [whole.as_slice(), COMPLEX.as_bytes()] {
        let structure = scan(message);
        tiles(&structure, message.len() as u64);
        let section = |path: &[u32], text| {
            structure.locate(path, text).map(|range| {
                let bytes = &message[range.start as usize..range.end as usize];
                String::from_utf8_lossy(bytes).replace("\r\n", "\n")
            })
        };
        let is = |path: &[u32], text, expected: &str| {
            assert_eq!(section(path, text).as_deref(), Some(expected), "{path:?} {text:?}");
        };
        use SectionText::{Header, Mime, Text, Whole};
        is(&[], Whole, COMPLEX);
        is(
            &[],
            Header,
            "Subject: complex\nContent-Type: multipart/mixed; boundary=o\n\n",
        );
        assert!(section(&[], Text).unwrap().starts_with("preamble\n--o\n"));
        assert!(section(&[], Text).unwrap().ends_with("--o--\nepilogue\n"));
        is(&[1], Whole, "one");
        is(&[1], Mime, "Content-Type: text/plain\n\n");
        is(&[2], Whole, "two");
        assert!(section(&[3], Whole).unwrap().starts_with("Subject: three\n"));
        assert!(section(&[3], Whole).unwrap().ends_with("--t--\nthree epilogue"));
        is(
            &[3],
            Header,
            "Subject: three\nContent-Type: multipart/mixed; boundary=t\n\n",
        );
        assert!(section(&[3], Text).unwrap().starts_with("--t\n"));
        is(&[3, 1], Whole, "three.one");
        is(&[3, 1], Mime, "Content-Type: text/plain\n\n");
        is(&[3, 2], Whole, "three.two");
        assert!(section(&[4], Whole).unwrap().starts_with("--f\n"));
        is(&[4, 1], Mime, "Content-Type: image/gif\n\n");
        is(&[4, 1], Whole, "four.one");
        is(
            &[4, 2],
            Header,
            "Subject: four.two\nContent-Type: multipart/mixed; boundary=g\n\n",
        );
        is(&[4, 2], Mime, "Content-Type: message/rfc822\n\n");
        is(&[4, 2, 1], Whole, "four.two.one");
        is(&[4, 2, 2, 1], Whole, "four.two.two.one");
        is(&[4, 2, 2, 2], Mime, "Content-Type: text/richtext\n\n");
        is(&[4, 2, 2, 2], Whole, "four.two.two.two");
        for none in [
            &[0][..],
            &[5],
            &[1, 1],
            &[3, 3],
            &[4, 2, 2, 3],
            &[4, 2, 2, 2, 1],
            &[u32::MAX],
        ] {
            assert_eq!(structure.locate(none, Whole), None, "{none:?}");
        }
        for (path, text) in [
            (&[1][..], Header),
            (&[1], Text),
            (&[4], Header),
            (&[3, 1], Header),
            (&[], Mime),
        ] {
            assert_eq!(structure.locate(path, text), None, "{path:?} {text:?}");
        }
    }
}

#[test]
fn part_one_of_a_message_that_is_no_multipart() {
    use SectionText::{Header, Mime, Text, Whole};
    let message = b"Subject: a\n\nbody\n";
    let structure = scan(message);
    assert_eq!(structure.locate(&[1], Whole), Some(12..17));
    assert_eq!(structure.locate(&[1], Mime), Some(0..12));
    assert_eq!(structure.locate(&[1], Text), None);
    assert_eq!(structure.locate(&[1, 1], Whole), None);
    assert_eq!(structure.locate(&[2], Whole), None);

    let message = b"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nA: b\n\nx";
    let structure = scan(message);
    assert_eq!(structure.locate(&[1], Whole), Some(30..67));
    assert_eq!(structure.locate(&[1], Header), Some(30..60));
    assert_eq!(structure.locate(&[1, 1], Whole), Some(60..67));
    assert_eq!(structure.locate(&[1, 1], Header), Some(60..66));
    assert_eq!(structure.locate(&[1, 1, 1], Whole), Some(66..67));
    assert_eq!(structure.locate(&[1, 1, 1], Mime), Some(60..66));
    assert_eq!(structure.locate(&[1, 1, 1, 1], Whole), None);
}

#[test]
fn shifting_puts_fields_before_the_message() {
    let message = crlf(COMPLEX);
    let prefix = b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\n";
    let together = [prefix.as_slice(), &message].concat();
    assert_eq!(scan(&message).shifted(prefix.len() as u64), scan(&together));
    let empty = scan(b"").shifted(7);
    assert_eq!(
        (empty.root().header_start, empty.root().body_start, empty.len()),
        (0, 7, 7)
    );
}

#[test]
fn limits_leave_the_rest_closed() {
    let mut nested = String::new();
    for level in 0..1000 {
        nested.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{level}x\n\n--b{level}x\n"
        ));
    }
    let structure = scan(nested.as_bytes());
    assert_eq!(structure.parts().len(), 100);
    assert!(bodystructure(&structure).contains(r#"("application" "octet-stream" ("boundary" "b99x")"#));

    let messages = "Content-Type: message/rfc822\n\n".repeat(1000);
    let structure = scan(messages.as_bytes());
    assert_eq!(structure.parts().len(), 100);

    let many = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\nx\n".repeat(20_000)
    );
    let structure = scan(many.as_bytes());
    assert_eq!(structure.parts().len(), 10_000);
    tiles(&structure, many.len() as u64);

    let heavy = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        format!("--b\nContent-ID: {}\n\nx\n", "i".repeat(100_000)).repeat(100)
    );
    let structure = scan(heavy.as_bytes());
    assert_eq!(structure.parts().len(), 12);
    assert!(structure.encode().len() < 1_200_000);

    let long_header = format!("X: {}\nContent-Type: image/png\n\nx", "y".repeat(300_000));
    let structure = scan(long_header.as_bytes());
    assert_eq!(structure.len() - structure.root().body_start, 1);
    assert!(structure.root().is("text", "plain"));

    let addresses = format!("Content-Type: message/rfc822\n\nTo: {}\n\n", "a,".repeat(100_000));
    assert!(bodystructure(&scan(addresses.as_bytes())).len() < 400_000);
}

#[test]
fn stored_and_read_back() {
    for message in [
        COMPLEX,
        "",
        "x",
        "Content-Type: a/b; c=d\nContent-Language: e\nContent-Disposition: f; g=h\n\n",
    ] {
        let structure = scan(message.as_bytes());
        let stored = structure.encode();
        assert_eq!(Structure::decode(&stored).unwrap(), structure);
        for cut in 0..stored.len() {
            assert!(Structure::decode(&stored[..cut]).is_err());
        }
    }
    assert_eq!(Structure::decode(&[9, 0]), Err(mime::Error::Version(9)));
    assert!(Structure::decode(&[1, 0]).is_err());
    assert!(Structure::decode(&[1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
}

#[test]
fn every_cut_gives_the_same() {
    let message = crlf(COMPLEX);
    let expected = scan(&message);
    for cut in 0..message.len() {
        let mut scanner = Scanner::new(Limits::default());
        scanner.push(&message[..cut]);
        scanner.push(&message[cut..]);
        assert_eq!(scanner.finish(), expected, "cut at {cut}");
    }
    for size in [1, 2, 3, 7, 64] {
        let mut scanner = Scanner::new(Limits::default());
        message.chunks(size).for_each(|chunk| scanner.push(chunk));
        assert_eq!(scanner.finish(), expected, "pieces of {size}");
    }
}

/// Parts lie within each other and beside each other, and the message is covered.
fn tiles(structure: &Structure, length: u64) {
    let parts = structure.parts();
    assert_eq!(parts[0].header_start, 0);
    assert_eq!(parts[0].body_end, length);
    for part in parts {
        assert!(part.header_start <= part.body_start && part.body_start <= part.body_end);
        assert!(part.body_end <= length);
    }
    for pair in parts.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let within = after.header_start >= before.body_start && after.body_end <= before.body_end;
        assert!(within || after.header_start >= before.body_end, "{before:?} {after:?}");
    }
}
