use crate::lint::rule::rule;
use crate::lint::{About, Deployment, DeviceView, Finding, Findings, Rule};
use crate::packs::FileEntry;
use crate::render::RenderError;

rule! {
    /// A file can't be made: its template or an expression fails, a value doesn't fit the format, or the result is
    /// malformed.
    ///
    /// # What the phone does
    ///
    /// It gets an empty answer of status 500, and keeps the profile that it has.
    ///
    /// # How to mend it
    ///
    /// Mend what the message names; `resyncd render MAC` shows the file, `resyncd explain MAC` what set each value.
    ///
    /// Secrets are not fetched for the check: what stands in an environment or a file of the server's need not be
    /// there.
    pub struct Rendering = "rendering", Error;
}

impl Rule for Rendering {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn deployment(&self, deployment: &Deployment<'_>, findings: &mut Findings) {
        for file in &deployment.public {
            if let Err(error) = &file.outcome {
                findings.report(finding(error, file.entry, &file.path));
            }
        }
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        for file in &view.files {
            if let Some(Err(error)) = &file.outcome {
                findings.report(finding(error, file.entry, &file.path));
            }
        }
        if let Some(Err(error)) = view.desired() {
            let (file, line) = error.place();
            let finding = Finding::new(format!("what an ACS would set can't be made: {}", error.message()));
            let finding = finding.why("It gets nothing from the ACS, and keeps what it has.");
            findings.report(Finding { file, line, ..finding });
        }
    }
}

fn finding(error: &RenderError, entry: &FileEntry, path: &str) -> Finding {
    // By its pattern, so that the same mistake of many devices reads the same.
    let name = entry.paths.first().map(ToString::to_string).unwrap_or_default();
    let finding = Finding::new(format!("{name} can't be made: {}", error.message())).rendered(path, None);
    let (file, line) = error.place();
    Finding { file, line, ..finding }
}
