//! Groups: those of files, and those that are set at run time.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page::{List, Page, limit};
use super::query::{Nothing, Query};
use super::{Api, Problem};
use crate::resync::{Generation, Group};
use crate::tokens::Caller;

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupView {
    name: String,
    /// The group that it lies within.
    #[schema(required = true)]
    parent: Option<String>,
    /// The names from the outermost that the caller sees to the group itself.
    path: Vec<String>,
    /// Why it can't be used; then nothing is served to what is in it.
    #[schema(required = true)]
    broken: Option<String>,
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

/// List groups, by name.
#[utoipa::path(get, path = "/groups", tag = "groups", params(Asked), responses((status = 200, body = Page<GroupView>)))]
pub async fn list_groups(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<GroupView>>, Problem> {
    let limit = limit(asked.limit)?;
    let list = List::new("groups", &[asked.within.as_deref()]);
    let after = asked.cursor.as_deref().map(|cursor| list.position(cursor)).transpose()?.unwrap_or_default();
    let generation = api.pipeline().generation();
    let groups = &generation.profiles.groups;
    let within = asked.within.as_deref().map(|name| groups.within(name));
    let mut found: Vec<&Group> = groups
        .iter()
        .filter(|group| caller.sees(&generation, groups.id(&group.name)))
        .filter(|group| within.as_ref().is_none_or(|within| within.contains(&group.name)))
        .filter(|group| *group.name > *after)
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|group| list.cursor(&group.name));
    Ok(Json(Page { items: found.into_iter().map(|group| view(&generation, &caller, group)).collect(), next }))
}

/// Tell of a group.
#[utoipa::path(get, path = "/groups/{name}", tag = "groups",
    params(("name" = String, Path, description = "The group's name")),
    responses((status = 200, body = GroupView), (status = 404, body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn get_group(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<GroupView>, Problem> {
    let generation = api.pipeline().generation();
    let groups = &generation.profiles.groups;
    let group = groups.named(&name).filter(|group| caller.sees(&generation, groups.id(&group.name)));
    group.map(|group| Json(view(&generation, &caller, group))).ok_or_else(Problem::not_found)
}

fn view(generation: &Generation, caller: &Caller, group: &Group) -> GroupView {
    let groups = &generation.profiles.groups;
    let seen: Vec<_> = group
        .chain
        .iter()
        .filter(|id| caller.sees(generation, Some(**id)))
        .filter_map(|id| groups.get(*id))
        .map(|group| group.name.to_string())
        .collect();
    let parent = group.parent.as_deref().filter(|parent| caller.sees(generation, groups.id(parent)));
    GroupView {
        name: group.name.to_string(),
        parent: parent.map(str::to_owned),
        path: seen,
        broken: group.broken.as_ref().map(ToString::to_string),
    }
}
