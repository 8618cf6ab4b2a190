//! Recipients of one destination that wait in memory: people's mail before bulk, and within each the senders in turn.

use crate::relay::transport::{Envelope, EnvelopeRecipient, Needs};
use ledger::{AcceptanceId, Lease, RequireTls, Work};
use std::collections::{HashMap, HashSet, VecDeque};

/// Recipients of one message for one destination: what goes into one transaction. Never empty.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    pub(crate) works: Vec<Work>,
    /// It was in hand when a connection ended that had been used before; that is not its fault, and happens to it once.
    pub(crate) again: bool,
}

impl Bundle {
    /// Puts together what belongs together: of one message and destination, and no more than `most` at a time.
    pub(crate) fn of(works: Vec<Work>, most: u32) -> Vec<Bundle> {
        let mut bundles: Vec<Bundle> = Vec::new();
        for work in works {
            match bundles.last_mut() {
                Some(last)
                    if last.works.len() < most.max(1) as usize
                        && last
                            .works
                            .iter()
                            .any(|w| w.acceptance.id == work.acceptance.id && w.destination == work.destination) =>
                {
                    last.works.push(work);
                }
                _ => bundles.push(Bundle {
                    works: vec![work],
                    again: false,
                }),
            }
        }
        bundles
    }

    /// What its message asks of the way.
    pub(crate) fn needs(&self) -> Needs {
        self.works.first().map_or_else(Needs::default, |w| Needs {
            requiretls: match w.acceptance.requiretls {
                // RFC 8689 §5: it is said where it can be, and no reason to lose a notice.
                RequireTls::Yes if w.acceptance.sender.is_empty() => RequireTls::Unsaid,
                asked => asked,
            },
            smtputf8: w.acceptance.smtputf8,
        })
    }

    /// Its envelope; nothing where it is empty, which it never is.
    pub(crate) fn envelope(&self) -> Option<Envelope> {
        let acceptance = &self.works.first()?.acceptance;
        Some(Envelope {
            sender: acceptance.sender.clone(),
            recipients: self
                .works
                .iter()
                .map(|w| EnvelopeRecipient {
                    address: w.address.clone(),
                    notify: w.notify.clone(),
                    original: w.original.clone(),
                })
                .collect(),
            envid: acceptance.envid.clone(),
            ret: acceptance.ret.clone(),
            body: acceptance.body.clone(),
            needs: self.needs(),
            requiretls: acceptance.requiretls == RequireTls::Yes,
        })
    }

    /// Octets it keeps in memory.
    pub(crate) fn octets(&self) -> usize {
        let bytes = self.works.first().and_then(|w| w.bytes.as_ref());
        bytes.map_or(0, bytes::Bytes::len)
    }

    fn place(&self) -> (usize, i64) {
        self.works
            .first()
            .map_or((0, 0), |w| (usize::from(w.acceptance.bulk), w.acceptance.sender_key()))
    }
}

pub(crate) fn leases(works: &[Work]) -> Vec<(AcceptanceId, u32, Lease)> {
    works.iter().map(|w| (w.acceptance.id, w.number, w.lease)).collect()
}

#[derive(Default)]
struct Line {
    senders: HashMap<i64, VecDeque<Bundle>>,
    /// Senders with something here, in the order of their turn.
    turn: VecDeque<i64>,
}

/// What waits for a destination.
#[derive(Default)]
pub(crate) struct Window {
    /// People's, and bulk.
    lines: [Line; 2],
    rows: usize,
    octets: usize,
}

impl Window {
    /// Recipients.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Octets of messages.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(crate) fn push(&mut self, bundle: Bundle) {
        self.insert(bundle, false);
    }

    /// Puts back what was taken last: it is its sender's first, and his turn is next.
    pub(crate) fn push_front(&mut self, bundle: Bundle) {
        self.insert(bundle, true);
    }

    fn insert(&mut self, bundle: Bundle, first: bool) {
        let (line, sender) = bundle.place();
        self.rows += bundle.works.len();
        self.octets += bundle.octets();
        let Some(line) = self.lines.get_mut(line) else { return };
        let queue = line.senders.entry(sender).or_default();
        if queue.is_empty() {
            if first {
                line.turn.push_front(sender);
            } else {
                line.turn.push_back(sender);
            }
        }
        if first {
            queue.push_front(bundle);
        } else {
            queue.push_back(bundle);
        }
    }

    /// The next that `fits`: people's first, each sender in turn.
    pub(crate) fn pop(&mut self, fits: impl Fn(&Bundle) -> bool) -> Option<Bundle> {
        for line in &mut self.lines {
            for at in 0..line.turn.len() {
                let Some(&sender) = line.turn.get(at) else { break };
                let Some(queue) = line.senders.get_mut(&sender) else {
                    continue;
                };
                if !queue.front().is_some_and(&fits) {
                    continue;
                }
                let bundle = queue.pop_front()?;
                line.turn.remove(at);
                if queue.is_empty() {
                    line.senders.remove(&sender);
                } else {
                    line.turn.push_back(sender);
                }
                self.rows -= bundle.works.len();
                self.octets -= bundle.octets();
                return Some(bundle);
            }
        }
        None
    }

    /// All of it.
    pub(crate) fn drain(&mut self) -> Vec<Work> {
        let lines = std::mem::take(self).lines;
        let bundles = lines.into_iter().flat_map(|line| line.senders.into_values().flatten());
        bundles.flat_map(|bundle| bundle.works).collect()
    }

    /// Takes these recipients out.
    pub(crate) fn recall(&mut self, recipients: &HashSet<(AcceptanceId, u32)>) -> Vec<Work> {
        let mut recalled = Vec::new();
        let mut kept = Window::default();
        while let Some(mut bundle) = self.pop(|_| true) {
            let (out, stay) = bundle.works.into_iter().partition(|w| recipients.contains(&w.key()));
            recalled.extend::<Vec<Work>>(out);
            bundle.works = stay;
            if !bundle.works.is_empty() {
                kept.push(bundle);
            }
        }
        *self = kept;
        recalled
    }
}
