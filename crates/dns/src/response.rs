//! What one response says about one name.
//!
//! hickory's validating handle checks signatures (RFC 4035 §5) and proofs of absence (NSEC, RFC 4035 §5.4; NSEC3, RFC 5155 §8). Two things
//! are done here and not left to it:
//!
//! - *Absence that nobody vouches for.* The handle lets an empty answer pass once everything in its authority section is insecure, whatever
//!   zone that belongs to. An attacker could so make TLSA records vanish with the SOA record of some unsigned zone of theirs. Here an
//!   absence is taken as insecure only if the SOA is of a zone that encloses the name, and bogus otherwise.
//! - *Answers made from wildcards* want a proof that no closer name exists (RFC 4035 §5.3.4). The same short cut skips it; and where the NSEC
//!   record of the wildcard itself is that proof, the handle calls it bogus, so that such domains would get no mail. Here it is checked.

use crate::name::{bogus, temporary};
use crate::{Error, Security};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_resolver::proto::op::{DnsResponse, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// What one response says about one name.
pub(crate) enum Step {
    Found {
        records: Vec<RData>,
        security: Security,
        ttl: u32,
    },
    /// `ask`: the target is not in the same response.
    Alias {
        target: Name,
        security: Security,
        ttl: u32,
        ask: bool,
    },
    Absent {
        exists: bool,
        security: Security,
        ttl: u32,
    },
    Failed(Error),
}

pub(crate) fn read(response: &DnsResponse, name: &Name, kind: RecordType, validate: bool) -> Step {
    match response.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Step::Failed(temporary(name, kind, code.to_str())),
    }
    let at = |wanted: RecordType| {
        response
            .answers
            .iter()
            .filter(move |r| r.record_type() == wanted && r.name == *name)
    };
    let records: Vec<&Record> = at(kind).collect();
    if let Some(ttl) = records.iter().map(|r| r.ttl).min() {
        return match vouched(&records, response, validate) {
            Some(security) => Step::Found {
                records: records.iter().map(|r| r.data.clone()).collect(),
                security,
                ttl,
            },
            None => Step::Failed(bogus(name, kind)),
        };
    }
    let aliases: Vec<&Record> = at(RecordType::CNAME).collect();
    if let Some((RData::CNAME(target), ttl)) = aliases.first().map(|r| (&r.data, r.ttl)) {
        let Some(security) = vouched(&aliases, response, validate) else {
            return Step::Failed(bogus(name, kind));
        };
        let target = target.0.to_lowercase();
        let there = |r: &Record| r.name == target && (r.record_type() == kind || r.record_type() == RecordType::CNAME);
        let ask = !response.answers.iter().any(there);
        return Step::Alias {
            target,
            security,
            ttl,
            ask,
        };
    }
    absent(response, name, kind, validate)
}

/// Reads a failure: some of them are answers.
pub(crate) fn missing(error: &NetError, name: &Name, kind: RecordType, validate: bool) -> Step {
    match error {
        NetError::Dns(DnsError::Nsec { response, proof, .. }) => {
            // The proof is held against the first name of a chain of aliases, also when it is about the last. The alias itself is signed, and
            // its target is asked for next.
            // Whether NSEC3 records were the right ones, only the handle knows, and it says no.
            if from_wildcard(response, name).is_some()
                && response
                    .authorities
                    .iter()
                    .any(|r| r.record_type() == RecordType::NSEC3)
            {
                return Step::Failed(bogus(name, kind));
            }
            let alias = |r: &&Record| r.name == *name && r.record_type() == RecordType::CNAME;
            if let Some(r) = response.answers.iter().find(alias)
                && vouched(&[r], response, true) == Some(Security::Secure)
                && let RData::CNAME(target) = &r.data
            {
                let target = target.0.to_lowercase();
                return Step::Alias {
                    target,
                    security: Security::Secure,
                    ttl: r.ttl,
                    ask: true,
                };
            }
            if response
                .answers
                .iter()
                .any(|r| r.name == *name && r.record_type() == kind)
                && from_wildcard(response, name).is_some()
            {
                return read(response, name, kind, validate);
            }
            if *proof == Proof::Insecure && !response.answers.iter().any(|r| r.name == *name) {
                let exists = response.response_code != ResponseCode::NXDomain;
                return Step::Absent {
                    exists,
                    security: Security::Insecure,
                    ttl: negative_ttl(response),
                };
            }
            Step::Failed(bogus(name, kind))
        }
        NetError::Dns(DnsError::NoRecordsFound(none)) => Step::Absent {
            exists: none.response_code != ResponseCode::NXDomain,
            // Validated answers don't come this way.
            security: Security::Insecure,
            ttl: none.negative_ttl.unwrap_or(0),
        },
        NetError::Dns(DnsError::DnssecBogus) if validate => Step::Failed(bogus(name, kind)),
        error => Step::Failed(temporary(name, kind, &error.to_string())),
    }
}

fn absent(response: &DnsResponse, name: &Name, kind: RecordType, validate: bool) -> Step {
    let exists = response.response_code != ResponseCode::NXDomain;
    let ttl = negative_ttl(response);
    let security = match () {
        () if !validate => Security::Insecure,
        () if denied(response) => Security::Secure,
        () => {
            // The handle has found the name itself to be in an unsigned zone, or it took the short cut that the head of this file tells of.
            let short_cut =
                !response.authorities.is_empty() && response.authorities.iter().all(|r| r.proof == Proof::Insecure);
            if short_cut
                && !response
                    .authorities
                    .iter()
                    .any(|r| r.record_type() == RecordType::SOA && r.name.zone_of(name))
            {
                return Step::Failed(bogus(name, kind));
            }
            Security::Insecure
        }
    };
    Step::Absent { exists, security, ttl }
}

/// What the signatures of these records come to; None: bogus.
fn vouched(records: &[&Record], response: &DnsResponse, validate: bool) -> Option<Security> {
    if !validate {
        return Some(Security::Insecure);
    }
    if records.iter().any(|r| r.proof == Proof::Bogus) {
        return None;
    }
    if !records.iter().all(|r| r.proof == Proof::Secure) {
        return Some(Security::Insecure);
    }
    let name = &records.first()?.name;
    let unmatched = match from_wildcard(response, name) {
        None => true,
        Some(signature) => no_closer_name(response, name, signature),
    };
    unmatched.then_some(Security::Secure)
}

/// The signature by which the records of a name were made from a wildcard: it covers fewer labels than the name has (RFC 4035 §5.3.4).
fn from_wildcard<'a>(response: &'a DnsResponse, name: &Name) -> Option<&'a RRSIG> {
    let signatures = response
        .answers
        .iter()
        .filter(|r| r.name == *name)
        .filter_map(signature_of);
    signatures
        .filter(|s| s.input().num_labels < name.num_labels())
        .min_by_key(|s| s.input().num_labels)
}

/// Whether it is proven that nothing stands between a wildcard and a name made from it: neither the name that is one label longer than what
/// the wildcard hangs on, nor anything below that.
fn no_closer_name(response: &DnsResponse, name: &Name, signature: &RRSIG) -> bool {
    let secure = || response.authorities.iter().filter(|r| r.proof == Proof::Secure);
    if secure().any(|r| r.record_type() == RecordType::NSEC3) {
        // Which hash covers what, the handle has checked.
        return true;
    }
    let closer = name.trim_to(usize::from(signature.input().num_labels) + 1);
    secure().any(|r| {
        let RData::DNSSEC(DNSSECRData::NSEC(nsec)) = &r.data else {
            return false;
        };
        let (owner, next) = (&r.name, nsec.next_domain_name());
        let same_zone = response
            .authorities
            .iter()
            .filter_map(|s| Some((&s.name, signature_of(s)?)))
            .any(|(at, s)| {
                at == owner
                    && s.input().type_covered == RecordType::NSEC
                    && s.input().signer_name == signature.input().signer_name
            });
        // RFC 6840 §4.1: the parent's record at a zone cut says nothing about what is below.
        let cut = nsec.type_set().contains(RecordType::NS) && !nsec.type_set().contains(RecordType::SOA);
        let last = next <= owner && next.zone_of(&closer);
        same_zone
            && !(cut && owner.zone_of(&closer))
            && *owner < closer
            && (closer < *next || last)
            && !closer.zone_of(next)
    })
}

fn signature_of(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature),
        _ => None,
    }
}

/// Whether there is a proof that something does not exist; that it is the right one, the handle has seen to.
fn denied(response: &DnsResponse) -> bool {
    response
        .authorities
        .iter()
        .any(|r| matches!(r.record_type(), RecordType::NSEC | RecordType::NSEC3) && r.proof == Proof::Secure)
}

/// RFC 2308 §5: the lesser of the SOA's own TTL and its MINIMUM field.
fn negative_ttl(response: &DnsResponse) -> u32 {
    let soa = response.authorities.iter().find_map(|r| match &r.data {
        RData::SOA(soa) => Some(r.ttl.min(soa.minimum)),
        _ => None,
    });
    soa.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::name_of;
    use hickory_resolver::proto::op::{Message, OpCode};
    use hickory_resolver::proto::rr::rdata::SOA;

    /// An empty answer, with an SOA record of this zone that is proven to be unsigned.
    fn empty(zone: &str) -> DnsResponse {
        let zone = name_of(zone).unwrap();
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, 60);
        let mut record = Record::from_rdata(zone, 300, RData::SOA(soa));
        record.proof = Proof::Insecure;
        let mut message = Message::response(0, OpCode::Query);
        message.add_authority(record);
        DnsResponse::from_message(message).unwrap()
    }

    #[test]
    fn somebody_elses_unsigned_zone_does_not_make_records_vanish() {
        let name = name_of("_25._tcp.mail.signed.test").unwrap();
        let step = |zone| read(&empty(zone), &name, RecordType::TLSA, true);
        assert!(matches!(step("attacker.example"), Step::Failed(Error::Bogus { .. })));
        assert!(matches!(step("il.signed.test"), Step::Failed(Error::Bogus { .. })));
        let unsigned = step("signed.test");
        assert!(matches!(
            unsigned,
            Step::Absent {
                security: Security::Insecure,
                ttl: 60,
                ..
            }
        ));
    }
}
