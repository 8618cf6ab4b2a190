//! Sending on: what an alias leads to elsewhere, and what people's scripts redirect.
//!
//! To the next server we are a stranger that sends in somebody else's name. So
//!
//! - the return path becomes one of ours that holds the old one ([SRS](authentication::srs)): SPF then asks about us, and a bounce comes back here
//!   and goes on to whom it belongs;
//! - what we had found of the message is sealed ([ARC](authentication::arc), RFC 8617), so that who trusts us can believe in a signature that a
//!   later change breaks;
//! - a `Delivered-To` line says for whom we did so, by which a circle is known.
//!
//! Who set up the forwarding may be told in place of the sender when it fails: then the return path is one of ours that stands for the owner, and what
//! comes to it is put into the owner's inbox past all scripts, which would only send it on again. The owner of an account is the account;
//! that of an alias `staff@` is `owner-staff@`, where there is such an address.
//!
//! A return path takes bounces only: mail with a null return path itself. A message whose own return path is null keeps that.
//!
//! Exposed to: hostile messages; addresses that strangers make up to look like return paths. May touch: blobs (writing what is sent on).

use crate::{Signer, own};
use authentication::arc::Chain;
use authentication::results::Verdict;
use authentication::srs::{Refused, Rewriter};
use authentication::{Heard, Limits, Listener, fields};
use blobs::{BlobId, Blobs};
use bytes::Bytes;
use db::AccountId;
use directory::{Directory, Resolution};
use filter::Sending;
use filter::outgoing::{Departure, Leaving};
use ledger::{Acceptance, Lane, Ledger, NewRecipient, Offspring, Work};
use std::io::Read as _;
use std::sync::Arc;

/// What the secret of the return paths is derived for.
const PURPOSE: &str = "rohrpost 2026-11-25 return paths of forwarded mail";
/// Octets of a message that are read at a time.
const PIECE: usize = 64 * 1024;
/// Messages up to this size are sent on from memory.
const SMALL: u64 = 1024 * 1024;

/// How mail is sent on.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// Our name, as Authentication-Results has it.
    pub hostname: String,
    /// The return path of what is sent on is one of ours. Default true.
    pub rewrite: bool,
    /// What was found of the message is sealed. Default true.
    pub seal: bool,
    /// Accounts that have said nothing about it are told themselves when what they send on fails, and not the sender. Default false.
    pub tells_owner: bool,
}

impl ForwardOptions {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> ForwardOptions {
        ForwardOptions {
            hostname: hostname.into(),
            rewrite: true,
            seal: true,
            tells_owner: false,
        }
    }
}

/// Makes and reads return paths, and what is sent on with them.
pub struct Forwarding {
    directory: Directory,
    rewriter: Rewriter,
    signer: Option<Arc<Signer>>,
    options: ForwardOptions,
}

impl std::fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarding")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Who sends on.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'o> {
    /// An alias, or `@domain` for a catch-all.
    Alias(&'o str),
    /// An account, by this address.
    Account(AccountId, &'o str),
}

impl Owner<'_> {
    fn address(&self) -> &str {
        match self {
            Owner::Alias(address) | Owner::Account(_, address) => address,
        }
    }

    fn domain(&self) -> &str {
        self.address().rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// For whom a return path of ours stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandsFor {
    /// Who had sent the message, elsewhere.
    Sender(String),
    /// Somebody of ours who sends mail on.
    Owner(String),
}

impl Forwarding {
    /// With the secret of this server.
    pub fn new(directory: Directory, signer: Option<Arc<Signer>>, options: ForwardOptions) -> Forwarding {
        Forwarding {
            rewriter: Rewriter::new(&directory.secret_for(PURPOSE)),
            directory,
            signer,
            options,
        }
    }

    /// The return path of a message from `sender` that somebody sends on.
    pub fn return_path(&self, sender: &str, owner: Owner<'_>, now: i64) -> String {
        if sender.is_empty() {
            return String::new();
        }
        let now = u64::try_from(now).unwrap_or(0);
        let domain = owner.domain();
        if let Some(told) = self.told(owner)
            && let Some(path) = self.rewriter.forward(&told, domain, now)
        {
            return path;
        }
        let host = sender.rsplit_once('@').map_or("", |(_, host)| host);
        if !self.options.rewrite || self.directory.domain_is_ours(host) {
            return sender.to_owned();
        }
        let path = self.rewriter.forward(sender, domain, now);
        path.unwrap_or_else(|| sender.to_owned())
    }

    /// Who is told in place of the sender.
    fn told(&self, owner: Owner<'_>) -> Option<String> {
        match owner {
            Owner::Account(account, address) => {
                let told = self.directory.forwarding_tells_owner(account);
                told.unwrap_or(self.options.tells_owner).then(|| address.to_owned())
            }
            Owner::Alias(alias) => {
                let address = format!("owner-{alias}");
                let found = self.directory.resolve(&address);
                let there = alias.find('@').is_some_and(|at| at > 0)
                    && matches!(found, Resolution::Account { .. } | Resolution::Alias { .. });
                there.then_some(address)
            }
        }
    }

    /// For whom an address stands, if it is a return path of ours. `now` in seconds since 1970.
    pub fn reverse(&self, address: &str, now: i64) -> Option<Result<StandsFor, Refused>> {
        let (local, domain) = address.rsplit_once('@')?;
        if !local.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("SRS"))
            || !self.directory.domain_is_ours(domain)
        {
            return None;
        }
        let found = self.rewriter.reverse(local, u64::try_from(now).unwrap_or(0))?;
        Some(found.map(|address| {
            let host = address.rsplit_once('@').map_or("", |(_, host)| host);
            if self.directory.domain_is_ours(host) {
                StandsFor::Owner(address)
            } else {
                StandsFor::Sender(address)
            }
        }))
    }

    /// Whether somebody has sent a message on before: it goes in a circle.
    pub fn went_round(header: &[u8], owner: Owner<'_>) -> bool {
        mime::fields(header)
            .filter(|field| field.is("Delivered-To"))
            .any(|field| {
                let value = mime::unfold(field.value);
                value.eq_ignore_ascii_case(owner.address().as_bytes())
            })
    }

    /// Fields for the top of a message that is sent on: the seal. `came`: its header as it lay in custody. `found`: what we had found of it.
    /// `heard`: as it goes on.
    fn seal(&self, came: &[u8], found: (String, Verdict), heard: &Heard, domain: &str, now: i64) -> Vec<u8> {
        let Some(signer) = self.signer.as_ref().filter(|_| self.options.seal) else {
            return Vec::new();
        };
        let Some(domain) = authentication::normal(domain) else {
            return Vec::new();
        };
        let (results, verdict) = found;
        let chain = Chain::remembered(came, verdict, &Limits::default());
        signer.seal(&domain, heard, &results, &chain, u64::try_from(now).unwrap_or(0))
    }

    /// What an alias sends on to addresses elsewhere, as a message of its own; its bytes are durable. `None`: it goes in a circle. Blocks.
    pub fn forwarded(
        &self,
        ledger: &Ledger,
        work: &Work,
        alias: &str,
        targets: &[String],
        now: i64,
    ) -> ledger::Result<Option<Offspring>> {
        // Of a catch-all it is the address that the mail was for.
        let alias = if alias.starts_with('@') { &work.address } else { alias };
        let owner = Owner::Alias(alias);
        let copy = Copy::of(ledger.blobs(), work)?;
        let header = copy.heard.header();
        if Forwarding::went_round(header, owner) {
            return Ok(None);
        }
        let line = format!("Delivered-To: {alias}\r\n").into_bytes();
        let on = copy.with_line(&line)?;
        let found = findings(header, &self.options.hostname);
        let mut top = self.seal(header, found, &on, owner.domain(), now);
        top.extend_from_slice(&line);
        let (blob, size, bytes) = copy.written(ledger.blobs(), &top)?;
        let came = &work.acceptance;
        let original = work.original.clone().or_else(|| original_recipient(&work.address));
        let recipients = targets.iter().map(|address| NewRecipient {
            address: address.clone(),
            original: original.clone(),
            notify: work.notify.clone(),
            lane: Lane::Remote,
        });
        let acceptance = Acceptance {
            sender: self.return_path(&came.sender, owner, now),
            helo: self.options.hostname.clone(),
            envid: came.envid.clone(),
            ret: came.ret.clone(),
            body: came.body.clone(),
            smtputf8: came.smtputf8,
            requiretls: came.requiretls,
            bulk: came.bulk,
            session: came.session.clone(),
            message_id: came.message_id.clone(),
            notes: Some(format!("sent on by the alias {alias}, from {}", came.id)),
            parent: Some((came.id, work.number)),
            recipients: recipients.collect(),
            ..Acceptance::ours(ledger.next_id(), now, "forward")
        };
        Ok(Some(Offspring {
            acceptance,
            blob,
            size,
            bytes,
        }))
    }
}

impl Departure for Forwarding {
    /// What is sent on to others gets a return path and a seal, what a script wrote a signature.
    fn ready(&self, leaving: &Leaving<'_>, sending: &mut Sending) {
        if !sending.is_redirect() {
            let message = std::mem::take(&mut sending.bytes);
            sending.bytes = own::signed(self.signer.as_deref(), message);
            return;
        }
        let away = |to: &String| matches!(self.directory.resolve(to), Resolution::Remote);
        if !sending.recipients.iter().any(away) {
            return;
        }
        let owner = Owner::Account(leaving.account, leaving.address);
        sending.sender = self.return_path(&sending.sender, owner, leaving.now);
        let came = leaving.message;
        let came = came.get(..mime::header_end(came)).unwrap_or_default();
        // What somebody put into a mailbox has nothing of ours on top, whatever stands there.
        let found = match leaving.accepted {
            true => findings(came, &self.options.hostname),
            false => findings(b"", &self.options.hostname),
        };
        let mut listener = Listener::new(quiet()).signing();
        listener.push(&sending.bytes);
        let mut top = self.seal(came, found, &listener.finish(), owner.domain(), leaving.now);
        if !top.is_empty() {
            top.append(&mut sending.bytes);
            sending.bytes = top;
        }
    }
}

/// What we had found when a message came, and of its chain of seals. Only the first field counts: what stands below may be anybody's, since
/// messages that nobody had looked at keep theirs.
fn findings(header: &[u8], hostname: &str) -> (String, Verdict) {
    let none = || (format!("{hostname}; none"), Verdict::None);
    let Some(field) = fields(header).next().filter(|field| field.is("Authentication-Results")) else {
        return none();
    };
    let Ok(text) = std::str::from_utf8(field.value) else {
        return none();
    };
    let text = text.trim();
    let name = text.split([';', ' ', '\r', '\t']).next().unwrap_or_default();
    if !name.eq_ignore_ascii_case(hostname) {
        return none();
    }
    let arc = text.split(';').find_map(|entry| entry.trim().strip_prefix("arc="));
    let verdict = match arc.map(|arc| arc.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default()) {
        Some("pass") => Verdict::Pass,
        None | Some("none") => Verdict::None,
        Some(_) => Verdict::Fail,
    };
    (text.to_owned(), verdict)
}

/// `ORCPT` of an address (RFC 3461 §4.2).
fn original_recipient(address: &str) -> Option<String> {
    if !address.is_ascii() {
        return None;
    }
    let mut out = String::from("rfc822;");
    for byte in address.bytes() {
        match byte {
            b'+' | b'=' => out.push_str(&format!("+{byte:02X}")),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    Some(out)
}

/// A message that is copied: from memory where it is small, else piece by piece.
struct Copy<'c> {
    blobs: &'c Blobs,
    blob: BlobId,
    bytes: Option<Bytes>,
    heard: Heard,
}

impl Copy<'_> {
    fn of<'c>(blobs: &'c Blobs, work: &Work) -> ledger::Result<Copy<'c>> {
        let bytes = match &work.bytes {
            Some(bytes) => Some(bytes.clone()),
            None if work.size <= SMALL => Some(Bytes::from(blobs.read(work.blob)?)),
            None => None,
        };
        let mut copy = Copy {
            blobs,
            blob: work.blob,
            bytes,
            heard: Listener::new(quiet()).finish(),
        };
        copy.heard = copy.with_line(b"")?;
        Ok(copy)
    }

    /// The message as it sounds with a line before it.
    fn with_line(&self, line: &[u8]) -> ledger::Result<Heard> {
        let mut listener = Listener::new(quiet()).signing();
        listener.push(line);
        self.each(&mut |piece| {
            listener.push(piece);
            Ok(())
        })?;
        Ok(listener.finish())
    }

    /// The message with this before it, durable.
    fn written(&self, blobs: &Blobs, top: &[u8]) -> ledger::Result<(BlobId, u64, Option<Bytes>)> {
        let (commit, bytes) = match &self.bytes {
            Some(bytes) => {
                let whole = [top, bytes].concat();
                (blobs.put(&whole)?, Some(Bytes::from(whole)))
            }
            None => {
                let mut writer = blobs.writer();
                writer.write(top)?;
                self.each(&mut |piece| writer.write(piece))?;
                (writer.finish()?, None)
            }
        };
        commit.wait()?;
        Ok((commit.id(), commit.len(), bytes))
    }

    fn each(&self, take: &mut dyn FnMut(&[u8]) -> blobs::Result<()>) -> ledger::Result<()> {
        if let Some(bytes) = &self.bytes {
            return Ok(take(bytes)?);
        }
        let mut reader = self.blobs.reader(self.blob)?;
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => take(piece.get(..count).unwrap_or_default())?,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(blobs::Error::beside(std::path::Path::new("the message"), e).into()),
            }
        }
    }
}

/// What signatures a message has already is not looked at: what was found of them when it came is what is sealed.
fn quiet() -> Limits {
    Limits {
        signatures: 0,
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_have_found_is_sealed() {
        let ours = "Authentication-Results: mail.our.test;\r\n\tspf=pass smtp.mailfrom=a@far.test;\r\n\tarc=pass (i=2)\r\nReceived: x\r\n\r\n";
        let cases = [
            (
                ours,
                "mail.our.test;\r\n\tspf=pass smtp.mailfrom=a@far.test;\r\n\tarc=pass (i=2)",
                Verdict::Pass,
            ),
            (
                "Authentication-Results: mail.our.test; arc=fail\r\n\r\n",
                "mail.our.test; arc=fail",
                Verdict::Fail,
            ),
            (
                "Authentication-Results: mail.our.test; none\r\n\r\n",
                "mail.our.test; none",
                Verdict::None,
            ),
            // Somebody else's; and one that stands where anybody can put one.
            (
                "Authentication-Results: mail.far.test; arc=pass\r\n\r\n",
                "mail.our.test; none",
                Verdict::None,
            ),
            (
                "Received: x\r\nAuthentication-Results: mail.our.test; arc=pass\r\n\r\n",
                "mail.our.test; none",
                Verdict::None,
            ),
            ("", "mail.our.test; none", Verdict::None),
        ];
        for (header, results, verdict) in cases {
            assert_eq!(
                findings(header.as_bytes(), "mail.our.test"),
                (results.to_owned(), verdict),
                "{header}"
            );
        }
    }

    #[test]
    fn original_recipients_are_xtext() {
        assert_eq!(
            original_recipient("a+b=c@x.example").as_deref(),
            Some("rfc822;a+2Bb+3Dc@x.example")
        );
        assert_eq!(
            original_recipient("\"a b\"@x.example").as_deref(),
            Some("rfc822;\"a+20b\"@x.example")
        );
        assert_eq!(original_recipient("grün@x.example"), None);
    }

    #[test]
    fn a_circle_is_known() {
        let header = b"Received: x\r\nDelivered-To: Staff@our.test\r\nSubject: y\r\n\r\n";
        assert!(Forwarding::went_round(header, Owner::Alias("staff@our.test")));
        assert!(!Forwarding::went_round(header, Owner::Alias("all@our.test")));
    }
}
