//! What Thunderbird, K-9, Evolution and others read to set an account up: Thunderbird's `clientConfig`, version 1.1
//! (draft-ietf-mailmaint-autoconfig). It names ports; the program puts the address in as the login name, so nothing here depends on it.

use crate::offers::{Encryption, OfferProtocol, Offers};
use crate::xml::Document;

/// The document for a domain.
pub(crate) fn document(domain: &str, offers: &Offers) -> String {
    let mut xml = Document::new("");
    xml.open("clientConfig", &[("version", "1.1")])
        .open("emailProvider", &[("id", domain)])
        .text("domain", domain)
        .text("displayName", domain)
        .text("displayShortName", domain);
    for (protocol, element, kind) in [
        (OfferProtocol::Imap, "incomingServer", "imap"),
        (OfferProtocol::Pop3, "incomingServer", "pop3"),
        (OfferProtocol::Submission, "outgoingServer", "smtp"),
    ] {
        for offer in offers.of(protocol) {
            let socket = match offer.encryption {
                Encryption::Immediate => "SSL",
                Encryption::StartTls => "STARTTLS",
                Encryption::None => "plain",
            };
            xml.open(element, &[("type", kind)])
                .text("hostname", offers.host())
                .text("port", &offer.port.to_string())
                .text("socketType", socket)
                // The password as it is, inside TLS; SCRAM would ask for what the server does not keep.
                .text("authentication", "password-cleartext")
                .text("username", "%EMAILADDRESS%")
                .close();
        }
    }
    xml.finish()
}
