//! Threads: which message answers which. RFC 5256 §3 (THREAD): ORDEREDSUBJECT and REFERENCES; REFS as draft-ietf-morg-inthread has it.
//!
//! ORDEREDSUBJECT puts messages of one base subject together. REFERENCES links messages by the Message-IDs in their headers, makes
//! place-holders ("dummies") for those that are not there, takes away again what of these is of no use, and joins threads of the same
//! base subject. REFS does only the first half and sorts threads by their newest message.
//!
//! Time is n log n for n messages, whatever they claim to answer, but for the search for loops, which [`LOOP_STEPS`] bounds.
//! Nothing here is recursive: a thread may be as deep as there are messages.

use std::collections::HashMap;

/// How messages are threaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// By base subject.
    OrderedSubject,
    /// By references, then by base subject.
    References,
    /// By references alone.
    Refs,
}

/// What threading needs to know of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its number in the answer: sequence number or UID. Messages come in the order of these.
    pub number: u32,
    /// Sent date in seconds (RFC 5256 §2.2).
    pub sent: i64,
    /// Base subject, comparable byte for byte.
    pub subject: &'a str,
    /// The subject says that it is a reply or forward.
    pub reply: bool,
    /// A hash of its normalised Message-ID.
    pub id: Option<u64>,
    /// Hashes of what it refers to, the direct parent last.
    pub references: &'a [u64],
}

/// Threads, ready to be printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Threads {
    pub(crate) nodes: Vec<Node>,
    pub(crate) roots: Vec<usize>,
}

/// A message in its thread; without a number, what its children have in common and is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) number: Option<u32>,
    pub(crate) children: Vec<usize>,
}

/// Steps towards the root that looking for loops may take in one command: half a second. Only messages made for it come near; links
/// that cannot be checked any more are not made.
const LOOP_STEPS: u64 = 100_000_000;

/// No parent.
const NONE: usize = usize::MAX;

/// Threads messages, which come in the order of the mailbox.
pub fn thread(algorithm: Algorithm, messages: &[Message<'_>]) -> Threads {
    match algorithm {
        Algorithm::OrderedSubject => ordered_subject(messages),
        Algorithm::References | Algorithm::Refs => Tree::link(messages).finish(algorithm),
    }
}

fn ordered_subject(messages: &[Message<'_>]) -> Threads {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    let key = |i: usize| messages.get(i).map(|m| (m.subject, m.sent, i));
    order.sort_unstable_by_key(|&i| key(i));
    let mut threads = Threads {
        nodes: messages
            .iter()
            .map(|message| Node {
                number: Some(message.number),
                children: Vec::new(),
            })
            .collect(),
        roots: Vec::new(),
    };
    let mut open: Option<(usize, &str)> = None;
    for i in order {
        let subject = messages.get(i).map_or("", |m| m.subject);
        match open {
            Some((root, same)) if same == subject => {
                if let Some(node) = threads.nodes.get_mut(root) {
                    node.children.push(i);
                }
            }
            _ => {
                threads.roots.push(i);
                open = Some((i, subject));
            }
        }
    }
    threads
        .roots
        .sort_unstable_by_key(|&i| messages.get(i).map(|m| (m.sent, i)));
    threads
}

/// Messages and dummies while they are put together. The first nodes are the messages, in their order.
struct Tree<'a> {
    messages: &'a [Message<'a>],
    parents: Vec<usize>,
    /// How many children a node has had linked: one without can be linked without a look for loops.
    fertile: Vec<u32>,
    children: Vec<Vec<usize>>,
    steps: u64,
}

impl<'a> Tree<'a> {
    /// Step 1: links by references.
    fn link(messages: &'a [Message<'a>]) -> Tree<'a> {
        let mut tree = Tree {
            messages,
            parents: vec![NONE; messages.len()],
            fertile: vec![0; messages.len()],
            children: Vec::new(),
            steps: LOOP_STEPS,
        };
        let mut nodes: HashMap<u64, usize> = HashMap::with_capacity(messages.len() * 2);
        for (i, message) in messages.iter().enumerate() {
            if let Some(id) = message.id {
                // Of messages with the same id the first has it.
                nodes.entry(id).or_insert(i);
            }
        }
        for (i, message) in messages.iter().enumerate() {
            let mut before = NONE;
            for id in message.references {
                let node = *nodes.entry(*id).or_insert_with(|| {
                    tree.parents.push(NONE);
                    tree.fertile.push(0);
                    tree.parents.len() - 1
                });
                if before != NONE && tree.parent(node) == NONE {
                    tree.adopt(before, node);
                }
                before = node;
            }
            if before == NONE || tree.parent(i) != before {
                tree.part(i);
                if before != NONE {
                    tree.adopt(before, i);
                }
            }
        }
        tree
    }

    fn parent(&self, node: usize) -> usize {
        self.parents.get(node).copied().unwrap_or(NONE)
    }

    fn part(&mut self, child: usize) {
        let parent = self.parent(child);
        if let Some(count) = self.fertile.get_mut(parent) {
            *count = count.saturating_sub(1);
        }
        if let Some(slot) = self.parents.get_mut(child) {
            *slot = NONE;
        }
    }

    /// Links two nodes, unless that would make a loop. The child has no parent.
    fn adopt(&mut self, parent: usize, child: usize) {
        if parent == child {
            return;
        }
        if self.fertile.get(child).is_some_and(|count| *count > 0) {
            let mut above = self.parent(parent);
            while above != NONE {
                if above == child || self.steps == 0 {
                    return;
                }
                self.steps -= 1;
                above = self.parent(above);
            }
        }
        if let Some(slot) = self.parents.get_mut(child) {
            *slot = parent;
        }
        if let Some(count) = self.fertile.get_mut(parent) {
            *count += 1;
        }
    }

    fn is_dummy(&self, node: usize) -> bool {
        node >= self.messages.len()
    }

    /// Steps 2 to 6.
    fn finish(mut self, algorithm: Algorithm) -> Threads {
        let mut roots = self.prune();
        if algorithm == Algorithm::References {
            self.order(&mut roots, |m| m.sent);
            self.gather(&mut roots);
            self.sort(|m| m.sent);
            self.order(&mut roots, |m| m.sent);
        } else {
            self.sort(|m| m.sent);
            let newest = self.newest(&roots);
            roots.sort_by_key(|root| newest.get(root).copied());
        }
        let nodes = self.children.into_iter().enumerate().map(|(i, children)| Node {
            number: self.messages.get(i).map(|message| message.number),
            children,
        });
        Threads {
            nodes: nodes.collect(),
            roots,
        }
    }

    /// Step 3: dummies go, but for those at the top that hold several messages together. Gives the roots and makes the lists of children.
    fn prune(&mut self) -> Vec<usize> {
        let count = self.parents.len();
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut walk: Vec<usize> = Vec::new();
        for node in 0..count {
            match below.get_mut(self.parent(node)) {
                Some(list) => list.push(node),
                None => walk.push(node),
            }
        }
        let tops = walk.clone();
        // From the top down, each message is hung below the nearest that stays.
        let mut anchors = vec![NONE; count];
        self.children = vec![Vec::new(); count];
        while let Some(node) = walk.pop() {
            let anchor = anchors.get(node).copied().unwrap_or(NONE);
            let is_dummy = self.is_dummy(node);
            if !is_dummy && let Some(list) = self.children.get_mut(anchor) {
                list.push(node);
            }
            let hold = if is_dummy && anchor != NONE { anchor } else { node };
            for child in below.get(node).into_iter().flatten() {
                if let Some(slot) = anchors.get_mut(*child) {
                    *slot = hold;
                }
                walk.push(*child);
            }
        }
        let mut roots = Vec::new();
        for top in tops {
            if !self.is_dummy(top) {
                roots.push(top);
                continue;
            }
            let list = self.children.get_mut(top).map(std::mem::take).unwrap_or_default();
            match list.as_slice() {
                [] => {}
                [only] => roots.push(*only),
                _ => {
                    if let Some(slot) = self.children.get_mut(top) {
                        *slot = list;
                    }
                    roots.push(top);
                }
            }
        }
        roots
    }

    /// What a node is sorted by: its date, for a dummy that of its first child, then its place in the mailbox.
    fn key(&self, node: usize, date: fn(&Message<'_>) -> i64) -> (i64, usize) {
        match self.messages.get(node) {
            Some(message) => (date(message), node),
            None => self
                .children
                .get(node)
                .into_iter()
                .flatten()
                .map(|child| self.key_of_message(*child, date))
                .min()
                .unwrap_or((i64::MIN, node)),
        }
    }

    fn key_of_message(&self, node: usize, date: fn(&Message<'_>) -> i64) -> (i64, usize) {
        (self.messages.get(node).map_or(i64::MIN, date), node)
    }

    fn order(&self, nodes: &mut [usize], date: fn(&Message<'_>) -> i64) {
        nodes.sort_by_cached_key(|node| self.key(*node, date));
    }

    /// Step 6, below the roots.
    fn sort(&mut self, date: fn(&Message<'_>) -> i64) {
        for node in 0..self.children.len() {
            let mut list = self.children.get_mut(node).map(std::mem::take).unwrap_or_default();
            list.sort_unstable_by_key(|child| self.key_of_message(*child, date));
            if let Some(slot) = self.children.get_mut(node) {
                *slot = list;
            }
        }
    }

    /// The newest message of each thread.
    fn newest(&self, roots: &[usize]) -> HashMap<usize, (i64, usize)> {
        let mut newest = HashMap::with_capacity(roots.len());
        let mut walk = Vec::new();
        for root in roots {
            walk.push(*root);
            let mut best = (i64::MIN, 0);
            while let Some(node) = walk.pop() {
                if let Some(message) = self.messages.get(node) {
                    best = best.max((message.sent, node));
                }
                walk.extend(self.children.get(node).into_iter().flatten());
            }
            newest.insert(*root, best);
        }
        newest
    }

    /// The message whose subject is the thread's: itself, or a dummy's first child.
    fn speaker(&self, node: usize) -> Option<&'a Message<'a>> {
        let node = match self.is_dummy(node) {
            false => node,
            true => {
                let children = self.children.get(node)?.iter();
                *children.min_by_key(|child| self.key_of_message(**child, |m| m.sent))?
            }
        };
        self.messages.get(node)
    }

    /// Step 5: threads of the same base subject become one.
    fn gather(&mut self, roots: &mut Vec<usize>) {
        let is_reply = |tree: &Self, node: usize| tree.messages.get(node).is_some_and(|message| message.reply);
        let mut table: HashMap<&'a str, usize> = HashMap::with_capacity(roots.len());
        let mut subjects = Vec::with_capacity(roots.len());
        for &root in roots.iter() {
            let subject = self.speaker(root).map_or("", |message| message.subject);
            subjects.push(subject);
            if subject.is_empty() {
                continue;
            }
            let held = table.entry(subject).or_insert(root);
            let better = self.is_dummy(root) || (is_reply(self, *held) && !is_reply(self, root));
            if *held != root && !self.is_dummy(*held) && better {
                *held = root;
            }
        }
        let mut gone = vec![false; self.children.len()];
        let mut fresh: HashMap<usize, usize> = HashMap::new();
        for (&root, subject) in roots.iter().zip(&subjects) {
            if subject.is_empty() {
                continue;
            }
            let Some(&held) = table.get(subject) else { continue };
            if held == root || fresh.get(&root) == Some(&held) {
                continue;
            }
            let (mine, theirs) = (self.is_dummy(root), self.is_dummy(held));
            let under = if theirs || (is_reply(self, root) && !is_reply(self, held)) {
                held
            } else {
                // Both speak for themselves: neither is above the other.
                self.children.push(vec![held]);
                gone.push(false);
                let dummy = self.children.len() - 1;
                fresh.insert(held, dummy);
                table.insert(subject, dummy);
                dummy
            };
            let joining = if mine && theirs {
                self.children.get_mut(root).map(std::mem::take).unwrap_or_default()
            } else {
                vec![root]
            };
            if let Some(list) = self.children.get_mut(under) {
                list.extend(joining);
            }
            if let Some(flag) = gone.get_mut(root) {
                *flag = true;
            }
        }
        roots.retain(|root| !gone.get(*root).copied().unwrap_or(false));
        for root in roots.iter_mut() {
            if let Some(dummy) = fresh.get(root) {
                *root = *dummy;
            }
        }
    }
}

#[cfg(test)]
#[path = "thread/tests.rs"]
mod tests;
