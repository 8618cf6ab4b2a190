//! The project's own checks: `cargo run -p xtask -- tidy`. They also run as tests of this crate, so `make test` holds them.
//!
//! What is checked is what a compiler can't: that arrows between crates point down, that protocol crates stay pure, that the licences
//! and the one crypto provider are what `deny.toml` says, that files stay short and links in the docs lead somewhere.

mod architecture;
mod dependencies;
mod links;
mod tree;

use std::process::ExitCode;

/// Every check: its name and what it finds.
const CHECKS: &[(&str, Check)] = &[
    ("arrows between crates point down", architecture::arrows),
    ("protocol crates are pure", architecture::purity),
    ("files are short", architecture::lengths),
    ("crates say what they are", architecture::manifests),
    ("no banned crate, one crypto provider", dependencies::bans),
    ("licences are compatible", dependencies::licences),
    ("links in the docs lead somewhere", links::resolve),
];

type Check = fn(&tree::Tree) -> anyhow::Result<Vec<String>>;

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => {}
        _ => {
            eprintln!("usage: cargo run -p xtask -- tidy");
            return ExitCode::from(2);
        }
    }
    let mut sound = true;
    for (name, check) in CHECKS {
        let faults = tree::Tree::read().and_then(|tree| check(&tree));
        match faults {
            Ok(faults) if faults.is_empty() => println!("ok     {name}"),
            Ok(faults) => {
                sound = false;
                println!("FAULT  {name}");
                faults.iter().for_each(|f| println!("       {f}"));
            }
            Err(e) => {
                sound = false;
                println!("FAULT  {name}: {e:#}");
            }
        }
    }
    ExitCode::from(u8::from(!sound))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(name: &str) {
        let (_, check) = CHECKS.iter().find(|(n, _)| *n == name).unwrap();
        let faults = check(&tree::Tree::read().unwrap()).unwrap();
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }

    #[test]
    fn arrows_point_down() {
        holds("arrows between crates point down");
    }

    #[test]
    fn protocol_crates_are_pure() {
        holds("protocol crates are pure");
    }

    #[test]
    fn files_are_short() {
        holds("files are short");
    }

    #[test]
    fn crates_say_what_they_are() {
        holds("crates say what they are");
    }

    #[test]
    fn no_banned_crate() {
        holds("no banned crate, one crypto provider");
    }

    #[test]
    fn licences_are_compatible() {
        holds("licences are compatible");
    }

    #[test]
    fn links_lead_somewhere() {
        holds("links in the docs lead somewhere");
    }

    #[test]
    fn every_check_is_a_test() {
        assert_eq!(CHECKS.len(), 7);
    }
}
