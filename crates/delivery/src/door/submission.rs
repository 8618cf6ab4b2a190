//! What a message from one of our people's programs is made complete by (RFC 6409 §8), and signed with.

use super::{Context, blocking, now};
use authentication::dkim::Canon;
use authentication::{Field, Heard, Limits, Listener, fields, results};
use db::AccountId;
use ledger::AcceptanceId;
use smtp::{Reply, Status};

/// Addresses read of a field; whoever names more as the authors of a message hides something.
const AUTHORS: usize = 100;

/// What is known of a message that somebody submits, beside itself.
pub(super) struct Came<'c> {
    pub(super) id: AcceptanceId,
    pub(super) received_at: i64,
    pub(super) account: Option<AccountId>,
    /// The reverse path.
    pub(super) sender: &'c str,
}

/// Fields of which each resending has one of its own, at most.
const RESENT: [&str; 4] = ["Resent-Date", "Resent-From", "Resent-Sender", "Resent-Message-ID"];
/// Fields for nobody's eyes (RFC 5322 §3.6.3, §3.6.6).
const BLIND: [&str; 2] = ["Bcc", "Resent-Bcc"];

/// The header as it goes out: without Bcc, without findings that claim to be ours (RFC 8601 §5), with Date, Message-ID and From. `None`: it is
/// complete as it is.
fn completed(header: &[u8], came: &Came<'_>, author: Option<&str>, hostname: &str) -> Option<Vec<u8>> {
    let there = |name: &str| fields(header).any(|field| field.is(name));
    let author = author.filter(|_| !there("From"));
    let forged = results::forged(header, hostname);
    let goes = |field: &Field<'_>| {
        let start = field.raw.as_ptr() as usize - header.as_ptr() as usize;
        BLIND.iter().any(|name| field.is(name)) || forged.iter().any(|range| range.start == start)
    };
    if there("Date") && there("Message-ID") && !fields(header).any(|field| goes(&field)) && author.is_none() {
        return None;
    }
    let mut out = Vec::with_capacity(header.len() + 200);
    if !there("Date") {
        out.extend_from_slice(b"Date: ");
        smtp::date(came.received_at, &mut out);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(author) = author {
        out.extend_from_slice(format!("From: <{author}>\r\n").as_bytes());
    }
    if !there("Message-ID") {
        out.extend_from_slice(format!("Message-ID: <{}@{hostname}>\r\n", came.id).as_bytes());
    }
    let mut rest = header;
    for field in fields(header).filter(goes) {
        let at = field.raw.as_ptr() as usize - rest.as_ptr() as usize;
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + field.raw.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// The fields of who sends a message on unchanged (RFC 5322 §3.6.6): the topmost block, where it names somebody as doing so. Each time
/// adds a block on top, in which a field stands once.
fn resent(header: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut block: Vec<Field<'_>> = Vec::new();
    for field in fields(header) {
        let name = RESENT.iter().find(|name| field.is(name));
        match name {
            Some(name) if block.iter().any(|known| known.is(name)) => break,
            Some(_) => block.push(field),
            None => {}
        }
    }
    block.iter().any(|field| field.is("Resent-From")).then_some(block)
}

/// Whom a field names; `None` where those are more than are read.
fn named(value: &[u8]) -> Option<Vec<String>> {
    let list = mime::addresses(&mime::unfold(value), AUTHORS + 1);
    let mailboxes = list.iter().filter_map(|address| match address {
        mime::Address::Mailbox(mailbox) => Some(mailbox),
        _ => None,
    });
    let text = |mailbox: &mime::Mailbox| {
        let (local, host) = (
            String::from_utf8_lossy(&mailbox.local),
            String::from_utf8_lossy(&mailbox.host),
        );
        format!("{local}@{host}")
    };
    (list.len() <= AUTHORS).then(|| mailboxes.map(text).collect())
}

impl Context {
    /// What goes on top of a message that somebody submits, and its header where that changes.
    pub(super) fn submitted(&self, came: &Came<'_>, heard: &Heard) -> Result<(Vec<u8>, Option<Vec<u8>>), Reply> {
        if let Some(account) = came.account.filter(|_| self.options.own_senders_only) {
            self.check_authors(account, heard.header())?;
        }
        let account = came.account.and_then(|account| self.directory.account(account));
        let author = match came.sender {
            "" => account.as_ref().map(|account| account.address()),
            sender => Some(sender),
        };
        let header = completed(heard.header(), came, author, &self.options.hostname);
        let complete = header.as_deref().unwrap_or(heard.header());
        let top = came
            .account
            .map(|account| blocking(|| self.signatures(account, complete, heard)));
        Ok((top.unwrap_or_default(), header))
    }

    /// Whether everybody whom From and Sender name is somebody that the account may send as: it is these that people see (RFC 6409 §6.1,
    /// §8.1). Where somebody sends on what another wrote, and says so, they are the other's, and it is Resent-From and Resent-Sender.
    fn check_authors(&self, account: AccountId, header: &[u8]) -> Result<(), Reply> {
        let (names, block) = match resent(header) {
            Some(block) => (["Resent-From", "Resent-Sender"], block),
            None => (["From", "Sender"], fields(header).collect()),
        };
        for name in names {
            let mut found = block.iter().filter(|field| field.is(name));
            let Some(field) = found.next() else { continue };
            if found.next().is_some() {
                return Err(Reply::new(
                    554,
                    Status(5, 6, 0),
                    format!("a message has one {name} field"),
                ));
            }
            let Some(people) = named(field.value) else {
                return Err(Reply::new(
                    554,
                    Status(5, 6, 0),
                    format!("too many addresses in {name}"),
                ));
            };
            if people.is_empty() {
                return Err(Reply::new(554, Status(5, 6, 0), format!("{name} names nobody")));
            }
            if let Some(other) = people
                .iter()
                .find(|address| !self.directory.may_send_as(account, address))
            {
                let text = format!("{name} names {other}, which is not an address of yours");
                return Err(Reply::new(550, Status(5, 7, 1), text));
            }
        }
        Ok(())
    }

    /// Signatures for a message of this account's, to be put on top of it. Only where everybody in From is somebody that the account may
    /// send as: a signature says that we vouch for the author.
    fn signatures(&self, account: AccountId, header: &[u8], came: &Heard) -> Vec<u8> {
        let Some(signer) = &self.signer else {
            return Vec::new();
        };
        let mut from = fields(header).filter(|field| field.is("From"));
        let (Some(field), None) = (from.next(), from.next()) else {
            return Vec::new();
        };
        let people = named(field.value).unwrap_or_default();
        if !people
            .iter()
            .all(|address| self.directory.may_send_as(account, address))
        {
            return Vec::new();
        }
        let host = people.first().and_then(|address| address.rsplit_once('@'));
        let domain = host.and_then(|(_, host)| authentication::normal(host));
        let Some(domain) = domain.filter(|domain| self.directory.domain_is_ours(domain)) else {
            return Vec::new();
        };
        let Some(body) = came.body(Canon::Relaxed, None) else {
            return Vec::new();
        };
        signer.sign(&domain, header, body, u64::try_from(now()).unwrap_or(0))
    }
}

/// Hears a message that is to be signed.
pub(super) fn listener() -> Listener {
    // What signatures it has already is not looked at: they are for whoever gets it.
    Listener::new(Limits {
        signatures: 0,
        ..Limits::default()
    })
    .signing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_made_complete() {
        let id = AcceptanceId(1);
        let came = Came {
            id,
            received_at: 0,
            account: None,
            sender: "a@c.example",
        };
        let complete = |header: &str| {
            let header = completed(header.as_bytes(), &came, Some(came.sender), "mail.phys.example");
            header.map(|header| String::from_utf8(header).unwrap())
        };
        assert_eq!(complete("From: a\r\nDate: x\r\nMessage-ID: <y>\r\n\r\n"), None);
        assert_eq!(
            complete("From: a\r\nbcc: b@c.example,\r\n d@e.example\r\nTo: f\r\nBcc: g\r\n\r\n").unwrap(),
            format!(
                "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <{id}@mail.phys.example>\r\nFrom: a\r\nTo: f\r\n\r\n"
            )
        );
        assert_eq!(
            complete(
                "From: a\r\nDate: x\r\nAuthentication-Results: mail.phys.example;\r\n dkim=pass\r\nBcc: g\r\n\
                 Authentication-Results: other.example; none\r\nMessage-ID: <y>\r\n\r\n"
            )
            .unwrap(),
            "From: a\r\nDate: x\r\nAuthentication-Results: other.example; none\r\nMessage-ID: <y>\r\n\r\n"
        );
        assert_eq!(
            complete("Date: x\r\nMessage-ID: <y>\r\n\r\n").unwrap(),
            "From: <a@c.example>\r\nDate: x\r\nMessage-ID: <y>\r\n\r\n"
        );
    }

    #[test]
    fn the_last_who_sent_it_on_is_on_top() {
        for (header, expected) in [
            ("From: a@b.example\r\nSender: c@d.example\r\n\r\n", None),
            (
                "Resent-To: x@y.example\r\nResent-Sender: c@d.example\r\nFrom: a@b.example\r\n\r\n",
                None,
            ),
            (
                "Resent-From: c@d.example\r\nFrom: a@b.example\r\n\r\n",
                Some("Resent-From"),
            ),
            (
                "resent-date: x\r\nResent-From: c@d.example\r\nResent-To: z\r\nResent-Date: y\r\nResent-From: e@f.example\r\n\
                 Resent-Sender: g@h.example\r\nFrom: a@b.example\r\n\r\n",
                Some("Resent-Date Resent-From"),
            ),
            (
                "Resent-Sender: c@d.example\r\nResent-From: e@f.example\r\nFrom: a@b.example\r\n\r\n",
                Some("Resent-From Resent-Sender"),
            ),
        ] {
            let found = resent(header.as_bytes()).map(|block| {
                let names = RESENT.iter().filter(|name| block.iter().any(|field| field.is(name)));
                names.copied().collect::<Vec<_>>().join(" ")
            });
            assert_eq!(found.as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn everybody_is_read_or_nobody() {
        let people = |value: &str| named(value.as_bytes());
        assert_eq!(
            people(" Ada <ada@a.example>, b@c.example"),
            Some(vec!["ada@a.example".into(), "b@c.example".into()])
        );
        assert_eq!(
            people(" \"ada@a.example\" <eve@a.example>"),
            Some(vec!["eve@a.example".into()])
        );
        assert_eq!(people(" nobody:;"), Some(vec![]));
        let many = |count| people(&"a@b.example, ".repeat(count)).map(|people| people.len());
        assert_eq!(many(100), Some(100));
        assert_eq!(many(101), None);
    }
}
