//! Backups: what is copied while servers write, what is refused, and that everything comes back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use resyncd::config::Database;
use resyncd::events::{Entry, EventIds};
use resyncd::store::{BackupError, Copied, EventFilter, Store};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::events::event;
use crate::store::on_each_database;
use crate::support::database::Scratch;
use crate::support::deployment::Deployment;
use crate::support::{program, resyncd, run};

on_each_database! {
    everything_comes_back
    a_backup_goes_into_the_other_database
    a_backup_is_of_one_moment
    what_is_in_the_database_is_not_thrown_away_unasked
    a_restore_that_fails_changes_nothing
    a_backup_of_an_older_schema_is_brought_up_to_date
}

/// A database with some of everything.
async fn filled(scratch: &Scratch, events: usize) -> Store {
    let store = Store::open(&scratch.database).await.unwrap();
    store.insert_events(&entries(0..events)).await.unwrap();
    let hostile = "{\"vars\": {\"text\": \"'; DROP TABLE devices; -- 𝄞 \\\\ %s $1 \\n\"}}".replace('\'', "''");
    sql(
        scratch,
        &format!(
            "INSERT INTO devices (mac, serial, model, settings, search, revision, created, changed) VALUES \
             ('000e08000001', NULL, NULL, '{hostile}', '', 3, -5, 9223372036854775807), \
             ('000e08000002', 'S-2', 'CP-6841-3PCC', '{{\"a\":{{\"sealed\":\"v1.a3e42fb9.AAAA\"}}}}', '', 4, 0, 0); \
             INSERT INTO groups (name, parent, settings, revision, created, changed) VALUES ('acme', NULL, '{{}}', 1, 0, 0); \
             UPDATE fleet SET revision = 4; \
             INSERT INTO keys (id, check_value, created) VALUES ('a3e42fb9', 'v1.x', 17)"
        ),
    )
    .await;
    store
}

fn entries(numbers: std::ops::Range<usize>) -> Vec<Entry> {
    let ids = EventIds::new().unwrap();
    let events = numbers.map(|number| {
        let event = event(number);
        Entry::new(ids.next(event.time), event)
    });
    events.collect()
}

async fn sql(scratch: &Scratch, statements: &str) {
    sql_at(&scratch.url, statements).await;
}

async fn sql_at(url: &str, statements: &str) {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn count(url: &str, table: &str) -> i64 {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let query = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    let count = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

/// A folder, and a file in it that isn't there yet.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a backup #1.db");
    (folder, file)
}

fn rows(copied: &[Copied], table: &str) -> u64 {
    copied.iter().find(|copied| copied.table == table).unwrap().rows
}

/// Nothing but the backup lies where it was made.
fn nothing_beside(file: &Path) {
    let beside: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(beside, [file]);
}

async fn everything_comes_back(scratch: &Scratch) {
    let store = filled(scratch, 2_345).await;
    let (_folder, file) = place();
    let copied = Store::backup(&scratch.database, &file, false, true).await.unwrap();
    nothing_beside(&file);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((rows(&copied, "events"), rows(&copied, "devices"), rows(&copied, "keys")), (2_345, 2, 1));
    assert!(copied.iter().all(|copied| !copied.table.starts_with('_') && !copied.table.starts_with("resyncd")));

    // What the operator looks at it with.
    let looked_at = format!("sqlite:{}", file.display().to_string().replace(' ', "%20").replace('#', "%23"));
    assert_eq!(count(&looked_at, "devices WHERE changed = 9223372036854775807").await, 1);

    let events = store.events(&EventFilter::default(), 5_000).await.unwrap();
    sql(scratch, "DELETE FROM devices WHERE mac = '000e08000001'; UPDATE fleet SET revision = 9").await;
    store.insert_events(&entries(3_000..3_100)).await.unwrap();
    let restored = Store::restore(&scratch.database, &file, true).await.unwrap();
    assert_eq!(restored, copied);
    assert_eq!(store.events(&EventFilter::default(), 5_000).await.unwrap(), events);
    let (_folder, again) = place();
    assert_eq!(Store::backup(&scratch.database, &again, false, false).await.unwrap(), copied);
}

async fn a_backup_goes_into_the_other_database(scratch: &Scratch) {
    filled(scratch, 700).await;
    let (_folder, file) = place();
    let copied = Store::backup(&scratch.database, &file, false, false).await.unwrap();
    let other = if scratch.url.starts_with("sqlite:") { Scratch::postgres().await } else { Some(Scratch::sqlite()) };
    let Some(other) = other else { return };
    assert_eq!(Store::restore(&other.database, &file, false).await.unwrap(), copied);
    let (_folder, back) = place();
    assert_eq!(Store::backup(&other.database, &back, false, false).await.unwrap(), copied);
}

async fn a_backup_is_of_one_moment(scratch: &Scratch) {
    let store = filled(scratch, 0).await;
    // A device and an event, always in one transaction: a copy that sees one of two sees both or none.
    let writing = async {
        for number in 0..300 {
            let revision = format!("UPDATE fleet SET revision = {number}");
            let device = format!(
                "INSERT INTO devices (mac, settings, search, revision, created, changed) \
                 VALUES ('{number:012x}', '{{}}', '', 0, 0, 0)"
            );
            sql(scratch, &format!("BEGIN; {device}; {revision}; COMMIT")).await;
        }
    };
    let copying = async {
        let (folder, file) = place();
        for _ in 0..5 {
            Store::backup(&scratch.database, &file, true, false).await.unwrap();
            let url = format!("sqlite:{}", file.display().to_string().replace(' ', "%20").replace('#', "%23"));
            let in_step = "fleet WHERE revision = (SELECT COUNT(*) FROM devices) - 3 OR revision = 4";
            assert_eq!(count(&url, in_step).await, 1);
        }
        drop(folder);
    };
    tokio::join!(writing, copying);
    drop(store);
}

async fn what_is_in_the_database_is_not_thrown_away_unasked(scratch: &Scratch) {
    filled(scratch, 3).await;
    let (_folder, file) = place();
    Store::backup(&scratch.database, &file, false, false).await.unwrap();
    let before = fs::read(&file).unwrap();
    let error = Store::backup(&scratch.database, &file, false, false).await.unwrap_err();
    assert!(matches!(error, BackupError::Exists(_)), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    let error = Store::restore(&scratch.database, &file, false).await.unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty { .. }), "{error}");
    assert!(error.to_string().contains("table devices has 2 rows") && error.to_string().contains("--force"), "{error}");
    assert_eq!(count(&scratch.url, "events").await, 3);
}

async fn a_restore_that_fails_changes_nothing(scratch: &Scratch) {
    filled(scratch, 5).await;
    let (_folder, file) = place();
    Store::backup(&scratch.database, &file, false, false).await.unwrap();
    // The last table of all refuses a row.
    let refuse = match scratch.url.starts_with("sqlite:") {
        true => "CREATE TRIGGER refuse BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'refused'); END",
        false => "ALTER TABLE keys ADD CONSTRAINT refuse CHECK (created <> 17) NOT VALID",
    };
    sql(scratch, refuse).await;
    sql(scratch, "DELETE FROM devices WHERE mac = '000e08000001'").await;
    let error = Store::restore(&scratch.database, &file, true).await.unwrap_err();
    assert!(error.to_string().contains("refuse"), "{error}");
    assert_eq!((count(&scratch.url, "events").await, count(&scratch.url, "devices").await), (5, 1));
}

async fn a_backup_of_an_older_schema_is_brought_up_to_date(scratch: &Scratch) {
    filled(scratch, 5).await;
    let (_folder, file) = place();
    Store::backup(&scratch.database, &file, false, false).await.unwrap();
    let url = format!("sqlite:{}", file.display().to_string().replace(' ', "%20").replace('#', "%23"));
    sql_at(
        &url,
        "DROP TABLE keys; DELETE FROM _sqlx_migrations WHERE version = 5; \
         DELETE FROM resyncd_backup_tables WHERE name = 'keys'",
    )
    .await;
    let before = fs::read(&file).unwrap();
    let restored = Store::restore(&scratch.database, &file, true).await.unwrap();
    assert_eq!((rows(&restored, "keys"), rows(&restored, "devices")), (0, 2));
    assert_eq!(count(&scratch.url, "keys").await, 0);
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// A backup with 40 events, and what restoring it says once it was changed.
async fn refusal(change: impl AsyncFnOnce(&Path, &str)) -> String {
    let (scratch, target) = (Scratch::sqlite(), Scratch::sqlite());
    filled(&scratch, 40).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    Store::backup(&scratch.database, &file, false, false).await.unwrap();
    change(&file, &format!("sqlite:{}", file.display())).await;
    let error = Store::restore(&target.database, &file, false).await.unwrap_err().to_string();
    // Told before anything is made.
    assert!(!Path::new(target.url.strip_prefix("sqlite:").unwrap()).exists(), "{error}");
    assert!(error.contains("backup.db"), "{error}");
    error
}

#[tokio::test]
async fn a_backup_that_is_not_what_was_written_is_refused() {
    let said = refusal(async |_, url| sql_at(url, "DELETE FROM events WHERE time % 7 = 0").await).await;
    assert!(said.contains("is damaged: table events has ") && said.contains("should have 40"), "{said}");
    let said = refusal(async |_, url| sql_at(url, "UPDATE devices SET settings = '{}'").await).await;
    assert!(said.contains("is damaged: the rows of table devices are not those that were written"), "{said}");
    let said = refusal(async |_, url| sql_at(url, "DROP TABLE audit").await).await;
    assert!(said.contains("is damaged: it has"), "{said}");
    let said = refusal(async |_, url| sql_at(url, "DROP TABLE resyncd_backup").await).await;
    assert!(said.contains("is no backup"), "{said}");
    let newer = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 5";
    let said = refusal(async |_, url| sql_at(url, newer).await).await;
    assert!(said.contains("was made by a newer resyncd") && said.contains("9999"), "{said}");
    let foreign = "UPDATE _sqlx_migrations SET checksum = '' WHERE version = 5";
    let said = refusal(async |_, url| sql_at(url, foreign).await).await;
    assert!(said.contains("resyncd did not make (step 5 differs)"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_half_a_backup_or_none_is_refused() {
    let said = refusal(async |file, _| fs::remove_file(file).unwrap()).await;
    assert!(said.contains("is not there"), "{said}");
    let said = refusal(async |file, _| fs::write(file, "").unwrap()).await;
    assert!(said.contains("is no backup"), "{said}");
    let said = refusal(async |file, _| fs::write(file, "mac,model\n".repeat(500)).unwrap()).await;
    assert!(said.contains("is damaged"), "{said}");
    let said = refusal(async |file, _| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    })
    .await;
    assert!(said.contains("is no backup"), "{said}");
    // Cut off, and with bytes changed in its middle: every page counts.
    let size = {
        let mut size = 0;
        let said = refusal(async |file, _| {
            let bytes = fs::read(file).unwrap();
            size = bytes.len();
            fs::write(file, &bytes[..size / 2]).unwrap();
        })
        .await;
        assert!(said.contains("is damaged"), "{said}");
        size
    };
    for page in 1..size / 4096 {
        let said = refusal(async |file, _| {
            let mut bytes = fs::read(file).unwrap();
            bytes[page * 4096..page * 4096 + 64].fill(0xa5);
            fs::write(file, bytes).unwrap();
        })
        .await;
        assert!(
            said.contains("is damaged") || said.contains("did not make") || said.contains("newer"),
            "{page}: {said}"
        );
    }
}

#[tokio::test]
async fn the_database_itself_is_no_backup_of_it() {
    let scratch = Scratch::sqlite();
    filled(&scratch, 3).await;
    let path = scratch.url.strip_prefix("sqlite:").unwrap();
    let error = Store::restore(&scratch.database, Path::new(path), true).await.unwrap_err();
    assert!(matches!(error, BackupError::Itself(_)), "{error}");
    // Another database is no backup either.
    let other = Scratch::sqlite();
    let error = Store::restore(&other.database, Path::new(path), true).await.unwrap_err();
    assert!(matches!(error, BackupError::NoBackup(_)), "{error}");
}

/// A deployment on a database, and its commands: exit code, stdout, stderr.
fn deployment(url: &str) -> Deployment {
    let deployment = Deployment::bare();
    deployment.append_config(&format!("[database]\nurl = \"{url}\"\n"));
    deployment
}

fn said(deployment: &Deployment, arguments: &[&str]) -> (i32, String, String) {
    let output = deployment.run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_commands_say_what_they_did() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (from, to) = (Scratch::sqlite(), Scratch::sqlite());
    let (deployment, other) = (deployment(&from.url), deployment(&to.url));
    let (code, told, error) = said(&deployment, &["backup", "b.db"]);
    assert_eq!((code, &*told), (2, ""));
    assert!(error.contains("there is no database"), "{error}");
    runtime.block_on(filled(&from, 5));

    let (code, told, error) = said(&deployment, &["backup", "--verify", "b.db"]);
    assert_eq!((code, &*error), (0, "made the backup b.db, and checked it by restoring it\n"));
    assert!(told.contains("devices: 2 rows\n") && told.contains("groups: 1 row\n"), "{told}");
    let (code, told, error) = said(&deployment, &["backup", "b.db"]);
    assert_eq!((code, &*told), (1, ""));
    assert!(error.contains("b.db is there already"), "{error}");
    let (code, json, _) = said(&deployment, &["backup", "b.db", "--force", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json[0]["checksum"].as_str().unwrap().len()), (0, 64));

    let file = deployment.path("b.db").display().to_string();
    // The key that its secrets are sealed with is not configured: the database is whole, and no server would start.
    let (code, told, error) = said(&other, &["restore", &file]);
    assert_eq!(code, 1, "{error}");
    assert!(told.contains("devices: 2 rows\n"), "{told}");
    assert!(error.contains("everything is restored, but") && error.contains("a3e42fb9"), "{error}");
    let (code, _, error) = said(&other, &["restore", &file]);
    assert_eq!(code, 1);
    assert!(error.contains("is not empty") && !error.contains("restored the backup"), "{error}");
    runtime.block_on(sql(&from, "DELETE FROM keys"));
    assert_eq!(said(&deployment, &["backup", "c.db"]).0, 0);
    let (code, _, error) = said(&other, &["restore", "--force", &deployment.path("c.db").display().to_string()]);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("compared every table"), "{error}");
}

#[test]
fn a_backup_is_made_while_a_server_runs() {
    let deployment = Deployment::empty();
    let running = deployment.start();
    let (code, _, error) = said(&running.deployment, &["backup", "--verify", "b.db"]);
    assert_eq!(code, 0, "{error}");
    running.stop();
}

/// Runs a command where a folder is a disk of a few hundred kilobytes. None where this may not be done.
fn on_a_small_disk(folder: &Path, deployment: &Deployment, arguments: &str) -> Option<(i32, String)> {
    let unshare = |script: &str| {
        let mut command = program("unshare")?;
        Some(run(command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script])))
    };
    if !unshare("mount -t tmpfs -o size=64k none /tmp")?.status.success() {
        eprintln!("SKIPPED: file systems can't be mounted here");
        return None;
    }
    let program = resyncd().get_program().to_string_lossy().into_owned();
    let output = unshare(&format!(
        "mkdir -p '{0}'; mount -t tmpfs -o size=400k none '{0}'; status=0; \
         '{program}' --config '{1}' {arguments} || status=$?; find '{0}' -type f >&2; exit $status",
        folder.display(),
        deployment.path("resyncd.toml").display()
    ))?;
    Some((output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap()))
}

#[test]
fn a_full_disk_leaves_no_half_backup_and_no_half_restore() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scratch = Scratch::sqlite();
    let deployment = deployment(&scratch.url);
    runtime.block_on(filled(&scratch, 5_000));
    let small = deployment.path("small");
    let backup = format!("backup '{}/b.db'", small.display());
    let Some((code, said)) = on_a_small_disk(&small, &deployment, &backup) else { return };
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is full") && said.lines().count() == 1, "{said}");

    assert_eq!(deployment.run(&["backup", "b.db"]).status.code(), Some(0));
    let target = self::deployment(&format!("sqlite:{}/restored.db", small.display()));
    let restore = format!("restore '{}'", deployment.path("b.db").display());
    let Some((code, said)) = on_a_small_disk(&small, &target, &restore) else { return };
    assert_eq!(code, 2, "{said}");
    assert!(said.starts_with("resyncd: the disk that the database") && said.contains("is full"), "{said}");
}

#[test]
fn a_database_that_is_older_or_newer_is_not_backed_up() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scratch = Scratch::sqlite();
    runtime.block_on(filled(&scratch, 1));
    runtime.block_on(sql(
        &scratch,
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)",
    ));
    let deployment = deployment(&scratch.url);
    let (code, _, error) = said(&deployment, &["backup", "b.db"]);
    assert_eq!(code, 2);
    assert!(error.contains("resyncd migrate"), "{error}");
    runtime.block_on(sql(&scratch, "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1"));
    let (code, _, error) = said(&deployment, &["backup", "b.db"]);
    assert_eq!(code, 2);
    assert!(error.contains("newer resyncd"), "{error}");
    assert!(!deployment.path("b.db").exists());
}

#[tokio::test]
async fn many_rows_are_copied() {
    let scratch = Scratch::sqlite();
    filled(&scratch, 0).await;
    sql(
        &scratch,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
         INSERT INTO device_users (user_name, mac) SELECT 'user' || i, printf('%012x', i) FROM n",
    )
    .await;
    let (_folder, file) = place();
    let copied = Store::backup(&scratch.database, &file, false, true).await.unwrap();
    assert_eq!(rows(&copied, "device_users"), 20_000);
    let other = Database::sqlite(file.with_file_name("other.db"));
    assert_eq!(Store::restore(&other, &file, false).await.unwrap(), copied);
}
