//! What the written scripts do: in our interpreter with the clock at any hour, and in Pigeonhole.

#![allow(clippy::print_stderr, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use settings::*;
use sieve::{Compiled, Input, Nowhere, Options};
use std::path::Path;
use std::process::Command;

fn script(wanted: &Settings) -> String {
    let reading = Reading::of("").unwrap();
    reading
        .write(wanted, &Owner::default(), &Limits::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// What our interpreter does: one word each, sorted.
fn ours(script: &str, message: &str, from: &str, now: i64) -> Vec<String> {
    let compiled =
        Compiled::compile(script.as_bytes(), &Options::default()).unwrap_or_else(|e| panic!("{e:?}\n{script}"));
    let mut input = Input::new(message.as_bytes());
    input.now = now;
    input.envelope.from = Some(from.into());
    input.envelope.to = Some("ada@phys.example".into());
    let outcome = compiled.run(&input, &Nowhere, &sieve::Limits::default());
    assert_eq!(outcome.error.as_ref().map(ToString::to_string), None, "{script}");
    let mut words: Vec<String> = outcome
        .actions
        .iter()
        .filter_map(|taken| match &taken.action {
            sieve::Action::Keep { flags, .. } => Some(store("INBOX", flags)),
            sieve::Action::FileInto { target, flags, .. } => Some(store(&target.mailbox, flags)),
            sieve::Action::Redirect(redirect) => Some(format!("redirect {redirect:?}")).map(|r| address_in(&r)),
            sieve::Action::Discard => Some("discard".into()),
            sieve::Action::Reject { .. } => Some("reject".into()),
            sieve::Action::Vacation(vacation) => Some(format!("vacation {}", first_word(&format!("{vacation:?}")))),
            other => Some(format!("{other:?}")),
        })
        .collect();
    words.sort();
    words
}

fn store(mailbox: &str, flags: &[String]) -> String {
    let mut flags: Vec<String> = flags.iter().map(|f| f.to_ascii_lowercase()).collect();
    flags.sort();
    format!("store {mailbox} ({})", flags.join(" "))
}

fn address_in(text: &str) -> String {
    let at = text.find('@').unwrap_or_else(|| panic!("no address in {text}"));
    let start = text[..at].rfind(['"', '<', ' ']).map_or(0, |s| s + 1);
    let end = text[at..].find(['"', '>', ' ']).map_or(text.len(), |e| at + e);
    format!("redirect {}", &text[start..end])
}

/// The texts of these tests begin with a word that tells them apart.
fn first_word(text: &str) -> &'static str {
    ["EVERYBODY", "COLLEAGUE"]
        .into_iter()
        .find(|word| text.contains(word))
        .unwrap_or("?")
}

const MESSAGE: &str = "From: Bob <bob@else.example>\r\nTo: ada@phys.example\r\nSubject: hello\r\n\r\nHi.\r\n";

/// 2026-12-24T00:00:00+01:00
const CHRISTMAS_EVE: i64 = 1_798_066_800;

fn away(start: Option<&str>, end: Option<&str>) -> Settings {
    let mut vacation = Vacation::new("EVERYBODY");
    vacation.start = start.map(|s| s.parse().unwrap());
    vacation.end = end.map(|s| s.parse().unwrap());
    Settings {
        vacation: Some(vacation),
        ..Settings::default()
    }
}

#[test]
fn a_vacation_begins_and_ends_by_itself() {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    // Start, end, and seconds after midnight of Christmas Eve in Berlin: whether there is an answer.
    type Case = (Option<&'static str>, Option<&'static str>, &'static [(i64, bool)]);
    let cases: &[Case] = &[
        (None, None, &[(-1000 * DAY, true), (1000 * DAY, true)]),
        (
            Some("2026-12-24+01:00"),
            Some("2026-12-26+01:00"),
            &[
                (-1, false),
                (0, true),
                (3 * DAY - 1, true),
                (3 * DAY, false),
                (365 * DAY, false),
            ],
        ),
        (
            Some("2026-12-24+01:00"),
            Some("2026-12-24+01:00"),
            &[(-1, false), (0, true), (DAY - 1, true), (DAY, false)],
        ),
        (
            Some("2026-12-24T08:00:00+01:00"),
            Some("2026-12-24T18:30:00+01:00"),
            &[
                (8 * HOUR - 1, false),
                (8 * HOUR, true),
                (18 * HOUR + 1800, true),
                (18 * HOUR + 1801, false),
            ],
        ),
        // New York is six hours behind, Auckland twelve before: the same day begins at another time.
        (
            Some("2026-12-24-05:00"),
            None,
            &[(6 * HOUR - 1, false), (6 * HOUR, true)],
        ),
        (
            None,
            Some("2026-12-24+13:00"),
            &[(12 * HOUR - 1, true), (12 * HOUR, false)],
        ),
        // From winter into summer: each end in the offset it has.
        (
            Some("2026-12-24+01:00"),
            Some("2027-07-01T00:00:00+02:00"),
            &[(0, true), (189 * DAY - HOUR, true), (189 * DAY - HOUR + 1, false)],
        ),
        (
            Some("2026-12-24T07:00:00+00:00"),
            None,
            &[(8 * HOUR - 1, false), (8 * HOUR, true)],
        ),
    ];
    for (start, end, moments) in cases {
        let settings = away(*start, *end);
        let script = script(&settings);
        let vacation = settings.vacation.as_ref().unwrap();
        for (after, answers) in *moments {
            let now = CHRISTMAS_EVE + after;
            let words = ours(&script, MESSAGE, "bob@else.example", now);
            let found = words.iter().any(|w| w.starts_with("vacation"));
            assert_eq!(
                found, *answers,
                "{start:?} to {end:?}, {after} s after midnight\n{script}"
            );
            assert_eq!(
                vacation.state(now, 0) == State::On,
                *answers,
                "{start:?} to {end:?}, {after} s"
            );
        }
    }
}

#[test]
fn colleagues_are_answered_differently_and_robots_not_at_all() {
    let mut settings = away(Some("2026-12-24+01:00"), Some("2026-12-26+01:00"));
    let vacation = settings.vacation.as_mut().unwrap();
    vacation.except = vec!["robot@else.example".into(), "*@list.example".into()];
    vacation.colleagues = Some(Colleagues {
        domains: vec!["phys.example".into(), "math.example".into()],
        answer: Answer {
            text: "COLLEAGUE".into(),
            ..Answer::default()
        },
    });
    let script = script(&settings);
    for (from, now, wanted) in [
        ("bob@else.example", CHRISTMAS_EVE, Some("vacation EVERYBODY")),
        ("eve@phys.example", CHRISTMAS_EVE, Some("vacation COLLEAGUE")),
        ("eve@math.example", CHRISTMAS_EVE, Some("vacation COLLEAGUE")),
        ("robot@else.example", CHRISTMAS_EVE, None),
        ("rust@list.example", CHRISTMAS_EVE, None),
        ("eve@phys.example", CHRISTMAS_EVE - 1, None),
    ] {
        let message = MESSAGE.replace("bob@else.example", from);
        let words = ours(&script, &message, from, now);
        let found = words.iter().find(|w| w.starts_with("vacation")).map(String::as_str);
        assert_eq!(found, wanted, "{from}\n{script}");
    }
}

/// Settings of many kinds, for both interpreters.
fn many() -> Vec<(&'static str, Settings)> {
    let rule = |name: &str, conditions: Vec<Condition>, actions: Vec<Action>| {
        Entry::Rule(Rule::new(name, conditions, actions))
    };
    let rules = |rules: Vec<Entry>| Settings {
        rules,
        ..Settings::default()
    };
    let joined = |join: Join, conditions: Vec<Condition>| {
        let mut rule = Rule::new("joined", conditions, vec![Action::file_into("Joined"), Action::Stop]);
        rule.join = join;
        rules(vec![Entry::Rule(rule)])
    };
    let mut off = Rule::new("off", vec![Condition::always()], vec![Action::Discard]);
    off.enabled = false;
    let abc = || {
        vec![
            Condition::subject(Match::Contains, &["hello"]),
            Condition::sender(Match::Is, &["bob@else.example"]),
        ]
    };
    let mut all: Vec<(&'static str, Settings)> = vec![
        ("nothing", Settings::default()),
        ("away", away(None, None)),
        ("over", away(None, Some("2001-01-01+00:00"))),
        (
            "forward",
            Settings {
                forwarding: Some(Forwarding::new(&["a@home.example", "b@home.example"])),
                ..Settings::default()
            },
        ),
        (
            "forward, no copy",
            Settings {
                forwarding: Some(Forwarding {
                    keep: false,
                    ..Forwarding::new(&["a@home.example"])
                }),
                ..Settings::default()
            },
        ),
        (
            "spam",
            Settings {
                spam: Spam {
                    allow: vec!["bob@else.example".into(), "*@dear.example".into()],
                    block: Some(Block {
                        senders: vec!["*@spam.example".into(), "*@else.example".into()],
                        then: Disposal::default(),
                    }),
                    threshold: None,
                },
                ..Settings::default()
            },
        ),
        ("all", joined(Join::All, abc())),
        ("any", joined(Join::Any, abc())),
        ("none", joined(Join::None, abc())),
        (
            "size and body",
            rules(vec![
                rule("big", vec![Condition::larger_than(100)], vec![Action::file_into("Big")]),
                rule(
                    "text",
                    vec![Condition::new(Test::Body {
                        of: BodyPart::Text,
                        is: Comparison::new(Match::Contains, &["hi"]),
                    })],
                    vec![Action::mark_read()],
                ),
            ]),
        ),
        (
            "copies and flags",
            rules(vec![
                rule(
                    "list",
                    vec![Condition::list(Match::Contains, &["rust"])],
                    vec![
                        Action::FileInto {
                            mailbox: "Lists/Rust".into(),
                            copy: true,
                            create: true,
                            flags: None,
                        },
                        Action::AddFlags {
                            flags: vec!["\\Flagged".into(), "$Label1".into()],
                        },
                    ],
                ),
                rule(
                    "copy",
                    vec![Condition::always()],
                    vec![Action::redirect("c@home.example", true)],
                ),
            ]),
        ),
        (
            "discard and reject",
            rules(vec![
                Entry::Rule(off),
                rule(
                    "d",
                    vec![Condition::subject(Match::Matches, &["*lottery*"])],
                    vec![Action::Discard, Action::Stop],
                ),
                rule(
                    "r",
                    vec![Condition::header("x-angry", Match::Is, &["yes"])],
                    vec![
                        Action::Reject {
                            text: "No.\n.really".into(),
                            early: false,
                        },
                        Action::Stop,
                    ],
                ),
            ]),
        ),
        (
            "quoting",
            rules(vec![rule(
                "q \"x\" ] # ; {",
                vec![Condition::subject(Match::Is, &["say \"hi\" \\ # /* text: */"])],
                vec![Action::file_into("Q \"x\"")],
            )]),
        ),
        (
            "address parts",
            rules(vec![
                rule(
                    "domain",
                    vec![Condition::new(Test::Address {
                        headers: vec!["from".into()],
                        part: AddressPart::Domain,
                        is: Comparison::new(Match::Is, &["spam.example", "dear.example"]),
                    })],
                    vec![Action::file_into("Domain")],
                ),
                rule(
                    "detail",
                    vec![Condition::new(Test::Envelope {
                        fields: vec!["from".into()],
                        part: AddressPart::Localpart,
                        is: Comparison::new(Match::Matches, &["b?b", "ev*"]),
                    })],
                    vec![Action::mark_read()],
                ),
            ]),
        ),
    ];
    let mut everything = Settings {
        forwarding: Some(Forwarding::new(&["a@home.example"])),
        vacation: away(Some("2001-01-01+00:00"), None).vacation,
        ..Settings::default()
    };
    everything.spam.block = Some(Block {
        senders: vec!["*@spam.example".into()],
        then: Disposal::Discard,
    });
    for (_, settings) in &all {
        everything.rules.extend(settings.rules.iter().cloned());
    }
    all.push(("everything", everything));
    all
}

fn messages() -> Vec<(&'static str, String)> {
    let message = |from: &str, rest: &str| format!("From: {from}\r\nTo: ada@phys.example\r\n{rest}");
    vec![
        ("bob@else.example", MESSAGE.to_owned()),
        (
            "x@spam.example",
            message("x@spam.example", "Subject: lottery\r\n\r\nwin\r\n"),
        ),
        (
            "friend@dear.example",
            message(
                "A Friend <friend@dear.example>",
                "Subject: Hello\r\nX-Angry: yes\r\n\r\nlong long long long long long long long long\r\n",
            ),
        ),
        (
            "owner@list.example",
            message(
                "eve@list.example",
                "List-Id: <rust.list.example>\r\nSubject: say \"hi\" \\ # /* text: */\r\n\r\nHi\r\n",
            ),
        ),
    ]
}

#[test]
fn pigeonhole_does_the_same() {
    let there = |program: &str| {
        Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if !there("sieve-test") || !there("sievec") {
        eprintln!("skipped: sieve-test and sievec (Debian: dovecot-sieve) are not here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let home = dir.join("home");
    std::fs::create_dir(&home).unwrap();
    let config = dir.join("dovecot.conf");
    let text = format!(
        "mail_location = maildir:{0}/mail\nmail_home = {0}\nmail_uid = 65534\nmail_gid = 65534\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
         log_path = {0}/log\nbase_dir = {0}/run\nssl = no\nnamespace {{\n inbox = yes\n separator = /\n}}\nplugin {{\n sieve_extensions = +vnd.dovecot.debug +spamtest +spamtestplus\n}}\n",
        home.display()
    );
    std::fs::write(&config, text).unwrap();
    assert!(
        Command::new("chmod")
            .args(["-R", "a+rwX"])
            .arg(dir)
            .status()
            .unwrap()
            .success()
    );
    let mut compared = 0;
    let now = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
    .unwrap();
    for (name, settings) in many() {
        let text = script(&settings);
        let file = dir.join("script.sieve");
        std::fs::write(&file, &text).unwrap();
        assert!(Command::new("chmod").arg("a+rw").arg(&file).status().unwrap().success());
        for (from, message) in messages() {
            let theirs = theirs(&config, &file, dir, from, &message);
            let mut ours = ours(&text, &message, from, now);
            let mut theirs = theirs;
            if message.contains("List-Id:") {
                // RFC 5230 §4.6: lists get no answer. sieve-test prints what would be asked for; Pigeonhole decides when it carries it out.
                for words in [&mut ours, &mut theirs] {
                    words.retain(|w| !w.starts_with("vacation"));
                }
            }
            assert_eq!(ours, theirs, "{name}: {from}\n{text}");
            compared += 1;
        }
    }
    eprintln!("{compared} pairs of script and message: the same actions");
}

fn theirs(config: &Path, script: &Path, dir: &Path, from: &str, message: &str) -> Vec<String> {
    let mail = dir.join("mail.eml");
    std::fs::write(&mail, message).unwrap();
    let run = Command::new("sieve-test")
        .args(["-C", "-c"])
        .arg(config)
        .args(["-f", from, "-a", "ada@phys.example", "-r", "ada@phys.example"])
        .arg(script)
        .arg(&mail)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success(),
        "{text}{}\n{}",
        String::from_utf8_lossy(&run.stderr),
        std::fs::read_to_string(script).unwrap()
    );
    let mut words = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some(action) = line.strip_prefix("* ") else {
            continue;
        };
        if let Some(mailbox) = action.strip_prefix("store message in folder: ") {
            let mut flags = Vec::new();
            while let Some(more) = lines.peek() {
                if let Some(flag) = more.strip_prefix("+ add IMAP flags: ") {
                    flags = flag
                        .split(|c: char| c == ',' || c.is_whitespace())
                        .filter(|f| !f.is_empty())
                        .map(str::to_owned)
                        .collect();
                } else if !more.starts_with("+ ") {
                    break;
                }
                lines.next();
            }
            words.push(store(mailbox, &flags));
        } else if action.starts_with("redirect") {
            words.push(address_in(action));
        } else if action.starts_with("discard") {
            words.push("discard".into());
        } else if action.starts_with("reject") {
            words.push("reject".into());
        } else if action.starts_with("send vacation") {
            let rest: String = text[text.find("send vacation").unwrap_or(0)..].to_owned();
            words.push(format!("vacation {}", first_word(&rest)));
        } else {
            words.push(action.to_owned());
        }
    }
    words.sort();
    words
}
