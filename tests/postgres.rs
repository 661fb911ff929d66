//! PostgreSQL as an operator's server: TLS, limits of time, and what is said of a server that doesn't answer.

use std::path::{Path, PathBuf};

use resyncd::config::Database;
use resyncd::model::Secret;
use resyncd::store::Store;
use sqlx::{AnyConnection, Connection};

use crate::support::certificates::{Leaf, Pair, authority};
use crate::support::database::{Scratch, TlsPostgres};
use crate::support::deployment::Deployment;

fn database(server: &TlsPostgres, host: &str, query: &str) -> Database {
    let url = format!("postgres://resyncd@{host}:{}/postgres?{query}", server.port);
    Database::postgres(Secret::new(url))
}

/// What opening it says, or nothing where it opens.
async fn refusal(database: &Database) -> String {
    match Store::open(database).await {
        Ok(store) => {
            store.close().await;
            String::new()
        }
        Err(error) => error.to_string(),
    }
}

fn write(pair: &Pair, folder: &Path, name: &str) -> PathBuf {
    pair.write_certificate(folder, name)
}

#[tokio::test]
async fn a_server_is_verified_by_the_root_and_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (authority("The database's CA"), authority("Another CA"));
    let (root, wrong) = (write(&ca, folder.path(), "root"), write(&other, folder.path(), "wrong"));
    // PostgreSQL is reached by an address, and its certificate holds a name.
    let Some(server) =
        TlsPostgres::start(&ca.sign(&Leaf { names: &["localhost"], ..Leaf::of(&[("CN", "localhost")]) }))
    else {
        return;
    };
    let full = |root: &Path| format!("sslmode=verify-full&sslrootcert={}", root.display());
    assert_eq!(refusal(&database(&server, "localhost", &full(&root))).await, "");

    let refused = refusal(&database(&server, "localhost", &full(&wrong))).await;
    assert!(
        refused.contains("can't be talked to over TLS") && refused.contains("certificate verify failed"),
        "{refused}"
    );
    assert!(refused.contains("sslrootcert") && refused.lines().count() == 1, "{refused}");
    let refused = refusal(&database(&server, "127.0.0.1", &full(&root))).await;
    assert!(refused.contains("certificate verify failed"), "{refused}");

    let by_ca = |root: &Path| format!("sslmode=verify-ca&sslrootcert={}", root.display());
    assert_eq!(refusal(&database(&server, "127.0.0.1", &by_ca(&root))).await, "");
    assert!(!refusal(&database(&server, "127.0.0.1", &by_ca(&wrong))).await.is_empty());
    assert_eq!(refusal(&database(&server, "127.0.0.1", "sslmode=require")).await, "");
    assert_eq!(refusal(&database(&server, "127.0.0.1", "sslmode=disable")).await, "");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = write(&authority("The database's CA"), folder.path(), "root");
    let Some(scratch) = Scratch::postgres().await else { return };
    let refused = refusal(&Database::postgres(Secret::new(format!("{}&sslmode=require", scratch.url)))).await;
    assert!(refused.contains("server does not support TLS"), "{refused}");
    let url = format!("{}&sslmode=verify-full&sslrootcert={}", scratch.url, root.display());
    assert!(refusal(&Database::postgres(Secret::new(url))).await.contains("server does not support TLS"));
}

#[tokio::test]
async fn a_root_that_can_not_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("The database's CA").certificate.to_pem().unwrap();
    let said = async |name: &str, content: Option<&[u8]>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let url = format!("postgres://u:secret-word@db.invalid/x?sslmode=verify-full&sslrootcert={}", path.display());
        let said = refusal(&Database::postgres(Secret::new(url))).await;
        assert!(said.starts_with(&format!("sslrootcert of database.url: {} ", path.display())), "{said}");
        assert!(!said.contains("secret-word"), "{said}");
        said
    };
    assert!(said("missing.pem", None).await.contains("can't be read: No such file"));
    assert!(said("empty.pem", Some(b"")).await.contains("has to be a PEM file"));
    assert!(said("binary.pem", Some(&[0xff, 0xfe])).await.contains("can't be read"));
    assert!(said("bundle.pem", Some(&[ca.as_slice(), &ca].concat())).await.contains("holds 2 certificates"));
}

#[test]
fn paths_in_the_url_are_relative_to_the_configuration() {
    let ca = authority("The database's CA");
    let Some(server) =
        TlsPostgres::start(&ca.sign(&Leaf { names: &["localhost"], ..Leaf::of(&[("CN", "localhost")]) }))
    else {
        return;
    };
    let deployment = Deployment::bare();
    let url = format!(
        "postgres://resyncd@localhost:{}/postgres?sslmode=verify-full&sslrootcert=a%20folder/root.pem",
        server.port
    );
    deployment.append_config(&format!("[database]\nurl = \"{url}\"\n"));
    deployment.write("a folder/root.pem", ca.certificate.to_pem().unwrap());
    let config = deployment.config();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(refusal(&config.database)), "");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    // It takes connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:secret-word@{}/resyncd", listener.local_addr().unwrap());
    let database =
        Database { connect_timeout: std::time::Duration::from_millis(200), ..Database::postgres(Secret::new(url)) };
    let said = refusal(&database).await;
    assert!(said.contains("has not answered for 0.2 seconds (database.connect_timeout)"), "{said}");
    assert!(!said.contains("secret-word"), "{said}");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    let Some(scratch) = Scratch::postgres().await else { return };
    let limit = std::time::Duration::from_millis(200);
    let database = Database { statement_timeout: limit, ..scratch.database.clone() };
    let store = Store::open(&database).await.unwrap();
    // Somebody holds the table, so that every statement that needs it waits.
    let mut other = AnyConnection::connect(&scratch.url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE keys").execute(&mut other).await.unwrap();
    let said = store.keys().await.unwrap_err().to_string();
    assert!(said.contains("took longer for a statement than database.statement_timeout"), "{said}");
    let named =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'resyncd' AND datname = current_database()";
    let connections: i64 = sqlx::query_scalar(named).fetch_one(&mut other).await.unwrap();
    assert_eq!(connections, 1);
}
