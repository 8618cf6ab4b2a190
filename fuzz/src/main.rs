//! `cargo run --release -p fuzz -- smtp --seconds 30 --seed 1`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use fuzz::{Campaign, Finding, Rng, Target, targets};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

/// Tries readers with mutated input. A finding is written to a file, which can be given with --input to see it again.
#[derive(Parser)]
struct Arguments {
    /// Which reader; all of them in turn if left out.
    target: Option<String>,
    /// How long each.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where the sequence of inputs starts; chosen by the clock if left out, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Try this one input and nothing else.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Where findings are written.
    #[arg(long, default_value = "target/fuzz")]
    findings: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<Target> = match &arguments.target {
        None => targets().to_vec(),
        Some(name) => targets().into_iter().filter(|t| t.name == name).collect(),
    };
    if chosen.is_empty() {
        eprintln!("there is no such target; these are:");
        for target in targets() {
            eprintln!("  {:8} {}", target.name, target.about);
        }
        return ExitCode::from(2);
    }
    if let Some(file) = &arguments.input {
        return again(&chosen, file);
    }
    // What a target says when it breaks is caught and shown once, not for every try to shorten it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut found = false;
    for target in chosen {
        found |= !campaign(target, &arguments);
    }
    if found { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn campaign(target: Target, arguments: &Arguments) -> bool {
    let by_clock = || {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs())
    };
    let seed = arguments.seed.unwrap_or_else(by_clock);
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let begun = Instant::now();
    match Campaign::new(target, seed).run(|_| Instant::now() < until) {
        Ok(tally) => {
            let rate = tally.inputs as f64 / begun.elapsed().as_secs_f64().max(0.001);
            println!(
                "{:8} seed {seed}: {} inputs, {} MB, {rate:.0}/s, {} behaviours, nothing found",
                target.name,
                tally.inputs,
                tally.octets / 1_000_000,
                tally.behaviours
            );
            true
        }
        Err(finding) => {
            println!("{:8} seed {seed}: {}", target.name, finding.message);
            match keep(&target, &finding, arguments) {
                Ok(file) => println!(
                    "         cargo run -p fuzz -- {} --input {}",
                    target.name,
                    file.display()
                ),
                Err(e) => eprintln!("         the input can't be written: {e}\n{:?}", finding.input),
            }
            false
        }
    }
}

fn keep(target: &Target, finding: &Finding, arguments: &Arguments) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(&arguments.findings)?;
    let name = format!("{}-{:08x}", target.name, Rng::of(&finding.input).number() as u32);
    let file = arguments.findings.join(name);
    std::fs::write(&file, &finding.input)?;
    Ok(file)
}

fn again(chosen: &[Target], file: &PathBuf) -> ExitCode {
    let input = match std::fs::read(file) {
        Ok(input) => input,
        Err(e) => {
            eprintln!("{}: {e}", file.display());
            return ExitCode::from(2);
        }
    };
    for target in chosen {
        println!("{}: {} octets: {:?}", target.name, input.len(), (target.check)(&input));
    }
    ExitCode::SUCCESS
}
