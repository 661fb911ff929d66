//! `resyncd drift`: what a phone reports, compared with what it should have.

use std::io::{self, Write};

use super::{Ending, Failure, load_generation, output, render};
use crate::config::Config;
use crate::drift::{Cause, Comparison, Drift, Status, of_device};
use crate::events::{Escaped, rfc3339};
use crate::model::MacAddr;
use crate::store::Store;
use crate::uploads::Uploads;

/// Compare what a phone reports with what it should have.
///
/// Takes the newest report that the phone sent, or the configuration files that it sent, and compares it with the phone's
/// profile, parameter by parameter. What differs was changed on the phone, or the phone has not taken its newest profile yet.
/// Secrets are compared where they are reported, and never shown. Exits with 1 when something differs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = output::Format::Human)]
    format: output::Format,
}

impl Args {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let generation = load_generation(config)?;
        let device = generation.profiles.device(self.mac).ok_or_else(|| render::no_device(self.mac))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::because("the runtime", error))?;
        let compared = runtime.block_on(async {
            let store = Store::open_read_only(&config.database).await.map_err(|error| error.to_string())?;
            let uploads = Uploads::open_only(store.clone(), &config.uploads, &config.data_dir);
            let limit = (&config.limits).into();
            let drift = of_device(&generation, device, &store, &uploads, None, limit).await;
            store.close().await;
            drift.map_err(|error| error.to_string())
        });
        let drift = compared.map_err(Failure::Other)?;
        match self.format {
            output::Format::Json => output::json(&drift)?,
            output::Format::Human => output::write(|out| describe(&drift, out))?,
        }
        Ok(if drift.differs() { Ending::Findings } else { Ending::Fine })
    }
}

fn describe(drift: &Drift, out: &mut dyn Write) -> io::Result<()> {
    for report in &drift.reports {
        let partial = if report.partial { ", in part" } else { "" };
        writeln!(out, "{} of {}{partial}: {}", report.kind, rfc3339(report.time), report.id)?;
    }
    for problem in &drift.problems {
        writeln!(out, "not read: {}", Escaped(problem))?;
    }
    match drift.last_resync {
        Some(time) => writeln!(out, "last resync {}\n", rfc3339(time))?,
        None => writeln!(out, "no resync is recorded\n")?,
    }
    for parameter in drift.parameters.iter().filter(|parameter| parameter.status == Status::Differs) {
        differing(parameter, out)?;
    }
    let missing: Vec<_> = drift
        .parameters
        .iter()
        .filter(|parameter| parameter.status == Status::Missing)
        .map(|found| &*found.name)
        .collect();
    if !missing.is_empty() {
        writeln!(out, "not reported: {}", missing.join(", "))?;
    }
    let [equal, differ, missing] = [Status::Equal, Status::Differs, Status::Missing].map(|status| drift.count(status));
    writeln!(out, "{equal} equal, {differ} differ, {missing} not reported")
}

fn differing(parameter: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let cause = match parameter.cause {
        Some(Cause::Local) => "changed on the phone",
        Some(Cause::NotTaken) => "not taken yet",
        Some(Cause::Unknown) | None => "cause unknown",
    };
    let value = |value: &Option<String>| Escaped(value.as_deref().unwrap_or_default()).to_string();
    writeln!(out, "{}: {cause}, {}", parameter.name, parameter.why)?;
    writeln!(out, "    expected {}", value(&parameter.expected))?;
    writeln!(out, "    reported {}", value(&parameter.reported))
}
