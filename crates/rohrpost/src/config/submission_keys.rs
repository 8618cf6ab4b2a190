//! The keys of `[submission]`.

use super::keys::{Key, Kind, Section, setting};

/// What RFC 4865 can say: nine digits.
const LONGEST_WAIT: u64 = 999_999_999;

pub static KEYS: &[Key] = &[
    setting(
        Section::Submission,
        "own_senders_only",
        Kind::YesNo,
        "true",
        "People who have logged in send with addresses of their own only: in the envelope, in From and in Sender. `rohrpost account sender` gives \
         somebody further ones.",
        |c, g| {
            c.submission.own_senders_only = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Submission,
        "future_release",
        Kind::Duration,
        "\"30 days\"",
        "How long people's programs may have a message wait until it is sent (FUTURERELEASE): for sending later, and for having second thoughts. \
         `\"0s\"`: not at all.",
        |c, g| {
            let seconds = g.duration().as_secs();
            if seconds > LONGEST_WAIT {
                return Err("is longer than 31 years".to_owned());
            }
            c.submission.future_release = u32::try_from(seconds).ok().filter(|seconds| *seconds > 0);
            Ok(())
        },
    ),
    setting(
        Section::Submission,
        "account_messages",
        Kind::Number,
        "500",
        "Messages that an account may send in an hour. With more it behaves as if its password were stolen: it and the postmaster are told, and what \
         it sends is taken, but waits until `rohrpost account release`. 0: any number.",
        |c, g| {
            c.submission.account_messages = g.number();
            Ok(())
        },
    ),
    setting(
        Section::Submission,
        "account_recipients",
        Kind::Number,
        "5000",
        "Recipients of them, likewise.",
        |c, g| {
            c.submission.account_recipients = g.number();
            Ok(())
        },
    ),
    setting(
        Section::Submission,
        "account_networks",
        Kind::Number,
        "10",
        "Networks (IPv4: /24, IPv6: /64) from which an account may send within an hour, likewise.",
        |c, g| {
            c.submission.account_networks = g.number();
            Ok(())
        },
    ),
    setting(
        Section::Submission,
        "unlimited_accounts",
        Kind::Text,
        "\"\"",
        "Addresses, separated by spaces, of accounts that may send any number: programs that write to many.",
        |c, g| {
            c.submission.unlimited_accounts = g.text().split_ascii_whitespace().map(str::to_owned).collect();
            Ok(())
        },
    ),
];
