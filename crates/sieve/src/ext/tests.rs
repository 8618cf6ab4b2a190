//! Tests of the base language (RFC 5228 §5), and `envelope`.

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::ext::fields::Fields;
use crate::mail::{AddressPart, Aspect, address_part};
use crate::matching::{Matcher, Value};
use crate::program::Check;
use crate::run::Run;
use crate::spec::{
    ADDRESS_PART, INDEX, Inner, Kind, MATCH, MIME, MIME_OPTIONS, Spec, TestSpec, flag, positional, test,
};
use crate::template::Template;
use crate::world::Envelope;

pub(crate) const TESTS: &[TestSpec] = &[
    test(
        "address",
        "",
        &[MATCH, ADDRESS_PART, INDEX, MIME],
        &[
            positional("header list", Kind::Texts),
            positional("key list", Kind::Texts),
        ],
        address,
    ),
    test(
        "header",
        "",
        &[MATCH, INDEX, MIME, MIME_OPTIONS],
        &[
            positional("header names", Kind::Texts),
            positional("key list", Kind::Texts),
        ],
        header,
    ),
    test(
        "exists",
        "",
        &[MIME],
        &[positional("header names", Kind::Texts)],
        exists,
    ),
    test(
        "size",
        "",
        &[&[flag("over", "", "limit"), flag("under", "", "limit")]],
        &[positional("limit", Kind::Number)],
        size,
    ),
    test(
        "envelope",
        "envelope",
        &[MATCH, ADDRESS_PART],
        &[
            positional("envelope part", Kind::Texts),
            positional("key list", Kind::Texts),
        ],
        envelope,
    ),
    test("true", "", &[], &[], never),
    test("false", "", &[], &[], never),
    Spec {
        inner: Inner::One,
        ..test("not", "", &[], &[], never)
    },
    Spec {
        inner: Inner::List,
        ..test("anyof", "", &[], &[], never)
    },
    Spec {
        inner: Inner::List,
        ..test("allof", "", &[], &[], never)
    },
];

/// Tests that the builder makes itself.
fn never(_: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Err(bound.error("this test is built in"))
}

pub(crate) fn address_part_of(bound: &Bound<'_>) -> AddressPart {
    match bound.of_group("address part") {
        Some("localpart") => AddressPart::Localpart,
        Some("domain") => AddressPart::Domain,
        Some("user") => AddressPart::User,
        Some("detail") => AddressPart::Detail,
        _ => AddressPart::All,
    }
}

/// `header` and `address`: values of fields against keys.
#[derive(Debug)]
struct FieldTest {
    fields: Fields,
    aspect: Aspect,
    matcher: Matcher,
}

impl Check for FieldTest {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        if self.matcher.is_count() {
            let mut count = 0;
            self.fields.any(run, self.aspect, |_, values| {
                count += values.len();
                Ok(false)
            })?;
            return self.matcher.count(run, count);
        }
        self.fields
            .any(run, self.aspect, |run, values| self.matcher.any(run, values))
    }
}

fn address(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(FieldTest {
        fields: builder.fields(bound, bound.argument(0)?)?,
        aspect: Aspect::Address(address_part_of(bound)),
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}

fn header(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(FieldTest {
        fields: builder.fields(bound, bound.argument(0)?)?,
        aspect: Aspect::Text,
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}

#[derive(Debug)]
struct Exists(Fields);

impl Check for Exists {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        self.0.all_exist(run)
    }
}

fn exists(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Exists(builder.fields(bound, bound.argument(0)?)?)))
}

#[derive(Debug)]
struct Size {
    over: bool,
    limit: u64,
}

impl Check for Size {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let size = run.mail.size() as u64;
        let passed = if self.over {
            size > self.limit
        } else {
            size < self.limit
        };
        if passed {
            run.matched(&size.to_string());
        }
        Ok(passed)
    }
}

fn size(_: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    if bound.of_group("limit").is_none() {
        return Err(bound.error("size needs :over or :under").hint("write size :over 1M"));
    }
    Ok(Box::new(Size {
        over: bound.has("over"),
        limit: bound.number(0)?,
    }))
}

/// `envelope` (RFC 5228 §5.4; parts of RFC 6009 §3).
#[derive(Debug)]
struct EnvelopeTest {
    parts: Box<[Template]>,
    part: AddressPart,
    /// An address part was named: only addresses have those.
    part_named: bool,
    matcher: Matcher,
}

impl Check for EnvelopeTest {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        if !run.world.has_envelope() {
            return Err(run.error("there is no envelope to test: the script runs on an IMAP event"));
        }
        let mut count = 0;
        for name in &self.parts {
            let name = name.render(run).to_ascii_lowercase();
            let input = run.input;
            let values = self.values(&name, &input.envelope, input.now);
            count += values.len();
            if !self.matcher.is_count() && self.matcher.any(run, &values)? {
                return Ok(true);
            }
        }
        if self.matcher.is_count() {
            self.matcher.count(run, count)
        } else {
            Ok(false)
        }
    }
}

impl EnvelopeTest {
    fn values(&self, name: &str, envelope: &Envelope, now: i64) -> Vec<Value> {
        let mut values = Vec::new();
        let mut push = |text: String| values.push(Value::new(text));
        match name {
            "from" | "to" => {
                let address = if name == "from" { &envelope.from } else { &envelope.to };
                if let Some(address) = address {
                    // The null sender has empty parts (RFC 5228 §5.4).
                    let (local, host) = address.rsplit_once('@').unwrap_or((address, ""));
                    if let Some(text) = address_part(local, host, self.part) {
                        push(text);
                    }
                }
            }
            "auth" => envelope.auth.iter().for_each(|text| push(text.clone())),
            "notify" => envelope
                .notify
                .iter()
                .flat_map(|list| list.split(','))
                .for_each(|word| push(word.trim().to_owned())),
            "orcpt" => envelope.orcpt.iter().for_each(|text| push(text.clone())),
            "ret" => envelope.ret.iter().for_each(|text| push(text.clone())),
            "envid" => envelope.envid.iter().for_each(|text| push(text.clone())),
            _ => {
                if let Some(by) = &envelope.by {
                    match name {
                        "bytimeabsolute" => push(crate::ext::date::iso8601(by.time, 0)),
                        "bytimerelative" => push((by.time - now).to_string()),
                        "bymode" => push(by.mode.to_string()),
                        "bytrace" if by.trace => push("T".to_owned()),
                        _ => {}
                    }
                }
            }
        }
        if self.part_named && !matches!(name, "from" | "to") {
            values.clear();
        }
        values
    }
}

fn envelope(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let argument = bound.argument(0)?;
    let parts = builder.texts(argument)?;
    for part in parts.iter().filter_map(Template::fixed) {
        let extension = match part.to_ascii_lowercase().as_str() {
            "from" | "to" | "auth" => continue,
            "notify" | "orcpt" | "ret" | "envid" => "envelope-dsn",
            "bytimeabsolute" | "bytimerelative" | "bymode" | "bytrace" => "envelope-deliverby",
            _ => {
                return Err(Error::new(
                    ErrorKind::Argument,
                    argument.span.position,
                    format!("\"{}\" is no part of the envelope", crate::lexer::shorten(part)),
                )
                .hint("write \"from\" or \"to\""));
            }
        };
        builder.need(
            extension,
            argument.span.position,
            &format!("the envelope part \"{part}\""),
        )?;
    }
    Ok(Box::new(EnvelopeTest {
        parts,
        part: address_part_of(bound),
        part_named: bound.of_group("address part").is_some(),
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}
