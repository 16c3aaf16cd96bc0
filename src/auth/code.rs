//! One-time codes for `--lan`: whoever reads the gateway's terminal may sign in on another device.
//!
//! A code lives ten minutes and is good for one sign-in; a used or expired one is replaced and announced anew. Wrong
//! guesses are counted per address and altogether, compared in constant time. The code is a secret: it goes to the
//! terminal by the announcer, never to a log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a code is good.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Wrong guesses an address has in [`WINDOW`].
const PER_ADDRESS: u32 = 5;
/// Wrong guesses everybody together has in [`WINDOW`]: 2^40 codes stay out of reach however many addresses guess.
const ALTOGETHER: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// Without 0, 1, I and O, which people mix up.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const LENGTH: usize = 8;

/// Tells people the new code.
pub type Announce = Arc<dyn Fn(&str) + Send + Sync>;

/// Why a code did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("This code is not right, or was used already.")]
    Wrong,
    #[error("This code has expired. A new one is shown where Playgate was started.")]
    Expired,
    #[error("Too many wrong codes. Wait a minute.")]
    TooMany,
}

/// The one code that is good now; cheap to clone.
#[derive(Clone)]
pub struct Codes {
    announce: Announce,
    state: Arc<Mutex<State>>,
}

struct State {
    code: String,
    made: Instant,
    /// Wrong guesses by address since the start of the window; emptied with it, and never longer than [`ALTOGETHER`].
    wrong: HashMap<IpAddr, u32>,
    wrong_altogether: u32,
    window: Instant,
}

impl Codes {
    /// Makes and announces the first code.
    pub fn new(now: Instant, announce: Announce) -> Self {
        let code = new_code();
        announce(&code);
        let state = State { code, made: now, wrong: HashMap::new(), wrong_altogether: 0, window: now };
        Self { announce, state: Arc::new(Mutex::new(state)) }
    }

    /// Uses the code up, or counts a wrong guess. Case, spaces and hyphens do not matter.
    pub fn redeem(&self, now: Instant, from: IpAddr, guess: &str) -> Result<(), CodeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(state.window) >= WINDOW {
            state.window = now;
            state.wrong.clear();
            state.wrong_altogether = 0;
        }
        let own = state.wrong.get(&from).copied().unwrap_or_default();
        if own >= PER_ADDRESS || state.wrong_altogether >= ALTOGETHER {
            return Err(CodeError::TooMany);
        }
        let guess: String = guess
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .take(LENGTH + 1)
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let right = state.code.replace('-', "");
        let same =
            aws_lc_rs::constant_time::verify_slices_are_equal(guess.as_bytes(), right.as_bytes()).is_ok();
        let expired = now.duration_since(state.made) >= LIFETIME;
        if !same {
            *state.wrong.entry(from).or_default() += 1;
            state.wrong_altogether += 1;
            if !expired {
                return Err(CodeError::Wrong);
            }
        }
        state.code = new_code();
        state.made = now;
        (self.announce)(&state.code);
        if expired { Err(CodeError::Expired) } else { Ok(()) }
    }
}

/// `XXXX-XXXX`.
fn new_code() -> String {
    let random = uuid::Uuid::new_v4();
    // The bytes of a UUID that carry neither version nor variant are all random.
    let bytes = random.as_bytes();
    let mut code: String = bytes[..6]
        .iter()
        .chain(&bytes[10..12])
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect();
    code.insert(LENGTH / 2, '-');
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes() -> (Codes, Arc<Mutex<Vec<String>>>, Instant) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let now = Instant::now();
        (Codes::new(now, Arc::new(move |code| heard.lock().unwrap().push(code.to_owned()))), said, now)
    }

    fn from(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn a_code_works_once_and_is_replaced() {
        let (codes, said, now) = codes();
        let first = said.lock().unwrap()[0].clone();
        assert_eq!(first.len(), 9);
        assert_eq!(codes.redeem(now, from(1), &first.to_lowercase().replace('-', " ")), Ok(()));
        assert_eq!(said.lock().unwrap().len(), 2);
        assert_eq!(codes.redeem(now, from(1), &first), Err(CodeError::Wrong));
    }

    #[test]
    fn guessing_is_stopped_for_the_guesser_and_not_for_the_neighbour() {
        let (codes, said, now) = codes();
        let right = said.lock().unwrap()[0].clone();
        for _ in 0..PER_ADDRESS {
            assert_eq!(codes.redeem(now, from(1), "2222-2222"), Err(CodeError::Wrong));
        }
        assert_eq!(codes.redeem(now, from(1), &right), Err(CodeError::TooMany));
        assert_eq!(codes.redeem(now + WINDOW, from(1), "2222-2222"), Err(CodeError::Wrong));
        assert_eq!(codes.redeem(now, from(2), &right), Ok(()));
    }

    #[test]
    fn an_expired_code_is_replaced_and_said_again() {
        let (codes, said, now) = codes();
        let old = said.lock().unwrap()[0].clone();
        assert_eq!(codes.redeem(now + LIFETIME, from(1), &old), Err(CodeError::Expired));
        let new = said.lock().unwrap()[1].clone();
        assert_eq!(codes.redeem(now + LIFETIME, from(1), &new), Ok(()));
    }

    #[test]
    fn many_addresses_together_cannot_guess_on() {
        let (codes, _, now) = codes();
        for n in 0..ALTOGETHER {
            let guess = codes.redeem(now, from(u8::try_from(n).unwrap()), "nonsense");
            assert_eq!(guess, Err(CodeError::Wrong));
        }
        assert_eq!(codes.redeem(now, from(200), "nonsense"), Err(CodeError::TooMany));
    }
}
