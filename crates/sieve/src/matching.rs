//! Match types and comparators (RFC 5228 §2.7; relational RFC 5231; regex; comparators RFC 4790, RFC 5051).

use std::cmp::Ordering;
use std::sync::OnceLock;

use memchr::memmem::{self, Finder};
use regex::{Regex, RegexBuilder};
use unicode_normalization::UnicodeNormalization;

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Position, Result};
use crate::glance::{Need, pairs};
use crate::limits::Limits;
use crate::run::Run;
use crate::template::Template;
use crate::tree::Argument;

/// A value that keys are compared with, and its forms, made when first needed.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub text: String,
    lower: OnceLock<Option<Box<str>>>,
    unicode: OnceLock<Box<Normal>>,
}

impl Value {
    pub fn new(text: String) -> Value {
        Value {
            text,
            lower: OnceLock::new(),
            unicode: OnceLock::new(),
        }
    }

    /// ASCII letters small; as long as the text.
    fn lower(&self) -> &str {
        let lower = self.lower.get_or_init(|| {
            self.text
                .bytes()
                .any(|b| b.is_ascii_uppercase())
                .then(|| self.text.to_ascii_lowercase().into())
        });
        lower.as_deref().unwrap_or(&self.text)
    }

    fn unicode(&self) -> &Normal {
        self.unicode.get_or_init(|| Box::new(Normal::of(&self.text)))
    }

    /// The form that a comparator compares.
    fn form(&self, comparator: Comparator) -> &str {
        match comparator {
            Comparator::Octet | Comparator::AsciiNumeric => &self.text,
            Comparator::AsciiCasemap => self.lower(),
            Comparator::UnicodeCasemap => &self.unicode().text,
        }
    }

    /// The part of the text that lies at these octets of a form.
    fn original(&self, comparator: Comparator, start: usize, end: usize) -> &str {
        let (start, end) = match comparator {
            Comparator::UnicodeCasemap => (self.unicode().origin(start), self.unicode().origin(end)),
            _ => (start, end),
        };
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Text as i;unicode-casemap compares it (RFC 5051 §2): title case, then decomposed; and which octet came from where.
#[derive(Debug, Clone)]
struct Normal {
    text: String,
    /// Where in the form and in the text each character begins.
    origins: Vec<(u32, u32)>,
}

impl Normal {
    fn of(source: &str) -> Normal {
        let mut text = String::with_capacity(source.len());
        let mut origins = Vec::new();
        for (at, c) in source.char_indices() {
            origins.push((
                u32::try_from(text.len()).unwrap_or(u32::MAX),
                u32::try_from(at).unwrap_or(u32::MAX),
            ));
            let mut upper = c.to_uppercase();
            let title = match (upper.next(), upper.next()) {
                (Some(single), None) => single,
                _ => c,
            };
            text.extend(std::iter::once(title).nfkd());
        }
        origins.push((
            u32::try_from(text.len()).unwrap_or(u32::MAX),
            u32::try_from(source.len()).unwrap_or(u32::MAX),
        ));
        Normal { text, origins }
    }

    fn origin(&self, at: usize) -> usize {
        let found = self.origins.partition_point(|(form, _)| (*form as usize) < at);
        self.origins
            .get(found)
            .map_or(usize::MAX, |(_, origin)| *origin as usize)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparator {
    Octet,
    AsciiCasemap,
    AsciiNumeric,
    UnicodeCasemap,
}

impl Comparator {
    pub fn compare(self, a: &Value, b: &Value) -> Ordering {
        match self {
            Comparator::Octet => a.text.as_bytes().cmp(b.text.as_bytes()),
            // Letters count as capitals (RFC 4790 §9.2.1): `_` comes behind them.
            Comparator::AsciiCasemap => {
                let upper = |b: u8| b.to_ascii_uppercase();
                a.text.bytes().map(upper).cmp(b.text.bytes().map(upper))
            }
            Comparator::AsciiNumeric => numeric(&a.text).cmp(&numeric(&b.text)),
            Comparator::UnicodeCasemap => a.unicode().text.cmp(&b.unicode().text),
        }
    }
}

/// A number as i;ascii-numeric compares it (RFC 4790 §9.1): of any length; what begins with no digit is more than every number.
fn numeric(text: &str) -> (bool, usize, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (true, 0, "");
    }
    let number = text.get(..digits).unwrap_or_default().trim_start_matches('0');
    (false, number.len(), number)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

impl Relation {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Relation::Gt => ordering.is_gt(),
            Relation::Ge => ordering.is_ge(),
            Relation::Lt => ordering.is_lt(),
            Relation::Le => ordering.is_le(),
            Relation::Eq => ordering.is_eq(),
            Relation::Ne => ordering.is_ne(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchType {
    Is,
    Contains,
    Matches,
    Regex,
    List,
    Count(Relation),
    Value(Relation),
}

/// The keys of a test, and how they are compared.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub kind: MatchType,
    pub comparator: Comparator,
    /// Keys known before the script runs.
    fixed: Box<[Key]>,
    /// The others, all of them if there is one.
    keys: Box<[Template]>,
    /// Whether match variables are wanted.
    capture: bool,
}

#[derive(Debug)]
struct Key {
    value: Value,
    finder: Option<Finder<'static>>,
    glob: Option<Glob>,
    regex: Option<Regex>,
}

impl Builder<'_> {
    /// The match type and comparator of a test, and its keys.
    pub fn matcher(&mut self, bound: &Bound<'_>, keys: &Argument) -> Result<Matcher> {
        let comparator = match bound.tag("comparator") {
            None => Comparator::AsciiCasemap,
            Some(argument) => {
                let name = self.fixed(argument, "the comparator")?;
                self.comparator(&name, argument.span.position)?
            }
        };
        let kind = match bound.of_group("match type") {
            None | Some("is") => MatchType::Is,
            Some("contains") => MatchType::Contains,
            Some("matches") => MatchType::Matches,
            Some("regex") => MatchType::Regex,
            Some("list") => MatchType::List,
            Some(tag) => {
                let argument = bound.tag(tag).ok_or_else(|| bound.error("a relation is missing"))?;
                let relation = match self.fixed(argument, "the relation")?.to_ascii_lowercase().as_str() {
                    "gt" => Relation::Gt,
                    "ge" => Relation::Ge,
                    "lt" => Relation::Lt,
                    "le" => Relation::Le,
                    "eq" => Relation::Eq,
                    "ne" => Relation::Ne,
                    other => {
                        return Err(Error::new(
                            ErrorKind::Argument,
                            argument.span.position,
                            format!("\"{other}\" is no relation"),
                        )
                        .hint("write \"gt\", \"ge\", \"lt\", \"le\", \"eq\" or \"ne\""));
                    }
                };
                if tag == "count" {
                    MatchType::Count(relation)
                } else {
                    MatchType::Value(relation)
                }
            }
        };
        if comparator == Comparator::AsciiNumeric
            && matches!(kind, MatchType::Contains | MatchType::Matches | MatchType::Regex)
        {
            return Err(bound
                .error("numbers cannot be compared with :contains, :matches or :regex")
                .hint("use :is, :value or :count with i;ascii-numeric"));
        }
        let templates = self.texts(keys)?;
        let capture = self.has("variables") && matches!(kind, MatchType::Matches | MatchType::Regex);
        let mut matcher = Matcher {
            kind,
            comparator,
            fixed: Box::default(),
            keys: Box::default(),
            capture,
        };
        let fixed: Option<Vec<&str>> = templates.iter().map(Template::fixed).collect();
        match fixed {
            Some(texts) => {
                let keys = texts
                    .iter()
                    .map(|text| matcher.key(text, &self.options.limits, keys.span.position));
                matcher.fixed = keys.collect::<Result<_>>()?;
            }
            None => matcher.keys = templates,
        }
        Ok(matcher)
    }

    pub fn comparator(&mut self, name: &str, position: Position) -> Result<Comparator> {
        let comparator = match name {
            "i;octet" => Comparator::Octet,
            "i;ascii-casemap" => Comparator::AsciiCasemap,
            "i;ascii-numeric" => Comparator::AsciiNumeric,
            "i;unicode-casemap" => Comparator::UnicodeCasemap,
            _ => {
                return Err(Error::new(
                    ErrorKind::Unknown,
                    position,
                    format!("the comparator \"{}\" is not known", crate::lexer::shorten(name)),
                )
                .hint("there are i;octet, i;ascii-casemap, i;ascii-numeric and i;unicode-casemap"));
            }
        };
        if matches!(comparator, Comparator::AsciiNumeric | Comparator::UnicodeCasemap) {
            self.need(
                &format!("comparator-{name}"),
                position,
                &format!("the comparator {name}"),
            )?;
        }
        Ok(comparator)
    }
}

impl Matcher {
    fn key(&self, text: &str, limits: &Limits, position: Position) -> Result<Key> {
        let value = Value::new(text.to_owned());
        let mut key = Key {
            value,
            finder: None,
            glob: None,
            regex: None,
        };
        match self.kind {
            MatchType::Contains => {
                key.finder = Some(Finder::new(key.value.form(self.comparator)).into_owned());
            }
            MatchType::Matches => key.glob = Some(Glob::new(text, self.comparator)),
            MatchType::Regex => key.regex = Some(regex(text, self.comparator, limits, position)?),
            _ => {}
        }
        Ok(key)
    }

    pub fn is_count(&self) -> bool {
        matches!(self.kind, MatchType::Count(_))
    }

    /// Whether one of the values matches one of the keys.
    pub fn any(&self, run: &mut Run<'_>, values: &[Value]) -> Result<bool> {
        if values.is_empty() {
            return Ok(false);
        }
        run.looked_at(values.len());
        if self.kind == MatchType::List {
            return self.in_lists(run, values);
        }
        if self.keys.is_empty() {
            return Ok(self.try_keys(run, values, &self.fixed));
        }
        let keys = self.rendered(run)?;
        Ok(self.try_keys(run, values, &keys))
    }

    /// What a value must have, at least, for one of the keys to match; `None` where that can't be said beforehand.
    pub fn need(&self) -> Option<Need> {
        if !self.keys.is_empty() || !matches!(self.comparator, Comparator::Octet | Comparator::AsciiCasemap) {
            return None;
        }
        let texts = || self.fixed.iter().map(|key| key.value.text.as_bytes());
        match self.kind {
            MatchType::Is => Some(Need::whole_of(texts())),
            MatchType::Contains => Some(Need::pairs_of(texts())),
            MatchType::Matches => {
                let globs = self.fixed.iter().filter_map(|key| key.glob.as_ref());
                Some(Need::Pairs(
                    globs.map(Glob::pairs).fold(u64::MAX, |common, key| common & key),
                ))
            }
            _ => None,
        }
    }

    pub fn one(&self, run: &mut Run<'_>, text: &str) -> Result<bool> {
        self.any(run, std::slice::from_ref(&Value::new(text.to_owned())))
    }

    /// `:count`: compares how many there are with the keys (RFC 5231 §4.2).
    pub fn count(&self, run: &mut Run<'_>, count: usize) -> Result<bool> {
        let counted = Value::new(count.to_string());
        run.looked_at(1);
        if self.keys.is_empty() {
            return Ok(self.try_keys(run, std::slice::from_ref(&counted), &self.fixed));
        }
        let keys = self.rendered(run)?;
        Ok(self.try_keys(run, std::slice::from_ref(&counted), &keys))
    }

    fn rendered(&self, run: &mut Run<'_>) -> Result<Vec<Key>> {
        let mut keys = Vec::with_capacity(self.keys.len());
        for template in &self.keys {
            let text = template.render(run).into_owned();
            if self.kind == MatchType::Regex && template.fixed().is_none() {
                run.regexes_made += 1;
                if run.regexes_made > run.limits.regex_made {
                    return Err(run.limit(
                        "regular expressions are made from variables",
                        "regex_made",
                        run.limits.regex_made,
                    ));
                }
            }
            keys.push(self.key(&text, run.limits, Position::default())?);
        }
        Ok(keys)
    }

    fn in_lists(&self, run: &mut Run<'_>, values: &[Value]) -> Result<bool> {
        let lists: Vec<String> = if self.keys.is_empty() {
            self.fixed.iter().map(|key| key.value.text.clone()).collect()
        } else {
            self.keys.iter().map(|key| key.render(run).into_owned()).collect()
        };
        for list in &lists {
            for value in values {
                match run.world.list_contains(list, &value.text) {
                    Some(true) => {
                        run.matched(&value.text);
                        return Ok(true);
                    }
                    Some(false) => {}
                    None => {
                        let message = format!("the list \"{}\" cannot be asked", crate::lexer::shorten(list));
                        return Err(Error::new(ErrorKind::Run, Position::default(), message));
                    }
                }
            }
        }
        Ok(false)
    }

    fn try_keys(&self, run: &mut Run<'_>, values: &[Value], keys: &[Key]) -> bool {
        for value in values {
            for key in keys {
                if self.matches(run, value, key) {
                    run.matched(&value.text);
                    return true;
                }
            }
        }
        false
    }

    fn matches(&self, run: &mut Run<'_>, value: &Value, key: &Key) -> bool {
        let comparator = self.comparator;
        match self.kind {
            MatchType::Is => match comparator {
                Comparator::Octet => value.text == key.value.text,
                Comparator::AsciiCasemap => value.text.eq_ignore_ascii_case(&key.value.text),
                _ => comparator.compare(value, &key.value).is_eq(),
            },
            MatchType::Contains => {
                let form = value.form(comparator);
                key.finder
                    .as_ref()
                    .is_some_and(|finder| finder.find(form.as_bytes()).is_some())
            }
            MatchType::Value(relation) => relation.holds(comparator.compare(value, &key.value)),
            MatchType::Count(relation) => relation.holds(match comparator {
                Comparator::AsciiNumeric => comparator.compare(value, &key.value),
                // RFC 5231 §4.2: i;ascii-numeric should be used; the default compares as numbers too, as people mean it.
                _ => Comparator::AsciiNumeric.compare(value, &key.value),
            }),
            MatchType::Matches => {
                let Some(glob) = &key.glob else { return false };
                let mut captures = Vec::new();
                if !glob.matches(value.form(comparator), self.capture.then_some(&mut captures)) {
                    return false;
                }
                if self.capture {
                    let mut found = vec![value.text.clone()];
                    found.extend(
                        captures
                            .iter()
                            .take(run.limits.captures)
                            .map(|(start, end)| value.original(comparator, *start, *end).to_owned()),
                    );
                    run.set_captures(found);
                }
                true
            }
            MatchType::Regex => {
                let Some(regex) = &key.regex else { return false };
                let mut most = run.limits.regex_input_bytes.min(value.text.len());
                while !value.text.is_char_boundary(most) {
                    most -= 1;
                }
                let text = value.text.get(..most).unwrap_or_default();
                if !self.capture {
                    return regex.is_match(text);
                }
                let Some(captures) = regex.captures(text) else {
                    return false;
                };
                let found = captures
                    .iter()
                    .take(run.limits.captures + 1)
                    .map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()))
                    .collect();
                run.set_captures(found);
                true
            }
            MatchType::List => false,
        }
    }
}

fn regex(text: &str, comparator: Comparator, limits: &Limits, position: Position) -> Result<Regex> {
    if text.len() > limits.regex_bytes {
        return Err(Error::new(
            ErrorKind::Limit,
            position,
            format!(
                "a regular expression has {} octets; {} are allowed (limit regex_bytes)",
                text.len(),
                limits.regex_bytes
            ),
        ));
    }
    RegexBuilder::new(text)
        .case_insensitive(comparator != Comparator::Octet)
        .size_limit(limits.regex_program_bytes)
        .dfa_size_limit(limits.regex_program_bytes)
        .nest_limit(u32::try_from(limits.nesting).unwrap_or(32))
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(most) => Error::new(
                ErrorKind::Limit,
                position,
                format!(
                    "the regular expression needs more than {most} octets when compiled (limit regex_program_bytes)"
                ),
            )
            .hint("use smaller numbers in {…}"),
            other => {
                let text = other.to_string();
                let last = text
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned();
                Error::new(
                    ErrorKind::Argument,
                    position,
                    format!("this is no regular expression: {last}"),
                )
            }
        })
}

/// A pattern of `:matches` (RFC 5228 §2.7.1): `*` stands for any text, as short as possible, `?` for one character, a backslash
/// takes the next character as it is.
///
/// Each piece between stars is looked for from where the last one ended, so the time is bounded by the product of the lengths.
#[derive(Debug)]
struct Glob {
    /// Between stars. One piece: there is no star.
    pieces: Vec<Vec<Atom>>,
}

#[derive(Debug)]
enum Atom {
    Text(Box<[u8]>),
    Any,
}

impl Glob {
    fn new(pattern: &str, comparator: Comparator) -> Glob {
        let mut pieces = vec![Vec::new()];
        let mut text = String::new();
        fn flush(text: &mut String, pieces: &mut [Vec<Atom>], comparator: Comparator) {
            if !text.is_empty() {
                let value = Value::new(std::mem::take(text));
                if let Some(piece) = pieces.last_mut() {
                    piece.push(Atom::Text(value.form(comparator).as_bytes().into()));
                }
            }
        }
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => {
                    flush(&mut text, &mut pieces, comparator);
                    pieces.push(Vec::new());
                }
                '?' => {
                    flush(&mut text, &mut pieces, comparator);
                    if let Some(piece) = pieces.last_mut() {
                        piece.push(Atom::Any);
                    }
                }
                '\\' => text.extend(chars.next()),
                c => text.push(c),
            }
        }
        flush(&mut text, &mut pieces, comparator);
        Glob { pieces }
    }

    /// The pairs of octets that whatever matches has.
    fn pairs(&self) -> u64 {
        let atoms = self.pieces.iter().flatten();
        atoms.fold(0, |set, atom| match atom {
            Atom::Text(text) => set | pairs(text),
            Atom::Any => set,
        })
    }

    /// Whether all of `text` matches; what the wild cards stood for is appended to `captures`.
    fn matches(&self, text: &str, mut captures: Option<&mut Vec<(usize, usize)>>) -> bool {
        let bytes = text.as_bytes();
        let Some((first, rest)) = self.pieces.split_first() else {
            return bytes.is_empty();
        };
        let Some(mut at) = piece_at(first, bytes, 0, captures.as_deref_mut()) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return at == bytes.len();
        };
        for piece in middle {
            let Some(start) = find_piece(piece, bytes, at) else {
                return false;
            };
            if let Some(captures) = captures.as_deref_mut() {
                captures.push((at, start));
            }
            match piece_at(piece, bytes, start, captures.as_deref_mut()) {
                Some(end) => at = end,
                None => return false,
            }
        }
        let Some(start) = piece_before(last, bytes, bytes.len()).filter(|start| *start >= at) else {
            return false;
        };
        if let Some(captures) = captures.as_deref_mut() {
            captures.push((at, start));
        }
        piece_at(last, bytes, start, captures) == Some(bytes.len())
    }
}

/// Where the piece ends if it begins at `at`.
fn piece_at(piece: &[Atom], bytes: &[u8], at: usize, mut captures: Option<&mut Vec<(usize, usize)>>) -> Option<usize> {
    let mut at = at;
    for atom in piece {
        match atom {
            Atom::Text(text) => {
                if !bytes.get(at..)?.starts_with(text) {
                    return None;
                }
                at += text.len();
            }
            Atom::Any => {
                let end = at + char_length(*bytes.get(at)?);
                if let Some(captures) = captures.as_deref_mut() {
                    captures.push((at, end));
                }
                at = end;
            }
        }
    }
    Some(at)
}

/// Where the piece begins if it ends at `end`.
fn piece_before(piece: &[Atom], bytes: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    for atom in piece.iter().rev() {
        match atom {
            Atom::Text(text) => {
                if !bytes.get(..at)?.ends_with(text) {
                    return None;
                }
                at -= text.len();
            }
            Atom::Any => {
                at = at.checked_sub(1)?;
                while at > 0 && bytes.get(at).is_some_and(|b| b & 0xC0 == 0x80) {
                    at -= 1;
                }
            }
        }
    }
    Some(at)
}

/// The first place from `from` on where the piece begins.
fn find_piece(piece: &[Atom], bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        if let Some(Atom::Text(text)) = piece.first() {
            at += memmem::find(bytes.get(at..)?, text)?;
        }
        if piece_at(piece, bytes, at, None).is_some() {
            return Some(at);
        }
        at += char_length(*bytes.get(at)?);
    }
}

fn char_length(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", Some(vec![""])),
            ("", "", Some(vec![])),
            ("", "a", None),
            ("a*", "abc", Some(vec!["bc"])),
            ("*c", "abc", Some(vec!["ab"])),
            ("a?c", "abc", Some(vec!["b"])),
            ("a?c", "a\u{fc}c", Some(vec!["\u{fc}"])),
            ("??", "a", None),
            ("*?", "ab", Some(vec!["a", "b"])),
            ("?*", "ab", Some(vec!["a", "b"])),
            ("*-*-*", "a-b-c-d", Some(vec!["a", "b", "c-d"])),
            (
                "*@**.com",
                "coyote@acme.example.com",
                Some(vec!["coyote", "", "acme.example"]),
            ),
            ("\\*", "*", Some(vec![])),
            ("\\*", "a", None),
            ("\\\\", "\\", Some(vec![])),
            ("ab*ba", "aba", None),
            ("*aab", "aaab", Some(vec!["a"])),
            ("*x?z*", "xyxyz", Some(vec!["xy", "y", ""])),
        ] {
            let mut captures = Vec::new();
            let matched = Glob::new(pattern, Comparator::Octet).matches(text, Some(&mut captures));
            let found: Vec<&str> = captures.iter().map(|(start, end)| &text[*start..*end]).collect();
            assert_eq!(matched.then_some(found), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn numbers() {
        let compare = |a: &str, b: &str| Comparator::AsciiNumeric.compare(&Value::new(a.into()), &Value::new(b.into()));
        assert_eq!(compare("010", "10x"), Ordering::Equal);
        assert_eq!(compare("9", "10"), Ordering::Less);
        assert_eq!(
            compare("99999999999999999999999", "100000000000000000000000"),
            Ordering::Less
        );
        assert_eq!(compare("x", "10"), Ordering::Greater);
        assert_eq!(compare("x", ""), Ordering::Equal);
    }

    #[test]
    fn unicode_case() {
        let same = |a: &str, b: &str| {
            Comparator::UnicodeCasemap
                .compare(&Value::new(a.into()), &Value::new(b.into()))
                .is_eq()
        };
        assert!(same("\u{e4}RGER", "\u{c4}rger"));
        assert!(same("a\u{308}", "\u{c4}"));
        assert!(!same("a", "b"));
    }
}
