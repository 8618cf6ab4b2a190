//! Our way out against hosts of every kind, found by a real name server with signed zones: what comes of a message, and why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::Blobs;
use bytes::Bytes;
use delivery::relay::connector::{ClientTls, Connector, Options, Requirement, Route, Target};
use delivery::relay::transport::{
    Connection as _, Envelope, EnvelopeRecipient, Message, Needs, Outcome, Scope, Terms, Transport as _,
};
use dns::{Resolver, Validation};
use e2e::{Act, Identity, Manners, NameServer, Remotes, Zone};
use ledger::RequireTls;
use sasl::Password;
use sasl::client::Identity as Login;
use smtp::client::Dialect;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// What all good hosts can do.
const EXTENSIONS: &[&str] = &["PIPELINING", "8BITMIME", "SIZE 100000", "DSN"];

/// A message.
const TEXT: &[u8] = b"From: a@test\r\nSubject: x\r\n\r\n.\r\nhello\r\n";

struct World {
    remotes: Remotes,
    server: NameServer,
    authority: tempfile::NamedTempFile,
    blobs: Blobs,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let good = Identity::new(&["mx.tls.sending.test", "smart.test"], false);
    let old = Identity::new(&["mx.old.sending.test"], true);
    let plain = || Manners::good(EXTENSIONS);
    let secure = || plain().with_tls(&good);
    let at = |point, act| plain().but(point, act);
    let hosts = vec![
        (1, plain()),
        (2, secure()),
        (3, secure().but("handshake", Act::Close)),
        (4, plain().with_tls(&old)),
        (5, at("greeting", Act::Hang)),
        (6, at("greeting", Act::Say("SSH-2.0-OpenSSH_9.2"))),
        (7, at("greeting", Act::Leave("421 4.3.2 too busy"))),
        (8, Manners::good(&["PIPELINING"]).but("content", Act::Close)),
        (9, at("end", Act::Close)),
        (10, at("RCPT", Act::Say("450 4.2.1 later"))),
        (
            11,
            plain()
                .but("RCPT b@", Act::Say("450 4.2.2 full"))
                .but("RCPT c@", Act::Say("550 5.1.1 nobody")),
        ),
        (12, at("MAIL", Act::Hang)),
        (13, at("RCPT", Act::Hang)),
        (14, at("DATA", Act::Hang)),
        (15, at("end", Act::Hang)),
        (16, at("EHLO", Act::Hang)),
        (17, secure().but("STARTTLS", Act::Hang)),
        (18, secure().but("handshake", Act::Hang)),
        (19, at("greeting", Act::Say("521 5.3.2 no mail here"))),
        (20, at("MAIL", Act::Leave("421 4.3.0 going down"))),
        (21, at("greeting", Act::Say("554 5.7.1 not you"))),
        (22, Manners::good(&["PIPELINING", "CHUNKING", "LIMITS RCPTMAX=1"])),
        (23, at("EHLO", Act::Say("502 5.5.1 what?"))),
        (24, secure().but("STARTTLS", Act::Say("454 4.7.0 not now"))),
        (25, at("end", Act::Say("451 4.3.0 disk"))),
        (26, Manners::good(&["PIPELINING", "REQUIRETLS"]).with_tls(&good)),
        (27, at("RCPT b@", Act::Say("452 4.5.3 too many"))),
        (28, Manners::good(&["AUTH PLAIN LOGIN"]).with_tls(&good)),
        (29, secure().but("handshake", Act::Leave("500 what?"))),
        (30, at("content", Act::Leave("421 4.3.2 bye"))),
    ];
    let remotes = Remotes::start(hosts);
    let port = remotes.port;
    let mut names = String::new();
    for n in 1..=31 {
        writeln!(names, "h{n} MX 10 mx.h{n}\nmx.h{n} A 127.0.0.{n}").unwrap();
    }
    let zeros = "0".repeat(64);
    let tlsa = good.tlsa();
    let dane = |name: &str, host: u8, data: &str| {
        format!("{name} MX 10 mx.{name}\nmx.{name} A 127.0.0.{host}\n_{port}._tcp.mx.{name} TLSA {data}\n")
    };
    let records = [
        names,
        "tls MX 10 mx.tls\nmx.tls A 127.0.0.2\n".to_owned(),
        "old MX 10 mx.old\nmx.old A 127.0.0.4\n".to_owned(),
        dane("dane", 2, &tlsa),
        dane("danereq", 26, &tlsa),
        dane("daneold", 4, &old.tlsa()),
        dane("danewrong", 2, &format!("3 1 1 {zeros}")),
        dane("daneplain", 1, &tlsa),
        dane("danebroken", 3, &tlsa),
        dane("daneunusable", 2, &format!("1 1 1 {zeros}")),
        dane("daneunusableplain", 1, &format!("1 1 1 {zeros}")),
        // The host is an alias: its records stand where the alias leads.
        "danealias MX 10 mx.danealias\nmx.danealias CNAME mx.dane\n".to_owned(),
        "nullmx MX 0 .\nimplicit A 127.0.0.1\nempty TXT \"x\"\nus MX 10 mail.test.\n".to_owned(),
        "ussecond MX 20 mail.test.\nussecond MX 10 mx.h1\nusfirst MX 10 mail.test.\nusfirst MX 20 mx.h1\n".to_owned(),
        "second MX 10 mx.h31\nsecond MX 20 mx.h7\nsecond MX 30 mx.h1\ngone MX 10 nothing.sending.test.\n".to_owned(),
        "one CNAME two\ntwo CNAME one\nloopmx MX 10 one\nwww CNAME implicit\nnobody MX 10 mx.nobody\nmx.nobody A 0.0.0.0\n".to_owned(),
    ]
    .concat();
    let unsigned = format!(
        "dane MX 10 mx.dane\nmx.dane A 127.0.0.2\n_{port}._tcp.mx.dane TLSA 3 1 1 {zeros}\nreqmx MX 10 mx.reqmx\nmx.reqmx A 127.0.0.26\n"
    );
    let forged = format!(
        "@ MX 10 mx\nmx A 127.0.0.2\n_{port}._tcp.mx TLSA 3 1 1 {}\n",
        "11".repeat(32)
    );
    let mut zones = vec![
        Zone::signed("test", "ns A 127.0.0.1\nmail A 127.0.0.99\nsmart A 127.0.0.28\n"),
        Zone::signed("sending.test", &records),
        Zone::unsigned("unsigned.test", &unsigned),
        Zone::signed("expired.test", "@ MX 10 mx.h1.sending.test.\n").expired(),
    ];
    // The records are forged behind the signature, so that the answer is bogus.
    zones.push(Zone::signed("forged.test", &forged).forged("1111111111111111", "2222222222222222"));
    let server = NameServer::start(&zones);
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), good.authority_pem()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path(), blobs::Options::default()).unwrap();
    World {
        remotes,
        server,
        authority,
        blobs,
        _folder: folder,
    }
}

impl World {
    fn connector(&self, change: impl FnOnce(&mut Options)) -> Connector {
        self.connector_with(None, change)
    }

    fn connector_with(&self, database: Option<Arc<db::Database>>, change: impl FnOnce(&mut Options)) -> Connector {
        let options = dns::Options {
            servers: vec![self.server.address],
            validation: Validation::On,
            trust_anchor: Some(self.server.anchor()),
            ..dns::Options::default()
        };
        let resolver = Resolver::new(&options).unwrap();
        let mut options = Options::new("mail.test");
        options.port = self.remotes.port;
        options.loopback = true;
        options.mta_sts = false;
        options.limits.connect = Duration::from_secs(5);
        options.limits.timeouts = options.limits.timeouts.at_most(Duration::from_millis(1500));
        change(&mut options);
        Connector::new(
            options,
            resolver,
            ClientTls::new(Some(self.authority.path())).unwrap(),
            database,
        )
    }

    /// Sends a message to some recipients of a domain; a line with what came of it.
    async fn send(&self, connector: &Connector, recipients: &[&str], needs: Needs) -> String {
        self.send_text(connector, recipients, needs, TEXT).await
    }

    fn mail(&self, sender: &str, recipients: &[&str], needs: Needs, text: &'static [u8]) -> (Envelope, Message) {
        let recipient = |address: &&str| EnvelopeRecipient {
            address: (*address).to_owned(),
            notify: None,
            original: None,
        };
        let envelope = Envelope {
            sender: sender.to_owned(),
            recipients: recipients.iter().map(recipient).collect(),
            envid: None,
            ret: None,
            body: "7BIT".to_owned(),
            needs,
            requiretls: needs.requiretls == RequireTls::Yes,
        };
        let commit = self.blobs.put(text).unwrap();
        let bytes = Some(Bytes::from_static(text));
        let message = Message::new(self.blobs.clone(), commit.id(), commit.len(), bytes);
        (envelope, message)
    }

    async fn send_text(&self, connector: &Connector, recipients: &[&str], needs: Needs, text: &'static [u8]) -> String {
        let destination = connector.destination(recipients[0]);
        let mut connection = match connector.connect(&destination, needs).await {
            Ok(connection) => connection,
            Err(trouble) => {
                let smtp::Status(class, subject, detail) = trouble.answer.status;
                let scope = if trouble.scope == Scope::Needs { "needs " } else { "" };
                return format!("no way {scope}{class}.{subject}.{detail}: {}", trouble.answer.text);
            }
        };
        let (envelope, message) = self.mail("a@test", recipients, needs, text);
        let sent = connection.send(&envelope, &message).await;
        let mut line = connection.peer().policy.clone();
        for outcome in &sent.outcomes {
            match outcome {
                Outcome::Taken(answer) => write!(line, "; taken {answer}"),
                Outcome::Refused(answer) => write!(line, "; refused {answer}"),
                Outcome::Broken(answer) => write!(line, "; broken {answer}"),
                Outcome::Doubtful(answer) => write!(line, "; doubtful {answer}"),
            }
            .unwrap();
        }
        if !sent.reusable {
            line.push_str("; over");
        }
        connection.quit().await;
        line
    }
}

/// Recipients, and how the line must begin; `*` in it stands for anything.
const CASES: &[(&str, &str)] = &[
    (
        "a@h1.sending.test",
        "opportunistic, TLS not offered; taken 250 2.0.0 taken",
    ),
    ("a@tls.sending.test", "opportunistic, verified; taken 250 2.0.0 taken"),
    ("a@old.sending.test", "opportunistic, unverified; taken 250 2.0.0 taken"),
    // TLS that does not work, and need not.
    ("a@h3.sending.test", "opportunistic, TLS failed; taken 250 2.0.0 taken"),
    ("a@h18.sending.test", "opportunistic, TLS failed; taken 250 2.0.0 taken"),
    ("a@h29.sending.test", "opportunistic, TLS failed; taken 250 2.0.0 taken"),
    (
        "a@h24.sending.test",
        "opportunistic, TLS not offered; taken 250 2.0.0 taken",
    ),
    ("a@h17.sending.test", "opportunistic, TLS failed; taken 250 2.0.0 taken"),
    // DANE.
    ("a@dane.sending.test", "dane, verified; taken 250"),
    ("a@danealias.sending.test", "dane, verified; taken 250"),
    ("a@daneold.sending.test", "dane, verified; taken 250"),
    (
        "a@danewrong.sending.test",
        "no way needs 4.7.5: *the certificate is not the one that the TLSA records name",
    ),
    (
        "a@daneplain.sending.test",
        "no way needs 4.7.5: *the server does not offer STARTTLS, and mail may not go without",
    ),
    ("a@danebroken.sending.test", "no way needs 4.7.5: *TLS: "),
    (
        "a@daneunusable.sending.test",
        "dane without usable records, unverified; taken 250",
    ),
    (
        "a@daneunusableplain.sending.test",
        "no way needs 4.7.5: *does not offer STARTTLS",
    ),
    ("a@dane.unsigned.test", "opportunistic, unverified; taken 250"),
    (
        "a@forged.test",
        "no way needs 4.*: *fails DNSSEC validation, and so its certificate cannot be known",
    ),
    // The DNS.
    ("a@expired.test", "no way 4.4.3: *fails DNSSEC validation"),
    (
        "a@nullmx.sending.test",
        "no way 5.1.10: the domain nullmx.sending.test takes no mail: it has a null MX",
    ),
    (
        "a@nothing.sending.test",
        "no way 5.1.2: the domain nothing.sending.test does not exist",
    ),
    ("a@implicit.sending.test", "opportunistic, TLS not offered; taken 250"),
    ("a@www.sending.test", "opportunistic, TLS not offered; taken 250"),
    ("a@empty.sending.test", "no way 5.4.4: *empty.sending.test has no "),
    (
        "a@gone.sending.test",
        "no way 5.4.4: *nothing.sending.test does not exist",
    ),
    (
        "a@one.sending.test",
        "no way 4.4.3: the CNAME records of one.sending.test lead nowhere",
    ),
    (
        "a@loopmx.sending.test",
        "no way 4.4.1: the CNAME records of one.sending.test lead nowhere",
    ),
    ("a@nobody.sending.test", "no way 5.4.6: *is no address of a host"),
    (
        "a@us.sending.test",
        "no way 5.4.6: the DNS says that mail for us.sending.test comes here",
    ),
    ("a@usfirst.sending.test", "no way 5.4.6: "),
    ("a@ussecond.sending.test", "opportunistic, TLS not offered; taken 250"),
    ("a@second.sending.test", "opportunistic, TLS not offered; taken 250"),
    ("a@h31.sending.test", "no way 4.4.1: *no connection: "),
    ("a@[127.0.0.1]", "opportunistic, TLS not offered; taken 250"),
    ("a@[127.0.0]", "no way 5.1.2: [127.0.0] is no address"),
    // Hosts that hang.
    ("a@h5.sending.test", "no way 4.4.1: *no answer to the connection in 1 s"),
    ("a@h16.sending.test", "no way 4.4.1: *no answer to a command in 1 s"),
    (
        "a@h12.sending.test",
        "*; broken 4.4.2 the connection to mx.h12.sending.test ended: no answer to MAIL in 1 s; over",
    ),
    ("a@h13.sending.test", "*; broken 4.4.2 *no answer to RCPT in 1 s; over"),
    ("a@h14.sending.test", "*; broken 4.4.2 *no answer to DATA in 1 s; over"),
    (
        "a@h15.sending.test",
        "*; doubtful 4.4.2 mx.h15.sending.test had all of the message and gave no answer*; over",
    ),
    // Hosts that go, refuse, or talk nonsense.
    ("a@h6.sending.test", "no way 4.5.0: *what it says is no SMTP reply"),
    ("a@h7.sending.test", "no way 4.3.2: *said: 421 4.3.2 too busy"),
    ("a@h19.sending.test", "no way 5.3.2: *said: 521 5.3.2 no mail here"),
    ("a@h21.sending.test", "no way 4.7.1: *said: 554 5.7.1 not you"),
    ("a@h23.sending.test", "opportunistic, TLS not offered; taken 250"),
    ("a@h20.sending.test", "*; broken 421 4.3.0 going down; over"),
    ("a@h8.sending.test", "*; doubtful 4.4.2 *; over"),
    (
        "a@h9.sending.test",
        "*; doubtful 4.4.2 *it may have been taken: it closed the connection; over",
    ),
    ("a@h30.sending.test", "*; refused 421 4.3.2 bye; over"),
    ("a@h10.sending.test", "*; refused 450 4.2.1 later"),
    ("a@h25.sending.test", "*; refused 451 4.3.0 disk"),
    (
        "a@h11.sending.test b@h11.sending.test c@h11.sending.test",
        "*; taken 250 2.0.0 taken; refused 450 4.2.2 full; refused 550 5.1.1 nobody",
    ),
    (
        "a@h22.sending.test b@h22.sending.test",
        "*; taken 250 2.0.0 taken; taken 250 2.0.0 taken",
    ),
    (
        "a@h27.sending.test b@h27.sending.test",
        "*; taken 250 2.0.0 taken; refused 452 4.5.3 too many",
    ),
    (
        "ü@h1.sending.test",
        "*; refused 5.6.7 mx.h1.sending.test: the message has addresses or header fields that need SMTPUTF8",
    ),
];

/// Whether the line begins as the pattern says.
fn fits(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    for (number, part) in pattern.split('*').enumerate() {
        match (number, rest.find(part)) {
            (0, Some(0)) => rest = &rest[part.len()..],
            (1.., Some(at)) => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    true
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn every_kind_of_host() {
    if !NameServer::available() {
        return;
    }
    let world = Arc::new(world());
    runtime().block_on(async {
        let connector = world.connector(|_| {});
        let mut tasks = tokio::task::JoinSet::new();
        for (recipients, expected) in CASES {
            let (world, connector) = (Arc::clone(&world), connector.clone());
            tasks.spawn(async move {
                let list: Vec<&str> = recipients.split(' ').collect();
                (
                    *recipients,
                    *expected,
                    world.send(&connector, &list, Needs::default()).await,
                )
            });
        }
        let mut wrong = String::new();
        while let Some(result) = tasks.join_next().await {
            let (recipients, expected, line) = result.unwrap();
            if !fits(&line, expected) {
                writeln!(wrong, "{recipients}\n  expected {expected}\n  but      {line}").unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        // What was taken, has come, as it was.
        let got = world.remotes.take();
        for got in &got {
            assert_eq!(
                got.bytes, b"From: a@test\r\nSubject: x\r\n\r\n.\r\nhello\r\n",
                "{got:?}"
            );
        }
        assert!(got.iter().any(|got| got.tls) && got.iter().any(|got| !got.tls));
        // One message for each recipient, since the server takes one at a time.
        assert_eq!(got.iter().filter(|got| got.host == 22).count(), 2);

        // A dead host is left alone for a while: nobody waits for it again.
        let again = world.send(&connector, &["a@h31.sending.test"], Needs::default()).await;
        assert!(fits(&again, "no way 4.4.1: *did not answer a moment ago"), "{again}");
    });
}

#[test]
fn what_a_message_or_a_route_asks_for() {
    if !NameServer::available() {
        return;
    }
    let world = world();
    runtime().block_on(async {
        let connector = world.connector(|_| {});
        let required = Needs {
            requiretls: RequireTls::Yes,
            smtputf8: false,
        };
        for (recipient, expected) in [
            ("a@danereq.sending.test", "dane, verified; taken 250"),
            (
                "a@dane.sending.test",
                "no way needs 5.7.30: *the server does not offer REQUIRETLS",
            ),
            (
                "a@dane.unsigned.test",
                "no way needs 5.7.30: *neither DNSSEC nor MTA-STS vouches for the MX records",
            ),
            ("a@h1.sending.test", "no way needs 5.7.10: *does not offer STARTTLS"),
            (
                "a@h26.sending.test",
                "no way needs 5.7.10: *the certificate is not for mx.h26.sending.test",
            ),
            (
                "a@danewrong.sending.test",
                "no way needs 5.7.10: *the certificate is not the one",
            ),
            // What may be over soon is waited for.
            ("a@h3.sending.test", "no way needs 4.7.5: *TLS: "),
            ("a@h31.sending.test", "no way needs 4.4.1: *no connection: "),
        ] {
            let line = world.send(&connector, &[recipient], required).await;
            assert!(fits(&line, expected), "{recipient}: {line}");
        }
        let got = world.remotes.take();
        assert_eq!(got.len(), 1);
        assert!(got[0].tls && got[0].sender.contains(" REQUIRETLS"), "{got:?}");

        // A notice asks for it where it can be had, and goes where it cannot (RFC 8689 §5).
        for (recipient, asked) in [
            ("a@danereq.sending.test", true),
            ("a@dane.sending.test", false),
            // It is offered, by a host whose name nobody vouches for.
            ("a@reqmx.unsigned.test", false),
            ("a@h1.sending.test", false),
        ] {
            let destination = connector.destination(recipient);
            let mut connection = connector.connect(&destination, Needs::default()).await.unwrap();
            let (envelope, message) = world.mail("", &[recipient], Needs::default(), TEXT);
            let envelope = Envelope {
                requiretls: true,
                ..envelope
            };
            let sent = connection.send(&envelope, &message).await;
            assert!(matches!(sent.outcomes[0], Outcome::Taken(_)), "{recipient}: {sent:?}");
            assert_eq!(connection.suits(required), asked, "{recipient}");
            let got = world.remotes.take();
            assert_eq!(got[0].sender.contains(" REQUIRETLS"), asked, "{got:?}");
        }

        // `TLS-Required: No`: what a destination asks of TLS keeps nothing back (§4.2.2), what we ask does.
        let indifferent = Needs {
            requiretls: RequireTls::No,
            smtputf8: false,
        };
        for (recipient, expected) in [
            (
                "a@dane.sending.test",
                "TLS-Required: No, opportunistic, unverified; taken 250",
            ),
            (
                "a@danewrong.sending.test",
                "TLS-Required: No, opportunistic, unverified; taken 250",
            ),
            (
                "a@daneplain.sending.test",
                "TLS-Required: No, opportunistic, TLS not offered; taken 250",
            ),
            (
                "a@danebroken.sending.test",
                "TLS-Required: No, opportunistic, TLS failed; taken 250",
            ),
            (
                "a@forged.test",
                "TLS-Required: No, opportunistic, unverified; taken 250",
            ),
            ("a@tls.sending.test", "opportunistic, verified; taken 250"),
            ("a@h31.sending.test", "no way 4.4.1: *did not answer a moment ago"),
        ] {
            let line = world.send(&connector, &[recipient], indifferent).await;
            assert!(fits(&line, expected), "{recipient}: {line}");
        }
        let connection = connector
            .connect(&connector.destination("a@danewrong.sending.test"), indifferent)
            .await;
        let connection = connection.unwrap();
        assert!(connection.suits(indifferent) && !connection.suits(Needs::default()) && !connection.suits(required));
        connection.quit().await;
        let set = world.connector(|options| options.tls = Requirement::Encrypt);
        let line = world.send(&set, &["a@daneplain.sending.test"], indifferent).await;
        assert!(fits(&line, "no way needs 4.7.5: *does not offer STARTTLS"), "{line}");
        let line = world.send(&set, &["a@danewrong.sending.test"], indifferent).await;
        assert!(fits(&line, "TLS-Required: No, set, unverified; taken 250"), "{line}");
        world.remotes.take();

        // Only where it is set, hosts of the DNS may be on this machine.
        let careful = world.connector(|options| options.loopback = false);
        for recipient in ["a@h1.sending.test", "a@[127.0.0.1]", "a@second.sending.test"] {
            let line = world.send(&careful, &[recipient], Needs::default()).await;
            assert!(fits(&line, "no way 5.4.6: "), "{recipient}: {line}");
        }
        assert_eq!(world.remotes.take(), []);

        let port = world.remotes.port;
        let route = |name: &str, host: &str, tls, login: bool, dialect| Route {
            name: name.to_owned(),
            domains: vec![format!("{name}.test")],
            target: Target::Host {
                name: host.to_owned(),
                port,
                dialect,
                implicit: false,
            },
            tls: Some(tls),
            identity: login.then(|| Login {
                name: "user".to_owned(),
                password: Password::new(b"pencil".to_vec()),
            }),
            hello: None,
            sources: Vec::new(),
            terms: Terms::default(),
        };
        let connector = world.connector(|options| {
            // Routes are the administrator's word: they may lead to this machine.
            options.loopback = false;
            options.routes = vec![
                route("smart", "smart.test", Requirement::Verify, true, Dialect::Smtp),
                route("wrongname", "127.0.0.28", Requirement::Verify, true, Dialect::Smtp),
                route("nologin", "127.0.0.2", Requirement::Encrypt, true, Dialect::Smtp),
                route("must", "127.0.0.1", Requirement::Encrypt, false, Dialect::Smtp),
                route("off", "127.0.0.2", Requirement::Off, false, Dialect::Smtp),
                route("lists", "127.0.0.1", Requirement::Opportunistic, false, Dialect::Lmtp),
                Route {
                    domains: vec!["tls.sending.test".to_owned(), "old.sending.test".to_owned()],
                    target: Target::Mx(port),
                    ..route("verify", "", Requirement::Verify, false, Dialect::Smtp)
                },
            ];
        });
        for (recipient, expected) in [
            ("a@smart.test", "route, verified; taken 250"),
            (
                "a@wrongname.test",
                "no way 4.7.5: *the certificate is not for 127.0.0.28",
            ),
            ("a@nologin.test", "no way 4.7.8: *no way to log in"),
            ("a@must.test", "no way 4.7.5: *does not offer STARTTLS"),
            ("a@off.test", "TLS is off; taken 250"),
            (
                "a@lists.test b@lists.test",
                "*; taken 250 2.0.0 taken; taken 250 2.0.0 taken",
            ),
        ] {
            let list: Vec<&str> = recipient.split(' ').collect();
            let line = world.send(&connector, &list, Needs::default()).await;
            assert!(fits(&line, expected), "{recipient}: {line}");
        }
    });
}

/// MTA-STS: what a domain says over HTTPS is kept, also when it cannot be asked again.
#[test]
fn policies_over_https() {
    if !NameServer::available() {
        return;
    }
    let domains = [
        "enforce",
        "wrongcert",
        "plain",
        "unnamed",
        "testing",
        "none",
        "odd",
        "gone",
    ];
    let mut names: Vec<String> = domains
        .iter()
        .chain(&["bare"])
        .map(|d| format!("mta-sts.{d}.sts.test"))
        .collect();
    names.extend(["enforce", "unnamed", "none"].map(|d| format!("mx.{d}.sts.test")));
    let identity = Identity::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), false);
    let remotes = Remotes::start(vec![
        (1, Manners::good(&["PIPELINING"])),
        (2, Manners::good(&["PIPELINING", "REQUIRETLS"]).with_tls(&identity)),
    ]);
    let policy = |mode: &str, host: &str| format!("version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: 86400\n");
    let texts = [
        ("enforce", policy("enforce", "*.enforce.sts.test")),
        ("wrongcert", policy("enforce", "mx.wrongcert.sts.test")),
        ("plain", policy("enforce", "mx.plain.sts.test")),
        ("unnamed", policy("enforce", "other.sts.test")),
        ("testing", policy("testing", "mx.testing.sts.test")),
        ("none", policy("none", "mx.none.sts.test")),
        ("odd", "<html>".to_owned()),
        ("bare", policy("enforce", "mx.bare.sts.test")),
    ];
    let texts = texts
        .map(|(domain, text)| (format!("mta-sts.{domain}.sts.test"), text))
        .into();
    let https = e2e::Https::start(&identity, texts);
    let mut records = String::new();
    for domain in domains {
        let host = if ["plain", "testing", "gone", "odd"].contains(&domain) {
            1
        } else {
            2
        };
        writeln!(
            records,
            "{domain} MX 10 mx.{domain}\nmx.{domain} A 127.0.0.{host}\nmta-sts.{domain} A 127.0.0.1\n_mta-sts.{domain} TXT \"v=STSv1; id=1\""
        )
        .unwrap();
    }
    // Without MX records the policy counts, too.
    records.push_str("bare A 127.0.0.1\nmta-sts.bare A 127.0.0.1\n_mta-sts.bare TXT \"v=STSv1; id=1\"\n");
    let server = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("sts.test", &records),
    ]);
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), identity.authority_pem()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let database = db::Database::open(
        &folder.path().join("server.db"),
        &[sightings::SCHEMA],
        db::Options::default(),
    );
    let database = Arc::new(database.unwrap());
    let blobs = Blobs::open(&folder.path().join("blobs"), blobs::Options::default()).unwrap();
    let https_port = https.address.port();
    let world = World {
        remotes,
        server,
        authority,
        blobs,
        _folder: folder,
    };
    let with_database = || {
        world.connector_with(Some(Arc::clone(&database)), |options| {
            options.mta_sts = true;
            options.https_port = https_port;
        })
    };
    let cases = [
        ("enforce", "mta-sts enforce, verified; taken 250"),
        (
            "wrongcert",
            "no way needs 4.7.5: *the certificate is not for mx.wrongcert.sts.test",
        ),
        ("plain", "no way needs 4.7.5: *does not offer STARTTLS"),
        (
            "unnamed",
            "no way needs 4.7.5: mx.unnamed.sts.test: the MTA-STS policy of unnamed.sts.test does not name it",
        ),
        (
            "bare",
            "no way needs 4.7.5: bare.sts.test: the MTA-STS policy of bare.sts.test does not name it",
        ),
        ("testing", "opportunistic, TLS not offered; taken 250"),
        ("none", "opportunistic, verified; taken 250"),
        ("odd", "opportunistic, TLS not offered; taken 250"),
        ("gone", "opportunistic, TLS not offered; taken 250"),
    ];
    runtime().block_on(async {
        let connector = with_database();
        for (domain, expected) in cases {
            let line = world
                .send(&connector, &[&format!("a@{domain}.sts.test")], Needs::default())
                .await;
            assert!(fits(&line, expected), "{domain}: {line}");
        }
        let required = Needs {
            requiretls: RequireTls::Yes,
            smtputf8: false,
        };
        let line = world.send(&connector, &["a@enforce.sts.test"], required).await;
        assert!(fits(&line, "mta-sts enforce, verified; taken 250"), "{line}");
        let indifferent = Needs {
            requiretls: RequireTls::No,
            smtputf8: false,
        };
        for (domain, expected) in [
            ("enforce", "TLS-Required: No, opportunistic, verified; taken 250"),
            ("wrongcert", "TLS-Required: No, opportunistic, unverified; taken 250"),
            ("plain", "TLS-Required: No, opportunistic, TLS not offered; taken 250"),
            ("unnamed", "TLS-Required: No, opportunistic, verified; taken 250"),
        ] {
            let line = world
                .send(&connector, &[&format!("a@{domain}.sts.test")], indifferent)
                .await;
            assert!(fits(&line, expected), "{domain}: {line}");
        }
        // Another process, and nobody to ask: what was said holds.
        drop(https);
        let connector = with_database();
        for (domain, expected) in &cases[..5] {
            let line = world
                .send(&connector, &[&format!("a@{domain}.sts.test")], Needs::default())
                .await;
            assert!(fits(&line, expected), "{domain} later: {line}");
        }
    });
}

/// A message that is larger than what waits in memory, to a host that refuses it in the middle, and to one that takes it.
#[test]
fn large_messages() {
    if !NameServer::available() {
        return;
    }
    let world = world();
    let text = |octets| -> &'static [u8] {
        let mut text = b"Subject: large\r\n\r\n".to_vec();
        while text.len() < octets {
            text.extend_from_slice(b".a line of a message that is long\r\n");
        }
        Box::leak(text.into_boxed_slice())
    };
    // More than the system's buffers take: what is in those counts as given.
    let (text, larger) = (text(3_000_000), text(40_000_000));
    runtime().block_on(async {
        let connector = world.connector(|options| {
            options.limits.timeouts = smtp::client::Timeouts::default().at_most(Duration::from_secs(30));
        });
        let line = world
            .send_text(&connector, &["a@h22.sending.test"], Needs::default(), text)
            .await;
        assert!(fits(&line, "*; taken 250"), "{line}");
        let got = world.remotes.take();
        assert!(got.len() == 1 && got[0].bytes == text);
        let line = world
            .send_text(&connector, &["a@h1.sending.test"], Needs::default(), text)
            .await;
        assert!(fits(&line, "*; refused 5.3.4 *the message has 30"), "{line}");
        let line = world
            .send_text(&connector, &["a@h8.sending.test"], Needs::default(), larger)
            .await;
        assert!(fits(&line, "*; broken 4.4.2 *; over"), "{line}");
    });
}
