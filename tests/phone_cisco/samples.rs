//! The packs' golden profiles, read as the phone reads them: there it and a real XML reader have to agree, and what the
//! phone would evaluate has to be valid.

use resyncd::phone::cisco::alias::AliasMap;
use resyncd::phone::cisco::condition::Condition;
use resyncd::phone::cisco::profile::Profile;
use resyncd::phone::cisco::rule::{Kind, Rule};
use resyncd::phone::cisco::schedule::Schedule;

use super::phone::{PhoneCase, expanded};
use crate::support::root;

/// Name and value of every child of a `<flat-profile>`, by XML's own rules but for white space.
fn by_xml(text: &str) -> Vec<(String, String)> {
    let document = roxmltree::Document::parse(text).unwrap();
    let profiles = document.descendants().filter(|node| node.has_tag_name("flat-profile"));
    let parameters = profiles.flat_map(|profile| profile.children().filter(roxmltree::Node::is_element));
    parameters
        .map(|node| {
            let text: String = node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
            (node.tag_name().name().to_owned(), text.trim().replace('\n', " "))
        })
        .collect()
}

#[test]
fn the_packs_profiles_are_what_the_phone_reads() {
    let mut read = 0;
    for pack in ["cisco-mpp", "cisco-spa"] {
        for entry in walkdir::WalkDir::new(root().join("templates").join(pack).join("samples")).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            let about = path.display().to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            let profile =
                Profile::read(text.as_bytes(), &AliasMap::default()).unwrap_or_else(|error| panic!("{about}: {error}"));
            let found: Vec<(String, String)> =
                profile.settings.iter().map(|one| (one.name.clone(), one.value.clone().unwrap_or_default())).collect();
            assert_eq!(found, by_xml(&text), "{about}");
            read += 1;

            let parameters = found.into_iter().collect();
            let mut case = PhoneCase { parameters, ..PhoneCase::default() };
            if pack == "cisco-spa" {
                (case.model, case.firmware) = ("SPA504G".to_owned(), "7.5.2b".to_owned());
            }
            check_evaluated(&about, &case);
        }
    }
    assert!(read >= 10, "only {read} profiles");
}

fn check_evaluated(about: &str, case: &PhoneCase) {
    for (name, value) in &case.parameters {
        let kind = match name.as_str() {
            name if name.starts_with("Profile_Rule") => Kind::Profile,
            "Upgrade_Rule" => Kind::Upgrade,
            "Report_Rule" => Kind::Report,
            "Resync_Periodic" | "Resync_Error_Retry_Delay" | "Upgrade_Error_Retry_Delay" => {
                assert!(Schedule::parse(value).is_ok(), "{about}: {name}: {value}");
                continue;
            }
            name if name.starts_with("Resync_Trigger_") && !value.is_empty() => {
                let condition = Condition::parse(&expanded(case, value, false));
                assert!(condition.is_ok(), "{about}: {name}: {condition:?}");
                continue;
            }
            _ => continue,
        };
        let rule =
            Rule::parse(&expanded(case, value, true), kind).unwrap_or_else(|error| panic!("{about}: {name}: {error}"));
        assert_eq!(rule.unreachable(), None, "{about}: {name}: {value}");
    }
}
