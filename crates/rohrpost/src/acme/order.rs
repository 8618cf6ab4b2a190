//! Talking to the authority: account, order, proofs, certificate. RFC 8555 §7

use super::hook;
use super::proofs::{Placed, Proofs};
use crate::config::{Acme, Challenge};
use crate::files;
use crate::tls;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long an order may take from beginning to end, hooks included.
pub const PATIENCE: Duration = Duration::from_secs(1800);
/// How long asking when to renew may take.
const ASKING: Duration = Duration::from_secs(60);
/// How long the authority may take to look at the proofs, and then to sign.
const RETRIES: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(300));

/// A certificate that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The host's name, or the domain's.
    pub name: String,
    /// What it is to be for; never empty.
    pub names: Vec<String>,
}

/// Why there is no certificate.
#[derive(Debug)]
pub struct Fault {
    /// In words.
    pub message: String,
    /// The authority says that there were too many orders.
    pub is_limit: bool,
    /// The server stops; nothing has failed.
    pub is_stop: bool,
}

impl Fault {
    /// One that may be over in a while.
    pub fn new(message: impl Into<String>) -> Fault {
        Fault {
            message: message.into(),
            is_limit: false,
            is_stop: false,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let kind = match &error {
            Error::Api(problem) => problem.r#type.as_deref(),
            _ => None,
        };
        let is_limit = kind == Some("urn:ietf:params:acme:error:rateLimited");
        // What is behind "client error" is said by what is behind it.
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Fault {
            is_limit,
            ..Fault::new(message)
        }
    }
}

/// An authority, and what is needed to talk to it.
pub struct Authority<'a> {
    /// Which, and how.
    pub settings: &'a Acme,
    /// Where the account is kept.
    pub folder: &'a Path,
    /// Where proofs are put.
    pub proofs: &'a Arc<Proofs>,
}

impl Authority<'_> {
    /// Gets a certificate for the key in a file, and puts it at `path`. `old`: the identifier of the one that it replaces (RFC 9773 §5). However it
    /// ends, also by `stop`, the proofs are taken away again.
    pub async fn certificate(
        &self,
        wish: &Wish,
        key: &Path,
        path: &Path,
        old: Option<&str>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Fault> {
        let mut placed = Vec::new();
        let ordered = tokio::select! {
            ordered = tokio::time::timeout(PATIENCE, self.ordered(wish, key, old, &mut placed)) => match ordered {
                Ok(ordered) => ordered,
                Err(_) => Err(Fault::new(format!("the order was not done after {} s", PATIENCE.as_secs()))),
            },
            () = stop => Err(Fault { is_stop: true, ..Fault::new("the server stops") }),
        };
        for proof in placed {
            proof.remove(self.settings).await;
        }
        let pem = ordered?;
        check(&pem, key, &wish.names)?;
        files::replace(path, pem.as_bytes(), 0o644)
            .map_err(|e| Fault::new(format!("{} cannot be written: {e}", path.display())))
    }

    /// When the authority wants a certificate renewed, from and until, and for how long it need not be asked again; `None`: it does not say such
    /// things.
    pub async fn renewal(&self, id: &str) -> Result<Option<((i64, i64), Duration)>, Fault> {
        let Some(id) = parsed(id) else { return Ok(None) };
        let asked = async {
            let account = self.account().await?;
            match account.renewal_info(&id).await {
                Ok((info, pause)) => {
                    let window = info.suggested_window;
                    Ok(Some((
                        (window.start.unix_timestamp(), window.end.unix_timestamp()),
                        pause,
                    )))
                }
                Err(Error::Unsupported(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        tokio::time::timeout(ASKING, asked)
            .await
            .map_err(|_| Fault::new(format!("no answer in {} s", ASKING.as_secs())))?
    }

    async fn ordered(
        &self,
        wish: &Wish,
        key: &Path,
        old: Option<&str>,
        placed: &mut Vec<Proof>,
    ) -> Result<String, Fault> {
        let account = self.account().await?;
        let identifiers: Vec<Identifier> = wish.names.iter().cloned().map(Identifier::Dns).collect();
        let plain = NewOrder::new(&identifiers);
        let made = match old.and_then(parsed) {
            None => account.new_order(&plain).await,
            Some(old) => match account.new_order(&NewOrder::new(&identifiers).replaces(old)).await {
                Err(error) if is_about_replacing(&error) => account.new_order(&plain).await,
                made => made,
            },
        };
        let mut order = match made {
            Ok(order) => order,
            Err(error) => {
                if let Error::Api(problem) = &error
                    && problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
                {
                    // It has forgotten us; the next try begins with a new account.
                    let _ = std::fs::remove_file(self.account_file());
                }
                return Err(error.into());
            }
        };
        let proven = self.prove(&mut order, placed).await;
        let mut result = match proven {
            Ok(()) => sign(&mut order, wish, key).await,
            Err(fault) => Err(fault),
        };
        if result.is_err()
            && let Some(why) = refusals(&mut order).await
        {
            result = Err(Fault::new(why));
        }
        result
    }

    /// Puts the proofs where the authority looks, and says that they are there.
    async fn prove(&self, order: &mut Order, placed: &mut Vec<Proof>) -> Result<(), Fault> {
        let kind = match self.settings.challenge {
            Challenge::Http => ChallengeType::Http01,
            Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
            Challenge::Dns => ChallengeType::Dns01,
        };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                status => return Err(Fault::new(format!("the authority has a name as {status:?}"))),
            }
            let name = authorization.identifier().to_string();
            let Some(mut challenge) = authorization.challenge(kind.clone()) else {
                let name = self.settings.challenge.name();
                return Err(Fault::new(format!(
                    "the authority offers no {name} challenge for this name"
                )));
            };
            let bare = name.strip_prefix("*.").unwrap_or(&name).to_owned();
            let proof = challenge.key_authorization();
            match self.settings.challenge {
                Challenge::Http => {
                    let answer = proof.as_str().to_owned();
                    placed.push(Proof::Here(self.proofs.place_answer(&challenge.token, answer)));
                }
                Challenge::TlsAlpn => {
                    let here = self.proofs.place_certificate(&bare, proof.digest().as_ref());
                    placed.push(Proof::Here(here.map_err(Fault::new)?));
                }
                Challenge::Dns => {
                    let (name, text) = (format!("_acme-challenge.{bare}"), proof.dns_value());
                    let program = self.hook()?;
                    // A hook that fails or is cut short may have put it there.
                    placed.push(Proof::Elsewhere(Record {
                        name: name.clone(),
                        text: text.clone(),
                    }));
                    hook::run(program, "present", &name, &text).await.map_err(Fault::new)?;
                }
            }
            challenge.set_ready().await?;
        }
        Ok(())
    }

    fn hook(&self) -> Result<&Path, Fault> {
        self.settings
            .hook
            .as_deref()
            .ok_or_else(|| Fault::new("acme.hook is not set"))
    }

    /// One account with each authority, made when it is first needed.
    async fn account(&self) -> Result<Account, Fault> {
        let file = self.account_file();
        if let Ok(text) = std::fs::read(&file)
            && let Ok(known) = serde_json::from_slice::<AccountCredentials>(&text)
        {
            return Ok(self.builder()?.from_credentials(known).await?);
        }
        let contact: Vec<String> = self
            .settings
            .contact
            .iter()
            .map(|address| format!("mailto:{address}"))
            .collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: self.settings.agree,
            only_return_existing: false,
        };
        let binding = self.binding()?;
        let (account, credentials) = self
            .builder()?
            .create(&new, self.settings.directory.clone(), binding.as_ref())
            .await?;
        let text = serde_json::to_vec(&credentials).map_err(|e| Fault::new(e.to_string()))?;
        files::replace(&file, &text, 0o600).map_err(|e| Fault::new(format!("{}: {e}", file.display())))?;
        tracing::info!(account = account.id(), "registered with the certificate authority");
        Ok(account)
    }

    fn builder(&self) -> Result<AccountBuilder, Fault> {
        Ok(match &self.settings.ca {
            Some(root) => Account::builder_with_root(root)?,
            None => Account::builder()?,
        })
    }

    /// What ties the account to one that the organisation has with the authority already (RFC 8555 §7.3.4).
    fn binding(&self) -> Result<Option<ExternalAccountKey>, Fault> {
        let (Some(id), Some(file)) = (&self.settings.eab_id, &self.settings.eab_key) else {
            return Ok(None);
        };
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|e| Fault::new(format!("{shown} cannot be read: {e}")))?;
        let key = URL_SAFE_NO_PAD
            .decode(text.trim().trim_end_matches('='))
            .map_err(|_| Fault::new(format!("{shown} is not a key in base64url")))?;
        Ok(Some(ExternalAccountKey::new(id.clone(), &key)))
    }

    fn account_file(&self) -> PathBuf {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.settings.directory.as_bytes());
        let short = URL_SAFE_NO_PAD.encode(hash.as_ref().get(..9).unwrap_or_default());
        self.folder.join(format!("account-{short}.json"))
    }
}

/// The identifier of a certificate (RFC 9773 §4.1).
pub fn identifier(certificate: &CertificateDer<'_>) -> Option<String> {
    let id = CertificateIdentifier::try_from(certificate).ok()?;
    Some(id.to_string())
}

fn parsed(id: &str) -> Option<CertificateIdentifier<'_>> {
    let (authority, serial) = id.split_once('.')?;
    Some(CertificateIdentifier {
        authority_key_identifier: authority.into(),
        serial: serial.into(),
    })
}

/// Whether it is what an order is to replace that is wrong with it: somebody has replaced that already, or the authority does not know it. What is needed is a certificate.
fn is_about_replacing(error: &Error) -> bool {
    match error {
        Error::Api(problem) => matches!(
            problem.r#type.as_deref(),
            Some("urn:ietf:params:acme:error:alreadyReplaced" | "urn:ietf:params:acme:error:malformed")
        ),
        Error::Unsupported(_) | Error::Other(_) => true,
        _ => false,
    }
}

/// A TXT record.
struct Record {
    name: String,
    text: String,
}

/// Where a proof lies.
enum Proof {
    /// With us; it goes when this goes.
    Here(#[allow(dead_code, reason = "what counts is when it is dropped")] Placed),
    /// In the DNS.
    Elsewhere(Record),
}

impl Proof {
    async fn remove(self, settings: &Acme) {
        if let (Proof::Elsewhere(record), Some(program)) = (self, settings.hook.as_deref())
            && let Err(error) = hook::run(program, "cleanup", &record.name, &record.text).await
        {
            tracing::warn!(error, "a record that is needed no more stays in the DNS");
        }
    }
}

/// Waits until the proofs were seen, and has the certificate signed.
async fn sign(order: &mut Order, wish: &Wish, key: &Path) -> Result<String, Fault> {
    let status = order.poll_ready(&RETRIES).await?;
    if status != OrderStatus::Ready {
        return Err(Fault::new(format!("the authority has the order as {status:?}")));
    }
    order.finalize_csr(&request(&wish.names, key)?).await?;
    Ok(order.poll_certificate(&RETRIES).await?)
}

/// What the authority says about the proofs that it did not accept.
async fn refusals(order: &mut Order) -> Option<String> {
    let mut all = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let name = authorization.identifier().to_string();
        let state = authorization.refresh().await.ok()?;
        let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        all.extend(errors.map(|error| format!("{name}: {error}")));
    }
    (!all.is_empty()).then(|| all.join("; "))
}

/// A signing request (RFC 2986) for these names and the key in a file.
fn request(names: &[String], key: &Path) -> Result<Vec<u8>, Fault> {
    let shown = key.display();
    let fault = |e: rcgen::Error| Fault::new(format!("{shown}: {e}"));
    let pem = std::fs::read_to_string(key).map_err(|e| Fault::new(format!("{shown} cannot be read: {e}")))?;
    let pair = rcgen::KeyPair::from_pem(&pem).map_err(fault)?;
    let mut parameters = rcgen::CertificateParams::new(names.to_vec()).map_err(fault)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    Ok(parameters.serialize_request(&pair).map_err(fault)?.der().to_vec())
}

/// Nothing takes the place of a certificate that works but one that works: it is for our key, and for all the names.
fn check(pem: &str, key: &Path, names: &[String]) -> Result<(), Fault> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Fault::new(format!("what the authority sent is no certificate: {e}")))?;
    let own = chain
        .first()
        .ok_or_else(|| Fault::new("the authority sent no certificate"))?;
    let there = tls::names(own);
    if let Some(missing) = names.iter().find(|name| !there.contains(name)) {
        return Err(Fault::new(format!("the authority's certificate is not for {missing}")));
    }
    let text = std::fs::read(key).map_err(|e| Fault::new(format!("{}: {e}", key.display())))?;
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|e| Fault::new(e.to_string()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    tls::pair(chain, private, &provider)
        .map(|_| ())
        .map_err(|e| Fault::new(format!("the authority's certificate cannot be used: {e}")))
}
