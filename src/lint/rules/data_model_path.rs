use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Finding, Findings, Mark, Rule};
use crate::packs::data_model::Refusal;
use crate::settings::Key;

rule! {
    /// A TR-069 parameter that the phone's data model doesn't have.
    ///
    /// # What the phone does
    ///
    /// It refuses the parameter (fault 9005), and with it everything else that was to be set in the same message.
    ///
    /// # How to mend it
    ///
    /// Correct the path, or take an instance number that the model has: a line beyond its last is no line. If the phone does
    /// know it, add it to the pack's `tr069.toml`.
    ///
    /// Where the pack says that its list is incomplete (`open = true`) this is a note, and only told where a listed path is
    /// near. A phone without a data model reads neither `[acs.params]` nor `[acs.notifications]`.
    pub struct DataModelPath = "data-model-path", Error;
}

impl Rule for DataModelPath {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let data_model = view.pack.data_model.as_ref().filter(|data_model| data_model.is_for(view.device.model.model));
        for (key, setting) in view.settings.iter() {
            let (Key::AcsParam(path) | Key::AcsNotification(path)) = key else { continue };
            let at = |message: String| Finding::new(message).at(&setting.origin).key(key).mark(Mark::Name);
            match data_model {
                None => {
                    let message =
                        format!("{path}: a {} has no data model, and reads no parameter by path", view.model.name);
                    findings.report(at(message).warning());
                }
                Some(data_model) if data_model.open && !path.ends_with('.') && data_model.find(path).is_none() => {
                    if let Some(near) = data_model.nearest(path).filter(|near| is_sibling(near, path)) {
                        let message = format!("{path} is not in the data model");
                        findings.report(at(message).note().help(format!("did you mean {near}?")));
                    }
                }
                Some(_) => {}
            }
        }
        for refused in view.refused() {
            match &refused.why {
                Refusal::Unknown { near } => {
                    let finding = view.at_refused(refused, Mark::Name);
                    let message = format!("{} is not in the data model", refused.path);
                    let help = near.as_ref().map(|near| format!("did you mean {near}?"));
                    findings.report(Finding { message, help, ..finding });
                }
                Refusal::NotOfModel { .. } => findings.report(view.at_refused(refused, Mark::Name)),
                Refusal::ReadOnly | Refusal::Value(_) => {}
            }
        }
    }
}

/// Whether the two are parameters of the same object: one of another says nothing where not all are listed.
fn is_sibling(one: &str, other: &str) -> bool {
    let object = |path: &str| path.rsplit_once('.').map(|(object, _)| object.to_owned());
    object(one) == object(other)
}
