//! One session of one phone of the swarm with its ACS.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use super::resync::Done;
use crate::phone::cisco::SystemRandom;
use crate::phone::cwmp::{Phone, Played, Server, play};
use crate::phone::network::{Keep, Network};
use crate::phone::{Fetch, FetchError, Identity, Maker, Request, Response, State};

/// A network that remembers how the first answer of a session came, and why there was none.
struct Watched<'n> {
    network: &'n Network,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Resumed, used again, by TLS.
    first: Option<(bool, bool, bool)>,
    retry_after: Option<Duration>,
    error: Option<FetchError>,
}

impl Fetch for Watched<'_> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let received = self.network.receive(request, Keep::Body).await;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match received {
            Ok(received) => {
                let response = received.response;
                seen.first.get_or_insert((received.resumed, received.reused, response.tls_version.is_some()));
                let retry_after = response.header("retry-after").and_then(|delay| delay.trim().parse().ok());
                seen.retry_after = retry_after.map(|seconds: u32| Duration::from_secs(seconds.into()));
                Ok(response)
            }
            Err(error) => {
                seen.error = Some(error.clone());
                Err(error)
            }
        }
    }
}

/// Has a session. A phone that is new says so, any other that it comes as it does every so often.
///
/// # Errors
/// When there was no answer in the midst of it.
pub(super) async fn session(
    identity: Identity,
    url: String,
    network: &Network,
    state: &mut Option<Box<State>>,
) -> Result<Done, FetchError> {
    // Phones of no family that is known do as the standard has it, and as Cisco's.
    let maker = Maker::of(&identity.model).unwrap_or(Maker::Cisco);
    let phone = Phone::new(maker, identity);
    let before = state.take().unwrap_or_default();
    let watched = Watched { network, seen: Mutex::default() };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let server = Server { url, credentials: None };
    let Played { state: after, failure, status, received_bytes, .. } =
        play(&phone, &before, &server, &[], now, &watched, &mut SystemRandom).await;
    *state = Some(Box::new(after));
    let seen = watched.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = seen.error {
        return Err(error);
    }
    let (resumed, reused, by_tls) = seen.first.unwrap_or_default();
    let status = match (failure, status) {
        // It ended with an answer that the phone could make nothing of.
        (Some(why), Some(200..300)) => return Err(FetchError::Malformed(why)),
        (_, status) => status,
    };
    Ok(Done {
        status,
        bytes: usize::try_from(received_bytes).unwrap_or(usize::MAX),
        retry_after: seen.retry_after,
        resumed,
        reused,
        by_tls,
    })
}
