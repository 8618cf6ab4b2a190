//! SEARCH (RFC 3501 §7.2.5, `MODSEQ`: RFC 7162 §3.1.5) and ESEARCH (RFC 9051 §7.3.4), also as the answer to SORT (RFC 5267 §3), as its
//! updates (RFC 5267 §4.3) and of several mailboxes (RFC 7377 §2.1), with `PARTIAL` (RFC 9394 §3.1) and `RELEVANCY` (RFC 6203 §4).

use crate::command::PartialRange;
use crate::response::{Encoder, astring, quoted_or_literal};
use crate::{MailboxName, NumberSet};

/// An ESEARCH response. What is `None` wasn't asked for or has no value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Esearch<'a> {
    /// The command's tag.
    pub tag: &'a str,
    /// Of which mailbox, if that needs to be said.
    pub mailbox: Option<Correlator<'a>>,
    /// The numbers are UIDs.
    pub uid: bool,
    /// The smallest.
    pub min: Option<u32>,
    /// The largest.
    pub max: Option<u32>,
    /// All of them; left out if empty.
    pub all: Option<&'a NumberSet>,
    /// All of them in the order of a SORT, instead of `all`.
    pub sorted: Option<&'a [u32]>,
    /// A piece of them.
    pub partial: Option<Partials<'a>>,
    /// How well each fits that `all`, `sorted` or `partial` tells of.
    pub relevancy: Option<&'a [u8]>,
    /// How many.
    pub count: Option<u64>,
    /// The highest mod-sequence of what was found.
    pub modseq: Option<u64>,
}

/// The mailbox an ESEARCH response tells of. RFC 7377 §2.1
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correlator<'a> {
    /// Its name.
    pub mailbox: &'a MailboxName,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
}

/// A piece of a result: the range that was asked for, and what is in it, in the order of the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Partials<'a> {
    /// As asked.
    pub range: PartialRange,
    /// May be empty.
    pub numbers: &'a [u32],
}

/// How the result of a search has changed. RFC 5267 §4.3. Each piece is a place in the result, counted from 1, with the numbers that go from
/// there or come to there, in the order of the result; place 0 stands for wherever the order of the mailbox has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EsearchUpdate<'a> {
    /// The tag of the search.
    pub tag: &'a str,
    /// The numbers are UIDs.
    pub uid: bool,
    /// What is in the result no more.
    pub removed: &'a [(u32, Vec<u32>)],
    /// What has come to it.
    pub added: &'a [(u32, Vec<u32>)],
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
        if let Some(correlator) = &response.mailbox {
            self.push(" MAILBOX ");
            let name = correlator.mailbox.encode(self.utf8);
            astring(self.out, name.as_bytes(), self.utf8);
            self.print(format_args!(" UIDVALIDITY {}", correlator.uid_validity));
        }
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
        if let Some(sorted) = response.sorted.filter(|sorted| !sorted.is_empty()) {
            self.push(" ALL ");
            self.in_order(sorted);
        }
        if let Some(partial) = &response.partial {
            self.print(format_args!(" PARTIAL ({} ", partial.range));
            if partial.numbers.is_empty() {
                self.push("NIL");
            } else {
                self.in_order(partial.numbers);
            }
            self.push(")");
        }
        if let Some(relevancy) = response.relevancy.filter(|relevancy| !relevancy.is_empty()) {
            self.push(" RELEVANCY (");
            for (i, score) in relevancy.iter().enumerate() {
                if i > 0 {
                    self.push(" ");
                }
                self.number(u32::from(*score));
            }
            self.push(")");
        }
        if let Some(count) = response.count {
            self.print(format_args!(" COUNT {count}"));
        }
        if let Some(modseq) = response.modseq {
            self.print(format_args!(" MODSEQ {modseq}"));
        }
        self.end();
    }

    /// `* ESEARCH (TAG "B01") UID ADDTO (0 32768:32769)`
    pub fn esearch_update(&mut self, update: &EsearchUpdate<'_>) {
        self.push("* ESEARCH (TAG ");
        quoted_or_literal(self.out, update.tag.as_bytes(), self.utf8);
        self.push(if update.uid { ") UID" } else { ")" });
        for (name, pieces) in [("REMOVEFROM", update.removed), ("ADDTO", update.added)] {
            for (i, (place, numbers)) in pieces.iter().enumerate() {
                match i {
                    0 => self.print(format_args!(" {name} ({place} ")),
                    _ => self.print(format_args!(" {place} ")),
                }
                self.in_order(numbers);
            }
            if !pieces.is_empty() {
                self.push(")");
            }
        }
        self.end();
    }

    /// Numbers as a sequence set that keeps their order: only what ascends by one becomes a range.
    fn in_order(&mut self, numbers: &[u32]) {
        let mut rest = numbers;
        while let Some((&from, _)) = rest.split_first() {
            let run = rest
                .iter()
                .zip(from..)
                .take_while(|(number, expected)| *number == expected)
                .count();
            if rest.len() < numbers.len() {
                self.push(",");
            }
            self.number(from);
            if let Some(&to) = rest.get(run - 1).filter(|_| run > 1) {
                self.push(":");
                self.number(to);
            }
            rest = rest.get(run..).unwrap_or_default();
        }
    }
}
