//! Text out of attachments: office documents (ECMA-376: docx, xlsx, pptx; OpenDocument: odt, ods, odp) and PDF (ISO 32000).
//!
//! All of it comes from strangers. What is unpacked is bounded by [`Limits`]; but libraries that read such formats may still loop, panic or
//! overflow their stack on what was made to have them do so. So a server calls [`text`] in a process of its own, with bounded memory
//! and time.

mod office;

/// Formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Word processing, ECMA-376.
    Docx,
    /// Spreadsheet, ECMA-376.
    Xlsx,
    /// Presentation, ECMA-376.
    Pptx,
    /// Any OpenDocument.
    OpenDocument,
    /// PDF.
    Pdf,
}

/// How much is unpacked and given.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of all unpacked members of an archive together. Default 64 MiB.
    pub unpacked: u64,
    /// Members of an archive that are looked at. Default 2,000: slides and sheets have one each.
    pub members: usize,
    /// Octets of text given. Default 4 MiB.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            unpacked: 64 << 20,
            members: 2000,
            text: 4 << 20,
        }
    }
}

impl Format {
    /// By media type, and where that says nothing, by the ending of the name.
    pub fn of(media_type: &str, name: &str) -> Option<Format> {
        const OOXML: &str = "application/vnd.openxmlformats-officedocument.";
        if let Some(kind) = media_type.strip_prefix(OOXML) {
            let (kind, _) = kind.split_once('.')?;
            return match kind {
                "wordprocessingml" => Some(Format::Docx),
                "spreadsheetml" => Some(Format::Xlsx),
                "presentationml" => Some(Format::Pptx),
                _ => None,
            };
        }
        if media_type.starts_with("application/vnd.oasis.opendocument.") {
            return Some(Format::OpenDocument);
        }
        if matches!(media_type, "application/pdf" | "application/x-pdf") {
            return Some(Format::Pdf);
        }
        if !matches!(
            media_type,
            "application/octet-stream" | "application/zip" | "application/x-zip-compressed"
        ) {
            return None;
        }
        let (_, ending) = name.rsplit_once('.')?;
        Format::parse(&ending.to_ascii_lowercase())
    }

    /// By the ending of a file's name.
    pub fn parse(ending: &str) -> Option<Format> {
        match ending {
            "docx" => Some(Format::Docx),
            "xlsx" => Some(Format::Xlsx),
            "pptx" => Some(Format::Pptx),
            "odt" | "ods" | "odp" => Some(Format::OpenDocument),
            "pdf" => Some(Format::Pdf),
            _ => None,
        }
    }

    /// The ending that [`parse`](Self::parse) knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Format::Docx => "docx",
            Format::Xlsx => "xlsx",
            Format::Pptx => "pptx",
            Format::OpenDocument => "odt",
            Format::Pdf => "pdf",
        }
    }
}

/// The text of a document; `None` where there is none or it cannot be read. May panic, loop or take much memory on a PDF made for that.
pub fn text(format: Format, octets: &[u8], limits: &Limits) -> Option<String> {
    let mut text = match format {
        Format::Pdf => pdf_extract::extract_text_from_mem(octets).ok()?,
        office => office::text(office, octets, limits)?,
    };
    let mut end = text.len().min(limits.text);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    (!text.trim().is_empty()).then_some(text)
}
