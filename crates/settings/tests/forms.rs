//! Scripts in the forms of those who write them: what is read from each, who made it, and what a change leaves alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use settings::{Entry, Limits, Owner, Reading, Role, Rule, Settings};

fn read(script: &str) -> Reading {
    Reading::of(script).unwrap_or_else(|e| panic!("{e}\n{script}"))
}

fn write(reading: &Reading, wanted: &Settings) -> String {
    reading
        .write(wanted, &Owner::default(), &Limits::default())
        .unwrap_or_else(|e| panic!("{e}\n{}", reading.source()))
}

/// One word for each part: its role, and of a rule whether it is off.
fn outline(reading: &Reading) -> Vec<String> {
    let rules: Vec<&Rule> = reading.settings().own_rules().collect();
    let off = |id| rules.iter().any(|r| r.id == Some(id) && !r.enabled);
    let word = |role: Role| {
        let name = format!("{role:?}");
        name
    };
    reading
        .parts()
        .iter()
        .filter(|p| p.role != Role::Require)
        .map(|p| {
            let name = p.name.as_deref().map(|n| format!(" «{n}»")).unwrap_or_default();
            let off = if off(p.id) { " off" } else { "" };
            format!("{:?} {}{name}{off}", p.maker, word(p.role))
        })
        .collect()
}

fn sentences(reading: &Reading) -> Vec<String> {
    let entry = |entry: &Entry| match entry {
        Entry::Rule(rule) => rule.sentence(),
        Entry::Foreign(foreign) => format!("foreign: {}", foreign.because),
    };
    reading.settings().rules.iter().map(entry).collect()
}

/// What every script has to stand: written without a change it is the same, and switching every rule off and on again changes the
/// octets of the parts that are left alone not at all.
fn stands(script: &str) {
    let reading = read(script);
    assert_eq!(write(&reading, reading.settings()), script);
    let mut toggled = reading.settings().clone();
    for entry in &mut toggled.rules {
        if let Entry::Rule(rule) = entry {
            rule.enabled = !rule.enabled;
        }
    }
    let off = write(&reading, &toggled);
    let off_reading = read(&off);
    for part in reading.parts().iter().filter(|p| p.role == Role::Foreign) {
        assert!(off.contains(&script[part.range.clone()]), "{off}");
    }
    let mut back = off_reading.settings().clone();
    for entry in &mut back.rules {
        if let Entry::Rule(rule) = entry {
            rule.enabled = !rule.enabled;
        }
    }
    let on = read(&write(&off_reading, &back));
    assert_eq!(sentences(&on), sentences(&reading));
}

const ROUNDCUBE: &str = "require [\"copy\",\"date\",\"fileinto\",\"imap4flags\",\"relational\",\"vacation\"];\r\n\
# rule:[Out of office]\r\n\
if allof (currentdate :zone \"+0100\" :value \"ge\" \"date\" \"2026-12-21\", currentdate :zone \"+0100\" :value \"le\" \"date\" \"2027-01-03\")\r\n\
{\r\n\
\tvacation :days 7 :addresses [\"ada@phys.example\",\"a.lovelace@phys.example\"] :subject \"Away\" text:\r\n\
I am away.\r\n\
..dots are stuffed\r\n\
.\r\n\
;\r\n\
}\r\n\
# rule:[Forward]\r\n\
if true\r\n\
{\r\n\
\tredirect :copy \"ada@home.example\";\r\n\
}\r\n\
# rule:[Lists]\r\n\
if anyof (header :contains \"list-id\" \"rust\", not exists [\"from\",\"date\"], size :over 5M)\r\n\
{\r\n\
\tfileinto :copy \"Lists/Rust\";\r\n\
\taddflag \"\\\\Seen\";\r\n\
\tstop;\r\n\
}\r\n\
# rule:[Old]\r\n\
if false # header :contains \"subject\" \"[old]\"\r\n\
{\r\n\
\tdiscard;\r\n\
}\r\n";

#[test]
fn roundcube() {
    let reading = read(ROUNDCUBE);
    assert_eq!(
        outline(&reading),
        [
            "Roundcube Vacation «Out of office»",
            "Roundcube Forwarding «Forward»",
            "Roundcube Rule «Lists»",
            "Roundcube Rule «Old» off",
        ]
    );
    assert_eq!(
        sentences(&reading),
        [
            "if list contains \"rust\" or no header from and date is there or larger than 5 MB: put a copy into Lists/Rust, mark as read, stop",
            "if subject contains \"[old]\": discard",
        ]
    );
    let settings = reading.settings();
    let vacation = settings.vacation.as_ref().unwrap();
    assert_eq!(vacation.answer.text, "I am away.\n.dots are stuffed");
    assert_eq!(vacation.start.unwrap().to_string(), "2026-12-21+01:00");
    assert_eq!(vacation.end.unwrap().to_string(), "2027-01-03+01:00");
    assert_eq!(settings.forwarding.as_ref().unwrap().to, ["ada@home.example"]);
    assert!(settings.forwarding.as_ref().unwrap().keep);
    stands(ROUNDCUBE);
}

#[test]
fn what_roundcube_wrote_is_changed_in_its_own_form() {
    let reading = read(ROUNDCUBE);
    let mut wanted = reading.settings().clone();
    wanted.vacation.as_mut().unwrap().end = Some("2027-01-10+01:00".parse().unwrap());
    assert_eq!(write(&reading, &wanted), ROUNDCUBE.replace("2027-01-03", "2027-01-10"));

    let mut wanted = reading.settings().clone();
    wanted.forwarding.as_mut().unwrap().to = vec!["ada@lovelace.example".into()];
    assert_eq!(
        write(&reading, &wanted),
        ROUNDCUBE.replace("ada@home.example", "ada@lovelace.example")
    );

    let mut wanted = reading.settings().clone();
    wanted.forwarding.as_mut().unwrap().keep = false;
    // `copy` stays: the rule «Lists» needs it.
    assert_eq!(
        write(&reading, &wanted),
        ROUNDCUBE.replace("redirect :copy", "redirect")
    );

    let mut wanted = reading.settings().clone();
    let Some(Entry::Rule(rule)) = wanted.rules.get_mut(1) else {
        panic!()
    };
    rule.enabled = true;
    assert_eq!(
        write(&reading, &wanted),
        ROUNDCUBE.replace("if false # header", "if header")
    );

    let mut wanted = reading.settings().clone();
    let Some(Entry::Rule(rule)) = wanted.rules.get_mut(0) else {
        panic!()
    };
    rule.enabled = false;
    assert_eq!(
        write(&reading, &wanted),
        ROUNDCUBE.replace("if anyof (header", "if false # anyof (header")
    );

    let mut wanted = reading.settings().clone();
    wanted.vacation = None;
    let without = write(&reading, &wanted);
    assert!(
        without.starts_with("require [\"copy\",\"fileinto\",\"imap4flags\"];\r\n# rule:[Forward]"),
        "{without}"
    );
    assert_eq!(read(&without).settings().vacation, None);
}

const INGO: &str = r#"# Sieve Filter
# Generated by Ingo (http://www.horde.org/apps/ingo/) (11/24/2026, 10:12 AM)

require ["fileinto", "imap4flags", "vacation", "relational", "comparator-i;ascii-numeric"];

# Whitelisted Addresses
if address :all :comparator "i;ascii-casemap" :is ["From", "Sender", "Resent-From"] ["boss@phys.example", "dean@phys.example"]  {
    keep;
    stop;
}

# Blacklisted Addresses
if address :all :comparator "i;ascii-casemap" :is ["From", "Sender", "Resent-From"] ["a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"]  {
    discard;
    stop;
}
if address :all :comparator "i;ascii-casemap" :is ["From", "Sender", "Resent-From"] "f@x.example"  {
    discard;
    stop;
}

# Vacation
if allof ( not exists "List-Help", not exists "List-Id", not header :comparator "i;ascii-casemap" :is "Precedence" ["list", "bulk", "junk"] , not header :comparator "i;ascii-casemap" :matches "To" "Multiple recipients of*" , not address :all :comparator "i;ascii-casemap" :is ["From", "Sender", "Resent-From"] "robot@phys.example" ) {
    vacation :days 7 :addresses "ada@phys.example" :subject "Away" "Back soon.";
}

# Forwards
if true {
    redirect "ada@home.example";
}

# Rust list
if allof ( header :comparator "i;ascii-casemap" :contains "List-Id" "rust" , address :all :comparator "i;ascii-casemap" :contains ["To", "Cc"] "lists" ) {
    addflag ["\\Seen"];
    fileinto "Lists";
    removeflag ["\\Seen"];
    stop;
}

# Big or dear
if anyof ( size :over 1048576, allof ( not header :comparator "i;ascii-casemap" :contains "X-Price" "-", header :value "ge" :comparator "i;ascii-numeric" "X-Price" ["100"] ) ) {
    fileinto "Big";
}

# Forward Keep Action
if true {
    keep;
    stop;
}
"#;

#[test]
fn ingo() {
    let reading = read(INGO);
    assert_eq!(
        outline(&reading),
        [
            "Ingo SpamAllow «Whitelisted Addresses»",
            "Ingo SpamBlock «Blacklisted Addresses»",
            "Ingo SpamBlock",
            "Ingo Vacation «Vacation»",
            "Ingo Forwarding «Forwards»",
            "Ingo Rule «Rust list»",
            "Ingo Foreign «Big or dear»",
            "Ingo ForwardingKeep «Forward Keep Action»",
        ]
    );
    let settings = reading.settings();
    assert_eq!(settings.spam.allow, ["boss@phys.example", "dean@phys.example"]);
    assert_eq!(settings.spam.block.as_ref().unwrap().senders.len(), 6);
    assert!(settings.forwarding.as_ref().unwrap().keep, "the copy stays at the end");
    let vacation = settings.vacation.as_ref().unwrap();
    assert_eq!(vacation.except, ["robot@phys.example"]);
    assert_eq!(vacation.only_if.len(), 4);
    assert_eq!(
        sentences(&reading),
        [
            "if list contains \"rust\" and recipient contains \"lists\": mark as read, put into Lists, take away flags \\Seen, stop",
            "foreign: it has conditions inside conditions",
        ]
    );
    stands(INGO);

    // Blocking one more writes the list in one rule, and leaves everything else.
    let mut wanted = settings.clone();
    wanted.spam.block.as_mut().unwrap().senders.push("*@y.example".into());
    let text = write(&reading, &wanted);
    let after = &INGO[INGO.find("# Vacation").unwrap()..];
    assert!(text.ends_with(after), "{text}");
    assert_eq!(read(&text).settings(), &{
        let mut wanted = wanted.clone();
        wanted.rules = read(&text).settings().rules.clone();
        wanted
    });

    // No copy any more: what kept it goes.
    let mut wanted = settings.clone();
    wanted.forwarding.as_mut().unwrap().keep = false;
    let text = write(&reading, &wanted);
    assert!(
        !text.contains("Forward Keep Action") && text.contains("redirect \"ada@home.example\";"),
        "{text}"
    );
    assert!(!read(&text).settings().forwarding.as_ref().unwrap().keep);
}

const SOGO: &str = "require [\"vacation\",\"date\",\"relational\",\"fileinto\",\"imap4flags\"];\r\n\
if allof (header :contains \"subject\" \"[group]\", not address :is [\"to\", \"cc\"] \"ada@phys.example\") {\r\n    \
    fileinto \"Group\";\r\n    \
    addflag \"\\\\Flagged\";\r\n    \
    stop;\r\n\
}\r\n\
if anyof (size :over 200K) {\r\n    \
    fileinto \"Big\";\r\n\
}\r\n\
if allof ( not exists [\"list-help\", \"list-id\", \"Mailing-List\"], currentdate :value \"ge\" \"date\" \"2026-12-21\", currentdate :value \"le\" \"date\" \"2027-01-03\" ) { vacation :days 7 :addresses [\"ada@phys.example\", \"a@phys.example\"] text:\r\n\
Away.\r\n\
.\r\n\
;\r\n\
}\r\n\
redirect \"ada@home.example\";\r\n\
keep;\r\n";

#[test]
fn sogo() {
    let reading = read(SOGO);
    assert_eq!(
        outline(&reading),
        ["Sogo Rule", "Sogo Rule", "Person Vacation", "Person Forwarding"]
    );
    let settings = reading.settings();
    assert!(settings.forwarding.as_ref().unwrap().keep);
    let vacation = settings.vacation.as_ref().unwrap();
    assert_eq!(vacation.start.unwrap().to_string(), "2026-12-21");
    assert_eq!(vacation.answer.text, "Away.");
    stands(SOGO);
    let mut wanted = settings.clone();
    let Some(Entry::Rule(rule)) = wanted.rules.get_mut(0) else {
        panic!()
    };
    rule.actions.pop();
    assert_eq!(
        write(&reading, &wanted),
        SOGO.replace(
            "    addflag \"\\\\Flagged\";\r\n    stop;\r\n",
            "    addflag \"\\\\Flagged\";\r\n"
        )
    );
    let mut wanted = settings.clone();
    wanted.forwarding.as_mut().unwrap().enabled = false;
    let text = write(&reading, &wanted);
    assert!(
        text.contains("if false # true\r\n{\r\n    redirect :copy \"ada@home.example\";\r\n}\r\n"),
        "{text}"
    );
    assert!(!read(&text).settings().forwarding.as_ref().unwrap().enabled);
}

const KMAIL: &str = r#"require "fileinto";
require "copy";
require "variables";

#SCRIPTNAME: lists
if anyof (header :contains "List-Id" "kde", header :contains "List-Id" "qt")
{
    fileinto :copy "Lists";
} elsif address :all :is [ "From", "Sender" ] [ "boss@phys.example", "dean@phys.example" ]
{
    fileinto "Boss";
} else {
    keep;
}

#SCRIPTNAME: hand made
set "x" "y";
"#;

#[test]
fn kmail() {
    let reading = read(KMAIL);
    assert_eq!(
        outline(&reading),
        [
            "Kmail Rule «lists»",
            "Person Rule",
            "Person Rule",
            "Kmail Foreign «hand made»",
        ]
    );
    assert_eq!(
        sentences(&reading)[1],
        "otherwise if header from or sender is \"boss@phys.example\" or \"dean@phys.example\": put into Boss"
            .replace("header from or sender", "address in from or sender")
    );
    assert_eq!(sentences(&reading)[2], "otherwise always: keep");
    stands(KMAIL);
    // The head of a chain goes: what stood behind it begins with `if`.
    let mut wanted = reading.settings().clone();
    wanted.rules.remove(0);
    let text = write(&reading, &wanted);
    assert!(text.contains("if address :all :is [ \"From\", \"Sender\" ]"), "{text}");
    assert_eq!(sentences(&read(&text))[1], "otherwise always: keep");
    assert!(!text.contains("copy"), "nothing else needs it: {text}");
    // And the others are not torn apart.
    let mut wanted = reading.settings().clone();
    wanted.rules.swap(0, 2);
    assert!(reading.write(&wanted, &Owner::default(), &Limits::default()).is_err());
}

const BY_HAND: &str = r#"# Filters of ada, by hand since 2011.
# Please ask before you touch them.

require ["fileinto", # where mail goes
         "variables", "mailbox"];

# -- spam --
if header :is "X-Spam-Flag" "YES" { fileinto "Junk"; stop; }

/* The list moved twice;
   both names are in use. */
if anyof(header :contains "list-id" "old.example", # until 2019
         header :contains "list-id" "new.example")
{
  # not read for years
  fileinto "Lists"; # sigh
}
if header :matches "subject" "[*] *" {
  set :lower "folder" "${1}";
  fileinto :create "Topics/${folder}";
  stop;
}
# bosses
if address :domain "from" "boss.example" {
	if size :over 1M { fileinto "Boss/Big"; } else { fileinto "Boss"; }
}
if not allof(exists "x-a", header "x-b" "1") { keep; }
"#;

#[test]
fn by_hand() {
    let reading = read(BY_HAND);
    assert_eq!(
        outline(&reading),
        [
            "Person Rule «-- spam --»",
            "Person Rule",
            "Person Foreign",
            "Person Foreign «bosses»",
            "Person Rule",
        ]
    );
    assert_eq!(
        sentences(&reading),
        [
            "if header x-spam-flag is \"YES\": put into Junk, stop",
            "if list contains \"old.example\" or list contains \"new.example\": put into Lists",
            "foreign: the command `set` has no place in a rule",
            "foreign: it has an `if` inside an `if`",
            "if no header x-a is there or header x-b is not \"1\": keep",
        ]
    );
    stands(BY_HAND);
    let lines: Vec<(u32, u32)> = reading.parts().iter().map(|p| (p.first_line, p.last_line)).collect();
    assert_eq!(lines, [(4, 5), (7, 8), (12, 17), (18, 22), (23, 26), (27, 27)]);
    assert_eq!(reading.part_at(20).map(|p| p.id.0), Some(4));

    // A change in one half leaves the other, and no comment is lost.
    let mut wanted = reading.settings().clone();
    let Some(Entry::Rule(rule)) = wanted.rules.get_mut(1) else {
        panic!()
    };
    rule.actions.push(settings::Action::Stop);
    let text = write(&reading, &wanted);
    for kept in [
        "# until 2019\n",
        "# not read for years\n",
        "# sigh\n",
        "/* The list moved twice;",
        "    fileinto \"Lists\";\n    stop;\n}",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert_eq!(
        text.matches("anyof(header :contains \"list-id\" \"old.example\", # until 2019")
            .count(),
        1
    );

    // A new vacation stands at the top, below the header and `require`.
    let mut wanted = reading.settings().clone();
    wanted.vacation = Some(settings::Vacation::new("Away."));
    let text = write(&reading, &wanted);
    assert!(text.starts_with("# Filters of ada"), "{text}");
    let (head, rest) = text.split_once("# rule:[Vacation]\n").unwrap();
    assert!(
        head.contains("require \"vacation\";\n"),
        "a list with comments in it is left alone: {head}"
    );
    assert!(rest.contains("# -- spam --\n"));
    // In this script, `${` would be a variable.
    wanted.vacation = Some(settings::Vacation::new("Owe me ${5}."));
    let refused = reading
        .write(&wanted, &Owner::default(), &Limits::default())
        .unwrap_err();
    assert_eq!(refused.problems[0].at, "vacation.text");
}

#[test]
fn an_empty_script_becomes_one() {
    let reading = read("");
    assert_eq!(reading.settings(), &Settings::default());
    let mut wanted = Settings::default();
    wanted.rules.push(Entry::Rule(Rule::new(
        "Rust",
        vec![settings::Condition::list(settings::Match::Contains, &["rust"])],
        vec![settings::Action::file_into("Lists/Rust"), settings::Action::Stop],
    )));
    assert_eq!(
        write(&reading, &wanted),
        "require [\"fileinto\", \"mailbox\"];\r\n# rule:[Rust]\r\nif header :contains \"list-id\" \"rust\"\r\n{\r\n    fileinto :create \"Lists/Rust\";\r\n    stop;\r\n}\r\n"
    );
}
