//! `fleet demo`.

use crate::cli::{DemoArgs, Global};
use crate::error::{Error, Result};

/// In progress.
pub fn demo(_global: &Global, _args: &DemoArgs) -> Result<u8> {
    Err(Error::failed("in progress"))
}
