//! The rules, one file each. A new one is a file here, a line below, and a folder of cases in tests/golden/lint/.

mod rendering;
mod unknown_parameter;

use super::rule::Rule;

/// A fresh instance of every rule that looks at a deployment.
pub fn all() -> Vec<Box<dyn Rule>> {
    vec![Box::<rendering::Rendering>::default(), Box::<unknown_parameter::UnknownParameter>::default()]
}
