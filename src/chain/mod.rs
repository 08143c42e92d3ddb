//! What is known of CometBFT: its answers, files, arithmetic and the verdict over them. Pure, like `model`.

pub mod config;
pub mod genesis;
pub mod quorum;
pub mod rpc;
pub mod signer;
pub mod verdict;
pub mod wal;
