//! Memory that batches of datagrams are received into; what the kernel joined (GRO) is told apart again.

use quinn_udp::RecvMeta;
use std::io::{self, ErrorKind, IoSliceMut};

/// Room for one datagram, or for what GRO joins to one.
const ROOM: usize = 1 << 16;

/// A batch of at most `N` buffers. Keeps its memory from batch to batch; the default has none and receives nothing.
#[derive(Debug, Default)]
pub(crate) struct Batch<const N: usize> {
    memory: Vec<u8>,
    meta: Vec<RecvMeta>,
    count: usize,
}

impl<const N: usize> Batch<N> {
    pub(crate) fn new() -> Self {
        Self { memory: vec![0; ROOM * N], meta: vec![RecvMeta::default(); N], count: 0 }
    }

    /// Receives one batch by `receive`. False: it was the last, and the next datagram will be an event.
    pub(crate) fn fill(
        &mut self,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> bool {
        let mut memory = self.memory.chunks_mut(ROOM);
        let mut slices: [IoSliceMut<'_>; N] =
            std::array::from_fn(|_| IoSliceMut::new(memory.next().unwrap_or_default()));
        let received = receive(&mut slices, &mut self.meta);
        self.count = *received.as_ref().unwrap_or(&0);
        match received {
            Ok(count) => count == N,
            // Anything else is an ICMP error of an earlier send, or an interrupt: there may be more.
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What was received last, datagram by datagram.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (&RecvMeta, &[u8])> {
        self.memory.chunks(ROOM).zip(&self.meta).take(self.count).flat_map(|(buffer, meta)| {
            let data = buffer.get(..meta.len).unwrap_or_default();
            data.chunks(meta.stride.max(1)).map(move |datagram| (meta, datagram))
        })
    }
}
