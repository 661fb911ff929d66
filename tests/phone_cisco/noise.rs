//! No input makes the phone panic or go on for ever, and every error has a place in its text.

use bytes::Bytes;
use proptest::prelude::*;
use resyncd::phone::cisco::Reason;
use resyncd::phone::cisco::alias::AliasMap;
use resyncd::phone::cisco::condition::Condition;
use resyncd::phone::cisco::macros;
use resyncd::phone::cisco::options::Arguments;
use resyncd::phone::cisco::profile::Profile;
use resyncd::phone::cisco::rule::{Kind, Rule};
use resyncd::phone::cisco::schedule::{Schedule, TimeOfDay};
use resyncd::phone::cisco::target::Origin;
use resyncd::phone::cisco::version::Version;

use super::phone::{PhoneCase, expanded, resynced};
use crate::support::phone::{Extreme, ScriptedServer, response};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(
        text in prop_oneof![
            "\\PC{0,80}",
            "[-$()\\[\\]\"?!|;:=<>&#/a-pA-P0-9. ]{0,80}",
            "(\\$\\(?(MA|SA|A|PN)(:[0-9]{1,3}){0,2}\\)?|\\[--(key|pwd|post) |\\(|\\)\\?|\\)!|\\||http://h[:/]|\"| and | eq |é){0,20}",
            "(<[/?!]?(flat-profile|X)?( ua=\"rw\")?/?>|<!--|-->|&(amp|#x?[0-9]{1,3});?|é|\n){0,24}",
        ],
    ) {
        let case = PhoneCase::default();
        for in_rule in [false, true] {
            let expanded = expanded(&case, &text, in_rule);
            let written: String = macros::tokens(&text).map(|token| match token {
                macros::Token::Text(text) => text,
                macros::Token::Dollar => "$$",
                macros::Token::Reference(reference) => reference.written,
            }).collect();
            prop_assert_eq!(&written, &text);
            let _ = Arguments::masked(&expanded);
            for kind in [Kind::Profile, Kind::Upgrade, Kind::Report] {
                if let Err(error) = Rule::parse(&expanded, kind) {
                    prop_assert!(error.at() <= expanded.len() && expanded.is_char_boundary(error.at()), "{error}");
                }
            }
            if let Err(error) = Condition::parse(&expanded) {
                prop_assert!(error.at() <= expanded.len() && expanded.is_char_boundary(error.at()), "{error}");
            }
        }
        let _ = (Schedule::parse(&text), TimeOfDay::parse(&text), Origin::parse(&text));
        let _ = (Version::parse(&text), Version::of_file(&text), AliasMap::parse(&text));
        if let Err(error) = Profile::read(text.as_bytes(), &AliasMap::default()) {
            prop_assert!(error.at() <= text.len() && text.is_char_boundary(error.at()), "{error}");
        }
    }

    #[test]
    fn any_answer_ends_a_resync(
        status in prop_oneof![Just(200_u16), Just(301), Just(302), Just(401), Just(407), 200..600_u16],
        location in "[a-z:/?#.]{0,12}",
        challenge in "(Basic|Digest|realm|nonce|qop|=|,|\"| |x){0,16}",
        coding in prop_oneof![Just("aes128gcm"), Just("gzip")],
        start in prop_oneof![Just(&b""[..]), Just(&b"Salted__"[..]), Just(&[0x1f, 0x8b, 8][..]), Just(&b"<flat-profile>"[..])],
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let headers =
            [("location", location.as_str()), ("www-authenticate", challenge.as_str()), ("content-encoding", coding)];
        let body = Bytes::from([start, &noise].concat());
        let server = ScriptedServer::default();
        server.answer("http://h/f", Ok(response(status, &headers, body)));
        let mut phone = PhoneCase::default();
        let rule = "[--key k --uid u --pwd p] http://h/f".to_owned();
        phone.parameters.extend([("Profile_Rule".to_owned(), rule), ("IKM_HTTP_Encrypt_Content".to_owned(), "x".to_owned())]);
        let outcome = resynced(&phone, Reason::PowerUp, &server, Extreme::Least);
        prop_assert!(server.asked().len() <= 8);
        prop_assert!(!outcome.next.is_empty());
    }
}
