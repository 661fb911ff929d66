//! Files that a server wants to be fetched or sent: really done over HTTP, when the session is over.

use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::memory::{Direction, Ended, Event, Transfer};
use super::message::meaning;
use super::play::Link;
use super::step::{Step, shown};
use super::{Phone, answers, configuration};
use crate::model::Secret;
use crate::phone::aastra::{local_file, server_file};
use crate::phone::{Credentials, Fetch, Maker, Method, Request, Response, State};

/// A moment as CWMP writes it; beyond the calendar, the one that is unknown.
pub fn time(seconds: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(at) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        ),
        Err(_) => "0001-01-01T00:00:00Z".to_owned(),
    }
}

/// A moment and so much more, with microseconds and without a zone, as TR-143 has it: `2008-04-09T15:01:05.123456`.
pub fn precise_time(seconds: i64, more: Duration) -> String {
    let whole = seconds.saturating_add(i64::try_from(more.as_secs()).unwrap_or(i64::MAX));
    format!("{}.{:06}", time(whole).trim_end_matches('Z'), more.subsec_micros())
}

/// Does every transfer that waits. What became of it is told in the next session.
pub async fn all(phone: &Phone, state: &mut State, now: i64, fetch: &impl Fetch, steps: &mut Vec<Step>) {
    for at in 0..state.cwmp.transfers.len() {
        let waiting = state.cwmp.transfers.get(at).filter(|transfer| transfer.ended.is_none());
        let Some(transfer) = waiting.cloned() else { continue };
        let before = steps.len();
        let done = match transfer.direction {
            Direction::Download => download(phone, state, &transfer, fetch, steps).await,
            Direction::Upload => upload(phone, state, &transfer, now, fetch).await,
        };
        let (code, bytes) = done.map_or_else(|code| (coarse(phone, transfer.direction, code), 0), |bytes| (0, bytes));
        let text = if code == 0 { String::new() } else { meaning(code).to_owned() };
        let step = Step::Transferred {
            direction: transfer.direction,
            file_type: transfer.file_type.clone(),
            url: shown(&transfer.url),
            code,
            text: text.clone(),
            bytes,
        };
        steps.insert(before, step);
        let event = if transfer.direction == Direction::Download { "M Download" } else { "M Upload" };
        state.cwmp.tell(Event::with_key(event, &transfer.command_key));
        if let Some(own) = state.cwmp.transfers.get_mut(at) {
            // Whom the file was for is nobody's business any more.
            own.password.clear();
            own.ended = Some(Ended { code, text, start: now, complete: now });
        }
    }
}

/// CWMP 1.0 has two faults for all that can go wrong.
fn coarse(phone: &Phone, direction: Direction, code: u16) -> u16 {
    match (phone.knowledge().namespace.ends_with("-1-0"), direction) {
        (true, _) if code == 9012 => code,
        (true, Direction::Download) => 9010,
        (true, Direction::Upload) => 9011,
        (false, _) => code,
    }
}

async fn download(
    phone: &Phone,
    state: &mut State,
    transfer: &Transfer,
    fetch: &impl Fetch,
    steps: &mut Vec<Step>,
) -> Result<usize, u16> {
    let response = ask(phone, transfer, Method::Get, &transfer.url, Bytes::new(), fetch).await?;
    let bytes = response.body.len();
    if transfer.file_type.contains("Firmware") {
        if bytes == 0 {
            return Err(9018);
        }
        let named = version_in(&transfer.target).or_else(|| version_in(last(&transfer.url)));
        let version = phone.habits.next_firmware.clone().or(named);
        let held = state.upgrade.firmware.clone().unwrap_or_else(|| phone.identity.firmware.clone());
        // "If the version is identical to the actual version, the phone will abort the firmware upgrade".
        if version.is_some() && (version.as_ref() == Some(&held) || version_in(&held) == version) {
            return Ok(bytes);
        }
        let firmware = version.unwrap_or(held);
        state.upgrade.firmware = Some(firmware.clone());
        steps.push(Step::Upgraded { firmware });
        answers::reboot(state, None);
        return Ok(bytes);
    }
    if transfer.file_type.contains("Custom CA") {
        let is_one = response.body.windows(17).any(|part| part == b"BEGIN CERTIFICATE");
        return if is_one { Ok(bytes) } else { Err(9018) };
    }
    configuration::take(phone, state, transfer, &response)?;
    // "Loading of new configuration through TR-069 will require a CPE reboot".
    if phone.maker == Maker::Aastra {
        answers::reboot(state, None);
    }
    Ok(bytes)
}

async fn upload(phone: &Phone, state: &State, transfer: &Transfer, now: i64, fetch: &impl Fetch) -> Result<usize, u16> {
    let mac = phone.identity.mac.upper();
    let (name, body) = match (phone.maker, transfer.file_type.as_str()) {
        (Maker::Aastra, "1 Vendor Configuration File") => {
            let file = local_file(&phone.identity, &configuration::with_set(phone, state));
            (file.name, file.body)
        }
        (Maker::Aastra, "X_Aastra Server Configuration File") => {
            let file = server_file(state);
            (file.name, file.body)
        }
        (Maker::Aastra, _) => (format!("{mac}_{now}_crash.log"), format!("{}: no crash\n", time(now))),
        _ => (
            format!("cfg{}.xml", phone.identity.mac),
            configuration::provision(phone, &configuration::with_set(phone, state)),
        ),
    };
    // A folder gets the file by its name.
    let url = if transfer.url.ends_with('/') { format!("{}{name}", transfer.url) } else { transfer.url.clone() };
    let bytes = body.len();
    ask(phone, transfer, Method::Put, &url, Bytes::from(body), fetch).await?;
    Ok(bytes)
}

async fn ask(
    phone: &Phone,
    transfer: &Transfer,
    method: Method,
    url: &str,
    body: Bytes,
    fetch: &impl Fetch,
) -> Result<Response, u16> {
    let own = Credentials { user: transfer.user.clone(), password: Secret::new(transfer.password.as_str()) };
    let credentials = (!transfer.user.is_empty()).then_some(own);
    let mut link = Link::new(phone, url.to_owned(), credentials, fetch);
    let request = Request {
        method,
        url: url.to_owned(),
        user_agent: phone.user_agent(),
        headers: Vec::new(),
        content_type: (method == Method::Put).then(|| "application/octet-stream".to_owned()),
        body,
    };
    let response = link.ask(request, &mut |_| ()).await.map_err(|_| 9015_u16)?;
    match response.status {
        200..300 => Ok(response),
        401 => Err(9012),
        _ => Err(9016),
    }
}

fn last(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// The version that a text names: numbers with two dots at least between them.
fn version_in(text: &str) -> Option<String> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|part| part.trim_matches('.'));
    parts.filter(|part| part.split('.').filter(|number| !number.is_empty()).count() > 2).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_names() {
        for (text, version) in [
            ("6867i-3.3.1.8101.st", Some("3.3.1.8101")),
            ("3.3.1.4311-SIP", Some("3.3.1.4311")),
            ("6867i.st", None),
            ("sip68xx.11-3-1MPP0001.loads", None),
        ] {
            assert_eq!(version_in(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn moments_are_written_as_the_protocol_has_them() {
        assert_eq!(time(1_769_860_800), "2026-01-31T12:00:00Z");
        assert_eq!(time(i64::MAX), "0001-01-01T00:00:00Z");
    }
}
