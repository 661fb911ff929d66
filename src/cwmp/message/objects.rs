//! AddObject and DeleteObject.

use super::Applied;
use crate::cwmp::soap::{Problem, ReadError, Reader, Writer};

/// An object to add an instance to, or an instance to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// With the `.` at its end: `Device.Services.VoiceService.1.VoiceProfile.` to add to, `….VoiceProfile.2.` to delete.
    pub name: String,
    /// As in [`SetParameterValues`](super::SetParameterValues::parameter_key).
    pub parameter_key: String,
}

/// An instance that a phone has added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddedObject {
    /// The phone chooses it.
    pub instance: u32,
    pub applied: Applied,
}

impl ObjectChange {
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.text("ObjectName", &self.name);
        writer.text("ParameterKey", &self.parameter_key);
    }
}

impl AddedObject {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut instance, mut applied) = (None, Applied::Later);
        while let Some(child) = reader.child()? {
            match child.name {
                "InstanceNumber" => instance = Some(reader.number()?),
                "Status" => applied = Applied::of_status(&reader.word()?),
                _ => reader.skip()?,
            }
        }
        let instance = instance.ok_or_else(|| reader.error(Problem::Missing("the InstanceNumber")))?;
        Ok(Self { instance, applied })
    }
}
