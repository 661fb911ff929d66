//! Phones that a server asks to come for their tasks: over HTTP, and through a NAT.

use resyncd::phone::cwmp::Way;
use serde_json::{Value, json};

use super::life::{AASTRA, CISCO, GRANDSTREAM, Made, assert_state_holds, served_as};
use super::listening::{HERE, LONG, events, set_up};
use crate::support::api::Client;
use crate::support::deployment::Running;
use crate::support::nat::Nat;

const REQUESTS: &str = "connection_user = \"acs\"\nconnection_password = \"example-only-request\"\n";
const ALLOWED: &str = "\n[connection_requests]\nallow = [\"127.0.0.0/8\"]\npace = \"1s\"\n";

/// Orders a task for whose sake its phone is asked to come, and gives its id.
fn order(client: &Client, made: Made, task: Value) -> String {
    let path = format!("/api/v1/devices/{}/tasks", made.0);
    let made = client.send("POST", &path, &[], &json!({"task": task}).to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].as_str().unwrap().to_owned()
}

fn task(client: &Client, id: &str) -> Value {
    client.get(&format!("/api/v1/tasks/{id}")).json()
}

fn firmware(running: &Running, name: &str) -> Value {
    running.deployment.write(&format!("firmware/{name}"), "firmware of nobody");
    json!({"do": "download", "content": "firmware", "file": format!("/firmware/{name}")})
}

/// Phones have a whole life without coming once by themselves after they were set up.
#[test]
fn a_phone_is_upgraded_backed_up_and_rebooted_by_being_asked_to_come() {
    let running = served_as(ALLOWED, |_| REQUESTS.to_owned());
    let client = Client::of(&running, "write", None);
    for (made, file, version) in
        [(AASTRA, "6757i-3.3.1.8101.st", "3.3.1.8101"), (CISCO, "sip68xx-12.0.1.loads", "12.0.1")]
    {
        let mut life = running.block_on(set_up(&running, made));
        let mut tasks = vec![firmware(&running, file), json!({"do": "reboot"})];
        if made == AASTRA {
            tasks.insert(1, json!({"do": "upload", "content": "configuration"}));
        }
        for spec in tasks {
            let id = order(&client, made, spec.clone());
            let sessions = running.block_on(async {
                let wake = life.woken(LONG).await.unwrap().unwrap();
                assert_eq!(wake.way, Way::Http);
                life.sessions(&[]).await.unwrap()
            });
            assert_eq!(events(&sessions[0]), ["6 CONNECTION REQUEST"], "{sessions:#?}");
            assert_eq!(task(&client, &id)["state"], "done", "{spec}: {sessions:#?}");
        }
        assert_eq!(life.value("Device.DeviceInfo.SoftwareVersion").as_deref(), Some(version));
        assert_state_holds(&running, made, &life.state, &[]);
    }
}

#[test]
fn a_phone_behind_a_nat_is_asked_to_come_by_the_servers_own_stun_server() {
    let config = format!("{ALLOWED}\n[stun]\naddress = \"127.0.0.1:0\"\n");
    let running = served_as(&config, |running| {
        let stun = running.server().stun_address().unwrap();
        format!("{REQUESTS}stun = \"{stun}\"\nstun_user = \"stun-1\"\n")
    });
    let client = Client::of(&running, "write", None);
    let nat = Nat::to(running.server().stun_address().unwrap());
    let made = GRANDSTREAM;
    let mut life = running.block_on(async {
        let mut life = set_up(&running, made).await;
        life.listen(HERE, Some(0), Some(nat.inside)).await.unwrap();
        let bound = life.bind().await.unwrap().unwrap();
        assert_eq!((bound.address, bound.is_behind_nat), (nat.outside(), true));
        life.sessions(&[]).await.unwrap();
        life
    });
    for spec in [firmware(&running, "gxp2170-1.0.11.64.bin"), json!({"do": "reboot"})] {
        let id = order(&client, made, spec);
        let sessions = running.block_on(async {
            let wake = life.woken(LONG).await.unwrap().unwrap();
            assert_eq!((wake.way, wake.from), (Way::Udp, nat.inside));
            let sessions = life.sessions(&[]).await.unwrap();
            // Its NAT has another idea by now, and the server hears of it before the phone tells.
            nat.reboot();
            life.bind().await.unwrap();
            sessions
        });
        assert!(events(&sessions[0]).contains(&"6 CONNECTION REQUEST"), "{sessions:#?}");
        assert_eq!(task(&client, &id)["state"], "done", "{sessions:#?}");
    }
    assert_eq!(life.value("Device.DeviceInfo.SoftwareVersion").as_deref(), Some("1.0.11.64"));
    running.block_on(life.sessions(&[])).unwrap();
    assert_state_holds(&running, made, &life.state, &[]);
}
