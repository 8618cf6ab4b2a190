//! `rohrpost settings`: what people set, with and without a running server, beside what other programs write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::json;
use support::{House, fails};

const ADA: &str = "ada@phys.test";

fn house() -> House {
    let house = House::new(&[("smtp", "")], "");
    house.account(ADA);
    house
}

fn settings(house: &House, arguments: &[&str]) -> String {
    house.ok(&[&["settings"], arguments, &["--account", ADA]].concat())
}

fn shown(house: &House) -> serde_json::Value {
    house.json(&["settings", "show", "--account", ADA])
}

#[test]
fn what_was_set_is_shown_with_and_without_a_server() {
    let mut house = house();
    assert!(settings(&house, &["show"]).contains("vacation    none"));
    settings(&house, &["forward", "add", "ada@home.test"]);
    house.start();
    settings(
        &house,
        &[
            "vacation",
            "on",
            "--text",
            "Away.",
            "--since",
            "2000-01-01",
            "--until",
            "2001-07-01 12:00",
            "--zone",
            "UTC",
        ],
    );
    settings(
        &house,
        &[
            "spam",
            "--allow",
            "*@dear.test",
            "--block",
            "x@spam.test",
            "--threshold",
            "6",
        ],
    );
    house.stop();
    let row = shown(&house);
    assert_eq!(row["vacation_state"], "over", "nobody switched it off");
    assert_eq!(row["settings"]["vacation"]["end"], "2001-07-01T12:00:00+00:00");
    assert_eq!(
        row["settings"]["forwarding"],
        json!({"enabled": true, "to": ["ada@home.test"], "keep": true})
    );
    assert_eq!(row["settings"]["spam"]["threshold"]["score"], 6);
    let text = settings(&house, &["show"]);
    for line in [
        "forwarding  ada@home.test, and a copy here",
        "vacation    over, from 2000-01-01",
        "let through *@dear.test",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    settings(&house, &["forward", "remove", "ada@home.test"]);
    settings(&house, &["vacation", "off"]);
    assert_eq!(shown(&house)["settings"]["forwarding"], json!(null));
    assert_eq!(shown(&house)["vacation_state"], "off");
}

#[test]
fn rules_of_other_programs_are_listed_switched_and_moved() {
    let house = house();
    let script = "require [\"fileinto\",\"variables\"];\r\n# rule:[One]\r\nif header :contains \"subject\" \"1\"\r\n{\r\n\tfileinto \"One\";\r\n}\r\n\
        # by hand\r\nset \"a\" \"b\";\r\n\
        # rule:[Two]\r\nif header :contains \"subject\" \"2\"\r\n{\r\n\tfileinto \"Two\";\r\n\tstop;\r\n}\r\n";
    let file = house.folder.path().join("roundcube.sieve");
    std::fs::write(&file, script).unwrap();
    house.ok(&[
        "sieve",
        "put",
        "roundcube",
        file.to_str().unwrap(),
        "--account",
        ADA,
        "--activate",
    ]);
    let list = settings(&house, &["rules", "list"]);
    for part in [
        "One",
        "roundcube",
        "left alone",
        "if subject contains \"2\": put into Two, stop",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    settings(&house, &["rules", "disable", "One"]);
    let get = || {
        house.json(&["sieve", "get", "--account", ADA])["script"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        get(),
        script.replace(
            "if header :contains \"subject\" \"1\"",
            "if false # header :contains \"subject\" \"1\""
        )
    );
    settings(&house, &["rules", "enable", "1"]);
    assert_eq!(get(), script);
    settings(&house, &["rules", "move", "Two", "--to", "1"]);
    let rules = house.json(&["settings", "rules", "list", "--account", ADA]);
    let names: Vec<&str> = rules
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["name"].as_str())
        .collect();
    assert_eq!(names, ["Two", "One", "by hand"]);

    let failed = house.run(&["settings", "rules", "disable", "by hand", "--account", ADA], "");
    assert!(fails(&failed, 1).contains("change it in the script itself"));

    // A dry run names the rule.
    let mail = house.folder.path().join("mail.eml");
    std::fs::write(&mail, "From: bob@phys.test\r\nSubject: 2\r\n\r\nhi\r\n").unwrap();
    std::fs::write(&file, get()).unwrap();
    let run = house.ok(&[
        "sieve",
        "run",
        file.to_str().unwrap(),
        "--account",
        ADA,
        "--message",
        mail.to_str().unwrap(),
    ]);
    assert!(run.contains("by the rule Two"), "{run}");
}

#[test]
fn what_cannot_be_set_is_refused_and_nothing_is_lost() {
    let house = house();
    for (arguments, wanted) in [
        (
            vec![
                "vacation",
                "on",
                "--text",
                "x",
                "--since",
                "2026-12-24",
                "--until",
                "2026-12-23",
                "--zone",
                "UTC",
            ],
            "ends (2026-12-23+00:00) before it starts (2026-12-24+00:00)",
        ),
        (vec!["vacation", "on"], "there is no text yet"),
        (vec!["forward", "add", "ada@phys.test"], "mail would go in circles"),
        (vec!["forward", "add", "nobody"], "is no address"),
        (vec!["rules", "disable", "1"], "there are no rules"),
    ] {
        let output = house.run(&[&["settings"], arguments.as_slice(), &["--account", ADA]].concat(), "");
        let exit = output.status.code().unwrap();
        assert!(
            fails(&output, exit).contains(wanted),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    settings(&house, &["forward", "add", "ada@home.test"]);
    let before = shown(&house);
    settings(&house, &["forward", "add", "ada@work.test"]);
    // The whole model of before, with the version it was read with: somebody was faster.
    let output = house.run(&["settings", "set", "--account", ADA], &before.to_string());
    assert!(fails(&output, 1).contains("changed by somebody else"));
    let mut now = shown(&house);
    now["settings"]["forwarding"]["to"] = json!(["ada@elsewhere.test"]);
    house.ok_with(&["settings", "set", "--account", ADA], &now.to_string());
    assert_eq!(
        shown(&house)["settings"]["forwarding"]["to"],
        json!(["ada@elsewhere.test"])
    );
}
