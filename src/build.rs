//! Build script: finds out whether the video encoder is compiled with its assembly, and says so when it is not.
//!
//! `openh264-sys2` assembles its x86 code with `nasm`, and goes on in silence without it. The rule here is its own: the
//! program that `NASM` names, else `nasm` on the path.

use std::path::{Path, PathBuf};

fn main() {
    // Not the path: every other shell would compile this crate anew. Who installs nasm later is told what to clean.
    for name in ["NASM", "OPENH264_NO_ASM"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rustc-check-cfg=cfg(without_nasm)");
    // Other processors' assembly needs no more than the C compiler.
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64" || arch == "x86");
    if x86 && (std::env::var_os("OPENH264_NO_ASM").is_some() || !has_nasm()) {
        println!("cargo::rustc-cfg=without_nasm");
        println!(
            "cargo::warning=nasm was not found: the video encoder is built without its assembly, and takes almost \
             three times the CPU. Install it (apt-get install nasm), then: cargo clean -p openh264-sys2 -p playgate"
        );
    }
}

fn has_nasm() -> bool {
    let is_there = |path: &Path| path.is_file();
    let name = std::env::var_os("NASM").map_or_else(|| PathBuf::from("nasm"), PathBuf::from);
    if name.components().count() > 1 {
        return is_there(&name);
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| is_there(&dir.join(&name))))
}
