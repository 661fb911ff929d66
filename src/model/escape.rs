//! Text of the outside made safe to show on a terminal.

use std::fmt::{self, Write};

/// Shows a text with everything that could steer a terminal or fake another line written as `\n`, `\u{1b}`, …: control
/// characters (C0, DEL and C1, of which U+009B begins an escape sequence by itself), line separators, and the invisible
/// characters that reorder or hide text.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'t>(pub &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                _ if steers(character) => write!(f, "\\u{{{:x}}}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Whether a character does something else than show itself.
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(character, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_steers_a_terminal_is_spelt_out() {
        let shown = |text| Escaped(text).to_string();
        assert_eq!(shown("Cisco/SPA504G-7.6.2c (\"ö\")"), "Cisco/SPA504G-7.6.2c (\"ö\")");
        assert_eq!(shown("a\x1b[2J\r\nb\x7f\u{9b}31m"), "a\\u{1b}[2J\\r\\nb\\u{7f}\\u{9b}31m");
        assert_eq!(shown("exe.\u{202e}txt"), "exe.\\u{202e}txt");
    }
}
