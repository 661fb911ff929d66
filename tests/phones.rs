//! Emulated phones end to end: factory-new ones against a running server, phones against plain nginx with hand-made files
//! as the guide's exercises have it, and the verdict on phones run in this process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Output};
use std::sync::Arc;

use resyncd::model::Secret;
use resyncd::phone::{Verdict, verdict};
use resyncd::resync::{Generation, Pipeline};

use crate::support::deployment::{Deployment, Running};
use crate::support::{program, resyncd, root};

/// The example, served, with URLs that lead to the port it is served on.
fn served(phones: &[(&str, Option<(&str, &str)>)]) -> Running {
    let deployment = Deployment::example();
    deployment.certificates(phones);
    let running = deployment.start();
    let url = format!("https://localhost:{}", running.port("https"));
    let defaults = fs::read_to_string(running.deployment.path("profiles/defaults.toml")).unwrap();
    running.deployment.write("profiles/defaults.toml", defaults.replace("https://localhost:8443", &url));
    running.reload().unwrap();
    running
}

/// Plays a factory-new phone for so many resyncs, and gives what it then holds.
fn played(running: &Running, mac: &str, more: &[&str]) -> (Output, BTreeMap<String, String>) {
    let certs = running.deployment.path("certs/dev");
    let file = |name: &str| certs.join(name).to_str().unwrap().to_owned();
    let state = running.deployment.path(&format!("state-{mac}.json"));
    let output = resyncd()
        .args(["phone", "resync", "--mac", mac, "--seed", "1", "--times", "4", "--verbose"])
        .args(["--ca", &file("server-ca.pem")])
        .args(["--certificate", &file(&format!("phone-{mac}.pem")), "--key", &file(&format!("phone-{mac}.key"))])
        .args(["--server", &format!("https://localhost:{}", running.port("https"))])
        .arg("--state")
        .arg(&state)
        .args(more)
        .output()
        .unwrap();
    let state: serde_json::Value = serde_json::from_slice(&fs::read(state).unwrap_or_default()).unwrap_or_default();
    let parameters = state["parameters"].as_object().cloned().unwrap_or_default();
    let parameters = parameters.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect();
    (output, parameters)
}

fn rendered(running: &Running, mac: &str, path: &str) -> String {
    let output = running.deployment.run(&["render", mac, "--file", path, "--show-secrets"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The elements of a profile, read by an XML library.
fn elements(text: &str) -> BTreeMap<String, String> {
    let document = roxmltree::Document::parse(text).unwrap();
    let leaves = document
        .root_element()
        .descendants()
        .filter(|node| node.is_element() && node.children().all(|child| child.is_text()));
    leaves.map(|node| (node.tag_name().name().to_owned(), node.text().unwrap_or_default().trim().to_owned())).collect()
}

fn assert_holds(parameters: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>, output: &Output) {
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(wanted.len() > 10, "{wanted:?}");
    for (name, value) in wanted {
        assert_eq!(parameters.get(name), Some(value), "{name}\n{told}");
    }
    assert!(!told.contains("example-only"), "a secret in what the phone tells: {told}");
}

#[test]
fn a_new_cisco_mpp_ends_with_the_settings_of_its_record() {
    for (mac, model, serial) in
        [("000e08abcdef", "CP-6841-3PCC", "88012BA01234"), ("00562b043615", "CP-8841-3PCC", "FCH21EXAMPL")]
    {
        let running = served(&[(mac, Some((model, serial)))]);
        let (output, parameters) = played(&running, mac, &["--model", model, "--serial", serial]);
        assert_holds(&parameters, &elements(&rendered(&running, mac, &format!("/cisco/{mac}.xml"))), &output);
        // Bootstrap, first profile, then its own, which is encrypted.
        let paths: Vec<_> = running.events().iter().map(|event| event["file"].as_str().unwrap().to_owned()).collect();
        assert_eq!(&paths[..3], ["cisco-mpp/bootstrap", "cisco-mpp/first", "cisco-mpp/profile"], "{paths:?}");
    }
}

#[test]
fn a_new_cisco_spa_ends_with_the_settings_of_its_record() {
    let (mac, model, serial) = ("649ef3788e6a", "SPA504G", "CCQ162306EA");
    let running = served(&[(mac, Some((model, serial)))]);
    let (output, parameters) = played(&running, mac, &["--model", model, "--serial", serial, "--firmware", "7.4.9c"]);
    assert_holds(&parameters, &elements(&rendered(&running, mac, &format!("/cisco/{mac}.xml"))), &output);
}

#[test]
fn a_new_aastra_ends_with_the_settings_of_its_record() {
    let (mac, model) = ("00085d1a9870", "6757i");
    let running = served(&[(mac, None)]);
    let (output, parameters) = played(&running, mac, &["--model", model, "--firmware", "3.3.1.4300-SIP"]);
    let text = rendered(&running, mac, &format!("/{}.cfg", mac.to_uppercase()));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let wanted = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.trim_start_matches(['!', '^']).to_owned(), value.trim().trim_matches('"').to_owned())
        })
        .collect();
    assert_holds(&parameters, &wanted, &output);
}

#[test]
fn a_new_grandstream_ends_with_the_settings_of_its_record() {
    let mac = fs::read_dir(root().join("profiles/devices"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|file| fs::read_to_string(file).unwrap().contains("GXP2170"))
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .unwrap();
    let running = served(&[(&mac, None)]);
    let (output, parameters) = played(&running, &mac, &["--model", "GXP2170", "--firmware", "1.0.11.46"]);
    let text = rendered(&running, &mac, &format!("/grandstream/cfg{mac}.xml"));
    let wanted = elements(&text).into_iter().filter(|(name, _)| name.starts_with('P')).collect();
    assert_holds(&parameters, &wanted, &output);
}

#[test]
fn a_phone_without_its_certificate_is_told_nothing_and_says_so() {
    let running = served(&[("000e08000001", Some(("CP-6841-3PCC", "OTHER00001")))]);
    let certs = running.deployment.path("certs/dev");
    let output = resyncd()
        .args(["phone", "resync", "--model", "CP-6841-3PCC", "--mac", "000e08abcdef"])
        .args(["--ca", certs.join("server-ca.pem").to_str().unwrap()])
        .args(["--profile-rule", &format!("https://localhost:{}/cisco/$MA.xml", running.port("https"))])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("404") && told.contains("failed"), "{told}");
}

/// nginx with a folder of hand-made files, as the guide's exercises set up a server.
struct Nginx {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nginx {
    fn start(files: &[(&str, &[u8])]) -> Option<Self> {
        let mut nginx = program("nginx")?;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        for (name, content) in files {
            fs::write(folder.path().join("files").join(name), content).unwrap();
        }
        // A free port: nginx can't tell which one it took.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log; events {{}} http {{ access_log {0}/access.log; \
             client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; \
             scgi_temp_path {0}/e; server {{ listen 127.0.0.1:{port}; root {0}/files; }} }}",
            folder.path().display()
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let process = nginx.arg("-c").arg(&file).arg("-e").arg(folder.path().join("error.log")).spawn().unwrap();
        // It is up when it takes a connection; each attempt is refused at once until then.
        let is_up = (0..100_000).any(|_| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(is_up, "nginx doesn't listen");
        Some(Self { process, folder, port })
    }

    fn resync(&self, rule: &str, state: &Path) -> Output {
        let rule = rule.replace("SERVER", &format!("127.0.0.1:{}", self.port));
        resyncd()
            .args(["phone", "resync", "--model", "CP-6841-3PCC", "--mac", "000e08012345", "--profile-rule", &rule])
            .arg("--state")
            .arg(state)
            .output()
            .unwrap()
    }
}

fn piped(mut command: std::process::Command, input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn plain_nginx_with_hand_made_files_serves_the_phone_alike() {
    let profile = |value: &str| format!("<flat-profile><GPP_A> {value} </GPP_A></flat-profile>").into_bytes();
    let Some(mut gzip) = program("gzip") else { return };
    gzip.arg("-c");
    let zipped = piped(gzip, &profile("zipped"));
    let Some(mut openssl) = program("openssl") else { return };
    openssl.args(["enc", "-e", "-aes-256-cbc", "-md", "md5", "-k", "SecretPhrase1234"]);
    let encrypted = piped(openssl, &zipped);
    let files: [(&str, &[u8]); 6] = [
        ("basic.txt", &profile("12345678")),
        ("CP-6841-3PCC_000e08012345.cfg", &profile("own")),
        ("zipped.xml", &zipped),
        ("encrypted.cfg", &encrypted),
        ("corrupt.xml", b"<flat-profile><GPP_A>x</flat-profile>"),
        ("second.xml", b"<flat-profile><GPP_B>second</GPP_B></flat-profile>"),
    ];
    let Some(nginx) = Nginx::start(&files) else { return };
    let state = nginx.folder.path().join("state.json");
    let holds = |name: &str| {
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
        state["parameters"][name].as_str().unwrap_or_default().to_owned()
    };
    for (rule, succeeds, name, value) in [
        ("http://SERVER/basic.txt", true, "GPP_A", "12345678"),
        ("http://SERVER/$PN_$MA.cfg", false, "GPP_A", "12345678"),
        ("http://SERVER/$(PN)_$MA.cfg", true, "GPP_A", "own"),
        ("http://SERVER/zipped.xml", true, "GPP_A", "zipped"),
        ("http://SERVER/missing.xml", false, "GPP_A", "zipped"),
        ("http://SERVER/corrupt.xml", false, "GPP_A", "zipped"),
        ("http://SERVER/encrypted.cfg", false, "GPP_A", "zipped"),
        ("[--key wrong] http://SERVER/encrypted.cfg", false, "GPP_A", "zipped"),
        ("http://SERVER/basic.txt", true, "GPP_A", "12345678"),
        ("[--key SecretPhrase1234] http://SERVER/encrypted.cfg", true, "GPP_A", "zipped"),
        ("(\"$A\" eq \"zipped\")? http://SERVER/second.xml | http://SERVER/basic.txt", true, "GPP_B", "second"),
        ("(\"$B\" ne \"second\")? http://SERVER/missing.xml | http://SERVER/basic.txt", true, "GPP_A", "12345678"),
    ] {
        let output = nginx.resync(rule, &state);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(i32::from(!succeeds)), "{rule}\n{told}");
        assert_eq!(holds(name), value, "{rule}\n{told}");
    }
}

fn verdicts(profiles: &Path) -> BTreeMap<String, Verdict> {
    let generation =
        Generation::load(&root().join("templates"), profiles, 1).unwrap_or_else(|problems| panic!("{problems}"));
    let pipeline = Arc::new(Pipeline::new(generation, 1 << 20, Secret::new([1; 32]), 1 << 20));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let generation = pipeline.generation();
    let devices = generation.profiles.devices();
    devices
        .into_iter()
        .map(|device| (device.mac.to_string(), runtime.block_on(verdict(&pipeline, device, 1 << 20))))
        .collect()
}

#[test]
fn every_example_phone_comes_back() {
    for (mac, verdict) in verdicts(&root().join("profiles")) {
        assert!(matches!(verdict, Verdict::Settles { .. }), "{mac}: {verdict:?}");
    }
}

#[test]
fn a_phone_that_would_be_lost_is_found_out() {
    let deployment = Deployment::empty();
    let device = |mac: &str, more: &str| {
        let text = format!(
            "model = \"CP-6841-3PCC\"\n[lines.1]\nuser = \"1\"\n[access]\nnetworks = [\"192.0.2.0/24\"]\n{more}\n"
        );
        deployment.write(&format!("profiles/devices/{mac}.toml"), text);
    };
    deployment.write("profiles/defaults.toml", "[provisioning]\nurl = \"https://prov.example\"\n");
    device("000e08000001", "");
    device("000e08000002", "[params]\nProfile_Rule = \"https://prov.exmaple/cisco/$MA.xml\"");
    device("000e08000003", "[params]\nProfile_Rule = \"https://prov.example/csico/$MA.xml\"");
    device("000e08000004", "[params]\nProfile_Rule = \"(x? https://prov.example/cisco/$MA.xml\"");
    device("000e08000005", "[params]\nProvision_Enable = \"No\"");
    device("000e08000006", "[params]\nResync_Periodic = \"0\"");
    device(
        "000e08000007",
        "[delivery]\nencryption = \"aes-256-cbc\"\nkey = \"example-only-key\"\n[params]\nGPP_SA = \"another\"",
    );
    let verdicts = verdicts(&deployment.path("profiles"));
    let of = |number: u32| &verdicts[&format!("000e0800000{number}")];
    assert!(matches!(of(1), Verdict::Settles { .. }), "{:?}", of(1));
    assert!(matches!(of(2), Verdict::MovesAway { to } if to.contains("prov.exmaple")), "{:?}", of(2));
    assert!(matches!(of(3), Verdict::Fails { why } if why.contains("404")), "{:?}", of(3));
    assert!(matches!(of(4), Verdict::Fails { .. }), "{:?}", of(4));
    assert_eq!(of(5), &Verdict::NeverReturns);
    assert_eq!(of(6), &Verdict::NeverReturns);
    assert!(matches!(of(7), Verdict::Fails { .. }), "{:?}", of(7));
}
