//! `resyncd render MAC --acs`: the data-model parameters that an ACS would set.

use serde_json::{Value, json};

use crate::cli::table::{Align, Layout};
use crate::cli::{Ending, Failure, output};
use crate::packs::data_model::Notification;
use crate::render::{AcsSource, Desired, DesiredParameter};

/// Writes what a device should hold; values that the phone would refuse end the command with 1.
pub fn write(desired: &Desired, format: output::Format, show_secrets: bool) -> Result<Ending, Failure> {
    let value = |parameter: &DesiredParameter| match show_secrets {
        true => parameter.value.expose().to_owned(),
        false => parameter.value.to_string(),
    };
    match format {
        output::Format::Human => {
            let columns = ["parameter", "type", "value", "notify", "from"].map(|name| (name, Align::Left));
            let mut layout = Layout::new(&columns);
            let mut rows: Vec<Vec<String>> = Vec::new();
            for parameter in &desired.parameters {
                let notify = parameter.notification.map(Notification::word).unwrap_or_default();
                let row = [&parameter.path, parameter.kind.word(), &value(parameter), notify, &told(&parameter.from)];
                rows.push(row.map(str::to_owned).to_vec());
            }
            let is_apart = |path: &str| !desired.parameters.iter().any(|parameter| *parameter.path == *path);
            for (path, notification, from) in desired.notifications.iter().filter(|(path, ..)| is_apart(path)) {
                rows.push([path, "", "", notification.word(), &told(from)].map(str::to_owned).to_vec());
            }
            layout.fit(&rows);
            output::write(|out| {
                out.write_all(layout.line(&layout.header()).as_bytes())?;
                rows.iter().try_for_each(|row| out.write_all(layout.line(row).as_bytes()))
            })?;
        }
        output::Format::Json => {
            let parameters: Vec<Value> = desired
                .parameters
                .iter()
                .map(|parameter| {
                    json!({
                        "path": &*parameter.path, "type": parameter.kind.word(), "value": value(parameter),
                        "secret": parameter.value.is_secret(),
                        "notification": parameter.notification.map(Notification::word),
                        "from": from_json(&parameter.from),
                    })
                })
                .collect();
            let notifications = desired.notifications.iter().map(|(path, notification, from)| {
                json!({ "path": &**path, "notification": notification.word(), "from": from_json(from) })
            });
            let refused = desired.refused.iter().map(|refused| {
                json!({ "path": &*refused.path, "message": refused.why.to_string(), "from": from_json(&refused.from) })
            });
            let (notifications, refused) = (notifications.collect::<Vec<_>>(), refused.collect::<Vec<_>>());
            output::json(&json!({ "parameters": parameters, "notifications": notifications, "refused": refused }))?;
        }
    }
    for refused in &desired.refused {
        eprintln!("resyncd: {refused}");
    }
    Ok(if desired.refused.is_empty() { Ending::Fine } else { Ending::Findings })
}

/// The setting, and where it stands; else the expression's place.
fn told(from: &AcsSource) -> String {
    match &from.key {
        Some(key) => format!("{key} ({from})"),
        None => from.to_string(),
    }
}

fn from_json(from: &AcsSource) -> Value {
    json!({
        "setting": from.key.as_ref().map(ToString::to_string), "file": from.file.display().to_string(),
        "line": (from.line > 0).then_some(from.line),
    })
}
