//! What tr069.toml may say, and what is said of its mistakes.

use super::*;
use crate::cwmp::{BooleanForm, TimeForm};
use crate::document::Problem;

fn models() -> Models {
    let text = "[models.A1]\nfamily = \"a\"\nlines = 2\nkeys = 4\n[models.B9]\nfamily = \"b\"\nlines = 4\nkeys = 0\n";
    let document = Document::from_text("pack.toml", text.to_owned());
    let (table, problems) = (document.parse().unwrap(), RefCell::default());
    let models = crate::packs::manifest::models(&Reader::new(&document, &table, &problems));
    assert!(problems.into_inner().is_empty());
    models
}

fn read(text: &str) -> Result<DataModel, Vec<String>> {
    let document = Document::from_text("tr069.toml", text.to_owned());
    DataModel::of(&document, &models(), &[], &[])
        .map_err(|problems| problems.iter().map(|problem: &Problem| problem.to_string()).collect())
}

const PARAMETERS: &str = r#"
root = "Device"
[parameters]
"Device.Info.Version" = { type = "string", access = "read-only" }
"Device.Voice.1.Profile.{i}.Proxy" = { type = "string", access = "read-write", size = 8, counts = "lines" }
"Device.Voice.1.Profile.{i}.Port" = { type = "unsignedInt", access = "read-write", min = 1, max = 65535 }
"Device.Voice.1.Profile.{i}.Line.{i}.Password" = { type = "string", access = "write-only" }
"Device.On" = { type = "boolean", access = "read-write" }
"Device.Kind" = { type = "string", access = "read-write", choices = ["A", "B"], models = ["b"] }
"Device.Blob" = { type = "base64", access = "read-write", size = 3 }
"#;

#[test]
fn values_are_checked_by_type_size_range_and_access() {
    let data_model = read(PARAMETERS).unwrap();
    let models = models();
    let [a, b] = models.list.as_slice() else { panic!("two models") };
    let check = |path: &str, value: &str| data_model.check(path, value, a).map_err(|why| why.to_string());
    assert_eq!(check("Device.On", "1").as_deref(), Ok("true"));
    assert_eq!(check("Device.Voice.1.Profile.2.Proxy", "12345678").as_deref(), Ok("12345678"));
    assert_eq!(check("Device.Voice.1.Profile.2.Proxy", "123456789").unwrap_err(), "has 9 characters, and may have 8");
    assert_eq!(check("Device.Voice.1.Profile.3.Proxy", "x").unwrap_err(), "is not in the data model of a A1");
    assert_eq!(check("Device.Voice.1.Profile.3.Port", "0").unwrap_err(), "must be from 1 to 65535");
    assert!(check("Device.Voice.1.Profile.3.Port", "http").unwrap_err().contains("whole number"));
    assert_eq!(check("Device.Info.Version", "x").unwrap_err(), "is read-only");
    assert_eq!(
        check("Device.Voice.1.Profile.2.Porxy", "x").unwrap_err(),
        "is not in the data model (did you mean Device.Voice.1.Profile.2.Proxy?)"
    );
    assert!(matches!(data_model.check("Device.Kind", "A", a), Err(Refusal::NotOfModel { .. })));
    assert_eq!(data_model.check("Device.Kind", "A", b).as_deref(), Ok("A"));
    assert_eq!(data_model.check("Device.Kind", "C", b), Err(Refusal::Value("must be one of A, B".to_owned())));
    assert_eq!(check("Device.Blob", "YWJj").as_deref(), Ok("YWJj"));
    assert_eq!(check("Device.Blob", "YWJjZA==").unwrap_err(), "has 4 octets, and may have 3");
    assert!(data_model.get("Device.Voice.1.Profile.2.Line.1.Password").unwrap().secret);
    assert!(data_model.equal("Device.On", "0", "false") && !data_model.equal("Device.None", "0", "false"));
}

#[test]
fn every_mistake_is_named_with_its_line() {
    let problems = read(
        r#"root = "Devise"
opne = true
without = "c"
[rpc]
to_phone = ["GetRPCMethods", "GetRPCMethods", "Inform", "Rebot"]
[quirks]
oui = "00:08:5D"
booleans = "yes"
get_batch = 0
[quirks.family.c]
retry = "never"
[files.download]
"1 Firmware Upgrade Image" = { content = "frimware", file = "firmware" }
[parameters]
"Devise.A" = { type = "strnig", access = "read-write" }
"Devise.B" = { type = "int", access = "both", size = 3, counts = "lines" }
"Devise.C." = { type = "int", access = "read-only" }
"Devise.D" = { type = "int", access = "read-only", min = 3, max = 2, rnage = 1 }
"Devise.E" = { type = "int", access = "read-only" }
[mapping]
"Devise.E" = "{{ acs.intervall }}"
[mapping.each.line]
"Devise.Q.{n}" = "{{ line.user }}"
"#,
    )
    .unwrap_err();
    let has = |text: &str| assert!(problems.iter().any(|problem| problem.contains(text)), "{text}: {problems:#?}");
    has("tr069.toml:1: root: must be Device or InternetGatewayDevice");
    has("tr069.toml:2: opne: unknown key (did you mean \"open\"?)");
    has("tr069.toml:3: without: the pack has no model or family \"c\"");
    has("names GetRPCMethods twice");
    has("\"Inform\" is no procedure of CWMP in this direction");
    has("(did you mean \"Reboot\"?)");
    has("tr069.toml:7: quirks.oui: \"00:08:5D\" is no OUI");
    has("tr069.toml:8: quirks.booleans: \"yes\" is no form of booleans: it is one of words, digits");
    has("quirks.get_batch: must be from 1 to 10000");
    has("tr069.toml:10: quirks.family.c: the pack has no family of this name");
    has("quirks.family.c.retry: \"never\" is no way of trying again");
    has("\"frimware\" is nothing that a file holds");
    has("pack.toml has no [[file]] \"firmware\"");
    has("\"strnig\" is no type of a data-model parameter; did you mean \"string\"?");
    has("tr069.toml:16: parameters.\"Devise.B\".access: \"both\" is no access");
    has("is for string and base64, and this is int");
    has("goes with a path that holds {i}");
    has("tr069.toml:17: parameters.\"Devise.C.\": must name a parameter");
    has("is below min, 3");
    has("rnage: unknown key");
    has("tr069.toml:21: Devise.E: Devise.E is read-only, and can't be set");
    has("reads \"acs.intervall\", which is no setting (did you mean");
    has("Devise.Q.1 is not among [parameters], and the list is complete");
    let quirks = problems.iter().filter(|problem| problem.contains("quirks.booleans")).count();
    assert_eq!(quirks, 1, "each mistake is told once");
}

#[test]
fn quirks_go_from_the_family_to_the_model() {
    let data_model = read(
        "root = \"Device\"\nopen = true\nwithout = [\"B9\"]\n[quirks]\noui = \"00085d\"\nbooleans = \"digits\"\n[quirks.family.a]\n\
         get_batch = 5\n[quirks.model.B9]\nbooleans = \"words\"\n",
    )
    .unwrap();
    assert_eq!((data_model.quirks(None).booleans, data_model.quirks(None).get_batch), (BooleanForm::Digits, None));
    assert_eq!(
        (data_model.quirks(Some(0)).booleans, data_model.quirks(Some(0)).get_batch),
        (BooleanForm::Digits, Some(5))
    );
    assert_eq!(data_model.quirks(Some(1)).booleans, BooleanForm::Words);
    assert_eq!(data_model.quirks(None).oui, ["00085D"]);
    assert!(data_model.is_for(0) && !data_model.is_for(1));
    assert_eq!(data_model.check("Device.Anything.At.All", "x", &models().list[0]).as_deref(), Ok("x"));
}

#[test]
fn values_are_written_as_the_phone_takes_them() {
    let mut quirks = Quirks::default();
    assert_eq!(Kind::Boolean.written("true", &quirks), "true");
    assert_eq!(Kind::DateTime.written("2026-01-31T23:59:59Z", &quirks), "2026-01-31T23:59:59Z");
    quirks.booleans = BooleanForm::Digits;
    quirks.date_time = TimeForm::NoZone;
    assert_eq!(Kind::Boolean.written("false", &quirks), "0");
    assert_eq!(Kind::DateTime.written("2026-01-31T23:59:59Z", &quirks), "2026-01-31T23:59:59");
    quirks.date_time = TimeForm::Milliseconds;
    assert_eq!(Kind::DateTime.written("2026-01-31T23:59:59Z", &quirks), "2026-01-31T23:59:59.000Z");
}
