//! A modification time to the nanosecond, as file systems and tars keep it.

use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Since 1970-01-01 UTC. `nanos` counts forward from `seconds`, also before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mtime {
    seconds: i64,
    /// Below 10^9.
    nanos: u32,
}

impl Mtime {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { seconds: metadata.mtime(), nanos: u32::try_from(metadata.mtime_nsec()).unwrap_or(0) }
    }

    /// Of a tar header's field; base-256 fields hold negative numbers in two's complement.
    pub(super) fn of_header(seconds: u64) -> Self {
        Self { seconds: seconds.cast_signed(), nanos: 0 }
    }

    /// What a tar header can hold of it.
    pub(super) fn header(self) -> u64 {
        u64::try_from(self.seconds).unwrap_or(0)
    }

    /// The value of a pax `mtime` record (POSIX, pax extended header), when the header cannot hold all of it.
    pub(super) fn pax(self) -> Option<String> {
        if self.seconds >= 0 && self.nanos == 0 {
            return None;
        }
        // A decimal fraction: -1.5 is two seconds back and half a second forward.
        let (sign, whole, nanos) = if self.seconds >= 0 {
            ("", self.seconds.unsigned_abs(), self.nanos)
        } else if self.nanos == 0 {
            ("-", self.seconds.unsigned_abs(), 0)
        } else {
            ("-", self.seconds.unsigned_abs() - 1, 1_000_000_000 - self.nanos)
        };
        Some(format!("{sign}{whole}.{nanos:09}"))
    }

    /// Reads a pax `mtime` record; what is finer than a nanosecond is cut off.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || digits.is_empty() {
            return None;
        }
        let seconds: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanos = nanos.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        Some(match (negative, nanos) {
            (false, _) => Self { seconds, nanos },
            (true, 0) => Self { seconds: -seconds, nanos: 0 },
            (true, _) => Self { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
        })
    }

    /// For `utimensat`: the time of the last access stays.
    pub(super) fn timestamps(self) -> Timestamps {
        Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: self.seconds, tv_nsec: self.nanos.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pax_times_read_as_decimal_fractions() {
        let time = |seconds, nanos| Some(Mtime { seconds, nanos });
        for (text, expected) in [
            ("0", time(0, 0)),
            ("1350244992.023960108", time(1_350_244_992, 23_960_108)),
            ("1.5", time(1, 500_000_000)),
            ("-1.5", time(-2, 500_000_000)),
            ("-0.25", time(-1, 750_000_000)),
            ("-7", time(-7, 0)),
            (".5", time(0, 500_000_000)),
            ("1.0000000009", time(1, 0)),
            ("", None),
            ("-", None),
            ("1e3", None),
            ("+1", None),
            ("99999999999999999999", None),
            ("1.-5", None),
        ] {
            assert_eq!(Mtime::parse(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_comes_back(seconds in -(1_i64 << 40)..1 << 40, nanos in 0..1_000_000_000_u32) {
            let time = Mtime { seconds, nanos };
            let back = time.pax().map_or(Mtime::of_header(time.header()), |text| Mtime::parse(text.as_bytes()).unwrap());
            prop_assert_eq!(back, time);
        }

        #[test]
        fn any_record_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Mtime::parse(&bytes);
        }
    }
}
