//! The commands and answers of RFC 5804's examples, and what can't be a command.
#![allow(clippy::unwrap_used)]

use managesieve::{Code, Command, Encoder, Status, sasl_response};
use proptest::prelude::*;

#[test]
fn commands_of_the_rfc() {
    let named = |n: &str| n.to_owned();
    let cases: Vec<(&[u8], Command)> = vec![
        (
            b"Authenticate \"DIGEST-MD5\"",
            Command::Authenticate {
                mechanism: named("DIGEST-MD5"),
                initial: None,
            },
        ),
        (
            b"Authenticate \"PLAIN\" \"QJIrweAPyo6Q1T9xu\"",
            Command::Authenticate {
                mechanism: named("PLAIN"),
                initial: None,
            },
        ),
        (b"STARTTLS", Command::StartTls),
        (b"starttls", Command::StartTls),
        (b"Logout", Command::Logout),
        (b"CAPABILITY", Command::Capability),
        (
            b"HAVESPACE \"myscript\" 999999",
            Command::HaveSpace {
                name: named("myscript"),
                size: 999_999,
            },
        ),
        (
            b"Putscript \"foo\" {31+}\r\n#comment\r\nInvalidSieveCommand\r\n",
            Command::PutScript {
                name: named("foo"),
                script: b"#comment\r\nInvalidSieveCommand\r\n".to_vec(),
            },
        ),
        (
            b"Putscript {3+}\r\nfoo \"keep;\"",
            Command::PutScript {
                name: named("foo"),
                script: b"keep;".to_vec(),
            },
        ),
        (b"Listscripts", Command::ListScripts),
        (
            b"Setactive \"vacationscript\"",
            Command::SetActive(Some(named("vacationscript"))),
        ),
        (b"Setactive \"\"", Command::SetActive(None)),
        (b"Getscript \"myscript\"", Command::GetScript(named("myscript"))),
        (
            b"Deletescript \"a \\\"b\\\" \\\\\"",
            Command::DeleteScript(named("a \"b\" \\")),
        ),
        (
            b"Renamescript \"foo\" \"bar\"",
            Command::RenameScript {
                from: named("foo"),
                to: named("bar"),
            },
        ),
        (b"CheckScript {5+}\r\nkeep;", Command::CheckScript(b"keep;".to_vec())),
        (b"NOOP", Command::Noop(None)),
        (
            b"NOOP \"STARTTLS-SYNC-42\"",
            Command::Noop(Some(named("STARTTLS-SYNC-42"))),
        ),
        (b"Unauthenticate", Command::Unauthenticate),
    ];
    for (line, wanted) in cases {
        let got = Command::parse(line);
        // The example's initial response is cut short in the standard: it is no base64, which must be noticed.
        if line.windows(5).any(|w| w == b"QJIrw") {
            assert!(got.is_err());
            continue;
        }
        assert_eq!(got.as_ref(), Ok(&wanted), "{}", String::from_utf8_lossy(line));
        assert_eq!(
            wanted.name().to_ascii_lowercase(),
            String::from_utf8_lossy(line)
                .split(' ')
                .next()
                .unwrap()
                .to_ascii_lowercase()
        );
    }
}

#[test]
fn what_is_no_command_says_why() {
    for (line, wanted) in [
        (&b""[..], "there is no command "),
        (b"FROBNICATE \"x\"", "there is no command FROBNICATE"),
        (b"GETSCRIPT", "GETSCRIPT: expected the name of a script"),
        (b"GETSCRIPT x", "GETSCRIPT: expected the name of a script"),
        (b"GETSCRIPT \"x", "GETSCRIPT: a quoted string has no end"),
        (b"GETSCRIPT \"\"", "script name refused: it is empty"),
        (
            b"GETSCRIPT \"a\\b\"",
            "GETSCRIPT: only \\\" and \\\\ may follow a backslash",
        ),
        (b"GETSCRIPT \"\xff\"", "GETSCRIPT: text is not UTF-8"),
        (b"GETSCRIPT \"a\" \"b\"", "GETSCRIPT: there is more than it takes"),
        (
            b"PUTSCRIPT \"a\" {5}",
            "PUTSCRIPT: a literal is written {42+}, with a plus: it is not waited for",
        ),
        (b"HAVESPACE \"a\" many", "HAVESPACE: expected a number of octets"),
        (b"HAVESPACE \"a\" 99999999999", "HAVESPACE: expected a number of octets"),
        (
            b"AUTHENTICATE \"PLAIN\" \"%\"",
            "AUTHENTICATE: the initial response is not base64",
        ),
        (b"LOGOUT now", "LOGOUT: there is more than it takes"),
    ] {
        assert_eq!(
            Command::parse(line).unwrap_err().to_string(),
            wanted,
            "{}",
            String::from_utf8_lossy(line)
        );
    }
}

#[test]
fn responses_of_a_mechanism() {
    assert_eq!(sasl_response(b"\"dGVzdA==\""), Ok(Some(b"test".to_vec())));
    assert_eq!(sasl_response(b"{8+}\r\ndGVzdA=="), Ok(Some(b"test".to_vec())));
    assert_eq!(sasl_response(b"\"\""), Ok(Some(Vec::new())));
    assert_eq!(sasl_response(b"\"*\""), Ok(None));
    assert!(sasl_response(b"dGVzdA==").is_err());
    assert!(sasl_response(b"\"dGV\"").is_err());
}

#[test]
fn answers() {
    let mut out = Vec::new();
    let mut e = Encoder::new(&mut out);
    e.status(Status::Ok, None, "");
    e.status(Status::No, Some(&Code::QuotaMaxSize), "Quota \"exceeded\"");
    e.status(Status::Ok, Some(&Code::Tag("STARTTLS-SYNC-42".into())), "Done");
    e.status(
        Status::Ok,
        Some(&Code::Warnings),
        "line 8: server redirect action limit is 2\r\nline 9: x",
    );
    e.status(
        Status::Bye,
        Some(&Code::TryLater),
        "Too many failed authentication attempts",
    );
    e.status(Status::Ok, Some(&Code::Sasl(b"rspauth=1".to_vec())), "");
    e.capability("STARTTLS", None);
    e.capability("SASL", Some("PLAIN"));
    e.script_name("main_script", true);
    e.script_name("a\"b", false);
    e.script(b"keep;\r\n");
    e.challenge(b"");
    let wanted = "OK\r\nNO (QUOTA/MAXSIZE) \"Quota \\\"exceeded\\\"\"\r\nOK (TAG \"STARTTLS-SYNC-42\") \"Done\"\r\n\
        OK (WARNINGS) {52}\r\nline 8: server redirect action limit is 2\r\nline 9: x\r\n\
        BYE (TRYLATER) \"Too many failed authentication attempts\"\r\nOK (SASL \"cnNwYXV0aD0x\")\r\n\
        \"STARTTLS\"\r\n\"SASL\" \"PLAIN\"\r\n\"main_script\" ACTIVE\r\n\"a\\\"b\"\r\n{7}\r\nkeep;\r\n\r\n{0}\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

proptest! {
    /// Whatever is read is either understood or refused.
    #[test]
    fn any_octets(line in proptest::collection::vec(any::<u8>(), 0..200), name in 0usize..6) {
        let _ = Command::parse(&line);
        let _ = sasl_response(&line);
        let named = ["PUTSCRIPT ", "HAVESPACE ", "AUTHENTICATE ", "NOOP ", "CHECKSCRIPT {", "GETSCRIPT \""][name];
        let _ = Command::parse(&[named.as_bytes(), &line].concat());
    }

    /// Names come through quoting unchanged.
    #[test]
    fn names_come_back(name in "[a-zA-Z \"\\\\äöü]{1,40}") {
        let mut out = Vec::new();
        Encoder::new(&mut out).script_name(&name, false);
        let quoted = String::from_utf8(out).unwrap();
        let command = Command::parse(format!("GETSCRIPT {}", quoted.trim_end_matches("\r\n")).as_bytes());
        prop_assert_eq!(command, Ok(Command::GetScript(name)));
    }
}
