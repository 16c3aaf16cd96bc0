//! A token that no log and no report shows.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Told to nobody but the gateway.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// For the header that carries it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown() {
        let Ok(secret) = " pge_abc\n".parse::<Secret>();
        assert_eq!(secret.reveal(), "pge_abc");
        assert_eq!(format!("{secret:?} {:?}", Some(secret.clone())), "a token Some(a token)");
    }
}
