//! LIST with its extensions: RFC 9051 §6.3.9 (RFC 5258, RFC 5819 `STATUS`, RFC 6154 `SPECIAL-USE`), and LSUB of RFC 3501 §6.3.9.

use crate::command::{MetadataQuery, StatusItem};
use crate::cursor::Cursor;
use crate::mailbox::wire_decode;
use crate::{Error, Result};

/// LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Which mailboxes are looked at.
    pub select: ListSelect,
    /// The reference name.
    pub reference: String,
    /// One or more patterns with `*` and `%`.
    pub patterns: Vec<String>,
    /// What is told of each. `None`: an LIST in its old form.
    pub returns: Option<ListReturn>,
    /// Selection options were given, be it an empty list: an extended LIST.
    pub extended: bool,
}

/// Selection options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListSelect {
    /// Subscribed names, whether they exist or not.
    pub subscribed: bool,
    /// Mailboxes elsewhere, too. There are none.
    pub remote: bool,
    /// Parents of what was selected, too.
    pub recursive_match: bool,
    /// Mailboxes with a special use.
    pub special_use: bool,
}

/// Return options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListReturn {
    /// Whether it is subscribed.
    pub subscribed: bool,
    /// Whether it has children.
    pub children: bool,
    /// Its special use.
    pub special_use: bool,
    /// Its STATUS with these items.
    pub status: Vec<StatusItem>,
    /// What the client may do to it (RFC 8440).
    pub my_rights: bool,
    /// Its METADATA (RFC 9590).
    pub metadata: Option<MetadataQuery>,
}

/// LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsub {
    /// The reference name.
    pub reference: String,
    /// The pattern.
    pub pattern: String,
}

impl<'a> Cursor<'a> {
    // list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
    pub(crate) fn list_command(&mut self) -> Result<List> {
        let mut select = ListSelect::default();
        let extended = self.peek() == Some(b'(');
        if extended {
            self.list(true, |c| c.list_select(&mut select))?;
            self.space()?;
            // RFC 5258 §3.1: it needs another option whose matches it can follow up.
            if select.recursive_match && !(select.subscribed || select.special_use) {
                return Err(Error::Expected("another selection option beside RECURSIVEMATCH"));
            }
        }
        let reference = self.reference()?;
        self.space()?;
        let patterns = if self.peek() == Some(b'(') {
            self.list(false, Cursor::pattern)?
        } else {
            vec![self.pattern()?]
        };
        let mut returns = None;
        if self.more() {
            if !self.eat_word("RETURN") {
                return Err(Error::Expected("RETURN"));
            }
            self.space()?;
            let mut options = ListReturn::default();
            self.list(true, |c| c.list_return(&mut options))?;
            returns = Some(options);
        }
        Ok(List {
            select,
            reference,
            patterns,
            returns,
            extended,
        })
    }

    // lsub = "LSUB" SP mailbox SP list-mailbox
    pub(crate) fn lsub(&mut self) -> Result<Lsub> {
        let reference = self.reference()?;
        self.space()?;
        Ok(Lsub {
            reference,
            pattern: self.pattern()?,
        })
    }

    fn reference(&mut self) -> Result<String> {
        let wire = self.astring()?;
        wire_decode(&wire, self.utf8)
    }

    fn list_select(&mut self, select: &mut ListSelect) -> Result<()> {
        let option = self.word("a selection option")?.to_ascii_uppercase();
        match option.as_str() {
            "SUBSCRIBED" => select.subscribed = true,
            "REMOTE" => select.remote = true,
            "RECURSIVEMATCH" => select.recursive_match = true,
            "SPECIAL-USE" => select.special_use = true,
            _ => return Err(Error::Unknown("selection option")),
        }
        Ok(())
    }

    fn list_return(&mut self, returns: &mut ListReturn) -> Result<()> {
        let option = self.word("a return option")?.to_ascii_uppercase();
        match option.as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "STATUS" => {
                self.space()?;
                returns.status = self.list(false, Cursor::status_item)?;
            }
            "MYRIGHTS" => returns.my_rights = true,
            "METADATA" => {
                self.space()?;
                let mut query = MetadataQuery::default();
                self.metadata_entries(&mut query, true)?;
                returns.metadata = Some(query);
            }
            _ => return Err(Error::Unknown("return option")),
        }
        Ok(())
    }
}
