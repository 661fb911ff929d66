//! What is written reads back as it was, by a reader that isn't ours.

use std::fmt::Debug;

use proptest::prelude::*;
use resyncd::cwmp::message::{
    ACS_METHODS, Answer, Download, Fault, FaultCode, Method, Notification, ObjectChange, ParameterValue, Request,
    SetParameterAttribute, SetParameterValues, ToPhone, Value,
};
use resyncd::cwmp::soap::{CwmpNamespace, Reply, can_hold};
use resyncd::cwmp::{BooleanForm, Quirks};
use resyncd::model::Secret;
use roxmltree::{Document, Node};

const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";
const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema-instance";

fn reply(id: Option<&str>, body: ToPhone) -> Reply {
    Reply { namespace: CwmpNamespace::V1_2, id: id.map(str::to_owned), body }
}

fn written(body: ToPhone) -> String {
    reply(Some("1"), body).write(&Quirks::default())
}

fn texts<'d>(document: &'d Document<'_>, name: &str) -> Vec<&'d str> {
    document.descendants().filter(|node| node.has_tag_name(name)).map(|node| node.text().unwrap_or_default()).collect()
}

/// Every array says how many items it has.
fn assert_counts(node: Node<'_, '_>) {
    let mut arrays = 0;
    for array in node.descendants().filter(|node| node.has_attribute((ENCODING, "arrayType"))) {
        let declared = array.attribute((ENCODING, "arrayType")).unwrap();
        let children = array.children().filter(Node::is_element).count();
        assert!(declared.ends_with(&format!("[{children}]")), "{declared} for {children}");
        arrays += 1;
    }
    assert!(arrays > 0);
}

proptest! {
    #[test]
    fn any_text_comes_out_as_it_went_in(
        id in any::<String>(),
        values in prop::collection::vec((any::<String>(), any::<String>()), 0..9),
        namespace in prop::sample::select(vec![CwmpNamespace::V1_0, CwmpNamespace::V1_1, CwmpNamespace::V1_2, CwmpNamespace::V1_3]),
    ) {
        let set = SetParameterValues {
            values: values.iter().enumerate().map(|(index, (name, text))| ParameterValue {
                name: name.clone(),
                value: if index % 2 == 0 { Value::String(text.clone()) } else { Value::Secret(Secret::new(text.clone())) },
            }).collect(),
            parameter_key: id.clone(),
        };
        let reply = Reply { namespace, id: Some(id.clone()), body: ToPhone::Request(Request::SetParameterValues(set)) };
        let text = reply.write(&Quirks::default());
        let document = Document::parse(&text).unwrap();
        // What XML can't hold is replaced, and nothing else is changed.
        let held = |text: &str| -> String {
            text.chars().map(|character| if can_hold(character.encode_utf8(&mut [0; 4])) { character } else { '\u{fffd}' }).collect()
        };
        let read = |node: Node<'_, '_>| -> String { node.text().unwrap_or_default().to_owned() };
        let header = document.descendants().find(|node| node.tag_name().name() == "ID").unwrap();
        prop_assert_eq!(header.tag_name().namespace(), Some(namespace.uri()));
        prop_assert_eq!(header.attribute(("http://schemas.xmlsoap.org/soap/envelope/", "mustUnderstand")), Some("1"));
        prop_assert_eq!(read(header), held(&id));
        let came: Vec<_> = document.descendants().filter(|node| node.has_tag_name("ParameterValueStruct")).map(|parameter| {
            let child = |name| parameter.children().find(|child| child.has_tag_name(name)).unwrap();
            (read(child("Name")), read(child("Value")))
        }).collect();
        let sent: Vec<_> = values.iter().map(|(name, text)| (held(name), held(text))).collect();
        prop_assert_eq!(came, sent);
        assert_counts(document.root());
        prop_assert_eq!(texts(&document, "ParameterKey"), [held(&id)]);
    }
}

#[test]
fn every_list_says_how_many_it_has() {
    let names = |count: usize| (0..count).map(|index| format!("Device.{index}")).collect::<Vec<_>>();
    for count in [0, 1, 17] {
        for request in [
            Request::GetParameterValues(names(count)),
            Request::GetParameterAttributes(names(count)),
            Request::SetParameterAttributes(
                names(count)
                    .into_iter()
                    .map(|name| SetParameterAttribute {
                        name,
                        notification: Some(Notification::Active),
                        access_list: Some(vec!["Subscriber".to_owned(); count]),
                    })
                    .collect(),
            ),
        ] {
            let text = written(ToPhone::Request(request));
            assert_counts(Document::parse(&text).unwrap().root());
        }
    }
    let text = written(ToPhone::Response(Answer::GetRpcMethods));
    let document = Document::parse(&text).unwrap();
    assert_counts(document.root());
    assert_eq!(texts(&document, "string"), ACS_METHODS);
}

#[test]
fn types_are_written_as_the_phone_wants_them() {
    let quirks = Quirks { booleans: BooleanForm::Digits, ..Quirks::default() };
    let values = [Value::Boolean(true), Value::Int(-1), Value::UnsignedInt(1), Value::Base64(b"hi".to_vec())];
    let set = SetParameterValues {
        values: values.into_iter().map(|value| ParameterValue { name: "Device.X".to_owned(), value }).collect(),
        parameter_key: String::new(),
    };
    let text = reply(Some("1"), ToPhone::Request(Request::SetParameterValues(set))).write(&quirks);
    let document = Document::parse(&text).unwrap();
    let came: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("Value"))
        .map(|node| (node.attribute((SCHEMA, "type")).unwrap(), node.text().unwrap()))
        .collect();
    assert_eq!(came, [("xsd:boolean", "1"), ("xsd:int", "-1"), ("xsd:unsignedInt", "1"), ("soap-enc:base64", "aGk=")]);
}

/// What a session costs on the wire, so that a change that costs more is seen.
#[test]
fn envelopes_are_small() {
    let size = |body: ToPhone| written(body).len();
    let inform = size(ToPhone::Response(Answer::Inform));
    assert!(inform <= 600, "InformResponse has {inform} bytes");
    let set = |count: usize| {
        let value = ParameterValue { name: "n".repeat(50), value: Value::String("v".repeat(10)) };
        size(ToPhone::Request(Request::SetParameterValues(SetParameterValues {
            values: vec![value; count],
            parameter_key: String::new(),
        })))
    };
    let each = (set(1000) - set(0)) / 1000;
    assert!(each <= 60 + 110, "a parameter of 60 bytes takes {each}");
    let get = |count: usize| size(ToPhone::Request(Request::GetParameterValues(vec!["n".repeat(50); count])));
    let each = (get(1000) - get(0)) / 1000;
    assert!(each <= 50 + 18, "a name of 50 bytes takes {each}");
}

#[test]
fn a_response_to_a_request_without_an_id_has_none() {
    let text = reply(None, ToPhone::Response(Answer::Inform)).write(&Quirks::default());
    assert!(!text.contains("Header") && !text.contains("HoldRequests"), "{text}");
    assert_eq!(texts(&Document::parse(&text).unwrap(), "MaxEnvelopes"), ["1"]);
}

#[test]
fn a_fault_says_whose_mistake_it_is() {
    for (code, whose) in [
        (8000, "Server"),
        (8001, "Server"),
        (8002, "Server"),
        (8003, "Client"),
        (8004, "Server"),
        (8005, "Server"),
        (8006, "Server"),
    ] {
        let text = written(ToPhone::Fault(Fault::of(FaultCode(code))));
        let document = Document::parse(&text).unwrap();
        assert_eq!(texts(&document, "faultcode"), [whose], "{code}");
        assert_eq!(texts(&document, "faultstring"), ["CWMP fault"]);
        assert_eq!(texts(&document, "FaultCode"), [code.to_string()]);
        assert!(texts(&document, "FaultString").iter().all(|text| !text.is_empty() && !text.contains("nknown")));
    }
}

#[test]
fn methods_are_known_by_their_names() {
    for method in Method::ALL {
        assert_eq!(method.name().parse::<Method>(), Ok(method));
        assert!(!ACS_METHODS.contains(&method.name()) || method == Method::GetRpcMethods);
    }
    assert!("SetVouchers".parse::<Method>().is_err());
}

#[test]
fn nothing_that_is_sent_shows_a_secret() {
    let shown = |debug: &dyn Debug| format!("{debug:?}");
    let set = Request::SetParameterValues(SetParameterValues {
        values: vec![
            ParameterValue { name: "Device.A".to_owned(), value: Value::Secret(Secret::new("hush")) },
            ParameterValue { name: "Device.B".to_owned(), value: Value::String("hush".to_owned()) },
        ],
        parameter_key: "r7".to_owned(),
    });
    let download = Request::Download(Download {
        command_key: "k".to_owned(),
        file_type: "1 Firmware Upgrade Image".to_owned(),
        url: Secret::new("https://hush/"),
        username: "user".to_owned(),
        password: Secret::new("hush"),
        file_size: 0,
        target_file_name: String::new(),
        delay_seconds: 0,
    });
    for request in [set, download] {
        let reply = reply(Some("1"), ToPhone::Request(request));
        assert!(!shown(&reply).contains("hush"), "{reply:?}");
        assert!(reply.write(&Quirks::default()).contains("hush"));
    }
    let delete = Request::DeleteObject(ObjectChange { name: "Device.X.1.".to_owned(), parameter_key: String::new() });
    assert!(shown(&delete).contains("Device.X.1."));
}
