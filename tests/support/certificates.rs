//! Certificates as no CA should make them, for tests of what is refused.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{CrlNumber, X509, X509Crl, X509CrlBuilder, X509Name, X509RevokedBuilder};
use resyncd::config::KeyPair;

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: X509,
    pub key: PKey<Private>,
}

/// What a leaf certificate says. Valid from yesterday to tomorrow, for any purpose, unless changed.
#[derive(Clone)]
pub struct Leaf<'a> {
    pub subject: &'a [(&'a str, &'a str)],
    pub names: &'a [&'a str],
    /// Days from now, of the beginning and of the end.
    pub days: (i64, i64),
    pub purpose: Purpose,
    pub hash: MessageDigest,
    /// None: an elliptic-curve key of its own.
    pub key: Option<PKey<Private>>,
}

#[derive(Clone, Copy)]
pub enum Purpose {
    Any,
    Server,
    Client,
    /// Signing others.
    Authority,
}

impl<'a> Leaf<'a> {
    pub fn of(subject: &'a [(&'a str, &'a str)]) -> Self {
        Self { subject, names: &[], days: (-1, 1), purpose: Purpose::Any, hash: MessageDigest::sha256(), key: None }
    }
}

/// An RSA key that all tests share: making one takes long.
pub fn rsa_key() -> PKey<Private> {
    static KEY: OnceLock<PKey<Private>> = OnceLock::new();
    KEY.get_or_init(|| PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()).clone()
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// A CA that signs itself.
pub fn authority(name: &str) -> Pair {
    authority_of(Leaf::of(&[("CN", name)]))
}

/// A CA with dates, hash or key of its own.
pub fn authority_of(leaf: Leaf<'_>) -> Pair {
    make(&leaf, None)
}

impl Pair {
    /// A certificate signed by this one.
    pub fn sign(&self, leaf: &Leaf<'_>) -> Pair {
        make(leaf, Some(self))
    }

    /// A revocation list of this CA's, good from yesterday until so many days from now.
    pub fn revoke(&self, revoked: &[&Pair], days: i64) -> X509Crl {
        let mut builder = X509CrlBuilder::new().unwrap();
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        builder.set_last_update(&day(days.min(0) - 1)).unwrap();
        builder.set_next_update(&day(days)).unwrap();
        let unrelated = X509::builder().unwrap();
        let context = unrelated.x509v3_context(Some(&self.certificate), None);
        builder.append_extension(AuthorityKeyIdentifier::new().issuer(true).build(&context).unwrap()).unwrap();
        builder.append_extension(CrlNumber::new(BigNum::from_u32(1).unwrap()).unwrap().build().unwrap()).unwrap();
        for pair in revoked {
            let mut entry = X509RevokedBuilder::new().unwrap();
            entry.set_serial_number(pair.certificate.serial_number()).unwrap();
            entry.set_revocation_date(&day(-1)).unwrap();
            builder.add_revoked(entry.build()).unwrap();
        }
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        builder.build().unwrap()
    }

    /// Writes `<name>.pem` and `<name>.key`.
    pub fn write(&self, folder: &Path, name: &str) -> KeyPair {
        let pair =
            KeyPair { certificate: self.write_certificate(folder, name), key: folder.join(format!("{name}.key")) };
        std::fs::write(&pair.key, self.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        pair
    }

    /// Writes `<name>.pem`.
    pub fn write_certificate(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.pem"));
        std::fs::write(&path, self.certificate.to_pem().unwrap()).unwrap();
        path
    }
}

fn day(days: i64) -> Asn1Time {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    Asn1Time::from_unix(now + days * 86_400).unwrap()
}

fn make(leaf: &Leaf<'_>, issuer: Option<&Pair>) -> Pair {
    let key = leaf.key.clone().unwrap_or_else(new_key);
    let mut name = X509Name::builder().unwrap();
    for (field, value) in leaf.subject {
        name.append_entry_by_text(field, value).unwrap();
    }
    let name = name.build();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::MAYBE_ZERO, false).unwrap();

    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.certificate.subject_name())).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&day(leaf.days.0)).unwrap();
    builder.set_not_after(&day(leaf.days.1)).unwrap();
    let mut constraints = BasicConstraints::new();
    constraints.critical();
    if issuer.is_none() || matches!(leaf.purpose, Purpose::Authority) {
        constraints.ca();
    }
    builder.append_extension(constraints.build().unwrap()).unwrap();
    match leaf.purpose {
        Purpose::Any | Purpose::Authority => {}
        Purpose::Server => builder.append_extension(ExtendedKeyUsage::new().server_auth().build().unwrap()).unwrap(),
        Purpose::Client => builder.append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap()).unwrap(),
    }
    if !leaf.names.is_empty() {
        let mut names = SubjectAlternativeName::new();
        for name in leaf.names {
            names.dns(name);
        }
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
    }
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), leaf.hash).unwrap();
    Pair { certificate: builder.build(), key }
}
