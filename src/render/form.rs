//! What a phone posts when it asks for a file (`--post` of Cisco's profile rules): a form, for templates to read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use tera::{Map, Value};

/// Names and their values, both the phone's own words. Empty for a request without a form, and wherever there is no request:
/// in checks and previews.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(BTreeMap<String, String>);

/// Largest body that is read, in bytes. The guide's example sends one parameter, `--post a`, and a parameter has 39 characters
/// or a few hundred.
pub const FORM_LIMIT: usize = 64 << 10;

/// Most fields; those after them are left out.
const FIELDS: usize = 256;

impl Form {
    /// Reads `name=value&…` (`application/x-www-form-urlencoded`). Any text can be read: a name without `=` has an empty
    /// value, of equal names the last holds, and what is not UTF-8 is replaced.
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let pairs = text.trim().split('&').filter(|pair| !pair.is_empty()).take(FIELDS);
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `request`, as templates see it: `{ form = { … } }`.
    pub(super) fn as_request(&self) -> Value {
        let mut form = Map::default();
        for (name, value) in &self.0 {
            form.insert(name.clone().into(), Value::from(value.as_str()));
        }
        let mut request = Map::default();
        request.insert("form".into(), Value::from(form));
        Value::from(request)
    }
}

fn decoded(text: &str) -> String {
    let text = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_form() {
        let form = |text: &[u8]| Form::parse(text).0.into_iter().collect::<Vec<_>>();
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(form(b"b=2&a=x+%26%3Cy%3e&b=3"), pairs(&[("a", "x &<y>"), ("b", "3")]));
        assert_eq!(form(b"Provisioned\r\n"), pairs(&[("Provisioned", "")]));
        assert_eq!(form(b"&=&a%zz=%ff"), pairs(&[("", ""), ("a%zz", "\u{fffd}")]));
        assert!(Form::parse(b" \n").is_empty());
        let many: String = (0..1000).map(|n| format!("f{n}=1&")).collect();
        assert_eq!(form(many.as_bytes()).len(), FIELDS);
    }
}
