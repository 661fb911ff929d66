//! Envelopes, as the phone reads and writes them.
//!
//! Elements are known by their local names: what prefixes a server uses is its own business. Counts of arrays are not believed.

use std::fmt::Write as _;

use roxmltree::{Document, Node};

use super::message::{self, Refusal, Request};

/// What a server's envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// With the ID to be given back.
    Request {
        id: String,
        request: Result<Request, Refusal>,
        method: String,
    },
    /// The answer to a request of the phone's, by its name: `InformResponse`.
    Answer(String),
    Fault {
        code: u32,
        text: String,
    },
}

/// Why an answer is no envelope. It repeats nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoapError {
    #[error("it is not in UTF-8")]
    NotUtf8,
    #[error("line {0} is no well-formed XML")]
    Malformed(u32),
    #[error("there is no envelope with a body in it")]
    NoBody,
}

/// The first child element of that name.
pub fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// All text of an element.
pub fn text(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// Reads what a server answered.
///
/// # Errors
/// When it is no envelope.
pub fn read(body: &[u8]) -> Result<Heard, SoapError> {
    let text_of = std::str::from_utf8(body).map_err(|_| SoapError::NotUtf8)?;
    let document = Document::parse(text_of).map_err(|error| SoapError::Malformed(error.pos().row))?;
    let envelope = document.root_element();
    let body = child(envelope, "Body").filter(|_| envelope.tag_name().name() == "Envelope");
    let message = body.and_then(|body| body.first_element_child()).ok_or(SoapError::NoBody)?;
    let id = child(envelope, "Header").and_then(|header| child(header, "ID")).map(text).unwrap_or_default();
    let method = message.tag_name().name().to_owned();
    if method == "Fault" {
        let inner = message.descendants().find(|node| node.tag_name().name() == "FaultCode");
        let words = message.descendants().find(|node| node.tag_name().name() == "FaultString");
        let code = inner.and_then(|node| text(node).trim().parse().ok()).unwrap_or(0);
        return Ok(Heard::Fault { code, text: words.map(text).unwrap_or_default() });
    }
    if method.ends_with("Response") {
        return Ok(Heard::Answer(method));
    }
    Ok(Heard::Request { id, request: message::request(message), method })
}

/// Text as it stands between tags.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A reader would make a line end of it.
            '\r' => out.push_str("&#13;"),
            // XML has no way to say these.
            character if character.is_control() && !matches!(character, '\t' | '\n') => out.push('\u{FFFD}'),
            character => out.push(character),
        }
    }
    out
}

/// `<name>text</name>`
pub fn element(out: &mut String, name: &str, text: &str) {
    // Writing to a text can't fail.
    let _ = write!(out, "<{name}>{}</{name}>", escaped(text));
}

/// A parameter and its value with its type.
pub fn value(out: &mut String, name: &str, kind: &str, value: &str) {
    let _ = write!(
        out,
        "<ParameterValueStruct><Name>{}</Name><Value xsi:type=\"xsd:{kind}\">{}</Value></ParameterValueStruct>",
        escaped(name),
        escaped(value)
    );
}

/// An array of so many items that were written already.
pub fn array(out: &mut String, name: &str, kind: &str, count: usize, items: &str) {
    let _ = write!(out, "<{name} SOAP-ENC:arrayType=\"{kind}[{count}]\">{items}</{name}>");
}

/// An envelope around a body.
pub fn envelope(namespace: &str, id: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SOAP-ENV:Envelope \
         xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:SOAP-ENC=\"http://schemas.xmlsoap.org/soap/encoding/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:cwmp=\"{namespace}\"><SOAP-ENV:Header>\
         <cwmp:ID SOAP-ENV:mustUnderstand=\"1\">{}</cwmp:ID></SOAP-ENV:Header><SOAP-ENV:Body>{body}</SOAP-ENV:Body>\
         </SOAP-ENV:Envelope>\n",
        escaped(id)
    )
}

/// The body of a refusal.
pub fn fault(refusal: &Refusal) -> String {
    let mut inner = String::new();
    element(&mut inner, "FaultCode", &refusal.code.to_string());
    element(&mut inner, "FaultString", refusal.text());
    for (name, code) in &refusal.parameters {
        inner.push_str("<SetParameterValuesFault>");
        element(&mut inner, "ParameterName", name);
        element(&mut inner, "FaultCode", &code.to_string());
        element(&mut inner, "FaultString", message::meaning(*code));
        inner.push_str("</SetParameterValuesFault>");
    }
    // The sender's fault where the request is wrong, the receiver's where the phone can't (TR-069, table "fault codes").
    let side = if matches!(refusal.code, 9000..=9002 | 9004 | 9009 | 9010..=9019) { "Server" } else { "Client" };
    format!(
        "<SOAP-ENV:Fault><faultcode>{side}</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>{inner}\
         </cwmp:Fault></detail></SOAP-ENV:Fault>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_the_servers_business() {
        let body = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\">\
            <e:Header><c:ID>a&amp;b</c:ID></e:Header><e:Body><c:GetRPCMethods/></e:Body></e:Envelope>";
        let heard = read(body.as_bytes()).unwrap();
        let Heard::Request { id, request, .. } = heard else { panic!("{heard:?}") };
        assert_eq!((id.as_str(), request), ("a&b", Ok(Request::GetRpcMethods)));
    }

    #[test]
    fn what_is_no_envelope_is_told_so() {
        assert_eq!(read(b"\xff"), Err(SoapError::NotUtf8));
        assert_eq!(read(b"<a/>"), Err(SoapError::NoBody));
        assert!(matches!(read(b"<html>\n<br></html>"), Err(SoapError::Malformed(2))));
        let laughs = "<!DOCTYPE a [<!ENTITY b \"b\">]><a>&b;</a>";
        assert!(matches!(read(laughs.as_bytes()), Err(SoapError::Malformed(_))));
    }

    #[test]
    fn a_refusal_names_its_parameters() {
        let refusal = Refusal { code: 9003, parameters: vec![("Device.A&B".to_owned(), 9005)] };
        let text = fault(&refusal);
        assert!(text.contains("<ParameterName>Device.A&amp;B</ParameterName><FaultCode>9005</FaultCode>"), "{text}");
        assert!(text.starts_with("<SOAP-ENV:Fault><faultcode>Client<"), "{text}");
    }
}
