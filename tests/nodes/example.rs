//! `examples/two-nodes/` as it is shipped, but for addresses and the folder it lies in: phones come by two addresses and by each
//! of the balancers, while a node is upgraded, one is gone, and the database is away.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use resyncd::fleet::Fleet;
use resyncd::phone::network::{ClientCertificate, Network, Options, Resolver, Roots, Stack, TlsOptions};
use resyncd::phone::{Fetch, Identity, Method, Request};
use resyncd::tls::certificates::{PhoneAuthority, PhoneCertificate, PhoneKey, SubjectForm};
use serde_json::json;

use super::cluster::{KEY, MODEL, assert_soon, change, edit_group, object};
use crate::support::api::raw;
use crate::support::database::{OwnPostgres, free_port};
use crate::support::deployment::{Deployment, copy};
use crate::support::process::Process;
use crate::support::{program, resyncd, root, run};

const TRIES: usize = 200_000;

/// The addresses that the files name.
const NODES: [&str; 2] = ["10.0.0.11", "10.0.0.12"];

/// And the balancer's: phones that come by themselves must not have it.
const BALANCER: &str = "10.0.0.10";

/// The provider's test phone has a file, the customer's a record.
const PHONES: [&str; 2] = ["000e08e10001", "000e08e10002"];

/// One node's own copy of the example.
fn node() -> Deployment {
    // With its certificates.
    let deployment = Deployment::empty();
    copy(&root().join("examples/two-nodes"), &deployment.path(""));
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace("0.0.0.0:8443", "127.0.0.1:0").replace("0.0.0.0:8090", "127.0.0.1:0");
    let config = config.replace(BALANCER, "127.0.0.2") + "\n[process]\nkeep_root = true\n";
    deployment.write("resyncd.toml", config.replace("../../templates", root().join("templates").to_str().unwrap()));
    deployment
}

fn start(deployment: Deployment, url: &str) -> Process {
    let mut command = resyncd();
    command.args(["--config", deployment.path("resyncd.toml").to_str().unwrap(), "serve"]);
    command.current_dir(deployment.path("")).env("RESYNCD_DATABASE_URL", url).env("RESYNCD_SECRETS_MASTER_KEY", KEY);
    Process::start_by(deployment, command)
}

/// Ends with the test.
struct Balancer {
    process: Child,
    address: SocketAddr,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

impl Balancer {
    /// Starts one by its file, with the nodes' addresses in it. None where the program is not installed; that is said.
    fn start(name: &str, file: &str, nodes: &[Process; 2], deployment: &Deployment) -> Option<Self> {
        let mut command = program(name)?;
        let mut config = std::fs::read_to_string(root().join("examples/two-nodes").join(file)).unwrap();
        for (address, node) in NODES.iter().zip(nodes) {
            let port = node.address("admin").port();
            // Every server of haproxy has its own port to be asked on.
            config = config.replace(
                &format!("{address}:8443 send-proxy"),
                &format!("{} check port {port} send-proxy", node.address("https")),
            );
            config = config.replace(&format!("{address}:8443"), &node.address("https").to_string());
        }
        let port = free_port();
        config = config.replace(BALANCER, "127.0.0.2");
        config = config.replace("check port 8090 ", "").replace("0.0.0.0:443", &format!("127.0.0.1:{port}"));
        config = config.replace("listen 443", &format!("listen 127.0.0.1:{port}"));
        let own = deployment.path(file);
        std::fs::write(&own, config).unwrap();
        let own = own.to_str().unwrap();
        match name {
            "haproxy" => command.args(["-db", "-f", own]),
            _ => command
                .args(["-c", own, "-e", "stderr", "-g"])
                .arg(format!("daemon off; pid {};", deployment.path("nginx.pid").display())),
        };
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some(Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }
}

/// Fetches as a phone with its own certificate, that tries one address after the other; the status, none without an answer.
fn fetch(runtime: &tokio::runtime::Runtime, node: &Process, addresses: &[SocketAddr], mac: &str) -> Option<u16> {
    let certs = node.deployment.path("certs/dev");
    let authority = PhoneAuthority::read(&certs.join("phone-ca.pem"), &certs.join("phone-ca.key")).unwrap();
    let key = PhoneKey::Ec.make().unwrap();
    let identity = Identity {
        model: MODEL.to_owned(),
        mac: mac.parse().unwrap(),
        serial: "88012BE10001".parse().unwrap(),
        firmware: "12.0.1".to_owned(),
        has_certificate: true,
    };
    let form = SubjectForm::Cisco { model: MODEL.to_owned(), serial: identity.serial.clone() };
    let certificate = authority.sign(&PhoneCertificate { mac: identity.mac, form }, &key).unwrap();
    let tls = TlsOptions { roots: Roots::File(certs.join("server-ca.pem")), ..TlsOptions::default() };
    let options = Options { resolver: Resolver::Fixed(addresses.to_vec()), tls, ..Options::default() };
    let network = Network::new(
        Arc::new(Stack::new(options).unwrap()),
        Some(Arc::new(ClientCertificate { certificate, chain: Vec::new(), key })),
    );
    let request = Request {
        method: Method::Get,
        url: format!("https://localhost/cisco/{mac}.xml"),
        user_agent: "Cisco-CP-6841-3PCC/12.0.1".to_owned(),
        headers: Vec::new(),
        body: Default::default(),
        content_type: None,
    };
    runtime.block_on(network.fetch(request)).ok().map(|response| response.status)
}

fn ready(node: &Process) -> u16 {
    raw(node.address("admin"), "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status
}

#[test]
fn two_nodes_as_the_example_has_them() {
    let Some(mut postgres) = OwnPostgres::new() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = OwnPostgres::url(postgres.port);
    let nodes = [start(node(), &url), start(node(), &url)];

    // A customer, and its phone.
    let elsewhere = node();
    let variables = [("RESYNCD_DATABASE_URL", url.as_str()), ("RESYNCD_SECRETS_MASTER_KEY", KEY)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = resyncd::config::Config::load_with_environment(&elsewhere.path("resyncd.toml"), variables).unwrap();
    let (fleet, _) = runtime.block_on(Fleet::open(Arc::new(config))).unwrap();
    let device = json!({
        "model": MODEL,
        "group": "bakery",
        "settings": {"lines": {"1": {"user": "3001", "password": "not-a-real-password"}}},
    });
    let edits = vec![
        edit_group("bakery", resyncd::fleet::What::Put(object(json!({"parent": "isp", "settings": {}})))),
        resyncd::fleet::Edit {
            row: None,
            name: resyncd::fleet::Name::Device(PHONES[1].parse().unwrap()),
            what: resyncd::fleet::What::Put(object(device)),
            expect: resyncd::fleet::Expect::Absent,
        },
    ];
    runtime.block_on(change(fleet, edits)).unwrap();

    let by_name = |nodes: &[Process; 2]| nodes.each_ref().map(|node| node.address("https")).to_vec();
    let balancers: Vec<Balancer> = [("haproxy", "haproxy.cfg"), ("nginx", "nginx.conf")]
        .into_iter()
        .filter_map(|(name, file)| Balancer::start(name, file, &nodes, &elsewhere))
        .collect();
    let assert_served = |nodes: &[Process; 2], certificates: &Process, when: &str| {
        let mut ways = vec![by_name(nodes), by_name(nodes).into_iter().rev().collect()];
        ways.extend(balancers.iter().map(|balancer| vec![balancer.address]));
        for (way, mac) in ways.iter().flat_map(|way| PHONES.map(|mac| (way, mac))) {
            // As a phone does: it comes again when it was told so, or found nobody.
            assert_soon(&format!("{mac} is served by way of {way:?} {when}"), 2_000, || {
                fetch(&runtime, certificates, way, mac) == Some(200)
            });
        }
    };
    assert_served(&nodes, &nodes[0], "while all is well");

    postgres.stop();
    for node in &nodes {
        assert_soon("/readyz tells how it is", TRIES, || ready(node) == 503);
    }
    assert_served(&nodes, &nodes[0], "while the database is away");
    postgres.start();
    for node in &nodes {
        assert_soon("/readyz tells how it is", TRIES, || ready(node) == 200);
    }

    nodes[0].signal("KILL");
    assert_served(&nodes, &nodes[1], "while a node is gone");

    // What the README says of an upgrade, on the node that is left; the program is the same.
    let dry = Command::new(resyncd().get_program())
        .args(["--config", elsewhere.path("resyncd.toml").to_str().unwrap(), "migrate", "--dry-run"])
        .env("RESYNCD_DATABASE_URL", &url)
        .env("RESYNCD_SECRETS_MASTER_KEY", KEY)
        .output()
        .unwrap();
    assert!(dry.status.success(), "{}", String::from_utf8_lossy(&dry.stderr));
    let [_, left] = nodes;
    let (status, log, deployment) = left.stop();
    assert!(status.success(), "{log}");
    let again = start(deployment, &url);
    assert_eq!(fetch(&runtime, &again, &[again.address("https")], PHONES[1]), Some(200));
}

#[test]
fn the_files_beside_the_configuration_are_sound() {
    let folder = root().join("examples/two-nodes");
    if let Some(mut haproxy) = program("haproxy") {
        let output = run(haproxy.args(["-c", "-f"]).arg(folder.join("haproxy.cfg")));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    if let Some(mut systemd) = program("systemd-analyze") {
        // What is not on this machine (the user, the program) is no mistake of the unit.
        let unit = root().join("examples/systemd/resyncd.service");
        let output = run(systemd.args(["verify", "--man=no"]).arg(unit));
        let said = String::from_utf8_lossy(&output.stderr);
        let ours = said.lines().filter(|line| line.contains("resyncd.service") && !line.contains("not executable"));
        assert_eq!(ours.count(), 0, "{said}");
    }
}
