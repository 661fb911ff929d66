//! Reports: the phone's configuration or status, sent to a server (SPA chapter and SPA guide: "Report Rule"; guide: "RFC
//! 8188-Based HTTP Content Encryption").

use bytes::Bytes;

use crate::delivery::{DEFAULT_RECORD_SIZE, Delivery, Encryption};
use crate::phone::{Fetch, Method, State};

use super::download::Sent;
use super::emulation::{Now, Phone};
use super::factory::Family;
use super::options::Options;
use super::random::Random;
use super::rule::{Alternative, Kind};
use super::session::{Failure, Outcome, Session};
use super::target::Scheme;
use super::transcript::{Step, Transcript};

const RULE: &str = "Report_Rule";

/// Sends the reports that `Report_Rule` asks for, each once: a report that fails is not tried again.
pub async fn report(phone: &Phone, state: State, now: Now, fetch: &impl Fetch, random: &mut impl Random) -> Outcome {
    let (transcript, location, error) = (Transcript::default(), None, String::new());
    let mut session = Session { phone, fetch, random, now, state, transcript, provisioning_state: -1, location, error };
    let succeeded = match session.reports().await {
        Ok(succeeded) => succeeded,
        Err(failure) => {
            session.failed(RULE, &failure);
            false
        }
    };
    session.end(succeeded, Vec::new())
}

impl<F: Fetch, R: Random> Session<'_, F, R> {
    async fn reports(&mut self) -> Result<bool, Failure> {
        let written = self.parameter(RULE).to_owned();
        if written.trim().is_empty() {
            self.transcript.push(Step::Skipped { parameter: RULE.to_owned(), why: "it is empty".to_owned() });
            return Ok(true);
        }
        let rule = self.rule(RULE, &written, Kind::Report)?;
        let mut succeeded = true;
        for report in &rule.alternatives {
            if report.condition.as_ref().is_some_and(|condition| !condition.holds()) {
                self.transcript.push(Step::Condition { text: report.condition_text.clone(), holds: false });
                continue;
            }
            match self.send(report).await {
                Ok(()) => self.transcript.push(Step::Succeeded { parameter: RULE.to_owned() }),
                Err(failure) => {
                    succeeded = false;
                    self.failed(RULE, &failure);
                }
            }
        }
        Ok(succeeded)
    }

    async fn send(&mut self, report: &Alternative) -> Result<(), Failure> {
        let Some(target) = &report.target else { return Ok(()) };
        let location = target.locate(self.phone.emulation.origin.as_ref()).ok_or(Failure::NoServer)?;
        let content = if report.options.status { self.status() } else { self.configuration(report.options.delta) };
        let delivery = Delivery { gzip: false, encryption: self.encryption(&report.options)? };
        let delivered = delivery.pack(content.as_bytes()).map_err(|error| Failure::Encrypt(error.to_string()))?;
        let by_put = self.parameter("HTTP_Report_Method").trim().eq_ignore_ascii_case("put");
        // TFTP has nothing like POST.
        let method = if by_put || location.scheme == Scheme::Tftp { Method::Put } else { Method::Post };
        let coding = delivered.content_encoding.map(|coding| ("content-encoding".to_owned(), coding.to_owned()));
        let plain = delivery.encryption == Encryption::None;
        let sent = Sent {
            method,
            body: Bytes::from(delivered.body),
            content_type: Some(if plain { "text/xml" } else { "application/octet-stream" }.to_owned()),
            headers: coding.into_iter().collect(),
        };
        self.location = Some(location.clone());
        self.exchange(&sent, &location, &report.options).await.map(|_| ())
    }

    /// By `--key` if there is one; else by RFC 8188 if there is keying material.
    fn encryption(&self, options: &Options) -> Result<Encryption, Failure> {
        let written = self.parameter("IKM_HTTP_Encrypt_Content").trim();
        if let Some(key) = &options.key {
            return Ok(Encryption::Aes256Cbc { passphrase: key.clone(), digest: self.phone.emulation.digest });
        }
        if written.is_empty() {
            return Ok(Encryption::None);
        }
        let material = self.phone.emulation.keying_material.parse(written.as_bytes());
        Ok(Encryption::Aes128Gcm {
            keying_material: material.map_err(|error| Failure::Encrypt(error.to_string()))?,
            record_size: DEFAULT_RECORD_SIZE,
            key_id: Vec::new(),
        })
    }

    /// The parameters as a profile, those that changed on the phone since the last resync alone for `--delta`. Secrets
    /// are left out: the guide says so of the keying material, and its sample has passwords commented out.
    fn configuration(&self, delta: bool) -> String {
        let settled = self.state.settled.as_ref().filter(|_| delta);
        let mut elements = String::new();
        for (name, value) in &self.state.parameters {
            let same = settled.is_some_and(|settled| settled.get(name) == Some(value));
            if same || self.phone.known.is_secret(name) {
                continue;
            }
            let access = self.state.access.get(name).map_or("na", String::as_str);
            elements.push_str(&match value.as_str() {
                "" => format!("<{name} ua=\"{access}\"></{name}>\n"),
                value => format!("<{name} ua=\"{access}\">{}</{name}>\n", escaped(value)),
            });
        }
        self.framed("flat-profile", &elements)
    }

    /// What a status report holds is nowhere described: these are the phone's own facts.
    fn status(&self) -> String {
        let identity = &self.phone.identity;
        let naming = self.phone.naming(&self.state);
        let facts = [
            ("Product_Name", naming.product()),
            ("Serial_Number", identity.serial.to_string()),
            ("MAC_Address", identity.mac.upper()),
            ("Software_Version", naming.software()),
            ("Hardware_Version", self.phone.emulation.hardware.clone()),
            ("Client_Certificate", if identity.has_certificate { "Installed" } else { "Not Installed" }.to_owned()),
        ];
        let element = |(name, value): (&str, String)| format!("<{name}>{}</{name}>\n", escaped(&value));
        self.framed("flat-status", &facts.map(element).concat())
    }

    fn framed(&self, element: &str, content: &str) -> String {
        let header = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        match self.phone.family {
            Family::Mpp => format!("{header}<device>\n<{element}>\n{content}</{element}>\n</device>\n"),
            Family::Spa | Family::Pap2t => format!("{header}<{element}>\n{content}</{element}>\n"),
        }
    }
}

fn escaped(value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    value.replace('\'', "&apos;").replace('"', "&quot;")
}
