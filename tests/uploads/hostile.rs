//! Uploads that no honest phone sends, and a disk that has had enough. After each the server takes a good one, nothing half
//! done is left, and an event tells what came.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::{KEY, NETWORK, all, body, cbc, deployment, files, packed};
use crate::support::deployment::Running;
use crate::support::disk::SmallDisk;
use resyncd::delivery::{Encryption, KeyDigest};

/// A test that would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

fn path() -> String {
    format!("/cisco/report/{NETWORK}.xml")
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", running.port("http"))).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request's head and body, says that no more comes, and gives what is answered.
fn send(running: &Running, head: &str, body: &[u8]) -> String {
    let mut stream = connect(running);
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n", path());
    stream.write_all(head.as_bytes()).unwrap();
    // The server may have enough before all is sent.
    let _ = stream.write_all(body);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split_whitespace().nth(1).map_or(0, |status| status.parse().unwrap())
}

/// Nothing is left of what came before, and a phone is still heard.
fn assert_whole(running: &Running, kept: usize) {
    assert_eq!((all(running).len(), files(running)), (kept, names(running)));
    let good = send(running, "Content-Length: 15", b"<flat-profile/>");
    assert_eq!(status(&good), 200, "{good}");
    let newest = all(running).remove(0);
    assert!(running.block_on(running.server().uploads().delete(newest.id)).unwrap());
}

fn names(running: &Running) -> Vec<String> {
    let ids = all(running).into_iter().map(|upload| upload.id.to_string());
    ids.map(|id| format!("{}/{id}", &id[..6])).collect()
}

fn event(running: &Running, outcome: &str, refusal: Option<&str>) -> serde_json::Value {
    let event = running.last_event();
    assert_eq!((&event["kind"], &event["outcome"]), (&"upload".into(), &outcome.into()), "{event}");
    assert_eq!(event["refusal"].as_str(), refusal, "{event}");
    event
}

#[test]
fn a_length_that_lies_leaves_nothing() {
    let running = deployment().start();
    // Less comes than was said.
    send(&running, "Content-Length: 100", b"<flat-profile/>");
    let told = event(&running, "aborted", None);
    assert_eq!(told["bytes"], 15);
    assert_whole(&running, 0);
    // More than was said is no part of it, and no second request.
    let answer = send(&running, "Content-Length: 15", b"<flat-profile/><more/>");
    assert_eq!(status(&answer), 200, "{answer}");
    let kept = all(&running).remove(0);
    assert_eq!(kept.bytes, 15);
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    running.block_on(running.server().uploads().delete(kept.id)).unwrap();
    // A length that is none, and two that differ.
    for head in
        ["Content-Length: -1", "Content-Length: 15\r\nContent-Length: 16", "Content-Length: 99999999999999999999"]
    {
        let answer = send(&running, head, b"<flat-profile/>");
        assert_eq!(status(&answer), 400, "{head}: {answer}");
    }
    // One that is too large is not waited for.
    let answer = send(&running, "Content-Length: 99999999999", b"<");
    assert_eq!(status(&answer), 413, "{answer}");
    event(&running, "refused", Some("too-large"));
    assert_whole(&running, 0);
}

#[test]
fn a_body_without_end_ends_at_the_bound() {
    let running = deployment().start();
    let mut stream = connect(&running);
    let head = format!("PUT {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", path());
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b'a'; 0x10000], b"\r\n".to_vec()].concat();
    // Until the server has had enough, which the bound makes sure of.
    while stream.write_all(&chunk).is_ok() {}
    event(&running, "refused", Some("too-large"));
    // A chunk whose length lies.
    let answer = send(&running, "Transfer-Encoding: chunked", b"f\r\n<flat-profile/><more>\r\n0\r\n\r\n");
    assert_ne!(status(&answer), 200);
    event(&running, "aborted", None);
    // One that breaks off before its last chunk.
    send(&running, "Transfer-Encoding: chunked", b"f\r\n<flat-profile/>\r\n");
    event(&running, "aborted", None);
    assert_whole(&running, 0);
}

#[test]
fn a_phone_that_never_goes_on_is_not_waited_for() {
    let deployment = deployment();
    deployment.append_config("\n[uploads]\ntimeout = \"1s\"\nat_once = 1\n");
    let running = deployment.start();
    let mut slow = connect(&running);
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n<", path());
    slow.write_all(head.as_bytes()).unwrap();
    // It says so, and closes the connection.
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 408, "{answer}");
    event(&running, "refused", Some("too-slow"));
    assert_whole(&running, 0);
}

#[test]
fn there_are_no_more_at_a_time_than_allowed() {
    let deployment = deployment();
    deployment.append_config("\n[uploads]\nat_once = 1\n");
    let running = deployment.start();
    let mut first = connect(&running);
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n", path());
    first.write_all(head.as_bytes()).unwrap();
    // It is asked for the body once its place is taken.
    let mut asked = [0; 25];
    first.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 Continue"));
    let answer = send(&running, "Content-Length: 15", b"<flat-profile/>");
    assert_eq!(status(&answer), 503, "{answer}");
    event(&running, "refused", Some("overload"));
    first.write_all(b"<flat-profile/>").unwrap();
    first.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    assert_whole(&running, 1);
}

#[test]
fn a_bomb_does_not_go_off() {
    let running = deployment().start();
    let zeros = vec![0; 8 << 20];
    for encryption in [Encryption::None, cbc(KEY, KeyDigest::Md5), cbc(KEY, KeyDigest::Sha256)] {
        let bomb = packed(true, encryption, &zeros);
        let answer = send(&running, &format!("Content-Length: {}", bomb.len()), &bomb);
        assert_eq!(status(&answer), 413, "{answer}");
        let event = event(&running, "refused", Some("too-large"));
        assert!(event["reason"].as_str().unwrap().contains("unpacks"), "{event}");
    }
    // An archive is nobody's to unpack.
    let zip = [b"PK\x03\x04".to_vec(), vec![0xff; 100]].concat();
    assert_eq!(status(&send(&running, "Content-Length: 104", &zip)), 200);
    assert_eq!(all(&running)[0].bytes, 104);
    assert_whole(&running, 1);
}

#[test]
fn a_form_that_is_none_leaves_nothing() {
    let running = deployment().start();
    let head = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: ";
    let part = "--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nx\r\n";
    let cases = [
        ("--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nx".to_owned(), "cut off"),
        ("--b\r\nContent-Disposition: form-data; name=f\r\n\r\nx\r\n--b--".to_owned(), "no file"),
        (format!("{part}{part}--b--"), "more than one"),
        (format!("--b\r\nX: {}", "x".repeat(20_000)), "no end"),
        ("--bxyz".to_owned(), "neither"),
        (String::new(), "cut off"),
    ];
    for (text, why) in cases {
        let answer = send(&running, &format!("{head}{}", text.len()), text.as_bytes());
        assert_eq!(status(&answer), 400, "{text}: {answer}");
        let event = event(&running, "refused", Some("bad-request"));
        assert!(event["reason"].as_str().unwrap().contains(why), "{event}");
    }
    let answer = send(&running, "Content-Type: multipart/form-data\r\nContent-Length: 1", b"x");
    assert_eq!(status(&answer), 400, "{answer}");
    assert_whole(&running, 0);
}

#[test]
fn a_full_disk_is_told_and_nothing_half_done_stays() {
    let deployment = deployment();
    let Some(_disk) = SmallDisk::mount(deployment.path("data/uploads"), 512) else { return };
    let running = deployment.start();
    let path = format!("/cisco/prt/{NETWORK}");
    let put = |kib: usize| {
        let file = body(&running, &vec![0xa5; kib << 10]);
        running.plain_curl(&path, &["--upload-file", file.trim_start_matches('@')]).unwrap().status
    };
    assert_eq!(put(300), 200);
    for _ in 0..3 {
        assert_eq!(put(300), 507);
        let told = event(&running, "failed", None);
        assert!(told["reason"].as_str().unwrap().contains("is full"), "{told}");
        assert_eq!(files(&running), names(&running));
    }
    // What was taken before is whole, and there is room again.
    let kept = all(&running).remove(0);
    assert_eq!(super::content(&running, kept.id).len(), 300 << 10);
    assert_eq!(put(100), 200);
    assert_eq!(all(&running).len(), 2);
}
