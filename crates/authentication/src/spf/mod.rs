//! Sender Policy Framework (RFC 7208): a domain names the hosts that may send as it.

mod evaluate;
mod expand;
mod record;

use crate::dns::Dns;
use crate::results::Verdict;
use crate::{Limits, normal};
use evaluate::Evaluation;
use std::net::IpAddr;

/// Which name of the client's was checked (§2.3, §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// What it called itself.
    Helo,
    /// The envelope's sender.
    MailFrom,
}

/// Who is connected, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address.
    pub address: IpAddr,
    /// What it called itself.
    pub helo: &'a str,
    /// Our name, for explanations (`%{r}`).
    pub receiver: &'a str,
    /// Seconds since 1970, for explanations (`%{t}`).
    pub now: u64,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict: any but `policy`.
    pub verdict: Verdict,
    /// Which identity it is about.
    pub identity: Identity,
    /// The domain whose record was asked; as it came where it cannot be a domain.
    pub domain: String,
    /// The term that decided, or what went wrong.
    pub reason: Option<String>,
    /// What the domain wants people to be told on `fail` (§6.2). A stranger's words.
    pub explanation: Option<String>,
}

/// Checks the envelope's sender, `local@domain` (§2.4). Where it is empty, the name in HELO with `postmaster`.
pub async fn mail_from<D: Dns>(dns: &D, client: &Client<'_>, sender: &str, limits: &Limits) -> Outcome {
    match sender.rsplit_once('@') {
        Some((local, domain)) => check(dns, client, Identity::MailFrom, local, domain, limits).await,
        None => helo(dns, client, limits).await,
    }
}

/// Checks the name in HELO (§2.3).
pub async fn helo<D: Dns>(dns: &D, client: &Client<'_>, limits: &Limits) -> Outcome {
    check(dns, client, Identity::Helo, "postmaster", client.helo, limits).await
}

async fn check<D: Dns>(
    dns: &D,
    client: &Client<'_>,
    identity: Identity,
    local: &str,
    domain: &str,
    limits: &Limits,
) -> Outcome {
    let mut outcome = Outcome {
        verdict: Verdict::None,
        identity,
        domain: domain.to_owned(),
        reason: None,
        explanation: None,
    };
    // §4.3: literals and single labels have no record.
    let Some(name) = normal(domain).filter(|name| name.contains('.') && !name.starts_with('[')) else {
        outcome.reason = Some("no domain that could have a record".to_owned());
        return outcome;
    };
    outcome.domain.clone_from(&name);
    let local = if local.is_empty() { "postmaster" } else { local };
    let mut evaluation = Evaluation::new(dns, client, local, &name, limits);
    let found = evaluation.check_host(&name, false).await;
    outcome.verdict = found.verdict;
    outcome.reason = found.reason;
    if outcome.verdict == Verdict::Fail
        && let Some((domain, spec)) = found.explanation
    {
        outcome.explanation = evaluation.explain(&domain, &spec).await;
    }
    outcome
}
