//! REQUIRETLS and `TLS-Required: No` (RFC 8689) from a person's program to the last host, by Python's smtplib: what must be protected is, on every way it takes,
//! or comes back without its body; what need not be gets through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{ADA, Identity, Manners, NameServer, PASSWORD, Remotes, Server, Setup, Zone, installed, python, wait_for};
use std::time::Duration;

/// Submits a message: PORT USER PASSWORD TO OPTION FIELD.
const SUBMIT: &str = r#"
import smtplib, ssl, sys
port, user, password, to, option, field = sys.argv[1:]
s = smtplib.SMTP('127.0.0.1', int(port))
s.ehlo()
assert not s.has_extn('requiretls'), 'offered in the clear'
code, text = s.docmd('MAIL', 'FROM:<' + user + '> REQUIRETLS')
assert code == 530, (code, text)
loose = ssl.create_default_context()
loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
s.starttls(context=loose)
s.ehlo()
assert s.has_extn('requiretls')
s.login(user, password)
message = f'From: {user}\r\nTo: {to}\r\nSubject: to {to}\r\n{field}\r\n\r\nwhat nobody else may see\r\n'.replace('\r\n\r\n\r\n', '\r\n\r\n')
s.sendmail(user, [to], message, mail_options=[option] if option else [])
s.quit()
"#;

#[test]
fn from_the_first_server_to_the_last() {
    if !NameServer::available() || !installed(&["python3"]) {
        return;
    }
    let identity = Identity::new(&["mx.else.test"], false);
    let host = |extensions: &[&'static str]| Manners::good(extensions).with_tls(&identity);
    let remotes = Remotes::start(vec![
        (1, host(&["PIPELINING", "REQUIRETLS"])),
        (2, host(&["PIPELINING"])),
    ]);
    let port = remotes.port;
    let domain = |name: &str, host: u8, tlsa: &str| {
        format!("{name} MX 10 mx.{name}\nmx.{name} A 127.0.0.{host}\n_{port}._tcp.mx.{name} TLSA {tlsa}\n")
    };
    let wrong = format!("3 1 1 {}", "0".repeat(64));
    let records = [
        domain("safe", 1, &identity.tlsa()),
        domain("other", 2, &identity.tlsa()),
        domain("broken", 2, &wrong),
    ];
    let names = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed("else.test", &records.concat()),
    ]);
    let server = Server::start_with(Setup {
        settings: format!(
            "[dns]\nname_servers = \"{}\"\ndnssec = \"on\"\ntrust_anchor = \"{}\"\n[outgoing]\nport = {port}\nloopback = true\nmta_sts = false\n",
            names.address,
            names.anchor().display()
        ),
        ..Setup::default()
    });
    assert!(
        server
            .admin(&["alias", "add", "on@e2e.test", "carol@safe.else.test"])
            .success
    );
    let submission = server.port_text("submission");
    let submit = |to: &str, option: &str, field: &str| {
        python(SUBMIT, &[&submission, ADA, PASSWORD, to, option, field]);
    };
    let got = |what: &str| {
        wait_for(what, Duration::from_secs(60), || {
            Some(remotes.take()).filter(|got| !got.is_empty())
        })
    };
    // To a host that promises to ask the same of the next; straight, and where an alias leads.
    for to in ["bob@safe.else.test", "on@e2e.test"] {
        submit(to, "REQUIRETLS", "");
        let got = got(to);
        assert!(
            got.len() == 1 && got[0].host == 1 && got[0].tls && got[0].sender.contains(" REQUIRETLS"),
            "{got:?}"
        );
    }
    // To one that does not: it comes back, and its body is not shown around.
    submit("dora@other.else.test", "REQUIRETLS", "");
    let notice = String::from_utf8_lossy(&server.imap(ADA).inbox(1)[0]).into_owned();
    for wanted in [
        "Status: 5.7.30",
        "dora@other.else.test",
        "Subject: to dora@other.else.test",
    ] {
        assert!(notice.contains(wanted), "{wanted} is not in\n{notice}");
    }
    assert!(!notice.contains("what nobody else may see"), "{notice}");
    assert_eq!(remotes.take(), []);
    // The same without: it goes.
    submit("dora@other.else.test", "", "");
    assert_eq!(got("without")[0].host, 2);
    // Where a domain's own records are wrong, only what says that it does not mind goes; also while other mail waits for them to be put right.
    submit("eve@broken.else.test", "", "");
    wait_for("an attempt", Duration::from_secs(60), || {
        let trace = server
            .admin(&["trace", "--to", "eve@broken.else.test", "--json"])
            .text();
        trace.contains("the certificate is not the one").then_some(())
    });
    submit("postmaster@broken.else.test", "", "TLS-Required: No");
    let got = got("what does not mind");
    assert!(
        got.len() == 1 && got[0].recipients == ["<postmaster@broken.else.test>"] && got[0].tls,
        "{got:?}"
    );
    let trace = server
        .admin(&["trace", "--to", "postmaster@broken.else.test", "--json"])
        .text();
    assert!(trace.contains("TLS-Required: No, opportunistic"), "{trace}");
    let id = trace.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let shown = server.admin(&["queue", "show", id.expect("an id"), "--json"]).text();
    assert!(shown.contains("\"requiretls\":\"no\""), "{shown}");
    server.assert_sound();
}
