//! Office documents: XML files in a zip archive.

use crate::{Format, Limits};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::io::{Cursor, Read};

pub(crate) fn text(format: Format, octets: &[u8], limits: &Limits) -> Option<String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(octets)).ok()?;
    let mut text = String::new();
    let mut left = limits.unpacked;
    let mut looked = 0;
    for index in 0..archive.len() {
        let Ok(member) = archive.by_index(index) else { continue };
        if !member.name().is_ok_and(|name| is_text(format, &name)) {
            continue;
        }
        looked += 1;
        if looked > limits.members || left == 0 || text.len() >= limits.text {
            break;
        }
        let mut xml = Vec::new();
        // What its directory says of a member's size is not believed.
        let read = member.take(left).read_to_end(&mut xml);
        left = left.saturating_sub(xml.len() as u64);
        if read.is_ok() || !xml.is_empty() {
            xml_text(
                &String::from_utf8_lossy(&xml),
                format != Format::OpenDocument,
                limits.text,
                &mut text,
            );
            text.push('\n');
        }
    }
    Some(text)
}

/// Whether a member of the archive holds text that people see.
fn is_text(format: Format, name: &str) -> bool {
    let in_folder = |folder: &str, stems: &[&str]| {
        let file = name.strip_prefix(folder).and_then(|rest| rest.strip_suffix(".xml"));
        file.is_some_and(|file| !file.contains('/') && stems.iter().any(|stem| file.starts_with(stem)))
    };
    match format {
        Format::Docx => in_folder(
            "word/",
            &["document", "header", "footer", "footnotes", "endnotes", "comments"],
        ),
        Format::Xlsx => in_folder("xl/", &["sharedStrings"]) || in_folder("xl/worksheets/", &["sheet"]),
        Format::Pptx => in_folder("ppt/slides/", &["slide"]) || in_folder("ppt/notesSlides/", &["notesSlide"]),
        Format::OpenDocument => matches!(name, "content.xml" | "meta.xml"),
        Format::Pdf => false,
    }
}

/// Adds the text of a document. `runs`: only what is in elements `t`, as ECMA-376 has it. What is no XML ends it.
fn xml_text(xml: &str, runs: bool, most: usize, text: &mut String) {
    let mut reader = Reader::from_str(xml);
    // A document that was cut, or is not well formed, is read as far as it goes.
    reader.config_mut().check_end_names = false;
    let mut inside = 0usize;
    while text.len() < most {
        let wanted = !runs || inside > 0;
        match reader.read_event() {
            Ok(Event::Start(element)) => inside += usize::from(element.local_name().as_ref() == "t"),
            Ok(Event::End(element)) => {
                let name = element.local_name();
                let name: &str = name.as_ref();
                inside = inside.saturating_sub(usize::from(name == "t"));
                if ENDS_A_LINE.contains(&name) {
                    text.push('\n');
                }
            }
            Ok(Event::Empty(element)) => {
                let name = element.local_name();
                if SPACES.contains(&name.as_ref()) {
                    text.push(' ');
                }
            }
            Ok(Event::Text(piece)) if wanted => text.push_str(&piece.xml10_content()),
            Ok(Event::CData(piece)) if wanted => text.push_str(&piece.xml10_content()),
            Ok(Event::GeneralRef(reference)) if wanted => match reference.resolve_char_ref() {
                Ok(Some(letter)) => text.push(letter),
                _ => text.push_str(match &*reference.xml10_content() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    // Entities of a document's own are not expanded: that is how bombs are made of them.
                    _ => " ",
                }),
            },
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
}

/// Elements behind which something else begins: paragraphs, headings, cells, shared strings.
const ENDS_A_LINE: &[&str] = &["p", "h", "si", "c", "tc", "tr", "table-cell", "list-item", "title"];
/// Elements that stand for white space.
const SPACES: &[&str] = &["br", "cr", "tab", "s", "line-break"];
