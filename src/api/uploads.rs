//! What phones have sent: listed, handed out as downloads and in no other way, deleted.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::events::moment;
use super::page::{List, Page, limit};
use super::problem::{Kind, Mistake};
use super::query::{Nothing, Query, parse};
use super::reach::mac;
use super::{Api, Problem};
use crate::events::rfc3339;
use crate::store::UploadFilter;
use crate::tokens::{Caller, Scope};
use crate::uploads::{ParseUploadIdError, Upload, UploadError, UploadId};

/// Uploads that are looked through for one page of a token that sees only some of them.
const LOOKED_THROUGH: u64 = 1_000;

/// Which uploads.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Of one device.
    #[param(pattern = "^[0-9A-Fa-f][02468ACEace][0-9A-Fa-f]{10}$")]
    device: Option<String>,
    /// Of one kind.
    #[param(pattern = "^(report|status-report|problem-report|local-config|server-config|crash-log|form)$")]
    kind: Option<String>,
    /// Not before: a time (`2026-03-01T10:00:00Z`) or an age (`24h`).
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    since: Option<String>,
    /// Before, written likewise.
    #[param(pattern = "^([0-9]{1,6}(s|m|h|d)|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)$")]
    until: Option<String>,
    /// Most items of the page; 100 if not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What a phone has sent. `name`, `content_type` and `fields` are its own words, and may be anything.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadView {
    id: String,
    #[schema(format = DateTime)]
    time: String,
    device: String,
    /// `report`, `status-report`, `problem-report`, `local-config`, `server-config`, `crash-log` or `form`.
    kind: String,
    /// The pack and its `[[upload]]` that took it.
    pack: String,
    upload: String,
    /// Whether it tells a part of the parameters only.
    partial: bool,
    #[schema(required = true)]
    name: Option<String>,
    #[schema(required = true)]
    content_type: Option<String>,
    /// The other fields of its form.
    fields: std::collections::BTreeMap<String, String>,
    /// Bytes as they came.
    received: u64,
    /// Bytes of the content as it is kept.
    bytes: u64,
    /// Of the content as it is kept.
    sha256: String,
    /// What was undone.
    #[schema(required = true)]
    encoding: Option<String>,
    /// Encrypted with a key that is not the device's; the content is what came.
    sealed: bool,
    peer: String,
    listener: String,
    /// The server that took it.
    node: String,
}

impl From<Upload> for UploadView {
    fn from(upload: Upload) -> Self {
        Self {
            id: upload.id.to_string(),
            time: rfc3339(upload.time),
            device: upload.device.to_string(),
            kind: upload.kind.to_string(),
            pack: upload.pack,
            upload: upload.upload,
            partial: upload.partial,
            name: upload.name,
            content_type: upload.content_type,
            fields: upload.fields,
            received: upload.received,
            bytes: upload.bytes,
            sha256: upload.sha256,
            encoding: upload.encoding,
            sealed: upload.sealed,
            peer: upload.peer.to_string(),
            listener: upload.listener,
            node: upload.node,
        }
    }
}

/// An upload's id in a path.
#[derive(Debug, Clone, Copy)]
pub struct Id(UploadId);

impl FromRequestParts<Api> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let wrong = |message: String| Problem::of(Kind::Malformed, vec![Mistake::of_key("id", message)]);
        let Path(id) =
            Path::<String>::from_request_parts(parts, api).await.map_err(|_| wrong("can't be read".to_owned()))?;
        id.parse().map(Self).map_err(|error: ParseUploadIdError| wrong(error.to_string()))
    }
}

/// List uploads, the newest first.
///
/// A token that is bound to a group sees the uploads of that group's devices. Its pages may be short or empty while more follow:
/// go on as long as there is a `next`.
#[utoipa::path(get, path = "/uploads", tag = "uploads", params(Asked), responses((status = 200, body = Page<UploadView>)))]
pub async fn list_uploads(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<UploadView>>, Problem> {
    let limit = limit(asked.limit)?;
    let filters = [&asked.device, &asked.kind, &asked.since, &asked.until].map(|filter| filter.as_deref());
    let list = List::new("uploads", &filters);
    let now = OffsetDateTime::now_utc();
    let filter = UploadFilter {
        device: mac("device", asked.device.as_deref())?,
        kind: parse("kind", asked.kind.as_deref())?,
        since: moment("since", asked.since.as_deref(), now)?,
        until: moment("until", asked.until.as_deref(), now)?,
    };
    let before = asked.cursor.as_deref().map(|cursor| list.position(cursor)).transpose()?;
    let before = parse::<UploadId>("cursor", before.as_deref())?;
    let bound = caller.token.group.is_some();
    let wanted = if bound { LOOKED_THROUGH } else { u64::try_from(limit).unwrap_or(u64::MAX) };
    let page = api.uploads().list(&filter, before, wanted).await?;
    let mut next = page.next;
    let mut uploads = page.uploads;
    if bound {
        let mut seen = Vec::new();
        for upload in uploads {
            if seen.len() == limit {
                next = seen.last().map(|upload: &Upload| upload.id);
                break;
            }
            if api.device(&caller, upload.device).await.is_ok() {
                seen.push(upload);
            }
        }
        uploads = seen;
    }
    let next = next.map(|id| list.cursor(&id.to_string()));
    Ok(Json(Page { items: uploads.into_iter().map(UploadView::from).collect(), next }))
}

/// Tell of an upload.
#[utoipa::path(get, path = "/uploads/{id}", tag = "uploads",
    params(("id" = String, Path, description = "The upload's id")), responses((status = 200, body = UploadView)))]
pub async fn get_upload(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    _: Query<Nothing>,
) -> Result<Json<UploadView>, Problem> {
    seen(&api, &caller, id).await.map(|upload| Json(upload.into()))
}

/// Download what was sent.
///
/// Whatever it is, it comes as bytes to be stored. It may hold any secret that the phone knows, so it takes the scope
/// `secrets`.
#[utoipa::path(get, path = "/uploads/{id}/content", tag = "uploads",
    params(("id" = String, Path, description = "The upload's id")),
    responses((status = 200, description = "The content", body = String, content_type = "application/octet-stream")))]
pub async fn get_content(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    _: Query<Nothing>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Secrets)?;
    seen(&api, &caller, id).await?;
    let (upload, content) = api.uploads().open(id).await?.ok_or_else(Problem::not_found)?;
    let mut response = Response::new(Body::new(content.into_body()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(upload.bytes));
    // The name is ours: the phone's may be a path, or another type's.
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"{}-{id}.bin\"", upload.device)) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Delete an upload.
///
/// Takes the scope `write`.
#[utoipa::path(delete, path = "/uploads/{id}", tag = "uploads",
    params(("id" = String, Path, description = "The upload's id")), responses((status = 204, description = "Deleted")))]
pub async fn delete_upload(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Write)?;
    let upload = seen(&api, &caller, id).await?;
    let before = serde_json::to_string(&upload).ok();
    api.record(&caller, OffsetDateTime::now_utc(), "remove", "upload", &id.to_string(), before, None).await?;
    if api.uploads().delete(id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

/// An upload of a device that the caller sees.
async fn seen(api: &Api, caller: &Caller, id: UploadId) -> Result<Upload, Problem> {
    let upload = api.uploads().get(id).await?.ok_or_else(Problem::not_found)?;
    // One of a device that is no more is the whole fleet's.
    if caller.token.group.is_some() {
        api.device(caller, upload.device).await.map_err(|_| Problem::not_found())?;
    }
    Ok(upload)
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Store(error) => error.into(),
            UploadError::Missing(_) => Self::new(Kind::Conflict, "its content is on another server, or gone"),
            error => {
                tracing::error!("the API could not use an upload: {error}");
                Self::new(Kind::Internal, "the server's log tells what it was")
            }
        }
    }
}
