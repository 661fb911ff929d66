//! One case: its servers are started, given the same bytes, and take turns.

use std::fs;
use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use crate::cases::{self, Case, Load, Program, SLOW};
use crate::client::{AT_A_TIME, Client};
use crate::measure;
use crate::results::{Contender, Measured, Round};
use crate::scene::{Phone, Scene};
use crate::servers::{self, Server};

/// After a round: what a server does later of what it was asked (writing events), it does within this.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// A server that takes part.
struct Player {
    server: Server,
    client: Client,
    requests: usize,
}

/// Runs a case, `requests` instead of its own number.
pub fn run(scene: &Scene, case: &Case, load: &Load, rounds: usize, requests: Option<usize>) -> Measured {
    let bodies = scene.folder();
    fs::create_dir(bodies.path().join("cisco")).unwrap();
    let requests = requests.unwrap_or(load.requests);
    let players: Vec<Option<Player>> =
        load.contenders.iter().map(|contender| player(scene, contender, load, bodies.path(), requests)).collect();
    let mut contenders: Vec<Contender> = load
        .contenders
        .iter()
        .map(|contender| Contender { label: contender.label.to_owned(), rounds: Vec::new(), idle: None })
        .collect();
    for player in players.iter().flatten() {
        player.client.ask((player.requests / 10).max(AT_A_TIME * 2));
        player.client.handshakes();
    }
    for round in 1..=rounds {
        eprint!("\r{}: round {round} of {rounds}", case.name);
        for (player, contender) in players.iter().zip(&mut contenders) {
            contender.rounds.extend(player.as_ref().map(|player| player.play(load)));
        }
    }
    eprintln!();
    Measured { day: day(), contenders }
}

pub fn day() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

/// Starts a server, and lets every phone ask once. The first is resyncd: what it answers is what all others have to.
fn player(scene: &Scene, contender: &cases::Contender, load: &Load, bodies: &Path, requests: usize) -> Option<Player> {
    let server = servers::start(scene, contender, load, Some(bodies))?;
    let phones = Phone::some(contender.asked, contender.devices);
    let mut client = Client::new(scene, load, server.address, &phones);
    for (phone, body) in phones.iter().zip(client.fetch_all()) {
        let file = bodies.join(&phone.path[1..]);
        match contender.program {
            Program::Resyncd { .. } => fs::write(file, body).unwrap(),
            _ => assert!(fs::read(file).unwrap() == body, "{} answers {} otherwise", contender.label, phone.path),
        }
    }
    let slow = contender.program == Program::Apache;
    Some(Player { server, client, requests: if slow { requests / SLOW } else { requests } })
}

impl Player {
    fn play(&self, load: &Load) -> Round {
        let used =
            || (self.server.used(), self.server.database.as_ref().map(|database| database.used()), measure::own());
        let (server, database, client) = used();
        let outcome = self.client.ask(self.requests);
        std::thread::sleep(AFTERWARDS);
        let after = used();
        let (handshakes, resumed) = self.client.handshakes();
        assert_eq!(
            load.tls.is_some_and(|tls| tls.resumed) && handshakes > 0,
            resumed * 100 > handshakes * 99,
            "{resumed} of {handshakes} handshakes resumed a session"
        );
        let requests = self.requests as f64;
        let of_one = |cpu: measure::Cpu| (cpu.user + cpu.system) / requests;
        let cpu = after.0 - server;
        Round {
            user: cpu.user / requests,
            system: cpu.system / requests,
            client: of_one(after.2 - client),
            database: after.1.zip(database).map(|(after, before)| of_one(after - before)),
            requests: self.requests,
            seconds: outcome.elapsed.as_secs_f64(),
            p50: outcome.latencies.value_at_quantile(0.5),
            p99: outcome.latencies.value_at_quantile(0.99),
            memory: self.server.memory(),
            resumed,
        }
    }
}
