//! `ssh_config`, as `ssh -G` tells it: the only reader that gets `Match` and `Include` right.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::error::{LinkError, LinkErrorKind};

/// How long `ssh -G` may take: a `Match exec` in it may hang.
const BOUND: Duration = Duration::from_secs(5);

/// The options of one host, keys in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshConfig {
    values: BTreeMap<String, Vec<String>>,
}

impl SshConfig {
    /// Reads what `ssh -G` prints: one option a line.
    pub fn parse(text: &str) -> Self {
        let mut config = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.trim().split_once(' ')) {
            config.values.entry(key.to_lowercase()).or_default().push(value.trim().to_owned());
        }
        config
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.first().map(String::as_str)
    }

    /// The first value of `key`, unless it is `none`.
    pub fn some(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.eq_ignore_ascii_case("none"))
    }

    /// Every value of `key`.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.values.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Whether `key` is switched on.
    pub fn is_on(&self, key: &str) -> bool {
        matches!(self.get(key), Some("yes" | "true"))
    }
}

/// Asks `ssh -G` about `host`, as the login `user` and at `port` where the inventory gives them. `ssh` is the program
/// and its leading arguments; without such a program there is no `ssh_config` either.
pub async fn ask(ssh: &[String], host: &str, user: Option<&str>, port: Option<u16>) -> Result<SshConfig, LinkError> {
    let Some((program, leading)) = ssh.split_first() else { return Ok(SshConfig::default()) };
    let fail = |why: String| LinkError::new(LinkErrorKind::Config, format!("ssh -G {host}: {why}"));
    let mut command = Command::new(program);
    command.args(leading).arg("-G").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(user) = user {
        command.args(["-l", user]);
    }
    if let Some(port) = port {
        command.args(["-p", &port.to_string()]);
    }
    command.arg("--").arg(host).kill_on_drop(true);
    let output = match tokio::time::timeout(BOUND, command.output()).await {
        Err(_) => return Err(fail("no answer in 5 s".into()).hint("look for a Match exec in ssh_config that hangs")),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(SshConfig::default()),
        Ok(Err(error)) => return Err(fail(error.to_string())),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(SshConfig::parse(&String::from_utf8_lossy(&output.stdout)));
    }
    Err(fail(String::from_utf8_lossy(&output.stderr).trim().to_owned()).hint("correct ssh_config, or the address"))
}

/// What `%` stands for in the paths and commands of `ssh_config`.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    /// `%h`, and the host that a `ProxyCommand` goes to.
    pub host: &'a str,
    /// `%n`, the name before `HostName`.
    pub original: &'a str,
    /// `%p`.
    pub port: u16,
    /// `%r`.
    pub user: &'a str,
    /// `%u`.
    pub login: &'a str,
    /// `%d`, and `~`.
    pub home: &'a Path,
    /// `%k`.
    pub alias: &'a str,
}

impl Tokens<'_> {
    /// `text` with its tokens and `${VARIABLES}` filled in.
    pub fn expand(&self, text: &str) -> Result<String, LinkError> {
        let fail = |what: &str| {
            LinkError::new(LinkErrorKind::Config, format!("ssh_config: {what} in \"{text}\" isn't supported"))
                .hint("write the value itself there, or set the option in the inventory")
        };
        let (mut out, mut chars) = (String::new(), text.chars().peekable());
        while let Some(c) = chars.next() {
            if c == '$' && chars.peek() == Some(&'{') {
                let name: String = chars.by_ref().skip(1).take_while(|&c| c != '}').collect();
                out += &std::env::var(&name).map_err(|_| fail(&format!("${{{name}}}, which isn't set,")))?;
            } else if c == '%' {
                let token = chars.next().unwrap_or(' ');
                out += &self.token(token).ok_or_else(|| fail(&format!("%{token}")))?;
            } else {
                out.push(c);
            }
        }
        Ok(out)
    }

    fn token(&self, token: char) -> Option<String> {
        Some(match token {
            '%' => "%".into(),
            'h' => self.host.into(),
            'n' => self.original.into(),
            'p' => self.port.to_string(),
            'r' => self.user.into(),
            'u' => self.login.into(),
            'd' => self.home.display().to_string(),
            'k' => self.alias.into(),
            'i' => rustix::process::getuid().as_raw().to_string(),
            'l' => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            'L' => rustix::system::uname().nodename().to_string_lossy().split('.').next()?.to_owned(),
            _ => return None,
        })
    }

    /// `text` as a path, with `~` too.
    pub fn path(&self, text: &str) -> Result<PathBuf, LinkError> {
        Ok(home_path(Path::new(&self.expand(text)?), self.home))
    }
}

/// `path` with a leading `~` replaced.
pub fn home_path(path: &Path, home: &Path) -> PathBuf {
    path.strip_prefix("~").map_or_else(|_| path.to_path_buf(), |rest| home.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_ssh_is_read_as_it_is() {
        let config = SshConfig::parse("user ops\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b c\nproxyjump none\n");
        assert_eq!(config.get("user"), Some("ops"));
        assert_eq!(config.all("identityfile").collect::<Vec<_>>(), ["~/.ssh/a", "~/.ssh/b c"]);
        assert_eq!((config.get("proxyjump"), config.some("proxyjump")), (Some("none"), None));
        assert!(!config.is_on("identitiesonly"));
    }

    #[test]
    fn tokens_are_filled_in_or_refused() {
        let home = PathBuf::from("/home/o");
        let tokens = Tokens { host: "h", original: "n", port: 2, user: "r", login: "u", home: &home, alias: "k" };
        assert_eq!(tokens.expand("x %h:%p %r%%").unwrap(), "x h:2 r%");
        assert_eq!(tokens.path("~/.ssh/%n").unwrap(), home.join(".ssh/n"));
        assert!(tokens.expand("%C").unwrap_err().message.contains("%C"));
    }
}
