//! What a phone posts when a server answers as told: `server.toml` says what is answered, `told` has what the phone posts and
//! how it tells of it.

use std::fmt::Write as _;
use std::fs;

use resyncd::phone::cwmp::{Event, Fault, Habits, Phone, Session};
use resyncd::phone::{Identity, Maker, State};
use serde::Deserialize;

use crate::support::{is_blessing, root};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows, in a line.
    rule: String,
    model: String,
    mac: String,
    #[serde(default)]
    state: State,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    faults: Vec<String>,
    #[serde(default)]
    methods: Vec<String>,
    power_cut: Option<u32>,
    #[serde(default)]
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default = "ok")]
    status: u16,
    retry_after: Option<u32>,
    /// What stands in the envelope's body.
    message: Option<String>,
    /// All that is answered, where it is no envelope.
    text: Option<String>,
}

fn ok() -> u16 {
    200
}

/// 2026-01-31T12:00:00Z
const NOW: i64 = 1_769_860_800;
const SERVER: &str = "https://acs.example.com/cwmp";

fn envelope(number: usize, message: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\
         <s:Header><c:ID s:mustUnderstand=\"1\">a&amp;{number}</c:ID></s:Header><s:Body>{message}</s:Body></s:Envelope>"
    )
}

/// One element a line, as far as it holds others.
fn lines(envelope: &str) -> String {
    let document = roxmltree::Document::parse(envelope).unwrap();
    let root = document.root_element();
    let id = root.descendants().find(|node| node.tag_name().name() == "ID").unwrap();
    let namespace = id.tag_name().namespace().unwrap();
    let body = root.children().find(|node| node.tag_name().name() == "Body").unwrap();
    let mut out = format!("  {namespace} ID {}\n", id.text().unwrap_or_default());
    for node in body.descendants().skip(1).filter(roxmltree::Node::is_element) {
        let depth = node.ancestors().count() - body.ancestors().count();
        let is_leaf = !node.children().any(|child| child.is_element());
        let attributes: Vec<_> = node.attributes().map(|attribute| attribute.value()).collect();
        write!(out, "{}{}", "  ".repeat(depth), node.tag_name().name()).unwrap();
        if !attributes.is_empty() {
            write!(out, " [{}]", attributes.join(" ")).unwrap();
        }
        if is_leaf {
            write!(out, " {:?}", node.text().unwrap_or_default()).unwrap();
        }
        out.push('\n');
    }
    out
}

fn played(case: &Case) -> String {
    let identity = Identity {
        model: case.model.clone(),
        mac: case.mac.parse().unwrap(),
        serial: "SERIAL0001".parse().unwrap(),
        firmware: "3.3.1.4311-SIP".to_owned(),
        has_certificate: false,
    };
    let habits = Habits {
        faults: case.faults.iter().map(|fault| fault.parse::<Fault>().unwrap()).collect(),
        more_methods: case.methods.clone(),
        power_cut: case.power_cut,
        ..Habits::default()
    };
    let phone = Phone { habits, ..Phone::new(Maker::of(&case.model).unwrap(), identity) };
    let events: Vec<_> = case.events.iter().map(|code| Event::new(code)).collect();
    let mut session = Session::new(&phone, &case.state, SERVER, &events, NOW);
    let mut out = format!("{}\n", case.rule);
    let mut answers = case.answers.iter().enumerate();
    while let Some(post) = session.post() {
        let text = if post.is_empty() { "  nothing\n".to_owned() } else { lines(&post) };
        write!(out, "\nPOST\n{text}").unwrap();
        let Some((number, answer)) = answers.next() else { break };
        let body = match (&answer.message, &answer.text) {
            (Some(message), _) => envelope(number + 1, message),
            (None, text) => text.clone().unwrap_or_default(),
        };
        session.answer(answer.status, answer.retry_after, body.as_bytes());
    }
    assert!(answers.next().is_none(), "{}: more is answered than the phone posts\n{out}", case.rule);
    let (state, _, steps, end, messages) = session.finish();
    out.push_str("\nTOLD\n");
    for step in steps {
        writeln!(out, "{step}").unwrap();
    }
    writeln!(out, "{end:?} after {messages} messages").unwrap();
    write!(out, "\nREMEMBERED\n{}\n", serde_json::to_string_pretty(&state.cwmp).unwrap()).unwrap();
    out
}

#[test]
fn golden_cases() {
    let folder = root().join("tests/golden/phone-cwmp");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 10);
    for folder in cases {
        let text = fs::read_to_string(folder.join("server.toml")).unwrap();
        let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let told = played(&case);
        let file = folder.join("told");
        if is_blessing() {
            fs::write(&file, &told).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(told, expected, "{}", folder.display());
    }
}
