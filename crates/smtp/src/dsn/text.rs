//! The part for people. Each language says the whole, one after the other.

use super::{Action, Notice, Notified, Reader, Returned, fields};
use crate::dsn::words::{Moment, Words};
use std::fmt::Write;

/// Columns that a line of text takes.
const WIDTH: usize = 72;
/// Recipients named in the text; all stand in the part for programs.
const NAMED: usize = 50;

pub(super) fn text(notice: &Notice<'_>, returned: Returned) -> String {
    let languages = match notice.languages {
        [] => &[super::Language::English],
        all => all,
    };
    let mut out = String::with_capacity(1500 * languages.len());
    for further in languages.iter().skip(1) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "({})", further.words().below);
    }
    for (number, language) in languages.iter().enumerate() {
        if number > 0 {
            let _ = write!(out, "\n{}", "-".repeat(WIDTH));
        }
        if languages.len() > 1 {
            out.push_str("\n\n");
        }
        in_words(&mut out, notice, language.words(), returned);
    }
    out
}

fn in_words(out: &mut String, notice: &Notice<'_>, words: &Words, returned: Returned) {
    // What is bad comes first.
    let mut recipients: Vec<&Notified<'_>> = notice.recipients.iter().collect();
    recipients.sort_by_key(|recipient| rank(recipient.action));
    let mut told = None;
    for recipient in recipients.iter().take(NAMED) {
        let kind = rank(recipient.action);
        if told != Some(kind) {
            if told.is_some() {
                out.push('\n');
            }
            told = Some(kind);
            paragraph(out, 0, &words.heading(notice, recipient.action));
        }
        of_recipient(out, notice, words, recipient);
    }
    if let Some(more) = recipients.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = write!(out, "\n{} {more}\n", words.more);
    }
    out.push('\n');
    about_message(out, notice, words);
    out.push('\n');
    match returned {
        Returned::Whole => paragraph(out, 0, words.whole),
        Returned::Header => paragraph(out, 0, words.header),
        Returned::TooLarge => paragraph(out, 0, words.too_large),
    }
    out.push('\n');
    let footer = words
        .footer
        .replace("{host}", notice.hostname)
        .replace("{id}", notice.original.id)
        .replace("{from}", notice.from);
    paragraph(out, 0, &footer);
}

fn of_recipient(out: &mut String, notice: &Notice<'_>, words: &Words, recipient: &Notified<'_>) {
    let _ = write!(out, "\n  {}\n", mime::one_line(recipient.address));
    match recipient.action {
        Action::Failed | Action::Delayed { .. } => {
            let (why, advice) = words.reason(recipient.status);
            paragraph(out, 6, why);
            if recipient.action == Action::Failed && notice.reader == Reader::Sender {
                paragraph(out, 6, advice);
            }
            if let Action::Delayed { until } = recipient.action {
                let until = words.moment(&Moment::of(until));
                paragraph(out, 6, &words.retry.replace("{until}", &until));
            }
        }
        Action::Relayed | Action::Expanded | Action::Delivered => {}
    }
    if let Some(diagnostic) = recipient.diagnostic {
        let text = mime::one_line(fields::clipped(diagnostic, notice.limits.diagnostic));
        let who = match recipient.remote {
            Some(host) if fields::is_reply(diagnostic) => words.said.replace("{host}", &mime::one_line(host)),
            _ => words.exactly.to_owned(),
        };
        paragraph(out, 6, &format!("{who} {text}"));
    }
}

/// Which message it is.
fn about_message(out: &mut String, notice: &Notice<'_>, words: &Words) {
    let original = &notice.original;
    if notice.reader != Reader::Sender {
        let sender = if original.sender.is_empty() {
            "<>"
        } else {
            original.sender
        };
        let _ = writeln!(out, "{} {}", words.sender, mime::one_line(sender));
    }
    if let Some(subject) = notice.subject_of_original() {
        let _ = writeln!(out, "{} {subject}", words.about);
    }
    let _ = writeln!(out, "{} {}", words.came, words.moment(&Moment::of(original.arrived)));
}

fn rank(action: Action) -> u8 {
    match action {
        Action::Failed => 0,
        Action::Delayed { .. } => 1,
        Action::Relayed => 2,
        Action::Expanded => 3,
        Action::Delivered => 4,
    }
}

/// Words in lines, each so far from the edge.
fn paragraph(out: &mut String, indent: usize, text: &str) {
    let mut column = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}
