//! GetParameterValues, SetParameterValues, GetParameterNames.

use super::Value;
use crate::cwmp::soap::{Problem, ReadError, Reader, Writer};

/// A parameter and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterValue {
    /// The full name: `Device.ManagementServer.PeriodicInformInterval`.
    pub name: String,
    pub value: Value,
}

/// A name of a phone's data model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Of a parameter, or of an object with a `.` at its end.
    pub name: String,
    /// Of a parameter: it can be set. Of an object: instances can be added to it, or it can be deleted.
    pub writable: bool,
}

/// Values that are set all together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetParameterValues {
    pub values: Vec<ParameterValue>,
    /// Up to 32 characters that the phone keeps in `ManagementServer.ParameterKey` from then on, and reports in every Inform.
    pub parameter_key: String,
}

impl ParameterValue {
    /// One `ParameterValueStruct`. A value that is missing is an empty string; a missing name is an error.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut name, mut value) = (None, Value::String(String::new()));
        while let Some(child) = reader.child()? {
            match child.name {
                "Name" => name = Some(reader.name()?),
                "Value" => value = Value::read(child.kind, reader.text()?),
                _ => reader.skip()?,
            }
        }
        let name = name.ok_or_else(|| reader.error(Problem::Missing("the Name of a parameter")))?;
        Ok(Self { name, value })
    }
}

impl ParameterInfo {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut name, mut writable) = (None, false);
        while let Some(child) = reader.child()? {
            match child.name {
                "Name" => name = Some(reader.name()?),
                "Writable" => writable = reader.boolean()?,
                _ => reader.skip()?,
            }
        }
        let name = name.ok_or_else(|| reader.error(Problem::Missing("the Name of a parameter")))?;
        Ok(Self { name, writable })
    }
}

/// A list of values, as Inform and GetParameterValuesResponse have it.
pub(super) fn read_values(reader: &mut Reader<'_>) -> Result<Vec<ParameterValue>, ReadError> {
    reader.list("ParameterValueStruct", ParameterValue::read)
}

pub(super) fn read_values_response(reader: &mut Reader<'_>) -> Result<Vec<ParameterValue>, ReadError> {
    read_parameter_list(reader, read_values)
}

pub(super) fn read_names_response(reader: &mut Reader<'_>) -> Result<Vec<ParameterInfo>, ReadError> {
    read_parameter_list(reader, |reader| reader.list("ParameterInfoStruct", ParameterInfo::read))
}

/// The `ParameterList` of a response.
pub(super) fn read_parameter_list<'a, T>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<Vec<T>, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let mut list = Vec::new();
    while let Some(child) = reader.child()? {
        match child.name {
            "ParameterList" => list = read(reader)?,
            _ => reader.skip()?,
        }
    }
    Ok(list)
}

impl SetParameterValues {
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.array("ParameterList", "cwmp:ParameterValueStruct", &self.values, |writer, parameter| {
            writer.within("ParameterValueStruct", |writer| {
                writer.text("Name", &parameter.name);
                let text = parameter.value.text(writer.quirks);
                writer.typed("Value", parameter.value.kind().xsi_type(), &text);
            });
        });
        writer.text("ParameterKey", &self.parameter_key);
    }
}
