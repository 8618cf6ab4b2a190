//! Notices, read by Python's email package. Skipped, saying so, where there is no python3.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use serde_json::Value;
use smtp::dsn::{Action, Composed, Language, Limits, Notice, Notified, Original, Reader};
use smtp::{Body, Return, Status};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// 25 November 2026, 09:30 UTC
const NOW: i64 = 1_795_599_000;
const MESSAGE: &str = "From: Ada <ada@phys.example>\r\nTo: bob@x.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= aus\r\n dem Institut\r\nMessage-ID: <1@phys.example>\r\n\r\nHallo Bob\r\n";

fn failed<'a>() -> Notified<'a> {
    Notified {
        address: "bob@x.example",
        original: Some("rfc822;bob+2Balt@x.example"),
        action: Action::Failed,
        status: Status(5, 1, 1),
        remote: Some("mx.x.example"),
        diagnostic: Some("550 5.1.1 no such user"),
        last_attempt: Some(NOW - 60),
    }
}

fn original(bytes: &[u8]) -> Original<'_> {
    Original {
        bytes,
        size: bytes.len() as u64,
        body: Body::EightBit,
        smtputf8: false,
        ret: Some(Return::Full),
        envid: Some("QQ+2D1"),
        sender: "ada@phys.example",
        arrived: NOW - 3600,
        id: "0ABC",
    }
}

fn notice<'a>(recipients: &'a [Notified<'a>], original: Original<'a>) -> Notice<'a> {
    Notice {
        reader: Reader::Sender,
        languages: &[],
        hostname: "mail.phys.example",
        from: "postmaster@phys.example",
        to: "ada@phys.example",
        unique: "0XYZ",
        now: NOW,
        recipients,
        original,
        limits: Limits::default(),
    }
}

/// What Python reads of them; `None` without Python.
fn read(messages: &[Composed]) -> Option<Vec<Value>> {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<PathBuf> = (0..messages.len()).map(|n| folder.path().join(n.to_string())).collect();
    for (name, message) in names.iter().zip(messages) {
        std::fs::write(name, &message.bytes).unwrap();
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/notices.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let list: String = names.iter().map(|name| format!("{}\n", name.display())).collect();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed");
    let lines = String::from_utf8(output.stdout).unwrap();
    let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len(), messages.len());
    Some(read)
}

fn field<'v>(read: &'v Value, group: usize, name: &str) -> Option<&'v str> {
    let fields = read["groups"][group].as_array().unwrap();
    let found = fields.iter().find(|field| field[0] == name);
    found.map(|field| field[1].as_str().unwrap())
}

#[test]
fn a_person_understands_it_and_a_program_too() {
    let recipients = [failed()];
    let languages = [Language::German, Language::English];
    let notice = Notice {
        languages: &languages,
        ..notice(&recipients, original(MESSAGE.as_bytes()))
    };
    let composed = notice.compose();
    assert_eq!((composed.body, composed.smtputf8), (Body::SevenBit, false));
    let Some(read) = read(&[composed]) else { return };
    let read = &read[0];
    assert_eq!(read["defects"].as_array().unwrap().len(), 0, "{read}");
    assert_eq!(read["type"], "multipart/report");
    assert_eq!(read["report"], "delivery-status");
    assert_eq!(read["subject"], "Nicht zugestellt: Grüße aus dem Institut");
    assert_eq!(read["automatic"], "auto-replied");
    assert_eq!(read["reply"], "<1@phys.example>");
    assert_eq!(
        read["text"].as_str().unwrap().replace("\r\n", "\n"),
        include_str!("notice.txt")
    );
    assert_eq!(read["status-type"], "message/delivery-status");
    assert_eq!(read["returned-type"], "message/rfc822");
    assert_eq!(read["returned"], "Grüße aus dem Institut");
    let expected = [
        (0, "Original-Envelope-Id", Some("QQ-1")),
        (0, "Reporting-MTA", Some("dns; mail.phys.example")),
        (0, "Arrival-Date", Some("Wed, 25 Nov 2026 08:30:00 +0000")),
        (1, "Original-Recipient", Some("rfc822; bob+alt@x.example")),
        (1, "Final-Recipient", Some("rfc822; bob@x.example")),
        (1, "Action", Some("failed")),
        (1, "Status", Some("5.1.1")),
        (1, "Remote-MTA", Some("dns; mx.x.example")),
        (1, "Diagnostic-Code", Some("smtp; 550 5.1.1 no such user")),
        (1, "Last-Attempt-Date", Some("Wed, 25 Nov 2026 09:29:00 +0000")),
        (1, "Final-Log-ID", Some("0ABC")),
        (1, "Will-Retry-Until", None),
    ];
    for (group, name, value) in expected {
        assert_eq!(field(read, group, name), value, "{name}");
    }
}

#[test]
fn what_goes_back_is_what_was_asked_for() {
    let umlauts = "From: ada@phys.example\r\nSubject: x\r\n\r\nGrüße\r\n";
    let raw = b"From: ada@phys.example\r\nSubject: Gr\xfc\xdfe\r\n\r\nx\r\n";
    let large = format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(10_000));
    let late = Notified {
        action: Action::Delayed { until: NOW + 86_400 },
        ..failed()
    };
    let delivered = Notified {
        action: Action::Delivered,
        ..failed()
    };
    let (failed, late, delivered) = ([failed()], [late], [delivered]);
    let hdrs = |bytes| Original {
        ret: Some(Return::Headers),
        ..original(bytes)
    };
    // The notice, what its third part is, what it needs.
    let cases: Vec<(Notice<'_>, &str, Body)> = vec![
        (
            notice(&failed, original(MESSAGE.as_bytes())),
            "message/rfc822",
            Body::SevenBit,
        ),
        (
            notice(&failed, original(umlauts.as_bytes())),
            "message/rfc822",
            Body::EightBit,
        ),
        (
            notice(&failed, hdrs(umlauts.as_bytes())),
            "text/rfc822-headers",
            Body::SevenBit,
        ),
        (notice(&failed, hdrs(raw)), "text/rfc822-headers", Body::SevenBit),
        (
            notice(&failed, original(large.as_bytes())),
            "text/rfc822-headers",
            Body::SevenBit,
        ),
        (
            notice(&late, original(MESSAGE.as_bytes())),
            "text/rfc822-headers",
            Body::SevenBit,
        ),
        (
            notice(&delivered, original(MESSAGE.as_bytes())),
            "text/rfc822-headers",
            Body::SevenBit,
        ),
        (
            notice(
                &failed,
                Original {
                    body: Body::Binary,
                    ..original(MESSAGE.as_bytes())
                },
            ),
            "text/rfc822-headers",
            Body::SevenBit,
        ),
        (
            // The beginning alone is at hand.
            notice(
                &failed,
                Original {
                    size: 1_000_000,
                    ..original(MESSAGE.as_bytes())
                },
            ),
            "text/rfc822-headers",
            Body::SevenBit,
        ),
    ];
    let composed: Vec<Composed> = cases.iter().map(|(notice, ..)| notice.compose()).collect();
    for ((_, media, body), composed) in cases.iter().zip(&composed) {
        assert_eq!(composed.body, *body, "{media}");
    }
    let Some(read) = read(&composed) else { return };
    for (number, ((_, media, body), read)) in cases.iter().zip(&read).enumerate() {
        assert_eq!(read["defects"].as_array().unwrap().len(), 0, "{number}: {read}");
        assert_eq!(read["returned-type"], *media, "{number}: {read}");
        assert_eq!(read["eight"], *body == Body::EightBit, "{number}");
        assert_eq!(read["bare"], 0, "{number}");
    }
    assert!(
        read[3]["returned"].as_str().unwrap().contains("Gr\\udcfc\\udcdfe"),
        "{}",
        read[3]
    );
    assert!(read[4]["text"].as_str().unwrap().contains("too large"), "{}", read[4]);
    assert_eq!(read[5]["subject"], "Delayed: Grüße aus dem Institut");
    assert_eq!(
        field(&read[5], 1, "Will-Retry-Until"),
        Some("Thu, 26 Nov 2026 09:30:00 +0000")
    );
    let text = read[5]["text"].as_str().unwrap();
    assert!(
        text.contains("26 November 2026, 09:30 UTC") && text.contains("need not do anything"),
        "{text}"
    );
    assert_eq!(read[6]["subject"], "Delivered: Grüße aus dem Institut");
}

#[test]
fn letters_beyond_ascii_survive() {
    let message = "From: Ada <grün@phys.example>\r\nSubject: Grüße\r\n\r\nx\r\n";
    let recipients = [Notified {
        address: "jürgen@übung.example",
        original: Some("utf-8;j\\x{FC}rgen@x.example"),
        diagnostic: Some("550 5.6.7 schöner Text"),
        ..failed()
    }];
    let global = Notice {
        to: "grün@phys.example",
        ..notice(
            &recipients,
            Original {
                smtputf8: true,
                ..original(message.as_bytes())
            },
        )
    };
    // The same for a reader whose server may know ASCII alone.
    let ascii = notice(&recipients, original(MESSAGE.as_bytes()));
    let composed = [global.compose(), ascii.compose()];
    assert_eq!((composed[0].body, composed[0].smtputf8), (Body::EightBit, true));
    assert_eq!((composed[1].body, composed[1].smtputf8), (Body::SevenBit, false));
    let Some(read) = read(&composed) else { return };
    assert_eq!(read[0]["status-type"], "message/global-delivery-status");
    assert_eq!(read[0]["returned-type"], "message/global");
    assert_eq!(
        field(&read[0], 1, "Final-Recipient"),
        Some("utf-8; jürgen@übung.example")
    );
    assert_eq!(
        field(&read[0], 1, "Original-Recipient"),
        Some("utf-8; jürgen@x.example")
    );
    assert_eq!(
        field(&read[0], 1, "Diagnostic-Code"),
        Some("smtp; 550 5.6.7 schöner Text")
    );
    assert_eq!(read[1]["status-type"], "message/delivery-status");
    assert_eq!(
        field(&read[1], 1, "Final-Recipient"),
        Some("utf-8; j\\x{FC}rgen@\\x{FC}bung.example")
    );
    assert_eq!(
        field(&read[1], 1, "Diagnostic-Code"),
        Some("smtp; 550 5.6.7 sch?ner Text")
    );
}

#[test]
fn strangers_cannot_write_into_it() {
    let evil =
        "Subject: x\r\nMessage-ID: <a b\0c>\r\n\r\n--=_0XYZ\r\nContent-Type: text/html\r\n\r\n<b>\r\n--=_0XYZ--\r\n";
    let long = format!("550 5.7.1 {}", "nein ".repeat(2_000));
    let recipients = [
        Notified {
            address: "bob@x.example",
            original: Some("rfc822;a+0D+0AAction:+20delivered"),
            diagnostic: Some("550 no\r\nAction: delivered\r\n\r\n--=_0XYZ--"),
            remote: Some("mx\r\nX: y"),
            ..failed()
        },
        Notified {
            diagnostic: Some(&long),
            ..failed()
        },
    ];
    let header = format!("Subject: x\r\nX-Long: {}\r\n\r\n", "y\r\n ".repeat(20_000));
    let cases = [
        notice(
            &recipients,
            Original {
                envid: Some("a+0D+0ASubject:+20y"),
                ..original(evil.as_bytes())
            },
        ),
        notice(&recipients, original(header.as_bytes())),
        notice(&recipients, original(b"")),
        notice(&recipients, original(b"\r\nno header\r\n")),
    ];
    let composed: Vec<Composed> = cases.iter().map(Notice::compose).collect();
    assert!(composed[1].bytes.len() < 50_000, "{}", composed[1].bytes.len());
    let Some(read) = read(&composed) else { return };
    for read in &read {
        assert_eq!(read["groups"].as_array().unwrap().len(), 3, "{read}");
        assert_eq!(field(read, 1, "Action"), Some("failed"), "{read}");
        assert_eq!(read["bare"], 0);
        assert!(read["longest"].as_u64().unwrap() < 998, "{read}");
        let diagnostic = field(read, 2, "Diagnostic-Code").unwrap();
        assert!((900..1_010).contains(&diagnostic.len()), "{}", diagnostic.len());
    }
    assert_eq!(read[0]["returned-type"], "message/rfc822");
}

#[test]
fn every_reader_and_several_fates() {
    let recipients = [
        Notified {
            address: "a@x.example",
            action: Action::Delivered,
            status: Status(2, 1, 5),
            diagnostic: None,
            ..failed()
        },
        Notified {
            address: "b@x.example",
            action: Action::Failed,
            status: Status(4, 4, 7),
            diagnostic: Some("4.4.1 mx.x.example: connection refused"),
            ..failed()
        },
        Notified {
            address: "c@x.example",
            action: Action::Relayed,
            ..failed()
        },
        Notified {
            address: "list@x.example",
            action: Action::Expanded,
            ..failed()
        },
    ];
    let readers = [Reader::Sender, Reader::Forwarder, Reader::Postmaster];
    let composed = readers.map(|reader| {
        Notice {
            reader,
            ..notice(&recipients, original(MESSAGE.as_bytes()))
        }
        .compose()
    });
    let Some(read) = read(&composed) else { return };
    let headings = [
        ("Not delivered", "could not be delivered to"),
        ("Your forwarding has failed", "as you have set it up"),
        ("Undeliverable notice", "there is nobody else"),
    ];
    for (read, (subject, heading)) in read.iter().zip(headings) {
        assert_eq!(read["subject"], format!("{subject}: Grüße aus dem Institut"));
        let text = read["text"].as_str().unwrap().replace("\r\n", " ");
        assert!(text.contains(heading), "{text}");
        let order: Vec<_> = ["b@x.example", "c@x.example", "list@x.example", "a@x.example"]
            .iter()
            .map(|address| text.find(address).unwrap())
            .collect();
        assert!(order.is_sorted(), "{text}");
        assert_eq!(
            field(read, 2, "Diagnostic-Code"),
            Some("x-rohrpost; 4.4.1 mx.x.example: connection refused")
        );
    }
    assert!(read[0]["text"].as_str().unwrap().contains("tried for days"));
    assert!(read[1]["text"].as_str().unwrap().contains("Sender: ada@phys.example"));
}
