//! swaks, the administrator's SMTP tester: delivery, TLS, logins, LMTP, pipelining and refusals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, BOB, PASSWORD, Server, installed, run, run_unchecked};

fn swaks(server: &Server, protocol: &str, arguments: &[&str]) -> Vec<String> {
    let port = server.port_text(protocol);
    let mut all = vec![
        "--server",
        "127.0.0.1",
        "--port",
        &port,
        "--from",
        "sender@elsewhere.example",
    ];
    all.extend(["--ehlo", "client.example", "--body", "Hello.\\n.dot\\n"]);
    all.extend(arguments);
    all.into_iter().map(str::to_owned).collect()
}

#[test]
fn delivers_in_every_way() {
    if !installed(&["swaks"]) {
        return;
    }
    let server = Server::start();
    let both = format!("{ADA},{BOB}");
    let user = ["--auth-user", ADA, "--auth-password", PASSWORD];
    let deliveries: Vec<(&str, Vec<&str>)> = vec![
        ("smtp", vec!["--to", &both]),
        ("smtp", vec!["--to", ADA, "--tls", "--protocol", "ESMTP"]),
        ("smtp", vec!["--to", ADA, "--pipeline"]),
        ("smtp", vec!["--to", "ADA+Some.List@E2E.test"]),
        (
            "submission",
            [&["--to", ADA, "--tls", "--auth", "PLAIN"][..], &user].concat(),
        ),
        (
            "submission",
            [&["--to", ADA, "--tls", "--auth", "LOGIN", "--from", ADA][..], &user].concat(),
        ),
        ("submission", [&["--to", ADA, "--auth", "PLAIN"][..], &user].concat()),
        (
            "submissions",
            [&["--to", ADA, "--tls-on-connect", "--auth", "PLAIN"][..], &user].concat(),
        ),
        ("lmtp", vec!["--to", &both, "--protocol", "LMTP"]),
    ];
    let mut sent = Vec::new();
    for (index, (protocol, arguments)) in deliveries.iter().enumerate() {
        let subject = format!("Subject: number {index}");
        let mut arguments = arguments.clone();
        // Whoever logs in writes in his own name.
        if protocol.starts_with("submission") && !arguments.contains(&"--from") {
            arguments.extend(["--from", ADA]);
        }
        arguments.extend(["--header", &subject]);
        run("swaks", swaks(&server, protocol, &arguments));
        sent.push(subject);
    }
    let inbox = server.imap(ADA).inbox(deliveries.len());
    for (message, index) in inbox.iter().map(|message| String::from_utf8_lossy(message)).zip(0..) {
        assert!(message.contains("Delivered-To: "), "{index}: {message}");
        assert!(message.contains("\r\n\r\nHello.\r\n.dot\r\n"), "{index}: {message}");
    }
    for subject in &sent {
        let found = inbox
            .iter()
            .filter(|message| String::from_utf8_lossy(message).contains(subject.as_str()))
            .count();
        assert_eq!(found, 1, "{subject}");
    }
    let tls = inbox
        .iter()
        .filter(|message| String::from_utf8_lossy(message).contains("TLS"))
        .count();
    assert!(tls >= 4, "Received tells of TLS in only {tls}");
    assert_eq!(server.imap(BOB).inbox(2).len(), 2);
    server.assert_sound();
}

#[test]
fn is_refused_with_the_right_code() {
    if !installed(&["swaks"]) {
        return;
    }
    let server = Server::start();
    let cases: &[(&str, &[&str], &str)] = &[
        ("smtp", &["--to", "nobody@e2e.test"], "<** 550 5.1.1"),
        ("smtp", &["--to", "someone@elsewhere.example"], "<** 5"),
        (
            "lmtp",
            &["--to", "nobody@e2e.test", "--protocol", "LMTP"],
            "<** 550 5.1.1",
        ),
        ("submission", &["--to", ADA], "<** 530 5.7.0"),
        (
            "submission",
            &[
                "--to",
                ADA,
                "--tls",
                "--auth",
                "PLAIN",
                "--auth-user",
                ADA,
                "--auth-password",
                "wrong",
            ],
            "<~* 535 5.7.8",
        ),
        (
            "submission",
            &[
                "--to",
                ADA,
                "--tls",
                "--auth",
                "PLAIN",
                "--auth-user",
                "nobody@e2e.test",
                "--auth-password",
                "wrong",
            ],
            "<~* 535 5.7.8",
        ),
    ];
    for (protocol, arguments, expected) in cases {
        let ran = run_unchecked("swaks", swaks(&server, protocol, arguments), None);
        let text = ran.text();
        assert!(
            !ran.success && text.contains(expected),
            "{protocol} {arguments:?}: {expected} not in\n{text}"
        );
    }
    assert_eq!(server.imap(ADA).inbox(0).len(), 0);
    server.assert_sound();
}
