//! GETMETADATA and SETMETADATA. RFC 5464 §4.2, §4.3.

use crate::cursor::Cursor;
use crate::{Error, MailboxName, Result};

/// Longest name of an entry, in octets. The RFC names no bound; names are few words.
const ENTRY: usize = 1024;

/// GETMETADATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// The mailbox; empty: the server.
    pub mailbox: MailboxName,
    /// Which entries, and how much of them.
    pub query: MetadataQuery,
}

/// Entries that are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataQuery {
    /// Values of more octets are left out.
    pub max_size: Option<u64>,
    /// Entries below those that are named.
    pub depth: Depth,
    /// Their names, in lower case.
    pub entries: Vec<String>,
}

/// How far below an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// The entry alone.
    #[default]
    Zero,
    /// And what is just below it.
    One,
    /// And all below it.
    Infinity,
}

impl MetadataQuery {
    /// Whether an entry is among those asked for.
    pub fn matches(&self, entry: &str) -> bool {
        self.entries
            .iter()
            .any(|asked| match entry.strip_prefix(asked.as_str()) {
                Some("") => true,
                Some(below) => match (self.depth, below.strip_prefix('/')) {
                    (Depth::One, Some(below)) => !below.contains('/'),
                    (Depth::Infinity, Some(_)) => true,
                    _ => false,
                },
                None => false,
            })
    }
}

/// SETMETADATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMetadata {
    /// The mailbox; empty: the server.
    pub mailbox: MailboxName,
    /// Names, in lower case, and values; `None` takes the entry away.
    pub entries: Vec<(String, Option<Vec<u8>>)>,
}

impl Cursor<'_> {
    // getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries; the RFC's examples have the options behind the mailbox.
    pub(crate) fn get_metadata(&mut self) -> Result<GetMetadata> {
        let mut query = MetadataQuery::default();
        let before = self.peek() == Some(b'(');
        if before {
            self.metadata_options(&mut query)?;
            self.space()?;
        }
        let mailbox = self.mailbox()?;
        self.space()?;
        self.metadata_entries(&mut query, !before)?;
        Ok(GetMetadata { mailbox, query })
    }

    /// `entries`, with options before them where those may stand.
    pub(crate) fn metadata_entries(&mut self, query: &mut MetadataQuery, options: bool) -> Result<()> {
        if options && self.peek() == Some(b'(') {
            let mut ahead = self.clone();
            if ahead.metadata_options(query).is_ok() && ahead.more() {
                *self = ahead;
            }
        }
        if self.peek() == Some(b'(') {
            query.entries = self.list(false, Cursor::metadata_entry)?;
        } else {
            query.entries = vec![self.metadata_entry()?];
        }
        Ok(())
    }

    fn metadata_options(&mut self, query: &mut MetadataQuery) -> Result<()> {
        self.list(false, |c| {
            if c.eat_word("MAXSIZE") {
                c.space()?;
                query.max_size = Some(c.number64()?);
            } else if c.eat_word("DEPTH") {
                c.space()?;
                query.depth = if c.eat_word("0") {
                    Depth::Zero
                } else if c.eat_word("1") {
                    Depth::One
                } else if c.eat_word("infinity") {
                    Depth::Infinity
                } else {
                    return Err(Error::Expected("0, 1 or infinity"));
                };
            } else {
                return Err(Error::Unknown("GETMETADATA option"));
            }
            Ok(())
        })?;
        Ok(())
    }

    // setmetadata = "SETMETADATA" SP mailbox SP entry-values
    pub(crate) fn set_metadata(&mut self) -> Result<SetMetadata> {
        let mailbox = self.mailbox()?;
        self.space()?;
        let entries = self.list(false, |c| {
            let entry = c.metadata_entry()?;
            c.space()?;
            Ok((entry, c.nstring()?.map(std::borrow::Cow::into_owned)))
        })?;
        Ok(SetMetadata { mailbox, entries })
    }

    // RFC 5464 §3.2: names are case-insensitive ASCII without wildcards; no two slashes stand together, and none at the end.
    fn metadata_entry(&mut self) -> Result<String> {
        let entry = self.astring_text()?.to_ascii_lowercase();
        let sound = entry.starts_with('/')
            && entry.len() <= ENTRY
            && !entry.ends_with('/')
            && !entry.contains("//")
            && entry
                .bytes()
                .all(|b| (0x20..0x7f).contains(&b) && b != b'*' && b != b'%');
        if sound {
            Ok(entry)
        } else {
            Err(Error::Expected("the name of a metadata entry"))
        }
    }
}
