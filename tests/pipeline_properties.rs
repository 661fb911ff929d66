//! What holds of the pipeline whatever the settings, the layers and the requests are, tried on the shipped packs.
//!
//! Devices are made for each case, as records are, so that what was kept ready for the case before must not be served.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use resyncd::config::Config;
use resyncd::delivery::{KeyDigest, decrypt_aes_256_cbc, decrypt_aes128gcm, gunzip, is_gzip};
use resyncd::document::Document;
use resyncd::events::Event;
use resyncd::identity::password::Passwords;
use resyncd::identity::url_token::{Presented, UrlToken};
use resyncd::model::{MacAddr, Secret};
use resyncd::phone::cisco::alias::AliasMap;
use resyncd::phone::{aastra, cisco, grandstream};
use resyncd::render::Shown;
use resyncd::resync::{
    Answer, Bearer, ClientCertificate, Connection, Device, DeviceKey, Explained, Found, Generation, Known, Lookup,
    Pipeline, Provenance, Request, TlsSession,
};
use resyncd::settings::{Effective, Key, Layer, LayerKind, Prefix, Step, read_layer};
use time::OffsetDateTime;

use crate::support::deployment::copy;
use crate::support::root;

const LIMIT: usize = 1 << 20;

/// No password, key or PIN of a test may be part of anything else, so that it can be looked for.
const SECRETS: [&str; 4] =
    ["example-only-SIP-pw", "example-only-admin-7", "example-only-digest8", "example-only-GCM-key"];

/// The phones of three makers: model, path of the profile, MAC.
const PHONES: [(&str, &str, &str); 3] = [
    ("CP-6841-3PCC", "/cisco/{mac}.xml", "000e08abcdef"),
    ("6757i", "/aastra/{mac}.cfg", "00085d1a9870"),
    ("GXP2170", "/grandstream/cfg{mac}.xml", "000b82a1b2c3"),
];

const CISCO: (&str, &str, &str) = PHONES[0];

/// The shipped packs, and no devices.
fn generation() -> Generation {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("defaults.toml"), "[provisioning]\nurl = \"https://prov.example\"\n").unwrap();
    Generation::load(&root().join("templates"), folder.path(), 1).unwrap_or_else(|problems| panic!("{problems}"))
}

/// `asking` is the listener that asks for passwords.
fn pipeline(cache: u64) -> Pipeline {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resyncd.toml");
    let listener =
        "[[listener]]\nname = \"asking\"\naddress = \"127.0.0.1:0\"\npasswords = true\nbasic_without_tls = true\n";
    std::fs::write(&file, listener).unwrap();
    let config = Config::load_with_environment(&file, Vec::<(String, String)>::new());
    let passwords = Passwords::played(&config.unwrap_or_else(|problems| panic!("{problems}")), "asking").unwrap();
    Pipeline::new(generation(), cache, Secret::new([3; 32]), LIMIT).with_passwords(passwords)
}

/// One that keeps profiles ready, and one that makes each anew.
static WARM: LazyLock<Pipeline> = LazyLock::new(|| pipeline(8 << 20));
static COLD: LazyLock<Pipeline> = LazyLock::new(|| pipeline(0));

/// One test's own: what it keeps ready, no other test's devices drive out.
static KEPT: LazyLock<Pipeline> = LazyLock::new(|| pipeline(8 << 20));

fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// A device as its record makes it, or what is wrong with the layer.
fn device((model, _, mac): (&str, &str, &str), layer: &str) -> Result<Arc<Device>, String> {
    let document = Document::from_text("device.toml", format!("model = {}\n{layer}", text(model)));
    let (_, layer) =
        read_layer(&document, LayerKind::Device, Path::new("")).map_err(|problems| problems.to_string())?;
    let model = WARM.generation().packs.model(model).unwrap();
    Ok(Arc::new(Device::of_record(None, mac.parse().unwrap(), model, None, None, layer.into())))
}

fn connection(listener: &str, peer: [u8; 4], certificate: ClientCertificate) -> Connection {
    let tls = Some(TlsSession { version: "TLSv1.3", cipher: String::new(), certificate });
    Connection { listener: Arc::from(listener), peer: (peer, 4000).into(), tls }
}

fn get<'r>(connection: &'r Connection, target: &'r str) -> Request<'r> {
    Request {
        connection,
        time: OffsetDateTime::UNIX_EPOCH,
        started: Instant::now(),
        method: "GET",
        target,
        user_agent: None,
        if_none_match: None,
        authorization: None,
        vouched: None,
    }
}

/// Answers as the server does for a device with a record.
fn answer(pipeline: &Pipeline, request: &Request<'_>, device: &Arc<Device>, token: Option<&Bearer>) -> (Answer, Event) {
    let inquiry = pipeline.ask(request);
    let known = vec![(DeviceKey::Mac(device.mac), Lookup::Record(device.clone()))];
    // As it is looked up by its digest.
    let token = token.filter(|bearer| inquiry.token == Some(Presented::Token(bearer.token.clone())));
    let token = token.map(|bearer| Known::Of(bearer.clone()));
    pipeline.answer_with(request, &inquiry, &Found { known, token, ..Found::default() }, None)
}

/// Texts as people, and those who fill in their forms, write them.
fn value() -> impl Strategy<Value = String> {
    let special: Vec<char> =
        "\n\r\t \"'&<>#=:;|%!?]\\{}$\0\u{b}\u{1e}\u{7f}\u{85}\u{a0}\u{200f}\u{2028}\u{202e}\u{feff}\u{fffe}"
            .chars()
            .collect();
    let plain = proptest::char::range('a', 'z');
    let harmful = vec(prop_oneof![2 => select(special), 3 => plain.clone(), 1 => any::<char>()], 0..12);
    let awkward = vec(prop_oneof![2 => select("\"'&<>#=:;|% !]\\{}$é".chars().collect::<Vec<_>>()), 3 => plain], 0..12);
    prop_oneof![1 => harmful, 4 => awkward].prop_map(String::from_iter)
}

/// Settings that take any text, one of each kind of place that profiles have for them.
const TEXTS: [&str; 9] = [
    "lines.1.user",
    "lines.1.display_name",
    "lines.1.label",
    "lines.1.proxy",
    "lines.2.user",
    "lines.2.auth_user",
    "keys.2.label",
    "keys.2.value",
    "syslog.server",
];

/// One parameter of each maker's own, too.
fn param_of(model: &str) -> &'static str {
    match model {
        "CP-6841-3PCC" => "Text_Logo",
        "6757i" => "time server1",
        _ => "P270",
    }
}

fn layer_of(values: &[(&str, &str)], more: &str) -> String {
    let mut layer: String = values.iter().map(|(name, value)| format!("{name} = {}\n", text(value))).collect();
    layer.push_str("lines.1.password = \"example-only-SIP-pw\"\nadmin.password = \"example-only-admin-7\"\n");
    layer.push_str("access.networks = [\"192.0.2.0/24\"]\nkeys.2.type = \"speed-dial\"\n");
    layer + more
}

/// What the maker's own phone reads from its profile: names as it compares them, and values.
fn read_by_phone(model: &str, mac: MacAddr, body: &[u8]) -> BTreeMap<String, String> {
    match model {
        "CP-6841-3PCC" => {
            let profile =
                cisco::profile::Profile::read(body, &AliasMap::default()).unwrap_or_else(|error| panic!("{error}"));
            let count = profile.settings.len();
            let settings = profile.settings.into_iter();
            let read: BTreeMap<_, _> =
                settings.map(|setting| (setting.name, setting.value.unwrap_or_default())).collect();
            assert_eq!(read.len(), count, "a parameter stands twice");
            read
        }
        "6757i" => {
            let profile = aastra::read(body, true).unwrap();
            assert_eq!(profile.passed_over, [], "{}", String::from_utf8_lossy(body));
            profile.parameters.into_iter().map(|(name, parameter)| (name, parameter.value)).collect()
        }
        _ => {
            let profile = grandstream::read_xml(body, mac).unwrap();
            assert_eq!(profile.passed_over, []);
            profile.parameters.into_iter().collect()
        }
    }
}

fn as_the_phone_compares(model: &str, name: &str) -> String {
    if model == "6757i" { aastra_name(name) } else { name.to_owned() }
}

fn aastra_name(name: &str) -> String {
    name.trim_start_matches(['!', '^']).to_lowercase()
}

/// No secret shows itself where something is told: in the event, in the device and its settings, in the pipeline.
fn assert_untold(pipeline: &Pipeline, device: &Device, event: &Event) {
    let settings = pipeline.generation().settings(device);
    for told in [format!("{event:?}"), format!("{device:?}"), format!("{settings:?}")] {
        for secret in SECRETS {
            assert!(!told.contains(secret), "{secret} is told: {told}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever its settings are, a phone reads from its profile what they come to, or gets none, and is not told a part.
    #[test]
    fn a_profile_reads_back_or_is_refused(
        (phone, values, of_param) in (select(&PHONES[..]), vec(option::weighted(0.5, value()), TEXTS.len()), option::of(value())),
    ) {
        let (model, path, mac) = phone;
        let param = format!("params.\"{}\"", param_of(model));
        let mut set: Vec<_> = TEXTS.iter().zip(&values).filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        set.extend(of_param.as_deref().map(|value| (param.as_str(), value)));
        let device = match device(phone, &layer_of(&set, "")) {
            Ok(device) => device,
            Err(problems) => {
                // Quotes stand around names with a blank in them.
                let bare = |text: &str| text.replace('"', "");
                let names = |line: &str| set.iter().any(|(name, _)| bare(line).contains(&bare(name)));
                prop_assert!(problems.lines().filter(|line| line.contains("device.toml:")).all(names), "{problems}");
                return Ok(());
            }
        };
        let (connection, target) = (connection("plain", [192, 0, 2, 7], ClientCertificate::None), path.replace("{mac}", mac));
        let (answer, event) = answer(&WARM, &get(&connection, &target), &device, None);
        assert_untold(&WARM, &device, &event);
        if answer.status != 200 {
            prop_assert_eq!((answer.status, answer.body.len()), (500, 0));
            let reason = event.reason.unwrap();
            prop_assert!(set.iter().any(|(name, _)| reason.contains(&name.replace('"', "")) || reason.contains(param_of(model))), "{}", reason);
            return Ok(());
        }
        let generation = WARM.generation();
        let pack = generation.packs.get(device.model.pack).unwrap();
        let settings = generation.settings(&device);
        let rendered = generation.render(&device, pack.file("profile").unwrap(), &settings, Shown::Real, LIMIT).unwrap();
        let expected: BTreeMap<_, _> = rendered
            .parameters
            .iter()
            .map(|parameter| (as_the_phone_compares(model, &parameter.name), parameter.value.clone()))
            .collect();
        // Phones take the blanks around a value away.
        let trimmed = |values: BTreeMap<String, String>| -> BTreeMap<String, String> {
            values.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect()
        };
        let read = trimmed(read_by_phone(model, device.mac, &answer.body));
        prop_assert_eq!(&read, &trimmed(expected));
        if let Some(value) = &of_param {
            prop_assert_eq!(&read[&as_the_phone_compares(model, param_of(model))], value.trim());
        }
    }

    /// However a profile is packed, the phone unpacks what would have come plain; asked again it gets the same bytes, and by
    /// HEAD the same but for them.
    #[test]
    fn a_profile_comes_through_its_delivery(
        name in "[a-z <&]{0,20}",
        gzip: bool,
        encryption in select(vec!["none", "md5", "sha256", "pbkdf2", "aes128gcm"]),
        (iterations, record_size) in (1..200_u32, 18..5000_u32),
        key_id in "[a-z]{0,10}",
    ) {
        let cbc = |digest: &str| format!("encryption = \"aes-256-cbc\"\ndigest = \"{digest}\"\niterations = {iterations}\n");
        let encrypted = match encryption {
            "none" => String::new(),
            "aes128gcm" => format!("encryption = \"aes128gcm\"\nrecord_size = {record_size}\nkey_id = \"{key_id}\"\n"),
            digest => cbc(digest),
        };
        let delivery = format!("[delivery]\ngzip = {gzip}\nkey = \"example-only-GCM-key\"\n{encrypted}");
        let values = [("lines.1.display_name", name.as_str())];
        let device = match device(CISCO, &layer_of(&values, &delivery)) {
            Ok(device) => device,
            // Bounds of iterations and record sizes are the schema's.
            Err(problems) => { prop_assert!(problems.contains("delivery."), "{problems}"); return Ok(()) }
        };
        let connection = connection("plain", [192, 0, 2, 7], ClientCertificate::None);
        let request = get(&connection, "/cisco/000e08abcdef.xml");
        let (first, event) = answer(&KEPT, &request, &device, None);
        prop_assert_eq!(first.status, 200, "{:?}", event.reason);
        assert_untold(&KEPT, &device, &event);
        prop_assert_eq!(&answer(&KEPT, &request, &device, None).0, &first);
        let head = answer(&KEPT, &Request { method: "HEAD", ..request.clone() }, &device, None).0;
        prop_assert_eq!(head, Answer { body: Default::default(), brings_token: false, ..first.clone() });
        let if_none_match = first.etag.as_deref();
        let unchanged = answer(&COLD, &Request { if_none_match, ..request.clone() }, &device, None).0;
        prop_assert_eq!((unchanged.status, unchanged.body.len(), &unchanged.etag), (304, 0, &first.etag));

        // Made anew it has another salt, and all else is the same.
        let anew = answer(&COLD, &request, &device, None).0;
        prop_assert_eq!(encryption == "none", anew.body == first.body);
        prop_assert_eq!(&Answer { body: first.body.clone(), ..anew.clone() }, &first);
        let generation = KEPT.generation();
        let file = generation.packs.get(device.model.pack).unwrap().file("profile").unwrap();
        let plain = generation.render(&device, file, &generation.settings(&device), Shown::Real, LIMIT).unwrap().body;
        let key = Secret::new("example-only-GCM-key");
        for body in [first.body, anew.body] {
            let opened = match encryption {
                "none" => body.to_vec(),
                "md5" => decrypt_aes_256_cbc(&body, &key, KeyDigest::Md5).unwrap(),
                "sha256" => decrypt_aes_256_cbc(&body, &key, KeyDigest::Sha256).unwrap(),
                "pbkdf2" => decrypt_aes_256_cbc(&body, &key, KeyDigest::Pbkdf2 { iterations }).unwrap(),
                _ => decrypt_aes128gcm(&body, &key).unwrap(),
            };
            prop_assert_eq!(is_gzip(&opened), gzip);
            prop_assert_eq!(if gzip { gunzip(&opened, LIMIT).unwrap() } else { opened }, plain.clone());
        }
    }
}

/// Whose a proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Nobodys,
    Own,
    Anothers,
    /// It says whose it is, and nothing speaks for that.
    Forged,
}

fn whose() -> impl Strategy<Value = Whose> {
    select(vec![Whose::Nobodys, Whose::Nobodys, Whose::Own, Whose::Anothers, Whose::Forged])
}

/// What opens the device's files.
#[derive(Debug, Clone, Copy)]
struct Opens {
    certificate: bool,
    password: bool,
    token: bool,
    encrypted: bool,
    networks: bool,
}

/// What a request shows.
#[derive(Debug, Clone)]
struct Shows {
    certificate: Whose,
    /// The token that may stand in its target.
    token: Whose,
    is_bootstrap: bool,
    password: Whose,
    /// Whether it comes from the device's network.
    inside: bool,
    listener: &'static str,
}

const UNKNOWN: &str = "000e08c0ffee";
const OTHER: &str = "000e08000001";

/// What requests may name: paths of the packs, and what is nearly one.
const TARGETS: [&str; 20] = [
    "/cisco/{mac}.xml",
    "/cisco/{mac}.xml",
    "/cisco/{mac}.cfg",
    "/cisco/init/{mac}.xml",
    "/cisco/init/{mac}.xml",
    "/%63isco/{mac}.xml?x=/t/1",
    "/t/{token}/cisco/{mac}.xml",
    "/t/{token}/cisco/{mac}.xml",
    "/t/{token}/cisco/init/{mac}.xml",
    "/t/{token}/cisco/report",
    "/t/{token}",
    "/prov/t/{token}/cisco/{mac}.xml",
    "/cisco/x/../{mac}.xml",
    "/cisco/report/{mac}.xml",
    "/cisco/report",
    "/cisco/prt/{mac}/a.tar.gz",
    "/aastra/{mac}.cfg",
    "/cfg{mac}.xml",
    "/6841-3PCC.xml",
    "/cisco-init/ABCD-0123-EFGH-4567",
];

fn opens() -> impl Strategy<Value = Opens> {
    any::<(bool, bool, bool, bool, bool)>().prop_map(|(certificate, password, token, encrypted, networks)| Opens {
        certificate,
        password,
        token,
        encrypted,
        networks,
    })
}

fn shows() -> impl Strategy<Value = Shows> {
    let whose = (whose(), whose(), whose());
    (whose, any::<bool>(), proptest::bool::weighted(0.2), select(vec!["plain", "asking"])).prop_map(
        |((certificate, token, password), is_bootstrap, inside, listener)| Shows {
            certificate,
            token,
            is_bootstrap,
            password,
            inside,
            listener,
        },
    )
}

impl Opens {
    fn layer(&self) -> String {
        let Self { certificate, password, token, encrypted, networks } = self;
        let networks = if *networks { "[\"192.0.2.0/24\"]" } else { "[]" };
        format!(
            "[lines.1]\nuser = \"1001\"\npassword = \"example-only-SIP-pw\"\n\
             [credentials]\nuser = \"phone\"\npassword = \"example-only-digest8\"\n\
             [delivery]\nencryption = \"aes-256-cbc\"\nkey = \"example-only-GCM-key\"\n\
             [access]\ncertificate = {certificate}\npassword = {password}\ntoken = {token}\nencrypted = {encrypted}\n\
             networks = {networks}\n"
        )
    }

    /// Whether who shows this is the device's phone, or may pass for it, at this path. Told here once more, and from what the
    /// documentation says of `[access]`.
    fn proves(&self, shows: &Shows, target: &str, token: &str) -> bool {
        let has_token = target.strip_prefix(token).is_some_and(|file| file.starts_with('/'));
        if shows.certificate == Whose::Anothers || (has_token && shows.token == Whose::Anothers) {
            return false;
        }
        let by_token = has_token && shows.token == Whose::Own && (!shows.is_bootstrap || target.contains("/init/"));
        (self.certificate && shows.certificate == Whose::Own)
            || (self.password && shows.listener == "asking" && shows.password == Whose::Own)
            || (self.token && by_token)
            || (self.networks && shows.inside)
    }
}

impl Shows {
    fn connection(&self) -> Connection {
        let subject = |mac: &str| format!("OU=CP-6841-3PCC, L=88012BA01234, ST={mac}").parse().unwrap();
        let certificate = match self.certificate {
            Whose::Nobodys => ClientCertificate::None,
            Whose::Own => ClientCertificate::verified(subject(CISCO.2)),
            Whose::Anothers => ClientCertificate::verified(subject(OTHER)),
            Whose::Forged => {
                ClientCertificate::Unverified { subject: subject(CISCO.2), reason: "unable to verify".to_owned() }
            }
        };
        connection(self.listener, if self.inside { [192, 0, 2, 7] } else { [198, 51, 100, 7] }, certificate)
    }

    fn authorization(&self) -> Option<Secret> {
        // phone:example-only-digest8, other:example-only-digest9, and an empty password.
        match self.password {
            Whose::Nobodys => None,
            Whose::Own => Some(Secret::new("Basic cGhvbmU6ZXhhbXBsZS1vbmx5LWRpZ2VzdDg=")),
            Whose::Anothers => Some(Secret::new("Basic b3RoZXI6ZXhhbXBsZS1vbmx5LWRpZ2VzdDk=")),
            Whose::Forged => Some(Secret::new("Basic cGhvbmU6")),
        }
    }

    fn bearer(&self, token: UrlToken) -> Option<Bearer> {
        let mac = match self.token {
            Whose::Nobodys | Whose::Forged => return None,
            Whose::Own => CISCO.2,
            Whose::Anothers => OTHER,
        };
        let is_bootstrap = self.is_bootstrap;
        Some(Bearer { mac: mac.parse().unwrap(), token, is_bootstrap, is_new: false, next: None })
    }
}

/// Without what is another one each time.
fn without_nonces(mut answer: Answer) -> Answer {
    for challenge in &mut answer.challenges {
        if let Some((before, after)) = challenge.split_once("nonce=\"") {
            *challenge = format!("{before}{}", after.split_once('"').unwrap().1);
        }
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing of a device comes to anyone without one of the proofs that open it, and without one a device that there is
    /// is answered for as one that there isn't.
    #[test]
    fn without_proof_a_device_is_as_good_as_none(
        (opens, shows) in (opens(), shows()),
        method in select(vec!["GET", "GET", "GET", "HEAD", "PUT", "POST", "DELETE", "get", "BREW"]),
        pattern in select(&TARGETS[..]),
        odd in option::weighted(0.2, (any::<Index>(), any::<char>())),
        user_agent in option::of(select(vec!["Cisco-CP-6841-3PCC/11.2.4 (000e08abcdef)", "Cisco-CP-6841-3PCC/11.2.4 (000e08000001)", "x", ""])),
        if_none_match in option::weighted(0.2, select(vec!["*", "\"a\"", "W/\"a\", *", ""])),
    ) {
        let mut pattern = pattern.to_owned();
        if let Some((place, odd)) = odd {
            let places: Vec<usize> = pattern.char_indices().map(|(at, _)| at).collect();
            pattern.insert(places[place.index(places.len())], odd);
        }
        let token = UrlToken::generate().unwrap();
        let token_text = token.url("");
        let pattern = pattern.replace("{token}", token_text.strip_prefix("/t/").unwrap());
        let bearer = shows.bearer(token);
        let device = device(CISCO, &opens.layer()).unwrap();
        let (connection, authorization) = (shows.connection(), shows.authorization());
        let (known, unknown) = (pattern.replace("{mac}", CISCO.2), pattern.replace("{mac}", UNKNOWN));
        let authorization = authorization.as_ref();
        let request = |target| Request { method, user_agent, if_none_match, authorization, ..get(&connection, target) };
        let of_known = answer(&WARM, &request(&known), &device, bearer.as_ref());
        let of_unknown = answer(&WARM, &request(&unknown), &device, bearer.as_ref());
        let proves = opens.proves(&shows, &known, &token_text);
        for (answer, event) in [&of_known, &of_unknown] {
            assert_untold(&WARM, &device, event);
            let told = format!("{event:?}");
            // One that stands behind something else than /t/ is no token of ours.
            prop_assert!(!(pattern.contains("/t/") && told.contains(&token_text[3..])), "the token is told: {told}");
            prop_assert!(matches!(answer.status, 200 | 304 | 401 | 404 | 405), "{}", answer.status);
            prop_assert!(answer.status == 200 || (answer.body.is_empty() && answer.length == 0));
            let has = |secret: &str| answer.body.windows(secret.len()).any(|window| window == secret.as_bytes());
            if SECRETS.iter().any(|secret| has(secret)) {
                prop_assert!(proves, "a secret is given away");
            }
            if matches!(answer.status, 200 | 304) && event.device.is_some() && !proves {
                prop_assert!(opens.encrypted && !matches!(shows.certificate, Whose::Anothers), "it is opened by nothing");
                prop_assert!(answer.body.is_empty() || answer.body.starts_with(b"Salted__"));
            }
        }
        if proves {
            if (method, &*pattern) == ("GET", "/cisco/{mac}.xml") {
                prop_assert!(matches!(of_known.0.status, 200 | 304), "{:?}", of_known.1.reason);
            }
        } else if !(opens.encrypted && of_known.1.device.is_some() && matches!(of_known.0.status, 200 | 304)) {
            prop_assert_eq!(without_nonces(of_known.0), without_nonces(of_unknown.0));
        }
    }
}

/// Settings of a layer that may stand in each other's way, and what may be taken away of them.
const KEYS: [&str; 8] = [
    "lines.1.user",
    "lines.1.proxy",
    "lines.2.user",
    "lines.21.user",
    "syslog.server",
    "params.Own_1",
    "vars.site.floor",
    "vars.site_b",
];
const PREFIXES: [&str; 9] =
    ["lines", "lines.1", "lines.2", "lines.2.user", "syslog", "syslog.server", "params.Own_1", "vars.site", "vars"];

#[derive(Debug, Clone)]
struct Written {
    set: BTreeMap<&'static str, String>,
    unset: Vec<&'static str>,
}

fn written() -> impl Strategy<Value = Written> {
    let set = proptest::collection::btree_map(select(&KEYS[..]), "[a-z]{1,3}", 0..6);
    (set, vec(select(&PREFIXES[..]), 0..2)).prop_map(|(set, unset)| Written { set, unset })
}

impl Written {
    fn text(&self) -> String {
        let unset: Vec<String> = self.unset.iter().map(|prefix| text(prefix)).collect();
        let mut layer = format!("unset = [{}]\n", unset.join(", "));
        self.set.iter().for_each(|(key, value)| layer.push_str(&format!("{key} = {}\n", text(value))));
        layer
    }

    fn layer(&self, name: &str) -> Layer {
        let document = Document::from_text(name, self.text());
        read_layer(&document, LayerKind::Defaults, Path::new("")).unwrap_or_else(|problems| panic!("{problems}")).1
    }
}

/// What holds after these layers, weakest first: by dotted name the value, and which layer's it is.
fn merged<'w>(layers: impl IntoIterator<Item = &'w Written>) -> BTreeMap<String, (String, usize)> {
    let mut holds = BTreeMap::new();
    for (place, layer) in layers.into_iter().enumerate() {
        holds.retain(|key: &String, _| {
            !layer.unset.iter().any(|prefix| key == prefix || key.starts_with(&format!("{prefix}.")))
        });
        holds.extend(layer.set.iter().map(|(key, value)| ((*key).to_owned(), (value.clone(), place))));
    }
    holds
}

/// The line of a layer's text that sets this.
fn line_of(text: &str, key: &str) -> u32 {
    let line = text.lines().position(|line| line.starts_with(&format!("{key} = "))).unwrap();
    u32::try_from(line + 1).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The stronger layer wins, `unset` takes away what is weaker and nothing else, and each value is known to be its
    /// layer's; in whatever groups the layers are merged.
    #[test]
    fn layers_merge_as_they_stand(written in vec(written(), 0..6), cut: Index) {
        let layers: Vec<Layer> =
            written.iter().enumerate().map(|(place, written)| written.layer(&format!("{place}.toml"))).collect();
        let effective = Effective::merge(&layers);
        let expected = merged(&written);
        let found: BTreeMap<String, (String, usize)> = effective
            .iter()
            .map(|(key, setting)| {
                let place: usize = setting.origin.source.file_stem().unwrap().to_str().unwrap().parse().unwrap();
                assert_eq!(setting.origin.line, line_of(&written[place].text(), &key.to_string()));
                (key.to_string(), (effective.text(&key.to_string()).unwrap().to_owned(), place))
            })
            .collect();
        prop_assert_eq!(found, expected);
        let mut in_two = Effective::merge(&layers[..cut.index(layers.len() + 1)]);
        layers[cut.index(layers.len() + 1)..].iter().for_each(|layer| in_two.apply(layer));
        prop_assert!(in_two.iter().eq(effective.iter()));
        prop_assert_eq!(in_two.fingerprint(), effective.fingerprint());
        for key in KEYS.map(|key| Key::parse(key).unwrap()) {
            let steps = resyncd::settings::trace(&layers, &key);
            match (effective.get(&key), steps.last()) {
                (Some(holds), Some(Step::Set(last))) => prop_assert_eq!(holds, last),
                (None, None | Some(Step::Unset(..))) => {}
                (holds, last) => prop_assert!(false, "{:?} holds, {:?} was the last step", holds, last),
            }
        }
        for prefix in PREFIXES {
            prop_assert!(Prefix::parse(prefix).is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same from files: a device has its layers in their order, and whatever is told of a setting names a line of a file
    /// that is there and has it.
    #[test]
    fn provenance_names_lines_that_are_there(written in vec(written(), 5)) {
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("tests/golden/tiny"), folder.path());
        let profiles = folder.path().join("profiles");
        let heads = ["", "", "", "parent = \"acme\"\n", "model = \"T-1\"\ngroup = \"acme-hq\"\n"];
        let files = ["defaults.toml", "models/T-1.toml", "groups/acme.toml", "groups/acme-hq.toml", "devices/000000000001.toml"];
        for ((file, head), written) in files.iter().zip(heads).zip(&written) {
            let path = profiles.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{head}{}", written.text())).unwrap();
        }
        let generation = Generation::load(&folder.path().join("templates"), &profiles, 1)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let device = generation.profiles.device("000000000001".parse().unwrap()).unwrap();
        let settings = generation.settings(device);
        let expected = merged(&written);
        let found: BTreeMap<_, _> = settings.iter().map(|(key, _)| (key.to_string(), settings.text(&key.to_string()))).collect();
        let values = expected.iter().map(|(key, (value, _))| (key.clone(), Some(value.as_str())));
        prop_assert_eq!(found, values.collect::<BTreeMap<_, _>>());
        let provenance = Provenance::new(&generation, device).unwrap();
        for Explained { key, steps, .. } in provenance.all() {
            for step in steps {
                let (origin, has) = match step {
                    Step::Set(setting) => (setting.origin, format!("{key} = ")),
                    Step::Unset(origin, prefix) => (origin, format!("\"{prefix}\"")),
                };
                let file = std::fs::read_to_string(&origin.source).unwrap();
                let line = file.lines().nth(usize::try_from(origin.line).unwrap() - 1).unwrap();
                prop_assert!(line.contains(&has), "{origin}: {line} has no {has}");
            }
        }
    }
}
