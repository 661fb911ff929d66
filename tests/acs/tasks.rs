//! What phones are asked for beside their settings.

use std::io::{Read, Write};

use serde_json::{Value, json};

use super::phone::{Phone, transfer_complete};
use super::{HERE, KEY, MAC, NAME, PASSWORD, PROXY, VERSION, write_device};
use crate::support::api::Client;
use crate::support::deployment::{Deployment, Running};

const GRANDSTREAM: &str = "000b82000001";

/// A server that serves firmware from a folder, and whose phones know where it is.
fn server(more: &str) -> Running {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"");
    deployment.write("resyncd.toml", format!("{config}\n[secrets]\nmaster_key = {{ file = \"data/master.key\" }}\n"));
    deployment.write("firmware/6867i.st", "new firmware");
    write_device(&deployment, &format!("{HERE}[acs]\nurl = \"http://localhost/cwmp\"\n{more}"), "Bar");
    deployment.start()
}

/// Runs a command that prints JSON, and gives that.
fn told(server: &Running, arguments: &[&str]) -> Value {
    let output = server.deployment.run(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Orders a task, and gives its id.
fn order(client: &Client, task: Value) -> String {
    order_for(client, MAC, task)
}

fn order_for(client: &Client, mac: &str, task: Value) -> String {
    let body = json!({"task": task, "call": false}).to_string();
    let made = client.send("POST", &format!("/api/v1/devices/{mac}/tasks"), &[], &body);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["state"], "waiting");
    made.json()["id"].as_str().unwrap().to_owned()
}

fn task(client: &Client, id: &str) -> Value {
    client.get(&format!("/api/v1/tasks/{id}")).json()
}

/// What is refused, and how that is told.
fn refused(server: &Running, arguments: &[&str]) -> String {
    let output = server.deployment.run(&[&["acs", "task"], arguments].concat());
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_phone_is_asked_at_its_next_session_and_the_answers_are_kept() {
    let server = server("");
    let client = Client::of(&server, "write", None);
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let key = phone.holds(KEY).to_owned();
    let restart = order(&client, json!({"do": "reboot"}));
    let get = order(&client, json!({"do": "get", "paths": [PROXY, PASSWORD]}));
    let set = order(
        &client,
        json!({"do": "set", "values": {"Device.LAN.DNSServers": "192.0.2.53", PASSWORD: "another-unreal-one"}}),
    );
    let names = order(&client, json!({"do": "names", "path": "Device.", "next_level": true}));
    let attributes = order(&client, json!({"do": "attributes", "paths": [PROXY], "notification": "active"}));
    // What is secret is nowhere in the database as it is.
    let listed = told(&server, &["acs", "tasks", "list", MAC]);
    assert_eq!(listed.as_array().unwrap().len(), 5);
    assert!(!listed.to_string().contains("another-unreal-one"), "{listed}");
    let database = std::fs::read(server.deployment.path("data/resyncd.db")).unwrap();
    assert!(!database.windows(18).any(|bytes| bytes == b"another-unreal-one"));

    assert!(phone.session(&server, &["2 PERIODIC"]));
    // Nothing can follow a reboot.
    let asked = ["GetParameterValues", "SetParameterValues", "GetParameterNames", "SetParameterAttributes", "Reboot"];
    assert_eq!(phone.asked, asked);
    assert_eq!((phone.holds("Device.LAN.DNSServers"), phone.holds(PASSWORD)), ("192.0.2.53", "another-unreal-one"));
    // The settings that the phone holds are what they were.
    assert_eq!(phone.holds(KEY), key);
    for id in [&restart, &set, &attributes] {
        assert_eq!(task(&client, id)["state"], "done");
    }
    assert_eq!(task(&client, &get)["result"]["values"], json!({PROXY: "sip.example.com", PASSWORD: "***"}));
    assert_eq!(task(&client, &names)["result"]["names"][VERSION], true);
    assert_eq!(task(&client, &set)["task"]["values"][PASSWORD], "***");
    let reason = server.last_event()["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("2 PERIODIC; reboot done; get done; "), "{reason}");
    assert!(phone.session(&server, &["1 BOOT", "M Reboot"]));
    assert!(phone.asked.is_empty(), "{:?}", phone.asked);
    let human = server.deployment.run(&["acs", "tasks", "show", &get]);
    let human = String::from_utf8(human.stdout).unwrap();
    assert!(human.contains(&format!("{PROXY} = sip.example.com\n")), "{human}");
}

#[test]
fn what_fails_is_tried_again_where_that_may_help() {
    let server = server("");
    let client = Client::of(&server, "write", None);
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let passing = order(&client, json!({"do": "get", "paths": [PROXY]}));
    phone.fails.insert("GetParameterValues", 9002);
    let wrong = order(&client, json!({"do": "set", "values": {NAME: "x"}}));
    phone.refuses.insert(NAME, 9007);
    assert!(phone.session(&server, &["2 PERIODIC"]));
    let task = |id: &str| task(&client, id);
    let (first, second) = (task(&passing), task(&wrong));
    assert_eq!((&first["state"], &first["fault"], &first["tries"]), (&json!("waiting"), &json!(9002), &json!(1)));
    assert!(first["due"].as_str() > first["created"].as_str(), "{first}");
    assert_eq!((&second["state"], &second["fault"]), (&json!("failed"), &json!(9003)));
    assert!(second["why"].as_str().unwrap().contains(&format!("{NAME}: 9007 Invalid parameter value")), "{second}");
    // Not before its time.
    phone.fails.clear();
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert!(phone.asked.is_empty(), "{:?}", phone.asked);

    // A phone that goes away in the middle is asked again; what was not come to is as if it had never been begun.
    let cut = order(&client, json!({"do": "get", "paths": [PROXY]}));
    let never = order(&client, json!({"do": "get", "paths": [NAME]}));
    phone.inform(&server, &["2 PERIODIC"]).unwrap();
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 200);
    assert_eq!(phone.inform(&server, &["1 BOOT"]).unwrap().status, 200);
    assert_eq!((&task(&cut)["state"], &task(&cut)["tries"]), (&json!("waiting"), &json!(1)));
    assert_eq!(task(&cut)["why"], "the phone did not answer");
    // The session after it has this one now, and the first taking does not count.
    assert_eq!((&task(&never)["state"], &task(&never)["tries"]), (&json!("running"), &json!(1)));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!(task(&never)["state"], "done");
}

#[test]
fn what_a_phone_cannot_do_is_refused_before_it_is_asked() {
    let server = server("");
    assert!(refused(&server, &[MAC, "add-object", "Device.X."]).contains("do not know AddObject"));
    assert!(refused(&server, &[MAC, "get", "device.x"]).contains("paths.0: must begin with Device."));
    let misspelt = refused(&server, &[MAC, "set", "Device.LAN.DNSServer=192.0.2.53"]);
    assert!(misspelt.contains("did you mean Device.LAN.DNSServers?"), "{misspelt}");
    assert!(refused(&server, &[MAC, "set", &format!("{VERSION}=9")]).contains("is read-only"));
    assert!(refused(&server, &[MAC, "ping", "192.0.2.1"]).contains("no diagnostic for ping"));
    let with_user = refused(&server, &[MAC, "download", "--file", "https://me:secret@example.com/x"]);
    assert!(with_user.contains("without a user") && !with_user.contains("secret"), "{with_user}");
    assert!(refused(&server, &[MAC, "download", "trusted-certificates"]).contains("file: say which file it is"));
    assert!(refused(&server, &[MAC, "download"]).contains("firmware.url is not set"));
    assert!(refused(&server, &[MAC, "download", "configuration"]).contains("the pack names no file for it"));
    assert!(refused(&server, &["00085d0000ff", "reboot"]).contains("there is no device 00085d0000ff"));
    assert!(refused(&server, &[MAC, "download", "configuration", "--restore", "nonsense"]).contains("restore: "));
    let client = Client::of(&server, "write", None);
    let get = json!({"task": {"do": "get", "paths": [PROXY]}, "call": false}).to_string();
    for _ in 0..100 {
        assert_eq!(client.send("POST", &format!("/api/v1/devices/{MAC}/tasks"), &[], &get).status, 201);
    }
    assert!(refused(&server, &[MAC, "reboot"]).contains("100 open tasks"));
}

#[test]
fn firmware_is_fetched_by_a_url_of_its_own_and_not_when_it_runs_already() {
    let server = server("[firmware]\nversion = \"3.3.2\"\nurl = \"/firmware/6867i.st\"\n");
    let client = Client::of(&server, "write", None);
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let id = order(&client, json!({"do": "download", "content": "firmware"}));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    let [method, key, kind, url] = phone.transfers.pop().unwrap();
    assert_eq!((method.as_str(), &key, kind.as_str()), ("Download", &id, "1 Firmware Upgrade Image"));
    assert_eq!(task(&client, &id)["state"], "started");
    let path = url.strip_prefix("http://localhost").unwrap().to_owned();
    assert!(path.starts_with("/t/") && path.ends_with("/transfer/6867i.st"), "{path}");
    let fetched = server.plain_curl(&path, &[]).unwrap();
    assert_eq!((fetched.status, fetched.text()), (200, "new firmware"));
    let event = server.last_event();
    assert_eq!((&event["device"], &event["target"]), (&json!(MAC), &json!("/t/***/transfer/6867i.st")));
    // It is for fetching, and for nothing else.
    assert_ne!(server.plain_curl(&path, &["--request", "PUT", "--data", "x"]).unwrap().status, 200);

    // Another session, after the phone has started again.
    phone.news = vec![transfer_complete(&id, 0)];
    phone.holds.insert(VERSION.to_owned(), "3.3.2".to_owned());
    assert!(phone.session(&server, &["1 BOOT", "7 TRANSFER COMPLETE", "M Download"]));
    let done = task(&client, &id);
    assert_eq!((&done["state"], &done["result"]["complete"]), (&json!("done"), &json!("2026-01-31T12:00:09.000Z")));
    assert_eq!(server.plain_curl(&path, &[]).unwrap().status, 404);

    let again = order(&client, json!({"do": "download", "content": "firmware"}));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert!(phone.transfers.is_empty());
    assert_eq!(task(&client, &again)["result"]["software"], "3.3.2");
    let always = order(&client, json!({"do": "download", "content": "firmware", "always": true}));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    // A phone that can't fetch it is asked again, with another URL.
    let [.., first] = phone.transfers.pop().unwrap();
    phone.news = vec![transfer_complete(&always, 9016), transfer_complete("nobody's", 0)];
    assert!(phone.session(&server, &["7 TRANSFER COMPLETE"]));
    let failed = task(&client, &always);
    assert_eq!((&failed["state"], &failed["fault"], &failed["tries"]), (&json!("waiting"), &json!(9016), &json!(1)));
    assert_eq!(server.plain_curl(first.strip_prefix("http://localhost").unwrap(), &[]).unwrap().status, 404);
    let reason = server.events().iter().rev().find(|event| event["kind"] == "session").unwrap()["reason"].to_string();
    assert!(
        reason.contains("download failed: 9016") && reason.contains("a transfer that nothing waits for"),
        "{reason}"
    );
}

#[test]
fn a_phone_that_asks_for_its_firmware_gets_it() {
    let server = server("[firmware]\nurl = \"/firmware/6867i.st\"\n");
    let mut phone = Phone::new();
    let wish = |kind: &str| format!("<cwmp:RequestDownload><FileType>{kind}</FileType></cwmp:RequestDownload>");
    phone.news = vec![wish("1 Firmware Upgrade Image"), wish("1 Firmware Upgrade Image"), wish("9 Nothing")];
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let reason = server.last_event()["reason"].as_str().unwrap().to_owned();
    for part in ["which task ", "as it did not long ago", "which its pack does not know"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert!(phone.session(&server, &["2 PERIODIC"]));
    let [method, _, kind, url] = phone.transfers.pop().unwrap();
    assert_eq!((method.as_str(), kind.as_str()), ("Download", "1 Firmware Upgrade Image"));
    assert_eq!(server.plain_curl(url.strip_prefix("http://localhost").unwrap(), &[]).unwrap().text(), "new firmware");
}

#[test]
fn a_backup_is_sent_kept_and_given_back() {
    let server = server("");
    let client = Client::of(&server, "write", None);
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let id = order(&client, json!({"do": "upload", "content": "configuration"}));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    let [method, key, kind, url] = phone.transfers.pop().unwrap();
    assert_eq!((method.as_str(), &key, kind.as_str()), ("Upload", &id, "1 Vendor Configuration File"));
    let path = url.strip_prefix("http://localhost").unwrap().to_owned();
    let sent = server.plain_curl(&path, &["--request", "PUT", "--data-binary", "contrast level: 3"]).unwrap();
    assert_eq!(sent.status, 200, "{}", sent.head);
    assert_ne!(server.plain_curl(&path, &[]).unwrap().status, 200);
    phone.news = vec![transfer_complete(&id, 0)];
    assert!(phone.session(&server, &["7 TRANSFER COMPLETE", "M Upload"]));
    let done = task(&client, &id);
    assert_eq!(done["state"], "done");
    let upload = done["result"]["upload"].as_str().unwrap().to_owned();

    let restore = order(&client, json!({"do": "download", "content": "configuration", "restore": upload}));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    let [_, key, kind, url] = phone.transfers.pop().unwrap();
    assert_eq!((&key, kind.as_str()), (&restore, "3 Vendor Configuration File"));
    let given = server.plain_curl(url.strip_prefix("http://localhost").unwrap(), &[]).unwrap();
    assert_eq!((given.status, given.text()), (200, "contrast level: 3"));
    // It is for the phone that sent it.
    let device = std::fs::read_to_string(server.deployment.path(&format!("profiles/devices/{MAC}.toml"))).unwrap();
    server.deployment.write("profiles/devices/00085d000002.toml", device);
    server.reload().unwrap();
    let other = refused(&server, &["00085d000002", "download", "configuration", "--restore", &upload]);
    assert!(other.contains("has sent no upload"), "{other}");
}

#[test]
fn a_transfer_is_ended_by_its_own_phone_only() {
    let server = server("[firmware]\nurl = \"/firmware/6867i.st\"\n");
    let client = Client::of(&server, "write", None);
    let device = std::fs::read_to_string(server.deployment.path(&format!("profiles/devices/{MAC}.toml"))).unwrap();
    server.deployment.write("profiles/devices/00085d000002.toml", device);
    server.reload().unwrap();
    let (mut phone, mut other) = (Phone::new(), Phone::new());
    other.is = Some(("00085D", "00085d000002"));
    let id = order(&client, json!({"do": "download", "content": "firmware"}));
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    other.news = vec![transfer_complete(&id, 0)];
    assert!(other.session(&server, &["7 TRANSFER COMPLETE"]));
    assert_eq!(task(&client, &id)["state"], "started");
    // Cancelled, its URL opens nothing.
    let [.., url] = phone.transfers.pop().unwrap();
    assert!(server.deployment.run(&["acs", "tasks", "cancel", &id]).status.success());
    assert_eq!(server.plain_curl(url.strip_prefix("http://localhost").unwrap(), &[]).unwrap().status, 404);
    assert_eq!(server.deployment.run(&["acs", "tasks", "cancel", &id]).status.code(), Some(1));
}

/// A server with a Grandstream phone, which knows more than Aastra's do.
fn grandstream() -> Running {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\""));
    deployment.write(
        &format!("profiles/devices/{GRANDSTREAM}.toml"),
        format!("model = \"GXP2160\"\nserial = \"20EZ1234\"\n{HERE}[lines.1]\nuser = \"1001\"\n"),
    );
    deployment.start()
}

#[test]
fn objects_are_added_and_deleted_and_a_session_is_scheduled() {
    let server = grandstream();
    let client = Client::of(&server, "write", None);
    let mut phone = Phone::new();
    phone.is = Some(("000B82", "20EZ1234"));
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let key = phone.holds(KEY).to_owned();
    let object = "Device.Services.VoiceService.1.VoiceProfile.";
    let add = order_for(&client, GRANDSTREAM, json!({"do": "add-object", "path": object}));
    let delete = order_for(&client, GRANDSTREAM, json!({"do": "delete-object", "path": format!("{object}7.")}));
    let schedule = order_for(&client, GRANDSTREAM, json!({"do": "schedule-inform", "seconds": 60}));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!(phone.asked, ["AddObject", "DeleteObject", "ScheduleInform"]);
    assert_eq!(task(&client, &add)["result"], json!({"instance": 7, "applied": true}));
    assert_eq!(task(&client, &delete)["result"], json!({"applied": false}));
    assert_eq!(task(&client, &schedule)["state"], "done");
    assert_eq!(phone.holds(KEY), key);
}

#[test]
fn a_test_is_begun_and_its_results_are_read_when_it_is_over() {
    let (server, mac) = (grandstream(), GRANDSTREAM);
    let client = Client::of(&server, "write", None);
    let mut phone = Phone::new();
    phone.is = Some(("000B82", "20EZ1234"));
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let ordered = told(&server, &["acs", "task", mac, "ping", "192.0.2.1", "--count", "3", "--no-call"]);
    let id = ordered["id"].as_str().unwrap();
    assert!(phone.session(&server, &["2 PERIODIC"]));
    let object = "Device.LAN.IPPingDiagnostics.";
    let held = |phone: &Phone, name: &str| phone.holds(&format!("{object}{name}")).to_owned();
    assert_eq!((held(&phone, "Host"), held(&phone, "NumberOfRepetitions")), ("192.0.2.1".to_owned(), "3".to_owned()));
    assert_eq!(held(&phone, "DiagnosticsState"), "Requested");
    assert_eq!(task(&client, id)["state"], "started");
    // It comes for another reason before it is done.
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!(task(&client, id)["state"], "started");
    phone.holds.insert(format!("{object}DiagnosticsState"), "Complete".to_owned());
    phone.holds.insert(format!("{object}SuccessCount"), "3".to_owned());
    assert!(phone.session(&server, &["8 DIAGNOSTICS COMPLETE"]));
    let done = task(&client, id);
    assert_eq!((&done["state"], &done["result"]["diagnostic"]["SuccessCount"]), (&json!("done"), &json!("3")));
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert!(phone.asked.is_empty(), "{:?}", phone.asked);

    let ordered = told(&server, &["acs", "task", mac, "ping", "nowhere.example", "--no-call"]);
    assert!(phone.session(&server, &["2 PERIODIC"]));
    phone.holds.insert(format!("{object}DiagnosticsState"), "Error_CannotResolveHostName".to_owned());
    assert!(phone.session(&server, &["8 DIAGNOSTICS COMPLETE"]));
    let failed = task(&client, ordered["id"].as_str().unwrap());
    assert_eq!((&failed["state"], &failed["why"]), (&json!("failed"), &json!("Error_CannotResolveHostName")));
}

#[test]
fn a_bulk_stops_when_too_many_fail() {
    let server = server("");
    let device = std::fs::read_to_string(server.deployment.path(&format!("profiles/devices/{MAC}.toml"))).unwrap();
    for last in 2..=4 {
        server.deployment.write(&format!("profiles/devices/00085d00000{last}.toml"), &device);
    }
    server.reload().unwrap();
    let none = server.deployment.run(&["acs", "bulk", "reboot"]);
    assert!(!none.status.success() && String::from_utf8_lossy(&none.stderr).contains("--all"));
    let bulk = ["acs", "bulk", "--all", "--stop-after", "2", "--no-call", "set", &format!("{NAME}=x")];
    let output = server.deployment.run(&bulk);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with(": set for 4 phones\n"), "{text}");
    let id = text.strip_prefix("bulk ").unwrap().split(':').next().unwrap();
    for serial in [MAC, "00085d000002"] {
        let mut phone = Phone::new();
        phone.is = Some(("00085D", serial));
        phone.refuses.insert(NAME, 9007);
        if !phone.session(&server, &["0 BOOTSTRAP"]) {
            return;
        }
    }
    let listed = server.deployment.run(&["acs", "tasks", "list", "--bulk", id]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with("2 cancelled, 2 failed\n"), "{listed}");

    // One after the other, so many a minute.
    let output = server.deployment.run(&["acs", "bulk", "--all", "--rate", "1", "--no-call", "get", PROXY]);
    let text = String::from_utf8(output.stdout).unwrap();
    let id = text.strip_prefix("bulk ").unwrap().split(':').next().unwrap();
    let rows = told(&server, &["acs", "tasks", "list", "--bulk", id]);
    let due: std::collections::BTreeSet<_> = rows.as_array().unwrap().iter().map(|row| row["due"].as_str()).collect();
    assert_eq!(due.len(), 4);
    assert!(server.deployment.run(&["acs", "tasks", "cancel", id]).status.success());
}

#[test]
fn a_task_that_nobody_came_for_expires() {
    let server = server("");
    let client = Client::of(&server, "write", None);
    let ordered = told(&server, &["acs", "task", MAC, "--no-call", "--expires", "1ms", "names"]);
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    assert!(!phone.asked.contains(&"GetParameterNames".to_owned()));
    let expired = server.block_on(async {
        let fleet = resyncd::fleet::Fleet::open(std::sync::Arc::new(server.deployment.config())).await.unwrap().0;
        resyncd::acs::task::Tasks::new(fleet).sweep(std::time::Duration::from_secs(10)).await
    });
    expired.unwrap();
    assert_eq!(task(&client, ordered["id"].as_str().unwrap())["state"], "expired");
}

#[test]
fn tasks_are_ordered_by_the_api_within_the_tokens_reach() {
    let server = server("");
    let file = format!("profiles/devices/{MAC}.toml");
    let device = std::fs::read_to_string(server.deployment.path(&file)).unwrap();
    for group in ["acme", "globex"] {
        server.deployment.write(&format!("profiles/groups/{group}.toml"), "");
    }
    server.deployment.write(&file, format!("group = \"acme\"\n{device}"));
    server.reload().unwrap();
    let client = Client::of(&server, "write", None);
    let path = format!("/api/v1/devices/{MAC}/tasks");
    let made =
        client.send("POST", &path, &[], &json!({"task": {"do": "get", "paths": [PROXY]}, "call": false}).to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), Some(format!("/api/v1/tasks/{id}").as_str()));
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let done = client.get(&format!("/api/v1/tasks/{id}")).json();
    assert_eq!((&done["state"], &done["result"]["values"][PROXY]), (&json!("done"), &json!("sip.example.com")));
    assert_eq!(client.get(&path).json()["items"][0]["id"], json!(id));
    assert_eq!(client.ask("DELETE", &format!("/api/v1/tasks/{id}"), &[], "").status, 409);
    let wrong = client.send("POST", &path, &[], &json!({"task": {"do": "get", "paths": []}}).to_string());
    assert_eq!(wrong.problem(), "invalid");
    assert!(wrong.text().contains("name at least one"), "{}", wrong.text());
    let sealed = json!({"task": {"do": "set", "values": {PASSWORD: {"sealed": "v1.x"}}}});
    assert_eq!(client.send("POST", &path, &[], &sealed.to_string()).problem(), "invalid");
    let bulk = json!({"order": {"task": {"do": "reboot"}, "call": false}, "group": "acme", "rate": 10});
    let bulk = client.send("POST", "/api/v1/task-bulks", &[], &bulk.to_string());
    assert_eq!((bulk.status, &bulk.json()["tasks"]), (201, &json!(1)), "{}", bulk.text());
    let place = format!("/api/v1/task-bulks/{}", bulk.json()["id"].as_str().unwrap());
    assert_eq!(client.get(&place).json()["states"], json!({"waiting": 1}));
    assert_eq!(client.ask("DELETE", &place, &[], "").status, 204);

    let reader = Client::of(&server, "read", None);
    let order = json!({"task": {"do": "reboot"}}).to_string();
    assert_eq!(reader.send("POST", &path, &[], &order).status, 403);
    let theirs = Client::of(&server, "write", Some("globex"));
    assert_eq!(theirs.send("POST", &path, &[], &order).status, 404);
    assert_eq!(theirs.get(&format!("/api/v1/tasks/{id}")).status, 404);
    assert_eq!(theirs.get(&place).status, 403);
}

#[test]
fn a_phone_is_asked_to_come_for_its_task_and_the_command_waits_for_it() {
    let server = server("");
    let (deployment, _) = server.stop();
    deployment.append_config("\n[connection_requests]\nallow = [\"127.0.0.0/8\"]\n");
    let server = deployment.start();
    let client = Client::of(&server, "write", None);
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut phone = Phone::new();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    phone.tells = vec![("Device.ManagementServer.ConnectionRequestURL", url)];
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let done = std::thread::scope(|scope| {
        let waited = scope.spawn(|| told(&server, &["acs", "task", MAC, "--wait", "10m", "get", PROXY]));
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"GET ");
        stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert!(phone.session(&server, &["6 CONNECTION REQUEST"]));
        waited.join().unwrap()
    });
    assert_eq!((&done["state"], &done["result"]["values"][PROXY]), (&json!("done"), &json!("sip.example.com")));
    let id = done["id"].as_str().unwrap();
    // That it came is noted beside what it came for.
    let called = (0..100).find_map(|_| task(&client, id)["called"].as_str().map(str::to_owned));
    assert!(called.is_some_and(|called| called == "the phone came"));
}
