//! Friendly names for guests. A name is for people to read; it identifies nobody.

const FIRST: [&str; 24] = [
    "Amber",
    "Brave",
    "Calm",
    "Clever",
    "Cosy",
    "Curious",
    "Daring",
    "Dusty",
    "Gentle",
    "Golden",
    "Happy",
    "Jolly",
    "Kind",
    "Lucky",
    "Merry",
    "Misty",
    "Nimble",
    "Patient",
    "Quiet",
    "Silver",
    "Sunny",
    "Swift",
    "Velvet",
    "Wandering",
];
const SECOND: [&str; 24] = [
    "Badger", "Beetle", "Crane", "Dormouse", "Falcon", "Finch", "Fox", "Gecko", "Hare", "Hedgehog", "Heron",
    "Ibis", "Lynx", "Magpie", "Marten", "Newt", "Otter", "Owl", "Panda", "Robin", "Sparrow", "Stoat", "Toad",
    "Wren",
];

/// A name by chance, the chance being the given bytes.
pub(super) fn friendly(random: u128) -> String {
    let pick = |list: &[&'static str; 24], shift: u32| {
        let index = usize::try_from((random >> shift) & 0xffff).unwrap_or_default();
        list[index % list.len()]
    };
    format!("{} {}", pick(&FIRST, 0), pick(&SECOND, 16))
}
