//! reject and ereject (RFC 5429).

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::outcome::Action;
use crate::program::{Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, command, positional};
use crate::template::Template;

pub(crate) const COMMANDS: &[CommandSpec] = &[
    command("reject", "reject", &[], &[positional("reason", Kind::Text)], reject),
    command("ereject", "ereject", &[], &[positional("reason", Kind::Text)], ereject),
];

#[derive(Debug)]
struct Reject {
    reason: Template,
    in_dialogue: bool,
}

impl Step for Reject {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        // RFC 5429 §2.2, §2.3: what is refused is not taken elsewhere.
        let other = run.actions.iter().find_map(|taken| match &taken.action {
            Action::Reject { .. } => Some("reject"),
            Action::Vacation(_) => Some("vacation"),
            Action::Keep { .. } => Some("keep"),
            Action::FileInto { .. } => Some("fileinto"),
            Action::Redirect(_) => Some("redirect"),
            Action::Pipe { .. } => Some("pipe"),
            _ => None,
        });
        if let Some(other) = other {
            return Err(run.error(format!("reject cannot be done with {other}")));
        }
        let reason = self.reason.render(run).into_owned();
        run.act(Action::Reject {
            reason,
            in_dialogue: self.in_dialogue,
        })?;
        run.implicit_keep = false;
        Ok(Flow::Next)
    }
}

fn reject(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Reject {
        reason: builder.text(bound.argument(0)?)?,
        in_dialogue: false,
    }))
}

fn ereject(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Reject {
        reason: builder.text(bound.argument(0)?)?,
        in_dialogue: true,
    }))
}
