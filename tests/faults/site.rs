//! A server with phones of every sort, and what is asked of it. Nothing here minds that the server goes away in the middle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use openssl::ssl::{Ssl, SslConnector, SslMethod, SslSession, SslStream, SslVerifyMode, SslVersion};
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use crate::support::api::Client;
use crate::support::certificates::Pair;
use crate::support::deployment::{Deployment, Reply, copy};
use crate::support::process::Process;
use crate::support::root;

/// By its network.
pub const PHONE: &str = "000e08fa0001";
pub const AASTRA: &str = "00085dfa0002";
/// By password.
pub const PASSWORD: &str = "000e08fa0003";
/// By a token in the URL.
pub const TOKENS: [&str; 4] = ["000e08fa0010", "000e08fa0011", "000e08fa0012", "000e08fa0013"];
/// Nobody's.
pub const STRANGER: &str = "000e08fa0099";

pub const MODEL: &str = "CP-6841-3PCC";

/// Of nothing but these tests.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One pack, with a mapping that is loaded in no time.
pub fn deployment(database: Option<&str>, more: &str) -> Deployment {
    let deployment = Deployment::empty();
    copy(&root().join("templates/cisco-mpp"), &deployment.path("packs/cisco-mpp"));
    let mapping = std::fs::read_to_string(deployment.path("packs/cisco-mpp/mapping.toml")).unwrap();
    let (_, rule) = mapping.split_once("\nProfile_Rule = \"\"\"").unwrap();
    let (rule, _) = rule.split_once("\"\"\"").unwrap();
    let line = "\"Display_Name_{n}_\" = \"{{ line.display_name }}\"\n\"Password_{n}_\" = \"{{ line.password }}\"";
    deployment.write(
        "packs/cisco-mpp/mapping.toml",
        format!("[parameters]\nProfile_Rule = \"\"\"{rule}\"\"\"\n[parameters.each.line]\n{line}\n"),
    );
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace(root().join("templates").to_str().unwrap(), "packs");
    let config = config.replace("name = \"http\"\n", "name = \"http\"\npasswords = true\n");
    let url = database.unwrap_or("sqlite:data/resyncd.db");
    let rest = format!(
        "[database]\nurl = \"{url}\"\n[secrets]\nmaster_key = \"{KEY}\"\n\
         [brakes]\nfailures = 1000\nrefuse_after = 1000\ntries = 1000\n{more}"
    );
    deployment.write("resyncd.toml", config + &rest);
    deployment.write("profiles/defaults.toml", "[provisioning]\nurl = \"https://prov.example.com\"\n");
    let device = |mac: &str, model: &str, access: &str| {
        let text = format!("model = \"{model}\"\n[lines.1]\nuser = \"{mac}\"\n[access]\n{access}\n");
        deployment.write(&format!("profiles/devices/{mac}.toml"), text);
    };
    device(PHONE, MODEL, "networks = [\"127.0.0.1\"]");
    device(PASSWORD, MODEL, "password = true\n[credentials]\nuser = \"fault\"\npassword = \"first-password\"");
    deployment.write("profiles/groups/imported.toml", "[access]\nnetworks = [\"127.0.0.1\"]\n");
    TOKENS.iter().for_each(|mac| device(mac, MODEL, "token = true"));
    deployment
}

/// Another maker's phone.
pub fn with_aastra(deployment: Deployment) -> Deployment {
    copy(&root().join("templates/aastra"), &deployment.path("packs/aastra"));
    let device = "model = \"6757i\"\n[lines.1]\nuser = \"2002\"\n[access]\nnetworks = [\"127.0.0.1\"]\n";
    deployment.write(&format!("profiles/devices/{AASTRA}.toml"), device);
    deployment
}

pub fn profile(mac: &str) -> String {
    format!("/cisco/{mac}.xml")
}

/// A request as it goes over the wire; `head` are further lines of its own, each with its end.
pub fn request(method: &str, path: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let length =
        if body.is_empty() && method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    [format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{head}{length}\r\n").as_bytes(), body].concat()
}

/// Asks once on a connection that stays open. None where the other side went away before the whole answer was there.
pub fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> Option<Reply> {
    stream.write_all(request).ok()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let reply = Reply { status, head: head.trim_end().to_owned(), body: Vec::new() };
    let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Reply { body, ..reply })
}

pub fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Some(stream)
}

/// Asks once.
pub fn ask(address: SocketAddr, request: &[u8]) -> Option<Reply> {
    exchange(&mut connect(address)?, request)
}

/// Fetches a path, and says who asks.
pub fn get(address: SocketAddr, path: &str, user_agent: &str) -> Reply {
    let head = format!("User-Agent: {user_agent}\r\n");
    ask(address, &request("GET", path, &head, b"")).expect("the server went away")
}

/// Sends a problem report.
pub fn upload(address: SocketAddr, content: &[u8]) -> Option<u16> {
    ask(address, &request("PUT", &format!("/cisco/prt/{PHONE}"), "", content)).map(|reply| reply.status)
}

/// A phone on TLS, with its certificate, and a session to resume. It doesn't look at the server's certificate.
pub fn secure(
    address: SocketAddr,
    certificate: Option<&Pair>,
    session: Option<&SslSession>,
) -> Option<SslStream<TcpStream>> {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    // Its sessions are there when the handshake is over.
    builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    if let Some(pair) = certificate {
        builder.set_certificate(&pair.certificate).unwrap();
        builder.set_private_key(&pair.key).unwrap();
    }
    let mut ssl = Ssl::new(builder.build().context()).unwrap();
    if let Some(session) = session {
        resume(&mut ssl, session);
    }
    let mut stream = SslStream::new(ssl, connect(address)?).unwrap();
    stream.connect().ok()?;
    Some(stream)
}

#[allow(unsafe_code, reason = "the session has to be of this library's own making, and is")]
fn resume(ssl: &mut Ssl, session: &SslSession) {
    // SAFETY: the session comes from a client context of the same method in this process.
    unsafe { ssl.set_session(session) }.unwrap();
}

/// Fetches a path over TLS.
pub fn secure_get(address: SocketAddr, certificate: Option<&Pair>, path: &str) -> Option<Reply> {
    exchange(&mut secure(address, certificate, None)?, &request("GET", path, "", b""))
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The value of a metric that has no labels.
pub fn metric(process: &Process, name: &str) -> u64 {
    let reply = get(process.address("admin"), "/metrics", "a");
    let line = reply.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {}", reply.text())).parse().unwrap()
}

/// Tries until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// Where a deployment's database is.
pub fn sqlite(deployment: &Deployment) -> String {
    format!("sqlite:{}", deployment.path("data/resyncd.db").display())
}

/// The first column of what a statement gives.
pub fn sql(url: &str, statement: &str) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = AnyConnection::connect(url).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(statement.to_owned())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    })
}

/// SQLite's own word on a database.
pub fn assert_whole(url: &str) {
    if url.starts_with("sqlite:") {
        assert_eq!(sql(url, "PRAGMA integrity_check"), ["ok"]);
    }
}

/// The API, with every right.
pub fn client(process: &Process, token: &str) -> Client {
    Client::new(process.address("admin"), Some(token))
}

/// The path of a URL that begins with the server's name.
pub fn path_of(url: &str) -> String {
    url.trim().strip_prefix("https://prov.example.com").unwrap_or_else(|| panic!("{url}")).to_owned()
}

/// The path that a profile sends its phone on to.
pub fn leads_to(profile: &Reply, mac: &str) -> String {
    let rule = profile.text().split("<Profile_Rule").nth(1).unwrap().split(['>', '<']).nth(1).unwrap();
    path_of(rule).replace("$MA", mac)
}
