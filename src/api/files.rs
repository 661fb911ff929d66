//! The files of a device, and how each would be rendered now.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Kind;
use super::query::{Nothing, Query};
use super::reach::Mac;
use super::{Api, Problem};
use crate::packs::{Audience, FileEntry, Source};
use crate::render::Shown;
use crate::resync::{Device, Generation};
use crate::tokens::Caller;

/// The files that a device may ask for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Files {
    files: Vec<File>,
}

/// One file of a device's.
#[derive(Debug, Serialize, ToSchema)]
pub struct File {
    /// Its name in the pack.
    name: String,
    /// The paths that the phone asks for it by.
    paths: Vec<String>,
    /// `device`: access is checked; `anyone`: it holds no secret.
    #[schema(pattern = "^(device|anyone)$")]
    audience: &'static str,
    /// What the phone is told that it is, before it is compressed or encrypted.
    content_type: String,
    /// Whether it is rendered; if not, it is sent as it lies on disk, and there is no preview.
    rendered: bool,
    /// Whether it is compressed and encrypted as `[delivery]` says.
    delivery: bool,
}

/// How a preview is made.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Have secrets written as they are; takes the scope `secrets`.
    secrets: Option<bool>,
}

/// List the files that a device may ask for.
#[utoipa::path(get, path = "/devices/{mac}/files", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling")),
    responses((status = 200, body = Files), (status = 404, body = super::problem::Document, content_type = "application/problem+json"),
        (status = 409, description = "Its record can't be used", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn list_files(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    _: Query<Nothing>,
) -> Result<Json<Files>, Problem> {
    let (generation, device) = api.device(&caller, mac).await?;
    let files = entries(&generation, &device);
    Ok(Json(Files { files: files.into_iter().map(|(file, paths)| describe(file, paths)).collect() }))
}

/// Render a device's file as it would be now.
///
/// The text before it is compressed and encrypted. Secrets are masked, and not even fetched, unless they are asked for with
/// `secrets=true`, which takes the scope `secrets`. The answer is never one that a browser would run.
#[utoipa::path(get, path = "/devices/{mac}/files/{name}", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"),
        ("name" = String, Path, description = "The file's name in the pack"), Asked),
    responses((status = 200, description = "The file", content((String = "text/plain"), (String = "application/octet-stream"))),
        (status = 404, body = super::problem::Document, content_type = "application/problem+json"),
        (status = 409, description = "Its record can't be used", body = super::problem::Document, content_type = "application/problem+json"),
        (status = 422, description = "It can't be rendered", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn get_file(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    Path((_, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let shown = if caller.may_show(asked.secrets)? { Shown::Real } else { Shown::Masked };
    let (generation, device) = api.device(&caller, mac).await?;
    let body = api
        .blocking(move |api| {
            let (file, _) = entries(&generation, &device)
                .into_iter()
                .find(|(file, _)| file.name == name)
                .ok_or_else(Problem::not_found)?;
            if matches!(file.source, Source::Static(_)) {
                return Err(Problem::new(Kind::Invalid, "it is sent as it lies on disk: nothing is rendered"));
            }
            let limit = api.rendering();
            let rendered = match file.audience {
                Audience::Device => generation.render(&device, file, &generation.settings(&device), shown, limit),
                Audience::Anyone => {
                    generation.render_for_anyone(device.model.pack, file, Some(device.model.model), limit)
                }
            };
            // Messages of rendering are kept free of secrets where they are made.
            rendered.map(|rendered| rendered.body).map_err(|error| Problem::new(Kind::Invalid, error.to_string()))
        })
        .await?;
    if std::str::from_utf8(&body).is_ok() {
        return Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response());
    }
    Ok(([(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment")], body).into_response())
}

/// The files that a device's model has, each with its paths for this device; those that it can't name are left out.
fn entries<'g>(generation: &'g Generation, device: &Device) -> Vec<(&'g FileEntry, Vec<String>)> {
    let Some((pack, model)) = generation.packs.pack_and_model(device.model) else { return Vec::new() };
    let files = pack.files.iter().filter(|file| file.is_for(device.model.model));
    files
        .filter_map(|file| {
            let fill =
                |path: &crate::packs::PathPattern| path.fill(Some(device.mac), device.serial.as_ref(), &model.name);
            let paths: Vec<_> = file.paths.iter().filter_map(fill).collect();
            (!paths.is_empty()).then_some((file, paths))
        })
        .collect()
}

fn describe(file: &FileEntry, paths: Vec<String>) -> File {
    File {
        name: file.name.clone(),
        paths,
        audience: match file.audience {
            Audience::Device => "device",
            Audience::Anyone => "anyone",
        },
        content_type: file.content_type.clone(),
        rendered: matches!(file.source, Source::Template { .. }),
        delivery: file.delivery,
    }
}
