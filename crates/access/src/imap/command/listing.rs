//! FETCH of many messages at one go: rows are walked in order, answers written where they lie, small octets read in between. What is
//! large, damaged or otherwise out of the ordinary is left to the path that takes one message at a time.

use super::fetch::{Work, simple_item};
use super::section::{Octets, PIECE, Reading};
use crate::imap::selected::begin;
use imap::command::{FetchItem, Section, SectionText};
use imap::response::FetchResponse;
use std::ops::ControlFlow;
use store::{LISTED_FIELDS, Message, Row, Wanted};

/// Messages that are gathered for walks at a time; one walk writes as many answers as `WALK_OCTETS` holds.
pub(super) const WALK: usize = 2048;
/// Octets of answers after which a walk ends, so that they can be sent.
const WALK_OCTETS: usize = 128 * 1024;
/// Octets of one item that are read within a walk.
const ITEM_OCTETS: u64 = PIECE;

/// How a walk ended.
pub(super) struct Walked {
    /// Messages whose answers are written.
    pub(super) done: usize,
    /// The next one is not for a walk.
    pub(super) odd: bool,
}

/// What a walk reads of each message; `None`: these items are not for a walk.
pub(super) fn wanted(items: &[FetchItem]) -> Option<Wanted> {
    let (mut digest, mut fields) = (false, false);
    for item in items {
        match item {
            FetchItem::Section { section, partial, .. } if partial.is_none() && is_listed(section) => fields = true,
            FetchItem::Envelope
            | FetchItem::Body
            | FetchItem::BodyStructure
            | FetchItem::Section { .. }
            | FetchItem::Rfc822
            | FetchItem::Rfc822Header
            | FetchItem::Rfc822Text => digest = true,
            item if super::fetch::needs_row(item) => return None,
            _ => {}
        }
    }
    Some(match (digest, fields) {
        (true, true) => Wanted::Both,
        (false, true) => Wanted::Fields,
        _ => Wanted::Digest,
    })
}

/// Whether these are header fields that are kept beside the message.
fn is_listed(section: &Section) -> bool {
    match &section.text {
        SectionText::HeaderFields { not: false, names } if section.part.is_empty() => names
            .iter()
            .all(|name| LISTED_FIELDS.iter().any(|listed| listed.eq_ignore_ascii_case(name))),
        _ => false,
    }
}

/// Writes the answers of as many of these messages as go into one walk.
pub(super) fn walk(work: &Work, wanted: Wanted, out: &mut Vec<u8>, messages: &[(u32, Message)]) -> Walked {
    let ids: Vec<_> = messages.iter().map(|(_, message)| message.content).collect();
    let mut walked = Walked { done: 0, odd: false };
    let read = work.account.content_rows(&ids, wanted, |index, row| {
        let start = out.len();
        let written = match (messages.get(index), row) {
            (Some((number, message)), Some(row)) => write(work, out, *number, message, &row),
            _ => None,
        };
        if written.is_none() {
            out.truncate(start);
            walked.odd = true;
            return ControlFlow::Break(());
        }
        walked.done = index + 1;
        if out.len() < WALK_OCTETS {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    if let Err(error) = read {
        tracing::debug!(account = work.account.id().0, %error, "a walk over rows broke off");
        walked.odd = true;
    }
    walked
}

/// One message's answer; `None`: it is not for a walk.
fn write(work: &Work, out: &mut Vec<u8>, number: u32, message: &Message, row: &Row<'_>) -> Option<()> {
    let mut response = begin(out, number.saturating_sub(1) as usize, message.uid, work.uid_only);
    let mut content = None;
    for item in &work.items {
        if simple_item(work, out, &mut response, message, item) {
            continue;
        }
        match item {
            FetchItem::Envelope if !row.envelope.is_empty() => {
                response.item(out, "ENVELOPE");
                out.extend_from_slice(row.envelope);
            }
            FetchItem::Section {
                section, partial: None, ..
            } if !row.fields.is_empty() && is_listed(section) => {
                let SectionText::HeaderFields { names, .. } = &section.text else {
                    return None;
                };
                fields(out, &mut response, section, names, row.fields);
            }
            FetchItem::Body | FetchItem::BodyStructure if !row.structure.is_empty() => {
                let structure = mime::Structure::decode(row.structure).ok()?;
                let structure = structure.shifted(row.prefix.len() as u64);
                if *item == FetchItem::Body {
                    response.item(out, "BODY");
                    structure.write_body(out);
                } else {
                    response.item(out, "BODYSTRUCTURE");
                    structure.write_bodystructure(out);
                }
            }
            FetchItem::Section { section, partial, .. } => {
                row.blob?;
                // The whole message takes no look into its structure.
                let whole = section.part.is_empty() && section.text == SectionText::All;
                let octets_alone;
                let content = if whole {
                    octets_alone = row.to_octets();
                    &octets_alone
                } else {
                    content.get_or_insert_with(|| row.to_content())
                };
                let reading = Reading::new(&work.account, content, work.header_limit);
                octets(out, &reading, section, *partial, |out, len| {
                    response.section(out, section, *partial, len);
                })?;
            }
            FetchItem::Rfc822 | FetchItem::Rfc822Header | FetchItem::Rfc822Text => {
                row.blob?;
                let (name, text) = match item {
                    FetchItem::Rfc822 => ("RFC822", SectionText::All),
                    FetchItem::Rfc822Header => ("RFC822.HEADER", SectionText::Header),
                    _ => ("RFC822.TEXT", SectionText::Text),
                };
                let section = Section { part: Vec::new(), text };
                let content = content.get_or_insert_with(|| row.to_content());
                let reading = Reading::new(&work.account, content, work.header_limit);
                octets(out, &reading, &section, None, |out, len| {
                    response.rfc822(out, name, len.unwrap_or(0));
                })?;
            }
            _ => return None,
        }
    }
    if work.seen.binary_search(&message.uid).is_ok() && !work.items.contains(&FetchItem::Flags) {
        simple_item(work, out, &mut response, message, &FetchItem::Flags);
    }
    if response.is_empty() {
        return None;
    }
    response.end(out);
    Some(())
}

/// `BODY[HEADER.FIELDS (…)]` out of the listed fields.
fn fields(out: &mut Vec<u8>, response: &mut FetchResponse, section: &Section, names: &[String], listed: &[u8]) {
    let chosen = |field: &mime::Field<'_>| names.iter().any(|name| field.is(name));
    // The length stands in front: it is added up first.
    let len: usize = mime::fields(listed).filter(chosen).map(|field| field.raw.len()).sum();
    response.section(out, section, None, Some(len as u64 + 2));
    for field in mime::fields(listed).filter(chosen) {
        out.extend_from_slice(field.raw);
    }
    out.extend_from_slice(b"\r\n");
}

/// A section's octets, if they are few and can be read.
fn octets(
    out: &mut Vec<u8>,
    reading: &Reading<'_>,
    section: &Section,
    partial: Option<imap::command::Partial>,
    head: impl FnOnce(&mut Vec<u8>, Option<u64>),
) -> Option<()> {
    match reading.section(section, partial).ok()? {
        Octets::Nil => head(out, None),
        Octets::Here(octets) => {
            head(out, Some(octets.len() as u64));
            out.extend_from_slice(&octets);
        }
        Octets::There(range) => {
            let len = range.end - range.start;
            if len > ITEM_OCTETS {
                return None;
            }
            head(out, Some(len));
            reading.octets_into(range, out).ok()?;
        }
        Octets::Encoded { .. } | Octets::Unknown => return None,
    }
    Some(())
}
