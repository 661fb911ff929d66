//! What the store promises, on each database: the same tests on SQLite and on PostgreSQL.

use resyncd::config::Database;
use resyncd::events::{Entry, Event, EventIds, Outcome, Refusal};
use resyncd::model::{MacAddr, Serial};
use resyncd::packs::UploadKind;
use resyncd::store::{
    AuditFilter, AuditRow, ChangeKind, DeviceRow, DeviceWrite, EventFilter, FleetWrite, GroupBy, GroupRow, GroupWrite,
    Store, UploadFilter, UrlTokenRow, WriteError,
};
use resyncd::uploads::{Upload, UploadId};
use sqlx::{AnyConnection, Connection};
use time::OffsetDateTime;

use crate::events::event;
use crate::support::database::Scratch;

/// Runs a test on each database that there is.
macro_rules! on_each_database {
    ($($name:ident)+) => {
        $(mod $name {
            use super::*;

            #[tokio::test]
            async fn sqlite() {
                super::$name(&Scratch::sqlite()).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(scratch) = Scratch::postgres().await {
                    super::$name(&scratch).await;
                }
            }
        })+
    };
}

pub(crate) use on_each_database;

on_each_database! {
    events_come_back_as_they_went_in
    the_same_events_again_change_nothing
    filters_let_through_what_they_name
    groups_count_alike
    the_oldest_go_first
    several_that_start_at_once_make_one_schema
    uploads_come_back_as_they_went_in
    uploads_go_from_the_oldest
    looking_changes_nothing
    a_newer_schema_is_refused
    the_fleet_is_written_whole_and_in_order
    what_is_not_as_it_is_thought_to_be_is_not_written
    a_change_is_told_to_those_who_listen
    a_token_for_the_first_contact_is_followed_once
    what_an_acs_knows_of_phones_is_kept
}

async fn what_an_acs_knows_of_phones_is_kept(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let mac = |text: &str| text.parse::<MacAddr>().unwrap();
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap();
    assert_eq!(store.acs_phone(mac("00085d000001")).await.unwrap(), None);
    for (phone, told, seen) in [("00085d000002", "{}", 0), ("00085d000001", "{}", 1), ("00085d000001", "{\"é\":1}", 2)]
    {
        store.keep_acs_phone(mac(phone), told, at(seen)).await.unwrap();
    }
    let row = store.acs_phone(mac("00085d000001")).await.unwrap().unwrap();
    assert_eq!((row.told.as_str(), row.first_seen, row.last_seen), ("{\"é\":1}", at(1), at(2)));
    let first = store.acs_phones(None, 1).await.unwrap();
    let second = store.acs_phones(Some(first[0].mac), 10).await.unwrap();
    assert_eq!((first[0].mac, second[0].mac, second.len()), (mac("00085d000001"), mac("00085d000002"), 1));
}

fn entries(events: Vec<Event>) -> Vec<Entry> {
    let ids = EventIds::new().unwrap();
    events.into_iter().map(|event| Entry::new(ids.next(event.time), event)).collect()
}

fn many(count: usize) -> Vec<Entry> {
    entries((0..count).map(event).collect())
}

async fn events_come_back_as_they_went_in(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let hostile = Event {
        target: "/'; DROP TABLE events; --".to_owned(),
        user_agent: Some("𝄞 \"é\" \\ %s $1".to_owned()),
        outcome: Outcome::Refused(Refusal::NoProof),
        device: None,
        ..event(0)
    };
    let written = entries(vec![hostile, event(1)]);
    assert_eq!(store.insert_events(&written).await.unwrap(), 2);
    assert_eq!(store.events(&EventFilter::default(), 10).await.unwrap(), written);
}

async fn the_same_events_again_change_nothing(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let written = many(21);
    assert_eq!(store.insert_events(&written[..13]).await.unwrap(), 13);
    assert_eq!(store.insert_events(&written).await.unwrap(), 8);
    assert_eq!(store.count_events().await.unwrap(), 21);
    let newest = store.events(&EventFilter::default(), 5).await.unwrap();
    assert_eq!(newest, written[16..]);
}

async fn filters_let_through_what_they_name(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let other = Event { device: None, asked_mac: Some("000e08000001".parse().unwrap()), ..event(2) };
    let refused = Event { outcome: Outcome::Refused(Refusal::NoProof), ..event(3) };
    let written = entries(vec![event(0), event(1), other, refused]);
    store.insert_events(&written).await.unwrap();
    let found = async |filter: EventFilter| store.events(&filter, 10).await.unwrap();
    let all = EventFilter::default;
    assert_eq!(found(EventFilter { since: Some(written[1].time), ..all() }).await, written[1..]);
    assert_eq!(found(EventFilter { until: Some(written[1].time), ..all() }).await, written[..1]);
    let device = Some("000e08000001".parse().unwrap());
    assert_eq!(found(EventFilter { device, ..all() }).await, written[2..3]);
    assert_eq!(found(EventFilter { outcome: Some("refused"), ..all() }).await, written[3..]);
    let before = Some((written[2].time, written[2].id));
    assert_eq!(found(EventFilter { before, ..all() }).await, written[..2]);
}

async fn groups_count_alike(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let of = |number: usize, model: Option<&str>| Event { model: model.map(str::to_owned), ..event(number) };
    let events = vec![of(0, Some("a")), of(1, Some("b")), of(2, Some("b")), of(3, None)];
    store.insert_events(&entries(events)).await.unwrap();
    let groups = store.event_groups(GroupBy::Model, &EventFilter::default(), 10).await.unwrap();
    let told: Vec<_> = groups.iter().map(|group| (group.keys[1].as_deref(), group.count, group.served)).collect();
    assert_eq!(told[0], (Some("b"), 2, 2));
    assert_eq!(told.len(), 3);
    // Of groups as large as each other, the one that was last seen comes first.
    assert_eq!(told[1], (None, 1, 1));
    for (by, count) in [
        (GroupBy::UserAgent, 1),
        (GroupBy::Firmware, 3),
        (GroupBy::Device, 1),
        (GroupBy::Status, 1),
        (GroupBy::Refusal, 0),
    ] {
        let groups = store.event_groups(by, &EventFilter::default(), 10).await.unwrap();
        assert_eq!(groups.len(), count, "{by:?}: {groups:?}");
    }
}

async fn the_oldest_go_first(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let written = many(30);
    store.insert_events(&written).await.unwrap();
    assert_eq!(store.prune_events(Some(written[10].time), None).await.unwrap(), 10);
    assert_eq!(store.prune_events(None, Some(5)).await.unwrap(), 15);
    assert_eq!(store.events(&EventFilter::default(), 100).await.unwrap(), written[25..]);
    assert_eq!(store.prune_events(Some(OffsetDateTime::UNIX_EPOCH), Some(5)).await.unwrap(), 0);
}

async fn several_that_start_at_once_make_one_schema(scratch: &Scratch) {
    let opened = (0..6).map(|_| {
        tokio::spawn({
            let database = scratch.database.clone();
            async move { Store::open(&database).await }
        })
    });
    let opened: Vec<_> = opened.collect();
    for (number, store) in opened.into_iter().enumerate() {
        let store = store.await.unwrap().unwrap();
        store.insert_events(&many(3)).await.unwrap();
        assert!(store.count_events().await.unwrap() >= 3, "{number}");
    }
    let store = Store::open(&scratch.database).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 18);
}

fn upload(n: u32) -> Upload {
    let time = OffsetDateTime::from_unix_timestamp(1_700_000_000 + i64::from(n)).unwrap();
    Upload {
        id: UploadId::new(time).unwrap(),
        time,
        device: "000e08abcdef".parse().unwrap(),
        kind: UploadKind::Report,
        pack: "cisco-mpp".to_owned(),
        upload: "report".to_owned(),
        partial: n.is_multiple_of(2),
        name: Some("'; DROP TABLE uploads; -- <b>é𝄞\\".to_owned()),
        content_type: None,
        fields: [("a\"b".to_owned(), "$1".to_owned())].into(),
        received: 7,
        bytes: 100,
        sha256: "0".repeat(64),
        encoding: Some("gzip".to_owned()),
        sealed: !n.is_multiple_of(2),
        peer: "[2001:db8::1]:5000".parse().unwrap(),
        listener: "https".to_owned(),
        node: "a".to_owned(),
        path: None,
    }
}

/// Inserts with this content, and keeps so many of a sort.
async fn keep(store: &Store, upload: &Upload, keep: u64) -> Vec<UploadId> {
    let gone = store.insert_upload(upload, &mut &b"content"[..], keep).await.unwrap();
    gone.iter().map(|gone| gone.id).collect()
}

async fn uploads_come_back_as_they_went_in(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let other = Upload { device: "000e08000001".parse().unwrap(), kind: UploadKind::CrashLog, ..upload(2) };
    let written = [upload(0), upload(1), other, upload(3)];
    for upload in &written {
        assert_eq!(keep(&store, upload, 10).await, []);
    }
    let all = UploadFilter::default();
    let [first, second, other, last] = written.clone();
    assert_eq!(store.upload(first.id).await.unwrap(), Some(first.clone()));
    let newest = [last.clone(), other.clone(), second.clone(), first.clone()];
    assert_eq!(store.uploads(&all, None, 10).await.unwrap(), newest);
    assert_eq!(store.uploads(&all, None, 2).await.unwrap(), newest[..2]);
    assert_eq!(store.uploads(&all, Some(other.id), 10).await.unwrap(), newest[2..]);
    let filter = |device, kind| UploadFilter { device, kind, ..UploadFilter::default() };
    assert_eq!(store.uploads(&filter(Some(other.device), None), None, 10).await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(
        store.uploads(&filter(None, Some(UploadKind::CrashLog)), None, 10).await.unwrap(),
        std::slice::from_ref(&other)
    );
    assert_eq!(store.uploads(&filter(Some(first.device), Some(other.kind)), None, 10).await.unwrap(), []);
    let span = UploadFilter { since: Some(second.time), until: Some(last.time), ..UploadFilter::default() };
    assert_eq!(store.uploads(&span, None, 10).await.unwrap(), newest[1..3]);
    let mut ids = store.upload_ids(first.id, other.id).await.unwrap();
    ids.sort();
    assert_eq!(ids, [first.id, second.id, other.id]);
    // Where the database holds it, the content too.
    let content = store.upload_chunk(first.id, 0).await.unwrap();
    assert_eq!(content, store.holds_content().then(|| b"content".to_vec()));
    assert_eq!(store.upload_chunk(first.id, 1).await.unwrap(), None);
    assert_eq!(store.delete_upload(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.delete_upload(first.id).await.unwrap(), None);
    assert_eq!(store.upload_chunk(first.id, 0).await.unwrap(), None);
    // One that fails leaves nothing: the same id twice.
    assert!(store.insert_upload(&other, &mut &b"content"[..], 1).await.is_err());
    assert_eq!(store.uploads(&all, None, 10).await.unwrap(), newest[..3]);
}

async fn uploads_go_from_the_oldest(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let written: Vec<Upload> = (0..6).map(upload).collect();
    for (n, upload) in written.iter().enumerate() {
        let gone = if n < 4 { vec![] } else { vec![written[n - 4].id] };
        assert_eq!(keep(&store, upload, 4).await, gone);
    }
    let delta = Upload { upload: "delta".to_owned(), ..upload(6) };
    assert_eq!(keep(&store, &delta, 4).await, [], "of another sort");
    // Four of a hundred bytes, and the delta.
    let ids = |gone: Vec<Upload>| gone.into_iter().map(|gone| gone.id).collect::<Vec<_>>();
    assert_eq!(ids(store.prune_uploads(None, 500).await.unwrap()), []);
    assert_eq!(ids(store.prune_uploads(None, 499).await.unwrap()), [written[2].id]);
    assert_eq!(ids(store.prune_uploads(Some(written[4].time), 1 << 40).await.unwrap()), [written[3].id]);
    assert_eq!(ids(store.prune_uploads(Some(written[4].time), 1 << 40).await.unwrap()), []);
    assert_eq!(ids(store.prune_uploads(None, 0).await.unwrap()), [written[4].id, written[5].id, delta.id]);
}

async fn looking_changes_nothing(scratch: &Scratch) {
    let missing = Store::open_read_only(&scratch.database).await.unwrap_err().to_string();
    assert!(missing.contains("resyncd serve"), "{missing}");
    Store::open(&scratch.database).await.unwrap().insert_events(&many(2)).await.unwrap();
    let store = Store::open_read_only(&scratch.database).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 2);
    assert!(store.insert_events(&many(2)).await.is_err());
    assert_eq!(store.count_events().await.unwrap(), 2);
}

async fn a_newer_schema_is_refused(scratch: &Scratch) {
    Store::open(&scratch.database).await.unwrap();
    let mut connection = AnyConnection::connect(&scratch.url).await.unwrap();
    let newer =
        "UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)";
    sqlx::raw_sql(newer).execute(&mut connection).await.unwrap();
    for opened in [Store::open(&scratch.database).await, Store::open_read_only(&scratch.database).await] {
        let error = opened.unwrap_err().to_string();
        assert!(error.contains("newer resyncd") && error.contains("9999"), "{error}");
    }
}

/// A record to be written; none: it goes.
fn device(number: u64, was: Option<i64>, serial: Option<&str>, stays: bool) -> DeviceWrite {
    let mac: MacAddr = format!("000e08{number:06x}").parse().unwrap();
    let row = DeviceRow {
        mac,
        serial: serial.map(|serial| serial.parse::<Serial>().unwrap()),
        model: Some("T-1".to_owned()),
        group: None,
        settings: "{\"vars\":{\"é\":\"𝄞\"}}".to_owned(),
        revision: 0,
        created: OffsetDateTime::UNIX_EPOCH,
        changed: OffsetDateTime::UNIX_EPOCH,
    };
    DeviceWrite {
        mac,
        was,
        row: stays.then_some(row),
        users: vec![format!("user-{number}"), "all".to_owned(), "all".to_owned()],
        search: format!("{mac} user-{number}"),
    }
}

fn write(devices: Vec<DeviceWrite>) -> FleetWrite {
    FleetWrite { time: OffsetDateTime::now_utc(), devices, groups: Vec::new(), audit: Vec::new() }
}

async fn the_fleet_is_written_whole_and_in_order(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    assert_eq!(store.fleet_revision().await.unwrap(), 0);
    // More than one statement takes.
    let many: Vec<_> = (0..300).map(|number| device(number, None, None, true)).collect();
    assert_eq!(store.write_fleet(&write(many)).await.unwrap(), 1);
    assert_eq!(store.count_devices().await.unwrap(), 300);
    let row = store.device("000e08000005".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((row.revision, row.settings.as_str()), (1, "{\"vars\":{\"é\":\"𝄞\"}}"));
    assert_eq!(row.created, OffsetDateTime::UNIX_EPOCH);
    assert!(row.changed > row.created);
    let group = GroupRow {
        name: "acme".to_owned(),
        parent: None,
        settings: "{}".to_owned(),
        revision: 0,
        created: OffsetDateTime::UNIX_EPOCH,
        changed: OffsetDateTime::UNIX_EPOCH,
    };
    let audit = AuditRow {
        id: "0".to_owned(),
        time: OffsetDateTime::UNIX_EPOCH,
        actor: "cli:x".to_owned(),
        peer: Some("192.0.2.1".to_owned()),
        action: "create".to_owned(),
        kind: "group".to_owned(),
        name: "acme".to_owned(),
        before: None,
        after: Some("{}".to_owned()),
    };
    let next = FleetWrite {
        groups: vec![GroupWrite { name: "acme".to_owned(), was: None, row: Some(group) }],
        audit: vec![audit.clone()],
        ..write(vec![device(7, Some(1), None, false), device(8, Some(1), Some("SN-0008"), true)])
    };
    assert_eq!(store.write_fleet(&next).await.unwrap(), 2);
    assert_eq!(store.count_devices().await.unwrap(), 299);
    assert_eq!(store.groups().await.unwrap()[0].revision, 2);
    assert_eq!(store.audit(&AuditFilter::default(), 10).await.unwrap(), [audit]);
    let changes = store.changes_since(1).await.unwrap().unwrap();
    let told: std::collections::BTreeSet<_> = changes
        .iter()
        .map(|change| (change.revision, change.kind == ChangeKind::Group, change.name.as_str()))
        .collect();
    let expected = [(2, false, "000e08000007"), (2, false, "000e08000008"), (2, true, "acme")];
    assert_eq!(told, expected.into_iter().collect());
    assert_eq!(store.changes_since(2).await.unwrap(), Some(Vec::new()));
    // Of a database that was put back, more has been seen than there is.
    assert_eq!(store.changes_since(3).await.unwrap(), None);
    let found = store.serials(&["SN-0008".parse().unwrap(), "SN-0009".parse().unwrap()]).await.unwrap();
    assert_eq!(found, [("SN-0008".parse().unwrap(), "000e08000008".parse().unwrap())]);
    let revisions = store.device_revisions().await.unwrap();
    assert_eq!((revisions.len(), revisions.iter().filter(|(_, revision)| *revision == 2).count()), (299, 1));
}

async fn what_is_not_as_it_is_thought_to_be_is_not_written(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    store.write_fleet(&write(vec![device(1, None, Some("SN-0001"), true)])).await.unwrap();
    for wrong in [device(1, None, None, true), device(1, Some(9), None, true), device(2, Some(1), None, false)] {
        let name = wrong.mac.to_string();
        let error = store.write_fleet(&write(vec![device(5, None, None, true), wrong])).await.unwrap_err();
        let is_it = matches!(&error, WriteError::Changed { kind: ChangeKind::Device, name: told } if *told == name);
        assert!(is_it, "{error}");
    }
    let error = store.write_fleet(&write(vec![device(2, None, Some("SN-0001"), true)])).await.unwrap_err();
    assert!(matches!(error, WriteError::SerialTaken), "{error}");
    assert_eq!((store.fleet_revision().await.unwrap(), store.count_devices().await.unwrap()), (1, 1));
    assert_eq!(store.changes_since(0).await.unwrap().unwrap().len(), 1);
    // A serial number changes hands in one go.
    let swap = vec![device(2, None, Some("SN-0001"), true), device(1, Some(1), None, true)];
    assert_eq!(store.write_fleet(&write(swap)).await.unwrap(), 2);
}

async fn a_change_is_told_to_those_who_listen(scratch: &Scratch) {
    let (store, other) = (Store::open(&scratch.database).await.unwrap(), Store::open(&scratch.database).await.unwrap());
    // SQLite has none to give: there the revision is looked at.
    let Some(mut notifications) = store.notifications().await.unwrap() else { return };
    other.write_fleet(&write(vec![device(1, None, None, true)])).await.unwrap();
    assert!(notifications.changed().await);
    assert_eq!(store.fleet_revision().await.unwrap(), 1);
}

async fn a_token_for_the_first_contact_is_followed_once(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let (mac, peer): (MacAddr, _) = ("000e08000001".parse().unwrap(), "192.0.2.7".parse().unwrap());
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let token = |digest: &str| UrlTokenRow::new(digest.to_owned(), mac, now, "cli:test");
    let first = UrlTokenRow { is_bootstrap: true, expires: Some(now + time::Duration::DAY), ..token("first") };
    store.add_url_token(&first).await.unwrap();
    assert_eq!(store.url_token_mac("first").await.unwrap(), Some(mac));
    assert_eq!(store.url_token_mac("other").await.unwrap(), None);
    assert_eq!(store.url_tokens(mac).await.unwrap(), std::slice::from_ref(&first));

    // Of all that come with it at once, one is the first.
    let nexts: Vec<_> = (0..8).map(|n| token(&format!("next{n}"))).collect();
    let followed = nexts.iter().map(|next| store.follow_url_token("first", next, peer));
    let followed = futures_util::future::join_all(followed).await;
    assert_eq!(followed.into_iter().filter(|followed| *followed.as_ref().unwrap()).count(), 1);
    let rows = store.url_tokens(mac).await.unwrap();
    assert_eq!(rows.len(), 2);
    let (used, next) = (rows.iter().find(|row| row.is_bootstrap), rows.iter().find(|row| !row.is_bootstrap).unwrap());
    assert!(used.unwrap().problem(now).unwrap().contains("192.0.2.7"));
    assert_eq!((next.problem(now), &next.used), (None, &None));

    // A new one stands beside the old until it is used.
    assert!(!store.follow_url_token(&next.digest, &token("third"), peer).await.unwrap());
    assert_eq!(store.renew_url_tokens(mac).await.unwrap(), 1);
    assert!(store.follow_url_token(&next.digest, &token("third"), peer).await.unwrap());
    assert_eq!(store.url_tokens(mac).await.unwrap().len(), 3);
    let before = store.fleet_revision().await.unwrap();
    assert!(store.use_url_token("third", mac, now, peer).await.unwrap());
    assert!(!store.use_url_token("third", mac, now, peer).await.unwrap());
    assert_eq!(store.url_token_mac(&next.digest).await.unwrap(), None);
    let changes = store.changes_since(before).await.unwrap().unwrap();
    assert_eq!(changes.iter().map(|change| change.kind).collect::<Vec<_>>(), [ChangeKind::Token]);

    // However many are asked for, few are kept, and none that is in use goes.
    for n in 0..20 {
        store.add_url_token(&token(&format!("more{n}"))).await.unwrap();
    }
    let rows = store.url_tokens(mac).await.unwrap();
    assert!(rows.len() <= 10 && rows.iter().any(|row| row.digest == "third"), "{}", rows.len());
    assert_eq!(store.prune_url_tokens(now + time::Duration::DAY).await.unwrap(), 1);

    // Whose record goes loses them all.
    store.write_fleet(&write(vec![device(1, None, None, true)])).await.unwrap();
    let revision = store.device(mac).await.unwrap().unwrap().revision;
    assert!(!store.url_tokens(mac).await.unwrap().is_empty());
    store.write_fleet(&write(vec![device(1, Some(revision), None, false)])).await.unwrap();
    assert!(store.url_tokens(mac).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let url = "postgres://user:secret-word@127.0.0.1:1/resyncd";
    let database = Database::postgres(resyncd::model::Secret::new(url));
    assert!(!format!("{database:?}").contains("secret-word"));
    let error = Store::open(&database).await.unwrap_err().to_string();
    assert!(error.contains("resyncd on 127.0.0.1:1 does not answer") && !error.contains("secret-word"), "{error}");
}
