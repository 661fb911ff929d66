//! What a resync costs, in one table: each figure with its unit, its bounds and where it was measured.

use crate::document::nearest;

/// One figure of the model.
#[derive(Debug)]
pub struct Figure {
    /// As `resyncd plan --figure NAME=VALUE` has it.
    pub name: &'static str,
    pub unit: &'static str,
    pub value: f64,
    pub least: f64,
    pub most: f64,
    pub about: &'static str,
    /// Where the value comes from.
    pub source: &'static str,
    field: fn(&mut Figures) -> &mut f64,
}

/// The values, as the model takes them. The units are those of [`FIGURES`].
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    pub cpu_full: f64,
    pub cpu_resumed: f64,
    pub cpu_cold: f64,
    pub utilisation: f64,
    pub profile_bytes: f64,
    pub wire_bytes: f64,
    pub events: f64,
    pub event_bytes: f64,
    pub sqlite_events: f64,
    pub memory_base: f64,
    pub memory_file: f64,
    pub memory_record: f64,
    pub memory_records: f64,
    pub memory_connection: f64,
    pub connections: f64,
    pub patience: f64,
    pub storm_loss: f64,
}

/// All of them. The machine of docs/performance.md and docs/reliability.md is a small virtual one with two cores, which had other
/// work beside it; the reference machine is one like it, with nothing else to do.
pub static FIGURES: [Figure; 17] = [
    Figure {
        name: "cpu-full",
        unit: "µs",
        value: 1_807.0,
        least: 1.0,
        most: 1e7,
        about: "processor time of a resync with a full handshake, both sides showing a certificate, whose profile is ready",
        source: "`tls13-rsa-full` of [performance.md](performance.md); a bare server takes 760 on the reference machine",
        field: |figures| &mut figures.cpu_full,
    },
    Figure {
        name: "cpu-resumed",
        unit: "µs",
        value: 906.0,
        least: 1.0,
        most: 1e7,
        about: "the same where the phone takes up its TLS session",
        source: "`tls13-rsa-resumed` of [performance.md](performance.md); a bare server takes 280 on the reference machine",
        field: |figures| &mut figures.cpu_resumed,
    },
    Figure {
        name: "cpu-cold",
        unit: "µs",
        value: 4_453.0,
        least: 1.0,
        most: 1e7,
        about: "a full handshake and a profile that is rendered, packed and encrypted for this resync",
        source: "`tls13-rsa-full-cold` of [performance.md](performance.md)",
        field: |figures| &mut figures.cpu_cold,
    },
    Figure {
        name: "utilisation",
        unit: "of a core",
        value: 0.6,
        least: 0.01,
        most: 1.0,
        about: "how much of its cores a node is to use when everything goes as planned",
        source: "a choice: room for reloads, reports, a node that is away",
        field: |figures| &mut figures.utilisation,
    },
    Figure {
        name: "profile-bytes",
        unit: "bytes",
        value: 9_200.0,
        least: 0.0,
        most: 1e9,
        about: "a profile as it is sent",
        source: "40 kB after gzip, on the reference machine; the profile of [performance.md](performance.md)",
        field: |figures| &mut figures.profile_bytes,
    },
    Figure {
        name: "wire-bytes",
        unit: "bytes",
        value: 8_000.0,
        least: 0.0,
        most: 1e9,
        about: "what goes over the network beside the profile, both ways: connection, full handshake, headers",
        source: "one request by curl with a certificate, by the counters of the loopback interface",
        field: |figures| &mut figures.wire_bytes,
    },
    Figure {
        name: "events",
        unit: "of a resync",
        value: 1.0,
        least: 0.0,
        most: 1_000.0,
        about: "rows of the database that a resync makes",
        source: "every request is one event, [events.md](events.md); more where phones try several names",
        field: |figures| &mut figures.events,
    },
    Figure {
        name: "event-bytes",
        unit: "bytes",
        value: 450.0,
        least: 0.0,
        most: 1e6,
        about: "such a row, with its part of the indexes",
        source: "the file of SQLite after 4,000 resyncs over TLS (434 each) and 24,000 over plain HTTP (349)",
        field: |figures| &mut figures.event_bytes,
    },
    Figure {
        name: "sqlite-events",
        unit: "a second",
        value: 20_000.0,
        least: 1.0,
        most: 1e9,
        about: "events that SQLite takes",
        source: "[database.md](database.md), with 10 million events in it",
        field: |figures| &mut figures.sqlite_events,
    },
    Figure {
        name: "memory-base",
        unit: "bytes",
        value: 53e6,
        least: 0.0,
        most: 1e12,
        about: "memory of a node without devices",
        source: "[reliability.md](reliability.md): 61 MB with 2,000 devices, 92 MB with 10,000",
        field: |figures| &mut figures.memory_base,
    },
    Figure {
        name: "memory-file",
        unit: "bytes",
        value: 3_900.0,
        least: 0.0,
        most: 1e9,
        about: "a device that has a file in `profiles/devices`; every node has all of them in memory",
        source: "the same two",
        field: |figures| &mut figures.memory_file,
    },
    Figure {
        name: "memory-record",
        unit: "bytes",
        value: 220.0,
        least: 0.0,
        most: 1e9,
        about: "a device that has a record in the database instead",
        source: "[database.md](database.md): 220 MB for a million",
        field: |figures| &mut figures.memory_record,
    },
    Figure {
        name: "memory-records",
        unit: "bytes",
        value: 134_217_728.0,
        least: 0.0,
        most: 1e12,
        about: "the records that a node keeps at hand, at most",
        source: "`cache.records`, 128 MiB by default",
        field: |figures| &mut figures.memory_records,
    },
    Figure {
        name: "memory-connection",
        unit: "bytes",
        value: 83_000.0,
        least: 0.0,
        most: 1e9,
        about: "a connection over TLS while it is open",
        source: "`memory` of [performance.md](performance.md): 10,000 idle ones",
        field: |figures| &mut figures.memory_connection,
    },
    Figure {
        name: "connections",
        unit: "",
        value: 4_096.0,
        least: 1.0,
        most: 1e6,
        about: "connections that a node has open at most",
        source: "`limits.connections`, by default",
        field: |figures| &mut figures.connections,
    },
    Figure {
        name: "patience",
        unit: "s",
        value: 10.0,
        least: 0.1,
        most: 3_600.0,
        about: "how long a phone waits before it is one that was not served, and comes again",
        source: "`limits.handshake_timeout`, by default",
        field: |figures| &mut figures.patience,
    },
    Figure {
        name: "storm-loss",
        unit: "of the processor",
        value: 0.08,
        least: 0.0,
        most: 0.99,
        about: "what goes into phones that have gone before they were answered, while more come than can be served",
        source: "[reliability.md](reliability.md): 913 tries of 10,913 came to nothing",
        field: |figures| &mut figures.storm_loss,
    },
];

/// Why a figure can't be set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FigureError {
    #[error("{0:?} is no figure and its value: write cpu-full=1200")]
    Form(String),
    #[error("there is no figure \"{name}\"{}", nearest.map(|nearest| format!("; did you mean \"{nearest}\"?")).unwrap_or_default())]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("{name} is a number from {least} to {most}, and this is {text:?}")]
    Value { name: &'static str, least: f64, most: f64, text: String },
}

impl Default for Figures {
    fn default() -> Self {
        let mut figures = Self {
            cpu_full: 0.0,
            cpu_resumed: 0.0,
            cpu_cold: 0.0,
            utilisation: 0.0,
            profile_bytes: 0.0,
            wire_bytes: 0.0,
            events: 0.0,
            event_bytes: 0.0,
            sqlite_events: 0.0,
            memory_base: 0.0,
            memory_file: 0.0,
            memory_record: 0.0,
            memory_records: 0.0,
            memory_connection: 0.0,
            connections: 0.0,
            patience: 0.0,
            storm_loss: 0.0,
        };
        for figure in &FIGURES {
            *(figure.field)(&mut figures) = figure.value;
        }
        figures
    }
}

impl Figures {
    /// Sets one as it is written on a command line, `cpu-full=1200`.
    ///
    /// # Errors
    /// Where there is no such figure, or its value is out of bounds.
    pub fn set(&mut self, text: &str) -> Result<(), FigureError> {
        let (name, value) = text.split_once('=').ok_or_else(|| FigureError::Form(text.to_owned()))?;
        let name = name.trim();
        let Some(figure) = FIGURES.iter().find(|figure| figure.name == name) else {
            let nearest = nearest(name, FIGURES.iter().map(|figure| figure.name));
            return Err(FigureError::Unknown { name: name.to_owned(), nearest });
        };
        let Figure { name, least, most, .. } = *figure;
        let number = value.trim().parse().ok().filter(|number| (least..=most).contains(number));
        let number = number.ok_or_else(|| FigureError::Value { name, least, most, text: value.to_owned() })?;
        *(figure.field)(self) = number;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_set_by_its_own_name_and_within_its_bounds() {
        let mut names: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIGURES.len());
        for figure in &FIGURES {
            let (default, mut figures) = (Figures::default(), Figures::default());
            assert!((figure.least..=figure.most).contains(&figure.value), "{}", figure.name);
            figures.set(&format!("{}={}", figure.name, figure.least)).unwrap();
            assert_eq!(*(figure.field)(&mut figures), figure.least);
            assert_ne!(figures, default, "{}", figure.name);
            // And nothing else.
            *(figure.field)(&mut figures) = figure.value;
            assert_eq!(figures, default, "{}", figure.name);
        }
    }

    #[test]
    fn what_is_no_figure_is_told() {
        let mut figures = Figures::default();
        let error = |figures: &mut Figures, text: &str| figures.set(text).unwrap_err().to_string();
        assert_eq!(error(&mut figures, "cpu-fulll=3"), "there is no figure \"cpu-fulll\"; did you mean \"cpu-full\"?");
        assert_eq!(error(&mut figures, "cpu-full"), "\"cpu-full\" is no figure and its value: write cpu-full=1200");
        for value in ["", "0", "NaN", "inf", "-1", "1e300", "x"] {
            let told = error(&mut figures, &format!("utilisation={value}"));
            assert!(told.starts_with("utilisation is a number from 0.01 to 1, and this is"), "{told}");
        }
        assert_eq!(figures, Figures::default());
    }
}
