//! The body of a request: JSON, bounded, with every unknown field named.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};
use utoipa::PartialSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::Api;
use super::problem::{Kind, Mistake, Problem};
use crate::document::nearest;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A body that could be read as a `T`. What is wrong with one that can't is all told at once, as far as can be.
#[derive(Debug)]
pub struct Body<T> {
    pub value: T,
    /// As it was sent: what is null in it, and what is left out.
    pub raw: Map<String, Value>,
}

impl<T: DeserializeOwned + PartialSchema> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let is_patch = request.method() == Method::PATCH;
        let fits = match essence.as_deref() {
            Some("application/json") => true,
            Some("application/merge-patch+json") => is_patch,
            _ => false,
        };
        if !fits {
            return Err(Problem::new(Kind::MediaType, "send the body as Content-Type: application/json"));
        }
        let (value, raw) = read(&collect(request.into_body(), api.body_bytes()).await?)?;
        Ok(Self { value, raw })
    }
}

/// All bytes of a body, if they are not too many and come in time.
pub async fn collect(body: HttpBody, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("a body may have {limit} bytes (admin.body_bytes)"));
    // One that says so itself need not be waited for.
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await;
    let Ok(collected) = collected else {
        return Err(Problem::new(Kind::SlowBody, format!("the body has to come within {} s", PATIENCE.as_secs())));
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(_) => Err(Problem::new(Kind::Malformed, "the body broke off")),
    }
}

/// Reads JSON as a `T`, and as it is.
fn read<T: DeserializeOwned + PartialSchema>(bytes: &[u8]) -> Result<(T, Map<String, Value>), Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let value = value.map_err(|error| match error.classify() {
        // JSON it is, and nothing that can be kept: a key twice, a text with U+0000.
        Category::Data => Problem::new(Kind::Invalid, error.to_string()),
        _ => Problem::new(Kind::Malformed, format!("the body is no JSON that can be read: {error}")),
    })?;
    let Value::Object(fields) = value else {
        return Err(Problem::of(Kind::Malformed, vec![Mistake::at("", "must be an object")]));
    };
    let known = fields_of::<T>();
    let unknown: Vec<_> = fields
        .keys()
        .filter(|name| !known.contains(name))
        .map(|name| {
            let near = nearest(name, known.iter().map(String::as_str));
            Mistake::at(pointer([name]), "unknown field").help(near.map(|near| format!("did you mean \"{near}\"?")))
        })
        .collect();
    if !unknown.is_empty() {
        return Err(Problem::of(Kind::Malformed, unknown));
    }
    let typed = serde_path_to_error::deserialize(Value::Object(fields.clone()));
    typed.map(|typed| (typed, fields)).map_err(|error| {
        let path = error.path().iter().map(ToString::to_string).filter(|segment| segment != "?");
        let place = pointer(path);
        Problem::of(Kind::Malformed, vec![Mistake::at(place, error.into_inner().to_string())])
    })
}

/// A JSON Pointer, as RFC 6901 writes it.
pub fn pointer<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> String {
    segments.into_iter().fold(String::new(), |pointer, segment| {
        format!("{pointer}/{}", segment.as_ref().replace('~', "~0").replace('/', "~1"))
    })
}

/// The fields that the schema of a type tells of.
fn fields_of<T: PartialSchema>() -> Vec<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.properties.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// A value in which no object has a key twice: one of the two would be lost without a word.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // `75.0` is the integer 75, as JSON Schema has it. Beyond 2^53 a double can't tell one integer from the next.
        let is_whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
        Ok(if is_whole {
            format!("{value:.0}").parse().map_or(value.into(), |whole: i64| whole.into())
        } else {
            value.into()
        })
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        // PostgreSQL takes no NUL in a text, and no phone does.
        if value.contains('\0') { Err(E::custom("a text may not hold U+0000")) } else { Ok(value.into()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (mut map, mut seen) = (Map::new(), HashSet::new());
        while let Some(key) = entries.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key {key:?} stands there twice")));
            }
            if key.contains('\0') {
                return Err(A::Error::custom("a key may not hold U+0000"));
            }
            map.insert(key, entries.next_value_seed(Strict)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize, utoipa::ToSchema)]
    struct Example {
        name: String,
        number: Option<u8>,
        settings: Option<Map<String, Value>>,
    }

    fn refused(text: &str) -> (String, Vec<String>) {
        let problem = read::<Example>(text.as_bytes()).unwrap_err();
        assert!(matches!(problem.kind, Kind::Malformed | Kind::Invalid));
        let document = format!("{problem:?}");
        let errors = problem.errors.iter().map(|error| {
            format!(
                "{} {} {}",
                error.pointer.as_deref().unwrap_or("-"),
                error.message,
                error.help.as_deref().unwrap_or("")
            )
        });
        (document, errors.collect())
    }

    #[test]
    fn what_is_no_json_has_its_line_and_column() {
        for (text, place) in [
            ("{\"name\":\n \"a\",}", "line 2 column 6"),
            ("", "line 1 column 0"),
            ("{} {}", "line 1 column 4"),
            ("{\"name\": \"a\", \"name\": \"b\"}", "twice at line 1"),
            ("{\"settings\": {\"a\": 1, \"a\": 2}}", "twice at line 1"),
            ("{\"name\": \"\\u0000\"}", "U+0000"),
            (&"[".repeat(200_000), "recursion limit"),
        ] {
            let (told, _) = refused(text);
            assert!(told.contains(place), "{told}");
        }
    }

    #[test]
    fn unknown_fields_and_wrong_types_have_their_pointers() {
        let (_, errors) = refused("{\"nmae\": 1, \"a/b~\": 2, \"name\": \"x\"}");
        assert_eq!(errors, ["/nmae unknown field did you mean \"name\"?", "/a~1b~0 unknown field "]);
        let (_, errors) = refused("{\"name\": 7}");
        assert!(errors[0].starts_with("/name invalid type"), "{errors:?}");
        let (_, errors) = refused("{\"name\": \"a\", \"number\": 256}");
        assert!(errors[0].starts_with("/number "), "{errors:?}");
        let (_, errors) = refused("[]");
        assert_eq!(errors, [" must be an object "]);
    }

    #[test]
    fn the_rest_is_read() {
        let whole = read::<Example>(br#"{"name": "a", "number": 75.0}"#).unwrap().0;
        assert_eq!(whole.number, Some(75));
        let (read, _) = read::<Example>(br#"{"name": "a", "settings": {"lines": {"1": {"user": "1001"}}}}"#).unwrap();
        assert_eq!(read.name, "a");
        assert_eq!(read.settings.unwrap()["lines"]["1"]["user"], "1001");
    }
}
