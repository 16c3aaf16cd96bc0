//! Reports of made-up runs.

use super::*;
use crate::bots::card::{Card, Kind, Mode, Phase, Step};
use crate::bots::expect::Expectation;
use crate::bots::header::Header;
use std::time::Instant;

/// A card of a bot that saw `frames` frames of 1000 bytes, 20 a second.
fn card(index: u32, session: u32, mode: Mode, frames: u32) -> Card {
    let epoch = Instant::now();
    let kind = if index == 0 { Kind::Owner } else { Kind::Spectator };
    let card = Card::new(index, session, kind, mode, epoch);
    card.with(|facts| {
        facts.begun = Some(epoch);
        facts.joining = Some(epoch + Duration::from_millis(100));
        for (n, step) in Step::ALL.into_iter().enumerate() {
            facts.step(step, epoch + Duration::from_millis(50 * (n as u64 + 1)));
        }
        for n in 0..frames {
            let now = epoch + Duration::from_millis(500 + u64::from(n) * 50);
            let sequence = u16::try_from(n).unwrap();
            let header = Header { marker: true, payload_type: 102, sequence, timestamp: n * 4_500, ssrc: 1 };
            facts.meter.packet(header, 1_000, now);
            if mode == Mode::Full {
                facts.meter.shown(n * 4_500, now);
                facts.decoded.frames += 1;
            }
        }
        facts.watched = Duration::from_millis(u64::from(frames) * 50);
    });
    card
}

fn report(cards: &[Card], expect: &[&str], drops: Option<u64>) -> Report {
    let summary = Summary::of(cards.iter().map(Outcome::of).collect());
    let expected = expect.iter().map(|text| text.parse::<Expectation>().unwrap());
    let verdicts = expected.map(|expected| expected.check(&summary)).collect();
    Report {
        game: "a <game>".to_owned(),
        plan: vec![("input", "key:a every 1s & more".to_owned())],
        begun: "2026-01-15T10:00:00Z".to_owned(),
        took: Duration::from_secs(10),
        summary,
        verdicts,
        drops,
        machine: Machine::default(),
    }
}

#[test]
fn a_run_passes_when_every_bot_and_every_expectation_did() {
    let cards = [card(0, 0, Mode::Full, 100), card(1, 0, Mode::Light, 100)];
    let good = report(&cards, &["frames-min>=100", "first-frame-p95<=400ms", "fairness-min>=0.99"], Some(0));
    assert_eq!(good.ending(), Ending::Passed, "{}", good.text());
    assert!(good.text().contains("held: frames-min>=100 (100)"));
    let bad = report(&cards, &["frames-min>=101"], Some(0));
    assert_eq!(bad.ending(), Ending::Failed);
    assert!(bad.text().contains("DID NOT HOLD: frames-min>=101 (100)"), "{}", bad.text());
    assert_eq!(report(&[], &[], None).ending(), Ending::Failed, "a run without bots is no success");
}

#[test]
fn a_bot_that_failed_fails_the_run_and_says_why() {
    let cards = [card(0, 0, Mode::Full, 100), card(1, 0, Mode::Light, 0)];
    cards[1].phase(Phase::Failed);
    cards[1].with(|facts| facts.error = Some("no <frame>".to_owned()));
    let report = report(&cards, &[], Some(0));
    assert_eq!(report.ending(), Ending::Failed);
    assert!(report.text().contains("bot 1 (spectator of session 0): no <frame>"), "{}", report.text());
    assert_eq!(report.json()["bots"][1]["error"], "no <frame>");
    assert_eq!(report.json()["figures"]["failed-bots"], 1.0);
}

#[test]
fn a_run_whose_bots_dropped_packets_is_void_whatever_else_held() {
    let report = report(&[card(0, 0, Mode::Full, 10)], &["frames-min>=1"], Some(3));
    assert_eq!(report.ending(), Ending::Void);
    assert!(report.text().contains("VOID: the kernel dropped 3 packets"), "{}", report.text());
    assert_eq!((&report.json()["void"], &report.json()["passed"]), (&true.into(), &false.into()));
}

#[test]
fn fairness_counts_only_the_seconds_that_all_watched() {
    let cards = [card(0, 0, Mode::Light, 200), card(1, 0, Mode::Light, 100)];
    let outcomes: Vec<Outcome> = cards.iter().map(Outcome::of).collect();
    let both: Vec<&Outcome> = outcomes.iter().collect();
    assert_eq!(summary::fairness(&both), Some(1.0));
    assert_eq!(summary::fairness(&both[..1]), None, "one alone is neither fair nor unfair");
}

#[test]
fn the_page_is_whole_loads_nothing_and_escapes_what_it_shows() {
    let cards = [card(0, 0, Mode::Full, 200), card(1, 0, Mode::Light, 190), card(2, 1, Mode::Light, 180)];
    let report = report(&cards, &["frames-min>=1"], Some(0));
    let page = html::page(&report);
    assert!(page.contains("a &lt;game&gt;") && page.contains("1s &amp; more") && !page.contains("a <game>"));
    for outside in ["http://", "https://", "<script", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(
        page.matches("<svg").count() >= 5 && page.matches("<svg").count() == page.matches("</svg>").count()
    );
    assert!(!page.contains("NaN") && !page.contains("inf"), "no number that is none");
}
