//! From settings to script: where settings are as they were, the octets are.
//!
//! A part that has changed is written again in the form of its maker, and of it only the half that changed: its name, its conditions, or
//! its actions. Comments in a half that is written again are put above it. New parts are in our own form. `require` gains what is
//! needed now, and loses what only went with parts that are gone.

use crate::check::{Checker, Limits, Owner, Problem};
use crate::document::{Body, Kind, Recognised, Role, comments};
use crate::model::{Entry, Join, PartId, Rule, Settings};
use crate::print::{Form, Maker, Naming};
use crate::reading::{Reading, id};
use crate::require;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

/// What cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Each of them a sentence for the person who set it.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for Refused {}

impl Refused {
    fn because(at: &str, message: impl Into<String>) -> Refused {
        Refused {
            problems: vec![Problem {
                at: at.to_owned(),
                message: message.into(),
            }],
        }
    }
}

/// What becomes of an old part.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Kept,
    Changed(Rule),
    Gone,
}

/// A part of the new script.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Old(usize),
    /// An old part in a new place.
    Moved(usize),
    New(Rule),
    /// What forwarding, vacation or spam has become.
    View(Role, Rule),
}

struct Writer<'r> {
    reading: &'r Reading,
    fates: Vec<Fate>,
    items: Vec<Item>,
}

pub(crate) fn write(reading: &Reading, wanted: &Settings, owner: &Owner, limits: &Limits) -> Result<String, Refused> {
    check(reading, wanted, owner, limits)?;
    let count = reading.pieces.len();
    let mut writer = Writer {
        reading,
        fates: vec![Fate::Kept; count],
        items: (0..count).map(Item::Old).collect(),
    };
    writer.rules(wanted)?;
    writer.views(wanted);
    writer.drop_gone()?;
    let script = writer.print();
    if script == reading.source {
        // Nothing was changed, be it right or not.
        return Ok(script);
    }
    let script = writer.require(script)?;
    if script.len() > limits.script {
        return Err(Refused::because(
            "rules",
            format!(
                "the script would have {} octets, {} at most",
                script.len(),
                limits.script
            ),
        ));
    }
    writer.verify(&script)?;
    Ok(script)
}

/// Everything that is not as it was has to be right.
fn check(reading: &Reading, wanted: &Settings, owner: &Owner, limits: &Limits) -> Result<(), Refused> {
    let old = reading.settings();
    let mut checker = Checker {
        limits,
        owner,
        variables: require::declared(reading).contains("variables"),
        problems: Vec::new(),
    };
    if wanted.rules.len() > limits.parts.max(old.rules.len()) {
        checker.problem(
            "rules",
            format!("{} rules, {} at most", wanted.rules.len(), limits.parts),
        );
    }
    if let Some(forwarding) = &wanted.forwarding
        && wanted.forwarding != old.forwarding
    {
        checker.forwarding(forwarding);
    }
    if let Some(vacation) = &wanted.vacation
        && wanted.vacation != old.vacation
    {
        checker.vacation(vacation);
    }
    if wanted.spam != old.spam {
        checker.spam(&wanted.spam);
    }
    let known: HashMap<PartId, &Entry> = old.rules.iter().filter_map(|e| Some((e.id()?, e))).collect();
    let mut seen = HashSet::new();
    for (n, entry) in wanted.rules.iter().enumerate() {
        let at = format!("rules[{n}]");
        if let Some(id) = entry.id() {
            if !seen.insert(id) {
                checker.problem(&at, format!("the part {id} is there twice"));
            }
            if !known.contains_key(&id) {
                checker.problem(
                    &at,
                    format!("this script has no such part {id}: read it again, it has been changed"),
                );
            }
        }
        match (entry, entry.id().and_then(|id| known.get(&id))) {
            (Entry::Rule(rule), Some(Entry::Rule(before))) => {
                if rule.otherwise != before.otherwise {
                    checker.problem(
                        &at,
                        "whether a rule is tried only after another (`otherwise`) stays as it is",
                    );
                }
                if !rule.same(before) {
                    checker.rule(&at, rule);
                }
            }
            (Entry::Rule(rule), None) => {
                if rule.otherwise {
                    checker.problem(&at, "a new rule stands by itself: leave out `otherwise`");
                }
                checker.rule(&at, rule);
            }
            (Entry::Rule(_), Some(Entry::Foreign(_))) => {
                checker.problem(&at, "this part was written by hand: change it in the script itself");
            }
            (Entry::Foreign(_), Some(Entry::Rule(_))) => {
                checker.problem(&at, "this part is a rule, not one that is only shown");
            }
            (Entry::Foreign(_), _) => {}
        }
    }
    match checker.problems {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Refused { problems }),
    }
}

impl Writer<'_> {
    /// What is wanted of the list of rules: changes, what is gone, what is new, and the order.
    fn rules(&mut self, wanted: &Settings) -> Result<(), Refused> {
        let old = &self.reading.settings().rules;
        let place: HashMap<PartId, usize> = old.iter().enumerate().filter_map(|(n, e)| Some((e.id()?, n))).collect();
        let kept: Vec<usize> = wanted
            .rules
            .iter()
            .filter_map(|e| place.get(&e.id()?).copied())
            .collect();
        let staying: HashSet<usize> = longest_rising(&kept).into_iter().collect();
        let listed: HashSet<usize> = kept.iter().copied().collect();

        for (n, entry) in old.iter().enumerate() {
            // What is only shown and is left out of the list stays where it is.
            if let (Entry::Rule(rule), Some(at)) = (entry, entry.id().map(index))
                && !listed.contains(&n)
            {
                debug_assert_eq!(rule.id, entry.id());
                self.fates[at] = Fate::Gone;
            }
        }
        let mut last: Option<Item> = None;
        for (position, entry) in wanted.rules.iter().enumerate() {
            let at = format!("rules[{position}]");
            let old_place = entry.id().and_then(|id| place.get(&id).copied());
            let item = match (entry, old_place) {
                (Entry::Rule(rule), Some(n)) => {
                    let piece = index(entry.id().unwrap_or(PartId(1)));
                    if let Some(Entry::Rule(before)) = old.get(n)
                        && !rule.same(before)
                    {
                        self.fates[piece] = Fate::Changed(plain(rule));
                    }
                    (piece, staying.contains(&n))
                }
                (Entry::Foreign(foreign), Some(n)) => (index(foreign.id), staying.contains(&n)),
                (Entry::Rule(rule), None) => {
                    let item = Item::New(plain(rule));
                    self.insert(item.clone(), last.as_ref(), &at)?;
                    last = Some(item);
                    continue;
                }
                (Entry::Foreign(_), None) => continue,
            };
            match item {
                (piece, true) => last = Some(Item::Old(piece)),
                (piece, false) => {
                    if self.reading.pieces[piece].in_chain() {
                        return Err(Refused::because(
                            &at,
                            "this rule is part of an if/elsif chain: its order can only be changed in the script itself",
                        ));
                    }
                    self.items.retain(|item| *item != Item::Old(piece));
                    let item = Item::Moved(piece);
                    self.insert(item.clone(), last.as_ref(), &at)?;
                    last = Some(item);
                }
            }
        }
        Ok(())
    }

    /// Puts a part behind `last`; where there is none, before the first of the list; where that is empty, at the end.
    fn insert(&mut self, item: Item, last: Option<&Item>, at: &str) -> Result<(), Refused> {
        let listed = |item: &Item| match item {
            Item::Old(n) => matches!(self.reading.roles[*n], Role::Rule | Role::Foreign),
            Item::Moved(_) | Item::New(_) => true,
            Item::View(..) => false,
        };
        let position = match last {
            // The same new rule may be there twice: behind the last of them.
            Some(last) => self
                .items
                .iter()
                .rposition(|i| i == last)
                .map_or(self.items.len(), |p| p + 1),
            None => self.items.iter().position(listed).unwrap_or(self.items.len()),
        };
        if let Some(Item::Old(next)) = self.items.get(position)
            && self.reading.pieces[*next].chained
        {
            return Err(Refused::because(
                at,
                "here the rules above and below belong together as if/elsif: put it before or behind both",
            ));
        }
        self.items.insert(position, item);
        Ok(())
    }

    /// Forwarding, vacation and spam.
    fn views(&mut self, wanted: &Settings) {
        let old = self.reading.settings();
        let mut new = Vec::new();
        if wanted.spam != old.spam {
            let roles = [Role::SpamAllow, Role::SpamBlock, Role::SpamThreshold];
            for (role, rule) in roles.into_iter().zip(wanted.spam.to_rules()) {
                new.extend(self.view(role, rule));
            }
        }
        if wanted.forwarding != old.forwarding {
            let name = self.name_of(Role::Forwarding);
            let rule = wanted.forwarding.as_ref().map(|f| f.to_rule(name.as_deref()));
            new.extend(self.view(Role::Forwarding, rule));
            // A copy that stays is said in the rule itself from now on.
            for n in self.reading.of_role(Role::ForwardingKeep) {
                self.fates[n] = Fate::Gone;
            }
        }
        if wanted.vacation != old.vacation {
            let names = (self.name_of(Role::Vacation), self.name_of(Role::VacationColleagues));
            let (first, second) = match &wanted.vacation {
                None => (None, None),
                Some(vacation) => {
                    let (first, second) = vacation.to_rules(names.0.as_deref(), names.1.as_deref());
                    (Some(first), second)
                }
            };
            new.extend(self.view(Role::Vacation, first));
            new.extend(self.view(Role::VacationColleagues, second));
        }
        // At the top: a rule that stops must not hide them, and spam is not answered.
        for (role, rule) in new {
            let beside = self.items.iter().position(|item| {
                role == Role::VacationColleagues
                    && matches!(item, Item::Old(n) if self.reading.roles[*n] == Role::Vacation)
            });
            let above = self
                .items
                .iter()
                .take_while(|item| self.rank_of(item) <= rank(role))
                .count();
            self.items
                .insert(beside.map_or(above, |at| at + 1), Item::View(role, rule));
        }
    }

    fn rank_of(&self, item: &Item) -> u8 {
        match item {
            Item::Old(n) => rank(self.reading.roles[*n]),
            Item::View(role, _) => rank(*role),
            Item::Moved(_) | Item::New(_) => rank(Role::Rule),
        }
    }

    /// Changes, drops, or gives back for insertion the rule of a role.
    fn view(&mut self, role: Role, rule: Option<Rule>) -> Option<(Role, Rule)> {
        let pieces = self.reading.of_role(role);
        let Some((first, rest)) = pieces.split_first() else {
            return rule.map(|rule| (role, rule));
        };
        for n in rest {
            self.fates[*n] = Fate::Gone;
        }
        self.fates[*first] = match rule {
            None => Fate::Gone,
            Some(mut rule) => {
                rule.name = self.reading.pieces[*first].name.clone();
                let same = rest.is_empty() && self.reading.pieces[*first].rule().is_some_and(|old| old.same(&rule));
                if same { Fate::Kept } else { Fate::Changed(rule) }
            }
        };
        None
    }

    fn name_of(&self, role: Role) -> Option<String> {
        let first = *self.reading.of_role(role).first()?;
        self.reading.pieces[first].name.clone()
    }

    /// A chain keeps its head: what stood behind one that is gone begins with `if` now.
    fn drop_gone(&mut self) -> Result<(), Refused> {
        let pieces = &self.reading.pieces;
        for n in 0..pieces.len() {
            if self.fates[n] != Fate::Gone || pieces[n].chained || !pieces[n].continued {
                continue;
            }
            let heir = (n + 1..pieces.len())
                .take_while(|m| pieces[*m].chained)
                .find(|m| self.fates[*m] != Fate::Gone);
            let Some(heir) = heir else { continue };
            let rule = match (&self.fates[heir], pieces[heir].rule()) {
                (Fate::Changed(rule), _) => Some(rule.clone()),
                (Fate::Kept, Some(rule)) => Some(rule.clone()),
                _ => None,
            };
            let Some(mut rule) = rule else {
                return Err(Refused::because(
                    "rules",
                    format!(
                        "the rule {} cannot be removed: the part {} was written by hand and goes on from it with elsif",
                        id(n),
                        id(heir)
                    ),
                ));
            };
            rule.otherwise = false;
            self.fates[heir] = Fate::Changed(rule);
        }
        Ok(())
    }

    fn print(&self) -> String {
        let reading = self.reading;
        let mut out = String::with_capacity(reading.source.len() + 512);
        // Octets and pieces of the old script that are dealt with.
        let (mut end, mut done) = (0, 0);
        for item in &self.items {
            match item {
                Item::Old(n) => {
                    // What lies before it, and between those that moved away from before it.
                    self.between(&mut out, end, done..*n);
                    end = reading.pieces[*n].range.end;
                    done = n + 1;
                    if self.fates[*n] != Fate::Gone {
                        out.push_str(&self.part(*n));
                    }
                }
                Item::Moved(n) => {
                    end = self.header(&mut out, end);
                    self.on_its_own_line(&mut out, &self.part(*n));
                }
                Item::New(rule) | Item::View(_, rule) => {
                    end = self.header(&mut out, end);
                    let form = Form::of(Maker::Rohrpost, reading.newline);
                    self.on_its_own_line(&mut out, &form.rule(rule));
                }
            }
        }
        self.between(&mut out, end, done..reading.pieces.len());
        out
    }

    /// What belongs to no part, from `start` to the piece behind `moved`: those have another place now.
    fn between(&self, out: &mut String, start: usize, moved: std::ops::Range<usize>) {
        let (pieces, source) = (&self.reading.pieces, &self.reading.source);
        let mut at = start;
        for piece in &pieces[moved.clone()] {
            out.push_str(&source[at..piece.range.start.max(at)]);
            at = piece.range.end;
        }
        let next = pieces.get(moved.end).map_or(source.len(), |p| p.range.start);
        out.push_str(&source[at..next.max(at)]);
    }

    /// Comments that speak of the whole script stay above what is put first.
    fn header(&self, out: &mut String, end: usize) -> usize {
        if end > 0 {
            return end;
        }
        let source = &self.reading.source;
        let first = self.reading.pieces.first().map_or(source.len(), |p| p.range.start);
        let at = require::header_end(source, first);
        out.push_str(&source[..at]);
        at
    }

    fn on_its_own_line(&self, out: &mut String, text: &str) {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(self.reading.newline);
        }
        out.push_str(text);
        if !out.ends_with('\n') {
            out.push_str(self.reading.newline);
        }
    }

    /// An old part as it is, or as it is now.
    fn part(&self, n: usize) -> String {
        let piece = &self.reading.pieces[n];
        let (Fate::Changed(rule), Kind::Rule(old)) = (&self.fates[n], &piece.kind) else {
            return self.reading.text(&piece.range).to_owned();
        };
        self.rewritten(n, old, rule)
    }

    fn rewritten(&self, n: usize, old: &Recognised, rule: &Rule) -> String {
        let reading = self.reading;
        let piece = &reading.pieces[n];
        let mut form = Form::of(piece.maker, reading.newline);
        form.naming = match piece.naming {
            // Who has no name for it may have none from now on either; a new name stands in our manner.
            Naming::None => Naming::Rule,
            naming => naming,
        };
        let name = if rule.name == piece.name {
            reading.text(&(piece.range.start..piece.command.start)).to_owned()
        } else {
            let behind = piece.name_line.as_ref().map_or(piece.command.start, |line| line.end);
            form.name_line(rule.name.as_deref()) + reading.text(&(behind..piece.command.start))
        };
        let after = reading.text(&(piece.command.end..piece.range.end));
        let Body::If { head, test, block } = &old.body else {
            let mut out = name;
            self.hoist(&mut out, reading.text(&piece.command));
            if rule.enabled && rule.is_unconditional() {
                let text = form.bare(rule);
                out.push_str(text.trim_end());
            } else {
                let mut unnamed = rule.clone();
                unnamed.name = None;
                out.push_str(form.rule(&unnamed).trim_end());
            }
            return out + after;
        };
        let mut out = name;
        let (joined, before) = (rule.clone().normal(), old.rule.clone().normal());
        let same_test =
            joined.conditions == before.conditions && (joined.conditions.len() < 2 || joined.join == before.join);
        let same_head = same_test && rule.enabled == old.rule.enabled;
        let same_block = rule.actions == old.rule.actions;
        let reused = same_test && test.is_some();
        if !(same_head || reused) {
            let head = if old.rule.enabled { reading.text(head) } else { "" };
            self.hoist(&mut out, head);
        }
        if !same_block {
            self.hoist(&mut out, reading.text(block));
        }
        if rule.otherwise == old.rule.otherwise {
            out.push_str(reading.text(&(piece.command.start..head.start)));
        } else {
            out.push_str("if ");
        }
        let was_else = old.rule.otherwise && test.is_none() && before.is_unconditional();
        if same_head && (rule.otherwise || !was_else) {
            out.push_str(reading.text(head));
        } else {
            if was_else && rule.otherwise {
                // `else` has no test to change.
                let word = out.trim_end().len() - "else".len();
                out.truncate(word);
                out.push_str("elsif ");
            }
            let conditions = match test {
                Some(test) if same_test => reading.text(test).to_owned(),
                _ => form.conditions(rule),
            };
            out.push_str(&form.head_of(rule.enabled, &conditions));
        }
        out.push('{');
        if same_block {
            out.push_str(reading.text(block));
        } else {
            out.push_str(&form.block(rule));
        }
        out.push('}');
        out + after
    }

    /// Saves the comments of what is written again.
    fn hoist(&self, out: &mut String, text: &str) {
        for comment in comments(text) {
            out.push_str(comment);
            out.push_str(self.reading.newline);
        }
    }

    fn require(&self, script: String) -> Result<String, Refused> {
        let mut needed = BTreeSet::new();
        let (mut no_longer, mut used) = (BTreeSet::new(), BTreeSet::new());
        for (n, fate) in self.fates.iter().enumerate() {
            let old = self.reading.pieces[n].rule();
            if *fate != Fate::Kept {
                no_longer.extend(old.map(require::needs).unwrap_or_default());
            }
            match (fate, old) {
                (Fate::Changed(rule), _) => needed.extend(require::needs(rule)),
                (Fate::Kept, Some(rule)) => used.extend(require::needs(rule)),
                (Fate::Kept | Fate::Gone, _) => {}
            }
        }
        for item in &self.items {
            if let Item::New(rule) | Item::View(_, rule) = item {
                needed.extend(require::needs(rule));
            }
        }
        no_longer.retain(|name| !used.contains(name));
        require::amend(script, self.reading.newline, &needed, &no_longer)
            .map_err(|message| Refused::because("script", message))
    }

    /// What was written has to read as what was wanted, rule by rule: settings that are shown are settings that act.
    fn verify(&self, script: &str) -> Result<(), Refused> {
        let wrong = |message: String| Refused::because("script", message);
        let again =
            Reading::of(script).map_err(|e| wrong(format!("the script that would come of it is wrong: {e}")))?;
        let wanted = self.items.iter().filter_map(|item| match item {
            Item::Old(n) | Item::Moved(n) => match (&self.fates[*n], &self.reading.pieces[*n].kind) {
                (Fate::Gone, _) | (_, Kind::Require(_)) => None,
                (Fate::Changed(rule), _) => Some(Some(rule)),
                (Fate::Kept, Kind::Rule(old)) => Some(Some(&old.rule)),
                (Fate::Kept, Kind::Foreign(_)) => Some(None),
            },
            Item::New(rule) | Item::View(_, rule) => Some(Some(rule)),
        });
        let found = again.pieces.iter().filter_map(|piece| match &piece.kind {
            Kind::Require(_) => None,
            Kind::Rule(recognised) => Some(Some(&recognised.rule)),
            Kind::Foreign(_) => Some(None),
        });
        let (wanted, found) = (merged(wanted), merged(found));
        let first = wanted.iter().zip(&found).position(|(w, f)| w != f);
        match first {
            None if wanted.len() == found.len() => Ok(()),
            _ => Err(wrong(
                "this cannot be written so that it reads the same; say it in other words".into(),
            )),
        }
    }
}

/// What the rules do, one after the other: commands that stand by themselves are one rule or several, as one likes.
fn merged<'a>(rules: impl Iterator<Item = Option<&'a Rule>>) -> Vec<Option<Rule>> {
    let mut all: Vec<Option<Rule>> = Vec::new();
    for rule in rules {
        let rule = rule.map(|rule| {
            let mut rule = plain(rule).normal();
            rule.name = None;
            rule
        });
        let unconditional = |rule: &Rule| rule.enabled && !rule.otherwise && rule.is_unconditional();
        if let (Some(Some(last)), Some(rule)) = (all.last_mut(), &rule)
            && unconditional(last)
            && unconditional(rule)
        {
            last.actions.extend(rule.actions.iter().cloned());
            continue;
        }
        all.push(rule);
    }
    all
}

/// The order of those at the top.
fn rank(role: Role) -> u8 {
    match role {
        Role::Require => 0,
        Role::SpamAllow => 1,
        Role::SpamBlock => 2,
        Role::SpamThreshold => 3,
        Role::Forwarding => 4,
        Role::Vacation => 5,
        Role::VacationColleagues => 6,
        Role::ForwardingKeep | Role::Rule | Role::Foreign => 7,
    }
}

fn index(id: PartId) -> usize {
    id.0.saturating_sub(1) as usize
}

/// A rule without its number, as it is printed.
fn plain(rule: &Rule) -> Rule {
    let mut rule = rule.clone();
    rule.id = None;
    if rule.conditions.len() < 2 && rule.join == Join::Any {
        rule.join = Join::All;
    }
    rule
}

/// The longest rising row within `numbers`: what can stay where it is when the rest moves.
fn longest_rising(numbers: &[usize]) -> Vec<usize> {
    // tails[k]: index of the smallest end of a row of length k + 1.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; numbers.len()];
    for (n, number) in numbers.iter().enumerate() {
        let length = tails.partition_point(|t| numbers[*t] < *number);
        before[n] = length.checked_sub(1).map(|l| tails[l]);
        if length == tails.len() {
            tails.push(n);
        } else {
            tails[length] = n;
        }
    }
    let mut row = Vec::new();
    let mut at = tails.last().copied();
    while let Some(n) = at {
        row.push(numbers[n]);
        at = before[n];
    }
    row.reverse();
    row
}
