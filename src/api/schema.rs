//! The tree of settings as a schema, made from the table that layers are checked against.

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::settings::schema::{Kind, SECTIONS, Section, Shape};

/// The tree of a device's or group's file, without what stands at its top beside `unset`.
#[derive(Debug)]
pub enum SettingsTree {}

impl ToSchema for SettingsTree {}

impl PartialSchema for SettingsTree {
    fn schema() -> RefOr<Schema> {
        let unset = ArrayBuilder::new().items(text()).description(Some(
            "Dotted names of settings, or whole sections, that are taken away from the layers below",
        ));
        let mut tree = closed().property("unset", unset).description(Some("docs/settings.md tells of every setting"));
        for section in SECTIONS {
            tree = tree.property(section.name, of_section(section));
        }
        tree.build().into()
    }
}

fn object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object)
}

/// An object that holds nothing but its properties.
fn closed() -> ObjectBuilder {
    object().additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// A text that a profile can carry.
fn text() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$"))
}

fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

fn integer(min: i64, max: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min as f64)).maximum(Some(max as f64))
}

fn of_section(section: &'static Section) -> RefOr<Schema> {
    let described = |builder: ObjectBuilder| builder.description(Some(section.about));
    match section.shape {
        Shape::Table => described(settings(section)).build().into(),
        Shape::Numbered => {
            let number = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[1-9][0-9]{0,2}$")).build();
            let one: RefOr<Schema> = settings(section).build().into();
            described(object())
                .property_names(Some(Schema::Object(number)))
                .additional_properties(Some(one))
                .build()
                .into()
        }
        Shape::Params => {
            let name = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build();
            described(object())
                .property_names(Some(Schema::Object(name)))
                .additional_properties(Some(param()))
                .build()
                .into()
        }
        Shape::Free => {
            described(object()).additional_properties(Some(AdditionalProperties::FreeForm(true))).build().into()
        }
    }
}

fn settings(section: &'static Section) -> ObjectBuilder {
    section
        .settings
        .iter()
        .fold(closed(), |table, setting| table.property(setting.name, of_kind(setting.kind, setting.about)))
}

fn of_kind(kind: Kind, about: &str) -> RefOr<Schema> {
    let described = |builder: ObjectBuilder| -> RefOr<Schema> { builder.description(Some(about)).build().into() };
    let list = |items: ObjectBuilder| -> RefOr<Schema> {
        ArrayBuilder::new().items(items).description(Some(about)).build().into()
    };
    let words = |words: &[&str]| text().enum_values(Some(words.iter().map(|word| (*word).to_owned())));
    match kind {
        Kind::Text | Kind::TimeZone | Kind::BaseUrl => described(text()),
        Kind::Secret => {
            let either = secret().into_iter().fold(OneOfBuilder::new(), |either, form| either.item(form));
            Schema::OneOf(either.description(Some(about)).build()).into()
        }
        Kind::Bool => described(boolean()),
        Kind::Integer(min, max) => described(integer(min, max)),
        Kind::Choice(choices) => described(words(choices)),
        Kind::Texts | Kind::Networks => list(text()),
        Kind::Choices(choices) => list(words(choices)),
        Kind::Paths => {
            let value = ObjectBuilder::new().schema_type(Type::Number).build();
            let either = OneOfBuilder::new().item(boolean()).item(value);
            let either = secret().into_iter().fold(either, |either, form| either.item(form));
            by_path(about, r"", Schema::OneOf(either.build()).into())
        }
        Kind::Notifications => {
            let words = text().enum_values(Some(["off", "passive", "active"].map(str::to_owned)));
            by_path(about, r"\.?", words.build().into())
        }
        Kind::Schedule => {
            let either = OneOfBuilder::new().item(integer(0, 31_536_000)).item(text());
            Schema::OneOf(either.description(Some(about)).build()).into()
        }
    }
}

/// A table by data-model paths; `end` is what may follow one.
fn by_path(about: &str, end: &str, value: RefOr<Schema>) -> RefOr<Schema> {
    let pattern =
        format!(r"^(InternetGateway)?Device(\.([A-Za-z_][A-Za-z0-9_-]{{0,63}}|[1-9][0-9]{{0,5}})){{1,8}}{end}$");
    let path = ObjectBuilder::new().schema_type(Type::String).max_length(Some(256)).pattern(Some(pattern)).build();
    object()
        .property_names(Some(Schema::Object(path)))
        .additional_properties(Some(value))
        .description(Some(about))
        .build()
        .into()
}

/// The forms of a secret: a record takes no files and variables of the server's.
fn secret() -> [Object; 3] {
    let coded = |name: &str, pattern: &str| {
        let digits = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        closed().property(name, digits).required(name).build()
    };
    [text().build(), coded("hex", "^([0-9A-Fa-f]{2})+$"), coded("base64url", "^[A-Za-z0-9_-]+$")]
}

/// A text, a number, true or false; a secret; or any of them with the access that the phone's user has to it.
fn param() -> RefOr<Schema> {
    let value = || {
        let number = ObjectBuilder::new().schema_type(Type::Number).build();
        secret().into_iter().fold(OneOfBuilder::new().item(boolean()).item(number), |either, form| either.item(form))
    };
    let with_access = closed().property("value", Schema::OneOf(value().build())).property("access", text());
    Schema::OneOf(value().item(with_access).build()).into()
}
