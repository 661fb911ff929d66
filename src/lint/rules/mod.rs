//! The rules, one file each. A new one is a file here, a line below, and a folder of cases in tests/golden/lint/.

mod certificate_expiry;
mod certificate_trust;
mod certificate_unfit;
mod clear_over_http;
mod clear_password;
mod comment_swallows;
mod connection_way;
mod data_model_path;
mod data_model_read_only;
mod data_model_value;
mod delivery_mismatch;
mod duplicate_user;
mod empty_value;
mod emulation;
mod firmware_missing;
mod firmware_version;
mod legacy_listener;
mod lock_out;
mod no_access;
mod no_random_delay;
mod non_ascii;
mod parameter_for_another_model;
mod parameter_twice;
mod profile_rule;
mod provisioning_off;
mod rendering;
mod secret_for_anyone;
mod shared_key;
mod shared_password;
mod token_dropped;
mod too_many_keys;
mod too_many_lines;
mod unknown_parameter;
mod unread_setting;
mod unused_layer;
mod unused_template;
mod value_type;
mod weak_key;
mod weak_password;

pub use emulation::Emulation;

use super::rule::Rule;
use super::view::ParameterView;
use crate::render::Made;

/// A fresh instance of every rule that looks at a deployment.
pub fn all() -> Vec<Box<dyn Rule>> {
    vec![
        Box::<certificate_expiry::CertificateExpiry>::default(),
        Box::<certificate_trust::CertificateTrust>::default(),
        Box::<certificate_unfit::CertificateUnfit>::default(),
        Box::<clear_over_http::ClearOverHttp>::default(),
        Box::<clear_password::ClearPassword>::default(),
        Box::<comment_swallows::CommentSwallows>::default(),
        Box::<connection_way::ConnectionWay>::default(),
        Box::<data_model_path::DataModelPath>::default(),
        Box::<data_model_read_only::DataModelReadOnly>::default(),
        Box::<data_model_value::DataModelValue>::default(),
        Box::<delivery_mismatch::DeliveryMismatch>::default(),
        Box::<duplicate_user::DuplicateUser>::default(),
        // Without a pipeline it plays no phone.
        Box::<Emulation>::default(),
        Box::<empty_value::EmptyValue>::default(),
        Box::<firmware_missing::FirmwareMissing>::default(),
        Box::<firmware_version::FirmwareVersion>::default(),
        Box::<legacy_listener::LegacyListener>::default(),
        Box::<lock_out::LockOut>::default(),
        Box::<no_access::NoAccess>::default(),
        Box::<no_random_delay::NoRandomDelay>::default(),
        Box::<non_ascii::NonAscii>::default(),
        Box::<parameter_for_another_model::ParameterForAnotherModel>::default(),
        Box::<parameter_twice::ParameterTwice>::default(),
        Box::<profile_rule::ProfileRule>::default(),
        Box::<provisioning_off::ProvisioningOff>::default(),
        Box::<rendering::Rendering>::default(),
        Box::<secret_for_anyone::SecretForAnyone>::default(),
        Box::<shared_key::SharedKey>::default(),
        Box::<shared_password::SharedPassword>::default(),
        Box::<token_dropped::TokenDropped>::default(),
        Box::<too_many_keys::TooManyKeys>::default(),
        Box::<too_many_lines::TooManyLines>::default(),
        Box::<unknown_parameter::UnknownParameter>::default(),
        Box::<unread_setting::UnreadSetting>::default(),
        Box::<unused_layer::UnusedLayer>::default(),
        Box::<unused_template::UnusedTemplate>::default(),
        Box::<value_type::ValueType>::default(),
        Box::<weak_key::WeakKey>::default(),
        Box::<weak_password::WeakPassword>::default(),
    ]
}

/// Whether the operator set the parameter by its own name.
fn is_params(parameter: &ParameterView<'_>) -> bool {
    matches!(parameter.made.map(|made| &made.made), Some(Made::Params(_)))
}
