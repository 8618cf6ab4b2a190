//! mailbox, mboxmetadata and servermetadata (RFC 5490), mailboxid (RFC 9042), special-use (RFC 8579): what mailboxes there are.

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::matching::Matcher;
use crate::program::Check;
use crate::run::Run;
use crate::spec::{Kind, MATCH, Positional, TestSpec, positional, test};
use crate::template::Template;

pub(crate) const TESTS: &[TestSpec] = &[
    test(
        "mailboxexists",
        "mailbox",
        &[],
        &[positional("mailbox names", Kind::Texts)],
        mailboxexists,
    ),
    test(
        "mailboxidexists",
        "mailboxid",
        &[],
        &[positional("mailbox ids", Kind::Texts)],
        mailboxidexists,
    ),
    test(
        "specialuse_exists",
        "special-use",
        &[],
        &[
            Positional {
                name: "mailbox",
                kind: Kind::Text,
                optional: true,
            },
            positional("special uses", Kind::Texts),
        ],
        specialuse_exists,
    ),
    test(
        "metadata",
        "mboxmetadata",
        &[MATCH],
        &[
            positional("mailbox", Kind::Text),
            positional("annotation", Kind::Text),
            positional("key list", Kind::Texts),
        ],
        metadata,
    ),
    test(
        "metadataexists",
        "mboxmetadata",
        &[],
        &[
            positional("mailbox", Kind::Text),
            positional("annotations", Kind::Texts),
        ],
        metadataexists,
    ),
    test(
        "servermetadata",
        "servermetadata",
        &[MATCH],
        &[
            positional("annotation", Kind::Text),
            positional("key list", Kind::Texts),
        ],
        servermetadata,
    ),
    test(
        "servermetadataexists",
        "servermetadata",
        &[],
        &[positional("annotations", Kind::Texts)],
        servermetadataexists,
    ),
];

/// Whether the answer is yes for all names.
#[derive(Debug)]
struct All {
    names: Box<[Template]>,
    /// The mailbox they are asked of.
    mailbox: Option<Template>,
    asks: fn(&Run<'_>, Option<&str>, &str) -> bool,
}

impl Check for All {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let mailbox = self.mailbox.as_ref().map(|name| name.render(run).into_owned());
        let all = self
            .names
            .iter()
            .all(|name| (self.asks)(run, mailbox.as_deref(), &name.render(run)));
        run.looked_at(self.names.len());
        Ok(all)
    }
}

fn mailboxexists(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let names = builder.texts(bound.argument(0)?)?;
    Ok(Box::new(All {
        names,
        mailbox: None,
        asks: |run, _, name| run.world.mailbox_exists(name),
    }))
}

fn mailboxidexists(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let names = builder.texts(bound.argument(0)?)?;
    Ok(Box::new(All {
        names,
        mailbox: None,
        asks: |run, _, id| run.world.mailbox_id_exists(id),
    }))
}

fn specialuse_exists(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let names = builder.texts(bound.argument(1)?)?;
    for name in names.iter().filter_map(Template::fixed) {
        if !crate::ext::actions::is_special_use(name) {
            return Err(bound
                .error(format!("\"{}\" is no special use", crate::lexer::shorten(name)))
                .hint("write it like \"\\\\Junk\""));
        }
    }
    let mailbox = bound.optional(0).map(|argument| builder.text(argument)).transpose()?;
    Ok(Box::new(All {
        names,
        mailbox,
        asks: |run, mailbox, name| run.world.special_use_exists(mailbox, name),
    }))
}

fn metadataexists(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let mailbox = Some(builder.text(bound.argument(0)?)?);
    let names = builder.texts(bound.argument(1)?)?;
    Ok(Box::new(All {
        names,
        mailbox,
        asks: |run, mailbox, name| mailbox.is_some_and(|mailbox| run.world.mailbox_metadata(mailbox, name).is_some()),
    }))
}

fn servermetadataexists(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let names = builder.texts(bound.argument(0)?)?;
    Ok(Box::new(All {
        names,
        mailbox: None,
        asks: |run, _, name| run.world.server_metadata(name).is_some(),
    }))
}

#[derive(Debug)]
struct Metadata {
    mailbox: Option<Template>,
    annotation: Template,
    matcher: Matcher,
}

impl Check for Metadata {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let annotation = self.annotation.render(run).into_owned();
        let value = match &self.mailbox {
            Some(mailbox) => run.world.mailbox_metadata(&mailbox.render(run), &annotation),
            None => run.world.server_metadata(&annotation),
        };
        match value {
            _ if self.matcher.is_count() => self.matcher.count(run, usize::from(value.is_some())),
            Some(value) => self.matcher.one(run, &value),
            None => Ok(false),
        }
    }
}

fn metadata(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Metadata {
        mailbox: Some(builder.text(bound.argument(0)?)?),
        annotation: builder.text(bound.argument(1)?)?,
        matcher: builder.matcher(bound, bound.argument(2)?)?,
    }))
}

fn servermetadata(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Metadata {
        mailbox: None,
        annotation: builder.text(bound.argument(0)?)?,
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}
