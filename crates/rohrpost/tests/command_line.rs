//! Commands as people type them, with and without a running server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{House, command, fails};

#[test]
fn commands_do_the_same_with_and_without_a_server() {
    let mut house = House::new(&[("smtp", "")], "");
    house.account("ada@phys.test");
    house.ok(&["alias", "add", "physics@phys.test", "ada@phys.test", "else@where.test"]);
    let lists: [&[&str]; 4] = [
        &["account", "list"],
        &["alias", "list"],
        &["domain", "list"],
        &["queue", "list"],
    ];
    let before = lists.map(|list| (house.ok(list), house.json(list)));
    house.start();
    let during = lists.map(|list| (house.ok(list), house.json(list)));
    assert_eq!(before, during);

    house.account("bob@phys.test");
    house.ok(&["account", "quota", "bob@phys.test", "5GiB", "--messages", "1000"]);
    // What is not named stays as it is.
    house.ok(&["account", "quota", "bob@phys.test", "5MiB"]);
    house.ok(&["account", "address", "add", "bob@phys.test", "robert@phys.test"]);
    house.ok(&["account", "disable", "ada@phys.test"]);
    house.ok(&["domain", "catch-all", "phys.test", "bob@phys.test"]);
    let changed = lists.map(|list| house.json(list));
    house.stop();
    assert_eq!(changed, lists.map(|list| house.json(list)));

    let shown = house.json(&["account", "show", "robert@phys.test"]);
    assert_eq!(
        (&shown["address"], &shown["quota"], &shown["quota_messages"]),
        (&"bob@phys.test".into(), &5_242_880.into(), &1000.into())
    );
    assert_eq!(house.json(&["account", "list"])[0]["state"], "disabled");
    assert_eq!(house.json(&["domain", "list"])[0]["catch_all"], "bob@phys.test");
}

#[test]
fn faults_say_what_to_do_and_set_the_exit_code() {
    let house = House::new(&[("smtp", "")], "");
    house.account("ada@phys.test");
    for (arguments, exit, wanted) in [
        (
            vec!["account", "show", "nobody@phys.test"],
            1,
            "`rohrpost account list` shows all of them",
        ),
        (vec!["account", "add", "ada@phys.test"], 1, "is taken"),
        (
            vec!["account", "add", "ada@other.test"],
            1,
            "rohrpost domain add other.test",
        ),
        (vec!["account", "add", "not an address"], 2, "is not an address"),
        (
            vec!["account", "delete", "ada@phys.test"],
            2,
            "say --yes if it is meant",
        ),
        (
            vec!["account", "quota", "ada@phys.test", "much"],
            2,
            "does not begin with a whole number",
        ),
        (
            vec!["account", "quota", "ada@phys.test", "none", "--messages", "few"],
            2,
            "neither a number nor \"none\"",
        ),
        (
            vec!["queue", "show", "1K0ZJWM2PET00"],
            1,
            "there is no message 1K0ZJWM2PET00",
        ),
        (
            vec!["trace", "--fate", "eaten"],
            2,
            "one of delivered, relayed, expanded",
        ),
        (vec!["trace", "--since", "someday"], 2, "how long ago"),
        (vec!["account", "frobnicate"], 2, "unrecognized subcommand"),
    ] {
        let told = fails(&house.run(&arguments, ""), exit);
        assert!(told.contains(wanted), "{arguments:?}: {told}");
    }
    let told = fails(
        &house.run(&["account", "passwd", "ada@phys.test", "--password-stdin"], "\n"),
        2,
    );
    assert!(told.contains("no password on standard input"), "{told}");
}

#[test]
fn settings_are_found_and_their_faults_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command().current_dir(folder.path()).args(arguments).output().unwrap();
    let told = fails(&run(&["account", "list"]), 2);
    assert!(told.contains("rohrpost init"), "{told}");
    std::fs::write(folder.path().join("rohrpost.toml"), "hostnam = \"x\"\n").unwrap();
    let told = fails(&run(&["serve"]), 2);
    assert!(
        told.contains("rohrpost.toml:1: there is no key hostnam; did you mean hostname?"),
        "{told}"
    );
    let told = fails(&run(&["-c", "elsewhere.toml", "serve"]), 2);
    assert!(told.contains("elsewhere.toml: there is no such file"), "{told}");
}

#[test]
fn init_makes_a_house_that_check_finds_sound() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command().current_dir(folder.path()).args(arguments).output().unwrap();
    let made = run(&["init", "--domain", "phys.test", "--data", "data"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told = String::from_utf8(made.stdout).unwrap();
    for wanted in [
        "postmaster@phys.test",
        "MX     10 mail.phys.test.",
        "v=spf1",
        "v=DMARC1",
        "_submissions._tcp.phys.test.",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    let told = fails(&run(&["init", "--domain", "phys.test", "--data", "data"]), 1);
    assert!(told.contains("is there already"), "{told}");

    let checked = run(&["check", "--offline", "--json"]);
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&checked.stdout).unwrap();
    for (about, verdict) in [("settings", "ok"), ("data", "ok"), ("clock", "ok")] {
        assert!(
            findings.iter().any(|f| f["about"] == about && f["verdict"] == verdict),
            "{about}: {findings:?}"
        );
    }
    assert!(
        findings.iter().any(|f| f["what"] == "names mail.phys.test"),
        "{findings:?}"
    );
    let listed = run(&["account", "list", "--json"]);
    let accounts: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(accounts[0]["address"], "postmaster@phys.test");
    assert_eq!(accounts[0]["admin"], true);
}

#[test]
fn init_says_or_sets_how_to_get_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command().current_dir(folder.path()).args(arguments).output().unwrap();
    for (name, more, wanted) in [
        ("by-hand", &[][..], "self-signed. For real ones"),
        (
            "by-acme",
            &["--acme"][..],
            "come from Let's Encrypt once the server runs",
        ),
    ] {
        let file = format!("{name}.toml");
        let init = ["-c", &file, "init", "--domain", "phys.test", "--data", name];
        let made = run(&[&init, more].concat());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let told = String::from_utf8(made.stdout).unwrap();
        // The hash of the key that it will have.
        assert!(told.contains(wanted) && told.contains("TLSA   3 1 1 "), "{told}");
        let text = std::fs::read_to_string(folder.path().join(&file)).unwrap();
        for listener in ["\"http\"\nbind = \"[::]:80\"", "\"https\"\nbind = \"[::]:443\""] {
            assert!(text.contains(listener), "{text}");
        }
        let checked = run(&["-c", &file, "check", "--offline", "--json"]);
        let findings: Vec<serde_json::Value> = serde_json::from_slice(&checked.stdout).unwrap();
        let settings = findings.iter().find(|f| f["about"] == "settings").unwrap();
        assert_eq!(settings["verdict"], "ok", "{findings:?}");
    }
    // What it says to do by hand, does.
    let file = folder.path().join("by-hand.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replace("\n# [acme]\n", "\n[acme]\n")
        .replace("\n# directory = ", "\ndirectory = ")
        .replace("\n# agree = ", "\nagree = ")
        .replace("\n[tls]\n", "\n# [tls]\n")
        .replace("\ncertificate = ", "\n# certificate = ")
        .replace("\nkey = ", "\n# key = ");
    std::fs::write(&file, text).unwrap();
    let checked = run(&["-c", "by-hand.toml", "check", "--offline"]);
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(
        told.contains("settings") && !told.contains("acme.") && !told.contains("[acme] gets"),
        "{told}"
    );
}
