//! Dovecot's ACL plugin as a second opinion: with the same rights on somebody else's mailbox, the same commands are allowed (RFC 4314 §4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::path::Path;

use e2e::{ADA, BOB, Dovecot, Imap, Server, installed, is_root, run, skipped};

/// Dovecot's `imap` for one person, with a namespace of what others share.
fn session(folder: &Path, user: &str) -> Dovecot {
    Dovecot::over(&folder.join(format!("{user}.conf")), &folder.join(user), user)
}

fn configure(folder: &Path) {
    for user in ["ada", "bob"] {
        std::fs::create_dir_all(folder.join(user)).unwrap();
    }
    let dir = folder.display();
    // A namespace of type `shared` would ask Dovecot's login service for ada: to bob her mailboxes are a public one with her lists.
    let others = format!(
        "namespace {{\n  type = public\n  separator = /\n  prefix = Other Users/ada/\n  location = mdbox:{dir}/ada/mail\n  \
         subscriptions = no\n  list = children\n}}\n"
    );
    for (user, more) in [("ada", ""), ("bob", others.as_str())] {
        let text = format!(
            "mail_location = mdbox:{dir}/{user}/mail\nmail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 1\nssl = no\n\
             mail_fsync = never\nlog_path = {dir}/log\nmail_plugins = acl imap_acl\n\
             namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n{more}\
             plugin {{\n  acl = vfile:cache_secs=0\n}}\n"
        );
        std::fs::write(folder.join(format!("{user}.conf")), text).unwrap();
    }
    std::fs::write(folder.join("log"), "").unwrap();
    run("chown", ["-R", "nobody", folder.to_str().unwrap()]);
}

/// What is done with the mailbox `%`, each from the same beginning.
const COMMANDS: [&str; 14] = [
    "STATUS % (MESSAGES)",
    "SELECT %",
    "EXAMINE %",
    "SELECT %; FETCH 1 FLAGS",
    "SELECT %; STORE 1 +FLAGS (\\Seen)",
    "SELECT %; STORE 1 +FLAGS (\\Flagged)",
    "SELECT %; STORE 1 +FLAGS (\\Deleted)",
    "SELECT %; EXPUNGE",
    "SELECT %; COPY 1 INBOX",
    "SELECT INBOX; COPY 1 %",
    "GETACL %",
    "MYRIGHTS %",
    "LISTRIGHTS % @",
    "SETACL % @ $",
];

/// Where the two differ, and why. (rights that are there, rights that are not, command): the answers of both are right.
fn excused(rights: &str, command: &str) -> Option<&'static str> {
    let has = |right| rights.contains(right);
    match command {
        // RFC 4314 §4: with one of the rights r, i, k, l … MYRIGHTS may be answered; Dovecot wants l and ours any.
        "MYRIGHTS %" if !has('l') => Some("who may do something may ask what"),
        // §4: STORE of a flag that may not be set is refused or passed over.
        command if command.contains("STORE") => {
            let (_, right) = [("Seen", 's'), ("Flagged", 'w'), ("Deleted", 't')]
                .into_iter()
                .find(|(flag, _)| command.contains(flag))?;
            (!has(right)).then_some("a flag that may not be set: refused by one, passed over by the other")
        }
        // §4 says the right e; Dovecot says yes to who takes nothing away.
        "SELECT %; EXPUNGE" if !has('e') => Some("EXPUNGE of nothing: allowed by one, refused by the other"),
        // §4 wants the right r; Dovecot is content with l.
        "STATUS % (MESSAGES)" if !has('r') => Some("how many messages there are, is for readers"),
        // §4 wants the right a; Dovecot does not.
        "LISTRIGHTS % @" if !has('a') => Some("LISTRIGHTS is for administrators"),
        _ => None,
    }
}

fn ask(imap: &mut Imap, (mailbox, bob): (&str, &str), rights: &str, commands: &str) -> Vec<bool> {
    let mut outcome = Vec::new();
    for command in commands.split("; ") {
        let command = command.replace('%', &format!("\"{mailbox}\""));
        let ok = imap
            .command(&command.replace(" @", &format!(" {bob}")).replace('$', rights))
            .ok();
        outcome.push(ok);
        if !ok {
            break;
        }
    }
    if outcome.first() == Some(&true) && (commands.starts_with("SELECT") || commands.starts_with("EXAMINE")) {
        imap.ok("UNSELECT");
    }
    outcome
}

#[test]
fn the_same_rights_allow_the_same() {
    if !installed(&["doveadm", "chown"]) {
        return;
    }
    if !is_root() {
        return skipped("Dovecot wants to change its user");
    }
    if !Path::new("/usr/lib/dovecot/modules/lib02_imap_acl_plugin.so").exists() {
        return skipped("Dovecot has no ACL plugin here");
    }
    let server = Server::start();
    let folder = server.folder().join("dovecot");
    configure(&folder);
    run("chmod", ["755", server.folder().to_str().unwrap()]);
    let mut ada = session(&folder, "ada");
    let (mut our_ada, mut our_bob) = (server.imap(ADA), server.imap(BOB));
    let ours = format!("Other Users/{ADA}/Shared");
    for owner in [&mut ada.imap, &mut our_ada] {
        owner.ok("CREATE Shared");
        for _ in 0..3 {
            assert!(owner.append("Shared", "", b"Subject: x\r\n\r\nx\r\n").ok());
        }
    }
    for other in [&mut session(&folder, "bob").imap, &mut our_bob] {
        assert!(other.append("INBOX", "", b"Subject: y\r\n\r\ny\r\n").ok());
    }
    let mut differences = Vec::new();
    for rights in [
        "lr",
        "l",
        "r",
        "lrs",
        "lrw",
        "lrt",
        "lre",
        "lrte",
        "lri",
        "li",
        "lra",
        "la",
        "lrswite",
        "lrswitekxa",
        "lp",
    ] {
        ada.imap.ok(&format!("SETACL Shared bob {rights}"));
        our_ada.ok(&format!("SETACL Shared {BOB} {rights}"));
        // Who is there keeps the rights it came with.
        let mut bob = session(&folder, "bob");
        for command in COMMANDS {
            let theirs = ask(&mut bob.imap, ("Other Users/ada/Shared", "bob"), rights, command);
            let here = ask(&mut our_bob, (&ours, BOB), rights, command);
            if theirs != here && excused(rights, command).is_none() {
                differences.push(format!("{rights}: {command}: Dovecot {theirs:?}, ours {here:?}"));
            }
        }
    }
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    assert!(differences.is_empty(), "{differences:#?}\n{log}");
}
