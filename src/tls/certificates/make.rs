//! Which certificates go into which files.

use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use openssl::x509::X509Name;
use zeroize::Zeroizing;

use super::error::CertificateError;
use super::files::{self, NewFile};
use super::issue::{self, Pair};
use super::name::ServerName;
use crate::model::{MacAddr, Serial};
use crate::tls::pem;

/// The names that a pair of files has in the folder.
const SERVER_AUTHORITY: &str = "server-ca";
const PHONE_AUTHORITY: &str = "phone-ca";
const SERVER: &str = "server";

/// Longest CN that X.509 allows.
const LONGEST_COMMON_NAME: usize = 64;

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Certificates, keys and requests, in the order in which they were made.
    pub files: Vec<PathBuf>,
}

/// A phone to make a certificate for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneCertificate {
    pub mac: MacAddr,
    pub form: SubjectForm,
}

/// How a vendor writes the phone into the certificate's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectForm {
    /// `OU=<model>, L=<serial>, ST=<mac>` (Cisco SPA and MPP provisioning guides).
    Cisco { model: String, serial: Serial },
    /// `CN=<MAC>`, twelve upper-case digits (seen of Yealink, Snom, Poly).
    CommonName,
}

/// A request for a server certificate.
#[derive(Debug, Clone)]
pub struct Request {
    /// A fully qualified name.
    pub name: ServerName,
    pub organization: Option<String>,
    /// Two letters.
    pub country: Option<String>,
    pub email: Option<String>,
}

/// Makes what is missing of a development set in `folder`: the CA and certificate of the server (for `names`, localhost and
/// this host's own name), the CA of the phones, and a certificate for each of `phones`. What is there stays as it is.
///
/// # Errors
///
/// Where half of a pair is missing, or something can't be read or written. Then nothing is written.
pub fn ensure_development_certificates(
    folder: &Path,
    phones: &[PhoneCertificate],
    names: &[ServerName],
) -> Result<Made, CertificateError> {
    let mut files = Vec::new();
    if !is_there(folder, SERVER)? {
        let authority = match is_there(folder, SERVER_AUTHORITY)? {
            true => read_authority(folder, SERVER_AUTHORITY)?,
            false => add_authority(&mut files, folder, SERVER_AUTHORITY)?,
        };
        add_server(&mut files, folder, &authority, names)?;
    }
    let mut missing = Vec::new();
    for phone in phones {
        if !is_there(folder, &phone.stem())? {
            missing.push(phone);
        }
    }
    let (certificate, key) = pair(folder, PHONE_AUTHORITY);
    let authority = match (certificate.exists(), key.exists()) {
        (false, false) => Some(add_authority(&mut files, folder, PHONE_AUTHORITY)?),
        // The key may have been put away: it is needed to sign only.
        (true, _) if missing.is_empty() => None,
        _ => Some(read_authority(folder, PHONE_AUTHORITY)?),
    };
    if let Some(authority) = authority {
        for phone in missing {
            add_phone(&mut files, folder, &authority, phone)?;
        }
    }
    Ok(Made { files: files::write_all(&files, false)? })
}

/// Makes both CAs and the server's certificate in `folder`.
///
/// # Errors
///
/// [`CertificateError::Exists`] where any of the files is there, unless `overwrite`; that makes every phone certificate signed
/// by the old CA worthless.
pub fn make_development_certificates(
    folder: &Path,
    names: &[ServerName],
    overwrite: bool,
) -> Result<Made, CertificateError> {
    if !overwrite {
        refuse_existing(folder, &[SERVER_AUTHORITY, SERVER, PHONE_AUTHORITY])?;
    }
    let mut files = Vec::new();
    let authority = add_authority(&mut files, folder, SERVER_AUTHORITY)?;
    add_server(&mut files, folder, &authority, names)?;
    add_authority(&mut files, folder, PHONE_AUTHORITY)?;
    Ok(Made { files: files::write_all(&files, overwrite)? })
}

/// Makes one phone's certificate, signed by the phone CA in `folder`.
///
/// # Errors
///
/// [`CertificateError::NoAuthority`] where there is no such CA, [`CertificateError::Exists`] where the phone has a certificate
/// already, unless `overwrite`.
pub fn make_phone_certificate(
    folder: &Path,
    phone: &PhoneCertificate,
    overwrite: bool,
) -> Result<Made, CertificateError> {
    if !overwrite {
        refuse_existing(folder, &[&phone.stem()])?;
    }
    let authority = read_authority(folder, PHONE_AUTHORITY)?;
    let mut files = Vec::new();
    add_phone(&mut files, folder, &authority, phone)?;
    Ok(Made { files: files::write_all(&files, overwrite)? })
}

/// Makes a key and the request for a certificate, `<name>.key` and `<name>.csr` in `folder`.
///
/// # Errors
///
/// [`CertificateError::Exists`] where one of the two is there, unless `overwrite`.
pub fn make_request(folder: &Path, request: &Request, overwrite: bool) -> Result<Made, CertificateError> {
    let name = request.name.to_string();
    let (key_path, request_path) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.csr")));
    if !overwrite {
        let existing: Vec<PathBuf> =
            [&key_path, &request_path].into_iter().filter(|path| path.exists()).cloned().collect();
        if !existing.is_empty() {
            return Err(CertificateError::Exists(existing));
        }
    }
    let optional = [("C", &request.country), ("O", &request.organization)];
    let mut fields: Vec<(&str, &str)> =
        optional.iter().filter_map(|(field, value)| value.as_deref().map(|value| (*field, value))).collect();
    fields.push(("CN", &name));
    if let Some(email) = &request.email {
        fields.push(("emailAddress", email));
    }
    let (key, pem) = issue::rsa_key()
        .and_then(|key| {
            let pem = issue::request(&*issue::subject(&fields)?, &key)?.to_pem()?;
            Ok((key.private_key_to_pem_pkcs8()?, pem))
        })
        .map_err(CertificateError::refused(name))?;
    let files = [
        NewFile { path: key_path, contents: Zeroizing::new(key), secret: true },
        NewFile { path: request_path, contents: Zeroizing::new(pem), secret: false },
    ];
    Ok(Made { files: files::write_all(&files, overwrite)? })
}

impl PhoneCertificate {
    pub(super) fn subject(&self) -> Result<X509Name, ErrorStack> {
        let (mac, upper) = (self.mac.to_string(), self.mac.upper());
        match &self.form {
            SubjectForm::Cisco { model, serial } => {
                issue::subject(&[("OU", model), ("L", serial.as_str()), ("ST", &mac)])
            }
            SubjectForm::CommonName => issue::subject(&[("CN", &upper)]),
        }
    }

    fn stem(&self) -> String {
        format!("phone-{}", self.mac)
    }
}

/// The paths of a certificate and its key.
fn pair(folder: &Path, stem: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{stem}.pem")), folder.join(format!("{stem}.key")))
}

/// Whether a pair is there. Half of one is an error: which half is wrong can't be known.
fn is_there(folder: &Path, stem: &str) -> Result<bool, CertificateError> {
    let (certificate, key) = pair(folder, stem);
    match (certificate.exists(), key.exists()) {
        (true, true) => Ok(true),
        (false, false) => Ok(false),
        (true, false) => Err(CertificateError::HalfAPair { present: certificate, missing: key }),
        (false, true) => Err(CertificateError::HalfAPair { present: key, missing: certificate }),
    }
}

fn refuse_existing(folder: &Path, stems: &[&str]) -> Result<(), CertificateError> {
    let paths = stems.iter().flat_map(|stem| <[PathBuf; 2]>::from(pair(folder, stem)));
    let existing: Vec<PathBuf> = paths.filter(|path| path.exists()).collect();
    if existing.is_empty() { Ok(()) } else { Err(CertificateError::Exists(existing)) }
}

fn read_authority(folder: &Path, stem: &str) -> Result<Pair, CertificateError> {
    let (certificate, key) = pair(folder, stem);
    if let Some(missing) = [&certificate, &key].into_iter().find(|path| !path.exists()) {
        return Err(CertificateError::NoAuthority(missing.clone()));
    }
    read_authority_files(&certificate, &key)
}

pub(super) fn read_authority_files(certificate_path: &Path, key_path: &Path) -> Result<Pair, CertificateError> {
    let key = pem::read_key(key_path)?;
    let certificates = pem::read_certificates(certificate_path)?;
    let own = |certificate: &openssl::x509::X509| certificate.public_key().is_ok_and(|public| public.public_eq(&key));
    match certificates.into_iter().find(own) {
        Some(certificate) => Ok(Pair { certificate, key }),
        None => Err(crate::document::Problem::file(
            key_path.to_owned(),
            format!("is not the key of {}", certificate_path.display()),
        )
        .into()),
    }
}

fn add_authority(files: &mut Vec<NewFile>, folder: &Path, stem: &str) -> Result<Pair, CertificateError> {
    let name = format!("resyncd development {stem}");
    let authority = issue::authority(&name).map_err(CertificateError::refused(name))?;
    add_pair(files, folder, stem, &authority, None)?;
    Ok(authority)
}

fn add_server(
    files: &mut Vec<NewFile>,
    folder: &Path,
    authority: &Pair,
    names: &[ServerName],
) -> Result<(), CertificateError> {
    let host = hostname::get().ok().and_then(|name| name.to_str()?.parse().ok());
    let local = ["localhost", "127.0.0.1", "::1"].into_iter().filter_map(|name| name.parse().ok());
    let mut all: Vec<ServerName> = Vec::new();
    for name in names.iter().cloned().chain(host).chain(local) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    // Phones compare the CN with the host in their URL, so what was asked for goes first.
    let common_name = all.iter().map(ServerName::to_string).find(|name| name.len() <= LONGEST_COMMON_NAME);
    let common_name = common_name.unwrap_or_else(|| "localhost".to_owned());
    let server = issue::server(authority, &common_name, &all).map_err(CertificateError::refused(common_name))?;
    add_pair(files, folder, SERVER, &server, Some(authority))
}

fn add_phone(
    files: &mut Vec<NewFile>,
    folder: &Path,
    authority: &Pair,
    phone: &PhoneCertificate,
) -> Result<(), CertificateError> {
    let made = phone
        .subject()
        .and_then(|name| issue::phone(authority, &name))
        .map_err(CertificateError::refused(format!("phone {}", phone.mac)))?;
    add_pair(files, folder, &phone.stem(), &made, None)
}

/// Adds the two files of a pair; the certificate's is a chain where the issuer is given.
fn add_pair(
    files: &mut Vec<NewFile>,
    folder: &Path,
    stem: &str,
    made: &Pair,
    issuer: Option<&Pair>,
) -> Result<(), CertificateError> {
    let texts = || {
        let mut chain = made.certificate.to_pem()?;
        if let Some(issuer) = issuer {
            chain.extend(issuer.certificate.to_pem()?);
        }
        Ok((chain, made.key.private_key_to_pem_pkcs8()?))
    };
    let (chain, key) = texts().map_err(CertificateError::refused(stem))?;
    let (certificate_path, key_path) = pair(folder, stem);
    files.push(NewFile { path: certificate_path, contents: Zeroizing::new(chain), secret: false });
    files.push(NewFile { path: key_path, contents: Zeroizing::new(key), secret: true });
    Ok(())
}
