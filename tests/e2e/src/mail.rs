//! Messages to send, and what comes out of them.

use std::path::Path;
use std::process::Command;

/// Up to `most` real messages with CRLF line ends, evenly picked from the corpus beside the repository; none, having said so, where it
/// is missing. Messages with NUL, which IMAP cannot carry, are left out.
pub fn corpus(most: usize) -> Option<Vec<Vec<u8>>> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/corpus/mail.tar.zst"))
        .find(|path| path.exists());
    let Some(archive) = archive else {
        crate::skipped("no shared/corpus/mail.tar.zst beside the repository");
        return None;
    };
    let folder = tempfile::tempdir().expect("folder");
    let status = Command::new("tar")
        .args(["-I", "zstd", "-xf"])
        .arg(archive)
        .arg("-C")
        .arg(folder.path())
        .status();
    assert!(status.expect("tar").success(), "tar with zstd");
    let mut files = Vec::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    let step = (files.len() / most.max(1)).max(1);
    let messages = files.iter().step_by(step).take(most).map(|path| {
        let bytes = std::fs::read(path).expect("message");
        let start = if bytes.starts_with(b"From ") {
            bytes
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(bytes.len(), |at| at + 1)
        } else {
            0
        };
        crlf(&lf(&bytes[start..]))
    });
    Some(messages.filter(|message| !message.contains(&0)).collect())
}

/// With CRLF at every line end. A bare CR becomes a line end too, as no mail protocol carries it.
pub fn crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 40);
    for &byte in &lf(text) {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// With LF at every line end.
pub fn lf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\r' if text.get(at + 1) == Some(&b'\n') => {}
            b'\r' => out.push(b'\n'),
            byte => out.push(byte),
        }
    }
    out
}

/// A message as the server stored it, without the header fields it put before it.
pub fn ours_removed(message: &[u8]) -> &[u8] {
    let mut rest = message;
    loop {
        let ours = [&b"Return-Path:"[..], b"Delivered-To:", b"Received:"];
        if !ours.iter().any(|name| rest.starts_with(name)) {
            return rest;
        }
        loop {
            let end = rest
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(rest.len(), |at| at + 1);
            rest = &rest[end..];
            if !matches!(rest.first(), Some(b' ' | b'\t')) {
                break;
            }
        }
    }
}

/// A message of exactly `size` bytes with lines of various lengths, dots at line starts and 8-bit bytes, and a subject if there is room.
/// From two bytes on it ends with CRLF.
pub fn made_up(size: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(size);
    let header = format!("Subject: {size}\r\nX-Pad: y\r\n\r\n");
    if size >= header.len() + 2 {
        message.extend_from_slice(header.as_bytes());
    }
    let mut pattern = Pattern::new(size as u64);
    let mut left_in_line = 0;
    while message.len() + 2 < size {
        let room = size - 2 - message.len();
        if left_in_line == 0 && room >= 3 && !message.is_empty() && !message.ends_with(b"\n") {
            message.extend_from_slice(b"\r\n");
            left_in_line = (pattern.next() % 120) as usize;
            continue;
        }
        left_in_line = left_in_line.saturating_sub(1);
        message.push(match pattern.next() % 24 {
            0 => b'.',
            1 => b' ',
            2 => 0xe4,
            other => b'a' + other as u8,
        });
    }
    match size {
        0 => {}
        1 => message.push(b'x'),
        _ => message.extend_from_slice(b"\r\n"),
    }
    assert_eq!(message.len(), size);
    message
}

/// Numbers that look random and are the same every time (splitmix64).
#[derive(Debug, Clone)]
pub struct Pattern(u64);

impl Pattern {
    /// Numbers from this seed.
    pub fn new(seed: u64) -> Pattern {
        Pattern(seed)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next line of 64 characters that do not compress, with CRLF.
    pub fn line(&mut self, out: &mut Vec<u8>) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for _ in 0..8 {
            let number = self.next();
            out.extend((0..8).map(|at| ALPHABET[(number >> (at * 6)) as usize & 63]));
        }
        out.extend_from_slice(b"\r\n");
    }
}
