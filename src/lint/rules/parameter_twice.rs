use std::collections::HashMap;

use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Finding, Findings, Rule};
use crate::packs::Format;

rule! {
    /// A file names one parameter twice.
    ///
    /// # What the phone does
    ///
    /// It takes the last one and passes over the others, so that half of what the file says doesn't hold.
    ///
    /// # How to mend it
    ///
    /// Take one of them out. What a template writes of its own accord is better said in the mapping or in `[params]`,
    /// which know each parameter once.
    pub struct ParameterTwice = "parameter-twice", Error;
}

impl Rule for ParameterTwice {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for (file, profile) in view.profiles() {
            // Names of Aastra and Mitel phones have no case.
            let has_case = file.entry.format != Format::ColonLines;
            // What was made is there once; only what a template adds can be there again.
            if has_case && profile.written.len() <= profile.made.len() {
                continue;
            }
            let mut lines: HashMap<String, u32> = HashMap::with_capacity(profile.written.len());
            for mut parameter in profile.parameters(view.pack) {
                let name = if has_case { parameter.name.to_owned() } else { parameter.name.to_lowercase() };
                let Some(first) = lines.insert(name, parameter.line) else { continue };
                if has_case {
                    // What was made has its line already: this one is the template's own.
                    parameter.made = None;
                }
                let message = format!("{} is in the file twice", parameter.name);
                let finding = view.at_parameter(message, file, &parameter);
                let help =
                    format!("it is in lines {first} and {} of {}; take one of them out", parameter.line, file.path);
                // Lines and path differ from device to device, so they are told of the first only.
                findings.report(Finding { help: Some(help), ..finding });
            }
        }
    }
}
