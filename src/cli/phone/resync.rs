//! `resyncd phone resync`: one phone in the terminal.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use crate::cli::{Ending, Failure, data_file, output};
use crate::delivery::KeyDigest;
use crate::events::Escaped;
use crate::model::{MacAddr, Secret, Serial};
use crate::phone::cisco::{Emulation, Random, SeededRandom, SystemRandom};
use crate::phone::network::{ClientCertificate, Network, Options, Roots, Stack, TlsOptions};
use crate::phone::{Cause, Credentials, Identity, Maker, Phone, Played, State};

/// Play one phone: let it resync as the real one does, and see what it makes of its files.
///
/// Prints what the real phone's syslog would say, with -v every step. Exit code 0 if the resync succeeded as the phone
/// sees it, 1 if not, 2 if it could not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model, as on the box: CP-6841-3PCC, SPA504G, 6757i, GXP2170.
    #[arg(long)]
    model: String,
    /// The MAC address, in any spelling.
    #[arg(long)]
    mac: MacAddr,
    /// The serial number.
    #[arg(long, default_value = "SERIAL0001")]
    serial: Serial,
    /// The firmware, as the phone's User-Agent writes it.
    #[arg(long, default_value = "11.2.4")]
    firmware: String,
    /// The family, where the model doesn't tell: cisco, aastra or grandstream.
    #[arg(long, value_name = "FAMILY")]
    family: Option<Maker>,
    /// The phone's client certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of --certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The CA that the phone knows servers by [default: the system's].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The server that DHCP tells a phone which knows none: https://prov.example.com.
    #[arg(long, value_name = "URL", required_unless_present_any = ["profile_rule", "state"])]
    server: Option<String>,
    /// Resync by this profile rule instead of the phone's own (Cisco).
    #[arg(long, value_name = "RULE")]
    profile_rule: Option<String>,
    /// The user that the phone shows its server, as if somebody had typed it in on the phone.
    #[arg(long, value_name = "USER", requires = "password_file")]
    user: Option<String>,
    /// The file with the password that goes with it; - for standard input.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Keep what the phone remembers in this file, and go on from it. It holds the phone's parameters, passwords among them.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// How AES-256-CBC's key is derived by this firmware.
    #[arg(long, value_name = "DIGEST", default_value = "md5")]
    digest: KeyDigest,
    /// How often the phone resyncs, each time when the last one said, without the wait in between.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    times: u32,
    /// Make the phone's random delays the same in every run.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Tell every step.
    #[arg(short, long)]
    verbose: bool,
    /// How it is told.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

/// The largest profile that is taken, in bytes; phones take far less.
const BODY_LIMIT: usize = 64 << 20;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

impl Args {
    pub fn run(self) -> Result<Ending, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::because("the runtime can't be started", error))?;
        match self.seed {
            Some(seed) => runtime.block_on(self.play(&mut SeededRandom(seed))),
            None => runtime.block_on(self.play(&mut SystemRandom)),
        }
    }

    async fn play(&self, random: &mut impl Random) -> Result<Ending, Failure> {
        let phone = self.phone()?;
        let network = self.network()?;
        let mut state = self.read_state(&phone)?;
        let credentials = credentials(self.user.as_deref(), self.password_file.as_deref())?;
        if let Some(credentials) = &credentials {
            phone.tell_credentials(&mut state, credentials);
        }
        let rule = self.profile_rule.as_ref().map(|rule| match &credentials {
            Some(_) => phone.rule_with_credentials(rule),
            None => rule.clone(),
        });
        let mut now = OffsetDateTime::now_utc().unix_timestamp();
        let mut all: Vec<Played> = Vec::new();
        for round in 0..self.times {
            let cause = match (&rule, round) {
                (Some(rule), 0) => Cause::Command(Some(rule.clone())),
                (None, 0) if state.last_attempt.is_none() => Cause::PowerUp,
                _ => Cause::Due,
            };
            let played = phone.resync(&state, &cause, self.server.as_deref(), now, &network, random).await;
            state = played.state.clone();
            let next = played.next;
            all.push(played);
            let Some(next) = next else { break };
            now = now.saturating_add(i64::try_from(next).unwrap_or(i64::MAX));
        }
        if let Some(file) = &self.state {
            let text = serde_json::to_vec_pretty(&state).map_err(|error| Failure::because(file.display(), error))?;
            data_file::write(Some(file), &text, data_file::Privacy::Private)?;
        }
        self.tell(&all)?;
        let failed = all.last().is_none_or(|played| played.failure.is_some());
        Ok(if failed { Ending::Findings } else { Ending::Fine })
    }

    fn phone(&self) -> Result<Phone, Failure> {
        let maker = self.family.or_else(|| Maker::of(&self.model)).ok_or_else(|| {
            Failure::Other(format!("no phone of the model {} is emulated; --family says which it is like", self.model))
        })?;
        let identity = Identity {
            model: self.model.clone(),
            mac: self.mac,
            serial: self.serial.clone(),
            firmware: self.firmware.clone(),
            has_certificate: self.certificate.is_some(),
        };
        let origin = self.server.as_deref().map(crate::phone::cisco::target::Origin::parse).transpose();
        let origin = origin.map_err(|error| Failure::because("--server", error))?;
        Ok(Phone::new(maker, identity, Emulation { origin, digest: self.digest, ..Emulation::default() }))
    }

    fn network(&self) -> Result<Network, Failure> {
        let roots = self.ca.clone().map_or(Roots::System, Roots::File);
        let options = Options {
            tls: TlsOptions { roots, ..TlsOptions::default() },
            body_limit: BODY_LIMIT,
            request_timeout: REQUEST_TIMEOUT,
            ..Options::default()
        };
        let stack = Stack::new(options).map_err(|error| Failure::Other(error.to_string()))?;
        let certificate = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let read = ClientCertificate::read(certificate, key);
                Some(Arc::new(read.map_err(|error| Failure::Other(error.to_string()))?))
            }
            _ => None,
        };
        Ok(Network::new(Arc::new(stack), certificate))
    }

    fn read_state(&self, phone: &Phone) -> Result<State, Failure> {
        let Some(file) = self.state.as_deref().filter(|file| file.exists()) else { return Ok(phone.factory_state()) };
        read_state(file)
    }

    fn tell(&self, all: &[Played]) -> Result<(), Failure> {
        if self.format == output::Format::Json {
            let rounds = all.iter().map(|played| {
                json!({
                    "succeeded": played.failure.is_none(), "failure": played.failure, "changed": played.changed,
                    "next": played.next, "steps": played.steps.iter().map(|step| &step.step).collect::<Vec<_>>(),
                })
            });
            return output::json(&rounds.collect::<Vec<_>>());
        }
        output::write(|out| all.iter().try_for_each(|played| self.describe(out, played)))
    }

    fn describe(&self, out: &mut dyn Write, played: &Played) -> std::io::Result<()> {
        let has_log = played.steps.iter().any(|step| step.is_log);
        for step in &played.steps {
            if self.verbose || step.is_log || !has_log {
                writeln!(out, "{}", Escaped(&step.text))?;
            }
        }
        match &played.failure {
            None => writeln!(out, "succeeded: {} parameters changed", played.changed.len())?,
            Some(why) => writeln!(out, "failed: {}", Escaped(why))?,
        }
        match played.next {
            Some(next) => writeln!(out, "asks again in {next} s"),
            None => writeln!(out, "does not ask again by itself"),
        }
    }
}

/// User and password that were given.
pub(super) fn credentials(user: Option<&str>, file: Option<&Path>) -> Result<Option<Credentials>, Failure> {
    let (Some(user), Some(file)) = (user, file) else { return Ok(None) };
    let text = data_file::read(file)?;
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    let password = std::str::from_utf8(text.get(..end).unwrap_or_default())
        .map_err(|error| Failure::because(file.display(), error))?;
    Ok(Some(Credentials { user: user.to_owned(), password: Secret::new(password) }))
}

pub(super) fn read_state(file: &Path) -> Result<State, Failure> {
    let text = data_file::read(file)?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::because(file.display(), format_args!("is no phone's state: {error}")))
}
