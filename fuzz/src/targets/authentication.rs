//! Who sent a message: the first line of the input is what the DNS says whatever it is asked, the rest is the message.

use super::{Target, cuts};
use crate::signature::Signature;
use authentication::dkim::Canon;
use authentication::results::{Results, forged};
use authentication::{Dns, Heard, Limits, Listener, Missing, arc, dkim, dmarc, spf, srs};
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub(super) const TARGET: Target = Target {
    name: "authentication",
    about: "SPF, DKIM, DMARC and ARC of messages, with records from anybody",
    tokens: TOKENS,
    longest: 16 * 1024,
    seeds,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"v=spf1 ",
    b" include:a.example",
    b" a:%{i}.b.example/24//64",
    b" mx",
    b" ptr",
    b" exists:%{lr-}.%{d2}.c.example",
    b" ip4:192.0.2.0/24",
    b" ip6:2001:db8::/32",
    b" redirect=a.example",
    b" exp=a.example",
    b" -all",
    b"%{s}",
    b"v=DMARC1; p=reject; sp=none; rua=mailto:a@b.example!10m",
    b"; psd=y",
    b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    b"; t=s:y",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"DKIM-Signature: v=1; a=ed25519-sha256; d=a.example; s=s; h=from; bh=AA==; b=AA==\r\n",
    b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.example; s=s; b=AA==\r\n",
    b"ARC-Message-Signature: i=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=AA==; b=AA==\r\n",
    b"ARC-Authentication-Results: i=1; a.example; none\r\n",
    b"Authentication-Results: mail.example; none\r\n",
    b"From: a@b.example, c@d.example\r\n",
    b"; l=0",
    b"; c=simple/relaxed",
    b"i=2",
    b"\"",
    b"\\",
    b"(",
];

fn seeds() -> Vec<Vec<u8>> {
    vec![
        TOKENS.concat(),
        [
            b"v=spf1 mx -all\r\n".as_slice(),
            &TOKENS[19..26].concat(),
            b"\r\nbody \r\n \r\n",
        ]
        .concat(),
    ]
}

/// Says the same to every question.
struct Oracle<'a>(&'a [u8]);

impl Dns for Oracle<'_> {
    async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, Missing> {
        asked(name);
        Ok(vec![self.0.to_vec()])
    }
    async fn a(&self, name: &str) -> Result<Vec<IpAddr>, Missing> {
        asked(name);
        Ok(vec![IpAddr::from([192, 0, 2, 2])])
    }
    async fn aaaa(&self, name: &str) -> Result<Vec<IpAddr>, Missing> {
        asked(name);
        Err(Missing::NoData)
    }
    async fn mx(&self, name: &str) -> Result<Vec<String>, Missing> {
        asked(name);
        Ok(vec!["mx.example".to_owned()])
    }
    async fn ptr(&self, _: IpAddr) -> Result<Vec<String>, Missing> {
        Ok(vec!["host.example".to_owned()])
    }
}

/// Whatever a stranger writes, the DNS is asked for names only.
fn asked(name: &str) {
    assert!(authentication::normal(name).is_some(), "{name:?} was asked for");
}

#[allow(clippy::panic)]
fn wait<F: Future>(future: F) -> F::Output {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for nothing"),
    }
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let (record, message) = input.split_at(end);
    let message = message.get(1..).unwrap_or_default();
    let oracle = Oracle(record.trim_ascii_end());
    let limits = Limits::default();
    let whole = Heard::whole(message, &limits);
    for pieces in cuts(message) {
        let mut listener = Listener::new(limits.clone()).signing();
        pieces.into_iter().for_each(|piece| listener.push(piece));
        let heard = listener.finish();
        assert_eq!(heard.header(), whole.header(), "other pieces, other header");
        assert_eq!(
            heard.body(Canon::Relaxed, None),
            whole.body(Canon::Relaxed, None),
            "other pieces, other body"
        );
    }
    let text = String::from_utf8_lossy(record);
    let client = spf::Client {
        address: IpAddr::from([192, 0, 2, 1]),
        helo: "host.example",
        receiver: "mail.example",
        now: 1,
    };
    let outcome = wait(spf::mail_from(
        &oracle,
        &client,
        &format!("{}@a.example", text.len()),
        &limits,
    ));
    let signatures = wait(dkim::verify(&oracle, &whole, &limits, 1));
    let verdict = wait(dmarc::verify(
        &oracle,
        whole.header(),
        Some(&outcome),
        &signatures,
        &limits,
    ));
    let chain = wait(arc::verify(&oracle, &whole, &limits, 1));
    signature.note(("spf", outcome.verdict, outcome.reason.as_deref().map(str::len)));
    for found in &signatures {
        signature.note(("dkim", found.verdict, found.reason.clone()));
    }
    signature.note(("dmarc", verdict.verdict, verdict.disposition));
    signature.note(("arc", chain.verdict, chain.reason.clone()));
    let mut results = Results::new("mail.example");
    results.spf(&outcome, &text);
    results.dkim(&signatures);
    results.dmarc(&verdict);
    results.arc(&chain);
    let field = results.field();
    for (number, line) in field.trim_end().split("\r\n").enumerate() {
        assert!(number == 0 || line.starts_with('\t'), "a line of its own: {field:?}");
        assert!(!line.contains(['\r', '\n']), "a bare line end: {field:?}");
    }
    let gone = forged(whole.header(), "mail.example");
    assert!(gone.windows(2).all(|pair| pair[0].end <= pair[1].start), "out of order");
    let rewriter = srs::Rewriter::new(&[1; 32]);
    if let Some(path) = rewriter.forward(&text, "mail.example", 86_400) {
        let local = path.rsplit_once('@').map_or("", |(local, _)| local);
        assert!(
            matches!(rewriter.reverse(local, 86_400), Some(Ok(_))),
            "{path} does not lead back"
        );
    }
    signature
}
