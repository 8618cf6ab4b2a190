//! What is found out about a client and its sender before the message comes.

use super::{Action, Inspector, network};
use authentication::results::Verdict;
use authentication::{Dns as _, Missing, spf};
use net::{blocking, now};
use sightings::Known;
use smtp::{Reply, Status};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Names of an address that are looked at.
const NAMES: usize = 5;

/// A client that is looked at.
pub(crate) struct Visitor {
    inspector: Arc<Inspector>,
    address: IpAddr,
    asking: Option<JoinHandle<Facts>>,
    facts: Option<Facts>,
    early: bool,
}

/// What the address alone tells.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Whether a name of the address leads back to it (RFC 8601 §3).
    pub(crate) reverse: Verdict,
    pub(crate) name: Option<String>,
    /// Block lists that it stands on.
    pub(crate) blocked: Vec<String>,
    /// An allow list that it stands on.
    pub(crate) allowed: Option<String>,
    /// Lists that say that they do not answer us.
    silent: Vec<String>,
    /// A list whose name servers do not answer now.
    unanswered: Option<String>,
}

/// What is known when a recipient is let in; the message's findings are added to it.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) facts: Facts,
    pub(crate) spf: spf::Outcome,
    /// The HELO name is none that the client could have.
    pub(crate) helo: Option<&'static str>,
    /// It spoke before it was greeted.
    pub(crate) early: bool,
    /// What made it doubtful, for people.
    pub(crate) marks: Vec<String>,
    /// Why it goes to Junk.
    pub(crate) quarantine: Option<String>,
    /// Worth asking to come back.
    pub(crate) doubtful: bool,
}

impl Visitor {
    /// Begins to ask about the address of a client.
    pub(crate) fn new(inspector: &Arc<Inspector>, address: IpAddr) -> Visitor {
        let asker = Arc::clone(inspector);
        Visitor {
            inspector: Arc::clone(inspector),
            address,
            asking: Some(tokio::spawn(async move { asker.facts(address).await })),
            facts: None,
            early: false,
        }
    }

    pub(crate) fn inspector(&self) -> &Arc<Inspector> {
        &self.inspector
    }

    /// It spoke before it was greeted; what it is told, if that is the end.
    pub(crate) fn spoke_early(&mut self) -> Option<Reply> {
        self.early = true;
        match self.inspector.options.early_talker {
            Action::Refuse => Some(Reply::new(554, Status(5, 5, 1), "you spoke before you were greeted")),
            Action::Defer => Some(Reply::new(421, Status(4, 7, 0), "you spoke before you were greeted")),
            _ => None,
        }
    }

    async fn facts(&mut self) -> Facts {
        if let Some(facts) = &self.facts {
            return facts.clone();
        }
        let facts = match self.asking.take() {
            Some(asking) => asking.await.unwrap_or_else(|_| Facts::unknown()),
            None => Facts::unknown(),
        };
        self.facts.insert(facts).clone()
    }

    /// Looks at the client with its sender; once for a message. The error is what the recipient is answered with.
    pub(crate) async fn admit(&mut self, helo: &str, sender: &str) -> Result<Admission, Reply> {
        let facts = self.facts().await;
        let inspector = Arc::clone(&self.inspector);
        let options = &inspector.options;
        let client = spf::Client {
            address: self.address,
            helo,
            receiver: &options.hostname,
            now: u64::try_from(now()).unwrap_or(0),
        };
        let asked = spf::mail_from(&inspector.names, &client, sender, &options.limits);
        let spf = timeout(options.patience, asked).await.unwrap_or_else(|_| spf::Outcome {
            verdict: Verdict::TempError,
            identity: spf::Identity::MailFrom,
            domain: String::new(),
            reason: Some("the DNS took too long".to_owned()),
            explanation: None,
        });
        let mut admission = Admission {
            helo: helo_fault(helo, &options.hostname),
            early: self.early,
            facts,
            spf,
            marks: Vec::new(),
            quarantine: None,
            doubtful: false,
        };
        admission.judge(&inspector)?;
        // Who may send as the name counts under it; everybody else only under where it comes from.
        let place = network(self.address);
        let who = if admission.spf.verdict == Verdict::Pass {
            format!("sender {}", sender.to_lowercase())
        } else {
            format!("sender {place} {}", sender.to_lowercase())
        };
        let instant = Instant::now();
        if !inspector
            .rates
            .take(format!("network {place}"), options.network_rate, instant)
            || (!sender.is_empty() && !inspector.rates.take(who, options.sender_rate, instant))
        {
            return Err(Reply::new(
                451,
                Status(4, 7, 1),
                "too much mail within an hour, come back later",
            ));
        }
        Ok(admission)
    }

    /// Whether a recipient's mail is to come back later (RFC 6647).
    pub(crate) fn greylist(&self, admission: &Admission, sender: &str, recipient: &str) -> Result<(), Reply> {
        let inspector = &self.inspector;
        if !inspector.options.greylist || !admission.doubtful || admission.facts.allowed.is_some() {
            return Ok(());
        }
        let place = network(self.address);
        match blocking(|| inspector.greylist.ask(&place, sender, recipient, now())) {
            Ok(Known::Good) => Ok(()),
            Ok(Known::Wait(seconds)) => Err(Reply::new(
                451,
                Status(4, 7, 1),
                format!("greylisted: come back in {seconds} seconds"),
            )),
            Err(error) => {
                tracing::warn!(%error, "the greylist cannot be read");
                Err(Reply::new(
                    451,
                    Status(4, 3, 0),
                    "cannot tell now whether you were here before, come back later",
                ))
            }
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

impl Admission {
    /// Weighs the findings by the settings.
    fn judge(&mut self, inspector: &Inspector) -> Result<(), Reply> {
        let options = &inspector.options;
        if self.early {
            self.doubtful = true;
            self.act(options.early_talker, "spoke before it was greeted", Status(5, 5, 1))?;
        }
        if let Some(fault) = self.helo {
            self.doubtful = true;
            self.act(options.helo, fault, Status(5, 5, 2))?;
        }
        if self.facts.allowed.is_none() && !self.facts.blocked.is_empty() {
            self.doubtful = true;
            let listed = format!("the address is listed by {}", self.facts.blocked.join(", "));
            self.act(options.block_list, &listed, Status(5, 7, 1))?;
        }
        if let Some(list) = &self.facts.unanswered {
            if matches!(options.block_list, Action::Refuse | Action::Defer) {
                return Err(later(&format!("{list} does not answer now")));
            }
            self.doubtful = true;
            self.marks.push(format!("{list} does not answer now"));
        }
        if !self.facts.silent.is_empty() {
            self.doubtful = true;
            self.marks
                .push(format!("{} does not answer us", self.facts.silent.join(", ")));
        }
        match self.facts.reverse {
            Verdict::Pass => {}
            Verdict::TempError => {
                // RFC 7372 §3.3
                if matches!(options.reverse, Action::Refuse | Action::Defer) {
                    return Err(later("the name of your address cannot be looked up now"));
                }
                self.doubtful = true;
            }
            _ => {
                self.doubtful = true;
                self.act(
                    options.reverse,
                    "the address has no name that leads back to it",
                    Status(5, 7, 25),
                )?;
            }
        }
        match self.spf.verdict {
            Verdict::TempError => {
                let reason = self.spf.reason.clone().unwrap_or_default();
                return Err(later(&format!("SPF of {}: {reason}", self.spf.domain)));
            }
            Verdict::Fail => {
                self.doubtful = true;
                let domain = &self.spf.domain;
                let mut why = format!("SPF: {domain} says that this address may not send for it");
                if let Some(explanation) = &self.spf.explanation {
                    why = format!("{why}; {domain} explains: {explanation}");
                }
                self.act(options.spf_fail, &why, Status(5, 7, 23))?;
            }
            Verdict::SoftFail | Verdict::PermError => self.doubtful = true,
            _ => {}
        }
        Ok(())
    }

    fn act(&mut self, action: Action, why: &str, Status(_, subject, detail): Status) -> Result<(), Reply> {
        match action {
            Action::Off => {}
            Action::Mark => self.marks.push(why.to_owned()),
            Action::Quarantine => {
                self.marks.push(why.to_owned());
                self.quarantine.get_or_insert_with(|| why.to_owned());
            }
            Action::Defer => return Err(Reply::new(451, Status(4, subject, detail), short(why))),
            Action::Refuse => return Err(Reply::new(550, Status(5, subject, detail), short(why))),
        }
        Ok(())
    }
}

/// The DNS does not answer: the client is to come back (RFC 7208 §8.6).
pub(super) fn later(why: &str) -> Reply {
    Reply::new(451, Status(4, 7, 24), short(why))
}

/// A stranger's words within bounds, and in what a reply may hold.
pub(super) fn short(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(300)
        .collect()
}

/// What is wrong with a HELO name (RFC 5321 §4.1.1.1), where that is beyond doubt.
fn helo_fault(helo: &str, ours: &str) -> Option<&'static str> {
    if helo.eq_ignore_ascii_case(ours) {
        return Some("it calls itself by our name");
    }
    if let Some(literal) = helo.strip_prefix('[') {
        let literal = literal.strip_suffix(']').unwrap_or_default();
        let literal = literal.strip_prefix("IPv6:").unwrap_or(literal);
        return literal
            .parse::<IpAddr>()
            .is_err()
            .then_some("it calls itself by an address that is none");
    }
    match authentication::normal(helo) {
        None => Some("it calls itself by what cannot be a name"),
        Some(name) if name.parse::<IpAddr>().is_ok() => Some("it calls itself by an address without brackets"),
        Some(_) => None,
    }
}

impl Facts {
    fn unknown() -> Facts {
        Facts {
            reverse: Verdict::TempError,
            name: None,
            blocked: Vec::new(),
            allowed: None,
            silent: Vec::new(),
            unanswered: None,
        }
    }
}

impl Inspector {
    /// Asks about an address; everything at the same time.
    async fn facts(&self, address: IpAddr) -> Facts {
        let patience = self.options.patience;
        let reverse = async {
            timeout(patience, self.reverse(address))
                .await
                .unwrap_or((Verdict::TempError, None))
        };
        let lists = async {
            timeout(patience, self.lists(address)).await.unwrap_or_else(|_| Facts {
                unanswered: Some("a DNS list".to_owned()),
                ..Facts::unknown()
            })
        };
        let ((reverse, name), lists) = tokio::join!(reverse, lists);
        Facts { reverse, name, ..lists }
    }

    async fn reverse(&self, address: IpAddr) -> (Verdict, Option<String>) {
        let names = match self.names.ptr(address).await {
            Ok(names) => names,
            Err(Missing::Later(_)) => return (Verdict::TempError, None),
            Err(_) => return (Verdict::Fail, None),
        };
        let mut doubt = false;
        for name in names.into_iter().take(NAMES) {
            let found = if address.to_canonical().is_ipv4() {
                self.names.a(&name).await
            } else {
                self.names.aaaa(&name).await
            };
            match found {
                Ok(addresses) if addresses.iter().any(|a| a.to_canonical() == address.to_canonical()) => {
                    return (Verdict::Pass, Some(name));
                }
                Err(Missing::Later(_)) => doubt = true,
                _ => {}
            }
        }
        (if doubt { Verdict::TempError } else { Verdict::Fail }, None)
    }

    /// Block and allow lists (RFC 5782 §2): an address is listed where the name made of it has an address in 127.0.0.0/8.
    async fn lists(&self, address: IpAddr) -> Facts {
        let mut facts = Facts::unknown();
        for list in &self.options.allow_lists {
            if self.listed(address, list).await == Listed::Yes {
                facts.allowed = Some(list.clone());
                return facts;
            }
        }
        if self.options.block_list == Action::Off {
            return facts;
        }
        for list in &self.options.block_lists {
            match self.listed(address, list).await {
                Listed::Yes => facts.blocked.push(list.clone()),
                Listed::No => {}
                Listed::NotToUs => facts.silent.push(list.clone()),
                Listed::Later => facts.unanswered = Some(list.clone()),
            }
        }
        facts
    }

    async fn listed(&self, address: IpAddr, list: &str) -> Listed {
        let name = format!("{}.{list}", reversed(address.to_canonical()));
        match self.names.a(&name).await {
            // 127.255.255.0/24 is how lists say that they do not answer this resolver (RFC 5782 leaves it open, the large ones agree).
            Ok(found)
                if found
                    .iter()
                    .any(|a| matches!(a, IpAddr::V4(a) if a.octets().starts_with(&[127, 255, 255]))) =>
            {
                Listed::NotToUs
            }
            Ok(found) if found.iter().any(IpAddr::is_loopback) => Listed::Yes,
            Err(Missing::Later(_)) => Listed::Later,
            Ok(_) | Err(_) => Listed::No,
        }
    }
}

/// What a DNS list says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    Yes,
    No,
    /// It does not talk to this resolver.
    NotToUs,
    /// Its name servers do not answer.
    Later,
}

/// An address turned round (RFC 5782 §2.1, §2.4).
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => {
            let nibbles = address
                .octets()
                .into_iter()
                .rev()
                .flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles
                .map(|nibble| format!("{nibble:x}"))
                .collect::<Vec<_>>()
                .join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_helo() {
        let cases = [
            ("mail.far.example", true),
            ("localhost", true),
            ("[192.0.2.1]", true),
            ("[IPv6:2001:db8::1]", true),
            ("MAIL.phys.example", false),
            ("192.0.2.1", false),
            ("[mail]", false),
            ("a..b", false),
            ("", false),
        ];
        for (helo, good) in cases {
            assert_eq!(helo_fault(helo, "mail.phys.example").is_none(), good, "{helo}");
        }
    }

    #[test]
    fn addresses_turned_round() {
        assert_eq!(reversed("192.0.2.99".parse().unwrap()), "99.2.0.192");
        assert_eq!(
            reversed("2001:db8:1:2:3:4:567:89ab".parse().unwrap()),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
        );
    }
}
