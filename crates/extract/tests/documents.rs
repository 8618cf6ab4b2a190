//! Documents as programs make them, and as nobody should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use extract::{Format, Limits, text};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

fn archive(members: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read(format: Format, octets: &[u8]) -> String {
    text(format, octets, &Limits::default()).unwrap_or_default()
}

#[test]
fn office_documents() {
    let docx = archive(&[
        ("[Content_Types].xml", "<Types>not this</Types>"),
        (
            "word/document.xml",
            "<w:document><w:body><w:p><w:r><w:t>Grü&amp;</w:t></w:r><w:r><w:t>ße &#x41;</w:t></w:r></w:p>\
             <w:p><w:r><w:instrText>PAGE</w:instrText><w:t>second</w:t><w:tab/><w:t>cell</w:t></w:r></w:p></w:body></w:document>",
        ),
        (
            "word/footer1.xml",
            "<w:ftr><w:p><w:r><w:t>small print</w:t></w:r></w:p></w:ftr>",
        ),
        ("word/media/image1.xml", "<t>not this</t>"),
    ]);
    let found = read(Format::Docx, &docx);
    assert!(found.starts_with("Grü&ße A\nsecond cell\n"), "{found:?}");
    assert!(found.contains("small print") && !found.contains("not this") && !found.contains("PAGE"));
    let xlsx = archive(&[
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>Budget</t></si><si><r><t>Ja</t></r><r><t>nuar</t></r></si></sst>",
        ),
        (
            "xl/worksheets/sheet1.xml",
            "<worksheet><c t=\"inlineStr\"><is><t>inline</t></is></c><c><v>17</v></c></worksheet>",
        ),
    ]);
    assert_eq!(read(Format::Xlsx, &xlsx).trim(), "Budget\nJanuar\n\ninline");
    let pptx = archive(&[(
        "ppt/slides/slide1.xml",
        "<p:sld><a:p><a:r><a:t>A talk</a:t></a:r></a:p></p:sld>",
    )]);
    assert_eq!(read(Format::Pptx, &pptx).trim(), "A talk");
    let odt = archive(&[(
        "content.xml",
        "<office:text><text:h>Titel</text:h><text:p>ein<text:s/>Satz &lt;</text:p></office:text>",
    )]);
    assert_eq!(read(Format::OpenDocument, &odt).trim(), "Titel\nein Satz <");
}

/// A PDF of one page, written by hand, with a right table of offsets.
fn pdf(line: &str) -> Vec<u8> {
    let content = format!("BT /F1 24 Tf 72 720 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        write!(out, "{} 0 obj\n{object}\nendobj\n", number + 1).unwrap();
    }
    let table = out.len();
    write!(out, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(out, "{offset:010} 00000 n ").unwrap();
    }
    write!(
        out,
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
        objects.len() + 1
    )
    .unwrap();
    out
}

#[test]
fn pdf_documents() {
    assert!(read(Format::Pdf, &pdf("Strange quark")).contains("Strange quark"));
}

#[test]
fn what_is_broken_or_hostile_has_bounds() {
    let limits = Limits {
        unpacked: 1 << 20,
        members: 3,
        text: 1000,
    };
    // A bomb: a thousand to one.
    let bomb = archive(&[("word/document.xml", &format!("<w:t>{}</w:t>", "a".repeat(64 << 20)))]);
    assert!(bomb.len() < 1 << 20);
    assert!(text(Format::Docx, &bomb, &limits).unwrap().len() <= 1000);
    // Deep, and never closed.
    let deep = archive(&[("content.xml", &"<a>".repeat(300_000)), ("meta.xml", "<a>after</a>")]);
    assert!(text(Format::OpenDocument, &deep, &limits).unwrap().contains("after"));
    // Entities that refer to entities.
    let laughs = archive(&[(
        "content.xml",
        "<!DOCTYPE a [<!ENTITY b \"ha\"><!ENTITY c \"&b;&b;&b;&b;\">]><a>&c;&c; end</a>",
    )]);
    assert!(!text(Format::OpenDocument, &laughs, &limits).unwrap().contains("ha"));
    let slides: Vec<(String, String)> = (0..10)
        .map(|n| (format!("ppt/slides/slide{n}.xml"), format!("<t>s{n}</t>")))
        .collect();
    let slides: Vec<(&str, &str)> = slides.iter().map(|(name, xml)| (name.as_str(), xml.as_str())).collect();
    let found = text(Format::Pptx, &archive(&slides), &limits).unwrap();
    assert!(found.contains("s2") && !found.contains("s3"));
    for format in [Format::Docx, Format::Pdf] {
        for broken in [&b""[..], b"PK\x03\x04", b"%PDF-1.7\n", b"\xff\xfe garbage"] {
            assert_eq!(text(format, broken, &limits), None, "{format:?}");
        }
    }
    let whole = archive(&[("content.xml", "<p>text</p>")]);
    for end in 0..whole.len() {
        let _ = text(Format::OpenDocument, &whole[..end], &limits);
    }
}

#[test]
fn formats_are_known_by_type_and_by_name() {
    const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    for (media_type, name, expected) in [
        (WORD, "", Some(Format::Docx)),
        (
            "application/vnd.oasis.opendocument.text",
            "x",
            Some(Format::OpenDocument),
        ),
        ("application/pdf", "", Some(Format::Pdf)),
        ("application/octet-stream", "Report.PDF", Some(Format::Pdf)),
        ("application/octet-stream", "report", None),
        ("image/png", "a.pdf", None),
        ("application/msword", "a.doc", None),
    ] {
        assert_eq!(Format::of(media_type, name), expected, "{media_type} {name}");
    }
}
