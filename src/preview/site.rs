//! The writing of pages: templates, the one way in which text becomes HTML, and files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tera::{Context, Tera};

use super::Error;
use super::paths::{STYLE, root_of};
use crate::model::steers;

/// Templates, by the names that they call each other by.
const TEMPLATES: [(&str, &str); 11] = [
    ("base.html", include_str!("templates/base.html.tera")),
    ("parts.html", include_str!("templates/parts.html.tera")),
    ("overview.html", include_str!("templates/overview.html.tera")),
    ("findings.html", include_str!("templates/findings.html.tera")),
    ("changes.html", include_str!("templates/changes.html.tera")),
    ("devices.html", include_str!("templates/devices.html.tera")),
    ("ranges.html", include_str!("templates/ranges.html.tera")),
    ("groups.html", include_str!("templates/groups.html.tera")),
    ("device.html", include_str!("templates/device.html.tera")),
    ("public.html", include_str!("templates/public.html.tera")),
    ("public_list.html", include_str!("templates/public_list.html.tera")),
];

const STYLESHEET: &str = include_str!("style.css");

/// A site that pages are written to, from several threads at once.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    tera: Tera,
    /// What every page is told.
    common: Context,
    pages: AtomicUsize,
    bytes: AtomicU64,
}

impl Site {
    /// # Errors
    /// When the folder can't be written to.
    pub fn new(folder: &Path, common: Context) -> Result<Self, Error> {
        let mut tera = Tera::default();
        // Every name ends with nothing: escaping is on for all templates.
        tera.autoescape_on([""]);
        tera.set_escape_fn(escape);
        tera.add_raw_templates(TEMPLATES).map_err(|error| template("templates", &error))?;
        let (pages, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        let site = Self { folder: folder.to_owned(), tera, common, pages, bytes };
        site.file(STYLE, |out| out.write_all(STYLESHEET.as_bytes()).map_err(|why| site.failed(STYLE, why)))?;
        Ok(site)
    }

    /// Writes one page. `path` is relative to the site's folder.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn page(&self, path: &str, template_name: &str, own: Context) -> Result<(), Error> {
        let mut context = self.common.clone();
        context.extend(own);
        context.insert("root", &root_of(path));
        self.file(path, |out| {
            self.tera.render_to(template_name, &context, out).map_err(|error| match error.kind() {
                tera::ErrorKind::Io(kind) => self.failed(path, io::Error::from(*kind)),
                _ => template(template_name, &error),
            })
        })?;
        self.pages.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn file(&self, path: &str, body: impl FnOnce(&mut Counted) -> Result<(), Error>) -> Result<(), Error> {
        let full = self.folder.join(path);
        let opened = match File::create(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = full.parent().map_or(Ok(()), fs::create_dir_all);
                made.and_then(|()| File::create(&full))
            }
            opened => opened,
        };
        let file = opened.map_err(|why| self.failed(path, why))?;
        let mut out = Counted { out: BufWriter::with_capacity(1 << 16, file), bytes: 0 };
        body(&mut out)?;
        out.flush().map_err(|why| self.failed(path, why))?;
        self.bytes.fetch_add(out.bytes, Ordering::Relaxed);
        Ok(())
    }

    fn failed(&self, path: &str, why: io::Error) -> Error {
        Error::Io { path: self.folder.join(path), why }
    }

    /// Pages written so far.
    pub fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn template(name: &str, error: &tera::Error) -> Error {
    Error::Template { name: name.to_owned(), message: error.to_string() }
}

struct Counted {
    out: BufWriter<File>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Text as HTML shows it, in an element or a quoted attribute. What would steer the reader's eyes (marks that reorder,
/// blanks that nobody sees) or no HTML may hold (control characters) is spelt out.
fn escape(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut from = 0;
    for (at, character) in text.char_indices() {
        let entity = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            '\n' | '\t' => continue,
            // U+FFFE and U+FFFF are no characters, which XML refuses.
            other if steers(other) || matches!(other, '\u{fffe}' | '\u{ffff}') => "",
            _ => continue,
        };
        out.write_all(text.get(from..at).unwrap_or_default().as_bytes())?;
        if entity.is_empty() {
            write!(out, "\\u{{{:x}}}", u32::from(character))?;
        } else {
            out.write_all(entity.as_bytes())?;
        }
        from = at + character.len_utf8();
    }
    out.write_all(text.get(from..).unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape(text, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(
            escaped("</pre><script>alert('\"&')</script>"),
            "&lt;/pre&gt;&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;"
        );
        assert_eq!(escaped("a\u{202e}b\r\n\u{0}\u{ffff}é"), "a\\u{202e}b\\u{d}\n\\u{0}\\u{ffff}é");
    }

    #[test]
    fn no_template_switches_escaping_off() {
        for (name, text) in TEMPLATES {
            for word in ["safe", "raw", "filter", "style=", "javascript", "//", "<script"] {
                assert!(!text.contains(word), "{name} holds {word}");
            }
        }
    }

    /// The relative luminance of `#rrggbb`, as WCAG 2 has it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn every_text_can_be_told_from_its_ground_in_both_schemes() {
        for scheme in STYLESHEET.split("--ground: ").skip(1) {
            let block = format!("--ground: {}", scheme.split('}').next().unwrap());
            let colours: Vec<(&str, f64)> = block
                .lines()
                .filter_map(|line| line.trim().strip_prefix("--")?.trim_end_matches(';').split_once(": "))
                .map(|(name, colour)| (name, luminance(colour)))
                .collect();
            let of = |wanted: &str| colours.iter().find(|(name, _)| *name == wanted).unwrap().1;
            let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast(of("text"), of("mark")) >= 4.5);
            let texts = colours.iter().filter(|(name, _)| !["ground", "raised", "edge", "mark"].contains(name));
            for (name, colour) in texts {
                for ground in ["ground", "raised"] {
                    let found = contrast(*colour, of(ground));
                    assert!(found >= 4.5, "{name} on {ground}: {found:.2}");
                }
            }
            assert_eq!(colours.len(), 15);
        }
        assert_eq!(STYLESHEET.matches("--ground: ").count(), 2);
    }
}
