//! Who gets in, and for how long that is remembered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;

use common::{add, cheap, database, open};
use directory::{Directory, Limits, NewAccount, Options};
use std::time::Duration;

#[test]
fn logins() {
    let (_dir, d) = open(Options::default());
    let ada = add(&d, "ada@phys.example", "grün 🔑");
    let bob = add(&d, "bob@phys.example", "secret");
    d.address_add(ada, "a.l@phys.example").unwrap();
    d.alias_add("dean@phys.example", &["ada@phys.example"]).unwrap();
    let silent = d
        .account_add(&NewAccount {
            address: "silent@phys.example",
            ..NewAccount::default()
        })
        .unwrap();
    let long = "x".repeat(2000);
    let table: &[(&str, &[u8], _)] = &[
        ("ada@phys.example", "grün 🔑".as_bytes(), Some(ada)),
        ("ADA@Phys.Example", "gru\u{308}n\u{A0}🔑".as_bytes(), Some(ada)),
        ("a.l@phys.example", "grün 🔑".as_bytes(), Some(ada)),
        ("ada@phys.example", b"grun", None),
        ("ada@phys.example", b"", None),
        ("ada@phys.example", b"\xFF", None),
        ("ada@phys.example", b"secret", None),
        ("ada@phys.example", long.as_bytes(), None),
        ("bob@phys.example", b"secret", Some(bob)),
        ("bob@phys.example", b"Secret", None),
        ("bob@phys.example", b"secret ", None),
        ("bob+x@phys.example", b"secret", None),
        ("bob", b"secret", None),
        ("", b"secret", None),
        ("dean@phys.example", "grün 🔑".as_bytes(), None),
        ("nobody@phys.example", b"secret", None),
        ("bob@other.example", b"secret", None),
        ("silent@phys.example", b"", None),
        ("silent@phys.example", b"x", None),
    ];
    for round in 0..2 {
        for (user, password, expected) in table {
            assert_eq!(
                d.password_verify(user, password).unwrap(),
                *expected,
                "{user} {password:?} round {round}"
            );
            assert_eq!(
                d.password_cached(user, password),
                *expected,
                "cached: {user} {password:?}"
            );
        }
    }
    d.account_passwd(silent, b"x").unwrap();
    assert_eq!(d.password_verify("silent@phys.example", b"x").unwrap(), Some(silent));
}

#[test]
fn what_is_remembered_ends_with_the_password() {
    let (_dir, d) = open(cheap());
    let ada = add(&d, "ada@phys.example", "one");
    let user = "ada@phys.example";
    assert_eq!(
        d.password_cached(user, b"one"),
        None,
        "nothing is remembered that was not verified"
    );
    assert_eq!(d.password_verify(user, b"one").unwrap(), Some(ada));
    assert_eq!(d.password_cached(user, b"one"), Some(ada));
    assert_eq!(d.password_verify(user, b"wrong").unwrap(), None);
    assert_eq!(
        d.password_cached(user, b"one"),
        Some(ada),
        "a wrong guess does not cost the owner his place"
    );

    d.account_passwd(ada, b"two").unwrap();
    assert_eq!(d.password_cached(user, b"one"), None);
    assert_eq!(d.password_verify(user, b"one").unwrap(), None);
    assert_eq!(d.password_verify(user, b"two").unwrap(), Some(ada));
    d.account_passwd(ada, b"two").unwrap();
    assert_eq!(d.password_cached(user, b"two"), None, "also when it is set to the same");

    assert_eq!(d.password_verify(user, b"two").unwrap(), Some(ada));
    d.account_disable(ada).unwrap();
    assert_eq!(
        (
            d.password_cached(user, b"two"),
            d.password_verify(user, b"two").unwrap()
        ),
        (None, None)
    );
    d.account_enable(ada).unwrap();
    assert_eq!(
        (
            d.password_cached(user, b"two"),
            d.password_verify(user, b"two").unwrap()
        ),
        (None, Some(ada))
    );

    d.account_delete(ada).unwrap();
    assert_eq!(
        (
            d.password_cached(user, b"two"),
            d.password_verify(user, b"two").unwrap()
        ),
        (None, None)
    );
    let next = add(&d, user, "three");
    assert_eq!(
        (
            d.password_cached(user, b"two"),
            d.password_verify(user, b"two").unwrap()
        ),
        (None, None)
    );
    assert_eq!(d.password_verify(user, b"three").unwrap(), Some(next));
    d.quota_set(next, Some(1), None).unwrap();
    assert_eq!(
        d.password_cached(user, b"three"),
        Some(next),
        "other changes don't cost anybody his place"
    );
}

#[test]
fn a_password_changed_elsewhere_ends_here_on_reload() {
    let (dir, here) = open(cheap());
    let ada = add(&here, "ada@phys.example", "one");
    assert_eq!(here.password_verify("ada@phys.example", b"one").unwrap(), Some(ada));
    let there = Directory::open_with(database(&dir), cheap()).unwrap();
    there.account_passwd(ada, b"two").unwrap();
    here.reload().unwrap();
    assert_eq!(here.password_cached("ada@phys.example", b"one"), None);
    assert_eq!(here.password_verify("ada@phys.example", b"two").unwrap(), Some(ada));
}

#[test]
fn an_old_password_never_gets_in_after_a_change_whatever_runs_beside_it() {
    let (_dir, d) = open(cheap());
    let ada = add(&d, "ada@phys.example", "pw 0");
    let done = &std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let d = d.clone();
            scope.spawn(move || {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    for n in 0..20 {
                        d.password_verify("ada@phys.example", format!("pw {n}").as_bytes())
                            .unwrap();
                    }
                }
            });
        }
        for n in 1..20 {
            d.account_passwd(ada, format!("pw {n}").as_bytes()).unwrap();
            for old in 0..n {
                assert_eq!(
                    d.password_cached("ada@phys.example", format!("pw {old}").as_bytes()),
                    None,
                    "{old} after {n}"
                );
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(d.password_verify("ada@phys.example", b"pw 19").unwrap(), Some(ada));
    assert_eq!(d.password_verify("ada@phys.example", b"pw 18").unwrap(), None);
}

#[test]
fn remembered_logins_run_out() {
    let limits = Limits {
        login_cached_for: Duration::ZERO,
        ..Limits::default()
    };
    let (_dir, d) = open(Options { limits, ..cheap() });
    let ada = add(&d, "ada@phys.example", "pw");
    assert_eq!(d.password_verify("ada@phys.example", b"pw").unwrap(), Some(ada));
    assert_eq!(d.password_cached("ada@phys.example", b"pw"), None);
}

#[test]
fn scram_credentials_are_real_or_steadily_made_up() {
    let (dir, d) = open(cheap());
    let ada = add(&d, "ada@phys.example", "pencil");
    let hashes = [sasl::ScramHash::Sha1, sasl::ScramHash::Sha256];
    for hash in hashes {
        let (credentials, account) = d.scram("ADA@phys.example", hash);
        assert_eq!(account, Some(ada));
        let iterations = std::num::NonZeroU32::new(credentials.iterations).unwrap();
        assert_eq!(
            credentials,
            sasl::ScramCredentials::derive(hash, b"pencil", &credentials.salt, iterations)
        );
        made_up_credentials(&d, &dir, hash, &credentials);
    }
    d.account_disable(ada).unwrap();
    assert_eq!(d.scram("ada@phys.example", hashes[0]).1, None);
    assert_eq!(d.scram("ada@phys.example", hashes[1]).1, None);
}

fn made_up_credentials(
    d: &Directory,
    dir: &tempfile::TempDir,
    hash: sasl::ScramHash,
    credentials: &sasl::ScramCredentials,
) {
    let (made_up, nobody) = d.scram("nobody@phys.example", hash);
    assert_eq!(nobody, None);
    assert_eq!(
        (made_up.salt.len(), made_up.iterations),
        (credentials.salt.len(), credentials.iterations),
        "they look alike"
    );
    assert_eq!(
        d.scram("Nobody@PHYS.example", hash).0,
        made_up,
        "the same however it is written"
    );
    assert_ne!(d.scram("nobody2@phys.example", hash).0, made_up);
    assert_eq!(
        Directory::open_with(database(dir), cheap())
            .unwrap()
            .scram("nobody@phys.example", hash)
            .0,
        made_up,
        "after a restart too"
    );
}

#[test]
fn nothing_stored_holds_the_password() {
    let (dir, d) = open(cheap());
    add(&d, "ada@phys.example", "correct horse battery");
    drop(d);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(21).any(|w| w == b"correct horse battery"));
    }
}
