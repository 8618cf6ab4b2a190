//! Whom not to answer: RFC 3834 §2 and §3, RFC 5230 §4.6.

use mime::Field;

/// Senders that are programs, by the local part of their address.
const PROGRAMS: [&str; 6] = [
    "mailer-daemon",
    "listserv",
    "majordomo",
    "noreply",
    "no-reply",
    "donotreply",
];

/// Whether a message from that sender may be answered automatically; why not. `own` are the addresses of whoever would answer.
pub fn may_be_answered(sender: &str, header: &[u8], own: &[String]) -> Result<(), String> {
    if sender.is_empty() {
        return Err("it has no sender to answer".to_owned());
    }
    if own.iter().any(|a| a.eq_ignore_ascii_case(sender)) {
        return Err("it comes from the user's own address".to_owned());
    }
    let local = sender
        .rsplit_once('@')
        .map_or(sender, |(local, _)| local)
        .to_ascii_lowercase();
    if PROGRAMS.contains(&local.as_str())
        || local.starts_with("owner-")
        || local.ends_with("-owner")
        || local.ends_with("-request")
        || local.ends_with("-bounces")
        || local.contains("-bounces+")
    {
        return Err(format!("{sender} is the address of a program"));
    }
    for field in mime::fields(header) {
        if let Some(why) = by_no_person(&field) {
            return Err(why);
        }
        let asks = |value: &str| ["all", "oof", "autoreply"].iter().any(|word| value.contains(word));
        if field.is("x-auto-response-suppress") && asks(&value_of(&field)) {
            return Err("its sender asks for no automatic answer".to_owned());
        }
    }
    Ok(())
}

/// Whether a message was sent by a program, or to many.
pub(crate) fn is_bulk(header: &[u8]) -> bool {
    mime::fields(header).any(|field| by_no_person(&field).is_some())
}

/// How a field shows that no person sent the message to another.
fn by_no_person(field: &Field<'_>) -> Option<String> {
    if starts_with(field, "list-") {
        return Some("it came by a mailing list".to_owned());
    }
    if field.is("auto-submitted") && value_of(field) != "no" {
        return Some("it was sent by a program (Auto-Submitted)".to_owned());
    }
    if field.is("precedence") {
        let value = value_of(field);
        return ["bulk", "junk", "list"]
            .contains(&value.as_str())
            .then(|| format!("it is sent in bulk (Precedence: {value})"));
    }
    None
}

fn value_of(field: &Field<'_>) -> String {
    String::from_utf8_lossy(&mime::unfold(field.value))
        .trim()
        .to_ascii_lowercase()
}

fn starts_with(field: &Field<'_>, start: &str) -> bool {
    field
        .name
        .get(..start.len())
        .is_some_and(|name| name.eq_ignore_ascii_case(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_not_to_answer() {
        let own = ["ada@phys.example".to_owned()];
        for (sender, header, answered) in [
            ("bob@x.example", "Subject: hi\r\n\r\n", true),
            ("bob@x.example", "Auto-Submitted: no\r\n\r\n", true),
            ("bob@x.example", "Precedence: first-class\r\n\r\n", true),
            ("", "\r\n", false),
            ("ADA@phys.example", "\r\n", false),
            ("MAILER-DAEMON@x.example", "\r\n", false),
            ("owner-list@x.example", "\r\n", false),
            ("list-request@x.example", "\r\n", false),
            ("list-bounces+ada=phys.example@x.example", "\r\n", false),
            ("bob@x.example", "List-Id: <l.x.example>\r\n\r\n", false),
            ("bob@x.example", "LIST-UNSUBSCRIBE: <x>\r\n\r\n", false),
            (
                "bob@x.example",
                "Auto-Submitted: auto-replied (vacation)\r\n\r\n",
                false,
            ),
            ("bob@x.example", "Precedence:\r\n Bulk\r\n\r\n", false),
            ("bob@x.example", "X-Auto-Response-Suppress: OOF, DR\r\n\r\n", false),
        ] {
            assert_eq!(
                may_be_answered(sender, header.as_bytes(), &own).is_ok(),
                answered,
                "{sender} {header}"
            );
        }
    }
}
