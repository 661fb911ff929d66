//! Phones that come for a SIP NOTIFY: a proxy that is played here, and the action URI that they ask for.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use serde_json::{Value, json};

use super::phone::{Played, Reaction};
use super::proxy::{Proxy, answer, digest_holds, header};
use super::{URL, ask, at, deployment, mac, outcome, told};
use crate::acs::Phone;
use crate::support::deployment::{Deployment, Running};

use resyncd::acs::Said;

const USER: &str = "provisioning";
const PASSWORD: &str = "not-a-real-sip-password";
const WITH_USER: &str = "user = \"provisioning\"\npassword = \"not-a-real-sip-password\"\n";

/// What a proxy says to a message.
type Answers = Box<dyn Fn(&str) -> Vec<Vec<u8>> + Send>;

/// A server that asks by this proxy. Its phones come for a NOTIFY, and ask for their action URI.
fn by(proxy: &Proxy, timeout: &str, more: &str) -> Deployment {
    let address = proxy.address;
    let deployment = deployment(&format!(
        "allow = [\"127.0.0.0/8\"]\ntimeout = \"{timeout}\"\n\n[connection_requests.notify]\nproxy = \"{address}\"\n{more}"
    ));
    for number in 1..=20 {
        write_phone(&deployment, number, "connection_way = \"notify\"\ncheck_sync = \"inform-and-call\"\n");
    }
    deployment
}

fn write_phone(deployment: &Deployment, number: u32, acs: &str) {
    let user = 1000 + number;
    let device = format!(
        "model = \"6867i\"\n[access]\nnetworks = [\"127.0.0.0/8\"]\n[lines.1]\nuser = \"{user}\"\nproxy = \"sip.example.com:5080\"\n\
         [acs]\nurl = \"http://acs.example.com/cwmp/\"\n{acs}"
    );
    deployment.write(&format!("profiles/devices/{}.toml", mac(number)), device);
}

/// The job of a NOTIFY.
fn job(message: &str) -> String {
    let job = header(message, "Event").strip_prefix("check-sync;JobID=").unwrap_or_else(|| panic!("{message}"));
    assert!(job.len() == 32 && job.bytes().all(|byte| byte.is_ascii_hexdigit()), "{job}");
    job.to_owned()
}

fn result(running: &Running, number: u32, wait: u32) -> Value {
    outcome(&ask(running, number, wait).join().unwrap())
}

#[test]
fn a_phone_comes_for_a_notify_and_tells_its_job() {
    let proxy = Proxy::over_udp(|_, message| vec![answer(message, "100 Trying", ""), answer(message, "200 OK", "")]);
    let running = by(&proxy, "5s", "").start();
    let mut phone = Phone::new();
    // An address behind a NAT, that nobody gets to.
    phone.tells = vec![(URL, "http://192.168.1.7:7547/".to_owned())];
    if !phone.session(&running, &["1 BOOT"]) {
        return;
    }
    let profile = running.plain_curl("/aastra/00085d000001.cfg", &[]).unwrap();
    let action = "action uri tr69 check sync: http://acs.example.com/cwmp/check-sync?JobID=$$JOBID$$\n";
    assert!(profile.text().contains(action) && profile.text().contains("tr69 check sync: 2\n"), "{}", profile.text());

    let asked = ask(&running, 1, 60);
    let message = proxy.next();
    assert!(
        message.starts_with("NOTIFY sip:1001@sip.example.com:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:"),
        "{message}"
    );
    assert!(message.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{message}");
    assert_eq!(header(&message, "To"), "<sip:1001@sip.example.com:5080>");
    assert!(header(&message, "From").starts_with("<sip:resyncd@127.0.0.1>;tag="), "{message}");
    assert_eq!(header(&message, "CSeq"), "1 NOTIFY");

    // Whoever asks hears the same, whatever job that is.
    let get = |query: &str, more: &[&str]| running.plain_curl(&format!("/cwmp/check-sync{query}"), more).unwrap();
    let others = ["", "?JobID=", "?JobID=$$JOBID$$", "?JobID=0123456789abcdef0123456789abcdef", "?JobID=%ff%00&JobID="];
    for other in others {
        let reply = get(other, &[]);
        assert_eq!((reply.status, reply.text()), (200, ""), "{other}");
        let event = running.last_event();
        assert_eq!((&event["kind"], &event["device"]), (&json!("session"), &Value::Null), "{event}");
        assert!(event["reason"].as_str().unwrap().contains("nobody here waits for"), "{event}");
    }
    let reply = get(&format!("?jobid={}", job(&message)), &[]);
    assert_eq!((reply.status, reply.text()), (200, ""));
    let event = running.last_event();
    assert_eq!(
        (&event["kind"], &event["device"], &event["status"]),
        (&json!("session"), &json!("00085d000001"), &json!(200))
    );
    assert_eq!(get("", &["--data", "x"]).status, 405);

    // It came for nothing that it tells of: nobody knows what its Inform says after a NOTIFY.
    assert!(!asked.is_finished());
    assert!(phone.session(&running, &["2 PERIODIC"]));
    let told = outcome(&asked.join().unwrap());
    assert_eq!((&told["outcome"], &told["way"]), (&json!("informed"), &json!("notify")), "{told}");
    assert_eq!((&told["address"], &told["called"]), (&json!(proxy.address.to_string()), &json!(true)), "{told}");
    assert_eq!(told["job"], job(&message));
}

#[test]
fn a_notify_that_was_lost_is_sent_again() {
    let proxy =
        Proxy::over_udp(|number, message| if number < 2 { vec![] } else { vec![answer(message, "200 OK", "")] });
    let running = by(&proxy, "30s", "").start();
    let told = result(&running, 1, 0);
    assert_eq!((&told["outcome"], &told["called"]), (&json!("sent"), &json!(false)), "{told}");
    let first = proxy.next();
    assert!(proxy.next() == first && proxy.next() == first && proxy.is_idle());
}

#[test]
fn a_proxy_that_asks_who_this_is_is_told() {
    for (status, asks, proves) in [
        ("401 Unauthorized", "WWW-Authenticate", "Authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        for (right, word) in [(true, "sent"), (false, "refused")] {
            let proxy = Proxy::over_udp(move |_, message| {
                let has_proof = message.contains("Authorization: Digest ");
                let answered = if has_proof && right && digest_holds(message, proves, USER, PASSWORD) {
                    answer(message, "202 Accepted", "")
                } else {
                    let challenge =
                        format!("{asks}: Digest realm=\"sip.example.com\",\r\n nonce=\"abc\", qop=\"auth\"\r\n");
                    answer(message, status, &challenge)
                };
                vec![answered]
            });
            let running = by(&proxy, "30s", &format!("from = \"sip:acs@example.com\"\n{WITH_USER}")).start();
            assert_eq!(result(&running, 1, 0)["outcome"], word);
            let (first, second) = (proxy.next(), proxy.next());
            assert!(proxy.is_idle());
            assert!(!first.contains("Authorization") && !second.contains(PASSWORD));
            assert!(digest_holds(&second, proves, USER, PASSWORD), "{second}");
            for same in ["Call-ID", "From", "Event"] {
                assert_eq!(header(&first, same), header(&second, same));
            }
            assert_eq!((header(&first, "CSeq"), header(&second, "CSeq")), ("1 NOTIFY", "2 NOTIFY"));
            assert_ne!(header(&first, "Via"), header(&second, "Via"));
            assert!(header(&first, "From").starts_with("<sip:acs@example.com>;tag="), "{first}");
        }
    }
}

#[test]
fn what_a_proxy_answers_is_told() {
    let elsewhere = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let contact = format!("Contact: <sip:1001@{}>\r\n", elsewhere.local_addr().unwrap());
    let digest = "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n";
    let says = |status: &'static str, more: &str| -> Answers {
        let more = more.to_owned();
        Box::new(move |message| vec![answer(message, status, &more)])
    };
    let cases: Vec<(&str, Answers)> = vec![
        ("not-registered", says("404 Not Found", "")),
        ("not-registered", says("480 Temporarily Unavailable", "")),
        ("status", says("503 Service Unavailable", "")),
        ("status", says("489 Bad Event", "")),
        ("refused", says("403 Forbidden", "")),
        ("no-credentials", says("401 Unauthorized", digest)),
        ("refused", says("401 Unauthorized", "WWW-Authenticate: Basic realm=\"a\"\r\n")),
        ("refused", says("401 Unauthorized", "")),
        ("status", says("302 Moved Temporarily", &contact)),
        ("no-answer", says("408 Request Timeout", "")),
        ("no-answer", Box::new(|_| vec![])),
        ("no-answer", says("183 Session Progress", "")),
        ("no-answer", Box::new(|_| vec![b"\0\xff".to_vec(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 20_000]])),
        // The answers to others, and then the one that is meant.
        (
            "sent",
            Box::new(|message| {
                let foreign = message.replace("branch=z9hG4bK", "branch=z9hG4bK0");
                let earlier = message.replace("CSeq: 1", "CSeq: 7");
                vec![
                    answer(&foreign, "404 Not Found", ""),
                    answer(&earlier, "404 Not Found", ""),
                    answer(message, "200 OK", ""),
                ]
            }),
        ),
    ];
    let words: Vec<_> = cases.iter().map(|(word, _)| *word).collect();
    let proxy = Proxy::over_udp(move |_, message| {
        let user = message.strip_prefix("NOTIFY sip:").unwrap().split('@').next().unwrap();
        cases[user.parse::<usize>().unwrap() - 1001].1(message)
    });
    let running = by(&proxy, "1s", "").start();
    let asked: Vec<_> = (1..).take(words.len()).map(|number| ask(&running, number, 0)).collect();
    for (number, (asked, word)) in (1..).zip(asked.into_iter().zip(words)) {
        let told = outcome(&asked.join().unwrap());
        assert_eq!((&told["outcome"], &told["way"]), (&json!(word), &json!("notify")), "{number}: {told}");
    }
    assert!(elsewhere.recv(&mut [0; 10]).is_err(), "a redirect was followed");
}

#[test]
fn a_proxy_is_spoken_to_over_tcp() {
    let mut proxy = Proxy::over_tcp(|_, message| {
        let user = message.strip_prefix("NOTIFY sip:").unwrap().split('@').next().unwrap();
        let digest = "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", algorithm=SHA-256\r\n";
        let trying = answer(message, "100 Trying", "");
        match user {
            // Over the same connection, in pieces, with a body that is passed over.
            "1001" if !message.contains("Authorization") => {
                let challenge = String::from_utf8(answer(message, "401 Unauthorized", digest)).unwrap();
                let challenge = challenge.replace("Content-Length: 0\r\n\r\n", "Content-Length: 4\r\n\r\nbody");
                let (first, second) = challenge.split_at(40);
                vec![b"\r\n\r\n".to_vec(), trying, first.into(), second.into()]
            }
            "1001" => vec![answer(message, "200 OK", "")],
            "1002" => vec![],
            "1003" => vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()],
            "1004" => vec![vec![b'a'; 100_000]],
            _ => vec![answer(message, "200 OK", "X: y\r\nContent-Length: 99999999999\r\n")],
        }
    });
    let running = by(&proxy, "30s", &format!("transport = \"tcp\"\n{WITH_USER}")).start();
    for (number, word) in [(1, "sent"), (2, "unreachable"), (3, "unreachable"), (4, "unreachable")] {
        assert_eq!(result(&running, number, 0)["outcome"], word, "{number}");
    }
    assert!(proxy.next().contains("Via: SIP/2.0/TCP 127.0.0.1:"));
    assert!(digest_holds(&proxy.next(), "Authorization", USER, PASSWORD));
    drop(running);
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    proxy.address = gone;
    let running = by(&proxy, "30s", "transport = \"tcp\"\n").start();
    assert_eq!(result(&running, 1, 0)["outcome"], "unreachable");
}

#[test]
fn a_notify_goes_to_whom_the_settings_name_and_only_where_it_makes_a_phone_come() {
    let proxy = Proxy::over_udp(|_, message| vec![answer(message, "200 OK", "")]);
    let deployment = by(&proxy, "30s", "");
    let notify = "connection_way = \"notify\"\n";
    write_phone(&deployment, 1, notify);
    write_phone(&deployment, 2, &format!("{notify}check_sync = \"resync\"\n"));
    write_phone(&deployment, 3, &format!("{notify}check_sync = \"inform\"\nnotify_to = \"no address\"\n"));
    write_phone(&deployment, 4, &format!("{notify}check_sync = \"inform\"\nnotify_to = \"a b@[2001:db8::1]\"\n"));
    let other =
        "model = \"GXP2170\"\nserial = \"20EZ12\"\n[lines.1]\nuser = \"1005\"\nproxy = \"sip.example.com\"\n[acs]\n";
    let device = format!("{other}{notify}check_sync = \"inform\"\n");
    deployment.write(&format!("profiles/devices/{}.toml", mac(5)), device);
    let running = deployment.start();
    for (number, word) in [(1, "not-heard"), (2, "not-heard"), (3, "bad-address"), (5, "not-heard")] {
        let told = result(&running, number, 0);
        assert_eq!((&told["outcome"], &told["way"]), (&json!(word), &Value::Null), "{number}: {told}");
    }
    let told = result(&running, 4, 0);
    assert_eq!((&told["outcome"], &told["job"]), (&json!("sent"), &Value::Null), "{told}");
    let message = proxy.next();
    assert!(message.starts_with("NOTIFY sip:a%20b@[2001:db8::1] SIP/2.0\r\n"), "{message}");
    assert_eq!(header(&message, "Event"), "check-sync");
    assert!(proxy.is_idle());
    // Nobody says where.
    let deployment = super::deployment("");
    write_phone(&deployment, 1, &format!("{notify}check_sync = \"inform\"\n"));
    write_phone(&deployment, 2, "connection_way = \"udp\"\n");
    let running = deployment.start();
    for number in [1, 2] {
        assert_eq!(result(&running, number, 0)["outcome"], "not-configured");
    }
}

#[test]
fn who_can_not_be_reached_otherwise_is_asked_by_notify() {
    let proxy = Proxy::over_udp(|_, message| vec![answer(message, "200 OK", "")]);
    let deployment = by(&proxy, "1s", "");
    for number in 1..=6 {
        write_phone(&deployment, number, "check_sync = \"inform\"\n");
    }
    write_phone(&deployment, 5, "connection_way = \"http\"\ncheck_sync = \"inform\"\n");
    let running = deployment.start();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let silent = Played::start(Reaction::KeepsOpen, |_| None);
    let good = Played::start(Reaction::KeepsOpen, |_| Some(super::phone::answer("200 OK", "")));
    // Number 1 was never here.
    told(&running, 2, at("http://169.254.1.1:7547/"));
    told(&running, 3, at(format!("http://{gone}/")));
    told(&running, 4, at(format!("http://{}/", silent.address)));
    told(&running, 5, at(format!("http://{gone}/")));
    told(&running, 6, at(format!("http://{}/", good.address)));
    for (number, word, way) in [
        (1, "sent", "notify"),
        (2, "sent", "notify"),
        (3, "sent", "notify"),
        (4, "sent", "notify"),
        (5, "unreachable", "http"),
        (6, "accepted", "http"),
    ] {
        let told = result(&running, number, 0);
        assert_eq!((&told["outcome"], &told["way"]), (&json!(word), &json!(way)), "{number}: {told}");
    }
    for number in 1..=4 {
        assert!(proxy.next().starts_with(&format!("NOTIFY sip:100{number}@")));
    }
    assert!(proxy.is_idle());
}

#[test]
fn a_session_that_ends_later_is_not_the_one_that_was_asked_for() {
    let proxy = Proxy::over_udp(|_, message| vec![answer(message, "200 OK", "")]);
    let running = by(&proxy, "30s", "").start();
    let asked = ask(&running, 1, 300);
    proxy.next();
    // Another server writes down a session that had begun before, and then one that has begun now.
    let began = |began| Said { began, events: vec!["2 PERIODIC".to_owned()], ..Said::default() };
    told(&running, 1, began(1));
    assert!(!asked.is_finished());
    told(&running, 1, began(super::now()));
    assert_eq!(outcome(&asked.join().unwrap())["outcome"], "informed");
}
