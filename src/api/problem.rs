//! What a client is told when something can't be done: RFC 9457. Every error of the API is made here, and holds no secret.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::document;
use crate::store::StoreError;

/// The content type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most mistakes that one answer names.
const MOST_TOLD: usize = 100;

/// What `type` begins with; the kind's word follows.
const TYPE: &str = "urn:resyncd:problem:";

/// One kind of problem: its word, its status, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Malformed,
    NoToken,
    WrongToken,
    Forbidden,
    NotFound,
    Method,
    NotAcceptable,
    SlowBody,
    Conflict,
    InFlight,
    Stale,
    TooLarge,
    MediaType,
    Invalid,
    KeyReused,
    NeedsCondition,
    TooMany,
    Internal,
    Unavailable,
}

impl Kind {
    pub const ALL: [Self; 19] = [
        Self::Malformed,
        Self::NoToken,
        Self::WrongToken,
        Self::Forbidden,
        Self::NotFound,
        Self::Method,
        Self::NotAcceptable,
        Self::SlowBody,
        Self::Conflict,
        Self::InFlight,
        Self::Stale,
        Self::TooLarge,
        Self::MediaType,
        Self::Invalid,
        Self::KeyReused,
        Self::NeedsCondition,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The last part of `type`.
    pub fn word(self) -> &'static str {
        self.about().0
    }

    pub fn status(self) -> StatusCode {
        self.about().1
    }

    /// The title, the same for every problem of the kind.
    pub fn title(self) -> &'static str {
        self.about().2
    }

    fn about(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST, "The request is malformed"),
            Self::NoToken => ("no-token", StatusCode::UNAUTHORIZED, "A token is needed"),
            Self::WrongToken => ("wrong-token", StatusCode::UNAUTHORIZED, "The token is wrong, expired or revoked"),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "The token may not do this"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::Method => ("method", StatusCode::METHOD_NOT_ALLOWED, "This can't be done with it"),
            Self::NotAcceptable => ("not-acceptable", StatusCode::NOT_ACCEPTABLE, "It can't be had in that form"),
            Self::SlowBody => ("slow-body", StatusCode::REQUEST_TIMEOUT, "The body did not come in time"),
            Self::Conflict => ("conflict", StatusCode::CONFLICT, "It is in the way of something else"),
            Self::InFlight => ("in-flight", StatusCode::CONFLICT, "The same request is being answered"),
            Self::Stale => ("stale", StatusCode::PRECONDITION_FAILED, "It is not as the request expects it"),
            Self::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::MediaType => ("media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of a wrong type"),
            Self::Invalid => ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "What is asked for can't be"),
            Self::KeyReused => {
                ("key-reused", StatusCode::UNPROCESSABLE_ENTITY, "The idempotency key belongs to another request")
            }
            Self::NeedsCondition => {
                ("needs-condition", StatusCode::PRECONDITION_REQUIRED, "The request has to say what it changes")
            }
            Self::TooMany => ("too-many", StatusCode::TOO_MANY_REQUESTS, "Too much was asked for"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here"),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "It can't be had at the moment"),
        }
    }
}

/// A problem on its way to the client.
#[derive(Debug)]
pub struct Problem {
    pub kind: Kind,
    detail: String,
    pub(super) errors: Vec<Mistake>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mistake {
    /// Where in the body: a JSON Pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pointer: Option<String>,
    /// The parameter, header or dotted key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key: Option<String>,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub help: Option<String>,
}

impl Mistake {
    /// Of a parameter, header or dotted key.
    pub fn of_key(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: Some(key.into()), message: message.into(), ..Self::default() }
    }

    /// Of a place in the body.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), message: message.into(), ..Self::default() }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }
}

/// What is wrong, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// `urn:resyncd:problem:` and the kind's word.
    r#type: String,
    /// The same for every problem of the kind.
    title: String,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What it is this time.
    detail: String,
    /// Everything that is wrong, where it is more than one thing or has a place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Mistake>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// Several things that are wrong, or one that has a place.
    pub fn of(kind: Kind, errors: Vec<Mistake>) -> Self {
        let detail = match errors.as_slice() {
            [one] => {
                let place = one.pointer.as_ref().or(one.key.as_ref());
                place.map_or_else(|| one.message.clone(), |place| format!("{place}: {}", one.message))
            }
            many => format!("{} things are wrong", many.len()),
        };
        Self { kind, detail, errors, headers: Vec::new() }
    }

    /// The same for whatever isn't there, and for whatever the caller may not see.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "there is nothing here, or nothing that this token may see")
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        // Our own texts; one that is no header's is left out rather than sent broken.
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// Asks for a token.
    pub fn no_token() -> Self {
        Self::new(Kind::NoToken, "send Authorization: Bearer and a token; `resyncd token create` makes one")
            .header(WWW_AUTHENTICATE, "Bearer realm=\"resyncd\"")
    }

    pub fn wrong_token() -> Self {
        Self::new(Kind::WrongToken, "this token is not one that holds")
            .header(WWW_AUTHENTICATE, "Bearer realm=\"resyncd\", error=\"invalid_token\"")
    }

    /// To be tried again after so many seconds.
    pub fn too_many(detail: impl Into<String>, seconds: u64) -> Self {
        Self::new(Kind::TooMany, detail).header(RETRY_AFTER, &seconds.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response<Body> {
        let more = self.errors.len().saturating_sub(MOST_TOLD);
        self.errors.truncate(MOST_TOLD);
        if more > 0 {
            self.detail = format!("{}; the first {MOST_TOLD} are told", self.detail);
        }
        let document = Document {
            r#type: format!("{TYPE}{}", self.kind.word()),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.kind.status(), axum::Json(document)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.headers_mut().extend(self.headers);
        response
    }
}

/// The database's words are for the operator, and go to the log.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!("the API could not use the database: {error}");
        Self::new(Kind::Unavailable, "the database can't be used at the moment; the server's log tells why")
            .header(RETRY_AFTER, "5")
    }
}

/// Mistakes in files of the operator's.
impl From<&document::Problem> for Mistake {
    fn from(problem: &document::Problem) -> Self {
        let line = problem.line.map_or_else(String::new, |line| format!(":{line}"));
        Self {
            pointer: None,
            key: problem.key.clone(),
            message: format!("{}{line}: {}", problem.file.display(), problem.message),
            help: problem.help.clone(),
        }
    }
}
