//! Jump hosts as `ssh_config` writes them.

/// A jump host that isn't in the inventory, and the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hop {
    /// The login there, where given.
    pub user: Option<String>,
    /// Its name or address.
    pub host: String,
    /// Its port, where given.
    pub port: Option<u16>,
    /// Through which other one it is reached.
    pub behind: Option<Box<Hop>>,
}

impl Hop {
    /// Reads `ProxyJump`: `[user@]host[:port]`, several joined by commas, the nearest to the target last.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').try_fold(None, |behind: Option<Self>, hop| {
            let hop = hop.trim();
            let hop = hop.strip_prefix("ssh://").unwrap_or(hop);
            let (user, host) = hop.rsplit_once('@').map_or((None, hop), |(user, host)| (Some(user), host));
            let (host, port) = split_port(host)?;
            let behind = behind.map(Box::new);
            (!host.is_empty()).then(|| Some(Self { user: user.map(Into::into), host: host.into(), port, behind }))
        })?
    }
}

/// `host:port`, `[v6]:port`, or a host alone.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(text) = text.strip_prefix('[') {
        let (host, rest) = text.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port.parse().ok()?))),
        _ => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_hosts_are_read_in_order() {
        let hop = Hop::parse("a@b1:22,[::1]:2222").unwrap();
        assert_eq!((hop.host.as_str(), hop.port, hop.user.as_deref()), ("::1", Some(2222), None));
        let first = hop.behind.unwrap();
        assert_eq!((first.host.as_str(), first.port, first.user.as_deref()), ("b1", Some(22), Some("a")));
        assert_eq!(Hop::parse("ssh://u@h:7").unwrap().port, Some(7));
        assert_eq!(Hop::parse("2001:db8::1").unwrap().host, "2001:db8::1");
        for bad in ["", "u@", "h:port", "[::1", "a,,b"] {
            assert!(Hop::parse(bad).is_none(), "{bad}");
        }
    }
}
