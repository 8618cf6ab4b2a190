//! Writing XML: an element at a time, indented, escaped.

use quick_xml::escape::escape;

/// A document that grows.
pub(crate) struct Document {
    text: String,
    open: Vec<&'static str>,
}

impl Document {
    /// With its declaration, and whatever else stands before the first element.
    pub(crate) fn new(prologue: &str) -> Document {
        Document {
            text: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{prologue}"),
            open: Vec::new(),
        }
    }

    /// Begins an element with these attributes.
    pub(crate) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            self.text.push_str(&format!(" {name}=\"{}\"", escape(*value)));
        }
        self.text.push_str(">\n");
        self.open.push(name);
        self
    }

    /// Ends the element that was begun last.
    pub(crate) fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.text.push_str(&format!("</{name}>\n"));
        }
        self
    }

    /// An element that holds a text.
    pub(crate) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.indent();
        self.text.push_str(&format!("<{name}>{}</{name}>\n", escape(text)));
        self
    }

    /// An element that holds nothing.
    pub(crate) fn empty(&mut self, name: &str) -> &mut Self {
        self.indent();
        self.text.push_str(&format!("<{name}/>\n"));
        self
    }

    /// The whole, with everything ended.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn indent(&mut self) {
        for _ in &self.open {
            self.text.push_str("  ");
        }
    }
}
