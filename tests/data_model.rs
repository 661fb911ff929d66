//! The packs' data models against the tables of the makers' guides, and what the samples' settings come to in them.
//!
//! `tests/golden/tr069/guides/` has the tables as data; `tests/golden/tr069/desired/` what each sample device should hold, and
//! `parameters/` every parameter that a pack knows. `RESYNCD_BLESS=1 cargo test data_model` writes the last two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use resyncd::document::Document;
use resyncd::model::MacAddr;
use resyncd::packs::data_model::{Access, Content, DataModel, Identity, Notification, Retry, Rpc, xml};
use resyncd::packs::{ModelId, Pack, Packs, Type};
use resyncd::render::{Desired, DeviceFacts, Engine, Shown, Wanting};
use resyncd::settings::{Effective, LayerKind, read_layer};

use crate::support::deployment::copy;
use crate::support::{is_blessing, resyncd, root, run};

fn packs() -> Packs {
    Packs::load(&root().join("templates"), &root().join("no-profiles")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn golden(path: &str) -> PathBuf {
    root().join("tests/golden/tr069").join(path)
}

/// The rows of a guide's table; none where there is no such table.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(golden("guides").join(name)).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn stands(path: &Path, text: &str) {
    if is_blessing() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text == expected, "{} is otherwise now; RESYNCD_BLESS=1 cargo test data_model writes it", path.display());
}

fn data_model<'p>(packs: &'p Packs, pack: &str) -> (&'p Pack, &'p DataModel) {
    let pack = packs.named(pack).unwrap();
    (pack, pack.data_model.as_ref().unwrap())
}

fn range(min: Option<i64>, max: Option<i64>) -> String {
    match (min, max) {
        (None, None) => "-".to_owned(),
        (Some(min), None) => format!("{min}-"),
        (min, Some(max)) => format!("{}-{max}", min.unwrap_or_default()),
    }
}

#[test]
fn aastras_appendix_c_is_the_data_model_row_by_row() {
    let packs = packs();
    let (_, data_model) = data_model(&packs, "aastra");
    let rows = table("aastra-parameters.tsv");
    assert_eq!(rows.len(), 175);
    let listed: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let known: BTreeSet<&str> = data_model.parameters().map(|parameter| &*parameter.path).collect();
    assert_eq!(known, listed);
    for row in &rows {
        let parameter = data_model.parameters().find(|parameter| *parameter.path == *row[0]).unwrap();
        let access = if parameter.access.is_writable() { "R/W" } else { "R" };
        let size = parameter.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        let told = [access, parameter.kind.word(), &size, &range(parameter.min, parameter.max)].map(str::to_owned);
        assert_eq!(told[..], row[1..], "{}", row[0]);
    }
}

#[test]
fn each_familys_parameters_stand_as_they_are_told() {
    for pack in packs().iter() {
        let Some(data_model) = &pack.data_model else { continue };
        let mut told = String::new();
        for parameter in data_model.parameters() {
            let size = parameter.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
            told += &[
                &*parameter.path,
                parameter.access.word(),
                parameter.kind.word(),
                &size,
                &range(parameter.min, parameter.max),
            ]
            .join("\t");
            told.push('\n');
        }
        stands(&golden("parameters").join(format!("{}.tsv", pack.name)), &told);
    }
}

#[test]
fn each_guides_procedures_are_those_of_its_pack() {
    let packs = packs();
    for pack in ["aastra", "grandstream", "cisco-mpp", "cisco-spa"] {
        let (_, data_model) = data_model(&packs, pack);
        let rows = table(&format!("{pack}-rpc.tsv"));
        assert!(rows.len() > 10, "{pack}");
        for row in &rows {
            let rpc: Rpc = row[0].parse().unwrap();
            assert_eq!(data_model.rpc.has(rpc), row[1] == "yes", "{pack}: {}", row[0]);
        }
        let listed = rows.iter().filter(|row| row[1] == "yes").count();
        assert_eq!(data_model.rpc.to_phone.len(), listed, "{pack}");
    }
}

#[test]
fn each_guides_settings_are_parameters_that_the_acs_section_makes() {
    let packs = packs();
    for name in ["aastra", "grandstream", "cisco-mpp", "cisco-spa"] {
        let pack = packs.named(name).unwrap();
        let rows = table(&format!("{name}-settings.tsv"));
        assert!(!rows.is_empty());
        for row in rows {
            let parameter = pack.parameters.get(&row[0]).unwrap_or_else(|| panic!("{name}: {}", row[0]));
            let kind = match row[1].as_str() {
                "bool" => Type::Bool,
                "url" => Type::Url,
                "port" => Type::Port,
                "unsigned" => Type::Unsigned,
                _ => Type::Text,
            };
            assert_eq!(parameter.kind, kind, "{name}: {}", row[0]);
            let expressions = pack.mappings.values().flat_map(|mapping| mapping.families());
            let made = expressions
                .flat_map(|(_, found)| found.iter())
                .any(|entry| *entry.pattern == *row[0] && entry.reads.iter().any(|read| read.starts_with("acs.")));
            assert!(made, "{name}: no setting of [acs] makes {}", row[0]);
        }
    }
}

#[test]
fn phones_are_known_by_oui_and_product_class() {
    let packs = packs();
    for row in table("aastra-models.tsv") {
        let (pack, model) = packs.identify_cpe(&row[1], &row[2]).unwrap_or_else(|| panic!("{row:?}"));
        let (pack, model) = (packs.get(pack).unwrap(), packs.pack_and_model(model.unwrap()).unwrap().1);
        assert_eq!((pack.name.as_str(), &*model.name), ("aastra", row[0].as_str()));
    }
    let name = |oui: &str, class: &str| {
        let (pack, model) = packs.identify_cpe(oui, class)?;
        let model = model.and_then(|model| packs.pack_and_model(model)).map(|(_, model)| model.name.to_string());
        Some((packs.get(pack)?.name.clone(), model))
    };
    assert_eq!(name("000b82", "gxp2170"), Some(("grandstream".to_owned(), Some("GXP2170".to_owned()))));
    assert_eq!(name("000B82", "Whatever"), Some(("grandstream".to_owned(), None)));
    assert_eq!(name("FFFFFF", "CP-8841-3PCC"), Some(("cisco-mpp".to_owned(), Some("CP-8841-3PCC".to_owned()))));
    assert_eq!(name("FFFFFF", "GXP2170"), None);
    assert_eq!(name("FFFFFF", ""), None);
}

#[test]
fn what_the_guides_say_of_the_families_is_data() {
    let packs = packs();
    let (_, aastra) = data_model(&packs, "aastra");
    let quirks = aastra.quirks(None);
    assert_eq!((quirks.identity, quirks.retry), (Identity::Mac, Retry::Constant));
    let names =
        |types: &[resyncd::packs::data_model::FileType]| types.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(aastra.files.upload_of(Content::Configuration).unwrap().name, "1 Vendor Configuration File");
    assert_eq!(
        aastra.files.upload_of(Content::ServerConfiguration).unwrap().name,
        "X_Aastra Server Configuration File"
    );
    assert_eq!(aastra.files.upload_of(Content::Log).unwrap().upload.as_deref(), Some("crash"));
    assert_eq!(aastra.files.download_of(Content::Firmware).unwrap().name, "1 Firmware Upgrade Image");
    // Notifications are for the few parameters that the guide lists.
    let line = "Device.Services.VoiceService.1.VoiceProfile.2.Line.1.SIP.AuthUserName";
    assert!(aastra.is_notifiable(line, None) && !aastra.is_notifiable("Device.LAN.DNSServers", None));
    assert_eq!(aastra.get(&line.replace("UserName", "Password")).unwrap().access, Access::WriteOnly);

    let (pack, grandstream) = data_model(&packs, "grandstream");
    assert_eq!(names(&grandstream.files.download), ["1 Firmware Upgrade Image", "3 Vendor Configuration File"]);
    assert_eq!(names(&grandstream.files.upload), ["3 Vendor Configuration File"]);
    assert!(grandstream.quirks(None).keeps_acs_on_reset && grandstream.quirks(None).get_batch.is_some());
    for path in [
        "Device.LAN.IPPingDiagnostics.Host",
        "Device.LAN.TraceRouteDiagnostics.Host",
        "Device.DownloadDiagnostics.DownloadURL",
        "Device.UploadDiagnostics.UploadURL",
    ] {
        assert!(grandstream.get(path).is_some_and(|parameter| parameter.access == Access::ReadWrite), "{path}");
    }
    let at = |name: &str| pack.models.list.iter().position(|model| model.is_called(name)).unwrap();
    assert!(grandstream.is_for(at("GXP2140")) && !grandstream.is_for(at("GXP2000")));

    let (_, cisco) = data_model(&packs, "cisco-mpp");
    let contents: Vec<_> = cisco.files.download.iter().map(|one| one.content).collect();
    assert_eq!(contents, [Content::Firmware, Content::Configuration, Content::TrustedCertificates]);
    assert_eq!(cisco.rpc.events.len(), 8);
}

/// A device of a pack's samples.
struct Sample {
    pack: usize,
    name: String,
    model: usize,
    facts: DeviceFacts,
    settings: Effective,
}

fn samples(packs: &Packs) -> Vec<Sample> {
    let mut found = Vec::new();
    for (index, pack) in packs.iter().enumerate() {
        let folders = std::fs::read_dir(pack.folder.join("samples")).unwrap();
        let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        for folder in folders {
            let document = Document::read(&folder.join("device.toml")).unwrap();
            let (head, layer) =
                read_layer(&document, LayerKind::Sample, &folder).unwrap_or_else(|problems| panic!("{problems}"));
            let facts = DeviceFacts {
                mac: head.mac.unwrap().0.parse::<MacAddr>().unwrap(),
                serial: head.serial.map(|(serial, _)| serial.parse().unwrap()),
                group: None,
            };
            found.push(Sample {
                pack: index,
                name: folder.file_name().unwrap().to_string_lossy().into_owned(),
                model: packs.model(&head.model.unwrap().0).unwrap().model,
                facts,
                settings: Effective::merge([&pack.defaults, &layer]),
            });
        }
    }
    found
}

fn desired(packs: &Packs, engine: &Engine, sample: &Sample, shown: Shown) -> Option<Desired> {
    let (pack, model) = packs.pack_and_model(ModelId { pack: sample.pack, model: sample.model }).unwrap();
    let wanting = Wanting {
        pack,
        model_index: sample.model,
        model,
        device: &sample.facts,
        settings: &sample.settings,
        shown,
        limit: (1 << 20).into(),
    };
    engine.desired(&wanting).unwrap_or_else(|error| panic!("{}: {error}", sample.name))
}

#[test]
fn every_samples_settings_come_to_parameters_that_its_phone_takes() {
    let packs = packs();
    let engines: Vec<Engine> = packs.iter().map(|pack| Engine::new(pack).unwrap()).collect();
    for sample in samples(&packs) {
        let Some(made) = desired(&packs, &engines[sample.pack], &sample, Shown::Real) else { continue };
        let pack = packs.get(sample.pack).unwrap();
        let (model, data_model) = (&pack.models.list[sample.model], pack.data_model.as_ref().unwrap());
        let mut told = String::new();
        for parameter in &made.parameters {
            data_model.check(&parameter.path, parameter.value.expose(), model).unwrap();
            let from = match &parameter.from.key {
                Some(key) => key.to_string(),
                None => "tr069.toml".to_owned(),
            };
            let notification = parameter.notification.map(|one| format!(" [{}]", one.word())).unwrap_or_default();
            told += &format!("{}{notification} = {} <- {from}\n", parameter.path, parameter.value);
        }
        for (path, notification, _) in &made.notifications {
            told += &format!("{path} [{}]\n", notification.word());
        }
        for refused in &made.refused {
            told += &format!("refused: {} {}\n", refused.path, refused.why);
        }
        assert!(!told.contains("not-a-real"), "{}: shows a secret\n{told}", sample.name);
        assert!(!format!("{made:?}").contains("not-a-real"), "{}: shows a secret when debugged", sample.name);
        stands(&golden("desired").join(&pack.name).join(format!("{}.txt", sample.name)), &told);
        // Masked, the same parameters are there, and no secret is even fetched.
        let masked = desired(&packs, &engines[sample.pack], &sample, Shown::Masked).unwrap();
        let paths = |made: &Desired| made.parameters.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&made), paths(&masked), "{}", sample.name);
        assert!(masked.parameters.iter().all(|one| !one.value.expose().contains("not-a-real")));
    }
}

#[test]
fn phones_inform_each_at_a_time_of_its_own_that_stays() {
    let packs = packs();
    let aastra = packs.iter().position(|pack| pack.name == "aastra").unwrap();
    let engine = Engine::new(packs.get(aastra).unwrap()).unwrap();
    let mut sample = samples(&packs).into_iter().find(|sample| sample.name == "6757i").unwrap();
    let mut times = BTreeMap::<String, usize>::new();
    for n in 0..200_u32 {
        sample.facts.mac = format!("00085d{n:06x}").parse().unwrap();
        let time = || {
            let made = desired(&packs, &engine, &sample, Shown::Masked).unwrap();
            let mut parameters = made.parameters.into_iter();
            let time = parameters.find(|one| &*one.path == "Device.ManagementServer.PeriodicInformTime").unwrap();
            time.value.expose().to_owned()
        };
        let first = time();
        assert_eq!(first, time());
        assert!(first.starts_with("1970-01-01T00:") && !first.ends_with('Z'), "{first}");
        // By sixths of the hour.
        *times.entry(first[14..15].to_owned()).or_default() += 1;
    }
    assert_eq!(times.len(), 6, "{times:?}");
    assert!(times.values().all(|count| (10..70).contains(count)), "{times:?}");
}

#[test]
fn notifications_go_from_objects_to_parameters() {
    let packs = packs();
    let at = packs.iter().position(|pack| pack.name == "grandstream").unwrap();
    let engine = Engine::new(packs.get(at).unwrap()).unwrap();
    let sample = samples(&packs).into_iter().find(|sample| sample.name == "gxp2170").unwrap();
    let made = desired(&packs, &engine, &sample, Shown::Masked).unwrap();
    let of = |path: &str| {
        let path = format!("Device.Services.VoiceService.1.VoiceProfile.{path}");
        made.parameters.iter().find(|one| *one.path == *path).unwrap_or_else(|| panic!("{path}")).notification
    };
    assert_eq!(of("1.SIP.ProxyServer"), Some(Notification::Passive));
    assert_eq!(of("1.Line.1.Enable"), Some(Notification::Active));
    assert_eq!(of("2.Line.1.Enable"), None);
    assert_eq!(made.notifications.len(), 2);
}

/// A deployment with one Aastra phone.
fn deployment(device: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("tests/golden/lint-base"), folder.path());
    std::fs::create_dir_all(folder.path().join("templates")).unwrap();
    let aastra = root().join("templates/aastra");
    std::os::unix::fs::symlink(aastra, folder.path().join("templates/aastra")).unwrap();
    let devices = folder.path().join("profiles/devices");
    std::fs::create_dir_all(&devices).unwrap();
    std::fs::write(devices.join("00085d000001.toml"), device).unwrap();
    folder
}

fn command(folder: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(resyncd().current_dir(folder.path()).args(arguments));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn render_shows_what_an_acs_would_set_and_secrets_only_when_asked() {
    let folder = deployment(
        "model = \"6757i\"\n[lines.1]\nuser = \"1001\"\npassword = \"secret-sip\"\nproxy = \"sip.example.com:5070\"\n\
         [acs]\nurl = \"https://acs.example.com/\"\n[acs.params]\n\"Device.LAN.DNSServers\" = \"192.0.2.1\"\n\
         [acs.notifications]\n\"Device.LAN.IPAddress\" = \"active\"\n",
    );
    let (code, table, talk) = command(&folder, &["render", "00:08:5D:00:00:01", "--acs"]);
    assert_eq!((code, talk.as_str()), (Some(0), ""), "{table}");
    let line = |path: &str| {
        let line = table
            .lines()
            .find(|line| line.starts_with(&format!("{path} ")))
            .unwrap_or_else(|| panic!("{path}: {table}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let profile = "Device.Services.VoiceService.1.VoiceProfile.1.";
    assert_eq!(line(&format!("{profile}SIP.ProxyServerPort"))[1..4], ["int", "5070", "-"]);
    let password = line(&format!("{profile}Line.1.SIP.AuthPassword"));
    assert_eq!(password[2..], ["***", "-", "lines.1.password", "(profiles/devices/00085d000001.toml:4)"]);
    assert_eq!(line("Device.LAN.DNSServers")[2..5], ["192.0.2.1", "-", "acs.params.Device.LAN.DNSServers"]);
    assert_eq!(line("Device.LAN.IPAddress")[3], "active");

    let (_, json, _) = command(&folder, &["render", "00085d000001", "--acs", "--format", "json"]);
    assert!(!json.contains("secret-sip"));
    let (_, json, _) = command(&folder, &["render", "00085d000001", "--acs", "--format", "json", "--show-secrets"]);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    let list = told["parameters"].as_array().unwrap();
    let password = list.iter().find(|one| one["path"] == format!("{profile}Line.1.SIP.AuthPassword")).unwrap();
    assert_eq!((&password["value"], &password["secret"]), (&"secret-sip".into(), &true.into()));
    assert_eq!(password["from"]["line"], 4);
}

#[test]
fn what_the_phone_would_refuse_is_told_with_its_line() {
    let folder = deployment(
        "model = \"6757i\"\n[acs.params]\n\"Device.LAN.DNSServer\" = \"x\"\n\"Device.DeviceInfo.ModelName\" = \"y\"\n\
         \"Device.Services.VoiceService.1.X_Aastra_GlobalVoiceProfile.SIP.TimerT1\" = -1\n",
    );
    let (code, _, talk) = command(&folder, &["render", "00085d000001", "--acs"]);
    assert_eq!(code, Some(1));
    for line in [
        "toml:3: acs.params.Device.LAN.DNSServer: is not in the data model (did you mean Device.LAN.DNSServers?)",
        "toml:4: acs.params.Device.DeviceInfo.ModelName: is read-only",
        "SIP.TimerT1: must be from 0 to 65535",
    ] {
        assert!(talk.contains(line), "{line}: {talk}");
    }
    let folder = deployment(
        "model = \"6757i\"\n[acs.params]\n\"LAN.DNSServers\" = \"x\"\n[acs.notifications]\n\"Device.A\" = \"loud\"\n",
    );
    let (code, _, talk) = command(&folder, &["render", "00085d000001", "--acs"]);
    assert_eq!(code, Some(2));
    assert!(
        talk.contains("toml:3: acs.params.\"LAN.DNSServers\": must begin with Device. or InternetGatewayDevice."),
        "{talk}"
    );
    assert!(talk.contains("must be one of off, passive, active, not \"loud\""), "{talk}");
}

#[test]
fn data_models_go_out_as_xml_and_come_back() {
    for pack in packs().iter() {
        let Some(data_model) = &pack.data_model else { continue };
        let imported = xml::import(&xml::export(data_model, None)).unwrap();
        let back: BTreeMap<_, _> = imported.iter().map(|one| (one.path.as_str(), one)).collect();
        assert_eq!(back.len(), data_model.parameters().count());
        for parameter in data_model.parameters() {
            let one = back[&*parameter.path];
            let told = (one.access, one.kind, one.size, one.min, one.max);
            let own = (parameter.access, Some(parameter.kind), parameter.size, parameter.min, parameter.max);
            assert_eq!(told, own, "{}", parameter.path);
        }
    }
    let folder = deployment("model = \"6757i\"\n");
    let export = ["packs", "data-model", "export", "aastra", "--model", "6757i", "--output", "model.xml"];
    assert_eq!(command(&folder, &export), (Some(0), String::new(), String::new()));
    let (code, toml, _) = command(&folder, &["packs", "data-model", "import", "model.xml"]);
    assert_eq!(code, Some(0));
    assert_eq!(toml.parse::<toml::Table>().unwrap()["parameters"].as_table().unwrap().len(), 175);
    // Nothing is new to the pack that it came from.
    let import = ["packs", "data-model", "import", "model.xml", "--pack", "aastra"];
    assert_eq!(command(&folder, &import), (Some(0), "[parameters]\n".to_owned(), String::new()));
    let text = std::fs::read_to_string(folder.path().join("model.xml")).unwrap();
    let other = text.replacen(
        "write=\"\" mode=\"1\">\n      <name>DeviceSummary",
        "write=\"W\" mode=\"1\">\n      <name>DeviceSummary",
        1,
    );
    std::fs::write(folder.path().join("model.xml"), other.replace("<name>URL</name>", "<name>X_New_URL</name>"))
        .unwrap();
    let (code, toml, talk) = command(&folder, &import);
    assert_eq!(code, Some(1), "{talk}");
    assert!(talk.contains("Device.DeviceSummary: string, read-write in model.xml"), "{talk}");
    assert!(toml.contains(
        "\"Device.ManagementServer.X_New_URL\" = { type = \"string\", access = \"read-write\", size = 256 }"
    ));
    std::fs::write(folder.path().join("model.xml"), "<!DOCTYPE a><tr69model/>").unwrap();
    let (code, _, talk) = command(&folder, &import);
    assert!(code == Some(2) && talk.contains("model.xml: has a DTD"), "{talk}");
}
