//! A server in memory, for emulated phones: it answers as it was told, and keeps what it was asked.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use resyncd::phone::cisco::Random;
use resyncd::phone::{Fetch, FetchError, Request, Response};

/// Answers per URL, one after the other; the last one is given again and again. What no answer is told for is not found.
#[derive(Default)]
pub struct ScriptedServer {
    answers: Mutex<HashMap<String, Vec<Result<Response, FetchError>>>>,
    asked: Mutex<Vec<Request>>,
}

impl ScriptedServer {
    pub fn answer(&self, url: &str, answer: Result<Response, FetchError>) {
        self.answers.lock().unwrap().entry(url.to_owned()).or_default().push(answer);
    }

    /// What was asked, in its order.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
    Response {
        status,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.into(),
        tls_version: None,
        duration: Duration::from_millis(3),
    }
}

impl Fetch for ScriptedServer {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let url = request.url.clone();
        self.asked.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        match answers.get_mut(&url) {
            None => Ok(response(404, &[], "")),
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
        }
    }
}

/// The least or the most that a random number can be.
#[derive(Debug, Clone, Copy)]
pub enum Extreme {
    Least,
    Most,
}

impl Random for Extreme {
    fn up_to(&mut self, bound: u32) -> u32 {
        match self {
            Self::Least => 0,
            Self::Most => bound,
        }
    }
}

/// What a phone does until it is done: nothing here ever waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
