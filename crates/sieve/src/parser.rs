//! From text to tree (RFC 5228 §8.2).

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Position, Result};
use crate::lexer::{Lexer, Token, TokenKind};
use crate::limits::Limits;
use crate::printer::has_comment;
use crate::tree::{Argument, Block, Command, Script, Span, Test, Tests, Text, Value};

impl Script {
    /// Reads a script. Names are not looked at: what is written in Sieve's form is read, known or not.
    ///
    /// Errors: the first place that does not have Sieve's form, is no UTF-8, or exceeds `script_bytes`, `nesting` or `commands`.
    pub fn parse(source: &[u8], limits: &Limits) -> Result<Script> {
        if source.len() > limits.script_bytes {
            return Err(Error::new(
                ErrorKind::Limit,
                Position { line: 1, column: 1 },
                format!(
                    "the script has {} octets; {} are allowed (limit script_bytes)",
                    source.len(),
                    limits.script_bytes
                ),
            ));
        }
        let text = std::str::from_utf8(source).map_err(|error| {
            let before = source.get(..error.valid_up_to()).unwrap_or_default();
            let line = memchr::memchr_iter(b'\n', before).count() + 1;
            let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
            let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default())
                .chars()
                .count()
                + 1;
            let position = Position {
                line: u32::try_from(line).unwrap_or(u32::MAX),
                column: u32::try_from(column).unwrap_or(u32::MAX),
            };
            Error::new(ErrorKind::Syntax, position, "this is no UTF-8").hint("save the script in the encoding UTF-8")
        })?;
        let mut lexer = Lexer::new(text);
        let token = lexer.token()?;
        let mut parser = Parser {
            source: text,
            lexer,
            token,
            behind: 0,
            pending: String::new(),
            depth: 0,
            count: 0,
            limits,
        };
        let (commands, tail) = parser.commands(true)?;
        let original: Arc<[Command]> = commands.clone().into();
        Ok(Script {
            commands,
            tail,
            source: text.into(),
            original,
        })
    }

    /// A script of these commands, to be printed.
    pub fn new(commands: Vec<Command>) -> Script {
        Script {
            commands,
            ..Script::default()
        }
    }
}

struct Parser<'a> {
    source: &'a str,
    lexer: Lexer<'a>,
    token: Token,
    /// Where the last token taken ended.
    behind: u32,
    /// Comments before punctuation: they go with the next thing that can hold them.
    pending: String,
    depth: usize,
    count: usize,
    limits: &'a Limits,
}

impl Parser<'_> {
    /// Takes the token at hand and reads the next.
    fn take(&mut self) -> Result<Token> {
        let next = self.lexer.token()?;
        self.behind = self.token.span.end;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn slice(&self, start: usize, end: u32) -> &str {
        self.source.get(start..end as usize).unwrap_or_default()
    }

    fn at(&self, mark: char) -> bool {
        self.token.kind == TokenKind::Punctuation(mark)
    }

    /// White space and comments before the token at hand, if there are comments; what was pending goes before it.
    fn comments(&mut self) -> String {
        let mut leading = std::mem::take(&mut self.pending);
        let trivia = self.slice(self.token.leading, self.token.span.start);
        if has_comment(trivia) {
            leading.push_str(trivia);
        }
        leading
    }

    fn punctuation(&mut self) -> Result<Token> {
        self.pending = self.comments();
        self.take()
    }

    fn wrong(&self, expected: &str) -> Error {
        Error::new(
            ErrorKind::Syntax,
            self.token.span.position,
            format!("{} cannot stand here, expected {expected}", self.token.kind.shown()),
        )
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > self.limits.nesting {
            return Err(Error::new(
                ErrorKind::Limit,
                self.token.span.position,
                format!(
                    "blocks and tests stand deeper than {} within each other (limit nesting)",
                    self.limits.nesting
                ),
            )
            .hint("use elsif, anyof and allof instead of more nesting"));
        }
        Ok(())
    }

    fn counted(&mut self) -> Result<()> {
        self.count += 1;
        if self.count > self.limits.commands {
            return Err(Error::new(
                ErrorKind::Limit,
                self.token.span.position,
                format!(
                    "the script has more than {} commands and tests (limit commands)",
                    self.limits.commands
                ),
            ));
        }
        Ok(())
    }

    /// Commands up to the end of the block, which is not taken, and the white space before it.
    fn commands(&mut self, top: bool) -> Result<(Vec<Command>, String)> {
        let mut commands: Vec<Command> = Vec::new();
        // What was already given to the command before as its trailing comment.
        let mut from = self.token.leading;
        loop {
            let leading = self.slice(from, self.token.span.start).to_owned();
            match &self.token.kind {
                TokenKind::Identifier(_) => {
                    let mut command = self.command(leading)?;
                    from = self.token.leading;
                    let trivia = self.slice(from, self.token.span.start);
                    let line = trivia.split(['\r', '\n']).next().unwrap_or_default();
                    if has_comment(line) && whole_comments(line) {
                        from += line.len();
                        command.trailing = line.to_owned();
                    }
                    commands.push(command);
                }
                TokenKind::End if top => return Ok((commands, leading)),
                TokenKind::Punctuation('}') if !top => return Ok((commands, leading)),
                TokenKind::End => {
                    return Err(self.wrong("}").hint("a block that was opened with { is not closed"));
                }
                TokenKind::Punctuation('}') => {
                    return Err(self
                        .wrong("a command")
                        .hint("there is one } too many, or a { is missing before"));
                }
                _ => return Err(self.wrong("the name of a command")),
            }
        }
    }

    // command = identifier arguments (";" / block)
    fn command(&mut self, leading: String) -> Result<Command> {
        self.counted()?;
        let first = self.take()?;
        let TokenKind::Identifier(name) = first.kind else {
            return Err(self.wrong("the name of a command"));
        };
        let arguments = self.arguments()?;
        let tests = self.tests()?;
        let mut head = first.span;
        head.end = self.behind;
        let tail = self.comments();
        let block = if self.at(';') {
            self.take()?;
            None
        } else if self.at('{') {
            self.deeper()?;
            self.take()?;
            let (commands, tail) = self.commands(false)?;
            self.take()?;
            self.depth -= 1;
            Some(Block { commands, tail })
        } else {
            let missing = Error::new(
                ErrorKind::Syntax,
                self.token.span.position,
                format!(
                    "{} cannot stand here, expected ; or {{ after {name}",
                    self.token.kind.shown()
                ),
            );
            return Err(match &self.token.kind {
                TokenKind::Identifier(_) | TokenKind::End => missing.hint(format!(
                    "is the ; missing after the command in line {}?",
                    first.span.position.line
                )),
                _ => missing,
            });
        };
        let mut span = first.span;
        span.end = self.behind;
        Ok(Command {
            leading,
            name,
            arguments,
            tests,
            tail,
            block,
            trailing: String::new(),
            span,
            head,
        })
    }

    // arguments = *argument [ test / test-list ]
    fn arguments(&mut self) -> Result<Vec<Argument>> {
        let mut arguments = Vec::new();
        loop {
            let span = self.token.span;
            let value = match &self.token.kind {
                TokenKind::Tag(_) | TokenKind::Number(_) | TokenKind::Text { .. } => {
                    let leading = self.comments();
                    let token = self.take()?;
                    let value = match token.kind {
                        TokenKind::Tag(name) => Value::Tag(name),
                        TokenKind::Number(number) => Value::Number(number),
                        TokenKind::Text { value, multiline } => Value::Text(Text {
                            leading: String::new(),
                            value,
                            multiline,
                            span,
                        }),
                        _ => continue,
                    };
                    arguments.push(Argument { leading, value, span });
                    continue;
                }
                TokenKind::Punctuation('[') => {
                    let leading = self.comments();
                    self.take()?;
                    let texts = self.list()?;
                    arguments.push(Argument {
                        leading,
                        value: Value::List(texts),
                        span: Span {
                            end: self.behind,
                            ..span
                        },
                    });
                    continue;
                }
                _ => arguments,
            };
            return Ok(value);
        }
    }

    // string-list = "[" string *("," string) "]"
    fn list(&mut self) -> Result<Vec<Text>> {
        let mut texts = Vec::new();
        loop {
            if self.at(']') && texts.is_empty() {
                return Err(self.wrong("a string").hint("a list has at least one string"));
            }
            if !matches!(self.token.kind, TokenKind::Text { .. }) {
                return Err(self.wrong("a string in this list"));
            }
            let leading = self.comments();
            let token = self.take()?;
            if let TokenKind::Text { value, multiline } = token.kind {
                texts.push(Text {
                    leading,
                    value,
                    multiline,
                    span: token.span,
                });
            }
            if self.at(',') {
                self.punctuation()?;
            } else if self.at(']') {
                self.punctuation()?;
                return Ok(texts);
            } else {
                return Err(self.wrong(", or ] in this list"));
            }
        }
    }

    fn tests(&mut self) -> Result<Tests> {
        if matches!(self.token.kind, TokenKind::Identifier(_)) {
            self.deeper()?;
            let test = self.test()?;
            self.depth -= 1;
            return Ok(Tests::One(Box::new(test)));
        }
        if !self.at('(') {
            return Ok(Tests::None);
        }
        self.deeper()?;
        self.punctuation()?;
        let mut tests = Vec::new();
        loop {
            if !matches!(self.token.kind, TokenKind::Identifier(_)) {
                return Err(self.wrong("a test"));
            }
            tests.push(self.test()?);
            if self.at(',') {
                self.punctuation()?;
            } else if self.at(')') {
                self.punctuation()?;
                self.depth -= 1;
                return Ok(Tests::List(tests));
            } else {
                return Err(self.wrong(", or ) in this list of tests"));
            }
        }
    }

    fn test(&mut self) -> Result<Test> {
        self.counted()?;
        let leading = self.comments();
        let first = self.take()?;
        let TokenKind::Identifier(name) = first.kind else {
            return Err(self.wrong("the name of a test"));
        };
        let arguments = self.arguments()?;
        let tests = self.tests()?;
        let span = Span {
            end: self.behind,
            ..first.span
        };
        Ok(Test {
            leading,
            name,
            arguments,
            tests,
            span,
        })
    }
}

/// Whether every comment that begins in the piece also ends in it (a `#` comment ends with the line).
fn whole_comments(line: &str) -> bool {
    let mut rest = line;
    loop {
        let Some(at) = rest.find(['#', '/']) else { return true };
        let (_, from) = rest.split_at(at);
        if from.starts_with('#') {
            return true;
        }
        match from.get(2..).and_then(|inside| inside.find("*/")) {
            Some(end) => rest = from.get(end + 4..).unwrap_or_default(),
            None => return false,
        }
    }
}
