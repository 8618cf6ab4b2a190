//! What a message has to be like.

use crate::model::{is_false, yes};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A test, or its opposite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Holds where the test does not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not: bool,
    /// The test.
    #[serde(flatten)]
    pub test: Test,
}

/// What is looked at, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "kebab-case")]
pub enum Test {
    /// Every message.
    Always,
    /// The text of header fields (RFC 5228 §5.7).
    Header {
        /// The fields; one of them is enough.
        headers: Vec<String>,
        /// How it is compared, and with what.
        #[serde(flatten)]
        is: Comparison,
    },
    /// The addresses in header fields (RFC 5228 §5.1).
    Address {
        /// The fields; one of them is enough.
        headers: Vec<String>,
        /// Which part of the address.
        #[serde(default)]
        part: AddressPart,
        /// How it is compared, and with what.
        #[serde(flatten)]
        is: Comparison,
    },
    /// The sender and recipient of the delivery (RFC 5228 §5.4).
    Envelope {
        /// `from` or `to`.
        fields: Vec<String>,
        /// Which part of the address.
        #[serde(default)]
        part: AddressPart,
        /// How it is compared, and with what.
        #[serde(flatten)]
        is: Comparison,
    },
    /// All these header fields are there.
    Exists {
        /// The fields.
        headers: Vec<String>,
    },
    /// The size of the message in octets.
    Size {
        /// Larger than that, or smaller.
        #[serde(default = "yes")]
        over: bool,
        /// The limit, which itself is neither over nor under.
        octets: u64,
    },
    /// The text of the message (RFC 5173).
    Body {
        /// Which text.
        #[serde(default)]
        of: BodyPart,
        /// How it is compared, and with what.
        #[serde(flatten)]
        is: Comparison,
    },
    /// What the spam filter says (RFC 5235): 0 not tested, 1 clear, to 10 surely spam; with `percent` 0 to 100.
    Spam {
        /// On the scale to 100.
        #[serde(default, skip_serializing_if = "is_false")]
        percent: bool,
        /// How it is compared, and with what.
        #[serde(flatten)]
        is: Comparison,
    },
    /// The time at which the message is delivered (RFC 5260 §5).
    CurrentDate {
        /// The zone in which it is told, as `+0100`; none: the server's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
        /// `date`, `time`, `iso8601`, `weekday`, `hour` …
        date_part: String,
        /// How it is compared, and with what.
        #[serde(flatten)]
        is: Comparison,
    },
    /// A time in a header field (RFC 5260 §4).
    Date {
        /// The field.
        header: String,
        /// The zone in which it is told, as `+0100`, or `original`; none: the server's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
        /// `date`, `time`, `iso8601`, `weekday`, `hour` …
        date_part: String,
        /// How it is compared, and with what.
        #[serde(flatten)]
        is: Comparison,
    },
}

/// How a value is compared, and with what: one of the values is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// How.
    #[serde(rename = "match", default)]
    pub how: Match,
    /// In which alphabet.
    #[serde(default, skip_serializing_if = "Comparator::is_default")]
    pub comparator: Comparator,
    /// With what.
    pub values: Vec<String>,
}

/// How a value is compared. In JSON `is`, `contains`, `matches`, `regex`, `value-ge`, `count-lt` …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Match {
    /// Equal.
    #[default]
    Is,
    /// Part of it.
    Contains,
    /// A pattern with `*` and `?`.
    Matches,
    /// A regular expression.
    Regex,
    /// Larger, smaller (RFC 5231).
    Value(Relation),
    /// So many of them (RFC 5231).
    Count(Relation),
}

/// A relation of RFC 5231.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
}

/// In which alphabet values are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// Capital letters are like small ones, in ASCII.
    #[default]
    #[serde(rename = "i;ascii-casemap")]
    AsciiCasemap,
    /// Octet by octet.
    #[serde(rename = "i;octet")]
    Octet,
    /// As numbers.
    #[serde(rename = "i;ascii-numeric")]
    Numeric,
    /// Capital letters are like small ones, in every script.
    #[serde(rename = "i;unicode-casemap")]
    UnicodeCasemap,
}

/// Which part of an address (RFC 5228 §2.7.4, RFC 5233).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressPart {
    /// All of it.
    #[default]
    All,
    /// Before the `@`.
    Localpart,
    /// Behind the `@`.
    Domain,
    /// Before the `+`.
    User,
    /// Between `+` and `@`.
    Detail,
}

/// Which text of a message (RFC 5173 §5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyPart {
    /// What a person reads.
    #[default]
    Text,
    /// The octets as they came.
    Raw,
    /// The parts of these media types.
    Content(Vec<String>),
}

impl Condition {
    /// The test itself.
    pub fn new(test: Test) -> Condition {
        Condition { not: false, test }
    }

    /// Its opposite.
    #[allow(clippy::should_implement_trait)]
    pub fn not(mut self) -> Condition {
        self.not = !self.not;
        self
    }

    /// Every message.
    pub fn always() -> Condition {
        Condition::new(Test::Always)
    }

    /// The address in `From`.
    pub fn sender(how: Match, values: &[&str]) -> Condition {
        Condition::new(Test::Address {
            headers: vec!["from".into()],
            part: AddressPart::All,
            is: Comparison::new(how, values),
        })
    }

    /// An address in `To` or `Cc`.
    pub fn recipient(how: Match, values: &[&str]) -> Condition {
        Condition::new(Test::Address {
            headers: vec!["to".into(), "cc".into()],
            part: AddressPart::All,
            is: Comparison::new(how, values),
        })
    }

    /// The subject.
    pub fn subject(how: Match, values: &[&str]) -> Condition {
        Condition::header("subject", how, values)
    }

    /// The mailing list it came through (RFC 2919).
    pub fn list(how: Match, values: &[&str]) -> Condition {
        Condition::header("list-id", how, values)
    }

    /// Any header field.
    pub fn header(name: &str, how: Match, values: &[&str]) -> Condition {
        Condition::new(Test::Header {
            headers: vec![name.into()],
            is: Comparison::new(how, values),
        })
    }

    /// Larger than so many octets.
    pub fn larger_than(octets: u64) -> Condition {
        Condition::new(Test::Size { over: true, octets })
    }

    /// The spam score is this, of 10, or more.
    pub fn spam_score(least: u8) -> Condition {
        Condition::new(Test::Spam {
            percent: false,
            is: Comparison {
                how: Match::Value(Relation::Ge),
                comparator: Comparator::Numeric,
                values: vec![least.to_string()],
            },
        })
    }

    /// Whether it is the test that every message passes.
    pub fn is_always(&self) -> bool {
        !self.not && self.test == Test::Always
    }
}

impl Test {
    /// How it compares and with what, where it does.
    pub fn comparison(&self) -> Option<&Comparison> {
        match self {
            Test::Header { is, .. }
            | Test::Address { is, .. }
            | Test::Envelope { is, .. }
            | Test::Body { is, .. }
            | Test::Spam { is, .. }
            | Test::CurrentDate { is, .. }
            | Test::Date { is, .. } => Some(is),
            Test::Always | Test::Exists { .. } | Test::Size { .. } => None,
        }
    }
}

impl Comparison {
    /// With the usual alphabet.
    pub fn new(how: Match, values: &[&str]) -> Comparison {
        Comparison {
            how,
            comparator: Comparator::default(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        }
    }
}

impl Comparator {
    /// The name it has in a script.
    pub fn name(self) -> &'static str {
        match self {
            Comparator::AsciiCasemap => "i;ascii-casemap",
            Comparator::Octet => "i;octet",
            Comparator::Numeric => "i;ascii-numeric",
            Comparator::UnicodeCasemap => "i;unicode-casemap",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Comparator> {
        [
            Comparator::AsciiCasemap,
            Comparator::Octet,
            Comparator::Numeric,
            Comparator::UnicodeCasemap,
        ]
        .into_iter()
        .find(|c| c.name() == name)
    }

    fn is_default(&self) -> bool {
        *self == Comparator::default()
    }
}

impl AddressPart {
    /// The tag without its colon.
    pub fn name(self) -> &'static str {
        match self {
            AddressPart::All => "all",
            AddressPart::Localpart => "localpart",
            AddressPart::Domain => "domain",
            AddressPart::User => "user",
            AddressPart::Detail => "detail",
        }
    }

    /// The one of that tag.
    pub fn of_name(name: &str) -> Option<AddressPart> {
        [
            AddressPart::All,
            AddressPart::Localpart,
            AddressPart::Domain,
            AddressPart::User,
            AddressPart::Detail,
        ]
        .into_iter()
        .find(|p| p.name() == name)
    }
}

impl Relation {
    /// Its two letters.
    pub fn name(self) -> &'static str {
        match self {
            Relation::Gt => "gt",
            Relation::Ge => "ge",
            Relation::Lt => "lt",
            Relation::Le => "le",
            Relation::Eq => "eq",
            Relation::Ne => "ne",
        }
    }

    /// The one of those letters.
    pub fn of_name(name: &str) -> Option<Relation> {
        [
            Relation::Gt,
            Relation::Ge,
            Relation::Lt,
            Relation::Le,
            Relation::Eq,
            Relation::Ne,
        ]
        .into_iter()
        .find(|r| r.name() == name)
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Is => f.write_str("is"),
            Match::Contains => f.write_str("contains"),
            Match::Matches => f.write_str("matches"),
            Match::Regex => f.write_str("regex"),
            Match::Value(relation) => write!(f, "value-{}", relation.name()),
            Match::Count(relation) => write!(f, "count-{}", relation.name()),
        }
    }
}

impl From<Match> for String {
    fn from(how: Match) -> String {
        how.to_string()
    }
}

impl TryFrom<String> for Match {
    type Error = String;

    fn try_from(name: String) -> Result<Match, String> {
        name.parse()
    }
}

impl FromStr for Match {
    type Err = String;

    fn from_str(name: &str) -> Result<Match, String> {
        let related = |prefix: &str| name.strip_prefix(prefix).and_then(Relation::of_name);
        match name {
            "is" => Ok(Match::Is),
            "contains" => Ok(Match::Contains),
            "matches" => Ok(Match::Matches),
            "regex" => Ok(Match::Regex),
            _ => related("value-")
                .map(Match::Value)
                .or_else(|| related("count-").map(Match::Count))
                .ok_or_else(|| {
                    format!("`{name}` is no way of comparing: is, contains, matches, regex, value-ge, count-lt …")
                }),
        }
    }
}
