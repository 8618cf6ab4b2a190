//! What Roundcube makes of the scripts written here: its own parser (Debian: roundcube-plugins, php-cli) reads them and writes them again, and
//! what it has written is read here.

#![allow(clippy::print_stderr, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use settings::*;
use std::io::Write as _;
use std::process::{Command, Stdio};

const PLUGIN: &str = "/usr/share/roundcube/plugins/managesieve/lib/Roundcube/rcube_sieve_script.php";

/// What Roundcube's class makes of a script on standard input: its rules as JSON in the first line, the script as it writes it behind.
const PHP: &str = r#"
require $argv[1];
$script = new rcube_sieve_script(stream_get_contents(STDIN), []);
echo json_encode($script->as_array(), JSON_THROW_ON_ERROR), "\n";
echo $script->as_text();
"#;

fn roundcube(script: &str) -> (serde_json::Value, String) {
    let mut php = Command::new("php")
        .args([
            "-d",
            "error_reporting=E_ALL & ~E_WARNING & ~E_NOTICE & ~E_DEPRECATED",
            "-r",
            PHP,
            "--",
            PLUGIN,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    php.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = php.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (json, written) = text.split_once('\n').unwrap();
    (serde_json::from_str(json).unwrap(), written.to_owned())
}

fn here() -> bool {
    let php = Command::new("php")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let here = php.is_ok_and(|s| s.success()) && std::path::Path::new(PLUGIN).exists();
    if !here {
        eprintln!("skipped: Roundcube's managesieve plugin (Debian: roundcube-plugins, php-cli) is not here");
    }
    here
}

/// What Roundcube has no word for and drops when it writes: `:create`, `:flags`, `:percent`.
fn without_what_it_drops(mut settings: Settings) -> Settings {
    for entry in &mut settings.rules {
        let Entry::Rule(rule) = entry else { continue };
        rule.id = None;
        for action in &mut rule.actions {
            if let Action::FileInto { create, .. } = action {
                *create = false;
            }
        }
    }
    settings
}

fn everything() -> Settings {
    let mut vacation = Vacation::new("I am away.\n.and dots\n\n\"quoted\" \\ text");
    vacation.start = Some("2026-12-21+01:00".parse().unwrap());
    vacation.end = Some("2027-01-03T18:00:00+01:00".parse().unwrap());
    vacation.answer.subject = Some("Weg – \"über\" Weihnachten".into());
    vacation.addresses = vec!["ada@phys.example".into(), "a@phys.example".into()];
    vacation.interval = Some(Interval::Days(3));
    vacation.except = vec!["robot@phys.example".into(), "*@list.example".into()];
    vacation.colleagues = Some(Colleagues {
        domains: vec!["phys.example".into()],
        answer: Answer {
            text: "Room 3.14.".into(),
            ..Answer::default()
        },
    });
    let mut any = Rule::new(
        "Any [of] \"these\"",
        vec![
            Condition::subject(Match::Contains, &["a \"b\" \\", "c"]),
            Condition::list(Match::Matches, &["*rust*"]).not(),
            Condition::larger_than(5 << 20),
            Condition::new(Test::Body {
                of: BodyPart::Text,
                is: Comparison::new(Match::Contains, &["hi"]),
            }),
        ],
        vec![Action::file_into("Lists/Rust"), Action::mark_read(), Action::Stop],
    );
    any.join = Join::Any;
    let mut off = Rule::new(
        "Off",
        vec![Condition::sender(Match::Is, &["x@y.example"])],
        vec![Action::Discard],
    );
    off.enabled = false;
    let mut none = Rule::new(
        "None",
        vec![
            Condition::recipient(Match::Contains, &["ada"]),
            Condition::header("X-Spam-Flag", Match::Is, &["YES"]),
        ],
        vec![Action::redirect("b@home.example", true), Action::keep()],
    );
    none.join = Join::None;
    let score = Rule::new(
        "Score",
        vec![Condition::spam_score(7)],
        vec![Action::AddFlags {
            flags: vec!["$Label1".into(), "\\Flagged".into()],
        }],
    );
    let reject = Rule::new(
        "Reject",
        vec![Condition::new(Test::Address {
            headers: vec!["from".into()],
            part: AddressPart::Domain,
            is: Comparison::new(Match::Regex, &["^spam\\."]),
        })],
        vec![
            Action::Reject {
                text: "No.\nReally.".into(),
                early: false,
            },
            Action::Stop,
        ],
    );
    Settings {
        forwarding: Some(Forwarding::new(&["ada@home.example"])),
        vacation: Some(vacation),
        spam: Spam {
            allow: vec!["friend@dear.example".into()],
            block: Some(Block {
                senders: vec!["*@spam.example".into()],
                then: Disposal::default(),
            }),
            threshold: None,
        },
        rules: [any, off, none, score, reject].into_iter().map(Entry::Rule).collect(),
    }
}

fn write(reading: &Reading, wanted: &Settings) -> String {
    reading
        .write(wanted, &Owner::default(), &Limits::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn roundcube_reads_what_is_written_here_and_the_other_way_round() {
    if !here() {
        return;
    }
    let wanted = everything();
    let ours = write(&Reading::of("").unwrap(), &wanted);
    let reading = Reading::of(&ours).unwrap();
    let rules = reading.parts().len() - 1;
    let (read, theirs) = roundcube(&ours);
    assert_eq!(read.as_array().map(Vec::len), Some(rules), "{read:#}");
    let names: Vec<&str> = read
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["name"].as_str())
        .collect();
    assert_eq!(names.len(), rules, "{names:?}");
    assert_eq!(
        read.as_array()
            .unwrap()
            .iter()
            .filter(|r| r["disabled"] == true)
            .count(),
        1
    );

    // What Roundcube wrote is Roundcube's, and says the same.
    let again = Reading::of(&theirs).unwrap();
    for part in again.parts().iter().filter(|p| p.role != Role::Require) {
        assert_eq!(part.maker, Maker::Roundcube, "{theirs}");
    }
    assert_eq!(
        without_what_it_drops(again.settings().clone()),
        without_what_it_drops(reading.settings().clone()),
        "{theirs}"
    );

    // Everything in it changed here is read by Roundcube again, and the rest is as Roundcube wrote it.
    let mut changed = again.settings().clone();
    changed.vacation.as_mut().unwrap().end = Some("2027-01-10+01:00".parse().unwrap());
    changed.forwarding.as_mut().unwrap().to = vec!["ada@lovelace.example".into()];
    for entry in &mut changed.rules {
        if let Entry::Rule(rule) = entry {
            rule.enabled = !rule.enabled;
        }
    }
    let text = write(&again, &changed);
    let (read, theirs) = roundcube(&text);
    assert_eq!(
        read.as_array()
            .unwrap()
            .iter()
            .filter(|r| r["disabled"] == true)
            .count(),
        4
    );
    assert_eq!(theirs, text, "Roundcube would write exactly the same");
}
