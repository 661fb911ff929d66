//! `resyncd phone cwmp`: one phone's session with its auto-configuration server.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use super::resync::{credentials, read_state};
use crate::cli::{Ending, Failure, data_file, output};
use crate::events::Escaped;
use crate::model::{MacAddr, Serial};
use crate::phone::cisco::{Emulation, Random, SeededRandom, SystemRandom};
use crate::phone::cwmp::{Event, Fault, Habits, Host, Life, Phone, Played, Quirk, Step};
use crate::phone::network::{ClientCertificate, Network, Options, Roots, Stack, TlsOptions};
use crate::phone::{Identity, Maker, State};

/// Play one phone's session with its auto-configuration server (TR-069), as the real one does.
///
/// Prints what the server asked, what it set, and what the phone refused; passwords are masked. With --state the phone goes on
/// from where a session or `resyncd phone resync` left it, and knows its server from its files.
///
/// Exit code 0 if the last session ended by 204, 1 if not, 2 if it could not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model, as on the box: 6757i, GXP2170, CP-6841-3PCC.
    #[arg(long)]
    model: String,
    /// The MAC address, in any spelling.
    #[arg(long)]
    mac: MacAddr,
    /// The serial number; Aastra and Mitel phones say their MAC instead.
    #[arg(long, default_value = "SERIAL0001")]
    serial: Serial,
    /// The firmware, as the phone tells it [default: one that speaks TR-069].
    #[arg(long)]
    firmware: Option<String>,
    /// The family, where the model doesn't tell: cisco, aastra or grandstream.
    #[arg(long, value_name = "FAMILY")]
    family: Option<Maker>,
    /// The server, as if somebody had typed it in [default: what the phone's files and its server told it].
    #[arg(long, value_name = "URL", required_unless_present = "state")]
    acs: Option<String>,
    /// The user that the phone shows it.
    #[arg(long, value_name = "USER", requires = "password_file")]
    user: Option<String>,
    /// The file with the password that goes with it; - for standard input.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// The phone's client certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of --certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The CA that the phone knows servers by [default: the system's].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Keep what the phone remembers in this file, and go on from it. It holds the phone's parameters, passwords among them.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Why the session is opened, beside what the phone has to tell: bootstrap, boot, periodic, value-change, connection-request,
    /// or a whole event: "M Reboot" [default: periodic, if there is nothing to tell].
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Vec<Event>,
    /// Change a parameter on the phone first, as its user does. The server hears of it where it asked to.
    #[arg(long, value_name = "PATH=VALUE", value_parser = change)]
    change: Vec<(String, String)>,
    /// Refuse a parameter or a method (* for all) with a fault: Device.LAN.DNSServers=9007.
    #[arg(long, value_name = "PATH=CODE")]
    fault: Vec<Fault>,
    /// Give it an odd way of phones in the field: repeats-count (of Digest), basic-unasked, drops-cookie, echoes-cookie,
    /// miscounts-arrays or keyless-events.
    #[arg(long, value_name = "QUIRK")]
    quirk: Vec<Quirk>,
    /// Let the phone know a method that its family doesn't: GetQueuedTransfers.
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// Take the phone's power after so many messages.
    #[arg(long, value_name = "N")]
    power_cut: Option<u32>,
    /// The phone's own address, where it hears connection requests.
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.2.1")]
    address: String,
    /// How a host is reached by the phone's ping and trace route, as none is really sent: NAME=unknown, NAME=silent, or the routers in
    /// between, NAME=192.0.2.254,198.51.100.1. Others answer at once.
    #[arg(long, value_name = "NAME=REACH")]
    host: Vec<Host>,
    /// The version that the next firmware file holds, where its name doesn't tell.
    #[arg(long, value_name = "VERSION")]
    next_firmware: Option<String>,
    /// Listen for connection requests at this address of this machine (port 0: any), and have a session for each. Behind a NAT
    /// the phone asks its STUN server first, if its ACS switched that on.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "address")]
    listen: Option<SocketAddr>,
    /// How long to listen before each session, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "listen")]
    wait: u32,
    /// Ask for the connection request's password by Basic instead of Digest, as a few phones do.
    #[arg(long, requires = "listen")]
    basic: bool,
    /// How many sessions, each when the phone would open it, without the wait in between. Fewer, if it wouldn't.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    times: u32,
    /// Make the phone's random delays the same in every run.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How it is told.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

/// The largest answer or file that is taken, in bytes.
const BODY_LIMIT: usize = 64 << 20;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

const URL: &str = "Device.ManagementServer.URL";
const USER: &str = "Device.ManagementServer.Username";
const PASSWORD: &str = "Device.ManagementServer.Password";

fn event(text: &str) -> Result<Event, String> {
    let code = match text {
        "bootstrap" => "0 BOOTSTRAP",
        "boot" => "1 BOOT",
        "periodic" => "2 PERIODIC",
        "value-change" => "4 VALUE CHANGE",
        "connection-request" => "6 CONNECTION REQUEST",
        whole if whole.contains(' ') && whole.len() <= 64 => whole,
        _ => {
            return Err(
                "write bootstrap, boot, periodic, value-change, connection-request, or a whole event: \"M Reboot\""
                    .to_owned(),
            );
        }
    };
    Ok(Event::new(code))
}

fn change(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(path, _)| !path.is_empty());
    pair.map(|(path, value)| (path.to_owned(), value.to_owned())).ok_or_else(|| "write PATH=VALUE".to_owned())
}

impl Args {
    pub fn run(self) -> Result<Ending, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::because("the runtime can't be started", error))?;
        match self.seed {
            Some(seed) => runtime.block_on(self.play(SeededRandom(seed))),
            None => runtime.block_on(self.play(SystemRandom)),
        }
    }

    async fn play(&self, random: impl Random) -> Result<Ending, Failure> {
        let phone = self.phone()?;
        let state = self.begin(&phone)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let mut life = Life::with_state(phone, state, self.network()?, random, now);
        if let Some(listen) = self.listen {
            let listening = life.listen(listen.ip(), Some(listen.port()), None).await;
            listening.map_err(|error| Failure::because(format!("can't listen at {listen}"), error))?;
        }
        let mut all: Vec<Played> = Vec::new();
        for round in 0..self.times {
            let events = if round == 0 { self.event.as_slice() } else { &[] };
            let played = life.session(events).await.map_err(|error| Failure::Other(error.to_string()))?;
            // The power fails once.
            life.phone.habits.power_cut = None;
            let next = played.next;
            if self.format == output::Format::Human {
                output::write(|out| describe(out, &played))?;
            }
            all.push(played);
            if self.listen.is_some() && !life.is_pending() {
                if round + 1 == self.times || !self.is_woken(&mut life).await? {
                    break;
                }
                life.now = OffsetDateTime::now_utc().unix_timestamp();
                continue;
            }
            let Some(next) = next else { break };
            life.now = life.now.saturating_add(i64::try_from(next).unwrap_or(i64::MAX));
        }
        if let Some(file) = &self.state {
            let text =
                serde_json::to_vec_pretty(&life.state).map_err(|error| Failure::because(file.display(), error))?;
            data_file::write(Some(file), &text, data_file::Privacy::Private)?;
        }
        let rest = life.take_steps();
        match self.format {
            output::Format::Json => tell(&all)?,
            output::Format::Human => output::write(|out| lines(out, &rest))?,
        }
        let failed = all.last().is_none_or(|played| played.failure.is_some());
        Ok(if failed { Ending::Findings } else { Ending::Fine })
    }

    /// Listens for a connection request, for as long as is wanted.
    async fn is_woken(&self, life: &mut Life<impl Random>) -> Result<bool, Failure> {
        if let Err(error) = life.bind().await {
            eprintln!("resyncd: {error}");
        }
        if life.is_pending() {
            return Ok(true);
        }
        if let Some((http, _)) = life.ears() {
            eprintln!("resyncd: listening at {http} for {} s", self.wait);
        }
        let woken = life.woken(Duration::from_secs(self.wait.into())).await;
        Ok(woken.map_err(|error| Failure::because("the phone hears nothing", error))?.is_some())
    }

    fn phone(&self) -> Result<Phone, Failure> {
        let maker = self.family.or_else(|| Maker::of(&self.model)).ok_or_else(|| {
            Failure::Other(format!("no phone of the model {} is emulated; --family says which it is like", self.model))
        })?;
        let usual = match maker {
            Maker::Aastra => "3.3.1.4311-SIP",
            Maker::Grandstream => "1.0.9.26",
            Maker::Cisco => "11.2.4",
        };
        let identity = Identity {
            model: self.model.clone(),
            mac: self.mac,
            serial: self.serial.clone(),
            firmware: self.firmware.clone().unwrap_or_else(|| usual.to_owned()),
            has_certificate: self.certificate.is_some(),
        };
        let habits = Habits {
            faults: self.fault.clone(),
            more_methods: self.method.clone(),
            address: self.address.clone(),
            power_cut: self.power_cut,
            hosts: self.host.clone(),
            next_firmware: self.next_firmware.clone(),
            connection_port: None,
            asks_basic: self.basic,
            quirks: self.quirk.iter().copied().collect(),
        };
        Ok(Phone { habits, ..Phone::new(maker, identity) })
    }

    /// What the phone remembers, and was told by whoever stands before it.
    fn begin(&self, phone: &Phone) -> Result<State, Failure> {
        let mut state = match self.state.as_deref().filter(|file| file.exists()) {
            Some(file) => read_state(file)?,
            None => crate::phone::Phone::new(phone.maker, phone.identity.clone(), Emulation::default()).factory_state(),
        };
        let mut set = |path: &str, value: &str| state.cwmp.parameters.insert(path.to_owned(), value.to_owned());
        if let Some(url) = &self.acs {
            set(URL, url);
        }
        if let Some(credentials) = credentials(self.user.as_deref(), self.password_file.as_deref())? {
            set(USER, &credentials.user);
            set(PASSWORD, credentials.password.expose_text().unwrap_or_default());
        }
        for (path, value) in &self.change {
            let is_told = phone.change(&mut state, path, value);
            if !is_told.map_err(|error| Failure::because("--change", error))? {
                eprintln!("resyncd: {path}: the server did not ask to be told of it, or it was so before");
            }
        }
        Ok(state)
    }

    fn network(&self) -> Result<Network, Failure> {
        let roots = self.ca_file.clone().map_or(Roots::System, Roots::File);
        let options = Options {
            tls: TlsOptions { roots, ..TlsOptions::default() },
            keep_alive: true,
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
}

fn tell(all: &[Played]) -> Result<(), Failure> {
    let sessions = all.iter().map(|played| {
        json!({
            "succeeded": played.failure.is_none(), "failure": played.failure, "messages": played.messages,
            "sent_bytes": played.sent_bytes, "received_bytes": played.received_bytes, "next": played.next,
            "steps": played.steps,
        })
    });
    output::json(&sessions.collect::<Vec<_>>())
}

fn lines(out: &mut dyn Write, steps: &[Step]) -> std::io::Result<()> {
    for line in steps.iter().flat_map(|step| step.to_string().lines().map(str::to_owned).collect::<Vec<_>>()) {
        writeln!(out, "{}", Escaped(&line))?;
    }
    Ok(())
}

fn describe(out: &mut dyn Write, played: &Played) -> std::io::Result<()> {
    lines(out, &played.steps)?;
    match played.next {
        Some(0) => writeln!(out, "opens another session at once"),
        Some(next) => writeln!(out, "opens another session in {next} s"),
        None => writeln!(out, "opens no other session by itself"),
    }
}
