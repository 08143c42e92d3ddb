//! One thing done on one host.

use serde::{Deserialize, Serialize};

/// One thing done on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Checked on the host just before the action.
    pub expect: Check,
    /// What is done.
    pub action: Action,
    /// Checked afterwards until it holds or time is up; settles an unknown outcome too.
    pub verify: Check,
    /// The most that action and verification may take, ms.
    pub timeout_ms: u64,
}

/// Everything fleet can do to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Only look.
    Observe,
    /// Stop the unit.
    Stop {
        /// Kill what is left after so many ms; `None`: never.
        kill_after_ms: Option<u64>,
    },
    /// Start the unit, a failed one too.
    Start,
    /// Put the log that the plan or its decision holds for the service in the place of its write-ahead log; the old one
    /// is set aside.
    SetWal,
    /// Put back what fleet has set aside last.
    UndoWal,
    /// Stop the unit, clone its databases, start it again, all on the host. One that stands still stays so.
    Seal,
    /// Bring an item of the plan's backup into the store. It changes nothing of the service and needs no lock.
    Archive {
        /// Its number in the plan.
        item: usize,
    },
    /// Bring the plan's snapshot into a folder beside the databases, and prove it there. It changes nothing of the service
    /// and needs no lock.
    Fetch,
    /// Exchange the databases for those that were fetched; the old ones are kept beside them. Until all are exchanged, a
    /// hold keeps the unit down.
    Swap,
}

/// Everything fleet can check on a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Holds always.
    Nothing,
    /// Unit inactive or failed, no job, no process of the unit or the home, database free.
    Stopped,
    /// The unit has a live process.
    Alive,
    /// RPC answers for the right chain and the node has a peer.
    Connected,
    /// A block above the last height before the run.
    NewBlock,
    /// The write-ahead log is the one that fleet has set.
    WalSet,
    /// The write-ahead log that was set aside is back, or there is none.
    WalBack,
    /// This run's clone of the databases is whole.
    Sealed,
    /// The databases are those that this run has fetched.
    Swapped,
    /// RPC answers for the right chain with a block that came after the first look; one of a validator has its own
    /// signature.
    Healthy,
}

impl Step {
    /// Whether it only brings something into a store.
    pub fn archives(&self) -> bool {
        matches!(self.action, Action::Archive { .. })
    }

    /// Whether it only moves bytes between a store and a host's free space.
    pub fn streams(&self) -> bool {
        self.archives() || self.action == Action::Fetch
    }
}
