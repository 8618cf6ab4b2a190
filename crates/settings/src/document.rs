//! A script as a row of parts: which stand for rules, who wrote them, and what is left alone.
//!
//! Parts do not overlap and stand in the order of the script. What lies between them (blank lines, comments that name no rule) belongs to
//! none and stays. A part takes its name from the comment above it: `# rule:[name]` (Roundcube and we), `#SCRIPTNAME: name`
//! (KMail), `# name` (Ingo), or a comment of one line directly above.

use crate::model::{Join, PartId, Rule};
use crate::print::{Form, Maker, Naming};
use crate::read::{self, Because};
use crate::require;
use serde::Serialize;
use sieve::tree::{Command, Script};
use std::ops::Range;

/// A part of a script, for showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its number.
    pub id: PartId,
    /// What it is.
    pub role: Role,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who wrote it, as far as that shows.
    pub maker: Maker,
    /// Its first line, from 1.
    pub first_line: u32,
    /// Its last line.
    pub last_line: u32,
    /// Where its octets are.
    #[serde(skip)]
    pub range: Range<usize>,
    /// What a person should know about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a part is in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `require`.
    Require,
    /// The forwarding.
    Forwarding,
    /// What keeps a copy of what was forwarded.
    ForwardingKeep,
    /// The vacation.
    Vacation,
    /// The answer to colleagues.
    VacationColleagues,
    /// Senders who are let through.
    SpamAllow,
    /// Senders whose mail is spam.
    SpamBlock,
    /// The score from which on mail is spam.
    SpamThreshold,
    /// A rule.
    Rule,
    /// Shown and left alone.
    Foreign,
}

/// What a command of the script is.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// All of it, with the comment that names it and the end of its last line.
    pub range: Range<usize>,
    /// Without both.
    pub command: Range<usize>,
    /// The line that names it, with its end.
    pub name_line: Option<Range<usize>>,
    pub name: Option<String>,
    pub naming: Naming,
    pub kind: Kind,
    pub maker: Maker,
    /// It follows the one before it as `elsif` or `else`.
    pub chained: bool,
    /// It is followed by such a one.
    pub continued: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Require(Vec<String>),
    Rule(Recognised),
    Foreign(Because),
}

/// A rule and where its halves stand.
#[derive(Clone, Debug)]
pub(crate) struct Recognised {
    pub rule: Rule,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Commands that stand by themselves.
    Bare,
    /// `if`, or its like.
    If {
        /// From behind the word and the space after it to before `{`.
        head: Range<usize>,
        /// The test itself, switched on or off, where it is all on one line.
        test: Option<Range<usize>>,
        /// Between the braces.
        block: Range<usize>,
    },
}

impl Piece {
    pub(crate) fn rule(&self) -> Option<&Rule> {
        match &self.kind {
            Kind::Rule(recognised) => Some(&recognised.rule),
            Kind::Require(_) | Kind::Foreign(_) => None,
        }
    }

    pub(crate) fn in_chain(&self) -> bool {
        self.chained || self.continued
    }
}

/// The pieces of a script.
pub(crate) fn pieces(source: &str, script: &Script, newline: &'static str) -> Vec<Piece> {
    // http://www.horde.org/apps/ingo/, in older ones http://www.horde.org/ingo/
    let ingo = header(script).contains("horde.org/") && header(script).contains("/ingo/");
    let mut pieces: Vec<Piece> = Vec::new();
    let mut open = false;
    for (n, command) in script.commands.iter().enumerate() {
        let name = Name::of(source, command, ingo);
        let commented = command.leading.contains(['#', '/']);
        if open
            && !commented
            && let Some(last) = pieces.last_mut()
            && extend(source, last, command)
        {
            continue;
        }
        let chained = command.is("elsif") || command.is("else");
        if chained && let Some(last) = pieces.last_mut() {
            last.continued = true;
        }
        let mut kind = recognise(source, command);
        if let Kind::Rule(recognised) = &mut kind {
            recognised.rule.name = name.text.clone();
            recognised.rule.otherwise = chained;
        }
        open = matches!(&kind, Kind::Rule(r) if matches!(r.body, Body::Bare)) && !command.is("vacation");
        let command_range = command.span.start as usize..command.span.end as usize;
        let start = name.line.as_ref().map_or(command_range.start, |line| line.start);
        let mut piece = Piece {
            range: start..end_of_line(source, command_range.end + command.trailing.len()),
            command: command_range,
            name_line: name.line,
            name: name.text,
            naming: name.naming,
            kind,
            maker: Maker::Person,
            chained,
            continued: false,
        };
        // A line that holds two commands belongs to both: cut it between them.
        if let Some(next) = script.commands.get(n + 1)
            && piece.range.end > next.span.start as usize
        {
            piece.range.end = piece.command.end;
        }
        pieces.push(piece);
    }
    for piece in &mut pieces {
        piece.maker = maker(source, piece, newline, ingo);
    }
    pieces
}

/// Adds a command to the bare ones before it.
fn extend(source: &str, last: &mut Piece, command: &Command) -> bool {
    let Kind::Rule(Recognised { rule, body: Body::Bare }) = &mut last.kind else {
        return false;
    };
    if command.is("vacation") || command.is("require") {
        return false;
    }
    let Ok(action) = read::action(command) else {
        return false;
    };
    rule.actions.push(action);
    last.command.end = command.span.end as usize;
    last.range.end = end_of_line(source, last.command.end + command.trailing.len());
    true
}

fn recognise(source: &str, command: &Command) -> Kind {
    if command.is("require") {
        return Kind::Require(require::names(command));
    }
    let branch = ["if", "elsif", "else"].iter().any(|name| command.is(name));
    let read = if branch {
        branch_of(source, command)
    } else {
        bare(command)
    };
    match read {
        Ok(recognised) => Kind::Rule(recognised),
        Err(because) => Kind::Foreign(because),
    }
}

fn bare(command: &Command) -> Result<Recognised, Because> {
    let action = read::action(command)?;
    let rule = Rule::new("", vec![crate::condition::Condition::always()], vec![action]);
    Ok(Recognised { rule, body: Body::Bare })
}

fn branch_of(source: &str, command: &Command) -> Result<Recognised, Because> {
    let block = command.block.as_ref().ok_or("it has no block")?;
    let inner = command.span.end as usize - 1;
    let open = skip_trivia(source, command.head.end as usize);
    let word_end = command.span.start as usize + command.name.len();
    let head_start = word_end + source[word_end..open].find(|c: char| c != ' ').unwrap_or(0);
    let head = head_start.min(open)..open;

    let mut actions = Vec::new();
    for action in &block.commands {
        actions.push(read::action(action)?);
    }
    if actions.is_empty() {
        return Err("it does nothing".into());
    }
    let mut rule = Rule::new("", Vec::new(), actions);
    let test = match command.tests.all() {
        [] => {
            rule.conditions = vec![crate::condition::Condition::always()];
            None
        }
        [test] if test.is("false") && test.arguments.is_empty() => {
            let range = switched_off(source, test.span.end as usize, open)?;
            let (join, conditions) = test_of_comment(&source[range.clone()])?;
            (rule.join, rule.conditions) = (join, conditions);
            rule.enabled = false;
            Some(range)
        }
        [test] => {
            (rule.join, rule.conditions) = read::conditions(test)?;
            let range = test.span.start as usize..test.span.end as usize;
            let text = &source[range.clone()];
            (!text.contains(['\n', '#']) && !text.contains("/*")).then_some(range)
        }
        _ => return Err(format!("`{}` has more than one test", command.name)),
    };
    Ok(Recognised {
        rule: rule.normal(),
        body: Body::If {
            head,
            test,
            block: open + 1..inner,
        },
    })
}

/// Where the test stands that a rule had before it was switched off: `if false # test` and the end of the line.
fn switched_off(source: &str, from: usize, open: usize) -> Result<Range<usize>, Because> {
    let line_end = source[from..open].find(['\r', '\n']).map_or(open, |at| from + at);
    let line = &source[from..line_end];
    let at = line.find('#').filter(|at| line[..*at].trim().is_empty());
    let at = at.ok_or("its test is `false`: it never does anything")?;
    let text = &line[at + 1..];
    let start = from + at + 1 + (text.len() - text.trim_start().len());
    Ok(start..from + at + 1 + text.trim_end().len())
}

fn test_of_comment(text: &str) -> Result<(Join, Vec<crate::condition::Condition>), Because> {
    let wrong = || "it is switched off, and the comment behind `false` holds no test".to_owned();
    let script =
        Script::parse(format!("if {text} {{stop;}}").as_bytes(), &sieve::Limits::default()).map_err(|_| wrong())?;
    let [command] = script.commands.as_slice() else {
        return Err(wrong());
    };
    let [test] = command.tests.all() else {
        return Err(wrong());
    };
    read::conditions(test)
}

/// What a part is called, and where that stands.
struct Name {
    text: Option<String>,
    line: Option<Range<usize>>,
    naming: Naming,
}

impl Name {
    fn of(source: &str, command: &Command, ingo: bool) -> Name {
        let none = Name {
            text: None,
            line: None,
            naming: Naming::None,
        };
        let start = command.span.start as usize;
        let from = start - command.leading.len();
        let lines = lines(source, from..start);
        let named = |range: &Range<usize>, text: &str, naming: Naming| Name {
            text: Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
            line: Some(range.clone()),
            naming,
        };
        for range in lines.iter().rev() {
            let line = source[range.clone()].trim();
            if let Some(name) = line
                .strip_prefix("# rule:[")
                .and_then(|rest| rest.rfind(']').map(|end| &rest[..end]))
            {
                return named(range, name, Naming::Rule);
            }
            if let Some(name) = line.strip_prefix("#SCRIPTNAME:") {
                return named(range, name, Naming::ScriptName);
            }
        }
        if command.is("require") {
            return none;
        }
        // A comment directly above; the last of `lines` is what stands before the command on its own line.
        let above = |back: usize| {
            let range = lines.len().checked_sub(back).and_then(|at| lines.get(at))?;
            let text = source[range.clone()].trim();
            text.starts_with('#').then(|| (range, text.trim_start_matches('#')))
        };
        match (above(2), above(3)) {
            (Some((range, text)), None) => named(range, text, Naming::Comment),
            (Some((range, text)), Some(_)) if ingo => named(range, text, Naming::Comment),
            _ => none,
        }
    }
}

/// The lines of a piece of the script, each with its end; the first may begin in the middle of one.
fn lines(source: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut at = range.start;
    for line in source[range].split('\n') {
        lines.push(at..at + line.len() + 1);
        at += line.len() + 1;
    }
    if let Some(last) = lines.last_mut() {
        last.end -= 1;
    }
    lines
}

/// Comments before the first command.
fn header(script: &Script) -> &str {
    script.commands.first().map_or(&script.tail, |first| &first.leading)
}

/// The end of the line, where nothing but white space is left of it; else `at`.
fn end_of_line(source: &str, at: usize) -> usize {
    let rest = &source[at..];
    let line = rest.split_inclusive('\n').next().unwrap_or_default();
    if line.trim().is_empty() { at + line.len() } else { at }
}

/// Behind white space and comments.
fn skip_trivia(source: &str, mut at: usize) -> usize {
    loop {
        let rest = &source[at..];
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
        } else if rest.starts_with('#') {
            at += rest.find('\n').map_or(rest.len(), |end| end + 1);
        } else if let Some(inside) = rest.strip_prefix("/*") {
            at += inside.find("*/").map_or(rest.len(), |end| end + 4);
        } else {
            return at;
        }
    }
}

/// The comments in a piece of text of the script, one a line, without what stands around them.
pub(crate) fn comments(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(inside) = rest.strip_prefix('"') {
            let mut escaped = false;
            let close = inside.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            at += close.map_or(rest.len(), |close| close + 2);
        } else if rest.starts_with("text:") {
            let dot = ["\n.\n", "\n.\r\n"].iter().filter_map(|end| rest.find(end)).min();
            at += dot.map_or(rest.len(), |dot| dot + 2);
        } else if rest.starts_with('#') {
            let line = rest.split(['\r', '\n']).next().unwrap_or_default();
            found.push(line);
            at += line.len();
        } else if let Some(inside) = rest.strip_prefix("/*") {
            let end = inside.find("*/").map_or(rest.len(), |end| end + 4);
            found.push(&rest[..end]);
            at += end;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Who wrote a part: printing it in somebody's form gives the same octets, or its name stands there in somebody's manner.
fn maker(source: &str, piece: &Piece, newline: &'static str, ingo: bool) -> Maker {
    let text = &source[piece.range.clone()];
    if let Kind::Rule(Recognised {
        rule,
        body: Body::If { .. },
    }) = &piece.kind
    {
        let candidates: &[Maker] = if piece.naming == Naming::Rule {
            &[Maker::Rohrpost, Maker::Roundcube]
        } else if piece.naming == Naming::None {
            &[Maker::Sogo]
        } else {
            &[]
        };
        // `anyof` of one test is the same as `allof` of it, and to the model as the test alone.
        let mut any = rule.clone();
        any.join = Join::Any;
        for maker in candidates {
            let form = Form::of(*maker, newline);
            if form.rule(rule) == text || (any.conditions.len() == 1 && form.rule(&any) == text) {
                return *maker;
            }
        }
    }
    match piece.naming {
        Naming::Rule => Maker::Roundcube,
        Naming::ScriptName => Maker::Kmail,
        Naming::Comment | Naming::None if ingo => Maker::Ingo,
        Naming::Comment | Naming::None => Maker::Person,
    }
}
