//! Files that a server has fetched and sent, with a server in memory: real ones are asked for by tasks.

use resyncd::delivery::{Delivery, Encryption, KeyDigest};
use resyncd::model::Secret;
use resyncd::phone::cisco::SeededRandom;
use resyncd::phone::cwmp::{Phone, Played, Server, Step, play};
use resyncd::phone::{Identity, Maker, Method, State};

use crate::support::phone::{ScriptedServer, block_on, response};

const ACS: &str = "http://acs.example.com/cwmp";
const FILE: &str = "http://acs.example.com/t/Dj6Lmp23Q/6867i-3.3.1.8101.st";
const NOW: i64 = 1_769_860_800;

fn phone(model: &str) -> Phone {
    let identity = Identity {
        model: model.to_owned(),
        mac: "00085d3a2b1c".parse().unwrap(),
        serial: "SERIAL0001".parse().unwrap(),
        firmware: "3.3.1.4311-SIP".to_owned(),
        has_certificate: false,
    };
    Phone::new(Maker::of(model).unwrap(), identity)
}

fn server() -> Server {
    Server { url: ACS.to_owned(), credentials: None }
}

/// A server that answers a session: each message in turn, then 204.
fn answering(messages: &[String]) -> ScriptedServer {
    let server = ScriptedServer::default();
    for (number, message) in messages.iter().enumerate() {
        let text = format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\">\
             <s:Header><c:ID>{number}</c:ID></s:Header><s:Body>{message}</s:Body></s:Envelope>"
        );
        server.answer(ACS, Ok(response(200, &[("set-cookie", "session=abc; Path=/; HttpOnly")], text)));
    }
    server.answer(ACS, Ok(response(204, &[], "")));
    server
}

fn informed() -> String {
    "<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>".to_owned()
}

fn transfer(method: &str, file_type: &str, url: &str) -> String {
    format!(
        "<c:{method}><CommandKey>k-1</CommandKey><FileType>{file_type}</FileType><URL>{url}</URL><Username>u</Username>\
         <Password>not-a-real-password</Password><FileSize>0</FileSize><TargetFileName/><DelaySeconds>0</DelaySeconds></c:{method}>"
    )
}

fn session(phone: &Phone, state: &State, server: &ScriptedServer) -> Played {
    block_on(play(phone, state, &self::server(), &[], NOW, server, &mut SeededRandom(1)))
}

/// A phone that knows its server by itself.
fn knowing() -> State {
    let mut state = State::default();
    state.cwmp.parameters.insert("Device.ManagementServer.URL".to_owned(), ACS.to_owned());
    state
}

/// What the first message of a server's next session says.
fn next_inform(phone: &Phone, state: &State) -> (String, Played) {
    let server = answering(&[informed(), "<c:TransferCompleteResponse/>".to_owned()]);
    let played = session(phone, state, &server);
    let first = String::from_utf8(server.asked()[0].body.to_vec()).unwrap();
    (first, played)
}

#[test]
fn firmware_is_fetched_and_told() {
    let phone = phone("6867i");
    let server = answering(&[informed(), transfer("Download", "1 Firmware Upgrade Image", FILE)]);
    let asks = [("www-authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"")];
    server.answer(FILE, Ok(response(401, &asks, "")));
    server.answer(FILE, Ok(response(200, &[], "firmware")));
    let played = session(&phone, &knowing(), &server);
    assert_eq!(played.failure, None, "{:?}", played.steps);
    let asked = server.asked();
    assert!(asked[1].headers.contains(&("Cookie".to_owned(), "session=abc".to_owned())), "{:?}", asked[1].headers);
    let proof = &asked.last().unwrap().headers.last().unwrap().1;
    assert!(proof.starts_with("Digest username=\"u\""), "{proof}");
    assert!(played.steps.contains(&Step::Upgraded { firmware: "3.3.1.8101".to_owned() }), "{:?}", played.steps);
    let told: String = played.steps.iter().map(ToString::to_string).collect();
    assert!(!told.contains("Dj6Lmp23Q") && !told.contains("not-a-real-password"), "{told}");
    assert_eq!(played.next, Some(0));

    let (inform, after) = next_inform(&phone, &played.state);
    for part in ["1 BOOT", "7 TRANSFER COMPLETE", "M Download", ">3.3.1.8101<"] {
        assert!(inform.contains(part), "{part}: {inform}");
    }
    assert!(after.steps.contains(&Step::Told { command_key: "k-1".to_owned(), code: 0 }), "{:?}", after.steps);
    assert!(after.state.cwmp.transfers.is_empty() && after.state.cwmp.events.is_empty());

    // "If the version is identical to the actual version, the phone will abort the firmware upgrade".
    let server = answering(&[informed(), transfer("Download", "1 Firmware Upgrade Image", FILE)]);
    server.answer(FILE, Ok(response(200, &[], "firmware")));
    let again = session(&phone, &after.state, &server);
    assert!(!again.steps.iter().any(|step| matches!(step, Step::Upgraded { .. })), "{:?}", again.steps);
}

#[test]
fn what_can_not_be_fetched_is_told_with_its_fault() {
    // CWMP 1.0 knows one fault for all of them.
    for (model, status, body, code) in [
        ("6867i", 404, "", 9010),
        ("6867i", 401, "", 9012),
        ("6867i", 200, "", 9010),
        ("GXP2170", 404, "", 9016),
        ("GXP2170", 200, "", 9018),
    ] {
        let phone = phone(model);
        let server = answering(&[informed(), transfer("Download", "1 Firmware Upgrade Image", FILE)]);
        server.answer(FILE, Ok(response(status, &[], body)));
        let played = session(&phone, &State::default(), &server);
        let (_, after) = next_inform(&phone, &played.state);
        assert!(
            after.steps.contains(&Step::Told { command_key: "k-1".to_owned(), code }),
            "{status} {:?}",
            after.steps
        );
    }
}

#[test]
fn configuration_is_fetched_and_sent() {
    let phone = phone("6867i");
    let file = "http://acs.example.com/t/abc/00085D3A2B1C_local.cfg";
    let server = answering(&[informed(), transfer("Download", "3 Vendor Configuration File", file)]);
    server.answer(file, Ok(response(200, &[], "sip line1 proxy ip: sip.example.com\n")));
    let played = session(&phone, &State::default(), &server);
    assert_eq!(played.state.parameters["sip line1 proxy ip"], "sip.example.com");
    // The data model says what the files say.
    let proxy = phone.value(&played.state, "Device.Services.VoiceService.1.VoiceProfile.1.SIP.ProxyServer");
    assert_eq!(proxy.as_deref(), Some("sip.example.com"));

    // "Loading of new configuration through TR-069 will require a CPE reboot".
    let (inform, after) = next_inform(&phone, &played.state);
    assert!(inform.contains("1 BOOT"), "{inform}");
    let mut state = after.state;
    phone.change(&mut state, "Device.Services.VoiceService.1.VoiceProfile.2.SIP.ProxyServer", "b.example.com").unwrap();

    let folder = "http://acs.example.com/up/";
    for (file_type, name, text) in [
        ("1 Vendor Configuration File", "00085D3A2B1C_local.cfg", "sip line2 proxy ip: b.example.com\n"),
        ("X_Aastra Server Configuration File", "server.cfg", "sip line1 proxy ip: sip.example.com\n"),
        ("2 Vendor Log File", "00085D3A2B1C_1769860800_crash.log", "2026-01-31T12:00:00Z: no crash\n"),
    ] {
        let server = answering(&[informed(), transfer("Upload", file_type, folder)]);
        server.answer(&format!("{folder}{name}"), Ok(response(201, &[], "")));
        let sent = session(&phone, &state, &server);
        let last = server.asked().pop().unwrap();
        assert_eq!(
            (last.method, last.url.as_str()),
            (Method::Put, format!("{folder}{name}").as_str()),
            "{:?}",
            sent.steps
        );
        assert_eq!(last.body, text);
    }
}

#[test]
fn a_factory_reset_keeps_the_way_to_the_server_where_the_family_does() {
    let url = "Device.ManagementServer.URL";
    let name = "Device.Services.VoiceService.1.VoiceProfile.1.Name";
    for (model, keeps) in [("6867i", false), ("GXP2170", true), ("CP-6841-3PCC", false)] {
        let phone = phone(model);
        let mut state = State::default();
        for (path, value) in [(url, ACS), (name, "Reception")] {
            phone.change(&mut state, path, value).unwrap();
        }
        let played = session(&phone, &state, &answering(&[informed(), "<c:FactoryReset/>".to_owned()]));
        assert_eq!(played.failure, None, "{:?}", played.steps);
        let held = phone.value(&played.state, url).unwrap();
        assert_eq!(held == ACS, keeps, "{model}: {held}");
        assert_eq!(phone.value(&played.state, name).unwrap(), "", "{model}");
        assert!(played.state.cwmp.bootstrapped.is_none());
    }
}

#[test]
fn a_phone_is_sent_elsewhere_and_followed_no_further_than_five_times() {
    let phone = phone("6867i");
    let server = ScriptedServer::default();
    server.answer(ACS, Ok(response(307, &[("location", "http://other.example.com/cwmp")], "")));
    server.answer("http://other.example.com/cwmp", Ok(response(302, &[("location", "/cwmp")], "")));
    let played = session(&phone, &State::default(), &server);
    assert_eq!(played.failure.as_deref(), Some("HTTP status 302"));
    assert_eq!(server.asked().len(), 6);
    // Aastra tries again after the same time each time.
    assert_eq!(played.next, None, "it was told of no server of its own");
}

#[test]
fn a_configuration_that_is_restored_wins_over_what_was_set() {
    let path = "Device.Services.VoiceService.1.VoiceProfile.1.SIP.ProxyServer";
    let phone = phone("6757i");
    let mut state = knowing();
    phone.change(&mut state, path, "set.example.com").unwrap();
    let file = "http://acs.example.com/t/abc/00085D3A2B1C_local.cfg";
    let server = answering(&[informed(), transfer("Download", "1 Vendor Configuration File", file)]);
    server.answer(file, Ok(response(200, &[], "sip line1 proxy ip: restored.example.com\n")));
    let played = session(&phone, &state, &server);
    assert_eq!(phone.value(&played.state, path).as_deref(), Some("restored.example.com"), "{:?}", played.steps);
}

#[test]
fn a_firmware_whose_name_tells_no_version_is_what_the_life_says() {
    let mut phone = phone("GXP2170");
    phone.habits.next_firmware = Some("1.0.11.64".to_owned());
    let file = "http://acs.example.com/t/abc/gxp2170fw.bin";
    let server = answering(&[informed(), transfer("Download", "1 Firmware Upgrade Image", file)]);
    server.answer(file, Ok(response(200, &[], "firmware")));
    let played = session(&phone, &knowing(), &server);
    assert_eq!(phone.value(&played.state, "Device.DeviceInfo.SoftwareVersion").as_deref(), Some("1.0.11.64"));
    let (inform, _) = next_inform(&phone, &played.state);
    assert!(inform.contains(">1.0.11.64<") && inform.contains("1 BOOT"), "{inform}");
}

#[test]
fn a_configuration_comes_as_a_resync_would_deliver_it() {
    let file = "http://acs.example.com/t/abc/cfg";
    let taken = |model: &str, state: &State, headers: &[(&str, &str)], body: Vec<u8>| {
        let phone = phone(model);
        let server = answering(&[informed(), transfer("Download", "3 Vendor Configuration File", file)]);
        server.answer(file, Ok(response(200, headers, body)));
        session(&phone, state, &server)
    };
    let code = |played: &Played| {
        let code = played.steps.iter().find_map(|step| match step {
            Step::Transferred { code, .. } => Some(*code),
            _ => None,
        });
        code.unwrap_or_else(|| panic!("{:?}", played.steps))
    };

    let cisco = b"<flat-profile><Proxy_1_>sip.example.com</Proxy_1_></flat-profile>";
    let zipped = Delivery { gzip: true, ..Delivery::default() }.pack(cisco).unwrap().body;
    let played = taken("CP-6841-3PCC", &knowing(), &[], zipped);
    assert_eq!((code(&played), played.state.parameters["Proxy_1_"].as_str()), (0, "sip.example.com"));
    // No phone can make something of what it has no key for.
    let played = taken("CP-6841-3PCC", &knowing(), &[("content-encoding", "aes128gcm")], cisco.to_vec());
    assert_eq!(code(&played), 9018);

    let grandstream =
        b"<gs_provision version=\"1\"><config version=\"1\"><P47>sip.example.com</P47></config></gs_provision>";
    let passphrase = Secret::new("not-a-real-password");
    let encryption = Encryption::Aes256Cbc { passphrase, digest: KeyDigest::Md5 };
    let sealed = Delivery { gzip: false, encryption }.pack(grandstream).unwrap().body;
    let mut state = knowing();
    assert_eq!(code(&taken("GXP2170", &state, &[], sealed.clone())), 9018);
    state.parameters.insert("P1359".to_owned(), "not-a-real-password".to_owned());
    let played = taken("GXP2170", &state, &[], sealed);
    assert_eq!((code(&played), played.state.parameters["P47"].as_str()), (0, "sip.example.com"));
}
