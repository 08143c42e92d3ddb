//! A stop that waits on its host: the other end of `arm.sh`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use crate::engine::{Armed, ClockSample, Fault, Receipt};
use crate::ssh::Link;
use crate::ssh::shell::Script;
use crate::ssh::transport::receipt;

/// One waiting script. Dropping it closes its connection, which disarms it.
pub struct Waiting {
    script: Script,
    /// Held so that the connection lives as long as the wait.
    _link: Arc<Link>,
}

impl Waiting {
    /// Returns when the host says that it waits.
    pub async fn new(link: Arc<Link>, script: Script) -> Result<Self, Fault> {
        let mut waiting = Self { script, _link: link };
        match waiting.line().await? {
            said if said == "armed" => Ok(waiting),
            said => Err(Fault::answer(said.strip_prefix("refused=").unwrap_or(&said))),
        }
    }

    async fn line(&mut self) -> Result<String, Fault> {
        let line = self.script.line().await.map_err(Fault::from)?;
        line.ok_or_else(|| Fault::unknown("the waiting command ended"))
    }

    async fn say(&mut self, line: &str) -> Result<(), Fault> {
        self.script.send(line).await.map_err(Fault::from)
    }
}

#[async_trait]
impl Armed for Waiting {
    #[allow(clippy::cast_precision_loss)] // differences of clocks in ns are shown in ms
    async fn clock(&mut self) -> Result<ClockSample, Fault> {
        let sent = unix_ns();
        self.say("clock").await?;
        let line = self.line().await?;
        let received = unix_ns();
        let host: i128 = line
            .strip_prefix("clock ")
            .and_then(|ns| ns.parse().ok())
            .ok_or_else(|| Fault::answer(&format!("no clock: {line}")))?;
        Ok(ClockSample {
            offset_ms: (host - i128::midpoint(sent, received)) as f64 / 1e6,
            rtt_ms: (received - sent) as f64 / 1e6,
        })
    }

    async fn fire(&mut self, host_ns: i64) -> Result<(), Fault> {
        self.say(&format!("fire {host_ns}")).await?;
        loop {
            match &*self.line().await? {
                "ack" => return Ok(()),
                line if line.starts_with("clock ") => {}
                line => return Err(Fault::unknown(line)),
            }
        }
    }

    async fn receipt(&mut self) -> Result<Receipt, Fault> {
        let mut text = String::new();
        loop {
            let line = self.line().await?;
            text.push_str(&line);
            text.push('\n');
            if line == "done=1" {
                return Ok(receipt(&text));
            }
        }
    }

    async fn disarm(&mut self) {
        // Where even this doesn't arrive, the closing link disarms.
        let _ = self.say("disarm").await;
    }
}

fn unix_ns() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0))
}
