//! The conformance suite of the `Store` interface. Every test takes any store; `suite!` runs it on each kind there is.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use playgate::model::events::{Attempt, EventKind};
use playgate::model::ids::{EmbedId, Generation, GrantId, Owner, SessionId, SlotId, UserId, VersionId};
use playgate::model::instance::InstanceRef;
use playgate::model::quality::Quality;
use playgate::model::rows::{
    EmbedRow, EmbedTarget, Fenced, Figures, GrantRow, Inserted, Joined, SessionRow, TokenRow, TokenScope,
    Visited,
};
use playgate::model::session::{ContainerStatus, EndReason, Milestone, SaveReport, SaveStatus, Status};
use playgate::store::{SqliteStore, Store};
use playgate_signaling::message::Role;
use std::sync::Arc;

macro_rules! suite {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    let dir = tempfile::tempdir().unwrap();
                    let store = super::SqliteStore::open(&dir.path().join("test.db")).await.unwrap();
                    super::$name(std::sync::Arc::new(store)).await;
                }
            )+
        }
    };
}

suite!(
    users_are_entered_once_and_keep_their_name,
    a_session_comes_back_as_it_was_written,
    what_a_session_used_and_who_played_is_noted_while_it_lives,
    a_session_whose_save_waits_is_found_until_it_is_stored,
    a_session_whose_save_was_refused_is_found_until_it_is_removed,
    a_user_has_one_active_session_however_many_race,
    an_ended_session_makes_room_for_the_next,
    an_organisation_has_many_sessions_but_an_external_id_once,
    a_slot_takes_one_active_session,
    a_write_of_another_generation_is_refused,
    a_lease_only_grows_and_only_while_active,
    slots_are_three_with_ids_that_stay,
    a_slot_in_use_is_not_cleared,
    a_version_is_entered_only_while_no_session_is_on_its_slot,
    versions_count_up_and_come_newest_first,
    the_profile_is_a_moving_average,
    grants_are_listed_and_revoked_once,
    an_embed_token_counts_its_visits_and_ends_them_when_it_is_taken_back,
    an_organisation_has_sessions_that_are_not_hosted,
    tokens_are_found_listed_and_revoked,
    a_join_adds_all_of_its_players_or_none_and_a_roster_has_its_bound,
    what_happens_to_a_session_is_noted_once_and_in_order,
    deliveries_begin_with_now_and_are_due_until_they_are_answered_or_given_up,
);

type Any = Arc<dyn Store>;

async fn a_join_adds_all_of_its_players_or_none_and_a_roster_has_its_bound(store: Any) {
    let row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let join = async |players: &[&str], at| store.join_players(row.id, &names(players), 3, at).await.unwrap();
    assert_eq!(join(&["b", "a", "b"], 1).await, Joined::Roster(names(&["a", "b"])));
    assert_eq!(join(&["c", "d"], 2).await, Joined::Full);
    assert_eq!(store.players(row.id).await.unwrap(), names(&["a", "b"]), "nobody of them was added");
    assert_eq!(join(&["c", "a"], 3).await, Joined::Roster(names(&["a", "b", "c"])));
    assert_eq!(join(&["c", "a"], 4).await, Joined::Roster(names(&["a", "b", "c"])), "who is there stays");
    assert_eq!(join(&[], 5).await, Joined::Roster(names(&["a", "b", "c"])));
    assert_eq!(store.leave_players(row.id, &names(&["a", "x"])).await.unwrap(), 2);
    // A thousand names are one statement.
    let many: Vec<String> = (0..1000).map(|number| format!("{number:0256}")).collect();
    let Joined::Roster(roster) = store.join_players(row.id, &many, 10_000, 6).await.unwrap() else {
        panic!("there is room")
    };
    assert_eq!(roster.len(), 1002);
}

async fn what_happens_to_a_session_is_noted_once_and_in_order(store: Any) {
    let (mut news, mut row) = (store.news(), session(&store, &user("u"), 0).await);
    assert!(store.event_ids().await.unwrap().is_empty());
    store.insert_session(&row).await.unwrap();
    assert!(news.has_changed().unwrap());
    row.status = Status::Running;
    row.timeline.push((Milestone::FirstKeyFrame, 7));
    store.update_session(&row).await.unwrap();
    row.lease_until = Some(200);
    store.update_session(&row).await.unwrap();
    store.note_player(row.id, EventKind::PlayerJoined, "user:u", 8).await.unwrap();
    end(&store, &mut row).await;
    store.note_player(row.id, EventKind::PlayerLeft, "user:u", 10).await.unwrap();
    news.borrow_and_update();

    let events = store.events_after(&row.owner, 0, 10).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.at, event.player.as_deref())).collect();
    let expected = [
        (EventKind::Starting, 5, None),
        (EventKind::Running, 7, None),
        (EventKind::PlayerJoined, 8, Some("user:u")),
        (EventKind::Ended, 9, None),
    ];
    assert_eq!(told, expected, "a change of nothing but the lease is none, and nobody leaves what has ended");
    assert!(events.iter().all(|event| event.session == row), "told with what is known now");
    let ids: Vec<i64> = events.iter().map(|event| event.id).collect();
    assert!(ids.is_sorted() && store.event_ids().await.unwrap() == (ids[0]..=ids[3]));
    let rest = store.events_after(&row.owner, ids[1], 1).await.unwrap();
    assert_eq!(rest, events[2..3]);
    assert_eq!(store.events_after(&Owner::User(user("v")), 0, 10).await.unwrap(), []);

    assert_eq!(store.prune_events(8).await.unwrap(), 2);
    assert_eq!(store.event_ids().await.unwrap(), ids[2]..=ids[3]);
}

async fn deliveries_begin_with_now_and_are_due_until_they_are_answered_or_given_up(store: Any) {
    let mut rows = Vec::new();
    for name in ["before", "after", "another"] {
        let mut row = session(&store, &user("u"), 0).await;
        let owner = if name == "another" { "another" } else { "studio" };
        (row.owner, row.slot) = (Owner::Organisation(owner.to_owned()), None);
        (row.external_id, row.hosted) = (name.to_owned(), Some(Arc::default()));
        rows.push(row);
    }
    let enlist = async |now| store.enlist_deliveries("hook", "studio", &[], now).await.unwrap();
    let only_ends = async || store.enlist_deliveries("ends", "studio", &[EventKind::Ended], 1).await.unwrap();
    store.insert_session(&rows[0]).await.unwrap();
    enlist(1).await;
    only_ends().await;
    assert_eq!(store.next_delivery_at("hook").await.unwrap(), None, "what was before is not told");
    for row in &mut rows[1..] {
        store.insert_session(row).await.unwrap();
        end(&store, row).await;
    }
    enlist(20).await;
    enlist(30).await;
    only_ends().await;
    assert_eq!(store.pending_deliveries("hook").await.unwrap(), 2, "each event once, and nobody else's");
    assert_eq!(store.pending_deliveries("ends").await.unwrap(), 1);
    assert_eq!(store.due_delivery("hook", 19).await.unwrap(), None);

    let (delivery, event) = store.due_delivery("hook", 20).await.unwrap().unwrap();
    assert_eq!((delivery.kind, delivery.session, delivery.attempts), (EventKind::Starting, rows[1].id, 0));
    let failed = |next_at| Attempt::Failed { error: "answered 503".to_owned(), next_at };
    store.note_attempt("hook", event.id, &failed(Some(50))).await.unwrap();
    let (second, ended) = store.due_delivery("hook", 20).await.unwrap().unwrap();
    assert_eq!(second.kind, EventKind::Ended, "what is due goes on");
    store.note_attempt("hook", ended.id, &Attempt::Delivered { at: 21 }).await.unwrap();
    assert_eq!(store.next_delivery_at("hook").await.unwrap(), Some(50));
    let (again, _) = store.due_delivery("hook", 50).await.unwrap().unwrap();
    assert_eq!((again.event, again.attempts, again.error.as_deref()), (event.id, 1, Some("answered 503")));
    store.note_attempt("hook", event.id, &failed(None)).await.unwrap();
    assert_eq!(store.due_delivery("hook", i64::MAX).await.unwrap(), None);
    let listed = store.deliveries("hook", None, 10).await.unwrap();
    let told: Vec<_> = listed.iter().map(|row| (row.event, row.attempts, row.delivered_at)).collect();
    assert_eq!(told, [(ended.id, 1, Some(21)), (event.id, 2, None)], "the newest first");
    assert_eq!(store.deliveries("hook", Some(ended.id), 10).await.unwrap(), listed[1..]);
    store.prune_events(100).await.unwrap();
    assert_eq!(store.deliveries("hook", None, 10).await.unwrap(), []);
}

async fn users_are_entered_once_and_keep_their_name(store: Any) {
    let id = user("u");
    store.touch_user(&id, Some("Ada"), 1).await.unwrap();
    store.touch_user(&id, None, 5).await.unwrap();
    let row = store.user(&id).await.unwrap().unwrap();
    assert_eq!((row.name.as_deref(), row.created_at, row.seen_at), (Some("Ada"), 1, 5));
    assert_eq!(store.user(&user("other")).await.unwrap(), None);
}

async fn a_session_comes_back_as_it_was_written(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    assert_eq!(store.insert_session(&row).await.unwrap(), Inserted::Done);
    assert_eq!(store.session(row.id).await.unwrap().as_ref(), Some(&row));
    row.status = Status::Stopped;
    row.ran = true;
    row.ended_at = Some(99);
    row.lease_until = None;
    row.timeline.push((Milestone::Ended, 99));
    row.end_reason = Some(EndReason::OutOfMemory);
    row.end_detail = Some("it's over".to_owned());
    row.figures = Some(Figures {
        duration_s: 3600,
        cpu_seconds: 450.25,
        peak_memory_bytes: 1 << 33,
        network_rx_bytes: 1 << 40,
        network_tx_bytes: 1 << 41,
        exit_code: Some(-1),
        out_of_memory: true,
    });
    row.instance = Some(InstanceRef::Process { pid: 7, start_ticks: u64::MAX });
    row.runner_token_sha256 = Some([9; 32]);
    row.players = vec!["user:u".to_owned(), "grant:g".to_owned()];
    row.save = Some(SaveReport { status: SaveStatus::Refused, reason: Some("it's too large".to_owned()) });
    row.save_refused_at = Some(98);
    row.quality = Quality { viewers_most: 3, frozen_ms: 9, ..Quality::default() };
    assert_eq!(store.update_session(&row).await.unwrap(), Fenced::Written);
    assert_eq!(store.session(row.id).await.unwrap().as_ref(), Some(&row));
    let found = store.session_by_external_id(&row.owner, &row.external_id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&row));
    assert_eq!(store.session(SessionId::new()).await.unwrap(), None);
}

async fn what_a_session_used_and_who_played_is_noted_while_it_lives(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    let figures = Figures { duration_s: 5, cpu_seconds: 1.5, network_tx_bytes: 7, ..Figures::default() };
    let players = ["user:u".to_owned()];
    let seen = Quality { inputs: 7, first_frame_ms: Some(300), ..Quality::default() };
    let noted = store.note_usage(row.id, row.generation, figures, &players, seen).await.unwrap();
    assert_eq!(noted, Fenced::Written);
    let stored = store.session(row.id).await.unwrap().unwrap();
    assert_eq!((stored.figures, stored.players.as_slice()), (Some(figures), players.as_slice()));
    assert_eq!(stored.quality, seen);
    end(&store, &mut row).await;
    let late = store.note_usage(row.id, row.generation, Figures::default(), &[], seen).await.unwrap();
    assert_eq!(late, Fenced::Stale);
}

async fn a_session_whose_save_waits_is_found_until_it_is_stored(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    assert_eq!(store.unsaved_sessions().await.unwrap(), []);
    row.unsaved = Some("the disk is full".to_owned());
    row.instance = Some(InstanceRef::Container { container: "abc".to_owned() });
    end(&store, &mut row).await;
    assert_eq!(store.unsaved_sessions().await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(store.active_sessions().await.unwrap(), []);
    (row.unsaved, row.instance) = (None, None);
    assert_eq!(store.update_session(&row).await.unwrap(), Fenced::Written);
    assert_eq!(store.unsaved_sessions().await.unwrap(), []);
}

async fn a_session_whose_save_was_refused_is_found_until_it_is_removed(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    row.save = Some(SaveReport { status: SaveStatus::Refused, reason: None });
    row.save_refused_at = Some(8);
    end(&store, &mut row).await;
    assert_eq!(store.refused_saves().await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(store.unsaved_sessions().await.unwrap(), []);
    assert_eq!(store.retained_sessions(None).await.unwrap(), []);
    row.removed_at = Some(10);
    assert_eq!(store.update_session(&row).await.unwrap(), Fenced::Written);
    assert_eq!(store.refused_saves().await.unwrap(), []);
}

async fn a_version_is_entered_only_while_no_session_is_on_its_slot(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    let insert = async || {
        store.insert_version_if_idle(VersionId::new(), row.slot.unwrap(), [1; 32], 10, 1).await.unwrap()
    };
    assert_eq!(insert().await.unwrap().number, 1);
    store.insert_session(&row).await.unwrap();
    assert_eq!(insert().await, None);
    assert_eq!(store.versions(row.slot.unwrap()).await.unwrap().len(), 1);
    end(&store, &mut row).await;
    let slot = row.slot.unwrap();
    let next = store.insert_version_if_idle(VersionId::new(), slot, [1; 32], 10, 1).await.unwrap();
    assert_eq!(next.unwrap().number, 2);
}

async fn a_user_has_one_active_session_however_many_race(store: Any) {
    let mut tasks = Vec::new();
    for index in 0..30 {
        let row = session(&store, &user("u"), index % 3).await;
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move { store.insert_session(&row).await.unwrap() }));
    }
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Inserted::Done => done += 1,
            Inserted::UserBusy | Inserted::SlotBusy => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(store.active_sessions().await.unwrap().len(), 1);
    let another = session(&store, &user("v"), 0).await;
    assert_eq!(store.insert_session(&another).await.unwrap(), Inserted::Done);
}

async fn an_ended_session_makes_room_for_the_next(store: Any) {
    let mut first = session(&store, &user("u"), 0).await;
    store.insert_session(&first).await.unwrap();
    for status in [Status::Running, Status::Stopping] {
        first.status = status;
        store.update_session(&first).await.unwrap();
        let second = session(&store, &user("u"), 1).await;
        assert_eq!(store.insert_session(&second).await.unwrap(), Inserted::UserBusy, "{status:?}");
    }
    end(&store, &mut first).await;
    let second = session(&store, &user("u"), 0).await;
    assert_eq!(store.insert_session(&second).await.unwrap(), Inserted::Done);
    let active = store.active_sessions_of(&second.owner).await.unwrap();
    assert_eq!(active, [second]);
}

async fn an_organisation_has_many_sessions_but_an_external_id_once(store: Any) {
    let mut rows = Vec::new();
    for name in ["u", "v", "w"] {
        let mut row = session(&store, &user(name), 0).await;
        row.owner = Owner::Organisation("org".to_owned());
        row.slot = None;
        row.hosted = Some(Arc::default());
        row.external_id = "match-1".to_owned();
        rows.push(row);
    }
    rows[2].external_id = "match-2".to_owned();
    assert_eq!(store.insert_session(&rows[0]).await.unwrap(), Inserted::Done);
    assert_eq!(store.insert_session(&rows[1]).await.unwrap(), Inserted::ExternalIdUsed);
    assert_eq!(store.insert_session(&rows[2]).await.unwrap(), Inserted::Done);
    rows[1].owner = Owner::Organisation("another".to_owned());
    assert_eq!(store.insert_session(&rows[1]).await.unwrap(), Inserted::Done);
}

async fn a_slot_takes_one_active_session(store: Any) {
    let first = session(&store, &user("u"), 0).await;
    let mut second = session(&store, &user("v"), 0).await;
    second.slot = first.slot;
    assert!(!store.slot_in_use(first.slot.unwrap()).await.unwrap());
    store.insert_session(&first).await.unwrap();
    assert_eq!(store.insert_session(&second).await.unwrap(), Inserted::SlotBusy);
    assert!(store.slot_in_use(first.slot.unwrap()).await.unwrap());
}

async fn a_write_of_another_generation_is_refused(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    let taken = store.take_over(row.id, Generation(1)).await.unwrap();
    assert_eq!(taken, Some(Generation(2)));
    assert_eq!(store.take_over(row.id, Generation(1)).await.unwrap(), None);
    row.status = Status::Running;
    assert_eq!(store.update_session(&row).await.unwrap(), Fenced::Stale);
    assert_eq!(store.extend_lease(row.id, row.generation, 900).await.unwrap(), Fenced::Stale);
    assert_eq!(store.session(row.id).await.unwrap().unwrap().status, Status::Starting);
    row.generation = Generation(2);
    assert_eq!(store.update_session(&row).await.unwrap(), Fenced::Written);
}

async fn a_lease_only_grows_and_only_while_active(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    for until in [500, 400] {
        assert_eq!(store.extend_lease(row.id, row.generation, until).await.unwrap(), Fenced::Written);
        assert_eq!(store.session(row.id).await.unwrap().unwrap().lease_until, Some(500));
    }
    end(&store, &mut row).await;
    assert_eq!(store.extend_lease(row.id, row.generation, 600).await.unwrap(), Fenced::Stale);
}

async fn slots_are_three_with_ids_that_stay(store: Any) {
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move { store.slots(&user("u"), "game", 1).await.unwrap() }));
    }
    let first = tasks.remove(0).await.unwrap();
    assert_eq!(first.iter().map(|slot| slot.number).collect::<Vec<_>>(), [1, 2, 3]);
    for task in tasks {
        assert_eq!(task.await.unwrap(), first);
    }
    let other = store.slots(&user("u"), "another", 1).await.unwrap();
    assert!(other.iter().all(|slot| first.iter().all(|known| known.id != slot.id)));
    store.slot_played(first[1].id, 77).await.unwrap();
    assert_eq!(store.slot(first[1].id).await.unwrap().unwrap().played_at, Some(77));
    assert_eq!(store.slot(SlotId::new()).await.unwrap(), None);
}

async fn a_slot_in_use_is_not_cleared(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    store.insert_version(VersionId::new(), row.slot.unwrap(), [1; 32], 10, 1).await.unwrap();
    store.insert_session(&row).await.unwrap();
    assert_eq!(store.clear_slot(row.slot.unwrap()).await.unwrap(), None);
    assert_eq!(store.versions(row.slot.unwrap()).await.unwrap().len(), 1);
    end(&store, &mut row).await;
    assert_eq!(store.clear_slot(row.slot.unwrap()).await.unwrap().unwrap().len(), 1);
    assert_eq!(store.versions(row.slot.unwrap()).await.unwrap(), []);
}

async fn versions_count_up_and_come_newest_first(store: Any) {
    let slots = store.slots(&user("u"), "game", 1).await.unwrap();
    let mut ids = Vec::new();
    for number in 1..=3 {
        let id = VersionId::new();
        let row = store.insert_version(id, slots[0].id, [7; 32], 1 << 40, 50).await.unwrap();
        assert_eq!((row.id, row.number, row.bytes, row.sha256), (id, number, 1 << 40, [7; 32]));
        ids.insert(0, id);
    }
    let versions = store.versions(slots[0].id).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.id).collect::<Vec<_>>(), ids);
    store.delete_version(ids[2]).await.unwrap();
    assert_eq!(store.all_versions().await.unwrap().len(), 2);
    let next = store.insert_version(VersionId::new(), slots[0].id, [7; 32], 1, 50).await.unwrap();
    assert_eq!(next.number, 4);
    let other = store.insert_version(VersionId::new(), slots[1].id, [7; 32], 1, 50).await.unwrap();
    assert_eq!(other.number, 1);
}

async fn the_profile_is_a_moving_average(store: Any) {
    assert_eq!(store.profile("game").await.unwrap(), None);
    let first = store.record_profile("game", 0.5, 1000.0).await.unwrap();
    assert_eq!((first.cpu, first.peak_memory_bytes, first.samples), (0.5, 1000.0, 1));
    let second = store.record_profile("game", 1.0, 2000.0).await.unwrap();
    assert!((second.cpu - 0.6).abs() < 1e-9 && (second.peak_memory_bytes - 1200.0).abs() < 1e-6);
    assert_eq!(store.profile("game").await.unwrap(), Some(second));
}

async fn grants_are_listed_and_revoked_once(store: Any) {
    let row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    let grant = GrantRow {
        id: GrantId::new(),
        session: row.id,
        role: Role::Player,
        slot: Some(1),
        origins: vec!["https://example.org".to_owned()],
        created_at: 10,
        expires_at: 100,
        revoked_at: None,
        embed: None,
        host: false,
    };
    store.insert_grant(&grant).await.unwrap();
    assert_eq!(store.grants_of(row.id).await.unwrap(), std::slice::from_ref(&grant));
    assert!(grant.is_valid(99) && !grant.is_valid(100));
    assert!(store.revoke_grant(grant.id, 20).await.unwrap());
    assert!(store.revoke_grant(grant.id, 30).await.unwrap());
    let revoked = store.grant(grant.id).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(20));
    assert!(!revoked.is_valid(25));
    assert!(!store.revoke_grant(GrantId::new(), 20).await.unwrap());
}

async fn an_embed_token_counts_its_visits_and_ends_them_when_it_is_taken_back(store: Any) {
    let row = session(&store, &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    let embed = EmbedRow {
        id: EmbedId::new(),
        owner: row.owner.clone(),
        target: EmbedTarget::Session(row.id),
        role: Role::Spectator,
        slot: None,
        origins: vec!["https://example.org".to_owned()],
        uses: Some(2),
        used: 0,
        created_at: 10,
        expires_at: 100,
        revoked_at: None,
    };
    store.insert_embed(&embed, &[7; 32]).await.unwrap();
    assert_eq!(store.embed_by_sha256(&[7; 32]).await.unwrap().as_ref(), Some(&embed));
    assert_eq!(store.embed_by_sha256(&[8; 32]).await.unwrap(), None);
    assert_eq!(store.embeds_of(&row.owner).await.unwrap(), std::slice::from_ref(&embed));
    assert_eq!(store.embeds_of(&Owner::Organisation("u".to_owned())).await.unwrap(), []);

    let visit = |expires_at| GrantRow {
        id: GrantId::new(),
        session: row.id,
        role: Role::Spectator,
        slot: None,
        origins: embed.origins.clone(),
        created_at: 20,
        expires_at,
        revoked_at: None,
        embed: Some(embed.id),
        host: false,
    };
    let (over, open) = (visit(30), visit(90));
    let enter = async |grant: &GrantRow, now| store.insert_visit(grant, None, now).await.unwrap();
    assert_eq!(enter(&over, 99).await, Visited::Done);
    assert_eq!(enter(&open, 100).await, Visited::TokenRefused, "it has expired");
    // A session that cannot be entered leaves nothing of its visit.
    let taken = SessionRow { id: SessionId::new(), ..row.clone() };
    let refused = store.insert_visit(&open, Some(&taken), 99).await.unwrap();
    assert!(matches!(refused, Visited::SessionRefused(_)), "{refused:?}");
    assert_eq!((store.grant(open.id).await.unwrap(), used(&store, embed.id).await), (None, 1));
    assert_eq!(enter(&open, 99).await, Visited::Done);
    assert_eq!(enter(&visit(90), 99).await, Visited::TokenRefused, "it is used up");
    assert_eq!(used(&store, embed.id).await, 2);
    assert_eq!(store.grants_of(row.id).await.unwrap(), [], "visits are no invitations");
    let ended = store.revoke_embed(embed.id, 40).await.unwrap();
    assert_eq!(ended.iter().map(|grant| grant.id).collect::<Vec<_>>(), [open.id]);
    assert_eq!(store.grant(open.id).await.unwrap().unwrap().revoked_at, Some(40));
    store.revoke_embed(embed.id, 50).await.unwrap();
    assert_eq!(store.embed(embed.id).await.unwrap().unwrap().revoked_at, Some(40));
    assert_eq!(enter(&visit(90), 41).await, Visited::TokenRefused, "it was revoked");
    assert_eq!(store.prune_visits(31).await.unwrap(), 1);
    assert_eq!(store.grant(over.id).await.unwrap(), None);
}

async fn used(store: &Any, embed: EmbedId) -> u64 {
    store.embed(embed).await.unwrap().unwrap().used
}

async fn an_organisation_has_sessions_that_are_not_hosted(store: Any) {
    let mut row = session(&store, &user("u"), 0).await;
    (row.owner, row.slot) = (Owner::Organisation("acme".to_owned()), None);
    assert_eq!(store.insert_session(&row).await.unwrap(), Inserted::Done);
    assert_eq!(store.session(row.id).await.unwrap().unwrap().hosted, None);
    assert_eq!(store.events_after(&row.owner, 0, 10).await.unwrap().len(), 1);
}

async fn tokens_are_found_listed_and_revoked(store: Any) {
    let opaque = TokenRow {
        id: "one".to_owned(),
        scope: TokenScope::Operator,
        subject: "ops".to_owned(),
        sha256: Some([3; 32]),
        label: "monitoring".to_owned(),
        created_at: 1,
        expires_at: None,
        revoked_at: None,
    };
    let jwt = TokenRow {
        id: "two".to_owned(),
        scope: TokenScope::User,
        sha256: None,
        created_at: 2,
        expires_at: Some(9),
        ..opaque.clone()
    };
    store.insert_token(&opaque).await.unwrap();
    store.insert_token(&jwt).await.unwrap();
    assert!(store.insert_token(&jwt).await.is_err());
    assert_eq!(store.tokens().await.unwrap(), [jwt.clone(), opaque.clone()]);
    assert_eq!(store.token_by_sha256(&[3; 32]).await.unwrap(), Some(opaque));
    assert_eq!(store.token_by_sha256(&[4; 32]).await.unwrap(), None);
    assert!(store.revoke_token("two", 5).await.unwrap());
    assert!(!store.revoke_token("three", 5).await.unwrap());
    assert!(store.is_token_revoked("two").await.unwrap());
    assert!(!store.is_token_revoked("one").await.unwrap() && !store.is_token_revoked("three").await.unwrap());
    assert_eq!(store.token("two").await.unwrap().unwrap().revoked_at, Some(5));
}

#[tokio::test]
async fn an_sqlite_file_opens_again_with_everything_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let row = session(&(Arc::new(store.clone()) as Any), &user("u"), 0).await;
    store.insert_session(&row).await.unwrap();
    store.close().await;
    let again = SqliteStore::open(&path).await.unwrap();
    assert_eq!(again.session(row.id).await.unwrap(), Some(row));
}

fn user(name: &str) -> UserId {
    UserId(name.to_owned())
}

async fn session(store: &Any, user: &UserId, slot: usize) -> SessionRow {
    let slot = store.slots(user, "game", 1).await.unwrap()[slot].id;
    row(Owner::User(user.clone()), Some(slot))
}

/// A session that has just been launched.
pub(crate) fn row(owner: Owner, slot: Option<SlotId>) -> SessionRow {
    let id = SessionId::new();
    SessionRow {
        id,
        owner,
        external_id: id.to_string(),
        game: "game".to_owned(),
        title: "A Game".to_owned(),
        slot,
        status: Status::Starting,
        container: ContainerStatus::Created,
        hosted: None,
        removed_at: None,
        generation: Generation(1),
        ran: false,
        started_at: 5,
        ended_at: None,
        lease_until: Some(100),
        timeline: vec![(Milestone::Requested, 5)],
        end_reason: None,
        end_detail: None,
        figures: None,
        instance: None,
        node: Some("oslo-1".to_owned()),
        placement: vec!["it is the only node".to_owned()],
        runner_token_sha256: None,
        players: Vec::new(),
        quality: Default::default(),
        unsaved: None,
        save: None,
        save_refused_at: None,
    }
}

async fn end(store: &Any, row: &mut SessionRow) {
    row.status = Status::Stopped;
    row.ended_at = Some(9);
    row.end_reason = Some(EndReason::StoppedByUser);
    assert_eq!(store.update_session(row).await.unwrap(), Fenced::Written);
}
