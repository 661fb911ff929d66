//! Syntax highlighting of the pack formats. It marks, and changes nothing: the tokens of a line, put together, are the line.

use serde::Serialize;

use crate::packs::Format;
use crate::render::MASK;

/// A part of a line. Its class is one of style.css's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Token<'t> {
    /// Empty for text that nothing marks.
    pub class: &'static str,
    pub text: &'t str,
}

/// Names of elements and parameters.
const NAME: &str = "n";
/// Names of attributes, and marks beside a parameter.
const ATTRIBUTE: &str = "a";
/// Values.
const VALUE: &str = "v";
/// Comments.
const COMMENT: &str = "c";
/// What parts the others.
const PUNCTUATION: &str = "p";
/// Entities, and what is URL-encoded.
const ENTITY: &str = "e";
/// A masked secret.
const MASKED: &str = "m";

/// Marks the lines of one text, in their order: what a line begins may end in a later one.
#[derive(Debug)]
pub struct Highlighter {
    format: Format,
    state: State,
}

/// Where in an XML text the next character stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Within `<…>`; the quote that is open.
    Tag(Option<char>),
    Comment,
    Declaration,
}

impl Highlighter {
    pub fn new(format: Format) -> Self {
        Self { format, state: State::Text }
    }

    /// The tokens of the next line.
    pub fn line<'t>(&mut self, line: &'t str) -> Vec<Token<'t>> {
        let mut tokens = Tokens(Vec::new());
        match self.format {
            Format::Xml => self.xml(line, &mut tokens),
            Format::ColonLines => keyed(line, ':', &mut tokens),
            Format::EqualsLines => keyed(line, '=', &mut tokens),
            Format::Spc => spc(line, &mut tokens),
            Format::GrandstreamBinary => pair(line, &mut tokens),
            Format::Text | Format::Binary => tokens.push("", line),
        }
        tokens.0
    }

    fn xml<'t>(&mut self, line: &'t str, tokens: &mut Tokens<'t>) {
        let mut rest = line;
        while !rest.is_empty() {
            rest = match self.state {
                State::Text => self.text(rest, tokens),
                State::Tag(quote) => self.tag(rest, quote, tokens),
                State::Comment => self.until("-->", rest, tokens),
                State::Declaration => self.until("?>", rest, tokens),
            };
        }
    }

    /// Content up to the next tag.
    fn text<'t>(&mut self, rest: &'t str, tokens: &mut Tokens<'t>) -> &'t str {
        let (text, after) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        entities(VALUE, text, tokens);
        if after.starts_with("<!--") {
            self.state = State::Comment;
        } else if after.starts_with("<?") {
            self.state = State::Declaration;
        } else if !after.is_empty() {
            self.state = State::Tag(None);
            let open = if after.starts_with("</") { 2 } else { 1 };
            let (punctuation, after) = after.split_at(open);
            tokens.push(PUNCTUATION, punctuation);
            let (name, after) = after.split_at(after.find(ends_name).unwrap_or(after.len()));
            tokens.push(NAME, name);
            return after;
        }
        after
    }

    /// Within a tag: attributes, up to its end.
    fn tag<'t>(&mut self, rest: &'t str, quote: Option<char>, tokens: &mut Tokens<'t>) -> &'t str {
        if let Some(quote) = quote {
            // To the closing quote, which may be in a later line.
            let Some(at) = rest.find(quote) else {
                entities(VALUE, rest, tokens);
                return "";
            };
            let (value, after) = rest.split_at(at);
            entities(VALUE, value, tokens);
            self.state = State::Tag(None);
            let (closing, after) = after.split_at(quote.len_utf8());
            tokens.push(PUNCTUATION, closing);
            return after;
        }
        match rest.find(['>', '"', '\'']) {
            None => {
                attributes(rest, tokens);
                ""
            }
            Some(at) => {
                let (before, after) = rest.split_at(at);
                attributes(before, tokens);
                let (mark, after) = after.split_at(1);
                tokens.push(PUNCTUATION, mark);
                self.state = match mark.chars().next() {
                    Some('>') | None => State::Text,
                    opened => State::Tag(opened),
                };
                after
            }
        }
    }

    /// A comment or declaration up to its end, if that is in this line.
    fn until<'t>(&mut self, end: &str, rest: &'t str, tokens: &mut Tokens<'t>) -> &'t str {
        let (text, after) = match rest.find(end) {
            Some(at) => {
                self.state = State::Text;
                rest.split_at(at + end.len())
            }
            None => (rest, ""),
        };
        tokens.push(COMMENT, text);
        after
    }
}

struct Tokens<'t>(Vec<Token<'t>>);

impl<'t> Tokens<'t> {
    fn push(&mut self, class: &'static str, text: &'t str) {
        if !text.is_empty() {
            let class = if class == VALUE && text.trim_matches('"') == MASK { MASKED } else { class };
            self.0.push(Token { class, text });
        }
    }
}

fn ends_name(character: char) -> bool {
    character.is_whitespace() || matches!(character, '>' | '/' | '"' | '\'')
}

/// What stands in a tag outside of quotes: names, `=`, blanks, `/`.
fn attributes<'t>(text: &'t str, tokens: &mut Tokens<'t>) {
    let mut rest = text;
    while !rest.is_empty() {
        let is_mark = |character: char| character.is_whitespace() || matches!(character, '=' | '/');
        let (marks, after) = rest.split_at(rest.find(|c| !is_mark(c)).unwrap_or(rest.len()));
        tokens.push(PUNCTUATION, marks);
        let (name, after) = after.split_at(after.find(is_mark).unwrap_or(after.len()));
        tokens.push(ATTRIBUTE, name);
        rest = after;
    }
}

/// A value, with its entities marked.
fn entities<'t>(class: &'static str, text: &'t str, tokens: &mut Tokens<'t>) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, after) = rest.split_at(at);
        tokens.push(class, before);
        let end = after.find(';').map_or(1, |end| end + 1);
        let (entity, after) = after.split_at(end);
        tokens.push(ENTITY, entity);
        rest = after;
    }
    tokens.push(class, rest);
}

/// `name: value`; `!` and `^` before the name lock and force it.
fn keyed<'t>(line: &'t str, separator: char, tokens: &mut Tokens<'t>) {
    if line.trim_start().starts_with('#') {
        return tokens.push(COMMENT, line);
    }
    let Some(at) = line.find(separator) else { return tokens.push("", line) };
    let (name, rest) = line.split_at(at);
    let (marks, name) = name.split_at(name.find(|c| !matches!(c, '!' | '^')).unwrap_or(name.len()));
    tokens.push(ATTRIBUTE, marks);
    tokens.push(NAME, name);
    let (separator, value) = rest.split_at(separator.len_utf8());
    tokens.push(PUNCTUATION, separator);
    let (blank, value) = value.split_at(value.len() - value.trim_start().len());
    tokens.push(PUNCTUATION, blank);
    tokens.push(VALUE, value);
}

/// `Name "value" ;`, and a comment at the end.
fn spc<'t>(line: &'t str, tokens: &mut Tokens<'t>) {
    if line.trim_start().starts_with('#') {
        return tokens.push(COMMENT, line);
    }
    let Some(open) = line.find('"') else { return tokens.push("", line) };
    let (name, rest) = line.split_at(open);
    let (name, marks) = name.split_at(name.trim_end_matches(|c: char| c.is_whitespace() || "!?".contains(c)).len());
    tokens.push(NAME, name);
    tokens.push(ATTRIBUTE, marks);
    let close = rest.get(1..).and_then(|inner| inner.find('"')).map_or(rest.len(), |at| at + 2);
    let (value, rest) = rest.split_at(close);
    tokens.push(VALUE, value);
    let (marks, comment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    tokens.push(PUNCTUATION, marks);
    tokens.push(COMMENT, comment);
}

/// `P47=value`, with what is URL-encoded marked.
fn pair<'t>(line: &'t str, tokens: &mut Tokens<'t>) {
    let Some((name, value)) = line.split_once('=') else { return tokens.push("", line) };
    tokens.push(NAME, name);
    tokens.push(PUNCTUATION, line.get(name.len()..=name.len()).unwrap_or_default());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        let (before, after) = rest.split_at(at);
        tokens.push(VALUE, before);
        let end = (1..=3).rev().find(|end| after.is_char_boundary(*end)).unwrap_or(1);
        let (encoded, after) = after.split_at(end);
        tokens.push(ENTITY, encoded);
        rest = after;
    }
    tokens.push(VALUE, rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(format: Format, text: &str) -> String {
        let mut highlighter = Highlighter::new(format);
        let lines = text.lines().map(|line| {
            let tokens = highlighter.line(line);
            tokens.iter().map(|token| format!("{}[{}]", token.class, token.text)).collect::<String>()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn xml_is_marked() {
        assert_eq!(
            marked(Format::Xml, "<?xml version=\"1.0\"?>\n<Time ua=\"na\">a &amp; b</Time><P1/>"),
            "c[<?xml version=\"1.0\"?>]\n\
             p[<]n[Time]p[ ]a[ua]p[=]p[\"]v[na]p[\"]p[>]v[a ]e[&amp;]v[ b]p[</]n[Time]p[>]p[<]n[P1]p[/]p[>]"
        );
        assert_eq!(
            marked(Format::Xml, "<!-- a\nb --><X>***</X>"),
            "c[<!-- a]\nc[b -->]p[<]n[X]p[>]m[***]p[</]n[X]p[>]"
        );
        assert_eq!(marked(Format::Xml, "<X\n a='>\n'>"), "p[<]n[X]\np[ ]a[a]p[=]p[']v[>]\np[']p[>]");
    }

    #[test]
    fn lines_are_marked() {
        assert_eq!(marked(Format::ColonLines, "# c\n!sip proxy ip: a:b"), "c[# c]\na[!]n[sip proxy ip]p[:]p[ ]v[a:b]");
        assert_eq!(marked(Format::EqualsLines, "P1 = ***"), "n[P1 ]p[=]p[ ]m[***]");
        assert_eq!(marked(Format::Spc, "A[1] ! \"x\" ; # c"), "n[A[1]]a[ ! ]v[\"x\"]p[ ; ]c[# c]");
        assert_eq!(marked(Format::GrandstreamBinary, "P47=a%20b"), "n[P47]p[=]v[a]e[%20]v[b]");
        assert_eq!(marked(Format::Text, "a: <b>"), "[a: <b>]");
    }

    proptest! {
        #[test]
        fn whatever_a_text_is_nothing_of_it_is_lost(lines in prop::collection::vec("[ -~é%&<>\"'!#;:=?/-]{0,40}", 0..6)) {
            for format in Format::ALL {
                let mut highlighter = Highlighter::new(format);
                for line in &lines {
                    let tokens = highlighter.line(line);
                    prop_assert_eq!(&tokens.iter().map(|token| token.text).collect::<String>(), line);
                }
            }
        }
    }
}
