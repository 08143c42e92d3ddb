//! A simulated host's SSH server: commands run for real under `sh`, and the node's RPC answers on a forwarded port.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::sync::Arc;

use russh::server::{Auth, ChannelOpenHandle, Handle, Handler, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, Sig};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use super::host::RPC_PORT;
use super::link::Host;
use super::unit::End;
use super::world::World;
use super::{process, rpc};

/// One connection.
pub struct Session {
    world: Arc<World>,
    host: Arc<Host>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Session {
    /// A connection to `host`.
    pub fn new(world: Arc<World>, host: Arc<Host>) -> Self {
        Self { world, host, channels: HashMap::new() }
    }

    fn rpc_open(&self) -> bool {
        let name = &self.host.folders.name;
        self.world.state().model.node(name).is_some_and(|node| node.rpc_open(process::now_ms()))
    }
}

impl Handler for Session {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = key.public_key.key_data() == self.host.client.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        to: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let local = matches!(to, "127.0.0.1" | "localhost" | "::1");
        if self.host.knobs.borrow().forward_refused {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        } else if !local || port != RPC_PORT || !self.rpc_open() {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        } else {
            reply.accept().await;
            tokio::spawn(serve_rpc(Arc::clone(&self.world), Arc::clone(&self.host), channel));
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        if self.host.knobs.borrow().hang {
            self.channels.insert(id, channel);
            return Ok(());
        }
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(OsStr::from_bytes(command));
        shell.env_clear().envs(self.host.folders.environment(&self.world.exe));
        shell.current_dir(self.host.folders.host.join("user")).process_group(0);
        match shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => drop(tokio::spawn(run(child, channel, session.handle()))),
            Err(_) => session.close(id)?,
        }
        Ok(())
    }
}

/// Answers while the node runs; its death ends the connection at the next request.
async fn serve_rpc(world: Arc<World>, host: Arc<Host>, channel: Channel<Msg>) {
    let name = &host.folders.name;
    let ask = async |target: String| {
        if target.contains("consensus_state") {
            let _ = host.knobs.subscribe().wait_for(|knobs| !knobs.rpc_hangs).await;
        }
        rpc::answer(&world.state().model, name, &target, process::now_ms())
    };
    let open = || world.state().model.node(name).is_some_and(|node| node.rpc_open(process::now_ms()));
    let _ = rpc::serve(channel.into_stream(), open, ask).await; // the other side may leave at any time
}

/// Carries a command's streams as sshd does: when the link goes its pipes are closed and it runs on.
async fn run(mut child: Child, channel: Channel<Msg>, handle: Handle) {
    let id = channel.id();
    let (input, output) = channel.split();
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(mut stdout), Some(mut stderr)) = streams else { return };
    let (mut to_stdout, mut to_stderr) = (output.make_writer(), output.make_writer_ext(Some(1)));
    let pumps = tokio::spawn(async move {
        let out = async { tokio::io::copy(&mut stdout, &mut to_stdout).await };
        let err = async { tokio::io::copy(&mut stderr, &mut to_stderr).await };
        let _ = tokio::join!(out, err);
    });
    let (stop, feed) = (pumps.abort_handle(), tokio::spawn(feed(input, stdin)));
    tokio::spawn(async move {
        let _ = feed.await;
        stop.abort();
    });
    if let Ok(status) = child.wait().await {
        let _ = match End::from(status) {
            End::Exited(code) => handle.exit_status_request(id, code.cast_unsigned()).await,
            End::Killed(signal) => {
                handle.exit_signal_request(id, name(signal), false, String::new(), String::new()).await
            }
        };
    }
    let _ = pumps.await; // a child left behind may hold the output open
    let _ = handle.eof(id).await;
    let _ = handle.close(id).await;
}

/// Passes input on until the channel or the connection ends; the end of the input closes the pipe.
async fn feed(mut input: ChannelReadHalf, stdin: ChildStdin) {
    let mut stdin = Some(stdin);
    while let Some(message) = input.wait().await {
        match (message, &mut stdin) {
            (ChannelMsg::Data { data }, Some(pipe)) => {
                let _ = pipe.write_all(&data).await; // nobody may be reading any more
            }
            (ChannelMsg::Eof, _) => stdin = None,
            (ChannelMsg::Close, _) => break,
            _ => {}
        }
    }
}

fn name(signal: i32) -> Sig {
    match signal {
        1 => Sig::HUP,
        2 => Sig::INT,
        6 => Sig::ABRT,
        9 => Sig::KILL,
        11 => Sig::SEGV,
        13 => Sig::PIPE,
        15 => Sig::TERM,
        other => Sig::Custom(other.to_string()),
    }
}
