//! `if`, `elsif`, `else`, `stop` (RFC 5228 §3).

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::printer::test_text;
use crate::program::{Flow, Node, SiteId, Step, TestNode};
use crate::run::Run;
use crate::spec::{CommandSpec, command};
use crate::tree::{Command, Tests};

pub(crate) const COMMANDS: &[CommandSpec] = &[command("stop", "", &[], &[], stop)];

fn stop(_: &mut Builder<'_>, _: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Stop))
}

#[derive(Debug)]
struct Stop;

impl Step for Stop {
    fn run(&self, _: &mut Run<'_>) -> Result<Flow> {
        Ok(Flow::Stop)
    }
}

#[derive(Debug)]
struct If {
    branches: Box<[Branch]>,
}

#[derive(Debug)]
struct Branch {
    /// None: `else`.
    test: Option<TestNode>,
    site: SiteId,
    body: Box<[Node]>,
}

impl Step for If {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let mark = run.mark();
        for Branch { test, site, body } in &self.branches {
            run.set_site(*site);
            let passed = match test {
                Some(test) => run.test(test)?,
                None => true,
            };
            if passed {
                if body.is_empty() {
                    return Ok(Flow::Next);
                }
                let because = run.reasons_since(mark);
                return run.block(body, because);
            }
        }
        // No branch was taken: why not is nobody's reason for anything.
        run.forget_since(mark);
        Ok(Flow::Next)
    }
}

/// An `if` and what follows it. Faults are entered into the builder's list.
pub(crate) fn build_if(builder: &mut Builder<'_>, first: &Command, others: &[Command]) -> Node {
    let mut branches = Vec::with_capacity(1 + others.len());
    let site = builder.site(first.span.position, "if".into());
    let mut closed = false;
    for command in std::iter::once(first).chain(others) {
        let position = command.span.position;
        let name = command.name.to_ascii_lowercase();
        if closed {
            builder.fail(
                Error::new(ErrorKind::Argument, position, format!("{name} behind else"))
                    .hint("else is the last branch of an if"),
            );
        }
        if !command.arguments.is_empty() {
            builder.fail(
                Error::new(
                    ErrorKind::Argument,
                    position,
                    format!("{name} has no arguments of its own"),
                )
                .hint(format!("write {name} TEST {{ … }}")),
            );
        }
        let is_else = name == "else";
        let test = match &command.tests {
            Tests::One(test) if !is_else => Some(builder.test(test)),
            Tests::None if is_else => None,
            _ if is_else => {
                builder.fail(
                    Error::new(ErrorKind::Argument, position, "else has no test")
                        .hint("write elsif for a further test"),
                );
                None
            }
            Tests::List(tests) => {
                let names: Vec<String> = tests.iter().take(2).map(test_text).collect();
                builder.fail(
                    Error::new(
                        ErrorKind::Argument,
                        position,
                        format!("{name} has one test, not a list"),
                    )
                    .hint(format!("write {name} anyof ({}) or allof (…)", names.join(", "))),
                );
                None
            }
            _ => {
                builder.fail(
                    Error::new(ErrorKind::Argument, position, format!("{name} needs a test"))
                        .hint(format!("write {name} header :contains \"subject\" \"word\" {{ … }}")),
                );
                None
            }
        };
        closed |= is_else;
        let body = match &command.block {
            Some(block) => builder.commands(&block.commands, false),
            None => {
                builder.fail(
                    Error::new(ErrorKind::Argument, position, format!("{name} needs a block"))
                        .hint("put the commands into { … }"),
                );
                Box::default()
            }
        };
        branches.push(Branch { test, site, body });
    }
    Node {
        site,
        step: Box::new(If {
            branches: branches.into(),
        }),
    }
}
