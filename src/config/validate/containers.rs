//! Rules that games in containers and images of organisations share.

use super::super::schema::ContainerConfig;
use super::{Invalid, Problem, check, range};
use crate::plain_path::is_below_root;
use playgate_signaling::runner::is_encoder_name;
use std::path::Path;

/// What a picture is like. `path` makes the path of a key.
pub(super) fn picture(
    path: &impl Fn(&str) -> String,
    pointer: Option<&str>,
    [width, height]: [Option<u32>; 2],
    fps: Option<u32>,
    kbps: Option<u32>,
) -> Result<(), Problem> {
    if let Some(pointer) = pointer {
        let known = ["absolute", "relative", "none"].contains(&pointer);
        check(known, || path("pointer"), Invalid::Pointer)?;
    }
    for (key, value) in [("width", width), ("height", height)] {
        if let Some(value) = value {
            range(&path(key), value.into(), 16..=7_680)?;
            check(value % 2 == 0, || path(key), Invalid::Odd)?;
        }
    }
    if let Some(fps) = fps {
        range(&path("fps"), fps.into(), 1..=240)?;
    }
    if let Some(kbps) = kbps {
        range(&path("kbps"), kbps.into(), 100..=200_000)?;
    }
    Ok(())
}

/// An encoder by name; whether the runner has it is known when it starts.
pub(super) fn encoder(path: &impl Fn(&str) -> String, name: Option<&str>) -> Result<(), Problem> {
    check(name.is_none_or(is_encoder_name), || path("encoder"), Invalid::Encoder)
}

/// What a container may use, and what it is given.
pub(super) fn bounds(path: &impl Fn(&str) -> String, container: &ContainerConfig) -> Result<(), Problem> {
    check(
        is_below_root(Path::new(&container.save_path)),
        || path("container.save_path"),
        Invalid::AbsolutePath,
    )?;
    range(&path("container.memory_mb"), container.memory_mb, 16..=1_048_576)?;
    let tenths = container.cpus * 10.0;
    check((1.0..=2560.0).contains(&tenths), || path("container.cpus (in tenths)"), Invalid::Range(1, 2560))?;
    range(&path("container.pids"), container.pids.into(), 8..=65_536)?;
    range(&path("container.gpus"), container.gpus.into(), 0..=64)?;
    range(&path("container.pads"), container.pads.into(), 0..=4)?;
    if let Some(grace) = container.stop_grace_ms {
        range(&path("container.stop_grace_ms"), grace, 1..=60_000)?;
    }
    for device in &container.devices {
        let fits = is_below_root(Path::new(device)) && device.starts_with("/dev/");
        check(fits, || path("container.devices"), Invalid::Device)?;
    }
    for name in container.env.keys() {
        let taken = ["PLAYGATE_", "GAMEYE_"].iter().any(|prefix| name.starts_with(prefix));
        let named = !name.is_empty() && !name.contains(['=', '\0']);
        check(named, || path("container.env"), Invalid::Empty)?;
        check(!taken, || path(&format!("container.env.{name}")), Invalid::ContractVariable)?;
    }
    Ok(())
}
