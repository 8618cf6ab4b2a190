//! Bits rot under the real server: a damaged record costs that message, a damaged account file that account, a lost index nothing.
//! `verify` names what is damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::BlobId;
use blobs::simulation::Chance;
use e2e::{ADA, BOB, Server, Smtp, ours_removed, wait_for};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A message that zstd can't shrink much.
fn message(number: u64) -> Vec<u8> {
    message_of(number, 20)
}

/// One so long that an account never has bytes of it beside its rows: those would heal the record.
fn long_message(number: u64) -> Vec<u8> {
    message_of(number, 300)
}

fn message_of(number: u64, lines: usize) -> Vec<u8> {
    let mut chance = Chance::new(number);
    let mut bytes = format!("Subject: number {number}\r\n\r\n").into_bytes();
    for _ in 0..lines {
        bytes.extend((0..70).map(|_| 0x80 | chance.bits() as u8));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Flips bits in the record of some content.
fn rot(blobs: &Path, content: &[u8]) {
    let id = BlobId::of(content);
    for entry in std::fs::read_dir(blobs).expect("segments") {
        let path = entry.expect("entry").path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        // docs/blobs.md: the id stands 32 bytes into the record, the payload begins after 80.
        let Some(at) = bytes.windows(32).position(|w| w == id.as_bytes()) else {
            continue;
        };
        let file = std::fs::File::options().write(true).open(&path).expect("segment");
        let payload = at - 32 + 80 + 100;
        file.write_all_at(&[bytes[payload] ^ 0x11], payload as u64)
            .expect("rot");
        return;
    }
    panic!("the record is not found");
}

fn account_file(server: &Server, address: &str) -> PathBuf {
    let ran = server.admin(&["account", "show", address, "--json"]);
    assert!(ran.success, "{}", ran.err);
    let text = ran.text();
    let (_, rest) = text.split_once("\"file\":").expect("file of the account");
    rest.split('"').nth(1).expect("path").into()
}

fn send(server: &Server, to: &str, message: &[u8]) {
    let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
    let reply = smtp.data("sender@client.test", &[to], message);
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn a_damaged_record_costs_its_message_only() {
    let mut server = Server::start();
    let mut imap = server.imap(ADA);
    for number in 1..=5 {
        assert!(imap.append("INBOX", "", &long_message(number)).ok());
    }
    drop(imap);
    server.stop();
    rot(&server.data().join("blobs"), &long_message(3));
    server.launch();
    let mut imap = server.imap(ADA);
    imap.ok("SELECT INBOX");
    // Flags and envelopes are kept beside the bytes.
    assert_eq!(imap.ok("FETCH 1:5 (FLAGS ENVELOPE)").len(), 5);
    for number in 1..=5_u32 {
        let reply = imap.command(&format!("FETCH {number} BODY.PEEK[]"));
        assert_eq!(reply.ok(), number != 3, "{reply:?}");
        if reply.ok() {
            assert_eq!(reply.lines[0].literals[0], long_message(number.into()));
        }
    }
    send(&server, ADA, &message(6));
    imap.wait_for_messages("INBOX", 6, Duration::from_secs(30));
    let verify = server.admin(&["verify"]);
    assert!(!verify.success, "{}", verify.text());
    let told = format!("{}{}", verify.text(), verify.err);
    assert!(told.contains(&BlobId::of(&long_message(3)).to_string()), "{told}");
    // The same bytes, coming in again, are stored anew and heal the old message too.
    assert!(imap.append("INBOX", "", &long_message(3)).ok());
    for number in [3, 7] {
        assert_eq!(imap.messages(&number.to_string()), [long_message(3)]);
    }
}

#[test]
fn a_damaged_account_file_costs_its_account_only() {
    let mut server = Server::start();
    for (number, to) in [(1, ADA), (2, BOB)] {
        send(&server, to, &message(number));
        server.imap(to).wait_for_messages("INBOX", 1, Duration::from_secs(30));
    }
    let file = account_file(&server, BOB);
    server.stop();
    // The file and, where the server left one, its log.
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    let sound: Vec<(PathBuf, Vec<u8>)> = [file, log.into()]
        .into_iter()
        .filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?)))
        .collect();
    for (path, bytes) in &sound {
        let rotten: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x3c).collect();
        std::fs::write(path, rotten).expect("rot");
    }
    server.launch();
    // Ada does not notice.
    send(&server, ADA, &message(3));
    server.imap(ADA).wait_for_messages("INBOX", 2, Duration::from_secs(30));
    // Mail to Bob is accepted and kept, with the reason beside it.
    send(&server, BOB, &message(4));
    let reason = wait_for("the reason in the queue", Duration::from_secs(30), || {
        let listed = server.admin(&["queue", "list", "--json"]);
        let text = listed.text();
        (listed.success && text.contains(BOB) && text.contains("damaged")).then_some(text)
    });
    assert!(!reason.contains(ADA), "{reason}");
    let verify = server.admin(&["verify"]);
    let told = format!("{}{}", verify.text(), verify.err);
    assert!(!verify.success && told.contains(BOB), "{told}");
    assert!(!told.contains(ADA), "{told}");
    // The file is restored from a backup: the mail arrives, nothing is missing.
    server.stop();
    for (path, bytes) in &sound {
        std::fs::write(path, bytes).expect("restore");
    }
    server.launch();
    let waiting = server.admin(&["queue", "list", "--json"]).text();
    let id = waiting
        .split("\"id\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("id");
    server.admin(&["queue", "retry", id]);
    let found = server.imap(BOB).inbox(2);
    let found: Vec<&[u8]> = found.iter().map(|bytes| ours_removed(bytes)).collect();
    assert_eq!(found, [message(2), message(4)]);
    server.assert_sound();
}

#[test]
fn a_lost_blob_index_costs_nothing() {
    let mut server = Server::start();
    let mut imap = server.imap(ADA);
    for number in 1..=5 {
        assert!(imap.append("INBOX", "", &message(number)).ok());
    }
    drop(imap);
    server.stop();
    std::fs::remove_dir_all(server.data().join("blobs/index")).expect("index");
    server.launch();
    let mut imap = server.imap(ADA);
    let found = imap.inbox(5);
    assert_eq!(found, (1..=5).map(message).collect::<Vec<_>>());
    server.assert_sound();
}
