//! Scripts: reader, printer, checker and interpreter.

use super::Target;
use crate::signature::Signature;
use sieve::{Action, Extensions, Input, Limits, Options, Script, World};

pub(super) const TARGET: Target = Target {
    name: "sieve",
    about: "Sieve scripts: tree, printing, checking, running on a message",
    tokens: TOKENS,
    longest: 8 * 1024,
    seeds,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"require [\"fileinto\", \"variables\", \"imap4flags\", \"copy\", \"body\", \"regex\", \"mime\", \"foreverypart\"];\n",
    b"require \"editheader\";\n",
    b"if ",
    b"elsif ",
    b"else ",
    b"true",
    b"not ",
    b"anyof (",
    b"allof (",
    b"header ",
    b"address ",
    b"exists ",
    b"size :over 1K",
    b"body :text ",
    b":contains ",
    b":matches ",
    b":is ",
    b":regex ",
    b":count \"ge\" ",
    b":comparator \"i;octet\" ",
    b"\"subject\" ",
    b"\"*\"",
    b"\"?*?\"",
    b"[\"a\", \"b\"]",
    b" { ",
    b" }\n",
    b";\n",
    b"keep;",
    b"discard;",
    b"stop;",
    b"fileinto \"A${1}\";",
    b"redirect \"a@b.example\";",
    b"set \"a\" \"${a}${a}x\";",
    b"set :length :upper \"b\" \"${a}\";",
    b"addflag \"\\\\Seen\";",
    b"foreverypart { ",
    b"break;",
    b"replace \"x\";",
    b"enclose \"y\";",
    b"extracttext \"a\";",
    b"addheader \"X\" \"y\";",
    b"deleteheader \"subject\";",
    b"vacation \"z\";",
    b"reject \"no\";",
    b"text:\r\n..a\r\n.\r\n",
    b"/* c */",
    b"# c\n",
    b"${hex: 24}",
    b"${unicode: 1F4E7}",
    b"\\",
    b"\"",
    b"\xC3\xBC",
    b"\xFF",
];

fn seeds() -> Vec<Vec<u8>> {
    [
        "require [\"fileinto\"]; if header :contains \"subject\" \"x\" { fileinto \"A\"; } else { keep; }",
        "require [\"variables\", \"fileinto\"]; if header :matches \"subject\" \"*e*\" { fileinto \"${1}\"; }",
        "require [\"foreverypart\", \"mime\", \"replace\", \"enclose\"]; foreverypart { if header :mime :type \"content-type\" \"text\" { replace \"gone\"; } } enclose \"see\";",
        "require [\"editheader\", \"regex\", \"body\"]; addheader \"X-A\" \"b\"; if body :text :regex \"(a|b)+c\" { deleteheader :index 1 \"x-a\"; }",
        "require [\"date\", \"relational\", \"vacation\"]; if currentdate :value \"ge\" \"date\" \"2020-01-01\" { vacation :days 1 \"away\"; }",
        "# rule:[x]\nif allof (not exists \"a\", anyof (true, false)) /* c */ { stop; } # end\n",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}

const MESSAGE: &[u8] = b"From: Ada <ada@example.net>\r\nTo: me@example.org\r\nSubject: [list] the report\r\n\
Date: Thu, 21 May 2026 05:33:29 -0700\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
Some text.\r\n--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=\"a.html\"\r\n\r\n<p>x</p>\r\n--b--\r\n";

/// Says yes to whatever is asked.
struct Everything;

impl World for Everything {
    fn environment(&self, item: &str) -> Option<String> {
        Some(item.to_owned())
    }

    fn list_exists(&self, _: &str) -> bool {
        true
    }

    fn list_contains(&self, _: &str, value: &str) -> Option<bool> {
        Some(value.len().is_multiple_of(2))
    }
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let mut limits = Limits::default();
    limits.steps = 2_000;
    limits.regex_program_bytes = 64 * 1024;
    let script = match Script::parse(input, &limits) {
        Ok(script) => script,
        Err(error) => {
            assert!(
                error.position.line > 0 && error.position.column > 0,
                "an error without a place: {error}"
            );
            signature.note(("syntax", error.message.len()));
            return signature;
        }
    };
    let text = script.to_text();
    assert_eq!(text.as_bytes(), input, "an unchanged script is printed as it stood");
    // Without the places, all is printed in the usual form; that must say the same.
    let bare = Script::new(script.commands.clone());
    let printed = bare.to_text();
    let again = Script::parse(printed.as_bytes(), &Limits::default());
    assert!(again.is_ok(), "what was printed cannot be read: {printed}");
    let mut options = Options::default();
    options.limits = limits.clone();
    options.extensions = Extensions::default();
    let compiled = match script.compile(&options) {
        Ok(compiled) => compiled,
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= limits.errors);
            for error in &errors {
                assert!(error.position.line > 0, "an error without a place: {error}");
                signature.note((format!("{:?}", error.kind), error.message.len()));
            }
            return signature;
        }
    };
    let mut message = Input::new(MESSAGE);
    message.envelope.from = Some("ada@example.net".into());
    message.envelope.to = Some("me@example.org".into());
    let outcome = compiled.run(&message, &Everything, &limits);
    assert!(outcome.steps <= limits.steps + 1);
    assert!(outcome.actions.len() <= limits.actions + 1, "more actions than allowed");
    if let Some(error) = &outcome.error {
        assert!(error.position.line > 0, "an error without a place: {error}");
        assert!(
            outcome.keeps() && outcome.actions.len() == 1,
            "an error keeps the message, and does nothing else"
        );
    }
    for taken in &outcome.actions {
        assert!(taken.message <= outcome.messages.len());
        let bytes = outcome.message(taken, MESSAGE);
        assert!(
            bytes.len() <= MESSAGE.len() + limits.growth_bytes + limits.added_fields * limits.added_field_bytes * 4
        );
        signature.note((std::mem::discriminant(&taken.action), taken.message.min(3)));
        if let Action::FileInto { target, .. } = &taken.action {
            assert!(!target.mailbox.is_empty());
        }
    }
    signature.note(("steps", outcome.steps.max(1).ilog2(), outcome.error.is_some()));
    for decision in outcome.explanation.decisions() {
        signature.note(decision.passed);
    }
    let _ = outcome.explanation.to_string();
    signature
}
