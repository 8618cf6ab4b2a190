//! How long a script of 200 rules takes on a message of 10 KB: `cargo run --release -p sieve --example rules`. Pigeonhole's figure
//! beside it, where `sieve-test` is installed: the same script and message, many times in one process (a mailbox of copies through
//! `sieve-filter` would measure the store too, so the time of `sieve-test -P`'s start is taken off by running it on an empty script).
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::time::Instant;

use sieve::{Compiled, Input, Limits, Nowhere, Options};

fn main() {
    let script = script();
    let message = message();
    let options = Options::default();
    let limits = Limits::default();
    let begun = Instant::now();
    let compiled = Compiled::compile(script.as_bytes(), &options).unwrap();
    println!(
        "script of {} octets, 200 rules: compiled in {:.0} µs",
        script.len(),
        micros(begun)
    );
    let input = Input::new(&message);
    let outcome = compiled.run(&input, &Nowhere, &limits);
    println!(
        "message of {} octets; {} steps; {}",
        message.len(),
        outcome.steps,
        outcome.explanation.to_string().trim()
    );
    let mut best = f64::MAX;
    let mut all = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(compiled.run(std::hint::black_box(&input), &Nowhere, &limits));
        }
        let each = micros(begun) / 100.0;
        best = best.min(each);
        all.push(each);
    }
    all.sort_by(f64::total_cmp);
    println!("run: median {:.1} µs, best {best:.1} µs", all[all.len() / 2]);
    if let Some(cpu) = pigeonhole(&script, &message) {
        println!("pigeonhole: {cpu}");
    }
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}

/// Rules as people have them: lists, senders, words of the subject, sizes; the last one matches.
fn script() -> String {
    let mut script = "require [\"fileinto\", \"imap4flags\"];\n".to_owned();
    for n in 0..200 {
        let rule = match n % 5 {
            0 => format!("header :contains \"list-id\" \"list-{n}.example.org\""),
            1 => format!("address :is \"from\" \"person{n}@example.com\""),
            2 => format!("header :contains [\"subject\", \"x-subject\"] [\"project {n}\", \"[p{n}]\"]"),
            3 => format!(
                "anyof (address :domain [\"to\", \"cc\"] \"d{n}.example\", header :matches \"subject\" \"*ticket #{n} *\")"
            ),
            _ => format!("allof (size :over 100K, header :is \"x-priority\" \"{n}\")"),
        };
        let rule = if n == 199 {
            "header :contains \"subject\" \"quarterly\"".to_owned()
        } else {
            rule
        };
        let _ = writeln!(script, "if {rule} {{ fileinto \"Folder {n}\"; stop; }}");
    }
    script
}

fn message() -> Vec<u8> {
    let mut message = "Return-Path: <a@example.net>\r\n".to_owned();
    for n in 0..6 {
        let _ = write!(
            message,
            "Received: from relay{n}.example.net (relay{n}.example.net [192.0.2.{n}])\r\n\tby mx{n}.example.org with ESMTPS id abc{n};\r\n\tThu, 21 May 2026 05:33:{n:02} -0700\r\n"
        );
    }
    message.push_str(
        "From: Ada Lovelace <ada@example.net>\r\nTo: Grace <grace@example.org>, Alan <alan@example.org>\r\nCc: staff@example.org\r\n\
         Subject: =?utf-8?Q?The_quarterly_report_for_K=C3=B6ln?=\r\nDate: Thu, 21 May 2026 05:33:29 -0700\r\n\
         Message-ID: <12345@example.net>\r\nList-Id: Staff <staff.example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n",
    );
    while message.len() < 10_240 {
        message
            .push_str("The quick brown fox jumps over the lazy dog, and goes on to write a long report about it.\r\n");
    }
    message.into_bytes()
}

/// CPU of `sieve-test` with the script, less that with an empty one, over 20 runs each: start and compiling are in both, or are
/// kept out by compiling before.
fn pigeonhole(script: &str, message: &[u8]) -> Option<String> {
    let folder = std::env::temp_dir().join(format!("sieve-speed-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("store")).ok()?;
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes);
    write("full.sieve", script.as_bytes()).ok()?;
    write("empty.sieve", b"keep;").ok()?;
    write("mail.eml", message).ok()?;
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&folder).ok()?) == 0;
    let mut config = format!(
        "mail_location = maildir:{}/store\nfirst_valid_uid = 0\nfirst_valid_gid = 0\n",
        folder.display()
    );
    if root {
        config.push_str("mail_uid = 65534\nmail_gid = 65534\n");
        for path in [folder.clone(), folder.join("store")] {
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).ok()?;
        }
    }
    write("dovecot.conf", config.as_bytes()).ok()?;
    for name in ["full", "empty"] {
        let compiled = std::process::Command::new("sievec")
            .arg("-c")
            .arg(folder.join("dovecot.conf"))
            .arg(folder.join(format!("{name}.sieve")))
            .output();
        if compiled.is_err() {
            std::fs::remove_dir_all(&folder).ok()?;
            return None;
        }
    }
    let time = |name: &str| {
        let mut best = f64::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            for _ in 0..20 {
                let _ = std::process::Command::new("sieve-test")
                    .arg("-c")
                    .arg(folder.join("dovecot.conf"))
                    .arg(folder.join(format!("{name}.svbin")))
                    .arg(folder.join("mail.eml"))
                    .output();
            }
            best = best.min(micros(begun) / 20.0);
        }
        best
    };
    let (empty, full) = (time("empty"), time("full"));
    std::fs::remove_dir_all(&folder).ok()?;
    Some(format!(
        "sieve-test with the script {full:.0} µs, with an empty one {empty:.0} µs: {:.0} µs for the rules",
        full - empty
    ))
}
