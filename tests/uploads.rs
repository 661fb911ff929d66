//! What phones send, end to end: emulated phones and curl against a running server, and what is kept of it.

mod hostile;

use std::collections::BTreeMap;
use std::sync::Arc;

use resyncd::delivery::{DEFAULT_RECORD_SIZE, Delivery, Encryption, KeyDigest};
use resyncd::model::{KeyEncoding, Secret};
use resyncd::phone::cisco::{self, Emulation, Now};
use resyncd::phone::network::{Network, Options, Stack};
use resyncd::phone::{Fetch, Identity, Method, State, aastra};
use resyncd::store::UploadFilter;
use resyncd::uploads::{Upload, UploadId};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::support::database::Scratch;
use crate::support::deployment::{Deployment, Running};
use crate::support::process::Process;
use crate::support::{program, run};

/// By its network, with a key for AES-256-CBC.
const NETWORK: &str = "000e08000001";
/// By its certificate alone.
const CERTIFICATE: &str = "000e08000002";
/// By its key alone, for aes128gcm.
const SEALED: &str = "000e08000003";
const AASTRA: &str = "00085d1a9870";
const KEY: &str = "example-only-key";

fn deployment() -> Deployment {
    let deployment = Deployment::empty();
    let device = |mac: &str, text: &str| {
        deployment.write(&format!("profiles/devices/{mac}.toml"), text);
    };
    let by_network = "[access]\nnetworks = [\"127.0.0.1\"]\n";
    let cbc = format!("[delivery]\nencryption = \"aes-256-cbc\"\nkey = \"{KEY}\"\ndigest = \"sha256\"\n");
    device(NETWORK, &format!("model = \"CP-6841-3PCC\"\nserial = \"NETWORK00001\"\n{by_network}{cbc}"));
    device(CERTIFICATE, "model = \"CP-6841-3PCC\"\nserial = \"CERTIFICATE1\"\n[access]\ncertificate = true\n");
    let gcm = format!("[delivery]\nencryption = \"aes128gcm\"\nkey = \"{KEY}\"\n");
    device(SEALED, &format!("model = \"CP-8841-3PCC\"\n[access]\nencrypted = true\n{gcm}"));
    device(AASTRA, &format!("model = \"6757i\"\n{by_network}"));
    deployment
}

fn uploads(running: &Running, filter: UploadFilter) -> Vec<Upload> {
    running.block_on(running.server().uploads().list(&filter, None, 100)).unwrap().uploads
}

fn all(running: &Running) -> Vec<Upload> {
    uploads(running, UploadFilter::default())
}

fn content(running: &Running, id: UploadId) -> Vec<u8> {
    running.block_on(running.server().uploads().read(id, 1 << 30)).unwrap().unwrap().1
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Everything below the folder of uploads that is no folder.
fn files(running: &Running) -> Vec<String> {
    let folder = running.deployment.path("data/uploads");
    let entries = walkdir::WalkDir::new(&folder).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file() && entry.file_name() != "lock");
    files.map(|entry| entry.path().strip_prefix(&folder).unwrap().display().to_string()).collect()
}

/// Writes a file to be sent, and gives curl's word for it.
fn body(running: &Running, content: &[u8]) -> String {
    running.deployment.write("body", content);
    format!("@{}", running.deployment.path("body").display())
}

fn packed(gzip: bool, encryption: Encryption, content: &[u8]) -> Vec<u8> {
    Delivery { gzip, encryption }.pack(content).unwrap().body
}

fn cbc(key: &str, digest: KeyDigest) -> Encryption {
    Encryption::Aes256Cbc { passphrase: Secret::new(key), digest }
}

fn gcm(key: &str) -> Encryption {
    Encryption::Aes128Gcm { keying_material: Secret::new(key), record_size: DEFAULT_RECORD_SIZE, key_id: Vec::new() }
}

/// An emulated Cisco phone sends the reports that its rule asks for.
pub fn report(running: &Running, mac: &str, digest: KeyDigest, parameters: &[(&str, &str)]) {
    let identity = Identity {
        model: "CP-6841-3PCC".to_owned(),
        mac: mac.parse().unwrap(),
        serial: "NETWORK00001".parse().unwrap(),
        firmware: "11.2.4".to_owned(),
        has_certificate: false,
    };
    let emulation = Emulation { digest, keying_material: KeyEncoding::Text, ..Emulation::default() };
    let phone = cisco::Phone::new(identity, emulation);
    let settled: BTreeMap<String, String> = [("Changed".to_owned(), "before".to_owned())].into();
    let mut state = State { settled: Some(settled), ..State::default() };
    for (name, value) in parameters {
        let value = value.replace("SERVER", &format!("http://localhost:{}", running.port("http")));
        state.parameters.insert((*name).to_owned(), value);
    }
    let network = Network::new(Arc::new(Stack::new(Options::default()).unwrap()), None);
    let now = Now { unix: 1_700_000_000, utc_offset: 0 };
    let outcome = running.block_on(cisco::report(&phone, state, now, &network, &mut cisco::SeededRandom(1)));
    assert!(outcome.succeeded, "{:?}", outcome.transcript);
}

#[test]
fn an_emulated_cisco_phone_reports_and_what_it_holds_is_kept() {
    let running = deployment().start();
    let rule = "[--key KEY]SERVER/cisco/report/$MA.xml; [--key KEY --delta]SERVER/cisco/delta/$MA.xml; \
                [--status]SERVER/cisco/status/$MA.xml"
        .replace("KEY", KEY);
    let held = [("Changed", "on the phone"), ("Name", "R&D <b>")];
    for (digest, method) in [(KeyDigest::Md5, "POST"), (KeyDigest::Sha256, "PUT")] {
        let parameters = [("Report_Rule", rule.as_str()), ("HTTP_Report_Method", method)];
        report(&running, NETWORK, digest, &[&parameters[..], &held].concat());
        let [status, delta, full] = &all(&running)[..3] else { panic!("three uploads") };
        let text = String::from_utf8(content(&running, full.id)).unwrap();
        assert!(text.contains("<flat-profile>") && text.contains("R&amp;D &lt;b&gt;"), "{text}");
        let of_delta = String::from_utf8(content(&running, delta.id)).unwrap();
        assert!(of_delta.contains("on the phone"), "{of_delta}");
        assert!(String::from_utf8(content(&running, status.id)).unwrap().contains("flat-status"));
        let told = |upload: &Upload| (upload.kind.as_str(), upload.upload.clone(), upload.partial);
        assert_eq!(told(full), ("report", "report".to_owned(), false));
        assert_eq!(told(delta), ("report", "delta".to_owned(), true));
        assert_eq!(told(status), ("status-report", "status".to_owned(), false));
        assert_eq!(full.encoding.as_deref(), Some("aes-256-cbc"));
        assert_eq!((full.bytes, full.sha256.clone()), (text.len() as u64, sha256(text.as_bytes())));
        assert_eq!((full.device.to_string(), full.pack.as_str()), (NETWORK.to_owned(), "cisco-mpp"));
        assert_eq!(full.name.as_deref(), Some("000e08000001.xml"));
        assert!(!full.sealed && full.received > full.bytes && !full.node.is_empty());
        assert_eq!(full.listener, "http");
        let event = running.last_event();
        assert_eq!((&event["kind"], &event["outcome"]), (&"upload".into(), &"stored".into()));
        assert_eq!((&event["file"], &event["method"]), (&"cisco-mpp/status".into(), &method.into()));
        assert_eq!((&event["status"], &event["bytes"]), (&200.into(), &status.received.into()));
    }
    // RFC 8188, by the keying material that the phone holds.
    let device = format!(
        "model = \"CP-6841-3PCC\"\n[access]\nnetworks = [\"127.0.0.1\"]\n[delivery]\nencryption = \"aes128gcm\"\nkey = \"{KEY}\"\n"
    );
    running.deployment.write(&format!("profiles/devices/{NETWORK}.toml"), device);
    running.reload().unwrap();
    let rule = ("Report_Rule", "SERVER/cisco/report/$MA.xml");
    report(&running, NETWORK, KeyDigest::Md5, &[rule, ("IKM_HTTP_Encrypt_Content", KEY), held[1]]);
    let newest = all(&running).remove(0);
    assert_eq!((newest.encoding.as_deref(), newest.sealed), (Some("aes128gcm"), false));
    assert!(String::from_utf8(content(&running, newest.id)).unwrap().contains("R&amp;D"));
    // A path without a MAC is for the phone that the User-Agent names.
    report(&running, NETWORK, KeyDigest::Md5, &[("Report_Rule", "SERVER/report"), held[1]]);
    assert_eq!(all(&running)[0].device.to_string(), NETWORK);
    let metrics = running.deployment.path("data");
    assert!(metrics.is_dir());
}

#[test]
fn an_emulated_aastra_sends_its_files() {
    let running = deployment().start();
    let identity = Identity {
        model: "6757i".to_owned(),
        mac: AASTRA.parse().unwrap(),
        serial: "AASTRA000001".parse().unwrap(),
        firmware: "3.3.1.4300-SIP".to_owned(),
        has_certificate: false,
    };
    let mut state = State::default();
    state.local.insert("time zone".to_owned(), "FR-Paris".to_owned());
    state.parameters.insert("language".to_owned(), "1".to_owned());
    let network = Network::new(Arc::new(Stack::new(Options::default()).unwrap()), None);
    let folder = format!("http://localhost:{}/aastra", running.port("http"));
    for method in [Method::Put, Method::Post] {
        for file in [aastra::local_file(&identity, &state), aastra::server_file(&state)] {
            let sent = running.block_on(network.fetch(file.request(&identity, method, &folder))).unwrap();
            assert_eq!(sent.status, 200);
        }
    }
    let kept = all(&running);
    let kinds: Vec<_> = kept.iter().map(|upload| (upload.kind.as_str(), upload.partial)).collect();
    assert_eq!(kinds[..2], [("server-config", false), ("local-config", true)]);
    assert_eq!(content(&running, kept[1].id), b"time zone: FR-Paris\n");
    assert_eq!(kept[1].name.as_deref(), Some("00085D1A9870_local.cfg"));
    let crash = running.plain_curl("/aastra/00085D1A9870_2014-05-01_crash.log", &["--upload-file", "-"]);
    assert_eq!(crash.unwrap().status, 200);
    assert_eq!(all(&running)[0].kind.as_str(), "crash-log");
}

#[test]
fn a_problem_report_comes_as_a_form_or_by_put() {
    let running = deployment().start();
    // A gzip file that it stays: an archive is not looked into.
    let archive = packed(true, Encryption::None, b"a tar file");
    let file = body(&running, &archive);
    let path = format!("/cisco/prt/{NETWORK}");
    let name = "../../<script>alert(1)</script>.tar.gz";
    let form = format!("prt_file={file};filename=\"{name}\";type=application/gzip");
    let fields = ["--form", "devicename=SEP<b>", "--form", &form, "--form", "serialno=NETWORK00001"];
    let Some(reply) = running.plain_curl(&path, &fields) else { return };
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let kept = all(&running).remove(0);
    assert_eq!(content(&running, kept.id), archive);
    assert_eq!((kept.kind.as_str(), kept.sha256.clone()), ("problem-report", sha256(&archive)));
    assert_eq!((kept.name.as_deref(), kept.content_type.as_deref()), (Some(name), Some("application/gzip")));
    let wanted: BTreeMap<_, _> = [("devicename", "SEP<b>"), ("serialno", "NETWORK00001")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    assert_eq!(kept.fields, wanted);
    // The name is a text in the index, and nothing on disk.
    let id = kept.id.to_string();
    assert_eq!(files(&running), [format!("{}/{id}", &id[..6])]);

    let put = running
        .plain_curl(&format!("{path}/probrep-20260301.tar.gz"), &["--upload-file", file.trim_start_matches('@')]);
    assert_eq!(put.unwrap().status, 200);
    let kept = all(&running).remove(0);
    assert_eq!((kept.name.as_deref(), kept.encoding.as_deref()), (Some("probrep-20260301.tar.gz"), None));
    assert_eq!(content(&running, kept.id), archive);
}

#[test]
fn who_may_not_send_is_told_what_all_are_told_and_nothing_is_read() {
    let deployment = deployment();
    deployment.certificates(&[
        (CERTIFICATE, Some(("CP-6841-3PCC", "CERTIFICATE1"))),
        (SEALED, Some(("CP-8841-3PCC", "FCH21EXAMPL"))),
    ]);
    let running = deployment.start();
    let own = format!("/cisco/report/{CERTIFICATE}.xml");
    let cases: [(Option<&str>, &str, &str); 6] = [
        (Some(CERTIFICATE), "/cisco/report/000e08999999.xml", "unknown-device"),
        (None, &own, "no-proof"),
        (Some(SEALED), &own, "wrong-certificate"),
        (Some(CERTIFICATE), "/aastra/000e08000002_local.cfg", "not-for-model"),
        (None, "/cisco/report", "unknown-device"),
        (Some(CERTIFICATE), "/cisco/report/%2e%2e/x", "method"),
    ];
    let mut replies = Vec::new();
    for (phone, path, refusal) in cases {
        // 100-continue: a body that is not wanted is not even sent.
        let more =
            ["--data-binary", "<flat-profile/>", "--header", "Expect: 100-continue", "--expect100-timeout", "60"];
        let Some(reply) = running.curl(phone, path, &more) else { return };
        let event = running.last_event();
        assert_eq!(event["refusal"], refusal, "{event}");
        let heads = std::fs::read_to_string(running.deployment.path("head")).unwrap();
        assert!(!heads.contains("100 Continue"), "{heads}");
        if refusal != "method" {
            replies.push(reply);
        }
    }
    assert_eq!(replies[0].status, 404);
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:#?}");
    // A path without a MAC is for the phone that its certificate names.
    let reply = running.curl(Some(CERTIFICATE), "/cisco/report", &["--data-binary", "<flat-profile/>"]).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(all(&running).len(), 1);
    assert_eq!(all(&running)[0].device.to_string(), CERTIFICATE);
    // What is sent is not fetched from where it was sent to.
    assert_eq!(running.curl(Some(CERTIFICATE), "/cisco/report", &[]).unwrap().status, 404);
}

#[test]
fn a_key_is_proof_only_by_a_cipher_that_needs_it() {
    let running = deployment().start();
    let path = format!("/cisco/report/{SEALED}.xml");
    let send = |content: &[u8], coding: Option<&str>| {
        let header = coding.map(|coding| format!("Content-Encoding: {coding}"));
        let mut more = vec!["--data-binary".to_owned(), body(&running, content)];
        more.extend(header.into_iter().flat_map(|header| ["--header".to_owned(), header]));
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        running.plain_curl(&path, &more).unwrap()
    };
    let report = b"<flat-profile><A>b</A></flat-profile>";
    let unknown = running.plain_curl("/cisco/report/000e08999999.xml", &["--data-binary", "x"]).unwrap();
    for (content, coding) in [
        (packed(false, gcm("another key"), report), Some("aes128gcm")),
        (packed(false, gcm(KEY), report), None),
        (packed(false, cbc(KEY, KeyDigest::Md5), report), None),
        (report.to_vec(), None),
        (report.to_vec(), Some("aes128gcm")),
    ] {
        let reply = send(&content, coding);
        assert_eq!((reply.status, reply.body), (404, unknown.body.clone()));
        assert_eq!(running.last_event()["refusal"], "wrong-key");
    }
    assert!(all(&running).is_empty() && files(&running).is_empty());
    assert_eq!(send(&packed(true, gcm(KEY), report), Some("aes128gcm")).status, 200);
    let kept = all(&running).remove(0);
    assert_eq!((content(&running, kept.id), kept.encoding.as_deref()), (report.to_vec(), Some("gzip+aes128gcm")));
}

#[test]
fn what_does_not_open_is_kept_as_it_came_and_said_to_be() {
    let running = deployment().start();
    let path = format!("/cisco/report/{NETWORK}.xml");
    let report = b"<flat-profile><A>b</A></flat-profile>";
    let sealed = packed(false, cbc("another key", KeyDigest::Md5), report);
    let Some(reply) = running.plain_curl(&path, &["--data-binary", &body(&running, &sealed)]) else { return };
    // The same answer as to one that opens.
    assert_eq!(reply.status, 200);
    let kept = all(&running).remove(0);
    assert!(kept.sealed && content(&running, kept.id) == sealed);
    let event = running.last_event();
    assert_eq!((&event["outcome"], &event["flags"][0]), (&"stored".into(), &"sealed".into()));
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.contains("delivery.key") && !reason.contains(KEY), "{reason}");
}

#[test]
fn only_the_newest_are_kept_of_each_sort() {
    let deployment = deployment();
    deployment.append_config("\n[uploads]\nper_device = 2\nkeep = \"1h\"\ntotal = \"1 MiB\"\n");
    let running = deployment.start();
    let send = |path: &str, content: &[u8]| {
        let reply = running.plain_curl(path, &["--data-binary", &body(&running, content)]);
        assert_eq!(reply.unwrap().status, 200);
    };
    for n in 0..4 {
        send(&format!("/cisco/report/{NETWORK}.xml"), format!("report {n}").as_bytes());
        send(&format!("/cisco/status/{NETWORK}.xml"), format!("status {n}").as_bytes());
    }
    let kept = all(&running);
    let texts: Vec<_> = kept.iter().map(|upload| String::from_utf8(content(&running, upload.id)).unwrap()).collect();
    assert_eq!(texts, ["status 3", "report 3", "status 2", "report 2"]);
    assert_eq!(files(&running).len(), 4);
    // Page by page.
    let service = running.server().uploads();
    let first = running.block_on(service.list(&UploadFilter::default(), None, 3)).unwrap();
    assert_eq!((&first.uploads[..], first.next), (&kept[..3], Some(kept[2].id)));
    let second = running.block_on(service.list(&UploadFilter::default(), first.next, 3)).unwrap();
    assert_eq!((&second.uploads[..], second.next), (&kept[3..], None));
    let filter =
        UploadFilter { device: Some(NETWORK.parse().unwrap()), kind: Some(kept[0].kind), ..Default::default() };
    assert_eq!(uploads(&running, filter).len(), 2);
    let other = UploadFilter { device: Some(SEALED.parse().unwrap()), ..Default::default() };
    assert_eq!(uploads(&running, other), []);
    // Beyond the total the oldest go.
    let random: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(600 << 10).collect();
    send(&format!("/cisco/prt/{NETWORK}"), &random);
    running.block_on(service.prune(OffsetDateTime::now_utc())).unwrap();
    assert_eq!(all(&running).len(), 5);
    send(&format!("/cisco/prt/{NETWORK}"), &random);
    running.block_on(service.prune(OffsetDateTime::now_utc())).unwrap();
    assert_eq!(all(&running).len(), 1);
    assert!(running.block_on(service.delete(all(&running)[0].id)).unwrap());
    assert!(!running.block_on(service.delete(kept[0].id)).unwrap());
    assert!(running.block_on(service.open(kept[0].id)).unwrap().is_none());
    // The server prunes by itself as well, and may not have got to the files yet.
    assert!((0..10_000).any(|_| files(&running).is_empty()));
    // And what is old.
    send(&format!("/cisco/report/{NETWORK}.xml"), b"old");
    assert_eq!(running.block_on(service.prune(OffsetDateTime::now_utc() + time::Duration::hours(2))).unwrap(), 1);
    assert!(files(&running).is_empty());
}

#[test]
fn a_start_removes_what_was_never_finished_and_nothing_else() {
    let running = deployment().start();
    let path = format!("/cisco/report/{NETWORK}.xml");
    assert_eq!(running.plain_curl(&path, &["--data-binary", "kept"]).unwrap().status, 200);
    let kept = all(&running).remove(0);
    let id = kept.id.to_string();
    let (deployment, _) = running.stop();
    let orphan = format!("data/uploads/{}/{}{}", &id[..6], &id[..6], "0".repeat(26));
    let stranger = format!("data/uploads/{}/notes.txt", &id[..6]);
    deployment.write(&orphan, "no row").write("data/uploads/partial/abc", "half").write(&stranger, "somebody's");
    deployment.write("data/uploads/000001/00000100000000000000000000000000", "of a row that is gone");
    let running = deployment.start();
    assert_eq!(content(&running, kept.id), b"kept");
    let mut left = files(&running);
    left.sort();
    assert_eq!(left, [format!("{}/{id}", &id[..6]), format!("{}/notes.txt", &id[..6])]);
    // A file that somebody took away is missed by name, and no row leads anywhere else.
    std::fs::remove_file(running.deployment.path(&format!("data/uploads/{}/{id}", &id[..6]))).unwrap();
    let error = running.block_on(running.server().uploads().read(kept.id, 10)).unwrap_err();
    assert!(error.to_string().contains(&id), "{error}");
}

#[test]
fn a_server_that_is_being_replaced_finishes_what_it_takes() {
    let running = deployment().start();
    // Both at once is what a supervisor makes of an impatient restart.
    running.deployment.write("data/uploads/partial/abc", "still coming");
    let config = running.deployment.config();
    let next = running.block_on(resyncd::server::Server::start(config)).unwrap();
    assert_eq!(files(&running), ["partial/abc"]);
    running.block_on(next.stop());
    let (deployment, _) = running.stop();
    assert_eq!(files(&deployment.start()), Vec::<String>::new());
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let mut process = Process::start(deployment());
    let Some(mut curl) = program("curl") else { return };
    let url = format!("http://{}/cisco/report/{NETWORK}.xml", process.address("http"));
    for n in 0..20 {
        let sent = curl.args(["--silent", "--fail", "--noproxy", "*", "--data-binary", &format!("report {n}"), &url]);
        assert!(run(sent).status.success());
        curl = program("curl").unwrap();
    }
    process.signal("KILL");
    let deployment = std::mem::replace(&mut process.deployment, Deployment::nowhere());
    drop(process);
    let running = deployment.start();
    let texts: Vec<_> = all(&running).iter().map(|upload| content(&running, upload.id)).collect();
    let wanted: Vec<_> = (10..20).rev().map(|n| format!("report {n}").into_bytes()).collect();
    assert_eq!(texts, wanted);
    assert_eq!(files(&running).len(), 10);
}

#[test]
fn a_database_that_takes_nothing_keeps_nothing_half() {
    let running = deployment().start();
    let path = format!("/cisco/report/{NETWORK}.xml");
    let other = running.block_on(async {
        let url = format!("sqlite:{}", running.deployment.path("data/resyncd.db").display());
        let mut other = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        other
    });
    let reply = running.plain_curl(&path, &["--data-binary", "report"]);
    assert_eq!(reply.unwrap().status, 503);
    assert_eq!(files(&running), Vec::<String>::new());
    drop(other);
    let event = running.last_event();
    assert_eq!((&event["kind"], &event["outcome"]), (&"upload".into(), &"failed".into()), "{event}");
    assert!(event["reason"].as_str().unwrap().contains("locked"), "{event}");
    assert_eq!(running.plain_curl(&path, &["--data-binary", "report"]).unwrap().status, 200);
    assert_eq!(all(&running).len(), 1);
}

#[test]
fn what_one_node_took_another_gives_back() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(scratch) = runtime.block_on(Scratch::postgres()) else { return };
    let node = || {
        let deployment = deployment();
        deployment.append_config(&format!("\n[database]\nurl = \"{}\"\n[uploads]\nper_device = 2\n", scratch.url));
        deployment.start()
    };
    let (one, two) = (node(), node());
    let random: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take((1 << 20) + 17).collect();
    for n in 0..3 {
        let content = [&random[..], &[n]].concat();
        let reply = one.plain_curl(&format!("/cisco/prt/{NETWORK}"), &["--data-binary", &body(&one, &content)]);
        assert_eq!(reply.unwrap().status, 200);
    }
    let kept = all(&two);
    assert_eq!(kept.len(), 2);
    let content = content(&two, kept[0].id);
    assert_eq!((content.last(), &content[..random.len()]), (Some(&2), &random[..]));
    assert_eq!(kept[0].sha256, sha256(&content));
    assert!(files(&one).is_empty() && files(&two).is_empty());
    assert!(two.block_on(two.server().uploads().delete(kept[0].id)).unwrap());
    assert!(one.block_on(one.server().uploads().open(kept[0].id)).unwrap().is_none());
    // Nothing of what went is left.
    let chunks: i64 = runtime.block_on(async {
        let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&scratch.url).await.unwrap();
        let count = sqlx::query_scalar("SELECT COUNT(DISTINCT upload) FROM upload_chunks");
        count.fetch_one(&mut connection).await.unwrap()
    });
    assert_eq!(chunks, 1);
}

#[test]
fn a_template_may_read_what_is_posted_and_no_one_else_gets_it() {
    let deployment = deployment();
    let template = "<flat-profile>\n<GPP_B>{% if request.form.reason is defined %}{{ request.form.reason }}{% else %}none\
                    {% endif %}</GPP_B>\n</flat-profile>\n";
    deployment.write("profiles/templates/cisco-mpp/profile.xml.tera", template);
    let device = "model = \"CP-6841-3PCC\"\n[access]\nnetworks = [\"127.0.0.1\"]\n";
    deployment.write(&format!("profiles/devices/{NETWORK}.toml"), device);
    let running = deployment.start();
    let path = format!("/cisco/{NETWORK}.xml");
    let get = |more: &[&str]| running.plain_curl(&path, more).unwrap();
    let value = |text: &str| format!("<flat-profile>\n<GPP_B>{text}</GPP_B>\n</flat-profile>\n");
    assert_eq!(get(&[]).text(), value("none"));
    assert_eq!(get(&["--data", "reason=a+%3Cb%3E%26&x"]).text(), value("a &lt;b&gt;&amp;"));
    assert_eq!(get(&["--data", "reason=second"]).text(), value("second"));
    assert_eq!(get(&["--data", "other=1"]).text(), value("none"));
    assert_eq!(get(&[]).text(), value("none"));
    assert_eq!(get(&["--data", ""]).text(), value("none"));
    let event = running.last_event();
    assert_eq!((&event["kind"], &event["method"]), (&"resync".into(), &"POST".into()));
    let rendered = running.deployment.run(&["render", NETWORK]);
    assert_eq!(String::from_utf8(rendered.stdout).unwrap(), value("none"));
    // One that reads nothing is the same for all.
    let other = format!("/cisco/{SEALED}.xml");
    running.deployment.write("profiles/templates/cisco-mpp/profile.xml.tera", "<flat-profile/>\n");
    running.reload().unwrap();
    assert_eq!(get(&["--data", "reason=x"]).text(), "<flat-profile/>\n");
    // Refused before it is read, as a download is.
    let refused = running.plain_curl("/cisco/000e08999999.xml", &["--data", "a=b"]).unwrap();
    assert_eq!(refused, running.plain_curl(&format!("/cisco/{CERTIFICATE}.xml"), &["--data", "a=b"]).unwrap());
    assert_eq!(refused.status, 404);
    assert_eq!(running.plain_curl(&other, &["--data", "a=b"]).unwrap().status, 200);
    let large = body(&running, &vec![b'a'; (64 << 10) + 1]);
    assert_eq!(get(&["--data-binary", &large]).status, 413);
    assert_eq!(get(&["--data-binary", &large, "--header", "Transfer-Encoding: chunked"]).status, 413);
    assert_eq!(running.last_event()["refusal"], "too-large");
    assert_eq!(get(&["--data-binary", &body(&running, &vec![b'a'; 64 << 10])]).status, 200);
}
