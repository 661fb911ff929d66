//! The fields of a line of text, as tracing-subscriber writes them without colours, but without its detours by way of styles
//! and characters one by one: every resync has such a line, with two dozen fields.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// `message name="text" number=1`.
#[derive(Debug, Default)]
pub struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_begun: false, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    is_begun: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_err() {
            return;
        }
        let name = field.name();
        let begin = |writer: &mut Writer<'_>, is_begun: bool| {
            if is_begun {
                writer.write_char(' ')?;
            }
            if name != "message" {
                writer.write_str(name)?;
                writer.write_char('=')?;
            }
            Ok(())
        };
        self.result = begin(&mut self.writer, self.is_begun).and_then(|()| value(&mut self.writer));
        self.is_begun = true;
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer| {
            let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
            if value.bytes().all(is_plain) {
                writer.write_char('"')?;
                writer.write_str(value)?;
                writer.write_char('"')
            } else {
                write!(writer, "{value:?}")
            }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let is_message = field.name() == "message";
        self.write(
            field,
            |writer| {
                if is_message { write!(Harmless(writer), "{value:?}") } else { write!(writer, "{value:?}") }
            },
        );
    }
}

/// Lets nothing through that a terminal would take for a command. Line ends are our own: some messages have several lines.
struct Harmless<'a, 'w>(&'a mut Writer<'w>);

impl Write for Harmless<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_harmful = |character: char| character.is_control() && !matches!(character, '\n' | '\t' | '\r');
        if !text.contains(is_harmful) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| {
            if is_harmful(character) {
                write!(self.0, "{}", character.escape_default())
            } else {
                self.0.write_char(character)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Kept {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    /// What a subscriber writes of a few events.
    fn written(subscriber: impl tracing::Subscriber + Send + Sync + 'static, kept: &Kept) -> String {
        tracing::subscriber::with_default(subscriber, || {
            let mac: crate::model::MacAddr = "000e08abcdef".parse().unwrap();
            tracing::info!(%mac, text = "a \"b\"\\ \u{1b} ü", plain = "Cisco-CP-6841-3PCC/11.2.4", "got {}", "it");
            tracing::warn!(number = -1_i64, whole = 2_u64, part = 1.5, yes = true, none = None::<&str>, error = ?Some(1));
            tracing::error!("two\nlines \u{1b}[2J");
        });
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_are_as_tracing_subscriber_writes_them() {
        let [theirs, ours] = [Kept::default(), Kept::default()];
        let builder = |kept: &Kept| tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(kept.clone());
        let expected = written(builder(&theirs).finish(), &theirs);
        assert_eq!(
            written(builder(&ours).fmt_fields(Fields).finish(), &ours).replace("\\u{1b}[2J", "\\x1b[2J"),
            expected
        );
        assert!(expected.contains("two\nlines") && !expected.contains('\u{1b}'), "{expected}");
    }
}
