//! How fast the door is, with Postfix's smtp-source as the client. Not a test; `cargo test --release … -- --ignored speed`.

use crate::house::House;
use smtp::Role;
use std::time::Instant;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn speed() {
    let mut house = House::with(|options| options.connections_per_address = 1000);
    let mx = house.open(Role::Mx).await.to_string();
    let messages = 20_000;
    for (sessions, reconnect) in [("40", false), ("40", true), ("1", false)] {
        let messages = if sessions == "1" { messages / 10 } else { messages };
        let (since, processor) = (Instant::now(), processor_seconds());
        let mut source = Command::new("smtp-source");
        source.args([
            "-s",
            sessions,
            "-l",
            "10240",
            "-m",
            &messages.to_string(),
            "-f",
            "ann@far.test",
            "-t",
            "ada@our.test",
        ]);
        if !reconnect {
            source.arg("-d");
        }
        let status = source.arg(&mx).status().await.unwrap();
        let seconds = since.elapsed().as_secs_f64();
        assert!(status.success());
        let rate = f64::from(messages) / seconds;
        let cost = (processor_seconds() - processor) / f64::from(messages) * 1e6;
        println!(
            "{sessions} sessions, reconnecting: {reconnect}: {rate:.0} messages/s, {cost:.0} µs of processor each"
        );
    }
}

/// What this process has used, in seconds: `proc(5)`, in the 1/100 s that Linux shows.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Twenty messages of 50 MB at once; they stream through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn memory() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await.to_string();
    let since = Instant::now();
    let arguments = [
        "-s",
        "20",
        "-l",
        "52428800",
        "-m",
        "20",
        "-f",
        "ann@far.test",
        "-t",
        "ada@our.test",
        &mx,
    ];
    assert!(
        Command::new("smtp-source")
            .args(arguments)
            .status()
            .await
            .unwrap()
            .success()
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("20 messages of 50 MB in {:.1} s, {peak}", since.elapsed().as_secs_f64());
    assert_eq!(house.records().len(), 20);
}
