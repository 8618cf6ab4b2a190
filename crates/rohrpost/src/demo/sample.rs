//! The mail that lies in a demo's mailboxes from the start, of many kinds, all of it made up.

use crate::engine::Engine;
use crate::failure::Failure;
use store::{Digest, Flags, NewMessage};

struct Sample {
    account: &'static str,
    mailbox: &'static str,
    flags: Flags,
    /// Hours before the demo was made.
    age: i64,
    text: &'static str,
}

const fn sample(account: &'static str, mailbox: &'static str, flags: Flags, age: i64, text: &'static str) -> Sample {
    Sample {
        account,
        mailbox,
        flags,
        age,
        text,
    }
}

const ADA: &str = "ada@rohrpost.test";
const BOB: &str = "bob@rohrpost.test";
const SEEN: Flags = Flags::SEEN;
const NEW: Flags = Flags::NONE;
const ANSWERED: Flags = Flags(Flags::SEEN.0 | Flags::ANSWERED.0);
const FLAGGED: Flags = Flags(Flags::SEEN.0 | Flags::FLAGGED.0);

static SAMPLES: &[Sample] = &[
    sample(ADA, "INBOX", SEEN, 170, include_str!("mail/welcome.eml")),
    sample(BOB, "INBOX", SEEN, 170, include_str!("mail/welcome.eml")),
    sample(ADA, "Archive", SEEN, 160, include_str!("mail/latin1.eml")),
    sample(BOB, "Sent", SEEN, 51, include_str!("mail/seminar-1.eml")),
    sample(ADA, "INBOX", ANSWERED, 51, include_str!("mail/seminar-1.eml")),
    sample(ADA, "Sent", SEEN, 50, include_str!("mail/seminar-2.eml")),
    sample(BOB, "INBOX", ANSWERED, 50, include_str!("mail/seminar-2.eml")),
    sample(BOB, "Sent", SEEN, 49, include_str!("mail/seminar-3.eml")),
    sample(ADA, "INBOX", SEEN, 49, include_str!("mail/seminar-3.eml")),
    sample(ADA, "INBOX", FLAGGED, 30, include_str!("mail/measurements.eml")),
    sample(ADA, "Sent", SEEN, 28, include_str!("mail/forwarded.eml")),
    sample(BOB, "INBOX", NEW, 28, include_str!("mail/forwarded.eml")),
    sample(ADA, "Junk", NEW, 27, include_str!("mail/prize.eml")),
    sample(BOB, "INBOX", NEW, 20, include_str!("mail/broken.eml")),
    sample(ADA, "INBOX", NEW, 8, include_str!("mail/newsletter.eml")),
    sample(BOB, "INBOX", NEW, 8, include_str!("mail/newsletter.eml")),
    sample(ADA, "INBOX", NEW, 5, include_str!("mail/invitation.eml")),
    sample(ADA, "INBOX", NEW, 2, include_str!("mail/many-scripts.eml")),
    sample(BOB, "INBOX", NEW, 2, include_str!("mail/many-scripts.eml")),
];

/// Puts the samples into the mailboxes; dates lie before `now`.
pub fn fill(engine: &Engine, now: jiff::Timestamp) -> Result<(), Failure> {
    for sample in SAMPLES {
        let received = now.as_second() - sample.age * 3600;
        let bytes = message(sample, received);
        let fault = |e: &dyn std::fmt::Display| Failure::new(format!("sample mail for {}: {e}", sample.account));
        let digest = Digest::of(&bytes);
        let commit = engine.blobs.put(&bytes).map_err(|e| fault(&e))?;
        commit.wait().map_err(|e| fault(&e))?;
        let owner = crate::admin::find(engine, sample.account)?;
        let account = engine.store.account(owner.id).map_err(|e| fault(&e))?;
        let mailbox = account
            .mailbox_find(sample.mailbox)
            .ok_or_else(|| fault(&format!("no mailbox {}", sample.mailbox)))?;
        let new = NewMessage {
            blob: commit.id(),
            blob_len: commit.len(),
            prefix: b"",
            digest: &digest,
            flags: sample.flags,
            received,
        };
        account
            .message_append(mailbox.id, &new, store::Quota::NONE)
            .map_err(|e| fault(&e))?;
    }
    Ok(())
}

/// The sample as it goes over the wire: fields filled in, CRLF line ends.
fn message(sample: &Sample, received: i64) -> Vec<u8> {
    let date = jiff::Timestamp::from_second(received)
        .map(|t| t.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string())
        .unwrap_or_default();
    let user = sample.account.split('@').next().unwrap_or_default();
    sample
        .text
        .replace("{date}", &date)
        .replace("{to}", sample.account)
        .replace("{user}", user)
        .replace('\n', "\r\n")
        .into_bytes()
}
