//! What old phones need and nobody else should get: ciphers by name, and what a listener gives up by taking them.

use std::path::Path;
use std::sync::OnceLock;

use openssl::provider::Provider;
use openssl::ssl::{SslContext, SslMethod};

use crate::config::{LegacyCipher, Tls, TlsVersion};
use crate::document::Problem;

/// What old firmware speaks, after what newer phones should: SPA phones do RSA and DHE with AES-CBC and SHA-1 only.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
     ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
     ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
     DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:\
     ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:\
     DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:DHE-RSA-AES128-SHA:DHE-RSA-AES256-SHA:\
     AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA";

impl LegacyCipher {
    /// As the configuration has it.
    fn word(self) -> &'static str {
        match self {
            Self::TripleDes => "3des",
            Self::Rc4 => "rc4",
        }
    }

    /// OpenSSL's names.
    fn suites(self) -> &'static str {
        match self {
            Self::TripleDes => "ECDHE-RSA-DES-CBC3-SHA:DHE-RSA-DES-CBC3-SHA:DES-CBC3-SHA",
            Self::Rc4 => "ECDHE-RSA-RC4-SHA:RC4-SHA:RC4-MD5",
        }
    }
}

/// The cipher list of a listener for TLS 1.2 and below, broken ones last; none: that of every other listener.
pub(super) fn cipher_list(tls: &Tls) -> Option<String> {
    let first = tls.ciphers.as_deref().or(tls.legacy.then_some(CIPHERS))?;
    let all = std::iter::once(first).chain(tls.legacy_ciphers.iter().map(|cipher| cipher.suites()));
    Some(all.collect::<Vec<_>>().join(":"))
}

/// Sees to it that the ciphers which are named can be had. To be called before a context is made: OpenSSL looks for them
/// then.
///
/// # Errors
///
/// The OpenSSL in use has been built without one of them.
pub(super) fn prepare(config: &Path, tls: &Tls) -> Result<(), Problem> {
    /// OpenSSL 3 keeps RC4 apart, for who asks for it. Held for as long as the program runs.
    static PROVIDER: OnceLock<Option<Provider>> = OnceLock::new();
    for cipher in &tls.legacy_ciphers {
        if *cipher == LegacyCipher::Rc4 {
            PROVIDER.get_or_init(|| Provider::try_load(None, "legacy", true).ok());
        }
        let probe = || {
            let mut context = SslContext::builder(SslMethod::tls_server())?;
            context.set_security_level(0);
            context.set_cipher_list(cipher.suites())
        };
        if probe().is_err() {
            super::verify::forget_errors();
            let version = openssl::version::version();
            let message = format!("{} can't be had: {version} is built without it", cipher.word());
            return Err(Problem::file(config, message)
                .key("listener.tls.legacy_ciphers")
                .help("the OpenSSL that is built into resyncd has it; this one is the system's"));
        }
    }
    Ok(())
}

/// What a listener gives up, in words for the log; none for one that gives up nothing.
pub(super) fn gives_up(tls: &Tls) -> Option<String> {
    if !tls.legacy {
        return None;
    }
    let mut what = Vec::new();
    match tls.min_version {
        TlsVersion::Tls1_0 => what.push("TLS 1.0 and 1.1"),
        TlsVersion::Tls1_1 => what.push("TLS 1.1"),
        TlsVersion::Tls1_2 | TlsVersion::Tls1_3 => {}
    }
    what.extend(["SHA-1 signatures", "1024-bit keys", "ciphers without forward secrecy"]);
    for cipher in &tls.legacy_ciphers {
        what.push(match cipher {
            LegacyCipher::TripleDes => "3DES",
            LegacyCipher::Rc4 => "RC4",
        });
    }
    Some(what.join(", "))
}
