//! include (RFC 6609): scripts in scripts, and variables that they share.

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::program::{Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, command, flag, positional};
use crate::template::is_identifier;
use crate::world::{Included, Location};

pub(crate) const COMMANDS: &[CommandSpec] = &[
    command(
        "include",
        "include",
        &[&[
            flag("personal", "", "location"),
            flag("global", "", "location"),
            flag("once", "", ""),
            flag("optional", "", ""),
        ]],
        &[positional("name", Kind::Text)],
        include,
    ),
    command("return", "include", &[], &[], leave),
    command(
        "global",
        "include",
        &[],
        &[positional("variables", Kind::Texts)],
        global,
    ),
];

#[derive(Debug)]
struct Include {
    location: Location,
    name: String,
    once: bool,
    optional: bool,
}

impl Step for Include {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let id = (self.location, self.name.clone());
        if run.include_stack.contains(&id) {
            return Err(run.error(format!("the script \"{}\" includes itself", self.name)));
        }
        if self.once && run.included_once.contains(&id) {
            return Ok(Flow::Next);
        }
        if run.include_stack.len() >= run.limits.include_depth {
            return Err(run.limit(
                "scripts are included within each other",
                "include_depth",
                run.limits.include_depth,
            ));
        }
        run.includes += 1;
        if run.includes > run.limits.includes {
            return Err(run.limit("scripts are included", "includes", run.limits.includes));
        }
        let script = match run.world.include(self.location, &self.name) {
            Included::Script(script) => script,
            Included::Missing if self.optional => return Ok(Flow::Next),
            Included::Missing => {
                let whose = if self.location == Location::Personal {
                    "personal"
                } else {
                    "global"
                };
                return Err(run.error(format!("there is no {whose} script \"{}\" to include", self.name)));
            }
            Included::Broken(message) => {
                return Err(run.error(format!("the script \"{}\" cannot be included: {message}", self.name)));
            }
        };
        if !run.included_once.contains(&id) {
            run.included_once.push(id.clone());
        }
        run.include_stack.push(id);
        let flow = run.included(&script, &self.name);
        run.include_stack.pop();
        Ok(match flow? {
            Flow::Stop => Flow::Stop,
            Flow::Next | Flow::Return | Flow::Break(_) => Flow::Next,
        })
    }
}

fn include(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let argument = bound.argument(0)?;
    let name = builder.fixed(argument, "the name of an included script")?;
    // RFC 6609 §3.2, RFC 5804 §1.6: no control characters; a name is no path.
    if name.is_empty()
        || name.len() > builder.options.limits.name_bytes
        || name.contains('/')
        || name.chars().any(char::is_control)
    {
        return Err(Error::new(
            ErrorKind::Argument,
            argument.span.position,
            format!("\"{}\" cannot be the name of a script", crate::lexer::shorten(&name)),
        ));
    }
    let location = if bound.has("global") {
        Location::Global
    } else {
        Location::Personal
    };
    Ok(Box::new(Include {
        location,
        name,
        once: bound.has("once"),
        optional: bound.has("optional"),
    }))
}

#[derive(Debug)]
struct Leave;

impl Step for Leave {
    fn run(&self, _: &mut Run<'_>) -> Result<Flow> {
        Ok(Flow::Return)
    }
}

fn leave(_: &mut Builder<'_>, _: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Leave))
}

/// Done when the script is checked: nothing happens when it runs.
#[derive(Debug)]
struct Global;

impl Step for Global {
    fn run(&self, _: &mut Run<'_>) -> Result<Flow> {
        Ok(Flow::Next)
    }
}

fn global(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    builder.need("variables", bound.position, "global")?;
    let argument = bound.argument(0)?;
    for text in argument.value.texts().unwrap_or_default() {
        let name = builder.constant(&text.value, text.span.position, "the name of a variable")?;
        if !is_identifier(&name) {
            return Err(Error::new(
                ErrorKind::Argument,
                text.span.position,
                format!("\"{}\" cannot be the name of a variable", crate::lexer::shorten(&name)),
            ));
        }
        builder.global(&name);
    }
    Ok(Box::new(Global))
}
