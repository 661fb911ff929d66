//! The key of `encrypt` and `decrypt`, and the three ways to give it.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};

use crate::model::KeyEncoding;
use crate::model::Secret;

use super::{Failure, data_file};

/// Where the key is looked for when no option gives it.
const VARIABLE: &str = "RESYNCD_KEY";

/// One of these, or RESYNCD_KEY in the environment.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The key: the passphrase of aes-256-cbc, the input keying material of aes128gcm. Other users of this machine can
    /// see it on the command line: the environment variable RESYNCD_KEY or --key-file keeps it from them. One that
    /// begins with - is given as --key=KEY.
    #[arg(long, value_name = "KEY", conflicts_with = "key_file", value_parser = secret_parser())]
    key: Option<Secret>,
    /// A file that holds the key. One line end at its end is not part of the key.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How the key is written, wherever it comes from.
    #[arg(long, value_name = "ENCODING", default_value = "text", value_parser = encoding_parser())]
    key_encoding: KeyEncoding,
}

/// Made a secret at once, so that nothing shows it.
fn secret_parser() -> impl TypedValueParser<Value = Secret> {
    OsStringValueParser::new().map(|text| Secret::new(text.into_encoded_bytes()))
}

fn encoding_parser() -> impl TypedValueParser<Value = KeyEncoding> {
    PossibleValuesParser::new(KeyEncoding::NAMES).try_map(|name| name.parse::<KeyEncoding>())
}

impl KeyArgs {
    /// The key from the option or the file, else from the environment.
    ///
    /// The environment is read here and not by clap, to which a variable counts as an option given: one that is always
    /// set would forbid --key-file.
    pub fn read(&self) -> Result<Secret, Failure> {
        let (source, written) = if let Some(key) = &self.key {
            ("--key".to_owned(), key.clone())
        } else if let Some(file) = &self.key_file {
            let written = Secret::new(data_file::read(file)?);
            (data_file::name(file), Secret::new(without_line_end(written.expose())))
        } else if let Some(key) = std::env::var_os(VARIABLE) {
            (VARIABLE.to_owned(), Secret::new(key.into_encoded_bytes()))
        } else {
            let message = format!("no key: give it in the environment variable {VARIABLE}, by --key-file or by --key");
            return Err(Failure::Other(message));
        };
        self.key_encoding.parse(written.expose()).map_err(|error| Failure::because(source, error))
    }
}

fn without_line_end(written: &[u8]) -> &[u8] {
    let line = written.strip_suffix(b"\n").unwrap_or(written);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::without_line_end;

    #[test]
    fn one_line_end_is_not_part_of_a_key() {
        for (written, key) in [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), ("k\n\n", "k\n"), (" k ", " k "), ("", "")] {
            assert_eq!(without_line_end(written.as_bytes()), key.as_bytes(), "{written:?}");
        }
    }
}
