//! A phone of a few lines, that holds parameters by their names and answers as it is told to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{KEY, MAC, VERSION};
use crate::support::deployment::{Reply, Running};

/// A phone, and how it misbehaves.
#[derive(Default)]
pub struct Phone {
    /// What it tells in its Inform beside its version and key.
    pub tells: Vec<(&'static str, String)>,
    pub holds: BTreeMap<String, String>,
    /// Parameters that it refuses to be set, with the fault.
    pub refuses: BTreeMap<&'static str, u16>,
    /// It doesn't say which.
    pub names_none: bool,
    /// What it says of it.
    pub says: &'static str,
    /// The methods that it answers 9000.
    pub lacks: Vec<&'static str>,
    pub cookie: Option<String>,
    pub ignores_cookies: bool,
    /// What it was asked, by its name, in this session.
    pub asked: Vec<String>,
    /// The names of all parameters that it was given.
    pub set: Vec<String>,
    pub posts: usize,
    /// Methods to which it answers a fault.
    pub fails: BTreeMap<&'static str, u16>,
    /// What it has to say after its next Inform.
    pub news: Vec<String>,
    /// Downloads and Uploads that it was asked for: method, CommandKey, file type, URL.
    pub transfers: Vec<[String; 4]>,
    /// OUI and serial number, where it is no Aastra.
    pub is: Option<(&'static str, &'static str)>,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

pub fn envelope(id: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><SOAP-ENV:Header><cwmp:ID SOAP-ENV:mustUnderstand=\"1\">{id}</cwmp:ID>\
         </SOAP-ENV:Header><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
}

pub fn inform(serial: &str, events: &[&str], parameters: &[(&str, &str)]) -> String {
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
    pub fn new() -> Self {
        let mut phone = Self::default();
        phone.holds.insert(VERSION.to_owned(), "3.3.1".to_owned());
        phone.holds.insert(KEY.to_owned(), String::new());
        phone
    }

    pub fn post(&mut self, server: &Running, body: &str, more: &[&str]) -> Option<Reply> {
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

    pub fn inform(&mut self, server: &Running, events: &[&str]) -> Option<Reply> {
        self.asked.clear();
        self.set.clear();
        self.posts = 0;
        let (oui, serial) = self.is.unwrap_or(("00085D", MAC));
        let mut parameters = vec![(VERSION, &*self.holds[VERSION]), (KEY, &*self.holds[KEY])];
        parameters.extend(self.tells.iter().map(|(name, value)| (*name, value.as_str())));
        let text = inform(&serial.to_uppercase(), events, &parameters);
        self.post(server, &text.replace("<OUI>00085D", &format!("<OUI>{oui}")), &[])
    }

    /// A whole session. False where there is no curl.
    pub fn session(&mut self, server: &Running, events: &[&str]) -> bool {
        let Some(reply) = self.inform(server, events) else { return false };
        assert_eq!(reply.status, 200, "{}", reply.head);
        assert!(reply.text().contains("InformResponse"), "{}", reply.text());
        for news in std::mem::take(&mut self.news) {
            let reply = self.post(server, &envelope("news", &news), &[]).unwrap();
            assert!(reply.status == 200 && reply.text().contains("Response"), "{} {}", reply.head, reply.text());
        }
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
        if let Some(code) = self.fails.get(method) {
            return envelope(id, &fault(*code, ""));
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
                    "GetParameterNames",
                    "AddObject",
                    "DeleteObject",
                    "Download",
                    "Upload",
                    "Reboot",
                    "FactoryReset",
                    "ScheduleInform",
                ];
                let all: String = all.iter().map(|name| format!("<string>{name}</string>")).collect();
                format!("<cwmp:GetRPCMethodsResponse><MethodList>{all}</MethodList></cwmp:GetRPCMethodsResponse>")
            }
            "GetParameterValues" => {
                let mut list = String::new();
                let all = names.iter().flat_map(|name| match name.ends_with('.') {
                    true => self.holds.keys().filter(|held| held.starts_with(name)).cloned().collect(),
                    false => vec![(*name).to_owned()],
                });
                for name in all {
                    let value = self.holds.get(&name).map(String::as_str).unwrap_or_default();
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
            "GetParameterNames" => {
                let name = |name: &String| {
                    format!("<ParameterInfoStruct><Name>{name}</Name><Writable>1</Writable></ParameterInfoStruct>")
                };
                let list: String = self.holds.keys().map(name).collect();
                format!(
                    "<cwmp:GetParameterNamesResponse><ParameterList>{list}</ParameterList></cwmp:GetParameterNamesResponse>"
                )
            }
            "AddObject" => {
                "<cwmp:AddObjectResponse><InstanceNumber>7</InstanceNumber><Status>0</Status></cwmp:AddObjectResponse>"
                    .to_owned()
            }
            "DeleteObject" => "<cwmp:DeleteObjectResponse><Status>1</Status></cwmp:DeleteObjectResponse>".to_owned(),
            "Download" | "Upload" => {
                let text = |name| named(name).next().and_then(|node| node.text()).unwrap_or_default().to_owned();
                self.transfers.push([method.to_owned(), text("CommandKey"), text("FileType"), text("URL")]);
                format!(
                    "<cwmp:{method}Response><Status>1</Status><StartTime>0001-01-01T00:00:00Z</StartTime>\
                     <CompleteTime>0001-01-01T00:00:00Z</CompleteTime></cwmp:{method}Response>"
                )
            }
            "Reboot" | "FactoryReset" | "ScheduleInform" => format!("<cwmp:{method}Response/>"),
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
                format!("<SetParameterValuesFault><ParameterName>{name}</ParameterName><FaultCode>{code}</FaultCode><FaultString>{}</FaultString></SetParameterValuesFault>", self.says)
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

    pub fn holds(&self, name: &str) -> &str {
        self.holds.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn fault(code: u16, parameters: &str) -> String {
    format!(
        "<SOAP-ENV:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault><FaultCode>{code}</FaultCode>\
         <FaultString>fault</FaultString>{parameters}</cwmp:Fault></detail></SOAP-ENV:Fault>"
    )
}

/// What a phone says when a transfer is over; 0 is no fault.
pub fn transfer_complete(key: &str, fault: u16) -> String {
    format!(
        "<cwmp:TransferComplete><CommandKey>{key}</CommandKey><FaultStruct><FaultCode>{fault}</FaultCode><FaultString/></FaultStruct>\
         <StartTime>2026-01-31T12:00:00Z</StartTime><CompleteTime>2026-01-31T12:00:09Z</CompleteTime></cwmp:TransferComplete>"
    )
}
