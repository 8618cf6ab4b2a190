//! SEARCH. RFC 9051 §6.4.4 with `RETURN` (RFC 4731) and `SAVE` (RFC 5182); RFC 3501 §6.4.4 (`NEW`, `OLD`, `RECENT`);
//! `MODSEQ`: RFC 7162 §3.1.5; `OLDER` and `YOUNGER`: RFC 5032; `PARTIAL`: RFC 9394 §3.1, RFC 5267 §4.4; `CONTEXT` and `UPDATE`:
//! RFC 5267 §4.2, §4.3, RFC 5465 §7; `FUZZY` and `RELEVANCY`: RFC 6203.

use crate::command::FetchItem;
use crate::cursor::Cursor;
use crate::date::Date;
use crate::{Error, Flag, Result, SequenceSet};

/// SEARCH.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The answer is in UIDs.
    pub uid: bool,
    /// What is answered. `None`: a SEARCH response in the old form (which rev2 gives as ESEARCH).
    pub returns: Option<SearchReturn>,
    /// What is looked for: all of these.
    pub keys: Vec<SearchKey>,
}

/// Which results the client wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// The first.
    pub min: bool,
    /// The last.
    pub max: bool,
    /// All.
    pub all: bool,
    /// How many.
    pub count: bool,
    /// Keep them for `$`.
    pub save: bool,
    /// A piece of them.
    pub partial: Option<PartialRange>,
    /// How well each fits, 1 to 100.
    pub relevancy: bool,
    /// A hint that the same will be asked again.
    pub context: bool,
    /// From here on it is told how the result changes; of messages that come and belong to it, these items before that.
    pub update: Option<Vec<FetchItem>>,
}

/// A piece of a result. RFC 9394 §3.1: places counted from 1, in the order of the result, or from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    /// The first place, never 0.
    pub from: u32,
    /// The last place, not before the first.
    pub to: u32,
    /// Places are counted from the end: `-1` is the last result.
    pub backwards: bool,
}

impl PartialRange {
    /// The piece of a result of `len` as positions from 0, ascending.
    pub fn of(&self, len: usize) -> std::ops::Range<usize> {
        let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX).min(len);
        if self.backwards {
            len - place(self.to)..len - place(self.from - 1)
        } else {
            place(self.from - 1)..place(self.to)
        }
    }
}

/// As the client may have written it: the smaller place first.
impl std::fmt::Display for PartialRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.backwards { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.from, self.to)
    }
}

/// What is looked for. Strings are UTF-8.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SearchKey {
    /// Every message.
    All,
    /// With this flag.
    Flag(Flag),
    /// Without this flag.
    NotFlag(Flag),
    /// RFC 3501: recent.
    Recent,
    /// RFC 3501: recent and not seen.
    New,
    /// RFC 3501: not recent.
    Old,
    /// Message sequence numbers.
    Sequence(SequenceSet),
    /// UIDs.
    Uid(SequenceSet),
    /// Envelope field contains.
    Bcc(String),
    /// Envelope field contains.
    Cc(String),
    /// Envelope field contains.
    From(String),
    /// Envelope field contains.
    Subject(String),
    /// Envelope field contains.
    To(String),
    /// A header field contains; with an empty text: there is such a field.
    Header(String, String),
    /// The body contains.
    Body(String),
    /// Header or body contains.
    Text(String),
    /// Internal date before this day.
    Before(Date),
    /// Internal date on this day.
    On(Date),
    /// Internal date on this day or later.
    Since(Date),
    /// `Date:` before this day.
    SentBefore(Date),
    /// `Date:` on this day.
    SentOn(Date),
    /// `Date:` on this day or later.
    SentSince(Date),
    /// Internal date more than this many seconds ago.
    Older(u32),
    /// Internal date less than this many seconds ago.
    Younger(u32),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// Changed at this mod-sequence or later.
    ModSeq(u64),
    /// RFC 8474: this EMAILID.
    EmailId(String),
    /// RFC 8474: this THREADID.
    ThreadId(String),
    /// RFC 8514: came into the mailbox before this day.
    SavedBefore(Date),
    /// RFC 8514: came into the mailbox on this day.
    SavedOn(Date),
    /// RFC 8514: came into the mailbox on this day or later.
    SavedSince(Date),
    /// RFC 8514: all, where save dates are known.
    SaveDateSupported,
    /// Not this.
    Not(Box<SearchKey>),
    /// This or that.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// All of these.
    And(Vec<SearchKey>),
    /// This, or something like it.
    Fuzzy(Box<SearchKey>),
}

impl SearchKey {
    /// Whether the key, or one in it, is a `MODSEQ`: then the answer carries the highest mod-sequence (RFC 7162 §3.1.5).
    pub fn has_modseq(&self) -> bool {
        match self {
            SearchKey::ModSeq(_) => true,
            SearchKey::Not(key) | SearchKey::Fuzzy(key) => key.has_modseq(),
            SearchKey::Or(a, b) => a.has_modseq() || b.has_modseq(),
            SearchKey::And(keys) => keys.iter().any(SearchKey::has_modseq),
            _ => false,
        }
    }

    /// Whether the key, or one in it, is a `FUZZY`: then there is a relevance (RFC 6203 §3).
    pub fn has_fuzzy(&self) -> bool {
        match self {
            SearchKey::Fuzzy(_) => true,
            SearchKey::Not(key) => key.has_fuzzy(),
            SearchKey::Or(a, b) => a.has_fuzzy() || b.has_fuzzy(),
            SearchKey::And(keys) => keys.iter().any(SearchKey::has_fuzzy),
            _ => false,
        }
    }
}

impl SearchKey {
    /// Whether the key, or one in it, is a set of sequence numbers.
    pub fn has_sequence(&self) -> bool {
        match self {
            SearchKey::Sequence(set) => *set != SequenceSet::Saved,
            SearchKey::Not(key) | SearchKey::Fuzzy(key) => key.has_sequence(),
            SearchKey::Or(a, b) => a.has_sequence() || b.has_sequence(),
            SearchKey::And(keys) => keys.iter().any(SearchKey::has_sequence),
            _ => false,
        }
    }
}

impl<'a> Cursor<'a> {
    // search = "SEARCH" [search-return-opts] SP search-program; search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
    pub(crate) fn search(&mut self, uid: bool) -> Result<Search> {
        let returns = self.search_returns()?;
        if self.eat_word("CHARSET") {
            self.space()?;
            self.charset()?;
            self.space()?;
        }
        let keys = self.search_keys()?;
        Ok(Search { uid, returns, keys })
    }

    // search-return-opts = "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")", and the space behind
    pub(crate) fn search_returns(&mut self) -> Result<Option<SearchReturn>> {
        if !self.eat_word("RETURN") {
            return Ok(None);
        }
        self.space()?;
        let mut options = SearchReturn::default();
        self.list(true, |c| c.search_return(&mut options))?;
        let of_now = options.min || options.max || options.count || options.save || options.relevancy;
        if !of_now && options.partial.is_none() {
            options.all = true;
        }
        // RFC 9394 §3.1, RFC 5267 §4.4: the piece instead of all.
        if options.all && options.partial.is_some() {
            return Err(Error::Expected("ALL or PARTIAL, not both"));
        }
        self.space()?;
        Ok(Some(options))
    }

    pub(crate) fn charset(&mut self) -> Result<()> {
        let charset = self.astring_text()?;
        if ["UTF-8", "US-ASCII"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&charset))
        {
            self.charset = true;
            Ok(())
        } else {
            Err(Error::Charset)
        }
    }

    // 1*(SP search-key), without the first space
    pub(crate) fn search_keys(&mut self) -> Result<Vec<SearchKey>> {
        let mut left = self.limits.search_keys;
        let mut keys = vec![self.search_key(0, &mut left)?];
        while self.more() {
            keys.push(self.search_key(0, &mut left)?);
        }
        Ok(keys)
    }

    fn search_return(&mut self, options: &mut SearchReturn) -> Result<()> {
        let option = self.word("a RETURN option")?.to_ascii_uppercase();
        match option.as_str() {
            "MIN" => options.min = true,
            "MAX" => options.max = true,
            "ALL" => options.all = true,
            "COUNT" => options.count = true,
            "SAVE" => {
                options.save = true;
                self.saves = true;
            }
            "CONTEXT" => options.context = true,
            "RELEVANCY" => options.relevancy = true,
            // modifier-update = "UPDATE" ["(" fetch-att *(SP fetch-att) ")"], with a space that the example of RFC 5465 §7 has
            "UPDATE" => {
                let mut items = Vec::new();
                if self.rest().starts_with(b" (") {
                    self.space()?;
                    items = self.list(false, Cursor::fetch_item)?;
                }
                options.update = Some(items);
            }
            "PARTIAL" => {
                self.space()?;
                if options.partial.replace(self.partial_range()?).is_some() {
                    return Err(Error::Expected("PARTIAL only once"));
                }
            }
            _ => return Err(Error::Unknown("RETURN option")),
        }
        Ok(())
    }

    // partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number
    pub(crate) fn partial_range(&mut self) -> Result<PartialRange> {
        let backwards = self.eat(b'-');
        let a = self.number_nonzero()?;
        self.expect(b':', "a range such as 1:100")?;
        if self.eat(b'-') != backwards {
            return Err(Error::Expected("both ends of the range counted from the same side"));
        }
        let b = self.number_nonzero()?;
        Ok(PartialRange {
            from: a.min(b),
            to: a.max(b),
            backwards,
        })
    }

    fn search_key(&mut self, depth: usize, left: &mut usize) -> Result<SearchKey> {
        if depth > self.limits.nesting {
            return Err(Error::Nesting);
        }
        *left = left.checked_sub(1).ok_or(Error::TooMany("search keys"))?;
        if self.peek() == Some(b'(') {
            let mut keys = self.list(false, |c| c.search_key(depth + 1, left))?;
            return Ok(match (keys.pop(), keys.is_empty()) {
                (Some(only), true) => only,
                (last, _) => {
                    keys.extend(last);
                    SearchKey::And(keys)
                }
            });
        }
        if self.at_sequence_set() {
            return self.sequence_set().map(SearchKey::Sequence);
        }
        let name = self.word("a search key")?.to_ascii_uppercase();
        Ok(match name.as_str() {
            "ALL" => SearchKey::All,
            "ANSWERED" => SearchKey::Flag(Flag::Answered),
            "DELETED" => SearchKey::Flag(Flag::Deleted),
            "DRAFT" => SearchKey::Flag(Flag::Draft),
            "FLAGGED" => SearchKey::Flag(Flag::Flagged),
            "SEEN" => SearchKey::Flag(Flag::Seen),
            "UNANSWERED" => SearchKey::NotFlag(Flag::Answered),
            "UNDELETED" => SearchKey::NotFlag(Flag::Deleted),
            "UNDRAFT" => SearchKey::NotFlag(Flag::Draft),
            "UNFLAGGED" => SearchKey::NotFlag(Flag::Flagged),
            "UNSEEN" => SearchKey::NotFlag(Flag::Seen),
            "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
            "RECENT" => SearchKey::Recent,
            "NEW" => SearchKey::New,
            "OLD" => SearchKey::Old,
            _ => {
                self.space()?;
                return self.search_key_argument(&name, depth, left);
            }
        })
    }

    fn search_key_argument(&mut self, name: &str, depth: usize, left: &mut usize) -> Result<SearchKey> {
        Ok(match name {
            "KEYWORD" => SearchKey::Flag(Flag::Keyword(self.atom("a keyword")?.to_owned())),
            "UNKEYWORD" => SearchKey::NotFlag(Flag::Keyword(self.atom("a keyword")?.to_owned())),
            "UID" => SearchKey::Uid(self.sequence_set()?),
            "BCC" => SearchKey::Bcc(self.search_text()?),
            "CC" => SearchKey::Cc(self.search_text()?),
            "FROM" => SearchKey::From(self.search_text()?),
            "SUBJECT" => SearchKey::Subject(self.search_text()?),
            "TO" => SearchKey::To(self.search_text()?),
            "BODY" => SearchKey::Body(self.search_text()?),
            "TEXT" => SearchKey::Text(self.search_text()?),
            "HEADER" => {
                let field = self.astring_text()?;
                self.space()?;
                SearchKey::Header(field, self.search_text()?)
            }
            "BEFORE" => SearchKey::Before(self.date()?),
            "ON" => SearchKey::On(self.date()?),
            "SINCE" => SearchKey::Since(self.date()?),
            "SENTBEFORE" => SearchKey::SentBefore(self.date()?),
            "SENTON" => SearchKey::SentOn(self.date()?),
            "SENTSINCE" => SearchKey::SentSince(self.date()?),
            "OLDER" => SearchKey::Older(self.number_nonzero()?),
            "YOUNGER" => SearchKey::Younger(self.number_nonzero()?),
            "LARGER" => SearchKey::Larger(self.number64()?),
            "SMALLER" => SearchKey::Smaller(self.number64()?),
            "SAVEDBEFORE" => SearchKey::SavedBefore(self.date()?),
            "SAVEDON" => SearchKey::SavedOn(self.date()?),
            "SAVEDSINCE" => SearchKey::SavedSince(self.date()?),
            "EMAILID" => SearchKey::EmailId(self.object_id()?),
            "THREADID" => SearchKey::ThreadId(self.object_id()?),
            "MODSEQ" => self.search_modseq()?,
            "NOT" => SearchKey::Not(Box::new(self.search_key(depth + 1, left)?)),
            "FUZZY" => SearchKey::Fuzzy(Box::new(self.search_key(depth + 1, left)?)),
            "OR" => {
                let this = self.search_key(depth + 1, left)?;
                self.space()?;
                SearchKey::Or(Box::new(this), Box::new(self.search_key(depth + 1, left)?))
            }
            _ => return Err(Error::Unknown("search key")),
        })
    }

    /// Text to look for. Where no charset is named it is UTF-8 or, if it is not, Latin-1: so JavaMail sends it after `ENABLE UTF8=ACCEPT`.
    fn search_text(&mut self) -> Result<String> {
        match String::from_utf8(self.astring()?.into_owned()) {
            Ok(text) => Ok(text),
            Err(_) if self.charset => Err(Error::Utf8),
            Err(other) => Ok(other.into_bytes().into_iter().map(char::from).collect()),
        }
    }

    // search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer
    // The entry names one flag whose own mod-sequence is meant. We keep one for the whole message, which RFC 7162 §3.1.5 allows.
    fn search_modseq(&mut self) -> Result<SearchKey> {
        if self.peek() == Some(b'"') {
            self.string()?;
            self.space()?;
            let kind = self.word("an entry type")?;
            if !["priv", "shared", "all"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(kind))
            {
                return Err(Error::Unknown("entry type"));
            }
            self.space()?;
        }
        self.number64().map(SearchKey::ModSeq)
    }
}
