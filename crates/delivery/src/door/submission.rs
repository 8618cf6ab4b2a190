//! What a message from one of our people's programs is made complete by (RFC 6409 §8), and signed with.

use super::{Context, now};
use authentication::dkim::Canon;
use authentication::{Heard, Limits, Listener, fields};
use db::AccountId;
use ledger::AcceptanceId;

/// The header as it goes out: without Bcc (RFC 5322 §3.6.3), with Date and Message-ID. `None`: it is complete as it is.
pub(super) fn completed(header: &[u8], id: AcceptanceId, received_at: i64, hostname: &str) -> Option<Vec<u8>> {
    let there = |name: &str| fields(header).any(|field| field.is(name));
    if there("Date") && there("Message-ID") && !there("Bcc") {
        return None;
    }
    let mut out = Vec::with_capacity(header.len() + 200);
    if !there("Date") {
        out.extend_from_slice(b"Date: ");
        smtp::date(received_at, &mut out);
        out.extend_from_slice(b"\r\n");
    }
    if !there("Message-ID") {
        out.extend_from_slice(format!("Message-ID: <{id}@{hostname}>\r\n").as_bytes());
    }
    let mut rest = header;
    for field in fields(header).filter(|field| field.is("Bcc")) {
        let at = field.raw.as_ptr() as usize - rest.as_ptr() as usize;
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + field.raw.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Some(out)
}

impl Context {
    /// Signatures for a message of this account's, to be put on top of it. Only where everybody in From is somebody that the account may
    /// send as: a signature says that we vouch for the author.
    pub(super) fn signatures(&self, account: AccountId, header: &[u8], came: &Heard) -> Vec<u8> {
        let Some(signer) = &self.signer else {
            return Vec::new();
        };
        let mut from = fields(header).filter(|field| field.is("From"));
        let (Some(field), None) = (from.next(), from.next()) else {
            return Vec::new();
        };
        let mut domain = None;
        for address in mime::addresses(&mime::unfold(field.value), 100) {
            let mime::Address::Mailbox(mailbox) = address else {
                continue;
            };
            let (local, host) = (
                String::from_utf8_lossy(&mailbox.local),
                String::from_utf8_lossy(&mailbox.host),
            );
            if !self.directory.may_send_as(account, &format!("{local}@{host}")) {
                return Vec::new();
            }
            domain = domain.or_else(|| authentication::normal(&host));
        }
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
        let complete = |header: &str| {
            let header = completed(header.as_bytes(), id, 0, "mail.phys.example");
            header.map(|header| String::from_utf8(header).unwrap())
        };
        assert_eq!(complete("From: a\r\nDate: x\r\nMessage-ID: <y>\r\n\r\n"), None);
        assert_eq!(
            complete("From: a\r\nbcc: b@c.example,\r\n d@e.example\r\nTo: f\r\nBcc: g\r\n\r\n").unwrap(),
            format!(
                "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <{id}@mail.phys.example>\r\nFrom: a\r\nTo: f\r\n\r\n"
            )
        );
    }
}
