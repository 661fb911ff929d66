//! An upload's content as the body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::{Content, UploadError};

/// A content on its way out, a part at a time.
pub struct Streamed(mpsc::Receiver<Result<Bytes, UploadError>>);

impl Content {
    /// All of it as a body.
    pub fn into_body(mut self) -> Streamed {
        // One part waits while another is sent.
        let (send, receive) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(part) = self.next().await.transpose() {
                let is_last = part.is_err();
                // An error means that nobody reads any more.
                if send.send(part).await.is_err() || is_last {
                    return;
                }
            }
        });
        Streamed(receive)
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
