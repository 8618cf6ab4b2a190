//! SEARCH (RFC 3501 §7.2.5, `MODSEQ`: RFC 7162 §3.1.5) and ESEARCH (RFC 9051 §7.3.4).

use crate::NumberSet;
use crate::response::{Encoder, quoted_or_literal};

/// An ESEARCH response. What is `None` wasn't asked for or has no value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Esearch<'a> {
    /// The command's tag.
    pub tag: &'a str,
    /// The numbers are UIDs.
    pub uid: bool,
    /// The smallest.
    pub min: Option<u32>,
    /// The largest.
    pub max: Option<u32>,
    /// All of them; left out if empty.
    pub all: Option<&'a NumberSet>,
    /// How many.
    pub count: Option<u64>,
    /// The highest mod-sequence of what was found.
    pub modseq: Option<u64>,
}

impl Encoder<'_> {
    /// `* SEARCH 2 3 6 (MODSEQ 917162500)`
    pub fn search(&mut self, numbers: impl IntoIterator<Item = u32>, modseq: Option<u64>) {
        self.push("* SEARCH");
        for number in numbers {
            self.push(" ");
            self.number(number);
        }
        if let Some(modseq) = modseq {
            self.print(format_args!(" (MODSEQ {modseq})"));
        }
        self.end();
    }

    /// `* ESEARCH (TAG "A282") MIN 2 COUNT 3`
    pub fn esearch(&mut self, response: &Esearch<'_>) {
        self.push("* ESEARCH (TAG ");
        quoted_or_literal(self.out, response.tag.as_bytes(), self.utf8);
        self.push(")");
        if response.uid {
            self.push(" UID");
        }
        if let Some(min) = response.min {
            self.print(format_args!(" MIN {min}"));
        }
        if let Some(max) = response.max {
            self.print(format_args!(" MAX {max}"));
        }
        if let Some(all) = response.all.filter(|all| !all.is_empty()) {
            self.print(format_args!(" ALL {all}"));
        }
        if let Some(count) = response.count {
            self.print(format_args!(" COUNT {count}"));
        }
        if let Some(modseq) = response.modseq {
            self.print(format_args!(" MODSEQ {modseq}"));
        }
        self.end();
    }
}
