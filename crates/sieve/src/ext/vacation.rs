//! vacation (RFC 5230) with vacation-seconds (RFC 6131), and `:fcc` (RFC 8580).
//!
//! Whether an answer is due is decided in two places. Here: what can be told from the message (RFC 5230 §4.5, §4.6; RFC 3834 §2):
//! not to the null sender, owners of lists and mailers, not to what was sent automatically or by a list, not to oneself, and only
//! if one of the user's addresses stands in the header. By the caller: whether this sender had this answer lately.

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::ext::actions::{TARGET, TargetSpec};
use crate::ext::imap4flags::Flags;
use crate::mail::{AddressPart, Aspect, FieldName};
use crate::outcome::{Action, Fcc, Vacation};
use crate::program::{Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, Tag, command, flag, positional, valued};
use crate::template::Template;

const FCC: Tag = valued("fcc", Kind::Text, "fcc", "");

pub(crate) const COMMANDS: &[CommandSpec] = &[command(
    "vacation",
    "vacation",
    &[
        &[
            valued("days", Kind::Number, "", "period"),
            valued("seconds", Kind::Number, "vacation-seconds", "period"),
            valued("subject", Kind::Text, "", ""),
            valued("from", Kind::Text, "", ""),
            valued("addresses", Kind::Texts, "", ""),
            flag("mime", "", ""),
            valued("handle", Kind::Text, "", ""),
            FCC,
        ],
        TARGET,
    ],
    &[positional("reason", Kind::Text)],
    vacation,
)];

/// `:fcc` and the tags that say how to file it.
#[derive(Debug)]
pub(crate) struct FccSpec(TargetSpec);

impl FccSpec {
    pub fn build(builder: &mut Builder<'_>, bound: &Bound<'_>) -> Result<Option<FccSpec>> {
        match builder.tag_text(bound, "fcc")? {
            Some(mailbox) => Ok(Some(FccSpec(TargetSpec::build(builder, bound, mailbox)?))),
            None if ["create", "specialuse", "mailboxid", "flags"]
                .iter()
                .any(|tag| bound.has(tag)) =>
            {
                Err(bound.error(":create, :specialuse, :mailboxid and :flags need :fcc here"))
            }
            None => Ok(None),
        }
    }

    pub fn render(&self, run: &Run<'_>) -> Result<Fcc> {
        let flags = match &self.0.flags {
            Some(flags) => Flags::or_current(Some(flags), run)?,
            None => Vec::new(),
        };
        Ok(Fcc {
            target: self.0.render(run)?,
            flags,
        })
    }
}

#[derive(Debug)]
struct VacationStep {
    seconds: Option<u64>,
    subject: Option<Template>,
    from: Option<Template>,
    addresses: Box<[Template]>,
    mime: bool,
    handle: Option<Template>,
    fcc: Option<FccSpec>,
    reason: Template,
}

impl Step for VacationStep {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        // RFC 5230 §4: once a script, whether it answers or not.
        run.vacations += 1;
        if run.vacations > 1 {
            return Err(run.error("vacation is executed twice"));
        }
        if run
            .actions
            .iter()
            .any(|taken| matches!(taken.action, Action::Reject { .. }))
        {
            return Err(run.error("vacation and reject cannot both be done"));
        }
        if let Some(why) = self.silent(run) {
            run.note(format!("no vacation answer: {why}"));
            return Ok(Flow::Next);
        }
        let render = |template: &Option<Template>| template.as_ref().map(|text| text.render(run).into_owned());
        let reason = self.reason.render(run).into_owned();
        let (subject, from) = (render(&self.subject), render(&self.from));
        // What is the same answer if no handle says so (RFC 5230 §4.2).
        let handle = render(&self.handle).unwrap_or_else(|| {
            let mime = if self.mime { "mime" } else { "text" };
            format!(
                "{}\n{}\n{mime}\n{reason}",
                subject.as_deref().unwrap_or_default(),
                from.as_deref().unwrap_or_default()
            )
        });
        let limits = run.limits;
        let seconds = match self.seconds {
            Some(seconds) => seconds.clamp(
                limits.vacation_min_seconds,
                limits.vacation_max_seconds.max(limits.vacation_min_seconds),
            ),
            None => limits.vacation_default_seconds,
        };
        let vacation = Vacation {
            to: run.input.envelope.from.clone().unwrap_or_default(),
            from,
            subject,
            reason,
            mime: self.mime,
            handle,
            seconds,
            fcc: self.fcc.as_ref().map(|fcc| fcc.render(run)).transpose()?,
        };
        run.act(Action::Vacation(vacation))?;
        Ok(Flow::Next)
    }
}

impl VacationStep {
    /// Why nothing is to be answered.
    fn silent(&self, run: &mut Run<'_>) -> Option<String> {
        let envelope = &run.input.envelope;
        let sender = envelope.from.clone().unwrap_or_default();
        if sender.is_empty() {
            return Some("the sender is empty".into());
        }
        let local = sender
            .rsplit_once('@')
            .map_or(sender.as_str(), |(local, _)| local)
            .to_ascii_lowercase();
        let machine = local.starts_with("owner-")
            || local.ends_with("-request")
            || local.ends_with("-owner")
            || local.ends_with("-bounces")
            || ["mailer-daemon", "listserv", "majordomo", "noreply", "no-reply"].contains(&local.as_str());
        if machine {
            return Some(format!("{sender} is not a person"));
        }
        let mut own: Vec<String> = self
            .addresses
            .iter()
            .map(|address| address.render(run).into_owned())
            .collect();
        own.extend(envelope.to.clone());
        own.extend(envelope.original_to.clone());
        own.extend(run.input.own_addresses.iter().cloned());
        if own.iter().any(|address| address.eq_ignore_ascii_case(&sender)) {
            return Some("the sender is oneself".into());
        }
        for field in [
            "list-id",
            "list-owner",
            "list-subscribe",
            "list-post",
            "list-unsubscribe",
            "list-help",
            "list-archive",
        ] {
            if run.mail.has(&FieldName::new(field)) {
                return Some(format!("it came from a list ({field})"));
            }
        }
        let text = |run: &mut Run<'_>, name: &str| -> Option<String> {
            let values = run.mail.values(&FieldName::new(name), Aspect::Text);
            values.first().map(|value| value.text.trim().to_ascii_lowercase())
        };
        if let Some(auto) = text(run, "auto-submitted")
            && auto.split(';').next().map(str::trim) != Some("no")
        {
            return Some("it was sent automatically (auto-submitted)".into());
        }
        if let Some(precedence) = text(run, "precedence")
            && ["junk", "bulk", "list"].contains(&precedence.as_str())
        {
            return Some(format!("it is {precedence} mail (precedence)"));
        }
        if let Some(suppress) = text(run, "x-auto-response-suppress")
            && suppress
                .split(',')
                .any(|word| matches!(word.trim(), "oof" | "all" | "autoreply"))
        {
            return Some("the sender wants no answer (x-auto-response-suppress)".into());
        }
        for field in ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"] {
            let values = run
                .mail
                .values(&FieldName::new(field), Aspect::Address(AddressPart::All));
            if values
                .iter()
                .any(|value| own.iter().any(|address| address.eq_ignore_ascii_case(&value.text)))
            {
                return None;
            }
        }
        Some("none of the user's addresses stands in its header".into())
    }
}

fn vacation(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let days = bound.number_of("days");
    Ok(Box::new(VacationStep {
        seconds: days
            .map(|days| days.max(1).saturating_mul(86_400))
            .or(bound.number_of("seconds")),
        subject: builder.tag_text(bound, "subject")?,
        from: from(builder, bound)?,
        addresses: builder.tag_texts(bound, "addresses")?.unwrap_or_default(),
        mime: bound.has("mime"),
        handle: builder.tag_text(bound, "handle")?,
        fcc: FccSpec::build(builder, bound)?,
        reason: builder.text(bound.argument(0)?)?,
    }))
}

/// `:from`, which must be an address if it is known before the script runs.
pub(crate) fn from(builder: &mut Builder<'_>, bound: &Bound<'_>) -> Result<Option<Template>> {
    let from = builder.tag_text(bound, "from")?;
    if let Some(fixed) = from.as_ref().and_then(Template::fixed)
        && crate::ext::actions::one_address(fixed, builder.options.limits.name_bytes).is_none()
    {
        return Err(bound
            .error(format!("\"{}\" is no mail address", crate::lexer::shorten(fixed)))
            .hint("write :from \"Ada <ada@phys.example>\""));
    }
    Ok(from)
}
