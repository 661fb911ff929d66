//! The first start: with no certificates there yet, a development set is made, so that the program can be tried at once.

use std::path::PathBuf;

use crate::config::Config;
use crate::document::Problems;
use crate::packs::Packs;
use crate::resync::Profiles;
use crate::tls::certificates::{
    CertificateError, Made, PhoneCertificate, SubjectForm, ensure_development_certificates,
};

/// What a first start made.
#[derive(Debug)]
pub struct FirstStart {
    pub folder: PathBuf,
    pub made: Made,
}

/// Phones that get a certificate: enough to try with, even where thousands are set up.
const MOST_PHONES: usize = 20;

/// Makes what is missing of `certs/dev/`, if that is where a listener's certificate should be.
pub fn first_start(config: &Config) -> Result<Option<FirstStart>, FirstStartError> {
    let base = config.file.parent().map(PathBuf::from).unwrap_or_default();
    let folder = base.join("certs").join("dev");
    let is_ours = |path: &PathBuf| path.starts_with(&folder);
    let tls = || config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let wants = |path: &PathBuf| is_ours(path) && !path.exists();
    let is_first = tls()
        .any(|tls| wants(&tls.certificate.certificate) || wants(&tls.certificate.key) || tls.root_files().any(wants));
    if !is_first {
        return Ok(None);
    }
    let packs = Packs::load(&config.templates, &config.profiles)?;
    let profiles = Profiles::load(&config.profiles, &packs)?;
    let mut phones = Vec::new();
    for device in profiles.devices().into_iter().take(MOST_PHONES) {
        let Some((pack, model)) = packs.pack_and_model(device.model) else { continue };
        let form = match &device.serial {
            Some(serial) if pack.vendor == "Cisco" => {
                SubjectForm::Cisco { model: model.name.to_string(), serial: serial.clone() }
            }
            _ => SubjectForm::CommonName,
        };
        phones.push(PhoneCertificate { mac: device.mac, form });
    }
    let made = ensure_development_certificates(&folder, &phones, &[])?;
    Ok(Some(FirstStart { folder, made }))
}

/// Why the development certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}
