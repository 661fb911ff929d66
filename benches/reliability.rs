//! What becomes of a server under load, as figures. `cargo bench --bench reliability -- soak` plays phones that misbehave for an
//! hour (`BENCH_MINUTES`) while profiles and devices change, and looks at memory, descriptors and events;
//! `cargo bench --bench reliability -- storm` lets 10,000 phones (`BENCH_PHONES`) come at once, and with `--delay 2,30,600` 100,000
//! within these seconds, beside what `resyncd plan` says of them (docs/capacity.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that meets the unexpected should stop"
)]

mod program;
mod storms;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use program::{Deployment, Serving, program};
use resyncd::tls::certificates::ensure_development_certificates;
use serde_json::Value;

/// All phones are behind one address here, and many of them share it.
const CONFIG: &str = r#"
[[listener]]
name = "https"
address = "127.0.0.1:0"
[listener.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_certificate = "optional"
client_ca = ["certs/phone-ca.pem"]

[[listener]]
name = "http"
address = "127.0.0.1:0"

[limits]
connections_per_network = 4096
"#;

fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |count| count.parse().unwrap_or_else(|_| panic!("{name}: not a number")))
}

/// Phones with encrypted profiles, who prove themselves by certificate; over plain HTTP by their network.
fn deployment(phones: u32) -> Deployment {
    let deployment = Deployment::new(CONFIG);
    deployment.write(
        "profiles/models/CP-6841-3PCC.toml",
        "[access]\ncertificate = true\nnetworks = [\"127.0.0.0/8\"]\n[delivery]\nencryption = \"aes-256-cbc\"\n\
         key = \"not-a-real-key\"\n",
    );
    for phone in 0..phones {
        deployment.write(&format!("profiles/devices/000e08{phone:06x}.toml"), &device(phone, "Phone"));
    }
    ensure_development_certificates(&deployment.path("certs"), &[], &[]).unwrap();
    deployment
}

fn device(phone: u32, name: &str) -> String {
    format!("model = \"CP-6841-3PCC\"\n[lines.1]\nuser = \"{phone}\"\ndisplay_name = \"{name} {phone}\"\n")
}

/// `resyncd phone swarm` with what all runs have in common.
fn swarm(deployment: &Deployment, url: &str, phones: u32, arguments: &[&str]) -> Child {
    let path = |file: &str| deployment.path(file).to_str().unwrap().to_owned();
    let mut command = program();
    command.args(["phone", "swarm", "--server", url, "--phones", &phones.to_string(), "--format", "json"]);
    if url.starts_with("https") {
        command.args(["--ca-file", &path("certs/server-ca.pem"), "--ca", &path("certs/phone-ca.pem")]);
        command.args(["--ca-key", &path("certs/phone-ca.key"), "--make-certificates", "--key", "p-256"]);
    }
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn report(swarm: Child) -> Value {
    serde_json::from_slice(&swarm.wait_with_output().unwrap().stdout).unwrap()
}

/// A file of `/proc` about the server.
fn proc(server: &Serving, file: &str) -> PathBuf {
    Path::new("/proc").join(server.child.id().to_string()).join(file)
}

/// Kilobytes that are the server's own or its share.
fn memory(server: &Serving) -> u64 {
    let text = fs::read_to_string(proc(server, "smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn descriptors(server: &Serving) -> usize {
    fs::read_dir(proc(server, "fd")).unwrap().count()
}

/// The sum of a metric over its labels.
fn metric(server: &Serving, name: &str) -> u64 {
    let mut stream = TcpStream::connect(server.address("admin")).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let values = text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<u64>().unwrap()).sum()
}

/// Asks the server to end, as systemd does.
fn stop(mut server: Serving) {
    let id = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(server.child.wait().unwrap().success(), "the server's end");
}

fn line(server: &Serving, what: &str) {
    println!(
        "| {what} | {:.1} | {} | {} | {} | {} |",
        memory(server) as f64 / 1024.0,
        descriptors(server),
        metric(server, "resyncd_open_connections"),
        metric(server, "resyncd_events_total"),
        metric(server, "resyncd_events_lost_total"),
    );
}

/// Waits until every event is in the database, for a minute at most.
fn settle(server: &Serving) {
    let until = Instant::now() + Duration::from_secs(60);
    while metric(server, "resyncd_event_queue") + metric(server, "resyncd_open_connections") > 0
        && Instant::now() < until
    {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Compares what the phones saw with what is recorded.
fn told(deployment: &Deployment, server: Serving, report: &Value) {
    let counted = metric(&server, "resyncd_events_total");
    stop(server);
    let groups = deployment.run(&["log", "--by", "status", "--format", "json"]);
    let groups: Vec<Value> = serde_json::from_str(&groups).unwrap();
    let recorded: u64 = groups.iter().map(|group| group["count"].as_u64().unwrap()).sum();
    println!("\nevents counted {counted}, in the database {recorded}\n");
    println!("{}", serde_json::to_string_pretty(report).unwrap());
}

fn soak() {
    let minutes = number("BENCH_MINUTES", 60);
    let phones = number("BENCH_PHONES", 2_000);
    let deployment = deployment(phones);
    let server = deployment.serve();
    let url = format!("https://{}", server.address("https")).replace("127.0.0.1", "localhost");
    println!(
        "| minute | memory, MB | descriptors | connections | events | lost |\n| --- | --- | --- | --- | --- | --- |"
    );
    line(&server, "before");
    let duration = format!("{minutes}m");
    let faults = "drop=0.02,garbage=0.02,wrong-certificate=0.02,slow=0.02";
    let mut swarm = swarm(
        &deployment,
        &url,
        phones,
        &[
            "--seed",
            "1",
            "--duration",
            &duration,
            "--pattern",
            "periodic=20+5",
            "--faults",
            faults,
            "--handshakes",
            "resume",
        ],
    );
    let begun = Instant::now();
    for minute in 1..=minutes {
        std::thread::sleep((Duration::from_secs(60) * minute).saturating_sub(begun.elapsed()));
        line(&server, &minute.to_string());
        if swarm.try_wait().unwrap().is_some() {
            break;
        }
        // What an operator does all day: a file changes, which is a new generation, and so does a record; somebody looks.
        let (phone, name) = (minute % phones, format!("At {minute}"));
        deployment.write(&format!("profiles/devices/000e08{phone:06x}.toml"), &device(phone, &name));
        let (change, name) = (if minute == 1 { "add" } else { "set" }, format!("lines.1.display_name={name}"));
        deployment.run(&["device", change, "000e08f00000", "--model", "CP-6841-3PCC", &name]);
        deployment.run(&["log", "--device", &format!("000e08{phone:06x}"), "--limit", "5"]);
    }
    let report = report(swarm);
    settle(&server);
    line(&server, "after");
    told(&deployment, server, &report);
}

fn storm() {
    let phones = number("BENCH_PHONES", 10_000);
    for (listener, scheme, host) in [("https", "https", "localhost"), ("http", "http", "127.0.0.1")] {
        let deployment = deployment(phones);
        let server = deployment.serve();
        let url = format!("{scheme}://{host}:{}", server.address(listener).port());
        println!("\n{listener}: {phones} phones at once");
        println!("| | memory, MB | descriptors | connections | events | lost |\n| --- | --- | --- | --- | --- | --- |");
        line(&server, "before");
        let report =
            report(swarm(&deployment, &url, phones, &["--seed", "1", "--duration", "180s", "--error-retry", "5+5"]));
        line(&server, "at the end");
        settle(&server);
        told(&deployment, server, &report);
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("soak") => soak(),
        Some("storm") if storms::are_asked_for(&arguments) => storms::run(&arguments),
        Some("storm") => storm(),
        // `cargo bench` without a word would take an hour.
        _ => println!(
            "soak (an hour), storm, or storm --delay 2,30,600 (an hour): cargo bench --bench reliability -- storm"
        ),
    }
}
