//! The keys of `[forwarding]`.

use super::keys::{Key, Kind, Section, setting};

pub static KEYS: &[Key] = &[
    setting(
        Section::Forwarding,
        "rewrite",
        Kind::YesNo,
        "true",
        "The return path of what is sent on to other servers becomes one of ours (SRS), so that SPF does not take it for forged there. Bounces come back \
         here and go on to the sender.",
        |c, g| {
            c.forwarding.rewrite = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Forwarding,
        "seal",
        Kind::YesNo,
        "true",
        "What was found of a message when it came is sealed (ARC) where it is sent on. Needs a DKIM key of the domain (`rohrpost dkim`).",
        |c, g| {
            c.forwarding.seal = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Forwarding,
        "failures",
        Kind::OneOf(&["sender", "owner"]),
        "\"sender\"",
        "Who is told when what an account sends on cannot be delivered: the message's `sender`, or the `owner` of the account. `rohrpost account forwarding` \
         says it for a single account. Of what an alias `staff@` sends on, `owner-staff@` is told where there is such an address.",
        |c, g| {
            c.forwarding.tells_owner = g.text() == "owner";
            Ok(())
        },
    ),
];
