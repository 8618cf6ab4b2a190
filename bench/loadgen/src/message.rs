//! Messages as mail is: a few header fields, some text, and about as much of an attachment that does not compress.

const WORDS: &[&str] = &[
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "as",
    "was",
    "with",
    "be",
    "by",
    "on",
    "not",
    "his",
    "are",
    "this",
    "measurement",
    "laboratory",
    "beam",
    "detector",
    "seminar",
    "Thursday",
    "please",
    "attached",
    "figure",
    "revised",
    "draft",
    "regards",
    "tomorrow",
    "office",
    "meeting",
    "students",
    "exam",
    "semester",
    "proposal",
    "deadline",
    "calibration",
    "vacuum",
    "pump",
    "helium",
    "temperature",
    "sample",
    "spectrum",
    "resonance",
    "cavity",
    "laser",
    "mirror",
    "aligned",
    "again",
    "because",
    "however",
    "although",
    "committee",
    "travel",
    "expenses",
    "receipt",
    "signed",
    "forward",
    "question",
    "answer",
    "thanks",
    "minutes",
    "agenda",
    "colloquium",
    "printer",
    "network",
    "password",
    "account",
    "server",
    "backup",
    "disk",
    "quota",
    "cluster",
    "simulation",
    "converges",
    "parameter",
];
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Octets of a line of the stock, with its end.
const LINE: usize = 78;
const LINES: usize = 16_384;

/// Lines of text and of base64, from which messages are put together at the cost of copying.
pub struct Stock {
    text: Vec<u8>,
    base64: Vec<u8>,
    run: String,
}

impl Stock {
    /// The same stock for the same seed; `run` goes into every Message-ID.
    pub fn new(seed: u64, run: String) -> Stock {
        let mut random = seed;
        let mut next = move || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize
        };
        let mut text = Vec::with_capacity(LINE * LINES);
        let mut base64 = Vec::with_capacity(LINE * LINES);
        for _ in 0..LINES {
            let begin = text.len();
            while text.len() - begin < LINE - 2 {
                // Common words are common: the smaller of two numbers.
                let word = WORDS
                    .get((next() % WORDS.len()).min(next() % WORDS.len()))
                    .copied()
                    .unwrap_or_default();
                text.extend_from_slice(word.as_bytes());
                text.push(b' ');
            }
            text.truncate(begin + LINE - 2);
            text.extend_from_slice(b"\r\n");
            base64.extend((0..LINE - 2).map(|_| LETTERS.get(next() % 64).copied().unwrap_or(b'A')));
            base64.extend_from_slice(b"\r\n");
        }
        Stock { text, base64, run }
    }

    /// Message number `n` to `to`, of about `size` octets, ready for DATA: with the final dot. From one of a hundred, who came by another server;
    /// or from `author`, as a program of theirs sends it.
    pub fn write(&self, n: usize, author: Option<&str>, to: &str, size: usize, out: &mut Vec<u8>) {
        out.clear();
        let begin = n.wrapping_mul(7919) % LINES;
        let (trace, from) = match author {
            Some(author) => (String::new(), author.to_owned()),
            None => (
                format!(
                    "Received: from relay.sender.test (relay.sender.test [192.0.2.25])\r\n\tby mx.sender.test with ESMTPS id {n:08X};\r\n\
                     \tTue, 24 Nov 2026 03:00:00 +0000\r\n"
                ),
                format!("load{}@sender.test", n % 100),
            ),
        };
        let head = format!(
            "{trace}Date: Tue, 24 Nov 2026 03:00:00 +0000\r\nFrom: \"Load {n}\" <{from}>\r\n\
             To: <{to}>\r\nSubject: {} {n}\r\nMessage-ID: <{}.{n}@sender.test>\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=\"=-{n}\"\r\n\r\n--=-{n}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
            self.subject(begin),
            self.run,
        );
        out.extend_from_slice(head.as_bytes());
        let between = format!(
            "\r\n--=-{n}\r\nContent-Type: application/octet-stream; name=\"{n}.dat\"\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"{n}.dat\"\r\n\r\n"
        );
        let end = format!("--=-{n}--\r\n");
        let room = size.saturating_sub(head.len() + between.len() + end.len());
        let lines = room / LINE;
        copy(&self.text, begin, lines / 2, out);
        out.extend_from_slice(between.as_bytes());
        copy(&self.base64, begin, lines - lines / 2, out);
        out.extend_from_slice(end.as_bytes());
        out.extend_from_slice(b".\r\n");
    }

    fn subject(&self, line: usize) -> &str {
        let text = self.text.get(line * LINE..line * LINE + 30).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default().trim()
    }
}

/// `lines` lines from line `begin` on, round and round.
fn copy(stock: &[u8], begin: usize, lines: usize, out: &mut Vec<u8>) {
    let mut left = lines;
    let mut at = begin;
    while left > 0 {
        let now = left.min(LINES - at);
        out.extend_from_slice(stock.get(at * LINE..(at + now) * LINE).unwrap_or_default());
        left -= now;
        at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_size_and_no_stray_dots() {
        let stock = Stock::new(1, "run".into());
        let mut message = Vec::new();
        for (n, size) in [(0, 0), (1, 1000), (2, 10_240), (3, 5_000_000)] {
            stock.write(n, None, "a@example.test", size, &mut message);
            let text = message.strip_suffix(b".\r\n").unwrap();
            assert!(
                size < 1000 || (text.len() <= size && text.len() + LINE > size),
                "{} of {size}",
                text.len()
            );
            assert!(text.ends_with(b"\r\n") && !text.windows(3).any(|w| w == b"\r\n."));
        }
    }
}
