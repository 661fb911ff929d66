//! A session over HTTP, and what the phone does when it is over.

use std::collections::BTreeMap;

use bytes::Bytes;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::memory::Event;
use super::quirks::Quirk;
use super::session::{End, Session};
use super::step::Step;
use super::{Phone, Server, answers, diagnostics, transfer};
use crate::phone::challenge::Challenge;
use crate::phone::cisco::{Emulation, Random};
use crate::phone::network::Target;
use crate::phone::{Credentials, Fetch, FetchError, Method, Request, Response, State};

/// How often a phone follows where it is sent, for one message.
const REDIRECTS: u32 = 5;

/// What came of a session.
#[derive(Debug, Clone)]
pub struct Played {
    pub state: State,
    pub steps: Vec<Step>,
    /// None: the session ended by 204.
    pub failure: Option<String>,
    /// Of the last answer; none where there was none.
    pub status: Option<u16>,
    /// Seconds until the phone opens the next session by itself; none for never.
    pub next: Option<u64>,
    pub messages: u32,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

/// Plays one session, and what is to be done after it. `now` in seconds since 1970.
pub async fn play(
    phone: &Phone,
    state: &State,
    server: &Server,
    events: &[Event],
    now: i64,
    fetch: &impl Fetch,
    random: &mut impl Random,
) -> Played {
    let mut session = Session::new(phone, state, &server.url, events, now);
    let mut link = Link::new(phone, server.url.clone(), server.credentials.clone(), fetch);
    while let Some(body) = session.post() {
        let mut notes = Vec::new();
        let answer = link.post(body, &mut |step| notes.push(step)).await;
        notes.into_iter().for_each(|step| session.note(step));
        match answer {
            Ok(response) => {
                let retry_after = response.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
                session.answer(response.status, retry_after, &response.body);
            }
            Err(error) => {
                session.note(Step::Unanswered { url: link.url.clone(), error: error.to_string() });
                session.unanswered(&error.to_string());
            }
        }
    }
    let (status, sent_bytes, received_bytes) = (link.status, link.sent, link.received);
    let (mut state, after, mut steps, end, messages) = session.finish();
    let failure = match &end {
        End::Done => None,
        End::Busy(Some(seconds)) => Some(format!("the server is busy, and wants to be asked again in {seconds} s")),
        End::Busy(None) => Some("the server is busy".to_owned()),
        End::PowerCut => Some("the phone lost its power".to_owned()),
        End::Rebooting => Some("the phone rebooted, and heard no more".to_owned()),
        End::Failed(why) => Some(why.clone()),
    };
    steps.push(Step::Ended { failure: failure.clone(), messages, sent_bytes, received_bytes });
    if end == End::PowerCut {
        steps.push(Step::PowerCut);
        answers::reboot(&mut state, None);
    } else if after.factory_reset {
        reset(phone, &mut state);
        steps.push(Step::FactoryReset);
    } else {
        if matches!(end, End::Done | End::Rebooting) {
            transfer::all(phone, &mut state, now, fetch, &mut steps).await;
            diagnostics::make(phone, &mut state, now, fetch, &mut steps).await;
        }
        if let Some(key) = after.reboot {
            answers::reboot(&mut state, Some(&key));
            steps.push(Step::Rebooted { command_key: key });
        }
    }
    let next = next(phone, &state, &end, now, random);
    Played { state, steps, failure, status, next, messages, sent_bytes, received_bytes }
}

/// Forgets everything; what leads it to its server stays where the family keeps it.
fn reset(phone: &Phone, state: &mut State) {
    let keeps = phone.knowledge().keeps_server_on_reset;
    let made = super::super::Phone::new(phone.maker, phone.identity.clone(), Emulation::default()).factory_state();
    let before = std::mem::replace(state, State { upgrade: state.upgrade.clone(), ..made });
    if keeps {
        let is_kept = |path: &String| path.starts_with("Device.ManagementServer.") || path.starts_with("Device.LAN.");
        state.cwmp.parameters = before.cwmp.parameters.into_iter().filter(|(path, _)| is_kept(path)).collect();
        let of_files = ["P1409", "P4503", "P4504", "P4505", "P4506", "P4507", "P4511", "P4512", "P4518"];
        let kept = before.parameters.into_iter().filter(|(name, _)| of_files.contains(&name.as_str()));
        state.parameters.extend(kept);
    }
}

fn next(phone: &Phone, state: &State, end: &End, now: i64, random: &mut impl Random) -> Option<u64> {
    if Server::of(phone, state).is_err() {
        return None;
    }
    let memory = &state.cwmp;
    if let End::Busy(Some(seconds)) = end {
        return Some((*seconds).into());
    }
    if memory.retries > 0 && *end != End::PowerCut {
        return Some(phone.knowledge().retry.wait(memory.retries, |bound| random.up_to(bound)).into());
    }
    if !memory.events.is_empty() || !memory.transfers.is_empty() || memory.bootstrapped.is_none() {
        return Some(0);
    }
    let held = |name: &str| {
        let path = format!("Device.ManagementServer.{name}");
        let entry = phone.knowledge().model().find(&path, memory, 1);
        entry.map(|entry| entry.value(&path, phone, state)).unwrap_or_default()
    };
    let interval = held("PeriodicInformInterval").parse::<i64>().ok().filter(|seconds| *seconds > 0);
    let periodic = interval.filter(|_| held("PeriodicInformEnable") == "1").map(|interval| {
        let from = moment(&held("PeriodicInformTime"));
        // At a whole number of intervals from that time; where it is unknown, from now.
        from.map_or(interval, |from| interval - (now - from).rem_euclid(interval))
    });
    let scheduled = memory.scheduled.iter().map(|(at, _)| at.saturating_sub(now).max(0)).min();
    let next = periodic.into_iter().chain(scheduled).min();
    next.and_then(|seconds| u64::try_from(seconds).ok())
}

/// A time that means a moment: the unknown time is none.
fn moment(text: &str) -> Option<i64> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let at = PrimitiveDateTime::parse(text.get(..19)?, &format).ok()?;
    (at.year() > 1).then(|| at.assume_utc().unix_timestamp())
}

/// The way to one server: its cookies, and how it wants to be shown who asks.
pub struct Link<'f, F> {
    phone: &'f Phone,
    fetch: &'f F,
    pub url: String,
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    /// How often the nonce was used.
    count: u32,
    cookies: BTreeMap<String, String>,
    pub status: Option<u16>,
    /// Bytes of bodies.
    pub sent: u64,
    pub received: u64,
}

impl<'f, F: Fetch> Link<'f, F> {
    pub fn new(phone: &'f Phone, url: String, credentials: Option<Credentials>, fetch: &'f F) -> Self {
        let challenge = phone.has(Quirk::BasicUnasked).then_some(Challenge::Basic);
        Self {
            phone,
            fetch,
            url,
            credentials,
            challenge,
            count: 0,
            cookies: BTreeMap::new(),
            status: None,
            sent: 0,
            received: 0,
        }
    }

    /// Posts a message of a session.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&mut self, body: String, note: &mut (impl FnMut(Step) + Send)) -> Result<Response, FetchError> {
        let (content_type, headers) = if body.is_empty() {
            (None, Vec::new())
        } else {
            (Some("text/xml; charset=\"utf-8\"".to_owned()), vec![("SOAPAction".to_owned(), "\"\"".to_owned())])
        };
        let request = Request {
            method: Method::Post,
            url: self.url.clone(),
            user_agent: self.phone.user_agent(),
            headers,
            body: Bytes::from(body),
            content_type,
        };
        self.ask(request, note).await
    }

    /// Asks, answers a question for a password once, and follows where it is sent.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(
        &mut self,
        mut request: Request,
        note: &mut (impl FnMut(Step) + Send),
    ) -> Result<Response, FetchError> {
        let plain = request.headers.clone();
        let (mut answered, mut redirects) = (false, 0);
        loop {
            request.headers.clone_from(&plain);
            self.prove(&mut request)?;
            self.sent += request.body.len() as u64;
            let response = self.fetch.fetch(request.clone()).await?;
            self.received += response.body.len() as u64;
            self.status = Some(response.status);
            self.keep_cookies(&response);
            match response.status {
                401 => {
                    let headers = response.headers.iter().filter(|(name, _)| name == "www-authenticate");
                    let challenge = Challenge::strongest(headers.map(|(_, value)| value.as_str()));
                    let challenge = challenge.filter(|_| self.credentials.is_some() && !answered);
                    note(Step::Challenged { answered: challenge.as_ref().map(|one| one.label().to_owned()) });
                    if challenge.is_none() {
                        return Ok(response);
                    }
                    (self.challenge, self.count, answered) = (challenge, 0, true);
                    if self.phone.has(Quirk::DropsCookie) {
                        self.cookies.clear();
                    }
                }
                301 | 302 | 307 | 308 if redirects < REDIRECTS => {
                    let Some(to) = response.header("location") else { return Ok(response) };
                    let to = self.absolute(to);
                    note(Step::Redirected { to: to.clone() });
                    // Another server's nonce and cookies are another's.
                    if origin(&to) != origin(&self.url) {
                        (self.challenge, answered) = (None, false);
                        self.cookies.clear();
                    }
                    redirects += 1;
                    request.url.clone_from(&to);
                    self.url = to;
                }
                _ => return Ok(response),
            }
        }
    }

    fn absolute(&self, to: &str) -> String {
        if to.contains("://") { to.to_owned() } else { format!("{}/{}", origin(&self.url), to.trim_start_matches('/')) }
    }

    fn prove(&mut self, request: &mut Request) -> Result<(), FetchError> {
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers.push(("Cookie".to_owned(), cookies.join("; ")));
        }
        if let (Some(credentials), Some(challenge)) = (&self.credentials, &self.challenge) {
            self.count = if self.phone.has(Quirk::RepeatsCount) { 1 } else { self.count + 1 };
            let path = Target::parse(&request.url)?.path;
            let nonce = format!("{:016x}", fastrand::u64(..));
            let value = challenge.answer(credentials, request.method, path.as_str(), &nonce, self.count);
            request.headers.push(("Authorization".to_owned(), value));
        }
        Ok(())
    }

    fn keep_cookies(&mut self, response: &Response) {
        let set = response.headers.iter().filter(|(name, _)| name == "set-cookie");
        for (_, cookie) in set {
            let pair = cookie.split(';').next().and_then(|pair| pair.trim().split_once('='));
            // More than a few are no session's.
            if let Some((name, value)) = pair.filter(|_| self.cookies.len() < 20) {
                let whole = cookie.split_once('=').map_or(value, |(_, rest)| rest);
                let kept = if self.phone.has(Quirk::EchoesCookie) { whole } else { value };
                self.cookies.insert(name.to_owned(), kept.to_owned());
            }
        }
    }
}

/// `https://acs.example.com:8443`
fn origin(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(from..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| from + at);
    url.get(..end).unwrap_or(url)
}
