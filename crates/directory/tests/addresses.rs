//! Where addresses lead: accounts, subaddresses, aliases, loops, catch-alls, postmaster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;

use common::{add, cheap, database, open};
use directory::{AccountId, Directory, Error, Final, Limits, NewAccount, Options, Resolution};

/// A resolution in one line.
fn told(directory: &Directory, address: &str) -> String {
    match directory.resolve(address) {
        Resolution::Account {
            account,
            address,
            subaddress,
        } => match subaddress {
            Some(subaddress) => format!("{account} {address} [{subaddress}]"),
            None => format!("{account} {address}"),
        },
        Resolution::Alias { name, targets } => format!("{name} -> {}", targets.join(" ")),
        Resolution::Disabled { account } => format!("disabled {account}"),
        other => format!("{other:?}"),
    }
}

fn expanded(directory: &Directory, address: &str) -> String {
    let e = directory.expand(address);
    let mut parts: Vec<String> = e
        .finals
        .iter()
        .map(|f| match f {
            Final::Account {
                account, subaddress, ..
            } => format!(
                "{account}{}",
                subaddress.as_ref().map_or(String::new(), |s| format!("[{s}]"))
            ),
            Final::Remote(address) => address.clone(),
        })
        .collect();
    parts.extend(e.loops.iter().map(|l| format!("loop {l}")));
    parts.extend(e.unknown.iter().map(|u| format!("unknown {u}")));
    parts.extend(e.disabled.iter().map(|d| format!("disabled {d}")));
    parts.extend(e.cut.then(|| "cut".to_owned()));
    parts.join(", ")
}

fn check(directory: &Directory, table: &[(&str, &str)]) {
    for (address, expected) in table {
        assert_eq!(told(directory, address), *expected, "{address}");
    }
}

#[test]
fn accounts_and_subaddresses() {
    let (_dir, d) = open(cheap());
    d.domain_add("Bücher.example").unwrap();
    let ada = add(&d, "Ada@Phys.Example", "pw");
    d.address_add(ada, "\"ada lovelace\"@phys.example").unwrap();
    d.address_add(ada, "jürgen@bücher.example").unwrap();
    add(&d, "ada+lists@phys.example", "pw");
    let bob = add(&d, "bob@phys.example", "pw");
    d.account_disable(bob).unwrap();
    check(
        &d,
        &[
            ("ada@phys.example", "1 ada@phys.example"),
            ("ADA@PHYS.EXAMPLE", "1 ada@phys.example"),
            ("\"ada\"@phys.example", "1 ada@phys.example"),
            ("ada@phys.example.", "1 ada@phys.example"),
            ("ada+Work@phys.example", "1 ada@phys.example [Work]"),
            ("ada+a+b@phys.example", "1 ada@phys.example [a+b]"),
            ("ada+@phys.example", "1 ada@phys.example"),
            ("ada+Lists@phys.example", "2 ada+lists@phys.example"),
            ("ada+lists+x@phys.example", "2 ada+lists@phys.example [x]"),
            ("\"Ada Lovelace\"@phys.example", "1 \"ada lovelace\"@phys.example"),
            (
                "\"ada lovelace+x y\"@phys.example",
                "1 \"ada lovelace\"@phys.example [x y]",
            ),
            ("JU\u{308}RGEN@xn--bcher-kva.example", "1 jürgen@xn--bcher-kva.example"),
            ("jürgen+ü@BÜCHER.example", "1 jürgen@xn--bcher-kva.example [ü]"),
            ("bob@phys.example", "disabled 3"),
            ("bob+x@phys.example", "disabled 3"),
            ("+x@phys.example", "Unknown"),
            ("nobody@phys.example", "Unknown"),
            ("nobody+ada@phys.example", "Unknown"),
            ("a b@phys.example", "Unknown"),
            ("ada", "Unknown"),
            ("", "Unknown"),
            ("@phys.example", "Unknown"),
            ("ada@sub.phys.example", "Remote"),
            ("ada@other.example", "Remote"),
            ("a b@other.example", "Remote"),
            ("ada@[127.0.0.1]", "Remote"),
            ("ada@phys..example", "Remote"),
        ],
    );
    let other = Directory::open_with(
        database(&_dir),
        Options {
            subaddress_separator: None,
            ..cheap()
        },
    )
    .unwrap();
    assert_eq!(told(&other, "ada+work@phys.example"), "Unknown");
    let minus = Directory::open_with(
        database(&_dir),
        Options {
            subaddress_separator: Some('-'),
            ..cheap()
        },
    )
    .unwrap();
    assert_eq!(told(&minus, "ada-work@phys.example"), "1 ada@phys.example [work]");
}

#[test]
fn aliases_nested_looping_and_broken() {
    let (_dir, d) = open(Options {
        limits: Limits {
            alias_depth: 5,
            expansion: 8,
            ..Limits::default()
        },
        ..cheap()
    });
    add(&d, "ada@phys.example", "pw");
    add(&d, "bob@phys.example", "pw");
    let eve = add(&d, "eve@phys.example", "pw");
    d.account_disable(eve).unwrap();
    let aliases: &[(&str, &[&str])] = &[
        (
            "Staff@phys.example",
            &["ada@phys.example", "bob@phys.example", "ADA@phys.example"],
        ),
        (
            "all@phys.example",
            &["staff@phys.example", "Guest.X@Other.example", "staff@phys.example"],
        ),
        ("self@phys.example", &["self@phys.example"]),
        ("ping@phys.example", &["pong@phys.example", "ada+ping@phys.example"]),
        ("pong@phys.example", &["Ping+x@phys.example"]),
        (
            "half@phys.example",
            &["gone@phys.example", "eve@phys.example", "bob@phys.example"],
        ),
        ("d1@phys.example", &["d2@phys.example"]),
        ("d2@phys.example", &["d3@phys.example"]),
        ("d3@phys.example", &["d4@phys.example"]),
        ("d4@phys.example", &["d5@phys.example"]),
        ("d5@phys.example", &["d6@phys.example"]),
        ("d6@phys.example", &["ada@phys.example"]),
        (
            "many@phys.example",
            &[
                "1@x.example",
                "2@x.example",
                "3@x.example",
                "4@x.example",
                "5@x.example",
                "6@x.example",
                "7@x.example",
                "8@x.example",
                "9@x.example",
            ],
        ),
    ];
    for (name, targets) in aliases {
        d.alias_add(name, targets).unwrap();
    }
    check(
        &d,
        &[
            (
                "staff@phys.example",
                "staff@phys.example -> ada@phys.example bob@phys.example ADA@phys.example",
            ),
            (
                "STAFF+urgent@phys.example",
                "staff@phys.example -> ada@phys.example bob@phys.example ADA@phys.example",
            ),
            (
                "all@phys.example",
                "all@phys.example -> staff@phys.example Guest.X@other.example",
            ),
        ],
    );
    for (address, expected) in [
        ("ada@phys.example", "1"),
        ("ada+x@phys.example", "1[x]"),
        ("staff@phys.example", "1, 2"),
        ("all@phys.example", "1, 2, Guest.X@other.example"),
        ("self@phys.example", "loop self@phys.example → self@phys.example"),
        (
            "ping@phys.example",
            "1[ping], loop ping@phys.example → pong@phys.example → ping@phys.example",
        ),
        ("half@phys.example", "2, unknown gone@phys.example, disabled 3"),
        ("d2@phys.example", "1"),
        ("d1@phys.example", "cut"),
        (
            "many@phys.example",
            "1@x.example, 2@x.example, 3@x.example, 4@x.example, 5@x.example, 6@x.example, 7@x.example, 8@x.example, cut",
        ),
        ("x@other.example", "x@other.example"),
    ] {
        assert_eq!(expanded(&d, address), expected, "{address}");
    }
    d.alias_set("staff@phys.example", &["bob@phys.example"]).unwrap();
    assert_eq!(expanded(&d, "all@phys.example"), "2, Guest.X@other.example");
    d.alias_remove("STAFF@phys.example").unwrap();
    assert_eq!(told(&d, "staff@phys.example"), "Unknown");
    assert_eq!(d.alias_list().len(), aliases.len() - 1);
    assert!(matches!(
        d.alias_remove("staff@phys.example"),
        Err(Error::NoSuchAlias(_))
    ));
    assert!(matches!(d.alias_remove("ada@phys.example"), Err(Error::NoSuchAlias(_))));
    assert!(matches!(d.alias_add("none@phys.example", &[]), Err(Error::NoTargets)));
    assert!(matches!(
        d.alias_add("x@other.example", &["ada@phys.example"]),
        Err(Error::NoSuchDomain(_))
    ));
    assert!(matches!(
        d.alias_add("ADA@phys.example", &["bob@phys.example"]),
        Err(Error::AddressTaken(_))
    ));
    assert!(matches!(
        d.alias_add("x@phys.example", &["bob"]),
        Err(Error::Address { .. })
    ));
}

#[test]
fn catch_all_comes_last() {
    let (_dir, d) = open(cheap());
    d.domain_add("chem.example").unwrap();
    add(&d, "ada@phys.example", "pw");
    let bob = add(&d, "bob@phys.example", "pw");
    add(&d, "carol@chem.example", "pw");
    d.account_disable(bob).unwrap();
    d.alias_add("staff@phys.example", &["ada@phys.example"]).unwrap();
    let set = |domain, target: &str| d.catch_all_set(domain, (!target.is_empty()).then_some(target)).unwrap();
    set("PHYS.example", "Carol+lost@Chem.example");
    check(
        &d,
        &[
            ("ada+x@phys.example", "1 ada@phys.example [x]"),
            ("bob@phys.example", "disabled 2"),
            ("staff+x@phys.example", "staff@phys.example -> ada@phys.example"),
            ("nobody@phys.example", "3 carol@chem.example [lost]"),
            ("nobody+x@phys.example", "3 carol@chem.example [lost]"),
            ("postmaster@phys.example", "3 carol@chem.example [lost]"),
            ("nobody@chem.example", "Unknown"),
        ],
    );
    for (target, expected) in [
        ("Box@Other.example", "@phys.example -> Box@other.example"),
        ("staff@phys.example", "staff@phys.example -> ada@phys.example"),
        ("bob@phys.example", "disabled 2"),
        ("missing@phys.example", "Unknown"),
        ("missing@chem.example", "Unknown"),
        ("", "Unknown"),
    ] {
        set("phys.example", target);
        set("chem.example", "missing@phys.example");
        assert_eq!(told(&d, "nobody@phys.example"), expected, "{target}");
    }
    assert!(matches!(
        d.catch_all_set("other.example", None),
        Err(Error::NoSuchDomain(_))
    ));
}

#[test]
fn postmaster_and_abuse_always_reach_somebody() {
    let (dir, d) = open(cheap());
    check(&d, &[("postmaster@phys.example", "Unknown"), ("postmaster", "Unknown")]);
    let ada = add(&d, "ada@phys.example", "pw");
    let bob = add(&d, "bob@phys.example", "pw");
    d.account_admin_set(ada, true).unwrap();
    d.account_admin_set(bob, true).unwrap();
    d.catch_all_set("phys.example", Some("bob@phys.example")).unwrap();
    check(
        &d,
        &[
            ("postmaster@phys.example", "1 ada@phys.example"),
            ("PostMaster@phys.example", "1 ada@phys.example"),
            ("abuse@phys.example", "1 ada@phys.example"),
            ("abuse+x@phys.example", "1 ada@phys.example"),
            ("Postmaster", "1 ada@phys.example"),
            ("postmaster@other.example", "Remote"),
        ],
    );
    d.account_disable(ada).unwrap();
    check(
        &d,
        &[
            ("postmaster@phys.example", "2 bob@phys.example"),
            ("postmaster", "2 bob@phys.example"),
        ],
    );
    // An alias has it, as long as it leads to somebody.
    d.alias_add("postmaster@phys.example", &["abuse@phys.example"]).unwrap();
    d.alias_add("abuse@phys.example", &["postmaster@phys.example"]).unwrap();
    check(
        &d,
        &[
            ("postmaster@phys.example", "2 bob@phys.example"),
            ("abuse@phys.example", "2 bob@phys.example"),
        ],
    );
    assert!(expanded(&d, "postmaster@phys.example").starts_with("2, loop"));
    d.alias_set("abuse@phys.example", &["gone@other.example"]).unwrap();
    check(
        &d,
        &[(
            "postmaster@phys.example",
            "postmaster@phys.example -> abuse@phys.example",
        )],
    );
    assert_eq!(expanded(&d, "postmaster@phys.example"), "gone@other.example");
    d.alias_set("abuse@phys.example", &["ada@phys.example"]).unwrap();
    check(&d, &[("abuse@phys.example", "2 bob@phys.example")]);
    d.alias_remove("postmaster@phys.example").unwrap();
    // An account of that name that is disabled.
    let keeper = add(&d, "postmaster@phys.example", "pw");
    check(&d, &[("postmaster@phys.example", "3 postmaster@phys.example")]);
    d.account_disable(keeper).unwrap();
    check(&d, &[("postmaster@phys.example", "2 bob@phys.example")]);
    // The one set in the options goes before the admins.
    let carol = add(&d, "carol@phys.example", "pw");
    let set = Directory::open_with(
        database(&dir),
        Options {
            postmaster: Some("Carol@phys.example".into()),
            ..cheap()
        },
    )
    .unwrap();
    check(
        &set,
        &[
            ("postmaster@phys.example", "4 carol@phys.example"),
            ("postmaster", "4 carol@phys.example"),
        ],
    );
    set.account_disable(carol).unwrap();
    check(&set, &[("postmaster@phys.example", "2 bob@phys.example")]);
}

#[test]
fn senders() {
    let (_dir, d) = open(cheap());
    let ada = add(&d, "ada@phys.example", "pw");
    let bob = add(&d, "bob@phys.example", "pw");
    d.address_add(ada, "a.l@phys.example").unwrap();
    d.alias_add("dean@phys.example", &["ada@phys.example"]).unwrap();
    d.alias_add("staff@phys.example", &["ada@phys.example", "bob@phys.example"])
        .unwrap();
    d.alias_add("loop@phys.example", &["loop@phys.example", "ada@phys.example"])
        .unwrap();
    d.alias_add("out@phys.example", &["ada@phys.example", "x@other.example"])
        .unwrap();
    d.domain_add("lab.example").unwrap();
    d.catch_all_set("lab.example", Some("bob@phys.example")).unwrap();
    let table = [
        (ada, "ada@phys.example", true),
        (ada, "ADA+x@Phys.Example", true),
        (ada, "a.l@phys.example", true),
        (ada, "dean@phys.example", true),
        (bob, "dean@phys.example", false),
        (ada, "staff@phys.example", false),
        (ada, "loop@phys.example", false),
        (ada, "out@phys.example", false),
        (ada, "bob@phys.example", false),
        (ada, "nobody@phys.example", false),
        (ada, "ada@other.example", false),
        (ada, "", false),
        (bob, "anything@lab.example", true),
        (ada, "anything@lab.example", false),
    ];
    for (account, address, expected) in table {
        assert_eq!(d.may_send_as(account, address), expected, "{account} {address}");
    }
    d.account_disable(ada).unwrap();
    assert!(!d.may_send_as(ada, "ada@phys.example"));
}

#[test]
fn names_that_are_given_and_mail_that_is_held() {
    let (dir, d) = open(cheap());
    let ada = add(&d, "ada@phys.example", "pw");
    let bob = add(&d, "bob@phys.example", "pw");
    assert!(d.sender_add(ada, "Bob@phys.example").unwrap());
    assert!(!d.sender_add(ada, "bob@PHYS.example").unwrap());
    assert!(d.sender_add(ada, "@Übung.example").unwrap());
    assert_eq!(d.senders(ada), ["@xn--bung-zra.example", "bob@phys.example"]);
    assert_eq!(d.senders(bob), [""; 0]);
    let table = [
        (ada, "bob@phys.example", true),
        (ada, "BOB@phys.example", true),
        (ada, "anybody@übung.example", true),
        (ada, "anybody@sub.übung.example", false),
        (ada, "carol@phys.example", false),
        (bob, "ada@phys.example", false),
    ];
    for (account, address, expected) in table {
        assert_eq!(d.may_send_as(account, address), expected, "{account} {address}");
    }
    assert!(matches!(d.sender_add(ada, "nonsense"), Err(Error::Address { .. })));
    assert!(matches!(d.sender_add(ada, "@"), Err(Error::Domain { .. })));
    assert!(d.sender_remove(ada, "bob@phys.example").unwrap());
    assert!(!d.sender_remove(ada, "bob@phys.example").unwrap());

    assert!(d.sending_hold(ada, 1000, "too much").unwrap());
    assert!(!d.sending_hold(ada, 2000, "again").unwrap());
    drop(d);
    let d = Directory::open_with(database(&dir), cheap()).unwrap();
    let hold = d.sending_held(ada).unwrap();
    assert_eq!((hold.since, hold.reason.as_str()), (1000, "too much"));
    assert_eq!(d.sending_held(bob), None);
    assert!(d.sending_release(ada).unwrap());
    assert!(!d.sending_release(ada).unwrap());
    d.sending_hold(ada, 1, "x").unwrap();
    d.account_delete(ada).unwrap();
    assert_eq!((d.sending_held(ada), d.senders(ada).len()), (None, 0));
}

#[test]
fn accounts_come_change_and_go() {
    let (dir, d) = open(cheap());
    let new = NewAccount {
        address: "Ada@phys.example",
        name: "Ada Lovelace",
        quota_bytes: Some(5 << 30),
        admin: true,
        ..NewAccount::default()
    };
    let ada = d.account_add(&new).unwrap();
    let bob = add(&d, "bob@phys.example", "pw");
    let account = d.account(ada).unwrap();
    assert_eq!(
        (
            account.name.as_str(),
            account.quota_bytes,
            account.admin,
            account.disabled
        ),
        ("Ada Lovelace", Some(5 << 30), true, false)
    );
    assert!(!d.account_has_password(ada) && d.account_has_password(bob));
    d.quota_set(ada, None, Some(7)).unwrap();
    d.account_name_set(ada, "A. L.").unwrap();
    d.address_add(ada, "al@phys.example").unwrap();
    assert_eq!(
        d.account_show("AL@phys.example").unwrap().addresses,
        ["ada@phys.example", "al@phys.example"]
    );
    let quota = |d: &Directory| d.account(ada).map(|a| (a.quota_bytes, a.quota_messages)).unwrap();
    assert_eq!(quota(&d), (None, Some(7)));
    d.address_remove(ada, "ada@phys.example").unwrap();
    assert_eq!(d.account(ada).unwrap().address(), "al@phys.example");
    assert_eq!(
        d.account_list()
            .iter()
            .map(|a| a.address().to_owned())
            .collect::<Vec<_>>(),
        ["al@phys.example", "bob@phys.example"]
    );
    assert!(matches!(
        d.domain_remove("phys.example"),
        Err(Error::DomainInUse { addresses: 2, .. })
    ));

    let refused: &[(Result<(), Error>, &str)] = &[
        (
            d.address_remove(ada, "al@phys.example"),
            "al@phys.example is the account's only address; add another first, or delete the account",
        ),
        (
            d.address_remove(bob, "al@phys.example"),
            "the account has no address al@phys.example",
        ),
        (d.address_add(bob, "AL@phys.example"), "al@phys.example is taken"),
        (
            d.address_add(bob, "al@other.example"),
            "other.example is not a domain of this server; add it first: rohrpost domain add other.example",
        ),
        (
            d.address_add(AccountId(99), "x@phys.example"),
            "there is no account with id 99",
        ),
        (
            d.account_name_set(bob, "a\nb"),
            "this name can't be used: it has control characters or is longer than 255 octets",
        ),
        (
            d.account_passwd(bob, b""),
            "this password can't be used: it must be UTF-8, not empty, without control characters",
        ),
        (
            d.account_show("x@phys.example").map(|_| ()),
            "there is no account x@phys.example",
        ),
        (
            d.account_add(&new)
                .and_then(|id| d.account_add(&new).map(|_| id))
                .map(|_| ()),
            "ada@phys.example is taken",
        ),
        (
            d.domain_add("PHYS.example"),
            "phys.example is a domain of this server already",
        ),
        (
            d.domain_add("not a domain"),
            "\"not a domain\" is not a domain: the domain is not a valid name",
        ),
        (
            d.domain_remove("x.example"),
            "x.example is not a domain of this server; add it first: rohrpost domain add x.example",
        ),
    ];
    for (result, expected) in refused {
        assert_eq!(result.as_ref().unwrap_err().to_string(), *expected);
    }
    assert_eq!(
        d.account(ada).unwrap().address(),
        "al@phys.example",
        "what was refused left nothing behind"
    );

    d.account_delete(bob).unwrap();
    assert!(d.account(bob).is_none());
    assert!(matches!(d.account_delete(bob), Err(Error::NoSuchAccountId(_))));
    let again = add(&d, "bob@phys.example", "pw");
    assert!(again > bob, "ids are never given twice");
    d.account_delete(again).unwrap();
    drop(d);
    let d = Directory::open_with(database(&dir), cheap()).unwrap();
    assert!(add(&d, "bob@phys.example", "pw") > again, "not after a restart either");
}

#[test]
fn others_changes_are_seen_after_reload() {
    let (dir, here) = open(cheap());
    let there = Directory::open_with(database(&dir), cheap()).unwrap();
    add(&there, "ada@phys.example", "pw");
    assert_eq!(told(&here, "ada@phys.example"), "Unknown");
    assert!(here.reload().unwrap());
    assert_eq!(told(&here, "ada@phys.example"), "1 ada@phys.example");
    assert!(!here.reload().unwrap());
    let bob = add(&here, "bob@phys.example", "pw");
    assert_eq!(bob, AccountId(2), "two processes never give the same id");
}

#[test]
fn changes_from_many_threads_all_count() {
    let (_dir, d) = open(cheap());
    let ids = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|t| {
                let d = d.clone();
                scope.spawn(move || {
                    (0..10)
                        .map(|n| add(&d, &format!("u{t}-{n}@phys.example"), "pw"))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            while d.account_list().len() < 80 {
                // A list that was seen is whole: every account resolves.
                for account in d.account_list() {
                    assert!(matches!(d.resolve(account.address()), Resolution::Account { .. }));
                }
            }
        });
        let ids: Vec<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        reader.join().unwrap();
        ids
    });
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 80);
    assert_eq!(d.account_list().len(), 80);
}
