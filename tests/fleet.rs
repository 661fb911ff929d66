//! The fleet as it is edited at run time, and as its phones see it: on each database, with a server that runs.

mod away;
mod formats;
mod planning;
mod serving;

use std::net::SocketAddr;
use std::sync::Arc;

use resyncd::config::{Config, Database};
use resyncd::events::{Entry, Flushed};
use resyncd::fleet::{Actor, Applied, Edit, Expect, Fleet, Liberties, Name, What};
use resyncd::server::Server;
use resyncd::store::{EventFilter, Store};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::deployment::{Deployment, copy};
use crate::support::root;

const ONE: &str = "000e08000001";
const TWO: &str = "000e08000002";
const THREE: &str = "000e08000003";

/// A deployment with the tests' own pack, two models of it, and files that find devices by serial number.
struct Fixture {
    deployment: Deployment,
    config: Config,
    server: Server,
}

/// What a phone was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    status: u16,
    /// Without the date.
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn has(&self, text: &str) -> bool {
        self.status == 200 && self.text().contains(text)
    }
}

const MORE_OF_THE_PACK: &str = r#"
[models.T-2]
family = "t"
lines = 2

[[file]]
name = "by-serial"
path = "/s/{serial}.xml"
template = "profile.xml.tera"
mapping = "mapping.toml"
format = "xml"
audience = "device"
"#;

/// The tests are the phones: whoever asks from here gets a file.
const DEFAULTS: &str = r#"
[provisioning]
url = "https://prov.example"
[syslog]
server = "log.example"
[access]
networks = ["127.0.0.1"]
"#;

pub fn deployment() -> Deployment {
    let deployment = Deployment::empty();
    copy(&root().join("tests/golden/tiny/templates"), &deployment.path("templates"));
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace(root().join("templates").to_str().unwrap(), "templates");
    deployment.write("resyncd.toml", config + "\n[secrets]\nmaster_key = \"" + &"0a".repeat(32) + "\"\n");
    let pack = std::fs::read_to_string(deployment.path("templates/tiny/pack.toml")).unwrap();
    deployment.write("templates/tiny/pack.toml", pack + MORE_OF_THE_PACK);
    deployment.write("profiles/defaults.toml", DEFAULTS);
    deployment.write("profiles/groups/acme.toml", "[vars]\nnote = \"of acme\"\n");
    deployment
}

impl Fixture {
    async fn new(database: &Database) -> Self {
        Self::of(deployment(), database).await
    }

    async fn of(deployment: Deployment, database: &Database) -> Self {
        let config = Config { database: database.clone(), ..deployment.config() };
        let server = Server::start(config.clone()).await.unwrap_or_else(|error| panic!("{error}"));
        Self { deployment, config, server }
    }

    /// The fleet as a command, or another server, sees it.
    async fn fleet(&self) -> Fleet {
        Fleet::open(Arc::new(self.config.clone())).await.unwrap().0
    }

    /// Asks as a phone does.
    async fn get(&self, path: &str) -> Got {
        let address: SocketAddr = self.server.address("http").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        let head = head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\n");
        Got { status, head, body: answer[end + 4..].to_vec() }
    }

    async fn profile(&self, mac: &str) -> Got {
        self.get(&format!("/t/{mac}.xml")).await
    }

    /// The server takes in what others have changed.
    async fn take_in(&self) {
        self.server.follower().take_in().await;
    }

    /// All events, the oldest first.
    async fn events(&self) -> Vec<Entry> {
        assert_eq!(self.server.recorder().flush().await, Flushed::Stored);
        let store = Store::open_read_only(&self.config.database).await.unwrap();
        store.events(&EventFilter::default(), 100_000).await.unwrap()
    }

    async fn last_event(&self) -> Entry {
        self.events().await.pop().unwrap()
    }
}

fn actor() -> Actor {
    Actor { name: "cli:tester".to_owned(), peer: None }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value}") };
    object
}

fn put(mac: &str, value: Value) -> Edit {
    let name = Name::Device(mac.parse().unwrap());
    Edit { row: None, name, what: What::Put(object(value)), expect: Expect::Any }
}

fn merge(mac: &str, value: Value) -> Edit {
    Edit { what: What::Merge(object(value)), ..put(mac, json!({})) }
}

fn remove(mac: &str) -> Edit {
    Edit { what: What::Remove, ..put(mac, json!({})) }
}

fn group(name: &str, value: Value) -> Edit {
    Edit { name: Name::Group(name.to_owned()), ..put(ONE, value) }
}

/// Makes changes that nothing is wrong with.
async fn change(fleet: &Fleet, edits: Vec<Edit>) -> Applied {
    change_with(fleet, edits, Liberties::default()).await
}

async fn change_with(fleet: &Fleet, edits: Vec<Edit>, liberties: Liberties) -> Applied {
    let plan = fleet.plan(edits, liberties).await.unwrap();
    assert!(plan.refused.is_empty(), "{:#?}", plan.refused);
    fleet.apply(plan, &actor()).await.unwrap()
}

/// Plans changes that are refused, tells why, and makes sure that nothing is written.
async fn refused(fleet: &Fleet, edits: Vec<Edit>) -> Vec<String> {
    let before = fleet.store().fleet_revision().await.unwrap();
    let plan = fleet.plan(edits, Liberties::default()).await.unwrap();
    let told = plan.refused.iter().map(|refused| refused.problem.to_string()).collect();
    assert!(!plan.refused.is_empty(), "{:#?}", plan.planned);
    assert!(fleet.apply(plan, &actor()).await.is_err());
    assert_eq!(fleet.store().fleet_revision().await.unwrap(), before);
    told
}

fn named(name: &str) -> Value {
    json!({"model": "T-1", "settings": {"lines": {"1": {"user": "1001", "display_name": name}}}})
}
