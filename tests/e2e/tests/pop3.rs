//! POP3 with the programs that speak it: Python's poplib, curl, fetchmail, getmail; with real mail, byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::{ADA, PASSWORD, Server, body, corpus, fetchmail_collects, installed, made_up, python, run};

/// Real mail where it is at hand, and what is hard about dots and line ends.
fn mail(count: usize) -> Vec<Vec<u8>> {
    let mut mail = corpus(count).unwrap_or_else(|| (0..count).map(|index| made_up(1000 + index)).collect());
    for hard in [
        "Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n...\r\n",
        "Subject: no end\r\n\r\nnot a line",
        "Subject: no body\r\n",
        "Subject: long\r\n\r\n",
    ] {
        mail.push(hard.as_bytes().to_vec());
    }
    if let Some(last) = mail.last_mut() {
        last.extend(std::iter::repeat_n(b'x', 100_000));
        last.extend(b"\r\n");
    }
    mail
}

fn fill(server: &Server, mail: &[Vec<u8>]) {
    let mut imap = server.imap(ADA);
    for message in mail {
        let reply = imap.append("INBOX", "", message);
        assert!(reply.ok(), "{}", reply.status);
    }
}

/// With a line end at the end: POP3 cannot say that there is none.
fn ended(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    if !message.ends_with(b"\n") {
        message.extend(b"\r\n");
    }
    message
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

const POPLIB: &str = r#"
import poplib, ssl, sys, os
port, ports, user, password, cert, folder = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:7]
poplib._MAXLINE = 1 << 20
context = ssl.create_default_context(cafile=cert)
p = poplib.POP3('127.0.0.1', port)
p.host = 'mail.e2e.test'
assert 'STLS' in p.capa() and 'UIDL' in p.capa(), p.capa()
p.stls(context)
assert 'STLS' not in p.capa()
p.utf8()
p.user(user)
p.pass_(password)
count, octets = p.stat()
sizes = [int(line.split()[1]) for line in p.list()[1]]
assert len(sizes) == count and sum(sizes) == octets
names = [line.split()[1] for line in p.uidl()[1]]
assert len(set(names)) == count
for number in range(1, count + 1):
    response, lines, _ = p.retr(number)
    message = b''.join(line + b'\r\n' for line in lines)
    assert len(message) in (sizes[number - 1], sizes[number - 1] + 2), (number, len(message), sizes[number - 1])
    open(os.path.join(folder, '%05d' % number), 'wb').write(message)
    top = p.top(number, 3)[1]
    assert top == lines[:len(top)] or b'\n' in message.replace(b'\r\n', b'')
p.dele(1)
p.rset()
p.dele(2)
try:
    poplib.POP3('127.0.0.1', port).user(user)
    q = poplib.POP3('127.0.0.1', port)
    q.user(user)
    q.pass_(password)
    raise SystemExit('two sessions at once')
except poplib.error_proto as error:
    assert b'[IN-USE]' in error.args[0], error
p.quit()
p = poplib.POP3_SSL('127.0.0.1', ports, context=ssl._create_unverified_context())
p.user(user)
p.pass_(password)
assert p.stat()[0] == count - 1
again = [line.split()[1] for line in p.uidl()[1]]
assert again == names[:1] + names[2:], 'names have changed'
p.quit()
print(count)
"#;

#[test]
fn poplib_reads_everything_as_it_is() {
    if !installed(&["python3"]) {
        return;
    }
    let server = Server::start();
    let mail = mail(150);
    fill(&server, &mail);
    let folder = server.folder().join("poplib");
    std::fs::create_dir_all(&folder).unwrap();
    let (port, ports) = (server.port_text("pop3"), server.port_text("pop3s"));
    let certificate = server.certificate().display().to_string();
    let said = python(
        POPLIB,
        &[&port, &ports, ADA, PASSWORD, &certificate, folder.to_str().unwrap()],
    );
    assert_eq!(said.trim(), mail.len().to_string());
    let mut got = files(&folder);
    got.sort();
    for (number, (file, message)) in got.iter().zip(&mail).enumerate() {
        assert!(
            std::fs::read(file).unwrap() == ended(message),
            "message {} has changed",
            number + 1
        );
    }
    assert_eq!(got.len(), mail.len());
    server.assert_sound();
}

#[test]
fn fetchmail_collects_and_removes() {
    if !installed(&["fetchmail"]) {
        return;
    }
    let server = Server::start();
    let mut mail = mail(40);
    // A header without an end and a line of 100,000 octets are too much for fetchmail.
    mail.truncate(mail.len() - 2);
    fill(&server, &mail);
    fetchmail_collects(&server, "POP3", "uidl", &mail);
    server.imap(ADA).wait_for_messages("INBOX", 0, Duration::from_secs(10));
    server.assert_sound();
}

#[test]
fn getmail_keeps_mail_and_knows_it_again() {
    if !installed(&["getmail"]) {
        return;
    }
    let server = Server::start();
    let mut mail = mail(60);
    // getmail takes what has parts to pieces and puts it together again, not always as it was.
    mail.retain(|message| !String::from_utf8_lossy(message).to_lowercase().contains("multipart"));
    fill(&server, &mail);
    let folder = server.folder().join("getmail");
    let maildir = folder.join("mail");
    std::fs::create_dir_all(&maildir).unwrap();
    let text = format!(
        "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {}\nusername = {ADA}\npassword = {PASSWORD}\n\n\
         [destination]\ntype = MDA_external\npath = /bin/sh\narguments = (\"-c\", \"cat > $(mktemp {}/XXXXXXXX)\")\n\
         allow_root_commands = true\n\n\
         [options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\nverbose = 2\n",
        server.port("pop3"),
        maildir.display(),
    );
    std::fs::write(folder.join("getmailrc"), text).unwrap();
    let option = format!("--getmaildir={}", folder.display());
    let first = run("getmail", [&option, "--rcfile=getmailrc"]);
    // getmail puts Return-Path first and folds fields of the header anew; the bodies are as they were.
    let mut found: Vec<_> = files(&maildir)
        .iter()
        .map(|file| body(&std::fs::read(file).unwrap()))
        .collect();
    let mut wanted: Vec<_> = mail.iter().map(|message| body(message)).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found.len(), wanted.len(), "{}{}", first.text(), first.err);
    let other: Vec<_> = found.iter().filter(|found| !wanted.contains(found)).collect();
    assert!(
        found == wanted,
        "{} bodies have changed: {:?}",
        other.len(),
        other
            .iter()
            .map(|body| String::from_utf8_lossy(body))
            .collect::<Vec<_>>()
    );
    // It comes back and takes the one that is new.
    fill(&server, &[made_up(500)]);
    run("getmail", [&option, "--rcfile=getmailrc"]);
    assert_eq!(files(&maildir).len(), mail.len() + 1);
    server.assert_sound();
}

#[test]
fn curl_lists_and_fetches() {
    if !installed(&["curl"]) {
        return;
    }
    let server = Server::start();
    let message = made_up(50_000);
    fill(&server, &[message.clone(), made_up(10)]);
    let certificate = server.certificate();
    let user = format!("{ADA}:{PASSWORD}");
    let curl = |protocol: &str, rest: &str, more: &[&str]| {
        let port = server.port(protocol);
        let url = format!("{protocol}://mail.e2e.test:{port}/{rest}");
        let resolve = format!("mail.e2e.test:{port}:127.0.0.1");
        let mut all = vec![
            "--silent",
            "--show-error",
            "--url",
            &url,
            "--resolve",
            &resolve,
            "--user",
            &user,
            "--cacert",
        ];
        all.push(certificate.to_str().unwrap());
        all.extend(more);
        run("curl", all).out
    };
    for (protocol, more) in [
        ("pop3", &[][..]),
        ("pop3", &["--ssl-reqd"]),
        ("pop3s", &[]),
        ("pop3", &["--ssl-reqd", "--login-options", "AUTH=PLAIN", "--sasl-ir"]),
        ("pop3", &["--login-options", "AUTH=LOGIN"]),
    ] {
        let listed = String::from_utf8(curl(protocol, "", more)).unwrap();
        assert_eq!(listed.lines().count(), 2, "{listed}");
        assert!(listed.starts_with(&format!("1 {}", message.len())), "{listed}");
        assert!(
            curl(protocol, "1", more) == message,
            "{protocol} {more:?}: the message has changed"
        );
    }
    let uidl = String::from_utf8(curl("pop3", "", &["--request", "UIDL"])).unwrap();
    assert!(uidl.lines().nth(1).is_some_and(|line| line.ends_with(".2")), "{uidl}");
    server.assert_sound();
}

#[test]
fn a_huge_message_does_not_fill_memory() {
    let mut server = Server::start();
    let mut message = b"Subject: huge\r\n\r\n".to_vec();
    let piece = made_up(1 << 20);
    while message.len() < 60 << 20 {
        message.extend_from_slice(&piece);
    }
    fill(&server, std::slice::from_ref(&message));
    server.stop();
    server.launch();
    let before = server.memory_peak();
    let user = format!("{ADA}:{PASSWORD}");
    let url = format!("pop3://127.0.0.1:{}/1", server.port("pop3"));
    if !installed(&["curl"]) {
        return;
    }
    let got = run("curl", ["--silent", "--show-error", "--url", &url, "--user", &user]).out;
    assert!(got == message, "the message has changed");
    let grown = server.memory_peak().saturating_sub(before) >> 20;
    assert!(grown < 32, "a message of 60 MiB took {grown} MiB of memory");
}
