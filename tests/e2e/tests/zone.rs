//! `rohrpost dns` against a real name server: what it prints is served, and then it finds everything right; what is wrong it names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{NameServer, Zone, binary};
use std::fmt::Write as _;
use std::process::Command;

struct House(tempfile::TempDir);

impl House {
    /// A server that is set up, with keys that sign, for `phys.test`.
    fn new() -> House {
        let house = House(tempfile::tempdir().unwrap());
        let data = house.0.path().join("data");
        let init = [
            "init",
            "--domain",
            "phys.test",
            "--hostname",
            "mail.phys.test",
            "--data",
        ];
        let ran = Command::new(binary())
            .args(init)
            .arg(&data)
            .arg("-c")
            .arg(house.0.path().join("init.toml"))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let names = ["mail", "mta-sts", "autoconfig", "autodiscover"].map(|label| format!("{label}.phys.test"));
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(data.join("tls/cert.pem"), certified.cert.pem()).unwrap();
        std::fs::write(data.join("tls/key.pem"), certified.signing_key.serialize_pem()).unwrap();
        house.settings("127.0.0.1:9", "");
        for command in ["rotate", "activate"] {
            let (status, _, err) = house.run(&["dkim", command, "phys.test"]);
            assert_eq!(status, 0, "{err}");
        }
        house
    }

    fn settings(&self, name_server: &str, more: &str) {
        let mut text = "hostname = \"mail.phys.test\"\ndata = \"data\"\n".to_owned();
        for (protocol, port) in [
            ("smtp", 25),
            ("submission", 587),
            ("submissions", 465),
            ("imap", 143),
            ("imaps", 993),
            ("pop3s", 995),
            ("managesieve", 4190),
            ("https", 443),
        ] {
            writeln!(
                text,
                "[[listener]]\nprotocol = \"{protocol}\"\nbind = \"198.51.100.7:{port}\""
            )
            .unwrap();
        }
        writeln!(
            text,
            "[tls]\ncertificate = \"data/tls/cert.pem\"\nkey = \"data/tls/key.pem\"\n[dns]\nname_servers = \"{name_server}\"\n{more}"
        )
        .unwrap();
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("rohrpost.toml")
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let ran = Command::new(binary())
            .args(arguments)
            .arg("-c")
            .arg(self.file())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.status.code().unwrap(), text(&ran.stdout), text(&ran.stderr))
    }

    /// What `dns` finds, as "STATE LEVEL NAME TYPE".
    fn found(&self, arguments: &[&str]) -> (i32, Vec<String>) {
        let (status, out, err) = self.run(&[&["dns", "--json"], arguments].concat());
        let rows: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
        let row = |row: &serde_json::Value| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            format!("{} {} {} {}", text("state"), text("level"), text("name"), text("type"))
        };
        (status, rows.as_array().unwrap().iter().map(row).collect())
    }
}

fn reverse(name: &str) -> Zone {
    Zone::unsigned("100.51.198.in-addr.arpa", &format!("7 PTR {name}\n"))
}

fn parent() -> Zone {
    Zone::unsigned("test", "ns A 127.0.0.1\n")
}

#[test]
fn what_it_prints_is_what_it_wants() {
    if !NameServer::available() {
        return;
    }
    let house = House::new();
    let (status, printed, err) = house.run(&["dns", "--zone"]);
    assert_eq!(status, 0, "{err}");
    for wanted in [
        "MX",
        "_domainkey",
        "_mta-sts",
        "_smtp._tls",
        "_imaps._tcp",
        "TLSA",
        "autodiscover",
    ] {
        assert!(printed.contains(wanted), "{wanted}: {printed}");
    }
    let right = NameServer::start(&[
        parent(),
        Zone::unsigned("phys.test", &printed),
        reverse("mail.phys.test."),
    ]);
    house.settings(&right.address.to_string(), "");
    let (status, rows) = house.found(&[]);
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| !row.starts_with("ok ") && !row.starts_with("unused "))
        .collect();
    assert!(status == 0 && wrong.is_empty() && rows.len() > 15, "{status} {rows:#?}");
    let (_, shown, _) = house.run(&["dns", "phys.test"]);
    assert!(
        shown.contains("  ok       phys.test.  MX  10 mail.phys.test.\n"),
        "{shown}"
    );
    // A certificate that is for the host alone.
    let certificate = house.0.path().join("data/tls/cert.pem");
    let whole = std::fs::read(&certificate).unwrap();
    let alone = rcgen::generate_simple_self_signed(["mail.phys.test".to_owned()]).unwrap();
    std::fs::write(&certificate, alone.cert.pem()).unwrap();
    let (status, rows) = house.found(&["phys.test"]);
    assert!(
        status == 1 && rows.contains(&"differs optional mta-sts.phys.test CNAME".to_owned()),
        "{rows:#?}"
    );
    std::fs::write(&certificate, whole).unwrap();
    // The policy changes, and with it what the record must hold.
    house.settings(&right.address.to_string(), "[web]\nmta_sts = \"enforce\"");
    let (status, rows) = house.found(&["phys.test"]);
    assert_eq!(status, 1);
    assert!(
        rows.contains(&"differs advised _mta-sts.phys.test TXT".to_owned()),
        "{rows:#?}"
    );
    // `check` says the same.
    house.settings(&right.address.to_string(), "");
    let (_, checked, _) = house.run(&["check"]);
    assert!(
        checked.contains("the host: ") && checked.contains("phys.test: "),
        "{checked}"
    );
    let faults = checked
        .lines()
        .filter(|line| !line.starts_with("ok") && line.contains(" DNS "));
    assert_eq!(faults.count(), 0, "{checked}");
}

#[test]
fn what_is_wrong_is_named() {
    if !NameServer::available() {
        return;
    }
    let house = House::new();
    let wrong = "mail CNAME other\nother A 198.51.100.9\n@ MX 10 elsewhere\n@ TXT \"v=spf1 a -all\"\n@ TXT \"v=spf1 -all\"\n\
                 _dmarc TXT \"v=DMARC1; p=never\"\nmta-sts A 198.51.100.77\n_mta-sts TXT \"v=STSv1; id=old\"\n\
                 _imaps._tcp SRV 0 1 993 old\n_smtp._tls TXT \"v=TLSRPTv1;\"\n";
    let server = NameServer::start(&[
        parent(),
        Zone::unsigned("phys.test", wrong),
        reverse("dsl-7.isp.example."),
    ]);
    house.settings(&server.address.to_string(), "");
    let (status, rows) = house.found(&[]);
    assert_eq!(status, 1);
    for wanted in [
        "differs needed mail.phys.test A",
        "missing optional mail.phys.test TXT",
        "missing advised 9.100.51.198.in-addr.arpa PTR",
        "differs advised phys.test MX",
        "differs advised phys.test TXT",
        "differs advised _dmarc.phys.test TXT",
        "differs advised _mta-sts.phys.test TXT",
        "differs optional mta-sts.phys.test CNAME",
        "differs optional _imaps._tcp.phys.test SRV",
        "differs optional _smtp._tls.phys.test TXT",
        "missing optional _submissions._tcp.phys.test SRV",
        "missing optional autoconfig.phys.test CNAME",
    ] {
        assert!(rows.iter().any(|row| row == wanted), "{wanted}\n{rows:#?}");
    }
    assert_eq!(
        rows.iter()
            .filter(|row| row.starts_with("missing advised") && row.contains("._domainkey."))
            .count(),
        2
    );
    let (_, checked, _) = house.run(&["check"]);
    assert!(
        checked.contains("FAULT") && checked.contains("mail.phys.test A is different"),
        "{checked}"
    );

    // A name server that is silent is no reason to call anything missing.
    let mut server = server;
    server.stop();
    let began = std::time::Instant::now();
    let (status, rows) = house.found(&[]);
    assert!(
        status == 1 && began.elapsed() < std::time::Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    assert!(
        rows.iter()
            .all(|row| row.starts_with("unknown ") || row.contains("_domainkey.phys.test TXT")),
        "{rows:#?}"
    );
    let (status, _, err) = house.run(&["dns", "other.test"]);
    assert!(status == 2 && err.contains("no domain of this server"), "{err}");
}

#[test]
fn in_a_signed_zone_the_hash_of_the_key_counts() {
    if !NameServer::available() {
        return;
    }
    let house = House::new();
    let (_, printed, _) = house.run(&["dns", "--zone"]);
    let with = |records: &str, wanted: &str| {
        let server = NameServer::start(&[
            Zone::signed("test", "ns A 127.0.0.1\n"),
            Zone::signed("phys.test", records),
        ]);
        let anchor = server.anchor().display().to_string();
        let trusted = format!("trust_anchor = \"{anchor}\"\n");
        house.settings(&server.address.to_string(), &trusted);
        let (_, rows) = house.found(&[]);
        assert!(rows.iter().any(|row| row == wanted), "{wanted}\n{rows:#?}");
    };
    with(&printed, "ok optional _25._tcp.mail.phys.test TLSA");
    let line = printed.lines().find(|line| line.contains("TLSA")).unwrap();
    let hash = line.rsplit(' ').next().unwrap();
    with(
        &printed.replace(hash, &"00".repeat(32)),
        "differs needed _25._tcp.mail.phys.test TLSA",
    );
    with(
        &printed.replace(line, ""),
        "missing optional _25._tcp.mail.phys.test TLSA",
    );
}
