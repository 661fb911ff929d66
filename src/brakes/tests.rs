use futures_util::FutureExt;

use super::*;

fn brakes(change: impl FnOnce(&mut config::Brakes)) -> Brakes {
    let mut config = config::Brakes {
        failures: 3,
        refuse_after: 10,
        window: Duration::from_secs(600),
        longest_delay: Duration::from_secs(8),
        waiting: 100,
        tries: 4,
        scan_phones: 5,
        scan_window: Duration::from_secs(3_600),
        spare: Duration::from_secs(86_400),
    };
    change(&mut config);
    Brakes::new(&config, Counters::default())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn mac(number: u32) -> MacAddr {
    format!("000e08{number:06x}").parse().unwrap()
}

/// Milliseconds of delay; none: refused.
fn milliseconds(judged: &Judged) -> Option<u128> {
    match &judged.brake {
        Brake::Off => Some(0),
        Brake::Delay(delay) => Some(delay.time().as_millis()),
        Brake::Refuse(_) => None,
    }
}

#[test]
fn refusals_are_delayed_longer_each_time_and_then_become_503() {
    let (brakes, now) = (brakes(|_| {}), Instant::now());
    let judged: Vec<_> = (0..12).map(|_| milliseconds(&brakes.failed(ip("192.0.2.7"), None, now))).collect();
    let delays = [0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 8_000, 8_000].map(Some);
    assert_eq!(judged[..10], delays);
    assert_eq!(judged[10..], [None, None]);
    // Another network, and the same one much later, are as they were.
    assert_eq!(milliseconds(&brakes.failed(ip("192.0.2.8"), None, now)), Some(0));
    let later = now + Duration::from_secs(6_000);
    assert_eq!(milliseconds(&brakes.failed(ip("192.0.2.7"), None, later)), Some(0));
}

#[test]
fn a_phone_that_many_ask_for_is_braked_and_no_other() {
    let (brakes, now) = (brakes(|_| {}), Instant::now());
    for number in 0..3 {
        let judged = brakes.failed(ip(&format!("192.0.2.{number}")), Some(mac(1)), now);
        assert_eq!(milliseconds(&judged), Some(0));
    }
    assert_eq!(milliseconds(&brakes.failed(ip("198.51.100.1"), Some(mac(1)), now)), Some(250));
    assert_eq!(milliseconds(&brakes.failed(ip("198.51.100.2"), Some(mac(2)), now)), Some(0));
}

#[test]
fn a_network_is_a_64_of_ipv6() {
    let (brakes, now) = (brakes(|_| {}), Instant::now());
    let from = |number: u32| milliseconds(&brakes.failed(ip(&format!("2001:db8::{number:x}")), None, now));
    assert_eq!((0..5).map(from).collect::<Vec<_>>(), [0, 0, 0, 250, 500].map(Some));
    assert_eq!(milliseconds(&brakes.failed(ip("2001:db8:0:1::1"), None, now)), Some(0));
}

#[test]
fn no_more_wait_than_may() {
    let (brakes, now) = (brakes(|config| config.waiting = 2), Instant::now());
    let judged: Vec<_> = (0..6).map(|_| brakes.failed(ip("192.0.2.7"), None, now)).collect();
    assert_eq!(
        judged.iter().map(milliseconds).collect::<Vec<_>>(),
        [Some(0), Some(0), Some(0), Some(250), Some(500), None]
    );
    assert_eq!(brakes.waiting(), 2);
    drop(judged);
    assert_eq!(brakes.waiting(), 0);
}

#[test]
fn nobody_waits_beyond_the_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (brakes, now) = (brakes(|config| config.longest_delay = Duration::from_secs(3_600)), Instant::now());
    let mut delay = None;
    for _ in 0..9 {
        if let Brake::Delay(found) = brakes.failed(ip("192.0.2.7"), None, now).brake {
            delay = Some(found);
        }
    }
    brakes.release();
    assert_eq!(runtime.block_on(async { delay.unwrap().pass().now_or_never() }), Some(()));
}

#[test]
fn a_password_is_not_looked_at_after_some_wrong_ones_of_one_network_for_one_phone() {
    let (brakes, now) = (brakes(|_| {}), Instant::now());
    for _ in 0..4 {
        assert!(brakes.may_try(ip("192.0.2.7"), mac(1), now));
        brakes.tried(ip("192.0.2.7"), mac(1), now);
    }
    assert!(!brakes.may_try(ip("192.0.2.7"), mac(1), now));
    assert!(brakes.may_try(ip("192.0.2.7"), mac(2), now), "another phone");
    assert!(brakes.may_try(ip("192.0.2.8"), mac(1), now), "another network");
    assert!(brakes.may_try(ip("192.0.2.7"), mac(1), now + Duration::from_secs(600)), "later");
}

#[test]
fn a_scan_is_told_once_and_the_rest_is_part_of_it() {
    let (brakes, now) = (brakes(|config| config.refuse_after = 1_000), Instant::now());
    let judged: Vec<_> = (0..12).map(|number| brakes.failed(ip("192.0.2.7"), Some(mac(number)), now)).collect();
    let told: Vec<_> = judged.iter().map(|judged| judged.scans.len()).collect();
    assert_eq!(told, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(judged.iter().filter(|judged| judged.is_scan).count(), 7);
}

#[test]
fn who_had_a_proof_lately_is_not_named() {
    let (brakes, now) = (brakes(|_| {}), Instant::now());
    let scan = |peer: &str| (0..20).for_each(|number| drop(brakes.failed(ip(peer), Some(mac(number)), now)));
    brakes.proved(ip("192.0.2.9"), now);
    scan("192.0.2.9");
    assert_eq!(brakes.0.counters.bans.get(), 0);
    // For the scan, and for the failures.
    scan("192.0.2.7");
    assert_eq!(brakes.0.counters.bans.get(), 2);
    assert!(!brakes.has_proved(ip("192.0.2.9"), now + Duration::from_secs(86_400)));
}

#[test]
fn the_line_that_names_somebody_is_stable() {
    let scan = Ban { peer: ip("192.0.2.7"), why: Why::Scan { phones: 50, oui: "000e08".to_owned() } };
    assert_eq!(scan.to_string(), "abuse from 192.0.2.7: scan, 50 phones of 000e08 asked for in vain");
    let failures = Ban { peer: ip("2001:db8::7"), why: Why::Failures(101) };
    assert_eq!(failures.to_string(), "abuse from 2001:db8::/64: failures, 101 requests in vain");
}
