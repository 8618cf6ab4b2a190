//! Programs that others have written: swaks and Python's smtplib, where they are installed.

use crate::house::{House, PASSWORD};
use smtp::Role;
use std::process::Stdio;
use tokio::process::Command;

/// Runs a program; `None` where it is not installed.
async fn run(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .ok()?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Some((output.status.success(), text))
}

#[tokio::test(flavor = "multi_thread")]
async fn swaks() {
    let mut house = House::new();
    let (mx, submission, lmtp) = (
        house.open(Role::Mx).await,
        house.open(Role::Submission).await,
        house.open(Role::Lmtp).await,
    );
    let (mx, submission, lmtp) = (mx.to_string(), submission.to_string(), lmtp.to_string());
    let cases: &[&[&str]] = &[
        &[
            "--server",
            &mx,
            "--from",
            "ann@far.test",
            "--to",
            "ada@our.test,bob@our.test",
        ],
        &[
            "--server",
            &mx,
            "--tls",
            "--from",
            "ann@far.test",
            "--to",
            "ada@our.test",
        ],
        &[
            "--server",
            &mx,
            "--pipeline",
            "--from",
            "<>",
            "--to",
            "postmaster@our.test,ada@our.test",
        ],
        &[
            "--server",
            &submission,
            "--tls",
            "--auth",
            "PLAIN",
            "--auth-user",
            "ada@our.test",
            "--auth-password",
            PASSWORD,
            "--from",
            "ada@our.test",
            "--to",
            "ann@far.test",
        ],
        &[
            "--server",
            &submission,
            "--tls",
            "--auth",
            "LOGIN",
            "--auth-user",
            "ada@our.test",
            "--auth-password",
            PASSWORD,
            "--from",
            "ada@our.test",
            "--to",
            "bob@our.test",
        ],
        &[
            "--server",
            &lmtp,
            "--protocol",
            "LMTP",
            "--from",
            "ann@far.test",
            "--to",
            "ada@our.test,bob@our.test",
        ],
    ];
    for (index, arguments) in cases.iter().enumerate() {
        let Some((success, text)) = run("swaks", arguments).await else {
            println!("swaks is not installed");
            return;
        };
        // The third case names a postmaster that this house does not have; swaks says so with 24 unless one recipient is enough.
        let refused_one = index == 2 && text.contains("550 5.1.1");
        assert!(success || refused_one, "{arguments:?}: {text}");
        assert_eq!(house.records().len(), index + 1, "{text}");
    }
}

const SMTPLIB: &str = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
mx, submission, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
loose = ssl.create_default_context(); loose.check_hostname = False; loose.verify_mode = ssl.CERT_NONE
m = EmailMessage(); m["Subject"] = "Grüße"; m["From"] = "ann@far.test"; m["To"] = "ada@our.test"
m.set_content(".\r\n..\r\nÄpfel und Birnen\r\n.\r\n")
m.add_attachment(bytes(range(256)) * 4000, maintype="application", subtype="octet-stream", filename="b.bin")
with smtplib.SMTP("127.0.0.1", mx) as s:
    s.send_message(m)
    s.send_message(m)
    try:
        s.sendmail("ann@far.test", ["nobody@our.test"], "x: y\r\n"); sys.exit("nobody was accepted")
    except smtplib.SMTPRecipientsRefused as e:
        assert e.recipients["nobody@our.test"][0] == 550, e
    s.sendmail("grüße@far.test", ["ada@our.test"], "x: ü\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"]) if s.has_extn("smtputf8") else sys.exit("no SMTPUTF8")
with smtplib.SMTP("127.0.0.1", submission) as s:
    s.starttls(context=loose)
    try:
        s.login("ada@our.test", "wrong"); sys.exit("logged in")
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 535, e
    s.login("ada@our.test", password)
    s.sendmail("ada@our.test", ["ann@far.test"], "x: y\r\n\r\n" + "line\r\n" * 100000)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn smtplib() {
    let mut house = House::new();
    let (mx, submission) = (house.open(Role::Mx).await, house.open(Role::Submission).await);
    let (mx, submission) = (mx.port().to_string(), submission.port().to_string());
    let Some((success, text)) = run("python3", &["-c", SMTPLIB, &mx, &submission, PASSWORD]).await else {
        println!("python3 is not installed");
        return;
    };
    assert!(success, "{text}");
    let records = house.records();
    assert_eq!(records.len(), 4);
    assert!(
        records
            .iter()
            .any(|record| record.acceptance.smtputf8 && record.acceptance.protocol == "UTF8SMTP")
    );
}
