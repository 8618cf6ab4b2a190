//! Whether what the server says is in the grammar: the ABNF (RFC 5234) of `responses.abnf`, put to octets. Where a rule can end in several
//! places all of them are followed, so that the order of alternatives does not matter.

use std::collections::HashMap;
use std::sync::OnceLock;

#[derive(Debug)]
enum Node {
    /// In any case.
    Text(Vec<u8>),
    Range(u8, u8),
    Any(Vec<Node>),
    All(Vec<Node>),
    Repeat(usize, usize, Box<Node>),
    Rule(usize),
    /// `{n}` and n octets; with `~` in front, NUL may be among them.
    Literal {
        binary: bool,
    },
}

pub struct Grammar {
    rules: Vec<Node>,
    names: Vec<String>,
}

/// Panics unless `octets` are responses, one after the other. What is cut off at the end is not looked at.
pub fn check(octets: &[u8], place: &str) {
    let grammar = Grammar::responses();
    let mut rest = octets;
    while let Some(len) = length(rest) {
        let (response, behind) = rest.split_at(len);
        if let Err(at) = grammar.matches("response", response) {
            let (good, bad) = response.split_at(at);
            let shown = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            panic!(
                "{place}: not in the grammar of RFC 9051:\n{}⟦here⟧{}",
                shown(good),
                shown(bad)
            );
        }
        rest = behind;
    }
}

/// Octets of the first response, its literals included. `None`: it is not whole.
fn length(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = octets.get(at..)?;
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = literal(&rest[..end + 2]).filter(|_| octets.first() != Some(&b'+'));
        at += end + 2;
        match size {
            Some(size) => at += size,
            None => return Some(at),
        }
    }
}

/// The number in a `{n}` at the end of a line.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

impl Grammar {
    /// What `responses.abnf` says.
    pub fn responses() -> &'static Grammar {
        static READ: OnceLock<Grammar> = OnceLock::new();
        READ.get_or_init(|| Grammar::read(include_str!("responses.abnf")))
    }

    fn read(text: &str) -> Grammar {
        // Lines that begin with a space belong to the rule before.
        let mut definitions: Vec<(String, String)> = Vec::new();
        for line in text.lines().map(without_comment).filter(|line| !line.trim().is_empty()) {
            if line.starts_with(' ') {
                definitions.last_mut().expect("a rule").1.push_str(line);
            } else {
                let (name, definition) = line.split_once(" = ").expect("NAME = DEFINITION");
                definitions.push((name.to_owned(), definition.to_owned()));
            }
        }
        let names: Vec<String> = definitions.iter().map(|(name, _)| name.clone()).collect();
        let rules = definitions
            .iter()
            .map(|(name, definition)| {
                let mut reader = Reader {
                    tokens: tokens(definition),
                    at: 0,
                    names: &names,
                };
                let node = reader.alternatives();
                assert_eq!(reader.at, reader.tokens.len(), "the definition of {name} goes on");
                node
            })
            .collect();
        Grammar { rules, names }
    }

    /// Whether the rule of that name covers all of `octets`. `Err`: how far it came.
    fn matches(&self, rule: &str, octets: &[u8]) -> Result<(), usize> {
        let rule = self.names.iter().position(|name| name == rule).expect("a rule");
        let mut attempt = Attempt {
            grammar: self,
            octets,
            known: HashMap::new(),
            farthest: 0,
        };
        if attempt.ends(&Node::Rule(rule), 0).contains(&octets.len()) {
            Ok(())
        } else {
            Err(attempt.farthest)
        }
    }
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let comment = line.find(|character| {
        quoted ^= character == '"';
        character == ';' && !quoted
    });
    &line[..comment.unwrap_or(line.len())]
}

fn tokens(definition: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = definition.trim();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => rest[1..].find('"').expect("a closing quote") + 2,
            '(' | ')' | '[' | ']' | '/' => 1,
            '0'..='9' | '*' => rest
                .find(|c: char| !c.is_ascii_digit() && c != '*')
                .expect("an element"),
            _ => rest
                .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '%'))
                .unwrap_or(rest.len()),
        };
        tokens.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    tokens
}

struct Reader<'t> {
    tokens: Vec<&'t str>,
    at: usize,
    names: &'t [String],
}

impl Reader<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).copied()
    }

    fn alternatives(&mut self) -> Node {
        let mut all = vec![self.sequence()];
        while self.peek() == Some("/") {
            self.at += 1;
            all.push(self.sequence());
        }
        Node::Any(all)
    }

    fn sequence(&mut self) -> Node {
        let mut all = Vec::new();
        while !matches!(self.peek(), None | Some("/" | ")" | "]")) {
            all.push(self.repetition());
        }
        Node::All(all)
    }

    fn repetition(&mut self) -> Node {
        let count = self
            .peek()
            .filter(|token| token.starts_with(|c: char| c.is_ascii_digit() || c == '*'));
        let Some(count) = count.map(str::to_owned) else {
            return self.element();
        };
        self.at += 1;
        let (least, most) = match count.split_once('*') {
            Some((least, most)) => (least.parse().unwrap_or(0), most.parse().unwrap_or(usize::MAX)),
            None => (count.parse().expect("a number"), count.parse().expect("a number")),
        };
        Node::Repeat(least, most, Box::new(self.element()))
    }

    fn element(&mut self) -> Node {
        let token = self.peek().expect("an element").to_owned();
        self.at += 1;
        match token.as_str() {
            "(" | "[" => {
                let inner = self.alternatives();
                assert!(matches!(self.peek(), Some(")" | "]")), "a bracket is open");
                self.at += 1;
                if token == "(" {
                    inner
                } else {
                    Node::Repeat(0, 1, Box::new(inner))
                }
            }
            "literal" => Node::Literal { binary: false },
            "literal8" => Node::Literal { binary: true },
            text if text.starts_with('"') => Node::Text(text.trim_matches('"').as_bytes().to_ascii_lowercase()),
            range if range.starts_with("%x") => {
                let octet = |digits: &str| u8::from_str_radix(digits, 16).expect("an octet");
                let (from, to) = range[2..].split_once('-').unwrap_or((&range[2..], &range[2..]));
                Node::Range(octet(from), octet(to))
            }
            name => Node::Rule(
                self.names
                    .iter()
                    .position(|known| known == name)
                    .unwrap_or_else(|| panic!("there is no rule {name}")),
            ),
        }
    }
}

struct Attempt<'g> {
    grammar: &'g Grammar,
    octets: &'g [u8],
    known: HashMap<(usize, usize), Vec<usize>>,
    farthest: usize,
}

impl Attempt<'_> {
    /// Where `node` can end that begins at `at`.
    fn ends(&mut self, node: &Node, at: usize) -> Vec<usize> {
        self.farthest = self.farthest.max(at);
        let rest = &self.octets[at..];
        match node {
            Node::Text(text) => {
                let there = rest
                    .get(..text.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(text));
                there.then_some(at + text.len()).into_iter().collect()
            }
            Node::Range(from, to) => {
                let there = rest.first().is_some_and(|octet| (from..=to).contains(&octet));
                there.then_some(at + 1).into_iter().collect()
            }
            Node::Literal { binary } => self.literal(*binary, at).into_iter().collect(),
            Node::Any(nodes) => unique(nodes.iter().flat_map(|node| self.ends(node, at)).collect()),
            Node::All(nodes) => nodes
                .iter()
                .fold(vec![at], |starts, node| self.ends_of_all(node, &starts)),
            Node::Repeat(least, most, node) => {
                let (mut found, mut starts) = (Vec::new(), vec![at]);
                for count in 0.. {
                    if count >= *least {
                        starts.retain(|start| !found.contains(start));
                        found.extend_from_slice(&starts);
                    }
                    if starts.is_empty() || count == *most {
                        break;
                    }
                    starts = self.ends_of_all(node, &starts);
                }
                found
            }
            Node::Rule(rule) => {
                if let Some(known) = self.known.get(&(*rule, at)) {
                    return known.clone();
                }
                let ends = self.ends(&self.grammar.rules[*rule], at);
                self.known.insert((*rule, at), ends.clone());
                ends
            }
        }
    }

    fn ends_of_all(&mut self, node: &Node, starts: &[usize]) -> Vec<usize> {
        unique(starts.iter().flat_map(|&start| self.ends(node, start)).collect())
    }

    fn literal(&self, binary: bool, at: usize) -> Option<usize> {
        let rest = &self.octets[at..];
        let mark = if binary { rest.strip_prefix(b"~")? } else { rest };
        let line = mark.windows(2).position(|two| two == b"\r\n")?;
        let size = literal(&mark[..line + 2]).filter(|_| mark.first() == Some(&b'{'))?;
        let start = at + usize::from(binary) + line + 2;
        let octets = self.octets.get(start..start + size)?;
        (binary || !octets.contains(&0)).then_some(start + size)
    }
}

fn unique(mut ends: Vec<usize>) -> Vec<usize> {
    ends.sort_unstable();
    ends.dedup();
    ends
}

#[test]
fn the_grammar_tells_right_from_wrong() {
    let grammar = Grammar::responses();
    for (response, right) in [
        ("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n", true),
        ("* OK [CAPABILITY IMAP4rev1 hello\r\n", false),
        ("a1 OK \r\n", false),
        ("+ \r\n", true),
        ("* 1 FETCH (FLAGS (\\Seen $a) UID 3)\r\n", true),
        ("* 1 FETCH (FLAGS (\\Seen  $a))\r\n", false),
        ("* 0 FETCH (UID 3)\r\n", false),
        ("* 1 FETCH (BODY[] {3}\r\na)\r UID 2)\r\n", true),
        ("* 1 FETCH (BODY[] {3}\r\na\0b)\r\n", false),
        ("* 1 FETCH (BINARY[1] ~{3}\r\na\0b)\r\n", true),
        ("* LIST (\\Noselect) \"/\" \"a b\"\r\n", true),
        ("* LIST (\\Noselect) \"/\" a b\r\n", false),
        ("* LIST () \"/\" a%\r\n", false),
        ("* SEARCH\r\n", true),
        ("* SEARCH \r\n", false),
        ("* SEARCH 1 0\r\n", false),
        ("* THREAD (1)(2 3)((4)(5))\r\n", true),
        ("* STATUS a (MESSAGES 1 UIDNEXT 0)\r\n", false),
        ("* 1 EXPUNGE\r", false),
    ] {
        assert_eq!(
            grammar.matches("response", response.as_bytes()).is_ok(),
            right,
            "{response}"
        );
    }
}
