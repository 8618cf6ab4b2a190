//! `group` and `acl`, with and without a running server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::json;
use support::{House, fails};

#[test]
fn groups_and_rights() {
    let mut house = House::new(&[("smtp", "")], "");
    for address in ["ada@phys.test", "bob@phys.test"] {
        house.account(address);
    }
    house.ok(&[
        "group",
        "add",
        "team@phys.test",
        "--name",
        "The team",
        "--quota",
        "1MiB",
    ]);
    house.ok(&["group", "join", "team@phys.test", "ada@phys.test", "--rights", "manage"]);
    house.start();
    house.ok(&["group", "join", "team@phys.test", "bob@phys.test"]);
    let groups = house.json(&["group", "list"]);
    assert_eq!(
        groups,
        json!([{
            "address": "team@phys.test", "name": "The team", "members": ["ada@phys.test", "bob@phys.test"], "quota": 1_048_576,
        }])
    );
    let rights = |house: &House, member: &str| {
        let members = house.json(&["group", "members", "team@phys.test"]);
        let found = members.as_array().unwrap().iter().find(|row| row["address"] == member);
        found.map(|row| row["rights"].as_str().unwrap().to_owned())
    };
    let (ada, bob) = (
        rights(&house, "ada@phys.test").unwrap(),
        rights(&house, "bob@phys.test").unwrap(),
    );
    assert!(ada.contains('a') && !bob.contains('a'), "{ada} {bob}");
    assert!(bob.contains('i') && bob.contains('e'), "{bob}");

    // One mailbox of a person; for a group, for all, and against somebody.
    for (who, rights) in [
        ("bob@phys.test", "read"),
        ("$team@phys.test", "lr"),
        ("anyone", "l"),
        ("-bob@phys.test", "w"),
    ] {
        house.ok(&["acl", "set", "ada@phys.test", "INBOX", who, rights]);
    }
    let list = house.json(&["acl", "list", "ada@phys.test"]);
    house.stop();
    assert_eq!(house.json(&["acl", "list", "ada@phys.test"]), list);
    let mut entries: Vec<(&str, &str)> = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["mailbox"] == "INBOX")
        .map(|row| (row["who"].as_str().unwrap(), row["rights"].as_str().unwrap()))
        .collect();
    entries.sort_unstable();
    let names: Vec<&str> = entries.iter().map(|(who, _)| *who).collect();
    assert_eq!(names, ["$team@phys.test", "-bob@phys.test", "anyone", "bob@phys.test"]);
    house.ok(&["acl", "set", "ada@phys.test", "INBOX", "anyone", "none"]);
    assert_eq!(
        house.json(&["acl", "list", "ada@phys.test"]).as_array().unwrap().len(),
        list.as_array().unwrap().len() - 1
    );

    house.ok(&["group", "seen", "team@phys.test", "shared"]);
    house.ok(&["group", "leave", "team@phys.test", "bob@phys.test"]);
    assert_eq!(rights(&house, "bob@phys.test"), None);
    // His rights on the group's mailboxes went with him; those that ada gave him did not.
    let text = house.json(&["acl", "list", "team@phys.test"]).to_string();
    assert!(!text.contains("bob@") && text.contains("ada@"), "{text}");
    assert!(
        house
            .json(&["acl", "list", "ada@phys.test"])
            .to_string()
            .contains("bob@")
    );
}

#[test]
fn what_is_not_possible_says_so() {
    let house = House::new(&[("smtp", "")], "");
    house.account("ada@phys.test");
    house.ok(&["group", "add", "team@phys.test"]);
    let cases: [(&[&str], &str); 6] = [
        (&["group", "add", "ada@phys.test"], "is taken"),
        (&["group", "join", "ada@phys.test", "ada@phys.test"], "ada@phys.test"),
        (
            &["group", "join", "team@phys.test", "nobody@phys.test"],
            "nobody@phys.test",
        ),
        (
            &["acl", "set", "ada@phys.test", "Nowhere", "anyone", "read"],
            "no mailbox Nowhere",
        ),
        (
            &["acl", "set", "ada@phys.test", "INBOX", "nobody", "read"],
            "nobody of the name nobody",
        ),
        (&["acl", "set", "ada@phys.test", "INBOX", "anyone", "lrz"], "z"),
    ];
    for (arguments, wanted) in cases {
        let output = house.run(arguments, "");
        let code = output.status.code().unwrap();
        assert!(code == 1 || code == 2, "{arguments:?}: {code}");
        let said = fails(&output, code);
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}
