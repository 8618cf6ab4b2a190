//! Authenticated Received Chain (RFC 8617): each server that hands a message on tells what it had found, and seals that.
//!
//! A set has three fields with the same number: `ARC-Authentication-Results` (the findings), `ARC-Message-Signature` (the message as it was
//! then, much like DKIM) and `ARC-Seal` (over all sets up to this one). A chain that holds says who found what; whether they are to be
//! believed is for the reader to decide.

use crate::Limits;
use crate::dkim::{self, Canon, Public, Selection, Signature, Trouble, header_field, without_b};
use crate::dns::Dns;
use crate::key::{Algorithm, KeyError, Random, SigningKey};
use crate::listener::Heard;
use crate::message::{Field, fields};
use crate::normal;
use crate::results::Verdict;
use crate::tags::{self, Tags};

const RESULTS: &str = "ARC-Authentication-Results";
const SIGNATURE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";

/// What came of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `none`, `pass`, `fail`; `temperror` where keys cannot be looked up now.
    pub verdict: Verdict,
    /// How many sets there are.
    pub sets: u32,
    /// Who sealed last, where the chain holds.
    pub sealer: Option<String>,
    /// All who sealed, from the first on, where the chain holds.
    pub sealers: Vec<String>,
    /// The number of the first set whose message signature still holds (§5.2 step 5): nothing has been changed since. 0: that of the
    /// first one does.
    pub oldest_pass: u32,
    /// What the last set says was found, where the chain holds: the value of its field.
    pub results: Option<String>,
    /// Why it does not hold.
    pub reason: Option<String>,
}

impl Chain {
    /// The chain of a message that [`verify`] has looked at before: `verdict` is what it said then.
    pub fn remembered(header: &[u8], verdict: Verdict, limits: &Limits) -> Chain {
        match sets(header, limits) {
            Ok(sets) if sets.is_empty() => Chain::new(Verdict::None, 0, None),
            // A chain that nobody has looked at.
            Ok(_) if verdict == Verdict::None => Chain::new(Verdict::Fail, 0, None),
            Ok(sets) => Chain::new(verdict, u32::try_from(sets.len()).unwrap_or(u32::MAX), None),
            Err((count, reason)) => Chain::new(Verdict::Fail, count, Some(reason)),
        }
    }

    fn new(verdict: Verdict, sets: u32, reason: Option<String>) -> Chain {
        Chain {
            verdict,
            sets,
            sealer: None,
            sealers: Vec::new(),
            oldest_pass: 0,
            results: None,
            reason,
        }
    }
}

struct Set<'a> {
    results: Field<'a>,
    signature: Field<'a>,
    seal: Field<'a>,
}

/// Checks the chain of a message (§5.2).
pub async fn verify<D: Dns>(dns: &D, heard: &Heard, limits: &Limits, now: u64) -> Chain {
    let sets = match sets(heard.header(), limits) {
        Ok(sets) => sets,
        Err((count, reason)) => return Chain::new(Verdict::Fail, count, Some(reason)),
    };
    let count = u32::try_from(sets.len()).unwrap_or(u32::MAX);
    if sets.is_empty() {
        return Chain::new(Verdict::None, 0, None);
    }
    match follow(dns, heard, &sets, now).await {
        Ok(chain) => chain,
        Err(trouble) => {
            let verdict = match trouble.verdict {
                Verdict::TempError => Verdict::TempError,
                _ => Verdict::Fail,
            };
            Chain::new(verdict, count, Some(trouble.reason))
        }
    }
}

async fn follow<D: Dns>(dns: &D, heard: &Heard, sets: &[Set<'_>], now: u64) -> Result<Chain, Trouble> {
    let Some(last) = sets.last() else {
        return Ok(Chain::new(Verdict::None, 0, None));
    };
    let mut seals = Vec::with_capacity(sets.len());
    for (number, set) in sets.iter().enumerate() {
        let seal = Seal::parse(set.seal.value)?;
        let expected = if number == 0 { "none" } else { "pass" };
        if seal.verdict != expected {
            return Err(Trouble::new(
                Verdict::Fail,
                format!("set {} says cv={}", number + 1, seal.verdict),
            ));
        }
        seals.push(seal);
    }
    let selection = Selection::new(heard.header());
    check_message(dns, heard, &selection, &last.signature, now).await?;
    // From the newest to the oldest: a broken seal is found early.
    for number in (0..sets.len()).rev() {
        let (Some(seal), Some(covered)) = (seals.get(number), sets.get(..=number)) else {
            continue;
        };
        let public = Public::fetch(dns, &seal.selector, &seal.domain, seal.algorithm).await?;
        public.check(seal.algorithm, &sealed(covered), &seal.signature, "a seal is broken")?;
    }
    let count = u32::try_from(sets.len()).unwrap_or(u32::MAX);
    let mut oldest_pass = count;
    for (number, set) in sets.iter().enumerate().rev().skip(1) {
        if check_message(dns, heard, &selection, &set.signature, now)
            .await
            .is_err()
        {
            break;
        }
        oldest_pass = u32::try_from(number + 1).unwrap_or(u32::MAX);
    }
    Ok(Chain {
        verdict: Verdict::Pass,
        sets: count,
        sealer: seals.last().map(|seal| seal.domain.clone()),
        sealers: seals.into_iter().map(|seal| seal.domain).collect(),
        oldest_pass: if oldest_pass == 1 { 0 } else { oldest_pass },
        results: last.results.text().map(|text| text.trim().to_owned()),
        reason: None,
    })
}

async fn check_message<D: Dns>(
    dns: &D,
    heard: &Heard,
    selection: &Selection<'_>,
    field: &Field<'_>,
    now: u64,
) -> Result<(), Trouble> {
    let signature = Signature::parse(field.value, true)?;
    signature.check_time(now)?;
    let body = heard
        .body(signature.body_canon, signature.length)
        .ok_or_else(|| Trouble::permanent("the body was not heard"))?;
    if signature.body_hash != body.digest || signature.length.is_some_and(|length| length > body.length) {
        return Err(Trouble::new(Verdict::Fail, "the body has changed"));
    }
    let public = Public::fetch(dns, &signature.selector, &signature.domain, signature.algorithm).await?;
    let data = selection.data(&signature.fields, signature.header_canon, field);
    public.check(
        signature.algorithm,
        &data,
        &signature.signature,
        "the header has changed",
    )
}

/// What a seal covers: all sets in their order, and of the last its seal with an empty `b=` (§5.1.1).
fn sealed(sets: &[Set<'_>]) -> Vec<u8> {
    let mut data = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        header_field(&mut data, set.results.raw, Canon::Relaxed);
        header_field(&mut data, set.signature.raw, Canon::Relaxed);
        if number + 1 < sets.len() {
            header_field(&mut data, set.seal.raw, Canon::Relaxed);
        } else {
            header_field(&mut data, &without_b(set.seal.raw), Canon::Relaxed);
            data.truncate(data.len() - 2);
        }
    }
    data
}

struct Seal {
    algorithm: Algorithm,
    verdict: String,
    domain: String,
    selector: String,
    signature: Vec<u8>,
}

impl Seal {
    fn parse(value: &[u8]) -> Result<Seal, Trouble> {
        let wrong = || Trouble::new(Verdict::Fail, "a seal cannot be read");
        let tags = std::str::from_utf8(value)
            .ok()
            .and_then(Tags::parse)
            .ok_or_else(wrong)?;
        if tags.value("h").is_some() {
            // §4.1.3
            return Err(Trouble::new(Verdict::Fail, "a seal has h="));
        }
        Ok(Seal {
            algorithm: dkim::algorithm(tags.value("a").ok_or_else(wrong)?)?,
            verdict: tags.value("cv").ok_or_else(wrong)?.to_ascii_lowercase(),
            domain: tags.value("d").and_then(normal).ok_or_else(wrong)?,
            selector: tags.value("s").and_then(normal).ok_or_else(wrong)?,
            signature: tags.value("b").and_then(tags::base64).ok_or_else(wrong)?,
        })
    }
}

/// The message signature of the highest number, for the hash of the body.
pub(crate) fn newest_signature(header: &[u8], limits: &Limits) -> Option<Signature> {
    let sets = sets(header, limits).ok()?;
    Signature::parse(sets.last()?.signature.value, true).ok()
}

/// The sets of a message in their order (§5.2 step 3). The error has the highest number that was seen.
fn sets<'a>(header: &'a [u8], limits: &Limits) -> Result<Vec<Set<'a>>, (u32, String)> {
    let mut found: Vec<[Option<Field<'a>>; 3]> = Vec::new();
    let (mut octets, mut highest) = (0, 0);
    for field in fields(header) {
        let Some(kind) = [RESULTS, SIGNATURE, SEAL].iter().position(|name| field.is(name)) else {
            continue;
        };
        octets += field.raw.len();
        if octets > limits.arc_octets {
            return Err((highest, "the chain is too long".to_owned()));
        }
        let number = instance(field.value, kind == 0).filter(|number| (1..=limits.arc_sets).contains(number));
        let Some(number) = number else {
            return Err((highest, "an ARC field has no good number".to_owned()));
        };
        highest = highest.max(u32::try_from(number).unwrap_or(u32::MAX));
        if found.len() < number {
            found.resize_with(number, Default::default);
        }
        let slot = found.get_mut(number - 1).and_then(|set| set.get_mut(kind));
        match slot {
            Some(slot @ None) => *slot = Some(field),
            _ => return Err((highest, format!("set {number} has a field twice"))),
        }
    }
    let whole = found.into_iter().map(|set| match set {
        [Some(results), Some(signature), Some(seal)] => Some(Set {
            results,
            signature,
            seal,
        }),
        _ => None,
    });
    whole
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| (highest, "a set is not whole".to_owned()))
}

/// The number of a field's set: `i=`, which in the results stands alone before the first semicolon.
fn instance(value: &[u8], results: bool) -> Option<usize> {
    let text = std::str::from_utf8(value).ok()?;
    let digits = if results {
        let first = text.split(';').next()?.trim();
        let (name, digits) = first.split_once('=')?;
        (name.trim() == "i").then_some(digits.trim())?
    } else {
        Tags::parse(text)?.value("i")?
    };
    let good = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| good)
}

/// Who seals.
#[derive(Clone, Copy, Debug)]
pub struct Sealer<'a> {
    /// The domain.
    pub domain: &'a str,
    /// The selector of its key.
    pub selector: &'a str,
    /// The key.
    pub key: &'a SigningKey,
    /// When, in seconds since 1970.
    pub time: u64,
}

/// Adds a set to a message (§5.1): three fields with their line ends, to be put on top. `results`: what we found when the message came, as
/// [`Results::text`](crate::results::Results::text) has it. `chain`: what [`verify`] said of the message. `None`: nothing may be added any
/// more, because the chain has failed before us or is at its longest.
pub fn seal(
    heard: &Heard,
    results: &str,
    chain: &Chain,
    sealer: &Sealer<'_>,
    limits: &Limits,
    random: &dyn Random,
) -> Result<Option<Vec<u8>>, KeyError> {
    let Some(body) = heard.body(Canon::Relaxed, None) else {
        return Ok(None);
    };
    let number = chain.sets as usize + 1;
    let verdict = match chain.verdict {
        Verdict::None => "none",
        Verdict::Pass => "pass",
        // §5.1.2: a chain that was found broken is sealed as such once, over our own set alone, and then never again. Those who come
        // after us find it broken without that, too; so we leave it as it is.
        _ => return Ok(None),
    };
    if number > limits.arc_sets {
        return Ok(None);
    }
    let Ok(before) = sets(heard.header(), limits) else {
        return Ok(None);
    };
    let findings = format!("{RESULTS}: i={number}; {results}\r\n");
    let names: Vec<String> = dkim::names(heard.header())
        .into_iter()
        .chain(
            fields(heard.header())
                .filter(|field| field.is("DKIM-Signature"))
                .map(|_| "dkim-signature".to_owned()),
        )
        .collect();
    let begin = format!(
        "{SIGNATURE}: i={number}; a={}; c=relaxed/relaxed;\r\n\td={}; s={}; t={};",
        sealer.key.algorithm().name(),
        sealer.domain,
        sealer.selector,
        sealer.time
    );
    let signature = dkim::finish(begin, heard.header(), &names, body, sealer.key, random)?;
    let mut text = format!(
        "{SEAL}: i={number}; a={}; t={}; cv={verdict};\r\n\td={}; s={};\r\n\tb=",
        sealer.key.algorithm().name(),
        sealer.time,
        sealer.domain,
        sealer.selector
    );
    let field = |raw| Field {
        raw,
        name: b"",
        value: b"",
    };
    let mut all = before;
    let own = text.clone();
    all.push(Set {
        results: field(findings.as_bytes()),
        signature: field(&signature),
        seal: field(own.as_bytes()),
    });
    let value = sealer.key.sign(&sealed(&all), random)?;
    dkim::fold_base64(&mut text, &value);
    text.push_str("\r\n");
    let mut out = text.into_bytes();
    out.extend_from_slice(&signature);
    out.extend_from_slice(findings.as_bytes());
    Ok(Some(out))
}
