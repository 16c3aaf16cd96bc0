//! What is told of hosted sessions (contract G-2 and G-3).

use super::{HostedFilter, HostedStatus, HostedView};
use crate::model::hosted::Hosted;
use crate::model::ids::Owner;
use crate::model::session::ContainerStatus;
use crate::schedule::NodeState;
use crate::session::access::internal;
use crate::session::view::SessionView;
use crate::session::{ServiceError, Sessions};
use std::collections::HashSet;

impl Sessions {
    /// Contract G-2. Sessions that live are told from memory.
    pub async fn hosted(
        &self,
        organisation: &str,
        filter: &HostedFilter,
    ) -> Result<Vec<HostedView>, ServiceError> {
        let store = &self.context().store;
        let nodes = self.nodes().await?;
        let owner = Owner::Organisation(organisation.to_owned());
        let players = store.player_counts(organisation).await.map_err(internal)?;
        let mut found = Vec::new();
        let mut live = HashSet::new();
        let mut look = |view: &SessionView| {
            if view.owner != owner || !live.insert(view.id) {
                return;
            }
            let count = players.get(&view.id).copied().unwrap_or_default();
            let view = Self::hosted_view(organisation, view, count, &nodes);
            found.extend(view.filter(|view| filter.lets_through(view)));
        };
        self.each_live(&mut look);
        if filter.all {
            for row in store.retained_sessions(Some(organisation)).await.map_err(internal)? {
                look(&crate::session::actor::view_of(&row, None, 0));
            }
        }
        found.sort_by_key(|view| (view.created, view.id));
        Ok(found)
    }

    /// Contract G-3.
    pub async fn describe_hosted(
        &self,
        organisation: &str,
        id: &str,
    ) -> Result<(HostedView, Vec<String>), ServiceError> {
        let (row, view) = self.find_hosted(organisation, id).await?;
        let players = self.context().store.players(row.id).await.map_err(internal)?;
        let count = u64::try_from(players.len()).unwrap_or(u64::MAX);
        let view = Self::hosted_view(organisation, &view, count, &self.nodes().await?)
            .ok_or_else(super::access::no_such_session)?;
        Ok((view, players))
    }

    pub(super) fn hosted_view(
        organisation: &str,
        view: &SessionView,
        player_count: u64,
        nodes: &[NodeState],
    ) -> Option<HostedView> {
        let node = nodes.iter().find(|node| view.node.as_deref() == Some(&node.name));
        Some(HostedView {
            id: view.id,
            external_id: view.external_id.clone(),
            organisation: organisation.to_owned(),
            created: crate::model::clock::millis(view.started_at),
            status: status(view.container, node),
            hosted: view.hosted.clone()?,
            player_count,
            spectators: view.spectators,
            progress: view.progress.clone(),
            end_reason: view.end_reason,
            end_detail: view.end_detail.clone(),
        })
    }
}

/// What a node is like shows in the sessions that run on it (rule 17).
fn status(container: ContainerStatus, node: Option<&NodeState>) -> HostedStatus {
    match container {
        ContainerStatus::Running | ContainerStatus::Restarting => match node {
            Some(node) if !node.healthy => HostedStatus::ServerUnreachable,
            Some(node) if node.draining => HostedStatus::Draining,
            Some(_) | None => HostedStatus::Container(container),
        },
        ContainerStatus::Created
        | ContainerStatus::ShuttingDown
        | ContainerStatus::Exited
        | ContainerStatus::Dead => HostedStatus::Container(container),
    }
}

impl HostedFilter {
    fn lets_through(&self, view: &HostedView) -> bool {
        let hosted = &view.hosted;
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let has = |(key, value): &(String, String)| hosted.labels.get(key) == Some(value);
        let players = i64::try_from(view.player_count).unwrap_or(i64::MAX);
        (self.all || view.status == HostedStatus::Container(ContainerStatus::Running))
            && self.location.as_deref().is_none_or(|wanted| is_at(hosted, wanted))
            && is(&self.image, &hosted.image)
            && is(&self.tag, &hosted.tag)
            && is(&self.host, &hosted.host)
            && self.fewer_players_than.is_none_or(|limit| players < limit)
            && self.more_players_than.is_none_or(|limit| players > limit)
            && self.labels.iter().all(has)
            && !self.not_labels.iter().any(has)
    }
}

/// It is in this place or region, in any case of letters, as for a start ([`NodeState::is_at`]).
fn is_at(hosted: &Hosted, wanted: &str) -> bool {
    [&hosted.location, &hosted.region].iter().any(|place| place.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::SessionId;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn view(status: HostedStatus) -> HostedView {
        let hosted = Hosted {
            image: "nginx".to_owned(),
            tag: "1.22".to_owned(),
            region: "europe".to_owned(),
            location: "frankfurt".to_owned(),
            host: "192.0.2.1".to_owned(),
            labels: BTreeMap::from([("mode".to_owned(), "ranked".to_owned())]),
            ..Hosted::default()
        };
        HostedView {
            id: SessionId::new(),
            external_id: "match-1".to_owned(),
            organisation: "studio".to_owned(),
            created: 5,
            status,
            hosted: Arc::new(hosted),
            player_count: 3,
            spectators: 0,
            progress: None,
            end_reason: None,
            end_detail: None,
        }
    }

    const RUNNING: HostedStatus = HostedStatus::Container(ContainerStatus::Running);

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn rule_8_g7_only_what_is_exactly_running_is_listed_unless_all_is_asked_for() {
        let all = HostedFilter { all: true, ..HostedFilter::default() };
        let others = [
            HostedStatus::Draining,
            HostedStatus::ServerUnreachable,
            HostedStatus::Container(ContainerStatus::Created),
            HostedStatus::Container(ContainerStatus::Restarting),
            HostedStatus::Container(ContainerStatus::ShuttingDown),
            HostedStatus::Container(ContainerStatus::Exited),
            HostedStatus::Container(ContainerStatus::Dead),
        ];
        assert!(HostedFilter::default().lets_through(&view(RUNNING)));
        for status in others {
            assert!(!HostedFilter::default().lets_through(&view(status)), "{status:?}");
            assert!(all.lets_through(&view(status)));
        }
    }

    #[test]
    fn rule_9_g13_filters_are_equalities_and_all_of_them_hold() {
        let none = HostedFilter::default;
        let good = [
            HostedFilter { location: some("frankfurt"), ..none() },
            HostedFilter { location: some("Frankfurt"), ..none() },
            HostedFilter { location: some("europe"), ..none() },
            HostedFilter { image: some("nginx"), tag: some("1.22"), host: some("192.0.2.1"), ..none() },
        ];
        let bad = [
            HostedFilter { location: some("Berlin"), ..none() },
            HostedFilter { image: some("nginx"), tag: some("1.2"), ..none() },
            HostedFilter { host: some("192.0.2.2"), ..none() },
        ];
        assert!(good.iter().all(|filter| filter.lets_through(&view(RUNNING))));
        assert!(!bad.iter().any(|filter| filter.lets_through(&view(RUNNING))));
    }

    #[test]
    fn rule_10_player_counts_are_compared_strictly() {
        let fewer = |limit| HostedFilter { fewer_players_than: Some(limit), ..HostedFilter::default() };
        let more = |limit| HostedFilter { more_players_than: Some(limit), ..HostedFilter::default() };
        let through = |filter: HostedFilter| filter.lets_through(&view(RUNNING));
        assert!(through(fewer(4)) && !through(fewer(3)) && !through(fewer(-1)));
        assert!(through(more(2)) && !through(more(3)) && through(more(-1)));
    }

    #[test]
    fn rule_11_g8_g9_labels_are_the_users_own_and_a_key_it_lacks_never_matches() {
        let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        let with = |labels| HostedFilter { labels, ..HostedFilter::default() };
        let without = |not_labels| HostedFilter { not_labels, ..HostedFilter::default() };
        let through = |filter: HostedFilter| filter.lets_through(&view(RUNNING));
        assert!(through(with(pair("mode", "ranked"))));
        assert!(!through(with(pair("mode", "Ranked"))) && !through(with(pair("location", "frankfurt"))));
        assert!(!through(without(pair("mode", "ranked"))) && through(without(pair("mode", "casual"))));
    }

    #[test]
    fn rule_17_a_nodes_state_shows_in_what_runs_on_it() {
        let node = NodeState { healthy: true, ..NodeState::default() };
        let draining = NodeState { draining: true, ..node.clone() };
        let away = NodeState { healthy: false, draining: true, ..node.clone() };
        assert_eq!(status(ContainerStatus::Running, Some(&node)), RUNNING);
        assert_eq!(status(ContainerStatus::Running, Some(&draining)), HostedStatus::Draining);
        assert_eq!(status(ContainerStatus::Restarting, Some(&away)), HostedStatus::ServerUnreachable);
        assert_eq!(
            status(ContainerStatus::Exited, Some(&away)),
            HostedStatus::Container(ContainerStatus::Exited)
        );
    }
}
