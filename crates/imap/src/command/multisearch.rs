//! ESEARCH: SEARCH in several mailboxes. RFC 7377.

use crate::command::Search;
use crate::cursor::Cursor;
use crate::{Error, MailboxName, Result};

/// ESEARCH.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiSearch {
    /// Where: the union of these. Empty: in the selected mailbox.
    pub sources: Vec<Source>,
    /// What for. Its numbers are always UIDs.
    pub search: Search,
}

/// Mailboxes to search. RFC 7377 §2.2, which takes them from RFC 5465 §6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The one that is selected.
    Selected,
    /// Those that messages are delivered to.
    Inboxes,
    /// All personal ones.
    Personal,
    /// All that are subscribed.
    Subscribed,
    /// These and all below them.
    Subtree(Vec<MailboxName>),
    /// These and what is one level below them.
    SubtreeOne(Vec<MailboxName>),
    /// These.
    Mailboxes(Vec<MailboxName>),
}

/// Names in one ESEARCH: each is looked up, and most clients name one.
const MOST_NAMES: usize = 1000;

impl<'a> Cursor<'a> {
    // esearch = "ESEARCH" [SP "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"] [SP search-return-opts] SP search-program
    pub(crate) fn multisearch(&mut self) -> Result<MultiSearch> {
        let mut sources = Vec::new();
        if self.eat_word("IN") {
            self.space()?;
            self.open()?;
            let mut names = 0;
            loop {
                // scope-options: none is defined.
                if self.eat(b'(') {
                    return Err(Error::Unknown("scope option"));
                }
                let source = self.source()?;
                if let Source::Subtree(list) | Source::SubtreeOne(list) | Source::Mailboxes(list) = &source {
                    names += list.len();
                    if names > MOST_NAMES {
                        return Err(Error::TooMany("mailboxes"));
                    }
                }
                sources.push(source);
                if sources.len() > MOST_NAMES {
                    return Err(Error::TooMany("mailboxes"));
                }
                if self.eat(b')') {
                    break;
                }
                self.space()?;
            }
            self.space()?;
        }
        Ok(MultiSearch {
            sources,
            search: self.search(true)?,
        })
    }

    // filter-mailboxes-selected / filter-mailboxes-other
    fn source(&mut self) -> Result<Source> {
        let name = self.word("which mailboxes")?.to_ascii_uppercase();
        Ok(match name.as_str() {
            "SELECTED" => Source::Selected,
            "INBOXES" => Source::Inboxes,
            "PERSONAL" => Source::Personal,
            "SUBSCRIBED" => Source::Subscribed,
            "SUBTREE" => Source::Subtree(self.one_or_more_mailboxes()?),
            "SUBTREE-ONE" => Source::SubtreeOne(self.one_or_more_mailboxes()?),
            "MAILBOXES" => Source::Mailboxes(self.one_or_more_mailboxes()?),
            _ => return Err(Error::Unknown("kind of mailboxes")),
        })
    }

    // one-or-more-mailbox = mailbox / many-mailboxes
    fn one_or_more_mailboxes(&mut self) -> Result<Vec<MailboxName>> {
        self.space()?;
        if self.peek() == Some(b'(') {
            self.list(false, Cursor::mailbox)
        } else {
            Ok(vec![self.mailbox()?])
        }
    }
}
