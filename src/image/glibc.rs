//! Does a program run on a base? Compares the versions of the C and C++ libraries that the program's ELF file asks for
//! with those the base's libraries define.
//!
//! Reads files and archives of others: anything malformed is an error, never a panic. A base given as an archive is read
//! as a stream, only the libraries in it are kept.

use super::engine::{EngineError, ImageFiles};
use elf::ElfBytes;
use elf::abi::{EM_AARCH64, EM_X86_64, SHT_GNU_VERDEF, SHT_GNU_VERNEED};
use elf::endian::AnyEndian;
use elf::gnu_symver::{VerDefIterator, VerNeedIterator};
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Largest library looked into.
const MAX_LIBRARY: u64 = 64 << 20;
const GLIBC: &str = "GLIBC_";
const GLIBCXX: &str = "GLIBCXX_";

/// `2.36`, `3.4.30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}")?;
        if *patch > 0 { write!(f, ".{patch}") } else { Ok(()) }
    }
}

/// The newest versions a program needs, or a base has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Versions {
    pub glibc: Option<Version>,
    pub glibcxx: Option<Version>,
}

/// A program's needs and the machine it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// ELF `e_machine`.
    pub machine: u16,
    pub versions: Versions,
}

/// What a base offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Base {
    pub versions: Versions,
    /// Debian's package manager is there.
    pub has_apt: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum GlibcError {
    #[error("{path} is no program for Linux: {message}")]
    NotElf { path: String, message: String },
    #[error("cannot read {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the base has no C library (libc.so.6) for the runner's machine; a Debian base is needed")]
    NoLibc,
    #[error("the base has no apt-get; a Debian base is needed")]
    NoApt,
    /// Both numbers, as the issue wants them.
    #[error("the runner does not run on this base: it needs {library} {needed}, the base has {present}")]
    Misfit { library: &'static str, needed: Version, present: Version },
}

impl Needs {
    /// Of the program at `path`.
    pub fn of_program(path: &Path) -> Result<Self, GlibcError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| GlibcError::Read { path: name.clone(), source })?;
        Self::of_elf(&bytes).map_err(|message| GlibcError::NotElf { path: name, message })
    }

    fn of_elf(bytes: &[u8]) -> Result<Self, String> {
        let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(|error| error.to_string())?;
        let names = version_names(&file, SHT_GNU_VERNEED).map_err(|error| error.to_string())?;
        Ok(Self { machine: file.ehdr.e_machine, versions: newest(&names) })
    }
}

impl Base {
    /// Of a root file system's archive (tar, or tar.gz). Reads no further than needed.
    pub fn of_rootfs(path: &Path, machine: u16) -> Result<Self, GlibcError> {
        let name = path.display().to_string();
        let failed = |source| GlibcError::Read { path: name.clone(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut archive = tar::Archive::new(plain(BufReader::new(file)).map_err(failed)?);
        let mut base = Self::default();
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let path = entry.path().map_err(failed)?.into_owned();
            base.has_apt |= path.ends_with("usr/bin/apt-get");
            let library = path.file_name().and_then(|name| name.to_str()).is_some_and(is_library);
            if library && entry.header().entry_type().is_file() && entry.size() <= MAX_LIBRARY {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(failed)?;
                base.add(&bytes, machine);
            }
            if base.has_apt && base.versions.glibc.is_some() && base.versions.glibcxx.is_some() {
                break;
            }
        }
        Ok(base)
    }

    /// Of an image on the engine.
    pub async fn of_image(files: &ImageFiles<'_>, machine: u16) -> Result<Self, GlibcError> {
        let mut base = Self { has_apt: files.read("/usr/bin/apt-get").await?.is_some(), ..Self::default() };
        let (triplet, wide) = match machine {
            EM_X86_64 => ("x86_64-linux-gnu", "lib64"),
            EM_AARCH64 => ("aarch64-linux-gnu", "lib64"),
            _ => ("", "lib64"),
        };
        for library in ["libc.so.6", "libstdc++.so.6"] {
            for directory in [
                format!("/usr/lib/{triplet}"),
                format!("/lib/{triplet}"),
                format!("/usr/{wide}"),
                format!("/{wide}"),
                "/usr/lib".to_owned(),
                "/lib".to_owned(),
            ] {
                if let Some(bytes) = files.read(&format!("{directory}/{library}")).await? {
                    base.add(&bytes, machine);
                    break;
                }
            }
        }
        Ok(base)
    }

    /// Takes in a library's definitions; one that is for another machine, or none at all, says nothing.
    fn add(&mut self, bytes: &[u8], machine: u16) {
        let Ok(file) = ElfBytes::<AnyEndian>::minimal_parse(bytes) else { return };
        if file.ehdr.e_machine != machine {
            return;
        }
        let Ok(names) = version_names(&file, SHT_GNU_VERDEF) else { return };
        let found = newest(&names);
        self.versions.glibc = self.versions.glibc.max(found.glibc);
        self.versions.glibcxx = self.versions.glibcxx.max(found.glibcxx);
    }

    /// Refuses a program that does not run here. A C++ library that is missing comes with the packages and cannot be
    /// compared yet: that is what `true` says.
    pub fn fits(&self, needs: &Needs) -> Result<bool, GlibcError> {
        let glibc = self.versions.glibc.ok_or(GlibcError::NoLibc)?;
        compare("GLIBC", needs.versions.glibc, glibc)?;
        match self.versions.glibcxx {
            Some(present) => compare("GLIBCXX", needs.versions.glibcxx, present).map(|()| false),
            None => Ok(needs.versions.glibcxx.is_some()),
        }
    }
}

fn compare(library: &'static str, needed: Option<Version>, present: Version) -> Result<(), GlibcError> {
    match needed {
        Some(needed) if needed > present => Err(GlibcError::Misfit { library, needed, present }),
        Some(_) | None => Ok(()),
    }
}

/// `libc.so.6`, `libc-2.31.so`, `libstdc++.so.6.0.30`: links point to one of these.
fn is_library(name: &str) -> bool {
    name == "libc.so.6"
        || (name.starts_with("libc-2") && name.ends_with(".so"))
        || name.starts_with("libstdc++.so.6")
}

/// Unpacks what begins as gzip does.
fn plain<'a>(mut file: impl BufRead + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
    let gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip { Box::new(flate2::bufread::MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Names of the symbol versions in the first section of that kind.
fn version_names(file: &ElfBytes<'_, AnyEndian>, kind: u32) -> Result<Vec<String>, elf::ParseError> {
    let Some(sections) = file.section_headers() else { return Ok(Vec::new()) };
    let Some(section) = sections.iter().find(|section| section.sh_type == kind) else {
        return Ok(Vec::new());
    };
    let (data, _) = file.section_data(&section)?;
    let link = usize::try_from(section.sh_link).unwrap_or(usize::MAX);
    let strings = file.section_data_as_strtab(&sections.get(link)?)?;
    let (endian, class) = (file.ehdr.endianness, file.ehdr.class);
    let count = u64::from(section.sh_info);
    let at = |name: u32| strings.get(usize::try_from(name).unwrap_or(usize::MAX)).ok().map(str::to_owned);
    Ok(if kind == SHT_GNU_VERNEED {
        VerNeedIterator::new(endian, class, count, 0, data)
            .flat_map(|(_, names)| names)
            .filter_map(|name| at(name.vna_name))
            .collect()
    } else {
        VerDefIterator::new(endian, class, count, 0, data)
            .flat_map(|(_, names)| names)
            .filter_map(|name| at(name.vda_name))
            .collect()
    })
}

fn newest(names: &[String]) -> Versions {
    let of = |prefix: &str| names.iter().filter_map(|name| Version::parse(name.strip_prefix(prefix)?)).max();
    Versions { glibc: of(GLIBC), glibcxx: of(GLIBCXX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Needs {
        Needs::of_program(&std::env::current_exe().unwrap()).unwrap()
    }

    fn own_library(name: &str) -> Option<Vec<u8>> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .find(|path| path.contains(name))?;
        Some(std::fs::read(path).unwrap())
    }

    #[test]
    fn this_very_program_needs_what_its_own_libraries_have() {
        let needs = own();
        assert!(needs.versions.glibc > Some(Version(2, 10, 0)), "{needs:?}");
        let mut base = Base::default();
        base.add(&own_library("libc.so").unwrap(), needs.machine);
        assert!(base.versions.glibc.is_some());
        if let Some(library) = own_library("libstdc++.so") {
            base.add(&library, needs.machine);
            assert!(base.versions.glibcxx.is_some());
        }
        base.fits(&needs).unwrap();
    }

    #[test]
    fn a_library_of_another_machine_says_nothing() {
        let mut base = Base::default();
        base.add(&own_library("libc.so").unwrap(), EM_X86_64 ^ EM_AARCH64);
        base.add(b"no ELF file at all", EM_X86_64);
        assert_eq!(base, Base::default());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(Version::parse("2.9") < Version::parse("2.10"));
        assert!(Version::parse("3.4.9") < Version::parse("3.4.30"));
        assert_eq!(Version::parse("3.4"), Some(Version(3, 4, 0)));
        for wrong in ["", "2", "PRIVATE", "ABI_DT_RELR", "2.x", "1.2.3.4"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_misfit_is_named_with_both_numbers() {
        let versions = |glibc, glibcxx| Versions { glibc: Some(glibc), glibcxx };
        let needs =
            Needs { machine: EM_X86_64, versions: versions(Version(2, 38, 0), Some(Version(3, 4, 32))) };
        let base = |versions| Base { versions, has_apt: true };
        let old = base(versions(Version(2, 36, 0), None));
        let text = old.fits(&needs).unwrap_err().to_string();
        assert!(text.contains("needs GLIBC 2.38, the base has 2.36"), "{text}");
        let old = base(versions(Version(2, 39, 0), Some(Version(3, 4, 30))));
        let text = old.fits(&needs).unwrap_err().to_string();
        assert!(text.contains("needs GLIBCXX 3.4.32, the base has 3.4.30"), "{text}");
        let later = base(versions(Version(2, 39, 0), None)).fits(&needs).unwrap();
        assert!(later, "the C++ library comes with the packages");
        assert!(!base(versions(Version(2, 39, 0), Some(Version(3, 4, 33)))).fits(&needs).unwrap());
        assert!(matches!(Base::default().fits(&needs), Err(GlibcError::NoLibc)));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(Needs::of_program(&script), Err(GlibcError::NotElf { .. })));
        assert!(matches!(Needs::of_program(Path::new("/nowhere")), Err(GlibcError::Read { .. })));
    }
}
