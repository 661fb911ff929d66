//! A server that does what a script says, byte by byte, and notes what it was asked and by whom.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use openssl::ssl::{NameType, Ssl, SslAcceptor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_openssl::SslStream;

/// What is done after a request was read. The connection ends with the script.
#[derive(Debug, Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// Until the phone has had enough.
    SendForever(Vec<u8>),
    /// Says nothing, and holds the connection.
    Hang,
    /// Reads the next request, and goes on.
    Read,
    /// Reads the next request, and begins anew.
    Again,
}

/// One request, and the connection that it came over.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub head: String,
    pub connection: usize,
    pub server_name: Option<String>,
    pub client: Option<String>,
    pub resumed: bool,
    pub tls_version: Option<&'static str>,
}

pub struct ScriptedServer {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl ScriptedServer {
    pub async fn start(tls: Option<SslAcceptor>, script: Vec<Step>) -> Self {
        Self::start_at("127.0.0.1:0", tls, script).await
    }

    pub async fn start_at(address: &str, tls: Option<SslAcceptor>, script: Vec<Step>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let task = tokio::spawn(accept(listener, tls, script, seen.clone()));
        Self { address, seen, task }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<SslAcceptor>, script: Vec<Step>, seen: Arc<Mutex<Vec<Seen>>>) {
    for connection in 0.. {
        let (tcp, _) = listener.accept().await.unwrap();
        let (tls, script, seen) = (tls.clone(), script.clone(), seen.clone());
        tokio::spawn(async move {
            let about = Seen { connection, ..Seen::default() };
            match tls {
                None => play(tcp, about, script, seen).await,
                Some(acceptor) => {
                    // A phone that refuses the handshake is a case like any other.
                    if let Some((stream, about)) = shake(tcp, &acceptor, about).await {
                        play(stream, about, script, seen).await;
                    }
                }
            }
        });
    }
}

async fn shake(tcp: TcpStream, acceptor: &SslAcceptor, about: Seen) -> Option<(SslStream<TcpStream>, Seen)> {
    let mut stream = SslStream::new(Ssl::new(acceptor.context()).unwrap(), tcp).unwrap();
    std::pin::Pin::new(&mut stream).accept().await.ok()?;
    let ssl = stream.ssl();
    let client = ssl.peer_certificate().map(|certificate| {
        let fields = certificate.subject_name().entries();
        let fields = fields.map(|entry| {
            format!("{}={}", entry.object().nid().short_name().unwrap(), entry.data().to_string().unwrap())
        });
        fields.collect::<Vec<_>>().join(", ")
    });
    let about = Seen {
        server_name: ssl.servername(NameType::HOST_NAME).map(str::to_owned),
        client,
        resumed: ssl.session_reused(),
        tls_version: Some(ssl.version_str()),
        ..about
    };
    Some((stream, about))
}

async fn play(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    about: Seen,
    script: Vec<Step>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let mut again = true;
    while again {
        let Some(head) = read_head(&mut stream).await else {
            return;
        };
        seen.lock().unwrap().push(Seen { head, ..about.clone() });
        again = false;
        for step in &script {
            match step {
                Step::Send(bytes) => drop(stream.write_all(bytes).await),
                Step::SendForever(bytes) => while stream.write_all(bytes).await.is_ok() {},
                Step::Hang => std::future::pending().await,
                Step::Read => match read_head(&mut stream).await {
                    Some(head) => seen.lock().unwrap().push(Seen { head, ..about.clone() }),
                    None => return,
                },
                Step::Again => again = true,
            }
        }
        // The phone may be gone already.
        let _ = stream.flush().await;
    }
    let _ = stream.shutdown().await;
}

/// Up to the empty line; none where the phone said nothing more.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}
