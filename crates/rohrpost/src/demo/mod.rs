//! `rohrpost demo`: a throwaway server that a newcomer can play with, on loopback ports.

mod sample;

use crate::cli::{DemoArgs, password};
use crate::config::{Config, Listener, Protocol, Template, TlsFiles, template};
use crate::engine::Engine;
use crate::failure::{At as _, Failure};
use crate::{admin, files, tls};
use directory::NewAccount;
use std::net::SocketAddr;
use std::path::Path;

const DOMAIN: &str = "rohrpost.test";
const HOSTNAME: &str = "mail.rohrpost.test";
/// Account and the person's name.
const PEOPLE: [(&str, &str); 2] = [
    ("ada@rohrpost.test", "Ada Ackermann"),
    ("bob@rohrpost.test", "Bob Brandt"),
];
/// What is spoken on which port.
const PORTS: [(Protocol, u16); 7] = [
    (Protocol::Smtp, 2525),
    (Protocol::Submission, 2587),
    (Protocol::Lmtp, 2424),
    (Protocol::Imap, 2143),
    (Protocol::Pop3, 2110),
    (Protocol::ManageSieve, 4191),
    (Protocol::Http, 2080),
];

/// Makes the data directory of a demo where there is none; gives its settings, the opened engine and the text to print once it listens.
pub fn prepare(arguments: &DemoArgs) -> Result<(Config, Engine, String), Failure> {
    let data = std::path::absolute(&arguments.data).at("find", &arguments.data)?;
    let file = data.join("rohrpost.toml");
    let passwords = data.join("passwords");
    if arguments.fresh && data.exists() {
        erase(&data, &file)?;
    }
    let engine = if passwords.exists() {
        Engine::open_alone(&data)?
    } else {
        if data.exists() && std::fs::read_dir(&data).at("read", &data)?.next().is_some() && !file.exists() {
            return Err(Failure::new(format!("{} is there and is not a demo's", data.display()))
                .advise("name another folder with --data"));
        }
        make(&data, &file, &passwords)?
    };
    write_settings(&data, &file, arguments.port_offset)?;
    let config = Config::load(&file)?;
    let known = std::fs::read_to_string(&passwords).at("read", &passwords)?;
    let text = welcome(&config, &file, &known);
    Ok((config, engine, text))
}

/// Throws a demo's data away, and only a demo's: the file of its passwords must be there, and nobody may have it open.
fn erase(data: &Path, file: &Path) -> Result<(), Failure> {
    if !file.exists() && std::fs::read_dir(data).at("read", data)?.next().is_some() {
        return Err(Failure::new(format!(
            "{} is not a demo's data; it stays",
            data.display()
        )));
    }
    if files::DataLock::take(data)?.is_none() {
        return Err(Failure::new(format!("a demo is running on {}", data.display())).advise("stop it first"));
    }
    std::fs::remove_dir_all(data).at("remove", data)
}

fn make(data: &Path, file: &Path, passwords: &Path) -> Result<Engine, Failure> {
    files::folder(&data.join("tls"))?;
    let pair = tls_files(data);
    if !pair.certificate.exists() {
        let year = i32::from(jiff::Zoned::now().year());
        tls::self_sign(&[HOSTNAME, "localhost", "127.0.0.1"], year, &pair)?;
    }
    write_settings(data, file, 0)?;
    let engine = Engine::open_alone(data)?;
    let mut text = String::new();
    for (address, name) in PEOPLE {
        let password = password::generate();
        let new = NewAccount {
            address,
            name,
            password: Some(password.as_bytes()),
            admin: false,
            quota_bytes: None,
        };
        admin::found(&engine, DOMAIN, &new)?;
        text.push_str(&format!("{address} {password}\n"));
    }
    let everybody = PEOPLE.map(|(address, _)| address);
    engine
        .directory
        .alias_add(&format!("seminar@{DOMAIN}"), &everybody)
        .map_err(Failure::new)?;
    sample::fill(&engine, jiff::Timestamp::now())?;
    // Last: a demo that was cut short while it was being made is made anew, not half of one used.
    files::write_new(passwords, text.as_bytes(), 0o600)?;
    Ok(engine)
}

fn tls_files(data: &Path) -> TlsFiles {
    TlsFiles {
        certificate: data.join("tls/cert.pem"),
        key: data.join("tls/key.pem"),
        ..TlsFiles::default()
    }
}

/// Written at every start: ports may differ from last time.
fn write_settings(data: &Path, file: &Path, offset: u16) -> Result<(), Failure> {
    let listeners: Vec<Listener> = PORTS
        .iter()
        .map(|&(protocol, port)| Listener {
            protocol,
            bind: SocketAddr::from(([127, 0, 0, 1], port + offset)),
            plaintext: matches!(
                protocol,
                Protocol::Submission | Protocol::Imap | Protocol::Pop3 | Protocol::ManageSieve
            ),
            tls: None,
            proxy_protocol: Vec::new(),
        })
        .collect();
    let pair = tls_files(data);
    let settings = Template {
        hostname: HOSTNAME,
        data,
        user: None,
        listeners: &listeners,
        tls: Some(&pair),
        acme: None,
    };
    std::fs::write(file, template(&settings)).at("write", file)
}

fn welcome(config: &Config, file: &Path, passwords: &str) -> String {
    let port = |wanted: Protocol| {
        let listener = config.listeners.iter().find(|l| l.protocol == wanted);
        listener.map_or(0, |l| l.bind.port())
    };
    let shown = std::env::current_dir()
        .ok()
        .and_then(|here| file.strip_prefix(here).ok())
        .unwrap_or(file)
        .display();
    let mut people: Vec<(&str, &str)> = passwords.lines().filter_map(|l| l.split_once(' ')).collect();
    people.truncate(PEOPLE.len());
    let ada = people.first().map_or("", |(_, password)| password);
    let listed: String = people
        .iter()
        .map(|(address, password)| format!("  {address}   {password}\n"))
        .collect();
    let (smtp, submission, lmtp, imap, http) = (
        port(Protocol::Smtp),
        port(Protocol::Submission),
        port(Protocol::Lmtp),
        port(Protocol::Imap),
        port(Protocol::Http),
    );
    let managesieve = port(Protocol::ManageSieve);
    let pop3 = port(Protocol::Pop3);
    format!(
        "\nRohrpost is running, on this machine only. Ctrl-C stops it; the data stays in {data}.\n\n\
         Accounts and passwords\n{listed}\n\
         Ports on 127.0.0.1\n  SMTP {smtp}   submission {submission}   LMTP {lmtp}   IMAP {imap}   POP3 {pop3}\n  ManageSieve {managesieve}   HTTP {http}\n\n\
         Try, in another terminal:\n\n  \
         swaks --server 127.0.0.1:{smtp} --from you@elsewhere.example --to ada@rohrpost.test \\\n        --header 'Subject: Hello' --body 'It works.'\n\n  \
         curl --silent --user 'ada@rohrpost.test:{ada}' 'imap://127.0.0.1:{imap}/INBOX' --request 'FETCH 1:* (FLAGS ENVELOPE)'\n\n  \
         python3 -c \"import imaplib; m = imaplib.IMAP4('127.0.0.1', {imap}); m.login('ada@rohrpost.test', '{ada}'); \
         m.select(); print(m.fetch('*', '(BODY[])')[1][0][1].decode())\"\n\n  \
         rohrpost trace -c {shown}\n\n",
        data = config.data.display(),
    )
}
