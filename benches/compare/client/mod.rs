//! The client: the same for every server. A few phones at a time, each on a thread that waits, asks, reads, and asks again.

mod tls;
mod wire;

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cases::{Load, Tls};
use crate::scene::{Phone, Scene};

pub use self::tls::Secured;
use self::wire::Connection;

/// Phones that ask at a time.
pub const AT_A_TIME: usize = 8;

/// What one phone asks for, and how it proves who it is.
pub struct Target {
    request: Vec<u8>,
    certificate: Option<openssl::x509::X509>,
    /// What it was answered first; every further answer is as long.
    length: Option<usize>,
}

/// Phones that ask one server.
pub struct Client {
    address: SocketAddr,
    tls: Option<Secured>,
    keep_alive: bool,
    pub targets: Vec<Target>,
}

/// What came of some requests.
pub struct Outcome {
    /// In microseconds, from before the connection to the last byte.
    pub latencies: Histogram<u64>,
    pub elapsed: Duration,
}

impl Client {
    pub fn new(scene: &Scene, load: &Load, address: SocketAddr, phones: &[Phone]) -> Self {
        let target = |phone: &Phone| {
            let end = if load.keep_alive { "" } else { "Connection: close\r\n" };
            let request = format!(
                "GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {}\r\nAccept: */*\r\n{end}\r\n",
                phone.path,
                phone.user_agent()
            );
            let certificate = load.tls.filter(|tls| tls.certificate).map(|_| scene.phone_certificate(phone));
            Target { request: request.into_bytes(), certificate, length: None }
        };
        let tls = load.tls.map(|tls: Tls| Secured::new(scene, tls, AT_A_TIME));
        Self { address, tls, keep_alive: load.keep_alive, targets: phones.iter().map(target).collect() }
    }

    /// Asks once for everything there is, and keeps how long each answer was.
    pub fn fetch_all(&mut self) -> Vec<Vec<u8>> {
        let fetch = |target: &Target| {
            let mut connection = self.connect(target, None);
            connection.ask(&target.request);
            connection.body().to_vec()
        };
        let bodies: Vec<_> = self.targets.iter().map(fetch).collect();
        for (target, body) in self.targets.iter_mut().zip(&bodies) {
            target.length = Some(body.len());
        }
        bodies
    }

    /// Asks so many times.
    pub fn ask(&self, requests: usize) -> Outcome {
        let next = AtomicUsize::new(0);
        let begin = Instant::now();
        let latencies = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_A_TIME)
                .map(|slot| {
                    scope.spawn({
                        let next = &next;
                        move || self.work(slot, next, requests)
                    })
                })
                .collect();
            let mut all = histogram();
            for thread in threads {
                all.add(thread.join().expect("a phone was not answered as it should be")).unwrap();
            }
            all
        });
        Outcome { latencies, elapsed: begin.elapsed() }
    }

    /// One phone after the other, until there are no more requests.
    fn work(&self, slot: usize, next: &AtomicUsize, requests: usize) -> Histogram<u64> {
        let mut latencies = histogram();
        let mut kept: Option<Connection> = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return latencies;
            }
            // A session that is resumed is that of the same phone.
            let resumes = self.tls.as_ref().is_some_and(|tls| tls.resumes);
            let target = &self.targets[if resumes { slot } else { number } % self.targets.len()];
            let begin = Instant::now();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect(target, Some(slot)),
            };
            connection.ask(&target.request);
            assert_eq!(target.length.unwrap_or(connection.body().len()), connection.body().len());
            latencies.record(u64::try_from(begin.elapsed().as_micros()).unwrap()).unwrap();
            if self.keep_alive {
                kept = Some(connection);
            } else {
                connection.close();
            }
        }
    }

    /// Opens so many connections, asks once on each, and holds them open.
    pub fn hold(&self, connections: usize) -> Vec<Connection> {
        std::thread::scope(|scope| {
            let open = |slot: usize| {
                move || {
                    let numbers = (slot..connections).step_by(AT_A_TIME);
                    let held = numbers.map(|number| {
                        let target = &self.targets[number % self.targets.len()];
                        let mut connection = self.connect(target, None);
                        connection.ask(&target.request);
                        connection.rest();
                        connection
                    });
                    held.collect::<Vec<_>>()
                }
            };
            let threads: Vec<_> = (0..AT_A_TIME).map(|slot| scope.spawn(open(slot))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    }

    fn connect(&self, target: &Target, slot: Option<usize>) -> Connection {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        match &self.tls {
            None => Connection::plain(tcp),
            Some(tls) => Connection::secured(tls.shake(tcp, target.certificate.as_ref(), slot)),
        }
    }

    /// How many handshakes there were since this was asked last, and how many of them resumed a session.
    pub fn handshakes(&self) -> (usize, usize) {
        self.tls.as_ref().map_or((0, 0), Secured::handshakes)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}
