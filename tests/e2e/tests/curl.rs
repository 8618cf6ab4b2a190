//! curl: mail in by smtp:// and imap://, out by imap://, with the certificate checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, PASSWORD, Server, installed, made_up, ours_removed, run};

#[test]
fn uploads_and_fetches() {
    if !installed(&["curl"]) {
        return;
    }
    let server = Server::start();
    let file = server.folder().join("message.eml");
    // Complete, so that submission has nothing to add.
    let message = [
        b"From: ada@e2e.test\r\nMessage-ID: <curl@b.example>\r\nDate: Thu, 21 May 2026 05:33:29 -0700\r\n".as_slice(),
        &made_up(50_000),
    ]
    .concat();
    std::fs::write(&file, &message).unwrap();
    let user = format!("{ADA}:{PASSWORD}");
    let curl = |protocol: &str, scheme: &str, rest: &str, arguments: &[&str]| {
        let port = server.port(protocol);
        let url = format!("{scheme}://mail.e2e.test:{port}/{rest}");
        let resolve = format!("mail.e2e.test:{port}:127.0.0.1");
        let certificate = server.certificate();
        let mut all = vec![
            "--silent",
            "--show-error",
            "--url",
            &url,
            "--resolve",
            &resolve,
            "--cacert",
        ];
        all.push(certificate.to_str().unwrap());
        all.extend(arguments);
        run("curl", all).out
    };
    let upload = [
        "--mail-from",
        "a@b.example",
        "--mail-rcpt",
        ADA,
        "--upload-file",
        file.to_str().unwrap(),
    ];
    let as_ada = [
        "--mail-from",
        ADA,
        "--mail-rcpt",
        ADA,
        "--user",
        &user,
        "--upload-file",
        file.to_str().unwrap(),
    ];
    curl("smtp", "smtp", "client.example", &upload);
    curl(
        "smtp",
        "smtp",
        "client.example",
        &[&["--ssl-reqd"][..], &upload].concat(),
    );
    curl(
        "submission",
        "smtp",
        "client.example",
        &[&["--ssl-reqd"][..], &as_ada].concat(),
    );
    curl("submissions", "smtps", "client.example", &as_ada);
    server.imap(ADA).inbox(4);

    let login = ["--user", &user];
    for (protocol, scheme, more) in [
        ("imap", "imap", &["--ssl-reqd"][..]),
        ("imaps", "imaps", &[]),
        ("imap", "imap", &[]),
    ] {
        let more = [&login, more].concat();
        let listed = String::from_utf8(curl(protocol, scheme, "", &more)).unwrap();
        assert!(listed.contains("INBOX"), "{listed}");
        let uids = curl(protocol, scheme, "INBOX?ALL", &more);
        assert_eq!(String::from_utf8_lossy(&uids).trim(), "* SEARCH 1 2 3 4");
        for number in 1..=4 {
            let fetched = curl(protocol, scheme, &format!("INBOX;MAILINDEX={number}"), &more);
            assert!(ours_removed(&fetched) == message, "message {number} has changed");
        }
        let text = curl(protocol, scheme, "INBOX;MAILINDEX=1;SECTION=TEXT", &more);
        assert!(message.ends_with(&text) && text.len() > 40_000);
        let envelope = curl(
            protocol,
            scheme,
            "INBOX",
            &[&more[..], &["--request", "FETCH 1 ENVELOPE"]].concat(),
        );
        assert!(String::from_utf8_lossy(&envelope).contains("\"50000\""));
    }
    // APPEND: nothing is put before the message.
    curl(
        "imap",
        "imap",
        "Drafts",
        &[&login[..], &["--ssl-reqd", "--upload-file", file.to_str().unwrap()]].concat(),
    );
    let fetched = curl("imap", "imap", "Drafts;MAILINDEX=1", &login);
    assert!(fetched == message, "the appended message has changed");
    server.assert_sound();
}
