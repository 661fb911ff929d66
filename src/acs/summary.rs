//! What an event tells of a session.

use super::job::Done;
use super::phone::Phone;
use crate::cwmp::session::End;

/// A session in one line.
pub fn summary(phone: &Phone, done: &Done, told: Vec<String>, end: &End, messages: u32) -> String {
    let mut parts = vec![phone.said.events.join(", ")];
    parts.extend(told);
    if done.set > 0 {
        parts.push(format!("{} parameters set", done.set));
    }
    if done.notifications > 0 {
        parts.push(format!("{} notifications set", done.notifications));
    }
    if !done.restored.is_empty() {
        parts.push(format!("changed on the phone and set back: {}", done.restored.join(", ")));
    }
    if !phone.changed.is_empty() {
        let paths: Vec<_> = phone.changed.iter().map(|changed| changed.path.as_str()).collect();
        parts.push(format!("changed on the phone and kept: {}", paths.join(", ")));
    }
    if !phone.refused.is_empty() {
        let refused: Vec<_> =
            phone.refused.iter().map(|one| format!("{} ({} {})", one.path, one.fault, one.why)).collect();
        parts.push(format!("refused by the phone: {}", refused.join(", ")));
    }
    match end {
        End::Done => {}
        End::Refused(code) => parts.push(format!("refused: {code}")),
        End::OutOfTurn => parts.push("the phone sent what nobody waited for".to_owned()),
        End::Unreadable(error) => parts.push(error.to_string()),
        End::Restarted => parts.push("the phone began anew".to_owned()),
        End::TimedOut => parts.push("the phone did not go on with it".to_owned()),
    }
    parts.push(format!("{messages} messages"));
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}
