//! The base subject (RFC 5256 §2.1): what is left of a subject when "Re:", "[list]" and "(fwd)" are taken away.

/// Octets of a subject that are looked at. Taking prefixes away costs time squared in the worst case; no subject that people write
/// comes near.
const SUBJECT_MOST: usize = 2048;

/// The base subject of a decoded subject, and whether what was taken away says that the message is a reply or forward.
pub fn base_subject(subject: &str) -> (String, bool) {
    // (1)
    let mut text = String::with_capacity(subject.len().min(SUBJECT_MOST));
    for letter in subject.chars() {
        let letter = if matches!(letter, '\t' | '\r' | '\n') {
            ' '
        } else {
            letter
        };
        if letter != ' ' || !text.ends_with(' ') {
            text.push(letter);
        }
        if text.len() >= SUBJECT_MOST {
            break;
        }
    }
    let mut reply = false;
    let mut rest = text.as_str();
    loop {
        // (2)
        loop {
            rest = rest.trim_end_matches(' ');
            match strip_end(rest, "(fwd)") {
                Some(shorter) => {
                    rest = shorter;
                    reply = true;
                }
                None => break,
            }
        }
        // (3) to (5)
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(shorter) = leader(rest) {
                rest = shorter;
                reply = true;
            } else if let Some(shorter) = blob(rest).filter(|shorter| !shorter.is_empty()) {
                rest = shorter;
            } else {
                break;
            }
        }
        // (6)
        match strip_start(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => {
                rest = inner;
                reply = true;
            }
            None => return (rest.to_owned(), reply),
        }
    }
}

fn strip_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let head = text.get(..start.len())?;
    head.eq_ignore_ascii_case(start)
        .then(|| text.get(start.len()..).unwrap_or_default())
}

fn strip_end<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(end.len())?;
    text.get(at..)?
        .eq_ignore_ascii_case(end)
        .then(|| text.get(..at).unwrap_or_default())
}

/// After `*subj-blob subj-refwd`.
fn leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(shorter) = blob(rest) {
        rest = shorter;
    }
    let rest = strip_start(rest, "re")
        .or_else(|| strip_start(rest, "fwd"))
        .or_else(|| strip_start(rest, "fw"))?;
    let rest = rest.trim_start_matches(' ');
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// After `subj-blob = "[" *BLOBCHAR "]" *WSP`.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    let rest = inner.get(end..)?.strip_prefix(']')?;
    Some(rest.trim_start_matches(' '))
}

/// The Message-IDs in a value of `References`, `In-Reply-To` or `Message-ID`, normalised: without angle brackets, white space, comments,
/// and without quotes that are not needed (RFC 5256 §3, RFC 5322 §3.6.4). What has no `@` is none. At most `most`, the last ones.
pub fn message_ids(value: &[u8], most: usize) -> Vec<Vec<u8>> {
    let mut ids = std::collections::VecDeque::new();
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'<', rest) {
        rest = rest.get(at + 1..).unwrap_or_default();
        let mut id = Vec::new();
        let mut at_sign = None;
        let mut bytes = rest.iter().copied().enumerate();
        let mut ended = false;
        let mut quoted = false;
        let mut used = rest.len();
        while let Some((i, byte)) = bytes.next() {
            used = i + 1;
            match byte {
                b'\\' if quoted => id.extend(bytes.next().map(|(_, byte)| byte)),
                b'"' => quoted = !quoted,
                _ if quoted => id.push(byte),
                b'>' => {
                    ended = true;
                    break;
                }
                b'<' => {
                    // The one before never ended.
                    used = i;
                    break;
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                byte => {
                    if byte == b'@' {
                        at_sign = at_sign.or(Some(id.len()));
                    }
                    id.push(byte);
                }
            }
        }
        rest = rest.get(used..).unwrap_or_default();
        if ended && at_sign.is_some_and(|at| at > 0 && at + 1 < id.len()) {
            if ids.len() >= most {
                ids.pop_front();
            }
            ids.push_back(id);
        }
    }
    ids.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases() {
        for (subject, base, reply) in [
            ("", "", false),
            ("Hello", "Hello", false),
            ("  Hello \t there  ", "Hello there", false),
            ("Re: Hello", "Hello", true),
            ("RE : Hello", "Hello", true),
            ("re:re: Fwd:\tfw: Hello (fwd) (FWD)", "Hello", true),
            ("[list] Re: Hello", "Hello", true),
            ("Re: [list] Hello", "Hello", true),
            ("[list] Hello", "Hello", false),
            ("[list]", "[list]", false),
            ("[a] [b]", "[b]", false),
            ("Re[2]: Hello", "Hello", true),
            ("Re [2] : Hello", "Hello", true),
            ("Re 2: Hello", "Re 2: Hello", false),
            ("[fwd: Hello]", "Hello", true),
            ("[Fwd: Re: [x] Hello (fwd)]", "Hello", true),
            ("Fwd: [fwd: [fwd: deep]]", "deep", true),
            ("Re:", "", true),
            ("Regarding: you", "Regarding: you", false),
            ("AW: Hallo", "AW: Hallo", false),
            ("Re: Grüße", "Grüße", true),
            ("[unfinished Re: x", "[unfinished Re: x", false),
            ("(fwd)", "", true),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), reply), "{subject}");
        }
        // Time squared for this would be noticed.
        let (base, _) = base_subject(&"[a]".repeat(100_000));
        assert!(base.len() < 8);
    }

    #[test]
    fn ids() {
        for (value, expected) in [
            ("<a@b>", vec!["a@b"]),
            ("<a@b> <c@d>\r\n <e@f>", vec!["a@b", "c@d", "e@f"]),
            (
                "<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>",
                vec!["01KF8JCEOCBS0045PS@xxx.yyy.com"],
            ),
            ("<\"a\\\"b\"@c>", vec!["a\"b@c"]),
            ("your mail of <1@x> (Mon)", vec!["1@x"]),
            ("<no-at-sign>, <a@b>", vec!["a@b"]),
            ("<never ended <a@b>", vec!["a@b"]),
            ("<@b> <a@>", vec![]),
            ("a@b", vec![]),
            ("<a@b", vec![]),
        ] {
            let ids: Vec<String> = message_ids(value.as_bytes(), 9)
                .into_iter()
                .map(|id| String::from_utf8(id).unwrap())
                .collect();
            assert_eq!(ids, expected, "{value}");
        }
        assert_eq!(message_ids(b"<1@x> <2@x> <3@x>", 2), [b"2@x".to_vec(), b"3@x".to_vec()]);
    }
}
