//! `resyncd migrate`: what would be done to the schema, and doing it.

use std::path::Path;

use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::store::on_each_database;
use crate::support::database::Scratch;
use crate::support::deployment::Deployment;

on_each_database! {
    a_dry_run_tells_every_step_and_does_none
    a_database_that_is_half_way_lacks_the_rest
    a_newer_and_a_foreign_schema_are_refused
}

/// A deployment on a database.
fn deployment(scratch: &Scratch) -> Deployment {
    let deployment = Deployment::bare();
    deployment.append_config(&format!("[database]\nurl = \"{}\"\n", scratch.url));
    deployment
}

/// Exit code, stdout and stderr.
fn run(deployment: &Deployment, arguments: &[&str]) -> (i32, String, String) {
    let output = deployment.run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn sql(scratch: &Scratch, statement: &str) {
    let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn a_dry_run_tells_every_step_and_does_none(scratch: &Scratch) {
    let deployment = deployment(scratch);
    let (code, told, _) = run(&deployment, &["migrate", "--dry-run"]);
    assert_eq!(code, 1);
    assert!(told.starts_with("-- step 1: events\n") && told.contains("CREATE TABLE keys ("), "{told}");
    // It is SQL that can be read, and run by hand.
    assert_eq!(run(&deployment, &["migrate", "--dry-run"]), (1, told, String::new()));
    if let Some(path) = scratch.url.strip_prefix("sqlite:") {
        assert!(!Path::new(path).exists());
    }
    let (code, json, _) = run(&deployment, &["migrate", "--dry-run", "--format", "json"]);
    let steps: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, steps[0]["version"].as_i64(), steps[0]["name"].as_str()), (1, Some(1), Some("events")));
    assert!(steps[0]["sql"].as_str().unwrap().contains("CREATE TABLE events"));

    let (code, told, error) = run(&deployment, &["migrate"]);
    assert_eq!((code, &*error), (0, ""));
    assert_eq!(told.lines().count(), steps.as_array().unwrap().len());
    assert!(told.starts_with("applied step 1: events\n"), "{told}");
    let up_to_date = "the database's schema is up to date\n".to_owned();
    for arguments in [&["migrate"][..], &["migrate", "--dry-run"]] {
        assert_eq!(run(&deployment, arguments), (0, String::new(), up_to_date.clone()));
    }
}

async fn a_database_that_is_half_way_lacks_the_rest(scratch: &Scratch) {
    let deployment = deployment(scratch);
    assert_eq!(run(&deployment, &["migrate"]).0, 0);
    sql(scratch, "DROP TABLE keys; DELETE FROM _sqlx_migrations WHERE version = 5").await;
    let (code, told, _) = run(&deployment, &["migrate", "--dry-run"]);
    assert_eq!((code, told.matches("-- step ").count()), (1, 1), "{told}");
    assert!(told.starts_with("-- step 5: keys\n"), "{told}");
    assert_eq!(run(&deployment, &["migrate"]).1, "applied step 5: keys\n");
}

async fn a_newer_and_a_foreign_schema_are_refused(scratch: &Scratch) {
    let deployment = deployment(scratch);
    assert_eq!(run(&deployment, &["migrate"]).0, 0);
    sql(scratch, "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 5").await;
    for arguments in [&["migrate", "--dry-run"][..], &["migrate"]] {
        let (code, told, error) = run(&deployment, arguments);
        assert_eq!((code, &*told), (2, ""), "{error}");
        assert!(error.contains("written by a newer resyncd") && error.contains("9999"), "{error}");
    }
    sql(scratch, "UPDATE _sqlx_migrations SET version = 5, checksum = '' WHERE version = 9999").await;
    for arguments in [&["migrate", "--dry-run"][..], &["migrate"]] {
        let (code, told, error) = run(&deployment, arguments);
        assert_eq!((code, &*told), (2, ""), "{error}");
        assert!(error.contains("resyncd did not make (step 5 differs)"), "{error}");
    }
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let scratch = Scratch::sqlite();
    let path = scratch.url.strip_prefix("sqlite:").unwrap();
    std::fs::write(path, "no database at all, but long enough to be looked at. ".repeat(100)).unwrap();
    let (code, _, error) = run(&deployment(&scratch), &["migrate", "--dry-run"]);
    assert_eq!(code, 2);
    assert!(error.contains("is damaged, or no SQLite database"), "{error}");
}

#[test]
fn a_database_that_another_program_has_locked_is_said_to_be_that() {
    let scratch = Scratch::sqlite();
    let deployment = deployment(&scratch);
    assert_eq!(run(&deployment, &["migrate"]).0, 0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut locking = runtime.block_on(async {
        let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
        sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
        connection
    });
    for arguments in [&["migrate", "--dry-run"][..], &["migrate"], &["secrets", "rotate"]] {
        let (code, _, error) = run(&deployment, arguments);
        assert_eq!(code, 2);
        assert!(error.contains("is locked by another program"), "{error}");
    }
    runtime.block_on(async { sqlx::raw_sql("COMMIT").execute(&mut locking).await }).unwrap();
}
