//! What the store promises of tokens, of requests that come twice, and of what webhooks are to be told.

use resyncd::events::EventIds;
use resyncd::store::{
    AuditFilter, AuditRow, Begun, FleetWrite, GroupRow, GroupWrite, Message, Position, Store, Stored,
};
use resyncd::tokens::{Bearer, Scope, Token};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::store::on_each_database;
use crate::support::database::Scratch;

on_each_database! {
    tokens_are_found_by_their_digest_and_nothing_else
    a_use_is_noted_once_a_minute
    a_request_that_comes_twice_is_answered_once
    a_request_that_broke_off_is_taken_over_by_one
    keys_are_bounded_and_forgotten
    messages_wait_until_they_are_taken
    of_several_nodes_one_has_a_message
    changes_are_laid_out_once
    changes_are_read_in_pieces
}

const NOW: OffsetDateTime = datetime!(2026-03-01 10:00 UTC);

fn token(name: &str) -> Token {
    let group = Some("acme".to_owned());
    let expires = Some(NOW + Duration::DAY);
    Token { name: name.to_owned(), scope: Scope::Write, group, created: NOW, expires, last_used: None }
}

/// A row of the audit.
fn recorded() -> AuditRow {
    let id = EventIds::new().unwrap().next(NOW).to_string();
    let text = |text: &str| text.to_owned();
    let (actor, action, kind, name) = (text("cli:test"), text("create"), text("token"), text("crm"));
    AuditRow { id, time: NOW, actor, peer: None, action, kind, name, before: None, after: Some(text("{}")) }
}

async fn tokens_are_found_by_their_digest_and_nothing_else(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let (bearer, other) = (Bearer::generate().unwrap(), Bearer::generate().unwrap());
    assert!(store.create_token(&token("crm"), &bearer.digest(), &recorded()).await.unwrap());
    assert!(!store.create_token(&token("crm"), &other.digest(), &recorded()).await.unwrap());
    let whole = Token { group: None, expires: None, ..token("ci") };
    assert!(store.create_token(&whole, &other.digest(), &recorded()).await.unwrap());
    assert_eq!(store.token(&bearer.digest()).await.unwrap(), Some(token("crm")));
    assert_eq!(store.token(&Bearer::generate().unwrap().digest()).await.unwrap(), None);
    assert_eq!(store.tokens().await.unwrap(), [whole, token("crm")]);
    assert_eq!(store.revoke_token("crm", |_| recorded()).await.unwrap(), Some(token("crm")));
    assert_eq!(store.revoke_token("crm", |_| recorded()).await.unwrap(), None);
    assert_eq!(store.token(&bearer.digest()).await.unwrap(), None);
    // Each that was done is recorded, and nothing that was not.
    assert_eq!(store.audit(&AuditFilter::default(), 10).await.unwrap().len(), 3);
    assert!(token("crm").is_expired(NOW + Duration::DAY) && !token("crm").is_expired(NOW));
}

async fn a_use_is_noted_once_a_minute(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let digest = Bearer::generate().unwrap().digest();
    store.create_token(&token("crm"), &digest, &recorded()).await.unwrap();
    let used = async |at| {
        store.use_token(&digest, at).await.unwrap();
        store.token(&digest).await.unwrap().unwrap()
    };
    assert_eq!(used(NOW).await.last_used, Some(NOW));
    let token = used(NOW + Duration::seconds(59)).await;
    assert_eq!(token.last_used, Some(NOW));
    assert!(!Store::is_use_due(&token, NOW + Duration::seconds(59)));
    assert!(Store::is_use_due(&token, NOW + Duration::MINUTE));
    assert_eq!(used(NOW + Duration::MINUTE).await.last_used, Some(NOW + Duration::MINUTE));
}

async fn a_request_that_comes_twice_is_answered_once(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let (token, other) = (Bearer::generate().unwrap().digest(), Bearer::generate().unwrap().digest());
    let begin = async |token, name, request| store.begin_request(token, name, request, NOW).await.unwrap();
    assert_eq!(begin(&token, "a", "1").await, Begun::New);
    assert_eq!(begin(&token, "a", "1").await, Begun::InFlight);
    assert_eq!(begin(&token, "a", "2").await, Begun::Other);
    assert_eq!(begin(&other, "a", "2").await, Begun::New);
    let headers = vec![("etag".to_owned(), "\"1\"".to_owned())];
    let answer = Stored { status: 201, headers, body: "{\"é\": 1}".to_owned() };
    store.end_request(&token, "a", Some(&answer)).await.unwrap();
    assert_eq!(begin(&token, "a", "1").await, Begun::Answered(answer));
    assert_eq!(begin(&token, "a", "2").await, Begun::Other);
    // One that failed may be tried again, and be another one.
    store.end_request(&other, "a", None).await.unwrap();
    assert_eq!(begin(&other, "a", "3").await, Begun::New);
}

async fn a_request_that_broke_off_is_taken_over_by_one(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let token = Bearer::generate().unwrap().digest();
    let begin = async |at| store.begin_request(&token, "a", "1", at).await.unwrap();
    assert_eq!(begin(NOW).await, Begun::New);
    assert_eq!(begin(NOW + Duration::MINUTE).await, Begun::InFlight);
    let later = NOW + Duration::minutes(2);
    assert_eq!(begin(later).await, Begun::New);
    assert_eq!(begin(later).await, Begun::InFlight);
}

async fn keys_are_bounded_and_forgotten(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let token = Bearer::generate().unwrap().digest();
    assert_eq!(store.begin_request(&token, "a", "1", NOW).await.unwrap(), Begun::New);
    let tomorrow = NOW + Duration::DAY;
    assert_eq!(store.begin_request(&token, "a", "2", tomorrow).await.unwrap(), Begun::New);
    assert_eq!(store.prune_requests(tomorrow + Duration::DAY).await.unwrap(), 1);
}

fn message(number: u32) -> Message {
    Message { id: format!("msg_{number:04}"), body: format!("{{\"n\":{number}}}"), created: NOW }
}

async fn messages_wait_until_they_are_taken(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let messages: Vec<_> = (0..20).map(message).collect();
    assert_eq!(store.lay_out("crm", &messages).await.unwrap(), 20);
    assert_eq!(store.lay_out("crm", &messages[5..]).await.unwrap(), 0);
    assert_eq!(store.lay_out("other", &[message(99)]).await.unwrap(), 1);
    assert_eq!(store.count_messages("crm").await.unwrap(), 20);
    assert_eq!(store.next_due("crm").await.unwrap(), Some(NOW));
    assert_eq!(store.next_due("nobody").await.unwrap(), None);

    let lease = NOW + Duration::MINUTE;
    let claimed = store.claim_messages("crm", NOW, lease, 3).await.unwrap();
    let found: Vec<_> = claimed.iter().map(|delivery| delivery.message.clone()).collect();
    assert_eq!(found, messages[..3]);
    assert!(claimed.iter().all(|delivery| delivery.tries == 0));
    store.take_out("msg_0000").await.unwrap();
    store.put_off("msg_0001", 1, NOW + Duration::HOUR).await.unwrap();
    assert_eq!(store.count_messages("crm").await.unwrap(), 19);
    // The third was claimed by a node that died.
    let claimed = store.claim_messages("crm", lease, lease + Duration::MINUTE, 100).await.unwrap();
    let ids: Vec<_> = claimed.iter().map(|delivery| delivery.message.id.as_str()).collect();
    assert_eq!((ids.len(), ids[0], ids[1]), (18, "msg_0002", "msg_0003"));
    let claimed = store.claim_messages("crm", NOW + Duration::HOUR, NOW + Duration::DAY, 1).await.unwrap();
    assert_eq!((claimed[0].tries, claimed[0].message.id.as_str()), (0, "msg_0002"));
    assert_eq!(store.prune_messages(NOW + Duration::SECOND).await.unwrap(), 20);
    assert_eq!(store.count_messages("crm").await.unwrap(), 0);
}

async fn of_several_nodes_one_has_a_message(scratch: &Scratch) {
    let stores: Vec<Store> = vec![
        Store::open(&scratch.database).await.unwrap(),
        Store::open(&scratch.database).await.unwrap(),
        Store::open(&scratch.database).await.unwrap(),
    ];
    let messages: Vec<_> = (0..60).map(message).collect();
    stores[0].lay_out("crm", &messages).await.unwrap();
    let claiming: Vec<_> = (0..12)
        .map(|number| {
            let store = stores[number % 3].clone();
            tokio::spawn(async move { store.claim_messages("crm", NOW, NOW + Duration::MINUTE, 5).await.unwrap() })
        })
        .collect();
    let mut ids = Vec::new();
    for claimed in claiming {
        ids.extend(claimed.await.unwrap().into_iter().map(|delivery| delivery.message.id));
    }
    let claimed = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), claimed, "a message was claimed twice");
    assert!(claimed >= 5);
}

async fn changes_are_laid_out_once(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    assert_eq!(store.webhook_position("crm", 7).await.unwrap(), Position::at(7));
    let at = store.webhook_position("crm", 9).await.unwrap();
    assert_eq!(at, Position::at(7));
    assert!(store.lay_out_changes("crm", &[message(1), message(2)], &at, &Position::at(9)).await.unwrap());
    // Another server that read at the same place.
    assert!(!store.lay_out_changes("crm", &[message(3)], &at, &Position::at(9)).await.unwrap());
    assert_eq!(store.count_messages("crm").await.unwrap(), 2);
    assert_eq!(store.webhook_position("crm", 0).await.unwrap(), Position::at(9));
}

async fn changes_are_read_in_pieces(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let group = |name: &str| GroupWrite {
        name: name.to_owned(),
        was: None,
        row: Some(GroupRow {
            name: name.to_owned(),
            parent: None,
            settings: "{}".to_owned(),
            revision: 0,
            created: NOW,
            changed: NOW,
        }),
    };
    for names in [vec!["a", "b", "c"], vec!["d"]] {
        let groups = names.into_iter().map(group).collect();
        store.write_fleet(&FleetWrite { time: NOW, devices: Vec::new(), groups, audit: Vec::new() }).await.unwrap();
    }
    let mut at = Position::at(0);
    let mut found = Vec::new();
    loop {
        let changes = store.changes_after(&at, 2).await.unwrap();
        let Some(last) = changes.last() else { break };
        at = Position::of(last);
        found.extend(changes.iter().map(|change| format!("{}{}", change.revision, change.name)));
    }
    assert_eq!(found, ["1a", "1b", "1c", "2d"]);
    assert_eq!(store.changes_after(&Position::at(1), 9).await.unwrap().len(), 1);
}
