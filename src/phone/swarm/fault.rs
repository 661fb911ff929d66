//! Phones that misbehave, as some do in every large network, and as an attacker would.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::Plan;
use crate::phone::network::{Keep, Network, Target};
use crate::phone::{FetchError, Identity, Request};

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Asks, and is gone before the answer.
    Drop,
    /// Sends what is neither TLS nor HTTP.
    Garbage,
    /// Shows a certificate with its own name in it, but of a CA of its own making.
    WrongCertificate,
    /// Pauses in the middle of its request.
    Slow,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Drop, Self::Garbage, Self::WrongCertificate, Self::Slow];

    /// As `--faults` and the report write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Garbage => "garbage",
            Self::WrongCertificate => "wrong-certificate",
            Self::Slow => "slow",
        }
    }
}

/// How likely each fault is, per resync.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults(Vec<(Fault, f64)>);

/// Why a text is no list of faults.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParseFaultsError {
    #[error("{0:?} is no fault and its likelihood: write drop=0.01,garbage=0.01,wrong-certificate=0.02,slow=0.01")]
    Fault(String),
    #[error("the likelihoods of all faults add up to {0}: more than 1")]
    TooMany(f64),
}

impl FromStr for Faults {
    type Err = ParseFaultsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut faults = Vec::new();
        for part in text.split(',') {
            let refuse = || ParseFaultsError::Fault(part.to_owned());
            let (name, likelihood) = part.trim().split_once('=').ok_or_else(refuse)?;
            let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name).ok_or_else(refuse)?;
            let likelihood = likelihood.parse().ok().filter(|part| (0.0..=1.0).contains(part)).ok_or_else(refuse)?;
            faults.push((fault, likelihood));
        }
        let sum: f64 = faults.iter().map(|(_, likelihood)| likelihood).sum();
        // Four decimal fractions may add up to a hair more than one.
        if sum > 1.0 + 1e-9 { Err(ParseFaultsError::TooMany(sum)) } else { Ok(Self(faults)) }
    }
}

impl Faults {
    /// Whether this fault may occur.
    pub fn has(&self, fault: Fault) -> bool {
        self.0.iter().any(|(own, likelihood)| *own == fault && *likelihood > 0.0)
    }

    pub(super) fn roll(&self, rng: &mut Rng) -> Option<Fault> {
        let mut rest = rng.f64();
        for (fault, likelihood) in &self.0 {
            if rest < *likelihood {
                return Some(*fault);
            }
            rest -= likelihood;
        }
        None
    }
}

/// What a phone that misbehaves waits for at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of nonsense, and of an answer to it that are read: enough to be more than any record or line that is waited for.
const NONSENSE: usize = 512;
const MOST_READ: u64 = 1 << 20;

/// Misbehaves once. Tells the status, if there was an answer.
pub(super) async fn misbehave(
    fault: Fault,
    plan: &Plan,
    phone: &Identity,
    network: &Network,
    request: Request,
    mut rng: Rng,
) -> Result<Option<u16>, FetchError> {
    network.close();
    let act = async {
        match fault {
            Fault::Drop => {
                let Head(head) = head(&request)?;
                let mut stream = network.open(&request.url).await?.stream;
                // Whether it still came through makes no difference: the phone is gone either way.
                let _ = stream.write_all(head.as_bytes()).await;
                Ok(None)
            }
            Fault::Garbage => {
                let nonsense: Vec<u8> = (0..NONSENSE).map(|_| rng.u8(..)).collect();
                let mut stream = network.open_tcp(&request.url).await?.stream;
                let _ = stream.write_all(&nonsense).await;
                let _ = stream.shutdown().await;
                read_status(&mut stream).await
            }
            Fault::Slow => {
                let (first, second) = head(&request)?.split_at_half();
                let mut stream = network.open(&request.url).await?.stream;
                stream.write_all(first.as_bytes()).await.map_err(broken)?;
                stream.flush().await.map_err(broken)?;
                sleep(plan.slow_pause).await;
                stream.write_all(second.as_bytes()).await.map_err(broken)?;
                read_status(&mut stream).await
            }
            Fault::WrongCertificate => {
                let made = plan.strangers.as_ref().map(|strangers| strangers(phone)).transpose();
                let made = made.map_err(|why| FetchError::Tls("the swarm's own CA".to_owned(), why))?;
                let stranger = Network::new(plan.stack.clone(), made.map(Arc::new));
                let received = stranger.receive(request, Keep::Length).await?;
                Ok(Some(received.response.status))
            }
        }
    };
    timeout(PATIENCE, act).await.unwrap_or(Err(FetchError::Timeout(PATIENCE)))
}

fn broken(error: io::Error) -> FetchError {
    FetchError::Broken(error.to_string())
}

/// A request's head, as text.
struct Head(String);

fn head(request: &Request) -> Result<Head, FetchError> {
    let target = Target::parse(&request.url)?;
    let (path, host, agent) = (target.path, target.host_header, &request.user_agent);
    Ok(Head(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n")))
}

impl Head {
    fn split_at_half(mut self) -> (String, String) {
        // Paths, hosts and User-Agents are ASCII here; were one not, all of it would be the first half.
        let half = Some(self.0.len() / 2).filter(|half| self.0.is_char_boundary(*half));
        let rest = self.0.split_off(half.unwrap_or(self.0.len()));
        (self.0, rest)
    }
}

/// The status of the answer; none where the server closed without one, or said no HTTP.
async fn read_status(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<u16>, FetchError> {
    let mut answer = Vec::new();
    let read = stream.take(MOST_READ).read_to_end(&mut answer).await;
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status.and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    match (status, read) {
        (Some(status), _) => Ok(Some(status)),
        (None, Ok(_)) => Ok(None),
        (None, Err(error)) => Err(broken(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_as_often_as_asked() {
        let faults: Faults = "drop=0.25, slow=0.25".parse().unwrap();
        assert!(faults.has(Fault::Drop) && !faults.has(Fault::Garbage));
        let mut rng = Rng::with_seed(1);
        let rolls: Vec<_> = (0..10_000).map(|_| faults.roll(&mut rng)).collect();
        let count = |fault| rolls.iter().filter(|roll| **roll == fault).count();
        assert!((2300..2700).contains(&count(Some(Fault::Drop))), "{}", count(Some(Fault::Drop)));
        assert!((4700..5300).contains(&count(None)), "{}", count(None));
        let always: Faults = "garbage=1".parse().unwrap();
        assert!((0..1000).all(|_| always.roll(&mut rng) == Some(Fault::Garbage)));
        assert_eq!(Faults::default().roll(&mut rng), None);
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in ["", "drop", "drop=2", "drop=-1", "drop=NaN", "reset=0.1"] {
            assert_eq!(text.parse::<Faults>(), Err(ParseFaultsError::Fault(text.to_owned())));
        }
        assert!(matches!("drop=0.6,slow=0.6".parse::<Faults>(), Err(ParseFaultsError::TooMany(_))));
        assert!("drop=0.1,garbage=0.2,wrong-certificate=0.3,slow=0.4".parse::<Faults>().is_ok());
    }
}
