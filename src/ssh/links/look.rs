//! A look at the keys that hosts show, without logging in.

use super::{DEPTH, Dial, Flow, LinkError, LinkErrorKind, Links, Node, Prepared};
use crate::ssh::gate::{Shown, key_types};

/// What a host showed.
pub struct Look {
    /// How it is reached, and what was recorded about its keys.
    pub prepared: Prepared,
    /// Its keys, one of each type fleet verifies.
    pub keys: Vec<Shown>,
}

impl Links {
    /// The jump hosts on the way to `host`, the nearest first, and the host itself at the end.
    pub async fn way(&self, host: &str) -> Result<Vec<Node>, LinkError> {
        let mut way = vec![Node::Host(host.to_owned())];
        while let Some(next) = self.0.prepare(&way[0]).await?.next {
            if way.len() > DEPTH || way.contains(&next) {
                let message = format!("{host}: the jump hosts go round in a circle at {}", next.name());
                return Err(LinkError::new(LinkErrorKind::Config, message)
                    .hint(format!("set jump = \"none\" for {} in the inventory", next.name())));
            }
            way.insert(0, next);
        }
        Ok(way)
    }

    /// The keys that `node` shows; its jump hosts must be trusted already.
    pub async fn look(&self, node: &Node) -> Result<Look, LinkError> {
        let prepared = self.0.prepare(node).await?;
        let via = self.0.via(&prepared, Flow::Drained, 0).await?;
        let mut keys = Vec::new();
        for kind in key_types(&[]) {
            let _turn = self.0.dialing.acquire().await;
            let Prepared { settings, records, .. } = &prepared;
            keys.extend(Dial { settings, records, via: via.as_ref() }.look(&kind).await?);
        }
        Ok(Look { prepared, keys })
    }
}
