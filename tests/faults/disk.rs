//! The disk of `data_dir` is full.

use serde_json::json;

use super::site::*;
use crate::support::api;
use crate::support::disk::SmallDisk;
use crate::support::process::Process;

#[test]
fn a_full_disk_takes_no_profile_away_and_nothing_is_half_done() {
    let deployment = with_aastra(deployment(None, ""));
    let Some(disk) = SmallDisk::mount(deployment.path("data"), 8 << 10) else { return };
    let mut process = Process::start(deployment);
    let (http, https) = (process.address("http"), process.address("https"));
    let url = sqlite(&process.deployment);
    let token = api::token(&process.deployment, &["--name", "faults", "--scope", "secrets"]);
    let client = client(&process, &token);
    // A phone of the database, one that will come for the first time, and an upload.
    let record = |name: &str| {
        let lines = json!({"1": {"user": "2001", "display_name": name}});
        json!({"model": MODEL, "settings": {"lines": lines, "access": {"networks": ["127.0.0.1"]}}}).to_string()
    };
    let recorded = "/api/v1/devices/000e08fa0050";
    assert_eq!(client.send("PUT", recorded, &[], &record("before")).status, 201);
    let make = |mac: &str| client.send("POST", &format!("/api/v1/devices/{mac}/tokens"), &[], "{}");
    let [first, second, third, other] = TOKENS;
    let contacts = [first, second, third, first, second, third].map(|mac| {
        let made = make(mac);
        path_of(made.json()["url"].as_str().unwrap_or_else(|| panic!("{}", made.text())))
    });
    let unseen = |number: u32| format!("000e08fa{:04x}", 0x0100 + number);
    let rows: String = (0..20).map(|n| format!("{},{MODEL},imported,{n},unseen\n", unseen(n))).collect();
    process.deployment.write("more.csv", format!("mac,model,group,user,lines.1.display_name\n{rows}"));
    let output = process.deployment.run(&["device", "import", "more.csv"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("they are known", || get(http, &profile(&unseen(19)), "a").status == 200);
    assert_eq!(upload(http, &[b'x'; 100_000]), Some(200));

    disk.fill();
    // Events that nothing can take are counted, and told.
    let phones = [profile(PHONE), format!("/{AASTRA}.cfg"), profile("000e08fa0050")];
    let serve = || phones.iter().for_each(|path| assert_eq!(get(http, path, "full").status, 200, "{path}"));
    until("events are lost", || {
        serve();
        metric(&process, "resyncd_events_lost_total") > 0
    });
    let told = process.wait_for("the database takes no events");
    assert!(told.contains("is full"), "{told}");
    process.wait_for("are lost to the database");

    // SQLite may find room for little things in its log. What it takes is taken, and what it doesn't isn't.
    let exhaust = || {
        until("the database has no room", || {
            disk.fill();
            make(other).status == 503
        });
    };

    // What phones send is refused, and leaves nothing.
    for kib in [1, 64, 1024] {
        disk.fill();
        assert_eq!(upload(http, &vec![b'y'; kib << 10]), Some(507), "{kib} KiB");
    }
    assert_eq!(files(&process), 1);
    // A token that can't be written down as used is not used: the phone is told to come back.
    let (mut used, mut held) = (Vec::new(), Vec::new());
    for path in &contacts {
        exhaust();
        let reply = secure_get(https, None, path).unwrap();
        match reply.status {
            200 => used.push(path),
            _ => {
                assert_eq!((reply.status, reply.header("retry-after"), reply.body.len()), (503, Some("30"), 0));
                held.push(path);
            }
        }
    }
    assert!(!held.is_empty(), "no token was held back");
    // Who changes something is told, and it is as it was.
    let mut last = "before".to_owned();
    let mut number = 0;
    until("a change is refused", || {
        exhaust();
        number += 1;
        let name = format!("full {number}");
        let reply = client.send("PUT", recorded, &["If-Match: *"], &record(&name));
        if reply.status == 200 {
            last = name;
            return false;
        }
        assert_eq!((reply.status, reply.problem().as_str()), (503, "unavailable"), "{}", reply.text());
        true
    });
    until("a command fails", || {
        exhaust();
        number += 1;
        let name = format!("full {number}");
        let set = ["device", "set", "000e08fa0050", &format!("lines.1.display_name={name}")];
        let output = process.deployment.run(&set);
        if output.status.success() {
            last = name;
            return false;
        }
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("is full"), "{:?}: {said}", output.status);
        true
    });
    assert_eq!(client.get(recorded).json()["settings"]["lines"]["1"]["display_name"], *last);
    serve();
    // Nor are those that were not served before.
    (0..19).for_each(|n| assert_eq!(get(http, &profile(&unseen(n)), "full").status, 200, "{n}"));
    assert_eq!(client.get("/readyz").status, 200, "who asks gets profiles");

    // There is room again, and nobody has to do anything.
    disk.make_room();
    assert_eq!(upload(http, b"after"), Some(200));
    assert_eq!(client.send("PUT", recorded, &["If-Match: *"], &record("after")).status, 200);
    assert!(get(http, &profile("000e08fa0050"), "after").text().contains("after"));
    for path in held {
        let served = secure_get(https, None, path).unwrap();
        assert_eq!((served.status, secure_get(https, None, path).unwrap().status), (200, 404));
        let mac = path.rsplit('/').next().unwrap().trim_end_matches(".xml");
        assert_eq!(secure_get(https, None, &leads_to(&served, mac)).unwrap().status, 200);
    }
    for path in used {
        assert_eq!(secure_get(https, None, path).unwrap().status, 404);
    }
    serve();
    process.wait_for("the database takes events again");
    until("events are recorded", || {
        serve();
        sql(&url, "SELECT id FROM events WHERE user_agent = 'after'").len() == 1
    });
    assert_eq!(metric(&process, "resyncd_spool_bytes"), 0);
    assert_eq!(files(&process), 2);
    assert_whole(&url);
    let (status, log, _deployment) = process.stop();
    assert!(status.success() && !log.contains("panicked"), "{log}");
    assert_whole(&url);
}

/// Files of uploads, finished or not.
fn files(process: &Process) -> usize {
    let entries = walkdir::WalkDir::new(process.deployment.path("data/uploads")).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file() && entry.file_name() != "lock").count()
}

#[test]
fn a_start_on_a_full_disk_says_so_and_the_next_one_is_fine() {
    let deployment = deployment(None, "");
    let Some(disk) = SmallDisk::mount(deployment.path("data"), 2 << 10) else { return };
    // The first start of all, and one of a server that has run before.
    for _ in 0..2 {
        disk.fill();
        let output = deployment.run(&["serve"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("full") || said.contains("No space left"), "{said}");
        assert!(said.contains(disk.folder().to_str().unwrap()), "{said}");
        disk.make_room();
        let output = deployment.run(&["migrate"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let process = Process::start(deployment);
    assert!(process.serves(&profile(PHONE)));
    let (_, log, deployment) = process.stop();
    assert!(!log.contains("panicked"), "{log}");
    assert_whole(&sqlite(&deployment));
}
