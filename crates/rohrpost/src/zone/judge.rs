//! How what a zone holds compares with what it must; nobody is asked.

use super::found::{State, Texts};
use super::is_public;
use super::wanted::{Level, Test, Wanted};
use dns::{Answer, Error, Security};
use std::net::IpAddr;

/// How a record stands, with what to say about it, and how much depends on it where that is not as usual.
#[derive(Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) state: State,
    pub(super) what: String,
    pub(super) level: Option<Level>,
}

impl Judged {
    pub(super) fn new(state: State, what: impl Into<String>) -> Judged {
        Judged {
            state,
            what: what.into(),
            level: None,
        }
    }

    pub(super) fn ok() -> Judged {
        Judged::new(State::Ok, "")
    }

    pub(super) fn unknown(error: &Error) -> Judged {
        Judged::new(State::Unknown, format!("{error}."))
    }

    pub(super) fn at(self, level: Level) -> Judged {
        Judged {
            level: Some(level),
            ..self
        }
    }
}

/// Those texts of a name that are meant for what is tested; other texts may stand there, too.
pub(super) fn relevant(test: &Test, texts: Texts) -> Vec<String> {
    let begins = match test {
        Test::Spf => "v=spf1",
        Test::Dmarc => "v=DMARC1",
        Test::StsId | Test::NoSts => "v=STSv1",
        Test::TlsReports => "v=TLSRPTv1",
        _ => "",
    };
    let mut texts = texts.unwrap_or_default();
    texts.retain(|text| {
        let rest = text
            .get(..begins.len())
            .filter(|start| start.eq_ignore_ascii_case(begins));
        // "v=spf10" is something else.
        rest.is_some()
            && !text
                .get(begins.len()..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    texts
}

pub(super) fn text(wanted: &Wanted, texts: &Texts) -> Judged {
    let texts = match texts {
        Ok(texts) => relevant(&wanted.test, Ok(texts.clone())),
        Err(error) if error.is_absent() => Vec::new(),
        Err(error) => return Judged::unknown(error),
    };
    let tag = |text: &str, name: &str| {
        text.split(';')
            .filter_map(|item| item.split_once('='))
            .find(|(tag, _)| tag.trim() == name)
            .map(|(_, value)| value.split_ascii_whitespace().collect::<String>())
    };
    match (&wanted.test, texts.as_slice()) {
        (Test::NoSts, []) => Judged::new(State::Unused, ""),
        (Test::NoSts, _) => Judged::new(
            State::Differs,
            "The record announces a policy that cannot be fetched here; take it out, or add an https listener.",
        ),
        (_, []) => Judged::new(State::Missing, ""),
        (Test::Key, [text]) => match (tag(text, "p"), tag(&wanted.value, "p")) {
            (Some(there), Some(ours)) if there == ours => Judged::ok(),
            (Some(there), _) if there.is_empty() => {
                Judged::new(State::Differs, "The record says that the key is revoked.")
            }
            _ => Judged::new(State::Differs, "It is another key.").at(Level::Advised),
        },
        (Test::StsId, [text]) => match tag(text, "id") == tag(&wanted.value, "id") {
            true => Judged::ok(),
            false => Judged::new(
                State::Differs,
                "The policy has changed; servers that know it look again only when the id changes.",
            )
            .at(Level::Advised),
        },
        (Test::TlsReports, [text]) => match tag(text, "rua") {
            Some(_) => Judged::ok(),
            None => Judged::new(State::Differs, "It does not say where reports go."),
        },
        _ => Judged::new(State::Differs, "Only one such record may stand; several count as none."),
    }
}

pub(super) fn addresses(there: &[IpAddr], own: &[IpAddr], v4: bool, other_family: bool) -> Judged {
    if there.is_empty() {
        return match (own.is_empty(), other_family) {
            // Nobody has said that we have IPv6, and one family is enough.
            (true, true) => Judged::new(State::Unused, ""),
            (true, false) if !v4 => Judged::new(State::Unused, ""),
            (false, true) => Judged::new(State::Missing, "").at(Level::Optional),
            _ => Judged::new(State::Missing, "").at(if v4 { Level::Needed } else { Level::Optional }),
        };
    }
    if let Some(inside) = there.iter().find(|address| !is_public(**address)) {
        let what = format!("{inside} cannot be reached from outside.");
        return Judged::new(State::Differs, what).at(Level::Needed);
    }
    if !own.is_empty() && !there.iter().any(|address| own.contains(address)) {
        let own: Vec<String> = own.iter().map(IpAddr::to_string).collect();
        let what = format!("This machine is {}; fine if that is another way to it.", own.join(", "));
        return Judged::new(State::Differs, what).at(Level::Advised);
    }
    Judged::ok()
}

pub(super) fn exchangers(hosts: &[&str], host: &str, policy: Option<&web::StsPolicy>) -> Judged {
    if hosts == [""] {
        return Judged::new(
            State::Differs,
            "The record says that the domain takes no mail (RFC 7505).",
        );
    }
    if !hosts.contains(&host) {
        return Judged::new(
            State::Differs,
            "Mail goes elsewhere; fine if it is passed on to us from there.",
        )
        .at(Level::Advised);
    }
    let strangers: Vec<&str> = hosts
        .iter()
        .copied()
        .filter(|name| policy.is_some_and(|policy| !policy.covers(name)))
        .collect();
    if !strangers.is_empty() {
        let what = format!(
            "The MTA-STS policy does not name {}: name it in web.mta_sts_hosts, or take it out.",
            strangers.join(", ")
        );
        return Judged::new(State::Differs, what).at(Level::Advised);
    }
    Judged::ok()
}

pub(super) fn tlsa(answer: Result<Answer<dns::Tlsa>, Error>, hash: &str) -> Judged {
    match answer {
        Ok(answer) => {
            let ours = |t: &dns::Tlsa| t.usage == 3 && t.selector == 1 && t.matching == 1 && hex(&t.data) == hash;
            match (answer.records.iter().any(ours), answer.security) {
                (true, Security::Secure) => Judged::ok(),
                (true, Security::Insecure) => Judged::new(State::Ok, "not used by anybody: the zone is not signed"),
                (false, Security::Secure) => Judged::new(
                    State::Differs,
                    "Servers that follow it deliver nothing to us, since our key is another one.",
                )
                .at(Level::Needed),
                (false, Security::Insecure) => {
                    Judged::new(State::Differs, "Our key is another one.").at(Level::Advised)
                }
            }
        }
        Err(Error::NoName { security, .. } | Error::NoData { security, .. }) => match security {
            Security::Secure => Judged::new(State::Missing, ""),
            Security::Insecure => Judged::new(State::Unused, "the zone is not signed (DNSSEC)"),
        },
        Err(error @ Error::Bogus { .. }) => Judged::new(
            State::Differs,
            format!("{error}: servers that use DANE deliver nothing to us."),
        )
        .at(Level::Needed),
        Err(error) => Judged::unknown(&error),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::wanted::Kind;
    use State::{Differs, Missing, Ok as Right, Unknown, Unused};
    use std::time::Instant;

    fn texts(all: &[&str]) -> Texts {
        match all {
            ["?"] => Err(Error::Temporary {
                name: "x".to_owned(),
                kind: "TXT",
                reason: "no answer".to_owned(),
            }),
            [] => Err(Error::NoName {
                name: "x".to_owned(),
                security: Security::Insecure,
            }),
            all => Ok(all.iter().map(|text| (*text).to_owned()).collect()),
        }
    }

    #[test]
    fn texts_are_judged() {
        let (key, sts) = ("v=DKIM1; k=rsa; p=AAAA", "v=STSv1; id=1f");
        for (test, value, there, state) in [
            (Test::Key, key, &[key][..], Right),
            (Test::Key, key, &["p=AA AA;k=rsa"], Right),
            (Test::Key, key, &["v=DKIM1; p=BBBB"], Differs),
            (Test::Key, key, &["v=DKIM1; p="], Differs),
            (Test::Key, key, &[key, key], Differs),
            (Test::Key, key, &[], Missing),
            (Test::Key, key, &["?"], Unknown),
            (Test::StsId, sts, &["other", "v=STSv1; id=1f;"], Right),
            (Test::StsId, sts, &["v=STSv1; id=1e"], Differs),
            (Test::StsId, sts, &["other"], Missing),
            (Test::StsId, sts, &[sts, sts], Differs),
            (Test::NoSts, "", &["other"], Unused),
            (Test::NoSts, "", &[], Unused),
            (Test::NoSts, "", &[sts], Differs),
            (Test::TlsReports, "", &["v=TLSRPTv1;rua=mailto:a@b"], Right),
            (Test::TlsReports, "", &["v=TLSRPTv1;"], Differs),
            (Test::TlsReports, "", &["v=TLSRPTv12; rua=mailto:a@b"], Missing),
        ] {
            let wanted = Wanted {
                name: "x".to_owned(),
                kind: Kind::Txt,
                value: value.to_owned(),
                level: Level::Optional,
                why: "",
                test,
            };
            assert_eq!(text(&wanted, &texts(there)).state, state, "{:?} {there:?}", wanted.test);
        }
    }

    #[test]
    fn addresses_are_judged() {
        let (six, ours, theirs, inside) = ("2001:4860::1", "198.51.100.7", "198.51.100.8", "10.0.0.1");
        for (there, own, v4, other_family, state, level) in [
            (&[ours][..], &[ours][..], true, false, Right, None),
            (&[ours], &[], true, false, Right, None),
            (&[ours, theirs], &[ours], true, false, Right, None),
            (&[theirs], &[ours], true, false, Differs, Some(Level::Advised)),
            (&[inside], &[], true, false, Differs, Some(Level::Needed)),
            (&[], &[], true, false, Missing, Some(Level::Needed)),
            (&[], &[], true, true, Unused, None),
            (&[], &[], false, true, Unused, None),
            (&[], &[], false, false, Unused, None),
            (&[], &[six], false, true, Missing, Some(Level::Optional)),
            (&[six], &[six], false, true, Right, None),
        ] {
            let parse = |all: &[&str]| all.iter().map(|a| a.parse().unwrap()).collect::<Vec<IpAddr>>();
            let judged = addresses(&parse(there), &parse(own), v4, other_family);
            assert_eq!((judged.state, judged.level), (state, level), "{there:?} {own:?} {v4}");
        }
    }

    #[test]
    fn exchangers_are_judged() {
        let policy = web::StsPolicy {
            mode: web::StsMode::Enforce,
            max_age: std::time::Duration::from_secs(86_400),
            hosts: vec!["mail.test".to_owned()],
        };
        for (hosts, with, state) in [
            (&["mail.test"][..], true, Right),
            (&["mail.test", "backup.test"], false, Right),
            (&["mail.test", "backup.test"], true, Differs),
            (&["backup.test"], false, Differs),
            (&[""], false, Differs),
        ] {
            let judged = exchangers(hosts, "mail.test", with.then_some(&policy));
            assert_eq!(judged.state, state, "{hosts:?}");
        }
    }

    #[test]
    fn hashes_of_keys_are_judged() {
        let record = |usage, data: &[u8]| dns::Tlsa {
            usage,
            selector: 1,
            matching: 1,
            data: data.to_vec(),
        };
        let answer = |records, security| {
            Ok(Answer {
                records,
                security,
                name: "x".to_owned(),
                expires: Instant::now(),
            })
        };
        let absent = |security| {
            Err(Error::NoName {
                name: "x".to_owned(),
                security,
            })
        };
        let bogus = Err(Error::Bogus {
            name: "x".to_owned(),
            kind: "TLSA",
        });
        use Security::{Insecure, Secure};
        for (answer, state, level) in [
            (answer(vec![record(3, &[0xab, 1])], Secure), Right, None),
            (
                answer(vec![record(3, &[9]), record(3, &[0xab, 1])], Secure),
                Right,
                None,
            ),
            (answer(vec![record(3, &[0xab, 1])], Insecure), Right, None),
            (
                answer(vec![record(2, &[0xab, 1])], Secure),
                Differs,
                Some(Level::Needed),
            ),
            (answer(vec![record(3, &[9])], Secure), Differs, Some(Level::Needed)),
            (answer(vec![record(3, &[9])], Insecure), Differs, Some(Level::Advised)),
            (absent(Secure), Missing, None),
            (absent(Insecure), Unused, None),
            (bogus, Differs, Some(Level::Needed)),
        ] {
            let shown = format!("{answer:?}");
            let judged = tlsa(answer, "ab01");
            assert_eq!((judged.state, judged.level), (state, level), "{shown}");
        }
    }
}
