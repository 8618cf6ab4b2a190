//! The commands about filters: scripts of accounts, and what a script would do with mail that has arrived.

use super::Rows;
use super::people::find;
use super::request::{Done, SieveOrder};
use crate::engine::Engine;
use crate::failure::Failure;
use filter::{Delivery, Filter, Person, Place, Placed, Verdict};
use ledger::AcceptanceId;
use serde_json::json;
use sieve::Envelope;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Account, FlagChange, MailboxId, ModSeq, Script, ScriptInfo, Uid, Unless};

pub(super) fn handle(engine: &Engine, order: SieveOrder, rows: Rows<'_>) -> Result<Done, Failure> {
    let filter = engine.filter();
    match order {
        SieveOrder::Check { script } => check(&filter, &script, rows),
        SieveOrder::List { account } => {
            for s in open(engine, &account)?.script_list().map_err(Failure::new)? {
                rows(json!({
                    "name": s.name, "active": s.active, "bytes": s.bytes, "changed": s.changed, "created": s.created,
                    "version": s.version.0, "fault": s.fault.as_ref().map(|f| f.text.clone()), "fault_at": s.fault.map(|f| f.at),
                }))?;
            }
            Ok(Done::default())
        }
        SieveOrder::Get { account, name } => {
            let stored = open(engine, &account)?;
            let script = if name.is_empty() {
                stored.script_active().map_err(Failure::new)?.map(|s| Script::clone(&s))
            } else {
                stored.script_read(&name).map_err(Failure::new)?
            };
            let script = script.ok_or_else(|| missing(&account))?;
            rows(
                json!({ "name": script.info.name, "active": script.info.active, "version": script.info.version.0, "script": script.text }),
            )?;
            Ok(Done::default())
        }
        SieveOrder::Put {
            account,
            name,
            script,
            activate,
        } => {
            let stored = open(engine, &account)?;
            refuse_faults(&filter, &script, "the script")?;
            let limits = filter.options().scripts;
            stored
                .script_put(&name, &script, Unless::Never, &limits)
                .map_err(Failure::new)?;
            if activate {
                stored.script_activate(Some(&name)).map_err(Failure::new)?;
            }
            let active = if activate {
                ", and filters its mail from now on"
            } else {
                ""
            };
            Ok(Done::say(format!("{name} is in {account}{active}")))
        }
        SieveOrder::Activate { account, name } => {
            let stored = open(engine, &account)?;
            if let Some(name) = &name {
                let script = stored
                    .script_read(name)
                    .map_err(Failure::new)?
                    .ok_or_else(|| missing(&account))?;
                refuse_faults(&filter, &script.text, "the script")?;
            }
            stored.script_activate(name.as_deref()).map_err(Failure::new)?;
            Ok(Done::say(match name {
                Some(name) => format!("{name} filters the mail of {account} from now on"),
                None => format!("no script filters the mail of {account}"),
            }))
        }
        SieveOrder::Delete { account, name } => {
            open(engine, &account)?.script_delete(&name).map_err(|e| match e {
                store::Error::NoScript => missing(&account),
                e => Failure::new(e),
            })?;
            Ok(Done::say(format!("deleted {name}")))
        }
        SieveOrder::Log { account, last } => {
            for decision in open(engine, &account)?.decision_list(last).map_err(Failure::new)? {
                let plan = filter::Plan::decode(&decision.plan).unwrap_or_default();
                rows(json!({
                    "id": AcceptanceId(decision.acceptance).to_string(), "recipient": decision.recipient, "at": decision.at,
                    "detail": plan.detail, "why": plan.explain(),
                }))?;
            }
            Ok(Done::default())
        }
        SieveOrder::Run {
            account,
            script,
            old,
            mailbox,
            last,
            message,
            apply,
        } => {
            refuse_faults(&filter, &script, "the script")?;
            if let Some(old) = &old {
                refuse_faults(&filter, old, "the other script, of --diff,")?;
            }
            let trial = Trial {
                filter: &filter,
                account: open(engine, &account)?,
                person: person(engine, &account)?,
                rules: settings::Reading::of(&script).ok(),
                script: trial_script("script", 1, script),
                old: old.map(|old| trial_script("old", 2, old)),
                apply,
            };
            match message {
                Some(message) => trial.one(&message, rows),
                None => trial.mailbox(&mailbox, last, rows),
            }
        }
    }
}

fn open(engine: &Engine, address: &str) -> Result<Arc<Account>, Failure> {
    let account = find(engine, address)?;
    engine.store.account(account.id).map_err(Failure::new)
}

fn person(engine: &Engine, address: &str) -> Result<Person, Failure> {
    let account = find(engine, address)?;
    Ok(Person {
        address: account.address().to_owned(),
        addresses: account.addresses.clone(),
        name: account.name.clone(),
    })
}

fn missing(account: &str) -> Failure {
    Failure::new("there is no such script")
        .advise(format!("`rohrpost sieve list --account {account}` shows all of them"))
}

/// What is wrong with a script, a row for each.
pub fn check(filter: &Filter, script: &str, rows: Rows<'_>) -> Result<Done, Failure> {
    let row = |error: &sieve::Error, kind: &str| {
        json!({
            "line": error.position.line, "column": error.position.column, "kind": kind, "message": error.message, "hint": error.hint,
        })
    };
    match filter.check(script.as_bytes()) {
        Ok(compiled) => {
            for warning in compiled.warnings() {
                rows(row(warning, "warning"))?;
            }
            Ok(Done::say("the script is in order"))
        }
        Err(errors) => {
            for error in &errors {
                rows(row(error, "error"))?;
            }
            Ok(Done {
                message: String::new(),
                faults: true,
            })
        }
    }
}

fn refuse_faults(filter: &Filter, script: &str, which: &str) -> Result<(), Failure> {
    match filter.check(script.as_bytes()) {
        Ok(_) => Ok(()),
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(Failure::new(format!("{which} is not in order:\n{}", lines.join("\n")))
                .advise("`rohrpost sieve check FILE` shows this too"))
        }
    }
}

/// A script that is in no account.
fn trial_script(name: &str, number: u64, text: String) -> Arc<Script> {
    // Its version is its text's: the filter keeps compiled ones by it.
    let hash = blobs::BlobId::of(text.as_bytes());
    let start = hash.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    Arc::new(Script {
        info: ScriptInfo {
            name: format!("{name} on trial"),
            bytes: text.len() as u64,
            active: true,
            created: 0,
            changed: 0,
            version: ModSeq(u64::from_le_bytes(start) ^ number),
            fault: None,
        },
        text,
    })
}

/// A script tried on mail.
struct Trial<'t> {
    filter: &'t Filter,
    account: Arc<Account>,
    person: Person,
    /// The script as rules with names.
    rules: Option<settings::Reading>,
    script: Arc<Script>,
    old: Option<Arc<Script>>,
    apply: bool,
}

impl Trial<'_> {
    fn one(&self, message: &str, rows: Rows<'_>) -> Result<Done, Failure> {
        let message = message.as_bytes();
        self.try_on(message, self.envelope(&[], message), Vec::new(), None, rows)?;
        Ok(Done::default())
    }

    fn mailbox(&self, name: &str, last: u32, rows: Rows<'_>) -> Result<Done, Failure> {
        let mailbox = self.account.mailbox_find(name).ok_or_else(|| {
            Failure::new(format!("there is no mailbox {name:?}")).advise("names are as IMAP shows them, levels with /")
        })?;
        let open = self.account.mailbox_open(mailbox.id, false).map_err(Failure::new)?;
        let snapshot = open.snapshot();
        let keywords = self.account.keywords();
        let messages: Vec<store::Message> = snapshot.iter().copied().collect();
        let from = messages.len().saturating_sub(last as usize);
        let (mut looked, mut moved) = (0u64, 0u64);
        for m in messages.get(from..).unwrap_or_default() {
            let content = self.account.content(m.content).map_err(Failure::new)?;
            let limit = self.filter.options().message_bytes;
            let whole = self
                .account
                .content_range(&content, 0..content.len().min(limit))
                .map_err(Failure::new)?;
            let (prefix, message) = whole.split_at(content.prefix.len().min(whole.len()));
            let flags = names(m.flags, &keywords);
            let place = Some((mailbox.id, mailbox.name.as_str(), m.uid));
            looked += 1;
            moved += u64::from(self.try_on(message, self.envelope(prefix, message), flags, place, rows)?);
        }
        Ok(Done::say(if self.apply {
            format!("{moved} of {looked} messages filed or flagged")
        } else {
            format!("{looked} messages looked at, nothing changed")
        }))
    }

    /// The envelope, from the lines that delivery put before the message; else from its header.
    fn envelope(&self, prefix: &[u8], message: &[u8]) -> Envelope {
        let field = |header: &[u8], name: &str| {
            mime::header_field(header, name)
                .map(|v| String::from_utf8_lossy(&v).trim().trim_matches(['<', '>']).to_owned())
        };
        let header = message.get(..mime::header_end(message)).unwrap_or_default();
        Envelope {
            from: field(prefix, "Return-Path").or_else(|| field(header, "Return-Path")),
            to: field(prefix, "Delivered-To").or_else(|| Some(self.person.address.clone())),
            ..Envelope::default()
        }
    }

    /// Whether something was changed.
    fn try_on(
        &self,
        message: &[u8],
        envelope: Envelope,
        flags: Vec<String>,
        place: Option<(MailboxId, &str, Uid)>,
        rows: Rows<'_>,
    ) -> Result<bool, Failure> {
        let delivery = Delivery {
            message,
            envelope,
            now: now(),
            unique: "trial".to_owned(),
            environment: Vec::new(),
            flags,
            rehearsal: true,
        };
        let verdict = self
            .filter
            .decide_by(Arc::clone(&self.script), &self.account, &self.person, &delivery);
        let would = self.would(&verdict);
        let before = self.old.as_ref().map(|old| {
            let verdict = self
                .filter
                .decide_by(Arc::clone(old), &self.account, &self.person, &delivery);
            self.would(&verdict)
        });
        if before.as_ref() == Some(&would) {
            return Ok(false);
        }
        let done = match place {
            Some((mailbox, _, uid)) if self.apply => self.file(&verdict, mailbox, uid)?,
            _ => false,
        };
        let header = message.get(..mime::header_end(message)).unwrap_or_default();
        let shown = |name| mime::header_field(header, name).map(|v| mime::decode_header(&v));
        let plan = filter::Plan {
            reasons: verdict.why,
            ..filter::Plan::default()
        };
        rows(json!({
            "mailbox": place.map(|p| p.1), "uid": place.map(|p| p.2.0), "from": shown("From"), "subject": shown("Subject"),
            "would": would, "before": before, "rules": self.rules_of(&plan), "why": plan.explain(), "done": done,
        }))?;
        Ok(done)
    }

    /// The names of the rules that did something, in their order.
    fn rules_of(&self, plan: &filter::Plan) -> Vec<String> {
        let mut names = Vec::new();
        let Some(rules) = &self.rules else { return names };
        let own = plan.reasons.iter().filter(|r| r.script == self.script.info.name);
        for decision in own
            .flat_map(|r| &r.decisions)
            .filter(|d| d.passed.is_none() && d.script.is_none())
        {
            let name = rules.part_at(decision.line).and_then(|part| part.name);
            names.extend(name.filter(|name| !names.contains(name)));
        }
        names
    }

    /// What would happen, one line each.
    fn would(&self, verdict: &Verdict) -> Vec<String> {
        let mut would = Vec::new();
        for filed in &verdict.filed {
            let flags = if filed.flags.is_empty() {
                String::new()
            } else {
                format!(" with {}", filed.flags.join(" "))
            };
            let changed = if filed.message > 0 { ", changed" } else { "" };
            would.push(match &filed.place {
                Place::Kept => format!("keep{flags}{changed}"),
                Place::Mailbox(target) => match filter::place(&self.account, target, self.filter.options()) {
                    Placed::In(_, name) => format!("into {name}{flags}{changed}"),
                    Placed::New(name, _) => format!("into {name}, which is made{flags}{changed}"),
                    Placed::Nowhere(why) => format!("keep{flags}{changed}: {why}"),
                },
            });
        }
        for sending in &verdict.sending {
            would.push(format!("{} to {}", sending.kind, sending.recipients.join(", ")));
        }
        for program in &verdict.piped {
            would.push(format!("to the program {program}"));
        }
        if let Some(refusal) = &verdict.refusal {
            would.push(format!("refuse: {}", refusal.reason.lines().next().unwrap_or_default()));
        }
        if would.is_empty() {
            would.push("throw away".to_owned());
        }
        would
    }

    /// Files a message that is there: into the first mailbox by moving, into others by copying. Whether something was changed.
    fn file(&self, verdict: &Verdict, mailbox: MailboxId, uid: Uid) -> Result<bool, Failure> {
        let mut targets = Vec::new();
        let mut stays = verdict.filed.is_empty();
        for filed in &verdict.filed {
            let flags = self
                .account
                .flags_resolve(filed.flags.iter().map(String::as_str), true)
                .map_err(Failure::new)?;
            let to = match &filed.place {
                Place::Kept => mailbox,
                Place::Mailbox(target) => {
                    match filter::place_made(&self.account, target, self.filter.options()).map_err(Failure::new)? {
                        Placed::In(id, _) => id,
                        _ => mailbox,
                    }
                }
            };
            stays |= to == mailbox;
            targets.push((to, flags));
        }
        let mut done = false;
        for (to, flags) in &targets {
            if *flags != store::Flags::NONE {
                let flagged = self
                    .account
                    .message_flag(mailbox, &[uid], FlagChange::Add(*flags), None)
                    .map_err(Failure::new)?;
                done |= !flagged.changed.is_empty();
            }
            if *to != mailbox && targets.first().map(|t| t.0) != Some(*to) {
                self.account
                    .message_copy(mailbox, &[uid], *to, store::Quota::NONE)
                    .map_err(Failure::new)?;
                done = true;
            }
        }
        if let Some((to, _)) = targets.first()
            && *to != mailbox
        {
            if stays {
                self.account
                    .message_copy(mailbox, &[uid], *to, store::Quota::NONE)
                    .map_err(Failure::new)?;
            } else {
                self.account
                    .message_move(mailbox, &[uid], *to)
                    .1
                    .map_err(Failure::new)?;
            }
            done = true;
        }
        Ok(done)
    }
}

fn names(flags: store::Flags, keywords: &store::Keywords) -> Vec<String> {
    let system = store::Flags::SYSTEM
        .iter()
        .filter(|(f, _)| flags.contains(*f))
        .map(|(_, name)| *name);
    system.chain(flags.keywords(keywords)).map(str::to_owned).collect()
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
