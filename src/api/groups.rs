//! Groups: those of files, and those that are set at run time.

use axum::Json;
use axum::extract::{Path, State};
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
use super::query::{Nothing, Query};
use super::schema::SettingsTree;
use super::{Api, BASE, Problem};
use crate::events::rfc3339;
use crate::fleet::{self, Edit, Name, What};
use crate::tokens::{Caller, Scope};

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub struct Group {
    name: String,
    /// The group that it lies within; null where there is none that the caller sees.
    #[schema(required = true)]
    parent: Option<String>,
    /// What is set for it at run time: the tree of a group's file. Secrets are `***`.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Its file under `profiles/groups`, over which its record lies; null where it has none.
    #[schema(required = true)]
    file: Option<String>,
    /// Of the fleet, when its record was last changed: its ETag without the quotes. 0 where it has a file and no record.
    #[schema(minimum = 0)]
    revision: i64,
    #[schema(required = true, format = DateTime)]
    created: Option<String>,
    #[schema(required = true, format = DateTime)]
    changed: Option<String>,
    /// Why what is in it is not served; null where it is.
    #[schema(required = true)]
    problem: Option<String>,
}

/// A group as it is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChange {
    /// The group that it lies within; left out: as its file says.
    #[schema(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// The tree of a group's file. `***` in the place of a secret leaves the one that is stored.
    #[schema(value_type = Option<SettingsTree>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Map<String, Value>>,
}

/// Which groups.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// That one and those within it.
    within: Option<String>,
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

/// List groups, by name.
#[utoipa::path(get, path = "/groups", tag = "groups", params(Asked), responses((status = 200, body = Page<Group>)))]
pub async fn list_groups(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Group>>, Problem> {
    let limit = limit(asked.limit)?;
    let list = List::new("groups", &[asked.within.as_deref()]);
    let after = asked.cursor.as_deref().map(|cursor| list.position(cursor)).transpose()?.unwrap_or_default();
    let mut groups = api.fleet().groups().await?;
    groups.retain(|group| {
        let within = asked.within.as_deref().is_none_or(|outer| api.fleet().is_within(Some(&group.name), outer));
        group.name > after && within && api.sees(&caller, Some(&group.name))
    });
    let more = groups.len() > limit;
    groups.truncate(limit);
    let next = groups.last().filter(|_| more).map(|group| list.cursor(&group.name));
    Ok(Json(Page { items: groups.iter().map(|group| view(&api, &caller, group, false)).collect(), next }))
}

/// Read a group.
#[utoipa::path(get, path = "/groups/{name}", tag = "groups",
    params(("name" = String, Path, description = "The group's name"), Shown),
    responses((status = 200, body = Group, headers(("ETag" = String, description = "Its revision")))))]
pub async fn get_group(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Query(asked): Query<Shown>,
) -> Result<Response, Problem> {
    let real = caller.may_show(asked.secrets)?;
    let group = seen(&api, &caller, &name).await?.ok_or_else(Problem::not_found)?;
    Ok(answer(&api, &caller, &group, real, StatusCode::OK))
}

/// Make or replace a group's record.
///
/// Takes the scope `write`. One that is there already is replaced only with `If-Match`; `If-None-Match: *` makes sure that it
/// is made. It is in force with the next resync of every device in it, on every server.
#[utoipa::path(put, path = "/groups/{name}", tag = "groups",
    params(("name" = String, Path, description = "The group's name"), Condition),
    request_body = GroupChange,
    responses((status = 200, description = "Replaced", body = Group, headers(("ETag" = String, description = "Its revision"))),
        (status = 201, description = "Made", body = Group, headers(("ETag" = String, description = "Its revision")))))]
pub async fn put_group(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    conditions: Conditions,
    _: Query<Nothing>,
    body: Body<GroupChange>,
) -> Result<Response, Problem> {
    edit(&api, &caller, name, &conditions, body, |object| What::Put(object), true).await
}

/// Change some of a group's record.
///
/// A JSON merge patch (RFC 7396): what is left out stays, null takes away. Takes the scope `write`, and `If-Match`.
#[utoipa::path(patch, path = "/groups/{name}", tag = "groups",
    params(("name" = String, Path, description = "The group's name"), Condition),
    request_body(content((GroupChange = "application/merge-patch+json"), (GroupChange = "application/json"))),
    responses((status = 200, body = Group, headers(("ETag" = String, description = "Its revision")))))]
pub async fn patch_group(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    conditions: Conditions,
    _: Query<Nothing>,
    body: Body<GroupChange>,
) -> Result<Response, Problem> {
    edit(&api, &caller, name, &conditions, body, |object| What::Merge(object), false).await
}

/// Remove a group's record.
///
/// Takes the scope `write`, and `If-Match`. One that has a file is from then on what its file says; one that has none and that
/// devices or groups are in stays.
#[utoipa::path(delete, path = "/groups/{name}", tag = "groups",
    params(("name" = String, Path, description = "The group's name"), Condition),
    responses((status = 204, description = "Removed")))]
pub async fn delete_group(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    conditions: Conditions,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    let group = seen(&api, &caller, &name).await?.ok_or_else(Problem::not_found)?;
    if caller.token.group.as_ref() == Some(&name) {
        return Err(Problem::forbidden("the token is bound to this group, and may only change it"));
    }
    conditions.check(Some(group.revision()))?;
    let Some(stored) = &group.record else {
        let file = group.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        return Err(Problem::new(Kind::Conflict, format!("it has no record, only the file {file}: remove that")));
    };
    let expect = change::expect(Some(stored.revision));
    api.change(&caller, Edit { row: None, name: Name::Group(name), what: What::Remove, expect }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn edit(
    api: &Api,
    caller: &Caller,
    name: String,
    conditions: &Conditions,
    mut body: Body<GroupChange>,
    what: fn(Map<String, Value>) -> What,
    may_create: bool,
) -> Result<Response, Problem> {
    caller.needs(Scope::Write)?;
    let there = api.fleet().group(&name).await?;
    let is_seen = there.is_none() || api.sees(caller, Some(&name));
    if !is_seen || there.is_none() && !may_create {
        return Err(Problem::not_found());
    }
    conditions.check(there.as_ref().map(fleet::Group::revision))?;
    if let Some(own) = &caller.token.group {
        place(api, caller, own, &name, there.as_ref(), &mut body, may_create)?;
    }
    let revision = there.as_ref().and_then(|group| group.record.as_ref()).map(|stored| stored.revision);
    let what = what(body.raw);
    let edit = Edit { row: None, name: Name::Group(name.clone()), what, expect: change::expect(revision) };
    api.change(caller, edit).await?;
    let group = seen(api, caller, &name).await?.ok_or_else(Problem::not_found)?;
    let status = if there.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(api, caller, &group, false, status))
}

/// Makes sure that a group of a bound caller's lies within the caller's own, and that its own stays where it is.
fn place(
    api: &Api,
    caller: &Caller,
    own: &str,
    name: &str,
    there: Option<&fleet::Group>,
    body: &mut Body<GroupChange>,
    puts: bool,
) -> Result<(), Problem> {
    let refuse = |message: String| {
        let help = format!("name \"{own}\", or a group within it");
        Err(Problem::of(Kind::Invalid, vec![Mistake::of_key("parent", message).help(help)]))
    };
    let stored = there.and_then(|group| group.record.as_ref()).and_then(|stored| stored.record.parent.clone());
    if name == own {
        // Where it lies is not the caller's to say, nor to see.
        if body.value.parent.is_some() {
            return Err(Problem::forbidden("the token is bound to this group, and can't move it"));
        }
        body.raw.shift_remove("parent");
        if let Some(parent) = stored.filter(|_| puts) {
            body.raw.insert("parent".to_owned(), parent.into());
        }
        return Ok(());
    }
    let of_file = there.filter(|group| group.file.is_some()).and_then(|group| {
        let generation = api.pipeline().generation();
        let file = generation.profiles.file_groups().named(&group.name)?;
        file.parent.as_ref().map(ToString::to_string)
    });
    let parent = match &body.value.parent {
        Some(parent) => Some(parent.clone()),
        None if puts || body.raw.contains_key("parent") => of_file,
        None => stored.or(of_file),
    };
    match parent {
        Some(parent) if api.sees(caller, Some(&parent)) => Ok(()),
        Some(parent) => refuse(format!("there is no group \"{parent}\"")),
        None => refuse("is missing".to_owned()),
    }
}

/// A group that the caller sees.
async fn seen(api: &Api, caller: &Caller, name: &str) -> Result<Option<fleet::Group>, Problem> {
    let group = if api.sees(caller, Some(name)) { api.fleet().group(name).await? } else { None };
    Ok(group)
}

fn answer(api: &Api, caller: &Caller, group: &fleet::Group, real: bool, status: StatusCode) -> Response {
    let tag = etag(group.revision());
    let body = Json(view(api, caller, group, real));
    if status == StatusCode::CREATED {
        // A group's name is made of characters that a path holds as they are.
        let place = format!("{BASE}/groups/{}", group.name);
        return (status, [(ETAG, tag), (LOCATION, place)], body).into_response();
    }
    (status, [(ETAG, tag)], body).into_response()
}

fn view(api: &Api, caller: &Caller, group: &fleet::Group, real: bool) -> Group {
    let stored = group.record.as_ref();
    let settings =
        stored.map(
            |stored| {
                if real { stored.record.settings.clone() } else { api.secrecy().masked(&stored.record.settings) }
            },
        );
    Group {
        name: group.name.clone(),
        parent: group.parent.clone().filter(|parent| api.sees(caller, Some(parent))),
        settings: settings.map(|settings| settings.into_map()).unwrap_or_default(),
        file: group.file.as_ref().map(|file| file.display().to_string()),
        revision: group.revision(),
        created: stored.map(|stored| rfc3339(stored.created)),
        changed: stored.map(|stored| rfc3339(stored.changed)),
        problem: group.problem.clone(),
    }
}
