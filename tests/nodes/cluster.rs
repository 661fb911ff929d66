//! Servers on one PostgreSQL, each with a cable to it that can be cut.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;

use resyncd::fleet::{Actor, Edit, Expect, Fleet, Liberties, Name, What};
use serde_json::{Map, Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tokio::runtime::Runtime;

use crate::support::api::raw;
use crate::support::database::OwnPostgres;
use crate::support::deployment::{Deployment, Reply, copy};
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::{resyncd, root, run};

pub const MODEL: &str = "CP-6841-3PCC";

/// Of nothing but these tests.
pub const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The MAC of the phone of this number; a swarm's phones have the same.
pub fn mac(number: u32) -> String {
    format!("000e08{number:06x}")
}

pub fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

/// A device that this machine may ask for, over what is given.
pub fn device(number: u32, over: Value) -> Edit {
    let mut record = json!({
        "model": MODEL,
        "settings": {
            "lines": {"1": {"user": format!("{number}"), "password": "not-a-real-password"}},
            "access": {"networks": ["127.0.0.1"]},
        },
    });
    record.as_object_mut().unwrap().extend(object(over));
    edit_device(number, What::Put(object(record)), Expect::Absent)
}

pub fn edit_device(number: u32, what: What, expect: Expect) -> Edit {
    Edit { row: None, name: Name::Device(mac(number).parse().unwrap()), what, expect }
}

pub fn edit_group(name: &str, what: What) -> Edit {
    Edit { row: None, name: Name::Group(name.to_owned()), what, expect: Expect::Any }
}

/// Tries until it is so.
pub fn assert_soon(what: &str, tries: usize, mut is_so: impl FnMut() -> bool) {
    assert!((0..tries).any(|_| is_so()), "not so after {tries} tries: {what}");
}

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub postgres: OwnPostgres,
    pub runtime: Runtime,
}

pub struct Node {
    pub process: Process,
    pub cable: Proxy,
}

impl Cluster {
    /// None where no PostgreSQL can be started; that is said.
    pub fn start(nodes: u32) -> Option<Self> {
        let postgres = OwnPostgres::new()?;
        let runtime = Runtime::new().unwrap();
        let nodes = (1..=nodes).map(|number| {
            let cable = Proxy::to(postgres.port);
            Node { process: Process::start(deployment(number, cable.port)), cable }
        });
        Some(Self { nodes: nodes.collect(), postgres, runtime })
    }

    /// Makes changes as the commands do, beside all of the servers. What comes back is in the database.
    pub fn change(&self, edits: Vec<Edit>) {
        self.runtime.block_on(change(self.fleet(), edits)).unwrap();
    }

    /// The fleet, with a connection of its own to the database.
    pub fn fleet(&self) -> Fleet {
        let deployment = deployment(0, self.postgres.port);
        self.runtime.block_on(Fleet::open(Arc::new(deployment.config()))).unwrap().0
    }

    /// What a statement gives, as text.
    pub fn sql(&self, statement: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut connection = AnyConnection::connect(&OwnPostgres::url(self.postgres.port)).await.unwrap();
            let rows = sqlx::query(AssertSqlSafe(statement.to_owned())).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            // What is no text is told by being there.
            rows.iter().map(|row| row.try_get::<String, _>(0).unwrap_or_default()).collect()
        })
    }

    /// How many events a server has brought into the database.
    pub fn events(&self, number: usize) -> u64 {
        let sql = format!("SELECT COUNT(*)::TEXT FROM events WHERE listener IN ('https-{number}', 'http-{number}')");
        self.sql(&sql)[0].parse().unwrap()
    }
}

pub async fn change(fleet: Fleet, edits: Vec<Edit>) -> Result<(), String> {
    let plan = fleet.plan(edits, Liberties::default()).await.map_err(|error| error.to_string())?;
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
    let actor = Actor { name: "cli:test".to_owned(), peer: None };
    fleet.apply(plan, &actor).await.map(drop).map_err(|error| error.to_string())
}

/// What all nodes have alike, and the names of this one's listeners.
pub fn deployment(number: u32, database: u16) -> Deployment {
    let deployment = Deployment::empty();
    // One pack is loaded in no time, and these tests start many servers.
    copy(&root().join("templates/cisco-mpp"), &deployment.path("templates/cisco-mpp"));
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace(root().join("templates").to_str().unwrap(), "templates");
    let config = ["https", "http"].iter().fold(config, |config, name| {
        config.replace(&format!("name = \"{name}\""), &format!("name = \"{name}-{number}\""))
    });
    let url = OwnPostgres::url(database);
    deployment.write("resyncd.toml", config);
    deployment.append_config(&format!("\n[database]\nurl = \"{url}\"\n[secrets]\nmaster_key = \"{KEY}\"\n"));
    deployment.write("profiles/defaults.toml", "[access]\ncertificate = true\n");
    deployment
}

impl Node {
    pub fn address(&self, listener: &str) -> SocketAddr {
        self.process.listener(listener)
    }

    /// Asks as a phone on this machine does.
    pub fn ask(&self, path: &str) -> Reply {
        raw(self.address("http"), &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    }

    fn admin(&self, path: &str) -> Reply {
        raw(self.address("admin"), &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    }

    /// The status of `/readyz`.
    pub fn ready(&self) -> u16 {
        self.admin("/readyz").status
    }

    /// A number among the metrics, summed over its labels.
    pub fn metric(&self, name: &str) -> u64 {
        let reply = self.admin("/metrics");
        let lines = reply.text().lines().filter_map(|line| line.strip_prefix(name));
        let values = lines.filter(|rest| rest.starts_with([' ', '{'])).map(|rest| rest.rsplit(' ').next().unwrap());
        values.map(|value| value.parse::<u64>().unwrap()).sum()
    }
}

/// What a server says that doesn't start.
pub fn refusal(deployment: &Deployment) -> Output {
    // Bounded: one that starts after all would serve for ever.
    let mut command = std::process::Command::new("timeout");
    command.arg("60").arg(resyncd().get_program()).arg("--config").arg(deployment.path("resyncd.toml")).arg("serve");
    run(&mut command)
}
