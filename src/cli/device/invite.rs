//! `resyncd device invite`, `invites` and `withdraw`: phones from a shop become devices by a code.

use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::cli::fleet::{actor, block_on, open, open_read_only};
use crate::cli::table::write_rows;
use crate::cli::{Ending, Failure, assignment, output, token};
use crate::config::Config;
use crate::events::rfc3339;
use crate::model::MacAddr;
use crate::onboarding::{Invitation, MOST_USES, Onboarding, OnboardingError};
use crate::records::Tree;
use crate::store::CodeRow;

/// Make a code by which a phone becomes a device.
///
/// The customer gives it to the phone: http://PHONE/admin/resync?https://prov.example.com/cisco-init/CODE. Whichever phone
/// comes with it, and proves by its client certificate which one it is, becomes a device with the settings given here, and
/// is sent on to its own profile. The code is shown once: the database keeps a hash of it. It goes to standard output,
/// everything else to standard error.
#[derive(Debug, clap::Args)]
pub struct Invite {
    /// Settings by their dotted names: lines.1.user=1001 lines.1.password=@- (see `resyncd device add --help`).
    #[arg(value_name = "SETTING=VALUE")]
    settings: Vec<String>,
    /// For this phone only. It may be a device already: then the code only brings its profile.
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddr>,
    /// The group that the device comes into.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The model, where the phone can't tell: its certificate and its User-Agent go before.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// How many phones may come with the code.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_USES)))]
    uses: u32,
    /// How long the code is good for: 12h, 7d.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = token::lifetime)]
    expires: Duration,
    /// A phone that is somebody's device already changes hands: its record is made anew.
    #[arg(long)]
    take_over: bool,
}

/// List invitations, the newest first.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Show so many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    #[arg(long, value_enum, default_value_t = output::Rows::Table)]
    format: output::Rows,
}

/// Withdraw an invitation: its code is good for nothing any more.
///
/// Phones that came with it already stay the devices that they are. Exit code 1 if there is no such invitation.
#[derive(Debug, clap::Args)]
pub struct Withdraw {
    /// Its id, as `resyncd device invites` shows it.
    id: String,
}

impl From<OnboardingError> for Failure {
    fn from(error: OnboardingError) -> Self {
        match error {
            OnboardingError::Fleet(error) => error.into(),
            error => Self::Other(error.to_string()),
        }
    }
}

impl Invite {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let texts = [("model", &self.model), ("group", &self.group)];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.clone()?.into())));
        let mut device: Map<String, Value> = texts.collect();
        device.insert("settings".to_owned(), assignment::read(&self.settings)?.into());
        let invitation = Invitation {
            mac: self.mac,
            device: Tree::new(device),
            takes_over: self.take_over,
            uses: self.uses,
            valid: self.expires,
        };
        block_on(async {
            let onboarding = Onboarding::new(open(config).await?, &config.onboarding);
            let (code, row) = match onboarding.invite(&invitation, &actor()).await {
                Ok(made) => made,
                Err(OnboardingError::Refused(refused)) => {
                    refused.iter().for_each(|refused| eprintln!("{}", refused.problem));
                    eprintln!("resyncd: nobody was invited");
                    return Ok(Ending::Findings);
                }
                Err(error) => return Err(error.into()),
            };
            let whose = row.mac.map_or_else(|| format!("for {} phone(s)", row.max_uses), |mac| format!("for {mac}"));
            eprintln!(
                "invitation {} {whose}, until {}; this is the only time its code is shown:",
                row.id,
                rfc3339(row.expires)
            );
            output::write(|out| writeln!(out, "{}", code.written()))?;
            Ok(Ending::Fine)
        })
    }
}

const COLUMNS: [&str; 8] = ["id", "created", "by", "for", "group", "used", "expires", "state"];

impl List {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        block_on(async {
            let fleet = open_read_only(config).await?;
            let codes =
                fleet.store().codes(None, self.limit).await.map_err(|error| Failure::Other(error.to_string()))?;
            let now = OffsetDateTime::now_utc();
            let rows: Vec<Vec<String>> = codes.iter().map(|code| row(code, now)).collect();
            if self.format == output::Rows::Json {
                output::json_rows(codes.iter().map(|code| as_json(code, now)))?;
            } else {
                write_rows(&COLUMNS, &rows, self.format == output::Rows::Csv)?;
            }
            Ok(Ending::Fine)
        })
    }
}

fn row(code: &CodeRow, now: OffsetDateTime) -> Vec<String> {
    vec![
        code.id.clone(),
        rfc3339(code.created),
        code.created_by.clone(),
        code.mac.map_or_else(|| "any phone".to_owned(), |mac| mac.to_string()),
        code.group.clone().unwrap_or_default(),
        format!("{}/{}", code.uses, code.max_uses),
        rfc3339(code.expires),
        code.state(now).to_owned(),
    ]
}

fn as_json(code: &CodeRow, now: OffsetDateTime) -> Value {
    json!({
        "id": code.id, "created": rfc3339(code.created), "created_by": code.created_by, "mac": code.mac,
        "group": code.group, "uses": code.uses, "max_uses": code.max_uses, "failures": code.failures,
        "takes_over": code.takes_over, "expires": rfc3339(code.expires), "state": code.state(now),
    })
}

impl Withdraw {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        block_on(async {
            let onboarding = Onboarding::new(open(config).await?, &config.onboarding);
            if onboarding.withdraw(&self.id, &actor()).await? {
                eprintln!("withdrawn");
                return Ok(Ending::Fine);
            }
            eprintln!("resyncd: there is no invitation {}; `resyncd device invites` lists them", self.id);
            Ok(Ending::Findings)
        })
    }
}
