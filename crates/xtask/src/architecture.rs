//! The house: floors, purity, short files.

use crate::tree::Tree;
use anyhow::Result;

/// Our crates from the ground up. A crate may use those on floors below its own, and those before it on its own floor.
const FLOORS: &[&[&str]] = &[
    // protocol and language: pure
    &[
        "sasl",
        "mime",
        "smtp",
        "imap",
        "pop3",
        "sieve",
        "settings",
        "managesieve",
        "extract",
        "authentication",
    ],
    // state
    &["db", "blobs", "search", "store", "ledger", "sightings", "directory"],
    // what listening services share
    &["net", "dns", "filter"],
    // services
    &["delivery", "access", "web"],
    // top
    &["rohrpost", "xtask"],
];

/// The floor on which crates stand beside each other.
const SERVICES: usize = 3;

/// What a pure crate must not name in its code, and why.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "protocol crates do no I/O"),
    ("SystemTime", "the time is passed in"),
    ("Instant::now", "the time is passed in"),
    ("std::fs", "protocol crates touch no files"),
    ("std::net::Tcp", "protocol crates hold no socket"),
    ("std::net::Udp", "protocol crates hold no socket"),
    ("std::thread", "protocol crates start no thread"),
    ("std::process", "protocol crates start no process"),
    ("std::env", "settings are passed in"),
    ("rand::", "randomness is passed in"),
    ("println!", "protocol crates print nothing"),
];

/// Lines at which a file fails; about 600 is the aim.
const LONGEST: usize = 900;

pub fn arrows(tree: &Tree) -> Result<Vec<String>> {
    let rank = |name: &str| FLOORS.iter().flat_map(|f| f.iter()).position(|n| *n == name);
    let floor = |name: &str| FLOORS.iter().position(|f| f.contains(&name));
    let mut faults = Vec::new();
    // What tests or measures the program may use everything of it.
    for package in tree.packages.iter().filter(|p| p.part) {
        let name = package.name.as_str();
        let Some(own) = rank(name) else {
            faults.push(format!(
                "crates/{name} stands on no floor; add it to FLOORS in crates/xtask/src/architecture.rs"
            ));
            continue;
        };
        for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for used in package.names_in(table) {
                if tree.packages.iter().any(|p| p.name == used && !p.part) {
                    faults.push(format!("{name} uses {used}, which is no part of the program ({table})"));
                }
                let Some(other) = rank(&used) else { continue };
                // Services stand beside each other; only the binary knows them all.
                let siblings = floor(name) == Some(SERVICES) && floor(&used) == Some(SERVICES);
                if other >= own || siblings {
                    faults.push(format!("{name} uses {used}, which does not stand below it ({table})"));
                }
            }
        }
    }
    Ok(faults)
}

pub fn purity(tree: &Tree) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for package in tree.packages.iter().filter(|p| FLOORS[0].contains(&p.name.as_str())) {
        for name in package.names_in("dependencies") {
            if ["tokio", "async-std", "rand", "rusqlite", "rustix", "socket2"].contains(&name.as_str()) {
                faults.push(format!(
                    "crates/{}/Cargo.toml: a protocol crate does not use {name}",
                    package.name
                ));
            }
        }
        for file in tree.files(&package.folder.join("src"), "rs")? {
            let text = std::fs::read_to_string(&file)?;
            for (number, line) in own_code(&text) {
                for (word, why) in IMPURE {
                    if line.contains(word) {
                        faults.push(format!("{}:{number}: {word}: {why}", tree.shown(&file)));
                    }
                }
            }
        }
    }
    Ok(faults)
}

/// The lines of a file that are code, with their numbers: comments left out, and everything from the test module on, where such a
/// module ends the file.
fn own_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .zip(1..)
        .take_while(|(line, _)| !line.starts_with("#[cfg(test)]"))
        .map(|(line, number)| (number, line.split("//").next().unwrap_or_default()))
}

pub fn lengths(tree: &Tree) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in tree.files(&tree.root, "rs")? {
        let lines = std::fs::read_to_string(&file)?.lines().count();
        if lines > LONGEST {
            faults.push(format!(
                "{} has {lines} lines; more than {LONGEST} are two subjects in one file",
                tree.shown(&file)
            ));
        }
    }
    Ok(faults)
}

pub fn manifests(tree: &Tree) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for package in &tree.packages {
        let path = tree.shown(&package.folder.join("Cargo.toml"));
        let inherits = |table: Option<&toml::Value>| {
            table.and_then(|t| t.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        let described = package
            .manifest
            .get("package")
            .and_then(|p| p.get("description"))
            .is_some();
        if !described {
            faults.push(format!("{path}: no description"));
        }
        if !inherits(package.manifest.get("lints")) {
            faults.push(format!("{path}: does not take the workspace's lints"));
        }
        for table in ["dependencies", "dev-dependencies"] {
            let uses = package.manifest.get(table).and_then(toml::Value::as_table);
            for (name, value) in uses.into_iter().flatten() {
                // Crates beside the program may name each other by their folder.
                let by_folder = !package.part && value.get("path").is_some();
                if !inherits(Some(value)) && !by_folder {
                    faults.push(format!(
                        "{path}: {name} has a version of its own; put it into the workspace"
                    ));
                }
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_are_not_code() {
        let text = "use a;\n// std::fs here is talk\nlet x = 1; // std::fs\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        let code: Vec<_> = own_code(text).collect();
        assert_eq!(code, [(1, "use a;"), (2, ""), (3, "let x = 1; ")]);
    }
}
