//! `resyncd device token`: tokens in the URLs of phones that show no certificate.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::cli::fleet::{actor, block_on, open};
use crate::cli::table::write_rows;
use crate::cli::{Ending, Failure, output, token};
use crate::config::Config;
use crate::events::rfc3339;
use crate::model::MacAddr;
use crate::onboarding::{Onboarding, OnboardingError};
use crate::store::UrlTokenRow;

/// Make a token for the first contact of a phone that proves itself by its URL (`access.token`).
///
/// Prints the URL to give to the phone: https://prov.example.com/t/TOKEN/cisco/init/MAC.xml. It is good for one profile, once.
/// That profile sends the phone on to URLs with a token of its own, which nobody has seen before. The database keeps hashes.
#[derive(Debug, clap::Args)]
pub struct Token {
    mac: MacAddr,
    /// How long the token for the first contact is good for: 12h, 7d.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = token::lifetime, conflicts_with_all = ["list", "rotate", "revoke"])]
    expires: Duration,
    /// List the device's tokens instead; not what they are, which nobody knows.
    #[arg(long, conflicts_with_all = ["rotate", "revoke"])]
    list: bool,
    /// Let the phone's next profile bring it another token. The old one is good until the phone has used the new.
    #[arg(long, conflicts_with = "revoke")]
    rotate: bool,
    /// Take all of its tokens away, at once and on every server. The phone has to be set up again.
    #[arg(long)]
    revoke: bool,
    /// How tokens are listed.
    #[arg(long, value_enum, default_value_t = output::Rows::Table, requires = "list")]
    format: output::Rows,
}

const COLUMNS: [&str; 5] = ["for", "created", "by", "expires", "state"];

impl Token {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        block_on(async {
            let onboarding = Onboarding::new(open(config).await?, &config.onboarding);
            if self.list {
                return list(&onboarding.url_tokens(self.mac).await?, self.format);
            }
            if self.rotate || self.revoke {
                let (concerned, done) = if self.rotate {
                    let done = "the next profile brings another token";
                    (onboarding.renew_url_tokens(self.mac, &actor()).await?, done)
                } else {
                    (
                        onboarding.revoke_url_tokens(self.mac, &actor()).await?,
                        "its tokens are good for nothing any more",
                    )
                };
                if concerned == 0 {
                    eprintln!("resyncd: {} has no token; `resyncd device token {}` makes one", self.mac, self.mac);
                    return Ok(Ending::Findings);
                }
                eprintln!("{}: {done}", self.mac);
                return Ok(Ending::Fine);
            }
            let made = match onboarding.first_contact(self.mac, self.expires, &actor()).await {
                Ok(made) => made,
                Err(
                    error @ (OnboardingError::NoDevice(_)
                    | OnboardingError::NoTokens(_)
                    | OnboardingError::NoFirstContact(_)
                    | OnboardingError::NoServer(_)),
                ) => {
                    eprintln!("resyncd: {error}");
                    return Ok(Ending::Findings);
                }
                Err(error) => return Err(error.into()),
            };
            eprintln!(
                "for the first contact of {}, once, until {}; this is the only time it is shown. Phones that ask a folder \
                 for their files take {}",
                self.mac,
                rfc3339(made.expires),
                made.server
            );
            output::write(|out| writeln!(out, "{}", made.url))?;
            Ok(Ending::Fine)
        })
    }
}

fn list(rows: &[UrlTokenRow], format: output::Rows) -> Result<Ending, Failure> {
    let now = OffsetDateTime::now_utc();
    if format == output::Rows::Json {
        output::json_rows(rows.iter().map(|row| as_json(row, now)))?;
        return Ok(Ending::Fine);
    }
    let cells = |row: &UrlTokenRow| {
        vec![
            row.purpose().to_owned(),
            rfc3339(row.created),
            row.created_by.clone(),
            row.expires.map(rfc3339).unwrap_or_default(),
            row.state(now).to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    write_rows(&COLUMNS, &rows, format == output::Rows::Csv)?;
    Ok(Ending::Fine)
}

fn as_json(row: &UrlTokenRow, now: OffsetDateTime) -> Value {
    json!({
        "for": row.purpose(), "created": rfc3339(row.created), "created_by": row.created_by,
        "expires": row.expires.map(rfc3339), "used": row.used.as_ref().map(|(time, _)| rfc3339(*time)),
        "used_from": row.used.as_ref().map(|(_, from)| from), "state": row.state(now),
    })
}
