//! `resyncd encrypt`: a file as the server would deliver it.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::delivery::{DEFAULT_RECORD_SIZE, Delivery, Encryption, KeyDigest, MAX_KEY_ID};

use super::data_file::{self, Privacy};
use super::key::KeyArgs;
use super::{Ending, Failure};

/// Encrypt a file as phones take it, by the same code as the server.
///
/// aes-256-cbc writes what `openssl enc -aes-256-cbc` does; `openssl enc -d -aes-256-cbc -md md5 -k KEY` reads it.
/// aes128gcm writes a body for the content coding of RFC 8188: whoever serves it has to send `Content-Encoding:
/// aes128gcm` with it.
///
/// Exit code: 0 fine, 2 could not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to encrypt, up to 64 MiB; - for standard input.
    file: PathBuf,
    /// Where to write; replaced as a whole or not at all. Standard output if left out.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to encrypt.
    #[arg(long, value_enum)]
    encryption: Scheme,
    #[command(flatten)]
    key: KeyArgs,
    /// How aes-256-cbc derives key and IV from the key [default: md5].
    #[arg(long, value_parser = digest_parser())]
    digest: Option<KeyDigest>,
    /// The rounds of pbkdf2 [default: 10000].
    #[arg(long, value_name = "N", value_parser = iterations_parser())]
    iterations: Option<u32>,
    /// Compress first. Phones know a gzip file by its header; its name doesn't matter.
    #[arg(long)]
    gzip: bool,
    /// Bytes per record of aes128gcm [default: 4096].
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(18..=1_048_576))]
    record_size: Option<u32>,
    /// The key's name, which an aes128gcm file holds in clear: up to 255 bytes [default: none].
    #[arg(long, value_name = "TEXT")]
    key_id: Option<String>,
}

/// How a file is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scheme {
    /// As `openssl enc -aes-256-cbc` writes it.
    #[value(name = "aes-256-cbc")]
    Aes256Cbc,
    /// The content coding of RFC 8188.
    #[value(name = "aes128gcm")]
    Aes128Gcm,
}

pub(super) fn digest_parser() -> impl TypedValueParser<Value = KeyDigest> {
    PossibleValuesParser::new(KeyDigest::NAMES).try_map(|name| name.parse::<KeyDigest>())
}

/// The same bounds as of `delivery.iterations`.
pub(super) fn iterations_parser() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=10_000_000)
}

impl Args {
    pub fn run(self) -> Result<Ending, Failure> {
        let delivery = Delivery { gzip: self.gzip, encryption: self.encryption()? };
        let content = data_file::read(&self.file)?;
        let name = data_file::name(&self.file);
        let delivered = delivery.pack(&content).map_err(|error| Failure::because(name, error))?;
        data_file::write(self.output.as_deref(), &delivered.body, Privacy::Public)?;
        Ok(Ending::Fine)
    }

    /// The settings, if they go together. What would have no effect is refused rather than ignored.
    fn encryption(&self) -> Result<Encryption, Failure> {
        let refuse = |message: &str| Err(Failure::Other(message.to_owned()));
        match self.encryption {
            Scheme::Aes256Cbc => {
                if self.record_size.is_some() || self.key_id.is_some() {
                    return refuse("--record-size and --key-id are for --encryption aes128gcm");
                }
                let digest = match (self.digest.unwrap_or_default(), self.iterations) {
                    (KeyDigest::Pbkdf2 { .. }, Some(iterations)) => KeyDigest::Pbkdf2 { iterations },
                    (_, Some(_)) => return refuse("--iterations is for --digest pbkdf2"),
                    (digest, None) => digest,
                };
                Ok(Encryption::Aes256Cbc { passphrase: self.key.read()?, digest })
            }
            Scheme::Aes128Gcm => {
                if self.digest.is_some() || self.iterations.is_some() {
                    return refuse("--digest and --iterations are for --encryption aes-256-cbc");
                }
                let key_id = self.key_id.clone().unwrap_or_default().into_bytes();
                if key_id.len() > MAX_KEY_ID {
                    return refuse("--key-id takes 255 bytes at most");
                }
                let record_size = self.record_size.unwrap_or(DEFAULT_RECORD_SIZE);
                Ok(Encryption::Aes128Gcm { keying_material: self.key.read()?, record_size, key_id })
            }
        }
    }
}
