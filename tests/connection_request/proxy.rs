//! A SIP proxy that is played here, on real sockets: it says what the test has it say, and what it was sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use std::time::Duration;

use resyncd::identity::password::{Authorization, Signed};
use resyncd::model::Secret;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

pub struct Proxy {
    pub address: SocketAddr,
    messages: Receiver<String>,
}

/// What it says to each message, counted from 0: as many datagrams, or pieces of a stream, as there are.
pub trait Says: FnMut(usize, &str) -> Vec<Vec<u8>> + Send + 'static {}

impl<F: FnMut(usize, &str) -> Vec<Vec<u8>> + Send + 'static> Says for F {}

/// An answer to a message, as RFC 3261 has it made.
pub fn answer(message: &str, status: &str, more: &str) -> Vec<u8> {
    let copied = ["Via", "From", "Call-ID", "CSeq"];
    let copied: String = message
        .lines()
        .filter(|line| copied.iter().any(|name| line.starts_with(&format!("{name}:"))))
        .map(|line| format!("{}\r\n", line.replace(";rport", ";received=127.0.0.1;rport=5060")))
        .collect();
    let to = header(message, "To");
    format!("SIP/2.0 {status}\r\n{copied}To: {to};tag=proxy\r\n{more}Content-Length: 0\r\n\r\n").into_bytes()
}

pub fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let found = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {message}"))
}

impl Proxy {
    pub fn over_udp(mut says: impl Says) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let (tell, messages) = channel();
        spawn(move || {
            let mut buffer = [0; 4_000];
            for number in 0.. {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
                let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
                for datagram in says(number, &message) {
                    // Who asked may be gone.
                    let _ = socket.send_to(&datagram, from);
                }
                let _ = tell.send(message);
            }
        });
        Self { address, messages }
    }

    /// Closes a connection when it has nothing to say.
    pub fn over_tcp(mut says: impl Says) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, messages) = channel();
        spawn(move || {
            let mut number = 0;
            for stream in listener.incoming().map_while(Result::ok) {
                converse(stream, &mut number, &tell, &mut says);
            }
        });
        Self { address, messages }
    }

    /// The next message.
    pub fn next(&self) -> String {
        self.messages.recv_timeout(LONG).expect("the proxy was sent something")
    }

    /// Whether there is none yet.
    pub fn is_idle(&self) -> bool {
        self.messages.try_recv().is_err()
    }
}

fn converse(mut stream: TcpStream, number: &mut usize, tell: &Sender<String>, says: &mut impl Says) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let message = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let pieces = says(*number, &message);
        *number += 1;
        let _ = tell.send(message);
        if pieces.is_empty() {
            return;
        }
        for piece in pieces {
            // Who asked may be gone.
            let _ = stream.write_all(&piece).and_then(|()| stream.flush());
        }
    }
}

/// Whether a NOTIFY shows this user and password by Digest, in this header.
pub fn digest_holds(message: &str, name: &str, user: &str, password: &str) -> bool {
    let Ok(Authorization::Digest(answer)) = Authorization::parse(header(message, name).as_bytes()) else {
        return false;
    };
    let signed = Signed {
        algorithm: answer.algorithm,
        realm: &answer.realm,
        method: "NOTIFY",
        uri: &answer.uri,
        nonce: &answer.nonce,
        nc: &answer.nc,
        cnonce: &answer.cnonce,
    };
    answer.user == Secret::new(user)
        && message.starts_with(&format!("NOTIFY {} SIP/2.0\r\n", answer.uri))
        && answer.response == signed.response(user, &Secret::new(password))
}
