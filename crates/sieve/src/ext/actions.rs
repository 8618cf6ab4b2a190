//! Actions of the base language (RFC 5228 §4) with what extensions add to them: `:copy` (RFC 3894), `:flags` (RFC 5232), `:create`
//! (RFC 5490 §3.2), `:specialuse` (RFC 8579 §4), `:mailboxid` (RFC 9042 §4), `:list` (RFC 6134 §2.6), and the envelope of what is
//! redirected (RFC 6009 §4, §5).

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Position, Result};
use crate::ext::date::parse_iso8601;
use crate::ext::imap4flags::Flags;
use crate::outcome::{Action, Redirect, RedirectBy, Target};
use crate::program::{Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, Tag, command, flag, positional, valued};
use crate::template::Template;

/// Where a message or a copy is filed.
pub(crate) const TARGET: &[Tag] = &[
    flag("create", "mailbox", ""),
    valued("specialuse", Kind::Text, "special-use", ""),
    valued("mailboxid", Kind::Text, "mailboxid", ""),
    valued("flags", Kind::Texts, "imap4flags", ""),
];

const COPY: Tag = flag("copy", "copy", "");

pub(crate) const COMMANDS: &[CommandSpec] = &[
    command(
        "keep",
        "",
        &[&[valued("flags", Kind::Texts, "imap4flags", "")]],
        &[],
        keep,
    ),
    command("discard", "", &[], &[], discard),
    command(
        "fileinto",
        "fileinto",
        &[&[COPY], TARGET],
        &[positional("mailbox", Kind::Text)],
        fileinto,
    ),
    command(
        "redirect",
        "",
        &[&[
            COPY,
            flag("list", "extlists", ""),
            valued("notify", Kind::Text, "redirect-dsn", ""),
            valued("ret", Kind::Text, "redirect-dsn", ""),
            valued("bytimerelative", Kind::Number, "redirect-deliverby", "time"),
            valued("bytimeabsolute", Kind::Text, "redirect-deliverby", "time"),
            valued("bymode", Kind::Text, "redirect-deliverby", ""),
            flag("bytrace", "redirect-deliverby", ""),
        ]],
        &[positional("address", Kind::Text)],
        redirect,
    ),
];

#[derive(Debug)]
struct Keep(Option<Flags>);

impl Step for Keep {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let flags = Flags::or_current(self.0.as_ref(), run)?;
        run.act(Action::Keep { flags, implicit: false })?;
        run.implicit_keep = false;
        Ok(Flow::Next)
    }
}

fn keep(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Keep(Flags::build(builder, bound)?)))
}

#[derive(Debug)]
struct Discard;

impl Step for Discard {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        run.implicit_keep = false;
        run.act(Action::Discard)?;
        Ok(Flow::Next)
    }
}

fn discard(_: &mut Builder<'_>, _: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Discard))
}

/// The tags of [`TARGET`] and the mailbox.
#[derive(Debug)]
pub(crate) struct TargetSpec {
    mailbox: Template,
    special_use: Option<Template>,
    mailbox_id: Option<Template>,
    create: bool,
    pub flags: Option<Flags>,
}

impl TargetSpec {
    pub fn build(builder: &mut Builder<'_>, bound: &Bound<'_>, mailbox: Template) -> Result<TargetSpec> {
        if let Some(name) = mailbox.fixed() {
            check_mailbox(name, builder.options.limits.name_bytes).map_err(|error| bound.error(error.message))?;
        }
        let special_use = builder.tag_text(bound, "specialuse")?;
        if let Some(wrong) = special_use
            .as_ref()
            .and_then(Template::fixed)
            .filter(|text| !is_special_use(text))
        {
            return Err(bound
                .error(format!("\"{}\" is no special use", crate::lexer::shorten(wrong)))
                .hint("write it like \"\\\\Junk\""));
        }
        Ok(TargetSpec {
            mailbox,
            special_use,
            mailbox_id: builder.tag_text(bound, "mailboxid")?,
            create: bound.has("create"),
            flags: Flags::build(builder, bound)?,
        })
    }

    pub fn render(&self, run: &Run<'_>) -> Result<Target> {
        let mailbox = self.mailbox.render(run).into_owned();
        check_mailbox(&mailbox, run.limits.name_bytes)?;
        Ok(Target {
            mailbox,
            special_use: self.special_use.as_ref().map(|text| text.render(run).into_owned()),
            mailbox_id: self.mailbox_id.as_ref().map(|text| text.render(run).into_owned()),
            create: self.create,
        })
    }
}

pub(crate) fn is_special_use(text: &str) -> bool {
    text.strip_prefix('\\').is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    })
}

/// What no IMAP server takes for the name of a mailbox (RFC 9051 §5.1).
pub(crate) fn check_mailbox(name: &str, most: usize) -> Result<()> {
    let wrong = |message: String| Err(Error::new(ErrorKind::Run, Position::default(), message));
    if name.is_empty() {
        return wrong("the name of the mailbox is empty".into());
    }
    if name.len() > most {
        return wrong(format!(
            "the name of the mailbox has more than {most} octets (limit name_bytes)"
        ));
    }
    if let Some(c) = name
        .chars()
        .find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return wrong(format!(
            "the name of the mailbox holds the control character {}",
            c.escape_unicode()
        ));
    }
    Ok(())
}

#[derive(Debug)]
struct FileInto {
    target: TargetSpec,
    copy: bool,
}

impl Step for FileInto {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let target = self.target.render(run)?;
        let flags = Flags::or_current(self.target.flags.as_ref(), run)?;
        run.act(Action::FileInto {
            target,
            flags,
            copy: self.copy,
        })?;
        if !self.copy {
            run.implicit_keep = false;
        }
        Ok(Flow::Next)
    }
}

fn fileinto(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    if bound.has("specialuse") && bound.has("mailboxid") {
        return Err(bound.error(":specialuse and :mailboxid cannot be used together"));
    }
    let mailbox = builder.text(bound.argument(0)?)?;
    Ok(Box::new(FileInto {
        target: TargetSpec::build(builder, bound, mailbox)?,
        copy: bound.has("copy"),
    }))
}

#[derive(Debug)]
struct RedirectStep {
    address: Template,
    list: bool,
    copy: bool,
    notify: Option<Template>,
    ret: Option<Template>,
    by_relative: Option<u64>,
    by_absolute: Option<Template>,
    by_mode: Option<Template>,
    by_trace: bool,
}

impl Step for RedirectStep {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let address = self.address.render(run).into_owned();
        let address = if self.list {
            if !run.world.list_exists(&address) {
                return Err(run.error(format!("there is no list \"{}\"", crate::lexer::shorten(&address))));
            }
            address
        } else {
            one_address(&address, run.limits.name_bytes)
                .ok_or_else(|| run.error(format!("\"{}\" is no address", crate::lexer::shorten(&address))))?
        };
        let again = run.actions.iter().any(
            |taken| matches!(&taken.action, Action::Redirect(other) if other.address.eq_ignore_ascii_case(&address)),
        );
        if !again {
            run.redirects += 1;
        }
        if run.redirects > run.limits.redirects {
            return Err(run.limit("redirects", "redirects", run.limits.redirects));
        }
        let seconds = match (&self.by_relative, &self.by_absolute) {
            (Some(seconds), _) => Some(i64::try_from(*seconds).unwrap_or(i64::MAX)),
            (None, Some(time)) => {
                let time = time.render(run);
                let at = parse_iso8601(&time)
                    .ok_or_else(|| run.error(format!("\"{}\" is no time", crate::lexer::shorten(&time))))?;
                Some(at - run.input.now)
            }
            (None, None) => None,
        };
        let mode = self.by_mode.as_ref().map(|mode| mode.render(run).to_ascii_lowercase());
        let mode = match mode.as_deref() {
            None | Some("notify") => 'N',
            Some("return") => 'R',
            Some(_) => return Err(run.error(":bymode is \"notify\" or \"return\"")),
        };
        let redirect = Redirect {
            address,
            list: self.list,
            copy: self.copy,
            notify: self.notify.as_ref().map(|text| text.render(run).to_ascii_uppercase()),
            ret: self.ret.as_ref().map(|text| text.render(run).to_ascii_uppercase()),
            // RFC 6009 §5: a time that has passed makes BY=0 or less, which is not allowed with R.
            by: seconds.map(|seconds| RedirectBy {
                seconds: if mode == 'R' { seconds.max(1) } else { seconds },
                mode,
                trace: self.by_trace,
            }),
        };
        if let Some(notify) = &redirect.notify {
            check_notify(notify).map_err(|message| run.error(message))?;
        }
        if redirect
            .ret
            .as_deref()
            .is_some_and(|ret| !matches!(ret, "FULL" | "HDRS"))
        {
            return Err(run.error(":ret is \"FULL\" or \"HDRS\""));
        }
        run.act(Action::Redirect(redirect))?;
        if !self.copy {
            run.implicit_keep = false;
        }
        Ok(Flow::Next)
    }
}

/// NOTIFY= of RFC 3461 §4.1: `NEVER` alone, or a list of the others.
fn check_notify(text: &str) -> std::result::Result<(), String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    let known = words
        .iter()
        .all(|word| matches!(*word, "SUCCESS" | "FAILURE" | "DELAY"));
    if known || words == ["NEVER"] {
        Ok(())
    } else {
        Err(":notify is \"NEVER\" or a list of \"SUCCESS\", \"FAILURE\", \"DELAY\"".into())
    }
}

fn redirect(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let argument = bound.argument(0)?;
    let address = builder.text(argument)?;
    let list = bound.has("list");
    if let Some(fixed) = address.fixed()
        && !list
        && one_address(fixed, builder.options.limits.name_bytes).is_none()
    {
        return Err(Error::new(
            ErrorKind::Argument,
            argument.span.position,
            format!("\"{}\" is no mail address", crate::lexer::shorten(fixed)),
        )
        .hint("write one address such as \"ada@phys.example\""));
    }
    let notify = builder.tag_text(bound, "notify")?;
    if let Some(fixed) = notify.as_ref().and_then(Template::fixed) {
        check_notify(&fixed.to_ascii_uppercase()).map_err(|message| bound.error(message))?;
    }
    let ret = builder.tag_text(bound, "ret")?;
    if let Some(fixed) = ret.as_ref().and_then(Template::fixed)
        && !matches!(fixed.to_ascii_uppercase().as_str(), "FULL" | "HDRS")
    {
        return Err(bound.error(":ret is \"FULL\" or \"HDRS\""));
    }
    let by_time = bound.of_group("time").is_some();
    if !by_time && (bound.has("bymode") || bound.has("bytrace")) {
        return Err(bound.error(":bymode and :bytrace need :bytimerelative or :bytimeabsolute"));
    }
    Ok(Box::new(RedirectStep {
        address,
        list,
        copy: bound.has("copy"),
        notify,
        ret,
        by_relative: bound.number_of("bytimerelative"),
        by_absolute: builder.tag_text(bound, "bytimeabsolute")?,
        by_mode: builder.tag_text(bound, "bymode")?,
        by_trace: bound.has("bytrace"),
    }))
}

/// The address, if the text is exactly one, with or without a name (RFC 5228 §2.4.2.3).
pub(crate) fn one_address(text: &str, most: usize) -> Option<String> {
    if text.len() > most || text.chars().any(char::is_control) {
        return None;
    }
    match mime::addresses(text.as_bytes(), 3).as_slice() {
        [mime::Address::Mailbox(mailbox)] => {
            let local = std::str::from_utf8(&mailbox.local).ok()?;
            let host = std::str::from_utf8(&mailbox.host).ok()?;
            let plain = |c: char| !c.is_whitespace() && !matches!(c, '<' | '>' | '(' | ')' | '@' | ',' | ';' | '"');
            let good_host =
                !host.is_empty() && host.chars().all(plain) && !host.starts_with('.') && !host.ends_with('.');
            let quoted = !local.chars().all(plain);
            if !good_host || local.is_empty() {
                return None;
            }
            Some(if quoted {
                format!("{}@{host}", crate::printer::quote(local))
            } else {
                format!("{local}@{host}")
            })
        }
        _ => None,
    }
}
