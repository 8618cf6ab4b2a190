//! What holds for all settings and all scripts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use settings::*;

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,7}"
}

/// One line of text, with all that has to be quoted.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ -~äöß☃]{1,20}", 1 => Just("# no \"comment\" \\ /* text: */ ; } { ]".to_owned())]
        .prop_filter("something to read", |s| !s.trim().is_empty())
}

fn text() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            line(),
            Just(String::new()),
            Just(".".to_owned()),
            Just("..x".to_owned())
        ],
        1..5,
    )
    .prop_map(|lines| lines.join("\n"))
    .prop_filter("something to read", |s| !s.trim().is_empty())
}

fn address() -> impl Strategy<Value = String> {
    (word(), word()).prop_map(|(local, domain)| format!("{local}@{domain}.example"))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![3 => address(), 1 => word().prop_map(|d| format!("*@{d}.example"))]
}

fn relation() -> impl Strategy<Value = Relation> {
    prop_oneof![
        Just(Relation::Gt),
        Just(Relation::Ge),
        Just(Relation::Lt),
        Just(Relation::Le),
        Just(Relation::Eq),
        Just(Relation::Ne)
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let texts = (
        prop_oneof![Just(Match::Is), Just(Match::Contains), Just(Match::Matches)],
        prop_oneof![
            Just(Comparator::AsciiCasemap),
            Just(Comparator::Octet),
            Just(Comparator::UnicodeCasemap)
        ],
        vec(line(), 1..4),
    )
        .prop_map(|(how, comparator, values)| Comparison {
            how,
            comparator,
            values,
        });
    let regex = vec("[a-z.*+]{0,2}[a-z]", 1..3).prop_map(|values| Comparison {
        how: Match::Regex,
        comparator: Comparator::AsciiCasemap,
        values: values
            .into_iter()
            .map(|v| format!("^{v}", v = v.replace(['*', '+'], "")))
            .collect(),
    });
    let numbers = (relation(), any::<bool>(), 0_u32..1000).prop_map(|(relation, count, number)| Comparison {
        how: if count {
            Match::Count(relation)
        } else {
            Match::Value(relation)
        },
        comparator: Comparator::Numeric,
        values: vec![number.to_string()],
    });
    prop_oneof![4 => texts, 1 => regex, 1 => numbers]
}

fn part() -> impl Strategy<Value = AddressPart> {
    prop_oneof![
        Just(AddressPart::All),
        Just(AddressPart::Localpart),
        Just(AddressPart::Domain),
        Just(AddressPart::User),
        Just(AddressPart::Detail)
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let headers = || {
        vec(
            prop_oneof![word(), Just("X-Spam".to_owned()), Just("from".to_owned())],
            1..4,
        )
    };
    let address_headers = || {
        vec(
            prop_oneof![Just("from".to_owned()), Just("To".to_owned()), Just("cc".to_owned())],
            1..4,
        )
    };
    let date = || prop_oneof![Just("date"), Just("weekday"), Just("hour"), Just("iso8601")].prop_map(str::to_owned);
    let zone = || option::of(prop_oneof![Just("+0100".to_owned()), Just("-0530".to_owned())]);
    let test = prop_oneof![
        (headers(), comparison()).prop_map(|(headers, is)| Test::Header { headers, is }),
        (address_headers(), part(), comparison()).prop_map(|(headers, part, is)| Test::Address { headers, part, is }),
        (
            vec(prop_oneof![Just("from".to_owned()), Just("to".to_owned())], 1..3),
            part(),
            comparison()
        )
            .prop_map(|(fields, part, is)| Test::Envelope { fields, part, is }),
        headers().prop_map(|headers| Test::Exists { headers }),
        (any::<bool>(), 0_u64..5_000_000).prop_map(|(over, octets)| Test::Size { over, octets }),
        (any::<bool>(), 0_u64..5_000).prop_map(|(over, octets)| Test::Size {
            over,
            octets: octets << 10
        }),
        (
            prop_oneof![
                Just(BodyPart::Text),
                Just(BodyPart::Raw),
                vec(word(), 1..3).prop_map(BodyPart::Content)
            ],
            comparison()
        )
            .prop_filter("a body has no count", |(_, is)| !matches!(is.how, Match::Count(_)))
            .prop_map(|(of, is)| Test::Body { of, is }),
        (any::<bool>(), relation(), 0_u8..10).prop_map(|(percent, relation, score)| Test::Spam {
            percent,
            is: Comparison {
                how: Match::Value(relation),
                comparator: Comparator::Numeric,
                values: vec![score.to_string()],
            },
        }),
        (zone(), date(), comparison())
            .prop_filter("a date is not counted", |(_, _, is)| !matches!(is.how, Match::Count(_)))
            .prop_map(|(zone, date_part, is)| Test::CurrentDate { zone, date_part, is }),
        (zone(), date(), comparison()).prop_map(|(zone, date_part, is)| Test::Date {
            header: "date".into(),
            zone,
            date_part,
            is,
        }),
    ];
    (any::<bool>(), test).prop_map(|(not, test)| Condition { not, test })
}

fn flags() -> impl Strategy<Value = Vec<String>> {
    vec(
        prop_oneof![
            Just("\\Seen".to_owned()),
            Just("\\Flagged".to_owned()),
            word(),
            Just("$Label1".to_owned())
        ],
        1..3,
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    (
        option::of(prop_oneof![
            (1_u64..30).prop_map(Interval::Days),
            (1_u64..9000).prop_map(Interval::Seconds)
        ]),
        option::of(line()),
        option::of(address()),
        vec(address(), 0..3),
        option::of(word()),
        text(),
    )
        .prop_map(|(interval, subject, from, addresses, handle, text)| Reply {
            interval,
            subject,
            from,
            addresses,
            handle,
            mime: false,
            text,
        })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let mailbox = || vec(prop_oneof![word(), Just("Über\"uns\\".to_owned())], 1..3).prop_map(|levels| levels.join("/"));
    let one = prop_oneof![
        3 => (mailbox(), any::<bool>(), any::<bool>(), option::of(flags()))
            .prop_map(|(mailbox, copy, create, flags)| Action::FileInto { mailbox, copy, create, flags }),
        2 => (address(), any::<bool>()).prop_map(|(to, copy)| Action::Redirect { to, copy }),
        1 => option::of(flags()).prop_map(|flags| Action::Keep { flags }),
        1 => Just(Action::Discard),
        1 => flags().prop_map(|flags| Action::AddFlags { flags }),
        1 => flags().prop_map(|flags| Action::SetFlags { flags }),
        1 => flags().prop_map(|flags| Action::RemoveFlags { flags }),
        1 => (address(), option::of(line())).prop_map(|(to, message)| Action::Notify(Notice {
            to: format!("mailto:{to}"),
            message,
            importance: Some("1".into()),
            ..Notice::default()
        })),
    ];
    let usual = (vec(one, 1..4), any::<bool>()).prop_map(|(mut actions, stop)| {
        if stop {
            actions.push(Action::Stop);
        }
        actions
    });
    let refusal = (text(), any::<bool>()).prop_map(|(text, early)| vec![Action::Reject { text, early }]);
    let answer = reply().prop_map(|reply| vec![Action::Vacation(reply)]);
    prop_oneof![8 => usual, 1 => refusal, 1 => answer]
}

fn rule() -> impl Strategy<Value = Rule> {
    (
        line().prop_map(|l| l.trim().to_owned()),
        any::<bool>(),
        prop_oneof![Just(Join::All), Just(Join::Any), Just(Join::None)],
        prop_oneof![5 => vec(condition(), 1..4), 1 => Just(vec![Condition::always()])],
        actions(),
    )
        .prop_map(|(name, enabled, join, conditions, actions)| Rule {
            id: None,
            name: Some(name),
            enabled,
            otherwise: false,
            join,
            conditions,
            actions,
        })
        .prop_filter("never", |rule| {
            rule.conditions.len() > 1 || !matches!(rule.conditions[0].test, Test::Always) || rule.join != Join::None
        })
        .prop_map(Rule::normal)
}

fn moment() -> impl Strategy<Value = Moment> {
    (
        2026_i16..2030,
        1_i8..13,
        1_i8..28,
        option::of((0_i8..24, 0_i8..60)),
        -12_i16..13,
    )
        .prop_map(|(year, month, day, time, zone)| {
            let date = jiff::civil::date(year, month, day);
            match time {
                None => Moment::day(date, Some(zone * 60)),
                Some((hour, minute)) => Moment::at(date, jiff::civil::time(hour, minute, 0, 0), Some(zone * 60)),
            }
        })
}

fn answer() -> impl Strategy<Value = Answer> {
    (option::of(line()), text(), any::<bool>()).prop_map(|(subject, text, html)| Answer {
        subject,
        text,
        format: if html { Format::Html } else { Format::Plain },
    })
}

fn vacation() -> impl Strategy<Value = Vacation> {
    (
        (any::<bool>(), option::of(moment()), option::of(0_i64..100)),
        (answer(), option::of(address()), vec(address(), 0..3)),
        option::of((1_u64..30).prop_map(Interval::Days)),
        vec(pattern(), 0..3),
        option::of((vec(word().prop_map(|w| format!("{w}.example")), 1..3), answer())),
    )
        .prop_map(
            |((enabled, start, length), (answer, from, addresses), interval, except, colleagues)| Vacation {
                enabled,
                start,
                end: start.and_then(|start| {
                    let date = start.date().checked_add(jiff::Span::new().days(length?)).ok()?;
                    Some(match start.time() {
                        None => Moment::day(date, start.offset()),
                        Some(time) => Moment::at(date, time, start.offset()),
                    })
                }),
                from,
                addresses,
                interval,
                except,
                colleagues: colleagues.map(|(domains, answer)| Colleagues { domains, answer }),
                answer,
                ..Vacation::new("")
            },
        )
}

fn spam() -> impl Strategy<Value = Spam> {
    let then = || {
        prop_oneof![
            Just(Disposal::default()),
            Just(Disposal::Discard),
            word().prop_map(Disposal::Mailbox)
        ]
    };
    (
        vec(pattern(), 0..4),
        option::of((vec(pattern(), 1..4), then()).prop_map(|(senders, then)| Block { senders, then })),
        option::of((1_u8..11, then()).prop_map(|(score, then)| Threshold { score, then })),
    )
        .prop_map(|(allow, block, threshold)| Spam {
            allow,
            block,
            threshold,
        })
}

fn forwarding() -> impl Strategy<Value = Forwarding> {
    (
        any::<bool>(),
        proptest::collection::btree_set(address(), 1..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(enabled, to, keep, stop)| Forwarding {
            enabled,
            to: to.into_iter().collect(),
            keep,
            stop,
        })
}

/// Settings whose rules are rules: none has the form of a forwarding, a vacation or a spam list.
fn settings() -> impl Strategy<Value = Settings> {
    (
        option::of(forwarding()),
        option::of(vacation()),
        spam(),
        vec(rule(), 0..6),
    )
        .prop_map(|(forwarding, vacation, spam, rules)| Settings {
            forwarding,
            vacation,
            spam,
            rules: rules.into_iter().map(Entry::Rule).collect(),
        })
}

/// Without the numbers, which come from reading.
fn unnumbered(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for entry in &mut settings.rules {
        if let Entry::Rule(rule) = entry {
            rule.id = None;
        }
    }
    settings
}

fn write(reading: &Reading, wanted: &Settings) -> String {
    let text = reading.write(wanted, &Owner::default(), &Limits::default());
    text.unwrap_or_else(|e| panic!("{e}\n{wanted:#?}\n{}", reading.source()))
}

/// Pieces that people and programs write; those the model has no words for come first.
const SNIPPETS: [&str; 14] = [
    "set \"a\" \"b\";\n",
    "if header :matches \"subject\" \"*\" { set \"s\" \"${1}\"; }\n",
    "# by hand\nif exists \"x\" { if size :over 1K { keep; } else { discard; } }\n",
    "include :personal \"more\";\n",
    "if hasflag \"\\\\Seen\" { keep; } # seen\n",
    "# rule:[named]\r\nif anyof (header :contains \"subject\" \"a\", header :is \"x-b\" [\"c\",\"d\"])\r\n{\r\n\tfileinto \"A\";\r\n\tstop;\r\n}\r\n",
    "# rule:[off]\r\nif false # not exists \"x-z\"\r\n{\r\n\tdiscard;\r\n}\r\n",
    "#SCRIPTNAME: k\nif size :over 10M\n{\n    fileinto \"Big\"; # big\n}\n",
    "if header \"x-a\" \"1\" { fileinto \"1\"; } elsif header \"x-a\" \"2\" { fileinto \"2\"; } else { fileinto \"3\"; }\n",
    "redirect \"somebody@else.example\";\nkeep;\n",
    "if address :domain \"from\" \"x.example\" { addflag \"x\"; } if address :domain \"from\" \"y.example\" { addflag \"y\"; }\n",
    "/* two\n   lines */ if not allof(true, header \"a\" \"b\") {\n  fileinto /* here */ \"C\"; }\n",
    "vacation :days 3 text:\nnot here\n.. at all\n.\n;\n",
    "\n   # a comment that names nothing\n\n",
];
const FOREIGN: usize = 5;
const REQUIRE: &str = "require [\"fileinto\", \"imap4flags\", \"variables\", \"include\", \"vacation\"];\n";

/// A script of such pieces, with one vacation at most, which is all a script may run.
fn script() -> impl Strategy<Value = String> {
    (any::<bool>(), vec(0..SNIPPETS.len(), 0..12)).prop_map(|(header, pieces)| {
        let mut out = String::new();
        if header {
            out.push_str("# a script\n# of many hands\n\n");
        }
        out.push_str(REQUIRE);
        let mut answered = false;
        for n in pieces {
            let vacation = SNIPPETS[n].starts_with("vacation");
            if !(vacation && answered) {
                out.push_str(SNIPPETS[n]);
            }
            answered |= vacation;
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_set_is_read_back(wanted in settings()) {
        let reading = Reading::of("").unwrap();
        let text = write(&reading, &wanted);
        let again = Reading::of(&text).unwrap();
        let found = unnumbered(again.settings());
        if wanted.forwarding.is_some() {
            prop_assert_eq!(&found.forwarding, &wanted.forwarding, "{}", text);
        }
        if wanted.vacation.is_some() {
            prop_assert_eq!(&found.vacation, &wanted.vacation, "{}", text);
        }
        let Spam { allow, block, threshold } = &wanted.spam;
        prop_assert!(allow.is_empty() || *allow == found.spam.allow, "{}", text);
        prop_assert!(block.is_none() || *block == found.spam.block, "{}", text);
        prop_assert!(threshold.is_none() || *threshold == found.spam.threshold, "{}", text);
        // Where there is none yet, a rule that has its form has become the forwarding, the vacation or a list.
        let became = (found.forwarding.is_some() && wanted.forwarding.is_none())
            || (found.vacation.is_some() && wanted.vacation.is_none())
            || found.spam != wanted.spam;
        if !became {
            prop_assert_eq!(&found.rules, &wanted.rules, "{}", text);
        }
        prop_assert_eq!(write(&again, again.settings()), text);
    }

    #[test]
    fn a_script_that_nobody_changed_is_the_same(text in script()) {
        let reading = Reading::of(&text).unwrap();
        prop_assert_eq!(write(&reading, reading.settings()), text);
    }

    #[test]
    fn what_is_not_changed_stays_octet_for_octet(text in script(), change in rule(), which in any::<prop::sample::Index>()) {
        let reading = Reading::of(&text).unwrap();
        let mut wanted = reading.settings().clone();
        let rules: Vec<usize> = (0..wanted.rules.len()).filter(|n| matches!(wanted.rules[*n], Entry::Rule(_))).collect();
        // In a script with variables, `${` is no text.
        prop_assume!(!format!("{change:?}").contains("${"));
        let mut changed = None;
        if rules.is_empty() {
            wanted.rules.push(Entry::Rule(change));
        } else if let Entry::Rule(rule) = &mut wanted.rules[*which.get(&rules)] {
            changed = rule.id;
            let (id, otherwise) = (rule.id, rule.otherwise);
            *rule = Rule { id, otherwise, ..change };
        }
        let new = write(&reading, &wanted);
        for part in reading.parts().iter().filter(|p| Some(p.id) != changed && p.role != Role::Require) {
            prop_assert!(new.contains(&text[part.range.clone()]), "{:?} is missing in\n{}", &text[part.range.clone()], new);
        }
        for snippet in SNIPPETS.iter().take(FOREIGN).filter(|s| text.contains(**s)) {
            prop_assert!(new.contains(snippet));
        }
    }

    #[test]
    fn rules_can_be_put_in_any_order(rules in vec(rule(), 2..6), seed in any::<u64>()) {
        let mut wanted = Settings::default();
        // Told apart by a condition of their own, none of them is a forwarding, a vacation or a spam list.
        for (n, mut rule) in rules.into_iter().enumerate() {
            rule.conditions.push(Condition::header(&format!("x-{n}"), Match::Is, &["1"]));
            rule.join = Join::Any;
            wanted.rules.push(Entry::Rule(rule.normal()));
        }
        let first = write(&Reading::of("").unwrap(), &wanted);
        let reading = Reading::of(&first).unwrap();
        let mut shuffled = reading.settings().clone();
        let count = shuffled.rules.len();
        for n in (1..count).rev() {
            shuffled.rules.swap(n, (seed >> (n * 7)) as usize % (n + 1));
        }
        let second = write(&reading, &shuffled);
        prop_assert_eq!(unnumbered(Reading::of(&second).unwrap().settings()), unnumbered(&shuffled));
        prop_assert_eq!(second.len(), first.len());
    }

    #[test]
    fn settings_survive_json(wanted in settings()) {
        let json = serde_json::to_string(&wanted).unwrap();
        prop_assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), wanted, "{}", json);
    }
}
