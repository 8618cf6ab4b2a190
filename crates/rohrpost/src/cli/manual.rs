//! `docs/command-line.md`, from the definition that the parser uses.

use clap::{Arg, Command, CommandFactory as _};
use std::fmt::Write as _;

/// The page.
pub fn page() -> String {
    let mut page = String::from(
        "# Command line\n\n<!-- Written by `rohrpost docs` from crates/rohrpost/src/cli/mod.rs; a test compares the two. -->\n\n",
    );
    let mut root = super::Cli::command();
    root.build();
    let _ = writeln!(page, "{}\n", plain(root.get_long_about().or(root.get_about())));
    page.push_str("## Everywhere\n\nBefore or after the verb:\n\n");
    for argument in root.get_arguments().filter(|a| a.is_global_set()) {
        option(&mut page, argument);
    }
    for command in root
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help")
    {
        describe(&mut page, command, "rohrpost", 2);
    }
    page
}

fn describe(page: &mut String, command: &Command, before: &str, depth: usize) {
    let name = format!("{before} {}", command.get_name());
    let below: Vec<&Command> = command.get_subcommands().filter(|c| c.get_name() != "help").collect();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|a| !a.is_global_set() && !matches!(a.get_id().as_str(), "help" | "version"))
        .collect();
    let mut usage = name.clone();
    for argument in own.iter().filter(|a| !a.is_positional()) {
        let _ = match argument.is_required_set() {
            true => write!(usage, " {}", flag(argument)),
            false => write!(usage, " [{}]", flag(argument)),
        };
    }
    for argument in own.iter().filter(|a| a.is_positional()) {
        let _ = write!(usage, " {}", positional(argument));
    }
    let _ = writeln!(
        page,
        "\n{} {name}\n\n{}",
        "#".repeat(depth),
        plain(command.get_long_about().or(command.get_about()))
    );
    if below.is_empty() {
        let _ = writeln!(page, "\n    {usage}");
    }
    if !own.is_empty() {
        page.push('\n');
    }
    for argument in own {
        option(page, argument);
    }
    for command in below {
        describe(page, command, &name, depth + 1);
    }
}

fn option(page: &mut String, argument: &Arg) {
    let head = if argument.is_positional() {
        positional(argument)
    } else {
        flag(argument)
    };
    let short = argument.get_short().map(|s| format!("`-{s}`, ")).unwrap_or_default();
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|d| d.to_string_lossy().into_owned())
        .collect();
    let takes = argument.get_action().takes_values();
    let default = if takes && !defaults.is_empty() {
        format!(" [default: {}]", defaults.join(" "))
    } else {
        String::new()
    };
    let _ = writeln!(page, "- {short}`{head}`: {}{default}", plain(argument.get_help()));
}

fn flag(argument: &Arg) -> String {
    let name = argument.get_long().map_or_else(String::new, |l| format!("--{l}"));
    match argument.get_value_names() {
        Some(values) if argument.get_action().takes_values() => {
            format!(
                "{name} {}",
                values.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(" ")
            )
        }
        _ => name,
    }
}

fn positional(argument: &Arg) -> String {
    let name = argument.get_id().as_str().to_uppercase();
    let many = argument.get_num_args().is_some_and(|n| n.max_values() > 1);
    match (argument.is_required_set(), many) {
        (true, true) => format!("{name}..."),
        (true, false) => name,
        (false, _) => format!("[{name}]"),
    }
}

fn plain(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}
