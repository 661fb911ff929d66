//! `resyncd.toml`: what it refuses, in which words, and what variables change.
//!
//! A case is a file dropped into tests/golden/config/: `NAME.toml`, with `NAME.env` where variables matter (`NAME=value` per
//! line) and `NAME.problems` where something is wrong with it. `RESYNCD_BLESS=1 cargo test` writes the problems.

use std::path::{Path, PathBuf};
use std::time::Duration;

use resyncd::config::reference::{Kind, Otherwise, TABLES};
use resyncd::config::{Admin, ClientCertificatePolicy, Config, DatabaseUrl, LogFormat, TlsVersion};
use resyncd::document::Problems;

use crate::support;

fn load(file: &Path, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::load_with_environment(file, variables.iter().copied())
}

/// Loads a text as a file of a folder of its own.
fn load_text(text: &str, variables: &[(&str, &str)]) -> (PathBuf, Result<Config, Problems>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resyncd.toml");
    std::fs::write(&file, text).unwrap();
    (folder.path().to_owned(), load(&file, variables))
}

const LISTENER: &str = "[[listener]]\nname = \"http\"\naddress = \"0.0.0.0:8080\"\n";

/// The file of a configuration's database.
fn sqlite(config: &Config) -> PathBuf {
    match &config.database.url {
        DatabaseUrl::Sqlite(path) => path.clone(),
        DatabaseUrl::Postgres(_) => panic!("{config:?}"),
    }
}

#[test]
fn every_golden_case_has_exactly_its_problems() {
    let folder = support::root().join("tests/golden/config");
    let bless = std::env::var_os("RESYNCD_BLESS").is_some();
    let mut cases = 0;
    for entry in walkdir::WalkDir::new(&folder).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        cases += 1;
        let variables = std::fs::read_to_string(path.with_extension("env")).unwrap_or_default();
        let variables: Vec<(&str, &str)> = variables.lines().map(|line| line.split_once('=').unwrap()).collect();
        let found = match load(&path, &variables) {
            Ok(_) => String::new(),
            Err(problems) => format!("{problems}\n").replace(&format!("{}/", folder.display()), ""),
        };
        let expected_in = path.with_extension("problems");
        if bless && found.is_empty() {
            let _ = std::fs::remove_file(&expected_in);
        } else if bless {
            std::fs::write(&expected_in, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_in).unwrap_or_default();
        assert_eq!(found, expected, "{}", path.display());
    }
    assert!(cases >= 10, "only {cases} cases in {}", folder.display());
}

#[test]
fn the_example_loads_and_what_it_comments_out_are_the_defaults() {
    let file = support::root().join("resyncd.toml");
    let config = load(&file, &[]).unwrap();
    let root = support::root();
    let https = &config.listeners[0];
    let tls = https.tls.as_ref().unwrap();
    assert_eq!((https.name.as_str(), https.address.port()), ("https", 8443));
    assert_eq!(tls.certificate.key, root.join("certs/dev/server.key"));
    assert_eq!(tls.client_certificate, ClientCertificatePolicy::Optional);
    assert_eq!(tls.client_ca, [root.join("certs/dev/phone-ca.pem")]);
    assert!(config.listeners[1].tls.is_none());
    assert_eq!(sqlite(&config), root.join("data/resyncd.db"));
    assert_eq!(config.folders[0].folder, root.join("firmware"));

    // A commented key or table, not a commented sentence.
    let key = regex::Regex::new(r"(?m)^# ([a-z_]+ = |\[)").unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let text = key.replace_all(&text, "$1").replace("keep_rows", "# keep_rows");
    let key = "00".repeat(32);
    let (_, uncommented) = load_text(&text, &[("RESYNCD_MASTER_KEY", &key)]);
    let uncommented = uncommented.unwrap();
    assert_eq!(uncommented.listeners.len(), 3);
    let told = |config: &Config| {
        format!("{} {:?} {:?} {:?} {:?}", config.watch, config.limits, config.cache, config.events, config.log)
    };
    assert_eq!(told(&uncommented), told(&config));
}

#[test]
fn a_bogus_key_at_any_level_of_the_example_is_refused_by_its_dotted_name() {
    let text = std::fs::read_to_string(support::root().join("resyncd.toml")).unwrap();
    let example: toml::Value = toml::from_str(&text).unwrap();
    let mut places = Vec::new();
    tables(&example, &mut Vec::new(), &mut places);
    assert!(places.len() > 8, "{places:?}");
    for place in places {
        let mut changed = example.clone();
        let mut dotted = String::new();
        let mut table = &mut changed;
        for step in &place {
            table = match step {
                Step::Key(key) => {
                    dotted += &format!("{key}.");
                    &mut table[key.as_str()]
                }
                Step::Index(index) => &mut table[*index],
            };
        }
        table.as_table_mut().unwrap().insert("bogus".to_owned(), toml::Value::Boolean(true));
        let (_, result) = load_text(&toml::to_string(&changed).unwrap(), &[]);
        let problems = result.unwrap_err();
        let found: Vec<_> = problems.iter().map(|problem| (problem.key.clone().unwrap(), &*problem.message)).collect();
        assert_eq!(found, [(format!("{dotted}bogus"), "unknown key")]);
        assert!(problems.iter().all(|problem| problem.line.is_some()));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// Where every table stands within `value`, `value` itself first.
fn tables(value: &toml::Value, here: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let within: Vec<(Step, &toml::Value)> = match value {
        toml::Value::Table(table) => {
            places.push(here.clone());
            table.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect()
        }
        toml::Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (Step::Index(index), value)).collect()
        }
        _ => return,
    };
    for (step, value) in within {
        here.push(step);
        tables(value, here, places);
        here.pop();
    }
}

/// A file in which one key holds `value`, and everything else that the key needs around it.
fn file_with(table: &str, key: &str, value: &str) -> String {
    let line = format!("{key} = {value}\n");
    let listener = "[[listener]]\n";
    let tls = "name = \"a\"\naddress = \"0.0.0.0:8443\"\n[listener.tls]\n";
    match table {
        "" => format!("{line}{LISTENER}"),
        "listener" => format!("{listener}{line}"),
        "listener.tls" => format!("{listener}{tls}{line}"),
        "listener.tls.name" => format!("{listener}{tls}[[listener.tls.name]]\n{line}"),
        "listener.tls.client_root" => format!("{listener}{tls}[[listener.tls.client_root]]\n{line}"),
        "folder" | "webhook" => format!("{LISTENER}[[{table}]]\n{line}"),
        _ => format!("{LISTENER}[{table}]\n{line}"),
    }
}

#[test]
fn the_loader_reads_every_key_of_the_reference() {
    for (table, key) in TABLES.iter().flat_map(|table| table.keys.iter().map(move |key| (table, key))) {
        // No key takes a date, so one that is read complains about it.
        let (_, result) = load_text(&file_with(table.name, key.name, "1979-05-27"), &[]);
        let dotted = if table.name.is_empty() { key.name.to_owned() } else { format!("{}.{}", table.name, key.name) };
        let problems = result.unwrap_err();
        let problem = problems.iter().find(|problem| problem.key.as_deref() == Some(&dotted));
        let problem = problem.unwrap_or_else(|| panic!("{dotted} is not read: {problems}"));
        assert_ne!(problem.message, "unknown key", "{problem}");
    }
}

#[test]
fn every_word_and_every_default_of_the_reference_is_taken() {
    for (table, key) in TABLES.iter().flat_map(|table| table.keys.iter().map(move |key| (table, key))) {
        let mut texts: Vec<String> = match key.kind {
            Kind::Choice(words) => words.iter().map(|word| (*word).to_owned()).collect(),
            Kind::TimeOr(word, ..) => vec![word.to_owned()],
            _ => Vec::new(),
        };
        if let Otherwise::Value(default) = key.otherwise {
            texts.push(default.to_owned());
        }
        for text in texts {
            let value = if key.kind.is_quoted() { format!("\"{text}\"") } else { text };
            let (_, result) = load_text(&file_with(table.name, key.name, &value), &[]);
            let problems = result.err().map(|problems| problems.to_string()).unwrap_or_default();
            assert!(!problems.contains("must be"), "{problems}");
        }
    }
}

#[test]
fn one_listener_is_a_whole_configuration() {
    let (folder, config) = load_text(LISTENER, &[]);
    let config = config.unwrap();
    assert_eq!(config.data_dir, folder.join("data"));
    assert_eq!(config.templates, folder.join("templates"));
    assert_eq!(sqlite(&config), folder.join("data/resyncd.db"));
    assert_eq!(config.admin.address, "127.0.0.1:8090".parse().ok());
    assert_eq!(config.secrets.master_key, Ok(None));
    assert_eq!(config.events.keep, Some(Duration::from_secs(90 * 86_400)));
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(config.folders.is_empty());
}

#[test]
fn paths_of_a_file_that_is_named_alone_stay_relative() {
    // Tests run in the project's own folder.
    let config = load(Path::new("resyncd.toml"), &[]).unwrap();
    assert_eq!(config.data_dir, Path::new("data"));
    assert_eq!(sqlite(&config), Path::new("data/resyncd.db"));
}

#[test]
fn an_empty_tls_table_is_enough_for_the_development_certificate() {
    let (folder, config) = load_text(&format!("{LISTENER}[listener.tls]\n"), &[]);
    let tls = config.unwrap().listeners.remove(0).tls.unwrap();
    assert_eq!(tls.certificate.certificate, folder.join("certs/dev/server.pem"));
    assert_eq!(tls.certificate.key, folder.join("certs/dev/server.key"));
    assert_eq!((tls.min_version, tls.max_version), (TlsVersion::Tls1_2, TlsVersion::Tls1_3));
    assert_eq!((tls.client_certificate, tls.ciphers, tls.legacy), (ClientCertificatePolicy::None, None, false));
}

#[test]
fn a_missing_file_says_how_to_name_or_write_one() {
    let problems = load(Path::new("/nonexistent/resyncd.toml"), &[]).unwrap_err().to_string();
    assert!(problems.starts_with("/nonexistent/resyncd.toml: there is no such file"), "{problems}");
    assert!(problems.contains("--config FILE") && problems.contains("[[listener]]"), "{problems}");
}

#[test]
fn variables_override_keys() {
    let text = "data_dir = \"data\"\n[[listener]]\nname = \"old-phones\"\naddress = \"0.0.0.0:1\"\n[listener.tls]\n";
    let (folder, config) = load_text(
        text,
        &[
            ("RESYNCD_DATA_DIR", "/var/lib/resyncd"),
            ("RESYNCD_WATCH", "true"),
            ("RESYNCD_ADMIN_ADDRESS", "off"),
            ("RESYNCD_LIMITS_CONNECTIONS", "17"),
            ("RESYNCD_LIMITS_HEADER_TIMEOUT", "3s"),
            ("RESYNCD_CACHE_SIZE", "1 MiB"),
            ("RESYNCD_EVENTS_KEEP", "forever"),
            ("RESYNCD_LOG_FORMAT", "json"),
            ("RESYNCD_LISTENER_OLD_PHONES_ADDRESS", "[::1]:8443"),
            ("RESYNCD_LISTENER_OLD_PHONES_TLS_CERTIFICATE", "/etc/tls/chain.pem"),
            ("RESYNCD_LISTENER_OLD_PHONES_TLS_KEY", "tls.key"),
            ("RESYNCD_LISTENER_OLD_PHONES_TLS_CLIENT_CERTIFICATE", "required"),
            ("RESYNCD_LISTENER_OLD_PHONES_TLS_CLIENT_CA", "a.pem, b.pem"),
            ("PATH", "/usr/bin"),
        ],
    );
    let config = config.unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/resyncd"));
    assert_eq!(sqlite(&config), Path::new("/var/lib/resyncd/resyncd.db"));
    assert!(config.watch);
    assert!(matches!(config.admin, Admin { address: None, .. }));
    assert_eq!((config.limits.connections, config.limits.header_timeout), (17, Duration::from_secs(3)));
    assert_eq!((config.cache.bytes, config.events.keep), (1 << 20, None));
    assert_eq!(config.log.format, LogFormat::Json);
    let listener = &config.listeners[0];
    assert_eq!(Ok(listener.address), "[::1]:8443".parse());
    let tls = listener.tls.as_ref().unwrap();
    assert_eq!(tls.certificate.certificate, Path::new("/etc/tls/chain.pem"));
    assert_eq!(tls.certificate.key, folder.join("tls.key"));
    assert_eq!(tls.client_certificate, ClientCertificatePolicy::Required);
    assert_eq!(tls.client_ca, [folder.join("a.pem"), folder.join("b.pem")]);
}

#[test]
fn what_is_not_meant_as_an_override_is_let_be() {
    let text = format!("{LISTENER}[secrets]\nmaster_key = {{ env = \"RESYNCD_OWN_KEY\" }}\n");
    let key = "Ab".repeat(32);
    let (_, config) = load_text(
        &text,
        &[
            ("RESYNCD_OWN_KEY", &key),
            ("RESYNCD_MASTER_KEY", "anything"),
            ("RESYNCD_BLESS", "1"),
            ("RESYNCD_KEY", "anything"),
            ("RESYNCD_CONFIG", "resyncd.toml"),
            ("RESYNCD_SERVICE_HOST", "10.0.0.1"),
            ("RESYNCD_PORT", "tcp://10.0.0.1:8443"),
            ("RESYNCD_PORT_8443_TCP_ADDR", "10.0.0.1"),
        ],
    );
    let key = config.unwrap().secrets.master_key.unwrap().unwrap();
    assert_eq!(key.expose(), [0xab; 32]);
}

#[test]
fn the_master_key_is_taken_from_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resyncd.toml");
    let write = |value: &str| std::fs::write(&file, format!("{LISTENER}[secrets]\nmaster_key = {value}\n")).unwrap();
    let digits = "07".repeat(32);
    let key = |variables: &[(&str, &str)]| load(&file, variables).unwrap().secrets.master_key;

    write(&format!("\"{digits}\""));
    assert_eq!(key(&[]).unwrap().unwrap().expose(), [7; 32]);
    std::fs::write(folder.path().join("key"), format!("{digits}\n")).unwrap();
    write("{ file = \"key\" }");
    assert_eq!(key(&[]).unwrap().unwrap().expose(), [7; 32]);
    let other = "08".repeat(32);
    assert_eq!(key(&[("RESYNCD_SECRETS_MASTER_KEY", &other)]).unwrap().unwrap().expose(), [8; 32]);

    // Not to be had here: the file is fine, and who needs the key is told.
    write("{ file = \"elsewhere\" }");
    let problem = key(&[]).unwrap_err().to_string();
    assert!(problem.contains("resyncd.toml:5: secrets.master_key: ") && problem.contains("elsewhere"), "{problem}");
    write("{ env = \"NOT_SET\" }");
    let problem = key(&[]).unwrap_err().to_string();
    assert!(problem.ends_with("the environment variable NOT_SET is not set"), "{problem}");
}

#[test]
fn keys_to_read_are_taken_from_wherever_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resyncd.toml");
    let digits = |byte: &str| byte.repeat(32);
    let value = format!("[\"{}\", {{ env = \"OLDER_KEY\" }}, {{ file = \"oldest\" }}]", digits("01"));
    std::fs::write(&file, format!("{LISTENER}[secrets]\nread_keys = {value}\n")).unwrap();
    let keys = |variables: &[(&str, &str)]| load(&file, variables).unwrap().secrets.read_keys;
    let first = |keys: &[Result<resyncd::model::Secret, _>]| {
        keys.iter().map(|key| key.as_ref().ok().map(|key| key.expose()[0])).collect::<Vec<_>>()
    };
    // Those that are not to be had here are told when something needs them.
    let (older, oldest) = (digits("02"), digits("03"));
    let found = keys(&[]);
    assert_eq!(first(&found), [Some(1), None, None]);
    let problem = found[1].clone().unwrap_err().to_string();
    assert!(problem.contains("secrets.read_keys: the environment variable OLDER_KEY is not set"), "{problem}");
    std::fs::write(folder.path().join("oldest"), oldest).unwrap();
    assert_eq!(first(&keys(&[("OLDER_KEY", &older)])), [Some(1), Some(2), Some(3)]);
    let variable = format!("{}, {}", digits("04"), digits("05"));
    assert_eq!(first(&keys(&[("RESYNCD_SECRETS_READ_KEYS", &variable)])), [Some(4), Some(5)]);
    assert_eq!(first(&keys(&[("RESYNCD_SECRETS_READ_KEYS", "")])), []);
}

#[test]
fn a_wrong_master_key_is_not_shown() {
    let text = format!("{LISTENER}[secrets]\nmaster_key = \"correct horse battery staple\"\n");
    let (_, config) = load_text(&text, &[]);
    let problems = config.unwrap_err().to_string();
    assert!(problems.contains("32 bytes in hexadecimal") && !problems.contains("horse"), "{problems}");
    let (_, config) = load_text(LISTENER, &[("RESYNCD_SECRETS_MASTER_KEY", "correct horse")]);
    let problems = config.unwrap_err().to_string();
    assert!(problems.starts_with("RESYNCD_SECRETS_MASTER_KEY: ") && !problems.contains("horse"), "{problems}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_refused_by_name() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let variable = (OsString::from("RESYNCD_DATA_DIR"), OsString::from_vec(vec![b'/', 0xff]));
    let file = support::root().join("resyncd.toml");
    let problems = Config::load_with_environment(&file, [variable]).unwrap_err().to_string();
    assert_eq!(problems, "RESYNCD_DATA_DIR: data_dir: is not UTF-8");
}
