//! Every size comes out byte for byte, and many large ones at once do not fill the memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{ADA, BOB, Pattern, Server, Setup, Smtp, made_up, ours_removed};

/// Compares what is in a mailbox with what was sent, in any order: workers deliver side by side.
fn assert_same(fetched: &[Vec<u8>], sent: impl Iterator<Item = Vec<u8>>) {
    let mut wanted: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for message in sent {
        *wanted.entry(message).or_default() += 1;
    }
    for message in fetched {
        *wanted.entry(ours_removed(message).to_vec()).or_default() -= 1;
    }
    for (message, count) in wanted {
        let shown = String::from_utf8_lossy(&message[..message.len().min(200)]).into_owned();
        assert_eq!(
            count,
            0,
            "missing (1) or changed (-1), {} bytes: {shown:?}",
            message.len()
        );
    }
}

#[test]
fn every_size_up_to_3_kb() {
    let server = Server::start();
    // DATA ends with a line end, so one byte is no message there; BDAT carries any number of bytes.
    let by_data = (0..=3072).filter(|&size| size != 1);
    let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
    for size in by_data.clone() {
        let reply = smtp.data("a@b.example", &[ADA], &made_up(size));
        assert!(reply.starts_with("250"), "{size} bytes: {reply}");
    }
    let mut lmtp = Smtp::connect(server.port("lmtp"), "LHLO");
    for size in 0..=3072 {
        let reply = lmtp.bdat("a@b.example", &[BOB], &made_up(size));
        assert!(reply.starts_with("250"), "{size} bytes: {reply}");
    }
    assert_same(&server.imap(ADA).inbox(3072), by_data.map(made_up));
    assert_same(&server.imap(BOB).inbox(3073), (0..=3072).map(made_up));
    server.assert_sound();
}

#[test]
fn every_size_up_to_3_kb_appended() {
    let server = Server::start();
    let mut imap = server.imap(ADA);
    // RFC 9051 §6.3.12 leaves a message without bytes to the server; one that takes it must give it back.
    for size in 1..=3072 {
        let reply = imap.append("Drafts", "\\Seen", &made_up(size));
        assert!(reply.ok(), "{size} bytes: {}", reply.status);
    }
    imap.ok("SELECT Drafts");
    for (message, size) in imap.messages("1:*").into_iter().zip(1..) {
        assert!(
            message == made_up(size),
            "{size} bytes: {:?}",
            String::from_utf8_lossy(&message)
        );
    }
    server.assert_sound();
}

#[test]
fn large_ones() {
    const MB: usize = 1_000_000;
    let server = Server::start();
    let sizes = [MB - 1, MB, MB + 1, 1 << 20, 10 * MB, 99 * MB];
    let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
    for (index, size) in sizes.into_iter().enumerate() {
        let message = made_up(size);
        let reply = smtp.data("a@b.example", &[ADA], &message);
        assert!(reply.starts_with("250"), "{size} bytes: {reply}");
        let mut imap = server.imap(ADA);
        imap.wait_for_messages("INBOX", index + 1, Duration::from_secs(60));
        imap.ok("SELECT INBOX");
        let fetched = imap.messages("*").remove(0);
        assert!(ours_removed(&fetched) == message, "{size} bytes have changed");
        // The same in pieces, as clients fetch it.
        let mut pieces = Vec::new();
        let step = 4 << 20;
        while pieces.len() < fetched.len() {
            let lines = imap.ok(&format!("FETCH * (BODY.PEEK[]<{}.{step}>)", pieces.len()));
            let piece = lines
                .into_iter()
                .find_map(|mut line| line.literals.pop())
                .expect("piece");
            assert!(!piece.is_empty());
            pieces.extend(piece);
        }
        assert!(pieces == fetched, "{size} bytes in pieces have changed");
        let reply = imap.append("Archive", "", &message);
        assert!(reply.ok(), "{size} bytes: {}", reply.status);
    }
    let reply = smtp.data("a@b.example", &[ADA], &made_up(106 * MB));
    assert!(reply.starts_with("552"), "{reply}");
    server.assert_sound();
}

/// Twenty at once of 50 MB that do not compress: the server's memory stays below 400 MB, in and out.
#[test]
fn twenty_of_50_mb_at_once() {
    const SIZE: usize = 50_000_000;
    let server = Server::start_with(Setup::default());
    let send = |seed: u64| {
        let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
        smtp.envelope("a@b.example", &[ADA, BOB], "").unwrap();
        smtp.expect("DATA", "354");
        smtp.write(format!("Subject: {seed}\r\n\r\n").as_bytes());
        each_line(seed, SIZE, |lines| smtp.write(lines));
        smtp.write(b".\r\n");
        let reply = smtp.reply();
        assert!(reply.starts_with("250"), "{reply}");
    };
    std::thread::scope(|scope| {
        for seed in 0..20 {
            scope.spawn(move || send(seed));
        }
    });
    let mut imap = server.imap(ADA);
    imap.wait_for_messages("INBOX", 20, Duration::from_secs(120));
    server
        .imap(BOB)
        .wait_for_messages("INBOX", 20, Duration::from_secs(120));
    let peak = server.memory_peak() / 1_000_000;
    eprintln!("memory after 20 × 50 MB at once: at most {peak} MB");
    assert!(peak < 400, "{peak} MB");

    imap.ok("SELECT INBOX");
    for number in 1..=20 {
        let fetched = imap.messages(&number.to_string()).remove(0);
        let message = ours_removed(&fetched);
        let end = message.iter().position(|&byte| byte == b'\r').unwrap();
        let seed: u64 = String::from_utf8_lossy(&message["Subject: ".len()..end])
            .parse()
            .unwrap();
        let mut rest = &message[end + 4..];
        each_line(seed, SIZE, |lines| {
            rest = rest
                .strip_prefix(lines)
                .unwrap_or_else(|| panic!("message {seed} has changed"));
        });
        assert!(rest.is_empty());
    }
    let peak = server.memory_peak() / 1_000_000;
    eprintln!("memory after fetching them: at most {peak} MB");
    assert!(peak < 400, "{peak} MB");
    server.assert_sound();
}

/// The body of a message of `size` bytes, about 64 KB at a time.
fn each_line(seed: u64, size: usize, mut give: impl FnMut(&[u8])) {
    let mut pattern = Pattern::new(seed);
    let mut lines = Vec::with_capacity(66 * 1000);
    let mut given = 0;
    while given < size {
        lines.clear();
        for _ in 0..1000 {
            pattern.line(&mut lines);
        }
        give(&lines);
        given += lines.len();
    }
}
