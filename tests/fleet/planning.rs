//! Changes that are planned and made: all or none, each judged before, and recorded with who made it.

use resyncd::fleet::{Action, Edit, Expect, FleetError, Liberties, Query, Shown, What};
use resyncd::store::AuditFilter;
use serde_json::{Value, json};

use super::{Fixture, ONE, THREE, TWO, actor, change, deployment, group, merge, named, object, put, refused, remove};
use crate::store::on_each_database;
use crate::support::database::Scratch;

on_each_database! {
    what_a_phone_would_ignore_is_refused
    secrets_are_sealed_and_masked
    a_masked_secret_stays_as_it_is
    a_record_reads_nothing_of_the_server
    a_stale_revision_is_refused
    of_two_writers_one_is_told
    all_or_none
    every_change_is_recorded
    devices_are_found
    a_group_in_use_stays
    a_group_is_judged_by_the_devices_of_files_too
}

fn password(password: &str) -> Value {
    json!({"model": "T-1", "settings": {"lines": {"1": {"user": "1", "password": password}}}})
}

async fn what_a_phone_would_ignore_is_refused(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    for (device, why) in [
        (json!({"model": "T-1", "settings": {"params": {"Sever": "x"}}}), "did you mean Server?"),
        (json!({"model": "T-1", "settings": {"lines": {"1": {"usr": "x"}}}}), "lines.1.usr: unknown setting"),
        (json!({"model": "T1", "settings": {}}), "no pack has a model \"T1\""),
        (json!({"settings": {}}), "model: is missing"),
        (json!({"model": "T-1", "group": "acne", "settings": {}}), "did you mean \"acme\"?"),
        (json!({"model": "T-1", "settngs": {}}), "did you mean \"settings\"?"),
        (json!({"model": "", "settings": {}}), "model: must be a text"),
        (json!({"model": "T-1", "settings": []}), "settings: must be an object"),
        (json!({"model": "T-1", "serial": "no serial!", "settings": {}}), "serial: "),
        (json!({"model": "T-1", "settings": {"vars": {"x": null}}}), "null is no value"),
        (json!({"model": "T-1", "settings": {"vars": {"x": u64::MAX}}}), "too large"),
    ] {
        let told = refused(&fleet, vec![put(ONE, device.clone())]).await;
        assert!(told.iter().any(|told| told.contains(why)), "{device}: {told:?}");
        assert!(told.iter().all(|told| told.starts_with("database/devices/000e08000001")), "{told:?}");
    }
    for (name, device, why) in [
        ("a/b", json!({"settings": {}}), "is no name of a group"),
        ("ring", json!({"parent": "ring", "settings": {}}), "ring"),
        ("lost", json!({"parent": "nowhere", "settings": {}}), "there is no group \"nowhere\""),
        ("wrong", json!({"settings": {"lines": {"1": {"usr": "x"}}}}), "lines.1.usr: unknown setting"),
    ] {
        let told = refused(&fleet, vec![group(name, device)]).await;
        assert!(told[0].contains(why), "{told:?}");
    }
}

async fn secrets_are_sealed_and_masked(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    let secret = "a-secret-that-nobody-has";
    let mut device = password(secret);
    device["settings"]["params"] = json!({"Password_2": secret});
    device["settings"]["vars"] = json!({"wifi_password": secret});
    let plan = fleet.plan(vec![put(ONE, device.clone())], Liberties::default()).await.unwrap();
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
    assert!(!format!("{plan:?}").contains(secret));
    change(&fleet, vec![put(ONE, device)]).await;
    let group_secret = json!({"settings": {"lines": {"1": {"password": secret}}}});
    change(&fleet, vec![group("guarded", group_secret)]).await;
    fixture.take_in().await;
    assert!(fixture.profile(ONE).await.has(&format!("<Password_1>{secret}</Password_1>")));

    let row = fleet.store().device(ONE.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.settings.matches("\"sealed\"").count(), 3, "{}", row.settings);
    let entry = fleet.device(ONE.parse().unwrap()).await.unwrap().unwrap();
    let secrecy = resyncd::fleet::Secrecy::new(&fleet.generation().packs);
    let shown = Value::Object(entry.json(&secrecy, Shown::Masked)).to_string();
    assert!(!shown.contains(secret) && shown.matches("***").count() == 3, "{shown}");
    assert_eq!(Value::Object(entry.json(&secrecy, Shown::Real)).to_string().matches(secret).count(), 3);
    let audit = fleet.store().audit(&AuditFilter::default(), 100).await.unwrap();
    assert!(!format!("{audit:?}").contains(secret));
    assert!(!format!("{:?}", fixture.events().await).contains(secret));
    if let resyncd::config::DatabaseUrl::Sqlite(path) = &fixture.config.database.url {
        let mut looked_at = 0;
        for file in std::fs::read_dir(path.parent().unwrap()).unwrap().map(Result::unwrap) {
            let bytes = std::fs::read(file.path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{:?}", file.path());
            looked_at += bytes.len();
        }
        assert!(looked_at > 10_000);
    }
}

async fn a_masked_secret_stays_as_it_is(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![put(ONE, password("first"))]).await;
    let applied = change(&fleet, vec![put(ONE, password("***"))]).await;
    assert_eq!((applied.kept, applied.revision), (1, None));
    let mut more = password("***");
    more["settings"]["lines"]["1"]["display_name"] = json!("More");
    change(&fleet, vec![put(ONE, more)]).await;
    fixture.take_in().await;
    let got = fixture.profile(ONE).await;
    assert!(got.has("<Password_1>first</Password_1>") && got.has("More"), "{got:?}");
    let told = refused(&fleet, vec![put(TWO, password("***"))]).await;
    assert!(told[0].contains("lines.1.password: *** stands for a secret that is stored"), "{told:?}");
}

async fn a_record_reads_nothing_of_the_server(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    for source in [json!({"env": "PATH"}), json!({"file": "/etc/passwd"})] {
        let line = json!({"model": "T-1", "settings": {"lines": {"1": {"password": source}}}});
        let param = json!({"model": "T-1", "settings": {"params": {"Server": source}}});
        let group_edit = group("reader", json!({"settings": {"lines": {"1": {"password": source}}}}));
        for edit in [put(ONE, line), put(ONE, param), group_edit] {
            let told = refused(&fleet, vec![edit]).await;
            assert!(told[0].contains("outside the record"), "{told:?}");
        }
    }
    // What looks like a sealed value, and was sealed by nobody here.
    let forged = json!({"sealed": "v1.a3e42fb9.AAECAwQFBgcICQoL1cnhC0HTdByfBsq0QRq71MG0Dy63wsAJpxJgUX7Ux1mZK6I"});
    let told = refused(
        &fleet,
        vec![
            put(ONE, password("x")),
            put(TWO, json!({"model": "T-1", "settings": {"lines": {"1": {"password": forged}}}})),
        ],
    )
    .await;
    assert!(told[0].contains("lines.1.password"), "{told:?}");
}

async fn a_stale_revision_is_refused(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    let first = change(&fleet, vec![put(ONE, named("One"))]).await.revision.unwrap();
    let second = change(&fleet, vec![put(ONE, named("Two"))]).await.revision.unwrap();
    assert!(second > first);
    let told = refused(&fleet, vec![Edit { expect: Expect::Revision(first), ..put(ONE, named("Three")) }]).await;
    assert!(told[0].contains(&format!("is at revision {second}")), "{told:?}");
    let told = refused(&fleet, vec![Edit { expect: Expect::Absent, ..put(ONE, named("Three")) }]).await;
    assert!(told[0].contains("is there already"), "{told:?}");
    for edit in [Edit { expect: Expect::Present, ..put(TWO, named("Two")) }, remove(TWO)] {
        let told = refused(&fleet, vec![edit]).await;
        assert!(told[0].contains("there is no such record"), "{told:?}");
    }
    change(&fleet, vec![Edit { expect: Expect::Revision(second), ..put(ONE, named("Three")) }]).await;
}

async fn of_two_writers_one_is_told(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let (fleet, other) = (fixture.fleet().await, fixture.fleet().await);
    change(&fleet, vec![put(ONE, named("One"))]).await;
    // Both have looked before either writes: a record that is there, one that is not, a serial number, a group.
    let serial = |mac: &str| {
        let mut device = named("x");
        device["serial"] = json!("SN0001");
        put(mac, device)
    };
    for (ours, theirs) in [
        (put(ONE, named("Ours")), put(ONE, named("Theirs"))),
        (put(TWO, named("Ours")), put(TWO, named("Theirs"))),
        (remove(TWO), put(TWO, named("Theirs, again"))),
        (serial(TWO), serial(THREE)),
        (group("new", json!({"settings": {}})), group("new", json!({"parent": "acme", "settings": {}}))),
    ] {
        let planned = fleet.plan(vec![ours.clone()], Liberties::default()).await.unwrap();
        let later = other.plan(vec![theirs], Liberties::default()).await.unwrap();
        assert!(planned.refused.is_empty() && later.refused.is_empty());
        let revision = fleet.apply(planned, &actor()).await.unwrap().revision.unwrap();
        let error = other.apply(later, &actor()).await.unwrap_err();
        assert!(matches!(error, FleetError::Write(_)), "{ours:?}: {error}");
        assert!(error.to_string().contains("meanwhile"), "{error}");
        assert_eq!(fleet.store().fleet_revision().await.unwrap(), revision);
    }
    // Really at once, and many.
    let all = (0..8).map(|number| {
        let fleet = fleet.clone();
        tokio::spawn(async move {
            let plan = fleet.plan(vec![put(THREE, named(&format!("Number {number}")))], Liberties::default());
            let plan = plan.await.unwrap();
            fleet.apply(plan, &actor()).await.is_ok()
        })
    });
    let mut won = 0;
    for one in all.collect::<Vec<_>>() {
        won += usize::from(one.await.unwrap());
    }
    assert!((1..=8).contains(&won));
    let changes = AuditFilter { name: Some(THREE.to_owned()), ..AuditFilter::default() };
    assert_eq!(fleet.store().audit(&changes, 100).await.unwrap().len(), won);
}

async fn all_or_none(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    let edits = vec![
        put(ONE, named("One")),
        put(TWO, json!({"model": "T-9", "settings": {}})),
        Edit { row: Some("devices.csv:4".to_owned()), ..put(ONE, named("Again")) },
    ];
    let told = refused(&fleet, edits).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(fleet.store().count_devices().await.unwrap(), 0);
    let applied = change(&fleet, vec![put(ONE, named("One")), put(TWO, named("Two"))]).await;
    assert_eq!((applied.created, applied.changed, applied.removed, applied.kept), (2, 0, 0, 0));
    let applied = change(&fleet, vec![put(ONE, named("One")), put(TWO, named("2")), put(THREE, named("3"))]).await;
    assert_eq!((applied.created, applied.changed, applied.removed, applied.kept), (1, 1, 0, 1));
    let revisions = fleet.store().device_revisions().await.unwrap();
    let of = |mac: &str| revisions.iter().find(|(one, _)| one.to_string() == mac).unwrap().1;
    assert_eq!((of(ONE), of(TWO), of(THREE)), (1, 2, 2));
}

async fn every_change_is_recorded(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![put(ONE, named("One"))]).await;
    change(&fleet, vec![put(ONE, named("One"))]).await;
    change(&fleet, vec![merge(ONE, json!({"group": "acme", "settings": {"lines": {"1": {"display_name": null}}}}))])
        .await;
    change(&fleet, vec![remove(ONE)]).await;
    change(&fleet, vec![group("new", json!({"parent": "acme"}))]).await;
    let audit = fleet.store().audit(&AuditFilter::default(), 100).await.unwrap();
    let told: Vec<_> = audit.iter().map(|row| (row.action.as_str(), row.kind.as_str(), row.name.as_str())).collect();
    let expected =
        [("create", "group", "new"), ("remove", "device", ONE), ("change", "device", ONE), ("create", "device", ONE)];
    assert_eq!(told, expected);
    assert!(audit.iter().all(|row| row.actor == "cli:tester" && row.peer.is_none()));
    let side = |side: &Option<String>| side.as_deref().map(|text| serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(side(&audit[2].before), Some(json!({"settings.lines.1.display_name": "One"})));
    assert_eq!(side(&audit[2].after), Some(json!({"group": "acme"})));
    assert_eq!(side(&audit[3].before), None);
    let only = AuditFilter { kind: Some("group".to_owned()), ..AuditFilter::default() };
    assert_eq!(fleet.store().audit(&only, 100).await.unwrap(), audit[..1]);
    let page = AuditFilter { before_id: Some(audit[1].id.clone()), ..AuditFilter::default() };
    assert_eq!(fleet.store().audit(&page, 1).await.unwrap(), audit[2..3]);
}

async fn devices_are_found(scratch: &Scratch) {
    let deployment = deployment();
    let file = "model = \"T-2\"\nserial = \"SN0009\"\ngroup = \"acme\"\n[lines.1]\nuser = \"2002\"\ndisplay_name = \"100% File\"\n";
    deployment.write(&format!("profiles/devices/{TWO}.toml"), file);
    let fixture = Fixture::of(deployment, &scratch.database).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![group("hq", json!({"parent": "acme"}))]).await;
    let fleet = fixture.fleet().await;
    let mut one = named("Über uns");
    (one["serial"], one["group"]) = (json!("SN0001"), json!("hq"));
    change(&fleet, vec![put(ONE, one), put(THREE, named("Third")), put(TWO, json!({"settings": {}}))]).await;
    let found = async |query: Query| -> Vec<String> {
        let entries = fleet.find(&query, None, 100).await.unwrap();
        entries.iter().map(|entry| entry.mac.to_string()).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let all = Query::default;
    assert_eq!(found(all()).await, [ONE, TWO, THREE]);
    assert_eq!(found(Query { user: some("1001"), ..all() }).await, [ONE, THREE]);
    assert_eq!(found(Query { user: some("2002"), ..all() }).await, [TWO]);
    assert_eq!(found(Query { group: some("acme"), ..all() }).await, [ONE, TWO]);
    assert_eq!(found(Query { group: some("acme"), within: some("hq"), ..all() }).await, [ONE]);
    assert_eq!(found(Query { within: some("nowhere"), ..all() }).await, [] as [&str; 0]);
    assert_eq!(found(Query { model: some("t-2"), ..all() }).await, [TWO]);
    assert_eq!(found(Query { serial: Some("SN0009".parse().unwrap()), ..all() }).await, [TWO]);
    assert_eq!(found(Query { serial: Some("SN0001".parse().unwrap()), ..all() }).await, [ONE]);
    assert_eq!(found(Query { text: some("ÜBER"), ..all() }).await, [ONE]);
    assert_eq!(found(Query { text: some("100% f"), ..all() }).await, [TWO]);
    assert_eq!(found(Query { text: some("_"), ..all() }).await, [] as [&str; 0]);
    // A page at a time, each device once.
    let (mut after, mut pages) = (None, Vec::new());
    while let [entry] = fleet.find(&all(), after, 1).await.unwrap().as_slice() {
        after = Some(entry.mac);
        pages.push(entry.mac.to_string());
    }
    assert_eq!(pages, [ONE, TWO, THREE]);
    // A device that is not served is found all the same.
    fixture.deployment.write(
        "templates/tiny/pack.toml",
        std::fs::read_to_string(fixture.deployment.path("templates/tiny/pack.toml"))
            .unwrap()
            .replace("models.T-1", "models.T-7"),
    );
    let fleet = fixture.fleet().await;
    let entries = fleet.find(&Query { user: some("1001"), ..all() }, None, 100).await.unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].device.as_ref().unwrap_err().contains("T-1"));
}

async fn a_group_in_use_stays(scratch: &Scratch) {
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![group("outer", json!({})), group("inner", json!({"parent": "outer"}))]).await;
    let fleet = fixture.fleet().await;
    change(&fleet, vec![put(ONE, json!({"model": "T-1", "group": "inner"}))]).await;
    let gone = |name: &str| Edit { what: What::Remove, ..group(name, json!({})) };
    let told = refused(&fleet, vec![gone("inner")]).await;
    assert!(told[0].contains("the device 000e08000001 is in it"), "{told:?}");
    let told = refused(&fleet, vec![gone("outer")]).await;
    assert!(told[0].contains("the group inner lies within it"), "{told:?}");
    // All that is in them goes along.
    change(&fleet, vec![remove(ONE), gone("inner"), gone("outer")]).await;
    assert_eq!(object(json!({})).len() + fleet.store().groups().await.unwrap().len(), 0);
    assert_eq!(
        fleet.plan(vec![group("acme", json!({}))], Liberties::default()).await.unwrap().planned[0].action,
        Action::Create
    );
}

async fn a_group_is_judged_by_the_devices_of_files_too(scratch: &Scratch) {
    let deployment = deployment();
    deployment.write(&format!("profiles/devices/{ONE}.toml"), "model = \"T-1\"\ngroup = \"acme\"\n");
    let fixture = Fixture::of(deployment, &scratch.database).await;
    let fleet = fixture.fleet().await;
    let told = refused(&fleet, vec![group("acme", json!({"settings": {"params": {"Sever": "x"}}}))]).await;
    assert!(told[0].contains("database/groups/acme: params.Sever") && told[0].contains("Server"), "{told:?}");
}
