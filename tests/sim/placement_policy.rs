//! What always holds of the placement policy, whatever the nodes and the request.

use playgate::schedule::{Needs, NodeState, Refusal, Request, rank};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};

const GAME: &str = "question";

fn places() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![Just("frankfurt".to_owned()), Just("oslo".to_owned()), Just("europe".to_owned())])
}

fn amounts() -> impl Strategy<Value = Needs> {
    (0_u32..40, 0_u64..64, 0_u32..3).prop_map(|(tenths, memory_bytes, gpus)| Needs {
        cpus: f64::from(tenths) / 10.0,
        memory_bytes,
        gpus,
    })
}

prop_compose! {
    fn any_node()(
        location in places(),
        region in places(),
        healthy in prop::bool::weighted(0.8),
        cordoned in prop::bool::weighted(0.2),
        draining in prop::bool::weighted(0.1),
        capacity in 0_u32..5,
        sessions in 0_u32..5,
        total in amounts(),
        reserved in amounts(),
        busy in 0.0..100.0,
        cached in btree_set(prop_oneof![Just(GAME.to_owned()), Just("other".to_owned())], 0..3),
    ) -> NodeState {
        NodeState {
            name: String::new(), location, region, labels: BTreeMap::new(), healthy, cordoned, draining, capacity,
            sessions, total, reserved, busy_cpu_percent: busy, busy_memory_percent: 0.0, cached,
        }
    }
}

fn any_nodes() -> impl Strategy<Value = Vec<NodeState>> {
    vec(any_node(), 0..20).prop_map(|mut nodes| {
        for (index, node) in nodes.iter_mut().enumerate() {
            node.name = format!("node-{index}");
        }
        nodes
    })
}

prop_compose! {
    fn any_request()(needs in amounts(), location in places(), spread: u64) -> Request {
        Request { game: GAME.to_owned(), needs, location, spread }
    }
}

proptest! {
    #[test]
    fn every_node_is_either_a_candidate_or_refused(nodes in any_nodes(), request in any_request()) {
        let ranking = rank(&nodes, &request);
        let named = ranking.candidates.iter().map(|(name, _)| name).chain(ranking.refused.iter().map(|(name, _)| name));
        let named: Vec<&String> = named.collect();
        prop_assert_eq!(named.len(), nodes.len());
        prop_assert_eq!(named.into_iter().collect::<HashSet<_>>().len(), nodes.len());
        prop_assert!(ranking.candidates.iter().all(|(_, reasons)| reasons.len() >= 3));
    }

    #[test]
    fn a_candidate_keeps_every_rule_and_a_refused_node_breaks_the_one_it_is_told(
        nodes in any_nodes(), request in any_request(),
    ) {
        let find = |name: &str| nodes.iter().find(|node| node.name == name).expect("it is there");
        let ranking = rank(&nodes, &request);
        for (name, _) in &ranking.candidates {
            for refusal in ALL {
                prop_assert!(!breaks(find(name), &request, refusal), "{name} {refusal}");
            }
        }
        for (name, refusal) in &ranking.refused {
            prop_assert!(breaks(find(name), &request, *refusal), "{name} {refusal}");
        }
    }

    #[test]
    fn the_same_question_has_the_same_answer_in_whatever_order_it_is_put(
        nodes in any_nodes(), request in any_request(),
    ) {
        let ranking = rank(&nodes, &request);
        prop_assert_eq!(&ranking, &rank(&nodes, &request));
        let backwards: Vec<NodeState> = nodes.iter().rev().cloned().collect();
        prop_assert_eq!(ranking.candidates, rank(&backwards, &request).candidates);
    }

    #[test]
    fn cached_beats_uncached_however_loaded(nodes in any_nodes(), request in any_request()) {
        let is_cached = |name: &str| nodes.iter().any(|node| node.name == name && node.cached.contains(GAME));
        let order: Vec<bool> = rank(&nodes, &request).candidates.iter().map(|(name, _)| is_cached(name)).collect();
        prop_assert!(order.is_sorted_by_key(|cached| !cached), "{order:?}");
    }

    #[test]
    fn less_loaded_beats_more_loaded(sessions in vec(0_u32..20, 2..10), request in any_request()) {
        let nodes: Vec<NodeState> = sessions.iter().enumerate().map(|(index, sessions)| {
            let reserved = Needs { cpus: f64::from(*sessions), memory_bytes: u64::from(*sessions), gpus: 0 };
            NodeState { reserved, sessions: *sessions, ..roomy(index) }
        }).collect();
        let request = Request { location: None, needs: Needs { gpus: 0, ..request.needs }, ..request };
        let loads = |name: &str| nodes.iter().find(|node| node.name == name).map(|node| node.sessions);
        let order: Vec<_> = rank(&nodes, &request).candidates.iter().map(|(name, _)| loads(name)).collect();
        prop_assert_eq!(order.len(), nodes.len());
        prop_assert!(order.is_sorted(), "{order:?}");
    }
}

#[test]
fn ties_are_spread_over_all_who_are_alike() {
    let nodes: Vec<NodeState> = (0..10).map(roomy).collect();
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for spread in 0..1000 {
        let ranking = rank(&nodes, &Request { spread, ..request(1.0) });
        *first.entry(ranking.candidates[0].0.clone()).or_default() += 1;
        assert_eq!(ranking.candidates[0].1[0], "was drawn among 10 alike");
    }
    assert_eq!(first.len(), 10, "{first:?}");
    assert!(first.values().all(|times| (50..200).contains(times)), "{first:?}");
}

#[test]
fn the_reasons_begin_with_what_decided() {
    let cached = NodeState { cached: BTreeSet::from([GAME.to_owned()]), ..roomy(0) };
    let busier = NodeState { reserved: Needs { cpus: 33.0, ..Needs::default() }, sessions: 2, ..roomy(1) };
    let reasons = |nodes: &[NodeState]| rank(nodes, &request(10.0)).candidates[0].1.clone();
    assert_eq!(
        reasons(&[cached, roomy(1)]),
        ["has the game cached", "would be 10 % loaded", "runs 0 of 100 sessions"]
    );
    assert_eq!(reasons(&[busier.clone(), roomy(2)])[0], "would be 10 % loaded");
    assert_eq!(
        reasons(&[busier]),
        [
            "is the only one with room",
            "has to fetch the game first",
            "would be 43 % loaded",
            "runs 2 of 100 sessions"
        ]
    );
}

#[test]
fn what_others_use_of_a_machine_counts_when_it_is_more_than_what_is_reserved() {
    let idle = NodeState { reserved: Needs { cpus: 20.0, ..Needs::default() }, ..roomy(0) };
    let compiling = NodeState { busy_cpu_percent: 90.0, ..roomy(1) };
    let starved = NodeState { busy_memory_percent: 95.0, ..roomy(2) };
    let order = rank(&[starved, compiling, idle], &request(1.0)).candidates;
    let names: Vec<&str> = order.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["node-0", "node-1", "node-2"]);
    assert!(order[2].1.contains(&"would be 95 % loaded".to_owned()), "{order:?}");
}

#[test]
fn a_region_takes_the_best_inside_it_and_never_one_outside() {
    let at = |index, location: &str, region: &str, cpus| NodeState {
        location: Some(location.to_owned()),
        region: Some(region.to_owned()),
        reserved: Needs { cpus, ..Needs::default() },
        ..roomy(index)
    };
    let nodes =
        [at(0, "oslo", "europe", 50.0), at(1, "frankfurt", "europe", 20.0), at(2, "tokyo", "asia", 0.0)];
    let asked = |place: &str| {
        let ranking = rank(&nodes, &Request { location: Some(place.to_owned()), ..request(1.0) });
        ranking.candidates.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(asked("europe"), ["node-1", "node-0"]);
    assert_eq!(asked("Oslo"), ["node-0"]);
    assert!(asked("mars").is_empty());
}

const ALL: [Refusal; 8] = [
    Refusal::Unhealthy,
    Refusal::Cordoned,
    Refusal::Draining,
    Refusal::Elsewhere,
    Refusal::Full,
    Refusal::Cpus,
    Refusal::Memory,
    Refusal::Gpus,
];

/// The rules in other words than the policy's.
fn breaks(node: &NodeState, request: &Request, refusal: Refusal) -> bool {
    let (needs, total, reserved) = (&request.needs, &node.total, &node.reserved);
    match refusal {
        Refusal::Unhealthy => !node.healthy,
        Refusal::Cordoned => node.cordoned,
        Refusal::Draining => node.draining,
        Refusal::Elsewhere => {
            request.location.is_some() && request.location != node.location && request.location != node.region
        }
        Refusal::Full => node.sessions >= node.capacity,
        // Tenths of a core, with room for how they are written in binary.
        Refusal::Cpus => needs.cpus > 0.01 && reserved.cpus + needs.cpus > total.cpus + 0.01,
        Refusal::Memory => {
            needs.memory_bytes > 0 && reserved.memory_bytes + needs.memory_bytes > total.memory_bytes
        }
        Refusal::Gpus => needs.gpus > 0 && reserved.gpus + needs.gpus > total.gpus,
    }
}

fn roomy(index: usize) -> NodeState {
    NodeState {
        name: format!("node-{index}"),
        healthy: true,
        capacity: 100,
        total: Needs { cpus: 100.0, memory_bytes: 100, gpus: 0 },
        ..NodeState::default()
    }
}

fn request(cpus: f64) -> Request {
    Request { game: GAME.to_owned(), needs: Needs { cpus, ..Needs::default() }, ..Request::default() }
}
