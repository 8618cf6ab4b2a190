//! The server binary that is tested, built when it is stale.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Path of the server binary: `ROHRPOST_BINARY`, or that of this workspace and profile. It is built once for each test run;
/// test processes of the same run wait for that.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("ROHRPOST_BINARY") {
        Some(path) => PathBuf::from(path),
        None => built(),
    })
}

fn built() -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_owned();
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let mut stamp = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(profile.join("e2e-built-for"))
        .expect("stamp beside the binary");
    stamp.lock().expect("lock of the stamp");
    let mut built_for = String::new();
    stamp.read_to_string(&mut built_for).expect("stamp");
    if built_for != run {
        build(&profile);
        stamp.set_len(0).expect("stamp");
        stamp.rewind().expect("stamp");
        stamp.write_all(run.as_bytes()).expect("stamp");
    }
    profile.join("rohrpost")
}

fn build(profile: &Path) {
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The features of the whole workspace, so that dependencies are those that the tests were built with.
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "rohrpost",
            "--profile",
            name,
            "--target-dir",
        ])
        .arg(profile.parent().expect("target"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env_remove("CARGO_MANIFEST_DIR")
        .status()
        .expect("cargo");
    assert!(status.success(), "the server does not build");
}
