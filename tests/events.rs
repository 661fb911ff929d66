//! Events on their way from the recorder to the database, and back out through `resyncd log`.
//!
//! A case of `resyncd log` is a file dropped into tests/golden/log/: `NAME.args` with the arguments, `NAME.out` with what
//! they print of events.jsonl. `RESYNCD_BLESS=1 cargo test` writes what is printed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use resyncd::cli::log::{Args, Follower, print};
use resyncd::cli::logging;
use resyncd::config::{Database, Events, Log, LogFormat};
use resyncd::events::{Entry, Event, Flushed, Kind, Metrics, Outcome, Recorder, Refusal, prune};
use resyncd::store::{EventFilter, Store};
use sqlx::{AnyConnection, Connection};
use time::OffsetDateTime;
use time::macros::datetime;
use tracing_subscriber::fmt::MakeWriter;

use crate::support;

/// A data folder of its own, with the database of a server.
struct Server {
    folder: tempfile::TempDir,
    store: Store,
}

impl Server {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&database(folder.path())).await.unwrap();
        Self { folder, store }
    }

    fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    fn recorder(&self, events: &Events) -> Recorder {
        Recorder::start(self.store.clone(), events, self.data_dir(), Arc::new(Metrics::new())).unwrap()
    }

    /// Another program's connection.
    async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        AnyConnection::connect(&format!("sqlite:{}", self.data_dir().join("resyncd.db").display())).await
    }

    /// One that lets nobody write.
    async fn lock(&self) -> AnyConnection {
        let mut connection = self.connect().await.unwrap();
        sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
        connection
    }

    /// The paths that were asked for, in the order of the events.
    async fn targets(&self) -> Vec<String> {
        let entries = self.store.events(&EventFilter::default(), u64::MAX).await.unwrap();
        entries.into_iter().map(|entry| entry.target).collect()
    }

    fn spooled_files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.data_dir().join("spool")).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }
}

fn database(folder: &Path) -> Database {
    Database::sqlite(folder.join("resyncd.db"))
}

const ROOMY: Events = Events { queue: 100_000, spool_bytes: 64 << 20, keep: None, keep_rows: None };

pub fn event(number: usize) -> Event {
    Event {
        time: datetime!(2026-03-01 10:00 UTC) + Duration::from_millis(number as u64),
        kind: Kind::Resync,
        listener: Arc::from("https"),
        peer: "192.0.2.7:50001".parse().unwrap(),
        method: "GET".to_owned(),
        target: path(number),
        status: 200,
        bytes: 8311,
        duration: Duration::from_micros(1_234),
        tls_version: Some("TLSv1.3"),
        tls_cipher: Some("TLS_AES_256_GCM_SHA384".to_owned()),
        certificate: Some("OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef".to_owned()),
        user_agent: Some("Cisco-CP-6841-3PCC/11.3.1 (88012BA01234)".to_owned()),
        vendor: Some("Cisco".to_owned()),
        model: Some("CP-6841-3PCC".to_owned()),
        firmware: Some("11.3.1".to_owned()),
        device: Some("000e08abcdef".parse().unwrap()),
        asked_mac: Some("000e08abcdef".parse().unwrap()),
        file: Some("cisco-mpp/profile".to_owned()),
        generation: 3,
        encoding: Some("gzip+aes-256-cbc"),
        outcome: Outcome::Served,
        reason: None,
        flags: Vec::new(),
    }
}

fn path(number: usize) -> String {
    format!("/cisco/{number}.xml")
}

fn paths(count: usize) -> Vec<String> {
    (0..count).map(path).collect()
}

/// The value of a metric that has no labels.
fn metric(recorder: &Recorder, name: &str) -> u64 {
    let text = recorder.metrics().encode();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn what_is_recorded_is_in_the_database() {
    let server = Server::new().await;
    let recorder = server.recorder(&ROOMY);
    for number in 0..1_234 {
        recorder.record(event(number));
    }
    assert_eq!(recorder.flush().await, Flushed::Stored);
    assert_eq!(server.targets().await, paths(1_234));
    assert_eq!(metric(&recorder, "resyncd_events_stored_total"), 1_234);
    assert_eq!(metric(&recorder, "resyncd_events_spooled_total"), 0);
    assert_eq!(metric(&recorder, "resyncd_event_queue"), 0);
    recorder.close().await;
}

#[tokio::test]
async fn a_full_queue_spools_and_loses_nothing() {
    let server = Server::new().await;
    let recorder = server.recorder(&Events { queue: 4, ..ROOMY });
    for number in 0..300 {
        recorder.record(event(number));
    }
    assert_eq!(recorder.flush().await, Flushed::Stored);
    assert_eq!(server.targets().await, paths(300));
    assert_eq!(metric(&recorder, "resyncd_events_spooled_total"), 296);
    assert_eq!(metric(&recorder, "resyncd_events_lost_total"), 0);
    assert_eq!(metric(&recorder, "resyncd_spool_bytes"), 0);
    recorder.close().await;
    assert!(server.spooled_files().is_empty());
}

#[tokio::test]
async fn events_outlive_a_locked_database() {
    let server = Server::new().await;
    let recorder = server.recorder(&ROOMY);
    let mut other = server.lock().await;
    for number in 0..700 {
        recorder.record(event(number));
    }
    assert_eq!(recorder.flush().await, Flushed::Spooled);
    assert!(server.targets().await.is_empty());
    for number in 700..800 {
        recorder.record(event(number));
    }
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(recorder.flush().await, Flushed::Stored);
    assert_eq!(server.targets().await, paths(800));
    assert_eq!(metric(&recorder, "resyncd_events_lost_total"), 0);
    recorder.close().await;
}

#[tokio::test]
async fn what_a_shutdown_leaves_is_taken_in_at_the_next_start() {
    let server = Server::new().await;
    let recorder = server.recorder(&ROOMY);
    let mut other = server.lock().await;
    for number in 0..50 {
        recorder.record(event(number));
    }
    assert_eq!(recorder.close().await, Flushed::Spooled);
    assert_eq!(server.spooled_files().len(), 1);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();

    let recorder = server.recorder(&ROOMY);
    recorder.record(event(50));
    assert_eq!(recorder.flush().await, Flushed::Stored);
    assert_eq!(server.targets().await, paths(51));
    recorder.close().await;
}

#[tokio::test]
async fn a_shutdown_stores_what_is_queued_and_counts_what_comes_later() {
    let server = Server::new().await;
    let recorder = server.recorder(&ROOMY);
    for number in 0..1_600 {
        recorder.record(event(number));
    }
    assert_eq!(recorder.close().await, Flushed::Stored);
    assert_eq!(server.targets().await, paths(1_600));
    recorder.record(event(1_600));
    assert_eq!(recorder.close().await, Flushed::Stored, "closing twice does no harm");
    assert_eq!(metric(&recorder, "resyncd_events_lost_total"), 1);
}

#[tokio::test]
async fn a_crash_before_the_spool_was_deleted_duplicates_nothing() {
    let server = Server::new().await;
    let entries = golden_entries();
    let (stored, missing) = entries.split_at(6);
    assert_eq!(server.store.insert_events(stored).await.unwrap(), 6);
    std::fs::create_dir(server.data_dir().join("spool")).unwrap();
    let lines: Vec<_> = entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    // And the machine went down in the middle of the last line.
    let torn = lines.join("\n") + "\n{\"id\":\"00";
    std::fs::write(server.data_dir().join("spool/0000000000000007.jsonl"), torn).unwrap();

    let recorder = server.recorder(&ROOMY);
    assert_eq!(recorder.flush().await, Flushed::Stored);
    assert_eq!(server.store.events(&EventFilter::default(), 100).await.unwrap(), entries);
    assert_eq!(metric(&recorder, "resyncd_events_stored_total"), missing.len() as u64);
    assert_eq!(metric(&recorder, "resyncd_events_lost_total"), 1);
    recorder.close().await;
}

#[tokio::test]
async fn a_full_spool_is_counted_and_survived() {
    let server = Server::new().await;
    let recorder = server.recorder(&Events { spool_bytes: 10_000, ..ROOMY });
    let mut other = server.lock().await;
    for number in 0..500 {
        recorder.record(event(number));
    }
    assert_eq!(recorder.flush().await, Flushed::Spooled);
    let (spooled, lost) =
        (metric(&recorder, "resyncd_events_spooled_total"), metric(&recorder, "resyncd_events_lost_total"));
    assert!(spooled > 0 && lost > 0 && spooled + lost == 500, "{spooled} spooled, {lost} lost");
    assert!(metric(&recorder, "resyncd_spool_bytes") <= 10_000);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(recorder.flush().await, Flushed::Stored);
    assert_eq!(server.store.count_events().await.unwrap(), spooled);
    recorder.close().await;
}

#[tokio::test]
async fn a_spooled_file_that_can_not_be_read_is_set_aside() {
    let server = Server::new().await;
    let spool = server.data_dir().join("spool");
    std::fs::create_dir_all(spool.join("0000000000000000.jsonl")).unwrap();
    let recorder = server.recorder(&ROOMY);
    recorder.record(event(0));
    assert_eq!(recorder.flush().await, Flushed::Stored);
    assert_eq!(server.targets().await, paths(1));
    assert_eq!(server.spooled_files(), [spool.join("0000000000000000.unreadable")]);
    recorder.close().await;
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resyncd.db");
    std::fs::write(&file, "this is no database, and it is long enough to tell. ".repeat(100)).unwrap();
    for opened in [Store::open(&database(folder.path())).await, Store::open_read_only(&database(folder.path())).await] {
        let error = opened.unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
        assert!(error.contains("damaged") && error.contains("away") && error.contains("restart"), "{error}");
    }
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is no database"), "it is left as it was");
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let server = Server::new().await;
    let mut connection = server.connect().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', true, x'00', 0)";
    sqlx::raw_sql(newer).execute(&mut connection).await.unwrap();
    for opened in
        [Store::open(&database(server.data_dir())).await, Store::open_read_only(&database(server.data_dir())).await]
    {
        let error = opened.unwrap_err().to_string();
        assert!(error.contains("newer resyncd") && error.contains("9999"), "{error}");
    }
}

#[tokio::test]
async fn another_programs_database_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("resyncd.db"), "").unwrap();
    let error = Store::open_read_only(&database(folder.path())).await.unwrap_err().to_string();
    assert!(error.contains("resyncd serve"), "{error}");
}

#[tokio::test]
async fn old_events_and_too_many_are_pruned() {
    let server = Server::new().await;
    let recorder = server.recorder(&ROOMY);
    for number in 0..5_000 {
        recorder.record(event(number));
    }
    recorder.close().await;
    let now = datetime!(2026-03-01 10:00:04 UTC);
    let keep = Events { keep: Some(Duration::from_secs(1)), ..ROOMY };
    assert_eq!(prune(&server.store, &keep, now).await.unwrap(), 3_000);
    assert_eq!(server.targets().await, paths(5_000)[3_000..]);
    let keep = Events { keep: Some(Duration::MAX), keep_rows: Some(7), ..ROOMY };
    assert_eq!(prune(&server.store, &keep, now).await.unwrap(), 1_993);
    assert_eq!(server.targets().await, paths(5_000)[4_993..]);
    assert_eq!(prune(&server.store, &keep, now).await.unwrap(), 0);
}

#[tokio::test]
async fn metrics_never_carry_a_mac_or_what_a_phone_says() {
    let server = Server::new().await;
    let recorder = server.recorder(&ROOMY);
    recorder.metrics().set_models([("Cisco", "CP-6841-3PCC")]);
    recorder.record(event(0));
    recorder.record(Event { model: Some("000e08abcdef".to_owned()), vendor: Some("Evil Inc".to_owned()), ..event(1) });
    recorder.record(Event { outcome: Outcome::Refused(Refusal::NoProof), status: 404, ..event(2) });
    let text = recorder.metrics().encode().to_lowercase();
    assert!(text.contains("model=\"cp-6841-3pcc\"") && text.contains("refusal=\"no-proof\""), "{text}");
    for leak in ["000e08", "88012ba01234", "evil", "/cisco/", "192.0.2.7", "cisco-cp"] {
        assert!(!text.contains(leak), "{leak} in {text}");
    }
    recorder.close().await;
}

/// A log that is kept in memory.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What recording these events writes to the log.
async fn logged(format: LogFormat, level: &str, events: Vec<Event>) -> String {
    let server = Server::new().await;
    let recorder = server.recorder(&ROOMY);
    let kept = Kept::default();
    let subscriber = logging::subscriber(&Log { format, level: level.to_owned() }, false, kept.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || events.into_iter().for_each(|event| recorder.record(event)));
    recorder.close().await;
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn hostile() -> Event {
    Event {
        target: "/a\u{1b}[2J\u{9b}31m\n2026-03-01T10:00:00Z  INFO resyncd::resync: fake".to_owned(),
        user_agent: Some("evil\u{1b}]0;owned\u{7}\r\nfake".to_owned()),
        reason: Some("\u{202e}backwards".to_owned()),
        outcome: Outcome::Refused(Refusal::BadRequest),
        ..event(0)
    }
}

#[tokio::test]
async fn the_log_has_one_line_per_event_that_is_readable_alone() {
    let failed = Event { outcome: Outcome::Failed, status: 500, ..event(2) };
    let text = logged(LogFormat::Text, "info", vec![event(0), hostile(), failed]).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains(" INFO resyncd::resync: "), "{text}");
    let message = "CP-6841-3PCC 000e08abcdef got /cisco/0.xml: 200, 8311 bytes gzip+aes-256-cbc in 1.2 ms ";
    assert!(lines[0].contains(message), "{text}");
    assert!(lines[0].contains(r#"user_agent="Cisco-CP-6841-3PCC/11.3.1 (88012BA01234)""#), "{text}");
    assert!(lines[1].contains(" WARN resyncd::resync: ") && lines[1].contains(r#"refusal="bad-request""#), "{text}");
    assert!(lines[2].contains("ERROR resyncd::resync: "), "{text}");
    assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");

    let quiet = logged(LogFormat::Text, "info,resyncd::resync=error", vec![event(0), hostile()]).await;
    assert_eq!(quiet, "");
}

#[tokio::test]
async fn the_json_log_has_every_fact_as_a_field() {
    let text = logged(LogFormat::Json, "info", vec![event(0), hostile()]).await;
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["target"], "resyncd::resync");
    for (field, value) in [
        ("listener", "https"),
        ("peer", "192.0.2.7:50001"),
        ("request_target", "/cisco/0.xml"),
        ("model", "CP-6841-3PCC"),
        ("device", "000e08abcdef"),
        ("encoding", "gzip+aes-256-cbc"),
        ("outcome", "served"),
    ] {
        assert_eq!(lines[0][field], value, "{text}");
    }
    assert_eq!((&lines[0]["status"], &lines[0]["duration_ms"]), (&200.into(), &1.234.into()));
    assert_eq!(lines[1]["user_agent"], "evil\u{1b}]0;owned\u{7}\r\nfake");
}

/// The arguments of `resyncd log` by themselves.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    log: Args,
}

fn arguments(text: &str) -> Args {
    Arguments::try_parse_from(std::iter::once("log").chain(text.split_whitespace())).unwrap().log
}

fn golden_entries() -> Vec<Entry> {
    let text = std::fs::read_to_string(support::root().join("tests/golden/log/events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const NOW: OffsetDateTime = datetime!(2026-03-01 11:15 UTC);

#[tokio::test]
async fn every_golden_case_of_the_log_command() {
    let server = Server::new().await;
    server.store.insert_events(&golden_entries()).await.unwrap();
    let bless = std::env::var_os("RESYNCD_BLESS").is_some();
    let mut cases = 0;
    for found in walkdir::WalkDir::new(support::root().join("tests/golden/log")).sort_by_file_name() {
        let path = found.unwrap().into_path();
        if path.extension().is_none_or(|extension| extension != "args") {
            continue;
        }
        cases += 1;
        let args = arguments(&std::fs::read_to_string(&path).unwrap());
        let mut out = Vec::new();
        print(&args, &server.store, NOW, &mut out).await.unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains(|c: char| !matches!(c, '\n' | '\r') && c.is_control()), "{}: {out:?}", path.display());
        let expected = path.with_extension("out");
        if bless {
            std::fs::write(&expected, &out).unwrap();
        }
        assert_eq!(out, std::fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
    }
    assert!(cases > 0);
}

#[tokio::test]
async fn following_shows_each_event_once() {
    let server = Server::new().await;
    let entries = golden_entries();
    let (early, late) = entries.split_at(8);
    let (delayed, early) = early.split_last().unwrap();
    server.store.insert_events(early).await.unwrap();
    let args = arguments("--follow --format json --limit 2");
    let mut now = early.last().unwrap().time;
    let mut follower = Follower::new(&args, now);
    let mut shown = Vec::new();
    for arrived in [&[][..], &[], std::slice::from_ref(delayed), late, &[]] {
        server.store.insert_events(arrived).await.unwrap();
        now = arrived.last().map_or(now, |entry| entry.time + Duration::from_secs(5));
        let mut out = Vec::new();
        follower.print_new(&server.store, now, &mut out).await.unwrap();
        let out = String::from_utf8(out).unwrap();
        shown.push(out.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap()).collect::<Vec<_>>());
    }
    assert_eq!(shown, [&early[5..], &[], std::slice::from_ref(delayed), late, &[]]);
}

#[tokio::test]
async fn the_command_reads_the_database_that_the_configuration_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("resyncd.toml");
    std::fs::write(&config, "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:8080\"\n").unwrap();
    let run = |arguments: &[&str]| {
        support::resyncd().arg("--config").arg(&config).arg("log").args(arguments).output().unwrap()
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("there is no database") && message.contains("resyncd serve"), "{message}");
    assert!(!folder.path().join("data").exists(), "looking makes nothing");

    let store = Store::open(&database(&folder.path().join("data"))).await.unwrap();
    store.insert_events(&golden_entries()).await.unwrap();
    let output = run(&["--format", "json", "--limit", "100"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(serde_json::from_slice::<Vec<Entry>>(&output.stdout).unwrap(), golden_entries());
    assert_eq!(run(&["--outcome", "nonsense"]).status.code(), Some(2));
}
