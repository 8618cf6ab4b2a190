//! NeoMutt in a terminal, with its header cache: flag, save, delete, and come back to a mailbox that others have changed.
//!
//! Its `imap_qresync` stays off: of NeoMutt 20220429, "QRESYNC failed" is the answer to what others removed, with Dovecot as with us.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, PASSWORD, Server, corpus, installed, lf, made_up, run};

/// Starts NeoMutt in a terminal, presses these keys and waits until it ends.
fn press(settings: &str, keys: &str) {
    let command = format!("neomutt -n -F {settings} -e 'push \"{keys}<quit>\"'");
    run(
        "env",
        ["TERM=xterm", "LANG=C.UTF-8", "script", "-qec", &command, "/dev/null"],
    );
}

#[test]
fn a_terminal_session_and_another() {
    if !installed(&["neomutt", "script"]) {
        return;
    }
    let server = Server::start();
    let mut ada = server.imap(ADA);
    let mut mail = corpus(60).unwrap_or_else(|| (0..60).map(|index| made_up(1000 + index)).collect());
    for message in &mail {
        assert!(ada.append("INBOX", "", message).ok());
    }
    let folder = server.folder().join("neomutt");
    std::fs::create_dir_all(folder.join("cache")).unwrap();
    let (dir, port) = (folder.display(), server.port("imap"));
    let text = format!(
        "set folder = \"imap://127.0.0.1:{port}/\"\nset imap_user = \"{ADA}\"\nset imap_pass = \"{PASSWORD}\"\n\
         set spool_file = \"imap://127.0.0.1:{port}/INBOX\"\nset header_cache = \"{dir}/cache/\"\n\
         set imap_condstore = yes\nset imap_qresync = no\nset ssl_starttls = no\nset ssl_force_tls = no\n\
         set sleep_time = 0\nset delete = yes\nset move = no\nset confirm_append = no\nset wait_key = no\nset mark_old = no\n\
         set sort = mailbox-order\nset pipe_decode = no\nset pipe_split = yes\nset pipe_sep = \"\"\nset quit = yes\n\
         set debug_file = \"{dir}/debug\"\nset debug_level = 2\n"
    );
    let settings = folder.join("neomuttrc").display().to_string();
    std::fs::write(&settings, text).unwrap();

    // Flag the first, save the second into Archive, delete the third.
    press(
        &settings,
        "<first-entry><flag-message><first-entry><next-entry><save-message>=Archive<enter>\
         <first-entry><next-entry><next-entry><delete-message><sync-mailbox>",
    );
    ada.ok("SELECT Archive");
    assert!(ada.messages("1:*") == [mail.remove(1)], "what was saved has changed");
    mail.remove(1);
    ada.ok("SELECT INBOX");
    let flagged = ada.ok("UID SEARCH FLAGGED");
    assert!(flagged[0].text.trim_end().ends_with("SEARCH 1"), "{flagged:?}");
    assert!(ada.messages("1:*") == mail);

    // Others remove one, flag one and add one.
    ada.ok("UID STORE 5 +FLAGS.SILENT (\\Deleted)");
    ada.ok("UID EXPUNGE 5");
    ada.ok("UID STORE 7 +FLAGS.SILENT (\\Flagged)");
    assert!(ada.append("INBOX", "", b"Subject: new\r\n\r\nnew\r\n").ok());
    mail.remove(2);
    mail.push(b"Subject: new\r\n\r\nnew\r\n".to_vec());

    // What it shows now, out of its cache and of what we tell it, is what is there.
    let pipe = |what: &str, file: &str| {
        format!(
            "<tag-pattern>{what}<enter><tag-prefix><pipe-message>cat >> {dir}/{file}<enter><untag-pattern>~A<enter>"
        )
    };
    press(&settings, &format!("{}{}", pipe("~A", "all"), pipe("~F", "flagged")));
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let joined = |messages: &[&Vec<u8>]| messages.iter().flat_map(|message| lf(message)).collect::<Vec<u8>>();
    assert!(
        read("all") == joined(&mail.iter().collect::<Vec<_>>()),
        "it shows something else"
    );
    // UIDs 1 and 7 are the first and the fourth now: 2, 3 and 5 are gone.
    assert!(read("flagged") == joined(&[&mail[0], &mail[3]]));
    let log = std::fs::read_to_string(folder.join("debug0")).unwrap();
    assert!(log.contains("CHANGEDSINCE"), "its cache was not used");
    server.assert_sound();
}
