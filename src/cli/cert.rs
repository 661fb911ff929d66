//! `resyncd cert`: certificates for development, requests for real ones, and what a certificate is worth.

mod show;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{Ending, Failure};
use crate::config::Config;
use crate::identity::Subject;
use crate::model::{MacAddr, Serial};
use crate::packs::Packs;
use crate::tls::certificates::{
    CertificateError, Made, PhoneCertificate, Request, ServerName, SubjectForm, make_development_certificates,
    make_phone_certificate, make_request,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a CA and certificate for the server, and a CA that signs phones, for development and tests.
    Init(Init),
    /// Make a phone's certificate, signed by the phone CA that `cert init` made.
    Phone(Phone),
    /// Make a key and a request for a server certificate, as Cisco wants it for signing.
    Csr(Csr),
    /// Show the certificates of a PEM file, and what a phone and this server would make of them.
    Show(show::Show),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// The folder to write to.
    #[arg(long, value_name = "FOLDER", default_value = "certs/dev")]
    dir: PathBuf,
    /// A name or address that phones have in their URLs; may be given again. This host's own name, localhost, 127.0.0.1 and
    /// ::1 are always included.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<ServerName>,
    /// Replace what is there. Phone certificates signed by the old CA are then worth nothing.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Phone {
    /// The phone's MAC address.
    mac: MacAddr,
    /// The model, as the vendor writes it into the certificate: CP-6841-3PCC.
    #[arg(long)]
    model: Option<String>,
    /// The serial number.
    #[arg(long)]
    serial: Option<Serial>,
    /// How the vendor names the phone in the certificate's subject.
    #[arg(long, value_enum, default_value_t = VendorForm::Cisco)]
    vendor_form: VendorForm,
    /// The folder that holds the phone CA; written to.
    #[arg(long, value_name = "FOLDER", default_value = "certs/dev")]
    dir: PathBuf,
    /// Replace the phone's certificate.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VendorForm {
    /// OU=<model>, L=<serial>, ST=<mac>
    Cisco,
    /// CN=<MAC>
    CommonName,
}

#[derive(Debug, clap::Args)]
struct Csr {
    /// The fully qualified host name in the phones' URLs.
    #[arg(long, value_name = "FQDN")]
    name: ServerName,
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// Two letters.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The folder to write to.
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    output_dir: PathBuf,
    /// Replace what is there. A certificate signed for the old key is then worth nothing.
    #[arg(long)]
    force: bool,
}

impl Args {
    /// `configuration` is asked for only by `show`, which does without where there is none.
    pub fn run(self, configuration: impl FnOnce() -> Result<Config, Failure>) -> Result<Ending, Failure> {
        match self.command {
            Command::Init(args) => args.run(),
            Command::Phone(args) => args.run(),
            Command::Csr(args) => args.run(),
            Command::Show(args) => {
                let packs =
                    configuration().ok().and_then(|config| Packs::load(&config.templates, &config.profiles).ok());
                args.run(|subject| packs.as_ref().and_then(|packs| reading(packs, subject)))
            }
        }
    }
}

fn reading(packs: &Packs, subject: &Subject) -> Option<show::PackReading> {
    let (pack, found) = packs.identify_certificate(subject)?;
    Some(show::PackReading {
        pack: packs.get(pack).map(|pack| pack.name.clone()),
        vendor: found.vendor,
        model: found.model,
        mac: found.mac.map(|mac| mac.to_string()),
        serial: found.serial.map(|serial| serial.to_string()),
    })
}

impl Init {
    fn run(self) -> Result<Ending, Failure> {
        let ending = report(make_development_certificates(&self.dir, &self.names, self.force))?;
        if ending == Ending::Fine {
            let dir = self.dir.display();
            eprintln!(
                "These are for development: anyone who has {dir}/server-ca.key can pass for the server.\n\
                 Phones and curl trust the server by {dir}/server-ca.pem; the server trusts phones by {dir}/phone-ca.pem."
            );
        }
        Ok(ending)
    }
}

impl Phone {
    fn run(self) -> Result<Ending, Failure> {
        let form = match (self.vendor_form, self.model, self.serial) {
            (VendorForm::Cisco, Some(model), Some(serial)) => SubjectForm::Cisco { model, serial },
            (VendorForm::Cisco, ..) => {
                return Err(Failure::Other(
                    "--vendor-form cisco names model and serial number: give --model and --serial".to_owned(),
                ));
            }
            (VendorForm::CommonName, ..) => SubjectForm::CommonName,
        };
        report(make_phone_certificate(&self.dir, &PhoneCertificate { mac: self.mac, form }, self.force))
    }
}

impl Csr {
    fn run(self) -> Result<Ending, Failure> {
        if !self.name.is_fully_qualified() {
            return Err(Failure::Other(format!(
                "--name {}: phones compare it with the host of their URL, so it has to be the full name of one host, such \
                 as prov.example.com",
                self.name
            )));
        }
        if let Some(country) = self.country.as_ref()
            && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(Failure::Other(format!("--country {country}: two capital letters, such as US")));
        }
        let name = self.name.to_string();
        let request =
            Request { name: self.name, organization: self.organization, country: self.country, email: self.email };
        let ending = report(make_request(&self.output_dir, &request, self.force))?;
        if ending == Ending::Fine {
            eprintln!(
                "Keep the .key file secret and send nobody but the .csr file.\n\
                 For Cisco phones: log in at https://software.cisco.com/software/cda/home, choose Certificate Management, \
                 Sign CSR,\n\
                 the product that names your phones' firmware, upload the .csr, choose SHA256, and download what is signed.\n\
                 Then put the certificate first and the intermediates after it into one PEM file, look at it with\n\
                 `resyncd cert show`, and set listener.tls.certificate to it and listener.tls.key to {}.",
                self.output_dir.join(format!("{name}.key")).display()
            );
        }
        Ok(ending)
    }
}

/// Prints the files written, one a line. Not to overwrite is a refusal; everything else could not run.
fn report(made: Result<Made, CertificateError>) -> Result<Ending, Failure> {
    match made {
        Ok(made) => {
            made.files.iter().for_each(|path| println!("{}", path.display()));
            Ok(Ending::Fine)
        }
        Err(error @ CertificateError::Exists(_)) => {
            eprintln!("resyncd: {error}");
            Ok(Ending::Findings)
        }
        Err(error) => Err(Failure::Other(error.to_string())),
    }
}
