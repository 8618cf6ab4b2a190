//! How long a script of 200 rules takes on a message of 10 KB: `cargo run --release -p sieve --example rules`. Pigeonhole's figure
//! beside it, where its `sieve-filter` is installed: processor time for the same script over a mailbox of copies of the message.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
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

/// Messages in the mailbox that Pigeonhole's `sieve-filter` goes through.
const COPIES: usize = 2000;

/// CPU that `sieve-filter` takes for a message with the script, less what it takes with one rule that reads the header too: opening and
/// reading messages is in both.
fn pigeonhole(script: &str, message: &[u8]) -> Option<String> {
    let folder = std::env::temp_dir().join(format!("sieve-speed-{}", std::process::id()));
    let mail = folder.join("store/cur");
    for path in [mail.clone(), folder.join("store/new"), folder.join("store/tmp")] {
        std::fs::create_dir_all(path).ok()?;
    }
    let measured = pigeonhole_in(&folder, &mail, script, message);
    std::fs::remove_dir_all(&folder).ok()?;
    measured
}

fn pigeonhole_in(folder: &Path, mail: &Path, script: &str, message: &[u8]) -> Option<String> {
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).ok();
    // Into a mailbox that is there: nothing else is to be looked up.
    let filed: Vec<&str> = script
        .lines()
        .map(|line| line.split("fileinto").next().unwrap_or(line))
        .collect();
    let full: Vec<String> = filed
        .iter()
        .map(|line| match line.strip_suffix("{ ") {
            Some(rule) => format!("{rule}{{ fileinto \"INBOX\"; stop; }}"),
            None => "require [\"fileinto\", \"imap4flags\"];".to_owned(),
        })
        .collect();
    write("full.sieve", full.join("\n").as_bytes())?;
    write(
        "one.sieve",
        b"if header :contains \"list-id\" \"nowhere\" { discard; }\n",
    )?;
    for copy in 0..COPIES {
        std::fs::write(mail.join(format!("{}.M{copy}.host:2,S", 1_700_000_000 + copy)), message).ok()?;
    }
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder).ok()?) == 0;
    let mut config = format!(
        "mail_location = maildir:{}/store\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nlog_path = /dev/stderr\n",
        folder.display()
    );
    if root {
        config.push_str("mail_uid = 65534\nmail_gid = 65534\n");
    }
    write("dovecot.conf", config.as_bytes())?;
    let run = |program: &str, rest: &str| {
        let config = folder.join("dovecot.conf");
        let command = format!(
            "{program} -c {} {rest} >/dev/null 2>&1; echo $?; times",
            config.display()
        );
        let ran = Command::new("sh")
            .arg("-c")
            .arg(command)
            .env("HOME", folder)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let mut lines = text.lines();
        (lines.next() == Some("0")).then_some(())?;
        // The second line of `times` is what the children took.
        let seconds = |time: &str| -> Option<f64> {
            let (minutes, seconds) = time.trim_end_matches('s').split_once('m')?;
            Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
        };
        lines.nth(1)?.split_whitespace().map(seconds).sum::<Option<f64>>()
    };
    for name in ["full", "one"] {
        run("sievec", &folder.join(format!("{name}.sieve")).display().to_string())?;
    }
    if root {
        let owned = Command::new("chown")
            .arg("-R")
            .arg("65534:65534")
            .arg(folder)
            .status()
            .ok()?;
        owned.success().then_some(())?;
    }
    let best = |name: &str| {
        let script = folder.join(format!("{name}.sieve"));
        let times = (0..5).filter_map(|_| run("sieve-filter", &format!("{} INBOX", script.display())));
        times.min_by(f64::total_cmp)
    };
    let (one, full) = (best("one")?, best("full")?);
    Some(format!(
        "sieve-filter over {COPIES} copies: {:.0} µs a message with the script, {:.0} µs with one rule: {:.0} µs for the rules",
        full * 1e6 / COPIES as f64,
        one * 1e6 / COPIES as f64,
        (full - one) * 1e6 / COPIES as f64
    ))
}
