//! ENVELOPE, header fields, dates, transfer encodings and search text: tables written by hand from the RFCs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use mime::{
    Date, Encoding, Envelope, Limits, Needle, Scanner, contains_folded, decode_charset, decode_header, decode_part,
    fold, header_end, header_field, header_fields, search_text, sent_date, unfold, write_string,
};

fn imap(envelope: &Envelope) -> String {
    let mut out = Vec::new();
    envelope.write_imap(&mut out);
    String::from_utf8(out).unwrap()
}

/// RFC 9051 §8: the sample connection.
#[test]
fn example_of_the_rfc() {
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        From: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev2 WG mtg summary and minutes\r\n\
        To: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
    let expected = r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")"#;
    let envelope = Envelope::parse(header.as_bytes());
    assert_eq!(imap(&envelope), expected);
    assert_eq!(imap(&Envelope::parse(header.replace('\r', "").as_bytes())), expected);
    assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
}

#[test]
fn missing_and_empty() {
    assert_eq!(imap(&Envelope::parse(b"")), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    assert_eq!(
        imap(&Envelope::parse(
            b"Subject:\r\nDate: \r\nMessage-ID:\r\nIn-Reply-To:  \r\nTo:\r\nFrom: ,\r\n\r\n"
        )),
        r#"("" "" NIL NIL NIL NIL NIL NIL "" "")"#
    );
    assert_eq!(
        imap(&Envelope::parse(
            b"From: a@b\nSender: c@d\nReply-To: e@f\nFrom: g@h\nSubject: one\n  \ttwo\nSubject: no\n\n"
        )),
        r#"(NIL "one two" ((NIL NIL "a" "b")(NIL NIL "g" "h")) ((NIL NIL "c" "d")) ((NIL NIL "e" "f")) NIL NIL NIL NIL NIL)"#
    );
    assert_eq!(
        imap(&Envelope::parse("Subject: \u{e4} \"q\"\n".as_bytes())),
        "(NIL {6}\r\n\u{e4} \"q\" NIL NIL NIL NIL NIL NIL NIL NIL)"
    );
}

#[test]
fn addresses() {
    for (value, expected) in [
        ("a@b.example", r#"((NIL NIL "a" "b.example"))"#),
        ("<a@b>", r#"((NIL NIL "a" "b"))"#),
        ("A B <a@b>, C<c@d>", r#"(("A B" NIL "a" "b")("C" NIL "c" "d"))"#),
        (r#""Doe, J. \"Jo\"" <a@b>"#, r#"(("Doe, J. \"Jo\"" NIL "a" "b"))"#),
        ("J. Doe <a@b>", r#"(("J. Doe" NIL "a" "b"))"#),
        ("a@b (Ann (x) \\) y)", r#"(("Ann (x) ) y" NIL "a" "b"))"#),
        ("(c) A (d) <a@b> (e)", r#"(("A" NIL "a" "b"))"#),
        ("=?utf-8?q?=C3=A4?= <a@b>", r#"(("=?utf-8?q?=C3=A4?=" NIL "a" "b"))"#),
        (r#""john doe"@b"#, r#"((NIL NIL "john doe" "b"))"#),
        (r#"X <"john@doe"@b>"#, r#"(("X" NIL "john@doe" "b"))"#),
        ("a . b @ c . d", r#"((NIL NIL "a . b" "c.d"))"#),
        ("X <@r1,@r2:a@b>", r#"(("X" "@r1,@r2" "a" "b"))"#),
        ("a@b <a@b>", r#"(("a@b" NIL "a" "b"))"#),
        ("root", r#"((NIL NIL "root" ""))"#),
        ("<>", r#"((NIL NIL "" ""))"#),
        ("X <a@b", r#"(("X" NIL "a" "b"))"#),
        (",, a@b,,", r#"((NIL NIL "a" "b"))"#),
        ("a@[192.0.2.1]", r#"((NIL NIL "a" "[192.0.2.1]"))"#),
        (
            "Undisclosed recipients:;",
            r#"((NIL NIL "Undisclosed recipients" NIL)(NIL NIL NIL NIL))"#,
        ),
        (
            "x@y, \"A Group\": Ed <e@f>, g@h ; j@k",
            r#"((NIL NIL "x" "y")(NIL NIL "A Group" NIL)("Ed" NIL "e" "f")(NIL NIL "g" "h")(NIL NIL NIL NIL)(NIL NIL "j" "k"))"#,
        ),
        ("G: a@b", r#"((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))"#),
        ("a@b; c@d", r#"((NIL NIL "a" "b")(NIL NIL "c" "d"))"#),
        ("\"open <a@b>", r#"((NIL NIL "open <a@b>" ""))"#),
        ("(open <a@b>", "NIL"),
    ] {
        let header = format!("To: {value}\r\n\r\n");
        let written = imap(&Envelope::parse(header.as_bytes()));
        assert_eq!(
            written,
            format!("(NIL NIL NIL NIL NIL {expected} NIL NIL NIL NIL)"),
            "{value}"
        );
    }
}

#[test]
fn texts_of_an_envelope() {
    let envelope = Envelope::parse(
        "From: =?iso-8859-1?q?Andr=E9?= Pirard <pirard@ulg.example>\nTo: G: Bob <b@c>;\nCc: d@e\nBcc: f@g\n\
         Subject: =?utf-8?b?w6Q=?= x\n"
            .as_bytes(),
    );
    assert_eq!(envelope.from_text(), "André Pirard <pirard@ulg.example>, ");
    assert_eq!(envelope.to_text(), "G: Bob <b@c>, ; ");
    assert_eq!(envelope.cc_text(), "<d@e>, ");
    assert_eq!(envelope.bcc_text(), "<f@g>, ");
    assert_eq!(envelope.subject_text(), "ä x");
}

#[test]
fn fields_by_name() {
    let header = b"From me\r\nA: 1\r\nb : 2\r\n folded\r\nC: 3\r\nA: 4\r\njunk\r\nD:5\r\n\r\nA: body\r\n";
    let text = |names: &[&str], not| String::from_utf8(header_fields(header, names, not)).unwrap();
    assert_eq!(text(&["a", "d"], false), "A: 1\r\nA: 4\r\nD:5\r\n\r\n");
    assert_eq!(text(&["B"], false), "b : 2\r\n folded\r\n\r\n");
    assert_eq!(text(&["a", "c", "D"], true), "b : 2\r\n folded\r\n\r\n");
    assert_eq!(text(&["x"], false), "\r\n");
    assert_eq!(header_fields(b"A: 1", &["a"], false), b"A: 1\r\n\r\n");
    assert_eq!(header_field(header, "B").unwrap().as_ref(), b"2 folded");
    assert_eq!(unfold(b" a\r\n\tb\n c \r\n").as_ref(), b"a b c");
    for (message, end) in [
        ("", 0),
        ("\r\nx", 2),
        ("A: b\r\n\r\nx", 8),
        ("A: b\nx y\n", 5),
        ("hello\n", 0),
        ("A: b", 4),
    ] {
        assert_eq!(header_end(message.as_bytes()), end, "{message:?}");
    }
}

#[test]
fn dates() {
    for (text, expected) in [
        // RFC 5322 appendix A
        ("Fri, 21 Nov 1997 09:55:06 -0600", Some((880_127_706, -360))),
        ("Tue, 1 Jul 2003 10:52:37 +0200", Some((1_057_049_557, 120))),
        ("Thu, 13 Feb 1969 23:32:54 -0330", Some((-27_723_426, -210))),
        ("21 Nov 97 09:55:06 GMT", Some((880_106_106, 0))),
        (
            "Thu,\t13\r\n     Feb\r\n       1969\r\n   23:32\r\n   -0330 (Newfoundland Time)",
            Some((-27_723_480, -210)),
        ),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", None),
        // obsolete and worse
        ("1 Jan 00 00:00:00 EST", Some((946_702_800, -300))),
        ("1 Jan 100 00:00:00 Z", Some((946_684_800, 0))),
        ("1 Jan 0100 00:00:00 Z", Some((946_684_800, 0))),
        ("1 Jan 0099 00:00:00 Z", None),
        ("1 Jan 49 00:00 UT", Some((2_493_072_000, 0))),
        ("1 Jan 50 00:00 UT", Some((-631_152_000, 0))),
        ("1 Jan 2000 00:00:00", Some((946_684_800, 0))),
        ("1 Jan 2000", Some((946_684_800, 0))),
        ("Sat Jan  1 00:00:00 2000", Some((946_684_800, 0))),
        ("Sat Jan  1 00:00:00 PST 2000", Some((946_713_600, -480))),
        ("1-Jan-2000 00:00:00 +0000", Some((946_684_800, 0))),
        ("1 January 2000 00:00:00 +00:30", Some((946_683_000, 30))),
        ("29 Feb 2000 23:59:60 -0000", Some((951_868_799, 0))),
        ("1 Jan 2000 00:00:00 XYZ", Some((946_684_800, 0))),
        ("1 Jan 2000 00:00:00+0100", Some((946_681_200, 60))),
        ("29 Feb 2001 00:00:00 Z", None),
        ("31 Apr 2001 00:00:00 Z", None),
        ("0 Jan 2001 00:00:00 Z", None),
        ("1 Jan 2001 24:00:00 Z", None),
        ("1 Foo 2001 10:00:00 Z", None),
        ("1 Jan 20011111111111111111 10:00:00 Z", None),
        ("", None),
        ("(", None),
        (",,,,:::", None),
    ] {
        let found = Date::parse(text.as_bytes());
        assert_eq!(
            found.map(|date| (date.seconds, date.zone_minutes)),
            expected,
            "{text:?}"
        );
    }
    // The day is the one written, whatever day it is in UTC.
    assert_eq!(Date::parse(b"1 Jan 1970 00:30:00 +0100").unwrap().day(), 0);
    assert_eq!(Date::parse(b"2 Jan 1970 23:30:00 -0800").unwrap().day(), 1);
    assert_eq!(
        sent_date(b"Date: rubbish\r\nDate: Fri, 21 Nov 1997 09:55:06\r\n -0600\r\n\r\n"),
        Some(880_127_706)
    );
    assert_eq!(
        sent_date(b"Subject: x\r\n\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n"),
        None
    );
}

#[test]
fn transfer_encodings() {
    for (text, encoding, expected) in [
        ("aGVsbG8=", "base64", "hello"),
        ("aGVs\r\n bG8", "BASE64", "hello"),
        ("aGVsbA==bw==", "base64", "hello"),
        ("a=", "base64", ""),
        ("!!!!", "base64", ""),
        ("a=3Db=\r\nc =  \r\nd  \r\ne=XY=", "Quoted-Printable", "a=bc d\r\ne=XY"),
        ("=e4=E4", "quoted-printable", "\u{fffd}\u{fffd}"),
        ("=\n=\n\n", "quoted-printable", "\n"),
        ("x=3D", "8bit", "x=3D"),
        ("x=3D", "x-uuencode", "x=3D"),
    ] {
        let decoded = decode_part(text.as_bytes(), Encoding::parse(encoding.as_bytes()));
        assert_eq!(String::from_utf8_lossy(&decoded), expected, "{encoding} {text}");
    }
}

/// RFC 2047 §8, and what is met beside it.
#[test]
fn encoded_words() {
    for (value, expected) in [
        (
            "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
            "Keith Moore <moore@cs.utk.edu>",
        ),
        (
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        ),
        ("(=?ISO-8859-1?Q?a?=)", "(a)"),
        ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a?=\r\n\t=?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        ("=?utf-8?q?=C3?= =?UTF-8?q?=A4?=", "ä"),
        ("=?utf-8*de?q?=C3=A4?=", "ä"),
        ("=?utf-8?b?w6Q?=x", "äx"),
        ("=?=?utf-8?q?a?=", "=?a"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a", "=?utf-8?q?a"),
        ("=?unknown-8?q?=e4?=", "ä"),
        ("a =? b", "a =? b"),
        ("plain", "plain"),
        ("", ""),
    ] {
        assert_eq!(decode_header(value.as_bytes()), expected, "{value}");
    }
    assert_eq!(decode_header(b"\xe4 \x80"), "ä €");
    assert_eq!(decode_charset(b"\x1b$B$\"\x1b(B", Some(b"iso-2022-jp")), "あ");
    assert_eq!(decode_charset("ä".as_bytes(), Some(b"us-ascii")), "ä");
}

#[test]
fn what_a_search_sees() {
    let message = "Subject: =?utf-8?q?=C3=84rger?=\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\
        Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe an=\n alle\n\
        --b\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nPHA+SGVsPGI+bG88L2I+ICZhbXA7IEJ5ZTwvcD4=\n\
        --b\nContent-Type: image/gif; name=dog.gif\n\ncatcatcat\n\
        --b\nContent-Type: message/rfc822\n\nSubject: inner words\n\ninner body\n--b--\n";
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(message.as_bytes());
    let structure = scanner.finish();
    let body = search_text(message.as_bytes(), &structure, false);
    let text = search_text(message.as_bytes(), &structure, true);
    for (needle, in_body, in_text) in [
        ("GRÜSSE", false, false),
        ("grüße AN ALLE", true, true),
        ("hello & bye", true, true),
        ("<B>LO</b>", true, true),
        ("DOG.gif", true, true),
        ("catcat", false, false),
        ("inner WORDS", true, true),
        ("Inner body", true, true),
        ("subject: ärger", false, true),
        ("preamble", false, false),
        ("", true, true),
    ] {
        assert_eq!(contains_folded(&body, needle), in_body, "{needle} in body");
        assert_eq!(
            Needle::new(needle).is_in_folded(&fold(&text)),
            in_text,
            "{needle} in text"
        );
    }
    assert!(contains_folded("ΟΔΟΣ", "οδος"));
}

#[test]
fn imap_strings() {
    for (text, expected) in [
        (&b""[..], &b"\"\""[..]),
        (b"a\"\\b", b"\"a\\\"\\\\b\""),
        (b"a\rb", b"{3}\r\na\rb"),
        (b"\xff", b"{1}\r\n\xff"),
        (b"\0", b"{0}\r\n"),
    ] {
        let mut out = Vec::new();
        write_string(&mut out, text);
        assert_eq!(out, expected);
    }
}
