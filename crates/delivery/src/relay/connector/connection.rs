//! A connection over which mail goes.

use super::wire::{Reason, Wire};
use crate::relay::transport::{
    Answer, Connection as Seam, Envelope, EnvelopeRecipient, Message, Needs, Outcome, Peer, Sent,
};
use ledger::RequireTls;
use smtp::Status;
use smtp::client::{Content, Event, Fate, Mail, Recipient, Scan};
use std::collections::HashSet;
use std::time::Duration;

/// How long one message may take, whatever happens: 100 MiB at 15 KiB/s.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

/// A connection to a server that has greeted us, with TLS and login as they should be.
pub struct Connection {
    pub(super) wire: Wire,
    pub(super) peer: Peer,
    /// The certificate is verified, and the host's name is not made up: REQUIRETLS can be kept where it is offered.
    pub(super) verified: bool,
    /// Made for a message with `TLS-Required: No`, and not as the destination's policies ask.
    pub(super) loose: bool,
}

impl Seam for Connection {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn suits(&self, needs: Needs) -> bool {
        // SMTPUTF8 is judged by what is in the message, not by what was said when it came.
        match needs.requiretls {
            RequireTls::Yes => self.keeps_tls(),
            RequireTls::Unsaid => !self.loose,
            RequireTls::No => true,
        }
    }

    async fn send(&mut self, envelope: &Envelope, message: &Message) -> Sent {
        let content = match scan(message) {
            Ok(content) => content,
            Err(error) => {
                let answer = Answer::own(Status(4, 3, 0), format!("the message cannot be read: {error}"));
                return all(envelope, &Outcome::Refused(answer), true);
            }
        };
        let mut outcomes: Vec<Option<Outcome>> = vec![None; envelope.recipients.len()];
        let mut first = true;
        loop {
            let open: Vec<usize> = (0..outcomes.len())
                .filter(|n| outcomes.get(*n).is_some_and(Option::is_none))
                .collect();
            if open.is_empty() {
                break;
            }
            if !first && !self.can_go_on() {
                let answer = self.broken("the server takes no further message on this connection");
                fill(&mut outcomes, &Outcome::Broken(answer));
                break;
            }
            let turn = self.fit(envelope, &open);
            let found = self.turn(envelope, message, content, &turn).await;
            let progress = found.iter().any(|outcome| matches!(outcome, Outcome::Taken(_)));
            for (&index, outcome) in turn.iter().zip(found) {
                // RFC 5321 §4.5.3.1.10: too many at once. The others were taken, so what is left goes at once.
                if progress && is_too_many(&outcome) && self.wire.session().is_ready() {
                    continue;
                }
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = Some(outcome);
                }
            }
            first = false;
        }
        let nothing = || Outcome::Broken(Answer::own(Status(4, 4, 2), "nothing came of it"));
        Sent {
            outcomes: outcomes
                .into_iter()
                .map(|outcome| outcome.unwrap_or_else(nothing))
                .collect(),
            reusable: self.can_go_on(),
        }
    }

    async fn quit(mut self) {
        self.wire.session().quit();
        while let Ok(event) = self.wire.event().await {
            if matches!(event, Event::Goodbye | Event::Closed(_) | Event::Broken(_)) {
                break;
            }
        }
    }
}

impl Connection {
    /// What RFC 8689 §2 asks of a session.
    fn keeps_tls(&self) -> bool {
        self.verified && !self.loose && self.wire.capabilities().requiretls
    }

    fn can_go_on(&mut self) -> bool {
        let most = self.wire.capabilities().mails.unwrap_or(u32::MAX);
        self.wire.session().is_ready() && self.wire.session().mails() < most
    }

    /// As many of the recipients as the server takes at once (RFC 9422 §4.2, §4.3).
    fn fit(&self, envelope: &Envelope, open: &[usize]) -> Vec<usize> {
        let has = self.wire.capabilities();
        let whole = |n: Option<u32>| n.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let (most, most_domains) = (whole(has.recipients), whole(has.domains));
        let mut domains = HashSet::new();
        open.iter()
            .copied()
            .filter(|index| {
                let address = envelope.recipients.get(*index).map_or("", |r| r.address.as_str());
                let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
                domains.contains(domain) || (domains.len() < most_domains && domains.insert(domain))
            })
            .take(most)
            .collect()
    }

    /// One transaction with some of the recipients.
    async fn turn(&mut self, envelope: &Envelope, message: &Message, content: Content, turn: &[usize]) -> Vec<Outcome> {
        let utf8 = self.wire.capabilities().smtputf8;
        let sender = spelling(&envelope.sender, utf8);
        let recipients: Vec<(String, &EnvelopeRecipient)> = turn
            .iter()
            .filter_map(|index| envelope.recipients.get(*index))
            .map(|recipient| (spelling(&recipient.address, utf8), recipient))
            .collect();
        let mail = Mail {
            sender: &sender,
            recipients: recipients
                .iter()
                .map(|(address, recipient)| Recipient {
                    address,
                    notify: recipient.notify.as_deref(),
                    original: recipient.original.as_deref(),
                })
                .collect(),
            size: message.size(),
            content,
            requiretls: envelope.needs.requiretls == RequireTls::Yes || (envelope.requiretls && self.keeps_tls()),
            envid: envelope.envid.as_deref(),
            ret: envelope.ret.as_deref(),
        };
        if let Err(refusal) = self.wire.session().check(&mail) {
            let text = format!("{}: {refusal}", self.peer.host);
            return vec![Outcome::Refused(Answer::own(refusal.status(), text)); turn.len()];
        }
        if let Some(reason) = self.wire.is_over() {
            self.wire.session().end();
            return vec![Outcome::Broken(self.broken(&reason)); turn.len()];
        }
        let (fates, reason) = match tokio::time::timeout(LONGEST, self.wire.transact(&mail, message)).await {
            Ok(result) => result,
            Err(_) => {
                let reason = format!("the message was not through after {} s", LONGEST.as_secs());
                (self.wire.session().end().unwrap_or_default(), Some(reason))
            }
        };
        let reason = reason.unwrap_or_else(|| "it closed the connection".to_owned());
        let mut outcomes: Vec<Outcome> = fates.into_iter().map(|fate| self.outcome(fate, &reason)).collect();
        outcomes.resize(turn.len(), Outcome::Broken(self.broken(&reason)));
        outcomes
    }

    fn outcome(&self, fate: Fate, reason: &Reason) -> Outcome {
        match fate {
            Fate::Taken(reply) => Outcome::Taken(answer(&reply)),
            Fate::Refused(reply) => Outcome::Refused(answer(&reply)),
            Fate::Broken(Some(reply)) => Outcome::Broken(answer(&reply)),
            Fate::Broken(None) => Outcome::Broken(self.broken(reason)),
            Fate::Doubtful => Outcome::Doubtful(Answer::own(
                Status(4, 4, 2),
                format!(
                    "{} had all of the message and gave no answer; it may have been taken: {reason}",
                    self.peer.host
                ),
            )),
        }
    }

    fn broken(&self, reason: &str) -> Answer {
        Answer::own(
            Status(4, 4, 2),
            format!("the connection to {} ended: {reason}", self.peer.host),
        )
    }
}

/// A peer's reply as the record has it.
pub(super) fn answer(reply: &smtp::client::Reply) -> Answer {
    Answer {
        code: Some(reply.code),
        status: reply.status_or_class(),
        text: reply.text.clone(),
    }
}

/// Whether it is "too many recipients" for one message: `452`, and `552` of servers from before RFC 5321.
fn is_too_many(outcome: &Outcome) -> bool {
    let Outcome::Refused(answer) = outcome else {
        return false;
    };
    answer.status == Status(4, 5, 3) || (answer.code == Some(452) && answer.status == Status(4, 0, 0))
}

fn all(envelope: &Envelope, outcome: &Outcome, reusable: bool) -> Sent {
    Sent {
        outcomes: vec![outcome.clone(); envelope.recipients.len()],
        reusable,
    }
}

fn fill(outcomes: &mut [Option<Outcome>], outcome: &Outcome) {
    for slot in outcomes.iter_mut().filter(|slot| slot.is_none()) {
        *slot = Some(outcome.clone());
    }
}

fn scan(message: &Message) -> std::io::Result<Content> {
    let mut scan = Scan::default();
    match message.whole() {
        Some(bytes) => scan.update(bytes),
        None => {
            let mut pieces = message.pieces()?;
            while let Some(piece) = pieces.next_piece()? {
                scan.update(&piece);
            }
        }
    }
    Ok(scan.content())
}

/// The address as a server can take it: where it has no SMTPUTF8, the domain as A-labels, which is the same address (RFC 6531 §3.2).
fn spelling(address: &str, utf8: bool) -> String {
    if utf8 || address.is_ascii() {
        return address.to_owned();
    }
    match address.rsplit_once('@') {
        Some((local, domain)) if local.is_ascii() => match authentication::normal(domain) {
            Some(domain) => format!("{local}@{domain}"),
            None => address.to_owned(),
        },
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_servers_without_smtputf8() {
        for (address, utf8, expected) in [
            ("ada@münchen.example", false, "ada@xn--mnchen-3ya.example"),
            ("ada@münchen.example", true, "ada@münchen.example"),
            ("üda@münchen.example", false, "üda@münchen.example"),
            ("Ada@Phys.example", false, "Ada@Phys.example"),
            ("", false, ""),
        ] {
            assert_eq!(spelling(address, utf8), expected, "{address}");
        }
    }
}
