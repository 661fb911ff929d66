//! ScheduleInform, and Kicked. Reboot and FactoryReset have nothing to hold but a key.

use crate::cwmp::soap::{ReadError, Reader, Writer};

/// The phone is to open a session by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleInform {
    /// In so many seconds, which must not be 0.
    pub delay_seconds: u32,
    /// Comes back with the event `M ScheduleInform`.
    pub command_key: String,
}

/// A user's browser was sent to the phone by a web page, and the phone to us. Of the first version; no phone of the guides
/// sends it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kicked {
    pub command: String,
    pub referer: String,
    pub argument: String,
    /// Where the page that was left wants the browser to go.
    pub next: String,
}

impl ScheduleInform {
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.number("DelaySeconds", self.delay_seconds);
        writer.text("CommandKey", &self.command_key);
    }
}

impl Kicked {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut kicked = Self::default();
        while let Some(child) = reader.child()? {
            match child.name {
                "Command" => kicked.command = reader.word()?,
                "Referer" => kicked.referer = reader.word()?,
                "Arg" => kicked.argument = reader.word()?,
                "Next" => kicked.next = reader.word()?,
                _ => reader.skip()?,
            }
        }
        Ok(kicked)
    }
}
