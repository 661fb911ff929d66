//! Every parser that reads what comes from outside, as a function of bytes. Each panics where the parser breaks a promise:
//! the place of a mistake lies within the text, and what was read can be used.
//!
//! `cargo fuzz run <target>` runs one of them for as long as one likes; `cargo test fuzz` runs all of them for a moment, on
//! files of this repository that it breaks in a thousand ways.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use resyncd::config::{Config, Proxy, ProxyProtocol};
use resyncd::delivery::{KeyDigest, decrypt_aes_256_cbc, decrypt_aes128gcm, gunzip};
use resyncd::document::{Document, Problems};
use resyncd::drift;
use resyncd::fleet::{self, What};
use resyncd::identity::password::{Authorization, Signed};
use resyncd::identity::{Subject, subjects_of_pem};
use resyncd::lint::values::check as check_value;
use resyncd::model::{MacAddr, Secret, Serial};
use resyncd::packs::{Format, PathPattern};
use resyncd::phone::cisco::alias::AliasMap;
use resyncd::phone::cisco::condition::Condition;
use resyncd::phone::cisco::macros::{self, Name, Variables};
use resyncd::phone::cisco::profile::Profile;
use resyncd::phone::cisco::rule::{Kind, Rule};
use resyncd::phone::cisco::schedule::{Schedule, TimeOfDay};
use resyncd::phone::cisco::version::Version;
use resyncd::phone::{aastra, grandstream};
use resyncd::render::Form;
use resyncd::resync::{ClientCertificate, Connection, Generation, Pipeline, Request, TlsSession};
use resyncd::settings::{Key, LayerKind, Prefix, read_layer};
use resyncd::tls::phone_behind;
use resyncd::uploads::multipart::{Multipart, MultipartError, Piece};
use time::OffsetDateTime;

/// One parser.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 22] = [
    ("aastra_cfg", aastra_cfg),
    ("authorization", authorization),
    ("certificate", certificate),
    ("cisco_profile", cisco_profile),
    ("condition", condition),
    ("configuration", configuration),
    ("delivered", delivered),
    ("grandstream", grandstream_file),
    ("import", import),
    ("layer", layer),
    ("macros", expansion),
    ("manifest", manifest),
    ("mapping", mapping),
    ("multipart", multipart),
    ("parameters", parameters),
    ("profile_rule", profile_rule),
    ("proxied", proxied),
    ("report", report),
    ("request", request),
    ("schedule", schedule),
    ("value", value),
    ("words", words),
];

const LIMIT: usize = 1 << 20;

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// An offset that a message names lies in the text, and between two characters.
fn assert_within(text: &str, at: usize) {
    assert!(text.is_char_boundary(at), "byte {at} of {} is no place in the text", text.len());
}

/// A line that a message names is one of the file's.
fn assert_lines_exist(problems: &Problems, file: &Path, text: &[u8]) {
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    for problem in problems.iter().filter(|problem| *problem.file == *file) {
        let line = problem.line.map_or(1, |line| usize::try_from(line).unwrap());
        assert!((1..=lines).contains(&line), "{problem}: the file has {lines} lines");
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
}

/// A file of devices, in each format: what is wrong has its line, and every device that was read has a row of its own.
pub fn import(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for format in [fleet::Format::Csv, fleet::Format::Toml, fleet::Format::Json] {
        match fleet::read_rows(format, "import", text) {
            Err(problems) => assert_lines_exist(&problems, Path::new("import"), data),
            Ok(reading) => {
                assert_lines_exist(&reading.problems, Path::new("import"), data);
                let mut last = 0;
                for edit in &reading.edits {
                    let row = edit.row.as_deref().unwrap();
                    assert!(row.starts_with("import:"), "{row}");
                    if let (fleet::Format::Csv, What::Merge(_)) = (format, &edit.what) {
                        let line: usize = row.trim_start_matches("import:").parse().unwrap();
                        assert!(last < line && line <= lines, "{row} after {last} of {lines}");
                        last = line;
                    }
                }
            }
        }
    }
}

pub fn configuration(data: &[u8]) {
    in_folder(|folder| {
        let file = folder.join("resyncd.toml");
        fs::write(&file, data).unwrap();
        if let Err(problems) = Config::load_with_environment(&file, Vec::<(String, String)>::new()) {
            assert!(!problems.is_empty());
            assert_lines_exist(&problems, &file, data);
        }
    });
}

pub fn layer(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let document = Document::from_text("layer.toml", text.to_owned());
    for kind in [LayerKind::Device, LayerKind::Group, LayerKind::Pack] {
        if let Err(problems) = read_layer(&document, kind, Path::new("profiles")) {
            assert!(!problems.is_empty());
            assert_lines_exist(&problems, Path::new("layer.toml"), data);
        }
    }
}

pub fn manifest(data: &[u8]) {
    pack_with("pack.toml", data);
}

pub fn mapping(data: &[u8]) {
    pack_with("mapping.toml", data);
}

pub fn parameters(data: &[u8]) {
    pack_with("parameters.toml", data);
}

/// Loads the smallest pack there is, one file of which is `data`.
fn pack_with(name: &str, data: &[u8]) {
    in_folder(|folder| {
        let pack = folder.join("templates/tiny");
        fs::create_dir_all(&pack).unwrap();
        fs::create_dir_all(folder.join("profiles")).unwrap();
        let sound =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|path| path.join("templates").is_dir()).unwrap();
        for entry in fs::read_dir(sound.join("tests/golden/tiny/templates/tiny")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), pack.join(entry.file_name())).unwrap();
            }
        }
        let file = pack.join(name);
        fs::write(&file, data).unwrap();
        if let Err(problems) = Generation::load(&folder.join("templates"), &folder.join("profiles"), 1) {
            assert!(!problems.is_empty());
            assert_lines_exist(&problems, &file, data);
        }
    });
}

thread_local! {
    static FOLDER: RefCell<tempfile::TempDir> = RefCell::new(tempfile::tempdir().unwrap());
}

fn in_folder(work: impl FnOnce(&Path)) {
    FOLDER.with_borrow(|folder| work(folder.path()));
}

pub fn profile_rule(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for kind in [Kind::Profile, Kind::Upgrade, Kind::Report] {
        match Rule::parse(text, kind) {
            Ok(rule) => {
                let _ = rule.choose();
                if let Some(at) = rule.unreachable() {
                    assert_within(text, at);
                }
            }
            Err(error) => {
                assert_within(text, error.at());
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

pub fn condition(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match Condition::parse(text) {
        Ok(condition) => drop(condition.holds()),
        Err(error) => assert_within(text, error.at()),
    }
}

/// Every variable holds a text that looks like macros itself.
struct Nested;

impl Variables for Nested {
    fn value(&self, _: Name) -> String {
        "$A$$(MA:2:4)".to_owned()
    }
}

pub fn expansion(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let parts: usize = macros::tokens(text)
        .map(|token| match token {
            macros::Token::Text(text) => text.len(),
            macros::Token::Dollar => 2,
            macros::Token::Reference(reference) => {
                assert_within(text, reference.at);
                reference.written.len()
            }
        })
        .sum();
    assert_eq!(parts, text.len(), "the parts are not the whole");
    let longest = text.len() * 12;
    assert!(macros::expand(text, &Nested).len() <= longest);
    assert!(macros::expand_rule(text, &Nested).len() <= longest);
}

pub fn schedule(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(schedule) = Schedule::parse(text) {
        let mut random = resyncd::phone::cisco::SeededRandom(1);
        for nth in [0, 1, u32::MAX] {
            let _ = schedule.delay(nth, &mut random);
        }
    }
    if let Ok(time) = TimeOfDay::parse(text) {
        let mut random = resyncd::phone::cisco::SeededRandom(1);
        assert!(time.next(i64::from(u32::MAX), u32::MAX, &mut random) > 0);
    }
}

pub fn cisco_profile(data: &[u8]) {
    if let Err(error) = Profile::read(data, &AliasMap::default()) {
        assert!(error.at() <= data.len());
    }
    let Some(text) = text(data) else { return };
    if let Ok(aliases) = AliasMap::parse(text) {
        let _ = aliases.parameter(&["a", "b"]);
        let _ = Profile::read(data, &aliases);
    }
}

pub fn aastra_cfg(data: &[u8]) {
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    for knows_locks in [false, true] {
        let passed_over = match aastra::read(data, knows_locks) {
            Ok(profile) => profile.passed_over,
            Err(error) => vec![error],
        };
        assert!(passed_over.iter().all(|error| usize::try_from(error.line()).unwrap() <= lines));
    }
}

pub fn grandstream_file(data: &[u8]) {
    let mac = MacAddr::from_octets([0x00, 0x0b, 0x82, 0xa0, 0x00, 0x1c]).unwrap();
    let _ = grandstream::read_xml(data, mac);
    let _ = grandstream::read_binary(data, mac);
}

pub fn delivered(data: &[u8]) {
    let key = Secret::new(*b"example-only-key");
    let _ = decrypt_aes_256_cbc(data, &key, KeyDigest::Md5);
    let _ = decrypt_aes128gcm(data, &key);
    if let Ok(content) = gunzip(data, LIMIT) {
        assert!(content.len() <= LIMIT);
    }
}

pub fn certificate(data: &[u8]) {
    let _ = subjects_of_pem(data);
    let Some(text) = text(data) else { return };
    if let Ok(subject) = text.parse::<Subject>() {
        let again: Subject = subject.to_string().parse().unwrap();
        assert_eq!(again.to_string(), subject.to_string(), "a subject that is written can be read");
    }
}

/// One parameter of each type in each pack.
static PARAMETERS: LazyLock<Vec<(usize, String)>> = LazyLock::new(|| {
    let generation = PIPELINE.generation();
    let mut chosen: BTreeMap<(usize, String), String> = BTreeMap::new();
    for (index, pack) in generation.packs.iter().enumerate() {
        for name in pack.parameters.names() {
            let Some(parameter) = pack.parameters.get(name) else { continue };
            let kind = format!("{:?}", parameter.kind);
            let first = chosen.entry((index, kind)).or_insert_with(|| name.to_owned());
            // The names come in no order.
            if name < first.as_str() {
                *first = name.to_owned();
            }
        }
    }
    chosen.into_iter().map(|((index, _), name)| (index, name)).collect()
});

/// A value of each type: scripts, dial plans, rules, schedules, numbers and all others.
pub fn value(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let generation = PIPELINE.generation();
    for (index, name) in PARAMETERS.iter() {
        let list = &generation.packs.get(*index).unwrap().parameters;
        let Err(wrong) = check_value(list, list.get(name).unwrap(), text) else { continue };
        assert!(!wrong.message.is_empty());
        if let Some(span) = wrong.span {
            assert!(text.get(span.clone()).is_some(), "{name}: {span:?} is no part of the value");
        }
    }
}

/// A form with files: its boundary, a line end, and the form. However it is cut, it reads the same.
pub fn multipart(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Some(boundary) = text(&data[..end]) else { return };
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let body = data.get(end + 1..).unwrap_or_default();
    let read = |step: usize| -> Result<(Vec<Piece>, usize), MultipartError> {
        let mut form = Multipart::new(&content_type)?;
        let (mut parts, mut bytes) = (Vec::new(), Vec::new());
        for chunk in body.chunks(step) {
            for piece in form.push(chunk)? {
                match piece {
                    Piece::Part(_) => parts.push(piece),
                    Piece::Data(data) => bytes.extend(data),
                }
            }
        }
        form.finish()?;
        assert!(bytes.len() <= body.len());
        parts.push(Piece::Data(bytes));
        Ok((parts, body.len()))
    };
    let whole = read(body.len().max(1));
    for step in [1, 3, 17] {
        assert_eq!(read(step), whole, "read in steps of {step}");
    }
}

/// What a proxy says of the phone that it speaks for: before anything else, and in each of the two headers.
pub fn proxied(data: &[u8]) {
    let mut rest = data;
    // A slice never has to be waited for.
    let read = |rest: &mut &[u8]| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(resyncd::tls::read_proxy_header(rest)).poll(&mut context)
    };
    let header = read(&mut rest);
    assert!(header.is_ready(), "it waits");
    assert!(data.len() - rest.len() <= 16 + 4096, "{header:?} of too much");
    let networks = vec!["10.0.0.0/8".parse().unwrap()];
    let connection = Connection { listener: Arc::from("https"), peer: ([10, 0, 0, 5], 1).into(), tls: None };
    for (protocol, name) in [(ProxyProtocol::Forwarded, "forwarded"), (ProxyProtocol::XForwardedFor, "x-forwarded-for")]
    {
        let proxy = Proxy { networks: networks.clone(), protocol, certificate_header: None };
        let lines = data.split(|byte| *byte == b'\n').filter_map(|line| http::HeaderValue::from_bytes(line).ok());
        let headers = lines.map(|line| (http::HeaderName::from_static(name), line)).collect();
        if let Ok(phone) = phone_behind(&proxy, &connection, &headers, None) {
            assert!(!phone.peer.ip().is_ipv4() || phone.peer.ip() == phone.peer.ip().to_canonical());
        }
    }
}

/// What a phone tells of itself: a report in any format, and a form.
pub fn report(data: &[u8]) {
    for format in Format::ALL {
        if let Ok(parameters) = drift::read(format, data) {
            let again: BTreeMap<_, _> =
                parameters.keys().map(|name| (drift::name(format, name), String::new())).collect();
            assert_eq!(again.len(), parameters.len(), "names that can be told apart");
        }
    }
    let _ = Form::parse(data);
}

/// What is one word or a few: addresses, serial numbers, keys of settings, paths of manifests, versions.
pub fn words(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(mac) = text.parse::<MacAddr>() {
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
    if let Ok(serial) = text.parse::<Serial>() {
        assert_eq!(serial.as_str().parse(), Ok(serial.clone()));
    }
    if let Some(key) = Key::parse(text) {
        assert_eq!(Key::parse(&key.to_string()), Some(key));
    }
    let _ = Prefix::parse(text);
    if let Ok(pattern) = PathPattern::parse(text, true) {
        assert_eq!(pattern.to_string(), text);
    }
    let _ = Version::parse(text).map(|version| version.compare(&version));
    let _ = Version::of_file(text);
}

/// The shipped packs and the example phones.
static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|path| path.join("templates").is_dir()).unwrap();
    let generation = Generation::load(&root.join("templates"), &root.join("profiles"), 1).unwrap();
    Pipeline::new(generation, 1 << 20, Secret::new([1; 32]), LIMIT)
});

/// An `Authorization` header: what was read of it can be compared, and shows nothing of itself.
pub fn authorization(data: &[u8]) {
    match Authorization::parse(data) {
        Ok(Authorization::Digest(answer)) => {
            assert_eq!(answer.response.expose().len(), answer.algorithm.digits());
            assert!(answer.count > 0 && answer.nc.len() == 8);
            let signed = Signed {
                algorithm: answer.algorithm,
                realm: &answer.realm,
                method: "GET",
                uri: &answer.uri,
                nonce: &answer.nonce,
                nc: &answer.nc,
                cnonce: &answer.cnonce,
            };
            let response = signed.response("user", &Secret::new("password"));
            assert_eq!(response.expose().len(), answer.algorithm.digits());
        }
        Ok(basic) => assert!(format!("{basic:?}").contains("***")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A request: its target, User-Agent, `If-None-Match` and certificate's subject, a line each.
pub fn request(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut lines = text.split('\n');
    let target = lines.next().unwrap_or_default();
    let (user_agent, if_none_match) = (lines.next(), lines.next());
    let subject = lines.next().and_then(|line| line.parse().ok());
    let authorization = lines.next().map(Secret::new);
    let tls = subject.map(|subject| TlsSession {
        version: "TLSv1.3",
        cipher: String::new(),
        certificate: ClientCertificate::verified(subject),
    });
    let connection = Connection { listener: Arc::from("https"), peer: ([192, 0, 2, 1], 1).into(), tls };
    let (answer, _) = PIPELINE.answer(&Request {
        connection: &connection,
        time: OffsetDateTime::UNIX_EPOCH,
        started: Instant::now(),
        method: "GET",
        target,
        user_agent,
        if_none_match,
        authorization: authorization.as_ref(),
    });
    assert!(matches!(answer.status, 200 | 304 | 404), "{} for {target}", answer.status);
}
