//! What IMAP URLs stand for: a message, or a part of one. RFC 5092, as CATENATE (RFC 4469) and URLFETCH (RFC 4467) use them.

use super::section::{Octets, PIECE, Reading};
use crate::imap::connection::Connection;
use crate::imap::place::Place;
use imap::command::{Section, SectionText};
use imap::{ImapUrl, MailboxName};
use std::sync::Arc;
use store::{Account, MailboxId, Result, Rights, Uid};

/// The mailbox that a URL names.
pub(super) struct UrlPlace {
    pub(super) account: Arc<Account>,
    pub(super) mailbox: MailboxId,
}

impl Connection {
    /// Where a relative URL leads. `None`: nowhere, or where this session may not read.
    pub(super) fn url_place(&self, url: &ImapUrl) -> Option<UrlPlace> {
        let place = match &url.mailbox {
            Some(name) => {
                let Place { account, mailbox, .. } = self.place(&MailboxName::new(name), Rights::READ).ok()?;
                UrlPlace {
                    account,
                    mailbox: mailbox.id,
                }
            }
            None => {
                let selected = self.selected.as_deref()?;
                UrlPlace {
                    account: Arc::clone(&selected.account),
                    mailbox: selected.mailbox,
                }
            }
        };
        place.is_valid(url).then_some(place)
    }
}

impl UrlPlace {
    /// Whether the mailbox is still the one that the URL was made for.
    pub(super) fn is_valid(&self, url: &ImapUrl) -> bool {
        let mailbox = self.account.mailbox(self.mailbox);
        mailbox.is_some_and(|mailbox| url.uid_validity.is_none_or(|validity| validity == mailbox.uid_validity))
    }

    /// Hands out the octets of what the URL names, in pieces, while `each` says yes. False: there is no such message or part.
    pub(super) fn read(&self, url: &ImapUrl, header_limit: u64, mut each: impl FnMut(&[u8]) -> bool) -> Result<bool> {
        let Some(content) = self.account.message_content(self.mailbox, Uid(url.uid))? else {
            return Ok(false);
        };
        let content = self.account.content(content)?;
        let reading = Reading::new(&self.account, &content, header_limit);
        let whole = Section {
            part: Vec::new(),
            text: SectionText::All,
        };
        let section = url.section.as_ref().unwrap_or(&whole);
        match reading.section(section, url.partial)? {
            Octets::Here(octets) => {
                each(&octets);
            }
            Octets::There(range) => {
                let mut at = range.start;
                while at < range.end {
                    let piece = reading.octets(at..range.end.min(at + PIECE))?;
                    at += piece.len() as u64;
                    if !each(&piece) {
                        break;
                    }
                }
            }
            Octets::Nil | Octets::Encoded { .. } | Octets::Unknown => return Ok(false),
        }
        Ok(true)
    }
}
