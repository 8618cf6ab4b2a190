//! Dovecot's own extensions: vnd.dovecot.debug (`debug_log`), .report, .pipe, .filter and .execute. Programs are named, never
//! given by path, and only those run that the administrator listed.

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::lexer::shorten;
use crate::outcome::Action;
use crate::program::{Check, Flow, Step};
use crate::run::Run;
use crate::spec::{CommandSpec, Kind, Positional, TestSpec, command, flag, positional, test, valued};
use crate::template::{Template, Variable, cut};
use crate::tree::Argument;
use crate::world::ProgramKind;

/// Arguments that a program is given at most.
const ARGUMENTS_MOST: usize = 32;

const ARGUMENTS: Positional = Positional {
    name: "arguments",
    kind: Kind::Texts,
    optional: true,
};

pub(crate) const COMMANDS: &[CommandSpec] = &[
    command(
        "debug_log",
        "vnd.dovecot.debug",
        &[],
        &[positional("message", Kind::Text)],
        debug_log,
    ),
    command(
        "report",
        "vnd.dovecot.report",
        &[&[flag("headers_only", "", "")]],
        &[
            positional("feedback type", Kind::Text),
            positional("message", Kind::Text),
            positional("address", Kind::Text),
        ],
        report,
    ),
    command(
        "pipe",
        "vnd.dovecot.pipe",
        &[&[flag("copy", "copy", ""), flag("try", "", "")]],
        &[positional("program", Kind::Text), ARGUMENTS],
        pipe,
    ),
    command(
        "filter",
        "vnd.dovecot.filter",
        &[],
        &[positional("program", Kind::Text), ARGUMENTS],
        filter,
    ),
    command(
        "execute",
        "vnd.dovecot.execute",
        &[&[
            flag("pipe", "", "input"),
            valued("input", Kind::Text, "", "input"),
            valued("output", Kind::Text, "variables", ""),
        ]],
        &[positional("program", Kind::Text), ARGUMENTS],
        execute,
    ),
];

pub(crate) const TESTS: &[TestSpec] = &[
    test(
        "filter",
        "vnd.dovecot.filter",
        &[],
        &[positional("program", Kind::Text), ARGUMENTS],
        filter_test,
    ),
    test(
        "execute",
        "vnd.dovecot.execute",
        &[&[
            flag("pipe", "", "input"),
            valued("input", Kind::Text, "", "input"),
            valued("output", Kind::Text, "variables", ""),
        ]],
        &[positional("program", Kind::Text), ARGUMENTS],
        execute_test,
    ),
];

#[derive(Debug)]
struct DebugLog(Template);

impl Step for DebugLog {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        if run.logs.len() < run.limits.log_lines {
            let mut line = self.0.render(run).replace(['\r', '\n'], " ");
            cut(&mut line, run.limits.name_bytes);
            run.logs.push(line);
        }
        Ok(Flow::Next)
    }
}

fn debug_log(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(DebugLog(builder.text(bound.argument(0)?)?)))
}

#[derive(Debug)]
struct Report {
    feedback: Template,
    text: Template,
    address: Template,
    headers_only: bool,
}

impl Step for Report {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let feedback = self.feedback.render(run).to_ascii_lowercase();
        if feedback.is_empty() || !feedback.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(run.error(format!("\"{}\" is no type of feedback", shorten(&feedback))));
        }
        let address = self.address.render(run).into_owned();
        let Some(address) = crate::ext::actions::one_address(&address, run.limits.name_bytes) else {
            return Err(run.error(format!("\"{}\" is no address", shorten(&address))));
        };
        run.notifications += 1;
        if run.notifications > run.limits.notifications {
            return Err(run.limit("notifications", "notifications", run.limits.notifications));
        }
        let text = self.text.render(run).into_owned();
        run.act(Action::Report {
            feedback,
            text,
            address,
            headers_only: self.headers_only,
        })?;
        Ok(Flow::Next)
    }
}

fn report(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Report {
        feedback: builder.text(bound.argument(0)?)?,
        text: builder.text(bound.argument(1)?)?,
        address: builder.text(bound.argument(2)?)?,
        headers_only: bound.has("headers_only"),
    }))
}

/// A program and its arguments.
#[derive(Debug)]
struct Program {
    kind: ProgramKind,
    name: Box<str>,
    arguments: Box<[Template]>,
}

impl Program {
    fn build(builder: &mut Builder<'_>, bound: &Bound<'_>, kind: ProgramKind) -> Result<Program> {
        // The optional argument stands last: with one argument, it is the program.
        let (name, arguments): (&Argument, Option<&Argument>) = match (bound.optional(0), bound.optional(1)) {
            (Some(name), arguments) => (name, arguments),
            (None, Some(name)) => (name, None),
            (None, None) => return Err(bound.error("the name of the program is missing")),
        };
        let position = name.span.position;
        // A script must not put a name together: what it may start is to be seen by reading it.
        let name = builder.fixed(name, "the name of a program")?;
        if !is_name(&name) {
            return Err(Error::new(
                ErrorKind::Argument,
                position,
                format!("\"{}\" cannot be the name of a program", shorten(&name)),
            )
            .hint("write the name under which the administrator listed it, not a path"));
        }
        let arguments = arguments
            .map(|argument| builder.texts(argument))
            .transpose()?
            .unwrap_or_default();
        if arguments.len() > ARGUMENTS_MOST {
            return Err(bound.error(format!("a program is given at most {ARGUMENTS_MOST} arguments")));
        }
        Ok(Program {
            kind,
            name: name.into(),
            arguments,
        })
    }

    fn render(&self, run: &Run<'_>) -> Result<(&str, Vec<String>)> {
        let name = self.name.as_ref();
        if !run.world.program_listed(self.kind, name) {
            return Err(run.error(format!(
                "the program \"{}\" is not among those the administrator listed for {}",
                shorten(name),
                self.kind.name()
            )));
        }
        let arguments = self
            .arguments
            .iter()
            .map(|argument| argument.render(run).into_owned())
            .collect();
        Ok((name, arguments))
    }
}

/// What a program gave, if it did what it should. What went wrong is no error of the script's, only told.
fn ended(
    run: &mut Run<'_>,
    kind: ProgramKind,
    name: &str,
    output: std::result::Result<Option<Vec<u8>>, String>,
) -> Option<Vec<u8>> {
    output.unwrap_or_else(|reason| {
        run.warn(format!("{} \"{}\": {reason}", kind.name(), shorten(name)));
        None
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

#[derive(Debug)]
struct Pipe {
    program: Program,
    copy: bool,
    r#try: bool,
}

impl Step for Pipe {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        let (program, arguments) = self.program.render(run)?;
        for taken in &run.actions {
            match &taken.action {
                Action::Pipe { program: other, .. } if other == program => {
                    return Err(run.error(format!("a message is piped to \"{}\" once", shorten(program))));
                }
                Action::Reject { .. } => return Err(run.error("pipe cannot be done with reject")),
                _ => {}
            }
        }
        run.act(Action::Pipe {
            program: program.to_owned(),
            arguments,
            copy: self.copy,
            r#try: self.r#try,
        })?;
        if !self.copy {
            run.implicit_keep = false;
        }
        Ok(Flow::Next)
    }
}

fn pipe(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    let program = Program::build(builder, bound, ProgramKind::Pipe)?;
    Ok(Box::new(Pipe {
        program,
        copy: bound.has("copy"),
        r#try: bound.has("try"),
    }))
}

/// `filter`: the program's output takes the place of the message.
#[derive(Debug)]
struct Filter(Program);

impl Filter {
    fn filter(&self, run: &mut Run<'_>) -> Result<bool> {
        let (name, arguments) = self.0.render(run)?;
        let before = run.mail.bytes().len();
        let output = run
            .world
            .program_run(ProgramKind::Filter, name, &arguments, run.mail.bytes());
        match ended(run, self.0.kind, name, output) {
            // No output is no message.
            Some(message) if message.is_empty() => Ok(false),
            Some(message) if message.len() > before + run.limits.growth_bytes => Err(run.limit(
                "octets are added to the message",
                "growth_bytes",
                run.limits.growth_bytes,
            )),
            Some(message) => {
                run.mail.replace(message);
                run.decoded.clear();
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

impl Step for Filter {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        self.filter(run)?;
        Ok(Flow::Next)
    }
}

impl Check for Filter {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        self.filter(run)
    }
}

fn filter(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Filter(Program::build(builder, bound, ProgramKind::Filter)?)))
}

fn filter_test(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Filter(Program::build(builder, bound, ProgramKind::Filter)?)))
}

#[derive(Debug)]
struct Execute {
    program: Program,
    message: bool,
    input: Option<Template>,
    output: Option<Variable>,
}

impl Execute {
    fn build(builder: &mut Builder<'_>, bound: &Bound<'_>) -> Result<Execute> {
        let output = bound
            .tag("output")
            .map(|argument| crate::ext::variables::settable(builder, argument))
            .transpose()?;
        Ok(Execute {
            program: Program::build(builder, bound, ProgramKind::Execute)?,
            message: bound.has("pipe"),
            input: builder.tag_text(bound, "input")?,
            output,
        })
    }

    fn execute(&self, run: &mut Run<'_>) -> Result<bool> {
        let (name, arguments) = self.program.render(run)?;
        let input: Vec<u8> = match (&self.input, self.message) {
            (Some(input), _) => input.render(run).into_owned().into_bytes(),
            (None, true) => run.mail.bytes().to_vec(),
            (None, false) => Vec::new(),
        };
        let output = run.world.program_run(ProgramKind::Execute, name, &arguments, &input);
        let output = ended(run, self.program.kind, name, output);
        if let (Some(output), Some(variable)) = (&output, &self.output) {
            run.set_variable(variable, String::from_utf8_lossy(output).into_owned())?;
        }
        Ok(output.is_some())
    }
}

impl Step for Execute {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow> {
        self.execute(run)?;
        Ok(Flow::Next)
    }
}

impl Check for Execute {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        self.execute(run)
    }
}

fn execute(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Step>> {
    Ok(Box::new(Execute::build(builder, bound)?))
}

fn execute_test(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Execute::build(builder, bound)?))
}
