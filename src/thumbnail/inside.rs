//! The child process: limits first, then one key frame from standard input to one picture on standard output.
//!
//! Opens nothing and starts nothing; what a hostile stream can do here is fail, or be killed.

use super::picture::{self, PictureError};
use crate::relay::MAX_KEY_FRAME_BYTES;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::{Read, Write};

/// Address space: the program itself and the decoder's frames. Seconds of processor time.
const MEMORY_BYTES: u64 = 768 << 20;
const CPU_SECONDS: u64 = 2;
/// Standard input, output and error.
const FILES: u64 = 3;

#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error("cannot limit this process")]
    Limits(#[source] rustix::io::Errno),
    #[error("cannot read or write")]
    Io(#[from] std::io::Error),
    #[error("more than {MAX_KEY_FRAME_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Runs the child to its end.
pub fn run() -> Result<(), ChildError> {
    limit().map_err(ChildError::Limits)?;
    let mut annex_b = Vec::new();
    std::io::stdin().lock().take(MAX_KEY_FRAME_BYTES as u64 + 1).read_to_end(&mut annex_b)?;
    if annex_b.len() > MAX_KEY_FRAME_BYTES {
        return Err(ChildError::TooLarge);
    }
    let jpeg = picture::jpeg(&annex_b)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&jpeg)?;
    out.flush()?;
    Ok(())
}

fn limit() -> rustix::io::Result<()> {
    let limits = [
        (Resource::As, MEMORY_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Nofile, FILES),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}
