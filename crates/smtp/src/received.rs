//! The trace header: RFC 5321 §4.4, with the keywords of RFC 3848 and RFC 6531 §4.3.

use crate::{Address, Tls, date};
use std::net::IpAddr;

/// What a Received line tells of a message's way through this server.
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// What the client called itself in EHLO, HELO or LHLO.
    pub helo: &'a str,
    /// Where the client's bytes came from.
    pub peer: Option<IpAddr>,
    /// Our name.
    pub hostname: &'a str,
    /// `ESMTPS` and its like: [`Session::protocol`](crate::Session::protocol).
    pub protocol: &'a str,
    /// The message's id in the ledger.
    pub id: &'a str,
    /// The connection's TLS.
    pub tls: Option<&'a Tls>,
    /// The recipient, where there is only one; with several, none is named (RFC 5321 §7.6).
    pub recipient: Option<&'a Address>,
    /// Now, in seconds since 1970.
    pub time: i64,
}

impl Received<'_> {
    /// Appends the header, folded, with its final CRLF.
    pub fn write(&self, output: &mut Vec<u8>) {
        let mut line = String::with_capacity(320);
        line.push_str("Received: from ");
        push_host(&mut line, self.helo);
        match self.peer.map(|peer| peer.to_canonical()) {
            Some(IpAddr::V4(peer)) => line.push_str(&format!(" ([{peer}])")),
            Some(IpAddr::V6(peer)) => line.push_str(&format!(" ([IPv6:{peer}])")),
            None => {}
        }
        line.push_str("\r\n\tby ");
        push_host(&mut line, self.hostname);
        line.push_str(" with ");
        line.push_str(self.protocol);
        line.push_str(" id ");
        line.push_str(self.id);
        if let Some(tls) = self.tls {
            line.push_str("\r\n\t(using ");
            push_comment(&mut line, &tls.version);
            line.push_str(" with cipher ");
            push_comment(&mut line, &tls.cipher);
            line.push(')');
        }
        if let Some(recipient) = self.recipient {
            line.push_str("\r\n\tfor <");
            line.push_str(recipient.as_str());
            line.push('>');
        }
        line.push_str(";\r\n\t");
        output.extend_from_slice(line.as_bytes());
        date(self.time, output);
        output.extend_from_slice(b"\r\n");
    }
}

/// A host name or address literal that somebody else chose: what could end the token or the line becomes `?`.
fn push_host(line: &mut String, host: &str) {
    if host.is_empty() {
        line.push_str("unknown");
    }
    for c in host.chars().take(255) {
        line.push(
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']') {
                c
            } else {
                '?'
            },
        );
    }
}

fn push_comment(line: &mut String, text: &str) {
    line.extend(text.chars().map(|c| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
            c
        } else {
            '?'
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let tls = Tls {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            binding: true,
            certificate: false,
        };
        let recipient = Address::parse("ada@phys.example").unwrap();
        let mut received = Received {
            helo: "client.example",
            peer: Some("192.0.2.1".parse().unwrap()),
            hostname: "mail.phys.example",
            protocol: "ESMTPS",
            id: "3fa9",
            tls: Some(&tls),
            recipient: Some(&recipient),
            time: 0,
        };
        let text = |received: &Received<'_>| {
            let mut output = Vec::new();
            received.write(&mut output);
            String::from_utf8(output).unwrap()
        };
        assert_eq!(
            text(&received),
            "Received: from client.example ([192.0.2.1])\r\n\tby mail.phys.example with ESMTPS id 3fa9\r\n\
             \t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n\tfor <ada@phys.example>;\r\n\
             \tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
        received.helo = "a(b)\\c;d";
        received.peer = Some("2001:db8::1".parse().unwrap());
        received.tls = None;
        received.recipient = None;
        assert_eq!(
            text(&received),
            "Received: from a?b??c?d ([IPv6:2001:db8::1])\r\n\tby mail.phys.example with ESMTPS id 3fa9;\r\n\
             \tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
    }
}
