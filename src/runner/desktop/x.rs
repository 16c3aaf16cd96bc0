//! The way into the X server: its cookie, and connections that show it.
//!
//! The server is started with an authority file of our own, so that nobody else on the machine can look at the game or
//! type into it. x11rb would look for that file in this process's environment, where it is not: it is read here.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use x11rb::errors::ConnectError;
use x11rb::reexports::x11rb_protocol::parse_display::parse_display;
use x11rb::rust_connection::{DefaultStream, RustConnection};

/// The only scheme every X server knows.
const SCHEME: &[u8] = b"MIT-MAGIC-COOKIE-1";
const COOKIE_BYTES: usize = 16;
/// `FamilyWild` of Xauth(3): the entry is for every address and display.
const FAMILY_WILD: u16 = 0xFFFF;

#[derive(Debug, thiserror::Error)]
pub enum XError {
    #[error("{0:?} is no display")]
    Display(String),
    #[error("cannot read the X server's cookie in {}", path.display())]
    Cookie { path: PathBuf, source: io::Error },
    #[error("the X server does not answer: {0}")]
    Connect(String),
}

impl From<ConnectError> for XError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error.to_string())
    }
}

/// A new connection and the number of its screen. `display` as in `DISPLAY`; without `authority` the environment's
/// `XAUTHORITY` decides. Blocks until the server answers.
pub fn connect(display: &str, authority: Option<&Path>) -> Result<(RustConnection, usize), XError> {
    let Some(authority) = authority else { return Ok(RustConnection::connect(Some(display))?) };
    let unreadable = |source| XError::Cookie { path: authority.to_owned(), source };
    let file = fs::read(authority).map_err(unreadable)?;
    let cookie = cookie_of(&file).ok_or_else(|| unreadable(io::ErrorKind::InvalidData.into()))?;
    let parsed = parse_display(Some(display)).map_err(|_| XError::Display(display.to_owned()))?;
    let screen = usize::from(parsed.screen);
    let mut failed = XError::Display(display.to_owned());
    for address in parsed.connect_instruction() {
        match DefaultStream::connect(&address) {
            Ok((stream, _)) => {
                let (scheme, cookie) = (SCHEME.to_vec(), cookie.to_vec());
                let connection =
                    RustConnection::connect_to_stream_with_auth_info(stream, screen, scheme, cookie)?;
                return Ok((connection, screen));
            }
            Err(error) => failed = XError::Connect(error.to_string()),
        }
    }
    Err(failed)
}

/// Writes a new cookie for a server that is about to start; only this user may read it.
pub(super) fn make_authority(path: &Path) -> io::Result<()> {
    let mut cookie = [0; COOKIE_BYTES];
    aws_lc_rs::rand::fill(&mut cookie).map_err(|_| io::Error::other("no random numbers"))?;
    // A file from before may be readable by others.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&entry(&cookie))
}

/// One entry of an authority file: family, then address, display, scheme and data, each behind its length.
fn entry(cookie: &[u8]) -> Vec<u8> {
    let mut out = FAMILY_WILD.to_be_bytes().to_vec();
    for field in [&b""[..], b"", SCHEME, cookie] {
        out.extend(u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(field);
    }
    out
}

/// The cookie of the first entry.
fn cookie_of(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.get(2..)?;
    let mut field = || {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (field, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = behind;
        Some(field)
    };
    let (_address, _display, scheme, cookie) = (field()?, field()?, field()?, field()?);
    (scheme == SCHEME).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_was_written_is_read_and_garbage_is_not() {
        let file = entry(&[7; 16]);
        assert_eq!(cookie_of(&file), Some(&[7; 16][..]));
        for length in 0..file.len() {
            assert_eq!(cookie_of(&file[..length]), None);
        }
        assert_eq!(cookie_of(&[0xFF; 40]), None);
    }

    #[test]
    fn the_file_is_for_this_user_alone_and_new_each_time() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("authority");
        make_authority(&path).expect("written");
        let first = fs::read(&path).expect("there");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        make_authority(&path).expect("written again");
        assert_ne!(fs::read(&path).expect("there"), first);
    }
}
