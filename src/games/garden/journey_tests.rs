//! Walks the whole story, every branch of it.

use super::super::story::Ending;
use super::*;
use std::collections::{HashMap, HashSet};

/// Every walk from the first page to an ending.
fn walks() -> Vec<Journey> {
    let mut journey = Journey::new();
    journey.begin();
    let (mut open, mut done) = (vec![journey], Vec::new());
    while let Some(journey) = open.pop() {
        assert!(journey.trail.len() < 100, "a walk without end");
        let page = journey.page().expect("a walk is on a page");
        let offered = story::offered(page, journey.flags()).len();
        for choice in 0..offered {
            let mut next = journey.clone();
            assert!(next.choose(choice), "{} leads nowhere", page.id);
            open.push(next);
        }
        let mut next = journey.clone();
        if next.advance() {
            assert_eq!(offered, 0);
            open.push(next);
        } else if offered == 0 {
            assert!(matches!(page.then, Then::End(_)), "{} is a dead end", page.id);
            done.push(journey);
        } else {
            assert!(offered >= 2, "{} offers no choice", page.id);
        }
    }
    done
}

#[test]
fn every_ending_and_every_page_is_reached_and_no_page_is_a_dead_end() {
    let mut endings = HashMap::new();
    let mut pages = HashSet::new();
    for walk in walks() {
        pages.extend(walk.trail.iter().map(|step| step.page.id));
        if let Then::End(ending) = walk.trail[walk.trail.len() - 1].page.then {
            *endings.entry(ending).or_insert(0) += 1;
            assert_eq!(walk.endings, ending.bit());
        }
    }
    assert_eq!(endings.len(), Ending::ALL.len(), "{endings:?}");
    let all: HashSet<_> = story::pages().map(|page| page.id).collect();
    assert_eq!(pages, all);
    assert_eq!(story::pages().count(), all.len(), "two pages of one name");
}

#[test]
fn what_was_done_early_changes_what_is_offered_late() {
    let offers_seed = |asked: bool| {
        walks()
            .iter()
            .filter(|walk| {
                let (page, asked_bit) =
                    (&walk.trail[walk.trail.len() - 1].page, walk.flags() & flag::ASKED != 0);
                matches!(page.then, Then::End(Ending::Keeper)) && asked_bit == asked
            })
            .count()
    };
    assert_eq!(offers_seed(false), 0);
    assert!(offers_seed(true) > 0);
}

#[test]
fn a_save_at_every_page_comes_back_as_it_was_and_a_forged_one_is_refused() {
    for walk in walks() {
        for length in 1..=walk.trail.len() {
            let journey = Journey { trail: walk.trail[..length].to_vec(), endings: 5, at_title: false };
            let back = Journey::from_bytes(&journey.to_bytes()).expect("a good save");
            assert_eq!(back.to_bytes(), journey.to_bytes());
        }
    }
    for forged in [
        "",
        "{}",
        r#"{"version":2,"at_title":true,"endings":0,"trail":[]}"#,
        r#"{"version":1,"at_title":false,"endings":0,"trail":[]}"#,
        r#"{"version":1,"at_title":false,"endings":0,"trail":[["gate-2",0]]}"#,
        r#"{"version":1,"at_title":false,"endings":0,"trail":[["gate-1",0],["gate-2",1]]}"#,
        r#"{"version":1,"at_title":false,"endings":0,"trail":[["nowhere",0]]}"#,
        r#"{"version":1,"at_title":true,"endings":0,"trail":[],"more":1}"#,
    ] {
        assert!(Journey::from_bytes(forged.as_bytes()).is_err(), "{forged}");
    }
}

#[test]
fn going_back_takes_the_choice_back() {
    let mut journey = Journey::new();
    journey.begin();
    while journey.advance() {}
    assert!(journey.choose(0));
    assert_eq!(journey.flags(), flag::LANTERN);
    assert!(journey.back());
    assert_eq!(journey.flags(), 0);
    assert!(journey.choose(1));
    assert_eq!(journey.page().map(|page| page.id), Some("seal"));
}
