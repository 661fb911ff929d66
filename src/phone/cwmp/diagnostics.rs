//! Diagnoses that a server asks for by setting `DiagnosticsState` to `Requested`: made when the session is over, and told by the next
//! with `8 DIAGNOSTICS COMPLETE` (TR-106 amendment 2, TR-143; Grandstream's "TR-069 Information" has their names).
//!
//! Ping and trace route are played, from what the phone's [`super::Habits::hosts`] say; the download and upload tests are really done.

use bytes::Bytes;
use std::time::Duration;

use super::memory::Event;
use super::play::Link;
use super::step::Step;
use super::surroundings::Reach;
use super::{Phone, transfer};
use crate::phone::{Fetch, FetchError, Method, Request, Response, State};

pub const STATE: &str = "DiagnosticsState";
pub const REQUESTED: &str = "Requested";
const NONE: &str = "None";

const PING: &str = "Device.LAN.IPPingDiagnostics.";
const ROUTE: &str = "Device.LAN.TraceRouteDiagnostics.";
const DOWNLOAD: &str = "Device.DownloadDiagnostics.";
const UPLOAD: &str = "Device.UploadDiagnostics.";
const ALL: [&str; 4] = [PING, ROUTE, DOWNLOAD, UPLOAD];

/// Instances are those that the last trace route found.
pub const HOPS: &str = "Device.LAN.TraceRouteDiagnostics.RouteHops.";

/// Bytes of the largest file that the upload test makes: it is sent from memory.
const MOST_SENT: u32 = 64 << 20;

/// Whether a parameter starts a diagnosis.
pub fn is_state(path: &str) -> bool {
    ALL.iter().any(|object| path.strip_prefix(object) == Some(STATE))
}

/// "Modifying any of the writable parameters in this object except for this one MUST result in the value of this parameter being set
/// to None": unless the same message asks for the diagnosis.
pub fn forget(state: &mut State, set: &[String]) {
    for object in ALL {
        let of_it = |path: &&String| path.starts_with(object);
        if set.iter().any(|path| of_it(&path)) && !set.iter().filter(of_it).any(|path| is_state(path)) {
            state.cwmp.parameters.insert(format!("{object}{STATE}"), NONE.to_owned());
        }
    }
}

/// Makes the diagnoses that were asked for.
pub(super) async fn make(phone: &Phone, state: &mut State, now: i64, fetch: &impl Fetch, steps: &mut Vec<Step>) {
    for object in ALL {
        let asked = state.cwmp.parameters.get(&format!("{object}{STATE}")).is_some_and(|text| text == REQUESTED);
        if !asked {
            continue;
        }
        let mut test = Test { phone, state, object, now };
        let outcome = match object {
            PING => test.ping(),
            ROUTE => test.route(),
            DOWNLOAD => test.download(fetch).await,
            _ => test.upload(fetch).await,
        };
        test.set(STATE, outcome);
        state.cwmp.tell(Event::new("8 DIAGNOSTICS COMPLETE"));
        steps.push(Step::Diagnosed { object: object.to_owned(), state: outcome.to_owned() });
    }
}

struct Test<'t> {
    phone: &'t Phone,
    state: &'t mut State,
    object: &'static str,
    /// Seconds since 1970.
    now: i64,
}

impl Test<'_> {
    fn held(&self, name: &str) -> String {
        self.phone.value(self.state, &format!("{}{name}", self.object)).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u32 {
        self.held(name).parse().unwrap_or(0)
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.state.cwmp.parameters.insert(format!("{}{name}", self.object), value.to_string());
    }

    fn ping(&mut self) -> &'static str {
        let count = self.number("NumberOfRepetitions");
        let (answered, times) = match Reach::of(&self.phone.habits.hosts, &self.held("Host")) {
            Reach::Unknown => return "Error_CannotResolveHostName",
            Reach::Silent => (0, [0; 3]),
            Reach::Through(_) => (count, [1, 2, 4]),
        };
        self.set("SuccessCount", answered);
        self.set("FailureCount", count - answered);
        for (name, time) in ["MinimumResponseTime", "AverageResponseTime", "MaximumResponseTime"].iter().zip(times) {
            self.set(name, time);
        }
        "Complete"
    }

    fn route(&mut self) -> &'static str {
        let own = |path: &String| path.starts_with(HOPS);
        self.state.cwmp.parameters.retain(|path, _| !own(path));
        self.state.cwmp.objects.remove(HOPS);
        let host = self.held("Host");
        let mut hops = match Reach::of(&self.phone.habits.hosts, &host) {
            Reach::Unknown => return "Error_CannotResolveHostName",
            Reach::Silent => return "Error_MaxHopCountExceeded",
            Reach::Through(hops) => hops,
        };
        hops.push(host);
        let count = u32::try_from(hops.len()).unwrap_or(u32::MAX);
        if count > self.number("MaxHopCount") {
            return "Error_MaxHopCountExceeded";
        }
        self.set("ResponseTime", 4);
        self.set("NumberOfRouteHops", count);
        for (number, hop) in (1_u32..).zip(hops) {
            self.set(&format!("RouteHops.{number}.HopHost"), hop);
        }
        self.state.cwmp.objects.insert(HOPS.to_owned(), (1..=count).collect());
        "Complete"
    }

    async fn download(&mut self, fetch: &impl Fetch) -> &'static str {
        match self.ask("DownloadURL", Method::Get, Bytes::new(), fetch).await {
            Err(FetchError::Url(_) | FetchError::Resolve(_) | FetchError::Connect(..) | FetchError::Tls(..)) => {
                "Error_InitConnectionFailed"
            }
            Err(FetchError::Timeout(_)) => "Error_Timeout",
            Err(_) => "Error_TransferFailed",
            Ok(Response { status: 401, .. }) => "Error_LoginFailed",
            Ok(response) if !(200..300).contains(&response.status) => "Error_TransferFailed",
            Ok(response) => {
                let (bytes, head) = (response.body.len(), head(&response));
                self.set("TestBytesReceived", bytes);
                // What its interface received in all meanwhile: at least the answer's head besides.
                self.set("TotalBytesReceived", bytes + head);
                self.times(response.duration);
                "Completed"
            }
        }
    }

    async fn upload(&mut self, fetch: &impl Fetch) -> &'static str {
        let length = self.number("TestFileLength");
        if length > MOST_SENT {
            return "Error_NoTransferComplete";
        }
        let body = Bytes::from(vec![b'0'; usize::try_from(length).unwrap_or(0)]);
        match self.ask("UploadURL", Method::Put, body, fetch).await {
            Err(FetchError::Url(_) | FetchError::Resolve(_) | FetchError::Connect(..) | FetchError::Tls(..)) => {
                "Error_InitConnectionFailed"
            }
            Err(FetchError::Timeout(_)) => "Error_NoResponse",
            Err(_) => "Error_NoTransferComplete",
            Ok(Response { status: 401, .. }) => "Error_LoginFailed",
            Ok(response) if !(200..300).contains(&response.status) => "Error_NoTransferComplete",
            Ok(response) => {
                self.set("TotalBytesSent", length);
                self.times(response.duration);
                "Completed"
            }
        }
    }

    async fn ask(&self, url: &str, method: Method, body: Bytes, fetch: &impl Fetch) -> Result<Response, FetchError> {
        let url = self.held(url);
        let request = Request {
            method,
            url: url.clone(),
            user_agent: self.phone.user_agent(),
            headers: Vec::new(),
            content_type: (method == Method::Put).then(|| "application/octet-stream".to_owned()),
            body,
        };
        Link::new(self.phone, url, None, fetch).ask(request, &mut |_| ()).await
    }

    /// "ROMTime: request time … in UTC … to microsecond precision". When the connection was there, and the first byte, isn't told by
    /// what fetches: they are as early as they can be, so that a throughput made of them is the least it was.
    fn times(&mut self, duration: Duration) {
        let begun = transfer::precise_time(self.now, Duration::ZERO);
        for name in ["TCPOpenRequestTime", "TCPOpenResponseTime", "ROMTime", "BOMTime"] {
            self.set(name, &begun);
        }
        self.set("EOMTime", transfer::precise_time(self.now, duration));
    }
}

/// Bytes of an answer's head, about as it came.
fn head(response: &Response) -> usize {
    response.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + 19
}
