//! What iOS and macOS read to set an account up: a configuration profile, an XML property list (Apple, "Configuration Profile Reference").
//! It is not signed, and the device says so.

use crate::offers::{Encryption, Offer, OfferProtocol, Offers};
use crate::xml::Document;

const DOCTYPE: &str =
    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n";

/// The profile for an address of one of our domains. `None`: there is nothing to read or to send with.
pub(crate) fn profile(address: &str, domain: &str, offers: &Offers) -> Option<String> {
    let (incoming, kind) = match offers.best(OfferProtocol::Imap) {
        Some(offer) => (offer, "EmailTypeIMAP"),
        None => (offers.best(OfferProtocol::Pop3)?, "EmailTypePOP"),
    };
    let outgoing = offers.best(OfferProtocol::Submission)?;
    let reversed = domain.rsplit('.').collect::<Vec<_>>().join(".");
    let mut xml = Document::new(DOCTYPE);
    xml.open("plist", &[("version", "1.0")]).open("dict", &[]);
    xml.text("key", "PayloadContent").open("array", &[]).open("dict", &[]);
    string(&mut xml, "EmailAccountDescription", domain);
    string(&mut xml, "EmailAccountType", kind);
    string(&mut xml, "EmailAddress", address);
    server(&mut xml, "Incoming", address, offers.host(), incoming);
    server(&mut xml, "Outgoing", address, offers.host(), outgoing);
    flag(&mut xml, "OutgoingPasswordSameAsIncomingPassword", true);
    payload(
        &mut xml,
        "com.apple.mail.managed",
        &format!("{reversed}.mail.account"),
        domain,
        address,
    );
    xml.close().close();
    payload(&mut xml, "Configuration", &format!("{reversed}.mail"), domain, address);
    string(&mut xml, "PayloadOrganization", domain);
    flag(&mut xml, "PayloadRemovalDisallowed", false);
    Some(xml.finish())
}

fn server(xml: &mut Document, way: &str, address: &str, host: &str, offer: &Offer) {
    let key = |rest: &str| format!("{way}MailServer{rest}");
    string(xml, &key("Authentication"), "EmailAuthPassword");
    string(xml, &key("HostName"), host);
    xml.text("key", &key("PortNumber"))
        .text("integer", &offer.port.to_string());
    // By the port the programs know whether that means STARTTLS.
    flag(xml, &key("UseSSL"), offer.encryption != Encryption::None);
    string(xml, &key("Username"), address);
}

fn payload(xml: &mut Document, kind: &str, identifier: &str, domain: &str, address: &str) {
    string(xml, "PayloadDisplayName", &format!("{domain} mail"));
    string(xml, "PayloadIdentifier", identifier);
    string(xml, "PayloadType", kind);
    string(xml, "PayloadUUID", &uuid(kind, address));
    xml.text("key", "PayloadVersion").text("integer", "1");
}

fn string(xml: &mut Document, key: &str, value: &str) {
    xml.text("key", key).text("string", value);
}

fn flag(xml: &mut Document, key: &str, value: bool) {
    xml.text("key", key).empty(if value { "true" } else { "false" });
}

/// The same for the same account, so that a profile that is loaded again takes the place of the first. RFC 9562 §5.8: version 8 is ours to fill.
fn uuid(kind: &str, address: &str) -> String {
    let hash = |seed: u64| {
        kind.bytes()
            .chain([0])
            .chain(address.bytes())
            .fold(seed, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
            })
    };
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142));
    let high = high & !0xf000 | 0x8000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08X}-{:04X}-{:04X}-{:04X}-{:012X}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
