//! What can be learnt from outside, and what is written down.

use super::*;

/// An answer without what may differ: date and nonce.
fn told(reply: &Reply) -> (u16, String, Vec<u8>) {
    let nonce = reply.header("www-authenticate").map(|_| nonce(reply)).unwrap_or_default();
    let lines = reply.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    let head = lines.map(|line| line.replace(&nonce, "NONCE")).collect::<Vec<_>>().join("\n");
    (reply.status, head, reply.body.clone())
}

/// Makes the path of a MAC.
type Target = fn(&str) -> String;
/// Makes a header of nonce, method and URI.
type Attempt = fn(&str, &str, &str) -> Option<String>;

#[test]
fn every_refusal_is_the_same_whoever_is_asked_for() {
    let deployment = deployment();
    deployment.write("profiles/devices/000e08000007.toml", "model = \"CP-6841-3PCC\"\n[access]\npassword = true\n");
    let secret = "password = { env = \"A_VARIABLE_THAT_NOBODY_SETS\" }";
    let text =
        format!("model = \"CP-6841-3PCC\"\n[access]\npassword = true\n[credentials]\nuser = \"eight\"\n{secret}\n");
    deployment.write("profiles/devices/000e08000008.toml", text);
    let running = deployment.start();
    let address = plain(&running);
    let macs = [NOBODY, ONE, TWO, CERTIFICATE, ELSEWHERE, "000e08000007", "000e08000008", AASTRA];
    let targets: [(&str, Target); 3] = [
        ("GET", |mac| path(mac)),
        ("HEAD", |mac| format!("/cisco/init/{mac}.xml")),
        ("PUT", |mac| format!("/cisco/report/{mac}.xml")),
    ];
    for (method, target) in targets {
        let attempts: [(&str, Attempt); 8] = [
            ("nothing", |_, _, _| None),
            ("not readable", |_, _, _| Some("Digest \"".to_owned())),
            ("another scheme", |_, _, _| Some("Bearer x".to_owned())),
            ("basic", |_, _, _| Some(basic("one", PASSWORD))),
            ("no user", |_, _, _| Some(basic("", ""))),
            ("wrong", |nonce, method, uri| Some(digest(nonce, "one", "wrong", method, uri, 1))),
            ("a third one's", |nonce, method, uri| Some(digest(nonce, "three", PASSWORD, method, uri, 1))),
            ("old", |_, method, uri| Some(digest(&"A".repeat(48), "x", "x", method, uri, 1))),
        ];
        for (what, attempt) in attempts {
            let answers: Vec<_> = macs
                .iter()
                .map(|mac| {
                    let uri = target(mac);
                    let nonce = nonce(&ask(address, method, &uri, None));
                    told(&ask(address, method, &uri, attempt(&nonce, method, &uri).as_deref()))
                })
                .collect();
            assert_eq!(answers[0].0, 401, "{method} {what}");
            let (_, challenges, _) = &answers[0];
            assert_eq!(challenges.to_lowercase().matches("www-authenticate").count(), 2, "{challenges}");
            for (mac, answer) in macs.iter().zip(&answers) {
                assert_eq!(answer, &answers[0], "{method} {what} {mac}");
            }
        }
    }
    // Over TLS, where Basic is looked at.
    let replies: Vec<_> = macs
        .iter()
        .filter_map(|mac| running.curl(None, &path(mac), &["--basic", "--user", "somebody:else"]))
        .map(|reply| told(&reply))
        .collect();
    assert!(replies.iter().all(|reply| reply == &replies[0] && reply.0 == 401), "{replies:?}");
    // What is no device's file is where it always was.
    assert_eq!(ask(address, "GET", "/nothing/here", None).status, 404);
    assert_eq!(ask(address, "GET", "/6841-3PCC.xml", None).status, 200);
}

#[test]
fn passwords_are_not_tried_for_ever() {
    let deployment = deployment();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("tries = 1000", "tries = 5"));
    let running = deployment.start();
    let address = plain(&running);
    let answered = |mac: &str, user: &str, password: &str| {
        let path = path(mac);
        let nonce = nonce(&ask(address, "GET", &path, None));
        ask(address, "GET", &path, Some(&digest(&nonce, user, password, "GET", &path, 1)))
    };
    let wrong: Vec<_> = (0..6).map(|_| told(&answered(ONE, "one", "a-guess"))).collect();
    let unknown: Vec<_> = (0..6).map(|_| told(&answered(NOBODY, "one", "a-guess"))).collect();
    assert_eq!(wrong, unknown);
    // The right one is not looked at any more; what is answered is the same.
    assert_eq!(told(&answered(ONE, "one", PASSWORD)), wrong[0]);
    // Another phone behind the same address is none the worse.
    assert_eq!(answered(TWO, "two", OTHER).status, 200);
    let events = running.events();
    assert!(events.iter().any(|event| event["reason"].as_str().is_some_and(|why| why.contains("none is looked at"))));
}

#[test]
fn no_password_and_no_header_is_written_down() {
    let running = deployment().start();
    let address = plain(&running);
    let one = path(ONE);
    let nonce = nonce(&ask(address, "GET", &one, None));
    let answers = [
        basic("one", PASSWORD),
        basic("one", "a-mistyped-password"),
        digest(&nonce, "one", "a-mistyped-password", "GET", &one, 1),
        digest(&nonce, "one", PASSWORD, "GET", &one, 2),
        "Basic cGFzc3dvcmQtYWxvbmU".to_owned(),
        "Digest username=\"spilt-user".to_owned(),
    ];
    for answer in &answers {
        ask(address, "GET", &one, Some(answer));
        ask(address, "GET", &path(NOBODY), Some(answer));
    }
    let written = serde_json::to_string(&running.events()).unwrap();
    let (deployment, _) = running.stop();
    let database: Vec<u8> = ["resyncd.db", "resyncd.db-wal"]
        .iter()
        .filter_map(|name| std::fs::read(deployment.path(&format!("data/{name}"))).ok())
        .flatten()
        .collect();
    let spilt = [PASSWORD, "a-mistyped-password", "cGFzc3dvcmQ", "spilt-user", &nonce, "response="];
    for text in spilt.into_iter().chain(answers.iter().map(|answer| &answer[..answer.len().min(40)])) {
        assert!(!written.contains(text), "{text}: {written}");
        assert!(!database.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    assert!(written.contains("wrong-password") && written.contains("bad-credentials"));
}
