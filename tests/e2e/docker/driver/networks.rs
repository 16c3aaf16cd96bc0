//! The node's bridges: who reaches whom, and what is said of those that do not fit.

use super::stand::{Stand, subnets};
use crate::support::wait::{SOON, eventually};
use playgate::config::DockerConfig;
use playgate::driver::{DockerDriver, Driver, SiteRequest};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_game_reaches_the_gateway_but_no_other_game_and_nothing_of_loopback() {
    let stand = Stand::new().await;
    let [gateway, _] = stand.driver.gateways();
    let private = TcpListener::bind((gateway, 0)).await.unwrap();
    let loopback = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = stand.spec("nc -ll -p 7000 -e /bin/echo hello");
    let site = stand.driver.site(one.session, &SiteRequest::default()).await.unwrap();
    let address = site.address.unwrap();
    assert_eq!(site.gateway, Some(gateway));
    let one = stand.start_at(one, site).await;
    // It listens: this machine reaches it.
    eventually("the first game listens", SOON, async || {
        TcpStream::connect((address, 7000)).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let script = format!(
        "try() {{ nc -w 2 $1 $2 </dev/null >/dev/null 2>&1 && echo reaches $3; }}; \
         try {gateway} {private} gateway; try {address} 7000 GAME; try 127.0.0.1 {loopback} LOOPBACK; \
         try {gateway} {loopback} OTHER; nslookup localhost.example >/dev/null 2>&1 && echo RESOLVES; echo end; sleep 1000",
        private = private.local_addr().unwrap().port(),
        loopback = loopback.local_addr().unwrap().port(),
    );
    let other = stand.start(&script).await;
    let (_, from) = tokio::time::timeout(SOON, private.accept()).await.unwrap().unwrap();
    let text = other.said("end").await;
    assert_eq!(text, "reaches gateway\nend\n");
    assert_ne!(from.ip(), address);
    one.instance.stop(Duration::ZERO).await;
    other.instance.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_game_with_egress_lives_on_the_open_bridge_and_reaches_other_networks() {
    let stand = Stand::new().await;
    let [internal, open] = stand.driver.gateways();
    let listener = TcpListener::bind((internal, 0)).await.unwrap();
    let mut spec = stand.spec(&format!(
        "ip route; nc -w 5 {internal} {} </dev/null; echo end; sleep 1000",
        listener.local_addr().unwrap().port()
    ));
    spec.container.as_mut().unwrap().egress = true;
    let game = stand.start_spec(spec).await;
    let (_, from) = tokio::time::timeout(SOON, listener.accept()).await.unwrap().unwrap();
    assert!(stand.config.open_subnet.contains(&ipv4(from)), "{from}");
    drop(listener);
    let text = game.said("end").await;
    assert!(text.contains(&format!("default via {open}")), "{text}");
    game.instance.stop(Duration::ZERO).await;
}

fn ipv4(address: SocketAddr) -> std::net::Ipv4Addr {
    match address.ip() {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address} is of another kind"),
    }
}

#[tokio::test]
async fn bridges_are_adopted_and_those_that_do_not_fit_are_named_with_their_key() {
    let stand = Stand::new().await;
    let again = DockerDriver::connect(&stand.config, &stand.node, &stand.hosting).await.unwrap();
    assert_eq!(again.gateways(), stand.driver.gateways());
    assert!(again.ping().await);

    let fail = async |config: &DockerConfig, node: &str| {
        DockerDriver::connect(config, node, &stand.hosting).await.map(|_| ()).unwrap_err().to_string()
    };
    let other = DockerConfig { open_subnet: subnets(251).open_subnet, ..stand.config.clone() };
    let error = fail(&other, &stand.node).await;
    assert!(error.contains("docker.open_subnet") && error.contains("playgate-test-driver"), "{error}");

    let error = fail(&stand.config, "test-driver-another").await;
    assert!(error.contains("docker.subnet") && error.contains("overlaps"), "{error}");

    let nowhere = DockerConfig { host: Some("tcp://127.0.0.1:2375".to_owned()), ..stand.config.clone() };
    let error = fail(&nowhere, &stand.node).await;
    assert!(error.contains("docker.host"), "{error}");
}
