//! Every fuzz target on its corpus, and on some thousands of mutations of it, in every run: quick, seeded, on any
//! toolchain. `PLAYGATE_TEST_FUZZ_ROUNDS` asks for more of them; libFuzzer itself runs in `tests/fuzz`.

mod growth;

use playgate::fuzz::{TARGETS, Target};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Mutations of each target.
const ROUNDS: u64 = 20_000;
const SEED: u64 = 1;
/// What a run of one target takes at most, so that a slow target has fewer rounds.
const TIME: Duration = Duration::from_secs(2);
/// A seed is small.
const MAX_SEED_BYTES: usize = 2048;
const MAX_SEEDS: usize = 20;
/// What a datagram holds at most, about.
const MAX_BYTES: usize = 4096;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    entries.filter_map(|entry| name(entry.expect("readable").path())).collect()
}

/// The seeds of a target, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = folder("corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("readable")).collect()
}

/// A small generator (xorshift64*), so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).expect("below a usize")
    }
}

/// What parsers stumble over.
const SPECIAL: [&[u8]; 14] = [
    &[0],
    &[0xff],
    &[0x7f, 0xff],
    &[0x80, 0],
    &[0xff, 0xff],
    &[0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    b"\r\n",
    b"\"",
    b"\\u0000",
    b"-1",
    b"1e999",
    b"a=",
    "\u{fe0f}\u{202e}".as_bytes(),
];

/// A seed with one to four changes: bits and bytes flipped, cut, inserted, repeated, spliced with another seed.
fn mutation(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(16)).min(bytes.len());
        match dice.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = dice.roll().to_le_bytes()[0],
            2 if !bytes.is_empty() => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at.min(end)..end)),
            5 => {
                let special = SPECIAL[dice.below(SPECIAL.len())];
                bytes.splice(at..at, special.iter().copied());
            }
            6 => {
                let again = bytes.get(at..end).unwrap_or_default().repeat(1 + dice.below(4));
                bytes.splice(at..at, again);
            }
            7 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from.min(other.len())..]);
            }
            _ => {
                let special = SPECIAL[dice.below(SPECIAL.len())];
                for (place, byte) in bytes.iter_mut().skip(at).zip(special) {
                    *place = *byte;
                }
            }
        }
        bytes.truncate(MAX_BYTES);
    }
    bytes
}

/// Runs a target; what it cannot bear is kept as a file and told.
fn bears(name: &str, target: Target, bytes: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/artifacts");
        let file = folder.join(format!("fuzz-{name}"));
        let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, bytes));
        panic!(
            "{name} panics on {what}: {kept:?} {}: {:?}",
            file.display(),
            bytes.escape_ascii().to_string()
        );
    }
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let corpus = corpus(name);
    assert!((1..=MAX_SEEDS).contains(&corpus.len()), "{} seeds", corpus.len());
    for bytes in &corpus {
        assert!(bytes.len() <= MAX_SEED_BYTES, "a seed of {} bytes", bytes.len());
        bears(name, *target, bytes, "a seed");
    }
    let asked = std::env::var("PLAYGATE_TEST_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let (mut dice, begun) = (Dice(SEED.wrapping_mul(0x9e37_79b9_7f4a_7c15)), Instant::now());
    for round in 0..asked.unwrap_or(ROUNDS) {
        let bytes = mutation(&mut dice, &corpus);
        bears(name, *target, &bytes, &format!("round {round} of seed {SEED}"));
        if asked.is_none() && begun.elapsed() > TIME {
            eprintln!("{name}: {round} rounds only");
            break;
        }
    }
}

/// A test for each target, and their list.
macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replayed! {
    answer catalogue_search challenge client_message demux depacketizer dtls environment feedback gateway_message ingest
    input_frame key_frames offer package reference request_head rtp runner_message save sdp_fragment sender_reports
    session_form session_path session_query split still still_parts stun
}

#[test]
fn every_target_has_its_file_its_seeds_and_its_test() {
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(ToString::to_string).collect() };
    let targets = set(&TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert_eq!(set(REPLAYED), targets);
    assert_eq!(names(&folder("corpus")), targets);
    assert_eq!(names(&folder("fuzz_targets")), targets);
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).expect("readable");
    for target in targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is missing in Cargo.toml");
    }
}
