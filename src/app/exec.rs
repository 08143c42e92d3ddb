//! `fleet exec`.

use crate::app::context::Context;
use crate::cli::ExecArgs;
use crate::error::{Error, Result};

/// In progress.
#[allow(clippy::unused_async)]
pub async fn exec(_context: &Context, _args: &ExecArgs) -> Result<u8> {
    Err(Error::failed("in progress"))
}
