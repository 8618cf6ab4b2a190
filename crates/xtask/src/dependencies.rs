//! What of `deny.toml` needs no network: bans, one crypto provider, licences. cargo-deny reads the same file where it is installed.

use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::process::Command;

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    #[serde(default)]
    reason: String,
}

fn deny(tree: &Tree) -> Result<Deny> {
    toml::from_str(&std::fs::read_to_string(tree.root.join("deny.toml"))?).context("deny.toml")
}

fn cargo(tree: &Tree, arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(&tree.root).output()?;
    if !output.status.success() {
        bail!(
            "cargo {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Crates that are really built, as `name version`. `Cargo.lock` is no answer: it also lists crates behind a weak feature (`ring?/alloc`
/// in rustls-webpki and hickory-proto) that nothing switches on, so `ring` stands in it although no build contains it
/// (rust-lang/cargo#10801).
fn built(tree: &Tree) -> Result<BTreeSet<String>> {
    let listing = cargo(
        tree,
        &[
            "tree",
            "--offline",
            "--workspace",
            "--edges",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ],
    )?;
    Ok(listing
        .lines()
        .filter(|l| !l.is_empty())
        .map(|l| l.trim_end_matches(" (*)").to_owned())
        .collect())
}

pub fn bans(tree: &Tree) -> Result<Vec<String>> {
    let deny = deny(tree)?;
    let mut faults = Vec::new();
    for line in built(tree)? {
        let name = line.split(' ').next().unwrap_or_default();
        for ban in deny.bans.deny.iter().filter(|b| b.name == name) {
            faults.push(format!("{line} is banned: {}", ban.reason));
        }
    }
    Ok(faults)
}

pub fn licences(tree: &Tree) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Crate>,
    }
    #[derive(Deserialize)]
    struct Crate {
        name: String,
        version: String,
        license: Option<String>,
    }
    let allow = deny(tree)?.licenses.allow;
    let built = built(tree)?;
    let host = cargo(tree, &["-vV"])?;
    let host = host.lines().find_map(|l| l.strip_prefix("host: ")).unwrap_or_default();
    let metadata = cargo(
        tree,
        &[
            "metadata",
            "--offline",
            "--format-version",
            "1",
            "--filter-platform",
            host,
        ],
    )?;
    let metadata: Metadata = serde_json::from_str(&metadata)?;
    let mut faults = Vec::new();
    for Crate { name, version, license } in metadata.packages {
        // cargo metadata lists crates that are not built, too.
        let id = format!("{name} v{version}");
        if !built.iter().any(|b| *b == id || b.starts_with(&format!("{id} "))) {
            continue;
        }
        match license {
            Some(license) if fits(&license, &allow) => {}
            Some(license) => faults.push(format!(
                "{name} {version}: {license} is not among those deny.toml allows"
            )),
            None => faults.push(format!("{name} {version} names no licence")),
        }
    }
    Ok(faults)
}

/// Whether an SPDX expression can be met with licences of `allow`: AND binds tighter than OR, parentheses as usual, the old "A/B"
/// counts as OR.
fn fits(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&tokens, &mut at, allow) && at == tokens.len()
}

fn either(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut met = both(tokens, at, allow);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        let other = both(tokens, at, allow);
        met |= other;
    }
    met
}

fn both(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut met = one(tokens, at, allow);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        let other = one(tokens, at, allow);
        met &= other;
    }
    met
}

fn one(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let met = either(tokens, at, allow);
        *at += 1;
        return met;
    }
    let mut name = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allow.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allow: Vec<String> = ["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .into();
        for (expression, wanted) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0", false),
            ("MIT AND OpenSSL", false),
            ("ISC AND (Apache-2.0 OR ISC)", true),
            ("ISC AND (GPL-3.0 OR AGPL-3.0)", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT AND GPL-3.0 OR ISC", true),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(fits(expression, &allow), wanted, "{expression}");
        }
    }
}
