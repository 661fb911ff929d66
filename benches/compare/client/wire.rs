//! HTTP/1.1 as far as a phone needs it: a request, and an answer that says how long it is.

use std::io::{Read, Write};
use std::net::TcpStream;

use openssl::ssl::SslStream;

/// A connection to a server, and what came last on it.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    /// Where the body is.
    body: std::ops::Range<usize>,
}

enum Stream {
    Plain(TcpStream),
    Secured(Box<SslStream<TcpStream>>),
}

/// Read at a time, in bytes: more than any answer here.
const BUFFER: usize = 64 << 10;

impl Connection {
    pub fn plain(tcp: TcpStream) -> Self {
        Self { stream: Stream::Plain(tcp), buffer: vec![0; BUFFER], body: 0..0 }
    }

    pub fn secured(stream: SslStream<TcpStream>) -> Self {
        Self { stream: Stream::Secured(Box::new(stream)), buffer: vec![0; BUFFER], body: 0..0 }
    }

    /// Sends a request and reads the whole of its answer, which has to be a 200.
    pub fn ask(&mut self, request: &[u8]) {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(request).unwrap(),
            Stream::Secured(tls) => tls.write_all(request).unwrap(),
        }
        let (mut filled, mut searched) = (0, 0);
        let head = loop {
            filled += self.read(filled);
            let end = self.buffer[searched..filled].windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(at) = end {
                break searched + at + 4;
            }
            searched = filled.saturating_sub(3);
        };
        let length = length(&self.buffer[..head]);
        self.body = head..head + length;
        self.buffer.resize(self.buffer.len().max(self.body.end), 0);
        while filled < self.body.end {
            filled += self.read(filled);
        }
    }

    fn read(&mut self, filled: usize) -> usize {
        let buffer = &mut self.buffer[filled..];
        let read = match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(buffer),
            Stream::Secured(tls) => tls.read(buffer),
        };
        let read = read.unwrap();
        assert!(read > 0, "the server closed the connection after {filled} bytes of an answer");
        read
    }

    /// What came last.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    /// Keeps the connection, and not what came on it.
    pub fn rest(&mut self) {
        (self.buffer, self.body) = (Vec::new(), 0..0);
    }

    /// Says goodbye as a phone does.
    pub fn close(self) {
        if let Stream::Secured(mut tls) = self.stream {
            // The server may have gone first.
            let _ = tls.shutdown();
        }
    }
}

fn length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
    value.unwrap_or_else(|| panic!("no length: {head}")).parse().unwrap()
}
