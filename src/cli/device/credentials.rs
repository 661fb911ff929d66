//! `resyncd device credentials`.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::cli::fleet::{actor, block_on, open, open_read_only};
use crate::cli::{Ending, Failure, output};
use crate::config::Config;
use crate::fleet::{DeviceCredentials, RotateError};
use crate::model::{Escaped, MacAddr, Secret};
use crate::records::MASK;
use crate::settings::SecretError;

/// Show a device's user and password for `access.password`, or make new ones.
///
/// With --rotate the record gets a new password of 130 bits, and a user where there is none; the phone gets them with its next
/// profile. The password before holds as well until the phone has used the new one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    /// Make a new password.
    #[arg(long)]
    rotate: bool,
    /// Even if the phone has not used the last one yet: the password before that stops at once.
    #[arg(long, requires = "rotate")]
    force: bool,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
    /// Write passwords as they are.
    #[arg(long)]
    show_secrets: bool,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let found = block_on(async {
            if !self.rotate {
                return Ok(open_read_only(config).await?.credentials(self.mac).await);
            }
            Ok(open(config).await?.rotate_credentials(self.mac, self.force, &actor()).await)
        })?;
        let credentials = match found {
            Ok(credentials) => credentials,
            Err(RotateError::Fleet(error)) => return Err(error.into()),
            Err(error) => {
                eprintln!("resyncd: {error}{}", if self.rotate { "; nothing was changed" } else { "" });
                return Ok(Ending::Findings);
            }
        };
        match self.format {
            output::Format::Json => output::json(&self.json(&credentials))?,
            output::Format::Human => output::write(|out| self.describe(&credentials, out))?,
        }
        if !credentials.opens {
            eprintln!("resyncd: they open nothing yet: access.password is not set for this device");
        }
        Ok(Ending::Fine)
    }

    fn json(&self, credentials: &DeviceCredentials) -> Value {
        json!({
            "mac": credentials.mac.to_string(),
            "user": credentials.user,
            "password": self.shown(credentials.password.as_ref()),
            "previous": self.shown(credentials.previous.as_ref()),
            "opens": credentials.opens,
        })
    }

    fn describe(&self, credentials: &DeviceCredentials, out: &mut dyn Write) -> io::Result<()> {
        let mut line = |name: &str, text: &str| writeln!(out, "{name:10}{}", Escaped(text));
        line("mac", &credentials.mac.to_string())?;
        line("user", credentials.user.as_deref().unwrap_or("-"))?;
        line("password", &self.shown(credentials.password.as_ref()).unwrap_or_else(|| "-".to_owned()))?;
        if let Some(previous) = self.shown(credentials.previous.as_ref()) {
            line("previous", &format!("{previous} (holds until the phone has used the new one)"))?;
        }
        Ok(())
    }

    fn shown(&self, password: Option<&Result<Secret, SecretError>>) -> Option<String> {
        match password? {
            Ok(password) if self.show_secrets => Some(password.expose_text().unwrap_or_default().to_owned()),
            Ok(_) => Some(MASK.to_owned()),
            Err(error) => Some(format!("{MASK} ({error})")),
        }
    }
}
