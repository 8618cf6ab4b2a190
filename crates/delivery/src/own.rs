//! Mail of our own: alarms, reports, notices. It is written by us, signed like everybody's (RFC 6376), has a null reverse path, so that nothing
//! comes back, and enters custody like any other.

use crate::Signer;
use authentication::dkim::Canon;
use authentication::{Heard, Limits, Listener};
use directory::{Directory, Resolution};
use ledger::{Acceptance, AcceptanceId, Lane, Ledger, NewRecipient, RequireTls};
use smtp::Body;
use smtp::dsn::Language;
use std::sync::Arc;

/// What mail of our own needs. Cheap to clone.
#[derive(Clone)]
pub struct OwnMail {
    ledger: Ledger,
    directory: Directory,
    signer: Option<Arc<Signer>>,
    hostname: Arc<str>,
    languages: Arc<[Language]>,
}

/// A message of our own.
#[derive(Clone, Debug)]
pub struct Letter {
    /// To whom.
    pub to: Vec<String>,
    /// All of it, without what signing adds.
    pub message: Vec<u8>,
    /// What `BODY` it needs.
    pub body: Body,
    /// Whether it needs `SMTPUTF8`.
    pub smtputf8: bool,
    /// Which part of us wrote it.
    pub by: &'static str,
    /// For the ledger: what it is.
    pub notes: String,
}

impl OwnMail {
    /// With the name of this host; in these languages, the first first.
    pub fn new(
        ledger: Ledger,
        directory: Directory,
        signer: Option<Arc<Signer>>,
        hostname: &str,
        languages: &[Language],
    ) -> OwnMail {
        let languages = match languages {
            [] => &[Language::English],
            all => all,
        };
        OwnMail {
            ledger,
            directory,
            signer,
            hostname: hostname.into(),
            languages: languages.into(),
        }
    }

    /// The same with signatures.
    #[must_use]
    pub fn signed(&self, signer: Arc<Signer>) -> OwnMail {
        OwnMail {
            signer: Some(signer),
            ..self.clone()
        }
    }

    /// Who our mail is from, and whom people ask: `postmaster@` of the first domain.
    pub fn postmaster(&self) -> String {
        postmaster(&self.directory, &self.hostname)
    }

    /// Our name.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// In which languages we write.
    pub fn languages(&self) -> &[Language] {
        &self.languages
    }

    /// A word that no other message of ours has.
    pub fn unique(&self) -> AcceptanceId {
        self.ledger.next_id()
    }

    /// Signs a message and takes it into custody.
    pub async fn send(&self, letter: Letter) -> ledger::Result<AcceptanceId> {
        let id = self.ledger.next_id();
        let (ledger, signer) = (&self.ledger, self.signer.as_deref());
        let (message, commit) = net::blocking(|| {
            let message = signed(signer, letter.message);
            ledger.blobs().put(&message).map(|commit| (message, commit))
        })?;
        let recipients = letter.to.into_iter().map(|address| NewRecipient {
            lane: match self.directory.resolve(&address) {
                Resolution::Remote => Lane::Remote,
                _ => Lane::Local,
            },
            address,
            original: None,
            notify: Some("NEVER".to_owned()),
        });
        let asked = mime::header_field(&message, "TLS-Required");
        let acceptance = Acceptance {
            helo: self.hostname.to_string(),
            body: letter.body.to_string(),
            smtputf8: letter.smtputf8,
            requiretls: asked.map_or(RequireTls::Unsaid, |value| RequireTls::of_field(&value)),
            bulk: true,
            notes: Some(letter.notes),
            recipients: recipients.collect(),
            ..Acceptance::ours(id, net::now(), letter.by)
        };
        self.ledger.accept(acceptance, commit, Some(message.into())).await?;
        Ok(id)
    }
}

/// Who our mail is from: `postmaster@` of the first domain, or of this host where there is none yet.
pub fn postmaster(directory: &Directory, hostname: &str) -> String {
    match directory.domain_list().first() {
        Some(domain) => format!("postmaster@{}", domain.name),
        None => format!("postmaster@{hostname}"),
    }
}

/// A message of ours with the signatures of its author's domain on top; as it is where there is no key. Blocks.
pub fn signed(signer: Option<&Signer>, message: Vec<u8>) -> Vec<u8> {
    let Some(signer) = signer else {
        return message;
    };
    // What it carries of others' signatures (in a message that is given back) is not looked at.
    let mut listener = Listener::new(Limits {
        signatures: 0,
        ..Limits::default()
    })
    .signing();
    listener.push(&message);
    let mut top = signatures(signer, &listener.finish());
    if top.is_empty() {
        return message;
    }
    top.extend_from_slice(&message);
    top
}

fn signatures(signer: &Signer, heard: &Heard) -> Vec<u8> {
    let Some(body) = heard.body(Canon::Relaxed, None) else {
        return Vec::new();
    };
    let author = mime::header_field(heard.header(), "From");
    let author = author.map(|value| mime::addresses(&value, 1));
    let Some(mime::Address::Mailbox(author)) = author.as_ref().and_then(|list| list.first()) else {
        return Vec::new();
    };
    let Some(domain) = authentication::normal(&String::from_utf8_lossy(&author.host)) else {
        return Vec::new();
    };
    signer.sign(&domain, heard.header(), body, u64::try_from(net::now()).unwrap_or(0))
}
