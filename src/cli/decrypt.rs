//! `resyncd decrypt`: what the phone would read in an encrypted file, or what an operator reads in a phone's.

use std::path::PathBuf;

use crate::delivery::{self, DecryptError, GunzipError, KeyDigest};
use crate::model::Secret;

use super::data_file::{self, Privacy};
use super::encrypt::{Scheme, digest_parser, iterations_parser};
use super::key::KeyArgs;
use super::{Ending, Failure};

/// A gzip file that unpacks to more is refused: a thousand times that fits into one of the size that is read.
const UNZIPPED_LIMIT: usize = 256 << 20;

/// Decrypt a file made by the server, by `resyncd encrypt`, by `openssl enc -aes-256-cbc`, or by a phone.
///
/// How it was encrypted is found out where it isn't said: `Salted__` at the beginning is aes-256-cbc, and the digest is
/// the one that gives text or a gzip file. A gzip file is unpacked. Standard error tells what was found.
///
/// Exit code: 0 fine, 1 the file doesn't open with this key, 2 could not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to decrypt, up to 64 MiB; - for standard input.
    file: PathBuf,
    /// Where to write, readable to you alone; replaced as a whole or not at all. Standard output if left out.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How it was encrypted. Found out if left out.
    #[arg(long, value_enum)]
    encryption: Option<Scheme>,
    #[command(flatten)]
    key: KeyArgs,
    /// How aes-256-cbc derives key and IV from the key. All are tried if left out.
    #[arg(long, value_parser = digest_parser())]
    digest: Option<KeyDigest>,
    /// The rounds of pbkdf2 [default: 10000].
    #[arg(long, value_name = "N", value_parser = iterations_parser())]
    iterations: Option<u32>,
    /// Leave a gzip file as it is.
    #[arg(long)]
    keep_gzip: bool,
}

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    #[error("it does not begin with `Salted__`, so it was taken for aes128gcm: {0}")]
    Guess(DecryptError),
    #[error("{0} (--keep-gzip leaves it packed)")]
    Gunzip(#[from] GunzipError),
}

/// An opened file, and how it had been packed.
struct Opened {
    content: Vec<u8>,
    packing: String,
    /// Whether the content is of a kind that only the right key gives.
    is_certain: bool,
}

impl Args {
    pub fn run(self) -> Result<Ending, Failure> {
        if self.iterations.is_some() && matches!(self.digest, Some(KeyDigest::Md5 | KeyDigest::Sha256)) {
            return Err(Failure::Other("--iterations is for --digest pbkdf2".to_owned()));
        }
        if self.encryption == Some(Scheme::Aes128Gcm) && (self.digest.is_some() || self.iterations.is_some()) {
            return Err(Failure::Other("--digest and --iterations are for --encryption aes-256-cbc".to_owned()));
        }
        let key = self.key.read()?;
        let file = data_file::read(&self.file)?;
        let name = data_file::name(&self.file);
        let opened = match self.open(&file, &key) {
            Ok(opened) => opened,
            Err(refusal) => {
                eprintln!("resyncd: {name}: {refusal}");
                return Ok(Ending::Findings);
            }
        };
        data_file::write(self.output.as_deref(), &opened.content, Privacy::Private)?;
        eprintln!("resyncd: {name}: {}", opened.packing);
        if !opened.is_certain {
            eprintln!(
                "resyncd: {name}: the content is neither text nor a gzip file: one wrong key in 256 goes unnoticed by \
                 aes-256-cbc, so look whether it is what you expect"
            );
        }
        Ok(Ending::Fine)
    }

    fn open(&self, file: &[u8], key: &Secret) -> Result<Opened, Refusal> {
        let scheme = match self.encryption {
            Some(scheme) => scheme,
            None if delivery::is_salted(file) || self.digest.is_some() || self.iterations.is_some() => {
                Scheme::Aes256Cbc
            }
            // Nothing marks an aes128gcm file, but it opens with the right key only: trying cannot mislead.
            None => Scheme::Aes128Gcm,
        };
        let opened = match scheme {
            Scheme::Aes128Gcm => {
                let content = delivery::decrypt_aes128gcm(file, key).map_err(if self.encryption.is_some() {
                    Refusal::Decrypt
                } else {
                    Refusal::Guess
                })?;
                Opened { content, packing: "aes128gcm".to_owned(), is_certain: true }
            }
            Scheme::Aes256Cbc => {
                let iterations = self.iterations.unwrap_or(KeyDigest::DEFAULT_ITERATIONS);
                let (content, digest) = match self.digest {
                    Some(KeyDigest::Pbkdf2 { .. }) => {
                        let digest = KeyDigest::Pbkdf2 { iterations };
                        (delivery::decrypt_aes_256_cbc(file, key, digest)?, digest)
                    }
                    Some(digest) => (delivery::decrypt_aes_256_cbc(file, key, digest)?, digest),
                    None => delivery::decrypt_aes_256_cbc_by_any_digest(file, key, iterations)?,
                };
                let is_certain = delivery::is_gzip(&content) || delivery::is_text(&content);
                Opened { content, packing: format!("aes-256-cbc, digest {digest}"), is_certain }
            }
        };
        if self.keep_gzip || !delivery::is_gzip(&opened.content) {
            return Ok(opened);
        }
        let content = delivery::gunzip(&opened.content, UNZIPPED_LIMIT)?;
        Ok(Opened { content, packing: format!("{}, gzip", opened.packing), ..opened })
    }
}
