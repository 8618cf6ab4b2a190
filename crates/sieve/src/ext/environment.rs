//! environment (RFC 5183), with the items of imapsieve (RFC 6785 §3.5), and ihave (RFC 5463).

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Position, Result};
use crate::lexer::shorten;
use crate::matching::Matcher;
use crate::program::{Check, Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, MATCH, TestSpec, command, positional, test};
use crate::template::Template;

pub(crate) const COMMANDS: &[CommandSpec] = &[command(
    "error",
    "ihave",
    &[],
    &[positional("message", Kind::Text)],
    error,
)];

pub(crate) const TESTS: &[TestSpec] = &[
    test(
        "environment",
        "environment",
        &[MATCH],
        &[positional("name", Kind::Text), positional("key list", Kind::Texts)],
        environment,
    ),
    test("ihave", "ihave", &[], &[positional("capabilities", Kind::Texts)], ihave),
];

#[derive(Debug)]
struct Environment {
    name: Template,
    matcher: Matcher,
}

impl Check for Environment {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let name = self.name.render(run).to_ascii_lowercase();
        let Some(value) = run.world.environment(&name) else {
            // An unknown item fails every test (RFC 5183 §4).
            return Ok(false);
        };
        if self.matcher.is_count() {
            return self.matcher.count(run, usize::from(!value.is_empty()));
        }
        self.matcher.one(run, &value)
    }
}

fn environment(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Environment {
        name: builder.text(bound.argument(0)?)?,
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}

/// Known when the script is checked: the answer does not change.
#[derive(Debug)]
struct Ihave(bool);

impl Check for Ihave {
    fn check(&self, _: &mut Run<'_>) -> Result<bool> {
        Ok(self.0)
    }
}

fn ihave(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let argument = bound.argument(0)?;
    let mut all = true;
    let mut names = Vec::new();
    for text in argument.value.texts().unwrap_or_default() {
        let name = builder.constant(&text.value, text.span.position, "a capability")?;
        all &= builder.options.extensions.contains(&name)
            || matches!(name.as_str(), "comparator-i;octet" | "comparator-i;ascii-casemap");
        names.push((name, text.span.position));
    }
    if all {
        for (name, position) in names {
            builder.require(&name, position);
            builder.used(&name);
        }
    }
    Ok(Box::new(Ihave(all)))
}

#[derive(Debug)]
struct Fail(Template);

impl Step for Fail {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let message = shorten(&self.0.render(run));
        Err(Error::new(
            ErrorKind::Run,
            Position::default(),
            format!("the script says: {message}"),
        ))
    }
}

fn error(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Fail(builder.text(bound.argument(0)?)?)))
}
