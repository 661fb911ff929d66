use super::error::{Problem, ReadError};
use super::{CwmpNamespace, Element, Limits, Reader, Writer};
use crate::cwmp::Quirks;
use crate::cwmp::message::{FromPhone, ToPhone};

/// What a phone sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// What replies have to use.
    pub namespace: CwmpNamespace,
    /// What a response or fault has to repeat; of a response, the request's. Phones leave it out.
    pub id: Option<String>,
    pub body: FromPhone,
}

/// What a phone is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub namespace: CwmpNamespace,
    /// The phone's own for a response or fault, one of ours for a request; none where the phone sent none.
    pub id: Option<String>,
    pub body: ToPhone,
}

/// Headers that TR-069 has in some version and that change nothing here: an ACS that asks one thing at a time never holds requests
/// (HoldRequests and NoMoreRequests are of the first versions), time limits are our own (sessionTimeout), and a phone that hears no
/// UseCWMPVersion goes by the namespace.
const PASSED_OVER: [&str; 5] =
    ["HoldRequests", "NoMoreRequests", "sessionTimeout", "SupportedCWMPVersions", "UseCWMPVersion"];

impl Envelope {
    /// Reads the body of a POST that isn't empty.
    ///
    /// # Errors
    /// What is wrong, where, and how it is to be answered: [`Problem::refusal`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes, limits)?;
        let root = reader.root()?;
        if root.name != "Envelope" {
            return Err(reader.error(Problem::NotAnEnvelope(root.name.to_owned())));
        }
        // It is told once it is known what message it is: a fault then answers a request.
        let mut unknown_header = None;
        let mut body = None;
        while let Some(child) = reader.child()? {
            match child.name {
                "Header" => read_headers(&mut reader, &mut unknown_header)?,
                "Body" if body.is_none() => body = read_body(&mut reader, &unknown_header)?,
                _ => reader.skip()?,
            }
        }
        reader.finish()?;
        let body = body.ok_or_else(|| reader.error(Problem::NoBody))?;
        let namespace = reader.namespace.or(reader.declared);
        let namespace = match (namespace, &body) {
            (Some(namespace), _) => namespace,
            // It need not have anything of CWMP in it.
            (None, FromPhone::Fault(_)) => CwmpNamespace::default(),
            (None, _) => return Err(reader.error(Problem::NoNamespace)),
        };
        Ok(Self { namespace, id: reader.id.take(), body })
    }
}

fn read_headers(reader: &mut Reader<'_>, unknown: &mut Option<String>) -> Result<(), ReadError> {
    while let Some(header) = reader.child()? {
        match header.name {
            "ID" => {
                note_namespace(reader, &header);
                reader.id = Some(reader.text()?);
            }
            name => {
                if header.must_understand && !PASSED_OVER.contains(&name) && unknown.is_none() {
                    *unknown = Some(name.to_owned());
                }
                reader.skip()?;
            }
        }
    }
    Ok(())
}

/// The message: the first element of the body.
fn read_body(reader: &mut Reader<'_>, unknown_header: &Option<String>) -> Result<Option<FromPhone>, ReadError> {
    let Some(method) = reader.child()? else { return Ok(None) };
    reader.method = Some(method.name);
    note_namespace(reader, &method);
    if let Some(header) = unknown_header {
        return Err(reader.error(Problem::MustUnderstand(header.clone())));
    }
    if let Some(Err(uri)) = method.namespace {
        return Err(reader.error(Problem::UnknownNamespace(uri)));
    }
    let message = FromPhone::read(reader, method.name)?;
    // MaxEnvelopes is 1, and so is the count of messages; what SOAP encoding may put beside it is referred to by nothing here.
    while reader.child()?.is_some() {
        reader.skip()?;
    }
    Ok(Some(message))
}

fn note_namespace(reader: &mut Reader<'_>, element: &Element<'_>) {
    if let Some(Ok(namespace)) = element.namespace {
        reader.namespace = Some(namespace);
    }
}

impl Reply {
    /// The text that is sent, `text/xml; charset="utf-8"`.
    pub fn write(&self, quirks: &Quirks) -> String {
        let mut writer = Writer { out: String::with_capacity(1024), quirks };
        writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        writer.start("soap-env:Envelope");
        for (prefix, uri) in [
            ("xmlns:soap-env", "http://schemas.xmlsoap.org/soap/envelope/"),
            ("xmlns:soap-enc", "http://schemas.xmlsoap.org/soap/encoding/"),
            ("xmlns:xsd", "http://www.w3.org/2001/XMLSchema"),
            ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
            ("xmlns:cwmp", self.namespace.uri()),
        ] {
            writer.attribute(prefix, uri);
        }
        writer.out.push('>');
        if let Some(id) = &self.id {
            writer.within("soap-env:Header", |writer| writer.understood("cwmp:ID", id));
        }
        writer.within("soap-env:Body", |writer| self.body.write(writer));
        writer.end("soap-env:Envelope");
        writer.out
    }
}

impl Writer<'_> {
    /// A header that the phone must understand, as the schema asks of `ID`.
    fn understood(&mut self, name: &str, text: &str) {
        self.start(name);
        self.attribute("soap-env:mustUnderstand", "1");
        self.out.push('>');
        self.content(text);
        self.end(name);
    }
}
