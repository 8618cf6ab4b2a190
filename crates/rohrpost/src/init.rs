//! `rohrpost init`: everything a server needs to start, and the DNS records the world needs to find it.

use crate::cli::{Global, InitArgs, password};
use crate::config::{Config, Listener, Protocol, Template, TlsFiles, template};
use crate::engine::Engine;
use crate::failure::{At as _, Failure};
use crate::zone::{self, Facts};
use crate::{acme, files, privileges, tls};
use directory::NewAccount;
use std::fmt::Write as _;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Whom the server becomes when nobody says otherwise; contrib/rohrpost.service runs it as the same.
const USUAL_USER: &str = "rohrpost";

/// Sets a server up; gives the text to print.
pub fn run(global: &Global, arguments: &InitArgs) -> Result<String, Failure> {
    let domain = arguments.domain.trim_end_matches('.').to_lowercase();
    let hostname = arguments
        .hostname
        .clone()
        .unwrap_or_else(|| format!("mail.{domain}"))
        .to_lowercase();
    let admin = arguments
        .admin
        .clone()
        .unwrap_or_else(|| format!("postmaster@{domain}"));
    let file = global.config.clone().unwrap_or_else(|| PathBuf::from("rohrpost.toml"));
    if file.exists() {
        return Err(Failure::new(format!("{} is there already", file.display()))
            .advise("edit it, or name another with `-c FILE`; nothing was changed"));
    }
    // Root sets a server up for the user of that name, where there is one.
    let usual = || privileges::is_root() && privileges::identity(USUAL_USER, None).is_ok();
    let user = arguments.user.as_deref().or_else(|| usual().then_some(USUAL_USER));
    let identity = match user {
        Some(user) if privileges::is_root() => Some(privileges::identity(user, None)?),
        _ => None,
    };
    let data = std::path::absolute(&arguments.data).at("find", &arguments.data)?;
    files::folder(&data)?;
    let keys = data.join("tls");
    if !arguments.acme {
        files::folder(&keys)?;
    }
    let pair = TlsFiles {
        certificate: keys.join("cert.pem"),
        key: keys.join("key.pem"),
        ..TlsFiles::default()
    };
    if !arguments.acme && !pair.certificate.exists() {
        tls::self_sign(&[&hostname], i32::from(jiff::Zoned::now().year()), &pair)?;
    }

    let password = password::generate();
    let engine = Engine::open_alone(&data)?;
    let new = NewAccount {
        address: &admin,
        name: "",
        password: Some(password.as_bytes()),
        admin: true,
        quota_bytes: None,
    };
    crate::admin::found(&engine, &domain, &new)?;
    engine.close()?;

    let listeners = listeners();
    let settings = Template {
        hostname: &hostname,
        data: &data,
        user,
        listeners: &listeners,
        tls: Some(&pair).filter(|_| !arguments.acme),
        acme: Some(admin.as_str()).filter(|_| arguments.acme),
    };
    files::write_new(&file, template(&settings).as_bytes(), 0o644)?;
    let config = Config::load(&file)?;
    // The key of all certificates to come: its hash is among the records to set.
    acme::prepare(&config)?;
    if let Some(identity) = identity {
        give(&data, identity)?;
    }
    let facts = Facts::gather(&config, &[domain])?;
    let certificate = certificate(&file, &data, &hostname, arguments.acme);
    Ok(report(&file, &data, &facts, &admin, &password, &certificate))
}

/// The usual ports of a mail server; those of the web for certificates, the MTA-STS policy and what mail programs ask; and health and metrics on
/// the loopback address.
fn listeners() -> Vec<Listener> {
    let open = |protocol, port| Listener {
        protocol,
        bind: SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        plaintext: false,
        tls: None,
        proxy_protocol: Vec::new(),
    };
    vec![
        open(Protocol::Smtp, 25),
        open(Protocol::Submission, 587),
        open(Protocol::Submissions, 465),
        open(Protocol::Imap, 143),
        open(Protocol::Imaps, 993),
        open(Protocol::Pop3, 110),
        open(Protocol::Pop3s, 995),
        open(Protocol::ManageSieve, 4190),
        open(Protocol::Http, 80),
        open(Protocol::Https, 443),
        Listener {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ..open(Protocol::Http, 8080)
        },
    ]
}

/// Makes everything below `data` the user's.
fn give(data: &Path, identity: privileges::Identity) -> Result<(), Failure> {
    let mut folders = vec![data.to_path_buf()];
    while let Some(folder) = folders.pop() {
        std::os::unix::fs::chown(&folder, Some(identity.uid), Some(identity.gid)).at("give away", &folder)?;
        for entry in std::fs::read_dir(&folder).at("read", &folder)? {
            let path = entry.at("read", &folder)?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                std::os::unix::fs::lchown(&path, Some(identity.uid), Some(identity.gid)).at("give away", &path)?;
            }
        }
    }
    Ok(())
}

/// What there is to say of the certificate.
fn certificate(file: &Path, data: &Path, hostname: &str, acme: bool) -> String {
    if acme {
        return format!(
            "Certificates come from Let's Encrypt once the server runs, {hostname} leads here, and the world reaches port 80."
        );
    }
    format!(
        "The certificate in {}/tls is self-signed. For real ones, from Let's Encrypt: in {}, take the \"# \" off [acme] and its\n\
         directory and agree, and put it before [tls], certificate and key (or begin anew with `rohrpost init --acme`). From elsewhere: name their\n\
         files under [tls].",
        data.display(),
        file.display()
    )
}

fn report(file: &Path, data: &Path, facts: &Facts, admin: &str, password: &str, certificate: &str) -> String {
    let mut text = format!(
        "Settings   {}\nData       {}\nAccount    {admin}\nPassword   {password}\n\n\
         DNS records to set (addresses as this machine sees them; behind a router they are others):\n\n",
        file.display(),
        data.display(),
    );
    for line in zone::lines(facts).lines() {
        let _ = writeln!(text, "  {line}");
    }
    let _ = write!(
        text,
        "\nThe addresses must also point back to {hostname} (PTR): whoever runs the network sets that.\n\
         {certificate}\n\
         Another web server on this machine? Then take the http and https listeners at ports 80 and 443 out of the settings.\n\n\
         Next:  rohrpost check -c {file}\n       rohrpost serve -c {file}\n       rohrpost dns -c {file}      compares the DNS with this list\n",
        hostname = facts.hostname,
        file = file.display(),
    );
    text
}
