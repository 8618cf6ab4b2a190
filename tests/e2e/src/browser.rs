//! What is done in a browser: scripts in `tests/browser`, run by Node with Debian's Chromium.

use std::path::{Path, PathBuf};

use crate::tools::{Ran, installed, run_unchecked, skipped};

/// Whether browser scripts can be run. If not, the test is to return: it has been said that it is skipped.
pub fn browser_available() -> bool {
    installed(&["chromium", "node", "npm"]) && modules()
}

/// Runs a script of `tests/browser`, with settings in its environment; it must succeed. Gives what it printed.
pub fn browse(script: &str, settings: &[(&str, &str)]) -> String {
    let folder = folder();
    let mut arguments: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    arguments.push("node".to_owned());
    arguments.push(folder.join(script).display().to_string());
    let Ran { success, out, err } = run_unchecked("env", &arguments, None);
    let out = String::from_utf8_lossy(&out).into_owned();
    assert!(success, "{script} failed\n{out}{err}");
    out
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser")
}

/// Fetches what the scripts need, once; false where there is no way to.
fn modules() -> bool {
    let folder = folder();
    let lock = std::fs::File::create(std::env::temp_dir().join("rohrpost-browser-modules.lock")).expect("lock");
    lock.lock().expect("lock");
    if folder.join("node_modules/playwright-core/package.json").exists() {
        return true;
    }
    let prefix = folder.display().to_string();
    let arguments = ["ci", "--prefix", &prefix, "--no-audit", "--no-fund", "--ignore-scripts"];
    let ran = run_unchecked("npm", arguments, None);
    if !ran.success {
        assert!(!crate::tools::required(), "npm ci in tests/browser failed\n{}", ran.err);
        skipped("playwright-core cannot be fetched");
    }
    ran.success
}
