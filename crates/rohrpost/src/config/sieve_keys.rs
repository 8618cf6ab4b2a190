//! The keys of `[sieve]`.

use super::keys::{Key, Kind, Section, at_least_one, optional, setting};

pub static KEYS: &[Key] = &[
    optional(
        Section::Sieve,
        "before",
        Kind::Path,
        "\"/etc/rohrpost/before.sieve\"",
        "A script that runs before everybody's own. What it files, sends on or throws away does not reach the user's script; what it keeps does.",
        |c, g| {
            c.sieve.before = Some(g.path());
            Ok(())
        },
    ),
    optional(
        Section::Sieve,
        "after",
        Kind::Path,
        "\"/etc/rohrpost/after.sieve\"",
        "A script that runs after everybody's own, for what that keeps.",
        |c, g| {
            c.sieve.after = Some(g.path());
            Ok(())
        },
    ),
    optional(
        Section::Sieve,
        "global",
        Kind::Path,
        "\"/etc/rohrpost/sieve\"",
        "A folder of scripts that `include :global` finds as NAME.sieve.",
        |c, g| {
            c.sieve.global = Some(g.path());
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "without",
        Kind::Text,
        "\"\"",
        "Extensions that scripts may not require, separated by spaces, such as `regex redirect-dsn`. Scripts that need one keep all mail, and their users are told.",
        |c, g| {
            let names: Vec<String> = g.text().split_ascii_whitespace().map(str::to_owned).collect();
            if let Some(name) = names.iter().find(|n| !sieve::ALL_EXTENSIONS.contains(&n.as_str())) {
                return Err(format!("there is no Sieve extension \"{name}\""));
            }
            c.sieve.without = names;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "scripts",
        Kind::Number,
        "50",
        "Scripts that an account may have.",
        |c, g| {
            c.sieve.scripts = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "script_size",
        Kind::Size,
        "\"1 MiB\"",
        "Size of one script.",
        |c, g| {
            c.sieve.script_size = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "steps",
        Kind::Number,
        "100000",
        "Commands and tests that a script may execute for one message.",
        |c, g| {
            c.sieve.steps = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "regex_input",
        Kind::Size,
        "\"64 KiB\"",
        "How much of a value regular expressions are tried on. Their time grows with it and with nothing else.",
        |c, g| {
            c.sieve.regex_input = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "redirects",
        Kind::Number,
        "5",
        "Addresses that a script may send one message on to.",
        |c, g| {
            c.sieve.redirects = g.number();
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "sent_per_day",
        Kind::Number,
        "2000",
        "Messages that the scripts of one account may send in 24 hours: answers, notices, and what is sent on. Beyond it, mail is kept and nothing is sent.",
        |c, g| {
            c.sieve.sent_per_day = g.number();
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "create_mailboxes",
        Kind::YesNo,
        "false",
        "`fileinto` makes a mailbox that is missing also without `:create`. Otherwise the message is kept in the inbox.",
        |c, g| {
            c.sieve.create_mailboxes = g.yes();
            Ok(())
        },
    ),
    optional(
        Section::Sieve,
        "lists",
        Kind::Path,
        "\"/etc/rohrpost/lists\"",
        "A folder of files with an entry a line, which scripts ask as `tag:HOSTNAME,2026:FILE` (`extlists`).",
        |c, g| {
            c.sieve.lists = Some(g.path());
            Ok(())
        },
    ),
    optional(
        Section::Sieve,
        "programs",
        Kind::Path,
        "\"/etc/rohrpost/programs\"",
        "A folder with the folders `pipe`, `filter` and `execute`: programs in them may be used by scripts, by their names, with the commands of `vnd.dovecot`. Without it there are no such commands.",
        |c, g| {
            c.sieve.programs = Some(g.path());
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "program_time",
        Kind::Duration,
        "\"10 s\"",
        "How long such a program may run.",
        |c, g| {
            c.sieve.program_time = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "program_memory",
        Kind::Size,
        "\"256 MiB\"",
        "Memory that such a program may have.",
        |c, g| {
            c.sieve.program_memory = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "programs_at_once",
        Kind::Number,
        "4",
        "Such programs that run at once, for all accounts together.",
        |c, g| {
            c.sieve.programs_at_once = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "events",
        Kind::YesNo,
        "true",
        "Scripts run when messages are appended, copied, moved or flagged over IMAP, in mailboxes that name one in `/shared/imapsieve/script`.",
        |c, g| {
            c.sieve.events = g.yes();
            Ok(())
        },
    ),
    optional(
        Section::Sieve,
        "events_script",
        Kind::Path,
        "\"/etc/rohrpost/events.sieve\"",
        "A script that runs on every such event in every mailbox, before the one that the mailbox names.",
        |c, g| {
            c.sieve.events_script = Some(g.path());
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "events_expunge",
        Kind::YesNo,
        "false",
        "A message that such a script does not keep is taken away at once. Otherwise it is marked as deleted.",
        |c, g| {
            c.sieve.events_expunge = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "events_messages",
        Kind::Number,
        "1000",
        "Messages of one IMAP command for which scripts run; for the others they do not, and the client is told.",
        |c, g| {
            c.sieve.events_messages = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Sieve,
        "events_time",
        Kind::Duration,
        "\"30 s\"",
        "How long the scripts of one IMAP command may take, all together.",
        |c, g| {
            c.sieve.events_time = g.duration();
            Ok(())
        },
    ),
];
