//! Aggregate reports (RFC 7489 §7.2 and appendix C): what a domain is told once a day about mail in its name.

use crate::dmarc::{Policy, Record};
use crate::results::Verdict;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use quick_xml::escape::escape;
use std::fmt::Write as _;
use std::io::Write as _;

/// Who reports.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The name of the organisation.
    pub organization: String,
    /// Whom to write to about it; reports come from there.
    pub contact: String,
    /// Our host.
    pub host: String,
}

/// One line: so many messages from there with that outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client's address.
    pub source: String,
    /// How many.
    pub count: u64,
    /// What was done.
    pub disposition: Policy,
    /// Why something else was done than the domain asked for.
    pub reason: Option<String>,
    /// DKIM passed for the author's domain.
    pub dkim_aligned: bool,
    /// SPF passed for the author's domain.
    pub spf_aligned: bool,
    /// The author's domain.
    pub header_from: String,
    /// The envelope's domain.
    pub envelope_from: String,
    /// Signatures: domain, selector and verdict.
    pub dkim: Vec<(String, String, Verdict)>,
    /// The domain that SPF was checked for, whether as HELO, and the verdict.
    pub spf: Option<(String, bool, Verdict)>,
}

/// A report.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Who reports.
    pub reporter: &'a Reporter,
    /// The domain that it is about: where the record stands.
    pub domain: &'a str,
    /// The record.
    pub record: &'a Record,
    /// From when, in seconds since 1970.
    pub begin: u64,
    /// Up to when.
    pub end: u64,
    /// What there is to tell.
    pub rows: &'a [Row],
}

impl Report<'_> {
    /// A name that no other report of ours has.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.domain, self.begin, self.end)
    }

    /// The XML (appendix C).
    pub fn xml(&self) -> String {
        let mut out = String::with_capacity(1024 + self.rows.len() * 512);
        let relaxed = |strict: bool| if strict { "s" } else { "r" };
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback>\n<version>1.0</version>\n<report_metadata><org_name>{}</org_name>\
             <email>{}</email><report_id>{}</report_id><date_range><begin>{}</begin><end>{}</end></date_range></report_metadata>\n\
             <policy_published><domain>{}</domain><adkim>{}</adkim><aspf>{}</aspf><p>{}</p><sp>{}</sp><pct>{}</pct></policy_published>\n",
            escape(&self.reporter.organization),
            escape(&self.reporter.contact),
            escape(self.id()),
            self.begin,
            self.end,
            escape(self.domain),
            relaxed(self.record.strict_dkim),
            relaxed(self.record.strict_spf),
            self.record.policy.name(),
            self.record.subdomains.name(),
            if self.record.testing { 0 } else { 100 },
        );
        for row in self.rows {
            row.write(&mut out);
        }
        out.push_str("</feedback>\n");
        out
    }

    /// The report as a message to one of its destinations, with the XML packed (§7.2.1.1). `date` is the value of its Date field, `unique`
    /// makes its Message-ID. `None`: it could not be packed.
    pub fn message(&self, to: &str, date: &str, unique: &str) -> Option<Vec<u8>> {
        let packed = self.packed()?;
        let (host, domain) = (&self.reporter.host, self.domain);
        let boundary = format!("=_{unique}");
        let mut out = format!(
            "From: {org} <{from}>\r\nTo: <{to}>\r\nSubject: Report Domain: {domain} Submitter: {host} Report-ID: <{id}>\r\nDate: {date}\r\n\
             Message-ID: <{unique}@{host}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed;\r\n\tboundary=\"{boundary}\"\r\n\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
             This is a DMARC aggregate report for {domain}: what was seen of mail in its name.\r\n\r\n--{boundary}\r\n\
             Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{host}!{domain}!{begin}!{end}.xml.gz\"\r\n\r\n",
            org = phrase(&self.reporter.organization),
            from = self.reporter.contact,
            id = self.id(),
            begin = self.begin,
            end = self.end,
        );
        for line in STANDARD.encode(packed).as_bytes().chunks(76) {
            // Base64 is ASCII.
            out.push_str(std::str::from_utf8(line).unwrap_or_default());
            out.push_str("\r\n");
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "--{boundary}--\r\n");
        Some(out.into_bytes())
    }

    /// The XML, packed with gzip.
    pub fn packed(&self) -> Option<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(self.xml().as_bytes()).ok()?;
        encoder.finish().ok()
    }
}

impl Row {
    fn write(&self, out: &mut String) {
        let passed = |passed: bool| if passed { "pass" } else { "fail" };
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<record><row><source_ip>{}</source_ip><count>{}</count><policy_evaluated><disposition>{}</disposition><dkim>{}</dkim>\
             <spf>{}</spf>",
            escape(&self.source),
            self.count,
            self.disposition.name(),
            passed(self.dkim_aligned),
            passed(self.spf_aligned),
        );
        if let Some(reason) = &self.reason {
            let _ = write!(
                out,
                "<reason><type>local_policy</type><comment>{}</comment></reason>",
                escape(reason)
            );
        }
        let _ = write!(
            out,
            "</policy_evaluated></row><identifiers><envelope_from>{}</envelope_from><header_from>{}</header_from></identifiers><auth_results>",
            escape(&self.envelope_from),
            escape(&self.header_from),
        );
        for (domain, selector, verdict) in &self.dkim {
            let _ = write!(
                out,
                "<dkim><domain>{}</domain><selector>{}</selector><result>{}</result></dkim>",
                escape(domain),
                escape(selector),
                verdict.name()
            );
        }
        if let Some((domain, helo, verdict)) = &self.spf {
            let scope = if *helo { "helo" } else { "mfrom" };
            let _ = write!(
                out,
                "<spf><domain>{}</domain><scope>{scope}</scope><result>{}</result></spf>",
                escape(domain),
                verdict.name()
            );
        }
        out.push_str("</auth_results></record>\n");
    }
}

/// A display name that needs no encoding.
fn phrase(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || " -_".contains(*c))
        .collect();
    format!("\"{}\"", plain.trim())
}
