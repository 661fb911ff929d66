//! Odd ways of phones in the field, which a server has to bear. No guide has them; issue threads of servers do.

use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// Says `nc=00000001` each time it uses a nonce.
    RepeatsCount,
    /// Shows user and password by Basic before it is asked.
    BasicUnasked,
    /// Forgets its cookie when it answers a challenge.
    DropsCookie,
    /// Gives a cookie back with all that stood beside it: `Path=/`.
    EchoesCookie,
    /// Says that an array has 16 elements, however many there are.
    MiscountsArrays,
    /// Leaves the key of an event empty.
    KeylessEvents,
}

/// A text that names no quirk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no quirk: repeats-count, basic-unasked, drops-cookie, echoes-cookie, miscounts-arrays or keyless-events"
)]
pub struct ParseQuirkError(String);

impl Quirk {
    pub const ALL: [(&str, Self); 6] = [
        ("repeats-count", Self::RepeatsCount),
        ("basic-unasked", Self::BasicUnasked),
        ("drops-cookie", Self::DropsCookie),
        ("echoes-cookie", Self::EchoesCookie),
        ("miscounts-arrays", Self::MiscountsArrays),
        ("keyless-events", Self::KeylessEvents),
    ];
}

impl FromStr for Quirk {
    type Err = ParseQuirkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, quirk)| quirk).ok_or_else(|| ParseQuirkError(text.to_owned()))
    }
}

/// The same envelope, with wrong counts.
pub fn miscounted(envelope: &str) -> String {
    const COUNT: &str = "arrayType=\"";
    let mut parts = envelope.split(COUNT);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(COUNT);
        match (part.find('['), part.find(']')) {
            (Some(from), Some(to)) if from < to => {
                out.push_str(part.get(..=from).unwrap_or_default());
                out.push_str("16");
                out.push_str(part.get(to..).unwrap_or_default());
            }
            _ => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_have_names_and_counts_lie() {
        for (name, quirk) in Quirk::ALL {
            assert_eq!(name.parse(), Ok(quirk));
        }
        assert!("dances".parse::<Quirk>().unwrap_err().to_string().contains("keyless-events"));
        let text = "<a SOAP-ENC:arrayType=\"xsd:string[2]\"><b>[7]</b></a><c SOAP-ENC:arrayType=\"d:e[0]\"/>";
        let lying = "<a SOAP-ENC:arrayType=\"xsd:string[16]\"><b>[7]</b></a><c SOAP-ENC:arrayType=\"d:e[16]\"/>";
        assert_eq!(miscounted(text), lying);
    }
}
