//! `rohrpost settings …`: what people set, from the command line.

use crate::admin::request::Request;
use crate::failure::{At as _, Failure};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use settings::{Change, Moment, SpamChange, VacationChange};
use std::io::Read as _;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show what a person has set; with --json the whole model and the parts of the script
    Show {
        #[command(flatten)]
        whose: Whose,
    },
    /// Set everything from JSON, as `show --json` prints it
    ///
    /// Takes what stands under "settings"; where a "version" stands beside it, nothing is written if the script has another one by now.
    Set {
        #[command(flatten)]
        whose: Whose,
        /// A file, or - for standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// The answer that is sent while somebody is away
    #[command(subcommand)]
    Vacation(VacationCommand),
    /// Where all mail goes as well, or instead
    #[command(subcommand)]
    Forward(ForwardCommand),
    /// The rules
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Whose mail is never spam, whose always is, and from which score on
    Spam {
        #[command(flatten)]
        whose: Whose,
        /// Mail from these is never spam: addresses, or patterns such as *@phys.example
        #[arg(long, value_name = "SENDER")]
        allow: Vec<String>,
        /// Mail from these always is
        #[arg(long, value_name = "SENDER")]
        block: Vec<String>,
        /// Take these off both lists
        #[arg(long, value_name = "SENDER")]
        forget: Vec<String>,
        /// From this score on, 1 to 10, mail goes to Junk; 0: no score
        #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(u8).range(0..=10))]
        threshold: Option<u8>,
    },
}

#[derive(Args, Clone, Debug)]
pub struct Whose {
    /// Any address of the account
    #[arg(long, value_name = "ADDRESS")]
    pub account: String,
}

#[derive(Debug, Subcommand)]
pub enum VacationCommand {
    /// Switch it on; what is not given stays as it was
    On(Box<VacationArgs>),
    /// Switch it off; its text stays
    Off {
        #[command(flatten)]
        whose: Whose,
    },
    /// Throw it away
    Remove {
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Args, Debug)]
pub struct VacationArgs {
    #[command(flatten)]
    pub whose: Whose,
    /// The text
    #[arg(long)]
    pub text: Option<String>,
    /// The text is HTML
    #[arg(long)]
    pub html: bool,
    /// The subject [default: made from that of the message]
    #[arg(long)]
    pub subject: Option<String>,
    /// The first day, or a time on it: 2026-12-24, "2026-12-24 12:00", 2026-12-24T12:00:00+01:00
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// The last day, or a time on it
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Without a first and a last day
    #[arg(long, conflicts_with_all = ["since", "until"])]
    pub always: bool,
    /// The time zone of both: Europe/Berlin [default: that of this machine]
    #[arg(long, value_name = "NAME")]
    pub zone: Option<String>,
    /// The sender of the answer [default: the address that was written to]
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// Further addresses of this person that are answered for
    #[arg(long, value_name = "ADDRESS")]
    pub address: Vec<String>,
    /// Answer the same sender again after so many days
    #[arg(long, value_name = "N")]
    pub days: Option<u64>,
    /// Do not answer these: addresses, or patterns such as *@list.example
    #[arg(long, value_name = "SENDER")]
    pub except: Vec<String>,
    /// Another text for colleagues
    #[arg(long, value_name = "TEXT")]
    pub colleagues_text: Option<String>,
    /// Its subject
    #[arg(long, value_name = "TEXT", requires = "colleagues_text")]
    pub colleagues_subject: Option<String>,
    /// Whose senders are colleagues [default: the domain of the account]
    #[arg(long, value_name = "DOMAIN", requires = "colleagues_text")]
    pub colleagues: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum ForwardCommand {
    /// Forward to these as well
    Add {
        #[command(flatten)]
        whose: Whose,
        /// Where mail goes
        #[arg(required = true)]
        to: Vec<String>,
        /// Keep no copy here
        #[arg(long)]
        no_copy: bool,
    },
    /// Do not forward to these any more
    Remove {
        #[command(flatten)]
        whose: Whose,
        /// Where mail went
        #[arg(required = true)]
        to: Vec<String>,
    },
    /// Keep a copy of what is forwarded
    Keep {
        #[command(flatten)]
        whose: Whose,
    },
    /// Keep no copy of what is forwarded
    NoKeep {
        #[command(flatten)]
        whose: Whose,
    },
    /// Switch it on again
    On {
        #[command(flatten)]
        whose: Whose,
    },
    /// Switch it off; its targets stay
    Off {
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List the rules in the order in which they are tried
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Switch a rule on
    Enable {
        #[command(flatten)]
        which: Rule,
    },
    /// Switch a rule off; it stays in the list
    Disable {
        #[command(flatten)]
        which: Rule,
    },
    /// Put a rule in another place
    Move {
        #[command(flatten)]
        which: Rule,
        /// Its new place, from 1
        #[arg(long, value_name = "N")]
        to: usize,
    },
    /// Throw a rule away
    Remove {
        #[command(flatten)]
        which: Rule,
    },
}

#[derive(Args, Debug)]
pub struct Rule {
    #[command(flatten)]
    pub whose: Whose,
    /// Its place in the list, from 1, or its name
    pub rule: String,
}

impl SettingsCommand {
    /// What is asked of the server, and whether the rules are what the person wants to see.
    pub fn request(self) -> Result<(Request, bool), Failure> {
        let change = |whose: Whose, change: Change| Request::SettingsChange {
            account: whose.account,
            version: None,
            change,
        };
        let mut list = false;
        let request = match self {
            SettingsCommand::Show { whose } => Request::SettingsShow { account: whose.account },
            SettingsCommand::Set { whose, file } => set(whose, &file)?,
            SettingsCommand::Vacation(VacationCommand::On(arguments)) => vacation(*arguments)?,
            SettingsCommand::Vacation(VacationCommand::Off { whose }) => change(whose, Change::VacationOff),
            SettingsCommand::Vacation(VacationCommand::Remove { whose }) => change(whose, Change::VacationRemove),
            SettingsCommand::Forward(ForwardCommand::Add { whose, to, no_copy }) => change(
                whose,
                Change::ForwardAdd {
                    to,
                    keep: no_copy.then_some(false),
                },
            ),
            SettingsCommand::Forward(ForwardCommand::Remove { whose, to }) => {
                change(whose, Change::ForwardRemove { to })
            }
            SettingsCommand::Forward(ForwardCommand::Keep { whose }) => {
                change(whose, Change::ForwardKeep { keep: true })
            }
            SettingsCommand::Forward(ForwardCommand::NoKeep { whose }) => {
                change(whose, Change::ForwardKeep { keep: false })
            }
            SettingsCommand::Forward(ForwardCommand::On { whose }) => change(whose, Change::ForwardEnable { on: true }),
            SettingsCommand::Forward(ForwardCommand::Off { whose }) => {
                change(whose, Change::ForwardEnable { on: false })
            }
            SettingsCommand::Rules(command) => {
                list = true;
                match command {
                    RulesCommand::List { whose } => Request::SettingsShow { account: whose.account },
                    RulesCommand::Enable { which } => change(
                        which.whose,
                        Change::RuleEnable {
                            rule: which.rule,
                            on: true,
                        },
                    ),
                    RulesCommand::Disable { which } => change(
                        which.whose,
                        Change::RuleEnable {
                            rule: which.rule,
                            on: false,
                        },
                    ),
                    RulesCommand::Move { which, to } => change(which.whose, Change::RuleMove { rule: which.rule, to }),
                    RulesCommand::Remove { which } => change(which.whose, Change::RuleRemove { rule: which.rule }),
                }
            }
            SettingsCommand::Spam {
                whose,
                allow,
                block,
                forget,
                threshold,
            } => change(
                whose,
                Change::Spam(SpamChange {
                    allow,
                    block,
                    forget,
                    threshold,
                }),
            ),
        };
        Ok((request, list))
    }
}

fn vacation(arguments: VacationArgs) -> Result<Request, Failure> {
    let zone = match &arguments.zone {
        None => TimeZone::system(),
        Some(name) => TimeZone::get(name).map_err(|_| {
            Failure::usage(format!("there is no time zone {name}")).advise("such as Europe/Berlin or UTC")
        })?,
    };
    let moment = |text: Option<String>| {
        text.map(|t| Moment::of_person(&t, &zone))
            .transpose()
            .map_err(Failure::usage)
    };
    let domain = arguments
        .whose
        .account
        .rsplit_once('@')
        .map(|(_, domain)| domain.to_owned());
    let colleagues = match (arguments.colleagues, &arguments.colleagues_text) {
        (given, Some(_)) if given.is_empty() => domain.into_iter().collect(),
        (given, _) => given,
    };
    Ok(Request::SettingsChange {
        account: arguments.whose.account,
        version: None,
        change: Change::VacationOn(Box::new(VacationChange {
            text: arguments.text,
            html: arguments.html,
            subject: arguments.subject,
            start: moment(arguments.since)?,
            end: moment(arguments.until)?,
            always: arguments.always,
            from: arguments.from,
            addresses: arguments.address,
            days: arguments.days,
            except: arguments.except,
            colleagues,
            colleagues_text: arguments.colleagues_text,
            colleagues_subject: arguments.colleagues_subject,
        })),
    })
}

/// The most that is read of a model: a script may have a megabyte, and JSON is longer.
const MOST: u64 = 8 << 20;

fn set(whose: Whose, file: &std::path::Path) -> Result<Request, Failure> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(MOST)
            .read_to_string(&mut text)
            .at("read", file)?;
    } else {
        std::fs::File::open(file)
            .and_then(|f| f.take(MOST).read_to_string(&mut text))
            .at("read", file)?;
    }
    let wrong = |e: serde_json::Error| {
        Failure::usage(format!("these are no settings: {e}"))
            .advise("`rohrpost settings show --json` prints what they look like")
    };
    let given: serde_json::Value = serde_json::from_str(&text).map_err(wrong)?;
    // What `show --json` prints, or the model alone.
    let settings = given.get("settings").unwrap_or(&given).clone();
    Ok(Request::SettingsChange {
        account: whose.account,
        version: given.get("version").and_then(serde_json::Value::as_u64),
        change: Change::All {
            settings: Box::new(serde_json::from_value(settings).map_err(wrong)?),
        },
    })
}
