//! Faults: 8xxx are ours, 9xxx the phones'.

use std::fmt;

use crate::cwmp::soap::{ReadError, Reader, Writer};

/// A code of a fault: those of TR-069 A.5, or a vendor's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultCode(pub u16);

/// What could not be done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: FaultCode,
    /// Of a phone: its own words, at most as long as any text. To a phone: the code's.
    pub text: String,
    /// Of SetParameterValues: which parameters were refused. None of the others was set either.
    pub parameters: Vec<ParameterFault>,
}

/// A parameter that a phone refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterFault {
    pub name: String,
    /// 9005 name, 9006 type, 9007 value, 9008 not writable, 9001 or 9002 anything else.
    pub code: FaultCode,
    pub text: String,
}

impl FaultCode {
    /// We don't know the phone's method.
    pub const ACS_METHOD_NOT_SUPPORTED: Self = Self(8000);
    /// We won't, and don't say why.
    pub const ACS_REQUEST_DENIED: Self = Self(8001);
    pub const ACS_INTERNAL_ERROR: Self = Self(8002);
    pub const ACS_INVALID_ARGUMENTS: Self = Self(8003);
    pub const ACS_RESOURCES_EXCEEDED: Self = Self(8004);
    /// The phone is to send the same request again, unchanged.
    pub const RETRY_REQUEST: Self = Self(8005);
    /// The phone's version of CWMP is none of ours.
    pub const VERSION_INCOMPATIBLE: Self = Self(8006);
    /// The phone doesn't know our method.
    pub const METHOD_NOT_SUPPORTED: Self = Self(9000);
    pub const REQUEST_DENIED: Self = Self(9001);
    pub const INTERNAL_ERROR: Self = Self(9002);
    pub const INVALID_ARGUMENTS: Self = Self(9003);
    pub const RESOURCES_EXCEEDED: Self = Self(9004);
    pub const INVALID_PARAMETER_NAME: Self = Self(9005);
    pub const INVALID_PARAMETER_TYPE: Self = Self(9006);
    pub const INVALID_PARAMETER_VALUE: Self = Self(9007);
    pub const NOT_WRITABLE: Self = Self(9008);
    pub const NOTIFICATION_REJECTED: Self = Self(9009);

    /// What TR-069 A.5 calls it.
    pub fn meaning(self) -> &'static str {
        match self.0 {
            8000 | 9000 => "Method not supported",
            8001 | 9001 => "Request denied",
            8002 | 9002 => "Internal error",
            8003 | 9003 => "Invalid arguments",
            8004 | 9004 => "Resources exceeded",
            8005 => "Retry request",
            8006 => "ACS version incompatible with CPE",
            9005 => "Invalid parameter name",
            9006 => "Invalid parameter type",
            9007 => "Invalid parameter value",
            9008 => "Attempt to set a non-writable parameter",
            9009 => "Notification request rejected",
            9010 => "File transfer failure",
            9011 => "Upload failure",
            9012 => "File transfer server authentication failure",
            9013 => "Unsupported protocol for file transfer",
            9014 => "File transfer failure: unable to join multicast group",
            9015 => "File transfer failure: unable to contact file server",
            9016 => "File transfer failure: unable to access file",
            9017 => "File transfer failure: unable to complete download",
            9018 => "File transfer failure: file corrupted",
            9019 => "File transfer failure: file authentication failure",
            9020 => "File transfer failure: unable to complete download within specified time windows",
            8800..=8899 | 9800..=9899 => "A fault of the vendor's own",
            _ => "An unknown fault",
        }
    }

    /// Whose mistake it is by the tables of A.5, as SOAP has it.
    fn whose(self) -> &'static str {
        match self.0 {
            8003 | 9003 | 9005..=9008 => "Client",
            _ => "Server",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self)
    }
}

impl fmt::Debug for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.meaning())
    }
}

impl Fault {
    /// A fault of ours.
    pub fn of(code: FaultCode) -> Self {
        Self { code, text: code.meaning().to_owned(), parameters: Vec::new() }
    }

    /// A SOAP fault. Where it has no detail of CWMP, or no code, it is 9001, "no reason specified", with SOAP's own words.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut fault, mut soap_text) = (None, String::new());
        while let Some(child) = reader.child()? {
            match child.name {
                "faultstring" => soap_text = reader.word()?,
                "detail" => {
                    while let Some(child) = reader.child()? {
                        match child.name {
                            "Fault" => {
                                if let Some(Ok(namespace)) = child.namespace {
                                    reader.namespace = Some(namespace);
                                }
                                fault = Some(Self::read_detail(reader)?);
                            }
                            _ => reader.skip()?,
                        }
                    }
                }
                _ => reader.skip()?,
            }
        }
        Ok(fault.unwrap_or_else(|| Self { code: FaultCode::REQUEST_DENIED, text: soap_text, parameters: Vec::new() }))
    }

    fn read_detail(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut code, mut text, mut parameters) = (None, String::new(), Vec::new());
        while let Some(child) = reader.child()? {
            match child.name {
                "FaultCode" => code = FaultCode::parse(&reader.word()?),
                "FaultString" => text = reader.word()?,
                "SetParameterValuesFault" => {
                    let parameter = ParameterFault::read(reader)?;
                    reader.push(&mut parameters, parameter)?;
                }
                _ => reader.skip()?,
            }
        }
        Ok(Self { code: code.unwrap_or(FaultCode::REQUEST_DENIED), text, parameters })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.within("soap-env:Fault", |writer| {
            writer.text("faultcode", self.code.whose());
            writer.text("faultstring", "CWMP fault");
            writer.within("detail", |writer| {
                writer.within("cwmp:Fault", |writer| {
                    writer.number("FaultCode", self.code.0);
                    writer.text("FaultString", &self.text);
                });
            });
        });
    }
}

impl ParameterFault {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut name, mut code, mut text) = (String::new(), None, String::new());
        while let Some(child) = reader.child()? {
            match child.name {
                "ParameterName" => name = reader.name()?,
                "FaultCode" => code = FaultCode::parse(&reader.word()?),
                "FaultString" => text = reader.word()?,
                _ => reader.skip()?,
            }
        }
        Ok(Self { name, code: code.unwrap_or(FaultCode::REQUEST_DENIED), text })
    }
}
