//! variables (RFC 5229): `set`, the modifiers, and the test `string`.

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::matching::{Matcher, Value};
use crate::program::{Check, Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, MATCH, Tag, TestSpec, command, flag, positional, test};
use crate::template::{Template, Variable, cut, is_identifier};
use crate::tree::Argument;

/// Modifiers, each group of one precedence (RFC 5229 §4.1).
pub(crate) const MODIFIERS: &[Tag] = &[
    flag("lower", "variables", "change of case"),
    flag("upper", "variables", "change of case"),
    flag("lowerfirst", "variables", "change of the first letter's case"),
    flag("upperfirst", "variables", "change of the first letter's case"),
    flag("quotewildcard", "variables", "kind of quoting"),
    flag("quoteregex", "regex", "kind of quoting"),
    flag("encodeurl", "enotify", ""),
    flag("length", "variables", ""),
];

pub(crate) const COMMANDS: &[CommandSpec] = &[command(
    "set",
    "variables",
    &[MODIFIERS],
    &[positional("name", Kind::Text), positional("value", Kind::Text)],
    set,
)];

pub(crate) const TESTS: &[TestSpec] = &[test(
    "string",
    "variables",
    &[MATCH],
    &[positional("source", Kind::Texts), positional("key list", Kind::Texts)],
    string,
)];

/// The modifiers of a command.
#[derive(Debug, Default)]
pub(crate) struct Modifiers {
    case: Option<&'static str>,
    first: Option<&'static str>,
    quote: Option<&'static str>,
    encode: bool,
    length: bool,
}

impl Modifiers {
    pub fn of(bound: &Bound<'_>) -> Modifiers {
        Modifiers {
            case: bound.of_group("change of case"),
            first: bound.of_group("change of the first letter's case"),
            quote: bound.of_group("kind of quoting"),
            encode: bound.has("encodeurl"),
            length: bound.has("length"),
        }
    }

    /// Highest precedence first: case, first letter, quoting, URL, length.
    pub fn apply(&self, text: String, most: usize) -> String {
        let mut text = match self.case {
            Some("lower") => text.to_lowercase(),
            Some(_) => text.to_uppercase(),
            None => text,
        };
        if let Some(first) = self.first {
            let mut chars = text.chars();
            if let Some(c) = chars.next() {
                let mut changed: String = match first {
                    "lowerfirst" => c.to_lowercase().collect(),
                    _ => c.to_uppercase().collect(),
                };
                changed.push_str(chars.as_str());
                text = changed;
            }
        }
        match self.quote {
            Some("quotewildcard") => {
                let mut quoted = String::with_capacity(text.len());
                for c in text.chars() {
                    if matches!(c, '*' | '?' | '\\') {
                        quoted.push('\\');
                    }
                    quoted.push(c);
                }
                text = quoted;
            }
            Some(_) => text = regex::escape(&text),
            None => {}
        }
        cut(&mut text, most);
        if self.encode {
            let mut encoded = String::with_capacity(text.len());
            for b in text.bytes() {
                if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
                    encoded.push(char::from(b));
                } else {
                    encoded.push_str(&format!("%{b:02X}"));
                }
            }
            text = encoded;
        }
        if self.length {
            text = text.chars().count().to_string();
        }
        text
    }
}

/// The variable that a command sets; match variables and foreign namespaces are refused.
pub(crate) fn settable(builder: &mut Builder<'_>, argument: &Argument) -> Result<Variable> {
    let position = argument.span.position;
    let name = builder.fixed(argument, "the name of a variable")?;
    let wrong = |message: String| Error::new(ErrorKind::Argument, position, message);
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong(format!(
            "${{{name}}} is set by :matches and cannot be set otherwise"
        )));
    }
    let lower = name.to_ascii_lowercase();
    match lower.rsplit_once('.') {
        None if is_identifier(&lower) => builder.variable(&lower, position),
        Some(("global", own)) if is_identifier(own) => {
            builder.need("include", position, "the namespace global.")?;
            Ok(Variable::Global(own.into()))
        }
        Some((space, _)) if !space.is_empty() => Err(wrong(format!(
            "variables of the namespace \"{}\" cannot be set",
            crate::lexer::shorten(space)
        ))),
        _ => Err(wrong(format!(
            "\"{}\" cannot be the name of a variable",
            crate::lexer::shorten(&name)
        ))
        .hint("names have letters, digits and _, and begin with no digit")),
    }
}

#[derive(Debug)]
struct Set {
    variable: Variable,
    value: Template,
    modifiers: Modifiers,
}

impl Step for Set {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let value = self.value.render(run).into_owned();
        let value = self.modifiers.apply(value, run.limits.variable_bytes);
        run.set_variable(&self.variable, value)?;
        Ok(Flow::Next)
    }
}

fn set(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Set {
        variable: settable(builder, bound.argument(0)?)?,
        value: builder.text(bound.argument(1)?)?,
        modifiers: Modifiers::of(bound),
    }))
}

#[derive(Debug)]
struct StringTest {
    sources: Box<[Template]>,
    matcher: Matcher,
}

impl Check for StringTest {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        if self.matcher.is_count() {
            // Empty strings do not count (RFC 5229 §5).
            let count = self
                .sources
                .iter()
                .filter(|source| !source.render(run).is_empty())
                .count();
            return self.matcher.count(run, count);
        }
        let values: Vec<Value> = self
            .sources
            .iter()
            .map(|source| Value::new(source.render(run).into_owned()))
            .collect();
        self.matcher.any(run, &values)
    }
}

fn string(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(StringTest {
        sources: builder.texts(bound.argument(0)?)?,
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}
