//! What was measured, as it is kept in `target/compare.json`, and what is made of it: medians, spreads, ratios.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The last results of every case.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// Where they were measured: what it is, and what it says.
    pub machine: Vec<(String, String)>,
    pub cases: BTreeMap<String, Measured>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The day, as `2026-11-21`.
    pub day: String,
    /// In the order of the case.
    pub contenders: Vec<Contender>,
}

/// One server's part in a case.
#[derive(Debug, Serialize, Deserialize)]
pub struct Contender {
    pub label: String,
    /// Empty where it isn't installed, and where memory alone was looked at.
    pub rounds: Vec<Round>,
    pub idle: Option<Idle>,
}

/// One round; times are of one request, in microseconds of processor time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Round {
    pub user: f64,
    pub system: f64,
    pub client: f64,
    /// Of the database, where that is a process of its own.
    pub database: Option<f64>,
    pub requests: usize,
    pub seconds: f64,
    /// Latencies in microseconds.
    pub p50: u64,
    pub p99: u64,
    /// In kilobytes, after the round.
    pub memory: f64,
    /// Of all handshakes.
    pub resumed: usize,
}

/// Memory in kilobytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Idle {
    pub idle: f64,
    pub connections: usize,
    pub connected: f64,
}

/// The middle of some rounds, and the least and most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// None of nothing.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, least, most })
    }
}

impl Contender {
    pub fn spread(&self, value: impl Fn(&Round) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(value))
    }

    /// Processor time of a request, in microseconds.
    pub fn cpu(&self) -> Option<Spread> {
        self.spread(Round::cpu)
    }
}

impl Round {
    pub fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

impl Measured {
    pub fn contender(&self, label: &str) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.label == label)
    }

    /// The first server's processor time against another's, each of the same round.
    pub fn ratio(&self, other: &Contender) -> Option<Spread> {
        let first = self.contenders.first()?;
        Spread::of(first.rounds.iter().zip(&other.rounds).map(|(first, other)| first.cpu() / other.cpu()))
    }
}

impl Results {
    /// What there is; nothing where nothing was measured yet.
    pub fn read(file: &Path) -> Self {
        let Ok(text) = std::fs::read_to_string(file) else { return Self::default() };
        serde_json::from_str(&text).unwrap_or_else(|error| {
            eprintln!("{}: {error}; it is begun anew", file.display());
            Self::default()
        })
    }

    pub fn write(&self, file: &Path) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, serde_json::to_string_pretty(self).unwrap()).unwrap();
    }
}
