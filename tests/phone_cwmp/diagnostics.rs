//! Diagnoses that a server asks for: made after the session, told by the next, and read by it.

use resyncd::phone::cisco::SeededRandom;
use resyncd::phone::cwmp::{Phone, Played, Server, Step, play};
use resyncd::phone::{FetchError, Identity, Maker, Method, State};

use crate::support::phone::{ScriptedServer, block_on, response};

const ACS: &str = "http://acs.example.com/cwmp";
const FILE: &str = "http://acs.example.com/test/10k";
const NOW: i64 = 1_769_860_800;

/// The only family whose guide has diagnoses.
fn phone(hosts: &[&str]) -> Phone {
    let identity = Identity {
        model: "GXP2170".to_owned(),
        mac: "000b82000001".parse().unwrap(),
        serial: "SERIAL0001".parse().unwrap(),
        firmware: "1.0.9.26".to_owned(),
        has_certificate: false,
    };
    let mut phone = Phone::new(Maker::Grandstream, identity);
    phone.habits.hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    phone
}

fn answering(messages: &[String]) -> ScriptedServer {
    let server = ScriptedServer::default();
    let informed = "<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>".to_owned();
    for (number, message) in std::iter::once(&informed).chain(messages).enumerate() {
        let text = format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\">\
             <s:Header><c:ID>{number}</c:ID></s:Header><s:Body>{message}</s:Body></s:Envelope>"
        );
        server.answer(ACS, Ok(response(200, &[], text)));
    }
    server.answer(ACS, Ok(response(204, &[], "")));
    server
}

fn set(object: &str, values: &[(&str, &str)]) -> String {
    let values = values.iter().map(|(name, value)| {
        format!("<ParameterValueStruct><Name>{object}{name}</Name><Value>{value}</Value></ParameterValueStruct>")
    });
    let values: String = values.collect();
    format!(
        "<c:SetParameterValues><ParameterList>{values}</ParameterList><ParameterKey>r1</ParameterKey></c:SetParameterValues>"
    )
}

fn session(phone: &Phone, state: &State, server: &ScriptedServer) -> Played {
    let acs = Server { url: ACS.to_owned(), credentials: None };
    block_on(play(phone, state, &acs, &[], NOW, server, &mut SeededRandom(1)))
}

/// Asks for a diagnosis, and reads all of its object in the session that tells of it.
fn diagnosed(
    phone: &Phone,
    object: &str,
    values: &[(&str, &str)],
    prepare: impl FnOnce(&ScriptedServer),
) -> (State, Vec<Step>) {
    let requested = [values, &[("DiagnosticsState", "Requested")]].concat();
    let server = answering(&[set(object, &requested)]);
    prepare(&server);
    let asked = session(phone, &State::default(), &server);
    assert_eq!(asked.failure, None, "{:?}", asked.steps);
    let get = format!(
        "<c:GetParameterValues><ParameterNames><string>{object}</string></ParameterNames></c:GetParameterValues>"
    );
    let server = answering(&[get]);
    let told = session(phone, &asked.state, &server);
    let Some(Step::Informed { events, .. }) = told.steps.first() else { panic!("{:?}", told.steps) };
    assert!(events.contains(&"8 DIAGNOSTICS COMPLETE".to_owned()), "{events:?}");
    let read = server.asked().into_iter().map(|request| String::from_utf8(request.body.to_vec()).unwrap());
    let read: String = read.filter(|body| body.contains("GetParameterValuesResponse")).collect();
    let state = phone.value(&asked.state, &format!("{object}DiagnosticsState")).unwrap();
    assert!(read.contains(&format!(">{state}<")), "{read}");
    // It is told once.
    assert!(told.state.cwmp.events.is_empty());
    (asked.state, asked.steps)
}

fn assert_values(phone: &Phone, state: &State, object: &str, values: &[(&str, &str)]) {
    for (name, value) in values {
        assert_eq!(phone.value(state, &format!("{object}{name}")).as_deref(), Some(*value), "{object}{name}");
    }
}

#[test]
fn a_ping_is_answered_as_the_life_says() {
    let object = "Device.LAN.IPPingDiagnostics.";
    let phone = phone(&["silent.example.com=silent", "gone.example.com=unknown"]);
    for (host, state, success, failure) in [
        ("sip.example.com", "Complete", "5", "0"),
        ("silent.example.com", "Complete", "0", "5"),
        ("gone.example.com", "Error_CannotResolveHostName", "0", "0"),
    ] {
        let (after, steps) = diagnosed(&phone, object, &[("Host", host), ("NumberOfRepetitions", "5")], |_| ());
        let expected = [("DiagnosticsState", state), ("SuccessCount", success), ("FailureCount", failure)];
        assert_values(&phone, &after, object, &expected);
        assert!(steps.contains(&Step::Diagnosed { object: object.to_owned(), state: state.to_owned() }), "{steps:?}");
    }
}

#[test]
fn a_trace_route_lists_its_hops() {
    let object = "Device.LAN.TraceRouteDiagnostics.";
    let phone = phone(&["sip.example.com=192.0.2.254,198.51.100.1"]);
    // As long as nobody asked there are none.
    assert_eq!(phone.value(&State::default(), &format!("{object}RouteHops.1.HopHost")), None);
    let (after, _) = diagnosed(&phone, object, &[("Host", "sip.example.com")], |_| ());
    assert_values(
        &phone,
        &after,
        object,
        &[
            ("DiagnosticsState", "Complete"),
            ("NumberOfRouteHops", "3"),
            ("RouteHops.1.HopHost", "192.0.2.254"),
            ("RouteHops.3.HopHost", "sip.example.com"),
        ],
    );
    let (after, _) = diagnosed(&phone, object, &[("Host", "sip.example.com"), ("MaxHopCount", "2")], |_| ());
    assert_values(&phone, &after, object, &[("DiagnosticsState", "Error_MaxHopCountExceeded")]);
    assert_eq!(phone.value(&after, &format!("{object}RouteHops.1.HopHost")), None);
}

#[test]
fn a_download_test_fetches_and_counts() {
    let object = "Device.DownloadDiagnostics.";
    let phone = phone(&[]);
    let (after, _) = diagnosed(&phone, object, &[("DownloadURL", FILE)], |server| {
        server.answer(FILE, Ok(response(200, &[("content-length", "10240")], vec![0; 10240])));
    });
    // The answer took 3 ms.
    assert_values(
        &phone,
        &after,
        object,
        &[
            ("DiagnosticsState", "Completed"),
            ("TestBytesReceived", "10240"),
            ("BOMTime", "2026-01-31T12:00:00.000000"),
            ("EOMTime", "2026-01-31T12:00:00.003000"),
        ],
    );
    for (answer, state) in [
        (Ok(response(404, &[], "")), "Error_TransferFailed"),
        (Ok(response(401, &[], "")), "Error_LoginFailed"),
        (Err(FetchError::Resolve("acs.example.com".to_owned())), "Error_InitConnectionFailed"),
        (Err(FetchError::Timeout(std::time::Duration::from_secs(1))), "Error_Timeout"),
    ] {
        let (after, _) = diagnosed(&phone, object, &[("DownloadURL", FILE)], |server| server.answer(FILE, answer));
        assert_values(&phone, &after, object, &[("DiagnosticsState", state)]);
    }
}

#[test]
fn an_upload_test_sends_as_much_as_it_was_told() {
    let object = "Device.UploadDiagnostics.";
    let phone = phone(&[]);
    let values = [("UploadURL", FILE), ("TestFileLength", "5000")];
    let server = answering(&[set(object, &[&values[..], &[("DiagnosticsState", "Requested")]].concat())]);
    server.answer(FILE, Ok(response(201, &[], "")));
    let played = session(&phone, &State::default(), &server);
    let sent = server.asked().pop().unwrap();
    assert_eq!((sent.method, sent.url.as_str(), sent.body.len()), (Method::Put, FILE, 5000));
    assert_values(&phone, &played.state, object, &[("DiagnosticsState", "Completed"), ("TotalBytesSent", "5000")]);
    let (after, _) = diagnosed(&phone, object, &values, |server| server.answer(FILE, Ok(response(500, &[], ""))));
    assert_values(&phone, &after, object, &[("DiagnosticsState", "Error_NoTransferComplete")]);
}

#[test]
fn what_is_set_after_a_diagnosis_makes_it_worth_nothing() {
    let object = "Device.LAN.IPPingDiagnostics.";
    let phone = phone(&[]);
    let (after, _) = diagnosed(&phone, object, &[("Host", "sip.example.com")], |_| ());
    let played = session(&phone, &after, &answering(&[set(object, &[("Host", "other.example.com")])]));
    assert_values(&phone, &played.state, object, &[("DiagnosticsState", "None")]);
    // "When writing, the only allowed value is Requested".
    let played = session(&phone, &after, &answering(&[set(object, &[("DiagnosticsState", "Complete")])]));
    assert!(played.steps.iter().any(|step| matches!(step, Step::Refused { code: 9003, .. })), "{:?}", played.steps);
    // No other family's guide has any.
    let identity = Identity { model: "6757i".to_owned(), ..phone.identity };
    let aastra = Phone::new(Maker::Aastra, identity);
    let asked = set(object, &[("Host", "sip.example.com"), ("DiagnosticsState", "Requested")]);
    let played = session(&aastra, &State::default(), &answering(&[asked]));
    assert!(played.steps.iter().any(|step| matches!(step, Step::Refused { code: 9003, .. })), "{:?}", played.steps);
}
