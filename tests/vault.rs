//! Secrets at rest: which key a database's secrets are sealed with, a wrong key, a lost one, and a new one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use resyncd::config::{Config, Database, Secrets};
use resyncd::fleet::{Actor, Fleet, Format, Liberties};
use resyncd::model::Secret;
use resyncd::store::{SealedTable, Store};
use resyncd::vault::{UnlockError, Vault, VaultError, key_file_to_make, rotate, unlock, unlock_read_only};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use crate::store::on_each_database;
use crate::support::database::Scratch;
use crate::support::deployment::Deployment;
use crate::support::{resyncd, run};

on_each_database! {
    a_database_remembers_its_key
    a_lost_key_file_is_not_made_again
    everything_is_sealed_anew
    what_changes_meanwhile_is_not_lost
    a_key_that_is_missing_changes_nothing
    what_does_not_open_is_named_and_left
    a_device_keeps_its_password_through_backup_restore_and_another_key
}

fn key(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

fn secrets(master: Option<u8>, read: &[u8]) -> Secrets {
    Secrets {
        master_key: Ok(master.map(key)),
        key_file: None,
        read_keys: read.iter().map(|byte| Ok(key(*byte))).collect(),
    }
}

fn vault(master: u8, read: &[u8]) -> Vault {
    Vault::new(&secrets(Some(master), read))
}

/// The project's own configuration with these keys.
fn config(secrets: Secrets) -> Config {
    let file = crate::support::root().join("resyncd.toml");
    let config = Config::load_with_environment(&file, std::iter::empty::<(String, String)>()).unwrap();
    Config { secrets, ..config }
}

async fn sql(scratch: &Scratch, statements: &str) {
    let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn put(scratch: &Scratch, table: SealedTable, key: &str, settings: &str) {
    let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
    let insert = match table {
        SealedTable::Devices => {
            "INSERT INTO devices (mac, settings, search, revision, created, changed) VALUES ($1, $2, '', 7, 0, 0)"
        }
        SealedTable::Groups => {
            "INSERT INTO groups (name, settings, revision, created, changed) VALUES ($1, $2, 7, 0, 0)"
        }
        SealedTable::Codes => {
            "INSERT INTO codes (id, hash, settings, takes_over, uses, max_uses, failures, created, created_by, expires) \
             VALUES ($1, $1, $2, 0, 0, 1, 0, 0, 'cli:test', 0)"
        }
        SealedTable::Tasks => {
            "INSERT INTO acs_tasks (id, mac, settings, state, tries, most_tries, due, expires, created, created_by, call) \
             VALUES ($1, '00085d000001', $2, 'waiting', 0, 1, 0, 0, 0, 'cli:test', 0)"
        }
    };
    sqlx::query(insert).bind(key).bind(settings).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn settings(scratch: &Scratch, table: &str, key: &str) -> (serde_json::Value, i64) {
    let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
    let column = if table == "devices" { "mac" } else { "name" };
    let select = format!("SELECT settings, revision FROM {table} WHERE {column} = $1");
    let row = sqlx::query(AssertSqlSafe(select)).bind(key).fetch_one(&mut connection).await.unwrap();
    let found = (serde_json::from_str(&row.get::<String, _>(0)).unwrap(), row.get(1));
    connection.close().await.unwrap();
    found
}

async fn key_ids(store: &Store) -> Vec<String> {
    store.keys().await.unwrap().into_iter().map(|row| row.id).collect()
}

fn id(vault: &Vault) -> String {
    vault.key_id().unwrap().to_string()
}

async fn a_database_remembers_its_key(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    // Without a key, and without secrets, there is nothing to say.
    unlock(&config(secrets(None, &[])), &store).await.unwrap();
    assert!(key_ids(&store).await.is_empty());
    let first = unlock(&config(secrets(Some(1), &[])), &store).await.unwrap().vault;
    unlock(&config(secrets(Some(1), &[])), &store).await.unwrap();
    assert_eq!(key_ids(&store).await, [id(&first)]);

    let wrong = unlock(&config(secrets(Some(2), &[])), &store).await.unwrap_err();
    let text = wrong.to_string();
    assert!(matches!(wrong, UnlockError::WrongKey { .. }), "{text}");
    assert!(text.contains(&format!("were sealed with key {}", id(&first))), "{text}");
    assert!(text.contains(&format!("the configured key is {}", id(&vault(2, &[])))), "{text}");
    let reading = unlock_read_only(&config(secrets(Some(2), &[])), &store).await.unwrap_err().to_string();
    assert_eq!(reading, text);
    let none = unlock(&config(secrets(None, &[])), &store).await.unwrap_err().to_string();
    assert!(none.contains("no secrets.master_key is configured"), "{none}");
    assert_eq!(key_ids(&store).await, [id(&first)]);

    // A key that isn't to be had is said to be that, and not to be wrong.
    let problem = resyncd::document::Problem::file(Path::new("resyncd.toml"), "the variable X is not set");
    let unset = Secrets { read_keys: vec![Err(problem)], ..secrets(Some(2), &[]) };
    let unset = unlock(&config(unset), &store).await.unwrap_err().to_string();
    assert!(unset.contains("the variable X is not set"), "{unset}");

    let both = unlock(&config(secrets(Some(2), &[1])), &store).await.unwrap().vault;
    assert_eq!(key_ids(&store).await, [id(&first), id(&both)]);
    // From now on the old key alone is not enough.
    assert!(unlock(&config(secrets(Some(1), &[])), &store).await.is_err());

    sql(scratch, "UPDATE keys SET check_value = 'v1.00000000.AAAA'").await;
    let changed = unlock(&config(secrets(Some(2), &[1])), &store).await.unwrap_err();
    assert!(matches!(changed, UnlockError::Check { .. }), "{changed}");
}

async fn a_lost_key_file_is_not_made_again(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let deployment = Deployment::bare();
    deployment.append_config("[secrets]\nmaster_key = { file = \"data/keys/../master.key\" }\n");
    let config = deployment.config();
    assert!(config.secrets.master_key.is_err());
    let path = deployment.path("data/master.key");
    std::fs::create_dir_all(deployment.path("data/keys")).unwrap();
    let made = unlock(&config, &store).await.unwrap();
    assert!(made.made.is_some());
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!((text.len(), text.ends_with('\n')), (65, true));
    // What was made is what is loaded from then on.
    let sealed = made.vault.seal("device/000e08abcdef/admin.password", b"x").unwrap();
    let again = unlock(&deployment.config(), &store).await.unwrap();
    assert_eq!(again.made, None);
    assert_eq!(again.vault.open("device/000e08abcdef/admin.password", &sealed).unwrap().expose(), b"x");

    std::fs::remove_file(&path).unwrap();
    let missing = unlock(&deployment.config(), &store).await.unwrap_err();
    let text = missing.to_string();
    assert!(matches!(missing, UnlockError::KeyFileMissing { .. }), "{text}");
    assert!(text.contains("master.key is not there") && text.contains(&id(&made.vault)), "{text}");
    assert!(!path.exists());
}

#[test]
fn a_key_file_is_made_in_the_data_folder_only() {
    let deployment = Deployment::bare();
    deployment.append_config("[secrets]\nmaster_key = { file = \"data/../master.key\" }\n");
    assert_eq!(key_file_to_make(&deployment.config()), None);
    let deployment = Deployment::bare();
    deployment.append_config("[secrets]\nmaster_key = { env = \"NOT_SET\" }\n");
    assert_eq!(key_file_to_make(&deployment.config()), None);
    let deployment = Deployment::bare();
    deployment.append_config("[secrets]\nmaster_key = { file = \"data/master.key\" }\n");
    assert_eq!(key_file_to_make(&deployment.config()), Some(deployment.path("data/master.key").as_path()));
    // One that is there and can't be read is the operator's to mend.
    std::fs::create_dir_all(deployment.path("data/master.key")).unwrap();
    assert_eq!(key_file_to_make(&deployment.config()), None);
}

#[test]
fn a_first_start_makes_the_key_file_and_the_next_one_needs_it() {
    let deployment = Deployment::empty();
    deployment.append_config("[secrets]\nmaster_key = { file = \"data/master.key\" }\n");
    let running = deployment.start();
    let path = running.deployment.path("data/master.key");
    assert!(path.is_file());
    let (deployment, _) = running.stop();
    // Another key in its place is told at once, and so is none.
    std::fs::write(&path, "01".repeat(32)).unwrap();
    let error = refused(&deployment);
    assert!(error.contains("were sealed with key") && error.contains("the configured key is a3e42fb9"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = refused(&deployment);
    assert!(error.contains("master.key is not there"), "{error}");
}

/// What a server says that doesn't start.
fn refused(deployment: &Deployment) -> String {
    let mut command = Command::new("timeout");
    command.arg("60").arg(resyncd().get_program()).arg("--config").arg(deployment.path("resyncd.toml")).arg("serve");
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_rotation_that_is_killed_is_gone_on_with() {
    let (deployment, scratch) = (Deployment::bare(), Scratch::sqlite());
    let (master, read) = ("02".repeat(32), "01".repeat(32));
    deployment.append_config(&format!(
        "[database]\nurl = \"{}\"\n[secrets]\nmaster_key = \"{master}\"\nread_keys = [\"{read}\"]\n",
        scratch.url
    ));
    let (old, new) = (vault(1, &[]), vault(2, &[]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sealed_with = |id: &str| {
        runtime.block_on(async {
            let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
            let count = sqlx::query_scalar("SELECT COUNT(*) FROM devices WHERE settings LIKE $1");
            let count: i64 = count.bind(format!("%v1.{id}.%")).fetch_one(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            count
        })
    };
    const DEVICES: usize = 1_500;
    runtime.block_on(async {
        let store = Store::open(&scratch.database).await.unwrap();
        unlock(&config(secrets(Some(1), &[])), &store).await.unwrap();
        let rows = (0..DEVICES).map(|number| {
            let mac = device(number);
            format!("('{mac}', '{}', '', 7, 0, 0)", tree(&old, &format!("device/{mac}")).replace('\'', "''"))
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO devices (mac, settings, search, revision, created, changed) VALUES {rows}");
        sql(&scratch, &insert).await;
        store.close().await;
    });
    let mut rotating = resyncd();
    rotating.arg("--config").arg(deployment.path("resyncd.toml")).args(["secrets", "rotate"]);
    let mut rotating = rotating.stdout(Stdio::null()).spawn().unwrap();
    while sealed_with(&id(&new)) == 0 {
        assert!(rotating.try_wait().unwrap().is_none_or(|status| status.success()));
    }
    let _ = rotating.kill();
    rotating.wait().unwrap();
    // Each row is sealed with the one key or with the other, and with what it needs.
    runtime.block_on(async {
        let store = Store::open(&scratch.database).await.unwrap();
        unlock(&config(secrets(Some(2), &[1])), &store).await.unwrap();
        store.close().await;
    });
    assert_eq!(deployment.run(&["secrets", "rotate"]).status.code(), Some(0));
    assert_eq!((sealed_with(&id(&old)), sealed_with(&id(&new))), (0, DEVICES as i64));
    let again = deployment.run(&["secrets", "rotate"]);
    let expected = format!("sealed with key {}: {} secrets\nnothing to seal anew\n", id(&new), 2 * DEVICES);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), expected);
}

fn device(number: usize) -> String {
    format!("000e08{number:06x}")
}

/// A device's settings with two secrets and much else.
fn tree(vault: &Vault, place: &str) -> String {
    let seal = |path: &str, secret: &str| vault.seal(&format!("{place}/{path}"), secret.as_bytes()).unwrap();
    serde_json::json!({
        "model": "CP-6841-3PCC",
        "lines": {"1": {"user": "1001", "password": {"sealed": seal("lines.1.password", "one")}, "port": 5061}},
        "vars": {"sealed": "text of the operator's", "n": 1.5, "sealed.too": {"sealed": seal("vars.sealed.too", "two")}},
        "unset": ["params.Foo"],
    })
    .to_string()
}

async fn everything_is_sealed_anew(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let old = vault(1, &[]);
    unlock(&config(secrets(Some(1), &[])), &store).await.unwrap();
    for number in 0..450 {
        let mac = device(number);
        put(scratch, SealedTable::Devices, &mac, &tree(&old, &format!("device/{mac}"))).await;
    }
    put(scratch, SealedTable::Devices, "000e09000000", "{\"model\":\"no secrets\"}").await;
    put(scratch, SealedTable::Groups, "acme-hq", &tree(&old, "group/acme-hq")).await;
    put(scratch, SealedTable::Tasks, "0a", &tree(&old, "task/0a")).await;
    let (before, _) = settings(scratch, "devices", &device(7)).await;

    let new = vault(2, &[1]);
    let planned = rotate(&new, &store, true).await.unwrap();
    assert_eq!((planned.rotated, planned.damaged), (904, 0));
    assert_eq!(planned.unused, [id(&old)]);
    assert_eq!(settings(scratch, "devices", &device(7)).await.0, before);
    assert_eq!(key_ids(&store).await, [id(&old)]);

    let done = rotate(&new, &store, false).await.unwrap();
    assert_eq!((done.rotated, done.unused.clone(), done.used.clone()), (904, vec![id(&old)], vec![]));
    assert_eq!(key_ids(&store).await, [id(&new)]);
    // The old key is needed no more.
    let alone = unlock(&config(secrets(Some(2), &[])), &store).await.unwrap().vault;
    let (after, revision) = settings(scratch, "devices", &device(7)).await;
    assert_eq!(revision, 7);
    let open = |tree: &serde_json::Value, vault: &Vault, pointer: &str, path: &str| {
        let sealed = tree.pointer(pointer).unwrap()["sealed"].as_str().unwrap();
        vault.open(&format!("device/{}/{path}", device(7)), sealed).unwrap()
    };
    assert_eq!(open(&after, &alone, "/lines/1/password", "lines.1.password").expose(), b"one");
    assert_eq!(open(&after, &alone, "/vars/sealed.too", "vars.sealed.too").expose(), b"two");
    assert_eq!(after["vars"]["sealed"], before["vars"]["sealed"]);
    assert_eq!((&after["model"], &after["unset"]), (&before["model"], &before["unset"]));
    let (group, _) = settings(scratch, "groups", "acme-hq").await;
    let sealed = group["lines"]["1"]["password"]["sealed"].as_str().unwrap();
    assert_eq!(alone.open("group/acme-hq/lines.1.password", sealed).unwrap().expose(), b"one");

    let again = rotate(&alone, &store, false).await.unwrap();
    assert_eq!((again.rotated, again.secrets.values().sum::<u64>()), (0, 904));
}

async fn what_changes_meanwhile_is_not_lost(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let (old, new) = (vault(1, &[]), vault(2, &[1]));
    for number in 0..300 {
        let mac = device(number);
        put(scratch, SealedTable::Devices, &mac, &tree(&old, &format!("device/{mac}"))).await;
    }
    let rows = store.sealed_rows(SealedTable::Devices, "", 1).await.unwrap();
    let edited = tree(&old, &format!("device/{}", device(0)));
    assert!(store.replace_sealed(SealedTable::Devices, &rows[0], &edited).await.unwrap());
    // Somebody was faster: what they wrote stays.
    assert!(!store.replace_sealed(SealedTable::Devices, &rows[0], "{}").await.unwrap());

    // Edits while it runs, by a server that has the new key already.
    let editing = async {
        for number in 0..300 {
            let mac = device(number);
            let place = format!("device/{mac}/admin.password");
            let settings = serde_json::json!({"edited": {"sealed": new.seal(&place, b"edited").unwrap()}}).to_string();
            let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
            let update = sqlx::query("UPDATE devices SET settings = $1 WHERE mac = $2").bind(settings).bind(&mac);
            update.execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    };
    let (rotation, ()) = tokio::join!(rotate(&new, &store, false), editing);
    assert_eq!(rotation.unwrap().damaged, 0);
    for number in 0..300 {
        let (settings, _) = settings(scratch, "devices", &device(number)).await;
        assert!(settings.get("edited").is_some(), "{number}: {settings}");
    }
}

async fn a_key_that_is_missing_changes_nothing(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let (known, unknown) = (vault(1, &[]), vault(3, &[]));
    put(scratch, SealedTable::Devices, &device(0), &tree(&known, &format!("device/{}", device(0)))).await;
    put(scratch, SealedTable::Devices, &device(1), &tree(&unknown, &format!("device/{}", device(1)))).await;
    let before = settings(scratch, "devices", &device(0)).await;
    let error = rotate(&vault(2, &[1]), &store, false).await.unwrap_err();
    assert!(matches!(error, UnlockError::Vault(VaultError::UnknownKey { .. })), "{error}");
    assert!(error.to_string().contains(&id(&unknown)) && error.to_string().contains(&device(1)), "{error}");
    assert_eq!(settings(scratch, "devices", &device(0)).await, before);
    assert!(key_ids(&store).await.is_empty());
    let error = rotate(&Vault::new(&secrets(None, &[1])), &store, false).await.unwrap_err();
    assert!(error.to_string().contains("openssl rand -hex 32"), "{error}");
}

async fn what_does_not_open_is_named_and_left(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let old = vault(1, &[]);
    unlock(&config(secrets(Some(1), &[])), &store).await.unwrap();
    // A row that was copied over another's.
    put(scratch, SealedTable::Devices, &device(0), &tree(&old, &format!("device/{}", device(1)))).await;
    put(scratch, SealedTable::Devices, &device(1), &tree(&old, &format!("device/{}", device(1)))).await;
    put(scratch, SealedTable::Groups, "half", "{\"admin\": {\"password\": {\"sealed\"").await;
    let before = settings(scratch, "devices", &device(0)).await;
    for is_dry_run in [true, false] {
        let rotation = rotate(&vault(2, &[1]), &store, is_dry_run).await.unwrap();
        assert_eq!((rotation.rotated, rotation.damaged), (2, 3));
        let named: Vec<_> = rotation.named.iter().map(ToString::to_string).collect();
        assert!(named[0].starts_with(&format!("device/{}/lines.1.password does not open", device(0))), "{named:?}");
        assert!(named[2].starts_with("group/half holds no sealed text"), "{named:?}");
        assert_eq!((rotation.unused, rotation.used), (vec![], vec![id(&old)]));
    }
    assert_eq!(settings(scratch, "devices", &device(0)).await, before);
    assert_eq!(key_ids(&store).await, [id(&old), id(&vault(2, &[]))]);
}

#[test]
fn the_command_says_what_it_did_and_which_key_may_go() {
    let deployment = Deployment::bare();
    let scratch = Scratch::sqlite();
    let url = scratch.url.clone();
    let digits = |byte: &str| byte.repeat(32);
    let secrets = |master: &str, read: &str| {
        format!("[database]\nurl = \"{url}\"\n[secrets]\nmaster_key = \"{}\"\nread_keys = [{read}]\n", digits(master))
    };
    let plain = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", plain.clone() + &secrets("02", &format!("\"{}\"", digits("01"))));
    let said = |arguments: &[&str]| {
        let output = deployment.run(arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, _, error) = said(&["secrets", "rotate"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("there is no database"), "{error}");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let old = vault(1, &[]);
    runtime.block_on(async {
        let store = Store::open(&scratch.database).await.unwrap();
        unlock(&config(self::secrets(Some(1), &[])), &store).await.unwrap();
        put(&scratch, SealedTable::Devices, &device(0), &tree(&old, &format!("device/{}", device(0)))).await;
        store.close().await;
    });
    let (old, new) = (id(&old), id(&vault(2, &[])));
    let (code, dry, error) = said(&["secrets", "rotate", "--dry-run"]);
    assert_eq!((code, &*error), (Some(0), ""));
    let expected = format!(
        "sealed with key {old}: 2 secrets\nto be sealed anew: 2 secrets\n\
         key {old} will be needed no more: then it may leave secrets.read_keys\n"
    );
    assert_eq!(dry, expected);
    let (code, done, error) = said(&["secrets", "rotate"]);
    assert_eq!((code, &*error), (Some(0), ""));
    assert!(done.ends_with(&format!("key {old} is needed no more: it may leave secrets.read_keys\n")), "{done}");
    let (_, done, _) = said(&["secrets", "rotate"]);
    assert_eq!(done, format!("sealed with key {new}: 2 secrets\nnothing to seal anew\n"));

    deployment.write("resyncd.toml", plain + &secrets("03", ""));
    let (code, _, error) = said(&["secrets", "rotate"]);
    assert_eq!(code, Some(2));
    assert!(error.contains(&format!("is sealed with key {new}")), "{error}");
    for hidden in [digits("01"), digits("02"), digits("03")] {
        assert!(!format!("{dry}{done}{error}").contains(&hidden));
    }
}

/// The password of line 1 as the fleet knows it.
async fn password(config: &Config) -> Option<String> {
    let fleet = Fleet::open(Arc::new(config.clone())).await.unwrap().0;
    let entry = fleet.device("000e08abcdef".parse().unwrap()).await.unwrap().unwrap();
    let path = ["lines", "1", "password"].map(str::to_owned);
    let password = entry.record.unwrap().record.settings.get(&path).and_then(|value| value.as_str()).map(str::to_owned);
    fleet.store().close().await;
    password
}

async fn a_device_keeps_its_password_through_backup_restore_and_another_key(scratch: &Scratch) {
    let deployment = Deployment::bare();
    deployment.write("profiles/defaults.toml", "[access]\nnetworks = [\"127.0.0.1\"]\n");
    // One small pack is loaded in no time.
    let text = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", text.replace("/templates\"", "/tests/golden/tiny/templates\""));
    let of =
        |database: &Database, secrets: Secrets| Config { database: database.clone(), secrets, ..deployment.config() };
    let first = of(&scratch.database, secrets(Some(1), &[]));
    let fleet = Fleet::open(Arc::new(first.clone())).await.unwrap().0;
    let csv = "mac,model,user,password,admin.password\n000e08abcdef,T-1,1001,not-a-real-one,not-a-real-two\n";
    let edits = resyncd::fleet::read(Format::Csv, "devices.csv", csv).unwrap();
    let plan = fleet.plan(edits, Liberties::default()).await.unwrap();
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
    let actor = Actor { name: "cli:test".to_owned(), peer: None };
    let applied = fleet.apply(plan, &actor).await.unwrap();
    fleet.store().close().await;
    assert_eq!((applied.created, password(&first).await.as_deref()), (1, Some("not-a-real-one")));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    Store::backup(&scratch.database, &file, false, true).await.unwrap();
    // Nothing of it is readable in the file.
    let bytes = std::fs::read(&file).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("not-a-real"));
    let target = Scratch::sqlite();
    Store::restore(&target.database, &file, false).await.unwrap();
    assert_eq!(password(&of(&target.database, secrets(Some(1), &[]))).await.as_deref(), Some("not-a-real-one"));

    let store = Store::open(&target.database).await.unwrap();
    let rotation = rotate(&vault(2, &[1]), &store, false).await.unwrap();
    assert_eq!((rotation.rotated, rotation.damaged, rotation.unused), (2, 0, vec![id(&vault(1, &[]))]));
    store.close().await;
    assert_eq!(password(&of(&target.database, secrets(Some(2), &[]))).await.as_deref(), Some("not-a-real-one"));
    let wrong = Fleet::open(Arc::new(of(&target.database, secrets(Some(1), &[])))).await.err().unwrap().to_string();
    assert!(wrong.contains("were sealed with key"), "{wrong}");
}
