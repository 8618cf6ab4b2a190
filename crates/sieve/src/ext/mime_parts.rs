//! foreverypart and mime (RFC 5703 §3, §4): loops over the parts of a message, and tests on their fields.

use std::sync::Arc;

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::ext::fields::{Index, indexed};
use crate::mail::{Aspect, FieldName, Header};
use crate::matching::Value;
use crate::program::{Flow, Node, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, Spec, command, valued};
use crate::template::Template;

pub(crate) const COMMANDS: &[CommandSpec] = &[
    Spec {
        block: true,
        ..command(
            "foreverypart",
            "foreverypart",
            &[&[valued("name", Kind::Text, "", "")]],
            &[],
            foreverypart,
        )
    },
    command(
        "break",
        "foreverypart",
        &[&[valued("name", Kind::Text, "", "")]],
        &[],
        leave,
    ),
];

/// Enters the block of a loop, before it is built.
pub(crate) fn enter(builder: &mut Builder<'_>, bound: &Bound<'_>) -> Result<()> {
    if builder.loops.len() >= builder.options.limits.loops {
        return Err(Error::new(
            ErrorKind::Limit,
            bound.position,
            format!(
                "loops stand deeper than {} within each other (limit loops)",
                builder.options.limits.loops
            ),
        ));
    }
    let name = bound
        .tag("name")
        .map(|argument| builder.fixed(argument, "the name of a loop"))
        .transpose()?;
    builder.loops.push(name);
    Ok(())
}

#[derive(Debug)]
struct ForEveryPart {
    name: Option<String>,
    body: Box<[Node]>,
}

impl Step for ForEveryPart {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        // The outer loop is over all parts, the message itself first; one within it over those below its part.
        let mut at = run.parts.last().map_or(0, |outer| outer + 1);
        loop {
            // The message may change within the loop, and its parts with it.
            let structure = run.mail.structure();
            let below = run.parts.last().copied();
            let part = structure.parts().get(at);
            let inside = match (part, below.and_then(|outer| structure.parts().get(outer))) {
                (None, _) => false,
                (Some(part), Some(outer)) => part.header_start < outer.body_end,
                (Some(_), None) => true,
            };
            if !inside {
                return Ok(Flow::Next);
            }
            run.parts.push(at);
            let flow = run.nodes(&self.body);
            at = run.parts.pop().unwrap_or(at);
            match flow? {
                Flow::Next => {}
                Flow::Break(None) => return Ok(Flow::Next),
                Flow::Break(Some(name)) if self.name.as_deref() == Some(&*name) => return Ok(Flow::Next),
                other => return Ok(other),
            }
            at += 1;
        }
    }
}

fn foreverypart(_: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let name = bound
        .tag("name")
        .and_then(|argument| argument.value.text())
        .map(str::to_owned);
    Ok(Box::new(ForEveryPart {
        name,
        body: std::mem::take(&mut bound.body),
    }))
}

#[derive(Debug)]
struct Leave(Option<Arc<str>>);

impl Step for Leave {
    fn run(&self, _: &mut Run<'_>) -> Result<Flow> {
        Ok(Flow::Break(self.0.clone()))
    }
}

fn leave(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let name = bound
        .tag("name")
        .map(|argument| builder.fixed(argument, "the name of a loop"))
        .transpose()?;
    let found = match &name {
        None => !builder.loops.is_empty(),
        Some(name) => builder.loops.iter().flatten().any(|other| other == name),
    };
    if !found {
        return Err(bound.error(match &name {
            None => "break stands in no loop".to_owned(),
            Some(name) => format!("break names the loop \"{name}\", and stands in none of that name"),
        }));
    }
    Ok(Box::new(Leave(name.map(Arc::from))))
}

/// `:mime`: the fields of the part that the loop is at, or of the message; with `:anychild`, of those below it too.
#[derive(Debug)]
pub(crate) struct PartFields {
    any_child: bool,
    option: Option<FieldPart>,
}

/// What of a structured field is compared (RFC 5703 §4.1).
#[derive(Debug)]
enum FieldPart {
    Type,
    Subtype,
    ContentType,
    Parameters(Box<[Template]>),
}

impl Builder<'_> {
    pub fn part_fields(&mut self, bound: &Bound<'_>) -> Result<Option<PartFields>> {
        let option = match bound.of_group("part of the field") {
            Some("type") => Some(FieldPart::Type),
            Some("subtype") => Some(FieldPart::Subtype),
            Some("contenttype") => Some(FieldPart::ContentType),
            Some(_) => self.tag_texts(bound, "param")?.map(FieldPart::Parameters),
            None => None,
        };
        if !bound.has("mime") {
            if option.is_some() || bound.has("anychild") {
                return Err(bound.error(":anychild, :type, :subtype, :contenttype and :param need :mime"));
            }
            return Ok(None);
        }
        Ok(Some(PartFields {
            any_child: bound.has("anychild"),
            option,
        }))
    }
}

impl PartFields {
    pub fn any(
        &self,
        run: &mut Run<'_>,
        name: &FieldName,
        aspect: Aspect,
        index: Option<Index>,
        each: &mut dyn FnMut(&mut Run<'_>, &[Value]) -> Result<bool>,
    ) -> Result<bool> {
        let structure = run.mail.structure();
        let first = run.parts.last().copied().unwrap_or(0);
        let Some(top) = structure.parts().get(first) else {
            return Ok(false);
        };
        let parts = structure.parts().get(first..).unwrap_or_default();
        let parts = parts
            .iter()
            .enumerate()
            .take_while(|(n, part)| *n == 0 || (self.any_child && part.header_start < top.body_end));
        let wanted: Vec<String> = match &self.option {
            Some(FieldPart::Parameters(names)) => names.iter().map(|name| name.render(run).into_owned()).collect(),
            _ => Vec::new(),
        };
        for (_, part) in parts {
            let range = usize::try_from(part.header_start).unwrap_or(0)..usize::try_from(part.body_start).unwrap_or(0);
            let most = run.limits.header_bytes;
            let bytes = run.mail.bytes().get(range).unwrap_or_default();
            let header = Header::read(bytes.get(..most).unwrap_or(bytes));
            let mut values = match index {
                Some(index) => indexed(&header, name, aspect, index),
                None => header.values(name, aspect, 1000),
            };
            if let Some(option) = &self.option {
                values = values
                    .iter()
                    .flat_map(|value| option.of(&value.text, &wanted))
                    .map(Value::new)
                    .collect();
            }
            if each(run, &values)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl FieldPart {
    fn of(&self, field: &str, wanted: &[String]) -> Vec<String> {
        let mut pieces = split_parameters(field).into_iter();
        let main = pieces.next().unwrap_or_default();
        let main = main.split_whitespace().collect::<String>();
        let (kind, subtype) = main.split_once('/').unwrap_or((&main, ""));
        match self {
            FieldPart::Type => vec![kind.to_owned()],
            FieldPart::Subtype => vec![subtype.to_owned()],
            FieldPart::ContentType => vec![main],
            FieldPart::Parameters(_) => {
                let parameters: Vec<(String, String)> = pieces
                    .filter_map(|piece| {
                        let (name, value) = piece.split_once('=')?;
                        Some((name.trim().to_ascii_lowercase(), unquote(value.trim())))
                    })
                    .collect();
                wanted
                    .iter()
                    .filter_map(|name| parameter(&parameters, &name.to_ascii_lowercase()))
                    .collect()
            }
        }
    }
}

/// Splits at semicolons outside of quotes.
fn split_parameters(field: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in field.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                pieces.push(field.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(field.get(start..).unwrap_or_default());
    pieces
}

fn unquote(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut out = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// A parameter, put together from the pieces of RFC 2231 if need be.
fn parameter(parameters: &[(String, String)], name: &str) -> Option<String> {
    let find = |wanted: &str| {
        parameters
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    if let Some(value) = find(name) {
        return Some(value.to_owned());
    }
    if let Some(value) = find(&format!("{name}*")) {
        return Some(extended(value));
    }
    let mut whole = String::new();
    let mut encoded = false;
    for n in 0..100 {
        if let Some(value) = find(&format!("{name}*{n}*")) {
            encoded = true;
            whole.push_str(value);
        } else if let Some(value) = find(&format!("{name}*{n}")) {
            whole.push_str(value);
        } else {
            break;
        }
    }
    (!whole.is_empty()).then(|| if encoded { extended(&whole) } else { whole })
}

// extended-initial-value = [charset] "'" [language] "'" percent-encoded
fn extended(value: &str) -> String {
    let mut pieces = value.splitn(3, '\'');
    let (charset, _, text) = (pieces.next().unwrap_or_default(), pieces.next(), pieces.next());
    let bytes = percent_decoded(text.unwrap_or(value));
    mime::decode_charset(&bytes, text.map(|_| charset.as_bytes())).into_owned()
}

/// The octets that a percent-encoded text stands for.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first == b'%'
            && let Some(digits) = behind.get(..2).and_then(|pair| std::str::from_utf8(pair).ok())
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
            && let Ok(byte) = u8::from_str_radix(digits, 16)
        {
            out.push(byte);
            rest = behind.get(2..).unwrap_or_default();
        } else {
            out.push(first);
        }
    }
    out
}
