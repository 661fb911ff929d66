//! Files of devices: what is read of them, what is wrong with them, and that an export is read as it was.

use resyncd::fleet::{Format, Query, Secrecy, Shown, export, read, read_rows};
use serde_json::{Value, json};

use super::{Fixture, ONE, THREE, TWO, change, put, refused};
use crate::support::database::Scratch;

fn told(format: Format, text: &str) -> String {
    read(format, "f", text).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_with_a_file_is_told_by_its_line() {
    let csv = |text: &str| told(Format::Csv, text);
    for (text, why) in [
        ("", "f:1: has no column \"mac\""),
        ("mac;model\n", "f:1: there is no column \"mac;model\""),
        ("mac,modle\n", "f:1: there is no column \"modle\" (did you mean \"model\"?)"),
        ("mac,pasword\n", "did you mean \"password\"?"),
        ("mac,lines.1.usr\n", "f:1: there is no column \"lines.1.usr\""),
        ("mac,mac\n", "f:1: the column \"mac\" is there twice"),
        ("mac,user,lines.1.user\n", "f:1: \"lines.1.user\" is the same column as \"user\""),
        ("mac,model\n000e08000001,T-1\n000e0800", "f:3: not valid CSV: the line has 1 fields, and there are 2 columns"),
        ("mac,model\n000e08000001,T-1,x\n", "f:2: not valid CSV: the line has 3 fields"),
        ("mac,model\n000e08000001,\"T-1\n000e08000002,T-1\n", "f:2: a quote that opens here is never closed"),
        ("mac,model\nnot-a-mac,T-1\n", "f:2: mac: "),
        ("mac,model\r\n\r\n000e08000001,T-1\r\nnot-a-mac,T-1\r\n", "f:4: mac: "),
        ("mac,model\r\n000e08000001,T-1\r\n000e08000002\r\n", "f:3: not valid CSV: the line has 1 fields"),
        ("mac,model\n000e08000001,\"T\n1\"\nnot-a-mac,T-1\n", "f:4: mac: "),
        ("mac,lines.1.port\n000e08000001,many\n", "f:2: lines.1.port: must be a whole number"),
        ("mac,lines.1.enabled\n000e08000001,yes\n", "f:2: lines.1.enabled: must be true or false"),
    ] {
        let told = csv(text);
        assert!(told.contains(why), "{text:?}: {told}");
    }
    // Every row that is wrong, and those that are right all the same.
    let rows = read_rows(Format::Csv, "f", "mac,lines.1.port\nx,1\n000e08000001,2\ny,z\n").unwrap();
    assert_eq!((rows.edits.len(), rows.problems.len()), (1, 2));
    let json = |text: &str| told(Format::Json, text);
    for (text, why) in [
        ("[{\"mac\": \"000e08000001\", \"model\": \"T-1\"},\n {\"mac\": \"000e", "f:2: not valid JSON: "),
        ("{}", "f: must hold an array of devices"),
        ("[[]]", "f: [0]: must be an object"),
        ("[{}]", "f: [0]: mac: is missing"),
        ("[{\"mac\": 5}]", "f: [0]: mac: must be a text"),
    ] {
        let told = json(text);
        assert!(told.contains(why), "{text:?}: {told}");
    }
    assert!(told(Format::Toml, "[[device]]\nmac = \"000e08000001\"\nmodel = \"T-").contains("f:3: not valid TOML"));
    assert!(told(Format::Toml, "[[devices]]\n").contains("devices: unknown key (write [[device]] for each device)"));
    assert!(told(Format::Toml, "[[device]]\nmodel = \"x\"\n").contains("f: device[0]: mac: is missing"));
}

#[test]
fn a_table_from_elsewhere_is_read_as_it_was_meant() {
    let text = "\u{feff}mac , model,user,lines.1.display_name,lines.1.codecs\r\n\
                00:0E:08:00:00:01,T-1,1001,\"Reception, \"\"A\"\"\",g722;pcma\r\n\
                000e08000002,T-1,,,\r\n";
    let edits = read(Format::Csv, "f", text).unwrap();
    assert_eq!(edits.len(), 2);
    let rows: Vec<_> = edits.iter().map(|edit| (edit.row.as_deref().unwrap(), edit.name.to_string())).collect();
    assert_eq!(rows, [("f:2", ONE.to_owned()), ("f:3", TWO.to_owned())]);
    let resyncd::fleet::What::Merge(first) = &edits[0].what else { panic!() };
    let line = json!({"user": "1001", "display_name": "Reception, \"A\"", "codecs": ["g722", "pcma"]});
    assert_eq!(Value::Object(first.clone()), json!({"model": "T-1", "settings": {"lines": {"1": line}}}));
}

#[tokio::test]
async fn an_export_is_read_as_it_was() {
    let scratch = Scratch::sqlite();
    let fixture = Fixture::new(&scratch.database).await;
    let fleet = fixture.fleet().await;
    let line = json!({"user": "=1+1", "password": "p\"a,b", "port": 5061, "enabled": true, "codecs": ["g722", "pcma"]});
    let one = json!({"model": "T-1", "serial": "SN0001", "group": "acme",
        "settings": {"lines": {"1": line}, "params": {"Note": "a.b"}, "vars": {"site": {"name": "x"}}}});
    change(&fleet, vec![put(ONE, one), put(TWO, json!({"model": "T-1", "settings": {}}))]).await;
    let secrecy = Secrecy::new(&fleet.generation().packs);
    let entries = fleet.find(&Query::default(), None, 10).await.unwrap();
    for format in [Format::Csv, Format::Toml, Format::Json] {
        // Over what is there nothing is changed, masked or not; and elsewhere all is as it was here.
        for shown in [Shown::Masked, Shown::Real] {
            let text = export(format, &entries, &secrecy, shown).unwrap();
            assert_eq!(
                text.contains("p\\\"a,b") || text.contains("p\"\"a,b") || text.contains("p\"a,b"),
                shown == Shown::Real
            );
            let applied = change(&fleet, read(format, "f", &text).unwrap()).await;
            assert_eq!((applied.kept, applied.revision), (2, None), "{format:?}: {text}");
        }
        let elsewhere = Scratch::sqlite();
        let other = Fixture::new(&elsewhere.database).await.fleet().await;
        let masked = export(format, &entries, &secrecy, Shown::Masked).unwrap();
        let told = refused(&other, read(format, "f", &masked).unwrap()).await;
        assert!(told[0].contains("stands for a secret that is stored"), "{told:?}");
        let text = export(format, &entries, &secrecy, Shown::Real).unwrap();
        change(&other, read(format, "f", &text).unwrap()).await;
        let there = other.find(&Query::default(), None, 10).await.unwrap();
        let records = |entries: &[resyncd::fleet::Entry]| -> Vec<_> {
            entries.iter().map(|entry| entry.record.as_ref().unwrap().record.clone()).collect()
        };
        assert_eq!(records(&there), records(&entries), "{format:?}");
    }
    // What CSV has no form for is not written so that it would be read as something else.
    for settings in [
        json!({"params": {"Note": ""}}),
        json!({"vars": {"other": " blank "}}),
        json!({"vars": {"number": 5}}),
        json!({"params": {"Note": {"value": "x", "access": "ro"}}}),
        json!({"unset": ["params.Note"]}),
        json!({"lines": {"1": {"user": "1", "password": {"hex": "00"}}}}),
    ] {
        change(&fleet, vec![put(THREE, json!({"model": "T-1", "settings": settings}))]).await;
        let entries = fleet.find(&Query::default(), None, 10).await.unwrap();
        let error = export(Format::Csv, &entries, &secrecy, Shown::Real).unwrap_err().to_string();
        assert!(error.starts_with("000e08000003: CSV has no form for what ") && error.contains("JSON"), "{error}");
        let text = export(Format::Json, &entries, &secrecy, Shown::Real).unwrap();
        assert_eq!(change(&fleet, read(Format::Json, "f", &text).unwrap()).await.kept, 3);
        let text = export(Format::Toml, &entries, &secrecy, Shown::Real).unwrap();
        assert_eq!(change(&fleet, read(Format::Toml, "f", &text).unwrap()).await.kept, 3);
    }
}
