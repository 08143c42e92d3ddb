//! The file as it is written: every key known, no value understood yet.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error as TomlError};

use crate::model::nearest::did_you_mean;
use crate::model::source::Problem;

/// The format that this program reads.
const FORMAT: &str = "1";

/// A text and its place in the file.
pub(super) type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawInventory {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    pub(super) fleet: Option<RawFleet>,
    #[serde(default)]
    pub(super) ssh: RawSsh,
    #[serde(default)]
    pub(super) chains: Ordered<RawChain>,
    #[serde(default)]
    pub(super) hosts: Ordered<RawHost>,
    #[serde(default)]
    pub(super) groups: Ordered<Text>,
    #[serde(default)]
    pub(super) foreign: Ordered<RawForeign>,
    #[serde(default)]
    pub(super) backup: RawBackup,
    #[serde(default)]
    pub(super) schedule: Vec<Spanned<RawSchedule>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawFleet {
    pub(super) name: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawSsh {
    pub(super) user: Option<Text>,
    pub(super) port: Option<Spanned<i64>>,
    pub(super) identity: Option<Vec<Text>>,
    pub(super) known_hosts: Option<Vec<Text>>,
    pub(super) jump: Option<Text>,
    pub(super) r#become: Option<Text>,
    pub(super) connect_timeout: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawChain {
    pub(super) chain_id: Option<Text>,
    pub(super) unit: Option<Text>,
    pub(super) home: Option<Text>,
    pub(super) binary: Option<Text>,
    pub(super) block_time: Option<Text>,
    pub(super) halt_after: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawHost {
    pub(super) address: Option<Text>,
    pub(super) role: Option<Text>,
    pub(super) chain: Option<Text>,
    pub(super) region: Option<Text>,
    #[serde(default)]
    pub(super) labels: BTreeMap<Text, Text>,
    #[serde(default)]
    pub(super) sentries: Vec<Text>,
    pub(super) unit: Option<Text>,
    pub(super) home: Option<Text>,
    pub(super) rpc: Option<Text>,
    #[serde(default)]
    pub(super) ssh: RawSsh,
    #[serde(default)]
    pub(super) services: Vec<Spanned<RawService>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawService {
    pub(super) name: Option<Text>,
    pub(super) chain: Option<Text>,
    pub(super) unit: Option<Text>,
    pub(super) home: Option<Text>,
    pub(super) rpc: Option<Text>,
    pub(super) needed_by: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawForeign {
    pub(super) contact: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawBackup {
    pub(super) parallel: Option<Spanned<i64>>,
    pub(super) rate: Option<Text>,
    pub(super) recipients: Option<Spanned<Vec<Text>>>,
    pub(super) store: Option<Text>,
    pub(super) streams: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) keep: RawKeep,
    #[serde(default)]
    pub(super) profiles: Ordered<RawPathList>,
    pub(super) monitoring: Option<RawMonitoring>,
    pub(super) postgres: Option<Spanned<RawPostgres>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawPathList {
    #[serde(default)]
    pub(super) paths: Vec<Text>,
    #[serde(default)]
    pub(super) exclude: Vec<Text>,
    #[serde(default)]
    pub(super) roles: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawMonitoring {
    #[serde(default)]
    pub(super) paths: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawPostgres {
    pub(super) user: Option<Text>,
    #[serde(default)]
    pub(super) databases: Vec<Text>,
    pub(super) roles: Option<Vec<Text>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawKeep {
    pub(super) last: Option<Spanned<i64>>,
    pub(super) hourly: Option<Spanned<i64>>,
    pub(super) daily: Option<Spanned<i64>>,
    pub(super) weekly: Option<Spanned<i64>>,
    pub(super) monthly: Option<Spanned<i64>>,
    pub(super) within: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawSchedule {
    pub(super) name: Option<Text>,
    pub(super) every: Option<Text>,
    pub(super) on: Option<Text>,
    pub(super) jitter: Option<Text>,
    pub(super) hosts: Option<Text>,
    #[serde(default)]
    pub(super) profiles: Vec<Text>,
    pub(super) store: Option<Text>,
    pub(super) metrics: Option<Text>,
    pub(super) ping: Option<Text>,
}

/// A table in the order of the file.
#[derive(Debug)]
pub(super) struct Ordered<T>(pub(super) Vec<(Text, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OrderedVisitor(PhantomData))
    }
}

struct OrderedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrderedVisitor<T> {
    type Value = Ordered<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Ordered(entries))
    }
}

/// Reads the file as far as TOML and the names of keys go.
pub(super) fn read(text: &str) -> Result<RawInventory, Problem> {
    let document = DeTable::parse(text).map_err(|error| problem(&error))?;
    check_format(document.get_ref())?;
    RawInventory::deserialize(toml::de::Deserializer::from(document)).map_err(|error| problem(&error))
}

/// A file of another format may have other keys, so this comes before them.
fn check_format(document: &DeTable<'_>) -> Result<(), Problem> {
    match document.iter().find(|(key, _)| key.get_ref() == "format") {
        None => Err(Problem::new(0..0, "the inventory has no format", "put \"format = 1\" at its top")),
        Some((_, value)) => match value.get_ref() {
            DeValue::Integer(number) if number.as_str() == FORMAT => Ok(()),
            _ => Err(Problem::new(value.span(), "unknown format", "this fleet reads format 1")),
        },
    }
}

fn problem(error: &TomlError) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let Some((key, known)) =
        error.message().strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "))
    else {
        return Problem::new(span, error.message(), "");
    };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let note = did_you_mean(key, known.iter().copied()).unwrap_or_else(|| format!("known here: {}", known.join(", ")));
    Problem::new(span, format!("unknown key \"{key}\""), note)
}
