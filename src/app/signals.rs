//! The operator's interrupts: the first asks to leave at the next safe point, the second to leave now.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::engine::Interrupt;

/// Listens from now on. A closed terminal (SIGHUP) ends nothing: the run goes on.
pub fn listen() -> std::io::Result<watch::Receiver<Interrupt>> {
    let (send, receive) = watch::channel(Interrupt::None);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let number = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
                _ = hangup.recv() => continue,
            };
            send.send_modify(|level| {
                *level = if *level == Interrupt::None { Interrupt::Gently(number) } else { Interrupt::Now(number) };
            });
        }
    });
    Ok(receive)
}
