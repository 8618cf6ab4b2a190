//! Conversations with servers, from `tests/client_dialogues/*.txt`. Each is also run with what the server says in one piece, byte by byte and
//! cut in two at every point, which must give the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;

use client::{Deed, Message, Shell};
use smtp::client::Dialect;
use std::path::Path;

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().expect("something behind the backslash") {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b'0' => bytes.push(0),
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            other => panic!("unknown escape {}", other as char),
        }
    }
    bytes
}

/// `FROM > TO TO [words]: TEXT`; a recipient may have `;NOTIFY;ORCPT` behind it.
fn message(text: &str) -> Message {
    let (envelope, bytes) = text.split_once(": ").unwrap_or((text, ""));
    let (sender, rest) = envelope.split_once('>').unwrap();
    let mut message = Message {
        sender: sender.trim().to_owned(),
        bytes: unescape(bytes),
        ..Message::default()
    };
    for word in rest.split_whitespace() {
        if word == "requiretls" {
            message.requiretls = true;
        } else if let Some(value) = word.strip_prefix("envid=") {
            message.envid = Some(value.to_owned());
        } else if let Some(value) = word.strip_prefix("ret=") {
            message.ret = Some(value.to_owned());
        } else if let Some(value) = word.strip_prefix("size=") {
            message.size = Some(value.parse().unwrap());
        } else {
            let mut parts = word.splitn(3, '|').map(str::to_owned);
            message
                .recipients
                .push((parts.next().unwrap(), parts.next(), parts.next()));
        }
    }
    message
}

fn shell(text: &str) -> Shell {
    let (mut dialect, mut eager, mut plain, mut deeds) = (Dialect::Smtp, 65536, false, Vec::new());
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("set: ") {
            for word in words.split_whitespace() {
                match word {
                    "lmtp" => dialect = Dialect::Lmtp,
                    "plain" => plain = true,
                    other => eager = other.strip_prefix("eager=").unwrap().parse().unwrap(),
                }
            }
        } else if let Some(deed) = line.strip_prefix("do: ") {
            deeds.push(match deed.split_once(' ').unwrap_or((deed, "")) {
                ("starttls", _) => Deed::StartTls,
                ("login", _) => Deed::Login,
                ("quit", _) => Deed::Quit,
                ("mail", text) => Deed::Mail(message(text)),
                (other, _) => panic!("what is {other}?"),
            });
        }
    }
    Shell::new(dialect, eager, plain, &deeds)
}

/// What the server says, in stretches between TLS handshakes; whether the connection ends.
fn run_lines(name: &str, text: &str) -> (Shell, Vec<Vec<u8>>, bool) {
    let mut shell = shell(text);
    let (mut heard, mut ended) = (vec![Vec::new()], false);
    let (mut read, mut logged) = (0, 0);
    for (number, line) in text.lines().enumerate() {
        let at = format!("{name}:{}", number + 1);
        let mut speak = |shell: &mut Shell, bytes: Vec<u8>| {
            shell.feed(&bytes);
            heard.last_mut().unwrap().extend_from_slice(&bytes);
        };
        if let Some(text) = line.strip_prefix("s -> ") {
            speak(&mut shell, [text.as_bytes(), b"\r\n"].concat());
        } else if let Some(text) = line.strip_prefix("s => ") {
            speak(&mut shell, unescape(text));
        } else if let Some(text) = line.strip_prefix("s *> ") {
            let (count, text) = text.split_once(' ').unwrap();
            speak(&mut shell, unescape(text).repeat(count.parse().unwrap()));
        } else if let Some(expected) = line.strip_prefix("c <- ") {
            let expected = [expected.as_bytes(), b"\r\n"].concat();
            let rest = &shell.said[read..];
            assert!(
                rest.starts_with(&expected),
                "{at}: the client says {:?}",
                String::from_utf8_lossy(rest)
            );
            read += expected.len();
        } else if let Some(expected) = line.strip_prefix("c <= ") {
            let expected = unescape(expected);
            let rest = &shell.said[read..];
            assert!(
                rest.starts_with(&expected),
                "{at}: the client says {:?}",
                String::from_utf8_lossy(rest)
            );
            read += expected.len();
        } else if let Some(expected) = line.strip_prefix("e <- ") {
            let rest = &shell.log[logged..];
            let first = rest.lines().next().unwrap_or_default();
            assert_eq!(first, expected, "{at}");
            logged += first.len() + 1;
        } else if line == "tls" {
            shell.tls_started();
            heard.push(Vec::new());
        } else if line == "end" {
            shell.end();
            ended = true;
        } else if line == "silence" {
            let rest = &shell.said[read..];
            assert!(
                rest.is_empty(),
                "{at}: the client says {:?}",
                String::from_utf8_lossy(rest)
            );
        } else {
            let silent =
                line.is_empty() || line.starts_with('#') || line.starts_with("set: ") || line.starts_with("do: ");
            assert!(silent, "{at}: what is {line:?}?");
        }
    }
    let rest = String::from_utf8_lossy(&shell.said[read..]).into_owned();
    assert_eq!(rest, "", "{name}: the client says more than the file has");
    assert_eq!(&shell.log[logged..], "", "{name}: there is more than the file has");
    (shell, heard, ended)
}

fn run_chunks<'a>(text: &str, stretches: impl Iterator<Item = Vec<&'a [u8]>>, ended: bool) -> Shell {
    let mut shell = shell(text);
    for (index, chunks) in stretches.enumerate() {
        if index > 0 {
            shell.tls_started();
        }
        for chunk in chunks {
            shell.feed(chunk);
        }
    }
    if ended {
        shell.end();
    }
    shell
}

fn check(path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let (shell, heard, ended) = run_lines(&name, &text);
    let same = |how: &str, other: Shell| {
        assert_eq!(
            String::from_utf8_lossy(&other.said),
            String::from_utf8_lossy(&shell.said),
            "{name} {how}"
        );
        assert_eq!(other.log, shell.log, "{name} {how}");
    };
    let whole = heard.iter().map(|stretch| vec![stretch.as_slice()]);
    same("at once", run_chunks(&text, whole, ended));
    let bytes = heard.iter().map(|stretch| stretch.chunks(1).collect());
    same("byte by byte", run_chunks(&text, bytes, ended));
    if let [only] = heard.as_slice() {
        for cut in (0..only.len()).step_by(1 + only.len() / 500) {
            let (head, tail) = only.split_at(cut);
            let halves = std::iter::once(vec![head, tail]);
            same(&format!("cut at {cut}"), run_chunks(&text, halves, ended));
        }
    }
}

#[test]
fn dialogues() {
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client_dialogues")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            check(&path);
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} dialogues were found");
}
