//! `playgate thumbnail`: a key frame of H.264 (Annex B) on standard input, a JPEG on standard output. Started by the
//! gateway.

use crate::thumbnail::inside;
use anyhow::Result;
use std::process::ExitCode;

/// Runs to its end; what went wrong is the error.
pub(super) fn run() -> Result<ExitCode> {
    inside::run()?;
    Ok(ExitCode::SUCCESS)
}
