//! TLS reports (RFC 8460): what was seen of TLS with a domain's hosts is told to it the day after, by mail and by HTTPS, and also where its own TLS is
//! what is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::{
    ADA, Identity, Manners, NameServer, PASSWORD, Remotes, Server, Setup, Smtp, Zone, free_port, installed, python,
    wait_for,
};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Takes what is posted to it, by TLS with the certificate given, and keeps it: the head in one file, the body in another.
const SERVER: &str = r#"
import http.server, ssl, sys
port, certificate, key, folder = int(sys.argv[1]), *sys.argv[2:]
class Collector(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        open(folder + '/body', 'wb').write(body)
        open(folder + '/head', 'w').write(self.requestline + '\n' + str(self.headers))
        self.send_response(201)
        self.send_header('Content-Length', '0')
        self.end_headers()
server = http.server.HTTPServer(('127.0.0.1', port), Collector)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// Reads a report from a message or from a body as it was posted, and holds it against RFC 8460 §4.4; prints what it says.
const READ: &str = r#"
import datetime, email, email.policy, gzip, json, sys
data = open(sys.argv[1], 'rb').read()
if sys.argv[2] == 'mail':
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert message.get_content_type() == 'multipart/report' and message.get_param('report-type') == 'tlsrpt', message['Content-Type']
    assert message['TLS-Required'] == 'No' and message['TLS-Report-Domain'] == sys.argv[3] and message['TLS-Report-Submitter'] == 'mail.e2e.test'
    assert message['Subject'].startswith('Report Domain: ' + sys.argv[3] + ' Submitter: mail.e2e.test Report-ID: <'), message['Subject']
    text, attachment = message.iter_parts()
    assert attachment.get_content_type() == 'application/tlsrpt+gzip'
    sender, domain, begin, end = attachment.get_filename().removesuffix('.json.gz').split('!')
    assert (sender, domain) == ('mail.e2e.test', sys.argv[3]) and int(end) - int(begin) == 86399
    data = attachment.get_content()
report = json.loads(gzip.decompress(data))
assert set(report) == {'organization-name', 'date-range', 'contact-info', 'report-id', 'policies'}, report
start, end = (datetime.datetime.fromisoformat(report['date-range'][key].replace('Z', '+00:00')) for key in ('start-datetime', 'end-datetime'))
assert start.time() == datetime.time() and (end - start).total_seconds() == 86399
assert (datetime.datetime.now(datetime.timezone.utc) - end).total_seconds() < 86400 + 60
for one in report['policies']:
    policy, summary = one['policy'], one['summary']
    assert policy['policy-type'] in ('tlsa', 'sts', 'no-policy-found') and policy['policy-domain'] == sys.argv[3]
    assert all(type(summary[key]) is int for key in ('total-successful-session-count', 'total-failure-session-count'))
    print(policy['policy-type'], ','.join(policy.get('policy-string', [])), ','.join(policy.get('mx-host', [])),
          summary['total-successful-session-count'], summary['total-failure-session-count'], sep='|')
    details = one.get('failure-details', [])
    assert sum(detail['failed-session-count'] for detail in details) == summary['total-failure-session-count']
    for detail in details:
        print(detail['result-type'], detail['receiving-mx-hostname'], detail['receiving-ip'], detail['failed-session-count'], sep='|')
"#;

/// What was seen today was seen yesterday.
const YESTERDAY: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(database.execute('UPDATE tls_seen SET day = day - 1').rowcount)
database.commit()
"#;

struct Collector(Child);

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(file: &Path, kind: &str, domain: &str) -> String {
    python(READ, &[file.to_str().unwrap(), kind, domain])
}

#[test]
fn by_mail_and_by_https_to_who_asks() {
    if !NameServer::available() || !installed(&["python3"]) {
        return;
    }
    let identity = Identity::new(&["mx.fine.else.test"], false);
    let remotes = Remotes::start(vec![(1, Manners::good(&["PIPELINING"]).with_tls(&identity))]);
    let (port, collects) = (remotes.port, free_port());
    // The collector's certificate has run out and is for somebody else: that is no reason to keep a report back (RFC 8460 §3).
    let old = Identity::new(&["somebody.test"], true);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, old.certificate_pem()).unwrap();
    std::fs::write(&key, old.key_pem()).unwrap();
    let collector = Command::new("python3")
        .args(["-c", SERVER, &collects.to_string()])
        .args([&certificate, &key])
        .arg(folder.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _collector = Collector(collector);
    wait_for("the collector", Duration::from_secs(20), || {
        TcpStream::connect(("127.0.0.1", collects)).ok()
    });

    let wrong = "0".repeat(64);
    let names = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed(
            "else.test",
            &format!(
                "fine MX 10 mx.fine\nmx.fine A 127.0.0.1\n_{port}._tcp.mx.fine TLSA {}\n\
                 _smtp._tls.fine TXT \"v=TLSRPTv1; rua=https://reports.else.test:{collects}/v1/tlsrpt?from=us\"\nreports A 127.0.0.1\n\
                 broken MX 10 mx.broken\nmx.broken A 127.0.0.1\n_{port}._tcp.mx.broken TLSA 3 1 1 {wrong}\n\
                 _smtp._tls.broken TXT \"v=TLSRPTv1; rua=mailto:tls@broken.else.test,mailto:{ADA}\"\n\
                 silent MX 10 mx.silent\nmx.silent A 127.0.0.1\n",
                identity.tlsa()
            ),
        ),
    ]);
    let mut server = Server::start_with(Setup {
        settings: format!(
            "[dns]\nname_servers = \"{}\"\ndnssec = \"on\"\ntrust_anchor = \"{}\"\n[outgoing]\nport = {port}\nloopback = true\nmta_sts = false\n",
            names.address,
            names.anchor().display()
        ),
        ..Setup::default()
    });
    let mut smtp = Smtp::connect(server.port("submission"), "EHLO");
    let login = BASE64.encode(format!("\0{ADA}\0{PASSWORD}"));
    smtp.expect(&format!("AUTH PLAIN {login}"), "235");
    for domain in ["fine", "broken", "silent"] {
        let message = format!("From: {ADA}\r\nSubject: to {domain}\r\n\r\nx\r\n");
        let reply = smtp.data(ADA, &[&format!("x@{domain}.else.test")], message.as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
    wait_for("an attempt at each", Duration::from_secs(60), || {
        let list = server.admin(&["trace", "--from", ADA, "--json"]).text();
        (list.contains("dane, verified")
            && list.contains("the certificate is not the one")
            && list.contains("opportunistic"))
        .then_some(())
    });
    remotes.take();
    // A server that stops in good order writes down what it has seen.
    server.stop();
    let rows = python(YESTERDAY, &[server.data().join("server.db").to_str().unwrap()]);
    assert_eq!(rows.trim(), "3");
    server.launch();

    let body = folder.path().join("body");
    let head = wait_for("a report by HTTPS", Duration::from_secs(60), || {
        std::fs::read_to_string(folder.path().join("head"))
            .ok()
            .filter(|head| head.contains("ontent-"))
    });
    assert!(head.starts_with("POST /v1/tlsrpt?from=us HTTP/1.1\n"), "{head}");
    let lower = head.to_lowercase();
    assert!(
        lower.contains("content-type: application/tlsrpt+gzip")
            && lower.contains(&format!("host: reports.else.test:{collects}")),
        "{head}"
    );
    assert_eq!(
        read(&body, "posted", "fine.else.test"),
        format!("tlsa|{}||1|0\n", identity.tlsa())
    );

    // By mail: into a mailbox of ours, and to the very hosts whose TLS is what the report is about.
    let file = folder.path().join("report.eml");
    std::fs::write(&file, &server.imap(ADA).inbox(1)[0]).unwrap();
    let told = read(&file, "mail", "broken.else.test");
    assert_eq!(
        told,
        format!("tlsa|3 1 1 {wrong}||0|1\ntlsa-invalid|mx.broken.else.test|127.0.0.1|1\n")
    );
    let got = wait_for("a report to the broken domain", Duration::from_secs(60), || {
        let got = remotes.take();
        got.into_iter().find(|got| got.recipients == ["<tls@broken.else.test>"])
    });
    assert!(got.tls, "TLS is used, whatever it proves");
    std::fs::write(&file, &got.bytes).unwrap();
    assert_eq!(read(&file, "mail", "broken.else.test"), told);
    let trace = server
        .admin(&["trace", "--to", "tls@broken.else.test", "--json"])
        .text();
    assert!(trace.contains("TLS-Required: No, opportunistic"), "{trace}");
    // Told once, and nobody is told who did not ask.
    server.stop();
    let left = python(
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(\"SELECT count(*) FROM tls_seen WHERE day < unixepoch() / 86400\").fetchone()[0])",
        &[server.data().join("server.db").to_str().unwrap()],
    );
    assert_eq!(left.trim(), "0");
}
