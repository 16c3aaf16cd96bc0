//! Archives, good ones and ones no well-meaning program writes.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use tar::{EntryType, Header};

/// A tar.gz in the making. Names and links are written as they are.
pub(super) struct Maker(tar::Builder<GzEncoder<Vec<u8>>>);

impl Maker {
    pub(super) fn new() -> Self {
        Self(tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast())))
    }

    /// With the launcher that the tests' packages name.
    pub(super) fn game() -> Self {
        Self::new().dir("game/").file("game/start.sh", 0o644, b"#!/bin/sh\n")
    }

    pub(super) fn dir(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", 0o700, b"")
    }

    pub(super) fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", mode, content)
    }

    pub(super) fn symbolic_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, 0o644, b"")
    }

    pub(super) fn entry(self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        self.claiming(kind, name, link, mode, content.len() as u64, content)
    }

    /// An entry whose header says another size than it has.
    pub(super) fn claiming(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        mode: u32,
        size: u64,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        // The checked setters refuse what these tests are about.
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap().finish().unwrap()
    }
}

/// A game of about `bytes`, which no compression makes smaller. Another `seed`, another game.
pub(super) fn game_of(bytes: usize, seed: u64) -> Vec<u8> {
    Maker::game().file("game/data", 0o644, &noise(bytes, seed)).finish()
}

/// `bytes` that follow from `seed`.
pub(super) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + 8);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes()).unwrap();
    }
    out.truncate(bytes);
    out
}
