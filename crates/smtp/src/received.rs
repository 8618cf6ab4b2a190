//! The trace header: RFC 5321 §4.4, with the keywords of RFC 3848 and RFC 6531 §4.3.

use crate::{Address, Tls};
use std::io::Write;
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

/// Appends a date as RFC 5322 §3.3 writes it, in UTC.
pub fn date(time: i64, output: &mut Vec<u8>) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // Years 1970 to 9999: four digits, as the grammar has it.
    let time = time.clamp(0, 253_402_300_799);
    let (days, seconds) = (time / 86_400, time % 86_400);
    // Days since 1 March of year 0, in the proleptic calendar: then leap days come last in their year, era and cycle.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    let weekday = DAYS.get((days % 7) as usize).copied().unwrap_or_default();
    let month = MONTHS.get(month as usize).copied().unwrap_or_default();
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _ = write!(
        output,
        "{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let cases = [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (880_127_706, "Fri, 21 Nov 1997 15:55:06 +0000"), // RFC 5322 appendix A.1.1: 09:55:06 -0600
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_800, "Wed, 1 Mar 2000 00:00:00 +0000"),
            (1_795_485_876, "Tue, 24 Nov 2026 02:04:36 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (-5, "Thu, 1 Jan 1970 00:00:00 +0000"),
        ];
        for (time, expected) in cases {
            let mut output = Vec::new();
            date(time, &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }

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
