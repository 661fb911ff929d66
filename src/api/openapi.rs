//! The document that describes the API, OpenAPI 3.1, made from the handlers and types themselves.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Document, Mistake, PROBLEM_JSON};
use super::query::{Nothing, Query};
use super::{BASE, Problem, once, resources};
use crate::acs::task::Spec;

const ABOUT: &str = "Devices, groups and what phones do, for your own programs. docs/api.md tells of tokens, pages, ETags, \
                     idempotency keys and webhooks. Every error is a problem (RFC 9457).";

/// What any operation may answer beside what it says itself.
const ANY: [(&str, &str); 9] = [
    ("400", "The request is malformed"),
    ("401", "No token, or none that holds"),
    ("403", "The token may not do this"),
    ("404", "There is no such thing, or none that the token may see"),
    ("406", "The header Accept lets nothing through"),
    ("422", "What is asked for can't be"),
    ("429", "Too much was asked for; Retry-After tells when to ask again"),
    ("500", "Something went wrong; the server's log tells what"),
    ("503", "It can't be had at the moment; Retry-After tells when to ask again"),
];

/// What an operation that takes a body, or makes something, may answer.
const CHANGING: [(&str, &str); 4] = [
    ("408", "The body did not come in time"),
    ("409", "It is in the way of something else, or the same request is being answered"),
    ("413", "The body is too large"),
    ("415", "The body is not application/json"),
];

/// What an operation that takes `If-Match` may answer.
const CONDITIONAL: [(&str, &str); 2] = [
    ("412", "It is not as the request expects it"),
    ("428", "It is there already, and the request doesn't say which it changes"),
];

/// What stands in a path, and what it has to look like.
const IN_PATHS: [(&str, &str); 3] = [
    (
        "mac",
        "^([0-9A-Fa-f][02468ACEace][0-9A-Fa-f]{10}|[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f][02468ACEace](-[0-9A-Fa-f]{2}){5})$",
    ),
    ("id", "^[0-9a-f]{32}$"),
    ("name", "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"),
];

/// The document.
pub fn document() -> OpenApi {
    let (_, mut document) = OpenApiRouter::new().nest(BASE, resources()).split_for_parts();
    let info =
        InfoBuilder::new().title("resyncd").version("1").description(Some(ABOUT)).license(Some(
            LicenseBuilder::new().name("Apache-2.0 OR MIT").identifier(Some("Apache-2.0 OR MIT")).build(),
        ));
    document.info = info.build();
    let mut components = document.components.take().unwrap_or_else(Components::new);
    components.schemas.insert(Document::name().into_owned(), Document::schema());
    components.schemas.insert(Mistake::name().into_owned(), Mistake::schema());
    if let Some(RefOr::T(Schema::OneOf(tasks))) = components.schemas.get_mut(&*Spec::name()) {
        tasks.items.iter_mut().for_each(close);
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of `resyncd token create`"))
        .build();
    components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(bearer).into());
    document.components = Some(components);
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        complete(item);
    }
    OpenApiBuilder::from(document).build()
}

/// The document as it is served and kept in docs/openapi.json.
pub fn document_text() -> String {
    // What it is made of are texts, numbers and lists of them, which JSON can always hold.
    document().to_pretty_json().map(|text| text + "\n").unwrap_or_default()
}

/// Adds what every operation has in common.
fn complete(item: &mut PathItem) {
    let makes = [false, true, true, false, false];
    let changes = [false, true, true, true, true];
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
    for ((operation, makes), changes) in operations.into_iter().zip(makes).zip(changes) {
        let Some(operation) = operation else { continue };
        let parameters = operation.parameters.get_or_insert_with(Vec::new);
        parameters.iter_mut().for_each(narrow);
        let named = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(found) if found.name == "If-Match");
        let conditional = CONDITIONAL.iter().filter(|_| parameters.iter().any(named));
        let changing = CHANGING.iter().filter(|_| changes);
        let responses: Vec<_> = ANY.iter().chain(changing).chain(conditional).collect();
        for (status, meaning) in responses {
            add_response(operation, status, meaning);
        }
        if makes {
            operation.parameters.get_or_insert_with(Vec::new).push(idempotency_key());
        }
    }
}

/// Says that an object holds nothing but its properties, which is not told of the variants of a type.
fn close(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

/// Parameters are texts, there or not there, but never null; and what stands in a path has its own look.
fn narrow(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(parameter) = parameter else { return };
    let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else { return };
    if let SchemaType::Array(types) = &mut schema.schema_type {
        types.retain(|kind| *kind != Type::Null);
        if let [one] = types.as_slice() {
            schema.schema_type = SchemaType::Type(one.clone());
        }
    }
    if parameter.name == "If-None-Match" {
        schema.enum_values = Some(vec!["*".into()]);
    }
    if parameter.name == "mac" {
        schema.examples = vec!["000e08abcdef".into()];
    }
    if parameter.parameter_in == ParameterIn::Path {
        let pattern = IN_PATHS.iter().find(|(name, _)| *name == parameter.name);
        schema.pattern = pattern.map(|(_, pattern)| (*pattern).to_owned());
    }
}

fn add_response(operation: &mut Operation, status: &str, meaning: &str) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Document::name()))).build();
    let response = ResponseBuilder::new().description(meaning).content(PROBLEM_JSON, problem).build();
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}

fn idempotency_key() -> RefOr<Parameter> {
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    ParameterBuilder::new()
        .name(once::HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Sent again with the same request within a day, it is answered as before and makes nothing more",
        ))
        .schema(Some(schema.pattern(Some("^[!-~]+$"))))
        .build()
        .into()
}

static TEXT: LazyLock<String> = LazyLock::new(document_text);

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, body = Object)))]
pub async fn get_document(_: Query<Nothing>) -> Result<impl IntoResponse, Problem> {
    Ok(([(CONTENT_TYPE, "application/json")], TEXT.as_str()))
}
