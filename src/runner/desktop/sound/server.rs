//! A connection to the audio server in PulseAudio's native protocol, as far as recording needs it.
//!
//! The crate's own client runs a thread and reads without bound; its wire format is all that is used here. Messages are cut
//! out of a buffer that holds one of them at most, so that a read that times out in the middle of one loses nothing.

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    AuthParams, AuthReply, ChannelMap, Command, CommandReply, CreateRecordStreamReply, DESCRIPTOR_SIZE,
    LookupReply, MAX_VERSION, Prop, Props, ProtocolError, RecordStreamParams, SampleFormat, SampleSpec,
    SetClientNameReply, read_descriptor, read_reply_message, write_command_message,
};
use std::ffi::CStr;
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the null sink `game` plays.
const MONITOR: &CStr = c"game.monitor";
/// One block of 10 ms: 480 frames of two samples of two bytes.
const FRAGMENT: u32 = 1_920;
/// Bytes of a cookie; a message with any other number is refused.
const COOKIE: usize = 256;
/// A read gives up after this, so that its caller can look around.
const READ: Duration = Duration::from_millis(100);
/// An answer comes within this.
const ANSWER: Duration = Duration::from_secs(2);
/// Longest message that is taken, in bytes; the server's own blocks are 64 KiB at most.
const MAX_MESSAGE: usize = 1 << 20;
/// The channel of commands and answers.
const CONTROL: u32 = u32::MAX;

#[derive(Debug, thiserror::Error)]
pub(in super::super) enum ServerError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("it does not answer")]
    Silent,
    #[error("it sent a message of {0} bytes")]
    TooLong(usize),
    #[error("it ended the recording")]
    Killed,
    #[error("its recording brings nothing")]
    Deaf,
}

pub(super) struct Server {
    socket: UnixStream,
    version: u16,
    sequence: u32,
    buffer: Vec<u8>,
    /// The recording's channel.
    channel: Option<u32>,
    /// The first half of a sample.
    half: Option<u8>,
}

impl Server {
    pub(super) fn connect(path: &Path) -> Result<Self, ServerError> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(READ))?;
        socket.set_write_timeout(Some(ANSWER))?;
        let mut server =
            Self { socket, version: MAX_VERSION, sequence: 0, buffer: Vec::new(), channel: None, half: None };
        // The server lets everybody in who can reach its socket, which lies in a private directory; a cookie it wants
        // to see all the same.
        let cookie = vec![0; COOKIE];
        let auth = AuthParams { version: MAX_VERSION, supports_shm: false, supports_memfd: false, cookie };
        let reply: AuthReply = server.ask(&Command::Auth(auth))?;
        server.version = MAX_VERSION.min(reply.version);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"playgate");
        server.ask::<SetClientNameReply>(&Command::SetClientName(props))?;
        Ok(server)
    }

    /// An error when there is no such source.
    pub(super) fn look_up_monitor(mut self) -> Result<(), ServerError> {
        self.ask::<LookupReply>(&Command::LookupSource(MONITOR.to_owned())).map(|_| ())
    }

    /// Starts recording; [`Self::samples`] brings what is played from now on.
    pub(super) fn record(&mut self) -> Result<(), ServerError> {
        let params = RecordStreamParams {
            sample_spec: SampleSpec { format: SampleFormat::S16Le, channels: 2, sample_rate: 48_000 },
            channel_map: ChannelMap::stereo(),
            source_name: Some(MONITOR.to_owned()),
            buffer_attr: BufferAttr { fragment_size: FRAGMENT, ..BufferAttr::default() },
            // The sink renders as often as its most impatient listener wants.
            flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
            ..RecordStreamParams::default()
        };
        let reply: CreateRecordStreamReply = self.ask(&Command::CreateRecordStream(params))?;
        self.channel = Some(reply.channel);
        Ok(())
    }

    /// What has come in, left and right in turn; empty when nothing came within a tenth of a second.
    pub(super) fn samples(&mut self) -> Result<Vec<i16>, ServerError> {
        let Some((channel, message)) = self.message()? else { return Ok(Vec::new()) };
        let body = message.get(DESCRIPTOR_SIZE..).unwrap_or_default();
        if channel == CONTROL {
            return match Command::read_tag_prefixed(&mut &*body, self.version) {
                Ok((_, Command::RecordStreamKilled(_))) => Err(ServerError::Killed),
                // News about the stream that change nothing here, or that this library cannot read.
                Ok(_) | Err(_) => Ok(Vec::new()),
            };
        }
        if Some(channel) != self.channel {
            return Ok(Vec::new());
        }
        let bytes: Vec<u8> = self.half.take().into_iter().chain(body.iter().copied()).collect();
        let (samples, rest) = bytes.as_chunks::<2>();
        self.half = rest.first().copied();
        Ok(samples.iter().map(|sample| i16::from_le_bytes(*sample)).collect())
    }

    /// Sends a command and reads up to its answer.
    fn ask<R: CommandReply>(&mut self, command: &Command) -> Result<R, ServerError> {
        self.sequence += 1;
        write_command_message(&mut self.socket, self.sequence, command, self.version)?;
        let deadline = Instant::now() + ANSWER;
        while Instant::now() < deadline {
            let Some((channel, message)) = self.message()? else { continue };
            // Sound may come before the answer to what asked for it; that is not missed.
            if channel != CONTROL {
                continue;
            }
            match Command::read_tag_prefixed(
                &mut message.get(DESCRIPTOR_SIZE..).unwrap_or_default(),
                self.version,
            ) {
                Ok((sequence, Command::Reply)) if sequence == self.sequence => {
                    return Ok(read_reply_message::<R>(&mut &*message, self.version)?.1);
                }
                Ok((sequence, Command::Error(error))) if sequence == self.sequence => {
                    return Err(ProtocolError::ServerError(error).into());
                }
                Ok(_) | Err(_) => {}
            }
        }
        Err(ServerError::Silent)
    }

    /// The next whole message with its header, and its channel; `None` when it is not here yet.
    fn message(&mut self) -> Result<Option<(u32, Vec<u8>)>, ServerError> {
        loop {
            let wanted = match self.buffer.get(..DESCRIPTOR_SIZE) {
                None => DESCRIPTOR_SIZE,
                Some(mut header) => {
                    let header = read_descriptor(&mut header)?;
                    let length = usize::try_from(header.length).unwrap_or(usize::MAX);
                    if length > MAX_MESSAGE {
                        return Err(ServerError::TooLong(length));
                    }
                    if self.buffer.len() == DESCRIPTOR_SIZE + length {
                        return Ok(Some((header.channel, std::mem::take(&mut self.buffer))));
                    }
                    DESCRIPTOR_SIZE + length
                }
            };
            if !self.fill(wanted)? {
                return Ok(None);
            }
        }
    }

    /// Reads on up to `wanted` bytes in the buffer; false when the time for it was up.
    fn fill(&mut self, wanted: usize) -> Result<bool, ServerError> {
        let have = self.buffer.len();
        self.buffer.resize(wanted, 0);
        let read = self.socket.read(&mut self.buffer[have..]);
        self.buffer.truncate(have + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}
