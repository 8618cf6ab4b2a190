//! SORT and THREAD (RFC 5256), SORT by displayed names (RFC 5957), `RETURN` for SORT (RFC 5267 §3), by relevance (RFC 6203 §4).

use crate::command::{SearchKey, SearchReturn};
use crate::cursor::Cursor;
use crate::thread::Algorithm;
use crate::{Error, Result};

/// SORT.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    /// The answer is in UIDs.
    pub uid: bool,
    /// What is answered. `None`: a SORT response.
    pub returns: Option<SearchReturn>,
    /// By what, the most important first.
    pub criteria: Vec<SortCriterion>,
    /// Which messages: all of these.
    pub keys: Vec<SearchKey>,
}

/// One thing to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// Largest first.
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// What messages can be sorted by. RFC 5256 §3, RFC 5957 §3, RFC 6203 §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// Internal date, with its time.
    Arrival,
    /// Local part of the first `Cc` address.
    Cc,
    /// `Date:`, or the internal date where there is none.
    Date,
    /// Local part of the first `From` address.
    From,
    /// Octets.
    Size,
    /// Base subject.
    Subject,
    /// Local part of the first `To` address.
    To,
    /// Name that is shown for the first `From` address.
    DisplayFrom,
    /// Name that is shown for the first `To` address.
    DisplayTo,
    /// How well a message fits what is looked for.
    Relevancy,
}

/// THREAD.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// The answer is in UIDs.
    pub uid: bool,
    /// How.
    pub algorithm: Algorithm,
    /// Which messages: all of these.
    pub keys: Vec<SearchKey>,
}

impl<'a> Cursor<'a> {
    // sort = ["UID" SP] "SORT" [SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"] SP sort-criteria SP search-criteria
    pub(crate) fn sort(&mut self, uid: bool) -> Result<Sort> {
        let returns = self.search_returns()?;
        let criteria = self.list(false, Cursor::sort_criterion)?;
        // Nothing is said twice with another effect.
        if criteria.len() > MOST_CRITERIA {
            return Err(Error::TooMany("sort criteria"));
        }
        self.space()?;
        Ok(Sort {
            uid,
            returns,
            criteria,
            keys: self.search_criteria()?,
        })
    }

    // sort-criterion = ["REVERSE" SP] sort-key
    fn sort_criterion(&mut self) -> Result<SortCriterion> {
        let reverse = self.eat_word("REVERSE");
        if reverse {
            self.space()?;
        }
        let name = self.word("a sort key")?.to_ascii_uppercase();
        let key = match name.as_str() {
            "ARRIVAL" => SortKey::Arrival,
            "CC" => SortKey::Cc,
            "DATE" => SortKey::Date,
            "FROM" => SortKey::From,
            "SIZE" => SortKey::Size,
            "SUBJECT" => SortKey::Subject,
            "TO" => SortKey::To,
            "DISPLAYFROM" => SortKey::DisplayFrom,
            "DISPLAYTO" => SortKey::DisplayTo,
            "RELEVANCY" => SortKey::Relevancy,
            _ => return Err(Error::Unknown("sort key")),
        };
        Ok(SortCriterion { reverse, key })
    }

    // thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria
    pub(crate) fn thread(&mut self, uid: bool) -> Result<Thread> {
        let name = self.word("a threading algorithm")?.to_ascii_uppercase();
        let algorithm = match name.as_str() {
            "ORDEREDSUBJECT" => Algorithm::OrderedSubject,
            "REFERENCES" => Algorithm::References,
            "REFS" => Algorithm::Refs,
            _ => return Err(Error::Unknown("threading algorithm")),
        };
        self.space()?;
        Ok(Thread {
            uid,
            algorithm,
            keys: self.search_criteria()?,
        })
    }

    // search-criteria = charset 1*(SP search-key)
    fn search_criteria(&mut self) -> Result<Vec<SearchKey>> {
        self.charset()?;
        self.space()?;
        self.search_keys()
    }
}

/// Each key both ways, and some to spare.
const MOST_CRITERIA: usize = 32;
