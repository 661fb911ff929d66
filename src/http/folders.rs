//! Folders of static files for anyone: firmware, ring tones, CA files, dictionaries. Streamed, with ranges and ETags.

use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::config::Folder;

/// All folders that are served.
#[derive(Debug, Default)]
pub struct Folders(Vec<Folder>);

/// A folder's file that a path means.
#[derive(Debug, Clone)]
pub struct Found {
    folder: PathBuf,
    /// The path within the folder, decoded.
    file: String,
    prefix: String,
}

/// A body that tells, when it is done with, how many bytes of it were taken: all of them, or as many as the phone had
/// fetched when it went away.
struct Counted<F: FnOnce(u64)> {
    body: Body,
    taken: u64,
    done: Option<F>,
}

impl<F: FnOnce(u64) + Send + Unpin + 'static> http_body::Body for Counted<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.taken += frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<F: FnOnce(u64)> Drop for Counted<F> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(self.taken);
        }
    }
}

/// Calls `done` with the bytes taken when the body is done with.
pub fn counted(body: Body, done: impl FnOnce(u64) + Send + Unpin + 'static) -> Body {
    Body::new(Counted { body, taken: 0, done: Some(done) })
}

/// What a path within a URI can't hold as it is.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

impl Folders {
    pub fn new(folders: &[Folder]) -> Self {
        let mut folders = folders.to_vec();
        // The longest prefix wins.
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.path.len()));
        Self(folders)
    }

    /// The file that a decoded path means, whether it is there or not.
    pub fn find(&self, path: &str) -> Option<Found> {
        self.0.iter().find_map(|folder| {
            let file = path.strip_prefix(folder.path.as_str())?;
            Some(Found { folder: folder.folder.clone(), file: file.to_owned(), prefix: folder.path.clone() })
        })
    }
}

impl Found {
    /// What events call it: the folder that the configuration has, not every file that somebody may try.
    pub fn name(&self) -> String {
        format!("static{}", self.prefix)
    }

    /// Serves the file; none where there is none that may be served.
    pub async fn serve(&self, parts: &Parts) -> Option<Response<Body>> {
        let is_hidden = self.file.split('/').any(|segment| segment.starts_with('.'));
        if is_hidden || self.file.is_empty() || self.file.ends_with('/') {
            return None;
        }
        let uri: Uri = format!("/{}", utf8_percent_encode(&self.file, ESCAPED)).parse().ok()?;
        let mut request = Request::builder().method(parts.method.clone()).uri(uri).body(Body::empty()).ok()?;
        *request.headers_mut() = parts.headers.clone();
        let folder = ServeDir::new(&self.folder).append_index_html_on_directories(false);
        // ServeDir answers every fault with a status; the error type is empty.
        let response = folder.oneshot(request).await.ok()?;
        (response.status() != StatusCode::NOT_FOUND).then(|| response.map(Body::new))
    }
}
