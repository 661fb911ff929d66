use std::sync::Arc;

use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Finding, Findings, Rule};
use crate::phone::{Verdict, verdict};
use crate::resync::Pipeline;

rule! {
    /// A phone that takes its profile doesn't come back to it. Only with `--emulate`.
    ///
    /// # What the phone does
    ///
    /// Played against its own files, with this server's real answers: its resync fails, it goes to another server, its
    /// parameters change with every resync, or it has no reason to ask again.
    ///
    /// # How to mend it
    ///
    /// `resyncd phone resync` plays the same step by step against a running server; `resyncd explain MAC
    /// PROFILE_RULE` tells what the rule is made of.
    ///
    /// Where only the server has a secret, something stands in for it. A phone whose profile can't be made isn't played.
    pub struct Emulation { pipeline: Option<Arc<Pipeline>>, limit: usize } = "emulation", Error;
}

impl Emulation {
    /// Plays phones against a pipeline that serves what is checked.
    pub fn new(pipeline: Arc<Pipeline>, limit: usize) -> Self {
        Self { pipeline: Some(pipeline), limit }
    }
}

impl Rule for Emulation {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let Some(pipeline) = &self.pipeline else { return };
        // Fetching in the process never waits, so any runtime will do.
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
        let generic = |text: String| text.replace(&view.device.mac.to_string(), "<mac>");
        let message = match runtime.block_on(verdict(pipeline, view.device, self.limit)) {
            Verdict::Settles { .. } | Verdict::Unknown { .. } => return,
            Verdict::Fails { why } => format!("the phone's resync fails: {}", generic(why)),
            Verdict::MovesAway { to } => format!("the phone goes to another server: {}", generic(to)),
            Verdict::Loops { changed } => format!("each resync changes {}", changed.join(", ")),
            Verdict::NeverReturns => "the phone has no reason to ask again".to_owned(),
        };
        let finding: Finding = view.at_setting(message, "provisioning.url");
        findings.report(finding);
    }
}
