//! Records of devices in the database.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;

use super::conditions::{Conditions, Value};
use super::rows::{integer, list, moment, number, optional, parsed, parsed_optional, text};
use super::{Store, StoreError};
use crate::model::{MacAddr, Serial};

/// A device's record as the database holds it: settings as JSON, with sealed secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    pub mac: MacAddr,
    pub serial: Option<Serial>,
    pub model: Option<String>,
    pub group: Option<String>,
    pub settings: String,
    /// The fleet's revision that changed it last.
    pub revision: i64,
    pub created: OffsetDateTime,
    pub changed: OffsetDateTime,
}

/// Which records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    pub serial: Option<Serial>,
    /// The SIP user of one of its lines.
    pub user: Option<String>,
    /// In one of these groups, or in none that the record names.
    pub groups: Option<Vec<String>>,
    /// Somewhere in MAC, serial number, model, group, users, names; whatever its case.
    pub text: Option<String>,
}

pub(super) const COLUMNS: &str = "mac, serial, model, group_name, settings, revision, created, changed";

/// MACs that one statement asks for.
const MACS: usize = 256;

pub(super) fn device(row: &AnyRow) -> Result<DeviceRow, &'static str> {
    Ok(DeviceRow {
        mac: parsed(row, "mac")?,
        serial: parsed_optional(row, "serial")?,
        model: optional(row, "model")?,
        group: optional(row, "group_name")?,
        settings: text(row, "settings")?,
        revision: number(row, "revision")?,
        created: moment(row, "created")?,
        changed: moment(row, "changed")?,
    })
}

fn revision(row: &AnyRow) -> Result<(MacAddr, i64), &'static str> {
    Ok((parsed(row, "mac")?, number(row, "revision")?))
}

impl Store {
    /// The record of a MAC.
    pub async fn device(&self, mac: MacAddr) -> Result<Option<DeviceRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM devices WHERE mac = $1");
        let rows = self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(mac.to_string()), device).await?;
        Ok(rows.into_iter().next())
    }

    /// The records of those that have one.
    pub async fn devices_of(&self, macs: &[MacAddr]) -> Result<Vec<DeviceRow>, StoreError> {
        let mut found = Vec::new();
        for macs in macs.chunks(MACS) {
            let sql = format!("SELECT {COLUMNS} FROM devices WHERE mac IN {}", list(macs.len()));
            let query = macs.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, mac| query.bind(mac.to_string()));
            found.extend(self.fetch(query, device).await?);
        }
        Ok(found)
    }

    /// The MACs that records give these serial numbers to.
    pub async fn serials(&self, serials: &[Serial]) -> Result<Vec<(Serial, MacAddr)>, StoreError> {
        let mut found = Vec::new();
        for serials in serials.chunks(MACS) {
            let sql = format!("SELECT serial, mac FROM devices WHERE serial IN {}", list(serials.len()));
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = serials.iter().fold(query, |query, serial| query.bind(serial.to_string()));
            let read = |row: &AnyRow| Ok((parsed(row, "serial")?, parsed(row, "mac")?));
            found.extend(self.fetch(query, read).await?);
        }
        Ok(found)
    }

    /// The records that the filter lets through, by MAC, `limit` at most, after the MAC given.
    pub async fn devices(
        &self,
        filter: &DeviceFilter,
        after: Option<MacAddr>,
        limit: u64,
    ) -> Result<Vec<DeviceRow>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(after) = after {
            conditions.and("mac > ", Value::Text(after.to_string()));
        }
        if let Some(serial) = &filter.serial {
            conditions.and("serial = ", Value::Text(serial.to_string()));
        }
        if let Some(user) = &filter.user {
            let user = conditions.parameter(Value::Text(user.clone()));
            conditions.and_text(&format!("mac IN (SELECT mac FROM device_users WHERE user_name = {user})"));
        }
        if let Some(groups) = &filter.groups {
            let names: Vec<_> = groups.iter().map(|name| conditions.parameter(Value::Text(name.clone()))).collect();
            let named =
                if names.is_empty() { "1 = 0".to_owned() } else { format!("group_name IN ({})", names.join(", ")) };
            conditions.and_text(&format!("(group_name IS NULL OR {named})"));
        }
        if let Some(text) = &filter.text {
            let pattern = conditions.parameter(Value::Text(pattern(text)));
            conditions.and_text(&format!("search LIKE {pattern} ESCAPE '!'"));
        }
        let limit = conditions.parameter(Value::Integer(integer(limit)));
        let sql = format!("SELECT {COLUMNS} FROM devices {} ORDER BY mac LIMIT {limit}", conditions.text());
        self.fetch(conditions.query(sql), device).await
    }

    /// Which MACs have a record, and the revision of each.
    pub async fn device_revisions(&self) -> Result<Vec<(MacAddr, i64)>, StoreError> {
        self.fetch(sqlx::query("SELECT mac, revision FROM devices"), revision).await
    }

    /// The revisions of those that have a record.
    pub async fn revisions_of(&self, macs: &[MacAddr]) -> Result<HashMap<MacAddr, i64>, StoreError> {
        let mut found = HashMap::new();
        for macs in macs.chunks(MACS) {
            let sql = format!("SELECT mac, revision FROM devices WHERE mac IN {}", list(macs.len()));
            let query = macs.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, mac| query.bind(mac.to_string()));
            found.extend(self.fetch(query, revision).await?);
        }
        Ok(found)
    }

    /// How many records there are.
    pub async fn count_devices(&self) -> Result<u64, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) FROM devices");
        let counts = self.fetch(query, |row| row.try_get::<i64, _>(0).map_err(|_| "count")).await?;
        Ok(counts.first().copied().unwrap_or_default().unsigned_abs())
    }
}

/// What LIKE takes to find a text anywhere.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
