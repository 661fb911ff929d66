//! What is counted, and what is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

use super::resync::{Done, Outcome};
use crate::phone::FetchError;

/// What came of a run, or of the part of it that is over.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub phones: u32,
    /// Those that were served at least once.
    pub phones_served: u32,
    pub seed: u64,
    pub seconds: f64,
    pub resyncs: Resyncs,
    /// Of phones that behaved.
    pub statuses: BTreeMap<u16, u64>,
    /// Of phones that behaved, by kind.
    pub errors: BTreeMap<&'static str, ErrorCount>,
    /// What came of each kind of misbehaviour.
    pub faults: BTreeMap<&'static str, FaultCount>,
    /// Bytes of bodies.
    pub bytes: u64,
    pub connections: Connections,
    /// From when a resync was due until its answer was read, of every answer that a phone that behaved got.
    pub latency_ms: Percentiles,
    /// From when a resync was due until it began. What is long here is the swarm's own doing: it lacks processors, or may
    /// not have as many connections at once as it would need.
    pub lateness_ms: Percentiles,
}

/// `begun` is the sum of served, refused, failed, faulty and under_way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resyncs {
    pub begun: u64,
    /// Answered with 2xx or 304.
    pub served: u64,
    /// Answered with anything else.
    pub refused: u64,
    /// Not answered.
    pub failed: u64,
    /// Begun with a fault on purpose.
    pub faulty: u64,
    pub under_way: u64,
    /// Of those begun: by a phone that was not served the time before.
    pub retries: u64,
    /// Were due before the end and could not begin.
    pub never_begun: u64,
    /// Answers to phones that behaved, in a second.
    pub per_second: u64,
}

/// How often a kind of error occurred, and the words of its first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorCount {
    pub count: u64,
    pub example: String,
}

/// What came of a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FaultCount {
    pub count: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub errors: BTreeMap<&'static str, u64>,
}

/// Of the answers to phones that behaved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    pub opened: u64,
    pub reused: u64,
    pub full_handshakes: u64,
    pub resumed_handshakes: u64,
    /// Kept open now.
    pub held: u64,
}

/// In milliseconds; 0 where there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    pub max: f64,
}

/// The counters behind a report.
pub(super) struct Tally {
    report: Report,
    latency: Histogram<u64>,
    lateness: Histogram<u64>,
}

/// An hour in microseconds: what takes longer counts as an hour.
const LONGEST: u64 = 3_600_000_000;

impl Tally {
    pub fn new(phones: u32, seed: u64) -> Result<Self, CreationError> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3);
        let (latency, lateness) = (histogram()?, histogram()?);
        let report = Report {
            phones,
            phones_served: 0,
            seed,
            seconds: 0.0,
            resyncs: Resyncs::default(),
            statuses: BTreeMap::new(),
            errors: BTreeMap::new(),
            faults: BTreeMap::new(),
            bytes: 0,
            connections: Connections::default(),
            latency_ms: percentiles(&latency),
            lateness_ms: percentiles(&lateness),
        };
        Ok(Self { report, latency, lateness })
    }

    pub fn begin(&mut self, is_retry: bool) {
        self.report.resyncs.begun += 1;
        self.report.resyncs.under_way += 1;
        self.report.resyncs.retries += u64::from(is_retry);
    }

    /// A resync of which nothing is known but that it is over.
    pub fn lose(&mut self, why: String) {
        self.report.resyncs.under_way = self.report.resyncs.under_way.saturating_sub(1);
        self.report.resyncs.failed += 1;
        self.count_error("aborted", why);
    }

    pub fn never_begun(&mut self, count: u64) {
        self.report.resyncs.never_begun = count;
    }

    /// Whether the phone now has what it came for.
    pub fn end(&mut self, outcome: &Outcome) -> bool {
        let resyncs = &mut self.report.resyncs;
        resyncs.under_way = resyncs.under_way.saturating_sub(1);
        self.lateness.saturating_record(microseconds(outcome.began.saturating_duration_since(outcome.due)));
        if let Some(fault) = outcome.fault {
            resyncs.faulty += 1;
            let count = self.report.faults.entry(fault.name()).or_default();
            count.count += 1;
            match &outcome.result {
                Ok(Done { status: Some(status), .. }) => *count.statuses.entry(*status).or_default() += 1,
                Ok(Done { status: None, .. }) => {}
                Err(error) => *count.errors.entry(kind(error)).or_default() += 1,
            }
            return false;
        }
        match &outcome.result {
            Ok(done) => self.count_answer(outcome, done),
            Err(error) => {
                resyncs.failed += 1;
                self.count_error(kind(error), error.to_string());
                false
            }
        }
    }

    fn count_answer(&mut self, outcome: &Outcome, done: &Done) -> bool {
        let report = &mut self.report;
        let status = done.status.unwrap_or_default();
        *report.statuses.entry(status).or_default() += 1;
        report.bytes += done.bytes as u64;
        if done.reused {
            report.connections.reused += 1;
        } else {
            report.connections.opened += 1;
            report.connections.resumed_handshakes += u64::from(done.resumed);
            report.connections.full_handshakes += u64::from(done.by_tls && !done.resumed);
        }
        let latency = outcome.ended.saturating_duration_since(outcome.due).saturating_sub(outcome.preparing);
        self.latency.saturating_record(microseconds(latency));
        let is_served = (200..300).contains(&status) || status == 304;
        if is_served {
            report.resyncs.served += 1;
            report.phones_served += u32::from(!outcome.phone.was_served);
        } else {
            report.resyncs.refused += 1;
        }
        is_served
    }

    fn count_error(&mut self, kind: &'static str, text: String) {
        self.report.errors.entry(kind).or_insert(ErrorCount { count: 0, example: text }).count += 1;
    }

    /// The report as of now.
    pub fn report(&self, elapsed: Duration, held: u64) -> Report {
        let mut report = self.report.clone();
        report.seconds = elapsed.as_secs_f64();
        report.connections.held = held;
        let answered = u128::from(report.resyncs.served + report.resyncs.refused);
        let per_second = answered * 1_000_000 / elapsed.as_micros().max(1);
        report.resyncs.per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
        report.latency_ms = percentiles(&self.latency);
        report.lateness_ms = percentiles(&self.lateness);
        report
    }
}

impl Report {
    /// Whether every phone that behaved was served each time, and no certificate of a stranger was taken for a phone's.
    pub fn is_fine(&self) -> bool {
        let resyncs = &self.resyncs;
        resyncs.served > 0 && resyncs.refused == 0 && resyncs.failed == 0 && self.strangers_served() == 0
    }

    /// How often a phone was served that showed a certificate of a CA of its own making.
    pub fn strangers_served(&self) -> u64 {
        let statuses = self.faults.get(super::Fault::WrongCertificate.name()).map(|count| &count.statuses);
        statuses.into_iter().flatten().filter(|(status, _)| (200..300).contains(*status)).map(|(_, count)| count).sum()
    }
}

/// The kind of an error, for those who count.
fn kind(error: &FetchError) -> &'static str {
    match error {
        FetchError::Url(_) => "url",
        FetchError::Resolve(_) => "resolve",
        FetchError::Connect(_, _) => "connect",
        FetchError::Tls(_, _) => "tls",
        FetchError::Timeout(_) => "timeout",
        FetchError::TooLarge(_) => "too-large",
        FetchError::Malformed(_) => "malformed",
        FetchError::Broken(_) => "broken",
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(LONGEST)
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    let milliseconds = |microseconds: u64| microseconds as f64 / 1e3;
    let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
    Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), max: milliseconds(histogram.max()) }
}
