//! Maildirs as mbsync and offlineimap keep them.

use std::path::{Path, PathBuf};

/// Messages of a Maildir folder: content and flag letters, sorted.
pub fn maildir_messages(folder: &Path) -> Vec<(Vec<u8>, String)> {
    let mut list: Vec<_> = maildir_files(folder)
        .into_iter()
        .map(|path| (without_tuid(&std::fs::read(&path).expect("message")), flags_of(&path)))
        .collect();
    list.sort();
    list
}

/// Files of a Maildir folder, in the order of their names.
pub fn maildir_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = ["cur", "new"]
        .iter()
        .filter_map(|part| std::fs::read_dir(folder.join(part)).ok())
        .flatten()
        .map(|entry| entry.expect("entry").path())
        .collect();
    files.sort();
    files
}

/// Makes a Maildir folder.
pub fn maildir_make(folder: &Path) {
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(folder.join(part)).expect("maildir");
    }
}

/// Puts a message with flag letters into a Maildir folder.
pub fn maildir_put(folder: &Path, name: &str, message: &[u8], flags: &str) {
    std::fs::write(folder.join("cur").join(format!("{name}:2,{flags}")), message).expect("message");
}

fn flags_of(path: &Path) -> String {
    let name = path.file_name().expect("name").to_string_lossy().into_owned();
    name.rsplit_once(":2,")
        .map_or(String::new(), |(_, flags)| flags.to_owned())
}

/// mbsync marks what it uploads with a field of its own.
fn without_tuid(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if !line.starts_with(b"X-TUID: ") && !line.starts_with(b"X-OfflineIMAP: ") {
            out.extend_from_slice(line);
        }
    }
    out
}
