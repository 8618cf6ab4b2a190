//! What programs take: memory, time to start, time of a sync.

use crate::record::Record;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Memory of some processes, in KiB.
pub struct Memory {
    /// How many processes.
    pub processes: u32,
    /// Resident.
    pub rss: f64,
    /// Resident, with what is shared divided by how many share it.
    pub pss: f64,
}

/// `idle`: resident and proportional memory of all processes whose command line holds one of the texts.
pub fn idle(name: &str, matching: &[String]) -> Result<Record> {
    let memory = memory(matching)?;
    Ok(Record::new(name, "idle after the load")
        .with("memory, PSS, MiB", memory.pss / 1024.0)
        .with("memory, RSS, MiB", memory.rss / 1024.0)
        .with("processes", f64::from(memory.processes)))
}

/// Memory of all processes whose command line holds one of the texts.
pub fn memory(matching: &[String]) -> Result<Memory> {
    let (mut processes, mut rss, mut pss) = (0u32, 0.0, 0.0);
    for entry in fs::read_dir("/proc")?.flatten() {
        let folder = entry.path();
        let pid = entry.file_name().to_string_lossy().parse::<u32>();
        if pid.is_err() || pid == Ok(std::process::id()) {
            continue;
        }
        let Ok(line) = fs::read(folder.join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // This program, and what started it, name the text too.
        if line.split(' ').take(4).any(|word| word.ends_with("rohrpost-bench"))
            || !matching.iter().any(|m| line.contains(m))
        {
            continue;
        }
        // A process that ends meanwhile counts for nothing.
        let Ok(memory) = fs::read_to_string(folder.join("smaps_rollup")) else {
            continue;
        };
        processes += 1;
        rss += field(&memory, "Rss:");
        pss += field(&memory, "Pss:");
    }
    ensure!(processes > 0, "no process matches {matching:?}");
    Ok(Memory { processes, rss, pss })
}

fn field(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0)
}

/// `start`: median of several starts.
pub fn start(name: &str, port: &str, times: usize, command: &[String]) -> Result<Record> {
    let (program, arguments) = command.split_first().context("no program")?;
    let mut took = Vec::new();
    for _ in 0..times.max(1) {
        ensure!(TcpStream::connect(port).is_err(), "somebody listens at {port} already");
        let begun = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.clone())?;
        let ready = wait_for_220(&mut child, port, begun + Duration::from_secs(60));
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        end(&mut child)?;
        ready?;
    }
    took.sort_by(f64::total_cmp);
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    let longest = took.last().copied().unwrap_or_default();
    Ok(Record::new(name, "start until 220")
        .with("ms, median", median)
        .with("ms, longest", longest))
}

fn wait_for_220(child: &mut Child, port: &str, until: Instant) -> Result<()> {
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            bail!("the program ended with {status}");
        }
        if let Ok(mut stream) = TcpStream::connect(port) {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let mut greeting = [0; 4];
            stream.read_exact(&mut greeting)?;
            ensure!(
                greeting.starts_with(b"220"),
                "it greets with {:?}",
                greeting.escape_ascii().to_string()
            );
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    bail!("nothing listens at {port}")
}

/// SIGTERM, and SIGKILL if that does not help.
fn end(child: &mut Child) -> Result<()> {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    for _ in 0..1000 {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// `disk`: what a sync costs here.
pub fn disk(name: &str, folder: &Path) -> Result<Record> {
    let path = folder.join(format!(".sync-probe-{}", std::process::id()));
    let mut file = fs::File::create(&path).with_context(|| path.display().to_string())?;
    let mut took = Vec::new();
    for _ in 0..300 {
        file.write_all(&[b'x'; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    fs::remove_file(&path)?;
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    Ok(Record::new(name, "4 KiB and fdatasync")
        .with("ms, p50", at(50))
        .with("ms, p99", at(99)))
}

/// CPU time of this process so far, in seconds.
pub fn own_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: state is the first, user and system time the 12th and 13th, in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
