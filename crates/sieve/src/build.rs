//! The checker: from a tree to a program, or to a list of errors.

use std::collections::{BTreeMap, HashMap};

use crate::error::{Error, ErrorKind, Position, Result};
use crate::ext;
use crate::extension::{Extensions, nearest};
use crate::glance::Source;
use crate::limits::Limits;
use crate::mail::FieldName;
use crate::printer::{command_text, test_text};
use crate::program::{Compiled, Flow, Node, Site, SiteId, Step, TestKind, TestNode};
use crate::run::Run;
use crate::spec::{Inner, Kind, Spec, Tag};
use crate::template::{Template, Variable};
use crate::tree::{Argument, Command, Script, Test, Text, Value};

/// Different fields of a script that are summed up for its tests; people's scripts have some ten.
const SOURCES: usize = 128;

/// What scripts are checked against.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// How much a script may ask for.
    pub limits: Limits,
    /// What it may require.
    pub extensions: Extensions,
}

impl Compiled {
    /// Reads and checks a script and makes it ready to run.
    ///
    /// Errors: the one place where it has not Sieve's form, or all places where what is said makes no sense, at most
    /// `limits.errors`, in the order of the script; never none.
    pub fn compile(source: &[u8], options: &Options) -> std::result::Result<Compiled, Vec<Error>> {
        let script = Script::parse(source, &options.limits).map_err(|error| vec![error])?;
        script.compile(options)
    }
}

impl Script {
    /// Checks a script and makes it ready to run, as [`Compiled::compile`] does.
    pub fn compile(&self, options: &Options) -> std::result::Result<Compiled, Vec<Error>> {
        let mut builder = Builder {
            options,
            required: BTreeMap::new(),
            variables: Vec::new(),
            by_name: HashMap::new(),
            field_names: HashMap::new(),
            sources: Vec::new(),
            sites: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            loops: Vec::new(),
            other_commands: false,
            lenient: false,
        };
        let body = builder.commands(&self.commands, true);
        builder.finish(body)
    }
}

pub(crate) struct Builder<'o> {
    pub options: &'o Options,
    /// Extensions that the script may use from here on, where they were required, and whether they were used.
    required: BTreeMap<String, (Position, bool)>,
    variables: Vec<Box<str>>,
    by_name: HashMap<String, Variable>,
    /// Names of fields, each once.
    field_names: HashMap<String, FieldName>,
    sources: Vec<Source>,
    sites: Vec<Site>,
    errors: Vec<Error>,
    warnings: Vec<Error>,
    /// Names of the loops we are in (RFC 5703 §3).
    pub loops: Vec<Option<String>>,
    other_commands: bool,
    /// `ihave` was required: what is not known is an error only when it is reached (RFC 5463 §4).
    lenient: bool,
}

/// A command or test whose arguments fit its [`Spec`].
pub(crate) struct Bound<'t> {
    pub position: Position,
    tags: Vec<(&'static Tag, Option<&'t Argument>, Position)>,
    positional: Vec<Option<&'t Argument>>,
    pub tests: Vec<TestNode>,
    pub body: Box<[Node]>,
}

impl<'t> Bound<'t> {
    pub fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|(spec, ..)| spec.name == tag)
    }

    /// The value behind a tag.
    pub fn tag(&self, tag: &str) -> Option<&'t Argument> {
        self.tags
            .iter()
            .find(|(spec, ..)| spec.name == tag)
            .and_then(|(_, value, _)| *value)
    }

    /// Which tag of a group is there.
    pub fn of_group(&self, group: &str) -> Option<&'static str> {
        self.tags
            .iter()
            .find(|(spec, ..)| spec.group == group)
            .map(|(spec, ..)| spec.name)
    }

    pub fn number_of(&self, tag: &str) -> Option<u64> {
        match &self.tag(tag)?.value {
            Value::Number(number) => Some(number.value()),
            _ => None,
        }
    }

    /// A positional argument that may be left out.
    pub fn optional(&self, at: usize) -> Option<&'t Argument> {
        self.positional.get(at).copied().flatten()
    }

    /// A positional argument.
    pub fn argument(&self, at: usize) -> Result<&'t Argument> {
        self.optional(at).ok_or_else(|| self.error("an argument is missing"))
    }

    pub fn number(&self, at: usize) -> Result<u64> {
        match &self.argument(at)?.value {
            Value::Number(number) => Ok(number.value()),
            _ => Err(self.error("expected a number")),
        }
    }

    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Argument, self.position, message)
    }
}

impl Builder<'_> {
    /// The name of a field, the same wherever the script has it.
    pub fn field_name(&mut self, name: &str) -> FieldName {
        let known = self.field_names.entry(name.to_owned());
        known.or_insert_with(|| FieldName::new(name)).clone()
    }

    /// The number of something that tests look at. `None`: there are too many.
    pub fn source(&mut self, source: Source) -> Option<u16> {
        if let Some(known) = self.sources.iter().position(|known| *known == source) {
            return u16::try_from(known).ok();
        }
        if self.sources.len() >= SOURCES {
            return None;
        }
        self.sources.push(source);
        u16::try_from(self.sources.len() - 1).ok()
    }

    fn finish(self, body: Box<[Node]>) -> std::result::Result<Compiled, Vec<Error>> {
        let Builder {
            mut errors,
            mut warnings,
            required,
            variables,
            sites,
            sources,
            options,
            ..
        } = self;
        if !errors.is_empty() {
            errors.sort_by_key(|error| error.position);
            errors.truncate(options.limits.errors.max(1));
            return Err(errors);
        }
        for (name, (position, used)) in &required {
            if !used && !UNSEEN.contains(&name.as_str()) && !name.starts_with("comparator-") {
                warnings.push(Error::new(
                    ErrorKind::Extension,
                    *position,
                    format!("the extension \"{name}\" is required and not used"),
                ));
            }
        }
        warnings.sort_by_key(|warning| warning.position);
        warnings.truncate(options.limits.errors.max(1));
        Ok(Compiled {
            body,
            sources: sources.into(),
            variables: variables.into(),
            sites: sites.into(),
            required: required.into_keys().collect(),
            warnings,
        })
    }

    /// Whether an extension may be used here. Counts as using it.
    pub fn has(&self, extension: &str) -> bool {
        self.required.contains_key(extension)
    }

    pub fn used(&mut self, extension: &str) {
        if let Some((_, used)) = self.required.get_mut(extension) {
            *used = true;
        }
    }

    /// An error if an extension was not required.
    pub fn need(&mut self, extension: &str, position: Position, what: &str) -> Result<()> {
        // Some bring others with them.
        let brings = match extension {
            "spamtest" => &["spamtest", "spamtestplus"][..],
            "vacation" => &["vacation", "vacation-seconds"],
            "mailbox" => &["mailbox"],
            "vnd.dovecot.environment" => &["vnd.dovecot.environment"],
            "environment" => &["environment", "vnd.dovecot.environment"],
            other => &[other][..],
        };
        if let Some(found) = brings.iter().find(|name| self.has(name)) {
            self.used(found);
            return Ok(());
        }
        let error = Error::new(
            ErrorKind::Extension,
            position,
            format!("{what} belongs to the extension \"{extension}\", which is not required"),
        );
        Err(if self.options.extensions.contains(extension) {
            error.hint(format!("write require \"{extension}\"; at the beginning of the script"))
        } else {
            error.hint("it is switched off on this server")
        })
    }

    pub fn fail(&mut self, error: Error) {
        if self.errors.len() <= self.options.limits.errors {
            self.errors.push(error);
        }
    }

    pub fn warn(&mut self, error: Error) {
        if self.warnings.len() <= self.options.limits.errors {
            self.warnings.push(error);
        }
    }

    pub fn site(&mut self, position: Position, text: String) -> SiteId {
        self.sites.push(Site {
            position,
            text: text.into(),
        });
        SiteId::try_from(self.sites.len() - 1).unwrap_or(SiteId::MAX)
    }

    /// The script's variable of that name, given in small letters.
    pub fn variable(&mut self, name: &str, position: Position) -> Result<Variable> {
        self.used("variables");
        if let Some(variable) = self.by_name.get(name) {
            return Ok(variable.clone());
        }
        if self.variables.len() >= self.options.limits.variables {
            return Err(Error::new(
                ErrorKind::Limit,
                position,
                format!(
                    "the script has more than {} variables (limit variables)",
                    self.options.limits.variables
                ),
            ));
        }
        let variable = Variable::Own(self.variables.len());
        self.variables.push(name.into());
        self.by_name.insert(name.to_owned(), variable.clone());
        Ok(variable)
    }

    /// From here on the name means the variable that all scripts share (RFC 6609 §3.4).
    pub fn global(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.by_name.insert(name.clone(), Variable::Global(name.into()));
    }

    /// What `require` and a successful `ihave` do. Gives false if the extension is not to be had.
    pub fn require(&mut self, name: &str, position: Position) -> bool {
        let known = self.options.extensions.contains(name)
            || (matches!(name, "comparator-i;octet" | "comparator-i;ascii-casemap"));
        if known {
            self.required.entry(name.to_owned()).or_insert((position, false));
            self.lenient |= name == "ihave";
        }
        known
    }

    pub fn commands(&mut self, commands: &[Command], top: bool) -> Box<[Node]> {
        let mut nodes = Vec::with_capacity(commands.len());
        let mut rest = commands;
        let mut ended: Option<&str> = None;
        while let Some((command, behind)) = rest.split_first() {
            rest = behind;
            if self.errors.len() > self.options.limits.errors {
                break;
            }
            if let Some(by) = ended.take() {
                self.warn(Error::new(
                    ErrorKind::Argument,
                    command.span.position,
                    format!("this is never reached: {by} stands before it"),
                ));
            }
            let name = command.name.to_ascii_lowercase();
            match name.as_str() {
                "require" => {
                    if !top || self.other_commands {
                        self.fail(
                            Error::new(
                                ErrorKind::Argument,
                                command.span.position,
                                "require stands behind other commands",
                            )
                            .hint("move it to the beginning of the script"),
                        );
                    }
                    if let Err(error) = self.require_command(command) {
                        self.fail(error);
                    }
                    continue;
                }
                "elsif" | "else" => {
                    self.fail(
                        Error::new(
                            ErrorKind::Argument,
                            command.span.position,
                            format!("{name} without an if before it"),
                        )
                        .hint("it stands directly behind the block of an if or elsif"),
                    );
                    continue;
                }
                "if" => {
                    self.other_commands = true;
                    let more = rest
                        .iter()
                        .take_while(|next| next.is("elsif") || next.is("else"))
                        .count();
                    let (branches, behind) = rest.split_at(more);
                    rest = behind;
                    nodes.push(ext::control::build_if(self, command, branches));
                    continue;
                }
                _ => {}
            }
            self.other_commands = true;
            if name == "stop" || name == "return" {
                ended = Some(if name == "stop" { "stop" } else { "return" });
            }
            let site = self.site(command.span.position, command_text(command));
            match self.command(command, &name) {
                Ok(step) => nodes.push(Node { site, step }),
                Err(error) => {
                    if let Some(step) = self.later(error) {
                        nodes.push(Node { site, step });
                    }
                }
            }
        }
        nodes.into()
    }

    /// Keeps an error for the time when the place is reached, if `ihave` allows that.
    fn later(&mut self, error: Error) -> Option<Box<dyn Step>> {
        if self.lenient && matches!(error.kind, ErrorKind::Unknown | ErrorKind::Extension) {
            return Some(Box::new(Refused(error)));
        }
        self.fail(error);
        None
    }

    fn require_command(&mut self, command: &Command) -> Result<()> {
        let position = command.span.position;
        let [Argument { value, .. }] = command.arguments.as_slice() else {
            return Err(Error::new(ErrorKind::Argument, position, "require has one argument")
                .hint("write require [\"fileinto\", \"vacation\"];"));
        };
        let Some(texts) = value.texts() else {
            return Err(Error::new(
                ErrorKind::Argument,
                position,
                "require expects a string or a list of strings",
            ));
        };
        if command.block.is_some() || !command.tests.all().is_empty() {
            return Err(Error::new(
                ErrorKind::Argument,
                position,
                "require has neither tests nor a block",
            ));
        }
        for text in texts {
            if !self.require(&text.value, text.span.position) {
                let mut error = Error::new(
                    ErrorKind::Extension,
                    text.span.position,
                    format!(
                        "the extension \"{}\" is not known here",
                        crate::lexer::shorten(&text.value)
                    ),
                );
                if crate::extension::ALL.contains(&text.value.as_str()) {
                    error.message = format!("the extension \"{}\" is switched off on this server", text.value);
                } else if let Some(near) = self.options.extensions.nearest(&text.value) {
                    error = error.hint(format!("did you mean \"{near}\"?"));
                }
                self.fail(error);
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &Command, name: &str) -> Result<Box<dyn Step>> {
        let position = command.span.position;
        let Some(spec) = ext::command(name) else {
            let error = Error::new(
                ErrorKind::Unknown,
                position,
                format!("there is no command \"{}\"", command.name),
            );
            return Err(if ext::test(name).is_some() {
                error.hint(format!("{name} is a test: write if {name} … {{ … }}"))
            } else {
                match nearest(name, ext::command_names()) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error,
                }
            });
        };
        let mut bound = self.bind(spec, position, &command.arguments)?;
        if let Some(test) = command.tests.all().first() {
            // `keep` on the next line reads as a test of a command that was not ended.
            let next = test.name.to_ascii_lowercase();
            if ext::command(&next).is_some() || matches!(next.as_str(), "if" | "elsif" | "else" | "require") {
                return Err(Error::new(
                    ErrorKind::Syntax,
                    test.span.position,
                    format!("{} stands behind a command that is not ended", test.name),
                )
                .hint(format!("is the ; missing after the command in line {}?", position.line)));
            }
            return Err(bound
                .error(format!("{name} has no test"))
                .hint("tests stand behind if and elsif"));
        }
        match (&command.block, spec.block) {
            (Some(block), true) => {
                ext::mime_parts::enter(self, &bound)?;
                bound.body = self.commands(&block.commands, false);
                self.loops.pop();
            }
            (None, true) => {
                return Err(bound
                    .error(format!("{name} needs a block"))
                    .hint(format!("write {name} {{ … }}")));
            }
            (Some(_), false) => return Err(bound.error(format!("{name} has no block")).hint("end it with ;")),
            (None, false) => {}
        }
        (spec.build)(self, &mut bound)
    }

    /// A test. One with an error is entered into the list and stands as false.
    pub fn test(&mut self, test: &Test) -> TestNode {
        let site = self.site(test.span.position, test_text(test));
        let kind = match self.test_kind(test) {
            Ok(kind) => kind,
            Err(error) => {
                if self.lenient && matches!(error.kind, ErrorKind::Unknown | ErrorKind::Extension) {
                    TestKind::Leaf(None, Box::new(Refused(error)))
                } else {
                    self.fail(error);
                    TestKind::False
                }
            }
        };
        TestNode { site, kind }
    }

    fn test_kind(&mut self, test: &Test) -> Result<TestKind> {
        let name = test.name.to_ascii_lowercase();
        let position = test.span.position;
        let Some(spec) = ext::test(&name) else {
            let error = Error::new(
                ErrorKind::Unknown,
                position,
                format!("there is no test \"{}\"", test.name),
            );
            return Err(if ext::command(&name).is_some() {
                error.hint(format!("{name} is a command: it stands in the block behind a test"))
            } else {
                match nearest(&name, ext::test_names()) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error,
                }
            });
        };
        let mut bound = self.bind(spec, position, &test.arguments)?;
        let inner = &test.tests;
        match spec.inner {
            Inner::None if !inner.all().is_empty() => return Err(bound.error(format!("{name} has no tests within it"))),
            Inner::One if !matches!(inner, crate::tree::Tests::One(_)) => {
                return Err(bound.error(format!("{name} needs one test behind it")));
            }
            Inner::List if !matches!(inner, crate::tree::Tests::List(_)) => {
                return Err(bound
                    .error(format!("{name} needs a list of tests"))
                    .hint(format!("write {name} (test, test)")));
            }
            _ => {}
        }
        bound.tests = inner.all().iter().map(|test| self.test(test)).collect();
        match name.as_str() {
            "true" => Ok(TestKind::True),
            "false" => Ok(TestKind::False),
            "allof" => Ok(TestKind::All(bound.tests.into())),
            "anyof" => Ok(TestKind::Any(bound.tests.into())),
            "not" => match bound.tests.pop() {
                Some(test) => Ok(TestKind::Not(Box::new(test))),
                None => Err(bound.error("not needs a test")),
            },
            _ => {
                let check = (spec.build)(self, &mut bound)?;
                Ok(TestKind::Leaf(check.glance(self), check))
            }
        }
    }

    /// Compares arguments with what the command takes.
    fn bind<'t, B>(
        &mut self,
        spec: &'static Spec<B>,
        position: Position,
        arguments: &'t [Argument],
    ) -> Result<Bound<'t>> {
        if !spec.needs.is_empty() {
            self.need(spec.needs, position, spec.name)?;
        }
        let mut bound = Bound {
            position,
            tags: Vec::new(),
            positional: Vec::new(),
            tests: Vec::new(),
            body: Box::default(),
        };
        let mut rest = arguments;
        let mut plain: Vec<&'t Argument> = Vec::new();
        while let Some((argument, behind)) = rest.split_first() {
            rest = behind;
            let place = argument.span.position;
            let Value::Tag(written) = &argument.value else {
                plain.push(argument);
                continue;
            };
            let wrong = |message: String| Error::new(ErrorKind::Argument, place, message);
            let tag = spec
                .tags
                .iter()
                .flat_map(|set| set.iter())
                .find(|tag| tag.name.eq_ignore_ascii_case(written));
            let Some(tag) = tag else {
                let mut error = Error::new(
                    ErrorKind::Unknown,
                    place,
                    format!("{} has no argument :{written}", spec.name),
                );
                let names = spec.tags.iter().flat_map(|set| set.iter()).map(|tag| tag.name);
                if let Some(near) = nearest(written, names.clone()) {
                    error = error.hint(format!("did you mean :{near}?"));
                } else if names.clone().next().is_some() {
                    let list: Vec<String> = names.map(|name| format!(":{name}")).collect();
                    error = error.hint(format!("it takes {}", list.join(", ")));
                }
                return Err(error);
            };
            if !tag.needs.is_empty() {
                self.need(tag.needs, place, &format!(":{}", tag.name))?;
            }
            if !plain.is_empty() {
                return Err(wrong(format!(":{} stands behind other arguments", tag.name))
                    .hint(format!("move it directly behind {}", spec.name)));
            }
            if let Some((other, ..)) = bound
                .tags
                .iter()
                .find(|(other, ..)| other.name == tag.name || (!tag.group.is_empty() && other.group == tag.group))
            {
                return Err(wrong(if other.name == tag.name {
                    format!(":{} is there twice", tag.name)
                } else {
                    format!(
                        ":{} and :{} cannot be used together, both are a {}",
                        other.name, tag.name, tag.group
                    )
                }));
            }
            let value = match tag.value {
                None => None,
                Some(kind) => {
                    let Some((value, behind)) = rest.split_first() else {
                        return Err(wrong(format!(":{} needs {} behind it", tag.name, kind.shown())));
                    };
                    if !fits(&value.value, kind) {
                        return Err(Error::new(
                            ErrorKind::Argument,
                            value.span.position,
                            format!("expected {} behind :{}", kind.shown(), tag.name),
                        ));
                    }
                    rest = behind;
                    Some(value)
                }
            };
            bound.tags.push((tag, value, place));
        }
        self.place(spec, &mut bound, &plain)?;
        Ok(bound)
    }

    fn place<'t, B>(&self, spec: &'static Spec<B>, bound: &mut Bound<'t>, plain: &[&'t Argument]) -> Result<()> {
        let wanted = || {
            let list: Vec<String> = spec
                .positional
                .iter()
                .filter(|p| !p.optional)
                .map(|p| format!("{} ({})", p.name, p.kind.shown()))
                .collect();
            if list.is_empty() {
                "it takes none".to_owned()
            } else {
                format!("it takes {}", list.join(", then "))
            }
        };
        let spare = spec.positional.len().saturating_sub(plain.len());
        let optional = spec.positional.iter().filter(|p| p.optional).count();
        if spare > optional {
            let message = match spec.positional.get(plain.len()) {
                Some(missing) => format!("{} lacks an argument: {}", spec.name, missing.name),
                None => format!("{} lacks an argument", spec.name),
            };
            return Err(bound.error(message).hint(wanted()));
        }
        let mut left = spare;
        let mut given = plain.iter();
        for positional in spec.positional {
            if positional.optional && left > 0 {
                left -= 1;
                bound.positional.push(None);
                continue;
            }
            let Some(argument) = given.next() else { break };
            if !fits(&argument.value, positional.kind) {
                return Err(Error::new(
                    ErrorKind::Argument,
                    argument.span.position,
                    format!(
                        "expected {} for the {} of {}",
                        positional.kind.shown(),
                        positional.name,
                        spec.name
                    ),
                ));
            }
            bound.positional.push(Some(argument));
        }
        match given.next() {
            None => Ok(()),
            Some(extra) => Err(Error::new(
                ErrorKind::Argument,
                extra.span.position,
                format!("{} has one argument too many", spec.name),
            )
            .hint(wanted())),
        }
    }

    /// The string of an argument, as it is meant.
    pub fn text(&mut self, argument: &Argument) -> Result<Template> {
        match argument.value.text() {
            Some(text) => self.template(text, argument.span.position),
            None => Err(Error::new(
                ErrorKind::Argument,
                argument.span.position,
                "expected one string",
            )),
        }
    }

    pub fn tag_text(&mut self, bound: &Bound<'_>, tag: &str) -> Result<Option<Template>> {
        bound.tag(tag).map(|argument| self.text(argument)).transpose()
    }

    pub fn texts(&mut self, argument: &Argument) -> Result<Box<[Template]>> {
        let texts: &[Text] = argument.value.texts().unwrap_or_default();
        texts
            .iter()
            .map(|text| self.template(&text.value, text.span.position))
            .collect()
    }

    pub fn tag_texts(&mut self, bound: &Bound<'_>, tag: &str) -> Result<Option<Box<[Template]>>> {
        bound.tag(tag).map(|argument| self.texts(argument)).transpose()
    }

    /// The string of an argument, which cannot hold variables.
    pub fn fixed(&mut self, argument: &Argument, what: &str) -> Result<String> {
        let text = argument.value.text().unwrap_or_default().to_owned();
        self.constant(&text, argument.span.position, what)
    }
}

/// What is used without a word of its own.
const UNSEEN: &[&str] = &[
    "encoded-character",
    "ihave",
    "imapsieve",
    "comparator-i;octet",
    "comparator-i;ascii-casemap",
    "envelope-dsn",
    "envelope-deliverby",
    "imap4flags",
    "variables",
    "vnd.dovecot.environment",
    "vacation-seconds",
];

fn fits(value: &Value, kind: Kind) -> bool {
    matches!(
        (value, kind),
        (Value::Number(_), Kind::Number) | (Value::Text(_), Kind::Text | Kind::Texts) | (Value::List(_), Kind::Texts)
    )
}

/// An error that waits until it is reached.
#[derive(Debug)]
struct Refused(Error);

impl Step for Refused {
    fn run(&self, _: &mut Run<'_>) -> Result<Flow> {
        Err(self.0.clone())
    }
}

impl crate::program::Check for Refused {
    fn check(&self, _: &mut Run<'_>) -> Result<bool> {
        Err(self.0.clone())
    }
}

/// Tables are the same for all.
pub(crate) fn find<B>(tables: &'static [&'static [Spec<B>]], name: &str) -> Option<&'static Spec<B>> {
    tables
        .iter()
        .flat_map(|table| table.iter())
        .find(|spec| spec.name == name)
}
