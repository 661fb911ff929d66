//! Fetching over real sockets, as a phone does it.
//!
//! A [`Stack`] is what all phones of one firmware do alike: how they find the server, what TLS they speak, which bounds
//! they keep. A [`Network`] is one phone's use of it, with its certificate, its TLS session and, where it keeps one, its
//! connection. Redirects, challenges and content codings are none of its business: the phone's family decides on them.
//!
//! Nothing that a server does can take longer, or become larger, than [`Options`] allow; all of it ends as a
//! [`FetchError`].

mod connection;
mod names;
mod resolve;
mod stream;
mod target;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http_body_util::Full;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Fetch, FetchError, Method, Request, Response};
use connection::{Answer, Bounds, Connection, Failed};
use tls::{HandshakeError, Session, Tls};

pub use connection::Keep;
pub use resolve::{Resolver, look_up};
pub use stream::Stream;
pub use target::{Origin, Target};
pub use tls::{ClientCertificate, ParseTlsVersionError, Roots, TlsOptions, TlsSetupError, TlsVersion};

/// How requests are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpVersion {
    V1_0,
    #[default]
    V1_1,
}

/// What a firmware does alike for every request.
#[derive(Debug, Clone)]
pub struct Options {
    pub resolver: Resolver,
    pub tls: TlsOptions,
    pub http_version: HttpVersion,
    /// Otherwise every request has a connection of its own.
    pub keep_alive: bool,
    /// For one address to take the connection.
    pub connect_timeout: Duration,
    /// For one address to finish the TLS handshake.
    pub handshake_timeout: Duration,
    /// For all of a fetch: the name, every address, and the last byte of the body.
    pub request_timeout: Duration,
    /// Bytes of an answer's status line and headers.
    pub head_limit: usize,
    /// Bytes of an answer's body.
    pub body_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resolver: Resolver::System,
            tls: TlsOptions::default(),
            http_version: HttpVersion::V1_1,
            keep_alive: false,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(60),
            head_limit: 16 << 10,
            // Firmware is the largest that phones fetch.
            body_limit: 256 << 20,
        }
    }
}

/// The network as one firmware uses it; phones share it.
pub struct Stack {
    options: Options,
    tls: Tls,
}

impl Stack {
    /// # Errors
    /// When the CA file can't be read or holds none, or OpenSSL can't do what is asked.
    pub fn new(options: Options) -> Result<Self, TlsSetupError> {
        Ok(Self { tls: Tls::new(&options.tls)?, options })
    }

    /// A connection to the first of the server's addresses that answers. One that takes the connection and then says
    /// nothing, or breaks off, has not answered; one that refuses the phone, or is refused by it, has.
    async fn connect(&self, origin: &Origin, phone: &Network) -> Result<Connected, FetchError> {
        let addresses = self.options.resolver.resolve(origin).await?;
        let mut reasons = Vec::new();
        for address in addresses {
            match self.connect_to(address, origin, phone).await {
                Ok(connected) => return Ok(connected),
                Err(HandshakeError::Refused(why)) => return Err(FetchError::Tls(origin.host.clone(), why)),
                Err(HandshakeError::NoAnswer(why)) => reasons.push(format!("{address}: {why}")),
            }
        }
        Err(FetchError::Connect(origin.host.clone(), reasons.join("; ")))
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        origin: &Origin,
        phone: &Network,
    ) -> Result<Connected, HandshakeError> {
        let Options { connect_timeout, handshake_timeout, .. } = self.options;
        let no_answer = |what: &str, limit| HandshakeError::NoAnswer(format!("no {what} within {limit:?}"));
        let tcp = match timeout(connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(HandshakeError::NoAnswer(error.to_string())),
            Err(_) => return Err(no_answer("connection", connect_timeout)),
        };
        // What is asked fits into one segment and shouldn't wait for a second; a failure to say so costs no more.
        let _ = tcp.set_nodelay(true);
        if !origin.tls {
            return Ok(Connected { stream: Stream::Plain(tcp), tls_version: None, resumed: false });
        }
        let handshake = self.tls.handshake(tcp, origin, phone.certificate.as_deref(), &phone.session);
        match timeout(handshake_timeout, handshake).await {
            Ok(shaken) => shaken.map(|shaken| Connected {
                stream: Stream::Tls(shaken.stream),
                tls_version: Some(shaken.version),
                resumed: shaken.resumed,
            }),
            Err(_) => Err(no_answer("TLS handshake", handshake_timeout)),
        }
    }
}

/// A connection that nothing was asked on yet.
pub struct Connected {
    pub stream: Stream,
    /// `TLSv1.3`, none without TLS.
    pub tls_version: Option<&'static str>,
    /// Whether a TLS session was taken up again.
    pub resumed: bool,
}

/// One phone's network.
pub struct Network {
    stack: Arc<Stack>,
    certificate: Option<Arc<ClientCertificate>>,
    session: Arc<Session>,
    /// The connection that is kept, while no request is on it.
    idle: Mutex<Option<Box<(Origin, Connection)>>>,
}

/// An answer, and how it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub response: Response,
    /// Bytes of the body, kept or not.
    pub length: usize,
    /// Whether a TLS session was taken up again for it.
    pub resumed: bool,
    /// Whether it came over a connection that was used before.
    pub reused: bool,
}

impl Network {
    pub fn new(stack: Arc<Stack>, certificate: Option<Arc<ClientCertificate>>) -> Self {
        Self { stack, certificate, session: Arc::default(), idle: Mutex::new(None) }
    }

    /// Whether a connection is kept open.
    pub fn holds_connection(&self) -> bool {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The same, having looked whether the server closed it meanwhile; then it is closed here too.
    pub async fn still_holds_connection(&self) -> bool {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(idle) = idle {
            self.rest(idle).await;
        }
        self.holds_connection()
    }

    /// Closes the connection that is kept, if there is one.
    pub fn close(&self) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A connection of this phone's that nothing is asked on: for those who mean to misbehave on it.
    pub async fn open(&self, url: &str) -> Result<Connected, FetchError> {
        self.stack.connect(&Target::parse(url)?.origin, self).await
    }

    /// The same without TLS, whatever the URL says.
    pub async fn open_tcp(&self, url: &str) -> Result<Connected, FetchError> {
        self.stack.connect(&Origin { tls: false, ..Target::parse(url)?.origin }, self).await
    }

    /// Fetches, and tells how. What is not kept of a body costs no memory.
    pub async fn receive(&self, request: Request, keep: Keep) -> Result<Received, FetchError> {
        let (started, limit) = (Instant::now(), self.stack.options.request_timeout);
        let target = Target::parse(&request.url)?;
        let attempt = self.attempt(&target, &request, keep, started);
        timeout(limit, attempt).await.unwrap_or(Err(FetchError::Timeout(limit)))
    }

    async fn attempt(
        &self,
        target: &Target,
        request: &Request,
        keep: Keep,
        started: Instant,
    ) -> Result<Received, FetchError> {
        if let Some(mut idle) = self.take_idle(&target.origin).await {
            match idle.1.exchange(self.write(target, request)?, keep).await {
                Ok(answer) => {
                    let tls_version = idle.1.tls_version;
                    self.rest(idle).await;
                    let received = Received { resumed: false, reused: true, ..received(answer, tls_version, started) };
                    return Ok(received);
                }
                // The server closed it just now. What it may have done already must not be asked of it twice.
                Err(Failed { unanswered: true, .. }) if request.method == Method::Get => {}
                Err(Failed { error, .. }) => return Err(error),
            }
        }
        let Connected { stream, tls_version, resumed } = self.stack.connect(&target.origin, self).await?;
        let bounds = Bounds { head: self.stack.options.head_limit, body: self.stack.options.body_limit };
        let connection = Connection::new(stream, tls_version, target.origin.host.clone(), bounds).await?;
        let mut connection = Box::new((target.origin.clone(), connection));
        let answer = connection.1.exchange(self.write(target, request)?, keep).await.map_err(|failed| failed.error)?;
        self.rest(connection).await;
        Ok(Received { resumed, ..received(answer, tls_version, started) })
    }

    async fn take_idle(&self, origin: &Origin) -> Option<Box<(Origin, Connection)>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let is_usable = idle.0 == *origin && idle.1.is_usable().await;
        is_usable.then_some(idle)
    }

    /// Keeps a connection for the next request, if both sides want that.
    async fn rest(&self, mut connection: Box<(Origin, Connection)>) {
        if self.stack.options.keep_alive && connection.1.is_usable().await {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        }
    }

    fn write(&self, target: &Target, request: &Request) -> Result<http::Request<Full<Bytes>>, FetchError> {
        let refuse = |what: &str| FetchError::Malformed(format!("the request's {what} can't be sent"));
        let value = |what: &str, value: &str| HeaderValue::from_str(value).map_err(|_| refuse(what));
        let options = &self.stack.options;
        let mut written = http::Request::new(Full::new(request.body.clone()));
        *written.method_mut() = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
        };
        *written.version_mut() = match options.http_version {
            HttpVersion::V1_0 => http::Version::HTTP_10,
            HttpVersion::V1_1 => http::Version::HTTP_11,
        };
        *written.uri_mut() = target.path.clone().into();
        let headers = written.headers_mut();
        headers.insert(HOST, value("Host", &target.host_header)?);
        if !request.user_agent.is_empty() {
            headers.insert(USER_AGENT, value("User-Agent", &request.user_agent)?);
        }
        match (options.keep_alive, options.http_version) {
            (false, _) => drop(headers.insert(CONNECTION, HeaderValue::from_static("close"))),
            (true, HttpVersion::V1_0) => drop(headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"))),
            (true, HttpVersion::V1_1) => {}
        }
        if let Some(content_type) = &request.content_type {
            headers.insert(CONTENT_TYPE, value("Content-Type", content_type)?);
        }
        for (name, text) in &request.headers {
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("header name"))?;
            headers.append(header, value(name, text)?);
        }
        Ok(written)
    }
}

impl Fetch for Network {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        Ok(self.receive(request, Keep::Body).await?.response)
    }
}

fn received(answer: Answer, tls_version: Option<&'static str>, started: Instant) -> Received {
    let Answer { parts, body, length } = answer;
    // hyper keeps the values of one name together, in their order; the order among names is as they first came.
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let response = Response {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body,
        tls_version: tls_version.map(str::to_owned),
        duration: started.elapsed(),
    };
    Received { response, length, resumed: false, reused: false }
}
