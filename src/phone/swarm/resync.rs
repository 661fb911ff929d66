//! One resync of one phone of the swarm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;

use super::fault::{Fault, misbehave};
use super::fleet::user_agent;
use super::session::session;
use super::{Acs, FleetError, Plan};
use crate::phone::network::{Keep, Network, Received};
use crate::phone::{FetchError, Identity, Method, Request, State};

/// A phone between resyncs.
pub(super) struct Phone {
    pub number: u32,
    /// None until it is first needed.
    network: Option<Network>,
    pub attempts: u32,
    /// Since it was last served.
    pub failures: u32,
    pub was_served: bool,
    /// What it remembers of its ACS; none before the first session. Some 5 kB where it was set up.
    pub acs: Option<Box<State>>,
}

/// What chance decides: each has its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    First,
    Fault,
    Next,
}

/// What came of a resync, and the phone to rest until the next.
pub(super) struct Outcome {
    pub phone: Box<Phone>,
    pub due: Instant,
    pub began: Instant,
    /// Of it, what the phone's certificate took to make: a real phone has it.
    pub preparing: Duration,
    pub ended: Instant,
    pub result: Result<Done, FetchError>,
    /// The fault, if it was one.
    pub fault: Option<Fault>,
}

/// What was answered.
pub(super) struct Done {
    /// None where a phone that misbehaved got no answer, and that is no error.
    pub status: Option<u16>,
    pub bytes: usize,
    /// How long the server wants the phone to stay away.
    pub retry_after: Option<Duration>,
    pub resumed: bool,
    pub reused: bool,
    pub by_tls: bool,
}

impl Phone {
    pub fn new(number: u32) -> Box<Self> {
        Box::new(Self { number, network: None, attempts: 0, failures: 0, was_served: false, acs: None })
    }

    pub fn holds_connection(&self) -> bool {
        self.network.as_ref().is_some_and(Network::holds_connection)
    }

    pub async fn still_holds_connection(&self) -> bool {
        match &self.network {
            Some(network) => network.still_holds_connection().await,
            None => false,
        }
    }

    /// Chance, for this phone's next resync: the same for the same seed, in whatever order phones come.
    pub fn rng(&self, seed: u64, purpose: Purpose) -> Rng {
        let own = (u64::from(self.number) << 32) | u64::from(self.attempts);
        let mixed = [seed, purpose as u64, own].into_iter().fold(0, |mixed, part| Rng::with_seed(mixed ^ part).u64(..));
        Rng::with_seed(mixed)
    }

    /// Makes what the phone needs to ask, its certificate above all.
    pub fn prepare(&mut self, plan: &Plan) -> Result<(), FetchError> {
        if self.network.is_none() {
            let refused = |why: String| FetchError::Tls(format!("the certificate of phone {}", self.number), why);
            let identity = identity(plan, self.number)?;
            let certificate =
                plan.certificates.as_ref().map(|source| source(&identity)).transpose().map_err(refused)?;
            self.network = Some(Network::new(plan.stack.clone(), certificate.map(Arc::new)));
        }
        Ok(())
    }
}

fn identity(plan: &Plan, number: u32) -> Result<Identity, FetchError> {
    plan.fleet.identity(number).map_err(|error: FleetError| FetchError::Url(error.to_string()))
}

pub(super) async fn resync(mut phone: Box<Phone>, plan: Arc<Plan>, due: Instant) -> Outcome {
    let began = Instant::now();
    let mut rng = phone.rng(plan.seed, Purpose::Fault);
    phone.attempts = phone.attempts.wrapping_add(1);
    let fault = plan.faults.roll(&mut rng);
    let prepared = phone.prepare(&plan);
    let preparing = began.elapsed();
    let Phone { number, network, acs, .. } = &mut *phone;
    let result = match (prepared, network, &plan.acs, fault) {
        (Err(error), ..) => Err(error),
        (Ok(()), Some(network), Some(server), None) => hold(&plan, server, *number, network, acs).await,
        (Ok(()), Some(network), ..) => ask(&plan, *number, network, fault, rng).await,
        (Ok(()), None, ..) => Err(FetchError::Broken("the phone is not prepared".to_owned())),
    };
    Outcome { phone, due, began, preparing, ended: Instant::now(), result, fault }
}

/// Has a session with the ACS.
async fn hold(
    plan: &Plan,
    server: &Acs,
    number: u32,
    network: &Network,
    state: &mut Option<Box<State>>,
) -> Result<Done, FetchError> {
    let url = format!("{}{}", plan.server, server.path);
    let done = session(identity(plan, number)?, url, network, state).await;
    if !server.keep_connection {
        network.close();
    }
    done
}

async fn ask(plan: &Plan, number: u32, network: &Network, fault: Option<Fault>, rng: Rng) -> Result<Done, FetchError> {
    let identity = identity(plan, number)?;
    let request = Request {
        method: Method::Get,
        url: match &plan.acs {
            Some(acs) => format!("{}{}", plan.server, acs.path),
            None => format!("{}{}", plan.server, plan.fleet.path(&identity)),
        },
        user_agent: user_agent(&identity),
        headers: Vec::new(),
        body: Bytes::new(),
        content_type: None,
    };
    if let Some(fault) = fault {
        let status = misbehave(fault, plan, &identity, network, request, rng).await?;
        let none = Done { status, bytes: 0, retry_after: None, resumed: false, reused: false, by_tls: false };
        return Ok(none);
    }
    let Received { response, length, resumed, reused } = network.receive(request, Keep::Length).await?;
    // A date is possible too, and means the server's clock; who sends one gets the phone's own delay.
    let retry_after = response.header("retry-after").and_then(|delay| delay.trim().parse().ok());
    Ok(Done {
        status: Some(response.status),
        bytes: length,
        retry_after: retry_after.map(|seconds: u32| Duration::from_secs(seconds.into())),
        resumed,
        reused,
        by_tls: response.tls_version.is_some(),
    })
}
