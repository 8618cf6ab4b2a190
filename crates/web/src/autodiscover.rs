//! What Outlook asks for: "plain old XML" Autodiscover (\[MS-OXDSCLI\]), with the answer for IMAP, POP3 and SMTP, and the JSON that leads to it.
//!
//! The question holds an address. Only its domain is looked at; an address nobody has gets the same answer.

use crate::offers::{Encryption, OfferProtocol, Offers};
use crate::xml::Document;
use quick_xml::Reader;
use quick_xml::events::Event;

const ENVELOPE: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
/// The only answer that tells of IMAP.
const OUTLOOK: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
/// Elements of a question; real ones have six.
const ELEMENTS: usize = 100;
/// The longest path of a mailbox (RFC 5321 §4.5.3.1.3).
pub(crate) const ADDRESS: usize = 254;

/// The address of a question. `None`: it is none, or asks for what we have no answer to.
pub(crate) fn question(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut address, mut schema) = (None::<String>, None::<String>);
    // The text of the element we are in, where it is one that counts.
    let mut inside: Option<(bool, String)> = None;
    for _ in 0..ELEMENTS * 3 {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                inside = match start.local_name().as_ref() {
                    "EMailAddress" => Some((true, String::new())),
                    "AcceptableResponseSchema" => Some((false, String::new())),
                    _ => None,
                };
            }
            Event::Text(text) => {
                if let Some((_, all)) = &mut inside {
                    all.push_str(&text);
                }
            }
            Event::GeneralRef(entity) => {
                let text = quick_xml::escape::unescape(&format!("&{};", &*entity))
                    .ok()?
                    .into_owned();
                if let Some((_, all)) = &mut inside {
                    all.push_str(&text);
                }
            }
            Event::End(_) => {
                if let Some((is_address, text)) = inside.take() {
                    let place = if is_address { &mut address } else { &mut schema };
                    *place = Some(text.trim().to_owned());
                }
            }
            // Entities of its own are what XML attacks are made of; no question has any.
            Event::DocType(_) => return None,
            Event::Eof => break,
            _ => {}
        }
    }
    if schema.is_some_and(|schema| !schema.eq_ignore_ascii_case(OUTLOOK)) {
        return None;
    }
    address.filter(|address| !address.is_empty() && address.len() <= ADDRESS)
}

/// The answer for an address of one of our domains.
pub(crate) fn answer(address: &str, offers: &Offers) -> String {
    let mut xml = Document::new("");
    xml.open("Autodiscover", &[("xmlns", ENVELOPE)])
        .open("Response", &[("xmlns", OUTLOOK)])
        .open("User", &[])
        .text("DisplayName", address)
        .close()
        .open("Account", &[])
        .text("AccountType", "email")
        .text("Action", "settings");
    for (protocol, name) in [
        (OfferProtocol::Imap, "IMAP"),
        (OfferProtocol::Pop3, "POP3"),
        (OfferProtocol::Submission, "SMTP"),
    ] {
        let Some(offer) = offers.best(protocol) else { continue };
        let (ssl, encryption) = match offer.encryption {
            Encryption::Immediate => ("on", "SSL"),
            Encryption::StartTls => ("on", "TLS"),
            Encryption::None => ("off", "None"),
        };
        xml.open("Protocol", &[])
            .text("Type", name)
            .text("Server", offers.host())
            .text("Port", &offer.port.to_string())
            .text("DomainRequired", "off")
            .text("LoginName", address)
            .text("SPA", "off")
            .text("SSL", ssl)
            .text("Encryption", encryption)
            .text("AuthRequired", "on");
        if protocol == OfferProtocol::Submission {
            xml.text("UsePOPAuth", "off").text("SMTPLast", "off");
        }
        xml.close();
    }
    xml.finish()
}

/// The answer where there is none to give.
pub(crate) fn refusal() -> String {
    let mut xml = Document::new("");
    xml.open("Autodiscover", &[("xmlns", ENVELOPE)])
        .open("Response", &[])
        .open("Error", &[("Time", "00:00:00"), ("Id", "0")])
        .text("ErrorCode", "600")
        .text("Message", "Invalid Request")
        .empty("DebugData");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        let ask = |address: &str, schema: &str| {
            format!(
                "\u{feff}<?xml version=\"1.0\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
                 <Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
            )
        };
        for (body, expected) in [
            (ask("ada@phys.example", OUTLOOK), Some("ada@phys.example")),
            (ask(" ada@phys.example\n", OUTLOOK), Some("ada@phys.example")),
            (
                ask(
                    "ada@phys.example",
                    "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006",
                ),
                None,
            ),
            (ask(&"a".repeat(300), OUTLOOK), None),
            (
                "<!DOCTYPE a [<!ENTITY b \"c\">]><a><EMailAddress>a@b</EMailAddress></a>".to_owned(),
                None,
            ),
            (
                "<a><EMailAddress>a@b.example</EMailAddress></a>".to_owned(),
                Some("a@b.example"),
            ),
            (
                "<a><EMailAddress>a&amp;b@b.example</EMailAddress></a>".to_owned(),
                Some("a&b@b.example"),
            ),
            ("<a><EMailAddress>a&evil;@b.example</EMailAddress></a>".to_owned(), None),
            ("<a><EMailAddress></EMailAddress></a>".to_owned(), None),
            ("no xml at all".to_owned(), None),
            ("<a><b></a>".to_owned(), None),
            ("<a>".repeat(10_000), None),
            (String::new(), None),
        ] {
            assert_eq!(question(body.as_bytes()).as_deref(), expected, "{body}");
        }
        assert_eq!(question(b"\xff\xfe<\0a\0>\0"), None);
    }
}
