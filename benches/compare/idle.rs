//! What servers hold in memory while nobody asks: of all their devices, and of connections that phones leave open.

use std::fs;
use std::time::Duration;

use crate::cases::{Case, Contender, Load, Program, all};
use crate::client::Client;
use crate::results::{self, Idle, Measured};
use crate::run::day;
use crate::scene::{Phone, Scene};
use crate::servers;

/// What a server has to come to rest.
const REST: Duration = Duration::from_secs(2);

pub fn run(scene: &Scene, case: &Case, devices: u32, connections: usize) -> Measured {
    allow_files();
    let bodies = scene.folder();
    fs::create_dir(bodies.path().join("cisco")).unwrap();
    let like = all().into_iter().find(|case| case.name == "tls13-rsa-full").unwrap();
    let crate::cases::Work::Requests(load) = like.work else { unreachable!() };
    let load = Load { keep_alive: true, ..load };
    let asked = 64;
    let players = [
        Contender { label: "resyncd", program: Program::Resyncd { postgres: false }, devices, asked },
        Contender { label: "nginx", program: Program::Nginx { log: true }, devices, asked },
    ];
    let mut contenders = Vec::new();
    for player in players {
        eprintln!("{}: {}, {devices} devices, {connections} connections", case.name, player.label);
        let label = player.label.to_owned();
        let Some(server) = servers::start(scene, &player, &load, Some(bodies.path())) else {
            contenders.push(results::Contender { label, rounds: Vec::new(), idle: None });
            continue;
        };
        std::thread::sleep(REST);
        let idle = server.memory();
        let phones = Phone::some(asked, devices.max(asked));
        let mut client = Client::new(scene, &load, server.address, &phones);
        if player.program == (Program::Resyncd { postgres: false }) {
            for (phone, body) in phones.iter().zip(client.fetch_all()) {
                fs::write(bodies.path().join(&phone.path[1..]), body).unwrap();
            }
        }
        let held = client.hold(connections);
        std::thread::sleep(REST);
        let connected = server.memory();
        drop(held);
        let idle = Some(Idle { idle, connections, connected });
        contenders.push(results::Contender { label, rounds: Vec::new(), idle });
    }
    Measured { day: day(), contenders }
}

/// Lets this process, and the servers that it starts, have as many files open as it may.
fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}
