//! `resyncd phone swarm`: many phones at once.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use super::super::descriptors::most_connections;
use crate::cli::{Ending, Failure, output};
use crate::document::parse_duration;
use crate::events::Escaped;
use crate::model::MacAddr;
use crate::phone::Identity;
use crate::phone::network::{ClientCertificate, Options, Resolver, Roots, Stack, Target, TlsOptions, look_up};
use crate::phone::swarm::{
    Acs, CertificateSource, Fault, Faults, Fleet, ModelMix, PathTemplate, Pattern, Percentiles, Plan, Report,
    RetryDelays, run,
};
use crate::tls::certificates::{CertificateError, PhoneAuthority, PhoneCertificate, PhoneKey, SubjectForm};

/// How long a phone with the fault `slow` pauses.
const SLOW_PAUSE: Duration = Duration::from_secs(5);

/// Play many phones at once, to see what a server makes of their load.
///
/// The phones keep to a timetable however slow the server is, and latency counts from when a resync was due. Ctrl-C ends
/// a run early, with its report.
///
/// Exit code: 0 every phone was served each time, 1 some were not, or a stranger's certificate was taken for a phone's,
/// 2 could not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the phones go: https://config.example.com:8443.
    #[arg(long, value_name = "URL")]
    server: String,
    /// How many there are.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    phones: u32,
    /// How long resyncs begin: 60s, 10m, 24h. A run ends early when every phone has what it came for.
    #[arg(long, value_parser = duration, default_value = "60s")]
    duration: Duration,
    /// Models, and how often each occurs. The model decides User-Agent and path.
    #[arg(long, value_name = "MODEL=SHARE,…", default_value = "CP-6841-3PCC")]
    model_mix: ModelMix,
    /// The path that phones ask for, with {mac}, {MAC}, {serial} or {model} in it [default: the model's own].
    #[arg(long, value_name = "PATH")]
    path_template: Option<PathTemplate>,
    /// Let the phones have sessions with the auto-configuration server (TR-069) at this path, instead of asking for a file. A
    /// session is a resync: the first with 0 BOOTSTRAP, then 2 PERIODIC.
    #[arg(long, value_name = "PATH", value_parser = path, conflicts_with = "path_template")]
    acs: Option<String>,
    /// The first phone's MAC address; the others follow.
    #[arg(long, value_name = "MAC", default_value = "000e08000000")]
    first_mac: MacAddr,
    /// Show the phones' certificates in this folder: phone-<mac>.pem and phone-<mac>.key, as `resyncd cert phone` makes them.
    #[arg(long, value_name = "DIR", conflicts_with = "make_certificates")]
    certificates: Option<PathBuf>,
    /// Make the phones' certificates, signed by the CA of --ca and --ca-key. All share one key.
    #[arg(long, requires = "ca", requires = "ca_key")]
    make_certificates: bool,
    /// The CA that signs phones.
    #[arg(long, value_name = "FILE", requires = "make_certificates")]
    ca: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "make_certificates")]
    ca_key: Option<PathBuf>,
    /// The key of certificates that are made. Phones have RSA; P-256 leaves more of the processor for the load.
    #[arg(long, value_enum, default_value_t = Key::Rsa2048)]
    key: Key,
    /// The CA that signed the server [default: the system's].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Connect to this address instead of the URL's.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    connect: Option<(String, u16)>,
    /// When phones are due: all-at-once, random-delay=SECONDS, periodic=SECONDS or periodic=SECONDS+RANDOM.
    #[arg(long, default_value = "all-at-once")]
    pattern: Pattern,
    /// Instead of a pattern: so many resyncs begin per second, the phones taking turns.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate, conflicts_with = "pattern")]
    rate: Option<f64>,
    /// When a phone comes again that was not served, unless Retry-After says when: seconds after the first failure, the
    /// second and so on; up to what follows + is added at random.
    #[arg(long, value_name = "DELAYS", default_value = "60+30,300+60,900+300,3600+600")]
    error_retry: RetryDelays,
    /// Whether phones take up the TLS session of the time before.
    #[arg(long, value_enum, default_value_t = Handshakes::Full)]
    handshakes: Handshakes,
    /// Phones keep their connection, to the end.
    #[arg(long)]
    keep_alive: bool,
    /// How likely a phone misbehaves: drop, garbage, wrong-certificate, slow.
    #[arg(long, value_name = "FAULT=LIKELIHOOD,…")]
    faults: Option<Faults>,
    /// Makes timetable and faults the same again [default: a new one, which the report tells].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Handshakes {
    Full,
    Resume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "p-256")]
    P256,
}

fn duration(text: &str) -> Result<Duration, String> {
    /// The longest run: ten years, where no sum of times can overflow.
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
    let duration = parse_duration(text).filter(|duration| *duration <= LONGEST);
    duration.ok_or_else(|| "write it as 500ms, 60s, 10m, 24h or 7d".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (1e-6..=1e6).contains(rate));
    rate.ok_or_else(|| "a number of resyncs per second, above 0 and up to 1000000".to_owned())
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("a path begins with /: /cwmp".to_owned()) }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.filter(|(host, _)| !host.is_empty()).ok_or("write host:port")?;
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

impl Args {
    pub fn run(self) -> Result<Ending, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::because("the runtime can't be started", error))?;
        let plan = runtime.block_on(self.plan())?;
        let stop = async {
            // Without the signal a run ends by itself.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let mut live = Live::new();
        let report = runtime.block_on(run(plan, stop, |report| live.show(report)));
        live.clear();
        let report = report.map_err(|error| Failure::Other(error.to_string()))?;
        match self.format {
            output::Format::Human => output::write(|out| write_human(&report, out))?,
            output::Format::Json => output::json(&report)?,
        }
        Ok(if report.is_fine() { Ending::Fine } else { Ending::Findings })
    }

    async fn plan(&self) -> Result<Plan, Failure> {
        let server = self.server.trim_end_matches('/').to_owned();
        let origin = Target::parse(&server).map_err(|error| Failure::because("--server", error))?.origin;
        let faults = self.faults.clone().unwrap_or_default();
        if faults.has(Fault::WrongCertificate) && !origin.tls {
            return Err(Failure::Other(
                "--faults wrong-certificate: without https there are no certificates".to_owned(),
            ));
        }
        let fleet = Fleet::new(self.phones, self.first_mac, self.model_mix.clone(), self.path_template.clone());
        let fleet = fleet.map_err(|error| Failure::because("--phones", error))?;
        // Once, and not by every phone: it is the server that is tested and not the resolver.
        let (host, port) = self.connect.clone().unwrap_or((origin.host, origin.port));
        let addresses = look_up(&host, port).await.map_err(|error| Failure::Other(error.to_string()))?;
        let options = Options {
            resolver: Resolver::Fixed(addresses),
            tls: TlsOptions {
                roots: self.ca_file.clone().map_or(Roots::System, Roots::File),
                resume: self.handshakes == Handshakes::Resume,
                ..TlsOptions::default()
            },
            // A session has one connection.
            keep_alive: self.keep_alive || self.acs.is_some(),
            ..Options::default()
        };
        let stack = Stack::new(options).map_err(|error| Failure::because("TLS", error))?;
        let strangers = faults.has(Fault::WrongCertificate).then(|| signed_by(PhoneAuthority::unknown(), self.key));
        Ok(Plan {
            server,
            acs: self.acs.clone().map(|path| Acs { path, keep_connection: self.keep_alive }),
            certificates: self.certificates(&fleet)?,
            strangers: strangers.transpose()?,
            stack: Arc::new(stack),
            pattern: self.rate.map_or(self.pattern, |per_second| Pattern::Steady { per_second }),
            error_retry: self.error_retry.clone(),
            faults,
            slow_pause: SLOW_PAUSE,
            duration: self.duration,
            most_at_once: self.most_at_once()?,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
            fleet,
        })
    }

    fn most_at_once(&self) -> Result<usize, Failure> {
        let (phones, most) = (usize::try_from(self.phones).unwrap_or(usize::MAX), most_connections());
        if most < phones && self.keep_alive {
            return Err(Failure::Other(format!(
                "--keep-alive: {phones} phones can't keep their connections where a process may have {most}: raise that with `ulimit -n`"
            )));
        }
        if most < phones {
            eprintln!("resyncd: at most {most} phones resync at once; `ulimit -n` raises that");
        }
        Ok(most.min(phones))
    }

    fn certificates(&self, fleet: &Fleet) -> Result<Option<CertificateSource>, Failure> {
        if let Some(folder) = &self.certificates {
            for number in 0..fleet.count() {
                let phone = fleet.identity(number).map_err(|error| Failure::because("--phones", error))?;
                let files = <[PathBuf; 2]>::from(files(folder, phone.mac));
                if let Some(missing) = files.iter().find(|file| !file.is_file()) {
                    return Err(Failure::because("--certificates", format_args!("{} is not there", missing.display())));
                }
            }
            let folder = folder.clone();
            return Ok(Some(Arc::new(move |phone: &Identity| {
                let (certificate, key) = files(&folder, phone.mac);
                ClientCertificate::read(&certificate, &key).map_err(|error| error.to_string())
            })));
        }
        match (&self.ca, &self.ca_key) {
            (Some(ca), Some(key)) => signed_by(PhoneAuthority::read(ca, key), self.key).map(Some),
            _ => Ok(None),
        }
    }
}

/// A phone's certificate and key in a folder.
fn files(folder: &Path, mac: MacAddr) -> (PathBuf, PathBuf) {
    (folder.join(format!("phone-{mac}.pem")), folder.join(format!("phone-{mac}.key")))
}

/// Certificates in Cisco's form, made as phones need them.
fn signed_by(authority: Result<PhoneAuthority, CertificateError>, key: Key) -> Result<CertificateSource, Failure> {
    let failed = |error: CertificateError| Failure::because("certificates", error);
    let authority = authority.map_err(failed)?;
    let kind = match key {
        Key::Rsa2048 => PhoneKey::Rsa,
        Key::P256 => PhoneKey::Ec,
    };
    let key = kind.make().map_err(failed)?;
    Ok(Arc::new(move |phone: &Identity| {
        let form = SubjectForm::Cisco { model: phone.model.clone(), serial: phone.serial.clone() };
        let signed = authority.sign(&PhoneCertificate { mac: phone.mac, form }, &key);
        let certificate = signed.map_err(|error| error.to_string())?;
        Ok(ClientCertificate { certificate, chain: Vec::new(), key: key.clone() })
    }))
}

/// The state of things on a terminal, one line that is written over.
struct Live {
    is_shown: bool,
}

impl Live {
    fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    fn show(&mut self, report: &Report) {
        if self.is_shown {
            let Report { seconds, resyncs, connections, latency_ms, .. } = report;
            // It is gone in a second: a terminal that doesn't take it is no reason to stop.
            let _ = write!(
                io::stderr(),
                "\r{seconds:.0} s: {} served, {} refused, {} failed, {} under way, {} held, p50 {:.1} ms, p99 {:.1} ms\x1b[K",
                resyncs.served,
                resyncs.refused,
                resyncs.failed,
                resyncs.under_way,
                connections.held,
                latency_ms.p50,
                latency_ms.p99
            );
        }
    }

    fn clear(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn write_human(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Report { resyncs, connections, .. } = report;
    writeln!(
        out,
        "{} of {} phones were served in {:.1} s, {} resyncs a second (seed {})",
        report.phones_served, report.phones, report.seconds, resyncs.per_second, report.seed
    )?;
    writeln!(
        out,
        "resyncs      {} begun: {} served, {} refused, {} failed, {} faulty; {} were retries, {} were due and never began",
        resyncs.begun,
        resyncs.served,
        resyncs.refused,
        resyncs.failed,
        resyncs.faulty,
        resyncs.retries,
        resyncs.never_begun
    )?;
    writeln!(out, "statuses     {}", listed(&report.statuses))?;
    writeln!(
        out,
        "connections  {} opened ({} full handshakes, {} resumed), {} used again, {} held at the end",
        connections.opened,
        connections.full_handshakes,
        connections.resumed_handshakes,
        connections.reused,
        connections.held
    )?;
    writeln!(out, "bodies       {} bytes", report.bytes)?;
    write_percentiles("latency", report.latency_ms, out)?;
    write_percentiles("lateness", report.lateness_ms, out)?;
    for (kind, error) in &report.errors {
        writeln!(out, "error        {kind} {}: {}", error.count, Escaped(&error.example))?;
    }
    for (name, fault) in &report.faults {
        let (statuses, errors) = (listed(&fault.statuses), listed(&fault.errors));
        writeln!(out, "fault        {name} {}: answered {statuses}; errors {errors}", fault.count)?;
    }
    match report.strangers_served() {
        0 => Ok(()),
        count => writeln!(out, "{count} times a certificate of an unknown CA was taken for a phone's"),
    }
}

fn write_percentiles(name: &str, of: Percentiles, out: &mut dyn Write) -> io::Result<()> {
    let Percentiles { p50, p90, p99, p99_9, max } = of;
    writeln!(out, "{name:<12} p50 {p50:.1} ms, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p99_9:.1}, max {max:.1}")
}

/// `200: 17, 404: 3`, or `none`.
fn listed<'a, K: std::fmt::Display + 'a>(counts: impl IntoIterator<Item = (&'a K, &'a u64)>) -> String {
    let counts: Vec<String> = counts.into_iter().map(|(key, count)| format!("{key}: {count}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
