//! HTML as text for search: no tags, comments, scripts or styles, entities resolved. What is seen together stays together.

use mail_parser::decoders::html::add_html_token;
use memchr::{memchr, memchr2, memmem};

/// Appends the text of an HTML document. One pass; an open tag or comment runs to the end.
pub fn html_text(html: &str, text: &mut String) {
    let mut rest = html;
    while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
        let (plain, from) = rest.split_at(at);
        text.push_str(plain);
        rest = if from.starts_with('&') {
            entity(from, text)
        } else {
            tag(from, text)
        };
    }
    text.push_str(rest);
}

/// The longest name of an entity is 31 letters.
const ENTITY_MOST: usize = 33;

fn entity<'a>(from: &'a str, text: &mut String) -> &'a str {
    let head = from.as_bytes().get(..ENTITY_MOST).unwrap_or(from.as_bytes());
    let end = head
        .iter()
        .skip(1)
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'#')
        .map(|at| at + 1);
    match end.filter(|&end| end > 1 && head.get(end) == Some(&b';')) {
        Some(end) => {
            let (entity, after) = from.split_at(end + 1);
            add_html_token(text, entity.as_bytes(), false);
            after
        }
        None => {
            text.push('&');
            from.get(1..).unwrap_or_default()
        }
    }
}

/// After a tag, or after what must not be seen. Tags that end a line or a cell leave a blank.
fn tag<'a>(from: &'a str, text: &mut String) -> &'a str {
    if from.starts_with("<!--") {
        return match memmem::find(from.as_bytes(), b"-->") {
            Some(at) => from.get(at + 3..).unwrap_or_default(),
            None => "",
        };
    }
    let name = from.get(1..).unwrap_or_default();
    let name = name.strip_prefix('/').unwrap_or(name);
    let length = name
        .bytes()
        .position(|byte| !byte.is_ascii_alphanumeric())
        .unwrap_or(name.len());
    let name = name.get(..length).unwrap_or_default();
    if name.is_empty() && !from.starts_with("<!") && !from.starts_with("<?") {
        // A "<" that begins no tag.
        text.push('<');
        return from.get(1..).unwrap_or_default();
    }
    let Some(close) = memchr(b'>', from.as_bytes()) else {
        return "";
    };
    let after = from.get(close + 1..).unwrap_or_default();
    const WITHIN_LINE: &[&str] = &[
        "a", "abbr", "b", "big", "code", "em", "font", "i", "q", "s", "small", "span", "strong", "sub", "sup", "tt",
        "u", "wbr",
    ];
    if !WITHIN_LINE.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        text.push('\n');
    }
    for hidden in ["script", "style"] {
        if name.eq_ignore_ascii_case(hidden) && !from.starts_with("</") {
            return skip_to_end_tag(after, hidden);
        }
    }
    after
}

fn skip_to_end_tag<'a>(html: &'a str, name: &str) -> &'a str {
    let mut at = 0;
    while let Some(found) = html.as_bytes().get(at..).and_then(|rest| memmem::find(rest, b"</")) {
        at += found + 2;
        let end = html.as_bytes().get(at..at + name.len());
        if end.is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes())) {
            return html.get(at - 2..).unwrap_or_default();
        }
    }
    ""
}
