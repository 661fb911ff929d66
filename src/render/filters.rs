//! Filters for expressions and templates, and the ones taken away because they would switch escaping off.

use std::fmt;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

use crate::model::fingerprint;
use crate::packs::data_model::date_time_of;

/// Filters that would switch escaping off, or escape for another format than the file's.
const FORBIDDEN: [&str; 5] = ["safe", "escape", "escape_html", "escape_xml", "newlines_to_br"];

fn no_filter(name: &str) -> String {
    format!("there is no filter \"{name}\": the file's format decides how values are escaped")
}

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    // Comments first: what stands in them is no tag. Texts within a tag may hold its end.
    let tag = r#"(?:"[^"]*"|'[^']*'|`[^`]*`|[^"'`])*?"#;
    Regex::new(&format!(r"(?s)\{{#.*?#\}}|(?<tag>\{{\{{{tag}\}}\}}|\{{%{tag}%\}})")).unwrap()
});

#[allow(clippy::unwrap_used, reason = "a constant pattern, compiled by the tests of this module")]
static USE: LazyLock<Regex> = LazyLock::new(|| {
    let names = FORBIDDEN.join("|");
    Regex::new(&format!(r#""[^"]*"|'[^']*'|`[^`]*`|(?:\||^\{{%[-~]?\s*filter\b)\s*(?<name>{names})\b"#)).unwrap()
});

/// The first use of a filter that doesn't exist here, found when a template is loaded: its line, counted from 1, and
/// what is to be said.
pub fn forbidden(template: &str) -> Option<(usize, String)> {
    TAG.captures_iter(template).filter_map(|found| found.name("tag")).find_map(|tag| {
        let name = USE.captures_iter(tag.as_str()).find_map(|found| found.name("name"))?;
        let before = template.get(..tag.start() + name.start()).unwrap_or_default();
        Some((before.matches('\n').count() + 1, no_filter(name.as_str())))
    })
}

/// Adds this program's filters to a Tera instance.
pub fn register(tera: &mut Tera) {
    for name in FORBIDDEN {
        // Loading finds them; this is for what it should overlook.
        tera.register_filter(name, move |_: Value, _: Kwargs, _: &State| -> TeraResult<Value> {
            Err(Error::message(no_filter(name)))
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
    tera.register_filter("spread", |value: &str, kwargs: Kwargs, _: &State| -> TeraResult<i64> {
        let within = kwargs.must_get::<i64>("within")?;
        Ok(spread(value, within))
    });
    tera.register_filter("date_time", |value: i64, _: Kwargs, _: &State| -> TeraResult<String> {
        date_time_of(value).ok_or_else(|| Error::message("is no time before the year 10000"))
    });
    tera.register_filter("clock", |value: i64, _: Kwargs, _: &State| {
        let (sign, seconds) = if value < 0 { ("-", value.unsigned_abs()) } else { ("", value.unsigned_abs()) };
        format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    });
}

/// A number from 0 up to `within`, always the same for a text and evenly spread over many: so that phones that do something
/// every so often don't all do it at once.
fn spread(text: &str, within: i64) -> i64 {
    let within = u64::try_from(within).unwrap_or(0).max(1);
    i64::try_from(fingerprint(text.as_bytes()) % within).unwrap_or(0)
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
        assert_eq!(
            render("{{ 3661 | date_time }} {{ 0 | date_time | trim_end(pat='Z') }}").unwrap(),
            "1970-01-01T01:01:01Z 1970-01-01T00:00:00"
        );
        let spread = render("{{ t | spread(within=3600) }}").unwrap();
        assert_eq!(spread, render("{{ t | spread(within=3600) }}").unwrap());
        assert!(spread.parse::<u16>().unwrap() < 3600);
        assert_eq!(render("{{ t | spread(within=0) }}").unwrap(), "0");
        assert_eq!(render("{{ t | base64 }} {{ t | url_encode }}").unwrap(), "YSBiL2M= a%20b%2Fc");
    }

    #[test]
    fn escaping_cannot_be_switched_off() {
        assert!(render("{{ t | safe }}").unwrap_err().contains("no filter \"safe\""));
        let line = |template| forbidden(template).map(|(line, _)| line);
        assert_eq!(line("a\n{{ t\n|safe }}"), Some(3));
        assert_eq!(line("{% filter escape %}a{% endfilter %}"), Some(1));
        assert_eq!(line("{% if t | escape_html == '}}' %}{% endif %}"), Some(1));
        for fine in ["a | safe", "{# t | safe #}", "{{ '| safe' }}", "{{ t | safely }}", "{{ safe | upper }}"] {
            assert_eq!(line(fine), None, "{fine}");
        }
    }
}
