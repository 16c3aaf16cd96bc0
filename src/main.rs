//! The `playgate` binary.

fn main() {}
