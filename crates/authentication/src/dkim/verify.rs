//! Verifying (RFC 6376 §6).

use super::{SINGLE, Signature, Trouble, header_field, without_b};
use crate::dns::{Dns, Missing};
use crate::key::Algorithm;
use crate::listener::Heard;
use crate::message::{Field, fields};
use crate::results::Verdict;
use crate::tags::{self, Tags};
use crate::{Limits, dkim::Canon};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY};
use std::collections::HashMap;

/// What came of one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The verdict.
    pub verdict: Verdict,
    /// Who signed; empty where that cannot be read.
    pub domain: String,
    /// With which key.
    pub selector: String,
    /// `a=`; empty where that cannot be read.
    pub algorithm: &'static str,
    /// For whom (`i=`), where it is said.
    pub identity: Option<String>,
    /// The first characters of the signature (RFC 6008).
    pub b: String,
    /// Why it is not `pass`.
    pub reason: Option<String>,
    /// The signer only tries DKIM (`t=y` in the key). The verdict is what it is all the same.
    pub testing: bool,
    /// All that a reader is shown is signed: no body behind `l=`, no second From or Subject.
    pub whole: bool,
}

/// Verifies the signatures of a message, from the top. `now` in seconds since 1970.
pub async fn verify<D: Dns>(dns: &D, heard: &Heard, limits: &Limits, now: u64) -> Vec<Verification> {
    let selection = Selection::new(heard.header());
    let mut found = Vec::new();
    for field in fields(heard.header())
        .filter(|field| field.is("DKIM-Signature"))
        .take(limits.signatures)
    {
        let mut verification = Verification {
            verdict: Verdict::Pass,
            domain: String::new(),
            selector: String::new(),
            algorithm: "",
            identity: None,
            b: String::new(),
            reason: None,
            testing: false,
            whole: false,
        };
        if let Err(trouble) = judge(dns, heard, &selection, &field, now, &mut verification).await {
            verification.verdict = trouble.verdict;
            verification.reason = Some(trouble.reason);
        }
        found.push(verification);
    }
    found
}

async fn judge<D: Dns>(
    dns: &D,
    heard: &Heard,
    selection: &Selection<'_>,
    field: &Field<'_>,
    now: u64,
    verification: &mut Verification,
) -> Result<(), Trouble> {
    if let Some(tags) = field.text().and_then(Tags::parse) {
        // Whose signature it is can be told even where it is not good.
        verification.domain = tags.value("d").and_then(crate::normal).unwrap_or_default();
        verification.selector = tags.value("s").and_then(crate::normal).unwrap_or_default();
        let b = tags.value("b").unwrap_or_default();
        verification.b = b.chars().filter(|c| !tags::is_space(*c)).take(8).collect();
    }
    let signature = Signature::parse(field.value, false)?;
    verification.algorithm = signature.algorithm.name();
    verification.identity.clone_from(&signature.identity);
    signature.check_time(now)?;
    let body = heard
        .body(signature.body_canon, signature.length)
        .ok_or_else(|| Trouble::permanent("the body was not heard"))?;
    if signature.length.is_some_and(|length| length > body.length) {
        return Err(Trouble::new(Verdict::Fail, "the body is shorter than what was signed"));
    }
    if signature.body_hash != body.digest {
        return Err(Trouble::new(Verdict::Fail, "the body has changed"));
    }
    let public = Public::fetch(dns, &signature.selector, &signature.domain, signature.algorithm).await?;
    verification.testing = public.testing;
    if public.exact
        && signature
            .identity
            .as_deref()
            .and_then(|identity| identity.rsplit_once('@'))
            .and_then(|(_, host)| crate::normal(host))
            .is_some_and(|host| host != signature.domain)
    {
        return Err(Trouble::permanent("the key does not sign for names below its domain"));
    }
    let data = selection.data(&signature.fields, signature.header_canon, field);
    public.check(
        signature.algorithm,
        &data,
        &signature.signature,
        "the header has changed",
    )?;
    verification.whole =
        signature.length.is_none_or(|length| length == body.length) && selection.covers(&signature.fields);
    Ok(())
}

/// Which fields of a header a signature is about.
pub(crate) struct Selection<'a> {
    fields: HashMap<Vec<u8>, Vec<Field<'a>>>,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(header: &'a [u8]) -> Selection<'a> {
        let mut by_name: HashMap<Vec<u8>, Vec<Field<'a>>> = HashMap::new();
        for field in fields(header) {
            by_name.entry(field.name.to_ascii_lowercase()).or_default().push(field);
        }
        Selection { fields: by_name }
    }

    /// The signed data (§3.7): each name takes the lowest field of that name which is not taken yet, or nothing; then the signature itself.
    pub(crate) fn data(&self, names: &[String], canon: Canon, signature: &Field<'_>) -> Vec<u8> {
        let mut taken: HashMap<&[u8], usize> = HashMap::new();
        let mut data = Vec::with_capacity(4096);
        for name in names {
            let Some(there) = self.fields.get(name.as_bytes()) else {
                continue;
            };
            let taken = taken.entry(name.as_bytes()).or_default();
            if let Some(field) = there.len().checked_sub(*taken + 1).and_then(|at| there.get(at)) {
                *taken += 1;
                header_field(&mut data, field.raw, canon);
            }
        }
        header_field(&mut data, &without_b(signature.raw), canon);
        if canon == Canon::Relaxed {
            // The signature's own field stands without a line end.
            data.truncate(data.len() - 2);
        }
        data
    }

    /// Whether no field that a reader is shown is left uncovered.
    fn covers(&self, names: &[String]) -> bool {
        SINGLE.iter().all(|single| {
            let single = single.to_ascii_lowercase();
            let there = self.fields.get(single.as_bytes()).map_or(0, Vec::len);
            let signed = names.iter().filter(|name| **name == single).count();
            // One that is not signed at all is the signer's choice; a second one beside the signed one is not.
            there <= signed.max(1)
        })
    }
}

/// A public key as its record has it (§3.6.1).
pub(crate) struct Public {
    key: ParsedPublicKey,
    /// `t=y`
    testing: bool,
    /// `t=s`
    exact: bool,
}

impl Public {
    /// Asks for the key of a selector.
    pub(crate) async fn fetch<D: Dns>(
        dns: &D,
        selector: &str,
        domain: &str,
        algorithm: Algorithm,
    ) -> Result<Public, Trouble> {
        let name = format!("{selector}._domainkey.{domain}");
        let texts = match dns.txt(&name).await {
            Ok(texts) => texts,
            Err(Missing::Later(reason)) => return Err(Trouble::new(Verdict::TempError, reason)),
            Err(_) => return Err(Trouble::permanent(format!("there is no key at {name}"))),
        };
        let mut last = None;
        // Several records are against the standard, and what happens then is left open (§3.6.2.2). Two keys of different kind at one
        // name are found in practice.
        for text in texts.iter().take(4) {
            match Public::parse(text, algorithm) {
                Ok(public) => return Ok(public),
                Err(trouble) => last = Some(trouble),
            }
        }
        Err(last.unwrap_or_else(|| Trouble::permanent(format!("there is no key at {name}"))))
    }

    fn parse(text: &[u8], algorithm: Algorithm) -> Result<Public, Trouble> {
        let text = std::str::from_utf8(text).map_err(|_| Trouble::permanent("the key's record is not text"))?;
        let tags = Tags::parse(text).ok_or_else(|| Trouble::permanent("the key's record is no list of tags"))?;
        if let Some(version) = tags.value("v")
            && (version != "DKIM1" || tags.first() != Some("v"))
        {
            return Err(Trouble::permanent("the key's record is of an unknown version"));
        }
        if let Some(hashes) = tags.value("h")
            && !tags::colons(hashes).any(|hash| hash.eq_ignore_ascii_case("sha256"))
        {
            return Err(Trouble::permanent("the key is not for SHA-256"));
        }
        if let Some(services) = tags.value("s")
            && !tags::colons(services).any(|service| service == "*" || service.eq_ignore_ascii_case("email"))
        {
            return Err(Trouble::permanent("the key is not for mail"));
        }
        let kind = tags.value("k").unwrap_or("rsa");
        let fits = match algorithm {
            Algorithm::RsaSha256 => kind.eq_ignore_ascii_case("rsa"),
            Algorithm::Ed25519Sha256 => kind.eq_ignore_ascii_case("ed25519"),
        };
        if !fits {
            return Err(Trouble::permanent("the key is of another kind than the signature"));
        }
        let p = tags
            .value("p")
            .ok_or_else(|| Trouble::permanent("the key's record has no key"))?;
        let octets = tags::base64(p).ok_or_else(|| Trouble::permanent("the key is not base64"))?;
        if octets.is_empty() {
            return Err(Trouble::permanent("the key has been revoked"));
        }
        let key = match algorithm {
            Algorithm::RsaSha256 => ParsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &octets),
            Algorithm::Ed25519Sha256 => ParsedPublicKey::new(&ED25519, &octets),
        };
        let key = key.map_err(|_| match algorithm {
            // RFC 8301 §3.2.
            Algorithm::RsaSha256 if octets.len() < 140 => {
                Trouble::new(Verdict::Policy, "the key has under 1,024 bits (RFC 8301)")
            }
            _ => Trouble::permanent("the key cannot be read"),
        })?;
        let flag = |flag: &str| {
            tags.value("t")
                .is_some_and(|flags| tags::colons(flags).any(|f| f == flag))
        };
        Ok(Public {
            key,
            testing: flag("y"),
            exact: flag("s"),
        })
    }

    /// Whether the data are those that were signed.
    pub(crate) fn check(
        &self,
        algorithm: Algorithm,
        data: &[u8],
        signature: &[u8],
        otherwise: &'static str,
    ) -> Result<(), Trouble> {
        let good = match algorithm {
            Algorithm::RsaSha256 => self.key.verify_sig(data, signature),
            Algorithm::Ed25519Sha256 => self.key.verify_sig(digest(&SHA256, data).as_ref(), signature),
        };
        good.map_err(|_| Trouble::new(Verdict::Fail, otherwise))
    }
}
