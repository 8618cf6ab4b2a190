//! Dovecot's `sieve-test` and we, on the same scripts and mail: the same actions, or a reason why not.
//!
//! Scripts are in `differential/*.txt`, each under a line `=== name`. Where both may differ, the line goes on `| differs: why`, and
//! then at least one message must show a difference, so that no excuse outlives its reason. Mail: `mail/*.eml`, and some of the
//! corpus where it is at hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sieve::{Action, Compiled, Envelope, Extensions, Input, Limits, Options, World};

const ME: &str = "me+box@example.org";
const SENDER: &str = "sender@example.net";

/// The world as sieve-test sees it with an empty store.
struct Empty;

impl World for Empty {
    fn environment(&self, item: &str) -> Option<String> {
        match item {
            "location" => Some("MS".into()),
            "phase" => Some("post".into()),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Case {
    name: String,
    differs: Option<String>,
    script: String,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            if let Some(head) = line.strip_prefix("=== ") {
                let (name, differs) = match head.split_once(" | differs: ") {
                    Some((name, why)) => (name, Some(why.to_owned())),
                    None => (head, None),
                };
                cases.push(Case {
                    name: name.to_owned(),
                    differs,
                    script: String::new(),
                });
            } else if let Some(case) = cases.last_mut() {
                case.script.push_str(line);
                case.script.push('\n');
            }
        }
    }
    cases
}

/// Mail as it arrives: CRLF, no mbox line.
fn mail() -> Vec<(String, Vec<u8>)> {
    let mut mail = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        mail.push((
            path.file_name().unwrap().to_string_lossy().into_owned(),
            crlf(&std::fs::read(&path).unwrap()),
        ));
    }
    mail.sort();
    mail
}

fn corpus(folder: &Path, most: usize) -> Vec<(String, Vec<u8>)> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/corpus/mail.tar.zst"))
        .find(|path| path.exists());
    let Some(archive) = archive else {
        eprintln!("no shared/corpus/mail.tar.zst beside the repository: only the mail in tests/mail is tried");
        return Vec::new();
    };
    let status = Command::new("tar")
        .args(["-I", "zstd", "-xf"])
        .arg(&archive)
        .arg("-C")
        .arg(folder)
        .status();
    assert!(status.expect("tar").success(), "tar with zstd");
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.retain(|file| file.extension().is_some_and(|e| e == "eml"));
    files.sort();
    let every = (files.len() / most).max(1);
    files
        .iter()
        .step_by(every)
        .take(most)
        .map(|file| {
            (
                file.file_name().unwrap().to_string_lossy().into_owned(),
                crlf(&std::fs::read(file).unwrap()),
            )
        })
        .collect()
}

fn crlf(bytes: &[u8]) -> Vec<u8> {
    let bytes = match bytes.starts_with(b"From ") {
        true => &bytes[bytes.iter().position(|b| *b == b'\n').unwrap() + 1..],
        false => bytes,
    };
    let mut out = Vec::with_capacity(bytes.len() + 1000);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(body.strip_suffix(b"\r").unwrap_or(body));
        if line.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// What both say, in one form: sorted lines. And whether there was to be no vacation answer, no notification.
fn ours(script: &str, message: &[u8], now: i64) -> (Vec<String>, (bool, bool)) {
    let mut options = Options::default();
    options.extensions = Extensions::default();
    let compiled = match Compiled::compile(script.as_bytes(), &options) {
        Ok(compiled) => compiled,
        Err(_) => return (vec!["refused".into()], (false, false)),
    };
    let mut input = Input::new(message);
    input.now = now;
    input.envelope = Envelope {
        from: Some(SENDER.into()),
        to: Some(ME.into()),
        ..Envelope::default()
    };
    let outcome = compiled.run(&input, &Empty, &Limits::default());
    let mut said: Vec<String> = Vec::new();
    if outcome.error.is_some() {
        said.push("error".into());
    }
    let flagged = |flags: &[String]| {
        let mut flags: Vec<String> = flags.iter().map(|flag| flag.to_lowercase()).collect();
        flags.sort();
        flags.join(" ")
    };
    let inbox = |name: &str| {
        if name.eq_ignore_ascii_case("inbox") {
            "INBOX".to_owned()
        } else {
            name.to_owned()
        }
    };
    for taken in &outcome.actions {
        said.push(match &taken.action {
            Action::Keep { flags, .. } => format!("store INBOX [{}]", flagged(flags)),
            Action::FileInto { target, flags, .. } => format!("store {} [{}]", inbox(&target.mailbox), flagged(flags)),
            Action::Redirect(redirect) => format!("redirect {}", redirect.address),
            Action::Discard => continue,
            Action::Reject { reason, .. } => format!("reject {}", squeezed(reason)),
            Action::Vacation(vacation) => format!("vacation {} {}", vacation.seconds, squeezed(&vacation.reason)),
            Action::Notify(notify) => {
                let mailto = notify.mailto.clone().unwrap_or_default();
                format!("notify {} {}", notify.importance, mailto.to.join(" "))
            }
            other => panic!("{other:?}"),
        });
    }
    // What filing twice into the inbox gives is one message.
    said.sort();
    said.dedup();
    let why = outcome.explanation.to_string();
    (
        said,
        (why.contains("no vacation answer"), why.contains("no notification")),
    )
}

fn squeezed(text: &str) -> String {
    // sieve-test shows line ends as question marks.
    text.replace('?', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn theirs(bed: &Bed, script: &Path, message: &Path) -> (Vec<String>, String) {
    let output = Command::new("sieve-test")
        .arg("-c")
        .arg(&bed.config)
        .args(["-r", ME, "-a", ME, "-f", SENDER])
        .arg(script)
        .arg(message)
        .output()
        .expect("sieve-test");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let both = format!("{text}\n{errors}");
    if errors.contains("failed to compile") || errors.contains("validation failed") || errors.contains("parse failed") {
        return (vec!["refused".into()], both);
    }
    let mut said: Vec<String> = Vec::new();
    // What "final result: failed" means: the script had an error, the message is kept.
    if errors.contains("failed; resolved with successful implicit keep") {
        return (vec!["error".into(), "store INBOX []".into()], both);
    }
    let mut lines = text.lines().peekable();
    let mut item: Option<(String, Vec<String>)> = None;
    let mut items = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix(" * ") {
            items.extend(item.take());
            let mut head = head.to_owned();
            // Reasons may have several lines.
            if head.starts_with("reject") {
                while let Some(next) = lines.peek() {
                    if next.starts_with(" * ") || next.starts_with("Implicit keep:") {
                        break;
                    }
                    head.push(' ');
                    head.push_str(lines.next().unwrap());
                }
            }
            item = Some((head, Vec::new()));
        } else if let Some((_, details)) = &mut item {
            details.push(line.to_owned());
        }
    }
    items.extend(item);
    for (head, details) in items {
        let flags = || {
            let line = details
                .iter()
                .find_map(|line| line.trim().strip_prefix("+ add IMAP flags:"));
            let mut flags: Vec<String> = line
                .unwrap_or_default()
                .replace(',', " ")
                .split_whitespace()
                .map(str::to_lowercase)
                .collect();
            flags.sort();
            flags.dedup();
            flags.join(" ")
        };
        let detail = |name: &str| {
            details
                .iter()
                .find_map(|line| {
                    line.trim()
                        .strip_prefix(name)
                        .and_then(|rest| rest.trim().strip_prefix(':'))
                })
                .map(|rest| rest.trim().to_owned())
                .unwrap_or_default()
        };
        if let Some(folder) = head.strip_prefix("store message in folder: ") {
            said.push(format!("store {folder} [{}]", flags()));
        } else if let Some(address) = head.strip_prefix("redirect message to: ") {
            said.push(format!("redirect {}", address.trim_matches(['<', '>'])));
        } else if head.starts_with("discard") || head.starts_with("track ") {
        } else if head.starts_with("reject") {
            let reason = head.split_once("reason:").map_or("", |(_, reason)| reason);
            said.push(format!("reject {}", squeezed(reason)));
        } else if head.starts_with("send vacation message") {
            let text = details.join("\n");
            let reason = text
                .split_once("START MESSAGE")
                .and_then(|(_, rest)| rest.rsplit_once("END MESSAGE"));
            said.push(format!(
                "vacation {} {}",
                detail("=> seconds"),
                squeezed(reason.map_or("", |(text, _)| text))
            ));
        } else if head.starts_with("send notification") {
            let to: Vec<&str> = details
                .iter()
                .filter_map(|line| line.trim().strip_prefix("+ To: "))
                .collect();
            said.push(format!("notify {} {}", detail("=> importance"), to.join(" ")));
        } else {
            panic!("{head}\n{text}");
        }
    }
    said.sort();
    said.dedup();
    (said, both)
}

struct Bed {
    config: PathBuf,
}

fn bed(folder: &Path) -> Bed {
    let id = |flag: &str| {
        String::from_utf8_lossy(&Command::new("id").arg(flag).output().unwrap().stdout)
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    let mut config = format!(
        "mail_location = maildir:{}/store\nfirst_valid_uid = 0\nfirst_valid_gid = 0\n",
        folder.display()
    );
    std::fs::create_dir(folder.join("store")).unwrap();
    if id("-u") == 0 {
        // Dovecot reads no mail as root.
        config.push_str("mail_uid = 65534\nmail_gid = 65534\n");
        std::os::unix::fs::chown(folder, Some(65534), Some(65534)).unwrap();
        std::os::unix::fs::chown(folder.join("store"), Some(65534), Some(65534)).unwrap();
    }
    config.push_str(
        "plugin {\n sieve_extensions = +editheader +mboxmetadata +servermetadata +vacation-seconds +vnd.dovecot.debug\n}\n",
    );
    let path = folder.join("dovecot.conf");
    std::fs::write(&path, config).unwrap();
    Bed { config: path }
}

#[test]
fn same_actions_as_sieve_test() {
    let there = Command::new("sieve-test").output().is_ok();
    if !there {
        eprintln!("skipped: sieve-test (Debian: dovecot-sieve) is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bed = bed(folder.path());
    let mut messages = mail();
    let archive = tempfile::tempdir().unwrap();
    let real = corpus(archive.path(), 60);
    let own = messages.len();
    messages.extend(real);
    let mut paths = Vec::new();
    for (n, (_, bytes)) in messages.iter().enumerate() {
        let path = folder.path().join(format!("{n}.eml"));
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    let cases = cases();
    assert!(cases.len() >= 150, "{} scripts", cases.len());
    let faults: Mutex<BTreeMap<usize, String>> = Mutex::default();
    let next = AtomicUsize::new(0);
    let pairs = AtomicUsize::new(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let now = i64::try_from(now).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let script = folder.path().join(format!("s{at}.sieve"));
                    std::fs::write(&script, &case.script).unwrap();
                    // Each script on all our own mail, and on some of the corpus, another part of it each time.
                    let wide = case.name.starts_with("wide");
                    let real = (own..messages.len()).filter(|n| wide || n % 20 == at % 20);
                    let mut differences = String::new();
                    for n in (0..own).chain(real) {
                        let (name, bytes) = &messages[n];
                        let (us, quiet) = ours(&case.script, bytes, now);
                        let (mut them, output) = theirs(&bed, &script, &paths[n]);
                        // sieve-test shows these before it looks whether the message may be answered.
                        for (silent, action) in [(quiet.0, "vacation "), (quiet.1, "notify ")] {
                            if silent {
                                them.retain(|line| !line.starts_with(action));
                            }
                        }
                        pairs.fetch_add(1, Ordering::Relaxed);
                        if us != them {
                            let brief = output
                                .lines()
                                .filter(|line| line.contains("rror"))
                                .take(3)
                                .collect::<Vec<_>>();
                            let _ = writeln!(
                                differences,
                                "  {name}\n    ours   {us:?}\n    theirs {them:?} {brief:?}"
                            );
                        }
                        if us == ["refused"] && them == us {
                            break;
                        }
                    }
                    let fault = match (&case.differs, differences.is_empty()) {
                        (None, false) => format!("{}:\n{differences}", case.name),
                        (Some(why), true) => format!("{}: no difference, yet said to differ: {why}\n", case.name),
                        _ => continue,
                    };
                    faults.lock().unwrap().insert(at, fault);
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    eprintln!(
        "{} scripts, {} runs of sieve-test, {} messages",
        cases.len(),
        pairs.into_inner(),
        messages.len()
    );
    assert!(faults.is_empty(), "{}", faults.into_values().collect::<String>());
}
