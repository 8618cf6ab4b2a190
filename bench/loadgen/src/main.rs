//! `rohrpost-bench`: load for any SMTP and IMAP server, measured the same way for all of them.
//!
//! One thread drives all sessions, so that on a small machine the server under load keeps the rest. Messages are different from each
//! other, half text and half incompressible, as mail is. Results go to standard output, one line for people or one JSON object
//! (`--json`); `table` makes a page of many.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod imap;
mod load;
mod message;
mod process;
mod record;
mod smtp;
mod table;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use record::Record;
use std::path::PathBuf;
use std::process::ExitCode;

/// Load for any SMTP and IMAP server, measured the same way for all of them.
#[derive(Parser)]
struct Arguments {
    /// What the server is called in the results.
    #[arg(long, global = true, default_value = "server")]
    name: String,
    /// Print a JSON object instead of a line for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// How many messages a server accepts in a second, and how long its final 250 takes.
    Accept(Load),
    /// The same, then until all of them can be seen over IMAP.
    Deliver {
        #[command(flatten)]
        load: Load,
        /// The IMAP server, host:port, where every recipient can log in.
        #[arg(long)]
        imap: String,
        /// The password of all recipients.
        #[arg(long, default_value = "secret")]
        password: String,
        /// Give up after so many seconds without all messages.
        #[arg(long, default_value_t = 300)]
        patience: u64,
    },
    /// Every operation of IMAP in a mailbox of so many messages.
    Imap {
        #[command(flatten)]
        login: imap::Login,
        /// Messages in the mailbox.
        #[arg(long, default_value_t = 10_000)]
        messages: usize,
    },
    /// Many connections that idle with INBOX selected: what one takes of the server's memory, and how soon it hears of new mail.
    /// Connections come from many loopback addresses.
    Idlers {
        #[command(flatten)]
        login: imap::Login,
        #[command(flatten)]
        many: imap::many::Idlers,
    },
    /// Connections and logins per second, when the server has seen the passwords before.
    Logins {
        #[command(flatten)]
        login: imap::Login,
        #[command(flatten)]
        many: imap::many::Logins,
    },
    /// Many clients that read at once, each as fast as it can.
    Readers {
        #[command(flatten)]
        login: imap::Login,
        #[command(flatten)]
        many: imap::many::Readers,
    },
    /// The same operations in a small mailbox and in a large one, in turn.
    Growth {
        #[command(flatten)]
        login: imap::Login,
        /// Messages in the small one.
        #[arg(long, default_value_t = 10_000)]
        small: usize,
        /// Messages in the large one.
        #[arg(long, default_value_t = 1_000_000)]
        large: usize,
    },
    /// What processes take of the memory.
    Idle {
        /// All processes whose command line holds this text.
        #[arg(long, required = true)]
        matching: Vec<String>,
    },
    /// How long from the start of a program until its port says 220. The program is ended afterwards.
    Start {
        /// The port, host:port.
        #[arg(long)]
        port: String,
        /// How often.
        #[arg(long, default_value_t = 5)]
        times: usize,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// What one fdatasync costs in this folder: 4 KiB appended and synced, 300 times.
    Disk {
        /// The folder.
        folder: PathBuf,
    },
    /// A table in markdown from files of JSON results.
    Table {
        /// The files.
        results: Vec<PathBuf>,
    },
}

#[derive(Args, Clone)]
pub(crate) struct Load {
    /// The SMTP server, host:port.
    #[arg(long)]
    pub(crate) smtp: String,
    /// Recipients, who get the messages in turn.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "a@example.test,b@example.test,c@example.test,d@example.test"
    )]
    pub(crate) to: Vec<String>,
    /// Messages in all.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) count: usize,
    /// Octets of a message.
    #[arg(long, default_value_t = 10_240)]
    pub(crate) size: usize,
    /// Connections at once.
    #[arg(long, default_value_t = 40)]
    pub(crate) sessions: usize,
    /// Keep connections open for many messages instead of one message a connection.
    #[arg(long)]
    pub(crate) kept: bool,
    /// Log in as USER:PASSWORD, and send from that address: submission.
    #[arg(long)]
    pub(crate) login: Option<String>,
    /// Wait for every reply, also where the server offers PIPELINING.
    #[arg(long)]
    pub(crate) stepwise: bool,
}

impl Load {
    /// Who logs in, and the password.
    pub(crate) fn login(&self) -> Option<(&str, &str)> {
        self.login.as_deref().and_then(|login| login.split_once(':'))
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rohrpost-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let name = arguments.name;
    let record = match arguments.work {
        Work::Accept(load) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(load::accept(&name, &load))?
        }
        Work::Deliver {
            load,
            imap,
            password,
            patience,
        } => load::deliver(&name, &load, &imap, &password, patience)?,
        Work::Imap { login, messages } => {
            for record in imap::operations::run(&name, &login, messages)? {
                say(&record, arguments.json)?;
            }
            return Ok(());
        }
        Work::Idlers { login, many } => imap::many::idlers(&name, &login, &many)?,
        Work::Logins { login, many } => imap::many::logins(&name, &login, &many)?,
        Work::Readers { login, many } => imap::many::readers(&name, &login, &many)?,
        Work::Growth { login, small, large } => {
            for record in imap::growth::run(&name, &login, small, large)? {
                say(&record, arguments.json)?;
            }
            return Ok(());
        }
        Work::Idle { matching } => process::idle(&name, &matching)?,
        Work::Start { port, times, command } => process::start(&name, &port, times, &command)?,
        Work::Disk { folder } => process::disk(&name, &folder)?,
        Work::Table { results } => {
            print!("{}", table::table(&record::read(&results)?));
            return Ok(());
        }
    };
    say(&record, arguments.json)
}

fn say(record: &Record, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(record)?);
    } else {
        println!("{record}");
    }
    anyhow::ensure!(record.failed() == 0.0, "{} messages failed", record.failed());
    Ok(())
}
