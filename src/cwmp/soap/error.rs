use std::fmt;

use super::CwmpNamespace;
use crate::cwmp::message::FaultCode;
use crate::model::Escaped;

/// Why the bytes of a phone are no envelope that can be used, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    pub problem: Problem,
    /// The byte at which it was seen, from the start of the body.
    pub at: usize,
    /// The elements that were open there, `Envelope/Body/Inform`: local names, the innermost last.
    pub path: String,
    /// The envelope's ID, if it came before the mistake: a fault has to carry it.
    pub id: Option<String>,
    /// The phone's namespace, if it was told before the mistake.
    pub namespace: Option<CwmpNamespace>,
    /// The element within the body, if the reader came so far: the name of the message.
    pub method: Option<String>,
}

/// What is wrong with an envelope.
///
/// What is no envelope at all, or means harm, is refused with an HTTP status. A message that is one, and wrong in itself, gets a
/// fault of CWMP, if it was a request; faults never answer responses (TR-069 3.5).
///
/// Only names of elements and namespaces are shown of what was sent, and cut off: what stands between them may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the encoding is \"{}\"; only UTF-8 is read", Escaped(.0))]
    Encoding(String),
    #[error("the text is no UTF-8")]
    NotUtf8,
    #[error("the text holds U+{:04X}, which no XML may hold", u32::from(*.0))]
    Character(char),
    #[error("this is no XML: {0}")]
    Malformed(&'static str),
    #[error("the text ends within an element")]
    Truncated,
    #[error("a document type is never read")]
    DocumentType,
    #[error("a processing instruction is never read")]
    ProcessingInstruction,
    #[error("a reference is none of the five entities of XML, and no character")]
    Entity,
    #[error("elements are nested deeper than {limit}")]
    TooDeep { limit: usize },
    #[error("there are more than {limit} elements")]
    TooManyElements { limit: usize },
    #[error("an element has more than {limit} attributes")]
    TooManyAttributes { limit: usize },
    #[error("an element's name has more than {limit} bytes")]
    ElementName { limit: usize },
    #[error("something follows the envelope")]
    Trailing,
    #[error("the outermost element is \"{}\", not Envelope", Escaped(.0))]
    NotAnEnvelope(String),
    #[error("the envelope has no body, or an empty one")]
    NoBody,
    #[error("no namespace of CWMP is declared; it is {}1-0, 1-1, 1-2 or 1-3", CwmpNamespace::FAMILY)]
    NoNamespace,
    #[error("the namespace {} is not spoken here; {}1-0 to 1-3 are", Escaped(.0), CwmpNamespace::FAMILY)]
    UnknownNamespace(String),
    #[error("the header \"{}\" must be understood, and is not", Escaped(.0))]
    MustUnderstand(String),
    #[error("a list has more than {limit} items")]
    TooManyItems { limit: usize },
    #[error("a name has more than {limit} characters")]
    NameTooLong { limit: usize },
    #[error("a text has more than {limit} bytes")]
    TextTooLong { limit: usize },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("this can't be read as {0}")]
    Value(&'static str),
}

/// How an unreadable envelope is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An HTTP status, without a body: 400, 413 or 415.
    Status(u16),
    /// A fault, if the message was a request; otherwise 400.
    Fault(FaultCode),
}

impl Problem {
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::TooLarge { .. } => Refusal::Status(413),
            Self::Encoding(_) => Refusal::Status(415),
            Self::UnknownNamespace(_) => Refusal::Fault(FaultCode::VERSION_INCOMPATIBLE),
            Self::TooManyItems { .. } => Refusal::Fault(FaultCode::ACS_RESOURCES_EXCEEDED),
            Self::MustUnderstand(_)
            | Self::NameTooLong { .. }
            | Self::TextTooLong { .. }
            | Self::Missing(_)
            | Self::Value(_) => Refusal::Fault(FaultCode::ACS_INVALID_ARGUMENTS),
            _ => Refusal::Status(400),
        }
    }
}

impl ReadError {
    /// Whether the message is known to be a request: faults answer nothing else.
    pub fn is_request(&self) -> bool {
        self.method.as_ref().is_some_and(|method| !method.ends_with("Response") && method != "Fault")
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.at)?;
        if !self.path.is_empty() {
            write!(f, ", in {}", Escaped(&self.path))?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ReadError {}
