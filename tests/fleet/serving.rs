//! What phones get of what is set at run time, and what they don't.

use resyncd::events::{Outcome, Refusal};
use resyncd::fleet::Liberties;
use serde_json::json;

use super::{Fixture, Got, ONE, THREE, TWO, change, change_with, deployment, group, merge, named, put, remove};
use crate::store::on_each_database;
use crate::support::database::Scratch;

on_each_database! {
    a_device_is_served_with_its_next_resync
    a_change_elsewhere_is_taken_in_by_itself
    no_other_profile_is_touched
    a_record_lies_over_its_file
    a_record_that_files_have_left_behind_is_refused
    groups_lie_within_each_other
    a_changed_group_changes_its_phones_alone
    a_group_that_cannot_be_read_is_not_left_out
    devices_are_found_by_serial_number
    a_serial_number_moves
}

async fn a_device_is_served_with_its_next_resync(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    assert_eq!(fixture.profile(ONE).await.status, 404);
    change(&fleet, vec![put(ONE, named("Reception"))]).await;
    fixture.take_in().await;
    assert!(fixture.profile(ONE).await.has("<Name_1>Reception</Name_1>"));
    change(&fleet, vec![merge(ONE, json!({"settings": {"lines": {"1": {"display_name": "Lobby"}}}}))]).await;
    fixture.take_in().await;
    assert!(fixture.profile(ONE).await.has("<Name_1>Lobby</Name_1>"));
    change(&fleet, vec![remove(ONE)]).await;
    fixture.take_in().await;
    let gone = fixture.profile(ONE).await;
    assert_eq!((gone.status, gone.head), (404, fixture.profile(TWO).await.head));
}

async fn a_change_elsewhere_is_taken_in_by_itself(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    change(&fixture.fleet().await, vec![put(ONE, named("Reception"))]).await;
    // A phone that is told that there is nothing tries again.
    for _ in 0..1_000_000 {
        if fixture.profile(ONE).await.status == 200 {
            return;
        }
    }
    panic!("never taken in");
}

/// Encrypted with another salt each time that it is made: the same bytes are what was kept ready.
fn sealed(name: &str) -> serde_json::Value {
    let mut device = named(name);
    device["settings"]["delivery"] = json!({"encryption": "aes-256-cbc", "key": "not-a-real-key-but-long-enough"});
    device
}

async fn no_other_profile_is_touched(scratch: &Scratch) {
    let deployment = deployment();
    let pack = std::fs::read_to_string(deployment.path("templates/tiny/pack.toml")).unwrap();
    let pack = pack.replacen("format = \"xml\"\n", "format = \"xml\"\ndelivery = \"device\"\n", 1);
    deployment.write("templates/tiny/pack.toml", pack);
    let fixture = Fixture::of(deployment, &scratch.database).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![put(ONE, sealed("One")), put(TWO, sealed("Two"))]).await;
    fixture.take_in().await;
    let (one, two) = (fixture.profile(ONE).await, fixture.profile(TWO).await);
    assert_eq!((one.status, two.status), (200, 200), "{}", one.head);
    assert!(one.body.starts_with(b"Salted__"));
    change(&fleet, vec![put(ONE, sealed("Another")), put(THREE, sealed("Three"))]).await;
    fixture.take_in().await;
    assert_ne!(fixture.profile(ONE).await, one);
    assert_eq!(fixture.profile(TWO).await, two);
    change(&fleet, vec![remove(ONE)]).await;
    change(&fleet, vec![group("other", json!({"settings": {"vars": {"note": "x"}}}))]).await;
    fixture.take_in().await;
    assert_eq!(fixture.profile(TWO).await, two);
}

async fn a_record_lies_over_its_file(scratch: &Scratch) {
    let deployment = deployment();
    let file = "model = \"T-1\"\ngroup = \"acme\"\n[lines.1]\nuser = \"1\"\ndisplay_name = \"File\"\n";
    deployment.write(&format!("profiles/devices/{ONE}.toml"), file);
    let fixture = Fixture::of(deployment, &scratch.database).await;
    assert!(fixture.profile(ONE).await.has("<Name_1>File</Name_1>"));
    let fleet = fixture.fleet().await;
    change(&fleet, vec![put(ONE, json!({"settings": {"lines": {"1": {"display_name": "Record"}}}}))]).await;
    fixture.take_in().await;
    let got = fixture.profile(ONE).await;
    assert!(got.has("<Name_1>Record</Name_1>") && got.has("<Note>of acme</Note>"), "{got:?}");
    change(&fleet, vec![remove(ONE)]).await;
    fixture.take_in().await;
    assert!(fixture.profile(ONE).await.has("<Name_1>File</Name_1>"));
}

async fn a_record_that_files_have_left_behind_is_refused(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    let in_group = json!({"model": "T-1", "group": "acme", "settings": {}});
    let of_model = json!({"model": "T-2", "settings": {}});
    change(&fleet, vec![put(ONE, in_group), put(TWO, of_model), put(THREE, named("Fine"))]).await;
    fixture.take_in().await;
    for mac in [ONE, TWO, THREE] {
        assert_eq!(fixture.profile(mac).await.status, 200);
    }
    std::fs::remove_file(fixture.deployment.path("profiles/groups/acme.toml")).unwrap();
    let pack = std::fs::read_to_string(fixture.deployment.path("templates/tiny/pack.toml")).unwrap();
    fixture.deployment.write("templates/tiny/pack.toml", pack.replace("models.T-2", "models.T-3"));
    fixture.server.reloader().reload().await.unwrap();
    let unknown = fixture.profile("000e0800ffff").await;
    for (mac, why) in [(ONE, "group: there is no group \"acme\""), (TWO, "model: no pack has a model \"T-2\"")] {
        assert_eq!(fixture.profile(mac).await, unknown);
        let event = fixture.last_event().await;
        assert_eq!(event.outcome, Outcome::Refused(Refusal::BrokenRecord));
        assert!(event.reason.as_ref().unwrap().contains(why), "{event:?}");
    }
    assert!(fixture.profile(THREE).await.has("Fine"));
    // Nothing has to be done to the record once the files are as they were.
    fixture.deployment.write("profiles/groups/acme.toml", "");
    fixture.server.reloader().reload().await.unwrap();
    assert_eq!(fixture.profile(ONE).await.status, 200);
}

async fn groups_lie_within_each_other(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    let lobby = json!({"parent": "hq", "settings": {"lines": {"1": {"display_name": "of the lobby"}}}});
    change(&fleet, vec![group("hq", json!({"parent": "acme", "settings": {}})), group("lobby", lobby)]).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![put(ONE, json!({"model": "T-1", "group": "lobby", "settings": {}}))]).await;
    fixture.take_in().await;
    let got = fixture.profile(ONE).await;
    assert!(got.has("<Note>of acme</Note>") && got.has("<Name_1>of the lobby</Name_1>"), "{got:?}");
    // Over its file, and under those within it.
    change(&fleet, vec![group("acme", json!({"settings": {"vars": {"note": "set at run time"}}}))]).await;
    fixture.take_in().await;
    assert!(fixture.profile(ONE).await.has("<Note>set at run time</Note>"));
}

async fn a_changed_group_changes_its_phones_alone(scratch: &Scratch) {
    let deployment = deployment();
    let pack = std::fs::read_to_string(deployment.path("templates/tiny/pack.toml")).unwrap();
    let pack = pack.replacen("format = \"xml\"\n", "format = \"xml\"\ndelivery = \"device\"\n", 1);
    deployment.write("templates/tiny/pack.toml", pack);
    let fixture = Fixture::of(deployment, &scratch.database).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![group("inside", json!({"settings": {}})), group("outside", json!({"settings": {}}))]).await;
    let fleet = fixture.fleet().await;
    let (mut one, mut two) = (sealed("One"), sealed("Two"));
    (one["group"], two["group"]) = (json!("inside"), json!("outside"));
    change(&fleet, vec![put(ONE, one), put(TWO, two)]).await;
    fixture.take_in().await;
    let (one, two) = (fixture.profile(ONE).await, fixture.profile(TWO).await);
    assert_eq!((one.status, two.status), (200, 200));
    change(&fleet, vec![group("inside", json!({"settings": {"vars": {"note": "new"}}}))]).await;
    fixture.take_in().await;
    assert_ne!(fixture.profile(ONE).await.body, one.body);
    assert_eq!(fixture.profile(TWO).await, two);
}

async fn a_group_that_cannot_be_read_is_not_left_out(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    let secret = json!({"settings": {"lines": {"1": {"user": "1", "password": "of the group"}}}});
    change(&fleet, vec![group("guarded", secret)]).await;
    let fleet = fixture.fleet().await;
    let inside = json!({"model": "T-1", "group": "guarded", "settings": {}});
    change(&fleet, vec![put(ONE, inside), put(TWO, named("Fine"))]).await;
    fixture.take_in().await;
    assert!(fixture.profile(ONE).await.has("of the group"));
    // As a hand at the database, or a damaged disk, would leave it.
    use sqlx::Connection;
    let mut connection = sqlx::AnyConnection::connect(&scratch.url).await.unwrap();
    let damage = "UPDATE groups SET settings = REPLACE(settings, 'v1.', 'v1.0'), revision = revision + 1; \
                  UPDATE fleet SET revision = revision + 1; \
                  INSERT INTO changes (revision, kind, name) SELECT revision, 'group', 'guarded' FROM fleet";
    sqlx::raw_sql(damage).execute(&mut connection).await.unwrap();
    fixture.take_in().await;
    assert_eq!(fixture.profile(ONE).await, fixture.profile("000e0800ffff").await);
    let events = fixture.events().await;
    let event = &events[events.len() - 2];
    assert_eq!(event.outcome, Outcome::Refused(Refusal::BrokenRecord), "{event:?}");
    assert!(event.reason.as_ref().unwrap().contains("guarded"), "{event:?}");
    assert!(fixture.profile(TWO).await.has("Fine"));
    // It can be set anew, and taken away.
    let fleet = fixture.fleet().await;
    change(&fleet, vec![group("guarded", json!({"settings": {"lines": {"1": {"user": "2"}}}}))]).await;
    fixture.take_in().await;
    assert_eq!(fixture.profile(ONE).await.status, 200);
}

async fn by_serial(fixture: &Fixture, serial: &str) -> Got {
    fixture.get(&format!("/s/{serial}.xml")).await
}

fn with_serial(name: &str, serial: &str) -> serde_json::Value {
    let mut device = named(name);
    device["serial"] = json!(serial);
    device
}

async fn devices_are_found_by_serial_number(scratch: &Scratch) {
    let deployment = deployment();
    let file = "model = \"T-1\"\nserial = \"SN0002\"\n[lines.1]\nuser = \"2\"\ndisplay_name = \"File\"\n";
    deployment.write(&format!("profiles/devices/{TWO}.toml"), file);
    let fixture = Fixture::of(deployment, &scratch.database).await;
    let fleet = fixture.fleet().await;
    assert!(by_serial(&fixture, "SN0002").await.has("File"));
    change(&fleet, vec![put(ONE, with_serial("One", "SN0001"))]).await;
    fixture.take_in().await;
    assert!(by_serial(&fixture, "SN0001").await.has("One"));
    assert!(by_serial(&fixture, "SN0001").await.has("One"));
    assert!(by_serial(&fixture, "SN0002").await.has("File"));
    assert_eq!(by_serial(&fixture, "SN0003").await, fixture.profile("000e0800ffff").await);
    // A record that gives a device of a file another number takes the file's away.
    change(&fleet, vec![put(TWO, json!({"serial": "SN0004", "settings": {}}))]).await;
    fixture.take_in().await;
    assert!(by_serial(&fixture, "SN0004").await.has("File"));
    assert_eq!(by_serial(&fixture, "SN0002").await.status, 404);
}

async fn a_serial_number_moves(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![put(ONE, with_serial("One", "SN0001"))]).await;
    fixture.take_in().await;
    assert!(by_serial(&fixture, "SN0001").await.has("One"));
    let moving = vec![put(TWO, with_serial("Two", "SN0001"))];
    let told = super::refused(&fleet, moving.clone()).await;
    assert!(told[0].contains("SN0001 is the serial number of the device 000e08000001"), "{told:?}");
    let plan = fleet.plan(moving.clone(), Liberties { move_serials: true }).await.unwrap();
    let notes: Vec<_> = plan.planned.iter().flat_map(|planned| &planned.notes).collect();
    assert!(notes.iter().any(|note| note.contains("goes to 000e08000002")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("was that of 000e08000001")), "{notes:?}");
    change_with(&fleet, moving, Liberties { move_serials: true }).await;
    fixture.take_in().await;
    // The very next resync.
    assert!(by_serial(&fixture, "SN0001").await.has("Two"));
    assert!(fixture.profile(ONE).await.has("One"));
    // Two that change places in one go.
    let places = vec![put(ONE, with_serial("One", "SN0001")), put(TWO, with_serial("Two", "SN0002"))];
    change(&fleet, places).await;
    fixture.take_in().await;
    assert!(by_serial(&fixture, "SN0001").await.has("One"));
    assert!(by_serial(&fixture, "SN0002").await.has("Two"));
}
