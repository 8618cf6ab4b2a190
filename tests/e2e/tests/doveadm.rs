//! Moving between servers: Dovecot's dsync takes an account out of ours by IMAP, and puts it into another of ours. Octets, flags, keywords
//! and dates are the same at both ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::Path;

use e2e::{ADA, BOB, PASSWORD, Server, corpus, installed, is_root, made_up, run, skipped};

/// Everything in an account, by mailbox: date, flags, octets.
fn contents(server: &Server, account: &str) -> BTreeMap<String, Vec<(String, Vec<u8>)>> {
    let mut imap = server.imap(account);
    let names: Vec<String> = imap
        .ok("LIST \"\" *")
        .into_iter()
        .filter(|line| !line.text.contains("\\NoSelect"))
        .map(|line| line.text.split(" \"/\" ").nth(1).unwrap().trim_matches('"').to_owned())
        .collect();
    let mut all = BTreeMap::new();
    for name in names {
        imap.ok(&format!("EXAMINE \"{name}\""));
        let reply = imap.command("UID FETCH 1:* (INTERNALDATE FLAGS BODY.PEEK[])");
        let mut messages: Vec<_> = reply
            .lines
            .into_iter()
            .filter_map(|mut line| {
                let octets = line.literals.pop()?;
                let text = &line.text;
                let date = &text[text.find("INTERNALDATE").unwrap()..][..42];
                let start = text.find("FLAGS (").unwrap() + 7;
                let mut flags: Vec<_> = text[start..start + text[start..].find(')').unwrap()]
                    .split(' ')
                    .filter(|flag| !flag.is_empty() && *flag != "\\Recent")
                    .collect();
                flags.sort_unstable();
                Some((format!("{date} {flags:?}"), octets))
            })
            .collect();
        messages.sort();
        all.insert(name, messages);
    }
    all
}

fn doveadm(folder: &Path, user: &str, arguments: &[&str]) {
    let home = format!("HOME={}", folder.display());
    let settings = folder.join("dovecot.conf").display().to_string();
    let (user, password) = (format!("imapc_user={user}"), format!("imapc_password={PASSWORD}"));
    let mut all = vec![
        home.as_str(),
        "USER=ada",
        "doveadm",
        "-c",
        &settings,
        "-o",
        &user,
        "-o",
        &password,
    ];
    all.extend(arguments);
    run("env", all);
}

#[test]
fn dsync_out_and_in_again() {
    if !installed(&["doveadm"]) {
        return;
    }
    if !is_root() {
        return skipped("Dovecot wants to change its user");
    }
    let server = Server::start();
    let mut ada = server.imap(ADA);
    let mail = corpus(150).unwrap_or_else(|| (0..150).map(|index| made_up(1000 + index)).collect());
    let mailboxes = ["INBOX", "Old/2002", "Gr&APwA3w-e", "Archive"];
    ada.ok("CREATE Old/2002");
    ada.ok("CREATE Gr&APwA3w-e");
    let flags = [
        "",
        "\\Seen",
        "\\Flagged \\Seen",
        "\\Answered $Forwarded",
        "\\Draft work",
        "\\Deleted",
    ];
    for (index, message) in mail.iter().enumerate() {
        let reply = ada.append(mailboxes[index % mailboxes.len()], flags[index % flags.len()], message);
        assert!(reply.ok(), "{}", reply.status);
    }
    let folder = server.folder().join("dovecot");
    std::fs::create_dir_all(folder.join("run")).unwrap();
    let dir = folder.display();
    let text = format!(
        "mail_location = mdbox:{dir}/mail\nmail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 1\nssl = no\n\
         log_path = {dir}/log\nbase_dir = {dir}/run\nimapc_host = 127.0.0.1\nimapc_port = {}\n\
         imapc_features = rfc822.size fetch-headers delay-login\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n",
        server.port("imap"),
    );
    std::fs::write(folder.join("dovecot.conf"), text).unwrap();
    std::fs::write(folder.join("log"), "").unwrap();
    run("chown", ["-R", "nobody", folder.to_str().unwrap()]);
    run("chmod", ["755", server.folder().to_str().unwrap()]);

    doveadm(&folder, ADA, &["backup", "-R", "imapc:"]);
    // Where the mailbox it writes to has the lower UIDVALIDITY, dsync wants to raise it, which no IMAP server can be told to do; it then forgets
    // what it has seen there ("UIDVALIDITY changed … reset=yes" with -D) and brings every message again. So the mailboxes that it makes
    // for Bob are made after many others have come and gone: ours count on from those.
    let mut bob = server.imap(BOB);
    for _ in 0..20 {
        bob.ok("CREATE passing");
        bob.ok("DELETE passing");
    }
    doveadm(&folder, BOB, &["sync", "-1", "imapc:"]);
    let (source, copy) = (contents(&server, ADA), contents(&server, BOB));
    assert_eq!(source.values().map(Vec::len).sum::<usize>(), mail.len());
    for (name, messages) in &source {
        let there = copy.get(name).unwrap_or_else(|| panic!("{name} did not arrive"));
        assert_eq!(there.len(), messages.len(), "{name}");
        for ((flags, octets), (there_flags, there_octets)) in messages.iter().zip(there) {
            assert_eq!(flags, there_flags, "{name}");
            assert!(octets == there_octets, "{name}: a message has changed");
        }
    }
    // Again: nothing comes twice.
    doveadm(&folder, BOB, &["sync", "-1", "imapc:"]);
    let again = contents(&server, BOB);
    for (name, messages) in &copy {
        let (now, before) = (&again[name], messages);
        assert_eq!(now.len(), before.len(), "{name}");
        for (now, before) in now.iter().zip(before) {
            assert_eq!(now.0, before.0, "{name}");
            assert!(now.1 == before.1, "{name}: a message has changed");
        }
    }
    server.assert_sound();
}
