//! From tree to text. What was not changed is printed as it stood.

use std::collections::HashMap;

use crate::tree::{Argument, Block, Command, Number, Script, Span, Test, Tests, Text, Unit, Value};

impl Script {
    /// The script as text, in UTF-8. Unchanged parts are byte for byte what was read; changed and new ones have the usual form,
    /// with their comments. Line ends are those of the script that was read, LF for a new one.
    pub fn to_text(&self) -> String {
        let mut known = Known {
            source: &self.source,
            commands: HashMap::new(),
            tests: HashMap::new(),
        };
        known.learn(&self.original);
        let newline = if self.source.contains("\r\n") { "\r\n" } else { "\n" };
        let mut printer = Printer {
            out: String::with_capacity(self.source.len()),
            known,
            newline,
        };
        printer.commands(&self.commands, 0);
        printer.tail(&self.tail);
        if self.source.is_empty() && !printer.out.is_empty() && !printer.out.ends_with('\n') {
            printer.out.push_str(newline);
        }
        printer.out
    }
}

/// A test in its usual form, on one line, without comments.
pub(crate) fn test_text(test: &Test) -> String {
    let mut out = String::new();
    out.push_str(&test.name);
    arguments_text(&mut out, &test.arguments);
    match &test.tests {
        Tests::None => {}
        Tests::One(inner) => {
            out.push(' ');
            out.push_str(&test_text(inner));
        }
        Tests::List(_) => out.push_str(" (…)"),
    }
    out
}

/// A command without its block, in its usual form, on one line, without comments.
pub(crate) fn command_text(command: &Command) -> String {
    let mut out = command.name.clone();
    arguments_text(&mut out, &command.arguments);
    out
}

fn arguments_text(out: &mut String, arguments: &[Argument]) {
    for argument in arguments {
        if out.len() > 200 {
            out.push_str(" …");
            return;
        }
        out.push(' ');
        match &argument.value {
            Value::Tag(name) => {
                out.push(':');
                out.push_str(name);
            }
            Value::Number(number) => write_number(out, *number),
            Value::Text(text) => write_short(out, &text.value),
            Value::List(texts) => {
                out.push('[');
                for (n, text) in texts.iter().enumerate() {
                    if n > 0 {
                        out.push_str(", ");
                    }
                    if n == 4 && texts.len() > 5 {
                        out.push_str(&format!("… {} more", texts.len() - 4));
                        break;
                    }
                    write_short(out, &text.value);
                }
                out.push(']');
            }
        }
    }
}

fn write_short(out: &mut String, text: &str) {
    out.push('"');
    for (n, c) in text.chars().enumerate() {
        if n == 60 {
            out.push('…');
            break;
        }
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_number(out: &mut String, number: Number) {
    out.push_str(&number.count.to_string());
    match number.unit {
        None => {}
        Some(Unit::K) => out.push('K'),
        Some(Unit::M) => out.push('M'),
        Some(Unit::G) => out.push('G'),
    }
}

/// What was read, found by where it stood.
struct Known<'a> {
    source: &'a str,
    commands: HashMap<u32, &'a Command>,
    tests: HashMap<u32, &'a Test>,
}

impl<'a> Known<'a> {
    fn learn(&mut self, commands: &'a [Command]) {
        for command in commands {
            self.commands.insert(command.span.start, command);
            self.learn_tests(&command.tests);
            if let Some(block) = &command.block {
                self.learn(&block.commands);
            }
        }
    }

    fn learn_tests(&mut self, tests: &'a Tests) {
        for test in tests.all() {
            self.tests.insert(test.span.start, test);
            self.learn_tests(&test.tests);
        }
    }

    fn slice(&self, span: Span) -> &'a str {
        self.source
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// What was read where this command says it stood: at least its beginning must be the same.
    fn command(&self, command: &Command) -> Option<&'a Command> {
        let known = self.commands.get(&command.span.start)?;
        (command.span.end == known.span.end && command.span.end > 0 && command.is(&known.name)).then_some(known)
    }

    fn test(&self, test: &Test) -> Option<&'a Test> {
        let known = self.tests.get(&test.span.start)?;
        (test.span.end == known.span.end && test.span.end > 0).then_some(known)
    }
}

struct Printer<'a> {
    out: String,
    known: Known<'a>,
    newline: &'static str,
}

const INDENT: &str = "    ";
/// Where a line is broken, in characters.
const WIDTH: usize = 100;

impl Printer<'_> {
    fn commands(&mut self, commands: &[Command], depth: usize) {
        for command in commands {
            self.command(command, depth);
        }
    }

    fn command(&mut self, command: &Command, depth: usize) {
        let known = self.known.command(command);
        self.leading(command, known.is_some(), depth);
        match known {
            Some(known) if same_inside(known, command) => {
                let text = self.known.slice(known.span);
                self.out.push_str(text);
            }
            known => {
                match known {
                    Some(known) if same_head(known, command) => {
                        let text = self.known.slice(known.head);
                        self.out.push_str(text);
                    }
                    _ => self.head(command, depth),
                }
                self.comment(&command.tail);
                match &command.block {
                    None => self.out.push(';'),
                    Some(block) => self.block(block, known.and_then(|known| known.block.as_ref()), depth),
                }
            }
        }
        self.tail(&command.trailing);
    }

    /// White space and comments before a command. New commands begin on a line of their own.
    fn leading(&mut self, command: &Command, known: bool, depth: usize) {
        if known {
            // The line that a trailing comment ran to must end, also when what followed has moved.
            if self.in_comment() && !command.leading.starts_with(['\r', '\n']) {
                self.line(depth);
            }
            self.tail(&command.leading);
        } else if command.leading.trim_ascii().is_empty() {
            if command.leading.matches('\n').count() > 1 && !self.out.is_empty() {
                self.out.push_str(self.newline);
            }
            if !self.out.is_empty() {
                self.line(depth);
            }
        } else {
            if !self.out.is_empty() && !self.out.ends_with('\n') && !command.leading.starts_with(['\r', '\n']) {
                self.out.push_str(self.newline);
            }
            self.tail(&command.leading);
            if !self.out.ends_with(['\n', ' ', '\t']) {
                self.line(depth);
            }
        }
        if self.in_comment() {
            self.line(depth);
        }
    }

    fn line(&mut self, depth: usize) {
        if !self.out.ends_with('\n') {
            self.out.push_str(self.newline);
        }
        for _ in 0..depth {
            self.out.push_str(INDENT);
        }
    }

    /// Whether what is written next would be part of a `#` comment.
    fn in_comment(&self) -> bool {
        let start = self.out.rfind('\n').map_or(0, |at| at + 1);
        let line = self.out.get(start..).unwrap_or_default();
        line.contains('#') && ends_in_comment(line)
    }

    fn tail(&mut self, trivia: &str) {
        self.out.push_str(trivia);
    }

    /// Comments within a command.
    fn comment(&mut self, trivia: &str) {
        if !has_comment(trivia) {
            return;
        }
        if !trivia.starts_with([' ', '\t', '\r', '\n']) {
            self.out.push(' ');
        }
        self.out.push_str(trivia);
        if ends_in_comment(trivia) {
            self.out.push_str(self.newline);
        }
    }

    fn separated(&mut self, trivia: &str) {
        if has_comment(trivia) {
            self.comment(trivia);
            if !self.out.ends_with([' ', '\t', '\n']) {
                self.out.push(' ');
            }
        } else if !self.out.ends_with(['(', ' ', '\t', '\n', '[']) {
            self.out.push(' ');
        }
    }

    fn head(&mut self, command: &Command, depth: usize) {
        self.out.push_str(&command.name);
        self.arguments(&command.arguments);
        self.tests(&command.tests, depth + 1);
    }

    fn block(&mut self, block: &Block, known: Option<&Block>, depth: usize) {
        self.out
            .push_str(if self.out.ends_with([' ', '\n']) { "{" } else { " {" });
        self.commands(&block.commands, depth + 1);
        if known.is_some() && !block.tail.is_empty() {
            self.tail(&block.tail);
        } else {
            if has_comment(&block.tail) {
                self.tail(&block.tail);
            }
            self.line(depth);
        }
        if self.in_comment() {
            self.line(depth);
        }
        self.out.push('}');
    }

    fn tests(&mut self, tests: &Tests, depth: usize) {
        match tests {
            Tests::None => {}
            Tests::One(test) => self.test(test, depth),
            Tests::List(tests) => {
                self.out.push_str(" (");
                let start = self.out.rfind('\n').map_or(0, |at| at + 1);
                let long = self.out.len() - start + tests.iter().map(|t| test_text(t).len() + 2).sum::<usize>() > WIDTH;
                for (n, test) in tests.iter().enumerate() {
                    if n > 0 {
                        self.out.push(',');
                    }
                    if long {
                        self.line(depth);
                    }
                    self.test(test, depth + 1);
                }
                self.out.push(')');
            }
        }
    }

    fn test(&mut self, test: &Test, depth: usize) {
        self.separated(&test.leading);
        match self.known.test(test) {
            Some(known) if same_test(known, test) => {
                let text = self.known.slice(known.span);
                self.out.push_str(text);
            }
            _ => {
                self.out.push_str(&test.name);
                self.arguments(&test.arguments);
                self.tests(&test.tests, depth);
            }
        }
    }

    fn arguments(&mut self, arguments: &[Argument]) {
        for argument in arguments {
            self.separated(&argument.leading);
            match &argument.value {
                Value::Tag(name) => {
                    self.out.push(':');
                    self.out.push_str(name);
                }
                Value::Number(number) => write_number(&mut self.out, *number),
                Value::Text(text) => self.text(text),
                Value::List(texts) => self.list(texts),
            }
        }
    }

    fn list(&mut self, texts: &[Text]) {
        self.out.push('[');
        for (n, text) in texts.iter().enumerate() {
            if n > 0 {
                let start = self.out.rfind('\n').map_or(0, |at| at + 1);
                self.out.push(',');
                if self.out.len() - start + text.value.len() > WIDTH {
                    self.out.push_str(self.newline);
                    self.out.push_str(INDENT);
                }
            }
            self.separated(&text.leading);
            self.text(text);
        }
        self.out.push(']');
    }

    fn text(&mut self, text: &Text) {
        // The form with a dot at the end says whole lines only.
        if text.multiline && (text.value.ends_with('\n') || text.value.is_empty()) {
            self.out.push_str("text:");
            self.out.push_str(self.newline);
            for line in text.value.split_inclusive('\n') {
                if line.starts_with('.') {
                    self.out.push('.');
                }
                self.out.push_str(line);
            }
            self.out.push('.');
            self.out.push_str(self.newline);
        } else {
            write_quoted(&mut self.out, &text.value);
        }
    }
}

fn write_quoted(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// `text` as Sieve writes it: in quotes, with `"` and `\` escaped.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_quoted(&mut out, text);
    out
}

fn same_head(a: &Command, b: &Command) -> bool {
    a.name == b.name && a.arguments == b.arguments && a.tests == b.tests
}

/// The same but for what is before and behind it.
fn same_inside(a: &Command, b: &Command) -> bool {
    same_head(a, b) && a.tail == b.tail && a.block == b.block
}

fn same_test(a: &Test, b: &Test) -> bool {
    a.name == b.name && a.arguments == b.arguments && a.tests == b.tests
}

/// Whether there is a comment in white space and comments.
pub(crate) fn has_comment(trivia: &str) -> bool {
    trivia.contains(['#', '/'])
}

/// Whether white space and comments end in a `#` comment whose line does not.
fn ends_in_comment(trivia: &str) -> bool {
    let mut rest = trivia;
    loop {
        let Some(at) = rest.find(['#', '/', '"']) else {
            return false;
        };
        let (_, from) = rest.split_at(at);
        rest = if from.starts_with('#') {
            match from.find('\n') {
                Some(end) => from.get(end + 1..).unwrap_or_default(),
                None => return true,
            }
        } else if from.starts_with('"') {
            let mut escaped = false;
            let end = from.char_indices().skip(1).find(|(_, c)| {
                let closes = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                closes
            });
            match end {
                Some((end, _)) => from.get(end + 1..).unwrap_or_default(),
                None => return false,
            }
        } else {
            match from
                .get(2..)
                .filter(|_| from.starts_with("/*"))
                .and_then(|inside| inside.find("*/"))
            {
                Some(end) => from.get(end + 4..).unwrap_or_default(),
                None => return false,
            }
        };
    }
}

/// The comments in white space and comments, without marks.
pub(crate) fn comments(trivia: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = trivia;
    while let Some(at) = rest.find(['#', '/']) {
        let (_, from) = rest.split_at(at);
        let (inside, after) = if from.starts_with('#') {
            let end = from.find('\n').unwrap_or(from.len());
            (from.get(1..end), from.get(end..))
        } else {
            let end = from
                .get(2..)
                .and_then(|inside| inside.find("*/"))
                .map_or(from.len(), |end| end + 2);
            (from.get(2..end), from.get((end + 2).min(from.len())..))
        };
        found.push(inside.unwrap_or_default().trim());
        rest = after.unwrap_or_default();
    }
    found
}
