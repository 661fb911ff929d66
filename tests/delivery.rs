//! Delivery against the programs that operators and phones use, and against damage of every kind.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use resyncd::delivery::{
    DecryptError, Delivery, Encryption, GunzipError, KeyDigest, decrypt_aes_256_cbc, decrypt_aes_256_cbc_by_any_digest,
    decrypt_aes128gcm, gunzip, is_gzip,
};
use resyncd::model::Secret;
use tempfile::TempDir;

use crate::support::{program, resyncd};

const PROFILE: &str = "<flat-profile>\n<Display_Name_1_ ua=\"na\">Büro &amp; Bar</Display_Name_1_>\n</flat-profile>\n";
const KEY: &str = "not-a-real-key";

/// Every digest with the options of `openssl enc` that name it, and those of `resyncd`.
const DIGESTS: [(KeyDigest, &[&str], &[&str]); 4] = [
    (KeyDigest::Md5, &["-md", "md5"], &["--digest", "md5"]),
    (KeyDigest::Sha256, &["-md", "sha256"], &["--digest", "sha256"]),
    (KeyDigest::Pbkdf2 { iterations: 10_000 }, &["-pbkdf2"], &["--digest", "pbkdf2"]),
    (KeyDigest::Pbkdf2 { iterations: 7 }, &["-pbkdf2", "-iter", "7"], &["--digest", "pbkdf2", "--iterations", "7"]),
];

fn key() -> Secret {
    Secret::new(KEY)
}

fn cbc(gzip: bool, digest: KeyDigest) -> Delivery {
    Delivery { gzip, encryption: Encryption::Aes256Cbc { passphrase: key(), digest } }
}

fn gcm(gzip: bool, record_size: u32, key_id: &[u8]) -> Delivery {
    let key_id = key_id.to_vec();
    Delivery { gzip, encryption: Encryption::Aes128Gcm { keying_material: key(), record_size, key_id } }
}

fn packed(delivery: &Delivery, content: &[u8]) -> Vec<u8> {
    delivery.pack(content).unwrap().body
}

/// Runs to the end with this on standard input.
fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // What refuses its arguments doesn't read.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap()
    })
}

/// The standard output of what has to succeed.
fn filtered(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let output = run(command, input);
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    output.stdout
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn resyncd_with_key(arguments: &[&str]) -> Command {
    let mut command = resyncd();
    command.args(arguments).env("RESYNCD_KEY", KEY);
    command
}

#[test]
fn openssl_opens_what_is_packed() {
    for (digest, options, _) in DIGESTS {
        for content in ["", "0123456789abcdef", PROFILE] {
            let Some(mut openssl) = program("openssl") else { return };
            openssl.args(["enc", "-d", "-aes-256-cbc", "-k", KEY]).args(options);
            let body = packed(&cbc(false, digest), content.as_bytes());
            assert_eq!(text(&filtered(&mut openssl, &body)), content, "{digest:?}");
        }
    }
}

#[test]
fn what_openssl_wrote_is_opened() {
    for (digest, options, _) in DIGESTS {
        for content in ["", "0123456789abcdef", PROFILE] {
            let Some(mut openssl) = program("openssl") else { return };
            openssl.args(["enc", "-aes-256-cbc", "-k", KEY]).args(options);
            let file = filtered(&mut openssl, content.as_bytes());
            assert_eq!(decrypt_aes_256_cbc(&file, &key(), digest).unwrap(), content.as_bytes(), "{digest:?}");
            let iterations = if let KeyDigest::Pbkdf2 { iterations } = digest { iterations } else { 1 };
            let (opened, found) = decrypt_aes_256_cbc_by_any_digest(&file, &key(), iterations).unwrap();
            assert_eq!((opened.as_slice(), found), (content.as_bytes(), digest));
        }
    }
}

#[test]
fn the_gzip_program_reads_and_writes_the_same_files() {
    let (Some(mut gunzip_program), Some(mut gzip_program)) = (program("gunzip"), program("gzip")) else { return };
    let file = packed(&Delivery { gzip: true, encryption: Encryption::None }, PROFILE.as_bytes());
    assert_eq!(text(&filtered(&mut gunzip_program, &file)), PROFILE);
    let file = filtered(&mut gzip_program, PROFILE.as_bytes());
    assert_eq!(text(&gunzip(&file, 10_000).unwrap()), PROFILE);
}

#[test]
fn a_gzip_bomb_is_refused() {
    let Some(mut gzip_program) = program("gzip") else { return };
    let bomb = filtered(gzip_program.arg("-9"), &vec![0; 32 << 20]);
    assert!(bomb.len() < 64 << 10);
    assert!(matches!(gunzip(&bomb, 1 << 20), Err(GunzipError::TooLarge(_))));
}

#[test]
fn the_body_says_what_was_done_to_it() {
    let content = PROFILE.as_bytes();
    let cases = [
        (Delivery { gzip: false, encryption: Encryption::None }, None, None),
        (Delivery { gzip: true, encryption: Encryption::None }, Some("gzip"), None),
        (cbc(false, KeyDigest::Md5), Some("aes-256-cbc"), None),
        (cbc(true, KeyDigest::Md5), Some("gzip+aes-256-cbc"), None),
        (gcm(false, 4096, b""), Some("aes128gcm"), Some("aes128gcm")),
        (gcm(true, 4096, b""), Some("gzip+aes128gcm"), Some("aes128gcm")),
    ];
    for (delivery, label, content_encoding) in cases {
        let delivered = delivery.pack(content).unwrap();
        assert_eq!((delivered.label, delivered.content_encoding), (label, content_encoding));
        let opened = match delivery.encryption {
            Encryption::None => delivered.body.clone(),
            Encryption::Aes256Cbc { digest, .. } => decrypt_aes_256_cbc(&delivered.body, &key(), digest).unwrap(),
            Encryption::Aes128Gcm { .. } => decrypt_aes128gcm(&delivered.body, &key()).unwrap(),
        };
        // Compressed first, encrypted then.
        assert_eq!(is_gzip(&opened), delivery.gzip);
        assert_eq!(if delivery.gzip { gunzip(&opened, 10_000).unwrap() } else { opened }, content);
        // The same file each time, unless there is a salt in it.
        assert_eq!(packed(&delivery, content) == delivered.body, delivery.encryption == Encryption::None, "{label:?}");
    }
}

#[test]
fn an_rfc_8188_body_cut_off_anywhere_is_refused() {
    for record_size in [18, 25, 4096] {
        let file = packed(&gcm(false, record_size, b"a1"), b"I am the walrus");
        assert_eq!(decrypt_aes128gcm(&file, &key()).unwrap(), b"I am the walrus");
        for length in 0..file.len() {
            assert!(decrypt_aes128gcm(&file[..length], &key()).is_err(), "{record_size}: {length}");
        }
    }
}

#[test]
fn an_rfc_8188_body_with_any_bit_changed_never_opens_to_something_else() {
    for record_size in [18, 25, 4096] {
        let file = packed(&gcm(false, record_size, b"a1"), b"I am the walrus");
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                match decrypt_aes128gcm(&changed, &key()) {
                    Err(_) => {}
                    // The header isn't authenticated: the record size is after the salt, and of no effect on the only
                    // record; the key id is at its end.
                    Ok(content) => {
                        let is_record_size = (16..20).contains(&at) && record_size == 4096;
                        assert!(is_record_size || (21..23).contains(&at), "{record_size}: byte {at}, bit {bit}");
                        assert_eq!(content, b"I am the walrus");
                    }
                }
            }
        }
    }
}

#[test]
fn an_aes_256_cbc_file_with_any_bit_changed_opens_to_something_else_if_at_all() {
    let file = packed(&cbc(false, KeyDigest::Sha256), PROFILE.as_bytes());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            if let Ok(content) = decrypt_aes_256_cbc(&changed, &key(), KeyDigest::Sha256) {
                assert_ne!(content, PROFILE.as_bytes(), "byte {at}, bit {bit}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_by_aes_256_cbc_opens(
        content in vec(any::<u8>(), 0..600),
        passphrase in vec(any::<u8>(), 1..80),
        gzip: bool,
        digest in prop_oneof![
            Just(KeyDigest::Md5),
            Just(KeyDigest::Sha256),
            (1..20_u32).prop_map(|iterations| KeyDigest::Pbkdf2 { iterations }),
        ],
    ) {
        let passphrase = Secret::new(passphrase);
        let delivery = Delivery { gzip, encryption: Encryption::Aes256Cbc { passphrase: passphrase.clone(), digest } };
        let opened = decrypt_aes_256_cbc(&packed(&delivery, &content), &passphrase, digest).unwrap();
        prop_assert_eq!(if gzip { gunzip(&opened, 600).unwrap() } else { opened }, content);
    }

    #[test]
    fn what_is_packed_by_aes128gcm_opens(
        content in vec(any::<u8>(), 0..600),
        keying_material in vec(any::<u8>(), 1..80),
        gzip: bool,
        record_size in prop_oneof![18..100_u32, 600..700_u32, Just(u32::MAX)],
        key_id in vec(any::<u8>(), 0..=255),
    ) {
        let keying_material = Secret::new(keying_material);
        let encryption = Encryption::Aes128Gcm { keying_material: keying_material.clone(), record_size, key_id };
        let opened = decrypt_aes128gcm(&packed(&Delivery { gzip, encryption }, &content), &keying_material).unwrap();
        prop_assert_eq!(if gzip { gunzip(&opened, 600).unwrap() } else { opened }, content);
    }

    #[test]
    fn anything_at_all_is_read_without_a_panic(noise in vec(any::<u8>(), 0..200)) {
        for start in [&b""[..], b"Salted__", &[0x1f, 0x8b, 8], &[0; 16], &[0; 19]] {
            let file = [start, &noise].concat();
            // What opens by chance is no matter here.
            let _ = decrypt_aes_256_cbc(&file, &key(), KeyDigest::Md5);
            let _ = gunzip(&file, 1000);
            prop_assert!(decrypt_aes128gcm(&file, &key()).is_err());
        }
    }

    #[test]
    fn another_key_never_opens_an_rfc_8188_body(content in vec(any::<u8>(), 0..100), other in vec(any::<u8>(), 0..40)) {
        prop_assume!(other != KEY.as_bytes());
        let file = packed(&gcm(false, 40, b""), &content);
        prop_assert_eq!(decrypt_aes128gcm(&file, &Secret::new(other)), Err(DecryptError::WrongKeyOrRecord(1)));
    }
}

#[test]
fn the_commands_undo_each_other() {
    let gcm_options = ["--encryption", "aes128gcm", "--record-size", "30", "--key-id", "a1"];
    let mut cases: Vec<(Vec<&str>, Vec<&str>, String)> = vec![
        (gcm_options.to_vec(), vec![], "aes128gcm".to_owned()),
        (gcm_options.to_vec(), vec!["--encryption", "aes128gcm"], "aes128gcm".to_owned()),
    ];
    for (digest, _, options) in DIGESTS {
        let encrypting = [&["--encryption", "aes-256-cbc"], options].concat();
        let said = format!("aes-256-cbc, digest {digest}");
        cases.push((encrypting.clone(), encrypting.clone(), said.clone()));
        // Nothing said but the iterations that have to be known.
        let known = options.iter().position(|option| *option == "--iterations").map_or(&[][..], |at| &options[at..]);
        cases.push((encrypting, known.to_vec(), said));
    }
    for (encrypting, decrypting, said) in cases {
        for gzip in [&[][..], &["--gzip"]] {
            let mut encrypt = resyncd_with_key(&["encrypt", "-"]);
            let file = filtered(encrypt.args(&encrypting).args(gzip), PROFILE.as_bytes());
            let output = run(resyncd_with_key(&["decrypt", "-"]).args(&decrypting), &file);
            assert_eq!(text(&output.stdout), PROFILE, "{encrypting:?} {decrypting:?}: {}", text(&output.stderr));
            let said = if gzip.is_empty() { said.clone() } else { format!("{said}, gzip") };
            assert_eq!(text(&output.stderr), format!("resyncd: standard input: {said}\n"));
            let kept = filtered(resyncd_with_key(&["decrypt", "-", "--keep-gzip"]).args(&decrypting), &file);
            assert_eq!(is_gzip(&kept), !gzip.is_empty());
        }
    }
}

#[test]
fn the_commands_and_openssl_undo_each_other() {
    let (Some(mut encrypting), Some(mut decrypting)) = (program("openssl"), program("openssl")) else { return };
    let file = filtered(encrypting.args(["enc", "-aes-256-cbc", "-md", "sha256", "-k", KEY]), PROFILE.as_bytes());
    assert_eq!(text(&filtered(&mut resyncd_with_key(&["decrypt", "-"]), &file)), PROFILE);
    let file = filtered(&mut resyncd_with_key(&["encrypt", "-", "--encryption", "aes-256-cbc"]), PROFILE.as_bytes());
    let opened = filtered(decrypting.args(["enc", "-d", "-aes-256-cbc", "-md", "md5", "-k", KEY]), &file);
    assert_eq!(text(&opened), PROFILE);
}

#[test]
fn a_key_comes_from_an_option_a_file_or_the_environment_in_any_encoding() {
    let folder = TempDir::new().unwrap();
    let key_file = folder.path().join("key");
    fs::write(&key_file, "6e6f742d612d7265616c2d6b6579\n").unwrap();
    let key_file = key_file.to_str().unwrap();
    let file = packed(&cbc(false, KeyDigest::Md5), PROFILE.as_bytes());
    let cases: [(&[&str], Option<&str>); 6] = [
        (&["--key", KEY], None),
        (&["--key", KEY], Some("another")),
        (&[], Some(KEY)),
        (&["--key", "bm90LWEtcmVhbC1rZXk", "--key-encoding", "base64url"], None),
        (&["--key-file", key_file, "--key-encoding", "hex"], None),
        (&["--key-file", key_file, "--key-encoding", "hex"], Some("another")),
    ];
    for (options, variable) in cases {
        let mut decrypt = resyncd();
        decrypt.args(["decrypt", "-"]).args(options).env_remove("RESYNCD_KEY");
        if let Some(variable) = variable {
            decrypt.env("RESYNCD_KEY", variable);
        }
        assert_eq!(text(&filtered(&mut decrypt, &file)), PROFILE, "{options:?}");
    }
}

#[test]
fn a_refusal_is_1_and_what_cannot_run_is_2() {
    let salted = packed(&cbc(false, KeyDigest::Md5), PROFILE.as_bytes());
    let coded = packed(&gcm(false, 4096, b""), PROFILE.as_bytes());
    let packed_badly = packed(&cbc(false, KeyDigest::Md5), &[0x1f, 0x8b, 8, 0]);
    let cases: [(&[&str], &[u8], i32, &str); 17] = [
        (&["decrypt", "-", "--key", "another"], &salted, 1, "the key fits with no digest"),
        (&["decrypt", "-", "--key", "another"], &coded, 1, "taken for aes128gcm: record 1 does not open"),
        (&["decrypt", "-", "--encryption", "aes128gcm", "--key", "another"], &coded, 1, "record 1 does not open"),
        (&["decrypt", "-", "--key", KEY, "--digest", "md5"], &coded, 1, "does not begin with `Salted__`"),
        (&["decrypt", "-", "--key", KEY], &salted[..50], 1, "34 bytes of ciphertext"),
        (&["decrypt", "-", "--key", KEY], &packed_badly, 1, "cut off (--keep-gzip"),
        (&["decrypt", "-", "--key", KEY], b"", 1, "ends within the header"),
        (&["decrypt", "-"], &salted, 2, "RESYNCD_KEY"),
        (&["decrypt", "-", "--key", ""], &salted, 2, "--key: the key is empty"),
        (&["decrypt", "-", "--key", "hidden", "--key-encoding", "hex"], &salted, 2, "--key: the key is no hex"),
        (&["decrypt", "-", "--key", KEY, "--key-file", "k"], &salted, 2, "cannot be used with"),
        (&["decrypt", "-", "--key-file", "/nowhere/k"], &salted, 2, "/nowhere/k: "),
        (&["decrypt", "/nowhere/f", "--key", KEY], b"", 2, "/nowhere/f: "),
        (&["decrypt", "-", "--key", KEY, "--digest", "md5", "--iterations", "7"], b"", 2, "--digest pbkdf2"),
        (&["encrypt", "-", "--key", KEY, "--encryption", "aes-256-cbc", "--key-id", "a"], b"", 2, "aes128gcm"),
        (&["encrypt", "-", "--key", KEY, "--encryption", "aes128gcm", "--digest", "md5"], b"", 2, "aes-256-cbc"),
        (&["encrypt", "-", "--key", KEY, "--encryption", "aes128gcm", "--record-size", "17"], b"", 2, "18.."),
    ];
    for (arguments, input, code, message) in cases {
        let output = run(resyncd().args(arguments).env_remove("RESYNCD_KEY"), input);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
        assert!(!said.contains("hidden") && !said.contains(KEY), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn content_that_only_the_padding_speaks_for_is_written_with_a_warning() {
    let binary: Vec<u8> = (0..=255).collect();
    let file = packed(&cbc(false, KeyDigest::Md5), &binary);
    let output = run(&mut resyncd_with_key(&["decrypt", "-"]), &file);
    assert_eq!(output.status.code(), Some(1), "the digest cannot be told");
    let output = run(&mut resyncd_with_key(&["decrypt", "-", "--digest", "md5"]), &file);
    assert_eq!((output.status.code(), output.stdout), (Some(0), binary));
    assert!(text(&output.stderr).contains("neither text nor a gzip file"));
}

#[test]
fn binary_output_stays_off_a_terminal() {
    let folder = TempDir::new().unwrap();
    let (profile, encrypted) = (folder.path().join("profile"), folder.path().join("encrypted"));
    fs::write(&profile, PROFILE).unwrap();
    fs::write(&encrypted, packed(&cbc(false, KeyDigest::Md5), b"only text")).unwrap();
    let on_a_terminal = |arguments: &[&str], file: &Path| {
        // `script` gives what it runs a terminal, and copies what appears there.
        let mut script = program("script")?;
        let command = format!("exec '{}' {} '{}'", env!("CARGO_BIN_EXE_resyncd"), arguments.join(" "), file.display());
        let output = run(script.args(["-q", "-e", "-c", &command, "/dev/null"]).env("RESYNCD_KEY", KEY), b"");
        Some((output.status.code(), text(&output.stdout)))
    };
    let encrypting = ["encrypt", "--encryption", "aes-256-cbc"];
    let Some((code, shown)) = on_a_terminal(&encrypting, &profile) else { return };
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("give --output FILE") && !shown.contains("Salted__"), "{shown}");
    let Some((code, shown)) = on_a_terminal(&["decrypt"], &encrypted) else { return };
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("only text"), "{shown}");
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn output_is_replaced_as_a_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("profile.xml"), PROFILE).unwrap();
    let run_with = |arguments: &[&OsStr]| run(resyncd().args(arguments).env("RESYNCD_KEY", KEY), b"").status.code();

    let encrypt = ["encrypt", "--encryption", "aes-256-cbc", "--output"].map(OsStr::new);
    let files = [at("profile.enc"), at("profile.xml")];
    assert_eq!(run_with(&[&encrypt[..], &[files[0].as_os_str(), files[1].as_os_str()]].concat()), Some(0));

    // Readable to its owner alone, even where a file that others could read was there before.
    fs::write(at("opened.xml"), "old").unwrap();
    fs::set_permissions(at("opened.xml"), fs::Permissions::from_mode(0o644)).unwrap();
    symlink("opened.xml", at("link.xml")).unwrap();
    let decrypt = ["decrypt", "--output"].map(OsStr::new);
    let files = [at("link.xml"), at("profile.enc")];
    assert_eq!(run_with(&[&decrypt[..], &[files[0].as_os_str(), files[1].as_os_str()]].concat()), Some(0));
    assert_eq!(fs::read_to_string(at("opened.xml")).unwrap(), PROFILE);
    assert_eq!(mode(&at("opened.xml")), 0o600);
    assert!(fs::symlink_metadata(at("link.xml")).unwrap().is_symlink());

    // A refusal touches nothing.
    fs::write(at("profile.enc"), "Salted__ and nothing that opens").unwrap();
    let files = [at("opened.xml"), at("profile.enc")];
    assert_eq!(run_with(&[&decrypt[..], &[files[0].as_os_str(), files[1].as_os_str()]].concat()), Some(1));
    assert_eq!(fs::read_to_string(at("opened.xml")).unwrap(), PROFILE);

    // A device is written to, not replaced; a folder is neither.
    let files = [Path::new("/dev/null"), &at("profile.xml")].map(Path::to_owned);
    assert_eq!(run_with(&[&encrypt[..], &[files[0].as_os_str(), files[1].as_os_str()]].concat()), Some(0));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let files = [folder.path().to_owned(), at("profile.xml")];
    assert_eq!(run_with(&[&encrypt[..], &[files[0].as_os_str(), files[1].as_os_str()]].concat()), Some(2));

    assert_eq!(names(&folder), ["link.xml", "opened.xml", "profile.enc", "profile.xml"], "nothing is left over");
}
