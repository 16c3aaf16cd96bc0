//! What the profile `server` is, as seen from inside and by the engine.

use super::stand::{SPECIAL, Stand};
use playgate::driver::Driver;
use playgate::model::instance::{ExposedPort, Protocol};
use playgate::save_tree::SaveLimits;
use std::time::Duration;

/// The engine's default capabilities (20.10 and later) without NET_RAW.
const CAPABILITIES: &str = "00000000a80405fb";

#[tokio::test]
async fn a_server_is_the_images_own_user_with_a_layer_to_write_and_no_raw_sockets() {
    let stand = Stand::new().await;
    let mut spec = stand.server_spec(
        "id -u; echo written > /etc/written && cat /etc/written; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
         echo core=$(ulimit -c); echo home=$HOME; echo save=$PLAYGATE_SAVE_DIR; echo mine=$MINE; echo end; sleep 1000",
    );
    spec.env.insert("MINE".to_owned(), "a b=c".to_owned());
    let (ports, game) = stand.start_server(spec, &[]).await;
    assert!(ports.is_empty());
    let text = game.said("end").await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["0", "written"], "{text}");
    for line in [
        &format!("CapEff:\t{CAPABILITIES}"),
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "core=0",
        "save=",
        "mine=a b=c",
    ] {
        assert!(lines.contains(&line), "{line}: {text}");
    }
    assert!(!text.contains("/home/player"), "{text}");
    let found = stand.engine().inspect_container(&game.container(), None).await.unwrap();
    let host = found.host_config.unwrap();
    assert_eq!((host.readonly_rootfs, host.privileged), (Some(false), Some(false)));
    assert_eq!((host.memory, host.memory_swap), (Some(96 << 20), Some(96 << 20)));
    assert_eq!((host.pids_limit, host.nano_cpus), (Some(32), Some(1_000_000_000)));
    assert_eq!(host.network_mode.unwrap(), format!("playgate-{}-open", stand.node));
    assert!(found.mounts.unwrap_or_default().is_empty());
    let labels = found.config.unwrap().labels.unwrap();
    assert_eq!(labels.get("playgate.profile").map(String::as_str), Some("server"));
    assert!(!labels.contains_key("playgate.save-path"));
    // One container and nothing else: no volume, no porter.
    assert_eq!(stand.things().await.len(), 1);

    let ended = game.instance.stop(Duration::ZERO).await;
    assert!(ended.usage.peak_memory_bytes > 0);
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    game.instance.remove().await.unwrap();
    assert_eq!(stand.things().await, Vec::<String>::new());
}

#[tokio::test]
async fn arguments_take_the_place_of_the_images_command_and_leave_its_entrypoint() {
    let stand = Stand::new().await;
    let image = stand
        .import_with(SPECIAL, &["ENTRYPOINT [\"/bin/echo\", \"entry\"]", "CMD [\"own\"]", "USER 33"])
        .await;
    for (command, said) in [(vec![], "entry own"), (vec!["a b".to_owned(), "c".to_owned()], "entry a b c")] {
        let mut spec = stand.server_spec("");
        let container = spec.container.as_mut().unwrap();
        container.image.clone_from(&image);
        container.command = command;
        let (_, game) = stand.start_server(spec, &[]).await;
        assert_eq!(game.said("entry").await.trim_end(), said);
        game.instance.stop(Duration::ZERO).await;
        game.instance.remove().await.unwrap();
    }
}

#[tokio::test]
async fn an_image_tells_its_ports_and_labels() {
    let stand = Stand::new().await;
    let changes = ["EXPOSE 27015/udp 80/tcp 9/sctp 27015", "LABEL org.example.kind=shooter"];
    let image = stand.import_with(SPECIAL, &changes).await;
    let facts = stand.driver.image_facts(&image).await.unwrap();
    let port = |protocol, container| ExposedPort { protocol, container };
    let expected = [port(Protocol::Tcp, 80), port(Protocol::Tcp, 27015), port(Protocol::Udp, 27015)];
    assert_eq!(facts.ports, expected);
    assert_eq!(facts.labels.get("org.example.kind").map(String::as_str), Some("shooter"));
    let none = stand.driver.image_facts(&stand.image).await.unwrap();
    assert!(none.ports.is_empty() && none.labels.is_empty());
    assert!(stand.driver.image_facts("playgate-test-there-is-no-such-image").await.is_err());
}
