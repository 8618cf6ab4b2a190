//! From the command line to what is done: each administration command becomes a request, and its rows a table.

mod settings;
mod sieve;

use crate::admin::{
    self,
    request::{Done, Most, QueueOrder, QueueSelection, Request, Secret, Trace},
};
use crate::cli::output::{self, Align, Column, Listing};
use crate::cli::{
    AccountCommand, AclCommand, AddressCommand, AliasCommand, Command, DomainCommand, Global, GroupCommand,
    PasswordArgs, QueueCommand, QueueFilters, SearchCommand, SenderCommand, SieveCommand, TraceArgs, password,
};
use crate::config::{Config, DEFAULT_FILES, units};
use crate::failure::Failure;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

static ACCOUNTS: [Column; 6] = [
    Column::text("address", "ADDRESS"),
    Column::text("name", "NAME"),
    Column::text("state", "STATE"),
    Column::number("messages", "MESSAGES"),
    Column::size("used", "USED"),
    Column::size("quota", "QUOTA"),
];
static ACCOUNT: [Column; 12] = [
    Column::text("address", "address"),
    Column::text("name", "name"),
    Column::text("also", "also"),
    Column::text("sends_as", "sends also as"),
    Column::text("state", "state"),
    Column::time("held_since", "held since"),
    Column::text("held", "why"),
    Column::number("messages", "messages"),
    Column::size("used", "used"),
    Column::size("quota", "quota"),
    Column::number("quota_messages", "messages at most"),
    Column::text("file", "file"),
];
static DOMAINS: [Column; 2] = [Column::text("domain", "DOMAIN"), Column::text("catch_all", "CATCH-ALL")];
static ALIASES: [Column; 2] = [
    Column::text("address", "ADDRESS"),
    Column::text("targets", "STANDS FOR"),
];
static GROUPS: [Column; 4] = [
    Column::text("address", "ADDRESS"),
    Column::text("name", "NAME"),
    Column::text("members", "MEMBERS"),
    Column::size("quota", "QUOTA"),
];
static MEMBERS: [Column; 3] = [
    Column::text("address", "ADDRESS"),
    Column::text("name", "NAME"),
    Column::text("rights", "RIGHTS"),
];
static ACL: [Column; 3] = [
    Column::text("mailbox", "MAILBOX"),
    Column::text("who", "WHO"),
    Column::text("rights", "RIGHTS"),
];
static QUEUE: [Column; 9] = [
    Column::text("id", "ID"),
    Column::time("received_at", "ACCEPTED"),
    Column::size("size", "SIZE"),
    Column::text("from", "FROM"),
    Column::text("to", "TO"),
    Column::text("state", "STATE"),
    Column::number("attempts", "TRIES"),
    Column::time("due_at", "DUE"),
    Column::text("reason", "REASON"),
];
static DESTINATIONS: [Column; 6] = [
    Column::text("destination", "DESTINATION"),
    Column::number("recipients", "WAITING"),
    Column::time("oldest", "OLDEST"),
    Column::time("due_at", "DUE"),
    Column::time("unreachable_since", "UNREACHABLE SINCE"),
    Column::text("reason", "REASON"),
];
static TRIES: [Column; 7] = [
    Column::number("number", "#"),
    Column::time("at", "TRIED"),
    Column::text("host", "HOST"),
    Column::text("address", "ADDRESS"),
    Column::text("tls", "TLS"),
    Column::text("outcome", "OUTCOME"),
    Column::text("reply", "REPLY"),
];
static TRACE: [Column; 7] = [
    Column::text("id", "ID"),
    Column::time("received_at", "ACCEPTED"),
    Column::size("size", "SIZE"),
    Column::text("from", "FROM"),
    Column::text("to", "TO"),
    Column::text("state", "STATE"),
    Column::text("reason", "REASON"),
];
static MESSAGE: [Column; 21] = [
    Column::text("id", "id"),
    Column::time("received_at", "accepted"),
    Column::text("from", "from"),
    Column::size("size", "size"),
    Column::text("message_id", "message-id"),
    Column::text("protocol", "protocol"),
    Column::text("listener", "listener"),
    Column::text("client", "client"),
    Column::text("helo", "helo"),
    Column::text("tls", "tls"),
    Column::text("login", "login"),
    Column::text("session", "session"),
    Column::text("body", "body"),
    Column::text("smtputf8", "smtputf8"),
    Column::text("requiretls", "TLS required"),
    Column::text("envid", "envid"),
    Column::text("ret", "ret"),
    Column::text("notes", "notes"),
    Column::text("quarantine", "to Junk"),
    Column::text("parent", "came of"),
    Column::text("blob", "blob"),
];
static RECIPIENTS: [Column; 8] = [
    Column::number("number", "#"),
    Column::number("parent", "OF"),
    Column::text("to", "TO"),
    Column::text("state", "STATE"),
    Column::number("attempts", "TRIES"),
    Column::time("due_at", "DUE"),
    Column::time("settled_at", "SETTLED"),
    Column::text("reason", "REASON"),
];
static INDEXES: [Column; 4] = [
    Column::text("account", "ACCOUNT"),
    Column::number("messages", "MESSAGES"),
    Column::size("size", "SIZE"),
    Column::number("behind", "WAITING"),
];
static FAULTS: [Column; 2] = [
    Column {
        field: "where",
        heading: "WHERE",
        align: Align::Left,
        write: output::text,
    },
    Column::text("what", "WHAT"),
];

/// How the rows of an answer are shown.
enum Shown {
    /// A table; the sentence is for when there is nothing to list.
    List(&'static [Column], &'static str),
    /// Each row by itself.
    Record(&'static [Column]),
    /// A message with its recipients.
    Message,
    /// What a person has set; only the rules, where it says so.
    Settings(bool),
    /// Only the last sentence counts.
    Said,
}

/// The settings file: the one that was named, else the first of the usual ones.
pub fn config_file(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_path_buf());
    }
    DEFAULT_FILES
        .iter()
        .map(PathBuf::from)
        .find(|p| p.exists())
        .ok_or_else(|| {
            Failure::usage(format!(
                "there are no settings: neither {} nor {} is there",
                DEFAULT_FILES[0], DEFAULT_FILES[1]
            ))
            .advise("name them with `-c FILE`, or write them with `rohrpost init --domain YOUR.DOMAIN`")
        })
}

/// The settings.
pub fn config(global: &Global) -> Result<Config, Failure> {
    Ok(Config::load(&config_file(global.config.as_deref())?)?)
}

/// Carries an administration command out and prints what came of it.
pub fn administer(global: &Global, command: Command) -> Result<ExitCode, Failure> {
    let config = match (config(global), &command) {
        // A script can be looked at anywhere.
        (Err(_), Command::Sieve(SieveCommand::Check { file })) if global.config.is_none() => {
            return sieve::check(global, file);
        }
        (config, _) => config?,
    };
    if let Command::Sieve(command) = command {
        return sieve::administer(&config, global, command);
    }
    let mut generated = None;
    let (request, shown) = request(command, &mut generated)?;
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::new(out.lock());
    let colour = output::colour();
    let done = match shown {
        Shown::List(columns, empty) => {
            let mut listing = Listing::new(columns, global.json, &mut out, colour).below(match request {
                Request::Trace(_) => attempts,
                _ => |_| Vec::new(),
            });
            let done = admin::ask(&config, &request, &mut |row| match row.get("progress") {
                // What takes long says so at once, apart from what was asked for.
                Some(_) => progress(&row),
                None => listing.row(&row).map_err(printing),
            })?;
            listing.end(empty).map_err(printing)?;
            done
        }
        Shown::Record(columns) => admin::ask(&config, &request, &mut |mut row| {
            if let (Some(password), Value::Object(fields)) = (&generated, &mut row) {
                fields.insert("password".to_owned(), password.as_str().into());
            }
            output::record(columns, &row, global.json, &mut out, colour).map_err(printing)
        })?,
        Shown::Message => admin::ask(&config, &request, &mut |row| {
            output::record(&MESSAGE, &row, global.json, &mut out, colour).map_err(printing)?;
            if global.json {
                return Ok(());
            }
            writeln!(out).map_err(printing)?;
            let mut listing = Listing::new(&RECIPIENTS, false, &mut out, colour);
            for recipient in row.get("recipients").and_then(Value::as_array).into_iter().flatten() {
                listing.row(recipient).map_err(printing)?;
            }
            listing.end("").map_err(printing)?;
            tries(&row, &mut out, colour).map_err(printing)?;
            because(&row, &mut out).map_err(printing)
        })?,
        Shown::Settings(rules) => admin::ask(&config, &request, &mut |row| {
            settings::print(&row, rules, global.json, &mut out, colour).map_err(printing)
        })?,
        Shown::Said => {
            let mut rows = Vec::new();
            let done = admin::ask(&config, &request, &mut |row| {
                rows.push(row);
                Ok(())
            })?;
            if global.json {
                let mut object = serde_json::json!({ "done": done.message });
                if let (Some(password), Value::Object(fields)) = (&generated, &mut object) {
                    fields.insert("password".to_owned(), password.as_str().into());
                }
                writeln!(out, "{object}").map_err(printing)?;
            }
            done
        }
    };
    finish(&mut out, global.json, &done, generated.as_deref())?;
    Ok(ExitCode::from(u8::from(done.faults)))
}

fn progress(row: &Value) -> Result<(), Failure> {
    let field = |name: &str| row.get(name).map(output::text).unwrap_or_default();
    let line = format!(
        "{}: {} of {} messages",
        field("account"),
        field("messages"),
        field("of")
    );
    writeln!(std::io::stderr(), "{line}").map_err(printing)
}

/// Why a message is where it is, and what came of it.
fn because(row: &Value, out: &mut impl std::io::Write) -> std::io::Result<()> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for recipient in list(row, "recipients") {
        let why = list(&recipient, "why");
        if !why.is_empty() {
            let to = recipient.get("to").and_then(Value::as_str).unwrap_or_default();
            writeln!(out, "\nwhy, for {to}")?;
        }
        for line in why.iter().filter_map(Value::as_str) {
            writeln!(out, "  {line}")?;
        }
    }
    for child in list(row, "offspring") {
        let text = |name: &str| child.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        writeln!(out, "\ncame of it: {}, {}", text("id"), text("notes"))?;
    }
    Ok(())
}

/// The attempts to hand a recipient to other servers, a line each.
fn attempts(row: &Value) -> Vec<String> {
    let line = |attempt: &Value| {
        let field = |name: &str| attempt.get(name).map(output::text).unwrap_or_default();
        let (host, address, tls, policy) = (field("host"), field("address"), field("tls"), field("policy"));
        let place = match (host.as_str(), address.as_str()) {
            ("", _) => "no host".to_owned(),
            (host, "") => host.to_owned(),
            (host, address) => format!("{host} [{address}]"),
        };
        let secured = match (tls.as_str(), policy.as_str()) {
            ("", "") => String::new(),
            ("", policy) => format!(" in clear text ({policy})"),
            (tls, "") => format!(" by {tls}"),
            (tls, policy) => format!(" by {tls} ({policy})"),
        };
        let at = attempt.get("at").map(output::time).unwrap_or_default();
        format!("{at}  {place}{secured}: {}: {}", field("outcome"), field("reply"))
    };
    let tries = row.get("tries").and_then(Value::as_array);
    tries.into_iter().flatten().map(line).collect()
}

/// The attempts to hand the recipients of a message to other servers.
fn tries(row: &Value, out: &mut impl std::io::Write, colour: bool) -> std::io::Result<()> {
    let mut tries = Vec::new();
    for recipient in row.get("recipients").and_then(Value::as_array).into_iter().flatten() {
        let number = recipient.get("number").cloned().unwrap_or_default();
        for attempt in recipient.get("tries").and_then(Value::as_array).into_iter().flatten() {
            let mut attempt = attempt.clone();
            if let Value::Object(fields) = &mut attempt {
                fields.insert("number".to_owned(), number.clone());
            }
            tries.push(attempt);
        }
    }
    if tries.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut listing = Listing::new(&TRIES, false, out, colour);
    tries.iter().try_for_each(|attempt| listing.row(attempt))?;
    listing.end("")
}

fn finish(out: &mut impl std::io::Write, json: bool, done: &Done, generated: Option<&str>) -> Result<(), Failure> {
    if !json {
        if !done.message.is_empty() {
            writeln!(out, "{}", done.message).map_err(printing)?;
        }
        if let Some(password) = generated {
            writeln!(out, "password: {password}").map_err(printing)?;
        }
    }
    out.flush().map_err(printing)
}

/// A reader that has seen enough (`| head`) is no fault.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn printing(e: std::io::Error) -> Failure {
    match e.kind() {
        std::io::ErrorKind::BrokenPipe => Failure {
            exit: 0,
            ..Failure::new("")
        },
        _ => Failure::new(format!("cannot print: {e}")),
    }
}

fn request(command: Command, generated: &mut Option<String>) -> Result<(Request, Shown), Failure> {
    Ok(match command {
        Command::Account(command) => account(command, generated)?,
        Command::Domain(DomainCommand::Add { domain }) => (Request::DomainAdd { domain }, Shown::Said),
        Command::Domain(DomainCommand::List) => (
            Request::DomainList,
            Shown::List(&DOMAINS, "no domains; `rohrpost domain add NAME`"),
        ),
        Command::Domain(DomainCommand::Remove { domain }) => (Request::DomainRemove { domain }, Shown::Said),
        Command::Domain(DomainCommand::CatchAll { domain, address }) => (
            Request::DomainCatchAll {
                domain,
                address: unless_none(address),
            },
            Shown::Said,
        ),
        Command::Alias(AliasCommand::Add { address, targets }) => (Request::AliasAdd { address, targets }, Shown::Said),
        Command::Alias(AliasCommand::List) => (
            Request::AliasList,
            Shown::List(&ALIASES, "no aliases; `rohrpost alias add ADDRESS TARGET`"),
        ),
        Command::Alias(AliasCommand::Remove { address }) => (Request::AliasRemove { address }, Shown::Said),
        Command::Group(command) => group(command)?,
        Command::Acl(AclCommand::List { account }) => (
            Request::AclList { account },
            Shown::List(&ACL, "no mailbox of it is shared"),
        ),
        Command::Acl(AclCommand::Set {
            account,
            mailbox,
            who,
            rights,
        }) => (
            Request::AclSet {
                account,
                mailbox,
                who,
                rights,
            },
            Shown::Said,
        ),
        Command::Queue(command) => queue(command)?,
        Command::Trace(arguments) => (
            Request::Trace(trace(arguments, jiff::Zoned::now())?),
            Shown::List(&TRACE, "no message matches"),
        ),
        Command::Settings(command) => {
            let (request, rules) = command.request()?;
            (request, Shown::Settings(rules))
        }
        Command::Audit => (Request::Audit, Shown::List(&FAULTS, "")),
        Command::Reclaim => (Request::Reclaim, Shown::Said),
        Command::Verify => (Request::Verify, Shown::List(&FAULTS, "")),
        Command::Search(SearchCommand::List) => (Request::SearchList, Shown::List(&INDEXES, "no account has an index")),
        Command::Search(SearchCommand::Rebuild { account }) => (
            Request::SearchRebuild { account },
            Shown::List(&INDEXES, "no account has mail"),
        ),
        other => return Err(Failure::usage(format!("not an administration command: {other:?}"))),
    })
}

fn account(command: AccountCommand, generated: &mut Option<String>) -> Result<(Request, Shown), Failure> {
    let quota = |text: &str| units::size(text).map_err(|e| Failure::usage(format!("quota: {e}")));
    Ok(match command {
        AccountCommand::Add {
            address,
            name,
            password,
            quota: size,
        } => {
            let quota = size.map(|s| quota(&s)).transpose()?;
            (
                Request::AccountAdd {
                    address,
                    name,
                    password: secret(&password, generated)?,
                    quota,
                },
                Shown::Said,
            )
        }
        AccountCommand::List => (
            Request::AccountList,
            Shown::List(&ACCOUNTS, "no accounts; `rohrpost account add ADDRESS`"),
        ),
        AccountCommand::Show { address } => (Request::AccountShow { address }, Shown::Record(&ACCOUNT)),
        AccountCommand::Passwd { address, password } => (
            Request::AccountPasswd {
                address,
                password: secret(&password, generated)?,
            },
            Shown::Said,
        ),
        AccountCommand::Disable { address } => (Request::AccountDisable { address }, Shown::Said),
        AccountCommand::Enable { address } => (Request::AccountEnable { address }, Shown::Said),
        AccountCommand::Delete { address, yes: true } => (Request::AccountDelete { address }, Shown::Said),
        AccountCommand::Delete { address, yes: false } => {
            return Err(
                Failure::usage(format!("this deletes {address} with all its mail, for good"))
                    .advise("say --yes if it is meant; `rohrpost account disable` only shuts it"),
            );
        }
        AccountCommand::Quota {
            address,
            size,
            messages,
        } => {
            let number = |text: &str| match text.parse() {
                _ if text.eq_ignore_ascii_case("none") => Ok(Most::Unbounded),
                Ok(most) => Ok(Most::Number(most)),
                Err(_) => Err(Failure::usage(format!(
                    "messages: \"{text}\" is neither a number nor \"none\""
                ))),
            };
            let request = Request::AccountQuota {
                address,
                quota: unless_none(size).map(|s| quota(&s)).transpose()?,
                messages: messages.as_deref().map(number).transpose()?,
            };
            (request, Shown::Said)
        }
        AccountCommand::Address(AddressCommand::Add { account, address }) => {
            (Request::AddressAdd { account, address }, Shown::Said)
        }
        AccountCommand::Address(AddressCommand::Remove { address }) => {
            (Request::AddressRemove { address }, Shown::Said)
        }
        AccountCommand::Sender(SenderCommand::Add { account, address }) => {
            (Request::SenderAdd { account, address }, Shown::Said)
        }
        AccountCommand::Sender(SenderCommand::Remove { account, address }) => {
            (Request::SenderRemove { account, address }, Shown::Said)
        }
        AccountCommand::Forwarding { address, tells } => {
            let owner = match tells.as_str() {
                "owner" => Some(true),
                "sender" => Some(false),
                _ => None,
            };
            (Request::AccountForwarding { address, owner }, Shown::Said)
        }
        AccountCommand::Hold { address } => (Request::AccountHold { address }, Shown::Said),
        AccountCommand::Release { address, cancel } => (Request::AccountRelease { address, cancel }, Shown::Said),
    })
}

fn queue(command: QueueCommand) -> Result<(Request, Shown), Failure> {
    let select = |id: Option<String>, filters: QueueFilters, after: Option<String>| {
        let now = jiff::Zoned::now();
        Ok::<_, Failure>(QueueSelection {
            id,
            recipient: filters.recipient,
            to: filters.to,
            from: filters.from,
            destination: filters.domain.map(|d| d.to_lowercase()),
            before: filters.older_than.map(|t| moment(&t, &now)).transpose()?,
            state: filters.state,
            lane: filters.lane,
            after,
        })
    };
    let (order, which) = match command {
        QueueCommand::List { filters, after, limit } => {
            let which = select(None, filters, after)?;
            let nothing = if which == QueueSelection::default() {
                "nothing waits: every accepted message is settled"
            } else {
                "nothing that waits matches"
            };
            return Ok((Request::QueueList { which, limit }, Shown::List(&QUEUE, nothing)));
        }
        QueueCommand::Destinations { limit } => {
            let shown = Shown::List(&DESTINATIONS, "nothing waits for other servers");
            return Ok((Request::QueueDestinations { limit }, shown));
        }
        QueueCommand::Show { id } => return Ok((Request::QueueShow { id }, Shown::Message)),
        QueueCommand::Retry { which } => (QueueOrder::Retry, which),
        QueueCommand::Hold { which } => (QueueOrder::Hold, which),
        QueueCommand::Release { which } => (QueueOrder::Release, which),
        QueueCommand::Cancel { which } => (QueueOrder::Cancel, which),
        QueueCommand::Bounce { which } => (QueueOrder::Bounce, which),
    };
    let which = select(which.id, which.filters, None)?;
    Ok((Request::QueueOrder { order, which }, Shown::Said))
}

fn group(command: GroupCommand) -> Result<(Request, Shown), Failure> {
    Ok(match command {
        GroupCommand::Add { address, name, quota } => {
            let size = |text: String| units::size(&text).map_err(|e| Failure::usage(format!("quota: {e}")));
            let quota = quota.map(size).transpose()?;
            (Request::GroupAdd { address, name, quota }, Shown::Said)
        }
        GroupCommand::List => (
            Request::GroupList,
            Shown::List(&GROUPS, "no group mailboxes; `rohrpost group add ADDRESS`"),
        ),
        GroupCommand::Members { group } => (
            Request::GroupMembers { group },
            Shown::List(&MEMBERS, "no members; `rohrpost group join GROUP ADDRESS`"),
        ),
        GroupCommand::Join { group, member, rights } => (Request::GroupJoin { group, member, rights }, Shown::Said),
        GroupCommand::Leave { group, member } => (Request::GroupLeave { group, member }, Shown::Said),
        GroupCommand::Seen { group, whose } => (
            Request::GroupSeen {
                group,
                own: whose == "own",
            },
            Shown::Said,
        ),
    })
}

fn unless_none(text: String) -> Option<String> {
    Some(text).filter(|t| !t.eq_ignore_ascii_case("none"))
}

fn secret(arguments: &PasswordArgs, generated: &mut Option<String>) -> Result<Secret, Failure> {
    if arguments.password_stdin {
        return password::from_stdin().map(Secret);
    }
    Ok(Secret(generated.insert(password::generate()).clone()))
}

#[allow(clippy::needless_pass_by_value, reason = "now is asked for once")]
fn trace(arguments: TraceArgs, now: jiff::Zoned) -> Result<Trace, Failure> {
    let time = |text: Option<String>| text.map(|t| moment(&t, &now)).transpose();
    let size = |text: String| units::size(&text).map_err(|e| Failure::usage(format!("--min-size: {e}")));
    Ok(Trace {
        to: arguments.to,
        from: arguments.from,
        since: time(arguments.since)?,
        until: time(arguments.until)?,
        min_size: arguments.min_size.map(size).transpose()?,
        fate: arguments.fate,
        limit: arguments.limit,
    })
}

/// Seconds since 1970 of a date, a date with a time (local unless it says otherwise), or how long ago.
fn moment(text: &str, now: &jiff::Zoned) -> Result<i64, Failure> {
    let zone = now.time_zone().clone();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_second());
    }
    if let Ok(local) = text.parse::<jiff::civil::DateTime>() {
        return local
            .to_zoned(zone)
            .map(|z| z.timestamp().as_second())
            .map_err(Failure::usage);
    }
    let ago = text.trim_end_matches("ago").trim();
    match units::duration(ago) {
        Ok(span) => Ok(now.timestamp().as_second() - i64::try_from(span.as_secs()).unwrap_or(i64::MAX)),
        Err(_) => Err(Failure::usage(format!("\"{text}\" is not a time"))
            .advise("write 2026-11-24, 2026-11-24T08:30, or how long ago: 30min, 3h, \"2 days\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_told_in_a_line() {
        let row = serde_json::json!({ "tries": [
            { "at": null, "host": "mx.far.test", "address": "192.0.2.1", "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384", "policy": "dane verified",
              "outcome": "deferred", "reply": "451 4.3.0 later\u{1b}[31m" },
            { "at": null, "host": "mx.far.test", "address": "192.0.2.1", "tls": null, "policy": "opportunistic", "outcome": "taken", "reply": "250 2.0.0 ok" },
            { "at": null, "host": "", "address": null, "tls": null, "policy": "", "outcome": "deferred", "reply": "4.4.3 no answer" },
        ]});
        assert_eq!(
            attempts(&row),
            [
                "  mx.far.test [192.0.2.1] by TLSv1.3 TLS_AES_256_GCM_SHA384 (dane verified): deferred: 451 4.3.0 later\u{fffd}[31m",
                "  mx.far.test [192.0.2.1] in clear text (opportunistic): taken: 250 2.0.0 ok",
                "  no host: deferred: 4.4.3 no answer",
            ]
        );
        assert!(attempts(&serde_json::json!({})).is_empty());
    }

    #[test]
    fn moments() {
        let now: jiff::Zoned = "2026-11-24T12:00:00+01:00[Europe/Berlin]".parse().unwrap();
        for (text, wanted) in [
            ("2026-11-24", "2026-11-23T23:00:00Z"),
            ("2026-11-24T08:30", "2026-11-24T07:30:00Z"),
            ("2026-11-24T08:30:00Z", "2026-11-24T08:30:00Z"),
            ("3h", "2026-11-24T08:00:00Z"),
            ("2 days ago", "2026-11-22T11:00:00Z"),
        ] {
            let wanted: jiff::Timestamp = wanted.parse().unwrap();
            assert_eq!(moment(text, &now).unwrap(), wanted.as_second(), "{text}");
        }
        assert_eq!(moment("yesterday-ish", &now).unwrap_err().exit, 2);
    }
}
