//! Diagnoses that a server asks for by setting a parameter. They are made when the session is over, and told by the next.

use super::Phone;
use super::memory::Event;
use super::step::Step;
use crate::phone::State;

pub const STATE: &str = ".DiagnosticsState";
pub const REQUESTED: &str = "Requested";

const PING: &str = "Device.LAN.IPPingDiagnostics.";

/// Makes the diagnoses that were asked for. A ping is played: every host answers but those without a name.
pub(super) fn make(phone: &Phone, state: &mut State, steps: &mut Vec<Step>) {
    let path = format!("{PING}DiagnosticsState");
    if state.cwmp.parameters.get(&path).is_none_or(|text| text != REQUESTED) {
        return;
    }
    let model = phone.knowledge().model();
    let held = |state: &State, name: &str| {
        let path = format!("{PING}{name}");
        let lines = phone.knowledge().lines(&phone.identity.model);
        model.find(&path, &state.cwmp, lines).map(|entry| entry.value(&path, phone, state)).unwrap_or_default()
    };
    let (host, count) = (held(state, "Host"), held(state, "NumberOfRepetitions"));
    let outcome = if host.is_empty() { "Error_CannotResolveHostName" } else { "Complete" };
    let mut set = |name: &str, value: &str| state.cwmp.parameters.insert(format!("{PING}{name}"), value.to_owned());
    set("DiagnosticsState", outcome);
    if !host.is_empty() {
        set("SuccessCount", &count);
        set("FailureCount", "0");
        set("MinimumResponseTime", "1");
        set("AverageResponseTime", "2");
        set("MaximumResponseTime", "4");
    }
    state.cwmp.tell(Event::new("8 DIAGNOSTICS COMPLETE"));
    steps.push(Step::Diagnosed { object: PING.to_owned(), state: outcome.to_owned() });
}
