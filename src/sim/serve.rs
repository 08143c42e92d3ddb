//! The simulation's own process: builds the hosts, serves them, and takes everything away at its end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, kex};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use super::control::{Reply, Request};
use super::host::{Folders, NodeKey, failed, genesis, make, ssh_key, write, write_json};
use super::layout::{Layout, SimHost};
use super::link::{Host, any_port, bind, listen};
use super::model::{Model, Node};
use super::world::World;
use super::{process, systemctl};
use crate::error::{Error, Result};

/// How often the chain moves on.
const TICK: Duration = Duration::from_millis(20);
/// How keys are exchanged, with what says that both sides are strict about the order of messages.
const KEX: &[kex::Name] =
    &[kex::CURVE25519, kex::EXTENSION_SUPPORT_AS_SERVER, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER];
/// A chain that is halted at the outset has been for so long, ms.
const HALTED_FOR: i64 = 252_000;

/// Runs a simulation in `dir`, a folder that doesn't exist yet or is empty, until standard input ends or SIGTERM
/// comes. Says on `out`, in one line of JSON, when and where it is ready; at the end no process and no file is left.
pub async fn serve(dir: &Path, layout: &Layout, out: &mut (dyn Write + Send)) -> Result<()> {
    make(dir)?;
    let dir = dir.canonicalize().map_err(failed(dir.display()))?;
    if fs::read_dir(&dir).map_err(failed(dir.display()))?.next().is_some() {
        return Err(Error::usage(format!("{} is not empty", dir.display())).hint("give --dir a new folder"));
    }
    let mut term = signal(SignalKind::terminate()).map_err(failed("signal"))?;
    let ended = tokio::select! {
        ended = run(&dir, layout, out) => ended,
        () = parent_gone() => Ok(()),
        _ = term.recv() => Ok(()),
    };
    process::end_all(&dir);
    fs::remove_dir_all(&dir).map_err(failed(dir.display()))?;
    ended
}

async fn parent_gone() {
    let (gone, wait) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for a read of its own at the end.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink()); // an error is an end too
        let _ = gone.send(());
    });
    let _ = wait.await;
}

/// A host that is built, and its listener.
struct Built {
    host: Arc<Host>,
    listener: TcpListener,
    port: u16,
}

async fn run(dir: &Path, layout: &Layout, out: &mut (dyn Write + Send)) -> Result<()> {
    let exe = std::env::current_exe().map_err(failed("own program"))?;
    let control = UnixListener::bind(dir.join("control")).map_err(failed("control"))?;
    let client = client_key(dir)?;
    let (mut built, mut nodes) = (Vec::new(), Vec::new());
    for (sim, late) in layout.hosts.iter().zip((0..7).cycle()) {
        let (key, folders) = (NodeKey::random()?, Folders::new(dir, &sim.name));
        folders.create(layout, &key)?;
        let mut node = key.node(&sim.name, sim.power);
        node.join_ms = layout.join_ms * (100 + 5 * late) / 100;
        nodes.push(node);
        built.push(build(folders, layout.stranded.then_some(key.private), client.clone())?);
    }
    let ports: BTreeMap<_, _> = built.iter().map(|b| (b.host.folders.name.clone(), b.port)).collect();
    let model = chain(layout, nodes)?;
    finish_homes(&built, layout, &model)?;
    write_inventory(dir, layout, &built)?;
    let hosts = built.iter().map(|b| Arc::clone(&b.host)).collect();
    let world = Arc::new(World::new(exe, model, &layout.unit, hosts));
    world.begin(&layout.down)?;
    for Built { host, listener, .. } in built {
        tokio::spawn(listen(Arc::clone(&world), host, listener));
    }
    tokio::spawn(serve_control(Arc::clone(&world), control));
    let ready = json!({"ready": true, "dir": dir, "inventory": dir.join("inventory.toml"), "ports": ports});
    writeln!(out, "{ready}").and_then(|()| out.flush()).map_err(failed("standard output"))?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        world.tick()?;
    }
}

/// The key that the hosts let in; its private half lies in the simulation's folder.
fn client_key(dir: &Path) -> Result<PublicKey> {
    let key = ssh_key()?;
    let text = key.to_openssh(LineEnding::LF).map_err(|error| Error::failed(format!("simulation: {error}")))?;
    let path = dir.join("id_ed25519");
    write(&path, text.as_bytes())?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, private).map_err(failed(path.display()))?;
    Ok(key.public_key().clone())
}

fn build(folders: Folders, signer: Option<PrivateKey>, client: PublicKey) -> Result<Built> {
    let socket = bind(any_port()).and_then(|socket| socket.listen(1024));
    let listener = socket.map_err(failed("listen"))?;
    let port = listener.local_addr().map_err(failed("listen"))?.port();
    let host = Arc::new(Host::new(folders, signer, server(ssh_key()?), client));
    Ok(Built { host, listener, port })
}

fn server(key: PrivateKey) -> Config {
    Config {
        keys: vec![key],
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        nodelay: true,
        // A test connects hundreds of times: no post-quantum exchange.
        preferred: Preferred { kex: Cow::Borrowed(KEX), ..Preferred::DEFAULT },
        ..Config::default()
    }
}

/// The chain with the hosts' nodes and the foreign validators, of whom those that vote run for ever.
fn chain(layout: &Layout, mut nodes: Vec<Node>) -> Result<Model> {
    for foreign in &layout.foreign {
        let mut node = NodeKey::random()?.node(&foreign.name, foreign.power);
        node.started_ms = foreign.votes.then_some(0);
        nodes.push(node);
    }
    let silent = layout.foreign.iter().filter(|f| !f.votes).map(|f| &f.name).chain(&layout.down);
    let silent: Vec<_> = silent.collect();
    let online: u64 = nodes.iter().filter(|node| !silent.contains(&&node.name)).map(|node| node.power).sum();
    let now_ms = process::now_ms();
    let model = Model::new(&layout.chain_id, layout.block_time_ms, layout.height, nodes, now_ms);
    let halted = layout.stranded || online < model.quorum();
    let last_ms = if halted { now_ms - HALTED_FOR } else { now_ms };
    let mut model = Model::new(&layout.chain_id, layout.block_time_ms, layout.height, model.nodes, last_ms);
    if layout.stranded {
        model.strand();
    }
    Ok(model)
}

fn finish_homes(built: &[Built], layout: &Layout, model: &Model) -> Result<()> {
    let genesis = genesis(layout, &model.nodes);
    for Built { host, .. } in built {
        write_json(&host.folders.home().join("config/genesis.json"), &genesis)?;
        let signer = model.node(&host.folders.name).map(|node| node.signer).unwrap_or_default();
        host.write_signer(&layout.chain_id, signer)?;
    }
    Ok(())
}

/// The inventory and the `known_hosts` file of the hosts.
fn write_inventory(dir: &Path, layout: &Layout, built: &[Built]) -> Result<()> {
    let quoted = |path: PathBuf| toml::Value::from(path.display().to_string());
    let (identity, known_hosts) = (quoted(dir.join("id_ed25519")), quoted(dir.join("known_hosts")));
    let Layout { chain_id, unit, block_time_ms, .. } = layout;
    let mut lines = vec![format!(
        "format = 1\n\n[fleet]\nname = \"simulated\"\n\n[ssh]\nuser = \"ops\"\nidentity = [{identity}]\n\
         known_hosts = [{known_hosts}]\nbecome = \"sudo\"\nconnect_timeout = \"5s\"\n\n[chains.virtengine]\n\
         chain_id = \"{chain_id}\"\nunit = \"{unit}\"\nbinary = \"virtengined\"\nblock_time = \"{block_time_ms}ms\"\n\
         halt_after = \"{}ms\"\n",
        block_time_ms * 5
    )];
    let mut known = Vec::new();
    for (Built { host, port, .. }, SimHost { name, role, .. }) in built.iter().zip(&layout.hosts) {
        let role = toml::Value::try_from(role).map_err(|error| Error::failed(error.to_string()))?;
        let home = quoted(host.folders.home());
        lines.push(format!(
            "[hosts.{name}]\naddress = \"127.0.0.1:{port}\"\nrole = {role}\nchain = \"virtengine\"\nhome = {home}\n"
        ));
        let keys = host.config.keys.iter().filter_map(|key| key.public_key().to_openssh().ok());
        known.extend(keys.map(|key| format!("[127.0.0.1]:{port} {key}\n")));
    }
    write(&dir.join("inventory.toml"), lines.join("\n").as_bytes())?;
    write(&dir.join("known_hosts"), known.concat().as_bytes())
}

async fn serve_control(world: Arc<World>, listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let _ = reply(world, stream).await; // the asker may be killed while it waits
        });
    }
}

async fn reply(world: Arc<World>, stream: UnixStream) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(1 << 20)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(request) => carry_out(&world, request).await,
        Err(error) => Reply::err(2, format!("not a request: {error}")),
    };
    write.write_all((serde_json::to_string(&reply)? + "\n").as_bytes()).await
}

async fn carry_out(world: &Arc<World>, request: Request) -> Reply {
    match request {
        Request::Call { host, program, args } if program == "systemctl" => {
            systemctl::systemctl(world, &host, &args).await
        }
        Request::Call { host, program, args } if program == "journalctl" => systemctl::journalctl(world, &host, &args),
        Request::Call { program, .. } => Reply::err(127, format!("{program}: not simulated\n")),
        Request::Fault { host, fault } => {
            world.fault(&host, fault).unwrap_or_else(|error| Reply::err(1, error.message))
        }
        Request::Chain => {
            serde_json::to_string(&world.chain()).map_or_else(|error| Reply::err(1, error.to_string()), Reply::out)
        }
    }
}
