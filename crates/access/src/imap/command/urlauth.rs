//! GENURLAUTH, RESETKEY, URLFETCH: a URL of a message that others may fetch, and fetching it. RFC 4467.
//!
//! A URL is signed with a key of the mailbox that its owner can take away. Whatever is wrong with one (forged, expired, not for this person, no
//! such message) is answered by the same `NIL`. One's own mailboxes only: what others share is theirs to give on.

use super::section::{Octets, PIECE, Reading};
use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::Connection;
use imap::command::{ResetKey, Section, SectionText};
use imap::response::Code;
use imap::{ImapUrl, UrlAuth};
use std::io;
use std::sync::Arc;
use store::{Account, Content, MailboxId, Uid};

/// The only mechanism: the key never leaves the server (RFC 4467 §2.3).
pub(super) const MECHANISM: &str = "INTERNAL";

impl Connection {
    pub(crate) fn gen_url_auth(&mut self, urls: &[(String, String)]) -> Answer {
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        let mut signed = Vec::with_capacity(urls.len());
        for (rump, mechanism) in urls {
            if mechanism != MECHANISM {
                return Answer::bad("the only mechanism here is INTERNAL");
            }
            let Some(mailbox) = self.url_mailbox_of(&account, rump) else {
                let text = "not a URL of a message of yours that can be signed";
                return Answer::no(None, text).with(OwnCode::BadUrl(rump.clone()));
            };
            match blocking(|| account.url_token(mailbox, rump, rand::random())) {
                Ok(token) => signed.push(format!("{rump}:{}:{token}", MECHANISM.to_ascii_lowercase())),
                Err(error) => return self.trouble(&error),
            }
        }
        self.encoder().gen_url_auth(&signed);
        Answer::ok("signed")
    }

    pub(crate) fn reset_key(&mut self, reset: &ResetKey) -> Answer {
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        if reset.mechanisms.iter().any(|name| name != MECHANISM) {
            return Answer::bad("the only mechanism here is INTERNAL");
        }
        let mailbox = match &reset.mailbox {
            None => None,
            Some(name) => match account.mailbox_find(name.as_str()) {
                Some(mailbox) => Some(mailbox.id),
                None => return Answer::no(Some(Code::NonExistent), "there is no such mailbox of yours"),
            },
        };
        match blocking(|| account.url_keys_reset(mailbox)) {
            Ok(()) => {
                Answer::ok("URLs signed before are worth nothing now").with(OwnCode::Plain(Code::UrlMech(MECHANISM)))
            }
            Err(error) => self.trouble(&error),
        }
    }

    pub(crate) async fn url_fetch(&mut self, urls: &[String]) -> io::Result<Answer> {
        for url in urls {
            let found = self.url_target(url);
            let Some((account, content, parsed)) = found else {
                self.encoder().url_fetch_nil(url);
                continue;
            };
            let header_limit = self.options().header;
            let reading = Reading::new(&account, &content, header_limit);
            let whole = Section {
                part: Vec::new(),
                text: SectionText::All,
            };
            let section = parsed.section.as_ref().unwrap_or(&whole);
            match blocking(|| reading.section(section, parsed.partial)) {
                Ok(Octets::Here(octets)) => {
                    self.encoder().url_fetch(url, octets.len() as u64);
                    self.send(&octets).await?;
                    self.out.extend_from_slice(b"\r\n");
                }
                Ok(Octets::There(range)) => {
                    let first = blocking(|| reading.octets(range.start..range.end.min(range.start + PIECE)));
                    let Ok(first) = first else {
                        self.encoder().url_fetch_nil(url);
                        continue;
                    };
                    self.encoder().url_fetch(url, range.end - range.start);
                    self.send(&first).await?;
                    let mut at = range.start + first.len() as u64;
                    while at < range.end {
                        let piece = blocking(|| reading.octets(at..range.end.min(at + PIECE)));
                        let piece = piece
                            .map_err(|e| io::Error::other(format!("a message broke off while it was sent: {e}")))?;
                        at += piece.len() as u64;
                        self.send(&piece).await?;
                    }
                    self.out.extend_from_slice(b"\r\n");
                }
                _ => self.encoder().url_fetch_nil(url),
            }
        }
        Ok(Answer::ok("that is all"))
    }

    /// The mailbox of a URL that may be signed: absolute, of the account itself, on this server, with someone named who may fetch it, and
    /// without a token yet.
    fn url_mailbox_of(&self, account: &Account, rump: &str) -> Option<MailboxId> {
        let url = ImapUrl::parse(rump)?;
        let auth = url.auth.as_ref()?;
        let own = self.owner_of(&url)? == account.id();
        let signable = own
            && auth.proof.is_none()
            && is_access(&auth.access)
            && url.expire.as_deref().is_none_or(|t| time(t).is_some());
        let mailbox = account.mailbox_find(url.mailbox.as_deref()?)?;
        let valid = url.uid_validity.is_none_or(|validity| validity == mailbox.uid_validity);
        (signable && valid).then_some(mailbox.id)
    }

    /// Whose mailbox an absolute URL of this server names.
    fn owner_of(&self, url: &ImapUrl) -> Option<store::AccountId> {
        let host = url.host.as_deref()?;
        let name = host
            .rsplit_once(':')
            .map_or(host, |(name, port)| match port.parse::<u16>() {
                Ok(_) => name,
                Err(_) => host,
            });
        if !name.eq_ignore_ascii_case(&self.options().hostname) {
            return None;
        }
        let owner = self
            .listener
            .context
            .directory
            .account_show(url.user.as_deref()?)
            .ok()?;
        (!owner.disabled).then_some(owner.id)
    }

    /// What a signed URL gives this session.
    fn url_target(&self, text: &str) -> Option<(Arc<Account>, Content, ImapUrl)> {
        let url = ImapUrl::parse(text)?;
        let UrlAuth { access, proof } = url.auth.as_ref()?;
        let (mechanism, token) = proof.as_ref()?;
        let now = crate::imap::now();
        let in_time = url
            .expire
            .as_deref()
            .is_none_or(|t| time(t).is_some_and(|end| now < end));
        if !mechanism.eq_ignore_ascii_case(MECHANISM) || !in_time || !self.url_allows(access) {
            return None;
        }
        let owner = self.owner_of(&url)?;
        let context = &self.listener.context;
        let found = blocking(|| {
            let account = context.store.account(owner)?;
            let Some(mailbox) = url.mailbox.as_deref().and_then(|name| account.mailbox_find(name)) else {
                return Ok(None);
            };
            let valid = url.uid_validity.is_none_or(|validity| validity == mailbox.uid_validity);
            let rump = ImapUrl::rump(text).unwrap_or_default();
            if !valid || !account.url_token_is_right(mailbox.id, rump, token)? {
                return Ok(None);
            }
            let Some(id) = account.message_content(mailbox.id, Uid(url.uid))? else {
                return Ok(None);
            };
            let content = account.content(id)?;
            Ok(Some((account, content)))
        });
        match found {
            Ok(found) => found.map(|(account, content)| (account, content, url)),
            Err(error) => {
                let error: store::Error = error;
                tracing::warn!(session = self.name, %error, "a URL could not be looked up");
                None
            }
        }
    }

    /// Whether the session is among those whom the URL is for. RFC 4467 §3
    fn url_allows(&self, access: &str) -> bool {
        let Some(owner) = &self.owner else { return false };
        let directory = &self.listener.context.directory;
        match access.split_once('+') {
            None => access.eq_ignore_ascii_case("anonymous") || access.eq_ignore_ascii_case("authuser"),
            Some((kind, user)) if kind.eq_ignore_ascii_case("user") => directory.acts_as(owner.id, Some(user)),
            // A server that sends mail on somebody's behalf logs in as an administrator.
            Some((kind, _)) if kind.eq_ignore_ascii_case("submit") => {
                directory.account(owner.id).is_some_and(|account| account.admin)
            }
            Some(_) => false,
        }
    }
}

/// `anonymous`, `authuser`, `user+…`, `submit+…`
fn is_access(access: &str) -> bool {
    match access.split_once('+') {
        None => access.eq_ignore_ascii_case("anonymous") || access.eq_ignore_ascii_case("authuser"),
        Some((kind, user)) => {
            (kind.eq_ignore_ascii_case("user") || kind.eq_ignore_ascii_case("submit")) && !user.is_empty()
        }
    }
}

/// An RFC 3339 time, in seconds since 1970.
fn time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}
