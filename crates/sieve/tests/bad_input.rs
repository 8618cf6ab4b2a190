//! Scripts that ask for too much, or make no sense: refused or bounded, with line and limit.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use sieve::{Compiled, Envelope, Error, ErrorKind, Included, Input, Limits, Location, Options, Outcome, Script, World};

fn refused(script: &[u8]) -> Error {
    match Compiled::compile(script, &Options::default()) {
        Ok(_) => panic!("taken"),
        Err(errors) => {
            assert!(errors.len() <= Limits::default().errors);
            errors[0].clone()
        }
    }
}

fn run(script: &str, world: &dyn World) -> Outcome {
    let compiled =
        Compiled::compile(script.as_bytes(), &Options::default()).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let mut input =
        Input::new(b"From: a@b.example\r\nTo: me@example.org\r\nSubject: aaaaaaaaaaaaaaaaaaaaaaaa!\r\n\r\nbody\r\n");
    input.envelope = Envelope {
        from: Some("a@b.example".into()),
        to: Some("me@example.org".into()),
        ..Envelope::default()
    };
    compiled.run(&input, world, &Limits::default())
}

fn stopped(script: &str, line: u32, limit: &str) {
    let outcome = run(script, &sieve::Nowhere);
    let error = outcome.error.unwrap();
    assert_eq!((error.position.line, error.kind), (line, ErrorKind::Limit), "{error}");
    assert!(error.message.contains(&format!("(limit {limit})")), "{error}");
    assert_eq!(
        outcome.actions.len(),
        1,
        "the message is kept, and nothing else is done"
    );
}

#[test]
fn a_script_too_large() {
    let script = "keep;\n".repeat(200_000);
    let error = refused(script.as_bytes());
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("script_bytes"), "{error}");
}

#[test]
fn a_megabyte_of_one_line() {
    let mut script = "if anyof (".to_owned();
    while script.len() < 900_000 {
        script.push_str("header :is \"subject\" \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", ");
    }
    script.push_str("false) { discard; }");
    let outcome = run(&script, &sieve::Nowhere);
    assert!(outcome.keeps());
    assert!(outcome.explanation.left_out() > 0, "the explanation is bounded");
}

#[test]
fn a_megabyte_of_one_string_and_of_one_comment() {
    let text = "x".repeat(1_000_000);
    assert!(
        run(
            &format!("if header :contains \"subject\" \"{text}\" {{ discard; }}"),
            &sieve::Nowhere
        )
        .keeps()
    );
    let commented = format!("/* {text} */ keep; # {text}", text = &text[..500_000]);
    assert_eq!(
        Script::parse(commented.as_bytes(), &Limits::default())
            .unwrap()
            .to_text(),
        commented
    );
}

#[test]
fn nesting() {
    for script in [
        "if true { ".repeat(1000) + &" } ".repeat(1000),
        format!("if {} true {} {{ }}", "not ".repeat(1000), ""),
        format!("if {} true {} {{ }}", "anyof (".repeat(1000), ")".repeat(1000)),
    ] {
        let error = refused(script.as_bytes());
        assert_eq!(error.kind, ErrorKind::Limit);
        assert!(error.message.contains("(limit nesting)"), "{error}");
    }
}

#[test]
fn ten_thousand_actions() {
    let many: String = (0..10_000).map(|n| format!("fileinto \"box {n}\";\n")).collect();
    stopped(&format!("require \"fileinto\";\n{many}"), 34, "actions");
    let same = "fileinto \"box\";\n".repeat(10_000);
    assert_eq!(
        run(&format!("require \"fileinto\";\n{same}"), &sieve::Nowhere)
            .actions
            .len(),
        1
    );
}

#[test]
fn invalid_utf8() {
    let error = refused(b"keep;\n# \xC3\xBC \xFF\n");
    assert_eq!((error.position.line, error.position.column), (2, 5), "{error}");
    assert!(error.message.contains("UTF-8"));
}

#[test]
fn regexes() {
    let error = refused(
        format!(
            "require \"regex\";\nif header :regex \"a\" \"{}\" {{ }}",
            "x".repeat(2000)
        )
        .as_bytes(),
    );
    assert_eq!((error.position.line, error.kind), (2, ErrorKind::Limit));
    assert!(
        run(
            "require \"regex\"; if header :regex \"subject\" \"^(a|a)*(a+)+$\" { discard; }",
            &sieve::Nowhere
        )
        .keeps()
    );
    let made = "if header :regex \"subject\" \"${x}b\" { discard; }\n".repeat(60);
    stopped(
        &format!("require [\"regex\", \"variables\"];\nset \"x\" \"a\";\n{made}"),
        53,
        "regex_made",
    );
}

#[test]
fn variables() {
    let names: String = (0..300).map(|n| format!("set \"v{n}\" \"x\";\n")).collect();
    let error = refused(format!("require \"variables\";\n{names}").as_bytes());
    assert_eq!((error.position.line, error.kind), (258, ErrorKind::Limit), "{error}");
    let mut script = "require \"variables\";\nset \"a\" \"0123456789abcdef\";\n".to_owned();
    for _ in 0..5 {
        script.push_str("set \"a\" \"${a}${a}${a}${a}${a}${a}${a}${a}\";\n");
    }
    for n in 0..100 {
        script.push_str(&format!("set \"b{n}\" \"${{a}}\";\n"));
    }
    stopped(&script, 71, "string_bytes");
}

/// Every script there is includes two more of them.
struct Hydra;

impl World for Hydra {
    fn include(&self, _: Location, name: &str) -> Included {
        let script = format!("require \"include\"; include \"{name}1\"; include \"{name}2\";");
        match Compiled::compile(script.as_bytes(), &Options::default()) {
            Ok(script) => Included::Script(Arc::new(script)),
            Err(errors) => Included::Broken(errors[0].to_string()),
        }
    }
}

#[test]
fn includes() {
    let outcome = run("require \"include\"; include \"a\";", &Hydra);
    let error = outcome.error.unwrap();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("include_depth"), "{error}");
    assert!(outcome.actions.len() == 1 && outcome.abandoned.is_empty());
}

#[test]
fn loops_and_steps() {
    let script = format!(
        "require \"foreverypart\";\n{}{}",
        "foreverypart { ".repeat(5),
        "}".repeat(5)
    );
    let error = refused(script.as_bytes());
    assert!(error.message.contains("(limit loops)"), "{error}");
    let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for _ in 0..1000 {
        message.extend_from_slice(b"--b\r\n\r\nx\r\n");
    }
    let script = format!(
        "require \"foreverypart\";\nforeverypart {{\n{} }}",
        "if false { }\n".repeat(100)
    );
    let compiled = Compiled::compile(script.as_bytes(), &Options::default()).unwrap();
    let outcome = compiled.run(&Input::new(&message), &sieve::Nowhere, &Limits::default());
    assert!(outcome.error.unwrap().message.contains("(limit steps)"));
}

#[test]
fn an_extension_that_was_switched_off() {
    let mut options = Options::default();
    options.extensions = options.extensions.without("vacation");
    let errors = Compiled::compile(b"require \"vacation\";\nvacation \"x\";", &options).unwrap_err();
    assert!(errors[0].message.contains("switched off"), "{}", errors[0]);
}

#[test]
fn names_no_server_takes() {
    for name in ["", "a\u{7}b", &"x".repeat(2000)] {
        let error = refused(format!("require \"fileinto\";\nfileinto \"{name}\";").as_bytes());
        assert_eq!(error.position.line, 2);
    }
}

#[test]
fn broken_messages() {
    let script = "require [\"fileinto\", \"body\", \"mime\", \"foreverypart\", \"date\", \"editheader\"];
        if header :contains [\"subject\", \"from\"] \"x\" { discard; }
        if address :domain [\"from\", \"to\"] \"x\" { discard; }
        if body :text :contains \"zzz\" { discard; }
        if date \"date\" \"year\" \"1\" { discard; }
        foreverypart { if header :mime :anychild :type \"content-type\" \"zzz\" { discard; } }
        deleteheader \"subject\"; addheader \"X\" \"y\";";
    let compiled = Compiled::compile(script.as_bytes(), &Options::default()).unwrap_or_else(|e| panic!("{}", e[0]));
    for message in [
        &b""[..],
        b"\r\n",
        b"\n",
        b":",
        b"Subject",
        b"Subject: \xFF\xFE\r\n\r\n\x00",
        b"To: <<<>>>,,;:\r\n",
        &[0xFF; 3000],
    ] {
        let outcome = compiled.run(&Input::new(message), &sieve::Nowhere, &Limits::default());
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        assert!(outcome.keeps());
    }
}
