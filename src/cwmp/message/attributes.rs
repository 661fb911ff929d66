//! GetParameterAttributes and SetParameterAttributes: who is told of a change, and who may make one.

use super::parameters::read_parameter_list;
use crate::cwmp::soap::{Problem, ReadError, Reader, Writer};

/// Whether the phone tells of a change of a parameter that the server didn't make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notification {
    /// 0: not at all.
    Off,
    /// 1: with the next Inform.
    Passive,
    /// 2: at once, with an Inform of its own.
    Active,
    /// 3 to 6, of Amendment 5: by the lightweight notifications that no phone here sends. As the phone reported it.
    Other(u8),
}

/// The attributes that a phone reports of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterAttribute {
    pub name: String,
    pub notification: Notification,
    /// Who may change it beside the server: `Subscriber`, or nobody.
    pub access_list: Vec<String>,
}

/// The attributes to set of a parameter, or of all below an object's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetParameterAttribute {
    pub name: String,
    /// `None` leaves it as it is.
    pub notification: Option<Notification>,
    /// `None` leaves it as it is; an empty list is for the server alone.
    pub access_list: Option<Vec<String>>,
}

impl Notification {
    /// The number of the protocol.
    pub fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Passive => 1,
            Self::Active => 2,
            Self::Other(number) => number,
        }
    }

    fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Off,
            1 => Self::Passive,
            2 => Self::Active,
            other => Self::Other(other),
        }
    }
}

impl ParameterAttribute {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut name, mut notification, mut access_list) = (None, None, Vec::new());
        while let Some(child) = reader.child()? {
            match child.name {
                "Name" => name = Some(reader.name()?),
                "Notification" => notification = Some(Notification::of_number(reader.number()?)),
                "AccessList" => access_list = reader.list("string", Reader::name)?,
                _ => reader.skip()?,
            }
        }
        let name = name.ok_or_else(|| reader.error(Problem::Missing("the Name of a parameter")))?;
        let notification =
            notification.ok_or_else(|| reader.error(Problem::Missing("the Notification of a parameter")))?;
        Ok(Self { name, notification, access_list })
    }
}

pub(super) fn read_response(reader: &mut Reader<'_>) -> Result<Vec<ParameterAttribute>, ReadError> {
    read_parameter_list(reader, |reader| reader.list("ParameterAttributeStruct", ParameterAttribute::read))
}

pub(super) fn write_list(list: &[SetParameterAttribute], writer: &mut Writer<'_>) {
    writer.array("ParameterList", "cwmp:SetParameterAttributesStruct", list, |writer, set| {
        writer.within("SetParameterAttributesStruct", |writer| {
            writer.text("Name", &set.name);
            writer.flag("NotificationChange", set.notification.is_some());
            writer.number("Notification", set.notification.map_or(0, Notification::number));
            writer.flag("AccessListChange", set.access_list.is_some());
            let access = set.access_list.as_deref().unwrap_or_default();
            writer.array("AccessList", "xsd:string", access, |writer, who| writer.text("string", who));
        });
    });
}
