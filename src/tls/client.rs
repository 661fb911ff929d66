//! TLS as a client of somebody else's server: for what this program itself sends. The server has to prove its name.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// Where systems keep the CAs that they trust. OpenSSL that is built in doesn't know.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What every connection has in common.
#[derive(Debug, Clone)]
pub struct ClientTls(SslConnector);

/// Why no connection can be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    #[error("the CAs of {} can't be read: {}", path.display(), reason(error))]
    Authorities { path: PathBuf, error: ErrorStack },
    #[error("the system's CA certificates were not found: name a file of them")]
    NoAuthorities,
    #[error("OpenSSL: {}", reason(.0))]
    OpenSsl(#[from] ErrorStack),
    #[error("the TLS handshake with {host} failed: {why}")]
    Handshake { host: String, why: String },
}

/// What OpenSSL complains of in the end, without the places in its source.
fn reason(errors: &ErrorStack) -> String {
    errors.errors().iter().filter_map(openssl::error::Error::reason).next_back().unwrap_or("unknown error").to_owned()
}

impl ClientTls {
    /// Trusts the CAs of a PEM file, or the system's.
    ///
    /// # Errors
    /// When there are none to be had.
    pub fn new(authorities: Option<&Path>) -> Result<Self, ClientTlsError> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        let by_variable = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
        if authorities.is_none() && by_variable {
            builder.set_default_verify_paths()?;
            return Ok(Self(builder.build()));
        }
        let system = || BUNDLES.iter().map(Path::new).find(|path| path.is_file());
        let path = authorities.or_else(system).ok_or(ClientTlsError::NoAuthorities)?;
        let failed = |error| ClientTlsError::Authorities { path: path.to_owned(), error };
        builder.set_ca_file(path).map_err(failed)?;
        Ok(Self(builder.build()))
    }

    /// Shakes hands over a connection to `host`, which the server's certificate has to name.
    ///
    /// # Errors
    /// When it doesn't, or isn't signed by a CA that is trusted.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> Result<SslStream<TcpStream>, ClientTlsError> {
        let ssl = self.0.configure()?.into_ssl(host)?;
        let mut stream = SslStream::new(ssl, stream)?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) => {
                let verdict = stream.ssl().verify_result();
                let why = if verdict == openssl::x509::X509VerifyResult::OK {
                    error.to_string()
                } else {
                    verdict.error_string().to_owned()
                };
                Err(ClientTlsError::Handshake { host: host.to_owned(), why })
            }
        }
    }
}
