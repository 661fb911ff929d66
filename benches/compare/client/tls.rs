//! Handshakes as a phone makes them: the same version, cipher, group and certificate with every server.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use openssl::ex_data::Index;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    Ssl, SslContext, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;

use crate::cases::{Tls, Version};
use crate::scene::Scene;

/// Where the session is kept that a phone takes up the next time.
type Slot = Arc<Mutex<Option<SslSession>>>;

pub struct Secured {
    context: SslContext,
    keeper: Index<Ssl, Slot>,
    key: PKey<Private>,
    pub resumes: bool,
    slots: Vec<Slot>,
    full: AtomicUsize,
    resumed: AtomicUsize,
}

impl Secured {
    pub fn new(scene: &Scene, tls: Tls, slots: usize) -> Self {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        let version = match tls.version {
            Version::Tls12 => SslVersion::TLS1_2,
            Version::Tls13 => SslVersion::TLS1_3,
        };
        context.set_min_proto_version(Some(version)).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        // One of each: what is compared is servers, and not their tastes.
        context.set_ciphersuites("TLS_AES_256_GCM_SHA384").unwrap();
        context.set_cipher_list("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384").unwrap();
        // P-256 only because a TLS 1.2 server may show an ECDSA certificate of no other curve.
        context.set_groups_list("X25519:P-256").unwrap();
        context.set_options(SslOptions::IGNORE_UNEXPECTED_EOF);
        context.set_ca_file(&scene.server_ca).unwrap();
        context.set_verify(SslVerifyMode::PEER);
        let keeper = Ssl::new_ex_index::<Slot>().unwrap();
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        if tls.resumed {
            context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
            context.set_new_session_callback(move |ssl, session| {
                if let Some(slot) = ssl.ex_data(keeper) {
                    *slot.lock().unwrap() = Some(session);
                }
            });
        }
        Self {
            context: context.build(),
            keeper,
            key: scene.phone_key.clone(),
            resumes: tls.resumed,
            slots: (0..slots).map(|_| Slot::default()).collect(),
            full: AtomicUsize::new(0),
            resumed: AtomicUsize::new(0),
        }
    }

    /// Shakes hands; takes up the session that the phone of this slot had last, if sessions are resumed.
    pub fn shake(&self, tcp: TcpStream, certificate: Option<&X509>, slot: Option<usize>) -> SslStream<TcpStream> {
        let mut ssl = Ssl::new(&self.context).unwrap();
        ssl.set_hostname("localhost").unwrap();
        if let Some(certificate) = certificate {
            ssl.set_certificate(certificate).unwrap();
            ssl.set_private_key(&self.key).unwrap();
        }
        if let Some(slot) = slot.filter(|_| self.resumes).map(|slot| &self.slots[slot]) {
            let session = slot.lock().unwrap().clone();
            if let Some(session) = session {
                // SAFETY: the session has to be of the same context. A slot is only ever filled by this context's callback.
                #[allow(unsafe_code, reason = "the openssl crate has no other way to resume a session")]
                unsafe {
                    ssl.set_session(&session).unwrap();
                }
            }
            ssl.set_ex_data(self.keeper, slot.clone());
        }
        let mut stream = SslStream::new(ssl, tcp).unwrap();
        stream.connect().unwrap();
        let count = if stream.ssl().session_reused() { &self.resumed } else { &self.full };
        count.fetch_add(1, Ordering::Relaxed);
        stream
    }

    pub fn handshakes(&self) -> (usize, usize) {
        let resumed = self.resumed.swap(0, Ordering::Relaxed);
        (self.full.swap(0, Ordering::Relaxed) + resumed, resumed)
    }
}
