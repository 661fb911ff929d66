//! Makes certificates for development and requests for real ones, and says what a certificate is worth.
//!
//! Keys are RSA: old phones can do nothing else. They are made and used by OpenSSL, which has to read the operator's CA
//! anyway. Nothing here is asked by a running server, save for the certificates of its first start.

mod authority;
mod error;
mod files;
mod inspect;
mod issue;
mod make;
mod name;

pub use authority::{PhoneAuthority, PhoneKey};
pub use error::CertificateError;
pub use inspect::{Finding, Inspection, KeyKind, Report, Severity, inspect};
pub use make::{
    Made, PhoneCertificate, Request, SubjectForm, ensure_development_certificates, make_development_certificates,
    make_phone_certificate, make_request,
};
pub use name::{ParseServerNameError, ServerName};
