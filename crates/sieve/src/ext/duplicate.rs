//! duplicate (RFC 7352): whether a message was seen before.

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::ext::fields::Names;
use crate::mail::{Aspect, FieldName};
use crate::outcome::DuplicateRecord;
use crate::program::Check;
use crate::run::Run;
use crate::spec::{Kind, TestSpec, flag, test, valued};
use crate::template::Template;
use crate::world::DuplicateId;

pub(crate) const TESTS: &[TestSpec] = &[test(
    "duplicate",
    "duplicate",
    &[&[
        valued("handle", Kind::Text, "", ""),
        valued("header", Kind::Text, "", "id"),
        valued("uniqueid", Kind::Text, "", "id"),
        valued("seconds", Kind::Number, "", ""),
        flag("last", "", ""),
    ]],
    &[],
    duplicate,
)];

#[derive(Debug)]
struct Duplicate {
    handle: Option<Template>,
    header: Option<Names>,
    unique: Option<Template>,
    seconds: Option<u64>,
    last: bool,
}

impl Check for Duplicate {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let handle = self
            .handle
            .as_ref()
            .map_or_else(String::new, |handle| handle.render(run).into_owned());
        let mut id = match &self.unique {
            Some(unique) => unique.render(run).into_owned(),
            None => {
                let mut found = None;
                let message_id = Names::Fixed(Box::new([FieldName::new("message-id")]));
                self.header.as_ref().unwrap_or(&message_id).any(run, |run, name| {
                    found = run
                        .mail
                        .values(name, Aspect::Text)
                        .first()
                        .map(|value| value.text.clone());
                    Ok(found.is_some())
                })?;
                // Without the field there is nothing to compare: never a duplicate (RFC 7352 §3.1).
                let Some(id) = found.filter(|id| !id.is_empty()) else {
                    return Ok(false);
                };
                id
            }
        };
        crate::template::cut(&mut id, run.limits.name_bytes);
        run.looked_at(1);
        let most = run.limits.duplicate_max_seconds;
        let seconds = self.seconds.unwrap_or(most).min(most);
        let id = DuplicateId { handle, id };
        // A second test for the same id in one run gives the same answer.
        let seen = run.world.duplicate_seen(&id);
        if seen {
            run.matched(&id.id);
        }
        // `:last` counts the time from the last sight, otherwise it counts from the first (§3.3).
        if (!seen || self.last) && !run.duplicates.iter().any(|record| record.id == id) {
            if run.duplicates.len() >= run.limits.actions {
                return Err(run.limit("ids are tested", "actions", run.limits.actions));
            }
            run.duplicates.push(DuplicateRecord { id, seconds });
        }
        Ok(seen)
    }
}

fn duplicate(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Duplicate {
        handle: builder.tag_text(bound, "handle")?,
        header: bound
            .tag("header")
            .map(|argument| builder.names(argument))
            .transpose()?,
        unique: builder.tag_text(bound, "uniqueid")?,
        seconds: bound.number_of("seconds"),
        last: bound.has("last"),
    }))
}
