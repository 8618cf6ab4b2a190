//! Whatever a server says, in whatever pieces: no panic, the same answers as when it comes at once, and each recipient has a fate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod client;

use client::{Deed, Message, Shell};
use proptest::prelude::*;
use smtp::client::Dialect;

const WORDS: &[&str] = &[
    "220 hello\r\n",
    "220-more\r\n",
    "250 fine\r\n",
    "250 fine\r\n250 fine\r\n",
    "250-their.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE\r\n",
    "250-their.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 DSN\r\n",
    "250-their.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256\r\n",
    "250-",
    "250 ",
    "334 \r\n",
    "334 VXNlcm5hbWU6\r\n",
    "235 welcome\r\n",
    "354 go\r\n",
    "421 closing\r\n",
    "450 later\r\n",
    "452 4.5.3 too many\r\n",
    "550 5.1.1 no\r\n",
    "554-no\r\n",
    "503 what?\r\n",
    "221 bye\r\n",
    "\r\n",
    "\n",
    "x",
    "2",
    "\0",
];

fn script() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        9 => proptest::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    let greeting = prop_oneof![3 => Just(b"220 x\r\n".to_vec()), 1 => Just(Vec::new())];
    (greeting, proptest::collection::vec(word, 0..25)).prop_map(|(greeting, words)| [greeting, words.concat()].concat())
}

fn deeds(login: bool) -> Vec<Deed> {
    let message = Message {
        sender: "a@b.example".to_owned(),
        recipients: ["c@d.example", "e@f.example"]
            .map(|a| (a.to_owned(), None, None))
            .to_vec(),
        bytes: b"Subject: x\r\n\r\n.y\r\n".to_vec(),
        ..Message::default()
    };
    let mut deeds = vec![Deed::Mail(message.clone()), Deed::Mail(message), Deed::Quit];
    if login {
        deeds.insert(0, Deed::Login);
    }
    deeds
}

fn run<'a>(dialect: Dialect, login: bool, eager: u64, chunks: impl Iterator<Item = &'a [u8]>) -> (String, String) {
    let mut shell = Shell::new(dialect, eager, true, &deeds(login));
    for chunk in chunks {
        shell.feed(chunk);
    }
    shell.end();
    let fates = shell
        .log
        .lines()
        .filter(|l| {
            ["taken", "refused", "broken off", "doubtful"]
                .iter()
                .any(|w| l.starts_with(w))
        })
        .count();
    assert_eq!(fates, 2 * shell.session.mails() as usize, "{}", shell.log);
    (String::from_utf8_lossy(&shell.said).into_owned(), shell.log)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_change_nothing(lmtp in any::<bool>(), login in any::<bool>(), eager in any::<bool>(), bytes in script(), size in 1usize..50) {
        let dialect = if lmtp { Dialect::Lmtp } else { Dialect::Smtp };
        let eager = if eager { 1000 } else { 0 };
        let at_once = run(dialect, login, eager, std::iter::once(bytes.as_slice()));
        prop_assert_eq!(&run(dialect, login, eager, bytes.chunks(1)), &at_once);
        prop_assert_eq!(&run(dialect, login, eager, bytes.chunks(size)), &at_once);
    }
}
