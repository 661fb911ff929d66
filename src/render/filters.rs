//! Filters for expressions and templates, and the ones taken away because they would switch escaping off.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

/// Adds this program's filters to a Tera instance.
pub fn register(tera: &mut Tera) {
    for name in ["safe", "escape", "escape_html", "escape_xml", "newlines_to_br"] {
        tera.register_filter(name, move |_: Value, _: Kwargs, _: &State| -> TeraResult<Value> {
            Err(Error::message(format!(
                "there is no filter \"{name}\": the file's format decides how values are escaped"
            )))
        });
    }
    tera.register_filter("pad", |value: i64, kwargs: Kwargs, _: &State| -> TeraResult<String> {
        let width = kwargs.get::<u64>("width")?.unwrap_or(2).min(32);
        let width = usize::try_from(width).unwrap_or(2);
        Ok(format!("{value:0width$}"))
    });
    tera.register_filter("hex", |value: i64, kwargs: Kwargs, _: &State| -> TeraResult<String> {
        let width = kwargs.get::<u64>("width")?.unwrap_or(1).min(32);
        let width = usize::try_from(width).unwrap_or(1);
        Ok(format!("{value:0width$x}"))
    });
    tera.register_filter("base64", |value: &str, _: Kwargs, _: &State| STANDARD.encode(value));
    tera.register_filter("url_encode", |value: &str, _: Kwargs, _: &State| percent_encoded(value).to_string());
    tera.register_filter("clock", |value: i64, _: Kwargs, _: &State| {
        let (sign, seconds) = if value < 0 { ("-", value.unsigned_abs()) } else { ("", value.unsigned_abs()) };
        format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    });
}

/// Everything but letters, digits and `-._~` as %XX.
pub fn percent_encoded(text: &str) -> impl fmt::Display + '_ {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let mut tera = Tera::default();
        register(&mut tera);
        let mut context = tera::Context::new();
        context.insert("n", &-1800);
        context.insert("t", "a b/c");
        tera.add_raw_template("t", template).map_err(|error| error.to_string())?;
        tera.render("t", &context).map_err(|error| error.to_string())
    }

    #[test]
    fn filters_do_what_the_docs_say() {
        assert_eq!(
            render("{{ 7 | pad(width=2) }} {{ 184 | hex(width=4) }} {{ n | clock }}").unwrap(),
            "07 00b8 -0:30:00"
        );
        assert_eq!(render("{{ t | base64 }} {{ t | url_encode }}").unwrap(), "YSBiL2M= a%20b%2Fc");
    }

    #[test]
    fn escaping_cannot_be_switched_off() {
        assert!(render("{{ t | safe }}").unwrap_err().contains("no filter \"safe\""));
    }
}
