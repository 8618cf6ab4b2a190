//! Postfix in front of us: as the server that sends to our MX over STARTTLS, and handing over by LMTP.
//!
//! Postfix runs with its own settings and queue below /tmp, which needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::{ADA, BOB, Server, Smtp, corpus, installed, is_root, made_up, ours_removed, skipped, wait_for};

struct Postfix {
    folder: PathBuf,
    port: u16,
}

impl Postfix {
    fn start(server: &Server, settings: &str) -> Postfix {
        let folder = server.folder().join("postfix");
        let etc = folder.join("etc");
        for part in ["etc", "queue", "data"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        // Postfix's own user must get through to its folders.
        for open in [server.folder(), &folder] {
            run_plainly("chmod", &["755", open.to_str().unwrap()]);
        }
        run_plainly("chown", &["postfix", folder.join("data").to_str().unwrap()]);
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let master = std::fs::read_to_string("/etc/postfix/master.cf.proto").unwrap();
        let master: String = master
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                match words.as_slice() {
                    ["smtp", "inet", ..] => format!("127.0.0.1:{port} inet n - n - - smtpd\n"),
                    // No chroot.
                    [name, kind, private, unprivileged, "y", rest @ ..] if !line.starts_with(' ') => {
                        format!("{name} {kind} {private} {unprivileged} n {}\n", rest.join(" "))
                    }
                    _ => format!("{line}\n"),
                }
            })
            .collect();
        std::fs::write(etc.join("master.cf"), master).unwrap();
        let _ = std::fs::copy("/etc/postfix/dynamicmaps.cf", etc.join("dynamicmaps.cf"));
        let dir = folder.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {dir}/queue\ndata_directory = {dir}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nshlib_directory = /usr/lib/postfix\n\
             meta_directory = /etc/postfix\nmail_owner = postfix\nsetgid_group = postdrop\nmyhostname = out.example\n\
             mydestination =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             maillog_file = {dir}/log\nmaillog_file_prefixes = /\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\nmessage_size_limit = 104857600\nmailbox_size_limit = 0\n\
             in_flow_delay = 0\nsmtp_line_length_limit = 0\nlmtp_line_length_limit = 0\nmessage_drop_headers =\n\
             local_header_rewrite_clients =\nsmtpd_client_connection_rate_limit = 0\nenable_long_queue_ids = yes\n{settings}\n"
        );
        std::fs::write(etc.join("main.cf"), main).unwrap();
        run_plainly("postfix", &["-c", etc.to_str().unwrap(), "start"]);
        let postfix = Postfix { folder, port };
        wait_for("Postfix to listen", Duration::from_secs(30), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        postfix
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Postfix's log:\n{}", self.log());
        }
        run_plainly("postfix", &["-c", self.folder.join("etc").to_str().unwrap(), "stop"]);
    }
}

fn run_plainly(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect(program);
    if !output.status.success() && !std::thread::panicking() {
        panic!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn possible() -> bool {
    if !installed(&["postfix"]) {
        return false;
    }
    if !is_root() {
        skipped("Postfix with its own settings needs root");
        return false;
    }
    true
}

/// Messages without fields that Postfix takes out or puts in by itself.
fn mail() -> Vec<Vec<u8>> {
    let mut mail: Vec<_> = (0..20).map(|index| made_up(200 + index * 531)).collect();
    mail.extend(corpus(150).unwrap_or_default());
    mail.push(made_up(2_000_000));
    mail.retain(|message| {
        let header = message
            .windows(4)
            .position(|at| at == b"\r\n\r\n")
            .map_or(&message[..], |at| &message[..at]);
        let header = String::from_utf8_lossy(ours_removed(header)).to_lowercase();
        let first = header.lines().next().unwrap_or("").split(':').next().unwrap_or(" ");
        header.contains(':') && !first.contains(' ') && !first.is_empty()
    });
    mail
}

/// Everything sent is there once, as it was sent.
fn assert_arrived(server: &Server, user: &str, sent: &[Vec<u8>]) {
    let found = server.imap(user).inbox(sent.len());
    let mut found: Vec<_> = found.iter().map(|message| ours_removed(message).to_vec()).collect();
    let mut wanted: Vec<_> = sent.iter().map(|message| ours_removed(message).to_vec()).collect();
    found.sort();
    wanted.sort();
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!(
            found == wanted,
            "changed on the way:\n{:?}\n{:?}",
            String::from_utf8_lossy(&found[..found.len().min(2000)]),
            String::from_utf8_lossy(&wanted[..wanted.len().min(2000)])
        );
    }
}

#[test]
fn sends_to_us_over_starttls() {
    if !possible() {
        return;
    }
    let server = Server::start();
    let settings = format!(
        "relayhost = [127.0.0.1]:{}\nsmtp_tls_security_level = secure\nsmtp_tls_CAfile = {}\n\
         smtp_tls_secure_cert_match = mail.e2e.test\nsmtp_tls_loglevel = 1\n",
        server.port("smtp"),
        server.certificate().display()
    );
    let postfix = Postfix::start(&server, &settings);
    let mail = mail();
    let mut smtp = Smtp::connect(postfix.port, "EHLO");
    for message in &mail {
        let reply = smtp.data("sender@elsewhere.example", &[ADA, BOB], message);
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert_arrived(&server, ADA, &mail);
    assert_arrived(&server, BOB, &mail);
    let log = postfix.log();
    assert!(
        log.contains("Verified TLS connection established to 127.0.0.1"),
        "no verified TLS:\n{log}"
    );
    let received = server.imap(ADA).inbox(mail.len());
    let received = String::from_utf8_lossy(&received[0]).into_owned();
    assert!(
        received.contains("out.example") && received.contains("with ESMTPS"),
        "{received}"
    );

    // Unknown here: Postfix tells its sender, by way of us.
    let reply = smtp.data(BOB, &["nobody@e2e.test"], &made_up(300));
    assert!(reply.starts_with("250"), "{reply}");
    let inbox = server.imap(BOB).inbox(mail.len() + 1);
    assert!(inbox.iter().any(|message| {
        let text = String::from_utf8_lossy(message);
        text.contains("multipart/report") && text.contains("550 5.1.1") && text.contains("nobody@e2e.test")
    }));
    server.assert_sound();
}

#[test]
fn hands_over_by_lmtp() {
    if !possible() {
        return;
    }
    let server = Server::start();
    let settings = format!(
        "virtual_mailbox_domains = e2e.test\nvirtual_transport = lmtp:inet:127.0.0.1:{}\n\
         virtual_destination_recipient_limit = 50\nlmtp_destination_recipient_limit = 50\n",
        server.port("lmtp")
    );
    let postfix = Postfix::start(&server, &settings);
    let mail = mail();
    let mut smtp = Smtp::connect(postfix.port, "EHLO");
    for message in &mail {
        let reply = smtp.data("sender@elsewhere.example", &[ADA, BOB], message);
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert_arrived(&server, ADA, &mail);
    assert_arrived(&server, BOB, &mail);
    // One recipient of three is unknown: the answers are each recipient's own.
    let reply = smtp.data(BOB, &[ADA, "nobody@e2e.test", BOB], &made_up(300));
    assert!(reply.starts_with("250"), "{reply}");
    server.imap(ADA).inbox(mail.len() + 1);
    let inbox = server.imap(BOB).inbox(mail.len() + 2);
    assert!(inbox.iter().any(|message| {
        let text = String::from_utf8_lossy(message);
        text.contains("multipart/report")
            && text.contains("nobody@e2e.test")
            && !text.contains("Final-Recipient: rfc822; ada@")
    }));
    server.assert_sound();
}
