//! [`Transport`] over SSH: every question and every action is one of the constant scripts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::engine::{
    Answer, Armed, Claim, FactsTarget, Fault, FaultKind, Fence, Grant, Order, Probe, Prober, Receipt, Transport, Turn,
};
use crate::model::facts::HostAnswer;
use crate::model::inventory::{Become, Inventory};
use crate::model::plan::{Action, Check, Target, WalContent};
use crate::ssh::armed::Waiting;
use crate::ssh::resident::Residents;
use crate::ssh::shell::{Script, open_script, run_script};
use crate::ssh::source::Source;
use crate::ssh::{Link, LinkError, LinkErrorKind, Links, answer, http, scripts};

/// How long a question may take on a host.
const PROBE: Duration = Duration::from_secs(15);
/// How long the facts of a host may take at the very most; whoever gathers them waits for as long as was asked for.
const FACTS: Duration = Duration::from_secs(300);
/// How long one RPC answer may take.
const RPC: Duration = Duration::from_secs(4);
/// What a host gets beyond the time a step may take, for the link.
const GRACE: Duration = Duration::from_secs(5);

/// The fleet's hosts over SSH.
pub struct SshTransport {
    links: Arc<Links>,
    inventory: Arc<Inventory>,
    residents: Residents,
}

impl SshTransport {
    /// Over these links.
    pub fn new(links: Arc<Links>, inventory: Arc<Inventory>) -> Self {
        Self { links, inventory, residents: Residents::default() }
    }

    fn become_of(&self, host: &str) -> Become {
        self.inventory.host(host).and_then(|host| host.ssh.r#become).unwrap_or_default()
    }

    /// A host's files, over a connection of their own.
    pub async fn source(&self, host: &str) -> Result<Source, Fault> {
        let link = self.links.bulk(host).await.map_err(Fault::from)?;
        Ok(Source::new(link, self.become_of(host)))
    }

    /// Keeps a clone from being taken for one that nobody uses. How full its disk is, percent, and the bytes that are free.
    pub async fn use_clone(&self, host: &str, clone: &str) -> Result<(u8, u64), Fault> {
        let text = self.script(host, scripts::CLONE_USED, &[clone], PROBE).await?;
        answer::disk(text.trim()).ok_or_else(|| Fault::answer("its disk can't be told"))
    }

    async fn script(&self, host: &str, script: &str, args: &[&str], bound: Duration) -> Result<String, Fault> {
        let link = self.links.link(host).await.map_err(Fault::from)?;
        let asked = self.residents.run(&link, self.become_of(host), (script, args), bound);
        let output = asked.await.map_err(Fault::from)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match answer::value(&text, "error") {
            Some(error) => Err(Fault::answer(error)),
            None => Ok(text),
        }
    }

    /// A script's answer that must have come to its end.
    async fn whole(&self, host: &str, script: &str, args: &[&str], bound: Duration) -> Result<String, Fault> {
        let text = self.script(host, script, args, bound).await?;
        if answer::is_whole(&text) { Ok(text) } else { Err(Fault::answer("its answer broke off")) }
    }

    async fn facts(&self, host: &str, targets: &[FactsTarget]) -> Result<HostAnswer, Fault> {
        let mut args: Vec<&str> = Vec::new();
        for target in targets {
            let home = target.home.as_deref().unwrap_or_default();
            let (binary, journal) =
                (target.binary.as_deref().unwrap_or_default(), if target.journal { "1" } else { "" });
            args.extend([&*target.name, &*target.unit, home, binary, journal]);
        }
        let (text, privilege_error) = self.with_or_without_root(host, scripts::PROBE_HOST, &args).await?;
        let mut facts = answer::host(&text, targets);
        facts.privilege_error = privilege_error;
        self.add_files(host, &mut facts).await?;
        Ok(facts)
    }

    /// Where root rights can't be had, what can be seen without them is better than nothing.
    async fn with_or_without_root(
        &self,
        host: &str,
        script: &str,
        args: &[&str],
    ) -> Result<(String, Option<String>), Fault> {
        match self.whole(host, script, args, FACTS).await {
            Ok(text) => Ok((text, None)),
            Err(fault) if fault.kind == FaultKind::Privilege => {
                let link = self.links.link(host).await.map_err(Fault::from)?;
                let output = run_script(&link, Become::None, script, args, FACTS).await.map_err(Fault::from)?;
                Ok((String::from_utf8_lossy(&output.stdout).into_owned(), Some(fault.reason)))
            }
            Err(fault) => Err(fault),
        }
    }

    async fn add_files(&self, host: &str, facts: &mut HostAnswer) -> Result<(), Fault> {
        let mut args: Vec<&str> = Vec::new();
        for (name, service) in &facts.services {
            let Some(config) = &service.config else { continue };
            let local = config.remote_signer.is_empty();
            let (key, state) = if local { (&*config.key_file, &*config.state_file) } else { ("", "") };
            args.extend([&**name, key, state, &*config.genesis_file, &*config.db_dir]);
        }
        if args.is_empty() {
            return Ok(());
        }
        let (text, _) = self.with_or_without_root(host, scripts::PROBE_FILES, &args).await?;
        for (name, part) in answer::sections(&text).1 {
            if let Some(service) = facts.services.get_mut(name) {
                answer::add_files(service, part);
            }
        }
        Ok(())
    }

    /// RPC through a channel; by the host's own curl where sshd forbids forwarding.
    async fn rpc(&self, host: &str, address: &str, path: &str) -> Result<Vec<u8>, Fault> {
        let link = self.links.link(host).await.map_err(Fault::from)?;
        let (name, port) = split_address(address)?;
        match link.tcp(name, port).await {
            Ok(stream) => http::get(stream, address, path, RPC).await,
            Err(error) if error.kind == LinkErrorKind::ForwardForbidden => self.rpc_by_curl(&link, address, path).await,
            Err(error) => Err(Fault::answer(&error.message)),
        }
    }

    async fn rpc_by_curl(&self, link: &Arc<Link>, address: &str, path: &str) -> Result<Vec<u8>, Fault> {
        let url = format!("http://{address}{path}");
        let seconds = RPC.as_secs().to_string();
        let args = [&*url, &*seconds];
        let output = run_script(link, Become::None, scripts::PROBE_HTTP, &args, RPC + GRACE).await?;
        if output.exit == crate::ssh::Exit::Code(0) {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let hint = "allow it in the host's sshd_config: AllowTcpForwarding local".into();
        let reason = format!("sshd forbids forwarding, and by curl: {}", said.trim());
        Err(Fault { hint: Some(hint), ..Fault::answer(&reason) })
    }
}

fn split_address(address: &str) -> Result<(&str, u16), Fault> {
    let split = address.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    let (name, port) = split.ok_or_else(|| Fault::answer(&format!("'{address}' is no RPC address (host:port)")))?;
    Ok((name.trim_start_matches('[').trim_end_matches(']'), port))
}

#[async_trait]
impl Prober for SshTransport {
    async fn probe(&self, host: &str, probe: &Probe) -> Result<Answer, Fault> {
        match probe {
            Probe::Facts(targets) => Ok(Answer::Facts(Box::new(self.facts(host, targets).await?))),
            Probe::Unit(target) => {
                let args = target_args(target);
                let text = self.whole(host, scripts::PROBE_UNIT, &args, PROBE).await?;
                Ok(Answer::Unit(Box::new(answer::observation(&text))))
            }
            Probe::Rpc { address, query } => Ok(Answer::Body(self.rpc(host, address, &query.path()).await?)),
            Probe::Lock => {
                let text = self.whole(host, scripts::PROBE_LOCK, &[], PROBE).await?;
                Ok(Answer::Lock(answer::lock(&text)))
            }
            Probe::Wals { wal_file, state_file } => {
                let text = self.whole(host, scripts::PROBE_WAL, &[wal_file, state_file], PROBE).await?;
                Ok(Answer::Wals(answer::wals(&text)))
            }
            Probe::Stretch { path, offset, length } => {
                let args = [&**path, &*offset.to_string(), &*length.to_string()];
                let text = self.whole(host, scripts::PROBE_STRETCH, &args, PROBE * 4).await?;
                let bytes = answer::value(&text, "bytes").and_then(answer::bytes);
                bytes.map(Answer::Body).ok_or_else(|| Fault::answer("the file's bytes did not come whole"))
            }
            Probe::Genesis { path } => {
                let text = self.script(host, scripts::PROBE_GENESIS, &[path], PROBE * 4).await?;
                Ok(Answer::Body(text.into_bytes()))
            }
        }
    }
}

fn target_args(target: &Target) -> [&str; 5] {
    [&target.unit, &target.home, &target.db_dir, &target.state_file, &target.wal_file]
}

#[async_trait]
impl Transport for SshTransport {
    async fn lock(&self, host: &str, claim: &Claim) -> Result<Grant, Fault> {
        let (ttl, renews) = (claim.ttl_s.to_string(), claim.renews.map_or_else(String::new, |epoch| epoch.to_string()));
        let args = [&*claim.run, &*one_line(&claim.owner), &*one_line(&claim.reason), &*claim.digest, &*ttl, &*renews];
        let text = self.script(host, scripts::LOCK, &args, PROBE).await?;
        if let Some(epoch) = answer::value(&text, "epoch").and_then(|epoch| epoch.parse().ok()) {
            let taken_over = answer::value(&text, "taken_over").map(Into::into);
            return Ok(Grant { epoch, taken_over });
        }
        Err(match answer::lock(&text) {
            Some(lock) => Fault::locked(lock),
            None => Fault::answer("its answer broke off"),
        })
    }

    async fn unlock(&self, host: &str, fence: &Fence) -> Result<(), Fault> {
        let epoch = fence.epoch.to_string();
        self.whole(host, scripts::UNLOCK, &[&fence.run, &epoch], PROBE).await.map(drop)
    }

    async fn act(&self, order: &Order, turn: &Turn) -> Result<Receipt, Fault> {
        let expect = if order.expect == Check::Stopped { "stopped" } else { "" };
        let action = match order.action {
            Action::Observe | Action::Archive { .. } | Action::Fetch => return Err(Fault::answer("nothing to do")),
            Action::Stop { .. } => "stop",
            Action::Start => "start",
            Action::SetWal => "set-wal",
            Action::UndoWal => "undo-wal",
            Action::Seal => "seal",
            Action::Swap => "swap",
        };
        let (epoch, seconds) = (order.fence.epoch.to_string(), (order.timeout_ms / 1000).max(1).to_string());
        let mut args = vec![&*order.fence.run, &*epoch, &*order.step, expect, action, &*seconds];
        args.extend(target_args(&order.target));
        let replaces = order.wal.as_ref().and_then(|wal| wal.replaces.as_ref());
        let size = replaces.map_or_else(String::new, |replaces| replaces.size.to_string());
        args.push(order.wal.as_ref().map_or("", |wal| &wal.sha256));
        args.extend([&*size, replaces.map_or("", |replaces| &replaces.signer)]);
        let host = &order.target.service.host;
        let link = self.links.link(host).await.map_err(Fault::from)?;
        let opening = prepare(&link, self.become_of(host), &args);
        let mut script = match timeout(PROBE, opening).await {
            Ok(Ok(Ready::Waits(script))) => script,
            Ok(Ok(Ready::Refused(text))) => {
                turn.refused.store(true, Ordering::Relaxed);
                return Ok(receipt(&text));
            }
            // Without its turn a script does nothing.
            Ok(Err(error)) => return Err(Fault { sent: false, ..error.into() }),
            Err(_) => return Err(Fault::answer(&format!("not ready in {} s", PROBE.as_secs()))),
        };
        turn.waits.store(true, Ordering::Relaxed);
        turn.ready.notify_one();
        turn.go.notified().await;
        let bound = Duration::from_millis(order.timeout_ms) + GRACE;
        match timeout(bound, go(&mut script, turn, order.wal.as_ref())).await {
            Ok(Ok(text)) if answer::is_whole(&text) => Ok(receipt(&text)),
            Ok(Ok(_)) => Err(Fault::unknown("its answer broke off")),
            Ok(Err(error)) => Err(Fault { sent: true, ..error.into() }),
            Err(_) => Err(Fault::unknown(&format!("no answer in {} s", bound.as_secs()))),
        }
    }

    async fn arm(&self, order: &Order, lease_s: u64) -> Result<Box<dyn Armed>, Fault> {
        let host = &order.target.service.host;
        let kill_after = match order.action {
            Action::Stop { kill_after_ms: Some(ms) } => ms.div_ceil(1000).max(1),
            _ => 0,
        };
        let (epoch, lease, kill) = (order.fence.epoch.to_string(), lease_s.to_string(), kill_after.to_string());
        let mut args = vec![&*order.fence.run, &*epoch, &*order.step, &*lease, &*kill];
        args.extend(target_args(&order.target));
        let link = self.links.fresh(host).await.map_err(Fault::from)?;
        let script = open_script(&link, self.become_of(host), scripts::ARM, &args).await.map_err(Fault::from)?;
        Ok(Box::new(Waiting::new(link, script).await?))
    }
}

/// What became of `act.sh` before its turn.
enum Ready {
    /// It waits.
    Waits(Box<Script>),
    /// It ended: what it printed.
    Refused(String),
}

/// Begins `act.sh` and reads until it waits for its turn.
async fn prepare(link: &Arc<Link>, r#become: Become, args: &[&str]) -> Result<Ready, LinkError> {
    let mut script = open_script(link, r#become, scripts::ACT, args).await?;
    let mut text = String::new();
    while let Some(line) = script.line().await? {
        if line == "ready=1" {
            return Ok(Ready::Waits(Box::new(script)));
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(Ready::Refused(text))
}

/// Gives it its turn and reads the rest.
async fn go(script: &mut Script, turn: &Turn, wal: Option<&WalContent>) -> Result<String, LinkError> {
    /// Characters of base64 in a line.
    const LINE: usize = 4096;
    if turn.called_off.load(Ordering::Relaxed) {
        script.send("leave it").await?;
    } else {
        script.send("go").await?;
        for line in wal.map_or(&[][..], |wal| wal.base64.as_bytes()).chunks(LINE) {
            script.send(&String::from_utf8_lossy(line)).await?;
        }
        if wal.is_some() {
            script.send("end").await?;
        }
    }
    let mut text = String::new();
    while let Some(line) = script.line().await? {
        if line == "alive=1" {
            turn.alive.notify_one();
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// What `act.sh` or `arm.sh` printed at its end.
pub(super) fn receipt(text: &str) -> Receipt {
    let refusal = answer::value(text, "refused").map(|reason| reason.trim().to_owned());
    Receipt { refusal, seen: answer::observation(text) }
}

/// Records on hosts hold one line for each thing.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(200).collect()
}

impl Fault {
    fn locked(lock: crate::model::facts::LockFacts) -> Self {
        let reason = if lock.remaining_s > 0 {
            format!("its lease holds for another {} s", lock.remaining_s)
        } else {
            format!("its lease has expired with steps under way: {}", lock.under_way.join(", "))
        };
        let hint = format!("'fleet resume {}' where it was started, or wait, or 'fleet unlock'", lock.run);
        Self { kind: FaultKind::Locked(Box::new(lock)), sent: false, reason, hint: Some(hint) }
    }
}

impl From<LinkError> for Fault {
    fn from(error: LinkError) -> Self {
        let kind = match error.kind {
            LinkErrorKind::Privilege => FaultKind::Privilege,
            _ => FaultKind::Link,
        };
        Self { kind, sent: error.is_unknown(), reason: error.message, hint: error.hint }
    }
}
