//! The auto-configuration server against phones that are played here, over real connections: a phone of a few lines, that holds
//! parameters by their names and answers as it is told to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::deployment::{Deployment, Reply, Running};

const MAC: &str = "00085d000001";
const PROXY: &str = "Device.Services.VoiceService.1.VoiceProfile.1.SIP.ProxyServer";
const NAME: &str = "Device.Services.VoiceService.1.VoiceProfile.1.Name";
const PASSWORD: &str = "Device.Services.VoiceService.1.VoiceProfile.1.Line.1.SIP.AuthPassword";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

/// A server with an Aastra phone whose line 1 is set up, let in by `access`.
fn server(access: &str) -> Running {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config
        .replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"")
        .replace("name = \"https\"", "name = \"https\"\ncwmp = \"/acs\"");
    deployment.write("resyncd.toml", config);
    write_device(&deployment, access, "Reception & Bar");
    deployment.start()
}

fn write_device(deployment: &Deployment, more: &str, name: &str) {
    deployment.write(
        &format!("profiles/devices/{MAC}.toml"),
        format!(
            "model = \"6867i\"\n[lines.1]\nuser = \"1001\"\npassword = \"not-a-real-password\"\ndisplay_name = \"{name}\"\n\
             proxy = \"sip.example.com\"\n{more}\n"
        ),
    );
}

const HERE: &str = "[access]\nnetworks = [\"127.0.0.0/8\"]\n";

/// A phone, and how it misbehaves.
#[derive(Default)]
struct Phone {
    holds: BTreeMap<String, String>,
    /// Parameters that it refuses to be set, with the fault.
    refuses: BTreeMap<&'static str, u16>,
    /// It doesn't say which.
    names_none: bool,
    /// The methods that it answers 9000.
    lacks: Vec<&'static str>,
    cookie: Option<String>,
    ignores_cookies: bool,
    /// What it was asked, by its name, in this session.
    asked: Vec<String>,
    /// The names of all parameters that it was given.
    set: Vec<String>,
    posts: usize,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn envelope(id: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><SOAP-ENV:Header><cwmp:ID SOAP-ENV:mustUnderstand=\"1\">{id}</cwmp:ID>\
         </SOAP-ENV:Header><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
}

fn inform(serial: &str, events: &[&str], parameters: &[(&str, &str)]) -> String {
    let events: String = events
        .iter()
        .map(|event| format!("<EventStruct><EventCode>{event}</EventCode><CommandKey/></EventStruct>"))
        .collect();
    let parameters: String = parameters
        .iter()
        .map(|(name, value)| {
            format!("<ParameterValueStruct><Name>{name}</Name><Value xsi:type=\"xsd:string\">{value}</Value></ParameterValueStruct>")
        })
        .collect();
    envelope(
        "1",
        &format!(
            "<cwmp:Inform><DeviceId><Manufacturer>Aastra</Manufacturer><OUI>00085D</OUI><ProductClass>6867i</ProductClass>\
             <SerialNumber>{serial}</SerialNumber></DeviceId><Event>{events}</Event><MaxEnvelopes>1</MaxEnvelopes>\
             <CurrentTime>2026-01-31T12:00:00</CurrentTime><RetryCount>0</RetryCount><ParameterList>{parameters}</ParameterList></cwmp:Inform>"
        ),
    )
}

impl Phone {
    fn new() -> Self {
        let mut phone = Self::default();
        phone.holds.insert(VERSION.to_owned(), "3.3.1".to_owned());
        phone.holds.insert(KEY.to_owned(), String::new());
        phone
    }

    fn post(&mut self, server: &Running, body: &str, more: &[&str]) -> Option<Reply> {
        self.posts += 1;
        let file = server.deployment.path("message");
        std::fs::write(&file, body).unwrap();
        let data = format!("@{}", file.display());
        let mut arguments = vec!["--data-binary", &data, "--header", "Content-Type: text/xml"];
        let cookie = self.cookie.clone().map(|cookie| format!("Cookie: {cookie}"));
        if let Some(cookie) = cookie.as_deref().filter(|_| !self.ignores_cookies) {
            arguments.extend(["--header", cookie]);
        }
        arguments.extend(more);
        let reply = server.plain_curl("/cwmp", &arguments)?;
        if let Some(cookie) = reply.header("set-cookie") {
            // Attributes and all, as some phones do.
            self.cookie = Some(cookie.to_owned());
        }
        Some(reply)
    }

    fn inform(&mut self, server: &Running, events: &[&str]) -> Option<Reply> {
        self.asked.clear();
        self.set.clear();
        self.posts = 0;
        let parameters = [(VERSION, &*self.holds[VERSION].clone()), (KEY, &*self.holds[KEY].clone())];
        self.post(server, &inform(&MAC.to_uppercase(), events, &parameters), &[])
    }

    /// A whole session. False where there is no curl.
    fn session(&mut self, server: &Running, events: &[&str]) -> bool {
        let Some(reply) = self.inform(server, events) else { return false };
        assert_eq!(reply.status, 200, "{}", reply.head);
        assert!(reply.text().contains("InformResponse"), "{}", reply.text());
        let mut body = String::new();
        for _ in 0..100 {
            let reply = self.post(server, &body, &[]).unwrap();
            if reply.status == 204 {
                return true;
            }
            assert_eq!(reply.status, 200, "{}", reply.head);
            body = self.answer(reply.text());
        }
        panic!("it goes on for ever: {:?}", self.asked);
    }

    fn answer(&mut self, text: &str) -> String {
        let document = roxmltree::Document::parse(text).unwrap();
        let named = |name: &'static str| document.descendants().filter(move |node| node.tag_name().name() == name);
        let id = named("ID").next().and_then(|id| id.text()).unwrap();
        let request = named("Body").next().unwrap().first_element_child().unwrap();
        let method = request.tag_name().name();
        self.asked.push(method.to_owned());
        if self.lacks.contains(&method) {
            return envelope(id, &fault(9000, ""));
        }
        let names: Vec<_> = named("string").filter_map(|name| name.text()).collect();
        let body = match method {
            "GetRPCMethods" => {
                let all = [
                    "GetRPCMethods",
                    "GetParameterValues",
                    "SetParameterValues",
                    "GetParameterAttributes",
                    "SetParameterAttributes",
                ];
                let all: String = all.iter().map(|name| format!("<string>{name}</string>")).collect();
                format!("<cwmp:GetRPCMethodsResponse><MethodList>{all}</MethodList></cwmp:GetRPCMethodsResponse>")
            }
            "GetParameterValues" => {
                let mut list = String::new();
                for name in names {
                    let value = self.holds.get(name).map(String::as_str).unwrap_or_default();
                    write!(
                        list,
                        "<ParameterValueStruct><Name>{name}</Name><Value>{}</Value></ParameterValueStruct>",
                        escaped(value)
                    )
                    .unwrap();
                }
                format!(
                    "<cwmp:GetParameterValuesResponse><ParameterList>{list}</ParameterList></cwmp:GetParameterValuesResponse>"
                )
            }
            "SetParameterValues" => self.take(&document),
            "GetParameterAttributes" => {
                let each = |name: &&str| {
                    format!(
                        "<ParameterAttributeStruct><Name>{name}</Name><Notification>0</Notification><AccessList/></ParameterAttributeStruct>"
                    )
                };
                let list: String = names.iter().map(each).collect();
                format!(
                    "<cwmp:GetParameterAttributesResponse><ParameterList>{list}</ParameterList></cwmp:GetParameterAttributesResponse>"
                )
            }
            "SetParameterAttributes" => "<cwmp:SetParameterAttributesResponse/>".to_owned(),
            other => panic!("{other} was not to be asked"),
        };
        envelope(id, &body)
    }

    /// All or nothing.
    fn take(&mut self, document: &roxmltree::Document<'_>) -> String {
        let child = |node: roxmltree::Node<'_, '_>, name: &str| {
            let child = node.children().find(|child| child.tag_name().name() == name);
            child.and_then(|child| child.text()).unwrap_or_default().to_owned()
        };
        let all = document.descendants().filter(|node| node.tag_name().name() == "ParameterValueStruct");
        let values: Vec<_> = all.map(|node| (child(node, "Name"), child(node, "Value"))).collect();
        let refused: Vec<_> = values
            .iter()
            .filter_map(|(name, _)| Some((name, self.refuses.get(name.as_str())?)))
            .map(|(name, code)| {
                format!("<SetParameterValuesFault><ParameterName>{name}</ParameterName><FaultCode>{code}</FaultCode><FaultString>no</FaultString></SetParameterValuesFault>")
            })
            .collect();
        if !refused.is_empty() {
            return fault(9003, &if self.names_none { String::new() } else { refused.concat() });
        }
        let key = document.descendants().find(|node| node.tag_name().name() == "ParameterKey").unwrap();
        self.holds.insert(KEY.to_owned(), key.text().unwrap_or_default().to_owned());
        for (name, value) in values {
            self.set.push(name.clone());
            self.holds.insert(name, value);
        }
        "<cwmp:SetParameterValuesResponse><Status>0</Status></cwmp:SetParameterValuesResponse>".to_owned()
    }

    fn holds(&self, name: &str) -> &str {
        self.holds.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn fault(code: u16, parameters: &str) -> String {
    format!(
        "<SOAP-ENV:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault><FaultCode>{code}</FaultCode>\
         <FaultString>fault</FaultString>{parameters}</cwmp:Fault></detail></SOAP-ENV:Fault>"
    )
}

#[test]
fn a_factory_new_phone_is_set_up_and_a_phone_that_is_right_is_left_alone() {
    let server = server(HERE);
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP", "1 BOOT"]) {
        return;
    }
    assert_eq!(phone.asked, ["GetRPCMethods", "GetParameterValues", "SetParameterValues"]);
    assert_eq!((phone.holds(PROXY), phone.holds(NAME)), ("sip.example.com", "Reception & Bar"));
    assert_eq!(phone.holds(PASSWORD), "not-a-real-password");
    let revision = phone.holds(KEY).to_owned();
    assert_eq!(revision.len(), 32, "{revision}");
    let event = server.last_event();
    assert_eq!(
        (&event["kind"], &event["outcome"], &event["device"]),
        (&"session".into(), &"served".into(), &MAC.into())
    );
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.starts_with("0 BOOTSTRAP, 1 BOOT; ") && reason.contains(" parameters set"), "{reason}");

    // Inform, nothing to say, nothing to do.
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!((phone.asked.len(), phone.posts), (0, 2));

    // The settings change: what differs is set, and the password, which can't be looked at.
    write_device(&server.deployment, HERE, "Bar");
    server.reload().unwrap();
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!(phone.asked, ["GetParameterValues", "SetParameterValues"]);
    assert!(phone.set.contains(&NAME.to_owned()) && phone.set.contains(&PASSWORD.to_owned()), "{:?}", phone.set);
    assert!(!phone.set.contains(&PROXY.to_owned()), "{:?}", phone.set);
    assert_eq!(phone.holds(NAME), "Bar");
    assert_ne!(phone.holds(KEY), revision);

    // A factory reset takes all of it away.
    phone = Phone::new();
    assert!(phone.session(&server, &["0 BOOTSTRAP", "1 BOOT"]));
    assert_eq!(phone.holds(NAME), "Bar");
}

#[test]
fn what_a_phone_refuses_is_told_and_not_tried_again() {
    for names_none in [false, true] {
        let server = server(HERE);
        let mut phone = Phone::new();
        phone.refuses.insert(NAME, 9007);
        phone.names_none = names_none;
        if !phone.session(&server, &["0 BOOTSTRAP"]) {
            return;
        }
        assert_eq!((phone.holds(PROXY), phone.holds(NAME)), ("sip.example.com", ""));
        let reason = server.last_event()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(&format!("refused by the phone: {NAME} (")), "{reason}");
        assert!(!reason.contains("not-a-real"), "{reason}");
        assert!(phone.session(&server, &["4 VALUE CHANGE"]));
        assert!(!phone.asked.contains(&"SetParameterValues".to_owned()), "{:?}", phone.asked);
        // Other settings are another matter.
        phone.refuses.clear();
        write_device(&server.deployment, HERE, "Bar");
        server.reload().unwrap();
        assert!(phone.session(&server, &["2 PERIODIC"]));
        assert_eq!(phone.holds(NAME), "Bar");
    }
}

#[test]
fn who_wins_over_a_change_on_the_phone_is_the_settings_to_say() {
    for (policy, name, told) in [
        ("", "Reception & Bar", "changed on the phone and set back: "),
        ("[acs]\nchanged_on_phone = \"keep\"\n", "Mine", "changed on the phone and kept: "),
    ] {
        let server = server(&format!("{HERE}{policy}"));
        let mut phone = Phone::new();
        if !phone.session(&server, &["0 BOOTSTRAP"]) {
            return;
        }
        phone.holds.insert(NAME.to_owned(), "Mine".to_owned());
        assert!(phone.session(&server, &["4 VALUE CHANGE"]));
        assert_eq!(phone.holds(NAME), name);
        let reason = server.last_event()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(&format!("{told}{NAME}")), "{reason}");
    }
}

#[test]
fn only_what_the_phone_knows_is_asked_of_it() {
    let server = server(&format!("{HERE}[acs.notifications]\n\"Device.LAN.IPAddress\" = \"active\"\n"));
    let mut phone = Phone::new();
    phone.lacks = vec!["GetRPCMethods", "GetParameterAttributes"];
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    // It doesn't say what it knows, so its family's list counts.
    assert_eq!(phone.holds(PROXY), "sip.example.com");
    let mut phone = Phone::new();
    assert!(phone.session(&server, &["0 BOOTSTRAP"]));
    assert_eq!(phone.asked.last().unwrap(), "SetParameterAttributes", "{:?}", phone.asked);
}

#[test]
fn a_session_is_held_by_its_cookie_and_belongs_to_one_phone() {
    let server = server(HERE);
    let (mut phone, mut other) = (Phone::new(), Phone::new());
    let Some(reply) = phone.inform(&server, &["2 PERIODIC"]) else { return };
    assert_eq!(reply.status, 200);
    // Each curl is a connection of its own: without the cookie it is nobody's session.
    phone.ignores_cookies = true;
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 400);
    phone.ignores_cookies = false;
    other.cookie = Some("cwmp-session=AAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    assert_eq!(other.post(&server, "", &[]).unwrap().status, 400);
    assert_eq!(other.post(&server, &envelope("9", "<cwmp:GetParameterValuesResponse/>"), &[]).unwrap().status, 400);
    // None of that was this session's.
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 200);
    // The phone begins anew: the session before is over, and so is its cookie's worth.
    let before = phone.cookie.clone();
    assert_eq!(phone.inform(&server, &["1 BOOT"]).unwrap().status, 200);
    assert_ne!(phone.cookie, before);
    other.cookie = before;
    assert_eq!(other.post(&server, "", &[]).unwrap().status, 400);
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 200);
}

#[test]
fn whoever_may_not_have_the_phones_files_gets_no_session() {
    let server = server("[access]\nnetworks = [\"192.0.2.0/24\"]\n");
    let mut phone = Phone::new();
    let Some(known) = phone.inform(&server, &["0 BOOTSTRAP"]) else { return };
    let unknown = phone.post(&server, &inform("00085D0000FF", &["0 BOOTSTRAP"], &[]), &[]).unwrap();
    let foreign = phone.post(&server, &inform(MAC, &["0 BOOTSTRAP"], &[]).replace("00085D<", "0004F2<"), &[]).unwrap();
    assert_eq!((known.status, &known), (404, &unknown));
    assert_eq!(known, foreign);
    let refusals: Vec<_> = server.events().iter().map(|event| event["refusal"].as_str().unwrap().to_owned()).collect();
    assert_eq!(refusals, ["no-proof", "unknown-device", "unknown-device"]);
    let get = server.plain_curl("/cwmp", &[]).unwrap();
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}

#[test]
fn a_phone_shows_who_it_is_by_digest() {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write(
        "resyncd.toml",
        config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"\npasswords = true"),
    );
    write_device(&deployment, "[acs]\nuser = \"phone-1\"\npassword = \"not-a-real-key\"\n", "Bar");
    let server = deployment.start();
    let mut phone = Phone::new();
    let Some(asked) = phone.inform(&server, &["0 BOOTSTRAP"]) else { return };
    assert_eq!(asked.status, 401);
    assert!(asked.header("www-authenticate").unwrap().starts_with("Digest "), "{}", asked.head);
    // So is one that asks with nothing, to be asked.
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 401);
    let text = inform(MAC, &["0 BOOTSTRAP"], &[]);
    let wrong = phone.post(&server, &text, &["--digest", "--user", "phone-1:another"]).unwrap();
    assert_eq!(wrong.status, 401);
    let right = phone.post(&server, &text, &["--digest", "--user", "phone-1:not-a-real-key"]).unwrap();
    assert_eq!(right.status, 200, "{}", right.head);
    // The cookie is proof enough for what follows.
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 200);
}

#[test]
fn a_certificate_opens_a_session_and_holds_it() {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("name = \"https\"", "name = \"https\"\ncwmp = \"/cwmp\""));
    let (mine, others) = ("000e08000001", "000e08000002");
    let subject = |serial| Some(("CP-6841-3PCC", serial));
    deployment.certificates(&[(mine, subject("88012BA01234")), (others, subject("88012BA01235"))]);
    deployment.write(
        &format!("profiles/devices/{mine}.toml"),
        "model = \"CP-6841-3PCC\"\nserial = \"88012BA01234\"\n[access]\ncertificate = true\n[lines.1]\nuser = \"1001\"\n",
    );
    let server = deployment.start();
    let text = inform("88012BA01234", &["0 BOOTSTRAP"], &[]).replace("00085D<", "000E08<");
    let message = server.deployment.path("message");
    std::fs::write(&message, text).unwrap();
    let data = format!("@{}", message.display());
    let post = |phone: Option<&str>, cookie: &str, data: &str| {
        server.curl(phone, "/cwmp", &["--data-binary", data, "--header", cookie, "--header", "Content-Type: text/xml"])
    };
    let Some(none) = post(None, "X: 1", &data) else { return };
    let other = post(Some(others), "X: 1", &data).unwrap();
    assert_eq!((none.status, other.status), (404, 404));
    let right = post(Some(mine), "X: 1", &data).unwrap();
    assert_eq!(right.status, 200, "{}", right.head);
    let cookie = format!("Cookie: {}", right.header("set-cookie").unwrap());
    // Another phone with the cookie, and somebody without a certificate.
    assert_eq!(post(Some(others), &cookie, "").unwrap().status, 400);
    assert_eq!(post(None, &cookie, "").unwrap().status, 400);
    assert_eq!(post(Some(mine), &cookie, "").unwrap().status, 200);
}

#[test]
fn what_means_harm_is_refused_and_costs_the_session_only() {
    let server = server(HERE);
    let mut phone = Phone::new();
    for (body, status) in [
        ("not XML".to_owned(), 400),
        (format!("<!DOCTYPE a>{}", envelope("1", "<cwmp:Inform/>")), 400),
        (envelope("1", &"<a>".repeat(100_000)), 400),
        ("x".repeat((1 << 20) + 1), 413),
    ] {
        let Some(reply) = phone.post(&server, &body, &[]) else { return };
        assert_eq!(reply.status, status, "{}", reply.head);
    }
    // In the middle of a session it is that session's end, and nobody else's.
    assert_eq!(phone.inform(&server, &["2 PERIODIC"]).unwrap().status, 200);
    assert_eq!(phone.post(&server, "not XML", &[]).unwrap().status, 400);
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 400);
    assert!(phone.session(&server, &["2 PERIODIC"]));
}
