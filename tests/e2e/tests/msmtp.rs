//! msmtp sends and mpop collects: each way of logging in that they and we know, without TLS, with STARTTLS, and with TLS from the first octet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use e2e::{ADA, PASSWORD, Server, installed, made_up, run, run_unchecked};

const MECHANISMS: [&str; 4] = ["plain", "login", "scram-sha-1", "scram-sha-256"];
const WAYS: [(&str, &str); 3] = [
    ("plain", "tls off"),
    ("starttls", "tls on\ntls_starttls on"),
    ("immediate", "tls on\ntls_starttls off"),
];

/// Settings with an account for each way.
fn settings(server: &Server, protocols: [&str; 2], more: &str) -> String {
    let mut text = format!(
        "defaults\nhost mail.e2e.test\nauth on\nuser {ADA}\npassword \"{PASSWORD}\"\ntls_trust_file {}\n{more}\n",
        server.certificate().display()
    );
    for (way, tls) in WAYS {
        let port = server.port(protocols[usize::from(way == "immediate")]);
        text.push_str(&format!(
            "account {way}\nhost localhost\nport {port}\n{tls}\ntls_host_override mail.e2e.test\n"
        ));
    }
    text
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn msmtp_logs_in_every_way() {
    if !installed(&["msmtp"]) {
        return;
    }
    let server = Server::start();
    let file = server.folder().join("msmtprc");
    write(
        &file,
        &settings(&server, ["submission", "submissions"], &format!("from {ADA}")),
    );
    let file = format!("--file={}", file.display());
    let message = format!("From: {ADA}\nSubject: msmtp\n\n.dot\nGrüße\n");
    let mut sent = 0;
    for (way, _) in WAYS {
        for mechanism in MECHANISMS {
            let arguments = [&file, &format!("--account={way}"), &format!("--auth={mechanism}"), ADA];
            let ran = run_unchecked("msmtp", arguments, Some(message.as_bytes()));
            assert!(ran.success, "{way} {mechanism}: {}", ran.err);
            sent += 1;
        }
    }
    let told = run("msmtp", [&file, "--account=starttls", "--serverinfo"]).text();
    for capability in ["SIZE 104857600", "PIPELINING", "DSN", "AUTH"] {
        assert!(told.contains(capability), "{told}");
    }
    server
        .imap(ADA)
        .wait_for_messages("INBOX", sent, Duration::from_secs(20));
    server.assert_sound();
}

#[test]
fn mpop_logs_in_every_way() {
    if !installed(&["mpop"]) {
        return;
    }
    let server = Server::start();
    let mut imap = server.imap(ADA);
    for size in [10, 5000, 200_000] {
        assert!(imap.append("INBOX", "", &made_up(size)).ok());
    }
    let folder = server.folder();
    let mbox = folder.join("mbox");
    let more = format!(
        "keep on\nuidls_file {}/uidls-%H-%U\ndelivery mbox {}",
        folder.display(),
        mbox.display()
    );
    let file = folder.join("mpoprc");
    write(&file, &settings(&server, ["pop3", "pop3s"], &more));
    let file = format!("--file={}", file.display());
    for (way, _) in WAYS {
        for mechanism in MECHANISMS.into_iter().chain(["user"]) {
            run(
                "mpop",
                [&file, &format!("--auth={mechanism}"), "--only-new=off", "--quiet", way],
            );
            let got = String::from_utf8_lossy(&std::fs::read(&mbox).unwrap()).into_owned();
            let messages = got.lines().filter(|line| line.starts_with("From ")).count();
            assert_eq!(messages, 3, "{way} {mechanism}");
            std::fs::remove_file(&mbox).unwrap();
        }
    }
    // It knows what it has: once more brings nothing.
    run("mpop", [&file, "--quiet", "plain"]);
    assert!(!mbox.exists() || std::fs::read(&mbox).unwrap().is_empty());
    server.assert_sound();
}
