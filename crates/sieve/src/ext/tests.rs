//! Tests of the base language (RFC 5228 §5), and `envelope`.

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::ext::date::Zone;
use crate::ext::fields::Fields;
use crate::glance::{Glance, Source};
use crate::mail::{AddressPart, Aspect, address_part};
use crate::matching::{Matcher, Value};
use crate::program::Check;
use crate::run::Run;
use crate::spec::{
    ADDRESS_PART, INDEX, Inner, Kind, MATCH, MIME, MIME_OPTIONS, Spec, TestSpec, flag, positional, test, valued,
};
use crate::template::Template;
use crate::world::Envelope;
use std::rc::Rc;

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
        &[MATCH, ADDRESS_PART, &[valued("zone", Kind::Text, "date", "")]],
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

    fn glance(&self, builder: &mut Builder<'_>) -> Option<Glance> {
        let need = self.matcher.need()?;
        let names = self.fields.plain()?;
        let sources = names
            .iter()
            .map(|name| builder.source(Source::Field(name.clone(), self.aspect)));
        Glance::new(&sources.collect::<Option<Vec<u16>>>()?, need)
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
    items: Items,
    part: AddressPart,
    /// An address part was named: only addresses have those.
    part_named: bool,
    /// In which times are told (RFC 6009 §3); where no zone is named, in the user's, as `currentdate` has it.
    zone: Zone,
    matcher: Matcher,
}

/// Names of parts of the envelope.
#[derive(Debug)]
enum Items {
    Fixed(Box<[EnvelopeItem]>),
    Rendered(Box<[Template]>),
}

/// A part of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnvelopeItem {
    From,
    To,
    Auth,
    Notify,
    Orcpt,
    Ret,
    Envid,
    ByTimeAbsolute,
    ByTimeRelative,
    ByMode,
    ByTrace,
}

impl EnvelopeItem {
    fn named(name: &str) -> Option<EnvelopeItem> {
        Some(match name.to_ascii_lowercase().as_str() {
            "from" => EnvelopeItem::From,
            "to" => EnvelopeItem::To,
            "auth" => EnvelopeItem::Auth,
            "notify" => EnvelopeItem::Notify,
            "orcpt" => EnvelopeItem::Orcpt,
            "ret" => EnvelopeItem::Ret,
            "envid" => EnvelopeItem::Envid,
            "bytimeabsolute" => EnvelopeItem::ByTimeAbsolute,
            "bytimerelative" => EnvelopeItem::ByTimeRelative,
            "bymode" => EnvelopeItem::ByMode,
            "bytrace" => EnvelopeItem::ByTrace,
            _ => return None,
        })
    }

    /// The extension that has it; `None`: `envelope` itself.
    fn extension(self) -> Option<&'static str> {
        match self {
            EnvelopeItem::From | EnvelopeItem::To | EnvelopeItem::Auth => None,
            EnvelopeItem::Notify | EnvelopeItem::Orcpt | EnvelopeItem::Ret | EnvelopeItem::Envid => {
                Some("envelope-dsn")
            }
            _ => Some("envelope-deliverby"),
        }
    }

    fn is_address(self) -> bool {
        matches!(self, EnvelopeItem::From | EnvelopeItem::To)
    }

    pub fn values(self, envelope: &Envelope, part: AddressPart, now: i64, zone: i16) -> Vec<Value> {
        let mut values = Vec::new();
        let mut push = |text: String| values.push(Value::new(text));
        match self {
            EnvelopeItem::From | EnvelopeItem::To => {
                let sender = self == EnvelopeItem::From;
                let address = if sender { &envelope.from } else { &envelope.to };
                if let Some(address) = address {
                    // The null sender has empty parts (RFC 5228 §5.4).
                    let (local, host) = address.rsplit_once('@').unwrap_or((address, ""));
                    if let Some(text) = address_part(local, host, part) {
                        push(text);
                    }
                }
            }
            EnvelopeItem::Auth => envelope.auth.iter().for_each(|text| push(text.clone())),
            EnvelopeItem::Notify => envelope
                .notify
                .iter()
                .flat_map(|list| list.split(','))
                .for_each(|word| push(word.trim().to_owned())),
            EnvelopeItem::Orcpt => envelope.orcpt.iter().for_each(|text| push(text.clone())),
            EnvelopeItem::Ret => envelope.ret.iter().for_each(|text| push(text.clone())),
            EnvelopeItem::Envid => envelope.envid.iter().for_each(|text| push(text.clone())),
            EnvelopeItem::ByTimeAbsolute
            | EnvelopeItem::ByTimeRelative
            | EnvelopeItem::ByMode
            | EnvelopeItem::ByTrace => {
                if let Some(by) = &envelope.by {
                    match self {
                        EnvelopeItem::ByTimeAbsolute => push(crate::ext::date::iso8601(by.time, zone)),
                        EnvelopeItem::ByTimeRelative => push((by.time - now).to_string()),
                        EnvelopeItem::ByMode => push(by.mode.to_string()),
                        _ if by.trace => push("T".to_owned()),
                        _ => {}
                    }
                }
            }
        }
        values
    }
}

/// What the envelope's parts are, as tests have asked for them.
pub(crate) type EnvelopeValues = Vec<(EnvelopeItem, AddressPart, Rc<[Value]>)>;

impl Check for EnvelopeTest {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        if !run.world.has_envelope() {
            return Err(run.error("there is no envelope to test: the script runs on an IMAP event"));
        }
        let mut count = 0;
        match &self.items {
            Items::Fixed(items) => {
                for item in items {
                    if self.item(run, *item, &mut count)? {
                        return Ok(true);
                    }
                }
            }
            Items::Rendered(templates) => {
                for template in templates {
                    let item = EnvelopeItem::named(&template.render(run));
                    if let Some(item) = item
                        && self.item(run, item, &mut count)?
                    {
                        return Ok(true);
                    }
                }
            }
        }
        if self.matcher.is_count() {
            self.matcher.count(run, count)
        } else {
            Ok(false)
        }
    }

    fn glance(&self, builder: &mut Builder<'_>) -> Option<Glance> {
        let need = self.matcher.need()?;
        let Items::Fixed(items) = &self.items else { return None };
        let sources = items.iter().map(|item| match item.is_address() {
            true => builder.source(Source::Envelope(*item, self.part)),
            false => None,
        });
        Glance::new(&sources.collect::<Option<Vec<u16>>>()?, need)
    }
}

impl EnvelopeTest {
    fn item(&self, run: &mut Run<'_>, item: EnvelopeItem, count: &mut usize) -> Result<bool> {
        if self.part_named && !item.is_address() {
            return Ok(false);
        }
        let known = run
            .envelope
            .iter()
            .find(|(of, part, _)| *of == item && *part == self.part);
        let values = match known {
            _ if item == EnvelopeItem::ByTimeAbsolute => {
                let at = run.input.envelope.by.as_ref().map_or(0, |by| by.time);
                let zone = self.zone.minutes(run, at, 0)?;
                item.values(&run.input.envelope, self.part, run.input.now, zone).into()
            }
            Some((_, _, values)) => Rc::clone(values),
            None => {
                let input = run.input;
                let values: Rc<[Value]> = item.values(&input.envelope, self.part, input.now, 0).into();
                run.envelope.push((item, self.part, Rc::clone(&values)));
                values
            }
        };
        *count += values.len();
        Ok(!self.matcher.is_count() && self.matcher.any(run, &values)?)
    }
}

fn envelope(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let argument = bound.argument(0)?;
    let parts = builder.texts(argument)?;
    let mut fixed = Vec::with_capacity(parts.len());
    for part in parts.iter().filter_map(Template::fixed) {
        let Some(item) = EnvelopeItem::named(part) else {
            return Err(Error::new(
                ErrorKind::Argument,
                argument.span.position,
                format!("\"{}\" is no part of the envelope", crate::lexer::shorten(part)),
            )
            .hint("write \"from\" or \"to\""));
        };
        if let Some(extension) = item.extension() {
            builder.need(
                extension,
                argument.span.position,
                &format!("the envelope part \"{part}\""),
            )?;
        }
        fixed.push(item);
    }
    let items = if fixed.len() == parts.len() {
        Items::Fixed(fixed.into())
    } else {
        Items::Rendered(parts)
    };
    Ok(Box::new(EnvelopeTest {
        items,
        part: address_part_of(bound),
        part_named: bound.of_group("address part").is_some(),
        zone: Zone::build(builder, bound)?,
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}
