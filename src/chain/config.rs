//! A node's config.toml and app.toml as far as fleet needs them. Keys that a version doesn't have get CometBFT's
//! own default; values may be quoted, as its own reader allows.

use toml::{Table, Value};

use crate::model::facts::NodeConfig;

mod duration;
#[cfg(test)]
mod tests;

pub use duration::go_duration_ms;

/// What matters of both files of the node in `home`; paths come back absolute.
pub fn node_config(home: &str, config_toml: &str, app_toml: Option<&str>) -> Result<NodeConfig, String> {
    let config = File::parse("config.toml", config_toml)?;
    let app = File::parse("app.toml", app_toml.unwrap_or_default())?;
    let path = |key, default| Ok::<_, String>(absolute(home, &config.text(key, default)?));
    Ok(NodeConfig {
        moniker: config.text("moniker", "")?,
        rpc: rpc_address(&config.text("rpc.laddr", "tcp://127.0.0.1:26657")?)?,
        p2p_laddr: config.text("p2p.laddr", "tcp://0.0.0.0:26656")?,
        db_dir: path("db_dir", "data")?,
        db_backend: config.text("db_backend", "goleveldb")?,
        wal_file: path("consensus.wal_file", "data/cs.wal/wal")?,
        key_file: path("priv_validator_key_file", "config/priv_validator_key.json")?,
        node_key_file: path("node_key_file", "config/node_key.json")?,
        state_file: path("priv_validator_state_file", "data/priv_validator_state.json")?,
        genesis_file: path("genesis_file", "config/genesis.json")?,
        remote_signer: config.text("priv_validator_laddr", "")?,
        double_sign_check_height: config.number("consensus.double_sign_check_height")?,
        timeout_commit_ms: config.duration_ms("consensus.timeout_commit", 1000)?,
        create_empty_blocks: config.flag("consensus.create_empty_blocks", true)?,
        adaptive_sync: config.flag("blocksync.adaptive_sync", false)?,
        halt_height: app.number("halt-height")?,
        halt_time: app.number("halt-time")?,
    })
}

/// Where to connect for a listen address: `tcp://0.0.0.0:26657` is reached at `127.0.0.1:26657`. `None` for a Unix
/// socket and for RPC switched off.
fn rpc_address(laddr: &str) -> Result<Option<String>, String> {
    let address = match laddr.split_once("://") {
        Some(("unix", _)) => return Ok(None),
        Some((_, address)) => address,
        None => laddr,
    };
    let address = address.trim_end_matches('/');
    if address.is_empty() {
        return Ok(None);
    }
    let (host, port) =
        address.rsplit_once(':').ok_or_else(|| format!("config.toml: rpc.laddr without a port: {laddr:?}"))?;
    let port: u16 = port.parse().map_err(|_| format!("config.toml: rpc.laddr without a port: {laddr:?}"))?;
    // Go listens on both families for `[::]`, and IPv4's loopback is the one that is always there.
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
    Ok(Some(format!("{host}:{port}")))
}

/// The path below `home` unless it is absolute, without `.` and `..`, as Go's `filepath.Join` does it.
fn absolute(home: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_string() } else { format!("{home}/{path}") };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// One TOML file, asked by dotted key.
struct File {
    name: &'static str,
    table: Table,
}

impl File {
    fn parse(name: &'static str, text: &str) -> Result<Self, String> {
        let table = text.parse::<Table>().map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("{name}:{}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        Ok(Self { name, table })
    }

    fn get(&self, key: &str) -> Option<&Value> {
        match key.split_once('.') {
            Some((section, key)) => self.table.get(section)?.get(key),
            None => self.table.get(key),
        }
    }

    fn text(&self, key: &str, default: &str) -> Result<String, String> {
        match self.get(key) {
            None => Ok(default.into()),
            Some(Value::String(text)) => Ok(text.trim().into()),
            Some(other) => Err(self.wrong(key, "text", other)),
        }
    }

    /// 0 where it isn't set, as all numbers asked for here have it.
    fn number(&self, key: &str) -> Result<u64, String> {
        let wrong = |value: &Value| self.wrong(key, "a whole number", value);
        match self.get(key) {
            None => Ok(0),
            Some(value @ Value::Integer(number)) => u64::try_from(*number).map_err(|_| wrong(value)),
            Some(value @ Value::String(text)) => text.trim().parse().map_err(|_| wrong(value)),
            Some(other) => Err(wrong(other)),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Boolean(flag)) => Ok(*flag),
            Some(value @ Value::String(text)) => {
                text.trim().parse().map_err(|_| self.wrong(key, "true or false", value))
            }
            Some(other) => Err(self.wrong(key, "true or false", other)),
        }
    }

    fn duration_ms(&self, key: &str, default: u64) -> Result<u64, String> {
        match self.get(key) {
            None => Ok(default),
            Some(value @ Value::String(text)) => {
                go_duration_ms(text).ok_or_else(|| self.wrong(key, "a duration such as \"1s\"", value))
            }
            // A bare number is nanoseconds.
            Some(value @ Value::Integer(ns)) => {
                u64::try_from(*ns).map(|ns| ns / 1_000_000).map_err(|_| self.wrong(key, "a duration", value))
            }
            Some(other) => Err(self.wrong(key, "a duration such as \"1s\"", other)),
        }
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Value) -> String {
        format!("{}: {key} should be {wanted}, not {found}", self.name)
    }
}
