//! A phone CA in memory, for certificates of many phones that no file is made of.

use std::path::Path;

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::error::CertificateError;
use super::issue::{self, Pair};
use super::make::{PhoneCertificate, read_authority_files};

/// What kind of key a phone has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneKey {
    /// 2048 bits, as phones have.
    Rsa,
    /// On the curve P-256.
    Ec,
}

/// A CA that signs phones.
pub struct PhoneAuthority(Pair);

impl PhoneAuthority {
    /// # Errors
    ///
    /// Where a file can't be read, or the key is not that of a certificate in the other.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        Ok(Self(read_authority_files(certificate, key)?))
    }

    /// A new one, which nobody has a reason to trust.
    ///
    /// # Errors
    ///
    /// Where OpenSSL makes none.
    pub fn unknown() -> Result<Self, CertificateError> {
        let name = "nobody's phone CA";
        Ok(Self(issue::authority(name).map_err(CertificateError::refused(name))?))
    }

    /// A certificate for a phone with this key. Phones of a test may well share one: it takes long to make.
    ///
    /// # Errors
    ///
    /// Where a certificate can't hold the phone's model.
    pub fn sign(&self, phone: &PhoneCertificate, key: &PKey<Private>) -> Result<X509, CertificateError> {
        let signed = phone.subject().and_then(|name| issue::phone_with_key(&self.0, &name, key));
        signed.map_err(CertificateError::refused(format!("phone {}", phone.mac)))
    }
}

impl PhoneKey {
    /// # Errors
    ///
    /// Where OpenSSL makes none.
    pub fn make(self) -> Result<PKey<Private>, CertificateError> {
        let made = match self {
            Self::Rsa => issue::rsa_key(),
            Self::Ec => issue::ec_key(),
        };
        made.map_err(CertificateError::refused("a phone's key"))
    }
}
