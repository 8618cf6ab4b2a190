//! Hosts that misbehave at each step of the conversation in each way, and answers of the DNS that are larger than anybody needs: nothing is lost, nothing comes
//! back for good, and only what may have been taken is in doubt (RFC 5321 §4.5.3.2, §6.1; RFC 1047).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::Blobs;
use bytes::Bytes;
use delivery::relay::connector::{ClientTls, Connector, Options};
use delivery::relay::transport::{
    Answer, Connection as _, Envelope, EnvelopeRecipient, Message, Needs, Outcome, Transport as _,
};
use dns::{Resolver, Validation};
use e2e::{Act, Manners, NameServer, Remotes, Zone};
use std::fmt::Write as _;
use std::time::Duration;

const TEXT: &[u8] = b"From: a@test\r\nSubject: x\r\n\r\nhello\r\nand goodbye\r\n";

/// Sends a message; what came of it in a word, and what was said.
async fn send(connector: &Connector, blobs: &Blobs, recipient: &str) -> (&'static str, Answer) {
    let mut connection = match connector
        .connect(&connector.destination(recipient), Needs::default())
        .await
    {
        Ok(connection) => connection,
        Err(trouble) => return ("no way", trouble.answer),
    };
    let envelope = Envelope {
        sender: "a@test".to_owned(),
        recipients: vec![EnvelopeRecipient {
            address: recipient.to_owned(),
            notify: None,
            original: None,
        }],
        envid: None,
        ret: None,
        body: "7BIT".to_owned(),
        needs: Needs::default(),
        requiretls: false,
    };
    let commit = blobs.put(TEXT).unwrap();
    let bytes = Some(Bytes::from_static(TEXT));
    let message = Message::new(blobs.clone(), commit.id(), commit.len(), bytes);
    let mut sent = connection.send(&envelope, &message).await;
    connection.quit().await;
    match sent.outcomes.remove(0) {
        Outcome::Taken(answer) => ("taken", answer),
        Outcome::Refused(answer) => ("refused", answer),
        Outcome::Broken(answer) => ("broken", answer),
        Outcome::Doubtful(answer) => ("doubtful", answer),
    }
}

fn connector(server: &NameServer, port: u16) -> Connector {
    let asked = dns::Options {
        servers: vec![server.address],
        validation: Validation::On,
        trust_anchor: Some(server.anchor()),
        ..dns::Options::default()
    };
    let mut options = Options::new("mail.test");
    options.port = port;
    options.loopback = true;
    options.limits.timeouts = options.limits.timeouts.at_most(Duration::from_millis(1500));
    let tls = ClientTls::new(None).unwrap();
    Connector::new(options, Resolver::new(&asked).unwrap(), tls, None)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The step, and what comes of a message where a host there answers garbage, closes the service, hangs up, or hangs.
const STEPS: &[(&str, [&str; 4])] = &[
    ("greeting", ["no way", "no way", "no way", "no way"]),
    ("EHLO", ["no way", "no way", "no way", "no way"]),
    ("MAIL", ["broken", "broken", "broken", "broken"]),
    ("RCPT", ["broken", "broken", "broken", "broken"]),
    ("DATA", ["broken", "broken", "broken", "broken"]),
    // So small a message is on its way as a whole before the host has looked at any of it.
    ("content", ["doubtful", "refused", "doubtful", "doubtful"]),
    ("end", ["doubtful", "refused", "doubtful", "doubtful"]),
];

#[test]
fn at_each_step_in_each_way() {
    if !NameServer::available() {
        return;
    }
    let acts = [
        Act::Say("\u{1}\u{2} what is this?"),
        Act::Leave("421 4.3.2 closing"),
        Act::Close,
        Act::Hang,
    ];
    let (mut hosts, mut records, mut cases) = (Vec::new(), String::new(), Vec::new());
    for (step, expected) in STEPS {
        for (act, expected) in acts.iter().zip(expected) {
            let number = 60 + u8::try_from(hosts.len()).unwrap();
            hosts.push((number, Manners::good(&["8BITMIME"]).but(step, act.clone())));
            writeln!(records, "h{number} MX 10 mx.h{number}\nmx.h{number} A 127.0.0.{number}").unwrap();
            cases.push((format!("a@h{number}.bad.test"), format!("{step} {act:?}"), *expected));
        }
    }
    let remotes = Remotes::start(hosts);
    let server = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed("bad.test", &records),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path(), blobs::Options::default()).unwrap();
    runtime().block_on(async {
        let connector = connector(&server, remotes.port);
        let mut tasks = tokio::task::JoinSet::new();
        for (recipient, what, expected) in cases {
            let (connector, blobs) = (connector.clone(), blobs.clone());
            tasks.spawn(async move { (what, expected, send(&connector, &blobs, &recipient).await) });
        }
        let mut wrong = String::new();
        while let Some(result) = tasks.join_next().await {
            let (what, expected, (word, answer)) = result.unwrap();
            // Whatever a host does wrong, the message is tried again.
            if word != expected || answer.is_permanent() {
                writeln!(wrong, "{what}: {word}, not {expected}: {answer}").unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
}

/// Hundreds of MX records and addresses, TXT records of 60 KB: what is of use of them is used, within bounds.
#[test]
fn answers_larger_than_anybody_needs() {
    if !NameServer::available() {
        return;
    }
    let remotes = Remotes::start(vec![(1, Manners::good(&["8BITMIME"]))]);
    let mut records = String::from("mx1 A 127.0.0.1\n");
    for n in 0..400 {
        // All of the others have a name of the longest kind, and lead nowhere.
        writeln!(records, "many MX {} mx{n}.{}", 20 + n, "x".repeat(60)).unwrap();
        writeln!(records, "addresses A 127.1.{}.{}", n / 200, 1 + n % 200).unwrap();
        writeln!(records, "dead MX 10 dead{n}").unwrap();
    }
    records.push_str("many MX 10 mx1\nlong MX 10 mx1\n_mta-sts.long TXT \"v=STSv1; id=1;\"");
    for _ in 0..230 {
        write!(records, " \"{}\"", "x".repeat(255)).unwrap();
    }
    records.push('\n');
    let server = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed("big.test", &records),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path(), blobs::Options::default()).unwrap();
    runtime().block_on(async {
        let connector = connector(&server, remotes.port);
        for (recipient, expected, said) in [
            ("a@many.big.test", "taken", "250"),
            ("a@long.big.test", "taken", "250"),
            ("a@addresses.big.test", "no way", "no connection"),
            ("a@dead.big.test", "no way", "does not exist"),
        ] {
            let (word, answer) = send(&connector, &blobs, recipient).await;
            let text = answer.to_string();
            assert!(word == expected && text.contains(said), "{recipient}: {word} {text}");
            // No more than four addresses of five hosts are tried, and told of.
            assert!(
                text.matches(" [").count() <= 20 && text.len() < 4000,
                "{recipient}: {text}"
            );
        }
    });
}
