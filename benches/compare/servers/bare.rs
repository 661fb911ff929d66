//! The floor: hyper and the OpenSSL that resyncd is built with, and nothing else. It is this program again, in a process of its
//! own; it answers paths with bytes that it has read at the start.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use openssl::ssl::{Ssl, SslAcceptor, SslContext, SslFiletype, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_openssl::SslStream;

use super::{Server, free_address, on_server_core};
use crate::cases::{Load, Version};
use crate::measure::Counted;
use crate::scene::Scene;

/// What this program is started with to be this server; its configuration follows.
pub const ARGUMENT: &str = "serve-bare";

#[derive(Serialize, Deserialize)]
struct Configuration {
    address: SocketAddr,
    bodies: PathBuf,
    tls: Option<Secured>,
}

#[derive(Serialize, Deserialize)]
struct Secured {
    certificate: PathBuf,
    key: PathBuf,
    phone_ca: Option<PathBuf>,
    is_13: bool,
}

pub fn start(scene: &Scene, load: &Load, bodies: &Path) -> Option<Server> {
    let address = free_address();
    let tls = load.tls.map(|tls| {
        let (certificate, key) = scene.certificate(tls.key);
        let phone_ca = tls.certificate.then(|| scene.phone_ca.clone());
        Secured { certificate, key, phone_ca, is_13: tls.version == Version::Tls13 }
    });
    let configuration = Configuration { address, bodies: bodies.to_owned(), tls };
    let arguments = vec![ARGUMENT.to_owned(), serde_json::to_string(&configuration).unwrap()];
    let this = std::env::current_exe().unwrap();
    Some(Server::launch(scene.folder(), Counted::new(), address, &on_server_core(&this, arguments)))
}

/// Serves until the process is ended.
pub fn serve(configuration: &str) {
    let configuration: Configuration = serde_json::from_str(configuration).unwrap();
    let folder = configuration.bodies.join("cisco");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let bodies: HashMap<String, Bytes> = files
        .map(|entry| (format!("/cisco/{}", entry.file_name().display()), std::fs::read(entry.path()).unwrap().into()))
        .collect();
    let bodies: &'static HashMap<String, Bytes> = Box::leak(Box::new(bodies));
    let context = configuration.tls.map(context);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind(configuration.address).await.unwrap();
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let context = context.clone();
            tokio::spawn(async move {
                let Some(context) = context else { return speak(tcp, bodies).await };
                let mut stream = SslStream::new(Ssl::new(&context).unwrap(), tcp).unwrap();
                if Pin::new(&mut stream).accept().await.is_ok() {
                    speak(stream, bodies).await;
                }
            });
        }
    });
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, bodies: &'static HashMap<String, Bytes>) {
    let answer = |request: Request<hyper::body::Incoming>| async move {
        let body = bodies.get(request.uri().path());
        let mut response = Response::new(Full::new(body.cloned().unwrap_or_default()));
        *response.status_mut() = if body.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
        Ok::<_, Infallible>(response)
    };
    // A connection that ends otherwise than it should is the client's to notice.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

fn context(tls: Secured) -> SslContext {
    let mut context = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    let version = if tls.is_13 { SslVersion::TLS1_3 } else { SslVersion::TLS1_2 };
    context.set_min_proto_version(Some(version)).unwrap();
    context.set_max_proto_version(Some(version)).unwrap();
    context.set_options(SslOptions::IGNORE_UNEXPECTED_EOF);
    context.set_certificate_chain_file(&tls.certificate).unwrap();
    context.set_private_key_file(&tls.key, SslFiletype::PEM).unwrap();
    context.set_session_id_context(b"bare").unwrap();
    if let Some(file) = tls.phone_ca {
        let ca = X509::from_pem(&std::fs::read(&file).unwrap()).unwrap();
        context.cert_store_mut().add_cert(ca).unwrap();
        context.set_client_ca_list(openssl::x509::X509Name::load_client_ca_file(&file).unwrap());
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    context.build().into_context()
}
