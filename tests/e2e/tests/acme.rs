//! Certificates from a real authority, which really looks whether the names lead to the server: by each of the three ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{
    ADA, Looks, NameServer, Names, PASSWORD, Pebble, Server, Setup, TlsLine, Zone, free_port, installed, run,
    run_unchecked, wait_for,
};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// Longer than it takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
const YEARS: u32 = 5 * 365 * 86_400;

struct House {
    server: Server,
    pebble: Pebble,
    https: u16,
}

fn looks(dns: SocketAddr) -> Looks {
    Looks {
        http: free_port(),
        https: free_port(),
        dns,
        validity: YEARS,
        binding: false,
    }
}

impl House {
    fn start(looks: &Looks, more: &str) -> House {
        House::with(Pebble::start(looks), looks, more)
    }

    fn with(pebble: Pebble, looks: &Looks, more: &str) -> House {
        let settings = format!(
            "[[listener]]\nprotocol = \"http\"\nbind = \"127.0.0.1:{}\"\n[[listener]]\nprotocol = \"https\"\nbind = \"127.0.0.1:{}\"\n\
             [dns]\nname_servers = \"{}\"\n[acme]\ndirectory = \"{}\"\nca = \"{}\"\nagree = true\ncontact = \"{ADA}\"\n{more}",
            looks.http,
            looks.https,
            looks.dns,
            pebble.directory(),
            pebble.ca().display(),
        );
        let server = Server::start_with(Setup {
            settings,
            own_certificate: true,
            ..Setup::default()
        });
        House {
            server,
            pebble,
            https: looks.https,
        }
    }

    /// What a port shows for a name, if it is signed by the authority and for that name.
    fn shown(&self, port: u16, name: &str) -> Option<String> {
        let root = self.pebble.root();
        let script = format!(
            "openssl s_client -connect 127.0.0.1:{port} -servername {name} -verify_hostname {name} -CAfile {} -verify_return_error </dev/null 2>/dev/null \
             | openssl x509 -noout -fingerprint -sha256 2>/dev/null",
            root.display()
        );
        let ran = run_unchecked("sh", ["-c", &script], None);
        Some(ran.text()).filter(|text| text.contains("ingerprint"))
    }

    fn wait_shown(&self, port: u16, name: &str) -> String {
        wait_for(name, PATIENCE, || self.shown(port, name))
    }

    fn get(&self, name: &str, path: &str) -> String {
        let (root, port) = (self.pebble.root(), self.https);
        let arguments = [
            "-sS",
            "--fail",
            "--cacert",
            root.to_str().unwrap(),
            "--resolve",
            &format!("{name}:{port}:127.0.0.1"),
            &format!("https://{name}:{port}{path}"),
        ];
        run("curl", arguments).text()
    }

    fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.server.port("http"));
        run("curl", ["-sS", &url]).text()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn over_http_for_the_host_and_the_names_of_its_domains_that_lead_to_it() {
    if !NameServer::available() || !Pebble::available() {
        return;
    }
    let zone = "mail A 127.0.0.1\nmta-sts CNAME mail\nautoconfig CNAME mail\nautodiscover A 192.0.2.1\n";
    let names = NameServer::start(&[
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("e2e.test", zone),
    ]);
    let house = House::start(&looks(names.address), "");
    // From the first moment on there is TLS, with a certificate that nobody vouches for; and who is there stays.
    let server = &house.server;
    let early = run_unchecked(
        "curl",
        [
            "-sSk",
            "--user",
            &format!("{ADA}:{PASSWORD}"),
            &format!("imaps://127.0.0.1:{}", server.port("imaps")),
        ],
        None,
    );
    assert!(early.success, "{}", early.err);
    let folder = server.data().join("acme");
    let key = std::fs::read(folder.join("key.pem")).unwrap();

    let first = house.wait_shown(server.port("imaps"), "mail.e2e.test");
    for protocol in ["submissions", "pop3s"] {
        assert_eq!(
            house.shown(server.port(protocol), "mail.e2e.test").as_ref(),
            Some(&first)
        );
    }
    house.wait_shown(house.https, "mta-sts.e2e.test");
    assert!(house.shown(house.https, "autoconfig.e2e.test").is_some());
    // It leads elsewhere: nobody would sign for it, and nobody was asked to.
    assert!(house.shown(house.https, "autodiscover.e2e.test").is_none());
    let policy = house.get("mta-sts.e2e.test", "/.well-known/mta-sts.txt");
    assert!(policy.contains("mode: testing\r\nmx: mail.e2e.test\r\n"), "{policy}");
    let setup = house.get("autoconfig.e2e.test", "/mail/config-v1.1.xml");
    assert!(setup.contains("<hostname>mail.e2e.test</hostname>"), "{setup}");

    assert_eq!(std::fs::read(folder.join("key.pem")).unwrap(), key, "the key stays");
    assert_eq!(mode(&folder), 0o700);
    let private: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_str().unwrap().ends_with(".pem") || path.ends_with("key.pem"))
        .collect();
    assert!(
        private.len() >= 3 && private.iter().all(|path| mode(path) == 0o600),
        "{private:?}"
    );
    let figures = house.metrics();
    for wanted in [
        "rohrpost_certificate_days_left{certificate=\"mail.e2e.test\"} 18",
        "rohrpost_certificate_days_left{certificate=\"mta-sts.e2e.test\"} 18",
        "rohrpost_acme_orders_total{result=\"received\"} 2",
    ] {
        assert!(figures.contains(wanted), "{wanted}\n{figures}");
    }
    let checked = server.admin(&["check", "--offline"]).text();
    assert!(
        checked.contains("mail.e2e.test: certificate received") && checked.contains("names mail.e2e.test"),
        "{checked}"
    );
    // Nothing is left where the authority looked.
    assert!(!house.pebble.log().is_empty());
}

#[test]
fn in_a_handshake_by_an_account_that_the_authority_knows() {
    if !Pebble::available() {
        return;
    }
    let names = Names::start();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), format!("{}\n", Pebble::BINDING)).unwrap();
    let more = format!(
        "challenge = \"tls-alpn-01\"\nnames = \"imap.e2e.test\"\ndomains = false\neab_id = \"kid-1\"\neab_key = \"{}\"\n",
        key.path().display()
    );
    // Certificates that live for half a minute: two are seen, and nobody is without one.
    let house = House::start(
        &Looks {
            validity: 36,
            binding: true,
            ..looks(names.address)
        },
        &more,
    );
    let port = house.server.port("imaps");
    let first = house.wait_shown(port, "imap.e2e.test");
    assert_eq!(house.shown(house.https, "mail.e2e.test").as_ref(), Some(&first));
    let mut ada = TlsLine::open(&house.server);
    let answer = ada.ask("a", &format!("LOGIN {ADA} \"{PASSWORD}\""));
    assert!(answer.starts_with("OK"), "{answer}");
    wait_for("renewal", PATIENCE, || {
        let now = house.shown(port, "mail.e2e.test").expect("a certificate that is good");
        (now != first).then_some(())
    });
    // Who was there before goes on.
    assert!(ada.ask("b", "SELECT INBOX").starts_with("OK"));
    // Who asks in the authority's protocol, now that nothing is to be proven, gets no certificate.
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{} -servername mail.e2e.test -alpn acme-tls/1 </dev/null",
        house.https
    );
    let ran = run_unchecked("sh", ["-c", &script], None);
    assert!(
        !ran.success && !ran.text().contains("BEGIN CERTIFICATE"),
        "{}",
        ran.text()
    );
    // And a browser, which offers several, gets its page.
    assert!(
        house
            .get("mail.e2e.test", "/mail/config-v1.1.xml?emailaddress=ada@e2e.test")
            .contains("<emailProvider")
    );
}

#[test]
fn by_a_record_that_a_hook_writes() {
    if !Pebble::available() {
        return;
    }
    let names = Names::start();
    let folder = tempfile::tempdir().unwrap();
    let hook = names.hook(folder.path());
    let more = format!(
        "challenge = \"dns-01\"\nhook = \"{}\"\nnames = \"*.e2e.test\"\ndomains = false\n",
        hook.display()
    );
    let house = House::start(&looks(names.address), &more);
    house.wait_shown(house.https, "anything.e2e.test");
    let calls = wait_for("the records to be taken away", PATIENCE, || {
        let calls = std::fs::read_to_string(folder.path().join("calls")).ok()?;
        (calls.matches("cleanup ").count() == 2).then_some(calls)
    });
    for wanted in [
        "present _acme-challenge.mail.e2e.test ",
        "present _acme-challenge.e2e.test ",
    ] {
        assert!(calls.contains(wanted), "{calls}");
    }
}

#[test]
fn what_fails_is_told_and_not_tried_again_at_once() {
    if !Pebble::available() {
        return;
    }
    let names = Names::start();
    let looks = looks(names.address);
    // It looks where nobody is.
    let pebble_looks = Looks {
        http: free_port(),
        ..looks
    };
    let mut house = House::start(&pebble_looks, "domains = false\n");
    let mut settings = std::fs::read_to_string(house.server.settings()).unwrap();
    assert!(settings.contains(&pebble_looks.http.to_string()));
    house.server.kill();
    settings = settings.replace(
        &format!("127.0.0.1:{}", pebble_looks.http),
        &format!("127.0.0.1:{}", looks.http),
    );
    std::fs::write(house.server.settings(), settings).unwrap();
    let state = house.server.data().join("acme/state.json");
    let _ = std::fs::remove_file(&state);
    let host = house.server.data().join("acme/host.pem");
    std::fs::remove_file(&host).unwrap();
    house.server.launch();
    let told = wait_for("the failure", PATIENCE, || std::fs::read_to_string(&state).ok());
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let progress = &told["certificates"]["mail.e2e.test"];
    assert_eq!(progress["failures"], 1);
    let error = progress["error"].as_str().unwrap();
    assert!(
        error.starts_with("mail.e2e.test: ") && error.contains("connection refused"),
        "{error}"
    );
    let pause = progress["next_at"].as_i64().unwrap() - progress["tried_at"].as_i64().unwrap();
    assert!(pause >= 300, "{pause}");
    let checked = house.server.admin(&["check", "--offline"]).text();
    assert!(
        checked.contains("failed 1 times in a row") && checked.contains("self-signed, to begin with"),
        "{checked}"
    );
    assert!(
        house
            .metrics()
            .contains("rohrpost_acme_orders_total{result=\"failed\"} 1")
    );
    // A restart does not begin anew, and mail goes on meanwhile.
    house.server.stop();
    house.server.launch();
    let mut imap = house.server.imap(ADA);
    assert!(imap.inbox(0).is_empty());
    let after: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&state).unwrap()).unwrap();
    assert_eq!(after, told);
}

/// RFC 9773: it is renewed when the authority wants that, and the order says what it replaces.
#[test]
fn renewed_when_the_authority_says_so() {
    if !Pebble::available() || !installed(&["python3"]) {
        return;
    }
    let names = Names::start();
    let looks = looks(names.address);
    let house = House::with(Pebble::start(&looks).saying_when(), &looks, "domains = false\n");
    let asked = wait_for("two certificates, and two questions", PATIENCE, || {
        let asked = house.pebble.asked();
        (asked.iter().filter(|line| line.starts_with("asked ")).count() == 2).then_some(asked)
    });
    let first = asked[1].strip_prefix("asked ").unwrap();
    assert_eq!(asked[0], "order replaces None");
    assert_eq!(asked[2], format!("order replaces {first}"));
    let second = asked[3].strip_prefix("asked ").unwrap();
    assert!(second != first, "{asked:?}");
    // What is wanted in a year is written down, and waited for.
    let state = house.server.data().join("acme/state.json");
    let renewal = wait_for("it to be written down", PATIENCE, || {
        let state: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).ok()?).ok()?;
        let renewal = &state["certificates"]["mail.e2e.test"]["renewal"];
        (renewal["certificate"] == second).then(|| renewal.clone())
    });
    let (at, window) = (renewal["at"].as_i64().unwrap(), &renewal["window"]);
    assert!((window[0].as_i64().unwrap()..=window[1].as_i64().unwrap()).contains(&at));
    assert!(
        house
            .metrics()
            .contains("rohrpost_acme_orders_total{result=\"received\"} 2")
    );
}

/// A domain that is added while the server runs has its certificate seconds later.
#[test]
fn a_new_domain_does_not_wait() {
    if !NameServer::available() || !Pebble::available() {
        return;
    }
    let names = NameServer::start(&[
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("e2e.test", "mail A 127.0.0.1\n"),
        Zone::unsigned("new.test", "mta-sts CNAME mail.e2e.test.\n"),
    ]);
    let house = House::start(&looks(names.address), "");
    house.wait_shown(house.https, "mail.e2e.test");
    assert!(house.shown(house.https, "mta-sts.new.test").is_none());
    assert!(house.server.admin(&["domain", "add", "new.test"]).success);
    house.wait_shown(house.https, "mta-sts.new.test");
}

/// What was put into the DNS is taken away also when the server stops in the middle.
#[test]
fn nothing_is_left_in_the_dns() {
    if !Pebble::available() {
        return;
    }
    let names = Names::start();
    let folder = tempfile::tempdir().unwrap();
    let (hook, calls) = (folder.path().join("hook"), folder.path().join("calls"));
    let script = format!(
        "#!/bin/sh\necho \"$@\" >>{}\ncase $1 in present) exec sleep 600 ;; esac\n",
        calls.display()
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let more = format!(
        "challenge = \"dns-01\"\nhook = \"{}\"\ndomains = false\n",
        hook.display()
    );
    let mut house = House::start(&looks(names.address), &more);
    let called = || std::fs::read_to_string(&calls).unwrap_or_default();
    wait_for("the hook", PATIENCE, || called().starts_with("present ").then_some(()));
    house.server.stop();
    let called = called();
    let lines: Vec<&str> = called.lines().collect();
    let placed = lines[0].strip_prefix("present ").unwrap();
    assert_eq!(lines[1..], [format!("cleanup {placed}")]);
    // Stopping is no failure: the next start tries at once.
    assert!(!house.server.data().join("acme/state.json").exists());
}
