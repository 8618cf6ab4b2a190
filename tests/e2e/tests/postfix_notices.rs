//! Notices and forwards with a real Postfix on the other side: what is asked of it is answered by it, what it asks of us by us, and what comes
//! back to a return path of ours reaches the right person. All notices are read by Python's email package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::{
    ADA, Act, BOB, Manners, NameServer, PASSWORD, Postfix, Remotes, Server, Smtp, Zone, installed, maildir_files,
    python, run, wait_for,
};
use std::path::PathBuf;
use std::time::Duration;

/// Reads a notice as RFC 3464 has it: one line for each recipient.
const READ: &str = r#"
import email, email.policy, sys
message = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
assert message.get_content_type() == 'multipart/report' and message.get_param('report-type') == 'delivery-status', message['Content-Type']
assert message['Return-Path'] == '<>' and message['Auto-Submitted'].startswith('auto-'), message.items()
people, status, returned = message.iter_parts()
assert people.get_content_maintype() == 'text' and len(people.get_content()) > 100
assert status.get_content_type() == 'message/delivery-status'
whole, *recipients = status.get_payload()
assert whole['Reporting-MTA'].startswith('dns; '), whole.items()
for one in recipients:
    print(whole['Reporting-MTA'][5:], one['Action'], one['Status'], one['Final-Recipient'].replace(' ', ''),
          (one['Original-Recipient'] or '-').replace(' ', ''), whole['Original-Envelope-Id'], returned.get_content_type())
"#;

struct House {
    // Stopped before the folder goes in which it lies, which is the server's.
    postfix: Postfix,
    server: Server,
    _remotes: Remotes,
    _names: NameServer,
}

/// We are `e2e.test`. Postfix is `out.test`: Ann, Bert and Jürgen have mailboxes there, mail for `gone@` it takes and cannot deliver.
/// `plain.test` is a host without extensions.
fn house() -> House {
    let refusing = Manners::good(&["PIPELINING"]).but("RCPT gone@", Act::Say("550 5.1.1 no such person"));
    let remotes = Remotes::start(vec![(1, refusing)]);
    let mut server = Server::start();
    let (mail, settings) = (server.folder().join("mail"), server.folder().join("postfix-maps"));
    std::fs::create_dir_all(&mail).unwrap();
    std::fs::create_dir_all(&settings).unwrap();
    run("chown", ["65534:65534", mail.to_str().unwrap()]);
    let boxes = settings.join("boxes");
    let lines = ["ann", "bert", "gone", "jürgen"].map(|name| format!("/^{name}@out\\.test$/ {name}/\n"));
    std::fs::write(&boxes, lines.concat()).unwrap();
    let transports = settings.join("transports");
    let lines = format!(
        "/^gone@out\\.test$/ smtp:[127.0.0.1]:{}\n/@e2e\\.test$/ smtp:[127.0.0.1]:{}\n",
        remotes.port,
        server.port("smtp")
    );
    std::fs::write(&transports, lines).unwrap();
    let postfix = Postfix::start(
        server.folder(),
        &format!(
            "virtual_mailbox_domains = out.test\nvirtual_mailbox_limit = 0\nvirtual_mailbox_base = {}\nvirtual_mailbox_maps = regexp:{}\nvirtual_uid_maps = static:65534\n\
             virtual_gid_maps = static:65534\ntransport_maps = regexp:{}\nsmtp_tls_security_level = may\nsmtputf8_enable = yes\n",
            mail.display(),
            boxes.display(),
            transports.display()
        ),
    );
    let names = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed("out.test", "@ MX 10 mx\nmx A 127.0.0.1\n"),
    ]);
    server.restart_with(&format!(
        "[dns]\nname_servers = \"{}\"\ndnssec = \"on\"\ntrust_anchor = \"{}\"\n[outgoing]\nport = {}\nloopback = true\nmta_sts = false\n\
         [[route]]\nname = \"plain\"\ndomains = \"plain.test\"\nto = \"smtp://127.0.0.1:{}\"\ntls = \"off\"\n",
        names.address,
        names.anchor().display(),
        postfix.port,
        remotes.port
    ));
    House {
        postfix,
        server,
        _remotes: remotes,
        _names: names,
    }
}

impl House {
    /// Ada submits a message.
    fn submit(&self, to: &str, parameters: &str, each: &str) {
        let mut smtp = Smtp::connect(self.server.port("submission"), "EHLO");
        let login = BASE64.encode(format!("\0{ADA}\0{PASSWORD}"));
        smtp.expect(&format!("AUTH PLAIN {login}"), "235");
        say(&mut smtp, ADA, to, parameters, each);
    }

    /// What lies in a mailbox at Postfix.
    fn mailbox(&self, name: &str, count: usize) -> Vec<PathBuf> {
        let folder = self.server.folder().join("mail").join(name);
        wait_for(&format!("{count} messages for {name}"), Duration::from_secs(60), || {
            let files = if folder.exists() {
                maildir_files(&folder)
            } else {
                Vec::new()
            };
            (files.len() == count).then_some(files)
        })
    }

    /// All of Ada's messages, in the order in which they came, as files.
    fn inbox(&self, count: usize) -> Vec<PathBuf> {
        let messages = self.server.imap(ADA).inbox(count);
        let file = |(number, message): (usize, &Vec<u8>)| {
            let path = self.server.folder().join(format!("ada-{number}"));
            std::fs::write(&path, message).unwrap();
            path
        };
        messages.iter().enumerate().map(file).collect()
    }
}

fn say(smtp: &mut Smtp, from: &str, to: &str, parameters: &str, each: &str) {
    smtp.expect(&format!("MAIL FROM:<{from}>{parameters}"), "250");
    smtp.expect(&format!("RCPT TO:<{to}>{each}"), "250");
    smtp.expect("DATA", "354");
    smtp.write(format!("From: <{from}>\r\nTo: <{to}>\r\nSubject: for {to}\r\n\r\nthe body\r\n").as_bytes());
    smtp.expect(".", "250");
}

fn read(file: &std::path::Path) -> String {
    python(READ, &[file.to_str().unwrap()]).trim().to_owned()
}

#[test]
fn who_asks_is_told_by_whoever_knows() {
    if !Postfix::possible() || !NameServer::available() || !installed(&["python3"]) {
        return;
    }
    let house = house();
    assert!(
        house
            .server
            .admin(&["alias", "add", "all@e2e.test", BOB, "bert@out.test"])
            .success
    );
    // What Postfix is asked for (RFC 3461 §4), it does: we say nothing of our own.
    house.submit(
        "ann@out.test",
        " RET=HDRS ENVID=QQ+2B1",
        " NOTIFY=SUCCESS ORCPT=rfc822;the+2Bann@out.test",
    );
    let mut inbox = house.inbox(1);
    assert_eq!(
        read(&inbox[0]),
        "out.example delivered 2.0.0 rfc822;ann@out.test rfc822;the+ann@out.test QQ+1 text/rfc822-headers"
    );
    house.mailbox("ann", 1);
    // To a host that knows nothing of it, we tell that it went there.
    house.submit("x@plain.test", " RET=HDRS ENVID=QQ2", " NOTIFY=SUCCESS,FAILURE");
    inbox = house.inbox(2);
    assert_eq!(
        read(&inbox[1]),
        "mail.e2e.test relayed 2.0.0 rfc822;x@plain.test - QQ2 text/rfc822-headers"
    );
    // Refused at its door: we tell. Refused behind it: Postfix tells.
    house.submit("nobody@out.test", " ENVID=QQ3", "");
    inbox = house.inbox(3);
    let told = read(&inbox[2]);
    assert!(
        told.starts_with("mail.e2e.test failed 5.1.1 rfc822;nobody@out.test - QQ3 "),
        "{told}"
    );
    house.submit("gone@out.test", " ENVID=QQ4", "");
    inbox = house.inbox(4);
    let told = read(&inbox[3]);
    assert!(
        told.starts_with("out.example failed 5.1.1 rfc822;gone@out.test rfc822;gone@out.test QQ4 "),
        "{told}"
    );
    // An alias for several is expanded, and that is all that is told of success (§5.2.7.3).
    house.submit("all@e2e.test", " ENVID=QQ5", " NOTIFY=SUCCESS");
    inbox = house.inbox(5);
    let told = read(&inbox[4]);
    assert!(
        told.starts_with("mail.e2e.test expanded 2.0.0 rfc822;all@e2e.test - QQ5 "),
        "{told}"
    );
    house.mailbox("bert", 1);
    house.server.imap(BOB).inbox(1);
    // What Postfix asks of us, we do.
    let mut smtp = Smtp::connect(house.postfix.port, "EHLO");
    say(
        &mut smtp,
        "bert@out.test",
        BOB,
        " RET=FULL ENVID=P1",
        " NOTIFY=SUCCESS ORCPT=rfc822;robert@out.test",
    );
    let files = house.mailbox("bert", 2);
    let notice = files
        .iter()
        .find(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains("multipart/report"))
        .unwrap();
    assert_eq!(
        read(notice),
        "mail.e2e.test delivered 2.1.5 rfc822;bob@e2e.test rfc822;robert@out.test P1 text/rfc822-headers"
    );
    assert_eq!(house.inbox(5).len(), 5, "nothing is told twice");
    house.server.assert_sound();
}

/// An address of ours leads to one at Postfix, which finds out later that nobody is there: its bounce comes to the return path that we made, and goes on to
/// who had written.
#[test]
fn a_forward_that_bounces_reaches_who_wrote() {
    if !Postfix::possible() || !NameServer::available() || !installed(&["python3"]) {
        return;
    }
    let house = house();
    for (alias, target) in [("fwd@e2e.test", "gone@out.test"), ("good@e2e.test", "bert@out.test")] {
        assert!(house.server.admin(&["alias", "add", alias, target]).success);
    }
    let mut smtp = Smtp::connect(house.postfix.port, "EHLO");
    for alias in ["fwd@e2e.test", "good@e2e.test"] {
        say(&mut smtp, "ann@out.test", alias, "", "");
    }
    let forwarded = String::from_utf8_lossy(&std::fs::read(&house.mailbox("bert", 1)[0]).unwrap()).into_owned();
    assert!(
        forwarded.starts_with("Return-Path: <SRS0=") && forwarded.contains("=out.test=ann@e2e.test>"),
        "{forwarded}"
    );
    assert!(forwarded.contains("Delivered-To: good@e2e.test"), "{forwarded}");
    let files = house.mailbox("ann", 1);
    let told = read(&files[0]);
    assert!(
        told.starts_with("out.example failed 5.1.1 rfc822;gone@out.test "),
        "{told}"
    );
    assert!(house.postfix.log().contains("from=<SRS0="));
    // Nobody else heard of it.
    assert!(house.inbox(0).is_empty());
    house.server.assert_sound();
}

/// Addresses and header fields in UTF-8, to Postfix and from it.
#[test]
fn utf8_both_ways() {
    if !Postfix::possible() || !NameServer::available() {
        return;
    }
    let house = house();
    house.submit("jürgen@out.test", " SMTPUTF8", "");
    let text = String::from_utf8(std::fs::read(&house.mailbox("jürgen", 1)[0]).unwrap()).unwrap();
    assert!(
        text.contains("Subject: for jürgen@out.test") && text.contains("with UTF8SMTP"),
        "{text}"
    );
    let mut smtp = Smtp::connect(house.postfix.port, "EHLO");
    say(&mut smtp, "jürgen@out.test", ADA, " SMTPUTF8", "");
    let text = String::from_utf8(house.server.imap(ADA).inbox(1).remove(0)).unwrap();
    assert!(
        text.starts_with("Return-Path: <jürgen@out.test>\r\n") && text.contains("with UTF8SMTP"),
        "{text}"
    );
    // To who has none of that it cannot go, and its sender learns why (RFC 6531 §3.2, RFC 6533).
    house.submit("jürgen@plain.test", " SMTPUTF8", "");
    let notice = String::from_utf8(house.server.imap(ADA).inbox(2).remove(1)).unwrap();
    assert!(
        notice.contains("5.6.7") && notice.contains("message/global-delivery-status"),
        "{notice}"
    );
    house.server.assert_sound();
}
