//! From script to settings.

use crate::document::{self, Kind, Part, Piece, Role};
use crate::model::{Entry, Foreign, Forwarding, PartId, Settings};
use crate::print::Maker;
use crate::spam;
use crate::vacation::{Colleagues, Vacation};
use crate::write::{Refused, write};
use crate::{Limits, Owner};
use sieve::tree::Script;
use std::ops::Range;

/// A script that has been read: its settings, and its parts.
#[derive(Clone, Debug)]
pub struct Reading {
    pub(crate) source: String,
    pub(crate) newline: &'static str,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) roles: Vec<Role>,
    pub(crate) notes: Vec<Vec<String>>,
    settings: Settings,
}

impl Reading {
    /// Reads a script of UTF-8. An empty one has no settings.
    ///
    /// # Errors
    /// The script cannot be understood as Sieve: the place, and what was expected there.
    pub fn of(source: &str) -> Result<Reading, sieve::Error> {
        let script = Script::parse(source.as_bytes(), &sieve::Limits::default())?;
        let newline = if source.is_empty() || source.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        let pieces = document::pieces(source, &script, newline);
        let mut reading = Reading {
            source: source.to_owned(),
            newline,
            roles: pieces.iter().map(role_by_itself).collect(),
            notes: vec![Vec::new(); pieces.len()],
            settings: Settings::default(),
            pieces,
        };
        reading.find_spam();
        reading.find_forwarding();
        reading.find_vacation();
        reading.list_rules();
        Ok(reading)
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The script.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The parts of the script in their order.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::with_capacity(self.pieces.len());
        let (mut line, mut counted) = (1, 0);
        let mut line_of = |at: usize| {
            line += self.source[counted..at].matches('\n').count();
            counted = at;
            u32::try_from(line).unwrap_or(u32::MAX)
        };
        for (n, piece) in self.pieces.iter().enumerate() {
            parts.push(Part {
                id: id(n),
                role: self.roles[n],
                name: piece.name.clone(),
                maker: piece.maker,
                first_line: line_of(piece.range.start),
                last_line: line_of(piece.command.end.max(piece.range.start)),
                range: piece.range.clone(),
                notes: self.notes[n].clone(),
            });
        }
        parts
    }

    /// The part that a line of the script belongs to: whose rule an explanation speaks of.
    pub fn part_at(&self, line: u32) -> Option<Part> {
        self.parts()
            .into_iter()
            .find(|part| (part.first_line..=part.last_line).contains(&line))
    }

    /// The script with these settings: it differs from the old one only where they do.
    ///
    /// # Errors
    /// What cannot be set, with a sentence for the person who set it.
    pub fn write(&self, settings: &Settings, owner: &Owner, limits: &Limits) -> Result<String, Refused> {
        write(self, settings, owner, limits)
    }

    pub(crate) fn text(&self, range: &Range<usize>) -> &str {
        &self.source[range.clone()]
    }

    /// The pieces that have this role.
    pub(crate) fn of_role(&self, role: Role) -> Vec<usize> {
        (0..self.pieces.len()).filter(|n| self.roles[*n] == role).collect()
    }

    fn candidates(&self) -> Vec<usize> {
        (0..self.pieces.len())
            .filter(|n| self.roles[*n] == Role::Rule && !self.pieces[*n].in_chain())
            .collect()
    }

    fn find_spam(&mut self) {
        for n in self.candidates() {
            let Some(piece) = self.pieces[n].rule().and_then(spam::Piece::of_rule) else {
                continue;
            };
            let spam = &mut self.settings.spam;
            let exceptions = piece.exceptions().map(<[String]>::to_vec);
            match piece {
                spam::Piece::Allow(senders) if spam.allow.is_empty() => {
                    spam.allow = senders;
                    self.roles[n] = Role::SpamAllow;
                }
                spam::Piece::Block(senders, then, _) => match &mut spam.block {
                    None => {
                        spam.block = Some(spam::Block { senders, then });
                        self.roles[n] = Role::SpamBlock;
                    }
                    // Ingo writes a rule for every five.
                    Some(block) if block.then == then && self.roles[n - 1] == Role::SpamBlock => {
                        block.senders.extend(senders);
                        self.roles[n] = Role::SpamBlock;
                    }
                    Some(_) => continue,
                },
                spam::Piece::Score(score, then, _) if spam.threshold.is_none() => {
                    spam.threshold = Some(spam::Threshold { score, then });
                    self.roles[n] = Role::SpamThreshold;
                }
                spam::Piece::Allow(_) | spam::Piece::Score(..) => continue,
            }
            if let Some(exceptions) = exceptions
                && self.settings.spam.allow != exceptions
            {
                self.notes[n].push(
                    "it makes other exceptions than the list of senders who are let through says; saving the list brings them in line".into(),
                );
            }
        }
    }

    fn find_forwarding(&mut self) {
        let found = self
            .candidates()
            .into_iter()
            .find_map(|n| Some((n, Forwarding::of_rule(self.pieces[n].rule()?)?)));
        let Some((n, mut forwarding)) = found else { return };
        self.roles[n] = Role::Forwarding;
        // Ingo says so at the end of the script.
        if self.pieces[n].maker == Maker::Ingo && !forwarding.keep && !forwarding.stop {
            let keep = self
                .candidates()
                .into_iter()
                .find(|m| *m > n && self.pieces[*m].rule().is_some_and(Forwarding::is_keep_for_all));
            if let Some(keep) = keep {
                self.roles[keep] = Role::ForwardingKeep;
                forwarding.keep = true;
            }
        }
        self.settings.forwarding = Some(forwarding);
    }

    fn find_vacation(&mut self) {
        let found = self
            .candidates()
            .into_iter()
            .find_map(|n| Some((n, Vacation::of_rule(self.pieces[n].rule()?)?)));
        let Some((n, (mut vacation, others))) = found else {
            return;
        };
        self.roles[n] = Role::Vacation;
        let Some(domains) = others else {
            self.settings.vacation = Some(vacation);
            return;
        };
        let second = self.candidates().into_iter().find_map(|m| {
            let rule = self.pieces[m].rule()?;
            let (answer, start, end) = Vacation::colleagues_of_rule(rule, &domains)?;
            Some((m, answer, (start, end, rule.enabled)))
        });
        match second {
            Some((m, answer, period)) => {
                self.roles[m] = Role::VacationColleagues;
                if period != (vacation.start, vacation.end, vacation.enabled) {
                    self.notes[m].push(
                        "it is on at another time than the vacation itself; saving the vacation brings them in line"
                            .into(),
                    );
                }
                vacation.colleagues = Some(Colleagues { domains, answer });
            }
            None => vacation.only_if.extend(Vacation::but_for(&domains)),
        }
        self.settings.vacation = Some(vacation);
    }

    fn list_rules(&mut self) {
        for (n, piece) in self.pieces.iter().enumerate() {
            match (&piece.kind, self.roles[n]) {
                (Kind::Rule(recognised), Role::Rule) => {
                    let mut rule = recognised.rule.clone();
                    rule.id = Some(id(n));
                    self.settings.rules.push(Entry::Rule(rule));
                }
                (Kind::Foreign(because), _) => self.settings.rules.push(Entry::Foreign(Foreign {
                    id: id(n),
                    name: piece.name.clone(),
                    because: because.clone(),
                    text: self.source[piece.range.clone()].to_owned(),
                })),
                _ => {}
            }
        }
    }
}

pub(crate) fn id(n: usize) -> PartId {
    PartId(u32::try_from(n + 1).unwrap_or(u32::MAX))
}

fn role_by_itself(piece: &Piece) -> Role {
    match piece.kind {
        Kind::Require(_) => Role::Require,
        Kind::Rule(_) => Role::Rule,
        Kind::Foreign(_) => Role::Foreign,
    }
}
