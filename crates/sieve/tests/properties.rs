//! What holds for every script: reading what was printed gives the same, and unchanged text stays as it stood.

#![allow(clippy::unwrap_used, clippy::panic)] // tests

use proptest::prelude::*;
use sieve::tree::{Argument, Block, Command, Number, Test, Tests, Text, Unit, Value};
use sieve::{Limits, Script};

fn parse(text: &str) -> Script {
    Script::parse(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The tree without white space, comments and places.
fn bare(commands: &[Command]) -> Vec<Command> {
    commands
        .iter()
        .map(|c| Command {
            leading: String::new(),
            tail: String::new(),
            trailing: String::new(),
            arguments: bare_arguments(&c.arguments),
            tests: bare_tests(&c.tests),
            block: c.block.as_ref().map(|b| Block {
                commands: bare(&b.commands),
                tail: String::new(),
            }),
            ..c.clone()
        })
        .collect()
}

fn bare_tests(tests: &Tests) -> Tests {
    let one = |t: &Test| Test {
        leading: String::new(),
        arguments: bare_arguments(&t.arguments),
        tests: bare_tests(&t.tests),
        ..t.clone()
    };
    match tests {
        Tests::None => Tests::None,
        Tests::One(t) => Tests::One(Box::new(one(t))),
        Tests::List(list) => Tests::List(list.iter().map(one).collect()),
    }
}

fn bare_arguments(arguments: &[Argument]) -> Vec<Argument> {
    let bare_text = |t: &Text| Text {
        leading: String::new(),
        ..t.clone()
    };
    arguments
        .iter()
        .map(|a| Argument {
            leading: String::new(),
            value: match &a.value {
                Value::Text(t) => Value::Text(bare_text(t)),
                Value::List(list) => Value::List(list.iter().map(bare_text).collect()),
                other => other.clone(),
            },
            ..a.clone()
        })
        .collect()
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,7}".prop_filter("begins a text", |n| !n.eq_ignore_ascii_case("text"))
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        "[ -~\u{e4}\u{1F4E7}\n\\\\\"]{0,12}".prop_map(|value| Text {
            value,
            ..Text::default()
        }),
        "(\\.{0,2}[a-z#\\.]{0,6}\n){0,3}".prop_map(|value| Text {
            value,
            multiline: true,
            ..Text::default()
        }),
    ]
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        name().prop_map(Value::Tag),
        (
            0u64..5000,
            proptest::option::of(prop_oneof![Just(Unit::K), Just(Unit::M), Just(Unit::G)])
        )
            .prop_map(|(count, unit)| Value::Number(Number { count, unit })),
        text().prop_map(Value::Text),
        proptest::collection::vec(text(), 1..4).prop_map(Value::List),
    ]
    .prop_map(Argument::from)
}

fn tests() -> impl Strategy<Value = Tests> {
    let leaf = (name(), proptest::collection::vec(argument(), 0..3)).prop_map(|(name, arguments)| Test {
        name,
        arguments,
        ..Test::default()
    });
    let test = leaf.prop_recursive(3, 12, 3, |inner| {
        (
            name(),
            proptest::collection::vec(argument(), 0..2),
            proptest::collection::vec(inner, 1..3),
            any::<bool>(),
        )
            .prop_map(|(name, arguments, mut inner, one)| Test {
                name,
                arguments,
                tests: if one {
                    Tests::One(Box::new(inner.remove(0)))
                } else {
                    Tests::List(inner)
                },
                ..Test::default()
            })
    });
    prop_oneof![
        Just(Tests::None),
        test.clone().prop_map(|t| Tests::One(Box::new(t))),
        proptest::collection::vec(test, 1..3).prop_map(Tests::List),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let leaf =
        (name(), proptest::collection::vec(argument(), 0..4), tests()).prop_map(|(name, arguments, tests)| Command {
            name,
            arguments,
            tests,
            ..Command::default()
        });
    leaf.prop_recursive(3, 16, 4, |inner| {
        (name(), tests(), proptest::collection::vec(inner, 0..4), comment()).prop_map(
            |(name, tests, commands, leading)| Command {
                leading,
                name,
                tests,
                block: Some(Block {
                    commands,
                    tail: String::new(),
                }),
                ..Command::default()
            },
        )
    })
}

fn comment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\n".to_owned()),
        Just("# a comment".to_owned()),
        Just("\n# rule:[one]\n".to_owned()),
        Just(" /* in\nlines */ ".to_owned()),
    ]
}

/// Text of a script with comments in all places.
fn source() -> impl Strategy<Value = String> {
    let gap = prop_oneof![
        4 => Just(" "),
        2 => Just("\n"),
        1 => Just("\r\n\r\n"),
        1 => Just(" # words \" here\n"),
        1 => Just("/* more; } */"),
        1 => Just("\t/* # */ "),
    ];
    (
        proptest::collection::vec(command(), 0..4),
        proptest::collection::vec(gap, 64),
    )
        .prop_map(|(commands, gaps)| {
            let printed = Script::new(commands).to_text();
            // Gaps go where the canonical form has a blank between words.
            let mut gaps = gaps.into_iter().cycle();
            let mut out = String::new();
            let mut rest = printed.as_str();
            while !rest.is_empty() {
                if rest.starts_with('"') {
                    let mut escaped = false;
                    let end = rest.char_indices().skip(1).find(|(_, c)| {
                        let closes = *c == '"' && !escaped;
                        escaped = *c == '\\' && !escaped;
                        closes
                    });
                    let end = end.map_or(rest.len(), |(at, _)| at + 1);
                    out.push_str(&rest[..end]);
                    rest = &rest[end..];
                } else if rest.starts_with("text:") {
                    let end = rest.find("\n.\n").map_or(rest.len(), |at| at + 3);
                    out.push_str(&rest[..end]);
                    rest = &rest[end..];
                } else if rest.starts_with('#') || rest.starts_with("/*") {
                    let end = if rest.starts_with('#') {
                        rest.find('\n').map_or(rest.len(), |at| at + 1)
                    } else {
                        rest.find("*/").map_or(rest.len(), |at| at + 2)
                    };
                    out.push_str(&rest[..end]);
                    rest = &rest[end..];
                } else {
                    let c = rest.chars().next().unwrap();
                    if c == ' ' {
                        out.push_str(gaps.next().unwrap());
                    } else {
                        out.push(c);
                    }
                    rest = &rest[c.len_utf8()..];
                }
            }
            out
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn made_trees_are_read_back(commands in proptest::collection::vec(command(), 0..4)) {
        let text = Script::new(commands.clone()).to_text();
        let read = parse(&text);
        prop_assert_eq!(bare(&read.commands), bare(&commands), "{}", text);
    }

    #[test]
    fn unchanged_is_identical(text in source()) {
        let script = parse(&text);
        prop_assert_eq!(script.to_text(), text);
    }

    #[test]
    fn removing_the_last_command_leaves_the_others(text in source()) {
        let mut script = parse(&text);
        if let Some(removed) = script.commands.pop() {
            let printed = script.to_text();
            let read = parse(&printed);
            prop_assert_eq!(bare(&read.commands), bare(&script.commands), "{}", printed);
            // All that stood before it is as it was.
            if let Some(last) = script.commands.last() {
                let end = last.span.end as usize + last.trailing.len();
                prop_assert_eq!(&printed[..end], &text[..end]);
            }
            prop_assert!(removed.span.end > 0);
        }
    }

    #[test]
    fn a_new_command_goes_anywhere(text in source(), at in 0usize..5) {
        let mut script = parse(&text);
        let at = at.min(script.commands.len());
        let new = Command::new("fileinto").argument("A \"box\"");
        script.commands.insert(at, new);
        let printed = script.to_text();
        let read = parse(&printed);
        prop_assert_eq!(bare(&read.commands), bare(&script.commands), "{}", printed);
        // The comments are all still there.
        for comment in ["words", "more;", "rule:[one]"] {
            prop_assert_eq!(printed.matches(comment).count(), text.matches(comment).count(), "{}", printed);
        }
    }

    #[test]
    fn changed_heads_keep_comments_and_meaning(text in source(), at in 0usize..4) {
        let mut script = parse(&text);
        if let Some(command) = script.commands.get_mut(at) {
            command.arguments.push(Argument::from(7u64));
            let printed = script.to_text();
            let read = parse(&printed);
            prop_assert_eq!(bare(&read.commands), bare(&script.commands), "{}", printed);
            for comment in ["words", "more;", "rule:[one]"] {
                prop_assert_eq!(printed.matches(comment).count(), text.matches(comment).count(), "{}\n---\n{}", printed, text);
            }
        }
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Script::parse(&bytes, &Limits::default());
        let _ = sieve::Compiled::compile(&bytes, &sieve::Options::default());
    }

    /// However a test is found to fail, it is what comparing the texts says.
    #[test]
    fn tests_compare_what_stands_there(
        values in proptest::collection::vec("[aAbB1.ü-]{0,9}", 0..4),
        keys in proptest::collection::vec("[aAbB1.ü-]{0,3}", 1..3),
    ) {
        let mut message: String = values.iter().map(|value| format!("X-One: {value}\r\n")).collect();
        message.push_str("\r\n");
        let list: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
        let starred: Vec<String> = keys.iter().map(|key| format!("\"*{key}*{key}\"")).collect();
        let script = format!(
            "require \"imap4flags\";
             if header :is \"x-one\" [{0}] {{ addflag \"is\"; }}
             if header :contains [\"x-two\", \"x-one\"] [{0}] {{ addflag \"contains\"; }}
             if header :comparator \"i;octet\" :contains \"x-one\" [{0}] {{ addflag \"octets\"; }}
             if not header :matches \"x-one\" [{1}] {{ addflag \"unmatched\"; }}",
            list.join(", "),
            starred.join(", ")
        );
        let compiled = sieve::Compiled::compile(script.as_bytes(), &sieve::Options::default()).unwrap();
        let outcome = compiled.run(&sieve::Input::new(message.as_bytes()), &sieve::Nowhere, &Limits::default());
        let flags = outcome.actions.iter().find_map(|taken| match &taken.action {
            sieve::Action::Keep { flags, .. } => Some(flags.clone()),
            _ => None,
        });
        let any = |holds: &dyn Fn(&str, &str) -> bool| {
            values.iter().any(|value| keys.iter().any(|key| holds(value, key)))
        };
        let low = |text: &str| text.to_ascii_lowercase();
        let twice = |value: &str, key: &str| {
            low(value).strip_suffix(&low(key)).is_some_and(|start| start.contains(&low(key)))
        };
        let mut expected = Vec::new();
        for (flag, set) in [
            ("is", any(&|value, key| low(value) == low(key))),
            ("contains", any(&|value, key| low(value).contains(&low(key)))),
            ("octets", any(&|value, key| value.contains(key))),
            ("unmatched", !any(&twice)),
        ] {
            if set {
                expected.push(flag.to_owned());
            }
        }
        prop_assert_eq!(flags, Some(expected), "{}\n{}", message, script);
    }
}
