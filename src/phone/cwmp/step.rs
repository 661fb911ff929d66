//! What happened in a session, step by step: for people, for programs and for tests. Secrets are masked.

use std::fmt;

use serde::Serialize;

use super::ears::Way;
use super::memory::Direction;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// The session was opened.
    Informed {
        url: String,
        events: Vec<String>,
        retries: u32,
    },
    /// The server wants a user and a password; `answered` names how, where the phone has them.
    Challenged {
        #[serde(skip_serializing_if = "Option::is_none")]
        answered: Option<String>,
    },
    /// The server sends the phone elsewhere.
    Redirected {
        to: String,
    },
    /// No answer.
    Unanswered {
        url: String,
        error: String,
    },
    /// The phone told what became of a transfer.
    Told {
        command_key: String,
        code: u16,
    },
    /// The server asked, and the phone did it: how many parameters it is about.
    Done {
        method: String,
        parameters: usize,
    },
    /// A parameter that was set.
    Set {
        parameter: String,
        value: String,
    },
    /// The revision that the server gave the phone's settings.
    Keyed {
        parameter_key: String,
    },
    /// A notification that was set: 0 off, 1 passive, 2 active.
    Notifies {
        parameter: String,
        notification: u8,
    },
    /// The server asked, and the phone refused.
    Refused {
        method: String,
        code: u16,
        why: String,
        parameters: Vec<RefusedParameter>,
    },
    /// The server refused.
    Fault {
        code: u32,
        text: String,
    },
    /// A file was fetched or sent, after the session.
    Transferred {
        direction: Direction,
        file_type: String,
        url: String,
        code: u16,
        text: String,
        bytes: usize,
    },
    /// The firmware is another now.
    Upgraded {
        firmware: String,
    },
    /// A diagnosis was made, after the session.
    Diagnosed {
        object: String,
        state: String,
    },
    Rebooted {
        command_key: String,
    },
    FactoryReset,
    /// The phone lost its power, in mid-session.
    PowerCut,
    /// It hears connection requests here, by its own view.
    Listening {
        http: String,
        udp: String,
    },
    /// Others reach it here, says its STUN server.
    Bound {
        address: String,
        is_behind_nat: bool,
    },
    /// It heard a connection request.
    Woken {
        way: Way,
        from: String,
    },
    /// It heard a datagram that it doesn't take for a connection request.
    Doubted {
        from: String,
        why: String,
    },
    /// It called its action URI; none: nobody answered.
    Called {
        url: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// The session is over; none: by 204, as it should.
    Ended {
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
        messages: u32,
        sent_bytes: u64,
        received_bytes: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedParameter {
    pub parameter: String,
    pub code: u16,
}

/// Scheme, host and last part of a URL's path: what is in between may be a token.
pub fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return "no URL".to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default();
    match path.rsplit_once('/') {
        Some((_, last)) => format!("{scheme}://{host}/…/{last}"),
        None => format!("{scheme}://{host}/{path}"),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Informed { url, events, retries } => {
                write!(f, "POST {url}: Inform {}", events.join(", "))?;
                if *retries > 0 { write!(f, ", after {retries} failures") } else { Ok(()) }
            }
            Self::Challenged { answered: Some(how) } => write!(f, "  asked for a password: once more, by {how}"),
            Self::Challenged { answered: None } => f.write_str("  asked for a password that the phone doesn't have"),
            Self::Redirected { to } => write!(f, "  sent on to {to}"),
            Self::Unanswered { url, error } => write!(f, "POST {url}: {error}"),
            Self::Told { command_key, code: 0 } => write!(f, "told: transfer \"{command_key}\" is complete"),
            Self::Told { command_key, code } => write!(f, "told: transfer \"{command_key}\" failed ({code})"),
            Self::Done { method, parameters: 0 } => write!(f, "asked for {method}: done"),
            Self::Done { method, parameters } => write!(f, "asked for {method}: {parameters} answered"),
            Self::Set { parameter, value } => write!(f, "  {parameter} = {value}"),
            Self::Keyed { parameter_key } => write!(f, "  ParameterKey = {parameter_key}"),
            Self::Notifies { parameter, notification } => write!(f, "  {parameter} is told: {notification}"),
            Self::Refused { method, code, why, parameters } => {
                write!(f, "asked for {method}: refused, {code} {why}")?;
                parameters.iter().try_for_each(|one| write!(f, "\n  {}: {}", one.parameter, one.code))
            }
            Self::Fault { code, text } => write!(f, "the server refused: {code} {text}"),
            Self::Transferred { direction, file_type, url, code, text, bytes } => {
                let way = if *direction == Direction::Download { "fetched" } else { "sent" };
                match code {
                    0 => write!(f, "{way} \"{file_type}\": {bytes} bytes, {url}"),
                    code => write!(f, "\"{file_type}\" could not be {way}: {code} {text}, {url}"),
                }
            }
            Self::Upgraded { firmware } => write!(f, "the firmware is {firmware} now"),
            Self::Diagnosed { object, state } => write!(f, "{object}: {state}"),
            Self::Rebooted { .. } => f.write_str("rebooted"),
            Self::FactoryReset => f.write_str("factory reset: all forgotten"),
            Self::PowerCut => f.write_str("the phone lost its power"),
            Self::Listening { http, udp } => write!(f, "listening at {http}, and for datagrams at {udp}"),
            Self::Bound { address, is_behind_nat: true } => write!(f, "behind a NAT: reached at {address}"),
            Self::Bound { address, is_behind_nat: false } => write!(f, "no NAT: reached at {address}"),
            Self::Woken { way: Way::Http, from } => write!(f, "heard a connection request from {from}"),
            Self::Woken { way: Way::Udp, from } => write!(f, "heard a connection request from {from}, by a datagram"),
            Self::Woken { way: Way::Address, from } => write!(f, "has to tell of another address: {from}"),
            Self::Doubted { from, why } => write!(f, "left a datagram from {from}: {why}"),
            Self::Called { url, status: Some(status) } => write!(f, "called {url}: {status}"),
            Self::Called { url, status: None } => write!(f, "called {url}: no answer"),
            Self::Ended { failure: None, messages, sent_bytes, received_bytes } => {
                write!(
                    f,
                    "204: the session is over, {messages} messages, {sent_bytes} bytes sent, {received_bytes} received"
                )
            }
            Self::Ended { failure: Some(why), messages, .. } => {
                write!(f, "the session failed after {messages} messages: {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_url_is_shown_without_what_may_be_a_token() {
        assert_eq!(
            shown("https://acme:pw@acs.example.com:8443/t/Dj6Lmp23Q/6867i.st?x=1"),
            "https://acs.example.com:8443/…/6867i.st"
        );
        assert_eq!(shown("http://acs.example.com/cwmp"), "http://acs.example.com/cwmp");
        assert_eq!(shown("nonsense"), "no URL");
    }
}
