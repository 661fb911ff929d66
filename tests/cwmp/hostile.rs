//! SOAP that means harm, or is none: each a refusal with its place, none a panic, and none kept longer than its limit.

use proptest::prelude::*;
use resyncd::cwmp::message::{FaultCode, FromPhone, PhoneRequest, Response};
use resyncd::cwmp::soap::{Envelope, Limits, Problem, ReadError, Refusal};

use super::posts;

const BEFORE: &str = r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><e:Header><cwmp:ID e:mustUnderstand="1">42</cwmp:ID></e:Header><e:Body>"#;
const AFTER: &str = "</e:Body></e:Envelope>";

const DEVICE: &str = "<DeviceId><Manufacturer>A</Manufacturer><OUI>00085D</OUI><ProductClass>6867i</ProductClass><SerialNumber>00085D000001</SerialNumber></DeviceId>";

fn read(text: impl AsRef<[u8]>) -> Result<Envelope, ReadError> {
    Envelope::read(text.as_ref(), &Limits::default())
}

fn in_body(content: &str) -> String {
    format!("{BEFORE}{content}{AFTER}")
}

fn inform(content: &str) -> String {
    in_body(&format!("<cwmp:Inform>{DEVICE}{content}</cwmp:Inform>"))
}

fn problem(text: impl AsRef<[u8]>) -> Problem {
    let text = text.as_ref();
    let error = read(text).expect_err("it should be refused");
    assert!(error.at <= text.len(), "{error}: of {} bytes", text.len());
    let shown = error.to_string();
    assert!(shown.len() < 2000 && !shown.contains('\n'), "{shown}");
    error.problem
}

#[test]
fn what_is_no_xml_is_refused() {
    for text in [
        "nothing",
        "{\"a\": 1}",
        "<",
        "<a",
        "</a>",
        "<a></b>",
        "<Envelope",
        "POST / HTTP/1.1",
        " ",
        "<>",
        "< />",
        "<1/>x",
    ] {
        let problem = problem(text);
        assert_eq!(problem.refusal(), Refusal::Status(400), "{text}: {problem}");
    }
    for text in [
        in_body("<cwmp:Inform a=1/>"),
        in_body("<cwmp:Inform a=\"1\" a=\"2\"/>"),
        in_body("<cwmp:Inform></cwmp:Reboot>"),
        inform("").replace("</cwmp:Inform>", ""),
        format!("junk{}", inform("")),
        format!("{}<more/>", inform("")),
        format!("{}junk", inform("")),
        inform("<!-- a -- b --").replace("</e:Envelope>", ""),
    ] {
        let problem = problem(&text);
        assert_eq!(problem.refusal(), Refusal::Status(400), "{text}: {problem}");
    }
}

#[test]
fn a_million_elements_deep_is_refused_at_the_first_too_many() {
    let deep = in_body(&"<a>".repeat(300_000));
    let error = read(&deep).unwrap_err();
    assert_eq!(error.problem, Problem::TooDeep { limit: 32 });
    assert!(error.at < 500, "{error}");
    let limits = Limits { bytes: usize::MAX, ..Limits::default() };
    let deep = in_body(&"<a>".repeat(1_000_000));
    assert_eq!(Envelope::read(deep.as_bytes(), &limits).unwrap_err().problem, Problem::TooDeep { limit: 32 });
    // What is passed over is counted, too.
    assert_eq!(problem(inform(&"<X>".repeat(40))), Problem::TooDeep { limit: 32 });
}

#[test]
fn document_types_entities_and_instructions_are_never_read() {
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>"#;
    assert_eq!(problem(format!("{bomb}{}", inform("<X>&lol2;</X>"))), Problem::DocumentType);
    let file = r#"<!DOCTYPE e [<!ENTITY f SYSTEM "file:///etc/passwd">]>"#;
    assert_eq!(problem(format!("{file}{}", inform("<CurrentTime>&f;</CurrentTime>"))), Problem::DocumentType);
    for reference in ["&lol;", "&nbsp;", "&#0;", "&#x1;", "&#xFFFF;", "&#xD800;", "&#1114112;", "&#;", "&#-1;", "&#x;"]
    {
        assert_eq!(problem(inform(&format!("<CurrentTime>{reference}</CurrentTime>"))), Problem::Entity, "{reference}");
        assert_eq!(problem(inform(&format!("<Skipped>{reference}</Skipped>"))), Problem::Entity, "{reference}");
    }
    assert_eq!(problem(inform("<X a='&lol;'/>")), Problem::Entity);
    assert_eq!(problem(inform("<?php evil ?>")), Problem::ProcessingInstruction);
    assert_eq!(problem(inform("<?xml version='1.0'?>")), Problem::ProcessingInstruction);
    assert_eq!(problem(format!("<?xml-stylesheet href='x'?>{}", inform(""))), Problem::ProcessingInstruction);
}

#[test]
fn other_encodings_are_refused_by_their_name() {
    for (encoding, fine) in [
        ("UTF-8", true),
        ("utf-8", true),
        ("us-ascii", true),
        ("ISO-8859-1", false),
        ("UTF-16", false),
        ("windows-1252", false),
    ] {
        let text = format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{}", inform(""));
        if fine {
            assert!(read(&text).is_ok(), "{encoding}");
        } else {
            let problem = problem(&text);
            assert_eq!(problem, Problem::Encoding(encoding.to_owned()));
            assert_eq!(problem.refusal(), Refusal::Status(415));
        }
    }
    let latin = [b"<?xml version='1.0' encoding='ISO-8859-1'?><a>".as_slice(), &[0xe9], b"</a>"].concat();
    assert_eq!(problem(latin), Problem::Encoding("ISO-8859-1".to_owned()));
    let broken = inform("<CurrentTime>#</CurrentTime>").into_bytes();
    let broken: Vec<u8> = broken.into_iter().map(|byte| if byte == b'#' { 0xe9 } else { byte }).collect();
    assert_eq!(problem(broken), Problem::NotUtf8);
    let wide: Vec<u8> = inform("").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(problem(&wide), Problem::Encoding("UTF-16".to_owned()));
    assert_eq!(problem([[0xff, 0xfe].as_slice(), &wide].concat()), Problem::Encoding("UTF-16".to_owned()));
    assert!(read(format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>{}", inform(""))).is_ok());
    assert_eq!(problem(inform("<X>\u{1}</X>")), Problem::Character('\u{1}'));
    assert_eq!(problem(inform("<X>\0</X>")), Problem::Character('\0'));
}

#[test]
fn too_much_is_refused_as_what_it_is_too_much_of() {
    let limits = Limits::default();
    let fault = |code| Refusal::Fault(code);
    let large = inform(&" ".repeat(limits.bytes));
    assert_eq!(problem(&large), Problem::TooLarge { limit: limits.bytes });
    assert_eq!(problem(&large).refusal(), Refusal::Status(413));
    let megabytes = "x".repeat(10 << 20);
    assert_eq!(problem(format!("<{megabytes}/>")), Problem::TooLarge { limit: limits.bytes });
    let unbounded = Limits { bytes: usize::MAX, ..Limits::default() };
    let read_unbounded = |text: &str| Envelope::read(text.as_bytes(), &unbounded).unwrap_err();

    let error = read_unbounded(&inform(&format!("<{megabytes}/>")));
    assert_eq!(error.problem, Problem::ElementName { limit: 256 });
    assert_eq!(error.problem.refusal(), Refusal::Status(400));
    let list = |name: &str, value: &str| {
        inform(&format!(
            "<ParameterList><ParameterValueStruct><Name>{name}</Name><Value>{value}</Value></ParameterValueStruct></ParameterList>"
        ))
    };
    let error = read_unbounded(&list(&megabytes, ""));
    assert_eq!(error.problem, Problem::TextTooLong { limit: limits.text });
    assert_eq!(error.problem.refusal(), fault(FaultCode::ACS_INVALID_ARGUMENTS));
    assert_eq!((error.id.as_deref(), error.method.as_deref()), (Some("42"), Some("Inform")));
    assert_eq!(read_unbounded(&list("Device.X", &megabytes)).problem, Problem::TextTooLong { limit: limits.text });
    assert_eq!(problem(list(&"é".repeat(257), "")), Problem::NameTooLong { limit: 256 });
    assert!(read(list(&"é".repeat(256), &"v".repeat(limits.text))).is_ok());

    assert_eq!(problem(inform(&"<a/>".repeat(limits.elements))), Problem::TooManyElements { limit: limits.elements });
    let attributes: String = (0..100).map(|number| format!(" a{number}=''")).collect();
    assert_eq!(problem(inform(&format!("<X{attributes}/>"))), Problem::TooManyAttributes { limit: limits.attributes });
    let prefixes: String = (0..100_000).map(|number| format!(" xmlns:a{number}=''")).collect();
    assert_eq!(read_unbounded(&inform(&format!("<X{prefixes}/>"))).problem.refusal(), Refusal::Status(400));

    let few = Limits { items: 3, ..Limits::default() };
    let events = |count: usize| {
        inform(&format!("<Event>{}</Event>", "<EventStruct><EventCode>1 BOOT</EventCode></EventStruct>".repeat(count)))
    };
    assert!(Envelope::read(events(3).as_bytes(), &few).is_ok());
    let error = Envelope::read(events(4).as_bytes(), &few).unwrap_err();
    assert_eq!(error.problem, Problem::TooManyItems { limit: 3 });
    assert_eq!(error.problem.refusal(), fault(FaultCode::ACS_RESOURCES_EXCEEDED));
    assert_eq!(error.path, "Envelope/Body/Inform/Event");
    let faults = "<SetParameterValuesFault><ParameterName>a</ParameterName></SetParameterValuesFault>".repeat(4);
    let text = in_body(&format!("<e:Fault><detail><cwmp:Fault>{faults}</cwmp:Fault></detail></e:Fault>"));
    assert_eq!(Envelope::read(text.as_bytes(), &few).unwrap_err().problem, Problem::TooManyItems { limit: 3 });
}

/// The names of a whole data model come in one envelope.
#[test]
fn what_real_phones_send_is_not_too_much() {
    let names: String = (0..5000)
        .map(|number| {
            format!(
                "<ParameterInfoStruct><Name>Device.Services.VoiceService.1.VoiceProfile.1.Line.1.X_{number}</Name><Writable>1</Writable></ParameterInfoStruct>\n"
            )
        })
        .collect();
    let text = in_body(&format!(
        "<cwmp:GetParameterNamesResponse><ParameterList>{names}</ParameterList></cwmp:GetParameterNamesResponse>"
    ));
    let FromPhone::Response(Response::GetParameterNames(names)) = read(text).unwrap().body else {
        panic!("no GetParameterNamesResponse")
    };
    assert_eq!(names.len(), 5000);
}

#[test]
fn counts_of_arrays_are_not_believed() {
    for count in ["0", "1", "16", "4294967296", "-1", "x", ""] {
        let event = "<EventStruct><EventCode>1 BOOT</EventCode></EventStruct><EventStruct><EventCode>4 VALUE CHANGE</EventCode></EventStruct>";
        let text = inform(&format!("<Event e:arrayType=\"cwmp:EventStruct[{count}]\">{event}</Event>"));
        let FromPhone::Request(PhoneRequest::Inform(inform)) = read(text).unwrap().body else { panic!("no Inform") };
        assert_eq!(inform.events.len(), 2, "{count}");
    }
}

#[test]
fn a_mistake_has_its_place() {
    let error =
        read(inform("<ParameterList><ParameterValueStruct><Value>1</Value></ParameterValueStruct></ParameterList>"))
            .unwrap_err();
    assert_eq!(error.problem, Problem::Missing("the Name of a parameter"));
    // Once it is known that no name comes, the struct is closed.
    assert_eq!(error.path, "Envelope/Body/Inform/ParameterList");
    for text in
        ["<cwmp:Inform a=1/>", "<cwmp:Inform a='1' a='2'/>", "<cwmp:Inform xmlns:xmlns='x'/>", "<cwmp:Inform></a>"]
    {
        let error = read(in_body(text)).unwrap_err();
        assert!((BEFORE.len()..=BEFORE.len() + text.len()).contains(&error.at), "{error}");
        assert!(error.path.starts_with("Envelope/Body"), "{error}");
    }
    let text = in_body("<cwmp:AddObjectResponse><InstanceNumber>two</InstanceNumber></cwmp:AddObjectResponse>");
    let error = read(&text).unwrap_err();
    assert_eq!(error.at, text.find("</InstanceNumber>").unwrap() + "</InstanceNumber>".len());
    assert!(!error.is_request());
    assert_eq!(
        error.to_string(),
        format!("byte {}, in Envelope/Body/AddObjectResponse: this can't be read as a number in its range", error.at)
    );
}

#[test]
fn a_message_of_an_error_shows_no_values() {
    for text in [
        inform("<Password>hush & more</Password>"),
        inform("<Password>&hush;</Password>"),
        inform("<Password>hush</Pass>"),
        inform("<Password>hush"),
        inform("<Password a=hush/>"),
        inform("<Password a='hush"),
        inform("<Password a='&hush;'/>"),
        in_body("<cwmp:AddObjectResponse><InstanceNumber>hush</InstanceNumber></cwmp:AddObjectResponse>"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    let fine = inform(
        "<ParameterList><ParameterValueStruct><Name>a</Name><Value>hush</Value></ParameterValueStruct></ParameterList>",
    );
    assert!(!format!("{:?}", read(fine).unwrap()).contains("hush"));
}

#[test]
fn a_text_cut_off_anywhere_is_refused() {
    // Some of them: each is read as often as it has bytes.
    for bytes in posts().iter().step_by(5) {
        let whole = Envelope::read(bytes, &Limits::default());
        for end in 0..bytes.len() {
            let cut = read(&bytes[..end]);
            // But for white space after the end.
            if !bytes[end..].trim_ascii().is_empty() {
                let error = cut.unwrap_err();
                assert!(error.at <= end);
            } else {
                assert_eq!(cut, whole);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_bytes_make_the_reader_panic(
        number in any::<usize>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..8),
    ) {
        let posts = posts();
        let mut bytes = posts[number % posts.len()].clone();
        for (index, byte, change) in changes {
            let at = index.index(bytes.len() + 1);
            match change {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ => bytes.truncate(at),
            }
        }
        if let Err(error) = read(&bytes) {
            prop_assert!(error.at <= bytes.len(), "{}", error);
        }
    }
}
