//! IMAP URLs (RFC 5092) of messages and parts of messages: what CATENATE and URLAUTH speak of.

use crate::Limits;
use crate::command::{Partial, Section};
use crate::cursor::Cursor;

/// A URL of a message or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImapUrl {
    /// Whose mailbox it is; `None` in a relative URL.
    pub user: Option<String>,
    /// The server, with its port; `None` in a relative URL.
    pub host: Option<String>,
    /// The mailbox in UTF-8; `None`: the selected one.
    pub mailbox: Option<String>,
    /// `;UIDVALIDITY=`
    pub uid_validity: Option<u32>,
    /// `;UID=`
    pub uid: u32,
    /// `;SECTION=`
    pub section: Option<Section>,
    /// `;PARTIAL=` (RFC 5550 §2.7)
    pub partial: Option<Partial>,
    /// `;EXPIRE=`, as written: an RFC 3339 time.
    pub expire: Option<String>,
    /// `;URLAUTH=`
    pub auth: Option<UrlAuth>,
}

/// Who may fetch the URL, and the proof of it. RFC 4467 §3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlAuth {
    /// `anonymous`, `authuser`, `user+…`, `submit+…`, as written.
    pub access: String,
    /// The mechanism and the token, unless the URL is only a rump.
    pub proof: Option<(String, String)>,
}

impl ImapUrl {
    /// Reads an absolute or relative URL. `None`: it is none of a message.
    pub fn parse(url: &str) -> Option<ImapUrl> {
        let mut user = None;
        let mut host = None;
        let mut rest = url;
        if let Some(head) = url.get(..7).filter(|head| head.eq_ignore_ascii_case("imap://")) {
            let (server, path) = url.get(head.len()..)?.split_once('/')?;
            let (login, name) = match server.rsplit_once('@') {
                Some((login, name)) => (Some(login), name),
                None => (None, server),
            };
            if name.is_empty() {
                return None;
            }
            host = Some(name.to_owned());
            if let Some(login) = login {
                let login = split_once_no_case(login, ";AUTH=").map_or(login, |(login, _)| login);
                user = Some(decode(login)?);
            }
            rest = path;
        } else if url.contains("://") {
            return None;
        }
        let mut auth = None;
        if let Some((before, after)) = split_once_no_case(rest, ";URLAUTH=") {
            rest = before;
            let mut parts = after.splitn(3, ':');
            let access = parts.next().filter(|access| !access.is_empty())?;
            let proof = match (parts.next(), parts.next()) {
                (Some(mechanism), Some(token)) => Some((mechanism.to_owned(), token.to_owned())),
                (None, None) => None,
                _ => return None,
            };
            auth = Some(UrlAuth {
                access: decode(access)?,
                proof,
            });
        }
        let mut expire = None;
        if let Some((before, after)) = split_once_no_case(rest, ";EXPIRE=") {
            rest = before;
            expire = Some(after.to_owned());
        }
        let (before, mut parts) = if let Some((mailbox, after)) = split_once_no_case(rest, "/;UID=") {
            (Some(mailbox), after.split('/'))
        } else {
            let head = rest.get(..5).filter(|head| head.eq_ignore_ascii_case(";UID="))?;
            (None, rest.get(head.len()..)?.split('/'))
        };
        let uid = number(parts.next()?)?;
        let (mut section, mut partial) = (None, None);
        for part in parts {
            if let Some((_, value)) = split_once_no_case(part, ";SECTION=").filter(|(before, _)| before.is_empty()) {
                let limits = Limits::default();
                let text = format!("[{}]", decode(value)?);
                let mut cursor = Cursor::new(text.as_bytes(), true, &limits);
                section = Some(cursor.section().ok().filter(|_| cursor.is_end())?);
            } else if let Some((_, value)) =
                split_once_no_case(part, ";PARTIAL=").filter(|(before, _)| before.is_empty())
            {
                let (from, count) = value.split_once('.').unwrap_or((value, "4294967295"));
                let (from, count) = (from.parse().ok()?, count.parse().ok().filter(|count| *count > 0)?);
                partial = Some(Partial { from, count });
            } else {
                return None;
            }
        }
        let mut uid_validity = None;
        let mut mailbox = None;
        if let Some(name) = before {
            let name = name.strip_prefix('/').unwrap_or(name);
            let name = match split_once_no_case(name, ";UIDVALIDITY=") {
                Some((name, validity)) => {
                    uid_validity = Some(number(validity)?);
                    name
                }
                None => name,
            };
            let name = decode(name)?;
            mailbox = (!name.is_empty()).then_some(name);
        }
        Some(ImapUrl {
            user,
            host,
            mailbox,
            uid_validity,
            uid,
            section,
            partial,
            expire,
            auth,
        })
    }

    /// The part of an authorized URL that its token is made over: all before the mechanism. `None`: it has no token.
    pub fn rump(url: &str) -> Option<&str> {
        let (before, after) = split_once_no_case(url, ";URLAUTH=")?;
        let access = after.split_once(':')?.0;
        url.get(..before.len() + ";URLAUTH=".len() + access.len())
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse()
        .ok()
        .filter(|number| *number > 0 && text.bytes().all(|b| b.is_ascii_digit()))
}

fn split_once_no_case<'a>(text: &'a str, at: &str) -> Option<(&'a str, &'a str)> {
    let found = text
        .as_bytes()
        .windows(at.len())
        .position(|window| window.eq_ignore_ascii_case(at.as_bytes()))?;
    Some((text.get(..found)?, text.get(found + at.len()..)?))
}

/// Percent codes undone. RFC 3986 §2.1.
fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            octets.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            octets.push(byte);
        }
    }
    String::from_utf8(octets)
        .ok()
        .filter(|text| !text.contains(['\0', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples() {
        let url = ImapUrl::parse("/Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2.MIME").unwrap();
        assert_eq!(
            (url.mailbox.as_deref(), url.uid_validity, url.uid),
            (Some("Drafts"), Some(385_759_045), 20)
        );
        assert_eq!(url.section.unwrap().part, [1, 2]);
        let url = ImapUrl::parse("imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2006-10-31T23:59:59.000Z;urlauth=submit+fred:internal:91354a473744909de610943775f92038").unwrap();
        assert_eq!(
            (url.user.as_deref(), url.host.as_deref()),
            (Some("joe"), Some("example.com"))
        );
        assert_eq!(url.expire.as_deref(), Some("2006-10-31T23:59:59.000Z"));
        let auth = url.auth.unwrap();
        assert_eq!(
            (auth.access.as_str(), auth.proof.unwrap().0.as_str()),
            ("submit+fred", "internal")
        );
        let url = ImapUrl::parse(";UID=3/;PARTIAL=0.1024").unwrap();
        assert_eq!(
            (url.mailbox, url.partial),
            (None, Some(Partial { from: 0, count: 1024 }))
        );
        let url = ImapUrl::parse("imap://a%40b;AUTH=*@h:143/Entw%C3%BCrfe%20x/;UID=1").unwrap();
        assert_eq!(
            (url.user.as_deref(), url.mailbox.as_deref()),
            (Some("a@b"), Some("Entwürfe x"))
        );
        for bad in [
            "",
            "/",
            "x",
            "/x",
            "/x/;UID=0",
            "/x/;UID=a",
            "/x/;UID=1/;WHAT=2",
            "/x/;UID=1/;SECTION=x",
            "http://h/x/;UID=1",
            "imap:///x/;UID=1",
            "/x%zz/;UID=1",
            "/x%0d/;UID=1",
            "/x/;UID=1;URLAUTH=",
            "/x/;UID=1/;PARTIAL=0.0",
            "/x;UIDVALIDITY=x/;UID=1",
        ] {
            assert_eq!(ImapUrl::parse(bad), None, "{bad}");
        }
        assert_eq!(
            ImapUrl::rump("imap://h/x/;UID=1;URLAUTH=anonymous:INTERNAL:00"),
            Some("imap://h/x/;UID=1;URLAUTH=anonymous")
        );
    }
}
