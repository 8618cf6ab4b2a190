//! body (RFC 5173): tests on what the message says.

use std::rc::Rc;

use mime::Kind as PartKind;

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::matching::{Matcher, Value};
use crate::program::Check;
use crate::run::Run;
use crate::spec::{Kind, MATCH, TestSpec, flag, positional, test, valued};
use crate::template::Template;

pub(crate) const TESTS: &[TestSpec] = &[test(
    "body",
    "body",
    &[
        MATCH,
        &[
            flag("raw", "", "body transform"),
            valued("content", Kind::Texts, "", "body transform"),
            flag("text", "", "body transform"),
        ],
    ],
    &[positional("key list", Kind::Texts)],
    body,
)];

#[derive(Debug)]
enum Transform {
    Raw,
    Content(Box<[Template]>),
    Text,
}

#[derive(Debug)]
struct Body {
    transform: Transform,
    matcher: Matcher,
}

impl Check for Body {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        if let Transform::Raw = self.transform {
            let values = raw(run);
            return if self.matcher.is_count() {
                self.matcher.count(run, 1)
            } else {
                self.matcher.any(run, &values)
            };
        }
        let wanted: Vec<String> = match &self.transform {
            Transform::Content(types) => types.iter().map(|kind| kind.render(run).to_ascii_lowercase()).collect(),
            Transform::Raw | Transform::Text => Vec::new(),
        };
        let is_text = matches!(self.transform, Transform::Text);
        let structure = run.mail.structure();
        let mut left = run.limits.body_bytes;
        let mut count = 0;
        for at in 0..structure.parts().len() {
            let Some(part) = structure.parts().get(at) else { break };
            let meant = if is_text {
                part.is_text() && part.kind == PartKind::Leaf
            } else {
                let kind = format!(
                    "{}/{}",
                    String::from_utf8_lossy(&part.media_type).to_ascii_lowercase(),
                    String::from_utf8_lossy(&part.media_subtype).to_ascii_lowercase()
                );
                wanted.iter().any(|wanted| is_type(wanted, &kind))
            };
            if !meant {
                continue;
            }
            let values = text_of_part(run, at, is_text);
            count += values.len();
            let length = values.iter().map(|value| value.text.len()).sum::<usize>();
            if length > left {
                run.warn("the body test did not look at the whole body (limit body_bytes)");
                break;
            }
            left -= length;
            if !self.matcher.is_count() && self.matcher.any(run, &values)? {
                return Ok(true);
            }
        }
        if self.matcher.is_count() {
            self.matcher.count(run, count)
        } else {
            Ok(false)
        }
    }
}

/// RFC 5173 §5.2: empty means all, a type all its subtypes; what has more than one slash, or begins or ends with one, means none.
fn is_type(wanted: &str, kind: &str) -> bool {
    if wanted.is_empty() {
        return true;
    }
    if wanted.starts_with('/') || wanted.ends_with('/') || wanted.matches('/').count() > 1 {
        return false;
    }
    match wanted.contains('/') {
        true => kind == wanted,
        false => kind.split('/').next() == Some(wanted),
    }
}

/// The body as it came, not decoded (RFC 5173 §5.1).
fn raw(run: &mut Run<'_>) -> Rc<[Value]> {
    if let Some(values) = run.decoded.get(&(usize::MAX, false)) {
        return Rc::clone(values);
    }
    let most = run.limits.body_bytes;
    let start = usize::try_from(run.mail.structure().root().body_start).unwrap_or(usize::MAX);
    let bytes = run.mail.bytes().get(start..).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(..most).unwrap_or(bytes)).into_owned();
    let values: Rc<[Value]> = vec![Value::new(text)].into();
    run.decoded.insert((usize::MAX, false), Rc::clone(&values));
    values
}

/// What a part says, decoded to UTF-8 if it is text. A multipart: what stands before, between and behind its parts; a message
/// within: its header (RFC 5173 §5.2). As text, HTML comes without its tags.
pub(crate) fn text_of_part(run: &mut Run<'_>, at: usize, as_text: bool) -> Rc<[Value]> {
    if let Some(values) = run.decoded.get(&(at, as_text)) {
        return Rc::clone(values);
    }
    let structure = run.mail.structure();
    let most = run.limits.body_bytes;
    let Some(part) = structure.parts().get(at) else {
        return Rc::new([]);
    };
    let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let message = run.mail.bytes();
    let body = message
        .get(index(part.body_start)..index(part.body_end))
        .unwrap_or_default();
    let mut texts = Vec::new();
    match part.kind {
        PartKind::Multipart => {
            let children: Vec<_> = structure
                .parts()
                .get(at + 1..)
                .unwrap_or_default()
                .iter()
                .take_while(|child| child.header_start < part.body_end)
                .collect();
            let first = children.first().map_or(part.body_end, |child| child.header_start);
            let last = children
                .iter()
                .map(|child| child.body_end)
                .max()
                .unwrap_or(part.body_end);
            for range in [index(part.body_start)..index(first), index(last)..index(part.body_end)] {
                let piece = message.get(range).unwrap_or_default();
                texts.push(String::from_utf8_lossy(piece.get(..most).unwrap_or(piece)).into_owned());
            }
        }
        PartKind::Message => {
            let inner = structure
                .parts()
                .get(at + 1)
                .map_or(part.body_end, |child| child.body_start);
            let header = message.get(index(part.body_start)..index(inner)).unwrap_or_default();
            texts.push(String::from_utf8_lossy(header.get(..most).unwrap_or(header)).into_owned());
        }
        PartKind::Leaf | PartKind::Opaque => {
            let decoded = mime::decode_part(body.get(..most).unwrap_or(body), part.transfer_encoding());
            let charset = part.parameter("charset");
            let charset = if part.is_text() { charset.as_deref() } else { None };
            let decoded = mime::decode_charset(&decoded, charset);
            if as_text && part.is("text", "html") {
                let mut text = String::new();
                mime::html_text(&decoded, &mut text);
                texts.push(text);
            } else {
                texts.push(decoded.into_owned());
            }
        }
    }
    let values: Rc<[Value]> = texts.into_iter().map(Value::new).collect::<Vec<_>>().into();
    run.decoded.insert((at, as_text), Rc::clone(&values));
    values
}

fn body(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let transform = match bound.of_group("body transform") {
        Some("raw") => Transform::Raw,
        Some("content") => Transform::Content(builder.tag_texts(bound, "content")?.unwrap_or_default()),
        _ => Transform::Text,
    };
    Ok(Box::new(Body {
        transform,
        matcher: builder.matcher(bound, bound.argument(0)?)?,
    }))
}
