//! The OpenSSL contexts of one listener, built from its configuration and files.
//!
//! There are two kinds. The **front** is what a connection begins with, and what OpenSSL takes session tickets and cached
//! sessions from for as long as the connection lives. The **certificate contexts** carry a chain and key each, and take the
//! front's place as soon as the connection is made, or when the phone names a server. So new certificates don't cost the
//! sessions of the phones: the front stays. It is made anew, and every session with it forgotten, when what the sessions
//! were verified by changes: the roots, the policy, what is waived.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::ssl::{
    ClientHelloResponse, NameType, SniError, SslAcceptor, SslAcceptorBuilder, SslContext, SslMethod, SslMode,
    SslOptions, SslVerifyMode, SslVersion,
};
use openssl::stack::Stack;
use openssl::x509::X509Name;
use openssl::x509::verify::X509VerifyFlags;
use time::OffsetDateTime;

use super::legacy;
use super::pem::{self, Chain};
use super::revocation::Revocations;
use super::trust::{self, Trust, VERIFY_DEPTH};
use super::verify::{self, Waivers};
use crate::config::{ClientCertificatePolicy, Tls, TlsVersion};
use crate::document::{Problem, Problems};
use crate::identity::Subject;

/// Sessions kept for phones without tickets. One with a client certificate takes about 3 kB.
const CACHED_SESSIONS: i32 = 4096;

/// The contexts of one listener.
pub(super) struct Contexts {
    pub(super) front: SslContext,
    /// The certificate context to begin with. It owns those of the other names.
    pub(super) certificate: SslContext,
    /// What certificates are verified by.
    pub(super) trust: Trust,
    /// The server's own certificates: their file, subject and end.
    pub(super) own: Vec<(PathBuf, String, OffsetDateTime)>,
    /// What is not wrong yet.
    pub(super) warnings: Problems,
}

/// Reads all files and builds the contexts. `previous` lends its front where that may stay.
pub(super) fn load(config: &Path, tls: &Tls, previous: Option<&Contexts>) -> Result<Contexts, Problems> {
    let mut problems = Problems::default();
    let mut warnings = Problems::default();

    if let Err(problem) = legacy::prepare(config, tls) {
        problems.push(problem);
    }
    let default = pem::read_pair(&tls.certificate, &mut problems, &mut warnings);
    let mut named = Vec::new();
    for name in &tls.names {
        if let Some(chain) = pem::read_pair(&name.pair, &mut problems, &mut warnings) {
            named.push((name, chain));
        }
    }
    let roots = if tls.client_certificate == ClientCertificatePolicy::None {
        Vec::new()
    } else {
        if tls.root_files().next().is_none() {
            problems.push(
                Problem::file(config, "no file is named, so no client certificate could verify")
                    .key("listener.tls.client_ca")
                    .help("name the PEM file of the root that signs the phones, or set client_certificate = \"none\""),
            );
        }
        trust::read_roots(tls, &mut problems, &mut warnings)
    };
    let revocations = Revocations::read(&tls.crl, tls.allow_expired_crl, &roots, &mut problems, &mut warnings);
    let Some(default) = default.filter(|_| problems.is_empty()) else { return Err(problems) };

    let openssl = |error: ErrorStack| {
        Problems::from(
            Problem::file(config, format!("TLS can't be set up: {}", pem::reason(&error))).key("listener.tls"),
        )
    };
    let trust = Trust::new(tls, roots, revocations).map_err(openssl)?;
    let own = named.iter().map(|(name, chain)| (&name.pair, chain)).chain([(&tls.certificate, &default)]);
    let own = own.filter_map(|(pair, chain)| {
        let end = pem::moment(chain.leaf.not_after())?;
        Some((pair.certificate.clone(), Subject::from_x509(&chain.leaf).to_string(), end))
    });
    let own = own.collect();
    // The one setting that is text for OpenSSL alone to judge.
    if let Some(ciphers) = &tls.ciphers {
        let mut probe = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).map_err(openssl)?;
        if let Err(error) = probe.set_cipher_list(ciphers) {
            problems.push(
                Problem::file(config, format!("\"{ciphers}\" is no cipher list: {}", pem::reason(&error)))
                    .key("listener.tls.ciphers")
                    .help("names as `openssl ciphers` prints them, between colons"),
            );
            return Err(problems);
        }
    }

    let mut contexts = Vec::with_capacity(named.len());
    for (name, chain) in named {
        match certificate_context(tls, &trust, &chain) {
            Ok(context) => contexts.push((name.server_name.to_ascii_lowercase(), context.build().into_context())),
            Err(error) => problems.push(refused(&name.pair.certificate, tls, &error)),
        }
    }
    let mut certificate = match certificate_context(tls, &trust, &default) {
        Ok(context) => context,
        Err(error) => {
            problems.push(refused(&tls.certificate.certificate, tls, &error));
            return Err(problems);
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    if !contexts.is_empty() {
        // On a resumed session of TLS 1.2 no name is to be had here; none is needed, because no certificate is sent.
        certificate.set_servername_callback(move |ssl, _| {
            let chosen = ssl.servername(NameType::HOST_NAME).and_then(|name| choose(&contexts, name));
            match chosen {
                Some(context) => ssl.set_ssl_context(context).map_err(|_| SniError::ALERT_FATAL),
                None => Ok(()),
            }
        });
    }
    let front = match previous {
        Some(previous) if previous.trust.id == trust.id => previous.front.clone(),
        _ => base(tls, &trust).map_err(openssl)?.build().into_context(),
    };
    Ok(Contexts { front, certificate: certificate.build().into_context(), trust, own, warnings })
}

/// The context of a server name: the exact one, else `*.` for one label.
fn choose<'c>(contexts: &'c [(String, SslContext)], name: &str) -> Option<&'c SslContext> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let find = |wanted: &str| contexts.iter().find(|(name, _)| name == wanted).map(|(_, context)| context);
    find(&name).or_else(|| {
        let (label, parent) = name.split_once('.')?;
        if label.is_empty() { None } else { find(&format!("*.{parent}")) }
    })
}

/// OpenSSL won't use a certificate that is well-formed and belongs to its key.
fn refused(path: &Path, tls: &Tls, error: &ErrorStack) -> Problem {
    let problem = Problem::file(path, format!("can't be used: {}", pem::reason(error)));
    if tls.legacy { problem } else { problem.help("legacy = true allows old keys and hashes on this listener") }
}

/// What all contexts of a listener have in common. A connection copies most of it from the front, some of it (security
/// level, roots) from the certificate context, so both get all of it.
fn base(tls: &Tls, trust: &Trust) -> Result<SslAcceptorBuilder, ErrorStack> {
    let mut context = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    context.set_security_level(trust::security_level(tls));
    context.clear_options(SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1);
    context.set_min_proto_version(Some(version(tls.min_version)))?;
    context.set_max_proto_version(Some(version(tls.max_version)))?;
    // A wrong list has been reported by its key before it comes to this.
    if let Some(ciphers) = legacy::cipher_list(tls) {
        context.set_cipher_list(&ciphers)?;
    }
    if tls.legacy {
        // The best that both can do, and not what the phone would like: it may name RC4 first.
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    }
    // A phone that drops the connection without a farewell is no error: HTTP knows its own lengths.
    context.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::IGNORE_UNEXPECTED_EOF);
    // The chain is what the file holds, not what OpenSSL would put together from the roots of phones.
    context.set_mode(SslMode::NO_AUTO_CHAIN);
    // Without it every attempt to resume a session that had a client certificate fails the handshake; and sessions of other
    // roots must not be resumed.
    context.set_session_id_context(&trust.id)?;
    context.set_session_cache_size(CACHED_SESSIONS);

    let slot = verify::slot()?;
    context.set_client_hello_callback(move |ssl, _| {
        if let Some(observed) = ssl.ex_data(slot) {
            let mut observed = observed.lock().unwrap_or_else(PoisonError::into_inner);
            observed.offered = ssl.client_hello_legacy_version();
        }
        Ok(ClientHelloResponse::SUCCESS)
    });

    let mode = match tls.client_certificate {
        ClientCertificatePolicy::None => {
            context.set_verify(SslVerifyMode::NONE);
            return Ok(context);
        }
        ClientCertificatePolicy::Optional => SslVerifyMode::PEER,
        ClientCertificatePolicy::Required => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    };
    context.set_verify_callback(mode, verify::callback(tls.client_certificate, Waivers::of(tls), slot));
    context.set_verify_depth(VERIFY_DEPTH);
    // Whatever stands in client_ca is trusted, also the vendor's issuing CA without its root.
    context.verify_param_mut().set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    let mut names = Stack::<X509Name>::new()?;
    for root in &trust.roots {
        names.push(root.certificate.subject_name().to_owned()?)?;
    }
    context.set_verify_cert_store(trust.handshake_store()?)?;
    context.set_client_ca_list(names);
    Ok(context)
}

fn certificate_context(tls: &Tls, trust: &Trust, chain: &Chain) -> Result<SslAcceptorBuilder, ErrorStack> {
    let mut context = base(tls, trust)?;
    context.set_certificate(&chain.leaf)?;
    for issuer in &chain.issuers {
        context.add_extra_chain_cert(issuer.clone())?;
    }
    context.set_private_key(&chain.key)?;
    context.check_private_key()?;
    Ok(context)
}

fn version(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::Tls1_0 => SslVersion::TLS1,
        TlsVersion::Tls1_1 => SslVersion::TLS1_1,
        TlsVersion::Tls1_2 => SslVersion::TLS1_2,
        TlsVersion::Tls1_3 => SslVersion::TLS1_3,
    }
}

/// A new connection of these contexts, with a place for what is noted of it.
pub(super) fn connection(contexts: &Contexts) -> Result<openssl::ssl::Ssl, ErrorStack> {
    let mut ssl = openssl::ssl::Ssl::new(&contexts.front)?;
    ssl.set_ssl_context(&contexts.certificate)?;
    ssl.set_ex_data(verify::slot()?, Mutex::default());
    Ok(ssl)
}
