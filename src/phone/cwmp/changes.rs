//! A value that somebody changes on the phone itself.

use super::Phone;
use super::answers::takes;
use super::message::meaning;
use crate::phone::State;

/// Why a value can't be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {}, says the phone ({code})", meaning(*code))]
pub struct ChangeError {
    pub path: String,
    pub code: u16,
}

impl Phone {
    /// Changes a value as a person does on the phone's own pages. True where the phone was asked to tell of it, and does so in its
    /// next session.
    ///
    /// # Errors
    /// When the phone has no such parameter, or doesn't take the value.
    pub fn change(&self, state: &mut State, path: &str, value: &str) -> Result<bool, ChangeError> {
        let refused = |code| ChangeError { path: path.to_owned(), code };
        let knowledge = self.knowledge();
        let entry = knowledge.model().find(path, &state.cwmp, knowledge.lines(&self.identity.model));
        let entry = entry.ok_or_else(|| refused(super::message::INVALID_NAME))?;
        let kept = takes(entry, value, None).map_err(refused)?;
        if entry.value(path, self, state) == kept {
            return Ok(false);
        }
        state.cwmp.parameters.insert(path.to_owned(), kept);
        let is_told = self.notification(state, path) > 0;
        if is_told {
            state.cwmp.changed.insert(path.to_owned());
        }
        Ok(is_told)
    }
}
