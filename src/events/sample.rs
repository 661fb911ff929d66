//! Events for the tests of this folder: one of each sort.

use std::sync::Arc;
use std::time::Duration;

use time::macros::datetime;

use super::{Event, Flag, Kind, Outcome, Refusal};

/// A phone that got its profile.
pub fn served() -> Event {
    Event {
        time: datetime!(2026-03-01 10:00:00.123_456 UTC),
        kind: Kind::Resync,
        listener: Arc::from("https"),
        peer: "192.0.2.7:50001".parse().unwrap(),
        method: "GET".to_owned(),
        target: "/cisco/000e08abcdef.xml".to_owned(),
        status: 200,
        bytes: 8311,
        duration: Duration::from_nanos(1_234_567),
        tls_version: Some("TLSv1.3"),
        tls_cipher: Some("TLS_AES_256_GCM_SHA384".to_owned()),
        certificate: Some("OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef".to_owned()),
        user_agent: Some("Cisco-CP-6841-3PCC/11.3.1 (88012BA01234)".to_owned()),
        vendor: Some("Cisco".to_owned()),
        model: Some("CP-6841-3PCC".to_owned()),
        firmware: Some("11.3.1".to_owned()),
        device: Some("000e08abcdef".parse().unwrap()),
        asked_mac: Some("000e08abcdef".parse().unwrap()),
        file: Some("cisco-mpp/profile".to_owned()),
        generation: 3,
        encoding: Some("gzip+aes-256-cbc"),
        outcome: Outcome::Served,
        reason: None,
        flags: Vec::new(),
    }
}

/// A connection that came to no request.
fn connection() -> Event {
    Event {
        kind: Kind::Connection,
        peer: "203.0.113.9:40000".parse().unwrap(),
        method: String::new(),
        target: String::new(),
        status: 0,
        bytes: 0,
        tls_version: None,
        tls_cipher: None,
        certificate: None,
        user_agent: None,
        vendor: None,
        model: None,
        firmware: None,
        device: None,
        asked_mac: None,
        file: None,
        encoding: None,
        ..served()
    }
}

pub fn events() -> Vec<Event> {
    vec![
        served(),
        Event {
            status: 304,
            bytes: 0,
            duration: Duration::from_micros(400),
            outcome: Outcome::NotModified,
            ..served()
        },
        Event {
            target: "/spa/000e08000001.xml".to_owned(),
            status: 404,
            bytes: 0,
            model: Some("SPA504G".to_owned()),
            device: None,
            asked_mac: Some("000e08000001".parse().unwrap()),
            duration: Duration::from_micros(100),
            outcome: Outcome::Refused(Refusal::UnknownDevice),
            reason: Some("there is no device of that MAC or serial number".to_owned()),
            ..served()
        },
        Event {
            status: 500,
            bytes: 0,
            duration: Duration::from_millis(2),
            outcome: Outcome::Failed,
            reason: Some("profile.xml.tera:7: line 1 has no user".to_owned()),
            flags: vec![Flag::ModelDiffers, Flag::CertificateDates],
            ..served()
        },
        Event {
            kind: Kind::Upload,
            method: "POST".to_owned(),
            target: "/cisco/report/000e08abcdef.xml".to_owned(),
            file: Some("cisco-mpp/report".to_owned()),
            encoding: Some("aes-256-cbc"),
            outcome: Outcome::Stored,
            ..served()
        },
        Event {
            duration: Duration::from_micros(3_100),
            outcome: Outcome::Refused(Refusal::Handshake),
            reason: Some("unsupported protocol".to_owned()),
            ..connection()
        },
        Event {
            duration: Duration::from_millis(10),
            outcome: Outcome::Aborted,
            reason: Some("closed after 0 bytes".to_owned()),
            ..connection()
        },
        Event {
            kind: Kind::Resync,
            method: "GET".to_owned(),
            target: "/x\u{9b}31m\nINFO fake".to_owned(),
            status: 400,
            duration: Duration::from_micros(100),
            user_agent: Some("evil\u{1b}[2J\r\n".to_owned()),
            model: Some("evil\u{1b}[2J".to_owned()),
            outcome: Outcome::Refused(Refusal::BadRequest),
            ..connection()
        },
    ]
}
