//! Tokens in the URLs of phones. One for the first contact is made by hand, and brings the phone a permanent one inside the
//! profile that it opens; from then on each profile is asked for with the token that the last one brought.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Onboarding, OnboardingError, PATIENCE};
use crate::events::{Event, Outcome, Refusal};
use crate::fleet::Actor;
use crate::identity::url_token::UrlToken;
use crate::model::MacAddr;
use crate::packs::Audience;
use crate::resync::{Answer, Bearer};
use crate::store::UrlTokenRow;

/// What the audit calls it.
const KIND: &str = "url-token";

/// A token for the first contact, and where the phone is to be sent with it.
#[derive(Debug)]
pub struct FirstContact {
    /// The server's URL, with the token in it.
    pub server: String,
    /// Of the profile that it opens.
    pub url: String,
    pub expires: OffsetDateTime,
}

impl Onboarding {
    /// Makes a token for the first contact of a device.
    ///
    /// # Errors
    /// When there is no such device, it is not opened by tokens, its pack has no file for the first contact, or it doesn't know
    /// the server's URL.
    pub async fn first_contact(
        &self,
        mac: MacAddr,
        valid: Duration,
        actor: &Actor,
    ) -> Result<FirstContact, OnboardingError> {
        let generation = self.fleet.generation();
        let entry = self.fleet.device(mac).await?.ok_or(OnboardingError::NoDevice(mac))?;
        let device = entry.device.map_err(|_| OnboardingError::NoDevice(mac))?;
        let settings = generation.settings(&device);
        if settings.boolean("access.token") != Some(true) {
            return Err(OnboardingError::NoTokens(mac));
        }
        let (pack, model) = generation.packs.pack_and_model(device.model).ok_or(OnboardingError::NoDevice(mac))?;
        let files = pack.files.iter().filter(|file| file.bootstrap && file.audience == Audience::Device);
        let file = files.filter(|file| file.is_for(device.model.model)).find_map(|file| {
            file.paths.iter().find_map(|path| path.fill(Some(mac), device.serial.as_ref(), &model.name))
        });
        let file = file.ok_or_else(|| OnboardingError::NoFirstContact(pack.name.clone()))?;
        let server = settings.text("provisioning.url").filter(|url| url.starts_with("https://"));
        let server = server.ok_or(OnboardingError::NoServer(mac))?;
        let token = UrlToken::generate()?;
        let server = token.url(server);
        let now = OffsetDateTime::now_utc();
        let expires = now + valid;
        let row = UrlTokenRow::new(token.digest(), mac, now, &actor.name);
        let row = UrlTokenRow { is_bootstrap: true, expires: Some(expires), ..row };
        self.fleet.store().add_url_token(&row).await?;
        self.fleet.audit(actor, "create", KIND, &mac.to_string(), None).await?;
        let url = format!("{server}{file}");
        Ok(FirstContact { server, url, expires })
    }

    /// A device's tokens, the oldest first.
    pub async fn url_tokens(&self, mac: MacAddr) -> Result<Vec<UrlTokenRow>, OnboardingError> {
        Ok(self.fleet.store().url_tokens(mac).await?)
    }

    /// Lets the next profile of a device bring a new token; the old one is good until the phone has used the new. How many
    /// tokens that concerns.
    pub async fn renew_url_tokens(&self, mac: MacAddr, actor: &Actor) -> Result<u64, OnboardingError> {
        let concerned = self.fleet.store().renew_url_tokens(mac).await?;
        if concerned > 0 {
            self.fleet.audit(actor, "rotate", KIND, &mac.to_string(), None).await?;
        }
        self.fleet.take_in().await;
        Ok(concerned)
    }

    /// Takes all of a device's tokens away, at once and on every server. How many there were.
    pub async fn revoke_url_tokens(&self, mac: MacAddr, actor: &Actor) -> Result<u64, OnboardingError> {
        let gone = self.fleet.store().revoke_url_tokens(mac).await?;
        if gone > 0 {
            self.fleet.audit(actor, "remove", KIND, &mac.to_string(), None).await?;
        }
        self.fleet.take_in().await;
        Ok(gone)
    }

    /// Keeps the token that an answer brings, before it is sent; or notes that the phone has come with the one that it was
    /// brought. An answer whose token can't be kept is not sent.
    pub async fn settle(&self, bearer: &Bearer, answer: Answer, event: &mut Event) -> Answer {
        let now = event.time;
        let peer = event.peer.ip().to_canonical();
        let actor = Actor { name: format!("phone:{}", bearer.mac), peer: Some(peer) };
        let store = self.fleet.store();
        if let Some(next) = bearer.next.as_ref().filter(|_| answer.brings_token) {
            let row = UrlTokenRow::new(next.digest(), bearer.mac, now, &actor.name);
            let digest = bearer.token.digest();
            let followed = store.follow_url_token(&digest, &row, peer);
            let (answer, refusal, reason) = match store.in_time(PATIENCE, followed).await {
                Ok(true) => {
                    self.noted(&actor, if bearer.is_bootstrap { "use" } else { "renew" }, bearer.mac).await;
                    return answer;
                }
                Ok(false) => {
                    (Answer::refused(), Refusal::NoProof, "somebody else was faster with the URL's token".to_owned())
                }
                Err(error) => (Answer::try_later(), Refusal::DatabaseAway, error.to_string()),
            };
            event.outcome = Outcome::Refused(refusal);
            (event.status, event.bytes, event.encoding) = (answer.status, 0, None);
            event.reason = Some(reason);
            return answer;
        }
        let is_served = matches!(event.outcome, Outcome::Served | Outcome::NotModified | Outcome::Stored);
        if bearer.is_new && !bearer.is_bootstrap && is_served && event.device == Some(bearer.mac) {
            let digest = bearer.token.digest();
            let used = store.use_url_token(&digest, bearer.mac, now, peer);
            match store.in_time(PATIENCE, used).await {
                Ok(true) => self.noted(&actor, "use", bearer.mac).await,
                Ok(false) => {}
                // The old ones are good for a while longer; the next resync tries again.
                Err(error) => tracing::warn!("that a phone has its new token can't be noted: {error}"),
            }
        }
        answer
    }

    async fn noted(&self, actor: &Actor, action: &str, mac: MacAddr) {
        if let Err(error) = self.fleet.audit(actor, action, KIND, &mac.to_string(), None).await {
            tracing::warn!("the audit does not take that the token of {mac} was used: {error}");
        }
    }
}
