//! Runs the conversations in `dialogues/`, line by line; then once more all at once, byte by byte and cut in two at every point, which
//! must give the same replies and the same messages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod house;

use house::House;
use smtp::{Config, Role};
use std::path::Path;

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, behind) = rest.split_first().expect("something behind the backslash");
        rest = behind;
        match escape {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'0' => bytes.push(0),
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                let (hex, behind) = rest.split_at(2);
                rest = behind;
                bytes.push(u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap());
            }
            other => panic!("unknown escape {}", other as char),
        }
    }
    bytes
}

fn settings(text: &str) -> (Config, bool) {
    let role = text
        .lines()
        .find_map(|line| line.strip_prefix("role: "))
        .unwrap_or("mx");
    let role = match role {
        "mx" => Role::Mx,
        "submission" => Role::Submission,
        "lmtp" => Role::Lmtp,
        other => panic!("unknown role {other}"),
    };
    let mut config = Config::new(role, "mail.example");
    let mut implicit = false;
    for word in text
        .lines()
        .filter_map(|line| line.strip_prefix("set: "))
        .flat_map(str::split_whitespace)
    {
        let (name, value) = word.split_once('=').unwrap_or((word, "0"));
        let value: u64 = value.parse().unwrap();
        match name {
            "starttls" => config.starttls = true,
            "implicit" => implicit = true,
            "plaintext" => config.authentication.plaintext = true,
            "bare" => config.bare_newlines = true,
            "future_release" => config.future_release = Some(value as u32),
            "message_size" => config.limits.message_size = value,
            "header_size" => config.limits.header_size = value,
            "discard" => config.limits.discard = value,
            "recipients" => config.limits.recipients = value as usize,
            "hops" => config.limits.hops = value as u32,
            "errors" => config.limits.errors = value as u32,
            "refused_recipients" => config.limits.refused_recipients = value as u32,
            "login_failures" => config.limits.login_failures = value as u32,
            other => panic!("unknown setting {other}"),
        }
    }
    (config, implicit)
}

/// What the client says, in stretches between TLS handshakes, as far as the server listens.
fn run_lines(name: &str, text: &str) -> (House, Vec<Vec<u8>>, Vec<u8>) {
    let (config, implicit) = settings(text);
    let mut house = House::new(config, implicit);
    let (mut said, mut heard) = (vec![Vec::new()], Vec::new());
    let mut pending = Vec::new();
    let mut mails = 0;
    for (number, line) in text.lines().enumerate() {
        let at = format!("{name}:{}", number + 1);
        let collect = |house: &mut House, pending: &mut Vec<u8>, heard: &mut Vec<u8>| {
            let output = std::mem::take(house.session.output());
            heard.extend_from_slice(&output);
            pending.extend_from_slice(&output);
        };
        collect(&mut house, &mut pending, &mut heard);
        let mut speak = |house: &mut House, bytes: Vec<u8>| {
            assert!(
                pending.is_empty(),
                "{at}: nobody expected {}",
                String::from_utf8_lossy(&pending)
            );
            house.feed(&bytes);
            said.last_mut().unwrap().extend_from_slice(&bytes);
        };
        if let Some(text) = line.strip_prefix("c -> ") {
            speak(&mut house, [text.as_bytes(), b"\r\n"].concat());
        } else if line == "c ->" {
            speak(&mut house, b"\r\n".to_vec());
        } else if let Some(text) = line.strip_prefix("c => ") {
            speak(&mut house, unescape(text));
        } else if let Some(text) = line.strip_prefix("c *> ") {
            let (count, text) = text.split_once(' ').unwrap();
            speak(&mut house, unescape(text).repeat(count.parse().unwrap()));
        } else if let Some((how, expected)) = line.strip_prefix("c <").and_then(|rest| rest.split_at_checked(2)) {
            let end = pending
                .iter()
                .position(|&b| b == b'\n')
                .unwrap_or_else(|| panic!("{at}: the server says nothing"));
            let reply: Vec<u8> = pending.drain(..=end).collect();
            let reply = String::from_utf8(reply).unwrap();
            let reply = reply
                .strip_suffix("\r\n")
                .unwrap_or_else(|| panic!("{at}: no CRLF behind {reply}"));
            match how {
                "- " => assert_eq!(reply, expected, "{at}"),
                "~ " => assert!(reply.starts_with(expected), "{at}: {reply}"),
                other => panic!("{at}: c <{other}?"),
            }
        } else if let Some(text) = line.strip_prefix("m <- ") {
            let mail = house.mails.get(mails).unwrap_or_else(|| panic!("{at}: no message"));
            mails += 1;
            let (envelope, bytes) = text.split_once(": ").unwrap_or((text.trim_end_matches(':'), ""));
            assert_eq!(
                format!("{} > {}", mail.sender, mail.recipients.join(" ")),
                envelope,
                "{at}"
            );
            assert_eq!(
                String::from_utf8_lossy(&mail.bytes),
                String::from_utf8_lossy(&unescape(bytes)),
                "{at}"
            );
        } else if let Some(protocol) = line.strip_prefix("p <- ") {
            assert_eq!(house.mails.last().map(|mail| mail.protocol), Some(protocol), "{at}");
        } else if line == "tls" {
            house.tls_started();
            said.push(Vec::new());
        } else if line == "close" {
            assert!(house.closed, "{at}: still open");
        } else {
            let silent =
                line.is_empty() || line.starts_with('#') || line.starts_with("role: ") || line.starts_with("set: ");
            assert!(silent, "{at}: what is {line:?}?");
        }
    }
    assert!(
        pending.is_empty(),
        "{name}: at the end, nobody expected {}",
        String::from_utf8_lossy(&pending)
    );
    assert_eq!(mails, house.mails.len(), "{name}: messages that the file does not name");
    (house, said, heard)
}

fn run_chunks<'a>(text: &str, stretches: impl Iterator<Item = Vec<&'a [u8]>>) -> (House, Vec<u8>) {
    let (config, implicit) = settings(text);
    let mut house = House::new(config, implicit);
    let mut heard = Vec::new();
    for (index, chunks) in stretches.enumerate() {
        if index > 0 {
            house.tls_started();
        }
        for chunk in chunks {
            house.feed(chunk);
        }
    }
    heard.append(house.session.output());
    (house, heard)
}

fn check(path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let (house, said, heard) = run_lines(&name, &text);
    let same = |how: &str, (other, other_heard): (House, Vec<u8>)| {
        assert_eq!(
            String::from_utf8_lossy(&other_heard),
            String::from_utf8_lossy(&heard),
            "{name} {how}"
        );
        assert_eq!(other.mails, house.mails, "{name} {how}");
        assert_eq!(other.closed, house.closed, "{name} {how}");
    };
    same(
        "at once",
        run_chunks(&text, said.iter().map(|stretch| vec![stretch.as_slice()])),
    );
    if said.len() == 1 {
        // Cut where bytes follow STARTTLS, these would be a different conversation.
        same(
            "byte by byte",
            run_chunks(&text, said.iter().map(|stretch| stretch.chunks(1).collect())),
        );
        let total = said[0].len();
        for cut in (0..total).step_by(1 + total / 500) {
            let (head, tail) = said[0].split_at(cut);
            same(
                &format!("cut at {cut}"),
                run_chunks(&text, std::iter::once(vec![head, tail])),
            );
        }
    }
}

#[test]
fn dialogues() {
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            check(&path);
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} dialogues were found");
}
