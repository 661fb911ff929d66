//! A database that goes away while phones are served, and comes back.

use resyncd::config::Database;
use resyncd::events::{Flag, Outcome, Refusal};
use resyncd::model::Secret;
use resyncd::store::{EventFilter, Store};

use super::{Fixture, ONE, THREE, TWO, change, deployment, named, put};
use crate::support::database::OwnPostgres;

/// A device of a file, and one of a file that nobody who asks from here may have.
const FILE: &str = "000e08000011";
const GUARDED: &str = "000e08000012";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_goes_on_being_served() {
    let Some(mut postgres) = OwnPostgres::new() else { return };
    let deployment = deployment();
    deployment.write(&format!("profiles/devices/{FILE}.toml"), "model = \"T-1\"\nserial = \"SN0011\"\n");
    let guarded = "model = \"T-1\"\n[access]\nnetworks = [\"192.0.2.1\"]\n";
    deployment.write(&format!("profiles/devices/{GUARDED}.toml"), guarded);
    let fixture =
        Fixture::of(deployment, &Database::postgres(Secret::new(OwnPostgres::url(postgres.port).as_str()))).await;
    let fleet = fixture.fleet().await;
    let mut one = named("One");
    one["serial"] = serde_json::json!("SN0001");
    change(&fleet, vec![put(ONE, one), put(TWO, named("Two"))]).await;
    fixture.take_in().await;
    let known = fixture.profile(ONE).await;
    let by_serial = fixture.get("/s/SN0001.xml").await;
    assert_eq!((known.status, by_serial.status), (200, 200));
    let mut asked = 2;

    postgres.stop();
    fixture.take_in().await;
    assert_eq!(fixture.profile(ONE).await, known);
    assert_eq!(fixture.get("/s/SN0001.xml").await, by_serial);
    assert_eq!(fixture.profile(FILE).await.status, 200);
    assert_eq!(fixture.get("/s/SN0011.xml").await.status, 200);
    asked += 4;
    // A record that nobody has asked for, one that is not there, one without proof: nobody can tell which is which.
    let away = fixture.profile(TWO).await;
    assert_eq!(away.status, 503);
    assert!(away.head.to_lowercase().contains("\nretry-after: "), "{}", away.head);
    assert!(away.body.is_empty());
    asked += 1;
    for path in [format!("/t/{THREE}.xml"), format!("/t/{GUARDED}.xml"), "/s/SN0099.xml".to_owned()] {
        assert_eq!(fixture.get(&path).await, away, "{path}");
        asked += 1;
    }

    postgres.start();
    // The events go to the spool meanwhile, and the server finds the database by itself.
    let mut back = fixture.profile(TWO).await;
    asked += 1;
    while back.status == 503 {
        fixture.take_in().await;
        back = fixture.profile(TWO).await;
        asked += 1;
    }
    assert!(back.has("Two"));
    assert_eq!(fixture.profile(THREE).await.status, 404);
    change(&fixture.fleet().await, vec![put(THREE, named("Three"))]).await;
    fixture.take_in().await;
    assert!(fixture.profile(THREE).await.has("Three"));
    asked += 2;

    let events = fixture.events().await;
    assert_eq!(events.len(), asked);
    let flagged: Vec<_> = events.iter().filter(|event| event.flags.contains(&Flag::DatabaseAway)).collect();
    let served = flagged.iter().filter(|event| event.outcome == Outcome::Served).count();
    assert_eq!(served, 4, "{flagged:#?}");
    let known_away = |event: &&&resyncd::events::Entry| event.outcome == Outcome::Refused(Refusal::DatabaseAway);
    assert!(flagged.iter().filter(known_away).count() >= 1);
    assert!(flagged.iter().all(|event| event.status == 200 || event.status == 503));
    let store = Store::open_read_only(&fixture.config.database).await.unwrap();
    assert_eq!(store.events(&EventFilter::default(), 1).await.unwrap().len(), 1);
}
