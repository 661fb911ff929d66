//! Phone numbers (guide: "Phone", "Star Codes").

use super::{Quoted, Wrong, text};
use crate::packs::Parameter;

/// The guide's limit, in characters.
const LONGEST: i64 = 39;

/// A number, a star code, or an address like `jsmith@example.com`: what can stand in a SIP URI without being escaped
/// (RFC 3261, section 25.1), which is what the phone makes of it.
pub(super) fn phone(parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    text::at_most(value, usize::try_from(parameter.max.unwrap_or(LONGEST)).unwrap_or(usize::MAX))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/#%:@[]".contains(c);
    match value.char_indices().find(|(_, c)| !fits(*c)) {
        None => Ok(()),
        Some((at, c)) => {
            let bare: String = value.chars().filter(|c| *c != ' ').collect();
            let help = (c == ' ' && bare.chars().all(fits)).then(|| format!("write {bare}"));
            let character = Quoted(value.get(at..at + c.len_utf8()).unwrap_or_default()).to_string();
            Err(Wrong::new(format!("a phone number or SIP address cannot hold {character}"))
                .helped(help)
                .at(at..at + c.len_utf8()))
        }
    }
}
