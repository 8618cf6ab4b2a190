//! Refusing what a recipient's script refuses, while the sender still waits (RFC 5429 §2.1.1): then the sender's own server tells its user,
//! and no message of ours can hit somebody whose address was forged.
//!
//! Only small messages to accounts whose scripts can refuse at all are looked at; for the others the script speaks at delivery.

use super::Context;
use crate::scripted::{envelope, environment, person};
use directory::Resolution;
use filter::{Delivery, Filter, Memory};
use ledger::{Acceptance, NewRecipient};
use smtp::{Reply, Status};

/// For each recipient what its script says, if that is no. Blocks on the disk.
pub(super) fn refusals(
    context: &Context,
    filter: &Filter,
    acceptance: &Acceptance,
    message: &[u8],
) -> Vec<Option<Reply>> {
    let recipients = acceptance.recipients.iter().enumerate();
    recipients
        .map(|(number, recipient)| refused(context, filter, acceptance, message, number, recipient))
        .collect()
}

fn refused(
    context: &Context,
    filter: &Filter,
    acceptance: &Acceptance,
    message: &[u8],
    number: usize,
    recipient: &NewRecipient,
) -> Option<Reply> {
    let Resolution::Account { account, .. } = context.directory.resolve(&recipient.address) else {
        return None;
    };
    // Whatever goes wrong here comes up again at delivery, where it is dealt with.
    let account = context.store.account(account).ok()?;
    if !filter.may_reject(&account) {
        return None;
    }
    let delivery = Delivery {
        message,
        envelope: envelope(
            acceptance,
            &recipient.address,
            recipient.original.as_deref(),
            recipient.notify.as_deref(),
        ),
        now: acceptance.received_at,
        unique: format!("{}.{number}", acceptance.id),
        environment: environment(acceptance),
        flags: Vec::new(),
        rehearsal: true,
    };
    let person = person(&context.directory, &account);
    let verdict = filter.decide(&account, &person, &delivery, &Memory::default()).ok()?;
    let refusal = verdict
        .refusal
        .as_ref()
        .filter(|_| verdict.filed.is_empty() && !verdict.guessed)?;
    let reason: String = refusal.reason.trim().lines().take(5).collect::<Vec<_>>().join("\n");
    // A reply is ASCII; a reason in other letters would be all question marks (RFC 5429 §2.1.1).
    let reason = if reason.is_ascii() && !reason.is_empty() {
        reason
    } else {
        "the recipient's mail filter refuses this message".to_owned()
    };
    Some(Reply::new(550, Status(5, 7, 1), reason))
}
