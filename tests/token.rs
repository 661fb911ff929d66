//! `resyncd token`: made, listed and revoked, with or without a server.

use std::process::Output;

use serde_json::Value;

use crate::support::deployment::Deployment;

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_token_is_printed_once_and_nowhere_else() {
    let deployment = Deployment::example();
    let create = ["token", "create", "--name", "crm", "--scope", "write", "--group", "acme", "--expires", "90d"];
    let made = deployment.run(&create);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let token = String::from_utf8(made.stdout.clone()).unwrap();
    assert!(token.starts_with("rsy_") && token.len() == 48 && token.ends_with('\n'), "{token}");
    assert!(err(&made).contains("the scope write for the group acme, until 2"), "{}", err(&made));
    assert!(!err(&made).contains(token.trim_end()));
    let database = std::fs::read(deployment.path("data/resyncd.db")).unwrap();
    let wal = std::fs::read(deployment.path("data/resyncd.db-wal")).unwrap_or_default();
    let random = token.trim_end().as_bytes();
    assert!(![database, wal].concat().windows(random.len()).any(|window| window == random));

    let list = deployment.run(&["token", "list", "--format", "json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(
        (&list[0]["name"], &list[0]["scope"], &list[0]["group"]),
        (&"crm".into(), &"write".into(), &"acme".into())
    );
    assert_eq!((&list[0]["last_used"], &list[0]["expired"]), (&Value::Null, &false.into()));
    let table = String::from_utf8(deployment.run(&["token", "list"]).stdout).unwrap();
    assert!(table.starts_with("NAME  SCOPE  GROUP  CREATED") && table.contains("crm   write  acme"), "{table}");

    let again = deployment.run(&create);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("there is a token called \"crm\" already") && again.stdout.is_empty());
    let unknown = deployment.run(&["token", "revoke", "crn"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(err(&unknown).contains("did you mean \"crm\"?"), "{}", err(&unknown));
    assert_eq!(deployment.run(&["token", "revoke", "crm"]).status.code(), Some(0));
    assert_eq!(deployment.run(&["token", "list", "--format", "json"]).stdout, b"[]\n");
}

#[test]
fn what_can_not_be_a_token_is_refused() {
    let deployment = Deployment::example();
    for (arguments, told) in [
        (vec!["--name", "a b", "--scope", "read"], "a token's name has"),
        (vec!["--name", "a", "--scope", "admin"], "possible values: read, write, secrets"),
        (vec!["--name", "a", "--scope", "read", "--expires", "soon"], "12h, 90d"),
        (vec!["--name", "a", "--scope", "read", "--expires", "1s"], "from 1m to 3650d"),
        (vec!["--name", "a", "--scope", "read", "--group", "acm"], "did you mean \"acme\"?"),
    ] {
        let output = deployment.run(&[vec!["token", "create"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(err(&output).contains(told), "{}", err(&output));
        assert!(output.stdout.is_empty());
    }
}
