//! What brakes and limits count for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of brakes and limits. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Refusals that were delayed.
    pub delayed: Counter,
    /// Refusals that became a 503.
    pub refused: Counter,
    pub scans: Counter,
    /// Requests of scans that were told already.
    pub scan_requests: Counter,
    /// Lines that name somebody to be kept out.
    pub bans: Counter,
    /// Requests over `limits.requests`.
    pub requests_shed: Counter,
    /// Connections over `limits.connections_per_network`.
    pub connections_shed: Counter,
    /// Handshakes that found no place in time.
    pub handshakes_shed: Counter,
    /// Renders that took longer than `limits.render_time`.
    pub renders_stopped: Counter,
}

impl Counters {
    pub fn register(&self, registry: &mut Registry) {
        let counters = [
            ("brake_delayed", "Refusals that were delayed", &self.delayed),
            ("brake_refused", "Refusals that became a 503", &self.refused),
            ("scans", "Scans that were recognised, or grew much", &self.scans),
            ("scan_requests", "Requests of scans that were told already", &self.scan_requests),
            ("bans", "Lines in the log that name somebody to be kept out", &self.bans),
            ("requests_shed", "Requests answered with 503 because too many were being answered", &self.requests_shed),
            ("connections_shed", "Connections closed because too many of their network waited", &self.connections_shed),
            ("handshakes_shed", "Connections closed because too many made their handshake", &self.handshakes_shed),
            ("renders_stopped", "Renders that took too long and were stopped", &self.renders_stopped),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}
