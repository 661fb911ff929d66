//! What the disk and the machine can do to `resyncd serve`: it says in one message what is in its way and exits with 2, or
//! goes on serving phones where it can.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::support::certificates::{Leaf, authority};
use crate::support::deployment::Deployment;
use crate::support::process::Process;
use crate::support::{resyncd, root, run};

/// What a server says that doesn't start, with the deployment's folder left out.
fn refusal(deployment: &Deployment) -> String {
    // Bounded: one that starts after all would serve for ever.
    let mut command = Command::new("timeout");
    command.arg("60").arg(resyncd().get_program()).arg("--config").arg(deployment.path("resyncd.toml")).arg("serve");
    let output = run(&mut command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    let folder = format!("{}/", deployment.path("").display()).replace("//", "/");
    let said = said.replace(&folder, "");
    // The log's own lines (a generation is in force) begin with a time.
    let said: Vec<_> = said.lines().filter(|line| !line.starts_with("20")).collect();
    said.join("\n")
}

fn served_before() -> Deployment {
    let (status, log, deployment) = Process::start(deployment()).stop();
    assert!(status.success(), "{log}");
    deployment
}

fn deployment() -> Deployment {
    let deployment = Deployment::empty();
    // One small pack is loaded in no time, and these tests start many servers.
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("/templates\"", "/tests/golden/tiny/templates\""));
    deployment.write(
        "profiles/devices/000e08000001.toml",
        "model = \"T-1\"\n[lines.1]\nuser = \"1\"\n[access]\nnetworks = [\"127.0.0.1\"]\n",
    );
    deployment
}

/// One that says exactly this when it is to be served.
fn assert_refused(deployment: &Deployment, message: &str) {
    assert_eq!(refusal(deployment), format!("resyncd: {message}"));
}

#[test]
fn an_etag_key_of_another_size() {
    let deployment = deployment();
    deployment.write("data/etag.key", "short");
    assert_refused(
        &deployment,
        "data/etag.key can't be made or read: it has 5 bytes and should have 32; remove it, and a new one is made",
    );
    fs::remove_file(deployment.path("data/etag.key")).unwrap();
    fs::create_dir(deployment.path("data/etag.key")).unwrap();
    assert_refused(&deployment, "data/etag.key can't be made or read: Is a directory (os error 21)");
}

#[test]
fn a_data_dir_that_is_none() {
    let deployment = deployment();
    deployment.write("data", "a file");
    assert_refused(&deployment, "data can't be made or read: it is no folder; set data_dir in the configuration");
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    // Not even root makes folders there.
    deployment.write("resyncd.toml", config.replace("\"data\"", "\"/proc/resyncd\""));
    let said = refusal(&deployment);
    assert!(said.starts_with("resyncd: /proc/resyncd can't be made or read: "), "{said}");
}

#[test]
fn a_database_that_is_none() {
    let deployment = served_before();
    for file in ["data/resyncd.db-wal", "data/resyncd.db-shm"] {
        let _ = fs::remove_file(deployment.path(file));
    }
    deployment.write("data/resyncd.db", "not a database, but long enough to be taken for one: ".repeat(100));
    let said = refusal(&deployment);
    assert!(said.starts_with("resyncd: the database data/resyncd.db is damaged, or no SQLite database"), "{said}");
    assert!(said.contains("move it") && said.lines().count() == 1, "{said}");
    fs::remove_file(deployment.path("data/resyncd.db")).unwrap();
    fs::create_dir(deployment.path("data/resyncd.db")).unwrap();
    assert_refused(&deployment, "the database data/resyncd.db can't be made: Is a directory (os error 21)");
}

#[test]
fn a_database_that_another_program_has_locked() {
    let deployment = served_before();
    let path = deployment.path("data/resyncd.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let locking = runtime.block_on(async {
        use sqlx::{Connection, SqliteConnection};
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
        connection
    });
    assert_refused(&deployment, "the database data/resyncd.db is locked by another program");
    runtime.block_on(sqlx::Connection::close(locking)).unwrap();
    Process::start(deployment);
}

#[test]
fn a_damaged_spool_is_left_aside_and_phones_are_served() {
    let deployment = deployment();
    deployment
        .write("data/spool/0000000000000003.jsonl", b"{\"half\": \xff\xfe\n\0\0\0")
        .write("data/spool/0000000000000004.jsonl/a-folder", "")
        .write("data/spool/18446744073709551615.jsonl", "")
        .write("data/spool/notes.txt", "");
    let mut process = Process::start(deployment);
    let lost = process.wait_for("events are lost");
    assert!(lost.contains("2 events are lost to the database"), "{lost}");
    let aside = process.wait_for("0000000000000004.unreadable");
    assert!(aside.contains("its events are missing"), "{aside}");
    assert!(process.serves("/t/000e08000001.xml"));
    let (status, log, deployment) = process.stop();
    assert!(status.success(), "{log}");
    assert!(deployment.path("data/spool/notes.txt").exists());
    fs::remove_dir_all(deployment.path("data/spool")).unwrap();
    deployment.write("data/spool", "a file");
    assert_refused(
        &deployment,
        "the spool data/spool can't be used: File exists (os error 17); resyncd keeps events there while the database is away, so make it writable",
    );
}

#[test]
fn certificates_and_keys_that_are_not_to_be_used() {
    let deployment = deployment();
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let own = deployment.path("own");
    fs::create_dir(&own).unwrap();
    let ca = authority("A CA");
    ca.sign(&Leaf::of(&[("CN", "one.example")])).write(&own, "one");
    ca.sign(&Leaf::of(&[("CN", "two.example")])).write(&own, "two");
    fs::create_dir(own.join("folder.key")).unwrap();
    deployment.write("own/nothing.key", "").write("own/half.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    for (certificate, key, message) in [
        ("nowhere.pem", "one.key", "own/nowhere.pem: can't be read: No such file or directory (os error 2)"),
        ("one.pem", "nowhere.key", "own/nowhere.key: can't be read: No such file or directory (os error 2)"),
        (
            "one.pem",
            "two.key",
            "own/two.key: is not the key of own/one.pem (give the certificate and the key that were made together)",
        ),
        // As one that may not be read: for root there is none.
        ("one.pem", "folder.key", "own/folder.key: can't be read: Is a directory (os error 21)"),
        (
            "one.pem",
            "nothing.key",
            "own/nothing.key: holds no private key (it has to be PEM: -----BEGIN PRIVATE KEY-----)",
        ),
        ("one.key", "one.key", "own/one.key: holds no certificate (it has to be PEM: -----BEGIN CERTIFICATE-----)"),
        ("half.pem", "one.key", "own/half.pem: holds a broken certificate: bad end line"),
    ] {
        let config = config.replace("certs/dev/server.pem", &format!("own/{certificate}"));
        deployment.write("resyncd.toml", config.replace("certs/dev/server.key", &format!("own/{key}")));
        assert_refused(&deployment, message);
    }
}

#[test]
fn a_port_that_another_has() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let deployment = deployment();
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let at = |listener: &str| {
        let (head, tail) = config.split_once(listener).unwrap();
        format!("{head}{listener}{}", tail.replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1))
    };
    for (section, key) in [("name = \"http\"", "listener \"http\""), ("[admin]", "admin")] {
        deployment.write("resyncd.toml", at(section));
        assert_refused(
            &deployment,
            &format!(
                "{key}: can't listen on 127.0.0.1:{port}: Address already in use (os error 98) (another program, or another listener, has that port)"
            ),
        );
    }
}

/// A disk that is full after the start: here, files that may not grow.
#[test]
fn a_full_disk_stops_no_phone() {
    let deployment = served_before();
    let program = resyncd();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -f 160; exec \"$0\" \"$@\"", program.get_program().to_str().unwrap()])
        .args(["--config", deployment.path("resyncd.toml").to_str().unwrap(), "serve"])
        .env("RUST_BACKTRACE", "0");
    let mut process = Process::start_by(deployment, command);
    for _ in 0..40 {
        assert_eq!(process.ask("/t/000e08000001.xml", 100), 100, "all of them are served");
    }
    let told = process.wait_for("the database takes no events");
    assert!(told.contains("full") || told.contains("disk I/O"), "{told}");
    process.wait_for("events are lost to the database");
    assert!(process.serves("/t/000e08000001.xml"));
    assert!(process.is_running());
    let (status, log, deployment) = process.stop();
    assert!(status.success(), "{status}\n{log}");
    // With room again, the spool is taken in.
    let (status, log, _) = Process::start(deployment).stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_bad_edit_and_a_hangup_leave_the_old_generation_in_force() {
    let mut process = Process::start(deployment());
    let file = "profiles/devices/000e08000001.toml";
    let good = fs::read_to_string(process.deployment.path(file)).unwrap();
    process.deployment.write(file, good.replace("user =", "usr ="));
    process.signal("HUP");
    let told = process.wait_for("not reloaded: ");
    assert!(told.contains("000e08000001.toml:3: lines.1.usr: unknown setting (did you mean \"user\"?)"), "{told}");
    process.wait_for("the old generation goes on serving");
    assert!(process.serves("/t/000e08000001.xml"));
    process.deployment.write(file, &good).write("certs/dev/server.key", "no key");
    process.signal("HUP");
    let told = process.wait_for("not reloaded: ");
    assert!(told.contains("server.key: holds no private key"), "{told}");
    process
        .deployment
        .write("certs/dev/server.key", fs::read(process.deployment.path("certs/dev/server.key")).unwrap());
    assert!(process.serves("/t/000e08000001.xml"));
}

#[test]
fn a_termination_lets_an_open_request_finish() {
    use std::io::{Read, Write};
    let deployment = deployment();
    deployment.write("firmware/large", vec![7; 24 << 20]);
    let mut process = Process::start(deployment);
    let mut phone = std::net::TcpStream::connect(process.address("http")).unwrap();
    phone.write_all(b"GET /firmware/large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut first = [0; 1024];
    phone.read_exact(&mut first).unwrap();
    process.signal("TERM");
    process.wait_for("stopping: open requests are finished first");
    let mut rest = Vec::new();
    phone.read_to_end(&mut rest).unwrap();
    assert!(first.len() + rest.len() > 24 << 20, "{} bytes", rest.len());
    let (status, log, _) = process.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_watched_folder_is_loaded_anew_when_it_changes() {
    let deployment = deployment();
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", format!("watch = true\n{config}"));
    let process = Process::start(deployment);
    assert_eq!(process.generation(), 1);
    process
        .deployment
        .write("profiles/devices/000e08000002.toml", "model = \"T-1\"\n[access]\nnetworks = [\"127.0.0.1\"]\n");
    // Files come in flocks, and one reload follows half a second after the last.
    let is_loaded = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        process.generation() > 1
    });
    assert!(is_loaded, "nothing was loaded");
    assert!(process.serves("/t/000e08000002.xml"));
}

#[test]
fn a_first_start_makes_certificates_and_its_command_works_as_pasted() {
    if crate::support::program("curl").is_none() {
        return;
    }
    let folder = tempfile::Builder::new().prefix("it's a folder ").tempdir().unwrap();
    for mac in ["000e08000001", "000e08000002"] {
        let file = folder.path().join(format!("profiles/devices/{mac}.toml"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // Only the second can be played with its certificate.
        let access = mac.ends_with('2');
        fs::write(
            file,
            format!("model = \"SPA504G\"\nserial = \"CCQ16230{}\"\n[access]\ncertificate = {access}\n", &mac[9..]),
        )
        .unwrap();
    }
    let config = fs::read_to_string(Deployment::bare().path("resyncd.toml")).unwrap();
    assert!(config.contains(root().to_str().unwrap()));
    fs::write(folder.path().join("resyncd.toml"), config).unwrap();
    let deployment = Deployment::in_folder(folder);
    let mut process = Process::start(deployment);
    process.wait_for("To play one of its phones");
    let command = process.wait_for("curl ");
    let output = Command::new("sh")
        .args(["-c", &format!("{command} --silent --show-error --noproxy '*' --fail")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("<flat-profile>"), "{command}");
    let (_, log, deployment) = process.stop();
    assert!(log.contains("development certificates"), "{log}");
    assert!(deployment.path("certs/dev/server-ca.pem").exists());
}
