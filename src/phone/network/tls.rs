//! The phone's side of TLS: what it trusts, what it shows, and the sessions that it takes up again.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSession, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};
use openssl::x509::{X509, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::names;
use super::target::Origin;

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_0,
    V1_1,
    V1_2,
    V1_3,
}

/// A text that is no version of TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no TLS version: write 1.0, 1.1, 1.2 or 1.3")]
pub struct ParseTlsVersionError(String);

impl FromStr for TlsVersion {
    type Err = ParseTlsVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1.0" => Ok(Self::V1_0),
            "1.1" => Ok(Self::V1_1),
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            _ => Err(ParseTlsVersionError(text.to_owned())),
        }
    }
}

impl From<TlsVersion> for SslVersion {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::V1_0 => Self::TLS1,
            TlsVersion::V1_1 => Self::TLS1_1,
            TlsVersion::V1_2 => Self::TLS1_2,
            TlsVersion::V1_3 => Self::TLS1_3,
        }
    }
}

/// Which CAs a phone trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Roots {
    /// The system's.
    #[default]
    System,
    /// Those of a PEM file, and no others.
    File(PathBuf),
}

/// How a firmware does TLS. By default as a new phone does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    pub roots: Roots,
    pub min_version: TlsVersion,
    pub max_version: TlsVersion,
    /// As old phones: SHA-1 and short keys, suites without forward secrecy, servers without secure renegotiation.
    pub legacy: bool,
    /// Old phones (SPA) don't say which server they want.
    pub send_server_name: bool,
    /// Takes up the session of the connection before.
    pub resume: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            roots: Roots::System,
            min_version: TlsVersion::V1_2,
            max_version: TlsVersion::V1_3,
            legacy: false,
            send_server_name: true,
            resume: true,
        }
    }
}

/// Why TLS can't be done as asked. The messages hold no key.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("{path}: {why}")]
    File { path: PathBuf, why: String },
    #[error("the key {key} is not that of the certificate {certificate}")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the system's CA certificates were not found: name a file of them")]
    NoRoots,
    #[error("a minimum of {0:?} is above the maximum of {1:?}")]
    Versions(TlsVersion, TlsVersion),
    #[error("OpenSSL: {}", reason(.0))]
    OpenSsl(#[from] ErrorStack),
}

const NO_CERTIFICATE: &str = "it holds no certificate";

/// What OpenSSL complains of in the end, without the places in its source.
pub(super) fn reason(errors: &ErrorStack) -> String {
    let mut reasons = errors.errors().iter().filter_map(openssl::error::Error::reason);
    reasons.next_back().unwrap_or("unknown error").to_owned()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsSetupError> {
    fs::read(path).map_err(|error| file_error(path, error))
}

/// Every certificate of a PEM file; at least one.
fn read_certificates(path: &Path) -> Result<Vec<X509>, TlsSetupError> {
    let certificates = X509::stack_from_pem(&read(path)?).map_err(|error| file_error(path, reason(&error)))?;
    if certificates.is_empty() { Err(file_error(path, NO_CERTIFICATE)) } else { Ok(certificates) }
}

fn file_error(path: &Path, why: impl ToString) -> TlsSetupError {
    TlsSetupError::File { path: path.to_owned(), why: why.to_string() }
}

/// A phone's own certificate, with those that lead to its CA, and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    pub certificate: X509,
    pub chain: Vec<X509>,
    pub key: PKey<Private>,
}

impl ClientCertificate {
    /// Reads PEM files: the phone's certificate first, then those that lead to its CA.
    ///
    /// # Errors
    /// When a file can't be read or holds no such thing, or key and certificate are not a pair.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsSetupError> {
        let mut chain = read_certificates(certificate)?.into_iter();
        let leaf = chain.next().ok_or_else(|| file_error(certificate, NO_CERTIFICATE))?;
        let private = PKey::private_key_from_pem_callback(&read(key)?, |_| Ok(0));
        let private = private.map_err(|_| file_error(key, "it holds no private key without a passphrase"))?;
        if !leaf.public_key()?.public_eq(&private) {
            return Err(TlsSetupError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() });
        }
        Ok(Self { certificate: leaf, chain: chain.collect(), key: private })
    }
}

/// The session of a phone's last connection, and whose it is. One is enough for a phone, which has one server.
#[derive(Default)]
pub(super) struct Session(Mutex<Option<(Arc<Origin>, SslSession)>>);

impl Session {
    fn of(&self, origin: &Origin) -> Option<SslSession> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|(whose, _)| **whose == *origin).map(|(_, session)| session.clone())
    }

    fn keep(&self, origin: Arc<Origin>, session: SslSession) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((origin, session));
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Whose session it is that a connection is given: TLS 1.3 sends them after the handshake, when it likes.
type Keeper = (Arc<Session>, Arc<Origin>);

/// SSL_OP_LEGACY_SERVER_CONNECT: servers without secure renegotiation (RFC 5746). The crate has no name for it.
const LEGACY_SERVER_CONNECT: SslOptions = SslOptions::from_bits_retain(0x4);

/// What all connections share.
pub(super) struct Tls {
    context: SslContext,
    keeper: Index<Ssl, Keeper>,
    options: TlsOptions,
}

/// What became of a handshake.
pub(super) struct Shaken {
    pub stream: SslStream<TcpStream>,
    pub version: &'static str,
    pub resumed: bool,
}

/// Why a handshake failed.
pub(super) enum HandshakeError {
    /// The peer went away or spoke no TLS to the end: another address may do better.
    NoAnswer(String),
    /// One side refused the other.
    Refused(String),
}

impl Tls {
    pub fn new(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        if options.min_version > options.max_version {
            return Err(TlsSetupError::Versions(options.min_version, options.max_version));
        }
        let mut builder = SslContext::builder(SslMethod::tls_client())?;
        builder.set_verify(SslVerifyMode::PEER);
        builder.set_min_proto_version(Some(options.min_version.into()))?;
        builder.set_max_proto_version(Some(options.max_version.into()))?;
        // An idle connection gives its 34 kB of buffers back.
        builder.set_mode(SslMode::RELEASE_BUFFERS | SslMode::AUTO_RETRY);
        // What OpenSSL offered before the post-quantum groups, which no phone knows and which cost 8 kB a connection.
        builder.set_groups_list("X25519:P-256:P-384:P-521")?;
        if options.legacy {
            // Below level 1 there is neither TLS 1.0 nor 1.1, nor SHA-1 in signatures.
            builder.set_cipher_list("ALL:!aNULL:!eNULL:@SECLEVEL=0")?;
            builder.set_options(LEGACY_SERVER_CONNECT);
        }
        trust(&mut builder, &options.roots)?;
        let keeper = Ssl::new_ex_index::<Keeper>()?;
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        if options.resume {
            builder.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
            builder.set_new_session_callback(move |ssl, session| {
                if let Some((slot, origin)) = ssl.ex_data(keeper) {
                    slot.keep(origin.clone(), session);
                }
            });
        }
        Ok(Self { context: builder.build(), keeper, options: options.clone() })
    }

    pub async fn handshake(
        &self,
        tcp: TcpStream,
        origin: &Origin,
        certificate: Option<&ClientCertificate>,
        session: &Arc<Session>,
    ) -> Result<Shaken, HandshakeError> {
        let refused = |error: ErrorStack| HandshakeError::Refused(reason(&error));
        let ssl = self.prepare(origin, certificate, session).map_err(refused)?;
        let mut stream = SslStream::new(ssl, tcp).map_err(refused)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            // What was taken up may be why: the next try makes a new one.
            session.forget();
            return Err(match (stream.ssl().verify_result(), error.ssl_error()) {
                (X509VerifyResult::OK, Some(why)) => HandshakeError::Refused(reason(why)),
                (X509VerifyResult::OK, None) => HandshakeError::NoAnswer(format!("the handshake broke off: {error}")),
                (why, _) => HandshakeError::Refused(format!("the server's certificate: {why}")),
            });
        }
        let ssl = stream.ssl();
        let (version, resumed) = (ssl.version_str(), ssl.session_reused());
        let shown = ssl.peer_certificate();
        let named = match &shown {
            Some(certificate) => names::check(certificate, &origin.host),
            None => return Err(HandshakeError::Refused("the server showed no certificate".to_owned())),
        };
        if let Err(name) = named {
            session.forget();
            let why = format!("the server's certificate is that of {name}, not of {}", origin.host);
            return Err(HandshakeError::Refused(why));
        }
        Ok(Shaken { stream, version, resumed })
    }

    fn prepare(
        &self,
        origin: &Origin,
        certificate: Option<&ClientCertificate>,
        session: &Arc<Session>,
    ) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        if self.options.send_server_name && origin.host.parse::<std::net::IpAddr>().is_err() {
            ssl.set_hostname(&origin.host)?;
        }
        if let Some(ClientCertificate { certificate, chain, key }) = certificate {
            ssl.set_certificate(certificate)?;
            ssl.set_private_key(key)?;
            for certificate in chain {
                ssl.add_chain_cert(certificate.clone())?;
            }
        }
        if self.options.resume {
            if let Some(session) = session.of(origin) {
                // SAFETY: the session has to be of the same context. A slot is only ever filled by this context's
                // callback: a phone's network holds the slot and the context together, and neither can be changed.
                #[allow(unsafe_code)]
                unsafe {
                    ssl.set_session(&session)?;
                }
            }
            ssl.set_ex_data(self.keeper, (session.clone(), Arc::new(origin.clone())));
        }
        Ok(ssl)
    }
}

/// Where distributions keep the bundle of their CAs. OpenSSL's own idea of it holds only for the one it was built for,
/// and SSL_CERT_FILE and SSL_CERT_DIR overrule it.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn trust(builder: &mut SslContextBuilder, roots: &Roots) -> Result<(), TlsSetupError> {
    match roots {
        Roots::File(path) => {
            for root in read_certificates(path)? {
                builder.cert_store_mut().add_cert(root)?;
            }
            Ok(())
        }
        Roots::System if ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some()) => {
            Ok(builder.set_default_verify_paths()?)
        }
        Roots::System => {
            let bundle = BUNDLES.into_iter().find(|path| Path::new(path).is_file()).ok_or(TlsSetupError::NoRoots)?;
            builder.set_ca_file(bundle).map_err(|error| file_error(Path::new(bundle), reason(&error)))
        }
    }
}
