//! The running server: mail through it, its end and its next beginning, its figures, its rights.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::process::Stdio;
use support::{House, command, fails, get, send, signal, wait};

#[test]
fn a_message_is_traced_across_a_restart() {
    let mut house = House::new(&[("smtp", ""), ("http", "")], "");
    house.account("ada@phys.test");
    house.ok(&["alias", "add", "physics@phys.test", "ada@phys.test"]);
    house.start();
    let reply = send(
        house.address("smtp"),
        "eve@else.test",
        "physics@phys.test",
        "Subject: hello\r\n\r\nhello",
    );
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    wait("the delivery", || {
        house
            .json(&["trace", "--fate", "delivered"])
            .as_array()
            .is_some_and(|a| a.len() == 1)
    });
    assert!(send(house.address("smtp"), "eve@else.test", "nobody@phys.test", "").starts_with("550 5.1.1"));

    let rows = house.json(&["trace"]);
    let states: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["to"].as_str().unwrap(), r["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [("physics@phys.test", "expanded"), ("ada@phys.test", "delivered")]
    );
    let id = rows[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(house.json(&["queue", "show", &id])["from"], "eve@else.test");
    assert!(house.ok(&["queue", "show", &id]).contains("physics@phys.test"));
    assert_eq!(house.json(&["account", "show", "ada@phys.test"])["messages"], 1);

    let healthy = get(house.address("http"), "/healthz");
    assert!(
        healthy.starts_with("HTTP/1.1 200") && healthy.contains("\"database\":\"ok\""),
        "{healthy}"
    );
    let figures = get(house.address("http"), "/metrics");
    for wanted in [
        "rohrpost_delivery_delivered_total 1",
        "rohrpost_ledger_open_local 0",
        "rohrpost_smtp_messages_accepted_total",
    ] {
        assert!(figures.contains(wanted), "{wanted}: {figures}");
    }

    house.stop();
    assert!(!house.data().join("admin.sock").exists() && !house.data().join("listening.json").exists());
    for command in ["audit", "verify"] {
        house.ok(&[command]);
    }
    house.start();
    assert_eq!(house.json(&["trace"]), rows);
    assert!(house.ok(&["audit"]).contains("all as it should be"));
    house.stop();
}

#[test]
fn damage_is_named_and_room_given_back() {
    let mut house = House::new(&[("smtp", "")], "");
    house.account("ada@phys.test");
    house.account("bob@phys.test");
    house.start();
    // More than a megabyte gets a segment of its own.
    let line = format!("{}\r\n", "0123456789abcdef".repeat(4));
    for (to, subject) in [("ada@phys.test", "one"), ("bob@phys.test", "two")] {
        let text = format!("Subject: {subject}\r\n\r\n{}end", line.repeat(30_000));
        let reply = send(house.address("smtp"), "eve@else.test", to, &text);
        assert!(reply.starts_with("250"), "{reply}");
    }
    wait("the deliveries", || {
        house.json(&["queue", "list"]).as_array().is_some_and(Vec::is_empty)
    });
    let segments = || {
        let files = std::fs::read_dir(house.data().join("blobs"))
            .unwrap()
            .map(|e| e.unwrap());
        let mut files: Vec<_> = files
            .filter(|f| f.path().extension().is_some_and(|e| e == "seg"))
            .map(|f| f.path())
            .collect();
        files.sort();
        files
    };
    let before = segments().len();
    house.ok(&["account", "delete", "ada@phys.test", "--yes"]);
    let told = house.ok(&["reclaim"]);
    assert!(told.starts_with("1 segments"), "{told}");
    assert_eq!(segments().len(), before - 1);
    house.ok(&["verify"]);
    house.ok(&["audit"]);

    // One octet changes on the disk: named, exit code 1.
    let file = segments()
        .into_iter()
        .max_by_key(|f| std::fs::metadata(f).unwrap().len())
        .unwrap();
    let mut octets = std::fs::read(&file).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&file, octets).unwrap();
    let output = house.run(&["verify", "--json"], "");
    fails(&output, 1);
    let faults: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        faults
            .iter()
            .any(|f| f["what"].as_str().is_some_and(|w| w.contains(".seg byte"))),
        "{faults:?}"
    );
    house.stop();
}

#[test]
fn remote_mail_of_people_waits_and_can_be_held() {
    // Nobody listens on that port.
    let route = "[[route]]\nname = \"away\"\ndomains = \"away.test\"\nto = \"smtp://127.0.0.1:1\"\n";
    let mut house = House::new(&[("lmtp", ""), ("submission", "plaintext = true")], route);
    house.account("ada@phys.test");
    house.start();
    let sent = std::process::Command::new("python3")
        .arg("-c")
        .arg(
            "import smtplib, sys; s = smtplib.SMTP('127.0.0.1', int(sys.argv[1])); s.login('ada@phys.test', 'secret of the house'); \
             s.sendmail('ada@phys.test', ['far@away.test'], 'Subject: x\\r\\n\\r\\nx')",
        )
        .arg(house.address("submission").port().to_string())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let queue = house.json(&["queue", "list"]);
    assert_eq!(
        (&queue[0]["to"], &queue[0]["lane"]),
        (&"far@away.test".into(), &"remote".into())
    );
    let id = queue[0]["id"].as_str().unwrap();
    for (order, held) in [("hold", true), ("release", false), ("retry", false)] {
        house.ok(&["queue", order, id]);
        assert_eq!(house.json(&["queue", "list"])[0]["state"] == "held", held, "{order}");
    }
    wait("an attempt on record", || {
        let shown = house.json(&["queue", "show", id]);
        shown["recipients"][0]["tries"][0]["outcome"] == "deferred"
    });
    let waiting = house.json(&["queue", "destinations"]);
    assert_eq!(
        (&waiting[0]["destination"], &waiting[0]["recipients"]),
        (&":away".into(), &1.into())
    );
    assert!(waiting[0]["unreachable_since"].is_number(), "{waiting}");
    fails(&house.run(&["queue", "hold", "0000000000001"], ""), 1);
    // Orders by filter; none without one.
    fails(&house.run(&["queue", "hold"], ""), 2);
    fails(&house.run(&["queue", "list", "--state", "lost"], ""), 2);
    let listed = |words: &[&str]| {
        let words: Vec<&str> = [&["queue", "list"], words].concat();
        house.json(&words).as_array().map_or(0, Vec::len)
    };
    for (words, expected) in [
        (&["--to", "far@away.test"][..], 1),
        (&["--to", "*@away.test", "--from", "ada@*"], 1),
        (&["--to", "near@away.test"], 0),
        (&["--domain", ":Away", "--lane", "remote"], 1),
        (&["--domain", "home.test"], 0),
        (&["--state", "held"], 0),
        (&["--older-than", "1h"], 0),
        (&["--after", &format!("{id}/0")], 0),
    ] {
        assert_eq!(listed(words), expected, "{words:?}");
    }
    house.ok(&["queue", "hold", "--domain", ":away"]);
    let waiting = house.json(&["queue", "destinations"]);
    assert!(
        waiting.as_array().is_some_and(Vec::is_empty),
        "what is held does not wait: {waiting}"
    );
    let done = house.ok(&["queue", "bounce", "--to", "far@away.test", "--state", "held"]);
    assert!(done.starts_with("1 recipient given up"), "{done}");
    let shown = house.json(&["queue", "show", id]);
    assert_eq!(shown["recipients"][0]["state"], "failed");
    assert_eq!(shown["offspring"][0]["to"][0], "ada@phys.test");
    wait("the notice", || {
        let trace = house.json(&["trace", "--to", "ada@phys.test"]);
        trace[0]["state"] == "delivered" && trace[0]["from"] == "<>"
    });
    assert!(house.ok(&["queue", "cancel", "--all"]).starts_with("0 recipients"));
    house.stop();
}

#[test]
fn sessions_that_wait_do_not_hold_up_the_end() {
    let mut house = House::new(&[("smtp", ""), ("imap", "plaintext = true"), ("http", "")], "");
    house.start();
    let open = ["smtp", "imap", "http"].map(|protocol| std::net::TcpStream::connect(house.address(protocol)).unwrap());
    let mut greeting = [0; 4];
    for mut stream in open.iter().take(2) {
        std::io::Read::read_exact(&mut stream, &mut greeting).unwrap();
    }
    let began = std::time::Instant::now();
    house.stop();
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    let mut last = String::new();
    std::io::Read::read_to_string(&mut &open[0], &mut last).unwrap();
    assert!(last.contains("\r\n421 "), "{last}");
    std::io::Read::read_to_string(&mut &open[1], &mut last).unwrap();
    assert!(last.contains("* BYE"), "{last}");
}

#[test]
fn people_read_what_came() {
    let mut house = House::new(&[("lmtp", ""), ("smtp", ""), ("imap", "plaintext = true")], "");
    house.account("ada@phys.test");
    house.start();
    let reply = send(
        house.address("smtp"),
        "eve@else.test",
        "ada@phys.test",
        "Subject: pneumatic\r\n\r\npost",
    );
    assert!(reply.starts_with("250"), "{reply}");
    wait("the delivery", || {
        house.json(&["queue", "list"]).as_array().is_some_and(Vec::is_empty)
    });
    let read = std::process::Command::new("python3")
        .arg("-c")
        .arg(
            "import imaplib, sys; m = imaplib.IMAP4('127.0.0.1', int(sys.argv[1])); m.login('ada@phys.test', 'secret of the house'); \
             m.select(); print(m.fetch('1', '(BODY[])')[1][0][1].decode()); m.logout()",
        )
        .arg(house.address("imap").port().to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(
        text.contains("Delivered-To: ada@phys.test") && text.contains("Subject: pneumatic"),
        "{read:?}"
    );
    house.stop();
}

#[test]
fn one_server_for_one_data_directory() {
    let mut house = House::new(&[("smtp", "")], "");
    house.start();
    let second = command().arg("serve").arg("-c").arg(&house.config).output().unwrap();
    let told = fails(&second, 1);
    assert!(told.contains("another rohrpost has"), "{told}");
    // A dead server leaves its socket; the next one takes its place.
    signal(house.pid(), "KILL");
    wait("the lock", || house.run(&["domain", "list"], "").status.success());
    house.start();
    house.ok(&["domain", "list"]);
    house.stop();
}

#[test]
fn hangup_takes_the_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let made = command()
        .current_dir(folder.path())
        .args(["init", "--domain", "phys.test", "--data", "data"])
        .output()
        .unwrap();
    assert!(made.status.success());
    let (cert, key) = (
        folder.path().join("data/tls/cert.pem"),
        folder.path().join("data/tls/key.pem"),
    );
    let tls = format!("[tls]\ncertificate = {cert:?}\nkey = {key:?}\n");
    let mut house = House::new(&[("submissions", "")], &tls);
    house.start();
    std::fs::write(&key, "no key").unwrap();
    signal(house.pid(), "HUP");
    wait("the refusal", || house.log().contains("the old one stays"));
    house.stop();
}

#[test]
fn root_is_dropped_after_binding() {
    let uid = std::fs::read_to_string("/proc/self/status").unwrap();
    if !uid.lines().any(|l| l.starts_with("Uid:\t0\t")) {
        return;
    }
    let mut house = House::new(&[("smtp", "")], "user = \"nobody\"");
    let everybody = std::process::Command::new("chmod")
        .arg("755")
        .arg(house.folder.path())
        .status()
        .unwrap();
    assert!(everybody.success());
    let given = std::process::Command::new("chown")
        .arg("-R")
        .arg("nobody")
        .arg(house.data())
        .status()
        .unwrap();
    assert!(given.success());
    house.start();
    let tasks = std::fs::read_dir(format!("/proc/{}/task", house.pid())).unwrap();
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let line = status.lines().find(|l| l.starts_with("Uid:")).unwrap();
        assert!(!line.contains("\t0"), "{line}");
    }
    // Root's own commands become the owner of the data, so nothing in it ends up root's.
    house.account("ada@phys.test");
    house.stop();
    house.account("bob@phys.test");
    let roots = std::process::Command::new("find")
        .arg(house.data())
        .args(["-user", "root"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&roots.stdout), "");
}

#[test]
fn systemd_is_told() {
    let house = House::new(&[("smtp", "")], "");
    let path = house.folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let mut child = command()
        .arg("serve")
        .arg("-c")
        .arg(&house.config)
        .env("NOTIFY_SOCKET", &path)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = [0; 100];
    let n = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..n], b"READY=1");
    signal(child.id(), "TERM");
    let n = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..n], b"STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_demo_keeps_its_data_until_fresh() {
    let folder = tempfile::tempdir().unwrap();
    // Below the ports that the system gives out by itself, so that nobody else has them.
    let offset = (10_000 + std::process::id() % 18_000).to_string();
    let data = folder.path().join("demo-data");
    let run = |more: &[&str]| {
        let mut child = command()
            .current_dir(folder.path())
            .args(["demo", "--port-offset", &offset])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait("the demo", || {
            data.join("listening.json").exists() || child.try_wait().unwrap().is_some()
        });
        let listed = command()
            .current_dir(folder.path())
            .args(["account", "list", "--json", "-c", "demo-data/rohrpost.toml"])
            .output();
        signal(child.id(), "TERM");
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let accounts: Vec<Value> = serde_json::from_slice(&listed.unwrap().stdout).unwrap();
        assert!(
            accounts.len() == 2 && accounts.iter().all(|a| a["messages"].as_u64() > Some(5)),
            "{accounts:?}"
        );
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(
            told.contains("swaks") && told.contains("imaplib") && told.contains("curl"),
            "{told}"
        );
        std::fs::read_to_string(data.join("passwords")).unwrap()
    };
    let first = run(&[]);
    assert_eq!(first, run(&[]));
    assert_ne!(first, run(&["--fresh"]));
    // What is not a demo's is never thrown away.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis"), "years of work").unwrap();
    let refused = command()
        .current_dir(folder.path())
        .args(["demo", "--fresh", "--data", "other"])
        .output()
        .unwrap();
    fails(&refused, 1);
    assert!(other.join("thesis").exists());
}
