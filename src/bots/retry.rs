//! When a bot tries again what failed, and what it does not try again. Pure.

use playgate_signaling::client::ClientError;
use playgate_signaling::message::{ErrorCode, close};
use std::time::Duration;

/// First and longest pause between tries.
pub(super) const SIGNALING_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_millis(2_500));
pub(super) const MEDIA_BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The pause before a try: doubled each time, with a fifth of it left to the bot's number.
pub(super) fn backoff((first, longest): (Duration, Duration), tries: u32, seed: u64) -> Duration {
    let full = first.saturating_mul(1 << tries.min(16)).min(longest);
    let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    full.mul_f64(0.9 + 0.2 * spread as f64 / 256.0)
}

/// Trying again would be refused again.
pub(super) fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Ended(_) => true,
        ClientError::Http(status) => matches!(status, 400..=404),
        ClientError::Refused { code, .. } => match code {
            ErrorCode::Unauthorized
            | ErrorCode::NotFound
            | ErrorCode::GrantEnded
            | ErrorCode::Replaced
            | ErrorCode::UnsupportedCodec => true,
            ErrorCode::InvalidMessage
            | ErrorCode::InvalidOffer
            | ErrorCode::TooManyMessages
            | ErrorCode::MediaEnded
            | ErrorCode::NotAllowed
            | ErrorCode::Full
            | ErrorCode::Internal => false,
        },
        ClientError::Closed { code, .. } => {
            [close::UNAUTHORIZED, close::NOT_FOUND, close::REPLACED, close::GRANT_ENDED].contains(code)
        }
        ClientError::Connect(_)
        | ClientError::Broken(_)
        | ClientError::Timeout(_)
        | ClientError::Message(_)
        | ClientError::Protocol(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_longest_and_differ_between_bots() {
        let pause = |tries, seed| backoff(SIGNALING_BACKOFF, tries, seed);
        assert!(pause(0, 0) >= Duration::from_millis(225) && pause(0, 0) <= Duration::from_millis(275));
        assert!(pause(1, 1) > pause(0, 1) && pause(40, 3) <= Duration::from_millis(2_750));
        assert_ne!(pause(5, 1), pause(5, 2));
    }

    #[test]
    fn what_would_be_refused_again_is_not_tried_again() {
        let refused = |code| ClientError::Refused { code, message: String::new() };
        assert!(is_final(&refused(ErrorCode::GrantEnded)) && is_final(&ClientError::Http(404)));
        assert!(!is_final(&refused(ErrorCode::Internal)) && !is_final(&ClientError::Http(502)));
        assert!(is_final(&ClientError::Closed { code: close::REPLACED, reason: String::new() }));
        assert!(!is_final(&ClientError::Closed { code: close::GOING_AWAY, reason: String::new() }));
    }
}
