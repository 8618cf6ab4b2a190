//! imap-codec as a second opinion: of every line here both say the same, but for the differences that are listed with their reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::{Limits, Request};
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;

fn ours(line: &str) -> bool {
    Request::parse(line.as_bytes(), false, &Limits::default()).is_ok()
}

fn theirs(line: &str) -> bool {
    let wire = format!("{line}\r\n");
    CommandCodec::default()
        .decode(wire.as_bytes())
        .is_ok_and(|(rest, _)| rest.is_empty())
}

/// Both accept, or both refuse.
const AGREED: &[&str] = &[
    "a CAPABILITY",
    "a capability",
    "a NOOP",
    "a NOOP x",
    " a NOOP",
    "a LOGOUT",
    "a STARTTLS",
    "+ NOOP",
    "a+b NOOP",
    "a]b NOOP",
    "a",
    "",
    "a FOO",
    "a LOGIN",
    "a LOGIN x",
    "a LOGIN x y",
    "a LOGIN \"x\" \"y z\"",
    "a LOGIN x \"y\\\"z\"",
    "a LOGIN x \"y\\z\"",
    "a LOGIN x y z",
    "a LOGIN x {3+}\r\nabc",
    "a LOGIN (x y",
    "a AUTHENTICATE PLAIN",
    "a AUTHENTICATE PLAIN =",
    "a AUTHENTICATE PLAIN AHRlc3QAdGVzdA==",
    "a AUTHENTICATE PLAIN !",
    "a ENABLE CONDSTORE",
    "a ENABLE",
    "a ID NIL",
    "a ID (\"name\" \"x\")",
    "a ID (\"name\" NIL)",
    "a NAMESPACE",
    "a SELECT INBOX",
    "a SELECT inbox",
    "a SELECT \"a b\"",
    "a SELECT a b",
    "a SELECT",
    "a SELECT a%b",
    "a EXAMINE INBOX",
    "a SELECT INBOX (CONDSTORE)",
    "a CREATE x/y/",
    "a DELETE x",
    "a RENAME x y",
    "a RENAME x",
    "a SUBSCRIBE x",
    "a UNSUBSCRIBE x",
    "a LIST \"\" *",
    "a LIST \"\" %",
    "a LIST \"\" \"\"",
    "a LIST ~/Mail/ %",
    "a LIST \"\"",
    "a LIST \"\" (",
    "a LSUB \"#news.\" \"comp.mail.*\"",
    "a STATUS x (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)",
    "a STATUS x (HIGHESTMODSEQ)",
    "a STATUS x (SIZE)",
    "a STATUS x (DELETED)",
    "a STATUS x MESSAGES",
    "a STATUS x (FOO)",
    "a IDLE",
    "a CHECK",
    "a CLOSE",
    "a UNSELECT",
    "a EXPUNGE",
    "a UID EXPUNGE 1:3,5",
    "a UID EXPUNGE",
    "a SEARCH ALL",
    "a SEARCH all",
    "a SEARCH",
    "a SEARCH 1:*",
    "a SEARCH UID 1,2,4:*",
    "a SEARCH CHARSET UTF-8 ALL",
    "a SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
    "a SEARCH SINCE \"1-Feb-1994\"",
    "a SEARCH SINCE 1-Foo-1994",
    "a SEARCH SINCE 31-Feb-2000",
    "a SEARCH OR SEEN UNSEEN",
    "a SEARCH OR SEEN",
    "a SEARCH NOT",
    "a SEARCH (SEEN DRAFT)",
    "a SEARCH ((SEEN) (NOT DRAFT))",
    "a SEARCH (SEEN",
    "a SEARCH HEADER X-Foo \"\"",
    "a SEARCH HEADER X-Foo",
    "a SEARCH KEYWORD $Junk",
    "a SEARCH KEYWORD \\Seen",
    "a SEARCH LARGER 100 SMALLER 200",
    "a SEARCH LARGER x",
    "a SEARCH NEW OLD RECENT",
    "a SEARCH BCC a CC b TO c SUBJECT d BODY e TEXT f",
    "a SEARCH BEFORE 1-Jan-2000 ON 01-Jan-2000 SENTBEFORE 1-Jan-2000 SENTON 1-Jan-2000 SENTSINCE 1-Jan-2000",
    "a SEARCH OLDER 60 YOUNGER 60",
    "a SEARCH FOO",
    "a UID SEARCH ANSWERED UNANSWERED DELETED UNDELETED DRAFT UNDRAFT FLAGGED UNFLAGGED",
    "a FETCH 1 ALL",
    "a FETCH 1 FAST",
    "a FETCH 1 FULL",
    "a FETCH 1 (FLAGS)",
    "a FETCH 1 FLAGS",
    "a FETCH 1 (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)",
    "a FETCH 1 (FLAGS ALL)",
    "a FETCH 1",
    "a FETCH 0 FLAGS",
    "a FETCH 1:2:3 FLAGS",
    "a FETCH 1,,2 FLAGS",
    "a FETCH *:1 FLAGS",
    "a FETCH 4294967295 FLAGS",
    "a FETCH 4294967296 FLAGS",
    "a FETCH 1 BODY[]",
    "a FETCH 1 BODY.PEEK[]",
    "a FETCH 1 BODY[HEADER]",
    "a FETCH 1 BODY[TEXT]",
    "a FETCH 1 BODY[1]",
    "a FETCH 1 BODY[1.2.3]",
    "a FETCH 1 BODY[1.MIME]",
    "a FETCH 1 BODY[MIME]",
    "a FETCH 1 BODY[1.HEADER]",
    "a FETCH 1 BODY[0]",
    "a FETCH 1 BODY[1.]",
    "a FETCH 1 BODY[HEADER.FIELDS (DATE FROM)]",
    "a FETCH 1 BODY[HEADER.FIELDS.NOT (DATE)]",
    "a FETCH 1 BODY[HEADER.FIELDS ()]",
    "a FETCH 1 BODY[HEADER.FIELDS]",
    "a FETCH 1 BODY[]<0.100>",
    "a FETCH 1 BODY[]<0>",
    "a FETCH 1 BODY[]<0.0>",
    "a FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT)",
    "a FETCH 1 BINARY[1]",
    "a FETCH 1 BINARY.PEEK[1.2]<0.5>",
    "a FETCH 1 BINARY.SIZE[1]",
    "a FETCH 1 FOO",
    "a UID FETCH 1:* FLAGS",
    "a FETCH 1 (FLAGS) (CHANGEDSINCE 12345)",
    "a STORE 1 FLAGS (\\Seen)",
    "a STORE 1 +FLAGS (\\Deleted)",
    "a STORE 1 -FLAGS.SILENT (\\Deleted foo)",
    "a STORE 1 FLAGS ()",
    "a STORE 1 FLAGS \\Seen \\Draft",
    "a STORE 1 FLAGS",
    "a STORE 1 *FLAGS (\\Seen)",
    "a UID STORE 1:2 +FLAGS (\\Seen)",
    "a STORE 1 (UNCHANGEDSINCE 5) FLAGS (\\Seen)",
    "a COPY 1 x",
    "a COPY x 1",
    "a UID COPY 1:* x",
    "a MOVE 1:2 x",
    "a UID MOVE 1 x",
    "a UID NOOP",
];

/// (line, whether we accept it, why we differ)
const DIFFERENT: &[(&str, bool, &str)] = &[
    (
        "a SEARCH RETURN (MIN COUNT) ALL",
        true,
        "ESEARCH of RFC 9051 is not theirs",
    ),
    ("a SEARCH $", true, "the saved result of RFC 5182 is not theirs"),
    ("a CREATE x (USE (\\Drafts))", true, "CREATE-SPECIAL-USE is not theirs"),
    (
        "a LIST \"\" * RETURN (STATUS (MESSAGES))",
        true,
        "LIST-STATUS is not theirs",
    ),
    ("a NOOP ", true, "a space too many does no harm"),
    ("a  NOOP", true, "a space too many does no harm"),
    ("a LOGIN x \"\u{fc}\"", true, "RFC 9051 quotes UTF-8"),
    (
        "a SELECT \"R&D\"",
        false,
        "we decode modified UTF-7 while parsing, and this is none",
    ),
    ("a SEARCH CHARSET KOI8-R ALL", false, "we know US-ASCII and UTF-8"),
    ("a STORE 1 FLAGS (\\Recent)", false, "no client can set it"),
    ("a FETCH 1 ()", false, "a list of items is never empty"),
    ("a FETCH 01 FLAGS", false, "nz-number has no leading zero"),
];

#[test]
fn both_say_the_same() {
    let split: Vec<_> = AGREED
        .iter()
        .filter(|line| ours(line) != theirs(line))
        .map(|l| (l, ours(l), theirs(l)))
        .collect();
    assert!(split.is_empty(), "(line, ours, theirs): {split:#?}");
}

#[test]
fn known_differences() {
    for (line, accept, why) in DIFFERENT {
        assert_eq!((ours(line), theirs(line)), (*accept, !accept), "{line}: {why}");
    }
}
