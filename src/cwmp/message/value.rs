use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cwmp::soap::read_boolean;
use crate::cwmp::{BooleanForm, Moment, Quirks};
use crate::model::Secret;

/// The type of a parameter: those of TR-106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    String,
    Int,
    UnsignedInt,
    Long,
    UnsignedLong,
    Boolean,
    DateTime,
    Base64,
    HexBinary,
}

/// The value of a parameter. What may be a password doesn't show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    String(String),
    /// A string that is known to be secret. Phones never send one: a password reads as a string, mostly an empty one.
    Secret(Secret),
    Int(i32),
    UnsignedInt(u32),
    Long(i64),
    UnsignedLong(u64),
    Boolean(bool),
    DateTime(Moment),
    Base64(Vec<u8>),
    HexBinary(Vec<u8>),
}

impl ValueKind {
    /// The type that an attribute `xsi:type` names, with any prefix.
    pub(in crate::cwmp) fn from_xsi_type(text: &str) -> Option<Self> {
        let name = text.trim();
        match name.rsplit_once(':').map_or(name, |(_, local)| local) {
            "string" => Some(Self::String),
            "int" => Some(Self::Int),
            "unsignedInt" => Some(Self::UnsignedInt),
            "long" => Some(Self::Long),
            "unsignedLong" => Some(Self::UnsignedLong),
            "boolean" => Some(Self::Boolean),
            "dateTime" => Some(Self::DateTime),
            "base64" | "base64Binary" => Some(Self::Base64),
            "hexBinary" => Some(Self::HexBinary),
            _ => None,
        }
    }

    /// What is written as `xsi:type`.
    pub fn xsi_type(self) -> &'static str {
        match self {
            Self::String => "xsd:string",
            Self::Int => "xsd:int",
            Self::UnsignedInt => "xsd:unsignedInt",
            Self::Long => "xsd:long",
            Self::UnsignedLong => "xsd:unsignedLong",
            Self::Boolean => "xsd:boolean",
            Self::DateTime => "xsd:dateTime",
            Self::Base64 => "soap-enc:base64",
            Self::HexBinary => "xsd:hexBinary",
        }
    }
}

impl Value {
    /// The value of that type which a text stands for: booleans as 0, 1, true or false, times with or without fractions.
    pub fn parse(kind: ValueKind, text: &str) -> Option<Self> {
        let word = text.trim();
        match kind {
            ValueKind::String => Some(Self::String(text.to_owned())),
            ValueKind::Int => word.parse().ok().map(Self::Int),
            ValueKind::UnsignedInt => word.parse().ok().map(Self::UnsignedInt),
            ValueKind::Long => word.parse().ok().map(Self::Long),
            ValueKind::UnsignedLong => word.parse().ok().map(Self::UnsignedLong),
            ValueKind::Boolean => read_boolean(word).map(Self::Boolean),
            ValueKind::DateTime => Moment::parse(word).map(Self::DateTime),
            ValueKind::Base64 => {
                // In lines, as MIME has it.
                let text: String = word.split_ascii_whitespace().collect();
                STANDARD.decode(text).ok().map(Self::Base64)
            }
            ValueKind::HexBinary => hex(word).map(Self::HexBinary),
        }
    }

    /// What a phone sent. Its `xsi:type` is a hint: phones send empty numbers and times of no calendar, and what can't be read
    /// as the type it claims is a string.
    pub(super) fn read(kind: Option<ValueKind>, text: String) -> Self {
        match kind {
            None | Some(ValueKind::String) => Self::String(text),
            Some(kind) => Self::parse(kind, &text).unwrap_or(Self::String(text)),
        }
    }

    pub fn kind(&self) -> ValueKind {
        match self {
            Self::String(_) | Self::Secret(_) => ValueKind::String,
            Self::Int(_) => ValueKind::Int,
            Self::UnsignedInt(_) => ValueKind::UnsignedInt,
            Self::Long(_) => ValueKind::Long,
            Self::UnsignedLong(_) => ValueKind::UnsignedLong,
            Self::Boolean(_) => ValueKind::Boolean,
            Self::DateTime(_) => ValueKind::DateTime,
            Self::Base64(_) => ValueKind::Base64,
            Self::HexBinary(_) => ValueKind::HexBinary,
        }
    }

    /// The text that stands for it on the wire, secrets too.
    pub fn text(&self, quirks: &Quirks) -> Cow<'_, str> {
        match self {
            Self::String(text) => Cow::Borrowed(text),
            Self::Secret(secret) => String::from_utf8_lossy(secret.expose()),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::UnsignedInt(number) => Cow::Owned(number.to_string()),
            Self::Long(number) => Cow::Owned(number.to_string()),
            Self::UnsignedLong(number) => Cow::Owned(number.to_string()),
            Self::Boolean(value) => Cow::Borrowed(match (quirks.booleans, value) {
                (BooleanForm::Words, true) => "true",
                (BooleanForm::Words, false) => "false",
                (BooleanForm::Digits, true) => "1",
                (BooleanForm::Digits, false) => "0",
            }),
            Self::DateTime(moment) => Cow::Owned(moment.text(quirks.times)),
            Self::Base64(bytes) => Cow::Owned(STANDARD.encode(bytes)),
            Self::HexBinary(bytes) => Cow::Owned(bytes.iter().map(|byte| format!("{byte:02X}")).collect()),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "string of {} bytes", text.len()),
            Self::Secret(secret) => write!(f, "{secret}"),
            Self::Base64(bytes) | Self::HexBinary(bytes) => write!(f, "{} bytes", bytes.len()),
            plain => f.write_str(&plain.text(&Quirks::default())),
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::TimeForm;

    #[test]
    fn a_type_is_a_hint() {
        let read = |kind: &str, text: &str| Value::read(ValueKind::from_xsi_type(kind), text.to_owned());
        assert_eq!(read("xsd:boolean", "1"), Value::Boolean(true));
        assert_eq!(read("boolean", " False\n"), Value::Boolean(false));
        assert_eq!(read("xs:int", "-5"), Value::Int(-5));
        assert_eq!(read("xsd:unsignedInt", "4294967295"), Value::UnsignedInt(u32::MAX));
        assert_eq!(read("xsd:unsignedLong", "18446744073709551615"), Value::UnsignedLong(u64::MAX));
        assert_eq!(read("xsd:long", "-1"), Value::Long(-1));
        assert_eq!(read("SOAP-ENC:base64", "aGk\n="), Value::Base64(b"hi".to_vec()));
        assert_eq!(read("xsd:hexBinary", "0aFF"), Value::HexBinary(vec![10, 255]));
        assert_eq!(read("xsd:dateTime", "0001-01-01T00:00:00"), Value::DateTime(Moment::Unknown));
        assert_eq!(read("xsd:string", " kept "), Value::String(" kept ".to_owned()));
        for (kind, text) in [
            ("xsd:int", ""),
            ("xsd:unsignedInt", "-1"),
            ("xsd:boolean", "yes"),
            ("xsd:dateTime", "never"),
            ("xsd:hexBinary", "0"),
            ("soap-enc:base64", "%"),
            ("xsd:anyType", "7"),
            ("", "x"),
        ] {
            assert_eq!(read(kind, text), Value::String(text.to_owned()), "{kind}");
        }
    }

    #[test]
    fn quirks_say_how_values_are_written() {
        let plain = Quirks::default();
        let odd = Quirks { booleans: BooleanForm::Digits, times: TimeForm::Milliseconds };
        assert_eq!((Value::Boolean(true).text(&plain), Value::Boolean(true).text(&odd)), ("true".into(), "1".into()));
        let time = Value::DateTime(Moment::Unknown);
        assert_eq!(time.text(&plain), "0001-01-01T00:00:00Z");
        assert_eq!(time.text(&odd), "0001-01-01T00:00:00.000Z");
        for value in
            [Value::Int(-5), Value::Base64(b"hi".to_vec()), Value::HexBinary(vec![10, 255]), Value::Boolean(false)]
        {
            assert_eq!(Value::parse(value.kind(), &value.text(&odd)), Some(value));
        }
    }

    #[test]
    fn values_that_may_be_secret_do_not_show() {
        let values = [
            Value::String("hush".to_owned()),
            Value::Secret(Secret::new("hush")),
            Value::Base64(b"hush".to_vec()),
            Value::HexBinary(b"hush".to_vec()),
        ];
        let shown = format!("{values:?}");
        assert_eq!(shown, "[string of 4 bytes, ***, 4 bytes, 4 bytes]");
        assert_eq!(format!("{:?}", Value::UnsignedInt(7)), "7");
    }
}
