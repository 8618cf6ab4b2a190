//! Filters at work: scripts put in by the command line or by ManageSieve, mail sent by SMTP and LMTP, what came of it, and why `trace` says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, BOB, PASSWORD, Server, Setup, Smtp, installed, run, run_unchecked, wait_for};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const SENDER: &str = "sender@elsewhere.example";

/// Puts a script into an account and makes it active.
fn filter(server: &Server, account: &str, script: &str) {
    let file = server.folder().join("script.sieve");
    std::fs::write(&file, script).unwrap();
    let ran = server.admin(&[
        "sieve",
        "put",
        "--account",
        account,
        "main",
        file.to_str().unwrap(),
        "--activate",
    ]);
    assert!(ran.success, "{}", ran.err);
}

fn send(server: &Server, from: &str, to: &[&str], message: &str) -> String {
    let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
    smtp.data(from, to, message.replace('\n', "\r\n").as_bytes())
}

/// The rows of the ledger, when none of our own is open any more.
fn settled(server: &Server) -> Vec<serde_json::Value> {
    wait_for("everything to be settled", PATIENCE, || {
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&server.admin(&["trace", "--json"]).out).unwrap();
        let open = rows.iter().any(|r| r["lane"] == "local" && r["fate"].is_null());
        (!open && !rows.is_empty()).then_some(rows)
    })
}

/// What `trace` knows of the message of that id.
fn show(server: &Server, id: &str) -> serde_json::Value {
    serde_json::from_slice(&server.admin(&["queue", "show", id, "--json"]).out).unwrap()
}

fn accepted(reply: &str) -> String {
    let id = reply.split("accepted as ").nth(1).unwrap_or_else(|| panic!("{reply}"));
    id.trim().to_owned()
}

/// The explanation of the only recipient.
fn why(server: &Server, id: &str) -> String {
    let shown = show(server, id);
    let lines = shown["recipients"][0]["why"]
        .as_array()
        .unwrap_or_else(|| panic!("{shown}"));
    lines.iter().map(|l| l.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn mailbox(server: &Server, user: &str, name: &str) -> Vec<String> {
    let mut imap = server.imap(user);
    let reply = imap.command(&format!("EXAMINE \"{name}\""));
    if !reply.ok() {
        return Vec::new();
    }
    let found = imap.messages("1:*");
    found
        .into_iter()
        .map(|m| String::from_utf8_lossy(&m).into_owned())
        .collect()
}

#[test]
fn files_where_the_script_says_and_tells_why() {
    let server = Server::start();
    filter(
        &server,
        ADA,
        "require [\"fileinto\", \"mailbox\", \"special-use\", \"imap4flags\", \"editheader\"];\n\
         if header :contains \"subject\" \"[list]\" { addflag \"\\\\Seen\"; fileinto :create \"Lists/One\"; stop; }\n\
         if header :contains \"subject\" \"viagra\" { fileinto :specialuse \"\\\\Junk\" \"Spam\"; stop; }\n\
         if header :contains \"subject\" \"nowhere\" { fileinto \"Missing\"; stop; }\n\
         if header :contains \"subject\" \"mark\" { addheader \"X-Marked\" \"yes\"; keep; stop; }\n\
         if header :contains \"subject\" \"away\" { discard; }\n",
    );
    let mut ids = Vec::new();
    for subject in [
        "[list] hello",
        "cheap viagra",
        "nowhere",
        "mark me",
        "away with it",
        "plain",
    ] {
        let reply = send(&server, SENDER, &[ADA], &format!("Subject: {subject}\n\nText.\n"));
        ids.push(accepted(&reply));
    }
    let rows = settled(&server);
    let fate = |n: usize| {
        let row = rows.iter().find(|r| r["id"] == ids[n].as_str()).unwrap();
        (
            row["fate"].as_str().unwrap().to_owned(),
            row["reason"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(fate(0), ("delivered".into(), "Sieve: into Lists/One".into()));
    assert_eq!(fate(1), ("delivered".into(), "Sieve: into Junk".into()));
    assert_eq!(fate(2), ("delivered".into(), "Sieve: into INBOX".into()));
    assert_eq!(fate(4), ("discarded".into(), "Sieve: thrown away".into()));
    assert_eq!(mailbox(&server, ADA, "Lists/One").len(), 1);
    assert_eq!(mailbox(&server, ADA, "Junk").len(), 1);
    let inbox = mailbox(&server, ADA, "INBOX");
    assert_eq!(inbox.len(), 3, "{inbox:?}");
    assert!(
        inbox
            .iter()
            .any(|m| m.contains("X-Marked: yes\r\n") && m.contains("mark me")),
        "{inbox:?}"
    );
    let explained = why(&server, &ids[0]);
    assert!(
        explained.contains("line 2") && explained.contains("[list] hello"),
        "{explained}"
    );
    assert!(
        why(&server, &ids[2]).contains("there is no mailbox \"Missing\""),
        "{}",
        why(&server, &ids[2])
    );
    let mut imap = server.imap(ADA);
    imap.ok("EXAMINE Lists/One");
    let seen = imap.ok("FETCH 1 (FLAGS)");
    assert!(format!("{seen:?}").contains("Seen"), "{seen:?}");
    server.assert_sound();
}

#[test]
fn sends_on_answers_once_and_knows_circles() {
    let server = Server::start();
    // Ada sends on to Bob and keeps nothing; Bob answers, and sends all back to Ada: a circle.
    filter(&server, ADA, &format!("redirect \"{BOB}\";\n"));
    filter(
        &server,
        BOB,
        &format!(
            "require [\"vacation\", \"copy\"];\nvacation :days 7 :addresses [\"{ADA}\"] :subject \"I am away\" \"Back on Monday.\";\n\
             redirect :copy \"{ADA}\";\n"
        ),
    );
    let message = |n: u32| {
        format!("From: <{SENDER}>\nTo: <{ADA}>\nMessage-ID: <{n}@elsewhere.example>\nSubject: hello {n}\n\nHi.\n")
    };
    let first = accepted(&send(&server, SENDER, &[ADA], &message(1)));
    settled(&server);
    let second = accepted(&send(&server, SENDER, &[ADA], &message(2)));
    let rows = settled(&server);
    // Bob has each message once; Ada got each back once and kept it, since it had gone in a circle.
    for n in [1, 2] {
        let count = |user| {
            let found = mailbox(&server, user, "INBOX");
            found
                .iter()
                .filter(|m| m.contains(&format!("Subject: hello {n}\r\n")))
                .count()
        };
        assert_eq!((count(ADA), count(BOB)), (1, 1), "message {n}\n{rows:#?}");
    }
    // One answer, to the sender, from nobody.
    let answers: Vec<_> = rows.iter().filter(|r| r["to"] == SENDER).collect();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(
        (answers[0]["from"].as_str(), answers[0]["lane"].as_str()),
        (Some("<>"), Some("remote"))
    );
    let shown = show(&server, answers[0]["id"].as_str().unwrap());
    assert!(
        shown["notes"]
            .as_str()
            .unwrap()
            .starts_with("vacation by the script of"),
        "{shown}"
    );
    let shown = show(&server, &first);
    assert_eq!(shown["recipients"][0]["fate"], "redirected");
    let child = shown["offspring"][0]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{shown}"))
        .to_owned();
    assert_eq!(show(&server, &child)["parent"], first.as_str());
    assert!(why(&server, &second).contains("redirect"), "{}", why(&server, &second));
    let bobs = rows
        .iter()
        .find(|r| r["to"] == BOB && r["id"] != child.as_str())
        .unwrap();
    let explained = why(&server, bobs["id"].as_str().unwrap());
    assert!(explained.contains("answered lately"), "{explained}");
    server.assert_sound();
}

#[test]
fn refuses_while_the_sender_waits_and_afterwards() {
    let server = Server::start();
    filter(
        &server,
        ADA,
        "require \"ereject\";\nif header :contains \"subject\" \"offer\" { ereject \"No offers, please.\"; }\n",
    );
    let offer = format!("From: <{SENDER}>\nSubject: an offer\n\nBuy.\n");
    let reply = send(&server, SENDER, &[ADA], &offer);
    assert!(reply.starts_with("550 5.7.1 No offers, please."), "{reply}");
    // With a recipient who takes it, it is accepted, and the sender is told by mail.
    let id = accepted(&send(&server, SENDER, &[ADA, BOB], &offer));
    let rows = settled(&server);
    let fates: Vec<_> = rows
        .iter()
        .filter(|r| r["id"] == id.as_str())
        .map(|r| (r["to"].as_str().unwrap(), r["fate"].as_str().unwrap()))
        .collect();
    assert_eq!(fates, [(ADA, "rejected"), (BOB, "delivered")]);
    assert!(rows.iter().any(|r| r["to"] == SENDER && r["from"] == "<>"), "{rows:#?}");
    // Over LMTP each recipient has an answer of its own.
    let mut lmtp = Smtp::connect(server.port("lmtp"), "LHLO");
    lmtp.envelope(SENDER, &[ADA, BOB], "").unwrap();
    lmtp.expect("DATA", "354");
    lmtp.write(offer.replace('\n', "\r\n").as_bytes());
    lmtp.write(b".\r\n");
    assert!(lmtp.reply().starts_with("550 5.7.1"));
    assert!(lmtp.reply().starts_with("250"));
    assert_eq!(mailbox(&server, ADA, "INBOX").len(), 0);
    server.assert_sound();
}

#[test]
fn notifies_and_keeps_what_is_seen_twice_once() {
    let server = Server::start();
    filter(
        &server,
        ADA,
        &format!(
            "require [\"enotify\", \"duplicate\", \"fileinto\"];\nif duplicate {{ fileinto \"Trash\"; stop; }}\n\
             if header :contains \"subject\" \"urgent\" {{ notify :message \"Look at this\" \"mailto:{BOB}\"; }}\n"
        ),
    );
    let message =
        format!("From: <{SENDER}>\nTo: <{ADA}>\nMessage-ID: <one@elsewhere.example>\nSubject: urgent\n\nNow.\n");
    send(&server, SENDER, &[ADA], &message);
    settled(&server);
    send(&server, SENDER, &[ADA], &message);
    settled(&server);
    assert_eq!(
        (
            mailbox(&server, ADA, "INBOX").len(),
            mailbox(&server, ADA, "Trash").len()
        ),
        (1, 1)
    );
    let notices = mailbox(&server, BOB, "INBOX");
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].contains("Subject: Look at this\r\n") && notices[0].contains("Auto-Submitted: auto-notified"),
        "{}",
        notices[0]
    );
    server.assert_sound();
}

#[test]
fn a_script_that_is_no_longer_allowed_keeps_mail_and_the_user_is_told_once() {
    let mut server = Server::start();
    filter(
        &server,
        ADA,
        "require [\"regex\", \"fileinto\"];\nif header :regex \"subject\" \"x+\" { fileinto \"Trash\"; }\n",
    );
    server.stop();
    let mut settings = std::fs::read_to_string(server.settings()).unwrap();
    settings.push_str("\n[sieve]\nwithout = \"regex\"\n");
    std::fs::write(server.settings(), settings).unwrap();
    server.launch();
    for n in 0..3 {
        send(&server, SENDER, &[ADA], &format!("Subject: xxx {n}\n\nText.\n"));
        settled(&server);
    }
    let inbox = mailbox(&server, ADA, "INBOX");
    assert_eq!(inbox.len(), 4, "three messages and one notice: {inbox:?}");
    assert_eq!(
        inbox
            .iter()
            .filter(|m| m.contains("Subject: Your mail filter \"main\" has failed"))
            .count(),
        1
    );
    let listed = server.admin(&["sieve", "list", "--account", ADA, "--json"]);
    assert!(listed.text().contains("regex"), "{}", listed.text());
    server.assert_sound();
}

#[test]
fn the_administrators_scripts_stand_around_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before.sieve"), folder.path().join("after.sieve"));
    std::fs::write(&before, "require [\"fileinto\", \"editheader\"];\nif header :is \"x-virus\" \"yes\" { fileinto \"Junk\"; stop; }\naddheader \"X-Before\" \"1\";\n").unwrap();
    std::fs::write(
        &after,
        "require \"fileinto\";\nif header :contains \"subject\" \"archive\" { fileinto \"Archive\"; }\n",
    )
    .unwrap();
    let server = Server::start_with(Setup {
        settings: format!(
            "[sieve]\nbefore = \"{}\"\nafter = \"{}\"\n",
            before.display(),
            after.display()
        ),
        ..Setup::default()
    });
    filter(
        &server,
        ADA,
        "require \"fileinto\";\nif header :contains \"subject\" \"drop\" { fileinto \"Trash\"; }\nif not header :is \"x-before\" \"1\" { discard; }\n",
    );
    for subject in ["one\nX-Virus: yes", "drop and archive", "archive", "plain"] {
        send(&server, SENDER, &[ADA], &format!("Subject: {subject}\n\nText.\n"));
    }
    settled(&server);
    let count = |name| mailbox(&server, ADA, name).len();
    assert_eq!(
        (count("Junk"), count("Trash"), count("Archive"), count("INBOX")),
        (1, 1, 1, 1)
    );
}

#[test]
fn a_dry_run_changes_nothing_and_apply_files() {
    let server = Server::start();
    for subject in ["[list] one", "two", "[list] three"] {
        send(
            &server,
            SENDER,
            &[ADA],
            &format!("From: <{SENDER}>\nSubject: {subject}\n\nText.\n"),
        );
    }
    settled(&server);
    let (new, old) = (server.folder().join("new.sieve"), server.folder().join("old.sieve"));
    std::fs::write(&new, "require [\"fileinto\", \"mailbox\"];\nif header :contains \"subject\" \"[list]\" { fileinto :create \"Lists\"; }\n").unwrap();
    std::fs::write(&old, "require [\"fileinto\", \"mailbox\"];\nif header :contains \"subject\" \"one\" { fileinto :create \"Lists\"; }\n").unwrap();
    let (new, old) = (new.to_str().unwrap(), old.to_str().unwrap());
    let ran = server.admin(&["sieve", "run", new, "--account", ADA]);
    assert!(ran.success, "{}", ran.err);
    let text = ran.text();
    assert!(
        text.contains("into Lists, which is made") && text.contains("line 2"),
        "{text}"
    );
    assert!(text.contains("3 messages looked at, nothing changed"), "{text}");
    assert_eq!(mailbox(&server, ADA, "INBOX").len(), 3);
    let ran = server.admin(&["sieve", "run", new, "--account", ADA, "--diff", old, "--json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&ran.out).unwrap();
    let subjects: Vec<_> = rows.iter().map(|r| r["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["[list] three"]);
    let ran = server.admin(&["sieve", "run", new, "--account", ADA, "--apply", "--yes"]);
    assert!(
        ran.success && ran.text().contains("2 of 3 messages filed or flagged"),
        "{}{}",
        ran.text(),
        ran.err
    );
    assert_eq!(
        (
            mailbox(&server, ADA, "INBOX").len(),
            mailbox(&server, ADA, "Lists").len()
        ),
        (1, 2)
    );
    let bad = server.folder().join("bad.sieve");
    std::fs::write(&bad, "if header { keep; }\n").unwrap();
    let ran = server.admin(&["sieve", "check", bad.to_str().unwrap()]);
    assert!(!ran.success && ran.text().contains("LINE"), "{}", ran.text());
    server.assert_sound();
}

#[test]
fn a_script_is_looked_at_where_there_is_no_server() {
    let folder = tempfile::tempdir().unwrap();
    for (script, good, said) in [
        ("require \"fileinto\"; fileinto \"x\";", true, "in order"),
        ("fileinto \"x\";", false, "fileinto"),
    ] {
        let file = folder.path().join("mine.sieve");
        std::fs::write(&file, script).unwrap();
        let mut check = std::process::Command::new(e2e::binary());
        let ran = check
            .current_dir(folder.path())
            .args(["sieve", "check", "mine.sieve"])
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(
            (ran.status.success(), out.contains(said)),
            (good, true),
            "{script}: {ran:?}"
        );
    }
}

#[test]
fn apply_asks_at_the_terminal_and_obeys() {
    if !installed(&["script"]) {
        return;
    }
    let server = Server::start();
    for subject in ["[list] one", "two"] {
        send(&server, SENDER, &[ADA], &format!("Subject: {subject}\n\nText.\n"));
    }
    settled(&server);
    let file = server.folder().join("new.sieve");
    let script = "require [\"fileinto\", \"mailbox\"];\nif header :contains \"subject\" \"[list]\" { fileinto :create \"Lists\"; }\n";
    std::fs::write(&file, script).unwrap();
    let command = format!(
        "{} -c {} sieve run {} --account {ADA} --apply",
        e2e::binary().display(),
        server.settings().display(),
        file.display()
    );
    let count = |name| mailbox(&server, ADA, name).len();
    for (answer, said, inbox, lists) in [
        (&b"n\n"[..], "nothing was changed", 2, 0),
        (b"\n", "nothing was changed", 2, 0),
        (b"y\n", "1 of 2 messages filed or flagged", 1, 1),
    ] {
        // A terminal of its own: `script` makes one.
        let ran = run_unchecked("script", ["-qec", &command, "/dev/null"], Some(answer));
        let text = ran.text();
        let shown = text.find("into Lists, which is made");
        let asked = text.find("File these messages so? [y/N]");
        assert!(shown.is_some() && shown < asked, "{text}");
        assert!(text.contains(said), "{text}");
        assert_eq!((count("INBOX"), count("Lists")), (inbox, lists), "{text}");
    }
    // Nobody is there: not without --yes.
    let ran = server.admin(&["sieve", "run", file.to_str().unwrap(), "--account", ADA, "--apply"]);
    assert!(!ran.success && ran.err.contains("--yes"), "{}", ran.err);
}

#[test]
fn programs_of_the_administrators_take_mail_and_nothing_else_runs() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("programs");
    for kind in ["pipe", "filter", "execute"] {
        std::fs::create_dir_all(programs.join(kind)).unwrap();
    }
    let got = folder.path().join("got");
    let put = |name: &str, text: String| {
        let file = programs.join("pipe").join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    put("keep-it", format!("#!/bin/sh\ncat > {}\n", got.display()));
    put("hangs", "#!/bin/sh\nsleep 100\n".to_owned());
    let server = Server::start_with(Setup {
        settings: format!(
            "[sieve]\nprograms = \"{}\"\nprogram_time = \"1 s\"\n",
            programs.display()
        ),
        ..Setup::default()
    });
    filter(
        &server,
        ADA,
        "require [\"vnd.dovecot.pipe\", \"copy\"];\nif header \"subject\" \"take\" { pipe \"keep-it\"; }\nelsif header \"subject\" \"hang\" { pipe \"hangs\"; }\n",
    );
    let id = accepted(&send(&server, SENDER, &[ADA], "Subject: take\n\nText.\n"));
    settled(&server);
    let text = std::fs::read_to_string(&got).unwrap();
    assert!(text.contains("Subject: take"), "{text}");
    assert!(mailbox(&server, ADA, "INBOX").is_empty());
    assert!(why(&server, &id).contains("pipe \"keep-it\""), "{}", why(&server, &id));
    // One that hangs is ended, and the message kept; the user hears of it.
    let id = accepted(&send(&server, SENDER, &[ADA], "Subject: hang\n\nText.\n"));
    settled(&server);
    assert!(why(&server, &id).contains("it took too long"), "{}", why(&server, &id));
    let inbox = mailbox(&server, ADA, "INBOX");
    assert!(inbox.iter().any(|m| m.contains("Subject: hang")), "{inbox:?}");
    assert!(inbox.iter().any(|m| m.contains("took too long")), "{inbox:?}");
    // And sees it with the settings, until the script is written again.
    let shown = || server.admin(&["settings", "show", "--account", ADA]).text();
    assert!(
        shown().contains("has failed  line 3, column 33: pipe \"hangs\": it took too long"),
        "{}",
        shown()
    );
    filter(&server, ADA, "keep;\n");
    assert!(!shown().contains("has failed"), "{}", shown());
    server.assert_sound();
}

#[test]
fn a_script_runs_when_a_message_is_copied_and_log_says_why() {
    let server = Server::start();
    let file = server.folder().join("tell.sieve");
    let script = format!(
        "require [\"imapsieve\", \"environment\", \"copy\"];\nif environment \"imap.cause\" \"COPY\" {{\n  redirect :copy \"{BOB}\";\n}}\n"
    );
    std::fs::write(&file, script).unwrap();
    let ran = server.admin(&["sieve", "put", "--account", ADA, "tell", file.to_str().unwrap()]);
    assert!(ran.success, "{}", ran.err);
    let mut imap = server.imap(ADA);
    assert!(imap.command("CREATE Watched").ok());
    assert!(
        imap.command("SETMETADATA Watched (/shared/imapsieve/script \"tell\")")
            .ok()
    );
    accepted(&send(&server, SENDER, &[ADA], "Subject: watch this\n\nHello\n"));
    settled(&server);
    assert!(imap.command("SELECT INBOX").ok());
    assert!(imap.command("COPY 1 Watched").ok());
    // It was in custody before the answer, and goes its way like any other message.
    wait_for("bob to have it", PATIENCE, || {
        (!mailbox(&server, BOB, "INBOX").is_empty()).then_some(())
    });
    let bobs = mailbox(&server, BOB, "INBOX").remove(0);
    assert!(bobs.starts_with(&format!("Return-Path: <{ADA}>")), "{bobs}");
    assert!(bobs.contains("Subject: watch this"), "{bobs}");
    let log = String::from_utf8(server.admin(&["sieve", "log", "--account", ADA]).out).unwrap();
    assert!(
        log.contains(&format!("Sieve, on COPY in Watched of UID 1 by {ADA}: redirect")),
        "{log}"
    );
    assert!(
        log.contains("tell, line 2: environment \"imap.cause\" \"COPY\" matched \"COPY\""),
        "{log}"
    );
}

#[test]
fn sieve_connect_manages_scripts() {
    if !installed(&["sieve-connect"]) {
        return;
    }
    let server = Server::start();
    let script = server.folder().join("holiday.sieve");
    std::fs::write(&script, "require \"fileinto\";\nfileinto \"Archive\";\n").unwrap();
    let password = server.folder().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let port = server.port_text("managesieve");
    let (file, ca) = (
        script.to_str().unwrap().to_owned(),
        server.certificate().to_str().unwrap().to_owned(),
    );
    let connect = |arguments: &[&str]| {
        let mut all = vec![
            "--server",
            "localhost",
            "--port",
            &port,
            "--user",
            ADA,
            "--passwordfd",
            "0",
            "--tlscafile",
            &ca,
            "--notlsverify",
        ];
        all.extend(arguments);
        let words: Vec<String> = all.iter().map(|w| format!("'{w}'")).collect();
        let line = format!("sieve-connect {} < '{}' 2>&1", words.join(" "), password.display());
        run("sh", ["-c", &line]).text()
    };
    connect(&["--localsieve", &file, "--remotesieve", "holiday", "--upload"]);
    connect(&["--remotesieve", "holiday", "--activate"]);
    let listed = connect(&["--list"]);
    assert!(listed.contains("\"holiday\"") && listed.contains("ACTIVE"), "{listed}");
    send(&server, SENDER, &[ADA], "Subject: x\n\nText.\n");
    settled(&server);
    assert_eq!(mailbox(&server, ADA, "Archive").len(), 1);
    connect(&["--deactivate"]);
    connect(&["--remotesieve", "holiday", "--delete"]);
    assert!(!connect(&["--list"]).contains("holiday"));
}
