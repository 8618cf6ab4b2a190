//! GENURLAUTH, RESETKEY, URLFETCH. RFC 4467 §7.

use crate::cursor::Cursor;
use crate::{Error, MailboxName, Result};

/// RESETKEY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetKey {
    /// The mailbox; `None`: all of the account.
    pub mailbox: Option<MailboxName>,
    /// The mechanisms meant, in upper case; none: all.
    pub mechanisms: Vec<String>,
}

impl Cursor<'_> {
    // genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)
    pub(crate) fn gen_url_auth(&mut self) -> Result<Vec<(String, String)>> {
        self.urls(|c| {
            let rump = c.astring_text()?;
            c.space()?;
            Ok((rump, c.atom("a mechanism")?.to_ascii_uppercase()))
        })
    }

    // urlfetch = "URLFETCH" 1*(SP url-full)
    pub(crate) fn url_fetch(&mut self) -> Result<Vec<String>> {
        self.urls(Cursor::astring_text)
    }

    // resetkey = "RESETKEY" [SP mailbox *(SP mechanism)]
    pub(crate) fn reset_key(&mut self) -> Result<ResetKey> {
        let mailbox = Some(self.mailbox()?);
        let mut mechanisms = Vec::new();
        while !self.is_end() {
            self.space()?;
            mechanisms.push(self.atom("a mechanism")?.to_ascii_uppercase());
        }
        Ok(ResetKey { mailbox, mechanisms })
    }

    fn urls<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut all = vec![one(self)?];
        while !self.is_end() {
            if all.len() >= self.limits.urls {
                return Err(Error::TooMany("URLs in one command"));
            }
            self.space()?;
            all.push(one(self)?);
        }
        Ok(all)
    }
}
