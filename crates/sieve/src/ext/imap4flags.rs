//! imap4flags (RFC 5232): flags and keywords for what is kept and filed.

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::matching::{Matcher, Value};
use crate::program::{Check, Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, MATCH, Positional, TestSpec, command, positional, test};
use crate::template::{Template, Variable, is_identifier};
use crate::tree::Argument;

const VARIABLE: Positional = Positional {
    name: "variable",
    kind: Kind::Text,
    optional: true,
};
const LIST: Positional = positional("list of flags", Kind::Texts);

pub(crate) const COMMANDS: &[CommandSpec] = &[
    command("setflag", "imap4flags", &[], &[VARIABLE, LIST], set),
    command("addflag", "imap4flags", &[], &[VARIABLE, LIST], add),
    command("removeflag", "imap4flags", &[], &[VARIABLE, LIST], remove),
];

pub(crate) const TESTS: &[TestSpec] = &[test(
    "hasflag",
    "imap4flags",
    &[MATCH],
    &[
        Positional {
            name: "variables",
            kind: Kind::Texts,
            optional: true,
        },
        positional("list of flags", Kind::Texts),
    ],
    hasflag,
)];

/// The value of `:flags`.
#[derive(Debug)]
pub(crate) struct Flags(Box<[Template]>);

impl Flags {
    pub fn build(builder: &mut Builder<'_>, bound: &Bound<'_>) -> Result<Option<Flags>> {
        Ok(builder.tag_texts(bound, "flags")?.map(Flags))
    }

    /// The flags named, or those of the internal variable (RFC 5232 §2).
    pub fn or_current(named: Option<&Flags>, run: &Run<'_>) -> Result<Vec<String>> {
        match named {
            Some(Flags(templates)) => listed(templates, run),
            None => Ok(run.flags.clone()),
        }
    }
}

/// Flags of a list of strings, each of which may hold several between blanks. What is no flag is passed over.
fn listed(templates: &[Template], run: &Run<'_>) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    for template in templates {
        join(&mut flags, &template.render(run));
    }
    if flags.len() > run.limits.flags {
        return Err(run.limit("flags", "flags", run.limits.flags));
    }
    Ok(flags)
}

fn join(flags: &mut Vec<String>, text: &str) {
    for word in text.split_ascii_whitespace() {
        if is_flag(word) && !flags.iter().any(|flag| flag.eq_ignore_ascii_case(word)) {
            flags.push(word.to_owned());
        }
    }
}

/// A flag that can be stored (RFC 9051 §2.3.2): a keyword, or one of the five system flags that clients may set.
pub(crate) fn is_flag(word: &str) -> bool {
    match word.strip_prefix('\\') {
        Some(system) => ["answered", "flagged", "deleted", "seen", "draft"]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(system)),
        None => {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| (0x21..0x7f).contains(&b) && !b"(){%*\"\\]".contains(&b))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Set,
    Add,
    Remove,
}

#[derive(Debug)]
struct FlagStep {
    change: Change,
    variable: Option<Variable>,
    flags: Box<[Template]>,
}

impl Step for FlagStep {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let named = listed(&self.flags, run)?;
        let mut flags = Vec::new();
        if self.change != Change::Set {
            match &self.variable {
                None => flags.clone_from(&run.flags),
                Some(variable) => join(&mut flags, run.variable(variable)),
            }
        }
        match self.change {
            Change::Remove => flags.retain(|flag| !named.iter().any(|other| other.eq_ignore_ascii_case(flag))),
            Change::Set | Change::Add => named.iter().for_each(|flag| join(&mut flags, flag)),
        }
        if flags.len() > run.limits.flags {
            return Err(run.limit("flags", "flags", run.limits.flags));
        }
        match &self.variable {
            None => run.flags = flags,
            Some(variable) => run.set_variable(variable, flags.join(" "))?,
        }
        Ok(Flow::Next)
    }
}

fn set(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    change(builder, bound, Change::Set)
}

fn add(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    change(builder, bound, Change::Add)
}

fn remove(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    change(builder, bound, Change::Remove)
}

fn change(builder: &mut Builder<'_>, bound: &mut Bound<'_>, change: Change) -> Result<Box<dyn Step>> {
    builder.used("imap4flags");
    let variable = bound
        .optional(0)
        .map(|argument| variable(builder, argument))
        .transpose()?
        .and_then(|mut v| v.pop());
    Ok(Box::new(FlagStep {
        change,
        variable,
        flags: builder.texts(bound.argument(1)?)?,
    }))
}

fn variable(builder: &mut Builder<'_>, argument: &Argument) -> Result<Vec<Variable>> {
    builder.need("variables", argument.span.position, "a variable for flags")?;
    let mut variables = Vec::new();
    for text in argument.value.texts().unwrap_or_default() {
        let name = builder
            .constant(&text.value, text.span.position, "the name of a variable")?
            .to_ascii_lowercase();
        let variable = match name.strip_prefix("global.") {
            Some(own) if builder.has("include") && is_identifier(own) => Variable::Global(own.into()),
            _ if is_identifier(&name) => builder.variable(&name, text.span.position)?,
            _ => {
                return Err(Error::new(
                    ErrorKind::Argument,
                    text.span.position,
                    format!("\"{}\" cannot be the name of a variable", crate::lexer::shorten(&name)),
                ));
            }
        };
        variables.push(variable);
    }
    Ok(variables)
}

/// `hasflag`: each flag is a value; `:count` counts them.
#[derive(Debug)]
struct HasFlag {
    variables: Option<Vec<Variable>>,
    matcher: Matcher,
    /// The keys, for matches that compare whole flags: a key may hold several.
    split: Option<Box<[Template]>>,
}

impl Check for HasFlag {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let mut flags = Vec::new();
        match &self.variables {
            None => flags.clone_from(&run.flags),
            Some(variables) => variables
                .iter()
                .for_each(|variable| join(&mut flags, run.variable(variable))),
        }
        if self.matcher.is_count() {
            return self.matcher.count(run, flags.len());
        }
        if let Some(keys) = &self.split {
            let wanted = listed(keys, run)?;
            run.looked_at(flags.len());
            let found = flags
                .iter()
                .find(|flag| wanted.iter().any(|key| key.eq_ignore_ascii_case(flag)));
            if let Some(found) = found {
                run.matched(found);
            }
            return Ok(found.is_some());
        }
        let values: Vec<Value> = flags.into_iter().map(Value::new).collect();
        self.matcher.any(run, &values)
    }
}

fn hasflag(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let variables = bound
        .optional(0)
        .map(|argument| variable(builder, argument))
        .transpose()?;
    let keys = bound.argument(1)?;
    let matcher = builder.matcher(bound, keys)?;
    let whole = matcher.kind == crate::matching::MatchType::Is
        && matcher.comparator == crate::matching::Comparator::AsciiCasemap;
    let split = if whole { Some(builder.texts(keys)?) } else { None };
    Ok(Box::new(HasFlag {
        variables,
        matcher,
        split,
    }))
}
