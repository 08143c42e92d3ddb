//! The way to the hosts: connections, host keys, logins, commands, tunnels. Everything russh stays in here.
//!
//! [`Links`] hands out connections by the host's name; [`Link`] runs commands and opens tunnels.

mod agent;
mod answer;
mod armed;
mod auth;
mod channel;
mod config;
mod dial;
mod error;
mod gate;
mod hop;
mod http;
mod keys;
pub mod known_hosts;
mod link;
mod links;
pub mod rate;
pub mod record;
pub mod resident;
mod scripts;
mod settings;
pub mod shell;
pub mod source;
mod stream;
pub mod transport;

pub use channel::{Event, Exit, Input, Remote, Tunnel};
pub use error::{LinkError, LinkErrorKind, Partial};
pub use gate::Shown;
pub use hop::Hop;
pub use link::{Link, Output};
pub use links::{Links, Look, Node, Prepared};
pub use settings::{Family, Identity, Settings, Setup, Way};
