//! One exchange with a server: redirects, challenges, status (guide: "HTTP Status Code Handling on Resync and Upgrade"),
//! and what is done to a file before it is read (guide: "Open Profile (XML) Compression and Encryption").

use bytes::Bytes;

use crate::delivery::{decrypt_aes_256_cbc, decrypt_aes128gcm, gunzip, is_gzip};
use crate::model::Secret;
use crate::phone::challenge::Challenge;
use crate::phone::{Credentials, Fetch, Method, Request, Response};

use super::macros;
use super::options::Options;
use super::random::Random;
use super::session::{Failure, Session};
use super::target::Location;
use super::transcript::Step;

/// So often a 401 or 407 is answered.
const RETRIES: u32 = 2;

/// What is sent to a server.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub method: Method,
    pub body: Bytes,
    pub content_type: Option<String>,
    pub headers: Vec<(String, String)>,
}

impl Sent {
    pub fn get() -> Self {
        Self { method: Method::Get, body: Bytes::new(), content_type: None, headers: Vec::new() }
    }
}

/// The answer to a challenge, kept while it may be used again.
struct Answer {
    header: &'static str,
    challenge: Challenge,
    count: u32,
}

impl<F: Fetch, R: Random> Session<'_, F, R> {
    /// Asks, follows redirects, answers challenges, and gives back an answer of status 2xx.
    pub async fn exchange(&mut self, sent: &Sent, location: &Location, options: &Options) -> Result<Response, Failure> {
        let mut here = location.clone();
        let (mut redirects, mut retries) = (0, 0);
        let mut answer: Option<Answer> = None;
        loop {
            let response = self.ask(sent, &here, options, answer.as_mut()).await?;
            match response.status {
                200..=299 => return Ok(response),
                404 => return Err(Failure::NotFound),
                status @ (301 | 302) => {
                    redirects += 1;
                    if redirects > self.phone.emulation.max_redirects {
                        return Err(Failure::Redirects(self.phone.emulation.max_redirects));
                    }
                    let leads = response.header("location").and_then(|header| here.follow(header));
                    let there = leads.ok_or(Failure::NoLocation(status))?;
                    self.transcript.push(Step::Redirect { location: there.clone() });
                    // User and password are for the URL of the rule: another server is not told them.
                    if there.origin() != here.origin() {
                        answer = None;
                    }
                    here = there;
                }
                status @ (401 | 407) => {
                    if options.password.is_none() || options.user.is_none() || here.origin() != location.origin() {
                        return Err(Failure::NoCredentials(status));
                    }
                    retries += 1;
                    if retries > RETRIES {
                        return Err(Failure::Unauthorized(status, RETRIES));
                    }
                    let (asked_by, header) = if status == 401 {
                        ("www-authenticate", "authorization")
                    } else {
                        ("proxy-authenticate", "proxy-authorization")
                    };
                    let challenges = response.headers.iter().filter(|(name, _)| name == asked_by);
                    let challenge = Challenge::strongest(challenges.map(|(_, value)| value.as_str()));
                    let challenge = challenge.ok_or(Failure::NoChallenge(status))?;
                    self.transcript.push(Step::Challenge { status, scheme: challenge.label(), retry: retries });
                    answer = Some(Answer { header, challenge, count: 0 });
                }
                status => return Err(Failure::Status(status)),
            }
        }
    }

    async fn ask(
        &mut self,
        sent: &Sent,
        here: &Location,
        options: &Options,
        answer: Option<&mut Answer>,
    ) -> Result<Response, Failure> {
        let mut headers = sent.headers.clone();
        let mut authorization = None;
        if let (Some(answer), Some(user), Some(password)) = (answer, &options.user, &options.password) {
            answer.count += 1;
            let credentials = Credentials { user: user.clone(), password: password.clone() };
            let nonce = (0..4).map(|_| format!("{:08x}", self.random.up_to(u32::MAX))).collect::<String>();
            let value = answer.challenge.answer(&credentials, sent.method, &here.path, &nonce, answer.count);
            headers.push((answer.header.to_owned(), value));
            authorization = Some(answer.challenge.label());
        }
        let method = match sent.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        self.transcript.push(Step::Request { method, location: here.clone(), authorization });
        let request = Request {
            method: sent.method,
            url: here.to_string(),
            user_agent: self.user_agent(),
            headers,
            body: sent.body.clone(),
            content_type: sent.content_type.clone(),
        };
        let response = self.fetch.fetch(request).await?;
        self.transcript.push(Step::Response {
            status: response.status,
            bytes: response.body.len(),
            tls: response.tls_version.clone(),
            milliseconds: u64::try_from(response.duration.as_millis()).unwrap_or(u64::MAX),
        });
        Ok(response)
    }

    fn user_agent(&self) -> String {
        let configured = macros::expand(self.parameter("HTTP_User_Agent_Name"), &self.view());
        if configured.trim().is_empty() { self.phone.naming(&self.state).user_agent() } else { configured }
    }

    /// The profile in an answer: decrypted and unpacked. The content coding decides before `--key` does; gzip is known
    /// by the file's own header.
    pub fn opened(&mut self, response: &Response, key: Option<&Secret>) -> Result<Bytes, Failure> {
        let limit = self.phone.emulation.max_profile;
        let mut file = response.body.clone();
        let coded = response
            .header("content-encoding")
            .is_some_and(|codings| codings.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("aes128gcm")));
        if file.len() > limit {
            return Err(Failure::TooLarge(limit));
        }
        if coded {
            let written = self.parameter("IKM_HTTP_Encrypt_Content").trim().as_bytes();
            let material = self.phone.emulation.keying_material.parse(written).map_err(Failure::KeyingMaterial)?;
            file = decrypt_aes128gcm(&file, &material)?.into();
            self.transcript.push(Step::Decrypted { by: "aes128gcm", bytes: file.len() });
        } else if let Some(key) = key {
            file = decrypt_aes_256_cbc(&file, key, self.phone.emulation.digest)?.into();
            self.transcript.push(Step::Decrypted { by: "aes-256-cbc", bytes: file.len() });
        }
        if is_gzip(&file) {
            file = gunzip(&file, limit)?.into();
            self.transcript.push(Step::Unzipped { bytes: file.len() });
        }
        Ok(file)
    }
}
