//! A bounded run of every fuzz target of fuzz/targets.rs: files of this repository, and what is left of them after a few
//! bytes were changed, cut out, doubled or put in from another. The same inputs in every run.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::{program, root};

/// What parsers stumble over.
const MORSELS: [&str; 48] = [
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\"",
    "'",
    "\\",
    "\u{feff}",
    "é",
    "𝄞",
    "$",
    "$$",
    "$(",
    "$MA",
    "$(SWVER:1:2)",
    "(",
    ")?",
    ")!",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "{{",
    "}}",
    "{n}",
    "=",
    ":",
    ";",
    ",",
    "+",
    "|",
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "&#x0;",
    "&lt;",
    "#",
    "--key",
    "18446744073709551616",
    "-9223372036854775809",
    "0x",
    "1e999",
];

/// Files and texts that a target's parser takes, to begin from.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = |folder: &str, ends: &str| -> Vec<Vec<u8>> {
        let files = walkdir::WalkDir::new(root().join(folder)).sort_by_file_name().into_iter().map(Result::unwrap);
        files
            .filter(|entry| entry.file_type().is_file() && entry.path().to_string_lossy().ends_with(ends))
            .map(|entry| fs::read(entry.path()).unwrap())
            .collect()
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "aastra_cfg" => files("templates/aastra/samples", ".cfg"),
        "authorization" => texts(&[
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=SHA-256, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5w\", \
             qop=auth, response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", opaque=\"x\"",
            "digest USERNAME = \"a\\\"b\", realm=r, uri=/, nonce=n, nc=\"ffffffff\", cnonce=c, qop=\"auth\", \
             response=8ca523f5e9506fed4657c9700eebdbec, userhash=false",
        ]),
        "certificate" => {
            let mut seeds: Vec<Vec<u8>> =
                texts(&["OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef", "CN=00085D1A9870", "O=a\\, b+CN=c"]);
            seeds.extend(certificate());
            seeds
        }
        "cisco_profile" => files("templates/cisco-mpp/samples", ".xml"),
        "condition" => texts(&[
            "\"$A\" eq \"b\"",
            "11.2.4 gt 11.2.3MPP and 1 != 2",
            "sip88xx.11-2-3MSR1-1 ge sip88xx.11-0-0",
            "1 <= 2",
        ]),
        "configuration" => vec![fs::read(root().join("resyncd.toml")).unwrap()],
        "delivered" => delivered(),
        "grandstream" => {
            let mut seeds = files("templates/grandstream/samples", "/cfg000b82a0001c.xml");
            seeds.extend(files("templates/grandstream/samples", "/cfg000b82a0001c"));
            seeds
        }
        "import" => texts(&[
            "mac,model,serial,group,user,password,lines.1.codecs\n000e08000001,T-1,SN0001,acme,1001,\"a \"\"b\"\",c\",g722;pcma\n000e08000002,T-1,,,,,\n",
            "mac,model\r\n\r\n00:0E:08:00:00:01,\"T\r\n1\"\r\n000e08000002,T-1\r\n",
            "[{\"mac\": \"000e08000001\", \"model\": \"T-1\", \"settings\": {\"lines\": {\"1\": {\"user\": \"1001\"}}}},\n{\"mac\": \"000e08000002\"}]\n",
            "[[device]]\nmac = \"000e08000001\"\nmodel = \"T-1\"\n[device.settings.lines.1]\nuser = \"1001\"\n",
        ]),
        "layer" => files("profiles", ".toml"),
        "macros" => texts(&["$PN $(MA) $$ $(SWVER:0:3) $UNKNOWN $SA [--key $SA --uid $SB] $(", "$MAC.$(PSN)-$SN"]),
        "manifest" => files("tests/golden/tiny/templates", "pack.toml"),
        "mapping" => files("tests/golden/tiny/templates", "mapping.toml"),
        "multipart" => texts(&[
            "b\n--b\r\nContent-Disposition: form-data; name=\"prt_file\"; filename=\"a.tar.gz\"\r\n\r\nx\r\n--b--\r\n",
            "AaB03x\npreamble\r\n--AaB03x \r\ncontent-disposition: form-data; name=a\r\n\r\n\r\n--AaB03x\r\n\
             Content-Disposition: form-data; name=f; filename=\"b\\\"c\"\r\nContent-Type: text/plain\r\n\r\nfile\r\n--AaB03\r\n\
             \r\n--AaB03x--",
        ]),
        "parameters" => files("tests/golden/tiny/templates", "parameters.toml"),
        "profile_rule" => texts(&[
            "[--key $SA --uid u --pwd \"p\"] https://h.example:8443/$MA.xml",
            "(\"$A\" ne \"\")? /first.xml | (GPP_B = \"x\";)! tftp://h/second.xml",
            "(11.2.4 lt 12.0.1)? http://h/sip88xx.loads | http://h/other.loads",
            "[--delta --alias a] https://h/report; [--status] /b",
        ]),
        "proxied" => texts(&[
            "PROXY TCP4 192.0.2.7 10.0.0.5 40000 443\r\n",
            "\r\n\r\n\0\r\nQUIT\n\u{21}\u{11}\0\u{c}\u{40}\0\u{2}\u{7}\u{a}\0\0\u{5}\u{40}\0\u{1}\u{3b}",
            "for=198.51.100.1;by=\"a,\\\"b\", for=\"[2001:db8::7]:4711\";proto=https\nfor=10.0.0.9",
            "198.51.100.1, [2001:db8::7]:1, 10.0.0.9\n10.1.2.3",
        ]),
        "report" => texts(&[
            "<?xml version=\"1.0\"?>\n<device>\n<flat-profile>\n<A_1_ ua=\"rw\">R&amp;D</A_1_>\n<B/></flat-profile></device>",
            "# local\n!sip line1 user name: \"1#2\"\n^time zone: FR-Paris # no\n",
            "mac=000e08abcdef&reason=a+b%26&x",
        ]),
        "request" => texts(&[
            "/cisco/000e08abcdef.xml\nCisco-CP-6841-3PCC/11.2.4 (000e08abcdef)\n\"a\"\nOU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef",
            "/00085D1A9870.cfg\nAastra6757i MAC:00-08-5D-1A-98-70 V:3.3.1.4300-SIP",
            "/cfg000b82000001\nGrandstream Model HW GXP2170 SW 1.0.11.46 DevId 000b82000001",
            "/6841-3PCC.xml?x=%2e%2e",
        ]),
        "schedule" => texts(&["1800+300,3600+600,7200", "0", "2359", "65535+65535"]),
        "value" => texts(&[
            "(*xx|[3469]11|0|00|[2-9]xxxxxx|<:1650>xxxxxxxS0|1xxx[2-9]xxxxxxS0|xxxxxxxxxxxx.)",
            "60(2/4)",
            "350@-19,440@-19;10(*/0/1+2)",
            "440@-10;30(.2/0/1;.1/.1/1)",
            "1800+300,3600",
            "[--key $SA] https://h.example/$MA.xml",
            "$PN $MAC -- Requesting $SCHEME://$SERVIP:$PORT$PATH",
            "https://user@h.example:8443/a?b",
            "sip.example.com:5061",
            "192.0.2.1",
            "0x68",
        ]),
        "words" => texts(&[
            "00:0e:08:ab:cd:ef",
            "CCQ162306EA",
            "lines.1.password",
            "params.\"A.b\"",
            "/cisco/{mac}.xml",
            "sip88xx.11-2-3MSR1-1.loads",
        ]),
        other => panic!("no seeds for {other}"),
    }
}

fn certificate() -> Option<Vec<u8>> {
    let mut openssl = program("openssl")?;
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-subj",
        "/OU=m/L=S1234/ST=000e08abcdef",
    ]);
    Some(openssl.output().unwrap().stdout)
}

fn delivered() -> Vec<Vec<u8>> {
    use resyncd::delivery::{Delivery, Encryption, KeyDigest};
    use resyncd::model::Secret;
    let key = Secret::new(*b"example-only-key");
    let encryptions = [
        Encryption::None,
        Encryption::Aes256Cbc { passphrase: key.clone(), digest: KeyDigest::Md5 },
        Encryption::Aes128Gcm { keying_material: key, key_id: Vec::new(), record_size: 4096 },
    ];
    encryptions
        .map(|encryption| Delivery { gzip: true, encryption }.pack(b"<flat-profile/>").unwrap().body.to_vec())
        .to_vec()
}

fn broken(seeds: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut data = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=data.len());
        let end = (at + random.usize(..16)).min(data.len());
        match random.u8(..6) {
            0 => data.insert(at, random.u8(..)),
            1 => drop(data.drain(at..end)),
            2 => drop(data.splice(at..at, data[at..end].to_vec())),
            3 => drop(data.splice(at..end, MORSELS[random.usize(..MORSELS.len())].bytes())),
            4 => data.truncate(at),
            _ => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..=other.len());
                drop(data.splice(at..end, other[from..].iter().copied().take(64)));
            }
        }
    }
    data
}

#[test]
fn no_parser_panics_or_names_a_wrong_place() {
    for (index, (name, target)) in targets::TARGETS.into_iter().enumerate() {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name}");
        let mut random = fastrand::Rng::with_seed(u64::try_from(index).unwrap());
        let size: usize = seeds.iter().map(Vec::len).sum::<usize>() / seeds.len();
        // Large files take long to read, and are broken in few places.
        let rounds = 2_000_000 / (size + 1_000);
        let made = std::iter::repeat_with(|| broken(&seeds, &mut random)).take(rounds);
        for input in seeds.iter().cloned().chain(made) {
            let ended = catch_unwind(AssertUnwindSafe(|| target(&input)));
            assert!(ended.is_ok(), "{name} breaks on {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn every_target_can_be_fuzzed_for_longer() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for (name, _) in targets::TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists(), "{name}");
    }
}
