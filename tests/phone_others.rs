//! The emulated phones of Aastra and Grandstream: a case per file in `tests/golden/phone/`, each with the rule that it shows,
//! and the golden profiles of the packs, which the phones have to read as other code does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use resyncd::delivery::{Delivery, Encryption, KeyDigest};
use resyncd::model::{MacAddr, Secret};
use resyncd::phone::{
    Fetch, FetchError, Identity, InProcess, Parameters, Request, Response, Start, State, Step, Transcript, aastra,
    grandstream,
};
use resyncd::render::Shown;
use resyncd::resync::{ClientCertificate, Connection, Generation, Pipeline, TlsSession};
use serde::Deserialize;

use crate::support::root;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows, in a line.
    rule: String,
    phone: Phone,
    #[serde(default)]
    state: State,
    /// What is answered to a URL; 404 to all others.
    #[serde(default)]
    files: BTreeMap<String, Answer>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phone {
    model: String,
    mac: MacText,
    firmware: String,
    server: Option<String>,
    lock_overrides_local: Option<bool>,
    digests: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct MacText(MacAddr);

impl TryFrom<String> for MacText {
    type Error = resyncd::model::ParseMacError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// A file, written as text, as hexadecimal digits or as the pairs of a binary file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Answer {
    status: Option<u16>,
    text: Option<String>,
    hex: Option<String>,
    pairs: Option<String>,
    /// Of the frame around `pairs`.
    mac: Option<MacText>,
    /// Added to the length in words, the checksum or the number of octets of the frame around `pairs`.
    length_off: u32,
    checksum_off: u16,
    cut: usize,
    /// The password that the file is encrypted with, and how.
    password: Option<String>,
    digest: Option<String>,
    gzip: bool,
    /// The credentials without which it is a 401, and the scheme that it asks them by.
    login: Option<String>,
    scheme: Option<String>,
    /// No answer at all: `too-large`, `timeout`.
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// Every question, in order.
    asked: Vec<String>,
    /// What the phone says of the resync: refusals and the like, in order.
    #[serde(default)]
    says: Vec<String>,
    succeeds: bool,
    #[serde(default)]
    changed: Option<Vec<String>>,
    parameters: Parameters,
    #[serde(default)]
    access: BTreeMap<String, String>,
    #[serde(default)]
    local: Parameters,
    #[serde(default)]
    hidden: Parameters,
    /// What would be uploaded.
    local_file: Option<String>,
    server_file: Option<String>,
}

/// Answers from a list, and remembers what was asked.
struct Listed<'c> {
    files: &'c BTreeMap<String, Answer>,
    asked: Mutex<Vec<String>>,
}

impl Fetch for Listed<'_> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        self.asked.lock().unwrap().push(request.url.clone());
        let answer = |status, headers, body| {
            Ok(Response { status, headers, body, tls_version: None, duration: Duration::default() })
        };
        let Some(file) = self.files.get(&request.url) else { return answer(404, Vec::new(), Bytes::new()) };
        match file.error.as_deref() {
            Some("too-large") => return Err(FetchError::TooLarge(1 << 20)),
            Some("timeout") => return Err(FetchError::Timeout(Duration::from_secs(10))),
            Some(other) => panic!("{other}"),
            None => {}
        }
        if let Some(login) = &file.login {
            let wanted = format!("Basic {}", STANDARD.encode(login));
            if !request.headers.contains(&("Authorization".to_owned(), wanted)) {
                let scheme = file.scheme.as_deref().unwrap_or("Basic");
                let header = ("www-authenticate".to_owned(), format!("{scheme} realm=\"phones\""));
                return answer(401, vec![header], Bytes::new());
            }
        }
        answer(file.status.unwrap_or(200), Vec::new(), file.body().into())
    }
}

impl Answer {
    fn body(&self) -> Vec<u8> {
        let mut body = self.text.clone().unwrap_or_default().into_bytes();
        if let Some(hex) = &self.hex {
            let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
            let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            body = digits.chunks(2).map(octet).collect();
        }
        if let Some(pairs) = &self.pairs {
            body = self.frame(pairs);
        }
        let encryption = match &self.password {
            None => Encryption::None,
            Some(password) => Encryption::Aes256Cbc {
                passphrase: Secret::new(password.as_str()),
                digest: self.digest.as_deref().unwrap_or("md5").parse().unwrap(),
            },
        };
        Delivery { gzip: self.gzip, encryption }.pack(&body).unwrap().body
    }

    /// The binary form, by other code than the server's and the phone's.
    fn frame(&self, pairs: &str) -> Vec<u8> {
        let mut words: Vec<u16> = vec![0, 0, 0];
        let mut rest = self.mac.as_ref().unwrap().0.octets().to_vec();
        rest.extend_from_slice(format!("\r\n\r\n{pairs}").as_bytes());
        rest.resize(rest.len().next_multiple_of(2), 0);
        words.extend(rest.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
        let length = words.len() as u32 + self.length_off;
        words[0] = (length >> 16) as u16;
        words[1] = length as u16;
        let sum: u64 = words.iter().map(|word| u64::from(*word)).sum();
        words[2] = ((0x1_0000 - sum % 0x1_0000) as u16).wrapping_add(self.checksum_off);
        let mut file: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
        file.truncate(file.len() - self.cut);
        file
    }
}

/// What a step says, without the plain course of things.
fn says(step: &Step) -> Option<String> {
    let name = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    Some(match step {
        Step::Asked { .. } | Step::Missing { .. } | Step::Applied { .. } | Step::Finished { .. } | Step::Failed => {
            return None;
        }
        Step::NoServer => "no server".to_owned(),
        Step::OtherProtocol { protocol } => format!("can't speak {protocol}"),
        Step::Unanswered { url, error, .. } => format!("{}: {error}", name(url)),
        Step::Challenged { url, answered } => format!("{}: challenged, answered: {answered}", name(url)),
        Step::Decrypted { url, how } => format!("{}: {how}", name(url)),
        Step::Refused { url, why } => format!("{}: {why}", name(url)),
        Step::PassedOver { url, line, why } => format!("{}:{line}: passed over: {why}", name(url)),
        Step::KeptLocal { name } => format!("keeps the user's {name}"),
        Step::TookBack { name } => format!("takes back the user's {name}"),
        Step::Redirected { to } => format!("starts over at {to}"),
        Step::RedirectedTooOften { to } => format!("gives up following to {to}"),
    })
}

fn identity(model: &str, mac: MacAddr, firmware: &str) -> Identity {
    Identity {
        model: model.to_owned(),
        mac,
        serial: "EXAMPLE1".parse().unwrap(),
        firmware: firmware.to_owned(),
        has_certificate: false,
    }
}

fn cases(family: &str) -> Vec<(PathBuf, Case)> {
    let mut paths: Vec<_> = files_of(&root().join("tests/golden/phone").join(family));
    paths.sort();
    assert!(paths.len() > 10, "{family}");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, case)
    };
    paths.into_iter().map(read).collect()
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn check(path: &Path, case: &Case, asked: Vec<String>, state: &State, transcript: &Transcript) {
    let what = format!("{}: {}", path.display(), case.rule);
    let expect = &case.expect;
    assert_eq!(asked, expect.asked, "{what}");
    assert_eq!(transcript.steps.iter().filter_map(says).collect::<Vec<_>>(), expect.says, "{what}");
    assert_eq!(transcript.succeeded(), expect.succeeds, "{what}");
    assert_eq!(state.parameters, expect.parameters, "{what}");
    assert_eq!((&state.access, &state.local, &state.hidden), (&expect.access, &expect.local, &expect.hidden), "{what}");
    if let Some(changed) = &expect.changed {
        assert_eq!(transcript.changed(), changed, "{what}");
    }
    let (success, failures) = if expect.succeeds { (Some(1000), 0) } else { (None, 1) };
    assert_eq!((state.last_attempt, state.last_success, state.failures), (Some(1000), success, failures), "{what}");
    let last = matches!(transcript.steps.last(), Some(Step::Finished { .. } | Step::Failed));
    assert!(last, "{what}: every resync ends with how it ended");
}

fn start(case: &Case) -> Start {
    Start { server: case.phone.server.clone(), now: 1000 }
}

#[tokio::test]
async fn aastra_phones_follow_their_rules() {
    for (path, case) in cases("aastra") {
        let phone = &case.phone;
        let identity = identity(&phone.model, phone.mac.0, &phone.firmware);
        let behaviour = phone
            .lock_overrides_local
            .map_or_else(aastra::Behaviour::default, |it| aastra::Behaviour { lock_overrides_local: it });
        let fetch = Listed { files: &case.files, asked: Mutex::default() };
        let (state, transcript) = aastra::resync(&identity, &case.state, &start(&case), behaviour, &fetch).await;
        check(&path, &case, fetch.asked.into_inner().unwrap(), &state, &transcript);
        let (local, server) = (aastra::local_file(&identity, &state), aastra::server_file(&state));
        assert_eq!(local.name, format!("{}_local.cfg", phone.mac.0.upper()));
        if let Some(expected) = &case.expect.local_file {
            assert_eq!(&local.body, expected, "{}: {}", path.display(), case.rule);
        }
        if let Some(expected) = &case.expect.server_file {
            assert_eq!(&server.body, expected, "{}: {}", path.display(), case.rule);
        }
    }
}

#[tokio::test]
async fn grandstream_phones_follow_their_rules() {
    for (path, case) in cases("grandstream") {
        let phone = &case.phone;
        let identity = identity(&phone.model, phone.mac.0, &phone.firmware);
        let mut behaviour = grandstream::Behaviour::default();
        if let Some(digests) = &phone.digests {
            behaviour.digests = digests.iter().map(|name| name.parse::<KeyDigest>().unwrap()).collect();
        }
        let fetch = Listed { files: &case.files, asked: Mutex::default() };
        let (state, transcript) = grandstream::resync(&identity, &case.state, &start(&case), behaviour, &fetch).await;
        check(&path, &case, fetch.asked.into_inner().unwrap(), &state, &transcript);
    }
}

#[test]
fn phones_say_who_they_are_as_real_ones_do() {
    let packs = resyncd::packs::Packs::load(&root().join("templates"), &root().join("no-profiles"))
        .unwrap_or_else(|problems| panic!("{problems}"));
    for (pack, models) in [
        ("aastra", &[("6731i", "3.2.0.70"), ("6920", "6.4.0.140")][..]),
        ("grandstream", &[("GXP1628", "1.0.4.138"), ("GXP2000", "1.2.5.3"), ("BT110", "1.0.8.33")]),
    ] {
        for (model, firmware) in models {
            let mac: MacAddr = if pack == "aastra" { "00085d237429" } else { "000b822726c8" }.parse().unwrap();
            let text = match pack {
                "aastra" => aastra::user_agent(&identity(model, mac, &format!("{firmware}-SIP"))),
                _ => grandstream::user_agent(&identity(model, mac, firmware)),
            };
            let (_, found) = packs.identify_user_agent(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((found.model.as_deref(), found.firmware.as_deref()), (Some(*model), Some(*firmware)), "{text}");
            assert_eq!(found.mac, (*model != "BT110").then_some(mac), "{text}");
        }
    }
}

/// The golden profiles of a pack: the folder's name and the files in it, or in a folder of it.
fn goldens(pack: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in files_of(&root().join("templates").join(pack).join("samples")).into_iter().filter(|it| it.is_dir()) {
        for path in files_of(&folder) {
            let files = if path.is_dir() { files_of(&path) } else { vec![path] };
            let profiles = files.into_iter().filter(|file| file.extension().is_none_or(|ending| ending != "toml"));
            found.extend(profiles.map(|file| (file.clone(), std::fs::read(&file).unwrap())));
        }
    }
    assert!(found.len() > 10, "{pack}");
    found
}

/// A phone's way to its profile through the whole pipeline, from the folder of a new one on.
struct Deployment {
    fetch: InProcess,
    /// What the server says that this phone is to have, by its own rendering.
    rendered: String,
}

fn deployment(mac: &str, device: &str, subject: Option<&str>) -> Deployment {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("devices")).unwrap();
    let defaults = "[provisioning]\nurl = \"https://prov.example.com:8443/phones\"\n";
    std::fs::write(folder.path().join("defaults.toml"), defaults).unwrap();
    std::fs::write(folder.path().join("devices").join(format!("{mac}.toml")), device).unwrap();
    let generation =
        Generation::load(&root().join("templates"), folder.path(), 1).unwrap_or_else(|problems| panic!("{problems}"));
    let device = generation.profiles.device(mac.parse().unwrap()).unwrap();
    let (pack, _) = generation.packs.pack_and_model(device.model).unwrap();
    let settings = generation.settings(device);
    let file = pack.file("profile").unwrap();
    let rendered = generation.render(device, file, &settings, Shown::Real, 1 << 20).unwrap();
    let tls = subject.map(|subject| TlsSession {
        version: "TLSv1.2",
        cipher: "AES256-SHA".to_owned(),
        certificate: ClientCertificate::verified(subject.parse().unwrap()),
    });
    let connection = Connection { listener: "https".into(), peer: "192.0.2.7:50000".parse().unwrap(), tls };
    let pipeline = Arc::new(Pipeline::new(generation, 0, Secret::new([7; 32]), 1 << 20));
    // A proxy in front serves the server below /phones.
    let bases = vec!["https://prov.example.com:8443/phones".to_owned()];
    let rendered = String::from_utf8(rendered.body).unwrap();
    Deployment { fetch: InProcess::new(pipeline, bases, connection), rendered }
}

/// The URLs that were answered with a file.
fn found(transcript: &Transcript) -> Vec<&str> {
    let mut urls = Vec::new();
    for step in &transcript.steps {
        if let Step::Applied { url, .. } = step {
            urls.push(url.strip_prefix("https://prov.example.com:8443/phones").unwrap());
        }
    }
    urls
}

#[tokio::test]
async fn a_new_grandstream_phone_learns_its_password_and_reads_its_encrypted_profile() {
    let mac = "000b82a1b2c3";
    for digest in ["md5", "sha256"] {
        let device = format!(
            r#"
            model = "GXP2170"
            [lines.1]
            user = "2003"
            password = "not-a-real-password & <more>"
            [access]
            certificate = true
            [delivery]
            encryption = "aes-256-cbc"
            digest = "{digest}"
            key = "not-a-real-key"
            "#
        );
        let path = format!("/grandstream/cfg{mac}.xml");
        let served = deployment(mac, &device, Some("CN=000B82A1B2C3, O=Grandstream Networks, Inc."));
        let identity = identity("GXP2170", mac.parse().unwrap(), "1.0.11.46");
        let start = Start { server: Some("https://prov.example.com:8443/phones".to_owned()), now: 1000 };
        let behaviour = grandstream::Behaviour::default();
        let (state, transcript) =
            grandstream::resync(&identity, &State::default(), &start, behaviour.clone(), &served.fetch).await;
        assert!(transcript.succeeded(), "{transcript:?}");
        assert_eq!(found(&transcript), [format!("/cfg{mac}"), path.clone()], "{transcript:?}");
        let how = format!("cfg{mac}.xml: aes-256-cbc, {digest}");
        assert_eq!(transcript.steps.iter().filter_map(says).collect::<Vec<_>>(), [how]);
        assert_eq!(state.parameters, xml_by_lines(&served.rendered));
        assert_eq!(state.parameters["P34"], "not-a-real-password & <more>");
        let shown = format!("{transcript}{}", serde_json::to_string(&transcript).unwrap());
        assert!(!shown.contains("not-a-real"), "{shown}");

        // The next time it finds its way alone, and nothing has changed.
        let alone = Start { server: None, now: 2000 };
        let (again, transcript) = grandstream::resync(&identity, &state, &alone, behaviour, &served.fetch).await;
        assert_eq!(found(&transcript), [path]);
        assert!(transcript.changed().is_empty());
        assert_eq!(again.parameters, state.parameters);
    }
}

#[tokio::test]
async fn a_new_aastra_phone_finds_its_folder_and_its_profile() {
    let mac = "00085d1a9870";
    let device = r#"
        model = "6757i"
        [lines.1]
        user = "2001"
        password = "not-a-real-password"
        dial_plan = "x+#|xx+*"
        [access]
        networks = ["192.0.2.0/24"]
        "#;
    let served = deployment(mac, device, None);
    let identity = identity("6757i", mac.parse().unwrap(), "3.3.1.4300-SIP");
    let start = Start { server: Some("https://prov.example.com:8443/phones".to_owned()), now: 1000 };
    let behaviour = aastra::Behaviour::default();
    let (state, transcript) = aastra::resync(&identity, &State::default(), &start, behaviour, &served.fetch).await;
    assert!(transcript.succeeded(), "{transcript:?}");
    let files = ["aastra.cfg", "6757i.cfg", "00085D1A9870.cfg"];
    let expected: Vec<_> = ["", "/aastra"].iter().flat_map(|at| files.map(|file| format!("{at}/{file}"))).collect();
    assert_eq!(found(&transcript), expected);
    let says: Vec<_> = transcript.steps.iter().filter_map(says).collect();
    assert_eq!(says, ["starts over at https://prov.example.com:8443/phones/aastra"]);
    for line in served.rendered.lines() {
        let (name, value) = line.trim_start_matches(['!', '^']).split_once(": ").unwrap();
        assert_eq!(state.parameters[name], value.trim_matches('"'), "{name}");
    }
    assert_eq!(state.parameters["sip dial plan"], "x+#|xx+*");
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn aastra_phones_read_the_packs_profiles_as_other_code_does() {
    // The pack writes no comments, and quotes around nothing but a whole value with a `#` in it.
    let line = regex::Regex::new(r#"^([!^]?)([^:]+): (?:"([^"]*#[^"]*)"|(.*))$"#).unwrap();
    for (path, body) in goldens("aastra") {
        let read = aastra::read(&body, true).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(read.passed_over.is_empty(), "{}", path.display());
        let found: BTreeMap<_, _> =
            read.parameters.into_values().map(|one| (one.name, (one.value, one.mark))).collect();
        let expected: BTreeMap<_, _> = std::str::from_utf8(&body)
            .unwrap()
            .lines()
            .map(|text| {
                let parts = line.captures(text).unwrap_or_else(|| panic!("{}: {text}", path.display()));
                let value = parts.get(3).or(parts.get(4)).unwrap().as_str().to_owned();
                let mark = aastra::Mark { locked: &parts[1] == "!", forced: &parts[1] == "^" };
                (parts[2].to_owned(), (value, mark))
            })
            .collect();
        assert_eq!(found, expected, "{}", path.display());
    }
}

#[test]
fn grandstream_phones_read_the_packs_profiles_as_other_code_does() {
    let mut both: BTreeMap<String, Vec<Parameters>> = BTreeMap::new();
    for (path, body) in goldens("grandstream") {
        // `cfg.xml` and `cfg<model>.xml` are for any phone.
        let own = stem(&path).strip_prefix("cfg").unwrap().parse::<MacAddr>().ok();
        let mac = own.unwrap_or_else(|| "000b82000001".parse().unwrap());
        let is_xml = path.extension().is_some();
        let (found, expected) = if is_xml {
            let read = grandstream::read_xml(&body, mac).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(read.passed_over.is_empty(), "{}", path.display());
            (read.parameters, xml_by_lines(std::str::from_utf8(&body).unwrap()))
        } else {
            let read = grandstream::read_binary(&body, mac);
            (read.unwrap_or_else(|error| panic!("{}: {error}", path.display())), pairs_by_regex(&body[16..]))
        };
        assert_eq!(found, expected, "{}", path.display());
        if own.is_none() {
            continue;
        }
        both.entry(stem(&path).to_owned()).or_default().push(found);
        // Any other phone refuses it.
        let other: MacAddr = "000b82ffffff".parse().unwrap();
        let refused = if is_xml {
            matches!(grandstream::read_xml(&body, other), Err(grandstream::XmlError::OtherMac(_)))
        } else {
            matches!(grandstream::read_binary(&body, other), Err(grandstream::BinaryError::OtherMac(_)))
        };
        assert!(refused, "{}", path.display());
    }
    for (phone, forms) in both {
        assert!(forms.windows(2).all(|two| two[0] == two[1]), "{phone}: the two forms say different things");
    }
}

fn xml_by_lines(text: &str) -> Parameters {
    let element = regex::Regex::new(r"(?s)<(P[0-9]+)>([^<]*)</P[0-9]+>").unwrap();
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")];
    element
        .captures_iter(text)
        .map(|parts| {
            let value = entities.iter().fold(parts[2].to_owned(), |text, (name, letter)| text.replace(name, letter));
            (parts[1].to_owned(), value)
        })
        .collect()
}

fn pairs_by_regex(pairs: &[u8]) -> Parameters {
    let pair = regex::Regex::new(r"(P[0-9]+)=([^&]*)&").unwrap();
    let escape = regex::Regex::new("%([0-9A-Fa-f]{2})").unwrap();
    pair.captures_iter(std::str::from_utf8(pairs).unwrap())
        .map(|parts| {
            let mut value = Vec::new();
            let mut at = 0;
            for found in escape.captures_iter(&parts[2]) {
                let whole = found.get(0).unwrap();
                value.extend_from_slice(&parts[2].as_bytes()[at..whole.start()]);
                value.push(u8::from_str_radix(&found[1], 16).unwrap());
                at = whole.end();
            }
            value.extend_from_slice(&parts[2].as_bytes()[at..]);
            (parts[1].to_owned(), String::from_utf8(value).unwrap())
        })
        .collect()
}
