use std::io::Read;
use std::path::Path;

use walkdir::WalkDir;

use crate::config::Folder;
use crate::lint::rule::rule;
use crate::lint::{About, Deployment, Finding, Findings, Rule};

rule! {
    /// A secret stands in a file that anyone may fetch.
    ///
    /// # What the phone does
    ///
    /// It takes it like everybody else who asks: files for anyone are handed out without proof, and a private key in
    /// one of the static folders is too.
    ///
    /// # How to mend it
    ///
    /// Move the secret into a file for the device (`audience = "device"`), and a private key out of the folder. Then
    /// change it: somebody may have it.
    pub struct SecretForAnyone = "secret-for-anyone", Error;
}

/// How many files of a folder are looked into.
const FILES: usize = 10_000;

/// Where a private key begins in a PEM file that holds certificates, too.
const LOOKED_AT: u64 = 64 * 1024;

impl Rule for SecretForAnyone {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        for file in &deployment.public {
            let Ok(profile) = &file.outcome else { continue };
            for parameter in profile.parameters(file.pack) {
                if parameter.is_secret() && !parameter.is_empty {
                    let message = format!("{} is a secret, and its file is for anyone", parameter.name);
                    findings.report(file.at_parameter(message, &parameter));
                } else if names_password(parameter.value) || holds_key(parameter.value) {
                    let message =
                        format!("{} has a password or a key in it, and its file is for anyone", parameter.name);
                    findings.report(file.at_parameter(message, &parameter));
                }
            }
        }
        deployment.config.folders.iter().for_each(|folder| in_folder(folder, findings));
    }
}

/// `https://user:password@host/`
fn names_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let server = rest.split(['/', '?', ' ']).next().unwrap_or_default();
    server.split_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// A rule of a Cisco phone with the key itself in it, and not the name of where it stands.
fn holds_key(value: &str) -> bool {
    ["--key ", "--pwd "].iter().any(|option| {
        let given = value.split_once(option).map(|(_, after)| after.trim_start());
        given.is_some_and(|given| !given.starts_with(['$', ']']))
    })
}

fn in_folder(folder: &Folder, findings: &mut Findings) {
    for entry in WalkDir::new(&folder.folder).sort_by_file_name().into_iter().flatten().take(FILES) {
        let ends =
            |endings: &[&str]| entry.path().extension().is_some_and(|ending| endings.iter().any(|one| ending == *one));
        if entry.file_type().is_file() && ends(&["pem", "key", "crt", "cer"]) && holds_private_key(entry.path()) {
            let message = format!("a private key, and anyone may fetch what is below {}", folder.path);
            findings.report(Finding::new(message).in_file(entry.path()));
        }
    }
}

fn holds_private_key(path: &Path) -> bool {
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut text));
    read.is_ok() && String::from_utf8_lossy(&text).contains("PRIVATE KEY-----")
}
