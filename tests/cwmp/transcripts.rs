//! Transcripts: what a phone posts, and what it is answered.
//!
//! A case is a folder dropped into tests/golden/cwmp/, named by the rule that it shows:
//!
//! * `server.toml`: `rule` in words; `work`, the requests that the server has for the phone; `refuse`, the fault codes that it answers
//!   what the phone asks with, in turn (0, or none left: it accepts); `quirks` of the model.
//! * `01-phone.xml`, `02-phone.xml`, …: the bodies of the phone's POSTs, empty ones too. `03-expired` is a time that passes instead.
//! * `01-answer.xml`, a line for each tag, or `01-status`: what comes back.
//! * `told`: what the server is told in between.
//!
//! `RESYNCD_BLESS=1 cargo test cwmp::` writes the answers and what is told.

use std::collections::VecDeque;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use resyncd::cwmp::Quirks;
use resyncd::cwmp::message::{FaultCode, Inform, ParameterValue, Response, ToPhone};
use resyncd::cwmp::session::{Effect, End, Failure, Input, PhoneAsk, Session};
use resyncd::cwmp::soap::{Envelope, Limits, Reply};
use serde::Deserialize;

use super::work::Work;
use crate::support::{is_blessing, root};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    rule: String,
    #[serde(default)]
    refuse: VecDeque<u16>,
    #[serde(default)]
    quirks: Quirks,
    #[serde(default)]
    work: VecDeque<Work>,
}

/// What a case comes to: files by name.
type Outcome = Vec<(String, String)>;

#[test]
fn every_transcript_is_answered_as_it_says() {
    let mut wrong = Vec::new();
    let mut cases: Vec<_> =
        fs::read_dir(root().join("tests/golden/cwmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let outcome = play(&case);
        let kept = |name: &str| name.ends_with("-answer.xml") || name.ends_with("-status") || name == "told";
        if is_blessing() {
            for entry in fs::read_dir(&case).unwrap().map(Result::unwrap) {
                if kept(entry.file_name().to_str().unwrap()) {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
            for (name, text) in &outcome {
                fs::write(case.join(name), text).unwrap();
            }
            continue;
        }
        let mut expected: Outcome = fs::read_dir(&case)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| kept(name))
            .map(|name| (name.clone(), fs::read_to_string(case.join(name)).unwrap()))
            .collect();
        expected.sort();
        let mut outcome = outcome;
        outcome.sort();
        if outcome != expected {
            wrong.push(format!("{}:\n{}", case.display(), differences(&expected, &outcome)));
        }
    }
    assert!(
        wrong.is_empty(),
        "RESYNCD_BLESS=1 cargo test cwmp:: writes these, git diff shows how\n{}",
        wrong.join("\n")
    );
}

fn differences(expected: &Outcome, outcome: &Outcome) -> String {
    let mut text = String::new();
    for (name, now) in outcome {
        match expected.iter().find(|(other, _)| other == name) {
            Some((_, then)) if then == now => {}
            Some((_, then)) => _ = writeln!(text, "{name} was\n{then}and is\n{now}"),
            None => _ = writeln!(text, "{name} is new\n{now}"),
        }
    }
    for (name, _) in expected.iter().filter(|(name, _)| !outcome.iter().any(|(other, _)| other == name)) {
        _ = writeln!(text, "{name} doesn't come");
    }
    text
}

fn play(case: &Path) -> Outcome {
    let server =
        fs::read_to_string(case.join("server.toml")).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let mut server: Server = toml::from_str(&server).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    assert!(!server.rule.is_empty(), "{}: which rule?", case.display());
    let mut steps: Vec<String> = fs::read_dir(case)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with("-phone.xml") || name.ends_with("-expired"))
        .collect();
    steps.sort();
    let (mut outcome, mut told) = (Outcome::new(), String::new());
    let mut session = Session::new();
    for name in &steps {
        let number = name.split('-').next().unwrap();
        let body = fs::read(case.join(name)).unwrap();
        let mut input = if name.ends_with("-expired") {
            Input::Expired
        } else if body.is_empty() {
            Input::Empty
        } else {
            match Envelope::read(&body, &Limits::default()) {
                Ok(envelope) => Input::Envelope(Box::new(envelope)),
                Err(error) => Input::Unreadable(error),
            }
        };
        loop {
            let (next, effects) = session.step(input);
            session = next;
            let mut answer = None;
            for effect in effects {
                let line = tell(&effect);
                if !line.is_empty() {
                    _ = writeln!(told, "{number} {line}");
                }
                match effect {
                    Effect::Reply(reply) => {
                        outcome.push((format!("{number}-answer.xml"), lines(&reply, &server.quirks)))
                    }
                    Effect::NoContent => outcome.push((format!("{number}-status"), "204\n".to_owned())),
                    Effect::Status(status) => outcome.push((format!("{number}-status"), format!("{status}\n"))),
                    Effect::AskForWork => answer = Some(Input::Work(server.work.pop_front().map(Into::into))),
                    Effect::Informed(_) | Effect::PhoneAsked(_) => {
                        answer = Some(match server.refuse.pop_front() {
                            None | Some(0) => Input::Accepted,
                            Some(code) => Input::Refused(FaultCode(code)),
                        });
                    }
                    Effect::Answered { .. } | Effect::End(_) => {}
                }
            }
            match answer {
                Some(answer) => input = answer,
                None => break,
            }
        }
    }
    if !server.work.is_empty() {
        _ = writeln!(told, "not asked for: {} requests", server.work.len());
    }
    outcome.push(("told".to_owned(), told));
    outcome
}

/// The envelope as it is sent, with a line for each tag. That it is well-formed is another's to say.
fn lines(reply: &Reply, quirks: &Quirks) -> String {
    let text = reply.write(quirks);
    if let Err(error) = roxmltree::Document::parse(&text) {
        panic!("{error}\n{text}");
    }
    if let ToPhone::Request(_) = reply.body {
        assert!(reply.id.is_some(), "a request without an ID");
    }
    text.replace("><", ">\n<") + "\n"
}

/// What the server is told, without secrets but with values.
fn tell(effect: &Effect) -> String {
    match effect {
        Effect::Informed(inform) => tell_inform(inform),
        Effect::PhoneAsked(ask) => match &**ask {
            PhoneAsk::TransferComplete(transfer) => format!("{transfer:?}"),
            PhoneAsk::AutonomousTransferComplete(transfer) => format!("{transfer:?}"),
            PhoneAsk::RequestDownload(wish) => format!("{wish:?}"),
            PhoneAsk::Kicked(kicked) => format!("{kicked:?}"),
        },
        Effect::Answered { request, outcome } => {
            let outcome = match outcome {
                Ok(Response::GetParameterValues(values)) => format!("values{}", tell_values(values)),
                Ok(response) => format!("{response:?}"),
                Err(Failure::Fault(fault)) => {
                    let mut text = format!("fault {}: {}", fault.code, fault.text);
                    for parameter in &fault.parameters {
                        _ = write!(text, "\n   {} {}: {}", parameter.name, parameter.code, parameter.text);
                    }
                    text
                }
                Err(Failure::Unreadable(error)) => format!("unreadable: {error}"),
                Err(other) => format!("{other:?}"),
            };
            format!("{} was answered: {outcome}", request.method())
        }
        Effect::End(End::Unreadable(error)) => format!("the end: {error}"),
        Effect::End(end) => format!("the end: {end:?}"),
        Effect::Reply(_) | Effect::NoContent | Effect::Status(_) | Effect::AskForWork => String::new(),
    }
}

fn tell_inform(inform: &Inform) -> String {
    let device = &inform.device;
    let mut text = format!(
        "Inform of {} {} {} {}, retry {}, {:?}",
        device.manufacturer,
        device.oui,
        device.product_class,
        device.serial_number,
        inform.retry_count,
        inform.current_time
    );
    for event in &inform.events {
        _ = write!(text, "\n   {} [{}]", event.code, event.command_key);
    }
    text + &tell_values(&inform.parameters)
}

fn tell_values(values: &[ParameterValue]) -> String {
    values.iter().fold(String::new(), |mut text, parameter| {
        let value = parameter.value.text(&Quirks::default());
        _ = write!(text, "\n   {} = {} {value:?}", parameter.name, parameter.value.kind().xsi_type());
        text
    })
}
