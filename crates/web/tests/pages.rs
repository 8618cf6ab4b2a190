//! The pages, over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use net::{Bounds, ListenerConfig, Tls};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use web::{Encryption, Limits, Metrics, Offer, OfferProtocol, Offers, Parts, Site, StsMode, StsPolicy};

struct House {
    address: SocketAddr,
    sound: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
}

impl House {
    async fn open(insiders: fn(IpAddr) -> bool, limits: Limits) -> House {
        let sound = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&sound);
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("rohrpost_tests", "Tests run", counter.clone());
        counter.inc();
        let parts = Parts {
            health: Arc::new(move || {
                let store = if seen.load(Ordering::Relaxed) {
                    Ok(())
                } else {
                    Err("disk full".to_owned())
                };
                vec![("store", store)]
            }),
            registry: Arc::new(registry),
            patience: Duration::from_secs(5),
        };
        let offer = |protocol, port, encryption| Offer {
            protocol,
            port,
            encryption,
        };
        let offers = Offers::new(
            "mail.phys.example",
            vec![
                offer(OfferProtocol::Imap, 143, Encryption::StartTls),
                offer(OfferProtocol::Imap, 993, Encryption::Immediate),
                offer(OfferProtocol::Submission, 465, Encryption::Immediate),
            ],
        );
        let site = Site {
            hostname: "mail.phys.example".to_owned(),
            is_ours: Arc::new(|domain| domain == "phys.example"),
            policy: Some(StsPolicy {
                mode: StsMode::Testing,
                max_age: Duration::from_secs(86_400),
                hosts: vec!["mail.phys.example".to_owned()],
            }),
            offers: Some(offers),
            challenge: Arc::new(|token| (token == "tok_en-1").then(|| "tok_en-1.proof".to_owned())),
        };
        let context = web::Context {
            parts,
            insiders: Arc::new(insiders),
            site: Arc::new(site),
            limits,
            bounds: Bounds {
                connections: 10,
                connections_per_address: 10,
                handshake: Duration::from_secs(5),
                shutdown: Duration::from_secs(5),
            },
            metrics: Metrics::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = watch::channel(false);
        let config = ListenerConfig {
            name: "http".to_owned(),
            tls: Tls::Off,
            plaintext: false,
            proxies: None,
        };
        tokio::spawn(web::serve(listener, Arc::new(context), config, shutdown));
        House { address, sound, stop }
    }

    async fn say(&self, octets: &str) -> String {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(octets.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .expect("an end");
        answer
    }

    async fn ask(&self, method: &str, host: &str, path: &str, body: &str) -> String {
        let length = body.len();
        self.say(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }
}

#[tokio::test]
async fn figures_are_for_insiders() {
    let house = House::open(|_| true, Limits::default()).await;
    for (path, wanted) in [
        ("/healthz/live", "200 OK"),
        ("/healthz", r#"{"parts":{"store":"ok"},"status":"ready"}"#),
        ("/metrics", "rohrpost_tests_total 1"),
        ("/elsewhere", "404 Not Found"),
    ] {
        let answer = house.ask("GET", "t", path, "").await;
        assert!(answer.contains(wanted), "{path}: {answer}");
    }
    house.sound.store(false, Ordering::Relaxed);
    let answer = house.ask("GET", "t", "/healthz/ready", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 503")
            && answer.contains(r#"{"parts":{"store":"disk full"},"status":"not ready"}"#),
        "{answer}"
    );
    assert!(house.ask("GET", "t", "/healthz/live", "").await.contains("200 OK"));
    let stranger = House::open(|_| false, Limits::default()).await;
    for path in ["/healthz", "/healthz/live", "/healthz/ready", "/metrics"] {
        let answer = stranger.ask("GET", "t", path, "").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

const OUTLOOK: &str = "<Autodiscover><Request><EMailAddress>ada@phys.example</EMailAddress></Request></Autodiscover>";

#[tokio::test]
async fn the_name_and_the_path_say_what_is_asked() {
    let house = House::open(|_| false, Limits::default()).await;
    let long = format!("<a>{}</a>", "x".repeat(20_000));
    let elsewhere = OUTLOOK.replace("phys", "other");
    for (method, host, path, body, wanted) in [
        (
            "GET",
            "mta-sts.phys.example",
            "/.well-known/mta-sts.txt",
            "",
            "mode: testing\r\nmx: mail.phys.example\r\n",
        ),
        (
            "GET",
            "MTA-STS.phys.example.:443",
            "/.well-known/mta-sts.txt",
            "",
            "text/plain",
        ),
        ("HEAD", "mta-sts.phys.example", "/.well-known/mta-sts.txt", "", "200 OK"),
        (
            "GET",
            "mta-sts.other.example",
            "/.well-known/mta-sts.txt",
            "",
            "404 Not Found",
        ),
        ("GET", "phys.example", "/.well-known/mta-sts.txt", "", "404 Not Found"),
        (
            "POST",
            "mta-sts.phys.example",
            "/.well-known/mta-sts.txt",
            "",
            "405 Method Not Allowed",
        ),
        (
            "GET",
            "autoconfig.phys.example",
            "/mail/config-v1.1.xml",
            "",
            "<domain>phys.example</domain>",
        ),
        (
            "GET",
            "phys.example",
            "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=a%40phys.example",
            "",
            "200 OK",
        ),
        (
            "GET",
            "mail.phys.example",
            "/mail/config-v1.1.xml?emailaddress=ada@phys.example",
            "",
            "<port>993</port>",
        ),
        (
            "GET",
            "autoconfig.other.example",
            "/mail/config-v1.1.xml",
            "",
            "404 Not Found",
        ),
        (
            "GET",
            "mail.phys.example",
            "/mail/config-v1.1.xml?emailaddress=a@b@other.example",
            "",
            "404 Not Found",
        ),
        (
            "GET",
            "x",
            "/mail.mobileconfig?email=ada+list%40phys.example",
            "",
            "<string>ada+list@phys.example</string>",
        ),
        (
            "GET",
            "x",
            "/mail.mobileconfig?email=%3Cb%26%3E@phys.example",
            "",
            "&lt;b&amp;&gt;@phys.example",
        ),
        (
            "GET",
            "x",
            "/mail.mobileconfig?email=a%0d%0ab@phys.example",
            "",
            "404 Not Found",
        ),
        (
            "GET",
            "x",
            "/mail.mobileconfig?email=%ff@phys.example",
            "",
            "404 Not Found",
        ),
        ("GET", "x", "/mail.mobileconfig", "", "404 Not Found"),
        (
            "POST",
            "x",
            "/autodiscover/autodiscover.xml",
            OUTLOOK,
            "<LoginName>ada@phys.example</LoginName>",
        ),
        (
            "POST",
            "x",
            "/AutoDiscover/AutoDiscover.XML",
            OUTLOOK,
            "<Type>IMAP</Type>",
        ),
        (
            "POST",
            "x",
            "/autodiscover/autodiscover.xml",
            &elsewhere,
            "<ErrorCode>600</ErrorCode>",
        ),
        (
            "POST",
            "x",
            "/autodiscover/autodiscover.xml",
            "nonsense",
            "<ErrorCode>600</ErrorCode>",
        ),
        (
            "POST",
            "x",
            "/autodiscover/autodiscover.xml",
            &long,
            "413 Payload Too Large",
        ),
        (
            "GET",
            "autodiscover.phys.example",
            "/autodiscover/autodiscover.xml",
            "",
            "location: https://mail.phys.example/autodiscover/autodiscover.xml",
        ),
        (
            "GET",
            "autodiscover.other.example",
            "/autodiscover/autodiscover.xml",
            "",
            "405 Method Not Allowed",
        ),
        (
            "GET",
            "x",
            "/autodiscover/autodiscover.json?Email=a@phys.example&Protocol=AutodiscoverV1",
            "",
            "\"Url\":\"https://mail.phys.example/",
        ),
        (
            "GET",
            "x",
            "/autodiscover/autodiscover.json/v1.0/a@phys.example?Protocol=ActiveSync",
            "",
            "InvalidProtocol",
        ),
        ("GET", "x", "/.well-known/acme-challenge/tok_en-1", "", "tok_en-1.proof"),
        ("GET", "x", "/.well-known/acme-challenge/tok_en-2", "", "404 Not Found"),
        (
            "GET",
            "x",
            "/.well-known/acme-challenge/../metrics",
            "",
            "404 Not Found",
        ),
        ("GET", "x", "/", "", "404 Not Found"),
    ] {
        let answer = house.ask(method, host, path, body).await;
        assert!(answer.contains(wanted), "{method} {host}{path}: {answer}");
    }
    // An account that is there and one that is not: no address is looked at, only the domain.
    let of = |name: &str| OUTLOOK.replace("ada", name);
    let (ada, eve) = (of("ada"), of("eve"));
    let answers = [
        house
            .ask("POST", "x", "/autodiscover/autodiscover.xml", &ada)
            .await
            .replace("ada@", "eve@"),
        house.ask("POST", "x", "/autodiscover/autodiscover.xml", &eve).await,
    ];
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(body(&answers[0]), body(&answers[1]));
}

#[tokio::test]
async fn who_takes_too_long_or_says_too_much_is_cut_off() {
    let limits = Limits {
        head: Duration::from_millis(300),
        connection: Duration::from_secs(2),
        head_size: 8192,
    };
    let house = House::open(|_| true, limits).await;
    let began = std::time::Instant::now();
    // Half a head, then nothing.
    house.say("GET / HTTP/1.1\r\nHost").await;
    // A whole request, then nothing.
    let answer = house.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // A head without end.
    let answer = house
        .say(&format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "b".repeat(20_000)))
        .await;
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    house.stop.send(true).unwrap();
}
