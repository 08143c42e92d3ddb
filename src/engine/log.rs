//! The one place events go through: journal first, then the state, then the screen.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::event::{Event, RunState, What};

/// Keeps events for good.
pub trait Recorder: Send {
    /// Returns when the event is on disk.
    fn record(&mut self, event: &Event) -> std::io::Result<()>;
}

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// Unix ns.
    fn unix_ns(&self) -> i64;
    /// Unix ms.
    fn unix_ms(&self) -> i64 {
        self.unix_ns() / 1_000_000
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_ns(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// Where events are shown.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Journal, state and screen of one run.
pub struct Log {
    inner: Mutex<Inner>,
}

struct Inner {
    recorder: Box<dyn Recorder>,
    sink: Sink,
    state: RunState,
    broken: Option<String>,
}

impl Log {
    /// A log that goes on from `state`.
    pub fn new(recorder: Box<dyn Recorder>, sink: Sink, state: RunState) -> Self {
        Self { inner: Mutex::new(Inner { recorder, sink, state, broken: None }) }
    }

    /// Records, folds and shows. A journal that can't be written to is remembered: see [`Log::intend`].
    pub fn emit(&self, at_ms: i64, what: What) {
        let _ = self.intend(at_ms, what);
    }

    /// As [`Log::emit`], for what must be on disk before a byte goes to a host.
    pub fn intend(&self, at_ms: i64, what: What) -> Result<(), String> {
        let event = Event { at_ms, what };
        let inner = &mut *self.lock();
        if let Err(error) = inner.recorder.record(&event) {
            inner.broken.get_or_insert(format!("the journal can't be written: {error}"));
        }
        inner.state.apply(&event);
        (inner.sink)(&event);
        inner.broken.clone().map_or(Ok(()), Err)
    }

    /// The state now.
    pub fn state(&self) -> RunState {
        self.lock().state.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
