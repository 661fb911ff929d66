//! Every parser that reads what comes from outside, as a function of bytes. Each panics where the parser breaks a promise:
//! the place of a mistake lies within the text, and what was read can be used.
//!
//! `fuzz/run` runs all of them, or those named, led by what they cover, for as long as one likes; `cargo test fuzz` runs all of
//! them for a moment, on their corpora and files of this repository that it breaks in a thousand ways.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use resyncd::config::{Config, Proxy, ProxyProtocol};
use resyncd::cwmp::Quirks;
use resyncd::cwmp::session::{Effect, Input, Session};
use resyncd::cwmp::soap::{Envelope, Limits};
use resyncd::delivery::{
    Delivery, Encryption, KeyDigest, MIN_RECORD_SIZE, decrypt_aes_256_cbc, decrypt_aes128gcm, gunzip,
};
use resyncd::document::{Document, Problems};
use resyncd::drift;
use resyncd::events::TEXT_LIMIT;
use resyncd::fleet::{self, What};
use resyncd::identity::password::{Authorization, Passwords, Signed};
use resyncd::identity::url_token::Presented;
use resyncd::identity::{Subject, subjects_of_pem};
use resyncd::lint::values::check as check_value;
use resyncd::model::{KeyEncoding, MacAddr, Secret, Serial};
use resyncd::onboarding::Code;
use resyncd::packs::data_model::xml;
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
use resyncd::resync::{
    Admission, ClientCertificate, Connection, Found, Generation, Pipeline, Request, Target, TlsSession,
};
use resyncd::settings::{Key, LayerKind, Prefix, read_layer};
use resyncd::tls::certificates::make_development_certificates;
use resyncd::tls::{Acceptor, phone_behind, revocation_lists};
use resyncd::uploads::multipart::{Multipart, MultipartError, Piece};
use time::OffsetDateTime;

/// One parser.
pub type Parser = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Parser); 28] = [
    ("aastra_cfg", aastra_cfg),
    ("authorization", authorization),
    ("certificate", certificate),
    ("cisco_profile", cisco_profile),
    ("condition", condition),
    ("configuration", configuration),
    ("cwmp_soap", cwmp_soap),
    ("data_model", data_model),
    ("data_model_xml", data_model_xml),
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
    ("revocation", revocation),
    ("schedule", schedule),
    ("target", request_target),
    ("user_agent", user_agent),
    ("value", value),
    ("words", words),
];

/// Makes what a target needs once, which takes longer than an input may.
pub fn make_ready(name: &str) {
    match name {
        "certificate" | "request" | "target" | "user_agent" => drop(PIPELINE.generation()),
        "proxied" => drop(ACCEPTOR.warnings()),
        "value" => assert!(!PARAMETERS.is_empty()),
        _ => {}
    }
}

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

/// An envelope of a phone: a mistake has its place, a session answers it once, and what it answers reads back with its ID.
pub fn cwmp_soap(data: &[u8]) {
    let input = match Envelope::read(data, &Limits::default()) {
        Err(error) => {
            assert!(error.at <= data.len(), "{error}: of {} bytes", data.len());
            assert!(!error.to_string().contains('\n'), "{error}");
            Input::Unreadable(error)
        }
        Ok(envelope) => Input::Envelope(Box::new(envelope)),
    };
    let mut effects = Session::new().step(input.clone());
    if effects.1.iter().any(Effect::is_question) {
        effects = effects.0.step(Input::Accepted);
        assert_eq!(effects.1.iter().filter(|effect| effect.is_answer()).count(), 1);
        let (session, second) = effects.0.step(input);
        assert!(second.iter().any(|effect| effect.is_answer() || effect.is_question()));
        effects.0 = session;
    }
    for effect in effects.1 {
        if let Effect::Reply(reply) = effect {
            let text = reply.write(&Quirks::default());
            let read =
                Envelope::read(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!((read.id, read.namespace), (reply.id, reply.namespace), "{text}");
        }
    }
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

pub fn data_model(data: &[u8]) {
    pack_with("tr069.toml", data);
}

/// What is read of a vendor's data model can be written, and is TOML.
pub fn data_model_xml(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(parameters) = xml::import(text) {
        let written = Document::from_text("tr069.toml", xml::as_toml(&parameters));
        assert!(written.parse().is_ok(), "{}", written.text());
    }
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

fn in_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with_borrow(|folder| work(folder.path()))
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

/// A body as a phone opens it, and, since no guess opens one that is encrypted, the way there and back: of this content, in records
/// of the size that its first two bytes name, with a key id as long as the third says.
pub fn delivered(data: &[u8]) {
    let key = Secret::new(*b"example-only-key");
    let _ = decrypt_aes_256_cbc(data, &key, KeyDigest::Md5);
    let _ = decrypt_aes128gcm(data, &key);
    if let Ok(content) = gunzip(data, LIMIT) {
        assert!(content.len() <= LIMIT);
    }
    let Some((&[high, low, id], content)) = data.split_first_chunk() else { return };
    let (record_size, key_id) = (u32::from(u16::from_be_bytes([high, low])), vec![b'k'; usize::from(id)]);
    let encryption = Encryption::Aes128Gcm { keying_material: key.clone(), record_size, key_id };
    let delivery = Delivery { gzip: false, encryption };
    let Ok(packed) = delivery.pack(content) else {
        assert!(record_size < MIN_RECORD_SIZE, "{record_size} bytes are enough for a record");
        return;
    };
    assert_eq!(decrypt_aes128gcm(&packed.body, &key).as_deref(), Ok(content));
    let half = packed.body.get(..packed.body.len() / 2).unwrap();
    assert!(decrypt_aes128gcm(half, &key).is_err(), "half a body opens");
}

/// A PEM file of certificates, and a subject: what the packs read from it, they read from it once it was written down, too.
pub fn certificate(data: &[u8]) {
    if let Ok(subjects) = subjects_of_pem(data) {
        assert!(!subjects.is_empty());
        subjects.iter().for_each(identified);
    }
    let Some(text) = text(data) else { return };
    if let Ok(subject) = text.parse::<Subject>() {
        let again: Subject = subject.to_string().parse().unwrap();
        assert_eq!(again.to_string(), subject.to_string(), "a subject that is written can be read");
        identified(&subject);
    }
}

/// A certificate of many phones names none, and a root that no pack lists vouches for nobody.
fn identified(subject: &Subject) {
    let generation = PIPELINE.generation();
    if let Some((pack, found)) = generation.packs.identify_certificate(subject) {
        assert!(generation.packs.get(pack).is_some());
        assert!(!found.generic || (found.mac.is_none() && found.serial.is_none()), "{found:?}");
        assert_eq!(generation.packs.identify_vouched(subject, Some("nobody's")), None);
    }
}

/// Lists of revoked certificates, PEM or DER: as many as there are.
pub fn revocation(data: &[u8]) {
    in_folder(|folder| {
        let file = folder.join("revoked.crl");
        fs::write(&file, data).unwrap();
        match revocation_lists(&file) {
            Ok(lists) => {
                assert!(!lists.is_empty());
                assert!(lists.iter().all(|(issuer, _)| !issuer.contains('\n')), "{lists:?}");
            }
            Err(problem) => assert!(!problem.to_string().contains('\n'), "{problem}"),
        }
    });
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

/// A listener behind a proxy that forwards certificates.
static ACCEPTOR: LazyLock<Acceptor> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    make_development_certificates(folder.path(), &[], true).unwrap();
    let file = folder.path().join("resyncd.toml");
    fs::write(
        &file,
        "[[listener]]\nname = \"https\"\naddress = \"127.0.0.1:0\"\n[listener.tls]\ncertificate = \"server.pem\"\n\
         key = \"server.key\"\nclient_certificate = \"optional\"\nclient_ca = [\"phone-ca.pem\"]\n",
    )
    .unwrap();
    let config = Config::load_with_environment(&file, Vec::<(String, String)>::new());
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let tls = config.listeners.first().unwrap().tls.as_ref().unwrap();
    Acceptor::new(&file, tls, Duration::from_secs(1)).unwrap_or_else(|problems| panic!("{problems}"))
});

/// What a proxy says of the phone that it speaks for: before anything else, and in each of the two headers, a line each. The last
/// line is the phone's certificate, too.
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
    let own = ClientCertificate::verified("CN=proxy".parse().unwrap());
    let tls = Some(TlsSession { version: "TLSv1.3", cipher: String::new(), certificate: own });
    let connection = Connection { listener: Arc::from("https"), peer: ([10, 0, 0, 5], 1).into(), tls };
    for (protocol, name) in [(ProxyProtocol::Forwarded, "forwarded"), (ProxyProtocol::XForwardedFor, "x-forwarded-for")]
    {
        let proxy =
            Proxy { networks: networks.clone(), protocol, certificate_header: Some("x-certificate".to_owned()) };
        let lines = data.split(|byte| *byte == b'\n').filter_map(|line| http::HeaderValue::from_bytes(line).ok());
        let lines: Vec<_> = lines.map(|line| (http::HeaderName::from_static(name), line)).collect();
        let certificate = lines.last().map(|(_, line)| (http::HeaderName::from_static("x-certificate"), line.clone()));
        let headers = lines.into_iter().chain(certificate).collect();
        if let Ok(phone) = phone_behind(&proxy, &connection, &headers, Some(&ACCEPTOR)) {
            assert!(!phone.peer.ip().is_ipv4() || phone.peer.ip() == phone.peer.ip().to_canonical());
            let certificate = phone.tls.unwrap().certificate;
            assert!(!matches!(certificate, ClientCertificate::Verified { .. }), "{certificate:?} of no root");
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
    for encoding in KeyEncoding::NAMES {
        match encoding.parse::<KeyEncoding>().unwrap().parse(data) {
            Ok(key) => assert!(!key.expose().is_empty()),
            Err(error) => assert!(text.len() < 4 || !error.to_string().contains(text), "it shows the key"),
        }
    }
    if let Some(code) = Code::parse(data) {
        assert!(!format!("{code:?}").contains(text), "it shows itself");
    }
}

/// The shipped packs and the example phones, which are asked for passwords by the listener `https`.
static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|path| path.join("templates").is_dir()).unwrap();
    let generation = Generation::load(&root.join("templates"), &root.join("profiles"), 1).unwrap();
    let asks =
        "[[listener]]\nname = \"https\"\naddress = \"127.0.0.1:0\"\npasswords = true\nbasic_without_tls = true\n";
    let config = in_folder(|folder| {
        let file = folder.join("asks.toml");
        fs::write(&file, asks).unwrap();
        Config::load_with_environment(&file, Vec::<(String, String)>::new())
            .unwrap_or_else(|problems| panic!("{problems}"))
    });
    let passwords = Passwords::played(&config, "https").unwrap();
    Pipeline::new(generation, 1 << 20, Secret::new([1; 32]), LIMIT).with_passwords(passwords)
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

/// A request target: the path in it is decoded once and steps nowhere, every device and model that it may mean exists as such,
/// and its token is told nowhere.
pub fn request_target(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let told = Target::told(text);
    let Some(Target { path, token }) = Target::of(text) else { return };
    assert!(path.starts_with('/') && !path.contains('\\') && !path.chars().any(char::is_control), "{path:?}");
    assert!(path.split('/').all(|segment| !matches!(segment, "." | "..")), "{path:?}");
    match token {
        Some(Presented::Token(token)) => {
            assert_eq!(token.digest().len(), 64);
            let url = token.url("");
            let token = url.strip_prefix("/t/").unwrap();
            assert!(!told.contains(token) && told.starts_with("/t/***"), "it tells of its token: {told}");
        }
        Some(Presented::Malformed) => assert!(told.starts_with("/t/***"), "{told}"),
        None => assert!(told == text || told.starts_with("/t/***"), "{told}"),
    }
    let generation = PIPELINE.generation();
    let packs = &generation.packs;
    let files = packs.matches(&path).into_iter().map(|candidate| (candidate, false));
    let uploads = ["PUT", "POST"].into_iter().flat_map(|method| packs.matches_upload(&path, method));
    for (candidate, is_upload) in files.chain(uploads.map(|candidate| (candidate, true))) {
        let pack = packs.get(candidate.pack).unwrap();
        assert!(candidate.file < if is_upload { pack.uploads.len() } else { pack.files.len() });
        assert!(candidate.captures.model.is_none_or(|model| pack.models.get(model).is_some()));
        if let Some(mac) = candidate.captures.mac {
            assert!(path.to_ascii_lowercase().contains(&mac.to_string()), "{mac} is not in {path}");
        }
    }
}

/// What a phone says of itself. Whatever is read from it stands in it.
pub fn user_agent(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let generation = PIPELINE.generation();
    let Some((pack, found)) = generation.packs.identify_user_agent(text) else { return };
    assert!(generation.packs.get(pack).is_some());
    assert!(found.firmware.is_none_or(|firmware| text.contains(&firmware)));
    let digits: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    assert!(found.mac.is_none_or(|mac| digits.contains(&mac.to_string())), "{:?} of {text:?}", found.mac);
    assert!(
        found.serial.is_none_or(|serial| text.to_ascii_uppercase().contains(&serial.as_str().to_ascii_uppercase()))
    );
}

/// A request: its target, before which a method may stand, User-Agent, `If-None-Match`, certificate's subject and
/// `Authorization`, a line each.
pub fn request(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let (method, target) = first.split_once(' ').filter(|_| !first.starts_with('/')).unwrap_or(("GET", first));
    let (user_agent, if_none_match) = (lines.next(), lines.next());
    let subject = lines.next().and_then(|line| line.parse().ok());
    let authorization = lines.next().map(Secret::new);
    let tls = subject.map(|subject| TlsSession {
        version: "TLSv1.3",
        cipher: String::new(),
        certificate: ClientCertificate::verified(subject),
    });
    // One listener asks for passwords, the other doesn't.
    for listener in ["https", "http"] {
        let connection =
            Connection { listener: Arc::from(listener), peer: ([192, 0, 2, 1], 1).into(), tls: tls.clone() };
        let request = Request {
            connection: &connection,
            time: OffsetDateTime::UNIX_EPOCH,
            started: Instant::now(),
            method,
            target,
            user_agent,
            if_none_match,
            authorization: authorization.as_ref(),
            vouched: None,
        };
        let (answer, event) = PIPELINE.answer(&request);
        assert!(matches!(answer.status, 200 | 304 | 401 | 404 | 405), "{} for {target}", answer.status);
        assert!(answer.status != 401 || (listener == "https" && !answer.challenges.is_empty()));
        assert_eq!(event.status, answer.status);
        assert!(answer.status == 200 || answer.body.is_empty());
        assert!(event.target.len() <= TEXT_LIMIT + 3 && event.method.len() <= TEXT_LIMIT + 3, "{event:?}");
        let inquiry = PIPELINE.ask(&request);
        if let Admission::Refused(answer, _) = PIPELINE.admit(&request, &inquiry, &Found::default()) {
            assert!(matches!(answer.status, 401 | 404 | 405), "{} for {method} {target}", answer.status);
        }
    }
}
