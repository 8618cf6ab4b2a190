//! What collectors have in common: fetchmail, which collects mail by IMAP or POP3 and rewrites some fields of the header: what is compared are bodies.

use crate::tools::run;
use crate::{ADA, PASSWORD, Server, crlf, lf};
use std::os::unix::fs::PermissionsExt as _;

/// Collects all of Ada's mail over STARTTLS, and checks that these messages came; they are gone then. `options` stand behind the port.
pub fn fetchmail_collects(server: &Server, protocol: &str, options: &str, mail: &[Vec<u8>]) {
    let folder = server.folder().join("fetchmail");
    let into = folder.join("mail");
    std::fs::create_dir_all(&into).unwrap();
    let settings = folder.join("fetchmailrc");
    let text = format!(
        "set no bouncemail\nset invisible\npoll 127.0.0.1 protocol {protocol} service {port} {options}:\n  \
         user \"{ADA}\" password \"{PASSWORD}\" is \"root\" here\n  sslproto \"TLS1.2+\" sslcertck sslcertfile \"{certificate}\" \
         sslcommonname \"mail.e2e.test\"\n  no rewrite fetchall nokeep\n  mda \"sh -c 'cat > $(mktemp {into}/XXXXXXXX)'\"\n",
        port = server.port(&protocol.to_lowercase()),
        certificate = server.certificate().display(),
        into = into.display(),
    );
    std::fs::write(&settings, text).unwrap();
    std::fs::set_permissions(&settings, std::fs::Permissions::from_mode(0o600)).unwrap();
    let home = format!("FETCHMAILHOME={}", folder.display());
    let settings = settings.to_str().unwrap();
    run(
        "env",
        [
            &home,
            "fetchmail",
            "--nodetach",
            "--nosyslog",
            "--verbose",
            "-f",
            settings,
        ],
    );
    let mut found: Vec<_> = std::fs::read_dir(&into)
        .unwrap()
        .map(|entry| body(&std::fs::read(entry.unwrap().path()).unwrap()))
        .collect();
    let mut wanted: Vec<_> = mail.iter().map(|message| body(message)).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found.len(), wanted.len());
    let same = found
        .iter()
        .zip(&wanted)
        .filter(|(found, wanted)| found == wanted)
        .count();
    assert!(
        found == wanted,
        "only {same} of {} bodies came as they were",
        wanted.len()
    );
}

/// The body, but for what is blank at its end.
pub fn body(message: &[u8]) -> Vec<u8> {
    let text = lf(message);
    let start = text
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .map_or(text.len(), |at| at + 2);
    crlf(text[start..].trim_ascii_end())
}
