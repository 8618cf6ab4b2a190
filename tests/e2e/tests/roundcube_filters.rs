//! Roundcube's managesieve plugin, driven in a real browser: a filter, a vacation with dates and a forward made there are read as settings, changed
//! here, and read by Roundcube again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, PASSWORD, Roundcube, Server};
use serde_json::{Value, json};

const FILTER: &str = "Rust list";

fn settings(server: &Server, arguments: &[&str]) -> Value {
    let ran = server.admin(&[&["settings"], arguments, &["--account", ADA, "--json"]].concat());
    assert!(ran.success, "{arguments:?}: {}", ran.err);
    serde_json::from_slice(&ran.out).unwrap()
}

fn browse(roundcube: &Roundcube, phase: &str) -> String {
    roundcube.browse(
        "roundcube-filters.mjs",
        &[
            ("PHASE", phase),
            ("ACCOUNT", ADA),
            ("PASSWORD", PASSWORD),
            ("FORWARD", "ada@home.example"),
            ("SUBJECT", "Away – über Weihnachten"),
            ("TEXT", "Back on the 4th.\n.or later"),
            ("FROM", "2026-12-21"),
            ("UNTIL", "2027-01-03"),
            ("FILTER", FILTER),
            ("WORD", "[rust]"),
            ("MAILBOX", "Archive"),
        ],
    )
}

#[test]
fn roundcube_and_settings_share_one_script() {
    if !Roundcube::available() {
        return;
    }
    let server = Server::start();
    // Roundcube shows no list where there is nothing in it, and waits for one.
    let mail = format!("From: bob@e2e.test\r\nTo: {ADA}\r\nSubject: hello\r\n\r\nHi.\r\n");
    assert!(server.imap(ADA).append("INBOX", "", mail.as_bytes()).ok());
    let roundcube = Roundcube::start(&server, Some(server.port("managesieve")));
    browse(&roundcube, "make");

    // What was made there is read here, and whose it is.
    let row = settings(&server, &["show"]);
    let read = &row["settings"];
    assert_eq!(
        read["forwarding"],
        json!({"enabled": true, "to": ["ada@home.example"], "keep": true})
    );
    assert_eq!(read["vacation"]["subject"], "Away – über Weihnachten");
    assert_eq!(read["vacation"]["text"], "Back on the 4th.\n.or later");
    let day = |name: &str| read["vacation"][name].as_str().unwrap()[..10].to_owned();
    assert_eq!(
        (day("start"), day("end")),
        ("2026-12-21".to_owned(), "2027-01-03".to_owned())
    );
    assert_eq!(row["rules"][0]["name"], FILTER);
    assert_eq!(
        row["rules"][0]["does"],
        "if subject contains \"[rust]\": put into Archive"
    );
    for part in row["parts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["role"] != "require")
    {
        assert_eq!(part["maker"], "roundcube", "{row:#}");
    }

    // One of each is changed here, and a rule is added.
    settings(
        &server,
        &[
            "vacation",
            "on",
            "--since",
            "2026-12-21",
            "--until",
            "2027-01-10",
            "--zone",
            "UTC",
        ],
    );
    settings(&server, &["forward", "add", "ada@lovelace.example"]);
    settings(&server, &["forward", "remove", "ada@home.example"]);
    settings(&server, &["rules", "disable", FILTER]);
    let mut model = settings(&server, &["show"]);
    model["settings"]["rules"].as_array_mut().unwrap().push(json!({
        "kind": "rule", "name": "Large", "when": "any",
        "conditions": [{"test": "size", "over": true, "octets": 5_242_880}, {"test": "header", "headers": ["list-id"], "match": "contains", "values": ["pictures"]}],
        "actions": [{"action": "file-into", "mailbox": "Large", "create": true}, {"action": "stop"}],
    }));
    let file = server.folder().join("model.json");
    std::fs::write(&file, model.to_string()).unwrap();
    settings(&server, &["set", file.to_str().unwrap()]);

    // Roundcube reads them all.
    let shown: Value = serde_json::from_str(browse(&roundcube, "show").trim()).unwrap();
    assert_eq!(shown["forward"], "ada@lovelace.example");
    assert_eq!(shown["vacation"]["until"], "2027-01-10");
    assert_eq!(shown["vacation"]["status"], "on");
    assert_eq!(shown["vacation"]["text"], "Back on the 4th.\n.or later");
    let names: Vec<&str> = shown["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(names.contains(&FILTER) && names.contains(&"Large"), "{names:?}");
    assert_eq!(
        shown["filter"],
        json!({"enabled": false, "header": "subject", "word": "[rust]", "action": "fileinto", "mailbox": "Archive"})
    );
    drop(roundcube);
    server.assert_sound();
}
