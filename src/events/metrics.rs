//! What is counted for Prometheus. Labels take few values, all of them the program's or the operator's own: listeners,
//! words, and the models of the packs. Nothing that a phone sends becomes a label by itself, so no metric ever holds a
//! MAC address or a User-Agent, and no scanner can make the number of series grow.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{Entry, Kind, Refusal};
use crate::brakes::Counters;

/// The label of what no pack knows.
const OTHER: &str = "other";

/// Upper bounds in seconds: a cached profile takes well under a millisecond, a first render a few.
const DURATION_BUCKETS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    listener: String,
    kind: &'static str,
    vendor: Arc<str>,
    model: Arc<str>,
    outcome: &'static str,
    refusal: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FlagLabel {
    flag: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhook: String,
    result: &'static str,
}

/// The operator's own files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    listener: String,
    file: String,
}

/// Vendor by model. The texts are the packs', never a phone's.
type Models = HashMap<Arc<str>, Arc<str>>;

/// All metrics of the program. Updating them never waits.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    models: ArcSwap<Models>,
    other: Arc<str>,
    events: Family<EventLabels, Counter>,
    duration: Family<ListenerLabel, Histogram, fn() -> Histogram>,
    bytes: Family<ListenerLabel, Counter>,
    uploaded: Family<ListenerLabel, Counter>,
    flags: Family<FlagLabel, Counter>,
    handshake_failures: Family<ListenerLabel, Counter>,
    webhooks: Family<WebhookLabels, Counter>,
    counters: Counters,
    waiting: Gauge,
    working: Gauge,
    connections: Gauge<u64, AtomicU64>,
    generation: Gauge<u64, AtomicU64>,
    ends: Family<EndLabels, Gauge>,
    pub(super) queued: Gauge,
    pub(super) stored: Counter,
    pub(super) spooled: Counter,
    pub(super) lost: Counter,
    pub(super) spool_bytes: Gauge<u64, AtomicU64>,
}

impl Metrics {
    /// Metrics of a program whose packs know no models yet.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("resyncd"),
            models: ArcSwap::default(),
            other: OTHER.into(),
            events: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            bytes: Family::default(),
            uploaded: Family::default(),
            flags: Family::default(),
            handshake_failures: Family::default(),
            webhooks: Family::default(),
            counters: Counters::default(),
            waiting: Gauge::default(),
            working: Gauge::default(),
            connections: Gauge::default(),
            generation: Gauge::default(),
            ends: Family::default(),
            queued: Gauge::default(),
            stored: Counter::default(),
            spooled: Counter::default(),
            lost: Counter::default(),
            spool_bytes: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("events", "Requests and failed connections", metrics.events.clone());
        registry.register_with_unit(
            "answer_duration",
            "From a request's arrival to its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register_with_unit("answer", "Size of the answers' bodies", Unit::Bytes, metrics.bytes.clone());
        registry.register_with_unit("upload", "Size of what phones sent", Unit::Bytes, metrics.uploaded.clone());
        registry.register("event_flags", "Things worth a look in requests that were served", metrics.flags.clone());
        registry.register("handshake_failures", "Failed TLS handshakes", metrics.handshake_failures.clone());
        registry.register(
            "webhook_messages",
            "Tries to tell a webhook, and what it was not told",
            metrics.webhooks.clone(),
        );
        metrics.counters.register(registry);
        registry.register("brake_waiting", "Refusals that wait now", metrics.waiting.clone());
        registry.register("requests_in_work", "Requests that are being answered now", metrics.working.clone());
        registry.register("open_connections", "Connections open now", metrics.connections.clone());
        registry.register("generation", "The generation that is being served", metrics.generation.clone());
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When a listener's certificate or revocation list expires, in seconds since 1970",
            Unit::Seconds,
            metrics.ends.clone(),
        );
        registry.register("event_queue", "Events that wait for the database in memory", metrics.queued.clone());
        registry.register("events_stored", "Events that reached the database", metrics.stored.clone());
        registry.register("events_spooled", "Events that were spooled to disk on their way", metrics.spooled.clone());
        registry.register("events_lost", "Events that found queue and spool full", metrics.lost.clone());
        registry.register_with_unit(
            "spool",
            "Events on disk that wait for the database",
            Unit::Bytes,
            metrics.spool_bytes.clone(),
        );
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program's version", build);
        metrics
    }

    /// Takes over the models that the packs of a generation know, as vendor and model. Any other is counted as `other`.
    pub fn set_models<'m>(&self, models: impl IntoIterator<Item = (&'m str, &'m str)>) {
        let models = models.into_iter().map(|(vendor, model)| (model.into(), vendor.into())).collect::<Models>();
        self.models.store(Arc::new(models));
    }

    pub fn set_generation(&self, generation: u64) {
        self.generation.set(generation);
    }

    /// Takes over how many connections are open, over all listeners.
    pub fn set_connections(&self, open: usize) {
        self.connections.set(u64::try_from(open).unwrap_or(u64::MAX));
    }

    /// What brakes and limits count.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes over how many refusals wait, and how many requests are being answered.
    pub fn set_load(&self, waiting: usize, working: usize) {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.working.set(i64::try_from(working).unwrap_or(i64::MAX));
    }

    /// Takes over when what listeners use expires, by listener and file; what was known before is forgotten.
    pub fn set_ends(&self, ends: impl IntoIterator<Item = (String, String, time::OffsetDateTime)>) {
        self.ends.clear();
        for (listener, file, at) in ends {
            self.ends.get_or_create(&EndLabels { listener, file }).set(at.unix_timestamp());
        }
    }

    /// Counts a message of a webhook: `delivered`, `failed`, `given-up` or `dropped`. Without a name: it was dropped before
    /// it was known for which.
    pub fn count_webhook(&self, webhook: &str, result: &'static str) {
        self.webhooks.get_or_create(&WebhookLabels { webhook: webhook.to_owned(), result }).inc();
    }

    /// Counts one event.
    pub(super) fn observe(&self, entry: &Entry) {
        let models = self.models.load();
        let known = entry.model.as_deref().and_then(|model| models.get_key_value(model));
        let (model, vendor) = known.unwrap_or((&self.other, &self.other));
        let refusal = entry.outcome.refusal();
        let labels = EventLabels {
            listener: entry.listener.clone(),
            kind: entry.kind.as_str(),
            vendor: vendor.clone(),
            model: model.clone(),
            outcome: entry.outcome.as_str(),
            refusal: refusal.map_or("", Refusal::as_str),
        };
        self.events.get_or_create(&labels).inc();
        for flag in &entry.flags {
            self.flags.get_or_create(&FlagLabel { flag: flag.as_str() }).inc();
        }
        let listener = ListenerLabel { listener: labels.listener };
        if refusal == Some(Refusal::Handshake) {
            self.handshake_failures.get_or_create(&listener).inc();
        }
        if entry.status != 0 {
            self.duration.get_or_create(&listener).observe(entry.duration.as_secs_f64());
            let bytes = if entry.kind == Kind::Upload { &self.uploaded } else { &self.bytes };
            bytes.get_or_create(&listener).inc_by(entry.bytes);
        }
    }

    /// Everything in the text format of OpenMetrics, `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            // Only a metric that fails to write itself to a string ends here.
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Event, EventIds, sample};

    fn observe(metrics: &Metrics, event: Event) {
        let ids = EventIds::new().unwrap();
        metrics.observe(&Entry::new(ids.next(event.time), event));
    }

    #[test]
    fn labels_come_from_the_packs_and_never_from_phones() {
        let metrics = Metrics::new();
        metrics.set_models([("Cisco", "CP-6841-3PCC")]);
        for event in sample::events() {
            observe(&metrics, event);
        }
        let text = metrics.encode();
        let served = "resyncd_events_total{listener=\"https\",kind=\"resync\",vendor=\"Cisco\",model=\"CP-6841-3PCC\",\
                      outcome=\"served\",refusal=\"\"} 1";
        let unknown = "resyncd_events_total{listener=\"https\",kind=\"resync\",vendor=\"other\",model=\"other\",\
                       outcome=\"refused\",refusal=\"unknown-device\"} 1";
        assert!(text.contains(served), "{text}");
        assert!(text.contains(unknown), "{text}");
        for leak in ["000e08", "88012BA01234", "evil", "SPA504G", "Cisco-CP", "192.0.2.7"] {
            assert!(!text.contains(leak), "{leak} in {text}");
        }
    }

    #[test]
    fn connections_and_the_rest_are_counted() {
        let metrics = Metrics::new();
        metrics.set_generation(7);
        metrics.set_connections(2);
        for event in sample::events() {
            observe(&metrics, event);
        }
        let text = metrics.encode();
        for line in [
            "resyncd_generation 7",
            "resyncd_open_connections 2",
            "resyncd_handshake_failures_total{listener=\"https\"} 1",
            "resyncd_event_flags_total{flag=\"model-differs\"} 1",
            "resyncd_answer_bytes_total{listener=\"https\"} 8311",
            "resyncd_upload_bytes_total{listener=\"https\"} 8311",
            "resyncd_answer_duration_seconds_count{listener=\"https\"} 6",
            concat!("resyncd_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} not in {text}");
        }
    }
}
