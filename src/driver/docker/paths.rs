//! Places inside a container, and which volume the save is on.

use super::PACKAGE_DIR;
use super::error::DockerError;
use crate::plain_path::is_below_root;
use std::path::{Path, PathBuf};

pub(super) const HOME: &str = "/home/player";
/// In memory, gone with the container: the archive API cannot read it.
pub(super) const TMP: &str = "/tmp";
pub(super) const RUN: &str = "/run";

/// The player of every game.
pub(super) const UID: u64 = 1000;
pub(super) const GID: u64 = 1000;

/// Where a game's save is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SaveAt {
    /// On the volume of [`HOME`], this far below it; empty: all of it.
    Home(PathBuf),
    /// On a volume of its own.
    Own,
}

impl SaveAt {
    /// `path` is absolute and without `..`.
    pub(super) fn of(path: &str) -> Result<Self, DockerError> {
        let asked = Path::new(path);
        let refused = || DockerError::SavePath(path.to_owned());
        let lost = [TMP, RUN, "/dev", "/proc", "/sys", PACKAGE_DIR].iter().any(|dir| asked.starts_with(dir));
        if !is_below_root(asked) || lost {
            return Err(refused());
        }
        match asked.strip_prefix(HOME) {
            Ok(below) => Ok(Self::Home(below.to_owned())),
            // A volume over the home directory's parent would hide, or hold, the home volume.
            Err(_) if Path::new(HOME).starts_with(asked) => Err(refused()),
            Err(_) => Ok(Self::Own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_below_home_is_part_of_the_home_volume() {
        let home = |below: &str| SaveAt::Home(PathBuf::from(below));
        assert_eq!(SaveAt::of("/home/player/.renpy").unwrap(), home(".renpy"));
        assert_eq!(SaveAt::of("/home/player").unwrap(), home(""));
        assert_eq!(SaveAt::of("/save").unwrap(), SaveAt::Own);
        assert_eq!(SaveAt::of("/home/players/save").unwrap(), SaveAt::Own);
    }

    #[test]
    fn a_save_that_would_be_lost_is_refused() {
        for path in ["/tmp/save", "/run", "/", "", "save", "/home", "/save/../tmp", "/game/save", "/dev/shm"]
        {
            assert!(SaveAt::of(path).is_err(), "{path}");
        }
    }
}
