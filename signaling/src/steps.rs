//! Counts the steps that parsers take, so that tests can show that their work grows linearly with their input.
//!
//! Parsers and expanders of text that strangers send search it through the functions here rather than through `str`: each
//! spends one step for every byte it passes. The count is deterministic, one for each thread, and costs an addition.
//! `tests/it/fuzz.rs` doubles inputs and compares the counts.
//!
//! Does not: count what libraries do (`serde_json`, the query string decoder, `rtc`). A campaign of `tests/run long` measures
//! their time.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Adds steps to this thread's count.
pub fn spend(steps: usize) {
    STEPS.with(|count| count.set(count.get().wrapping_add(u64::try_from(steps).unwrap_or(u64::MAX))));
}

/// Runs `work` and gives the steps it took on this thread.
pub fn count(work: impl FnOnce()) -> u64 {
    let before = STEPS.with(Cell::get);
    work();
    STEPS.with(Cell::get).wrapping_sub(before)
}

/// `str::find`: spends what lies before the hit, or everything.
pub fn find(text: &str, wanted: char) -> Option<usize> {
    let found = text.find(wanted);
    spend(found.unwrap_or(text.len()) + 1);
    found
}

/// How many bytes at the beginning of `text` are of a kind.
pub fn leading(text: &str, is_of: impl Fn(u8) -> bool) -> usize {
    let length = text.bytes().take_while(|byte| is_of(*byte)).count();
    spend(length + 1);
    length
}

/// `str::lines`.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    each(text.lines())
}

/// `str::split` at a character.
pub fn split(text: &str, at: char) -> impl DoubleEndedIterator<Item = &str> {
    text.split(at).inspect(|part| spend(part.len() + 1))
}

/// The same texts; spends their lengths as they pass.
pub fn each<'t>(texts: impl Iterator<Item = &'t str>) -> impl Iterator<Item = &'t str> {
    texts.inspect(|text| spend(text.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_spends_what_it_passes() {
        assert_eq!(count(|| assert_eq!(find("abc$", '$'), Some(3))), 4);
        assert_eq!(count(|| assert_eq!(find("abc", '$'), None)), 4);
        assert_eq!(count(|| assert_eq!(leading("AB}", |byte| byte.is_ascii_uppercase()), 2)), 3);
        assert_eq!(count(|| assert_eq!(lines("ab\nc\n").count(), 2)), 5);
        assert_eq!(count(|| assert_eq!(split("a,b", ',').count(), 2)), 4);
    }
}
