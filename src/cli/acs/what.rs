//! What a phone is asked for, as it is typed.

use std::collections::BTreeMap;

use crate::acs::task::{Given, Spec};
use crate::cli::{Failure, assignment};

/// What the phone is asked for.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Read parameters; a path that ends with a dot means all below it.
    Get {
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Set parameters, all or none of them. The device's settings win over it in a later session, where they say something else.
    Set {
        /// `PATH=@FILE` takes the value from a file, `PATH=@-` from standard input: so a password is in no list of processes.
        #[arg(required = true, value_name = "PATH=VALUE")]
        values: Vec<String>,
        /// The type of a parameter that the data model doesn't have: string, int, unsignedInt, long, unsignedLong, boolean, dateTime,
        /// base64.
        #[arg(long = "type", value_name = "PATH=TYPE")]
        types: Vec<String>,
    },
    /// List the names below a path; without one, all.
    Names {
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
        /// Only one level below it.
        #[arg(long)]
        next_level: bool,
    },
    /// Read the attributes of parameters; or set their notification.
    Attributes {
        #[arg(required = true)]
        paths: Vec<String>,
        /// Whether the phone is to tell of changes by itself: off, passive (in its next session) or active (by opening one).
        #[arg(long, value_name = "HOW")]
        notification: Option<String>,
    },
    /// Add an instance of an object: Device.….VoiceProfile.
    AddObject {
        path: String,
    },
    /// Delete an instance of an object: Device.….VoiceProfile.2.
    DeleteObject {
        path: String,
    },
    /// Have the phone open another session.
    ScheduleInform {
        /// So many seconds later.
        seconds: u32,
    },
    /// List the transfers that the phone has still to do.
    Transfers,
    /// Have the phone fetch a file, and use it.
    Download {
        /// firmware, configuration, trusted-certificates or other.
        #[arg(default_value = "firmware")]
        content: String,
        /// A path on this server, or a URL. Left out: the firmware or the profile that the device's settings and pack name.
        #[arg(long, value_name = "PATH|URL")]
        file: Option<String>,
        /// Give the phone back what it has sent: the id of an upload.
        #[arg(long, value_name = "UPLOAD", conflicts_with = "file")]
        restore: Option<String>,
        /// As SOAP has it; left out: the pack's for the content.
        #[arg(long, value_name = "TYPE")]
        file_type: Option<String>,
        /// Also firmware that the phone runs already.
        #[arg(long)]
        always: bool,
        /// The phone waits so many seconds before it begins.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        delay: u32,
    },
    /// Have the phone send a file, which is kept among the uploads.
    Upload {
        /// configuration, server-configuration, log or other.
        #[arg(default_value = "configuration")]
        content: String,
        /// As SOAP has it; left out: the pack's for the content.
        #[arg(long, value_name = "TYPE")]
        file_type: Option<String>,
        /// The phone waits so many seconds before it begins.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        delay: u32,
    },
    /// Have the phone send echo requests to a host.
    Ping {
        host: String,
        #[arg(long, value_name = "N")]
        count: Option<u32>,
        #[arg(long, value_name = "MILLISECONDS")]
        timeout: Option<u32>,
        /// Bytes of each.
        #[arg(long, value_name = "N")]
        bytes: Option<u32>,
    },
    /// Have the phone find the way to a host.
    Traceroute {
        host: String,
        #[arg(long, value_name = "MILLISECONDS")]
        timeout: Option<u32>,
        /// Most hops.
        #[arg(long, value_name = "N")]
        hops: Option<u32>,
    },
    /// Have the phone fetch a URL, and measure that (TR-143).
    DownloadTest {
        url: String,
    },
    /// Have the phone send bytes to a URL, and measure that (TR-143).
    UploadTest {
        url: String,
        #[arg(long, value_name = "N", default_value_t = 1_000_000)]
        bytes: u32,
    },
    Reboot,
    /// Have the phone forget everything that it was set to.
    FactoryReset,
}

impl What {
    /// As a task.
    ///
    /// # Errors
    /// When an assignment is none, or a file can't be read.
    pub fn spec(&self) -> Result<Spec, Failure> {
        Ok(match self {
            Self::Get { paths } => Spec::Get { paths: paths.clone() },
            Self::Set { values, types } => {
                let mut given = BTreeMap::new();
                for text in values {
                    let (path, value) =
                        parted(text, "PATH=VALUE, such as Device.ManagementServer.PeriodicInformInterval=3600")?;
                    given.insert(path.to_owned(), Given::Text(assignment::given(path, value)?));
                }
                let types = types.iter().map(|text| {
                    let (path, kind) = parted(text, "PATH=TYPE, such as Device.X_Example=boolean")?;
                    Ok((path.to_owned(), kind.to_owned()))
                });
                Spec::Set { values: given, types: types.collect::<Result<_, Failure>>()? }
            }
            Self::Names { path, next_level } => Spec::Names { path: path.clone(), next_level: *next_level },
            Self::Attributes { paths, notification } => {
                Spec::Attributes { paths: paths.clone(), notification: notification.clone() }
            }
            Self::AddObject { path } => Spec::AddObject { path: path.clone() },
            Self::DeleteObject { path } => Spec::DeleteObject { path: path.clone() },
            Self::ScheduleInform { seconds } => Spec::ScheduleInform { seconds: *seconds },
            Self::Transfers => Spec::Transfers {},
            Self::Download { content, file, restore, file_type, always, delay } => Spec::Download {
                content: content.clone(),
                file: file.clone(),
                restore: restore.clone(),
                file_type: file_type.clone(),
                always: *always,
                delay_seconds: *delay,
            },
            Self::Upload { content, file_type, delay } => {
                Spec::Upload { content: content.clone(), file_type: file_type.clone(), delay_seconds: *delay }
            }
            Self::Ping { host, count, timeout, bytes } => {
                Spec::Ping { host: host.clone(), count: *count, timeout_ms: *timeout, bytes: *bytes }
            }
            Self::Traceroute { host, timeout, hops } => {
                Spec::Traceroute { host: host.clone(), timeout_ms: *timeout, hops: *hops }
            }
            Self::DownloadTest { url } => Spec::DownloadTest { url: url.clone() },
            Self::UploadTest { url, bytes } => Spec::UploadTest { url: url.clone(), bytes: *bytes },
            Self::Reboot => Spec::Reboot {},
            Self::FactoryReset => Spec::FactoryReset {},
        })
    }
}

fn parted<'t>(text: &'t str, form: &str) -> Result<(&'t str, &'t str), Failure> {
    text.split_once('=').ok_or_else(|| Failure::Other(format!("write {form}")))
}
