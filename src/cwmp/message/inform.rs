//! Inform: with it a phone opens every session.

use std::fmt;

use super::ParameterValue;
use super::parameters::read_values;
use crate::cwmp::Moment;
use crate::cwmp::soap::{Problem, ReadError, Reader};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inform {
    pub device: DeviceId,
    /// Why the session was opened; several at once.
    pub events: Vec<Event>,
    /// The phone's clock.
    pub current_time: Moment,
    /// How often the phone has tried in vain to have this session.
    pub retry_count: u32,
    /// What every Inform has (versions, the ConnectionRequestURL, the ParameterKey), and what has changed of what notifications ask for.
    pub parameters: Vec<ParameterValue>,
}

/// What a phone says it is. All of it is a claim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceId {
    pub manufacturer: String,
    /// The maker's first three octets, `00085D`, as the phone writes them.
    pub oui: String,
    pub product_class: String,
    /// Aastra: the MAC.
    pub serial_number: String,
}

/// One reason for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub code: EventCode,
    /// The key of the request that led to it. Some phones leave it empty, so that TransferComplete's own is what counts.
    pub command_key: String,
}

/// The events of TR-069, told by the number at their beginning: what stands behind is spelt in several ways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventCode {
    /// `0 BOOTSTRAP`: the first session with this server. What was known of the phone doesn't hold any more.
    Bootstrap,
    /// `1 BOOT`
    Boot,
    /// `2 PERIODIC`
    Periodic,
    /// `3 SCHEDULED`
    Scheduled,
    /// `4 VALUE CHANGE`
    ValueChange,
    /// `5 KICKED`
    Kicked,
    /// `6 CONNECTION REQUEST`
    ConnectionRequest,
    /// `7 TRANSFER COMPLETE`
    TransferComplete,
    /// `8 DIAGNOSTICS COMPLETE`
    DiagnosticsComplete,
    /// `9 REQUEST DOWNLOAD`
    RequestDownload,
    /// `10 AUTONOMOUS TRANSFER COMPLETE`
    AutonomousTransferComplete,
    /// `M Reboot`, `M Download`, …: a method that was asked for, by its name.
    Method(String),
    /// Any other, `X 00085D …` of vendors among them, as it came.
    Other(String),
}

impl EventCode {
    fn parse(text: &str) -> Self {
        let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match first {
            "0" => Self::Bootstrap,
            "1" => Self::Boot,
            "2" => Self::Periodic,
            "3" => Self::Scheduled,
            "4" => Self::ValueChange,
            "5" => Self::Kicked,
            "6" => Self::ConnectionRequest,
            "7" => Self::TransferComplete,
            "8" => Self::DiagnosticsComplete,
            "9" => Self::RequestDownload,
            "10" => Self::AutonomousTransferComplete,
            "M" if !rest.is_empty() => Self::Method(rest.trim_start().to_owned()),
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl fmt::Display for EventCode {
    /// As TR-069 spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bootstrap => "0 BOOTSTRAP",
            Self::Boot => "1 BOOT",
            Self::Periodic => "2 PERIODIC",
            Self::Scheduled => "3 SCHEDULED",
            Self::ValueChange => "4 VALUE CHANGE",
            Self::Kicked => "5 KICKED",
            Self::ConnectionRequest => "6 CONNECTION REQUEST",
            Self::TransferComplete => "7 TRANSFER COMPLETE",
            Self::DiagnosticsComplete => "8 DIAGNOSTICS COMPLETE",
            Self::RequestDownload => "9 REQUEST DOWNLOAD",
            Self::AutonomousTransferComplete => "10 AUTONOMOUS TRANSFER COMPLETE",
            Self::Method(name) => return write!(f, "M {name}"),
            Self::Other(text) => text,
        })
    }
}

impl Inform {
    pub fn has(&self, code: &EventCode) -> bool {
        self.events.iter().any(|event| event.code == *code)
    }

    /// The value of a parameter, by its full name.
    pub fn parameter(&self, name: &str) -> Option<&ParameterValue> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    /// Who the phone is can't be guessed; all else that is missing only says less.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut device, mut events, mut parameters) = (None, Vec::new(), Vec::new());
        let (mut current_time, mut retry_count) = (Moment::Unknown, 0);
        while let Some(child) = reader.child()? {
            match child.name {
                "DeviceId" => device = Some(DeviceId::read(reader)?),
                "Event" => events = reader.list("EventStruct", Event::read)?,
                "CurrentTime" => current_time = reader.moment()?,
                "RetryCount" => retry_count = reader.word()?.parse().unwrap_or_default(),
                "ParameterList" => parameters = read_values(reader)?,
                _ => reader.skip()?,
            }
        }
        let device = device.ok_or_else(|| reader.error(Problem::Missing("the DeviceId")))?;
        Ok(Self { device, events, current_time, retry_count, parameters })
    }
}

impl DeviceId {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut device = Self::default();
        while let Some(child) = reader.child()? {
            match child.name {
                "Manufacturer" => device.manufacturer = reader.name()?,
                "OUI" => device.oui = reader.name()?,
                "ProductClass" => device.product_class = reader.name()?,
                "SerialNumber" => device.serial_number = reader.name()?,
                _ => reader.skip()?,
            }
        }
        if device.oui.is_empty() {
            return Err(reader.error(Problem::Missing("the OUI")));
        }
        if device.serial_number.is_empty() {
            return Err(reader.error(Problem::Missing("the SerialNumber")));
        }
        Ok(device)
    }
}

impl Event {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut code, mut command_key) = (None, String::new());
        while let Some(child) = reader.child()? {
            match child.name {
                "EventCode" => code = Some(EventCode::parse(&reader.name()?)),
                "CommandKey" => command_key = reader.name()?,
                _ => reader.skip()?,
            }
        }
        let code = code.ok_or_else(|| reader.error(Problem::Missing("an EventCode")))?;
        Ok(Self { code, command_key })
    }
}

#[cfg(test)]
mod tests {
    use super::EventCode;

    #[test]
    fn events_are_told_by_their_number() {
        for text in [
            "0 BOOTSTRAP",
            "1 BOOT",
            "4 VALUE CHANGE",
            "10 AUTONOMOUS TRANSFER COMPLETE",
            "M Reboot",
            "X 00085D Odd",
            "11 DU STATE CHANGE COMPLETE",
        ] {
            assert_eq!(EventCode::parse(text).to_string(), text);
        }
        // As Aastra's guide spells it.
        assert_eq!(EventCode::parse("0 BOOTSRAPE"), EventCode::Bootstrap);
        assert_eq!(EventCode::parse("M"), EventCode::Other("M".to_owned()));
        assert_eq!(EventCode::parse(""), EventCode::Other(String::new()));
    }
}
