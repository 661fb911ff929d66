//! `resyncd token`: bearer tokens for the admin API.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use time::OffsetDateTime;

use super::fleet::block_on;
use super::table::{Align, Layout};
use super::{Ending, Failure, output};
use crate::config::Config;
use crate::document::{nearest, parse_duration};
use crate::events::{EventIds, rfc3339};
use crate::store::{AuditRow, Store, StoreError};
use crate::tokens::{Bearer, Scope, Token, TokenName};

/// Make, list and revoke tokens for the admin API.
///
/// They are in the database and hold on every node that has it. The server need not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a token and print it, this once
///
/// Prints the token alone to stdout; the database keeps only a digest of it.
#[derive(Debug, clap::Args)]
struct Create {
    /// What the token is called in the audit and when it is revoked
    #[arg(long)]
    name: TokenName,
    /// What it may do: read (secrets masked), write (and change), secrets (and have secrets shown)
    #[arg(long, value_parser = scopes())]
    scope: Scope,
    /// Bind it to a group: it sees and touches only that and what lies under it
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// When it stops working, from now: 90d, 12h. Left out: never
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,
}

/// List the tokens; not what they are, which nobody knows
#[derive(Debug, clap::Args)]
struct List {
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Revoke a token: it stops working at once, on every node
#[derive(Debug, clap::Args)]
struct Revoke {
    /// Its name
    name: TokenName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn scopes() -> impl TypedValueParser<Value = Scope> {
    // One of these it is, or clap would not have let it through.
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).map(|typed| typed.parse().unwrap_or(Scope::Read))
}

/// A text that is no lifetime of a token.
#[derive(Debug, thiserror::Error)]
#[error("write a number and its unit, from 1m to 3650d: 12h, 90d")]
pub struct ParseLifetimeError;

pub fn lifetime(text: &str) -> Result<Duration, ParseLifetimeError> {
    let (shortest, longest) = (Duration::from_secs(60), Duration::from_secs(3_650 * 86_400));
    parse_duration(text).filter(|time| (shortest..=longest).contains(time)).ok_or(ParseLifetimeError)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(error.to_string())
    }
}

impl Args {
    pub fn run(self, config: &Config) -> Result<Ending, Failure> {
        let now = OffsetDateTime::now_utc();
        block_on(async {
            match self.command {
                Command::Create(create) => create.run(config, now).await,
                Command::List(list) => list.run(config, now).await,
                Command::Revoke(revoke) => revoke.run(config, now).await,
            }
        })
    }
}

impl Create {
    async fn run(self, config: &Config, now: OffsetDateTime) -> Result<Ending, Failure> {
        let store = match &self.group {
            Some(group) => check_group(config, group).await?,
            None => Store::open(&config.database).await?,
        };
        let bearer = Bearer::generate().map_err(|error| Failure::because("no random numbers to be had", error))?;
        let expires = self.expires.and_then(|time| now.checked_add(time.try_into().ok()?));
        let token = Token {
            name: self.name.to_string(),
            scope: self.scope,
            group: self.group,
            created: now,
            expires,
            last_used: None,
        };
        let recorded = recorded("create", &token.name, now, None, Some(&token))?;
        if !store.create_token(&token, &bearer.digest(), &recorded).await? {
            return Err(Failure::Other(format!(
                "there is a token called \"{}\" already; revoke it, or give this one another name",
                self.name
            )));
        }
        store.close().await;
        let reach =
            token.group.as_ref().map_or_else(|| "the whole fleet".to_owned(), |group| format!("the group {group}"));
        let until = token.expires.map_or_else(String::new, |expires| format!(", until {}", rfc3339(expires)));
        eprintln!(
            "the token \"{}\" has the scope {} for {reach}{until}; this is the only time it is shown:",
            token.name, token.scope
        );
        output::write(|out| {
            out.write_all(bearer.expose())?;
            writeln!(out)
        })?;
        Ok(Ending::Fine)
    }
}

/// A token that is bound to a group that isn't there would see nothing: a slip of the pen is told. Gives the database.
async fn check_group(config: &Config, name: &str) -> Result<Store, Failure> {
    let fleet = super::fleet::open(config).await?;
    let groups = fleet.groups().await?;
    if groups.iter().any(|group| group.name == name) {
        return Ok(fleet.store().clone());
    }
    let help = match nearest(name, groups.iter().map(|group| group.name.as_str())) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("its file would be {}", config.profiles.join("groups").join(format!("{name}.toml")).display()),
    };
    Err(Failure::Other(format!("there is no group \"{name}\" ({help})")))
}

impl List {
    async fn run(self, config: &Config, now: OffsetDateTime) -> Result<Ending, Failure> {
        let store = Store::open_read_only(&config.database).await?;
        let tokens = store.tokens().await?;
        let time = |time: Option<OffsetDateTime>| time.map(rfc3339);
        if self.format == Format::Json {
            let tokens: Vec<_> = tokens
                .iter()
                .map(|token| {
                    json!({
                        "name": token.name, "scope": token.scope.as_str(), "group": token.group,
                        "created": rfc3339(token.created), "expires": time(token.expires),
                        "last_used": time(token.last_used), "expired": token.is_expired(now),
                    })
                })
                .collect();
            output::json(&tokens)?;
            return Ok(Ending::Fine);
        }
        let columns = ["NAME", "SCOPE", "GROUP", "CREATED", "EXPIRES", "LAST-USED"].map(|name| (name, Align::Left));
        let rows: Vec<Vec<String>> = tokens
            .iter()
            .map(|token| {
                let note = if token.is_expired(now) { " (expired)" } else { "" };
                let expires = token.expires.map(|expires| format!("{}{note}", to_the_minute(expires)));
                vec![
                    token.name.clone(),
                    token.scope.to_string(),
                    token.group.clone().unwrap_or_default(),
                    to_the_minute(token.created),
                    expires.unwrap_or_default(),
                    token.last_used.map(to_the_minute).unwrap_or_default(),
                ]
            })
            .collect();
        let mut layout = Layout::new(&columns);
        layout.fit(&rows);
        output::write(|out| {
            let header = [layout.header()];
            header.iter().chain(&rows).try_for_each(|row| out.write_all(layout.line(row).as_bytes()))
        })?;
        Ok(Ending::Fine)
    }
}

fn to_the_minute(time: OffsetDateTime) -> String {
    rfc3339(time).get(..16).unwrap_or_default().replace('T', " ")
}

/// What the audit is told.
fn recorded(
    action: &str,
    name: &str,
    time: OffsetDateTime,
    before: Option<&Token>,
    after: Option<&Token>,
) -> Result<AuditRow, Failure> {
    let ids = EventIds::new().map_err(|error| Failure::because("no random numbers to be had", error))?;
    let json = |token: Option<&Token>| token.map(|token| token.as_json().to_string());
    Ok(AuditRow {
        id: ids.next(time).to_string(),
        time,
        actor: super::fleet::actor().name,
        peer: None,
        action: action.to_owned(),
        kind: "token".to_owned(),
        name: name.to_owned(),
        before: json(before),
        after: json(after),
    })
}

impl Revoke {
    async fn run(self, config: &Config, now: OffsetDateTime) -> Result<Ending, Failure> {
        let store = Store::open(&config.database).await?;
        let name = self.name.to_string();
        let blank = recorded("remove", &name, now, None, None)?;
        let record = |token: &Token| AuditRow { before: Some(token.as_json().to_string()), ..blank };
        let revoked = store.revoke_token(&name, record).await?;
        if revoked.is_some() {
            eprintln!("the token \"{}\" is revoked", self.name);
            return Ok(Ending::Fine);
        }
        let tokens = store.tokens().await?;
        let help = match nearest(&name, tokens.iter().map(|token| token.name.as_str())) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "`resyncd token list` tells which there are".to_owned(),
        };
        eprintln!("resyncd: there is no token \"{name}\" ({help})");
        Ok(Ending::Findings)
    }
}
