//! What a game may do, seen from inside.

use super::stand::Stand;
use std::time::Duration;

#[tokio::test]
async fn the_profile_holds_from_inside() {
    let stand = Stand::new().await;
    let game = stand
        .start(
            "id; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; echo home=$HOME save=$PLAYGATE_SAVE_DIR \
             session=$PLAYGATE_SESSION_ID; \
             for dir in / /bin /etc /opt /home /sys /proc; do touch $dir/x 2>/dev/null && echo WRITES $dir; done; \
             for dir in /home/player /save /tmp /run /dev/shm; do touch $dir/x && echo may $dir; done; \
             cp /bin/busybox /tmp/true && /tmp/true && echo runs; \
             mknod /tmp/n c 1 3 2>/dev/null && echo MAKES; mount -t tmpfs t /tmp 2>/dev/null && echo MOUNTS; \
             ulimit -c; hostname; echo end; sleep 1000",
        )
        .await;
    let text = game.said("end").await;
    for expected in [
        "uid=1000 gid=1000",
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "home=/home/player save=/save",
        "may /home/player\nmay /save\nmay /tmp\nmay /run\nmay /dev/shm\nruns\n",
        "\n0\ngame\nend",
        &format!("session={}", game.session),
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    for wrong in ["WRITES", "MAKES", "MOUNTS"] {
        assert!(!text.contains(wrong), "{text}");
    }
    game.instance.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn the_engine_was_told_every_bound_and_label() {
    let stand = Stand::new().await;
    let package = stand.dir.path().join("package");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("launch.sh"), "echo launched; touch /game/x; sleep 1000").unwrap();
    let mut spec = stand.spec("");
    let container = spec.container.as_mut().unwrap();
    container.package = Some(package);
    container.command = ["/bin/sh", "/game/launch.sh"].map(str::to_owned).to_vec();
    let game = stand.start_spec(spec).await;
    let text = game.said("launched").await;
    let found = stand.engine().inspect_container(&game.container(), None).await.unwrap();
    let host = found.host_config.unwrap();
    assert_eq!((host.memory, host.memory_swap), (Some(96 << 20), Some(96 << 20)));
    assert_eq!((host.pids_limit, host.nano_cpus), (Some(32), Some(1_000_000_000)));
    assert_eq!(host.init, Some(false));
    assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(host.privileged, Some(false));
    let log = host.log_config.unwrap();
    assert_eq!(log.typ.as_deref(), Some("json-file"));
    assert!(log.config.unwrap().contains_key("max-size"));
    let labels = found.config.unwrap().labels.unwrap();
    assert_eq!(labels["playgate.node"], stand.node);
    assert_eq!(labels["playgate.session"], game.session.to_string());
    assert_eq!(labels["playgate.generation"], "1");
    assert_eq!(labels["playgate.profile"], "game");
    assert!(!stand.dir.path().join("package/x").exists(), "{text}");
    game.instance.stop(Duration::ZERO).await;
    game.instance.remove().await.unwrap();
    game.instance.remove().await.unwrap();
    assert_eq!(stand.things().await, Vec::<String>::new());
}
