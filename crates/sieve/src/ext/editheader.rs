//! editheader (RFC 5293): fields added and taken away.

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::ext::fields::Index;
use crate::mail::FieldName;
use crate::matching::{Matcher, Value};
use crate::program::{Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, MATCH, Positional, command, flag, positional, valued};
use crate::template::Template;

pub(crate) const COMMANDS: &[CommandSpec] = &[
    command(
        "addheader",
        "editheader",
        &[&[flag("last", "", "")]],
        &[positional("field name", Kind::Text), positional("value", Kind::Text)],
        add,
    ),
    command(
        "deleteheader",
        "editheader",
        &[MATCH, &[valued("index", Kind::Number, "", ""), flag("last", "", "")]],
        &[
            positional("field name", Kind::Text),
            Positional {
                name: "value patterns",
                kind: Kind::Texts,
                optional: true,
            },
        ],
        delete,
    ),
];

/// Fields that trace the way and the trust of a message: a script adds or deletes none of them (RFC 5293 §7 leaves the choice).
const KEPT: &[&str] = &[
    "received",
    "auto-submitted",
    "return-path",
    "authentication-results",
    "arc-seal",
    "dkim-signature",
];

#[derive(Debug)]
struct Add {
    name: Template,
    value: Template,
    last: bool,
}

impl Step for Add {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let name = self.name.render(run).into_owned();
        let field = FieldName::new(&name);
        if !field.is_valid() || name.len() > 76 {
            return Err(run.error(format!(
                "\"{}\" cannot be the name of a header field",
                crate::lexer::shorten(&name)
            )));
        }
        if KEPT.contains(&field.lower.as_ref()) {
            run.warn(format!("addheader: the field {name} is not added by scripts"));
            return Ok(Flow::Next);
        }
        if run.mail.added >= run.limits.added_fields {
            return Err(run.limit("fields are added", "added_fields", run.limits.added_fields));
        }
        let value = self.value.render(run);
        // A value is one line: line ends in it would make other fields, or end the header.
        let mut clean: String = value
            .chars()
            .map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c })
            .collect();
        crate::template::cut(&mut clean, run.limits.added_field_bytes);
        let clean = clean
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        run.mail.add(&name, &clean, self.last);
        run.decoded.clear();
        Ok(Flow::Next)
    }
}

fn add(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let name = builder.text(bound.argument(0)?)?;
    check_name(bound, &name)?;
    Ok(Box::new(Add {
        name,
        value: builder.text(bound.argument(1)?)?,
        last: bound.has("last"),
    }))
}

fn check_name(bound: &Bound<'_>, name: &Template) -> Result<()> {
    match name.fixed() {
        Some(fixed) if !FieldName::new(fixed).is_valid() => Err(bound
            .error(format!(
                "\"{}\" cannot be the name of a header field",
                crate::lexer::shorten(fixed)
            ))
            .hint("write the name without its colon, such as \"X-Sorted\"")),
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct Delete {
    name: Template,
    index: Option<Index>,
    matcher: Option<Matcher>,
}

impl Step for Delete {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let field = FieldName::new(&self.name.render(run));
        if KEPT.contains(&field.lower.as_ref()) {
            run.warn(format!(
                "deleteheader: the field {} is not deleted by scripts",
                field.lower
            ));
            return Ok(Flow::Next);
        }
        let texts: Vec<String> = run.mail.header().named(&field).map(crate::mail::Field::text).collect();
        let mut doomed = vec![false; texts.len()];
        for (at, text) in texts.iter().enumerate() {
            let meant = self.index.is_none_or(|index| index.is(at, texts.len()));
            let doom = meant
                && match &self.matcher {
                    None => true,
                    Some(matcher) => matcher.any(run, std::slice::from_ref(&Value::new(text.clone())))?,
                };
            if let Some(entry) = doomed.get_mut(at) {
                *entry = doom;
            }
        }
        run.mail.delete(&field, |at| doomed.get(at).copied().unwrap_or(false));
        run.decoded.clear();
        Ok(Flow::Next)
    }
}

fn delete(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    // The optional argument stands last: with one argument, it is the name.
    let (name, patterns) = match (bound.optional(0), bound.optional(1)) {
        (Some(name), patterns) => (name, patterns),
        (None, Some(name)) => (name, None),
        (None, None) => return Err(bound.error("deleteheader lacks the name of a field")),
    };
    let name = builder.text(name)?;
    check_name(bound, &name)?;
    let matcher = match patterns {
        Some(patterns) => Some(builder.matcher(bound, patterns)?),
        None if bound.of_group("match type").is_some() => {
            return Err(bound.error("a match type needs patterns to match"));
        }
        None => None,
    };
    if matcher.as_ref().is_some_and(Matcher::is_count) {
        return Err(bound.error("deleteheader cannot use :count"));
    }
    Ok(Box::new(Delete {
        name,
        index: builder.index(bound)?,
        matcher,
    }))
}
