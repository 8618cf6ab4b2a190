//! The interpreter.

use std::collections::HashMap;
use std::sync::Arc;

use mime::Structure;

use crate::error::{Error, ErrorKind, Position, Result};
use crate::explain::{Done, Event, Explanation, What};
use crate::glance::{Source, Summary};
use crate::limits::Limits;
use crate::mail::Mail;
use crate::outcome::{Action, DuplicateRecord, Outcome, Taken, Target, takes_message};
use crate::program::{Compiled, Flow, Node, SiteId, TestKind, TestNode};
use crate::template::{Variable, cut};
use crate::world::{Envelope, World};

/// A message to run a script on.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The message's bytes.
    pub message: &'a [u8],
    /// Its structure, if it was scanned already; made when needed otherwise.
    pub structure: Option<&'a Structure>,
    /// Its envelope.
    pub envelope: Envelope,
    /// The moment: seconds since 1970 in UTC.
    pub now: i64,
    /// The addresses that are the user's own, beside the envelope's recipient: for `vacation`.
    pub own_addresses: Vec<String>,
    /// Variables that scripts before this one shared with all.
    pub globals: Vec<(String, String)>,
}

impl<'a> Input<'a> {
    /// A message without envelope, in 1970.
    pub fn new(message: &'a [u8]) -> Input<'a> {
        Input {
            message,
            structure: None,
            envelope: Envelope::default(),
            now: 0,
            own_addresses: Vec::new(),
            globals: Vec::new(),
        }
    }
}

impl Compiled {
    /// Runs the script on a message. Asks the world, and changes nothing in it: the outcome says what to do.
    pub fn run(&self, input: &Input<'_>, world: &dyn World, limits: &Limits) -> Outcome {
        let mut run = Run {
            world,
            limits,
            input,
            mail: Mail::new(input.message, input.structure, limits.header_bytes),
            sources: &self.sources,
            scripts: vec![(None, Arc::clone(&self.sites))],
            script: 0,
            variables: vec![String::new(); self.variables.len()],
            globals: input.globals.iter().cloned().collect(),
            variable_bytes: 0,
            captures: Vec::new(),
            implicit_keep: true,
            flags: Vec::new(),
            actions: Vec::new(),
            messages: Vec::new(),
            warnings: Vec::new(),
            duplicates: Vec::new(),
            logs: Vec::new(),
            events: Vec::new(),
            left_out: 0,
            matched: None,
            looked_at: 0,
            because: Vec::new(),
            site: 0,
            steps: 0,
            regexes_made: 0,
            redirects: 0,
            notifications: 0,
            vacations: 0,
            includes: 0,
            include_stack: Vec::new(),
            included_once: Vec::new(),
            parts: Vec::new(),
            decoded: HashMap::new(),
            envelope: Vec::new(),
        };
        run.flags = world.flags();
        let ended = run.nodes(&self.body);
        run.finish(ended)
    }
}

pub(crate) struct Run<'r> {
    pub world: &'r dyn World,
    pub limits: &'r Limits,
    pub input: &'r Input<'r>,
    pub mail: Mail<'r>,
    /// What the tests of the script look at.
    sources: &'r [Source],
    /// Every script that was entered; for the explanation.
    pub scripts: Vec<(Option<String>, Arc<[crate::program::Site]>)>,
    /// The one we are in.
    pub script: u16,
    pub variables: Vec<String>,
    pub globals: HashMap<String, String>,
    variable_bytes: usize,
    captures: Vec<String>,
    pub implicit_keep: bool,
    /// The internal variable of imap4flags (RFC 5232 §2).
    pub flags: Vec<String>,
    pub actions: Vec<Taken>,
    pub messages: Vec<Arc<[u8]>>,
    pub warnings: Vec<Error>,
    pub duplicates: Vec<DuplicateRecord>,
    pub logs: Vec<String>,
    events: Vec<Event>,
    left_out: usize,
    /// The value that made the test at hand true, and how many it looked at.
    matched: Option<Box<str>>,
    looked_at: usize,
    /// Ranges of events that led to where we are.
    because: Vec<Box<[u32]>>,
    site: SiteId,
    steps: usize,
    pub regexes_made: usize,
    pub redirects: usize,
    pub notifications: usize,
    pub vacations: usize,
    pub includes: usize,
    pub include_stack: Vec<(crate::world::Location, String)>,
    pub included_once: Vec<(crate::world::Location, String)>,
    /// The parts that loops are at, outermost first (RFC 5703 §3).
    pub parts: Vec<usize>,
    /// Decoded texts of parts, by part and whether as text.
    pub decoded: HashMap<(usize, bool), std::rc::Rc<[crate::matching::Value]>>,
    pub envelope: crate::ext::tests::EnvelopeValues,
}

impl Run<'_> {
    fn finish(mut self, ended: Result<Flow>) -> Outcome {
        let error = ended.err().map(|error| self.placed(error));
        let mut abandoned = Vec::new();
        if error.is_some() {
            abandoned = std::mem::take(&mut self.actions);
            self.messages.clear();
            self.duplicates.clear();
        }
        if self.implicit_keep || error.is_some() {
            let message = if error.is_some() {
                0
            } else {
                self.mail.save(&mut self.messages)
            };
            // Flags set before an error are not trusted either.
            let flags = if error.is_some() {
                self.world.flags()
            } else {
                self.flags.clone()
            };
            let kept = self
                .actions
                .iter()
                .any(|taken| matches!(taken.action, Action::Keep { .. }));
            if !kept {
                let action = Action::Keep { flags, implicit: true };
                self.site = SiteId::MAX;
                let because = std::mem::take(&mut self.because);
                self.note_action(&action);
                self.because = because;
                self.actions.push(Taken {
                    action,
                    position: Position::default(),
                    script: None,
                    message,
                });
            }
        }
        // Discard says only that there is no implicit keep: with anything that takes the message, it has nothing to say.
        if self.actions.iter().any(|taken| takes_message(&taken.action)) {
            self.actions.retain(|taken| taken.action != Action::Discard);
        }
        Outcome {
            actions: self.actions,
            abandoned,
            messages: self.messages,
            explanation: Explanation {
                scripts: self.scripts,
                events: self.events,
                left_out: self.left_out,
            },
            error,
            warnings: self.warnings,
            duplicates: self.duplicates,
            logs: self.logs,
            globals: self.globals.into_iter().collect(),
            steps: self.steps,
        }
    }

    /// Gives an error its place, if it has none.
    fn placed(&self, mut error: Error) -> Error {
        if error.position.line == 0
            && let Some((name, sites)) = self.scripts.get(self.script as usize)
        {
            error.position = sites
                .get(self.site as usize)
                .map(|site| site.position)
                .unwrap_or_default();
            if error.script.is_none() {
                error.script.clone_from(name);
            }
        }
        error
    }

    /// What a step says when it went beyond a limit.
    pub fn limit(&self, what: &str, name: &str, limit: usize) -> Error {
        Error::new(
            ErrorKind::Limit,
            Position::default(),
            format!("more than {limit} {what} (limit {name})"),
        )
    }

    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Run, Position::default(), message)
    }

    /// Notes what went wrong without ending the script.
    pub fn warn(&mut self, message: impl Into<String>) {
        if self.warnings.len() < self.limits.errors {
            let warning = self.placed(Error::new(ErrorKind::Run, Position::default(), message));
            self.warnings.push(warning);
        }
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > self.limits.steps {
            return Err(self.limit("commands and tests are executed", "steps", self.limits.steps));
        }
        Ok(())
    }

    pub fn nodes(&mut self, nodes: &[Node]) -> Result<Flow> {
        for node in nodes {
            self.site = node.site;
            self.step()?;
            let flow = match node.step.run(self) {
                Ok(flow) => flow,
                Err(error) => return Err(self.placed(error)),
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    pub fn test(&mut self, test: &TestNode) -> Result<bool> {
        self.step()?;
        let passed = match &test.kind {
            TestKind::True => true,
            TestKind::False => false,
            TestKind::Not(inner) => return Ok(!self.test(inner)?),
            TestKind::All(tests) => {
                for test in tests {
                    if !self.test(test)? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            TestKind::Any(tests) => {
                for test in tests {
                    if self.test(test)? {
                        return Ok(true);
                    }
                }
                return Ok(false);
            }
            TestKind::Leaf(glance, check) => {
                self.site = test.site;
                self.matched = None;
                self.looked_at = 0;
                if let Some(looked_at) = glance.as_ref().and_then(|glance| glance.fails(self)) {
                    self.looked_at = looked_at;
                    false
                } else {
                    match check.check(self) {
                        Ok(passed) => passed,
                        Err(error) => return Err(self.placed(error)),
                    }
                }
            }
        };
        let value = self.matched.take().filter(|_| passed);
        let looked_at = u32::try_from(self.looked_at).unwrap_or(u32::MAX);
        self.looked_at = 0;
        self.event(
            test.site,
            What::Test {
                passed,
                value,
                looked_at,
            },
        );
        Ok(passed)
    }

    /// What a source of the script has; `None` where it is not to be judged at a glance: of a script that is included, whose sources are others.
    pub fn summary(&mut self, source: usize) -> Option<Summary> {
        if self.script != 0 {
            return None;
        }
        match self.mail.summaries.get(source) {
            Some(Some(known)) => *known,
            _ => self.sum_up(source),
        }
    }

    fn sum_up(&mut self, source: usize) -> Option<Summary> {
        let summary = match self.sources.get(source)? {
            Source::Field(name, aspect) => Some(Summary::of(&self.mail.values(name, *aspect))),
            // Without an envelope its tests are an error.
            Source::Envelope(..) if !self.world.has_envelope() => None,
            Source::Envelope(item, part) => Some(Summary::of(&item.values(&self.input.envelope, *part, 0, 0))),
        };
        let all = &mut self.mail.summaries;
        all.resize(all.len().max(self.sources.len()), None);
        if let Some(place) = all.get_mut(source) {
            *place = Some(summary);
        }
        summary
    }

    /// How far the explanation is; see [`Run::reasons_since`].
    pub fn mark(&self) -> usize {
        self.events.len()
    }

    /// Takes back what was noted since `mark`.
    pub fn forget_since(&mut self, mark: usize) {
        self.events.truncate(mark);
    }

    /// The tests noted since `mark` that tell why a condition held: those that passed, or if none did, those that failed.
    pub fn reasons_since(&self, mark: usize) -> Box<[u32]> {
        let noted = self.events.get(mark..).unwrap_or_default();
        let pick = |wanted: bool| -> Vec<u32> {
            (mark..)
                .zip(noted)
                .filter(|(_, event)| matches!(event.what, What::Test { passed, .. } if passed == wanted))
                .filter_map(|(at, _)| u32::try_from(at).ok())
                .take(8)
                .collect()
        };
        let passed = pick(true);
        if passed.is_empty() {
            pick(false).into()
        } else {
            passed.into()
        }
    }

    /// Runs a block for reasons.
    pub fn block(&mut self, nodes: &[Node], because: Box<[u32]>) -> Result<Flow> {
        self.because.push(because);
        let flow = self.nodes(nodes);
        self.because.pop();
        flow
    }

    fn event(&mut self, site: SiteId, what: What) {
        if self.events.len() < self.limits.explanation {
            self.events.push(Event {
                script: self.script,
                site,
                what,
            });
        } else {
            self.left_out += 1;
        }
    }

    /// Writes a remark into the explanation.
    pub fn note(&mut self, text: impl Into<String>) {
        let text: String = text.into();
        self.event(self.site, What::Note(text.into()));
    }

    fn note_action(&mut self, action: &Action) {
        let because: Vec<u32> = self
            .because
            .iter()
            .flat_map(|reasons| reasons.iter().copied())
            .collect();
        self.event(
            self.site,
            What::Done(Box::new(Done {
                text: action.to_string().into(),
                because: because.into(),
            })),
        );
    }

    /// Notes a value that made a test true.
    pub fn matched(&mut self, value: &str) {
        let mut value: String = value.chars().take(self.limits.explanation_value_bytes).collect();
        cut(&mut value, self.limits.explanation_value_bytes);
        self.matched = Some(value.into());
    }

    pub fn looked_at(&mut self, values: usize) {
        self.looked_at += values;
    }

    /// An action, on the message as it is now.
    pub fn act(&mut self, action: Action) -> Result<()> {
        self.note_action(&action);
        let message = self.mail.save(&mut self.messages);
        let position = self
            .scripts
            .get(self.script as usize)
            .and_then(|(_, sites)| sites.get(self.site as usize));
        let position = position.map(|site| site.position).unwrap_or_default();
        let script = self
            .scripts
            .get(self.script as usize)
            .and_then(|(name, _)| name.clone());
        let taken = Taken {
            action,
            position,
            script,
            message,
        };
        let kept_in_inbox = self.world.keeps_in_inbox();
        if let Some(same) = self
            .actions
            .iter_mut()
            .find(|other| is_same(&other.action, &taken.action, kept_in_inbox))
        {
            // The last word on flags counts; one copy is enough (RFC 5228 §2.10.3).
            merge(same, taken);
            return Ok(());
        }
        if self.actions.len() >= self.limits.actions {
            return Err(self.limit("actions", "actions", self.limits.actions));
        }
        self.actions.push(taken);
        Ok(())
    }

    pub fn variable(&self, variable: &Variable) -> &str {
        match variable {
            Variable::Own(at) => self.variables.get(*at).map_or("", String::as_str),
            Variable::Global(name) => self.globals.get(name.as_ref()).map_or("", String::as_str),
        }
    }

    pub fn set_variable(&mut self, variable: &Variable, mut value: String) -> Result<()> {
        cut(&mut value, self.limits.variable_bytes);
        let before = self.variable(variable).len();
        self.variable_bytes = (self.variable_bytes + value.len()).saturating_sub(before);
        if self.variable_bytes > self.limits.string_bytes {
            return Err(self.limit("octets in variables", "string_bytes", self.limits.string_bytes));
        }
        match variable {
            Variable::Own(at) => {
                if let Some(slot) = self.variables.get_mut(*at) {
                    *slot = value;
                }
            }
            Variable::Global(name) => {
                if self.globals.len() >= self.limits.variables && !self.globals.contains_key(name.as_ref()) {
                    return Err(self.limit("global variables", "variables", self.limits.variables));
                }
                self.globals.insert(name.as_ref().to_owned(), value);
            }
        }
        Ok(())
    }

    pub fn capture(&self, number: usize) -> &str {
        self.captures.get(number).map_or("", String::as_str)
    }

    pub fn set_captures(&mut self, mut captures: Vec<String>) {
        for capture in &mut captures {
            cut(capture, self.limits.variable_bytes);
        }
        self.captures = captures;
    }

    /// Runs a script within this one, with variables of its own (RFC 6609 §3.4).
    pub fn included(&mut self, script: &Compiled, name: &str) -> Result<Flow> {
        let Ok(number) = u16::try_from(self.scripts.len()) else {
            return Err(self.limit("scripts are included", "includes", usize::from(u16::MAX)));
        };
        self.scripts.push((Some(name.to_owned()), Arc::clone(&script.sites)));
        let outside = (self.script, self.site);
        self.script = number;
        let variables = std::mem::replace(&mut self.variables, vec![String::new(); script.variables.len()]);
        let parts = std::mem::take(&mut self.parts);
        let flow = self.nodes(&script.body);
        self.parts = parts;
        self.variables = variables;
        if flow.is_ok() {
            (self.script, self.site) = outside;
        }
        flow
    }

    pub fn set_site(&mut self, site: SiteId) {
        self.site = site;
    }
}

fn is_same(a: &Action, b: &Action, kept_in_inbox: bool) -> bool {
    match (a, b) {
        (Action::Keep { .. }, Action::Keep { .. }) | (Action::Discard, Action::Discard) => true,
        (Action::FileInto { target: a, .. }, Action::FileInto { target: b, .. }) => same_target(a, b),
        (Action::FileInto { target, .. }, Action::Keep { .. })
        | (Action::Keep { .. }, Action::FileInto { target, .. }) => kept_in_inbox && is_inbox(target),
        (Action::Redirect(a), Action::Redirect(b)) => a.address.eq_ignore_ascii_case(&b.address) && a.list == b.list,
        _ => false,
    }
}

fn same_target(a: &Target, b: &Target) -> bool {
    let same_name =
        a.mailbox == b.mailbox || (a.mailbox.eq_ignore_ascii_case("inbox") && b.mailbox.eq_ignore_ascii_case("inbox"));
    same_name && a.mailbox_id == b.mailbox_id && a.special_use == b.special_use
}

/// What `keep` means too.
fn is_inbox(target: &Target) -> bool {
    target.mailbox.eq_ignore_ascii_case("inbox") && target.mailbox_id.is_none() && target.special_use.is_none()
}

fn merge(same: &mut Taken, new: Taken) {
    same.message = new.message;
    match (&mut same.action, new.action) {
        (Action::Keep { flags, .. }, Action::Keep { flags: newer, .. }) => *flags = newer,
        (
            Action::FileInto { flags, target, copy },
            Action::FileInto {
                flags: newer,
                target: other,
                copy: again,
            },
        ) => {
            *flags = newer;
            target.create |= other.create;
            *copy &= again;
        }
        (Action::Redirect(redirect), Action::Redirect(newer)) => *redirect = newer,
        (Action::FileInto { flags, .. }, Action::Keep { flags: newer, .. })
        | (Action::Keep { flags, .. }, Action::FileInto { flags: newer, .. }) => *flags = newer,
        _ => {}
    }
}
