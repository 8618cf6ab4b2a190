//! replace, enclose and extracttext (RFC 5703 §5 to §7): parts changed, the message put into another, text taken out.

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::ext::body::text_of_part;
use crate::ext::variables::{MODIFIERS, Modifiers, settable};
use crate::mail::{FieldName, fold};
use crate::program::{Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, command, flag, positional, valued};
use crate::template::{Template, Variable};

pub(crate) const COMMANDS: &[CommandSpec] = &[
    command(
        "replace",
        "replace",
        &[&[
            flag("mime", "", ""),
            valued("subject", Kind::Text, "", ""),
            valued("from", Kind::Text, "", ""),
        ]],
        &[positional("replacement", Kind::Text)],
        replace,
    ),
    command(
        "enclose",
        "enclose",
        &[&[
            valued("subject", Kind::Text, "", ""),
            valued("headers", Kind::Texts, "", ""),
        ]],
        &[positional("text", Kind::Text)],
        enclose,
    ),
    command(
        "extracttext",
        "extracttext",
        &[MODIFIERS, &[valued("first", Kind::Number, "", "")]],
        &[positional("variable", Kind::Text)],
        extracttext,
    ),
];

/// Text as a MIME entity of its own: header and body.
fn entity(text: &str, newline: &str) -> String {
    let mut out = format!("Content-Type: text/plain; charset=utf-8{newline}");
    let body = lines(text, newline);
    let long = body.lines().any(|line| line.len() > 998);
    if long || !body.is_ascii() {
        out.push_str(&format!(
            "Content-Transfer-Encoding: quoted-printable{newline}{newline}"
        ));
        out.push_str(&quoted_printable(&body, newline));
    } else {
        out.push_str(newline);
        out.push_str(&body);
    }
    out
}

/// The text with the message's line ends, the last line ended too.
fn lines(text: &str, newline: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for line in text.split('\n') {
        out.push_str(line.strip_suffix('\r').unwrap_or(line));
        out.push_str(newline);
    }
    if text.ends_with('\n') {
        out.truncate(out.len() - newline.len());
    }
    out
}

/// RFC 2045 §6.7, lines of at most 76.
fn quoted_printable(text: &str, newline: &str) -> String {
    let mut out = String::new();
    for line in text.split(newline) {
        let mut column = 0;
        let bytes = line.as_bytes();
        for (at, &b) in bytes.iter().enumerate() {
            let last = at + 1 == bytes.len();
            let plain = (b'!'..=b'~').contains(&b) && b != b'=' || (matches!(b, b' ' | b'\t') && !last);
            let width = if plain { 1 } else { 3 };
            if column + width > 75 {
                out.push('=');
                out.push_str(newline);
                column = 0;
            }
            if plain {
                out.push(char::from(b));
            } else {
                out.push_str(&format!("={b:02X}"));
            }
            column += width;
        }
        out.push_str(newline);
    }
    out.truncate(out.len().saturating_sub(newline.len()));
    out
}

fn newline(run: &Run<'_>) -> &'static str {
    if run.mail.newline() == b"\n" { "\n" } else { "\r\n" }
}

/// The header of the message without the fields named, and without what describes the body.
fn kept_header(header: &[u8], without: &[&str], newline: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    for field in mime::fields(header) {
        let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
        if name.starts_with("content-") || name == "mime-version" || without.contains(&name.as_str()) {
            continue;
        }
        out.extend_from_slice(field.raw);
        if !field.raw.ends_with(b"\n") {
            out.extend_from_slice(newline.as_bytes());
        }
    }
    out
}

fn put(run: &mut Run<'_>, message: Vec<u8>) -> Result<()> {
    if message.len() > run.input.message.len() + run.limits.growth_bytes {
        return Err(run.limit(
            "octets are added to the message",
            "growth_bytes",
            run.limits.growth_bytes,
        ));
    }
    run.mail.replace(message);
    run.decoded.clear();
    Ok(())
}

#[derive(Debug)]
struct Replace {
    mime: bool,
    subject: Option<Template>,
    from: Option<Template>,
    text: Template,
}

impl Step for Replace {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let newline = newline(run);
        let text = self.text.render(run).into_owned();
        let entity = if self.mime {
            lines(&text, newline)
        } else {
            entity(&text, newline)
        };
        let structure = run.mail.structure();
        let at = run.parts.last().copied().unwrap_or(0);
        let Some(part) = structure.parts().get(at) else {
            return Ok(Flow::Next);
        };
        let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        if at > 0 {
            let (start, end) = (index(part.header_start), index(part.body_end));
            let bytes = run.mail.bytes();
            let mut message = bytes.get(..start).unwrap_or_default().to_vec();
            // The line end before a boundary belongs to the boundary.
            message.extend_from_slice(entity.strip_suffix(newline).unwrap_or(&entity).as_bytes());
            message.extend_from_slice(bytes.get(end..).unwrap_or_default());
            put(run, message)?;
            return Ok(Flow::Next);
        }
        // The whole message: its own header stays, but for what is given and what describes the body.
        let mut without = Vec::new();
        let mut given = Vec::new();
        for (name, template) in [("Subject", &self.subject), ("From", &self.from)] {
            if let Some(template) = template {
                let value = template.render(run).replace(['\r', '\n'], " ");
                without.push(if name == "Subject" { "subject" } else { "from" });
                given.extend_from_slice(&fold(name, &value, newline.as_bytes()));
                given.extend_from_slice(newline.as_bytes());
            }
        }
        let end = index(part.body_start);
        let mut message = kept_header(run.mail.bytes().get(..end).unwrap_or_default(), &without, newline);
        message.extend_from_slice(&given);
        message.extend_from_slice(format!("MIME-Version: 1.0{newline}").as_bytes());
        message.extend_from_slice(entity.as_bytes());
        put(run, message)?;
        Ok(Flow::Next)
    }
}

fn replace(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Replace {
        mime: bound.has("mime"),
        subject: builder.tag_text(bound, "subject")?,
        from: builder.tag_text(bound, "from")?,
        text: builder.text(bound.argument(0)?)?,
    }))
}

#[derive(Debug)]
struct Enclose {
    subject: Option<Template>,
    headers: Option<Box<[Template]>>,
    text: Template,
}

/// Fields that the message around another takes from it, if the script names none.
const ENCLOSING: &[&str] = &["date", "from", "to", "cc", "subject"];

impl Step for Enclose {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let newline = newline(run);
        let text = self.text.render(run).into_owned();
        let wanted: Vec<FieldName> = match &self.headers {
            Some(names) => names.iter().map(|name| FieldName::new(&name.render(run))).collect(),
            None => ENCLOSING.iter().map(|name| FieldName::new(name)).collect(),
        };
        let subject = self
            .subject
            .as_ref()
            .map(|subject| subject.render(run).replace(['\r', '\n'], " "));
        let original = run.mail.bytes().to_vec();
        let header = original.get(..mime::header_end(&original)).unwrap_or_default();
        let mut message = Vec::with_capacity(original.len() + text.len() + 1024);
        for field in mime::fields(header) {
            let name = FieldName::new(&String::from_utf8_lossy(field.name));
            let given = subject.is_some() && &*name.lower == "subject";
            if !given && !name.lower.starts_with("content-") && wanted.iter().any(|other| other.lower == name.lower) {
                message.extend_from_slice(field.raw);
                if !field.raw.ends_with(b"\n") {
                    message.extend_from_slice(newline.as_bytes());
                }
            }
        }
        if let Some(subject) = subject {
            message.extend_from_slice(&fold("Subject", &subject, newline.as_bytes()));
            message.extend_from_slice(newline.as_bytes());
        }
        let boundary = boundary(&original, &text);
        message.extend_from_slice(
            format!(
                "MIME-Version: 1.0{newline}Content-Type: multipart/mixed; boundary=\"{boundary}\"{newline}{newline}--{boundary}{newline}"
            )
            .as_bytes(),
        );
        message.extend_from_slice(entity(&text, newline).as_bytes());
        message.extend_from_slice(
            format!("{newline}--{boundary}{newline}Content-Type: message/rfc822{newline}{newline}").as_bytes(),
        );
        message.extend_from_slice(&original);
        message.extend_from_slice(format!("{newline}--{boundary}--{newline}").as_bytes());
        // A loop over parts goes on where it is: inside the message that is now enclosed.
        put(run, message)?;
        for at in &mut run.parts {
            *at += 3;
        }
        Ok(Flow::Next)
    }
}

/// A boundary that stands in neither: counted up until it does not.
fn boundary(original: &[u8], text: &str) -> String {
    (0u32..)
        .map(|n| format!("=_enclosed_{n}"))
        .find(|candidate| {
            memchr::memmem::find(original, candidate.as_bytes()).is_none() && !text.contains(candidate.as_str())
        })
        .unwrap_or_default()
}

fn enclose(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Enclose {
        subject: builder.tag_text(bound, "subject")?,
        headers: builder.tag_texts(bound, "headers")?,
        text: builder.text(bound.argument(0)?)?,
    }))
}

#[derive(Debug)]
struct ExtractText {
    variable: Variable,
    modifiers: Modifiers,
    first: Option<u64>,
}

impl Step for ExtractText {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let Some(&at) = run.parts.last() else {
            return Err(run.error("extracttext outside of foreverypart"));
        };
        let structure = run.mail.structure();
        let is_text = structure.parts().get(at).is_some_and(|part| part.is_text());
        let values = if is_text {
            text_of_part(run, at, true)
        } else {
            std::rc::Rc::new([])
        };
        let text = values.first().map_or("", |value| &value.text);
        let first = usize::try_from(self.first.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let text: String = text.chars().take(first.min(run.limits.variable_bytes)).collect();
        let value = self.modifiers.apply(text, run.limits.variable_bytes);
        run.set_variable(&self.variable, value)?;
        Ok(Flow::Next)
    }
}

fn extracttext(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    builder.need("variables", bound.position, "extracttext")?;
    if builder.loops.is_empty() {
        return Err(bound.error("extracttext stands outside of foreverypart"));
    }
    Ok(Box::new(ExtractText {
        variable: settable(builder, bound.argument(0)?)?,
        modifiers: Modifiers::of(bound),
        first: bound.number_of("first"),
    }))
}
