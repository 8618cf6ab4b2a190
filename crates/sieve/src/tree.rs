//! The syntax tree (RFC 5228 §8.2): what was written, comments and all.
//!
//! A tree is plain data that may be changed at will: [`Script::to_text`] prints what was not changed as it stood, byte for byte,
//! and the rest in the usual form. Comments and blank lines belong to what follows them (`leading`); a comment behind a command on
//! the same line belongs to that command (`trailing`).

use std::sync::Arc;

use crate::error::Position;

/// Where something stood in the text it was read from. What was made, not read, has the default. Two things in different
/// places are equal if they are otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Octet where it begins.
    pub start: u32,
    /// Octet behind its last.
    pub end: u32,
    /// Line and column of its beginning.
    pub position: Position,
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}

impl Eq for Span {}

/// A script.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Its commands.
    pub commands: Vec<Command>,
    /// White space and comments behind the last command.
    pub tail: String,
    pub(crate) source: Arc<str>,
    pub(crate) original: Arc<[Command]>,
}

/// Equal in what is said and in its comments, wherever it stands.
impl PartialEq for Script {
    fn eq(&self, other: &Script) -> bool {
        self.commands == other.commands && self.tail == other.tail
    }
}

/// A command: a name, arguments, tests, and `;` or a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// White space and comments before it, as they stand. Left empty in a new command, it begins on a line of its own.
    pub leading: String,
    /// As written; case does not matter.
    pub name: String,
    /// Tags, numbers, strings and lists.
    pub arguments: Vec<Argument>,
    /// `if` has one; no command has a list.
    pub tests: Tests,
    /// Comments before `;` or `{`.
    pub tail: String,
    /// The block, if there is one instead of `;`.
    pub block: Option<Block>,
    /// A comment behind it on the same line, with the white space before it, without the line end.
    pub trailing: String,
    /// From the name to `;` or `}`.
    pub span: Span,
    /// From the name to before `;` or `{`.
    pub head: Span,
}

/// Commands in braces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// The commands.
    pub commands: Vec<Command>,
    /// White space and comments before the closing brace.
    pub tail: String,
}

/// What a command or test has in tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tests {
    /// None.
    #[default]
    None,
    /// One, as behind `if` and `not`.
    One(Box<Test>),
    /// A list in parentheses, as behind `anyof` and `allof`.
    List(Vec<Test>),
}

impl Tests {
    /// All of them in their order.
    pub fn all(&self) -> &[Test] {
        match self {
            Tests::None => &[],
            Tests::One(test) => std::slice::from_ref(test),
            Tests::List(tests) => tests,
        }
    }
}

/// A test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Test {
    /// Comments before it, with the white space around them; empty if there are none.
    pub leading: String,
    /// As written; case does not matter.
    pub name: String,
    /// Tags, numbers, strings and lists.
    pub arguments: Vec<Argument>,
    /// Tests within it.
    pub tests: Tests,
    /// From the name to its last word.
    pub span: Span,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Comments before it, with the white space around them; empty if there are none.
    pub leading: String,
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// What an argument is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `:contains`, without the colon, as written.
    Tag(String),
    /// `100K`.
    Number(Number),
    /// A string.
    Text(Text),
    /// A list of strings in brackets.
    List(Vec<Text>),
}

/// A string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// Comments before it, within a list.
    pub leading: String,
    /// What it says, quoting removed. `encoded-character` and variables are not resolved yet.
    pub value: String,
    /// Whether it is written `text:` … `.`
    pub multiline: bool,
    /// Where it stands.
    pub span: Span,
}

/// A number and its unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Number {
    /// As written.
    pub count: u64,
    /// `K`, `M` or `G`.
    pub unit: Option<Unit>,
}

/// Powers of 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 1,024.
    K,
    /// 1,024².
    M,
    /// 1,024³.
    G,
}

impl Number {
    pub(crate) fn checked(self) -> Option<u64> {
        let shift = match self.unit {
            None => 0,
            Some(Unit::K) => 10,
            Some(Unit::M) => 20,
            Some(Unit::G) => 30,
        };
        self.count.checked_mul(1 << shift).filter(|n| i64::try_from(*n).is_ok())
    }

    /// The number meant; at most 2⁶³ − 1.
    pub fn value(self) -> u64 {
        self.checked().unwrap_or(i64::MAX as u64)
    }
}

impl Command {
    /// A command without arguments, ended by `;`.
    pub fn new(name: &str) -> Command {
        Command {
            name: name.to_owned(),
            ..Command::default()
        }
    }

    /// Whether it is the command `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// With one more argument.
    pub fn argument(mut self, argument: impl Into<Argument>) -> Command {
        self.arguments.push(argument.into());
        self
    }

    /// With one more tag, given without its colon.
    pub fn tag(self, name: &str) -> Command {
        self.argument(Argument::tag(name))
    }

    /// With a test.
    pub fn test(mut self, test: Test) -> Command {
        self.tests = Tests::One(Box::new(test));
        self
    }

    /// With a block.
    pub fn block(mut self, commands: Vec<Command>) -> Command {
        self.block = Some(Block {
            commands,
            tail: String::new(),
        });
        self
    }

    /// The comments before it, without their marks and the white space around them.
    pub fn comments(&self) -> Vec<&str> {
        crate::printer::comments(&self.leading)
    }

    /// The argument behind the tag `name`.
    pub fn tagged(&self, name: &str) -> Option<&Value> {
        tagged(&self.arguments, name)
    }

    /// Whether it has the tag `name`, given without its colon.
    pub fn has_tag(&self, name: &str) -> bool {
        has_tag(&self.arguments, name)
    }
}

impl Test {
    /// A test without arguments.
    pub fn new(name: &str) -> Test {
        Test {
            name: name.to_owned(),
            ..Test::default()
        }
    }

    /// Whether it is the test `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// With one more argument.
    pub fn argument(mut self, argument: impl Into<Argument>) -> Test {
        self.arguments.push(argument.into());
        self
    }

    /// With one more tag, given without its colon.
    pub fn tag(self, name: &str) -> Test {
        self.argument(Argument::tag(name))
    }

    /// `not` of a test.
    pub fn negate(test: Test) -> Test {
        Test {
            tests: Tests::One(Box::new(test)),
            ..Test::new("not")
        }
    }

    /// `anyof` or `allof` of tests.
    pub fn list(name: &str, tests: Vec<Test>) -> Test {
        Test {
            tests: Tests::List(tests),
            ..Test::new(name)
        }
    }

    /// The argument behind the tag `name`.
    pub fn tagged(&self, name: &str) -> Option<&Value> {
        tagged(&self.arguments, name)
    }

    /// Whether it has the tag `name`, given without its colon.
    pub fn has_tag(&self, name: &str) -> bool {
        has_tag(&self.arguments, name)
    }
}

fn tagged<'a>(arguments: &'a [Argument], name: &str) -> Option<&'a Value> {
    let at = arguments
        .iter()
        .position(|a| matches!(&a.value, Value::Tag(tag) if tag.eq_ignore_ascii_case(name)))?;
    arguments.get(at + 1).map(|argument| &argument.value)
}

fn has_tag(arguments: &[Argument], name: &str) -> bool {
    arguments
        .iter()
        .any(|a| matches!(&a.value, Value::Tag(tag) if tag.eq_ignore_ascii_case(name)))
}

impl Argument {
    /// A tag, given without its colon.
    pub fn tag(name: &str) -> Argument {
        Value::Tag(name.to_owned()).into()
    }
}

impl Value {
    /// The strings of a string or a list.
    pub fn texts(&self) -> Option<&[Text]> {
        match self {
            Value::Text(text) => Some(std::slice::from_ref(text)),
            Value::List(texts) => Some(texts),
            Value::Tag(_) | Value::Number(_) => None,
        }
    }

    /// The string, or the only one of a list.
    pub fn text(&self) -> Option<&str> {
        match self.texts() {
            Some([text]) => Some(&text.value),
            _ => None,
        }
    }
}

impl From<Value> for Argument {
    fn from(value: Value) -> Argument {
        Argument {
            leading: String::new(),
            value,
            span: Span::default(),
        }
    }
}

impl From<&str> for Text {
    fn from(value: &str) -> Text {
        Text {
            value: value.to_owned(),
            ..Text::default()
        }
    }
}

impl From<&str> for Argument {
    fn from(value: &str) -> Argument {
        Value::Text(value.into()).into()
    }
}

impl From<u64> for Argument {
    fn from(count: u64) -> Argument {
        Value::Number(Number { count, unit: None }).into()
    }
}

/// A list, also of one string.
impl From<&[&str]> for Argument {
    fn from(values: &[&str]) -> Argument {
        Value::List(values.iter().map(|value| Text::from(*value)).collect()).into()
    }
}

/// A list, also of one string.
impl From<&[String]> for Argument {
    fn from(values: &[String]) -> Argument {
        Value::List(values.iter().map(|value| Text::from(value.as_str())).collect()).into()
    }
}
