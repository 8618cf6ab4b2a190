//! A certificate that is exchanged while the server runs: who comes after it sees the new one, who is there stays there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::path::Path;
use std::time::Duration;

use e2e::{ADA, PASSWORD, Server, TlsLine, installed, run, wait_for};

/// What a new connection is shown, by its fingerprint.
fn shown(server: &Server, protocol: &str) -> String {
    let port = server.port(protocol);
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
    );
    run("sh", ["-c", &script]).text()
}

fn fingerprint(certificate: &Path) -> String {
    let arguments = ["x509", "-noout", "-fingerprint", "-sha256", "-in"];
    let file = certificate.to_str().unwrap();
    run("openssl", arguments.into_iter().chain([file])).text()
}

#[test]
fn exchanged_while_people_are_there() {
    if !installed(&["openssl", "sh", "kill"]) {
        return;
    }
    let server = Server::start();
    let old = fingerprint(&server.certificate());
    assert_eq!(shown(&server, "imaps"), old);
    let mut ada = TlsLine::open(&server);
    let answer = ada.ask("a", &format!("LOGIN {ADA} \"{PASSWORD}\""));
    assert!(answer.starts_with("OK"), "{answer}");

    let folder = server.folder();
    let (certificate, key) = (folder.join("new.pem"), folder.join("new.key"));
    let new = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=mail.e2e.test",
        "-addext",
        "subjectAltName=DNS:mail.e2e.test",
        "-out",
        certificate.to_str().unwrap(),
        "-keyout",
        key.to_str().unwrap(),
    ];
    run("openssl", new);
    // The key alone does not go with the certificate: the old pair stays, whoever looks in between.
    let place = server.certificate().with_file_name("key.pem");
    std::fs::copy(&key, place).unwrap();
    let hang_up = || run("kill", ["-HUP", &server.pid().to_string()]);
    hang_up();
    assert!(wait_for("a word in the log", Duration::from_secs(20), || {
        server.log().contains("not reloaded").then_some(true)
    }));
    assert_eq!(shown(&server, "imaps"), old);

    std::fs::copy(&certificate, server.certificate()).unwrap();
    hang_up();
    let wanted = fingerprint(&certificate);
    assert_ne!(wanted, old);
    for protocol in ["imaps", "pop3s", "submissions"] {
        wait_for(protocol, Duration::from_secs(20), || {
            (shown(&server, protocol) == wanted).then_some(())
        });
    }
    // Who was there before goes on, and so does a new one.
    assert!(ada.ask("b", "NOOP").starts_with("OK"));
    let mut late = TlsLine::open(&server);
    assert!(late.ask("a", &format!("LOGIN {ADA} \"{PASSWORD}\"")).starts_with("OK"));
    assert!(ada.ask("c", "SELECT INBOX").starts_with("OK"));
}
