//! `fleet trust`.

use crate::app::context::Context;
use crate::cli::TrustArgs;
use crate::error::{Error, Result};

/// In progress.
#[allow(clippy::unused_async)]
pub async fn trust(_context: &Context, _args: &TrustArgs) -> Result<u8> {
    Err(Error::failed("in progress"))
}
