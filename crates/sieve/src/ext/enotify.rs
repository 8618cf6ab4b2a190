//! enotify (RFC 5435) and its method mailto (RFC 5436).

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::ext::actions::TARGET;
use crate::ext::mime_parts::percent_decoded;
use crate::ext::vacation::{FccSpec, from};
use crate::lexer::shorten;
use crate::matching::Matcher;
use crate::outcome::{Action, Mailto, Notify};
use crate::program::{Check, Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, MATCH, TestSpec, command, positional, test, valued};
use crate::template::Template;

pub(crate) const COMMANDS: &[CommandSpec] = &[command(
    "notify",
    "enotify",
    &[
        &[
            valued("from", Kind::Text, "", ""),
            valued("importance", Kind::Text, "", ""),
            valued("options", Kind::Texts, "", ""),
            valued("message", Kind::Text, "", ""),
            valued("fcc", Kind::Text, "fcc", ""),
        ],
        TARGET,
    ],
    &[positional("method", Kind::Text)],
    notify,
)];

pub(crate) const TESTS: &[TestSpec] = &[
    test(
        "valid_notify_method",
        "enotify",
        &[],
        &[positional("notification URIs", Kind::Texts)],
        valid_notify_method,
    ),
    test(
        "notify_method_capability",
        "enotify",
        &[MATCH],
        &[
            positional("notification URI", Kind::Text),
            positional("capability", Kind::Text),
            positional("key list", Kind::Texts),
        ],
        notify_method_capability,
    ),
];

/// The scheme of a URI, in small letters.
fn scheme(uri: &str) -> Option<String> {
    let (scheme, _) = uri.split_once(':')?;
    let mut bytes = scheme.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    good.then(|| scheme.to_ascii_lowercase())
}

/// Fields that a mailto URI does not set (RFC 5436 §2.3, §2.7): who it is from, and what says where it came from and how.
const REFUSED: &[&str] = &[
    "auto-submitted",
    "bcc",
    "content-type",
    "content-transfer-encoding",
    "date",
    "from",
    "message-id",
    "mime-version",
    "received",
    "reply-to",
    "resent-from",
    "resent-to",
    "return-path",
    "sender",
    "x-sieve",
];

/// A `mailto:` URI (RFC 6068 §2). `None` if it is none, or has no recipient that is an address.
pub(crate) fn mailto(uri: &str) -> Option<Mailto> {
    if !uri.get(..7)?.eq_ignore_ascii_case("mailto:") || uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let rest = uri.get(7..)?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (to, fields) = rest.split_once('?').unwrap_or((rest, ""));
    let decoded = |text: &str| String::from_utf8(percent_decoded(text)).ok();
    let address = |text: &str| {
        let text = decoded(text)?;
        crate::ext::actions::one_address(&text, 1024)
    };
    let mut mailto = Mailto::default();
    for one in to.split(',').filter(|one| !one.is_empty()) {
        mailto.to.push(address(one)?);
    }
    for field in fields.split('&').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=')?;
        let (name, value) = (decoded(name)?.to_ascii_lowercase(), decoded(value)?);
        if name == "body" {
            mailto.body.get_or_insert(value);
            continue;
        }
        // One line, whatever is encoded in it.
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let valid = crate::mail::FieldName::new(&name).is_valid();
        if name == "to" {
            for one in value.split(',').map(str::trim).filter(|one| !one.is_empty()) {
                mailto.to.push(crate::ext::actions::one_address(one, 1024)?);
            }
        } else if valid && !REFUSED.contains(&name.as_str()) && mailto.fields.len() < 20 {
            mailto.fields.push((name, value));
        }
    }
    (!mailto.to.is_empty() && mailto.to.len() <= 5).then_some(mailto)
}

fn valid(run: &Run<'_>, uri: &str) -> bool {
    match scheme(uri) {
        Some(scheme) if run.world.notify_method(&scheme) => scheme != "mailto" || mailto(uri).is_some(),
        _ => false,
    }
}

#[derive(Debug)]
struct NotifyStep {
    method: Template,
    from: Option<Template>,
    importance: Option<Template>,
    options: Box<[Template]>,
    message: Option<Template>,
    fcc: Option<FccSpec>,
}

impl Step for NotifyStep {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let method = self.method.render(run).into_owned();
        if !valid(run, &method) {
            return Err(run.error(format!("\"{}\" is no way to notify somebody", shorten(&method))));
        }
        run.notifications += 1;
        if run.notifications > run.limits.notifications {
            return Err(run.limit("notifications", "notifications", run.limits.notifications));
        }
        let importance = match self.importance.as_ref().map(|text| text.render(run)).as_deref() {
            None | Some("2") => 2,
            Some("1") => 1,
            Some("3") => 3,
            Some(_) => return Err(run.error(":importance is \"1\", \"2\" or \"3\"")),
        };
        let render = |text: &Option<Template>| text.as_ref().map(|text| text.render(run).into_owned());
        let notify = Notify {
            mailto: mailto(&method),
            from: render(&self.from),
            importance,
            options: self
                .options
                .iter()
                .map(|option| option.render(run).into_owned())
                .collect(),
            message: render(&self.message),
            fcc: self.fcc.as_ref().map(|fcc| fcc.render(run)).transpose()?,
            method,
        };
        // RFC 5436 §2.7: what was itself sent automatically does not notify, or two mailboxes would notify each other for ever.
        let auto = run.mail.values(
            &crate::mail::FieldName::new("auto-submitted"),
            crate::mail::Aspect::Text,
        );
        let automatic = auto.first().is_some_and(|value| {
            !value
                .text
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case("no")
        });
        if automatic && notify.mailto.is_some() {
            run.note("no notification: the message was sent automatically (auto-submitted)");
            return Ok(Flow::Next);
        }
        run.act(Action::Notify(notify))?;
        Ok(Flow::Next)
    }
}

fn notify(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let argument = bound.argument(0)?;
    let method = builder.text(argument)?;
    if let Some(fixed) = method.fixed()
        && (scheme(fixed).is_none() || (scheme(fixed).as_deref() == Some("mailto") && mailto(fixed).is_none()))
    {
        return Err(Error::new(
            ErrorKind::Argument,
            argument.span.position,
            format!("\"{}\" is no way to notify somebody", shorten(fixed)),
        )
        .hint("write \"mailto:ada@phys.example\""));
    }
    let importance = builder.tag_text(bound, "importance")?;
    if importance
        .as_ref()
        .and_then(Template::fixed)
        .is_some_and(|text| !matches!(text, "1" | "2" | "3"))
    {
        return Err(bound.error(":importance is \"1\" (high), \"2\" or \"3\" (low)"));
    }
    Ok(Box::new(NotifyStep {
        method,
        from: from(builder, bound)?,
        importance,
        options: builder.tag_texts(bound, "options")?.unwrap_or_default(),
        message: builder.tag_text(bound, "message")?,
        fcc: FccSpec::build(builder, bound)?,
    }))
}

#[derive(Debug)]
struct ValidMethod(Box<[Template]>);

impl Check for ValidMethod {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        Ok(self.0.iter().all(|uri| valid(run, &uri.render(run))))
    }
}

fn valid_notify_method(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(ValidMethod(builder.texts(bound.argument(0)?)?)))
}

#[derive(Debug)]
struct Capability {
    uri: Template,
    capability: Template,
    matcher: Matcher,
}

impl Check for Capability {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let uri = self.uri.render(run).into_owned();
        if !valid(run, &uri) {
            return Ok(false);
        }
        match run.world.notify_capability(&uri, &self.capability.render(run)) {
            Some(value) if self.matcher.is_count() => self.matcher.count(run, usize::from(!value.is_empty())),
            Some(value) => self.matcher.one(run, &value),
            None => Ok(false),
        }
    }
}

fn notify_method_capability(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Capability {
        uri: builder.text(bound.argument(0)?)?,
        capability: builder.text(bound.argument(1)?)?,
        matcher: builder.matcher(bound, bound.argument(2)?)?,
    }))
}
