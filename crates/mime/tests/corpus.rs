//! Three thousand real messages: nothing panics, parts tile, and Python's `email` package sees the same parts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mime::{Envelope, Kind, Limits, Scanner, Structure, decode_part, search_text, sent_date};

/// Where the corpus is beside the repository; tests that need it pass without it, saying so.
fn corpus() -> Option<PathBuf> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/corpus/mail.tar.zst"))
        .find(|path| path.exists());
    if archive.is_none() {
        eprintln!("skipped: no shared/corpus/mail.tar.zst beside the repository");
    }
    archive
}

fn unpack(archive: &Path, folder: &Path) -> Vec<PathBuf> {
    let status = Command::new("tar")
        .args(["-I", "zstd", "-xf"])
        .arg(archive)
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
    files.sort();
    files
}

fn without_mbox_line(bytes: &[u8]) -> &[u8] {
    if !bytes.starts_with(b"From ") {
        return bytes;
    }
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len() - 1);
    &bytes[end + 1..]
}

fn scan(bytes: &[u8]) -> Structure {
    let mut scanner = Scanner::new(Limits::default());
    bytes.chunks(4096).for_each(|chunk| scanner.push(chunk));
    scanner.finish()
}

#[test]
fn real_mail() {
    let Some(archive) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = unpack(&archive, folder.path());
    assert!(files.len() >= 3000);
    let mut dated = 0;
    let mut wanted = String::new();
    let mut list = String::new();
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        let message = without_mbox_line(&bytes);
        let crlf: Vec<u8> = message
            .split_inclusive(|&byte| byte == b'\n')
            .fold(Vec::new(), |mut all, line| {
                all.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
                if line.ends_with(b"\n") {
                    all.extend_from_slice(b"\r\n");
                }
                all
            });
        let structure = scan(message);
        check(&structure, message);
        let other = scan(&crlf);
        check(&other, &crlf);
        // The line ends make no difference to the tree.
        let shape = |structure: &Structure| {
            structure
                .parts()
                .iter()
                .map(|p| (p.kind, p.media_type.clone(), p.media_subtype.clone(), p.lines))
                .collect::<Vec<_>>()
        };
        assert_eq!(shape(&structure), shape(&other), "{}", path.display());
        dated += usize::from(sent_date(&message[..structure.root().body_start as usize]).is_some());
        let _ = search_text(message, &structure, true);
        describe(&structure, message, path, &mut wanted);
        writeln!(list, "{}", path.display()).unwrap();
    }
    assert!(
        dated * 100 > files.len() * 98,
        "only {dated} of {} dates were read",
        files.len()
    );
    compare_with_python(&list, &wanted, files.len());
}

fn check(structure: &Structure, message: &[u8]) {
    let parts = structure.parts();
    assert_eq!((parts[0].header_start, parts[0].body_end), (0, message.len() as u64));
    for pair in parts.windows(2) {
        let within = pair[1].header_start >= pair[0].body_start && pair[1].body_end <= pair[0].body_end;
        assert!(within || pair[1].header_start >= pair[0].body_end);
    }
    for part in parts {
        let body = &message[part.body_start as usize..part.body_end as usize];
        assert_eq!(part.lines, body.iter().filter(|&&byte| byte == b'\n').count() as u64);
    }
    assert_eq!(Structure::decode(&structure.encode()).as_ref(), Ok(structure));
    let envelope = Envelope::parse(&message[..parts[0].body_start as usize]);
    assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
}

/// One line a message: its name, then type and checksum of each part. What `email` calls a defect is marked there.
fn describe(structure: &Structure, message: &[u8], path: &Path, out: &mut String) {
    write!(out, "{}", path.display()).unwrap();
    for part in structure.parts() {
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
        write!(out, " {}/{}", name(&part.media_type), name(&part.media_subtype)).unwrap();
        if part.kind == Kind::Leaf && !part.is("message", "delivery-status") {
            let body = &message[part.body_start as usize..part.body_end as usize];
            write!(out, ":{:08x}", checksum(&decode_part(body, part.transfer_encoding()))).unwrap();
        }
    }
    out.push('\n');
}

/// Adler-32, which Python has in zlib.
fn checksum(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1u32, 0u32);
    for &byte in bytes {
        low = (low + u32::from(byte)) % 65521;
        high = (high + low) % 65521;
    }
    high << 16 | low
}

/// Prints the same lines; messages with a defect get the line `-`.
const PYTHON: &str = r#"
import sys, re, binascii, email, email.policy, zlib
def defective(m):
    if m.defects: return True
    cte = str(m.get('content-transfer-encoding', '7bit')).strip().lower()
    if cte not in ('7bit', '8bit', 'binary', 'base64', 'quoted-printable'): return True
    if cte == 'quoted-printable' and '==' in str(m._payload): return True
    if cte == 'base64' and not m.is_multipart():
        m.get_payload(decode=True)
        if m.defects: return True
    return m.is_multipart() and any(defective(p) for p in m.get_payload())
# RFC 2045 6.7 rule 3 (white space at the end of a line goes) is left out by Python; delivery-status is made a multipart.
def decoded(p):
    if str(p.get('content-transfer-encoding', '')).strip().lower() == 'quoted-printable':
        raw = p._payload.encode('ascii', 'surrogateescape')
        return binascii.a2b_qp(re.sub(rb'[ \t]+(?=\n|$)', b'', raw))
    return p.get_payload(decode=True)
def describe(p):
    kind = p.get_content_type().split()[0]
    if kind == 'message/delivery-status': return ' ' + kind
    if p.is_multipart(): return ' ' + kind + ''.join(describe(q) for q in p.get_payload())
    return ' %s:%08x' % (kind, zlib.adler32(decoded(p)))
for path in sys.stdin.read().splitlines():
    raw = open(path, 'rb').read()
    if raw.startswith(b'From '): raw = raw[raw.index(b'\n') + 1:]
    m = email.message_from_bytes(raw, policy=email.policy.compat32)
    if defective(m):
        print('-'); continue
    print(path + describe(m))
"#;

fn compare_with_python(list: &str, ours: &str, count: usize) {
    let child = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no python3 to compare with");
        return;
    };
    let mut stdin = child.stdin.take().unwrap();
    let list = list.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.lines().count(), count);
    let mut compared = 0;
    let mut different = Vec::new();
    for (ours, theirs) in ours.lines().zip(theirs.lines()).filter(|(_, theirs)| *theirs != "-") {
        compared += 1;
        if ours != theirs {
            different.push(format!("ours   {ours}\npython {theirs}\n"));
        }
    }
    eprintln!("{compared} of {count} messages compared");
    assert!(
        compared * 100 > count * 90,
        "only {compared} of {count} could be compared"
    );
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("")
    );
}
