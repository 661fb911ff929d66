//! A phone's own small HTTP server, on a real socket.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use std::time::Duration;

use resyncd::identity::password::{Authorization, Signed};
use resyncd::model::Secret;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// What it does with a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    KeepsOpen,
    Closes,
}

type Answers = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

pub struct Played {
    pub address: SocketAddr,
    heads: Receiver<String>,
}

/// An answer without a body.
pub fn answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n")
}

impl Played {
    /// Answers each request by its head, as long as the test runs; none: not at all.
    pub fn start(reaction: Reaction, answers: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heads) = channel();
        let answers: Answers = Arc::new(answers);
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tell, answers) = (tell.clone(), answers.clone());
                spawn(move || converse(stream, reaction, &tell, &answers));
            }
        });
        Self { address, heads }
    }

    /// The head of the next request.
    pub fn next(&self) -> String {
        self.heads.recv_timeout(LONG).expect("the phone was asked")
    }
}

fn converse(mut stream: TcpStream, reaction: Reaction, tell: &Sender<String>, answers: &Answers) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let answer = answers(&text);
        // The test may have seen enough.
        let _ = tell.send(text);
        if let Some(answer) = answer {
            let _ = stream.write_all(answer.as_bytes());
            if reaction == Reaction::Closes {
                return;
            }
        }
    }
}

/// Whether a request shows this user and password by Digest.
pub fn digest_holds(head: &str, user: &str, password: &str) -> bool {
    let header = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    });
    let Some(Ok(Authorization::Digest(answer))) = header.map(|value| Authorization::parse(value.as_bytes())) else {
        return false;
    };
    let signed = Signed {
        algorithm: answer.algorithm,
        realm: &answer.realm,
        method: "GET",
        uri: &answer.uri,
        nonce: &answer.nonce,
        nc: &answer.nc,
        cnonce: &answer.cnonce,
    };
    answer.user == Secret::new(user)
        && head.starts_with(&format!("GET {} HTTP", answer.uri))
        && answer.response == signed.response(user, &Secret::new(password))
}
