//! Octets in, commands out: in one piece, octet by octet, and cut anywhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::{Error, Event, Framer, Limits};
use proptest::prelude::*;

/// What came out, one line an event; pieces of a message run together.
fn run(framer: &mut Framer, pieces: &[&[u8]]) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    let mut message: Option<Vec<u8>> = None;
    for piece in pieces {
        let mut rest: &[u8] = piece;
        loop {
            let step = framer.input(rest);
            let used = step.used;
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            let mut stop = false;
            match step.event {
                Event::More => stop = true,
                Event::Continue => events.push("continue".to_owned()),
                Event::Command(line) => events.push(format!("command {}", text(line))),
                Event::Line(line) => events.push(format!("line {}", text(line))),
                Event::Append(append) => {
                    if let Some(before) = message.replace(Vec::new()) {
                        events.push(format!("message {}", text(&before)));
                    }
                    events.push(format!(
                        "append {} {} {} {}",
                        append.tag, append.mailbox, append.size, append.sync
                    ));
                    if let Some(replace) = append.replace {
                        events.push(format!("instead of {replace:?}"));
                    }
                }
                Event::Part(part) => {
                    events.push(format!("part {} {} {}", part.size, part.sync, part.utf8));
                }
                Event::Url(url) => events.push(format!("url {url}")),
                Event::Literal(octets) => message.as_mut().unwrap().extend_from_slice(octets),
                Event::AppendEnd => events.push(format!("message {}", text(&message.take().unwrap()))),
                Event::Rejected { tag, error } => {
                    message = None;
                    events.push(format!("bad {} {error}", tag.unwrap_or("*".to_owned())));
                }
                Event::Fatal(error) => {
                    events.push(format!("fatal {error}"));
                    stop = true;
                }
                other => panic!("{other:?}"),
            }
            rest = &rest[used..];
            if stop {
                assert!(
                    rest.is_empty(),
                    "More leaves nothing over: {pieces:?} {rest:?} {events:?}"
                );
                break;
            }
        }
    }
    events
}

fn limits() -> Limits {
    Limits {
        line: 80,
        literal: 40,
        command: 160,
        discard: 500,
        ..Limits::default()
    }
}

fn check(limits: &Limits, input: &str, expected: &[&str]) {
    let whole = run(&mut Framer::new(limits.clone()), &[input.as_bytes()]);
    assert_eq!(whole, expected, "in one piece: {input:?}");
    let octets: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
    assert_eq!(
        run(&mut Framer::new(limits.clone()), &octets),
        expected,
        "octet by octet: {input:?}"
    );
}

#[test]
fn commands() {
    let l = limits();
    check(&l, "a NOOP\r\nb NOOP\r\n", &["command a NOOP", "command b NOOP"]);
    check(&l, "a NOOP\n", &["command a NOOP"]);
    check(&l, "\r\n", &["command "]);
    check(
        &l,
        "a LOGIN {3}\r\nada {3}\r\nx}y\r\nb NOOP\r\n",
        &[
            "continue",
            "continue",
            "command a LOGIN {3}\r\nada {3}\r\nx}y",
            "command b NOOP",
        ],
    );
    check(
        &l,
        "a LOGIN {3+}\r\nada {0+}\r\n\r\n",
        &["command a LOGIN {3+}\r\nada {0+}\r\n"],
    );
    check(&l, "a X {3+}\r\n\r\na\r\n", &["command a X {3+}\r\n\r\na"]);
}

#[test]
fn messages() {
    let l = limits();
    check(
        &l,
        "a APPEND x {5}\r\nhello\r\nb NOOP\r\n",
        &["append a x 5 true", "message hello", "command b NOOP"],
    );
    check(
        &l,
        "a append \"x y\" (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {5+}\r\nh\r\nlo\r\n",
        &["append a x y 5 false", "message h\r\nlo"],
    );
    check(
        &l,
        "a APPEND {3}\r\nx y ~{0+}\r\n\r\n",
        &["continue", "append a x y 0 false", "message "],
    );
    check(
        &l,
        "a APPEND {3+}\r\nx{1 {2+}\r\nhi\r\n",
        &["append a x{1 2 false", "message hi"],
    );
    // RFC 3502 §6.3.11
    check(
        &l,
        "A APPEND s (\\Seen) {2}\r\nab (\\Draft) \" 7-Feb-1994 22:43:04 -0800\" {1+}\r\nc ~{3}\r\ndef\r\nb NOOP\r\n",
        &[
            "append A s 2 true",
            "message ab",
            "append A s 1 false",
            "message c",
            "append A s 3 true",
            "message def",
            "command b NOOP",
        ],
    );
    // RFC 4469 §3
    check(
        &l,
        "A APPEND D (\\Draft) CATENATE (URL \"/D;UIDVALIDITY=3/;UID=20\" TEXT {2}\r\nab URL {3+}\r\nxyz TEXT {1+}\r\nc)\r\nb NOOP\r\n",
        &[
            "append A D 0 false",
            "url /D;UIDVALIDITY=3/;UID=20",
            "part 2 true false",
            "url xyz",
            "part 1 false false",
            "message abc",
            "command b NOOP",
        ],
    );
    check(
        &l,
        "A APPEND D CATENATE (URL x)\r\nb NOOP\r\n",
        &["append A D 0 false", "url x", "message ", "command b NOOP"],
    );
    check(
        &l,
        "A APPEND D CATENATE (URL x) UTF8 (~{2+}\r\nab) CATENATE (UTF8 (~{1+}\r\nc))\r\n",
        &[
            "append A D 0 false",
            "url x",
            "message ",
            "append A D 2 false",
            "message ab",
            "append A D 0 false",
            "part 1 false true",
            "message c",
        ],
    );
    // RFC 8508 §3
    check(
        &l,
        "A REPLACE 4 D (\\Seen) {1+}\r\nx\r\nB UID REPLACE 9 D CATENATE (TEXT {1+}\r\ny)\r\n",
        &[
            "append A D 1 false",
            "instead of Replace { uid: false, message: Number(4) }",
            "message x",
            "append B D 0 false",
            "instead of Replace { uid: true, message: Number(9) }",
            "part 1 false false",
            "message y",
        ],
    );
    check(
        &l,
        "A REPLACE 4 D {1+}\r\nx {1+}\r\ny\r\nb NOOP\r\n",
        &[
            "append A D 1 false",
            "instead of Replace { uid: false, message: Number(4) }",
            "bad A REPLACE takes one message",
            "command b NOOP",
        ],
    );
    for (bad, error) in [
        ("A APPEND D CATENATE (TEXT {1+}\r\nx\r\n", "expected a space"),
        (
            "A APPEND D CATENATE (TEXT {1+}\r\nx WHAT y)\r\n",
            "expected TEXT or URL",
        ),
        (
            "A APPEND D CATENATE (TEXT {1+}\r\nx) y\r\n",
            "expected a message as literal",
        ),
        ("A APPEND D UTF8 (~{1+}\r\nx\r\n", "expected a closing bracket"),
    ] {
        let events = run(&mut Framer::new(l.clone()), &[bad.as_bytes()]);
        assert_eq!(
            events.last().map(String::as_str),
            Some(format!("bad A {error}").as_str()),
            "{bad}"
        );
    }
    // Bigger than any buffer: not our concern.
    let big = "x".repeat(3000);
    check(
        &l,
        &format!("a APPEND x {{3000}}\r\n{big}\r\n"),
        &["append a x 3000 true", &format!("message {big}")],
    );
}

#[test]
fn refused_and_gone_on() {
    let l = limits();
    let long = "x".repeat(200);
    check(
        &l,
        &format!("a NOOP {long}\r\nb NOOP\r\n"),
        &["bad a the line is too long", "command b NOOP"],
    );
    check(
        &l,
        &format!("a NOOP {long} {{5+}}\r\na\r\nb\r\r\nb NOOP\r\n"),
        &["bad a the line is too long", "command b NOOP"],
    );
    check(
        &l,
        &format!("{long} {long}\r\nb NOOP\r\n"),
        &["bad * the line is too long", "command b NOOP"],
    );
    // The client waits, so nothing is to be swallowed.
    check(
        &l,
        "a LOGIN {41}\r\nb NOOP\r\n",
        &["bad a the literal is too big", "command b NOOP"],
    );
    let literal = "\r\nc NOOP\r\n".repeat(10);
    check(
        &l,
        &format!("a LOGIN {{100+}}\r\n{literal} {{1+}}\r\nx\r\nb NOOP\r\n"),
        &["bad a the literal is too big", "command b NOOP"],
    );
    check(
        &l,
        "a APPEND x (\\What) {5}\r\nb NOOP\r\n",
        &["bad a unknown flag", "command b NOOP"],
    );
    check(
        &l,
        "a APPEND x (\\What) {5+}\r\nab\r\nc\r\nb NOOP\r\n",
        &["bad a unknown flag", "command b NOOP"],
    );
    check(
        &l,
        "a APPEND x {1}\r\ny z {1}\r\nb NOOP\r\n",
        &[
            "append a x 1 true",
            "bad a expected a message as literal",
            "command b NOOP",
        ],
    );
    check(
        &l,
        "a X {99999999999999999999}\r\nb NOOP\r\n",
        &["bad a the literal is too big", "command b NOOP"],
    );
    // Many literals, each small enough, together too many.
    let many = "{40+}\r\n".to_owned() + &"y".repeat(40) + " ";
    let input = format!("a X {many}{many}{many}{many}{many}\r\nb NOOP\r\n");
    let events = run(&mut Framer::new(l), &[input.as_bytes()]);
    assert_eq!(events.last().map(String::as_str), Some("command b NOOP"), "{events:?}");
    assert_eq!(events.len(), 2);
}

#[test]
fn literal_minus() {
    let l = Limits {
        nonsync_literal: 8,
        ..limits()
    };
    check(
        &l,
        "a LOGIN {8+}\r\n12345678 x\r\n",
        &["command a LOGIN {8+}\r\n12345678 x"],
    );
    check(&l, "a LOGIN {9+}\r\n123456789 x\r\n", &["bad a the literal is too big"]);
    check(
        &l,
        "a APPEND x {9+}\r\n123456789\r\nb NOOP\r\n",
        &["bad a the literal is too big", "command b NOOP"],
    );
    check(
        &l,
        "a APPEND x {9}\r\n123456789\r\n",
        &["append a x 9 true", "message 123456789"],
    );
}

#[test]
fn endless() {
    let l = limits();
    let mut framer = Framer::new(l.clone());
    let mut fatal = false;
    for _ in 0..100 {
        let events = run(&mut framer, &[&[b'x'; 64]]);
        fatal |= events.iter().any(|e| e.starts_with("fatal"));
    }
    assert!(fatal);
    check(&l, "a X {1000+}\r\n", &["fatal the command is too long"]);
    check(
        &l,
        "a X {99999999999999999999+}\r\n",
        &["fatal the command is too long"],
    );
}

#[test]
fn refused_append_and_raw_lines() {
    let mut framer = Framer::new(limits());
    assert_eq!(run(&mut framer, &[b"a APPEND x {5}\r\n"]), ["append a x 5 true"]);
    framer.append_refuse();
    assert_eq!(run(&mut framer, &[b"b NOOP\r\n"]), ["command b NOOP"]);
    framer.expect_line();
    assert!(!framer.is_midway());
    assert_eq!(
        run(&mut framer, &[b"AGFkYQBz{3}\r\nc NOOP\r\n"]),
        ["line AGFkYQBz{3}", "command c NOOP"]
    );
    framer.expect_line();
    assert_eq!(run(&mut framer, &[b"DO"]), Vec::<String>::new());
    assert!(framer.is_midway());
    assert_eq!(run(&mut framer, &[b"NE\n"]), ["line DONE"]);
    framer.shrink();
}

#[test]
fn append_without_an_answer_holds_nothing() {
    let mut framer = Framer::new(Limits::default());
    assert!(matches!(
        framer.input(b"a APPEND x {5+}\r\nhello\r\n").event,
        Event::Append(_)
    ));
    assert_eq!(framer.input(b"hello\r\n").event, Event::Literal(b"hello"));
    assert_eq!(
        framer.input(b" (second)\r\n").event,
        Event::Rejected {
            tag: Some("a".to_owned()),
            error: Error::Expected("a space")
        }
    );
}

proptest! {
    /// Where the stream is cut makes no difference, and nothing makes it panic.
    #[test]
    fn cut_anywhere(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "a APPEND x ", "{3+}\r\n", "{3}\r\n", "~{2+}\r\n", "\r\n", "b NOOP", "xyz", "{600+}\r\n", "{1+}", "\n", "\"q\" ", "(\\Seen) ",
        ]), 0..40),
        cuts in prop::collection::vec(1usize..9, 1..20),
    ) {
        let input = tokens.concat().into_bytes();
        let whole = run(&mut Framer::new(limits()), &[&input]);
        let mut pieces = Vec::new();
        let mut rest: &[u8] = &input;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        let cut = run(&mut Framer::new(limits()), &pieces);
        let fatal = |events: &[String]| events.iter().position(|e| e.starts_with("fatal")).map_or(events.len(), |i| i + 1);
        prop_assert_eq!(&whole[..fatal(&whole)], &cut[..fatal(&cut)]);
    }

    #[test]
    fn any_octets(input in prop::collection::vec(any::<u8>(), 0..400)) {
        run(&mut Framer::new(limits()), &[&input]);
    }
}

#[test]
fn literal_mark_of_a_long_line_in_two_pieces() {
    let l = limits();
    let line = format!("a X {} {{6+}}\r\n", "y".repeat(72));
    let (first, second) = line.split_at(79);
    let literal = "b X\r\n\n\r\n";
    let expected = ["bad a the line is too long", "command c NOOP"];
    for pieces in [
        vec![line.as_bytes(), literal.as_bytes(), b"c NOOP\r\n"],
        vec![first.as_bytes(), second.as_bytes(), literal.as_bytes(), b"c NOOP\r\n"],
    ] {
        assert_eq!(run(&mut Framer::new(l.clone()), &pieces), expected);
    }
}
