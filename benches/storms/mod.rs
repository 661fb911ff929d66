//! The power is back: phones come within their random delay, over full mutual TLS, and what is measured stands beside what the
//! model of `resyncd plan` says. docs/capacity.md shows both.

mod machine;
#[path = "../program/profile.rs"]
mod profile;
mod report;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use clap::Parser;
use resyncd::capacity::{Figures, Inputs, Plan, Retry};
use resyncd::phone::swarm::RetryDelays;
use resyncd::tls::certificates::ensure_development_certificates;

use crate::program::{Deployment, Serving};
use profile::{MODEL, settings};
use report::{Came, Storm};

/// The delays that there are without `--delay`.
const DELAYS: &str = "BENCH_DELAY";

/// Phones of one swarm: each has an address of the server for itself, so that neither its descriptors nor ports are used up.
const OF_A_SWARM: u32 = 15_000;

/// Requests on one connection (`limits.requests_per_connection`).
const OF_A_CONNECTION: usize = 100;

/// Limits are the default, but that all phones come from one address, and that all profiles stay ready.
const CONFIG: &str = r#"
[[listener]]
name = "https"
address = "0.0.0.0:0"
[listener.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_certificate = "required"
client_ca = ["certs/phone-ca.pem"]

[[listener]]
name = "http"
address = "127.0.0.1:0"

[limits]
connections_per_network = 4096

[cache]
size = "4 GiB"
"#;

/// Lets phones come within a random delay, and compares what comes of it with the model.
#[derive(Debug, Parser)]
#[command(name = "storm")]
struct Arguments {
    /// The random delays in seconds, each a storm of its own.
    #[arg(long, env = DELAYS, value_delimiter = ',', required = true)]
    delay: Vec<u32>,
    /// When phones that were not served come again.
    #[arg(long, default_value = "60+30,300+60,900+300,3600+600")]
    error_retry: String,
    /// Profiles are not ready: the server, too, was without power.
    #[arg(long)]
    cold: bool,
    /// A figure for the model, as `resyncd plan --figure` takes it.
    #[arg(long)]
    figure: Vec<String>,
    /// Writes what came of it into docs/capacity.md.
    #[arg(long)]
    write: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Whether storms within a delay are meant, and not the one of all phones at once.
pub fn are_asked_for(arguments: &[String]) -> bool {
    std::env::var_os(DELAYS).is_some() || arguments.len() > 2 && arguments[2..] != ["--bench"]
}

pub fn run(arguments: &[String]) {
    let arguments = Arguments::parse_from(&arguments[1..]);
    let phones = super::number("BENCH_PHONES", 100_000);
    machine::keep_to(std::process::id(), machine::PHONES_CORE);
    let begun = Instant::now();
    let deployment = deployment(phones);
    eprintln!("{phones} devices written in {:.1} s", begun.elapsed().as_secs_f64());
    let mut storms = Vec::new();
    let mut running: Option<Serving> = None;
    for delay in &arguments.delay {
        // What was rendered for one storm is ready for the next, unless it is not to be.
        let server = match running.take().filter(|_| !arguments.cold) {
            Some(server) => server,
            None => serve(&deployment, phones, arguments.cold),
        };
        storms.push(storm(&deployment, &server, &arguments, phones, *delay));
        running = Some(server);
    }
    drop(running);
    let about = machine::describe(phones, arguments.cold, &arguments.error_retry);
    let text = report::text(&about, &storms);
    println!("{text}");
    if arguments.write {
        report::write(&text);
    }
}

/// The profile of docs/performance.md, packed and encrypted, for so many phones.
fn deployment(phones: u32) -> Deployment {
    let deployment = Deployment::new(CONFIG);
    deployment.write(&format!("profiles/models/{MODEL}.toml"), &settings());
    // The network is a proof for those who ask for all profiles before the storm, so that they are ready.
    deployment.write(
        "profiles/defaults.toml",
        "[provisioning]\nurl = \"https://localhost\"\n[access]\ncertificate = true\nnetworks = [\"127.0.0.1/32\"]\n\
         [delivery]\ngzip = true\nencryption = \"aes-256-cbc\"\n",
    );
    for phone in 0..phones {
        let text = format!(
            "model = \"{MODEL}\"\n[lines.1]\nuser = \"{phone}\"\npassword = \"not-a-real-password-{phone}\"\n\
             display_name = \"Phone {phone}\"\n[delivery]\nkey = \"not-a-real-key-{phone}\"\n"
        );
        deployment.write(&format!("profiles/devices/{:02x}/{}.toml", phone % 256, mac(phone)), &text);
    }
    ensure_development_certificates(&deployment.path("certs"), &[], &[]).unwrap();
    deployment
}

fn mac(phone: u32) -> String {
    format!("000e08{phone:06x}")
}

/// A server on a core of its own, with all profiles ready.
fn serve(deployment: &Deployment, phones: u32, is_cold: bool) -> Serving {
    let begun = Instant::now();
    let server = deployment.serve();
    machine::keep_to(server.child.id(), machine::SERVER_CORE);
    eprintln!("the server has started in {:.1} s", begun.elapsed().as_secs_f64());
    if !is_cold {
        let begun = Instant::now();
        make_ready(server.address("http"), phones);
        super::settle(&server);
        eprintln!("all profiles are ready after {:.1} s", begun.elapsed().as_secs_f64());
    }
    server
}

/// Asks for every profile once, over plain HTTP.
fn make_ready(address: SocketAddr, phones: u32) {
    let all: Vec<u32> = (0..phones).collect();
    for some in all.chunks(OF_A_CONNECTION) {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut requests = String::new();
        for phone in some {
            let mac = mac(*phone);
            let last = if Some(phone) == some.last() { "Connection: close\r\n" } else { "" };
            requests += &format!(
                "GET /cisco/{mac}.xml HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Cisco-{MODEL}/11.0 ({mac})\r\n{last}\r\n"
            );
        }
        stream.write_all(requests.as_bytes()).unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        let served = answers.windows(15).filter(|bytes| bytes == b"HTTP/1.1 200 OK").count();
        assert_eq!(served, some.len(), "profiles that were served");
    }
}

fn storm(deployment: &Deployment, server: &Serving, arguments: &Arguments, phones: u32, delay: u32) -> Storm {
    let plan = plan(arguments, phones, delay);
    let seconds = plan.storm.seconds_until_the_last_phone_is_up;
    eprintln!("{phones} phones within {delay} s: the model says {:.0} s", seconds.unwrap_or(f64::INFINITY));
    let server_id = server.child.id();
    machine::forget_most_memory(server_id);
    let before = machine::memory(server_id);
    let lost = super::metric(server, "resyncd_events_lost_total");
    let cpu = machine::cpu_seconds(server_id);
    let swarms = swarms(deployment, server, arguments, phones, delay);
    let reports: Vec<_> = swarms.into_iter().map(super::report).collect();
    super::settle(server);
    let came = Came {
        cpu_seconds: machine::cpu_seconds(server_id) - cpu,
        memory_before: before,
        most_memory: machine::most_memory(server_id),
        events_lost: super::metric(server, "resyncd_events_lost_total") - lost,
        reports,
    };
    let storm = Storm { delay, came, plan };
    eprintln!("{}", report::rows(&storm));
    storm
}

/// As many swarms as it takes. All of them keep to one core.
fn swarms(deployment: &Deployment, server: &Serving, arguments: &Arguments, phones: u32, delay: u32) -> Vec<Child> {
    let port = server.address("https").port();
    let count = phones.div_ceil(OF_A_SWARM);
    let first = |swarm: u32| u32::try_from(u64::from(phones) * u64::from(swarm) / u64::from(count)).unwrap();
    let swarm = |swarm: u32| {
        let own = [
            ("--connect", format!("127.0.0.{}:{port}", swarm + 1)),
            ("--first-mac", mac(first(swarm))),
            ("--seed", (swarm + 1).to_string()),
            ("--model-mix", MODEL.to_owned()),
            ("--pattern", format!("random-delay={delay}")),
            ("--error-retry", arguments.error_retry.clone()),
            // It ends when every phone is served.
            ("--duration", "24h".to_owned()),
        ];
        let own: Vec<&str> = own.iter().flat_map(|(name, value)| [*name, value.as_str()]).collect();
        super::swarm(deployment, &format!("https://localhost:{port}"), first(swarm + 1) - first(swarm), &own)
    };
    (0..count).map(swarm).collect()
}

/// What the model says of it: one core, and everything that takes it.
fn plan(arguments: &Arguments, phones: u32, delay: u32) -> Plan {
    let mut figures = Figures::default();
    arguments.figure.iter().for_each(|figure| figures.set(figure).unwrap());
    let retry: RetryDelays = arguments.error_retry.parse().unwrap();
    let seconds = |time: &Duration| time.as_secs_f64();
    let retry = retry.steps().iter().map(|(after, spread)| Retry { after: seconds(after), spread: seconds(spread) });
    Plan::of(&Inputs {
        cores: 1,
        nodes: Some(1),
        delay: f64::from(delay.max(1)),
        changed: if arguments.cold { 1.0 } else { 0.0 },
        retry: retry.collect(),
        figures,
        ..Inputs::of(phones.into())
    })
}
