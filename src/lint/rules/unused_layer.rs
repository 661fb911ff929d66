use std::collections::HashSet;

use crate::lint::rule::rule;
use crate::lint::{About, Deployment, Finding, Findings, Rule};

rule! {
    /// A layer of a group or a model that no device uses.
    ///
    /// # What the phone does
    ///
    /// Nothing: its settings reach none.
    ///
    /// # How to mend it
    ///
    /// Remove the file, or say `group = "…"` or `parent = "…"` where it is meant. For a group that waits for its
    /// first phone, say so in a comment at the top of the file.
    pub struct UnusedLayer = "unused-layer", Warning;
}

impl Rule for UnusedLayer {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        let profiles = &deployment.generation.profiles;
        let devices = profiles.devices();
        let models: HashSet<_> = devices.iter().map(|device| device.model).collect();
        let groups: HashSet<_> = devices
            .iter()
            .filter_map(|device| profiles.group(device.group?))
            .flat_map(|group| group.chain.iter().copied())
            .collect();
        let mut report = |message: String, source: &std::sync::Arc<std::path::Path>| {
            findings.report(Finding::new(message).in_file(source.clone()));
        };
        for ((), group) in
            profiles.groups.iter().enumerate().filter(|(id, _)| !groups.contains(id)).map(|(_, group)| ((), group))
        {
            report(format!("no device is in the group {}", group.name), &group.layer.source);
        }
        for (model, layer) in profiles.models.iter().filter(|(model, _)| !models.contains(model)) {
            let name = deployment.generation.packs.pack_and_model(*model).map_or("?", |(_, model)| &*model.name);
            report(format!("no device is a {name}"), &layer.source);
        }
    }
}
