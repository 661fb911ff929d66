//! What stands after the `?`: every parameter is known, stands there once, and can be read.

use std::collections::HashSet;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::Api;
use super::problem::{Kind, Mistake, Problem};
use crate::document::nearest;

/// The parameters of a request, read as a `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + IntoParams> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// For what takes no parameters.
#[derive(Debug, serde::Deserialize, IntoParams)]
pub struct Nothing {}

fn read<T: DeserializeOwned + IntoParams>(query: &str) -> Result<T, Problem> {
    let known: Vec<String> = T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect();
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let (mut mistakes, mut seen) = (Vec::new(), HashSet::new());
    let mut kind = Kind::Invalid;
    for (name, value) in &pairs {
        if !known.contains(name) {
            let near = nearest(name, known.iter().map(String::as_str));
            let help = near.map(|near| format!("did you mean \"{near}\"?"));
            mistakes.push(Mistake::of_key(name, "unknown parameter").help(help));
            kind = Kind::Malformed;
        } else if !seen.insert(name) {
            mistakes.push(Mistake::of_key(name, "stands there twice"));
            kind = Kind::Malformed;
        } else if value.contains('\0') {
            // A text like any other, but one that no database takes.
            mistakes.push(Mistake::of_key(name, "may not hold U+0000"));
        }
    }
    if !mistakes.is_empty() {
        return Err(Problem::of(kind, mistakes));
    }
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().to_string();
        Problem::of(Kind::Malformed, vec![Mistake::of_key(name, error.into_inner().to_string())])
    })
}

/// A parameter's text as something else; what that says of a wrong one is the mistake.
pub fn parse<T: FromStr<Err: std::fmt::Display>>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem> {
    let parsed = text.map(str::parse::<T>).transpose();
    parsed.map_err(|error: T::Err| Problem::of(Kind::Malformed, vec![Mistake::of_key(name, error.to_string())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, IntoParams)]
    struct Example {
        limit: Option<u32>,
        device: Option<String>,
    }

    fn refused(query: &str) -> String {
        format!("{:?}", read::<Example>(query).unwrap_err())
    }

    #[test]
    fn every_parameter_is_known_and_stands_there_once() {
        let told = refused("limt=1&device=a&device=b&x=");
        for part in ["limt", "did you mean \\\"limit\\\"?", "device", "twice", "unknown parameter"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(refused("limit=many").contains("invalid digit"));
        assert!(refused("limit=").contains("limit"));
        assert!(refused("limit=-1").contains("limit"));
        assert!(refused("device=%00").contains("U+0000"));
    }

    #[test]
    fn the_rest_is_read() {
        let read = read::<Example>("limit=5&device=00%3A0e").unwrap();
        assert_eq!((read.limit, read.device.as_deref()), (Some(5), Some("00:0e")));
    }
}
