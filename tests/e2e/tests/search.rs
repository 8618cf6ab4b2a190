//! A search is complete whatever happened to the index: damaged, deleted, behind after a kill; and it looks into attachments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{ADA, Imap, Server, Smtp};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

fn found(imap: &mut Imap, query: &str) -> Vec<u32> {
    let lines = imap.ok(&format!("SEARCH {query}"));
    let line = lines.iter().find_map(|line| line.text.strip_prefix("* SEARCH"));
    let numbers = line.unwrap_or_default().split_whitespace();
    numbers.map(|number| number.parse().unwrap()).collect()
}

fn message(number: usize) -> String {
    format!(
        "From: a@b.example\r\nSubject: number {number}\r\n\r\nthe word{number} of message {number}\r\n{}\r\n",
        "filling ".repeat(number % 7)
    )
}

/// Every file of an index below the data directory.
fn indexes(server: &Server) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![server.data().join("accounts")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(".search") {
                found.push(path);
            }
        }
    }
    found
}

fn deliver(server: &Server, numbers: std::ops::Range<usize>) {
    let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
    for number in numbers {
        let reply = smtp.data("a@b.example", &[ADA], message(number).as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
}

fn assert_complete(server: &Server, count: usize) {
    let mut imap = server.imap(ADA);
    imap.wait_for_messages("INBOX", count, Duration::from_secs(30));
    imap.ok("SELECT INBOX");
    assert_eq!(found(&mut imap, "TEXT \"the word\"").len(), count);
    for number in [0, count / 2, count - 1] {
        assert_eq!(
            found(&mut imap, &format!("BODY \"word{number} of\"")).len(),
            1,
            "{number}"
        );
        assert_eq!(
            found(
                &mut imap,
                &format!("HEADER Subject \"number {number}\" BODY \"message {number}\"")
            )
            .len(),
            1
        );
    }
}

#[test]
fn complete_whatever_happens_to_the_index() {
    let mut server = Server::start();
    // More than a segment, and some in the tail.
    deliver(&server, 0..700);
    assert_complete(&server, 700);
    let listed = server.admin(&["search", "list", "--json"]);
    assert!(listed.success, "{}", listed.err);
    let listed: serde_json::Value = serde_json::from_slice(&listed.out).unwrap();
    let ada = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["account"] == ADA)
        .unwrap();
    assert_eq!((&ada["messages"], &ada["behind"]), (&700.into(), &0.into()));

    // Killed in the middle of everything: messages that were accepted are found, whether they were delivered and indexed or not.
    deliver(&server, 700..760);
    server.kill();
    server.launch();
    assert_complete(&server, 760);

    // Damaged while nobody looked.
    server.stop();
    let files = indexes(&server);
    assert!(!files.is_empty());
    for file in &files {
        let mut octets = std::fs::read(file).unwrap();
        let len = octets.len();
        octets[len / 4..len / 2].fill(0x5a);
        std::fs::write(file, octets).unwrap();
    }
    server.launch();
    assert_complete(&server, 760);

    // Gone.
    server.stop();
    indexes(&server)
        .iter()
        .for_each(|file| std::fs::remove_file(file).unwrap());
    server.launch();
    assert_complete(&server, 760);

    let rebuilt = server.admin(&["search", "rebuild", ADA]);
    assert!(
        rebuilt.success && rebuilt.text().contains("760"),
        "{}{}",
        rebuilt.text(),
        rebuilt.err
    );
    assert_complete(&server, 760);

    // What is expunged is not found, and new messages are.
    let mut imap = server.imap(ADA);
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1:400 +FLAGS.SILENT (\\Deleted)");
    imap.ok("EXPUNGE");
    deliver(&server, 800..810);
    imap.wait_for_messages("INBOX", 370, Duration::from_secs(30));
    imap.ok("SELECT INBOX");
    assert_eq!(found(&mut imap, "TEXT \"the word\"").len(), 370);
    assert_eq!(found(&mut imap, "BODY \"word805 of\"").len(), 1);
    drop(imap);
    server.assert_sound();
}

/// An archive of one member that is stored as it is.
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut sum = !0u32;
    for byte in content {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    let (sum, size, length) = (!sum, content.len() as u32, name.len() as u16);
    let mut common = Vec::new();
    common.extend_from_slice(&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [sum, size, size] {
        common.extend_from_slice(&number.to_le_bytes());
    }
    common.extend_from_slice(&length.to_le_bytes());
    common.extend_from_slice(&[0, 0]);
    let mut out = [b"PK\x03\x04".as_slice(), &common, name.as_bytes(), content].concat();
    let directory = out.len() as u32;
    out.extend_from_slice(b"PK\x01\x02\x14\x00");
    out.extend_from_slice(&common);
    out.extend_from_slice(&[0; 14]);
    out.extend_from_slice(name.as_bytes());
    let len = out.len() as u32 - directory;
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&directory.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// A PDF of one page, whose reader has to find its objects itself: the table of offsets is right.
fn pdf(line: &str) -> Vec<u8> {
    let content = format!("BT /F1 24 Tf 72 720 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        write!(out, "{} 0 obj\n{object}\nendobj\n", number + 1).unwrap();
    }
    let table = out.len();
    write!(out, "xref\n0 6\n0000000000 65535 f \n").unwrap();
    for offset in offsets {
        writeln!(out, "{offset:010} 00000 n ").unwrap();
    }
    write!(out, "trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").unwrap();
    out
}

#[test]
fn attachments_are_looked_into() {
    let server = Server::start();
    let mut imap = server.imap(ADA);
    let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let document = b"<w:document><w:p><w:r><w:t>Quarter</w:t></w:r><w:r><w:t>ly figures</w:t></w:r></w:p></w:document>";
    let attachments = [
        (word, "report.docx", zip("word/document.xml", document)),
        ("application/pdf", "talk.pdf", pdf("Strange quark")),
        // By its name alone.
        ("application/octet-stream", "talk2.PDF", pdf("Charm quark")),
        // Not what they say.
        ("application/pdf", "broken.pdf", b"%PDF-1.7 and then nothing".to_vec()),
        (word, "broken.docx", b"PK\x03\x04 and then nothing".to_vec()),
    ];
    for (media_type, name, octets) in attachments {
        let encoded = STANDARD.encode(octets);
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let message = format!(
            "Subject: with {name}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nsee below\r\n--q\r\n\
             Content-Type: {media_type}; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--q--\r\n",
            lines.join("\r\n")
        );
        assert!(imap.append("INBOX", "", message.as_bytes()).ok());
    }
    imap.ok("SELECT INBOX");
    for (query, expected) in [
        ("BODY \"quarterly FIGURES\"", vec![1]),
        ("TEXT \"strange quark\"", vec![2]),
        ("BODY quark", vec![2, 3]),
        ("BODY \"see below\"", vec![1, 2, 3, 4, 5]),
        ("BODY talk2.pdf", vec![3]),
        ("BODY \"and then nothing\"", vec![]),
    ] {
        assert_eq!(found(&mut imap, query), expected, "{query}");
    }
}
