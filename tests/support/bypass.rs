//! Ways past a line, from loopback to loopback, for what a test does not want to be slowed or lost: WebDriver, and a
//! gateway's HTTP and signaling. They end with the test's runtime.

use super::line::Far;
use std::io;
use std::net::Ipv4Addr;
use tokio::net::{TcpListener, TcpStream};

/// A port on this side that leads to a far one.
pub(crate) async fn to_far(far: &Far, port: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let here = listener.local_addr().expect("bound").port();
    let far = far.clone();
    carry(listener, move || {
        let stream = far.enter(|| std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    });
    here
}

/// Makes a port of this side the same one on the far side.
pub(crate) fn to_near(far: &Far, port: u16) {
    let listen = || std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = far.enter(listen).expect("the far side has all its ports");
    listener.set_nonblocking(true).expect("an option");
    let listener = TcpListener::from_std(listener).expect("a listener");
    carry(listener, move || {
        let stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    });
}

/// Joins each connection with one of `connect`'s, which blocks for no longer than loopback takes.
fn carry(listener: TcpListener, connect: impl Fn() -> io::Result<TcpStream> + Send + 'static) {
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // Who cannot be reached refuses: so does this, by closing.
            let Ok(mut server) = connect() else { continue };
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
}
