//! `rohrpost dkim`: keys that sign what people send. They are files below `dkim/` in the data directory ([`delivery::key_files`]).

use crate::cli::DkimCommand;
use crate::config::Config;
use crate::failure::{At as _, Failure};
use crate::files;
use authentication::SigningKey;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use delivery::{KeyFile, KeyState};
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

/// Carries a command out; gives what is to be printed.
pub fn run(config: &Config, command: DkimCommand) -> Result<String, Failure> {
    let all = config.data.join("dkim");
    match command {
        DkimCommand::List => list(&all, None),
        DkimCommand::Show { domain } => list(&all, Some(&name(&domain)?)),
        DkimCommand::Rotate { domain } => rotate(config, &all, &name(&domain)?),
        DkimCommand::Activate { domain } => activate(&all, &name(&domain)?),
    }
}

fn name(domain: &str) -> Result<String, Failure> {
    let good = |name: &String| !name.contains('/') && !name.starts_with('.');
    authentication::normal(domain)
        .filter(good)
        .ok_or_else(|| Failure::usage(format!("\"{domain}\" is no domain")))
}

/// Makes an RSA and an Ed25519 key that wait for their records.
fn rotate(config: &Config, all: &Path, domain: &str) -> Result<String, Failure> {
    let folder = all.join(domain);
    if keys(all, domain)?.iter().any(|key| key.state == KeyState::Waits) {
        return Err(
            Failure::new(format!("{domain} has keys already that wait for their records"))
                .advise("`rohrpost dkim show` prints the records, `rohrpost dkim activate` lets the keys sign"),
        );
    }
    files::folder(&folder)?;
    let failed = |_| Failure::new("no key could be made");
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let rsa: Pkcs8V1Der<'_> = rsa.as_der().map_err(failed)?;
    let ed = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
    let stamp = format!("{:x}", net::now());
    for (kind, der) in [("rsa", rsa.as_ref()), ("ed", ed.as_ref())] {
        let path = folder.join(format!("{kind}{stamp}.{}", KeyState::Waits.extension()));
        files::write_new(&path, SigningKey::pem(der).as_bytes(), 0o600)?;
        // Whoever runs this, the server must be able to read it.
        let owner = std::fs::metadata(&config.data).at("read", &config.data)?;
        for path in [all, &folder, &path] {
            chown(path, Some(owner.uid()), Some(owner.gid())).at("give the server", path)?;
        }
    }
    let mut text = list(all, Some(domain))?;
    let _ = write!(
        text,
        "\nPut the records of the waiting keys into the zone, then: rohrpost dkim activate {domain}\n"
    );
    Ok(text)
}

/// Lets the waiting keys sign, and those before them no more.
fn activate(all: &Path, domain: &str) -> Result<String, Failure> {
    let folder = all.join(domain);
    let found = keys(all, domain)?;
    if !found.iter().any(|key| key.state == KeyState::Waits) {
        return Err(Failure::new(format!("no keys of {domain} wait"))
            .advise(format!("`rohrpost dkim rotate {domain}` makes new ones")));
    }
    // The new ones first: a crash in between leaves too many signatures, never none.
    for (from, to) in [(KeyState::Waits, KeyState::Signs), (KeyState::Signs, KeyState::Retired)] {
        for KeyFile { path, .. } in found.iter().filter(|key| key.state == from) {
            std::fs::rename(path, path.with_extension(to.extension())).at("rename", path)?;
        }
    }
    std::fs::File::open(&folder)
        .and_then(|f| f.sync_all())
        .at("sync", &folder)?;
    list(all, Some(domain))
}

/// The keys of one domain with their records, or of all.
fn list(all: &Path, only: Option<&str>) -> Result<String, Failure> {
    let mut text = String::new();
    for file in delivery::key_files(all).at("read", all)? {
        let KeyFile { domain, selector, .. } = &file;
        if only.is_some_and(|only| only != domain) {
            continue;
        }
        let key = file.read().map_err(Failure::new)?;
        let meaning = match file.state {
            KeyState::Signs => "signs",
            KeyState::Waits => "waits for its record",
            KeyState::Retired => "signs no more",
        };
        let _ = writeln!(text, "{domain}  {selector}  {}  {meaning}", key.algorithm().name());
        if only.is_some() {
            let record = key.record().map_err(Failure::new)?;
            let _ = writeln!(
                text,
                "    {selector}._domainkey.{domain}. TXT {}",
                crate::zone::wanted::quoted(&record)
            );
        }
    }
    if text.is_empty() {
        text.push_str("no keys; `rohrpost dkim rotate DOMAIN` makes some\n");
    }
    Ok(text)
}

/// The keys of a domain.
fn keys(all: &Path, domain: &str) -> Result<Vec<KeyFile>, Failure> {
    let mut files = delivery::key_files(all).at("read", all)?;
    files.retain(|file| file.domain == domain);
    Ok(files)
}
