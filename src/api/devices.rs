//! Devices: found, read, made, changed and removed. A change is planned and made by `fleet`; here it is decided whether the
//! caller may, and told what came of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::change::{self, Condition};
use super::conditions::{Conditions, etag};
use super::page::{List, Page, limit};
use super::problem::{Kind, Mistake};
use super::query::{Nothing, Query, parse};
use super::reach::Mac;
use super::schema::SettingsTree;
use super::{Api, BASE, Problem};
use crate::events::rfc3339;
use crate::fleet::{self, Edit, Entry, Name, Secrecy, What};
use crate::model::MacAddr;
use crate::tokens::{Caller, Scope};

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// With this serial number.
    #[param(pattern = "^[A-Za-z0-9]{1,32}$")]
    serial: Option<String>,
    /// With this SIP user on one of its lines.
    user: Option<String>,
    /// Of this model.
    model: Option<String>,
    /// In this group, or one within it.
    group: Option<String>,
    /// With this text somewhere in MAC, serial number, model, group, users and names.
    text: Option<String>,
    /// Most items of the page; 100 if not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Whether secrets are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Shown {
    /// Show secrets as they are; takes the scope `secrets`.
    secrets: Option<bool>,
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
pub struct Device {
    /// 12 hexadecimal digits, lower case.
    #[schema(pattern = "^[0-9a-f]{12}$")]
    mac: String,
    #[schema(required = true)]
    model: Option<String>,
    #[schema(required = true)]
    serial: Option<String>,
    #[schema(required = true)]
    group: Option<String>,
    /// What is set for it at run time: the tree of a device's file. Secrets are `***`.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Its file under `profiles/devices`, over which its record lies; null where it has none.
    #[schema(required = true)]
    file: Option<String>,
    /// Of the fleet, when its record was last changed: its ETag without the quotes. 0 where it has a file and no record.
    #[schema(minimum = 0)]
    revision: i64,
    #[schema(required = true, format = DateTime)]
    created: Option<String>,
    #[schema(required = true, format = DateTime)]
    changed: Option<String>,
    /// Why it can't be served; null where it can.
    #[schema(required = true)]
    problem: Option<String>,
}

/// A device as it is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceChange {
    /// Its model, by name or alias; left out: as its file says.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Its serial number; left out: as its file says.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    /// The group that it belongs to; left out: as its file says.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The tree of a device's file. `***` in the place of a secret leaves the one that is stored.
    #[schema(value_type = Option<SettingsTree>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Map<String, Value>>,
}

/// List devices, by MAC.
#[utoipa::path(get, path = "/devices", tag = "devices", params(Asked), responses((status = 200, body = Page<Device>)))]
pub async fn list_devices(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Device>>, Problem> {
    let limit = limit(asked.limit)?;
    let filters = [&asked.serial, &asked.user, &asked.model, &asked.group, &asked.text].map(|filter| filter.as_deref());
    let list = List::new("devices", &filters);
    let after = asked.cursor.as_deref().map(|cursor| list.position(cursor)).transpose()?;
    let after = parse::<MacAddr>("cursor", after.as_deref())?;
    let query = fleet::Query {
        serial: parse("serial", asked.serial.as_deref())?,
        user: asked.user,
        model: asked.model,
        group: asked.group,
        text: asked.text,
        within: caller.token.group.clone(),
    };
    // One more than asked for tells whether more follow.
    let mut entries = api.fleet().find(&query, after, limit + 1).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|entry| list.cursor(&entry.mac.to_string()));
    let secrecy = api.secrecy();
    Ok(Json(Page { items: entries.iter().map(|entry| view(entry, &secrecy, false)).collect(), next }))
}

/// Read a device.
///
/// Secrets are masked, unless they are asked for with `secrets=true`, which takes the scope `secrets`.
#[utoipa::path(get, path = "/devices/{mac}", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Shown),
    responses((status = 200, body = Device, headers(("ETag" = String, description = "Its revision")))))]
pub async fn get_device(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    Query(asked): Query<Shown>,
) -> Result<Response, Problem> {
    let real = caller.may_show(asked.secrets)?;
    let entry = api.entry(&caller, mac).await?.ok_or_else(Problem::not_found)?;
    Ok(answer(&api, &entry, real, StatusCode::OK))
}

/// Make or replace a device's record.
///
/// Takes the scope `write`. One that is there already is replaced only with `If-Match`; `If-None-Match: *` makes sure that it
/// is made. It is in force with the next resync, on every server.
#[utoipa::path(put, path = "/devices/{mac}", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Condition),
    request_body = DeviceChange,
    responses((status = 200, description = "Replaced", body = Device, headers(("ETag" = String, description = "Its revision"))),
        (status = 201, description = "Made", body = Device, headers(("ETag" = String, description = "Its revision")))))]
pub async fn put_device(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    conditions: Conditions,
    _: Query<Nothing>,
    body: Body<DeviceChange>,
) -> Result<Response, Problem> {
    edit(&api, &caller, mac, &conditions, body, |object| What::Put(object), true).await
}

/// Change some of a device's record.
///
/// A JSON merge patch (RFC 7396): what is left out stays, null takes away. Takes the scope `write`, and `If-Match`.
#[utoipa::path(patch, path = "/devices/{mac}", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Condition),
    request_body(content((DeviceChange = "application/merge-patch+json"), (DeviceChange = "application/json"))),
    responses((status = 200, body = Device, headers(("ETag" = String, description = "Its revision")))))]
pub async fn patch_device(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    conditions: Conditions,
    _: Query<Nothing>,
    body: Body<DeviceChange>,
) -> Result<Response, Problem> {
    edit(&api, &caller, mac, &conditions, body, |object| What::Merge(object), false).await
}

/// Remove a device's record.
///
/// Takes the scope `write`, and `If-Match`. A device that has a file is from then on what its file says.
#[utoipa::path(delete, path = "/devices/{mac}", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Condition),
    responses((status = 204, description = "Removed")))]
pub async fn delete_device(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    conditions: Conditions,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    let entry = api.entry(&caller, mac).await?.ok_or_else(Problem::not_found)?;
    conditions.check(Some(entry.revision()))?;
    let Some(revision) = change::record_revision(&entry) else {
        let file = entry.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        return Err(Problem::new(Kind::Conflict, format!("it has no record, only the file {file}: remove that")));
    };
    let edit = Edit { row: None, name: Name::Device(mac), what: What::Remove, expect: change::expect(Some(revision)) };
    api.change(&caller, edit).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn edit(
    api: &Api,
    caller: &Caller,
    mac: MacAddr,
    conditions: &Conditions,
    body: Body<DeviceChange>,
    what: fn(Map<String, Value>) -> What,
    may_create: bool,
) -> Result<Response, Problem> {
    caller.needs(Scope::Write)?;
    let there = api.fleet().device(mac).await?;
    if let Some(entry) = &there {
        // One that it doesn't see is none, and it can't make another in its place.
        api.sees(caller, entry.group.as_deref()).then_some(()).ok_or_else(Problem::not_found)?;
    }
    if there.is_none() && !may_create {
        return Err(Problem::not_found());
    }
    conditions.check(there.as_ref().map(Entry::revision))?;
    if let Some(own) = &caller.token.group {
        let of_file = || {
            let generation = api.pipeline().generation();
            let group = generation.profiles.device(mac).and_then(|device| device.group);
            group.and_then(|id| generation.profiles.group(id)).map(|group| group.name.to_string())
        };
        let is_named = body.raw.contains_key("group");
        let group = match &body.value.group {
            Some(group) => Some(group.clone()),
            None if is_named || may_create => of_file(),
            None => there.as_ref().and_then(|entry| entry.group.clone()),
        };
        if !api.sees(caller, group.as_deref()) {
            let message =
                group.map_or_else(|| "is missing".to_owned(), |group| format!("there is no group \"{group}\""));
            let help = format!("name \"{own}\", or a group within it");
            return Err(Problem::of(Kind::Invalid, vec![Mistake::of_key("group", message).help(help)]));
        }
    }
    let revision = there.as_ref().and_then(change::record_revision);
    let what = what(body.raw);
    let edit = Edit { row: None, name: Name::Device(mac), what, expect: change::expect(revision) };
    api.change(caller, edit).await?;
    let entry = api.entry(caller, mac).await?.ok_or_else(Problem::not_found)?;
    let status = if there.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(api, &entry, false, status))
}

fn answer(api: &Api, entry: &Entry, real: bool, status: StatusCode) -> Response {
    let tag = etag(entry.revision());
    let body = Json(view(entry, &api.secrecy(), real));
    if status == StatusCode::CREATED {
        let place = format!("{BASE}/devices/{}", entry.mac);
        return (status, [(ETAG, tag), (LOCATION, place)], body).into_response();
    }
    (status, [(ETAG, tag)], body).into_response()
}

fn view(entry: &Entry, secrecy: &Secrecy, real: bool) -> Device {
    let stored = entry.record.as_ref();
    let settings = stored
        .map(|stored| if real { stored.record.settings.clone() } else { secrecy.masked(&stored.record.settings) });
    Device {
        mac: entry.mac.to_string(),
        model: entry.model.clone(),
        serial: entry.serial.as_ref().map(ToString::to_string),
        group: entry.group.clone(),
        settings: settings.map(|settings| settings.into_map()).unwrap_or_default(),
        file: entry.file.as_ref().map(|file| file.display().to_string()),
        revision: entry.revision(),
        created: stored.map(|stored| rfc3339(stored.created)),
        changed: stored.map(|stored| rfc3339(stored.changed)),
        problem: entry.device.as_ref().err().cloned(),
    }
}
