//! `fleet sim`: the process behind the demo's hosts, and what their stub programs call.

use std::io::{stderr, stdout};

use crate::cli::SimArgs;
use crate::error::{Error, Result};
use crate::sim::{self, Layout};

/// Serves simulated hosts until standard input ends, or answers for one of their programs. Returns the exit status.
pub fn sim(args: &SimArgs) -> Result<u8> {
    if let Some(program) = &args.call {
        return sim::call(program, &args.args, &mut stdout(), &mut stderr());
    }
    let layout = args.layout.as_deref().map_or_else(|| Ok(Layout::lost_quorum()), Layout::read)?;
    let dir = args.dir.as_deref().ok_or_else(|| Error::usage("--dir is missing"))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::failed(error.to_string()))?;
    runtime.block_on(sim::serve(dir, &layout, &mut stdout()))?;
    Ok(0)
}
