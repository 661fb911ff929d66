//! Keys, certificates and requests, by OpenSSL.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef, X509Req};
use time::{Duration, OffsetDateTime};

use super::name::ServerName;

/// The size that every phone with TLS takes, and that Cisco signs.
const RSA_BITS: u32 = 2048;

/// How long ago a certificate's life begins: the clocks of phones without NTP are often behind.
const BACKDATED: Duration = Duration::DAY;

/// A certificate and its key.
pub(super) struct Pair {
    pub certificate: X509,
    pub key: PKey<Private>,
}

pub(super) fn rsa_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_rsa(Rsa::generate(RSA_BITS)?)
}

/// A key on the curve that everyone knows, P-256: made and used many times faster.
pub(super) fn ec_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)
}

/// A name of the fields given, in their order.
pub(super) fn subject(fields: &[(&str, &str)]) -> Result<X509Name, ErrorStack> {
    let mut name = X509Name::builder()?;
    for (field, value) in fields {
        name.append_entry_by_text(field, value)?;
    }
    Ok(name.build())
}

/// A CA that signs by itself, for ten years.
pub(super) fn authority(common_name: &str) -> Result<Pair, ErrorStack> {
    let key = rsa_key()?;
    let name = subject(&[("O", "resyncd development"), ("CN", common_name)])?;
    let mut builder = unsigned(&name, &name, &key, 3650)?;
    builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    identify(&mut builder, None)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok(Pair { certificate: builder.build(), key })
}

/// A server certificate for all names, signed by `issuer`. 825 days is the longest that browsers and Apple take.
pub(super) fn server(issuer: &Pair, common_name: &str, names: &[ServerName]) -> Result<Pair, ErrorStack> {
    let key = rsa_key()?;
    let name = subject(&[("O", "resyncd development"), ("CN", common_name)])?;
    let mut builder = unsigned(&name, issuer.certificate.subject_name(), &key, 824)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    // Old phones encrypt to the key, new ones want its signature.
    builder.append_extension(KeyUsage::new().critical().digital_signature().key_encipherment().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut alternatives = SubjectAlternativeName::new();
    for name in names {
        match name {
            ServerName::Dns(name) => alternatives.dns(name),
            ServerName::Ip(address) => alternatives.ip(&address.to_string()),
        };
    }
    let alternatives = alternatives.build(&builder.x509v3_context(Some(&issuer.certificate), None))?;
    builder.append_extension(alternatives)?;
    identify(&mut builder, Some(issuer))?;
    builder.sign(&issuer.key, MessageDigest::sha256())?;
    Ok(Pair { certificate: builder.build(), key })
}

/// A phone's certificate, signed by `issuer`, for ten years as the factories do.
pub(super) fn phone(issuer: &Pair, name: &X509NameRef) -> Result<Pair, ErrorStack> {
    let key = rsa_key()?;
    Ok(Pair { certificate: phone_with_key(issuer, name, &key)?, key })
}

/// The same for a key that is there already.
pub(super) fn phone_with_key(issuer: &Pair, name: &X509NameRef, key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut builder = unsigned(name, issuer.certificate.subject_name(), key, 3650)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().key_encipherment().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
    identify(&mut builder, Some(issuer))?;
    builder.sign(&issuer.key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// A request for a certificate, PKCS#10.
pub(super) fn request(name: &X509NameRef, key: &PKey<Private>) -> Result<X509Req, ErrorStack> {
    let mut builder = X509Req::builder()?;
    builder.set_version(0)?;
    builder.set_subject_name(name)?;
    builder.set_pubkey(key)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn unsigned(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKey<Private>,
    days: i64,
) -> Result<X509Builder, ErrorStack> {
    let mut builder = X509::builder()?;
    // Version 3 is written 2.
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    let begin = OffsetDateTime::now_utc() - BACKDATED;
    builder.set_not_before(&*Asn1Time::from_unix(begin.unix_timestamp())?)?;
    builder.set_not_after(&*Asn1Time::from_unix((begin + Duration::days(days)).unix_timestamp())?)?;
    Ok(builder)
}

/// The identifiers by which chains are put together. `issuer` is none for a certificate that signs itself.
fn identify(builder: &mut X509Builder, issuer: Option<&Pair>) -> Result<(), ErrorStack> {
    let own = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(own)?;
    // An operator's own CA may have no identifier: then there is none to point to.
    if let Some(issuer) = issuer.filter(|issuer| issuer.certificate.subject_key_id().is_some()) {
        let context = builder.x509v3_context(Some(&issuer.certificate), None);
        let issuers = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(issuers)?;
    }
    Ok(())
}
