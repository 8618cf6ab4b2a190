//! Messages that a script makes: answers, notices, refusals, and what is sent on. Each says that a program wrote it (RFC 3834 §5), and what
//! could go round in circles carries the mark by which it is known again.

use mime::{crlf, encode_header, header_field, header_fields, one_line, text_part};
use sieve::{Notify, Vacation};
use std::fmt::Write;

/// Who the messages come from, and when.
pub struct From<'f> {
    /// The user's address.
    pub address: &'f str,
    /// The user's name; may be empty.
    pub name: &'f str,
    /// Our name.
    pub hostname: &'f str,
    /// A word that no other message of ours has, for its Message-ID.
    pub unique: &'f str,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// References kept of a long thread (RFC 5322 §3.6.4 would keep all).
const REFERENCES: usize = 2000;
/// Octets of the original that a refusal gives back: its header, no more than this.
const RETURNED: usize = 32 * 1024;

/// A message that is sent on: a line of our way (RFC 5321 §4.4), and for whom we did so, by which a circle is known.
/// To several, nobody of them is named to the others.
pub fn redirect(from: &From<'_>, message: &[u8], to: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 300);
    let mut head = format!("Received: by {} with Sieve id {}", from.hostname, from.unique);
    if let Some(to) = to {
        let _ = write!(head, "\r\n\tfor <{}>", one_line(to));
    }
    head.push_str(";\r\n\t");
    push_date(&mut head, from.now);
    let _ = write!(head, "\r\nDelivered-To: {}\r\n", from.address);
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(message);
    out
}

/// An answer (RFC 5230 §5).
pub fn vacation(from: &From<'_>, message: &[u8], vacation: &Vacation) -> Vec<u8> {
    let mut head = Head::new(from, "vacation");
    match &vacation.from {
        Some(address) => head.field("From", &encode_address(address)),
        None => head.own_from(),
    }
    head.field("To", &format!("<{}>", one_line(&vacation.to)));
    let subject = match &vacation.subject {
        Some(subject) => subject.clone(),
        None => match text_field(message, "Subject") {
            Some(subject) => format!("Auto: {subject}"),
            None => "Automatic answer".to_owned(),
        },
    };
    head.field("Subject", &encode_header(&subject));
    head.thread(message);
    head.field("Auto-Submitted", "auto-replied (vacation)");
    if vacation.mime {
        head.mime_part(&vacation.reason)
    } else {
        head.text(&vacation.reason)
    }
}

/// A notice by mail (RFC 5436). `None` where nobody is to be told.
pub fn notice(from: &From<'_>, message: &[u8], notify: &Notify) -> Option<(Vec<u8>, Vec<String>)> {
    let mailto = notify.mailto.as_ref()?;
    let mut recipients: Vec<String> = mailto.to.clone();
    let mut head = Head::new(from, "notify");
    match &notify.from {
        Some(address) => head.field("From", &encode_address(address)),
        None => head.own_from(),
    }
    if !mailto.to.is_empty() {
        let to: Vec<String> = mailto.to.iter().map(|a| format!("<{}>", one_line(a))).collect();
        head.field("To", &to.join(", "));
    }
    let mut subject = None;
    for (name, value) in &mailto.fields {
        match name.to_ascii_lowercase().as_str() {
            "subject" => subject = Some(value.clone()),
            "to" | "cc" | "bcc" => {
                let more = value.split(',').map(|a| a.trim().trim_matches(['<', '>']).to_owned());
                recipients.extend(more.filter(|a| a.contains('@')));
                if !name.eq_ignore_ascii_case("bcc") {
                    head.field(name, &encode_address(value));
                }
            }
            // What belongs to us, or to a message of its own, is not for the URI to say (RFC 5436 §2.3).
            "from" | "date" | "message-id" | "auto-submitted" | "received" | "references" | "in-reply-to" => {}
            other if other.starts_with("content-") || other.starts_with("mime-") || other.starts_with("resent-") => {}
            _ => head.field(name, &encode_header(value)),
        }
    }
    let original = || text_field(message, "Subject").unwrap_or_default();
    let subject = match (&notify.message, subject) {
        (Some(text), _) => text.clone(),
        (None, Some(subject)) => subject,
        (None, None) => format!("New mail: {}", original()),
    };
    head.field("Subject", &encode_header(&subject));
    head.thread(message);
    head.field(
        "Importance",
        match notify.importance {
            1 => "high",
            3 => "low",
            _ => "normal",
        },
    );
    head.field(
        "Auto-Submitted",
        &format!("auto-notified; owner-email=\"{}\"", one_line(from.address)),
    );
    if recipients.is_empty() {
        return None;
    }
    let sender = text_field(message, "From").unwrap_or_default();
    let body = match &mailto.body {
        Some(body) => body.clone(),
        None => format!("New mail\r\n\r\nFrom: {sender}\r\nSubject: {}\r\n", original()),
    };
    Some((head.text(&body), recipients))
}

/// A refusal after the sender has gone: a disposition notification (RFC 5429 §2.2, RFC 8098).
pub fn refusal(from: &From<'_>, message: &[u8], to: &str, reason: &str) -> Vec<u8> {
    let mut head = Head::new(from, "reject");
    head.own_from();
    head.field("To", &format!("<{}>", one_line(to)));
    let subject = text_field(message, "Subject").unwrap_or_default();
    head.field("Subject", &encode_header(&format!("Refused: {subject}")));
    head.thread(message);
    head.field("Auto-Submitted", "auto-replied (rejected)");
    let mut report = format!(
        "Reporting-UA: {}; Rohrpost\r\nFinal-Recipient: rfc822;{}\r\n",
        from.hostname, from.address
    );
    if let Some(id) = text_field(message, "Message-ID") {
        let _ = write!(report, "Original-Message-ID: {}\r\n", one_line(&id));
    }
    report.push_str("Disposition: automatic-action/MDN-sent-automatically; deleted\r\n");
    let header = header_of(message);
    let text = format!(
        "Your message to {} was refused by the recipient's mail filter.\r\n\r\n{reason}\r\n",
        from.address
    );
    head.report(
        "disposition-notification",
        "message/disposition-notification",
        &text,
        &report,
        &header,
    )
}

/// A complaint in the Abuse Reporting Format (RFC 5965).
pub fn report(from: &From<'_>, message: &[u8], to: &str, feedback: &str, text: &str, headers_only: bool) -> Vec<u8> {
    let mut head = Head::new(from, "report");
    head.own_from();
    head.field("To", &format!("<{}>", one_line(to)));
    let subject = text_field(message, "Subject").unwrap_or_default();
    head.field("Subject", &encode_header(&format!("Report: {subject}")));
    head.field("Auto-Submitted", "auto-generated (report)");
    let fields = format!(
        "Feedback-Type: {}\r\nUser-Agent: Rohrpost\r\nVersion: 1\r\nOriginal-Rcpt-To: <{}>\r\n",
        one_line(feedback),
        from.address
    );
    let returned = if headers_only {
        header_of(message)
    } else {
        message.to_vec()
    };
    head.report("feedback-report", "message/feedback-report", text, &fields, &returned)
}

/// To the user: the script fails. `kept` says where the message is.
pub fn fault(from: &From<'_>, script: &str, error: &str, subject_of: &[u8], kept: &str) -> Vec<u8> {
    let mut head = Head::new(from, "fault");
    head.field("From", &format!("Mail filter <postmaster@{}>", from.hostname));
    head.field("To", &format!("<{}>", from.address));
    head.field(
        "Subject",
        &encode_header(&format!("Your mail filter \"{script}\" has failed")),
    );
    head.field("Auto-Submitted", "auto-generated (sieve)");
    let subject = text_field(subject_of, "Subject").unwrap_or_default();
    head.text(&format!(
        "Your mail filter \"{script}\" could not be run to its end:\r\n\r\n    {error}\r\n\r\n\
         The message \"{subject}\" {kept}, and so it will be with others until the filter is mended.\r\n\
         You are told once a day.\r\n"
    ))
}

/// A header being written.
struct Head<'f> {
    from: &'f From<'f>,
    text: String,
}

impl<'f> Head<'f> {
    fn new(from: &'f From<'f>, kind: &str) -> Head<'f> {
        let mut text = String::from("Date: ");
        push_date(&mut text, from.now);
        let _ = write!(text, "\r\nMessage-ID: <{}.{kind}@{}>\r\n", from.unique, from.hostname);
        Head { from, text }
    }

    fn field(&mut self, name: &str, value: &str) {
        let name: String = name.chars().filter(|c| c.is_ascii_graphic() && *c != ':').collect();
        let _ = write!(self.text, "{name}: {}\r\n", one_line(value));
    }

    fn own_from(&mut self) {
        let value = match self.from.name {
            "" => format!("<{}>", self.from.address),
            name => format!("{} <{}>", phrase(name), self.from.address),
        };
        self.field("From", &value);
    }

    /// In which thread it stands (RFC 5322 §3.6.4).
    fn thread(&mut self, message: &[u8]) {
        let Some(id) = text_field(message, "Message-ID").filter(|id| id.is_ascii() && id.len() < 998) else {
            return;
        };
        self.field("In-Reply-To", &id);
        let before = text_field(message, "References")
            .or_else(|| text_field(message, "In-Reply-To"))
            .filter(|r| r.is_ascii())
            .unwrap_or_default();
        let mut ids: Vec<&str> = before.split_ascii_whitespace().collect();
        ids.push(&id);
        // Of a long thread its beginning and its end.
        while ids.len() > 2 && ids.iter().map(|i| i.len() + 3).sum::<usize>() > REFERENCES {
            ids.remove(1);
        }
        let _ = write!(self.text, "References: {}\r\n", ids.join("\r\n "));
    }

    fn text(mut self, body: &str) -> Vec<u8> {
        self.text.push_str("MIME-Version: 1.0\r\n");
        self.text.push_str(&text_part(body));
        self.text.into_bytes()
    }

    /// A part that brings its own header (RFC 5230 §4.4).
    fn mime_part(mut self, part: &str) -> Vec<u8> {
        self.text.push_str("MIME-Version: 1.0\r\n");
        let part = crlf(part);
        // Of its header only what describes content; the rest is ours to say.
        let end = mime::header_end(part.as_bytes());
        let (header, body) = part.split_at(end.min(part.len()));
        let mut any = false;
        for field in mime::fields(header.as_bytes()) {
            if field.name.to_ascii_lowercase().starts_with(b"content-") {
                any = true;
                self.text.push_str(&String::from_utf8_lossy(field.raw));
            }
        }
        if !any {
            self.text.push_str("Content-Type: text/plain; charset=utf-8\r\n");
        }
        if !body.is_ascii() && header_field(header.as_bytes(), "Content-Transfer-Encoding").is_none() {
            self.text.push_str("Content-Transfer-Encoding: 8bit\r\n");
        }
        self.text.push_str("\r\n");
        self.text.push_str(body);
        if !self.text.ends_with("\r\n") {
            self.text.push_str("\r\n");
        }
        self.text.into_bytes()
    }

    /// multipart/report (RFC 6522).
    fn report(mut self, kind: &str, media: &str, text: &str, fields: &str, returned: &[u8]) -> Vec<u8> {
        let boundary = format!("=_{}", self.from.unique);
        let _ = write!(
            self.text,
            "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type={kind};\r\n boundary=\"{boundary}\"\r\n\r\n"
        );
        let _ = write!(self.text, "--{boundary}\r\n{}", text_part(text));
        let _ = write!(self.text, "\r\n--{boundary}\r\nContent-Type: {media}\r\n\r\n{fields}");
        let whole = mime::header_end(returned) < returned.len();
        let media = if whole { "message/rfc822" } else { "text/rfc822-headers" };
        let _ = write!(self.text, "\r\n--{boundary}\r\nContent-Type: {media}\r\n\r\n");
        let mut out = self.text.into_bytes();
        out.extend_from_slice(returned);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        out
    }
}

fn header_of(message: &[u8]) -> Vec<u8> {
    let end = mime::header_end(message).min(RETURNED);
    let header = message.get(..end).unwrap_or_default();
    let mut kept = header_fields(header, &[], true);
    // Its own empty line would make it look like a message without a body.
    if kept.ends_with(b"\r\n\r\n") {
        kept.truncate(kept.len() - 2);
    }
    kept
}

fn push_date(out: &mut String, now: i64) {
    let mut date = Vec::with_capacity(32);
    smtp::date(now, &mut date);
    out.push_str(&String::from_utf8_lossy(&date));
}

/// A field of a message, decoded.
fn text_field(message: &[u8], name: &str) -> Option<String> {
    let header = message.get(..mime::header_end(message)).unwrap_or_default();
    let value = header_field(header, name)?;
    let text = mime::decode_header(&value);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A display name (RFC 5322 §3.2.5).
fn phrase(name: &str) -> String {
    if name.is_ascii() {
        format!("\"{}\"", one_line(name).replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        encode_header(name)
    }
}

/// `Name <address>` with its name encoded.
fn encode_address(address: &str) -> String {
    if address.is_ascii() {
        return one_line(address);
    }
    match address.rsplit_once('<') {
        Some((name, rest)) => format!("{} <{}", encode_header(name.trim().trim_matches('"')), one_line(rest)),
        None => one_line(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: From<'_> = From {
        address: "ada@phys.example",
        name: "Ada Lövelace",
        hostname: "mail.phys.example",
        unique: "0ABC",
        now: 1_700_000_000,
    };
    const MESSAGE: &[u8] = b"From: Bob <bob@x.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <2@x>\r\nReferences: <0@x>\r\n <1@x>\r\n\r\nHi\r\n";

    #[test]
    fn an_answer() {
        let asked = Vacation {
            to: "bob@x.example".into(),
            from: None,
            subject: None,
            reason: "Bin im Süden.\nBis bald".into(),
            mime: false,
            handle: "h".into(),
            seconds: 86_400,
            fcc: None,
        };
        let text = String::from_utf8(vacation(&FROM, MESSAGE, &asked)).unwrap();
        assert_eq!(
            text,
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <0ABC.vacation@mail.phys.example>\r\n\
             From: =?UTF-8?Q?Ada_L=C3=B6velace?= <ada@phys.example>\r\nTo: <bob@x.example>\r\n\
             Subject: =?UTF-8?Q?Auto=3A_Gr=C3=BC=C3=9Fe?=\r\nIn-Reply-To: <2@x>\r\nReferences: <0@x>\r\n <1@x>\r\n <2@x>\r\n\
             Auto-Submitted: auto-replied (vacation)\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nBin im S=C3=BCden.\r\nBis bald\r\n"
        );
        let html = Vacation {
            mime: true,
            subject: Some("weg\r\nBcc: x@y".into()),
            reason: "Content-Type: text/html\nTo: everybody@x.example\n\n<b>away</b>".into(),
            ..asked
        };
        let text = String::from_utf8(vacation(&FROM, MESSAGE, &html)).unwrap();
        assert!(text.contains("Subject: weg  Bcc: x@y\r\n"), "{text}");
        assert!(
            text.ends_with("MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<b>away</b>\r\n"),
            "{text}"
        );
        assert!(!text.contains("everybody"));
    }

    #[test]
    fn what_is_sent_on_says_by_whom() {
        let text = String::from_utf8(redirect(&FROM, MESSAGE, Some("c@y.example"))).unwrap();
        assert!(text.starts_with(
            "Received: by mail.phys.example with Sieve id 0ABC\r\n\tfor <c@y.example>;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n\
             Delivered-To: ada@phys.example\r\nFrom: Bob"
        ), "{text}");
    }

    #[test]
    fn a_refusal_is_a_report() {
        let text = refusal(&FROM, MESSAGE, "bob@x.example", "Nein, danke.");
        let mut scanner = mime::Scanner::new(mime::Limits::default());
        scanner.push(&text);
        let structure = scanner.finish();
        assert_eq!(structure.parts().len(), 4, "{}", String::from_utf8_lossy(&text));
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("report-type=disposition-notification"));
        assert!(text.contains(
            "Original-Message-ID: <2@x>\r\nDisposition: automatic-action/MDN-sent-automatically; deleted\r\n"
        ));
    }
}
