//! What a person sees of a build, on standard error: bars on a terminal, plain lines elsewhere.
//!
//! Nothing here can fail a build.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    how: How,
    /// Every line of the engine is shown.
    verbose: bool,
}

#[derive(Debug, Clone)]
enum How {
    Bar(ProgressBar),
    Lines,
    #[cfg(test)]
    Silent,
}

impl Progress {
    pub(super) fn new(verbose: bool) -> Self {
        let how = if std::io::stderr().is_terminal() && !verbose {
            How::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))
        } else {
            How::Lines
        };
        Self { how, verbose }
    }

    #[cfg(test)]
    pub(super) fn silent() -> Self {
        Self { how: How::Silent, verbose: false }
    }

    pub(super) fn note(&self, text: &str) {
        match &self.how {
            How::Bar(bar) => bar.suspend(|| line(text)),
            How::Lines => line(text),
            #[cfg(test)]
            How::Silent => {}
        }
    }

    /// The context is about to be sent.
    pub(super) fn sending(&self, bytes: u64) {
        match &self.how {
            How::Bar(bar) => {
                bar.set_length(bytes);
                bar.set_position(0);
                bar.set_style(style("{msg} {wide_bar} {bytes}/{total_bytes} {eta}"));
                bar.set_message("sending");
            }
            How::Lines => line(&format!("sending {} MB to the engine", bytes.div_ceil(1_000_000))),
            #[cfg(test)]
            How::Silent => {}
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        if let How::Bar(bar) = &self.how {
            bar.inc(u64::try_from(bytes).unwrap_or_default());
        }
    }

    /// What the builder says.
    pub(super) fn output(&self, text: &str) {
        if let Some((number, of, what)) = step(text) {
            match &self.how {
                How::Bar(bar) => {
                    bar.set_style(style("step {pos}/{len} {wide_bar} {msg} {elapsed}"));
                    bar.set_length(of);
                    bar.set_position(number);
                    bar.set_message(short(what));
                }
                How::Lines => line(&format!("step {number}/{of}: {}", short(what))),
                #[cfg(test)]
                How::Silent => {}
            }
        } else if self.verbose {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }

    pub(super) fn done(&self) {
        if let How::Bar(bar) = &self.how {
            bar.finish_and_clear();
        }
    }
}

fn line(text: &str) {
    // Standard error may be closed; a build goes on without it.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `Step 3/12 : RUN ...` of the classic builder.
fn step(text: &str) -> Option<(u64, u64, &str)> {
    let (numbers, what) = text.trim().strip_prefix("Step ")?.split_once(" : ")?;
    let (number, of) = numbers.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok()?, what))
}

/// The instruction's first words.
fn short(what: &str) -> String {
    const LENGTH: usize = 48;
    let what = what
        .strip_prefix("RUN [\"/bin/sh\",\"-c\",")
        .map_or_else(|| what.to_owned(), |line| format!("RUN {line}"));
    match what.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &what[..end]),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builders_steps_are_read() {
        assert_eq!(step("Step 3/12 : COPY a b\n"), Some((3, 12, "COPY a b")));
        for text in ["Step", "Step 3 : x", "Step a/b : x", " ---> 0123", ""] {
            assert_eq!(step(text), None, "{text}");
        }
    }

    #[test]
    fn long_instructions_are_cut() {
        assert_eq!(short("RUN [\"/bin/sh\",\"-c\",\"true\"]"), "RUN \"true\"]");
        assert!(short(&"ü".repeat(100)).ends_with("..."));
    }
}
