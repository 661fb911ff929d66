//! Fetching straight from a pipeline in the same process: no socket, no TLS, the same answers. For checks that ask what a
//! phone would make of its own files.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use time::OffsetDateTime;

use super::fetch::{Fetch, FetchError, Method, Request, Response};
use crate::model::Secret;
use crate::resync::{Connection, Pipeline, Request as Asked};

/// A server that the phone reaches without a network.
pub struct InProcess {
    pipeline: Arc<Pipeline>,
    /// What stands before the path in this server's URLs: `https://prov.example.com`. A phone sent anywhere else has left.
    bases: Vec<String>,
    /// The connection that the phone's requests come over, with the certificate it shows.
    connection: Connection,
    /// The first URL that was asked for and is not this server's.
    strayed: OnceLock<String>,
}

impl InProcess {
    pub fn new(pipeline: Arc<Pipeline>, bases: Vec<String>, connection: Connection) -> Self {
        Self { pipeline, bases, connection, strayed: OnceLock::new() }
    }

    /// Where the phone went that is not this server, if it did.
    pub fn strayed(&self) -> Option<String> {
        self.strayed.get().cloned()
    }

    /// The path and query of a URL of this server's.
    fn target(&self, url: &str) -> Option<String> {
        self.bases.iter().find_map(|base| path_at(base, url))
    }
}

/// The path and query of a URL that leads to the server of a base like `https://prov.example.com`.
pub fn path_at(base: &str, url: &str) -> Option<String> {
    let (base, url) = (normal(base), normal(url));
    let rest = url.strip_prefix(base.trim_end_matches('/'))?;
    match rest.chars().next() {
        None => Some("/".to_owned()),
        Some('/') => Some(rest.to_owned()),
        Some('?') => Some(format!("/{rest}")),
        // The base is only the beginning of another host's name.
        Some(_) => None,
    }
}

/// A URL with scheme and host in lower case and without the scheme's own port.
fn normal(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (scheme, host) = (scheme.to_lowercase(), host.to_lowercase());
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}{path}", host.strip_suffix(own_port).unwrap_or(&host))
}

impl Fetch for InProcess {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let started = Instant::now();
        let Some(target) = self.target(&request.url) else {
            self.strayed.get_or_init(|| request.url.clone());
            return Err(FetchError::Connect(request.url, "it is not a URL of this server".to_owned()));
        };
        let header = |name: &str| {
            let found = request.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let authorization = header("authorization").map(Secret::new);
        let asked = Asked {
            connection: &self.connection,
            time: OffsetDateTime::now_utc(),
            started,
            method: match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
                Method::Put => "PUT",
            },
            target: &target,
            user_agent: Some(&request.user_agent),
            if_none_match: header("if-none-match"),
            authorization: authorization.as_ref(),
            vouched: None,
        };
        let (answer, _) = self.pipeline.answer(&asked);
        let mut headers = vec![("content-length".to_owned(), answer.length.to_string())];
        let mut add = |name: &str, value: Option<&str>| {
            headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        };
        add("content-type", answer.content_type.as_deref());
        add("content-encoding", answer.content_encoding);
        add("etag", answer.etag.as_deref());
        headers.extend(answer.challenges.into_iter().map(|challenge| ("www-authenticate".to_owned(), challenge)));
        let (status, body) = (answer.status, answer.body);
        Ok(Response { status, headers, body, tls_version: None, duration: started.elapsed() })
    }
}

#[cfg(test)]
mod tests {
    use super::{normal, path_at};

    #[test]
    fn urls_of_one_server_are_written_alike() {
        assert_eq!(normal("HTTPS://Prov.Example.com:443/A?b"), "https://prov.example.com/A?b");
        assert_eq!(normal("http://prov.example.com:8080"), "http://prov.example.com:8080");
        assert_eq!(normal("http://prov.example.com?x"), "http://prov.example.com?x");
    }

    #[test]
    fn a_url_leads_to_a_server_or_to_another() {
        let path = |base| path_at(base, "https://prov.example:443/a?b");
        assert_eq!(path("https://prov.example").as_deref(), Some("/a?b"));
        assert_eq!(path("https://prov.example/").as_deref(), Some("/a?b"));
        assert_eq!(path("https://prov.exam"), None);
        assert_eq!(path("http://prov.example"), None);
    }
}
