use super::reader::is_xml;
use crate::cwmp::Quirks;
use crate::model::Secret;

/// The text of one envelope as it grows. Every text goes through [`escape`]; names of elements are the program's own.
pub(in crate::cwmp) struct Writer<'q> {
    pub out: String,
    pub quirks: &'q Quirks,
}

impl Writer<'_> {
    /// `<name>`, the content, `</name>`.
    pub fn within(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.start(name);
        self.out.push('>');
        content(self);
        self.end(name);
    }

    /// An element of text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.within(name, |writer| escape(text, &mut writer.out));
    }

    /// An element of text that is shown nowhere else.
    pub fn secret(&mut self, name: &str, secret: &Secret) {
        self.text(name, &String::from_utf8_lossy(secret.expose()));
    }

    /// An element of a number.
    pub fn number(&mut self, name: &str, number: impl Into<u64>) {
        self.text(name, &number.into().to_string());
    }

    /// An element of a boolean that no quirk concerns: both forms are the protocol's own.
    pub fn flag(&mut self, name: &str, flag: bool) {
        self.text(name, if flag { "1" } else { "0" });
    }

    /// An element of text with its type.
    pub fn typed(&mut self, name: &str, kind: &str, text: &str) {
        self.start(name);
        self.attribute("xsi:type", kind);
        self.out.push('>');
        escape(text, &mut self.out);
        self.end(name);
    }

    /// An array: each item written, and their count.
    pub fn array<T>(&mut self, name: &str, kind: &str, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.start(name);
        self.attribute("soap-enc:arrayType", &format!("{kind}[{}]", items.len()));
        self.out.push('>');
        for each in items {
            item(self, each);
        }
        self.end(name);
    }

    /// Text between tags.
    pub fn content(&mut self, text: &str) {
        escape(text, &mut self.out);
    }

    pub fn start(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
    }

    pub fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape(value, &mut self.out);
        self.out.push('"');
    }

    pub fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

/// Whether a text reaches a phone as it is: XML has no way to write most control characters, and [`escape`] replaces them. For
/// those who judge values before they are sent.
pub fn can_hold(text: &str) -> bool {
    text.chars().all(is_xml)
}

/// Writes text so that it reads back as it was, in content and in attributes of one line. A character that XML can't hold becomes U+FFFD, so
/// that the envelope stays one.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Readers make a line feed of it. Those stay as they are: some phones know no references but the named.
            '\r' => out.push_str("&#13;"),
            other if is_xml(other) => out.push(other),
            _ => out.push('\u{fffd}'),
        }
    }
}
