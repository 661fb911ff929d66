//! What the verification of a client certificate comes to.
//!
//! OpenSSL calls back once per error and once per certificate that is fine, and goes on as long as the callback says so.
//! Several errors can occur in one chain, and after a resumption only one number of them all is left (`SSL_get_verify_result`).
//! So the worst one is kept here, and is set again at every later callback: what the listener waives must never hide what it
//! does not.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslRef, SslVersion};
use openssl::x509::{X509, X509StoreContext, X509StoreContextRef, X509VerifyResult};

use super::trust::{Intermediates, Trust, unverified};
use crate::config::{ClientCertificatePolicy, Tls};
use crate::identity::Subject;
use crate::resync::ClientCertificate;

// From OpenSSL's x509_vfy.h; the crate names none of them.
const CERT_NOT_YET_VALID: i32 = 9;
const CERT_HAS_EXPIRED: i32 = 10;
pub(super) const INVALID_PURPOSE: i32 = 26;

/// What a listener overlooks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waivers {
    pub(super) dates: bool,
    pub(super) purpose: bool,
}

impl Waivers {
    pub(super) fn of(tls: &Tls) -> Self {
        Self { dates: tls.allow_expired, purpose: tls.allow_any_purpose }
    }
}

/// What is noted of one handshake while it goes on.
#[derive(Default)]
pub(super) struct Observed {
    /// The version that the ClientHello names; TLS 1.3 and later name 1.2 there.
    pub(super) offered: Option<SslVersion>,
    /// The chain as it was put together, leaf first.
    chain: Vec<X509>,
    /// Whether the callback ran at all.
    checked: bool,
    /// The first error that is not waived.
    fatal: Option<X509VerifyResult>,
    dates_waived: Option<X509VerifyResult>,
    purpose_waived: Option<X509VerifyResult>,
}

impl Observed {
    /// Takes note of one error.
    fn note(&mut self, error: X509VerifyResult, waivers: Waivers) {
        match error.as_raw() {
            CERT_NOT_YET_VALID | CERT_HAS_EXPIRED if waivers.dates => self.dates_waived = Some(error),
            INVALID_PURPOSE if waivers.purpose => self.purpose_waived = Some(error),
            _ => {
                self.fatal.get_or_insert(error);
            }
        }
    }

    /// The one error to leave in the session. A waived purpose goes before waived dates, because the leaf's dates can be
    /// looked at again when the session is resumed.
    fn lasting(&self) -> Option<X509VerifyResult> {
        self.fatal.or(self.purpose_waived).or(self.dates_waived)
    }

    /// The subject of the certificate shown: a handshake that fails has no peer certificate.
    pub(super) fn subject(&self) -> Option<Subject> {
        self.chain.first().map(|leaf| Subject::from_x509(leaf))
    }

    /// Why the certificate doesn't verify, in OpenSSL's words.
    pub(super) fn reason(&self) -> Option<&'static str> {
        self.fatal.map(|error| error.error_string())
    }
}

/// The slot of [`Observed`] in an OpenSSL connection.
pub(super) fn slot() -> Result<Index<Ssl, Mutex<Observed>>, ErrorStack> {
    static SLOT: OnceLock<Index<Ssl, Mutex<Observed>>> = OnceLock::new();
    if let Some(slot) = SLOT.get() {
        return Ok(*slot);
    }
    let slot = Ssl::new_ex_index()?;
    Ok(*SLOT.get_or_init(|| slot))
}

/// What was noted of this connection.
pub(super) fn observed(ssl: &SslRef, slot: Index<Ssl, Mutex<Observed>>) -> Option<MutexGuard<'_, Observed>> {
    ssl.ex_data(slot).map(|observed| observed.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Empties OpenSSL's error queue. A failed verification leaves its errors there, and when the handshake goes on regardless, the
/// next read that would only have to wait is taken for the one that failed, on this connection or another of the thread.
pub(super) fn forget_errors() {
    drop(ErrorStack::get());
}

/// The verify callback of a listener. Only where a certificate is required does it end the handshake.
pub(super) fn callback(
    policy: ClientCertificatePolicy,
    waivers: Waivers,
    slot: Index<Ssl, Mutex<Observed>>,
) -> impl Fn(bool, &mut X509StoreContextRef) -> bool + Send + Sync + 'static {
    move |fine, context| {
        let connection = X509StoreContext::ssl_idx().ok().and_then(|index| context.ex_data(index));
        let Some(mut observed) = connection.and_then(|ssl| observed(ssl, slot)) else {
            context.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
            return false;
        };
        observed.checked = true;
        if let Some(chain) = context.chain().filter(|chain| chain.len() > observed.chain.len()) {
            observed.chain = chain.iter().map(ToOwned::to_owned).collect();
        }
        if !fine {
            observed.note(context.error(), waivers);
        }
        let (lasting, fatal) = (observed.lasting(), observed.fatal.is_some());
        drop(observed);
        if let Some(error) = lasting {
            context.set_error(error);
        }
        let go_on = !fatal || policy != ClientCertificatePolicy::Required;
        if go_on && !fine {
            forget_errors();
        }
        go_on
    }
}

/// What the client certificate of a finished handshake is worth.
///
/// A resumed session was verified when it was first made, and that may be long ago: every resumption of TLS 1.3 renews the
/// ticket. Of the chain only the phone's own certificate is left in it, so the chain is put together and looked at again.
pub(super) fn verdict(
    ssl: &SslRef,
    waivers: Waivers,
    slot: Index<Ssl, Mutex<Observed>>,
    trust: &Trust,
    known: &Intermediates,
) -> ClientCertificate {
    let Some(certificate) = ssl.peer_certificate() else { return ClientCertificate::None };
    let Some(mut observed) = observed(ssl, slot) else { return unverified(&certificate, "it was not verified") };
    if ssl.session_reused() {
        let result = ssl.verify_result();
        if result != X509VerifyResult::OK {
            observed.note(result, waivers);
        }
    } else if !observed.checked {
        return unverified(&certificate, "it was not verified");
    }
    if let Some(reason) = observed.reason() {
        return unverified(&certificate, reason);
    }
    let chain = if ssl.session_reused() {
        match trust.chain(&certificate, known) {
            Ok(chain) => chain,
            Err(error) => return unverified(&certificate, error.error_string()),
        }
    } else {
        let chain = std::mem::take(&mut observed.chain);
        known.learn(&chain);
        chain
    };
    trust.worth(&certificate, &chain, waivers, observed.purpose_waived.is_some())
}
