//! When the runner has to end: a signal, or the end of the pipe the gateway holds.
//!
//! Nothing is read from standard input but its end. Where it is no pipe (a terminal, `/dev/null` in a container) it says
//! nothing about the gateway, and the control channel alone decides.

use super::settings::OnGatewayLoss;
use std::io;
use std::os::fd::AsFd;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};

/// Why the runner is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// SIGTERM or SIGINT.
    Terminated,
    /// The gateway's process has ended.
    GatewayGone,
}

/// Resolves when this process should end. Must be called on a tokio runtime.
pub async fn stop_cause(on_loss: OnGatewayLoss) -> io::Result<StopCause> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(StopCause::Terminated),
        _ = interrupt.recv() => Ok(StopCause::Terminated),
        () = stdin_end(on_loss) => Ok(StopCause::GatewayGone),
    }
}

async fn stdin_end(on_loss: OnGatewayLoss) {
    let end = match on_loss {
        OnGatewayLoss::Exit => {
            let stdin = io::stdin().as_fd().try_clone_to_owned().and_then(pipe::Receiver::from_owned_fd);
            stdin.ok().map(drain)
        }
        OnGatewayLoss::Reconnect => None,
    };
    match end {
        Some(end) => end.await,
        None => std::future::pending().await,
    }
}

/// Resolves at the end of the pipe; what comes through it is thrown away.
async fn drain(mut pipe: pipe::Receiver) {
    let mut buffer = [0; 256];
    while pipe.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_pipe_ends_when_its_holder_goes_whatever_was_written() {
        let (mut writer, reader) = pipe::pipe().expect("pipe");
        let end = tokio::spawn(drain(reader));
        writer.write_all(b"noise").await.expect("writes");
        tokio::task::yield_now().await;
        assert!(!end.is_finished());
        drop(writer);
        end.await.expect("ends");
    }
}
