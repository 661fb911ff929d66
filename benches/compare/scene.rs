//! What all servers are given: certificates, phones, a deployment of resyncd, and the bytes that it answers with.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use tempfile::TempDir;

use crate::cases::{Delivery, Key, Load};
use crate::certificates::{Leaf, Pair, Purpose, authority_of};
use crate::profile::{MODEL, settings};

/// The folder that everything is in, and what doesn't change between cases.
pub struct Scene {
    folder: TempDir,
    /// The CA of servers.
    pub server_ca: PathBuf,
    /// The CA of phones.
    pub phone_ca: PathBuf,
    phones: Pair,
    /// All phones have the same key: to make a thousand takes minutes, and changes nothing for a server.
    pub phone_key: PKey<Private>,
    certificates: RefCell<HashMap<u32, X509>>,
}

/// A phone that asks.
pub struct Phone {
    number: u32,
    pub mac: String,
    /// The path of its profile.
    pub path: String,
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("resyncd-compare").tempdir().unwrap();
        // nginx and Apache give up root for a user of their own.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let certs = folder.path().join("certs");
        fs::create_dir(&certs).unwrap();
        let servers = authority_of(Leaf { key: Some(rsa()), ..Leaf::of(&[("CN", "CA of servers")]) });
        let phones = authority_of(Leaf { key: Some(rsa()), ..Leaf::of(&[("CN", "CA of phones")]) });
        for (name, key) in [("rsa", Some(rsa())), ("ecdsa", None)] {
            let (names, purpose) = (&["localhost"][..], Purpose::Server);
            servers.sign(&Leaf { names, purpose, key, ..Leaf::of(&[("CN", "localhost")]) }).write(&certs, name);
        }
        Self {
            server_ca: servers.write_certificate(&certs, "server-ca"),
            phone_ca: phones.write_certificate(&certs, "phone-ca"),
            phones,
            phone_key: rsa(),
            certificates: RefCell::default(),
            folder,
        }
    }

    /// The files of the server's certificate and its key.
    pub fn certificate(&self, key: Key) -> (PathBuf, PathBuf) {
        let name = match key {
            Key::Rsa => "rsa",
            Key::Ecdsa => "ecdsa",
        };
        let certs = self.folder.path().join("certs");
        (certs.join(format!("{name}.pem")), certs.join(format!("{name}.key")))
    }

    /// A folder of its own for a server; gone with what is returned.
    pub fn folder(&self) -> TempDir {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    /// The certificate that the maker built into a phone.
    pub fn phone_certificate(&self, phone: &Phone) -> X509 {
        let make = || {
            let serial = serial(phone.number);
            let subject = [("OU", MODEL), ("L", serial.as_str()), ("ST", phone.mac.as_str())];
            let key = Some(self.phone_key.clone());
            self.phones.sign(&Leaf { purpose: Purpose::Client, key, ..Leaf::of(&subject) }).certificate
        };
        self.certificates.borrow_mut().entry(phone.number).or_insert_with(make).clone()
    }
}

impl Phone {
    /// So many of so many devices, evenly spread.
    pub fn some(asked: u32, devices: u32) -> Vec<Self> {
        (0..asked).map(|at| Self::of(at * (devices / asked))).collect()
    }

    fn of(number: u32) -> Self {
        let mac = mac(number);
        Self { number, path: format!("/cisco/{mac}.xml"), mac }
    }

    pub fn user_agent(&self) -> String {
        format!("Cisco-{MODEL}/12.0.1 ({})", self.mac)
    }
}

fn mac(number: u32) -> String {
    format!("000e08{number:06x}")
}

fn serial(number: u32) -> String {
    format!("BENCH{number:07}")
}

/// Writes a deployment of so many devices: what is theirs alone in a file each, all else in their model's.
pub fn deployment(folder: &Path, devices: u32, load: &Load) {
    let write = |path: String, text: &str| {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    write(format!("profiles/models/{MODEL}.toml"), &settings());
    let (gzip, encryption) = match load.delivery {
        Delivery::Plain => (false, "none"),
        Delivery::Gzip => (true, "none"),
        Delivery::GzipAes => (true, "aes-256-cbc"),
        Delivery::GzipAesGcm => (true, "aes128gcm"),
    };
    let access = match load.tls {
        Some(tls) if tls.certificate => "certificate = true",
        _ if encryption == "none" => "networks = [\"127.0.0.0/8\"]",
        _ => "encrypted = true",
    };
    let defaults = format!("[access]\n{access}\n[delivery]\ngzip = {gzip}\nencryption = \"{encryption}\"\n");
    write("profiles/defaults.toml".to_owned(), &defaults);
    for group in 0..100 {
        let text = format!("[lines.1]\nproxy = \"sip{group}.example:5060\"\n[time]\nzone = \"Europe/Vienna\"\n");
        write(format!("profiles/groups/g{group}.toml"), &text);
    }
    let has_key = encryption != "none";
    for number in 0..devices {
        let key = if has_key { key(number, load.delivery) } else { String::new() };
        let text = format!(
            "model = \"{MODEL}\"\ngroup = \"g{}\"\nserial = \"{}\"\n[lines.1]\nuser = \"{number}\"\n\
             password = \"not-a-real-password-{number}\"\ndisplay_name = \"Phone {number}\"\n{key}",
            number % 100,
            serial(number),
        );
        write(format!("profiles/devices/{:02x}/{}.toml", number % 256, mac(number)), &text);
    }
}

fn key(number: u32, delivery: Delivery) -> String {
    if delivery == Delivery::GzipAesGcm {
        // 16 bytes, as RFC 8188 wants them.
        return format!("[delivery]\nkey = {{ hex = \"{number:032x}\" }}\n");
    }
    format!("[delivery]\nkey = \"not-a-real-key-{number}\"\n")
}
