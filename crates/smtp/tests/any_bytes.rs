//! Whatever bytes come, in whatever pieces: no panic, and the same answers as when they come at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod house;

use house::House;
use proptest::prelude::*;
use smtp::{Config, Role};

const WORDS: &[&str] = &[
    "EHLO a.example\r\n",
    "HELO a.example\r\n",
    "LHLO a.example\r\n",
    "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<> SIZE=10 BODY=BINARYMIME SMTPUTF8\r\n",
    "MAIL FROM:<diskfull@b.example>\r\n",
    "RCPT TO:<c@d.example>\r\n",
    "RCPT TO:<unknown@d.example>\r\n",
    "RCPT TO:<later@d.example> NOTIFY=NEVER\r\n",
    "DATA\r\n",
    "BDAT 5\r\n",
    "BDAT 5 LAST\r\n",
    "BDAT 0 LAST\r\n",
    "BDAT 50\r\n",
    "BDAT x\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "AUTH PLAIN\r\n",
    "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n",
    "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n",
    "AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n",
    "*\r\n",
    "Received: x\r\n",
    "Subject: y\r\n\r\n",
    ".\r\n",
    "..\r\n",
    "\r\n.\r\n",
    ".\n",
    "\n",
    "\r",
    ".",
    "xxxxxxxxxxxxxxxxxxxx",
    "\0",
    "\u{fc}",
    " ",
    "<",
    "\"",
];

fn config(role: Role) -> Config {
    let mut config = Config::new(role, "mail.example");
    config.authentication.plaintext = true;
    config.authentication.required = false;
    config.authentication.offered = true;
    config.limits.command_line = 100;
    config.limits.message_size = 60;
    config.limits.discard = 200;
    config.limits.errors = 8;
    config
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        9 => proptest::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Mx), Just(Role::Submission), Just(Role::Lmtp)]
}

fn run<'a>(role: Role, chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<house::Mail>, bool) {
    let mut house = House::new(config(role), false);
    let mut output = Vec::new();
    for chunk in chunks {
        house.feed(chunk);
        output.append(house.session.output());
    }
    output.append(house.session.output());
    (output, house.mails, house.closed)
}

/// A message that is too large, and more of it than a session bears: only what lies beyond the limit used to count, in pieces.
#[test]
fn too_much_in_pieces() {
    let bytes = [
        b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n".as_slice(),
        &[b'a'; 2000],
    ]
    .concat();
    let at_once = run(Role::Mx, std::iter::once(bytes.as_slice()));
    assert!(at_once.2, "the session ends");
    assert_eq!(run(Role::Mx, bytes.chunks(1)), at_once);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_change_nothing(role in role(), bytes in script(), size in 1usize..50) {
        let at_once = run(role, std::iter::once(bytes.as_slice()));
        prop_assert_eq!(&run(role, bytes.chunks(1)), &at_once);
        prop_assert_eq!(&run(role, bytes.chunks(size)), &at_once);
    }

    #[test]
    fn arbitrary_bytes(role in role(), bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        run(role, std::iter::once(bytes.as_slice()));
    }
}
