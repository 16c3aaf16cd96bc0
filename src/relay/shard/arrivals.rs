//! Routes what viewers send to their peers: STUN by ufrag, everything else by an address that a proven check came from.
//!
//! What belongs to a viewer on its way in is passed on to the worker that does its handshake (`joiners`).
//! Datagrams that belong to no peer are counted and dropped: a ClientHello from an unproven address costs a look-up.

use super::{BATCHES, MEDIA, Shard};
use crate::relay::demux::{self, Kind};
use crate::relay::peer::Binding;
use crate::relay::socket::Path;
use crate::relay::stats::{Count, Drop};
use crate::relay::stun::{Request, StunError};
use std::collections::BTreeSet;
use std::time::Instant;

impl Shard {
    /// Takes what viewers sent.
    pub(super) fn media(&mut self) {
        if !self.readable.contains(&MEDIA.0) {
            return;
        }
        self.take_passing();
        let mut buffers = std::mem::take(&mut self.buffers);
        let mut touched = BTreeSet::new();
        for _ in 0..BATCHES {
            self.stats.count(Count::Receives, 1);
            let more = self.socket.receive(&mut buffers);
            let now = Instant::now();
            for (path, datagram) in buffers.datagrams() {
                self.stats.count(Count::MediaInPackets, 1);
                self.stats.count(Count::MediaInBytes, datagram.len() as u64);
                if !self.socket.accepts(path.remote) {
                    self.stats.drop(Drop::OtherMachine);
                    continue;
                }
                touched.extend(self.datagram(now, path, datagram));
            }
            if !more {
                self.readable.remove(&MEDIA.0);
                break;
            }
        }
        self.buffers = buffers;
        for key in touched {
            self.look_after(key);
        }
    }

    /// Routes one datagram; gives the viewer it belonged to.
    pub(super) fn datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Option<u64> {
        match demux::classify(datagram) {
            Kind::Stun => self.binding(now, path, datagram),
            Kind::Dtls | Kind::Media => {
                let Some(key) = self.demux.by_address(path.remote) else {
                    self.stats.drop(Drop::UnknownPeer);
                    return None;
                };
                if self.forward_to_worker(now, key, path, datagram) {
                    return None;
                }
                let peer = &mut self.viewers.get_mut(&key)?.peer;
                let before = peer.path();
                if let Err(reason) = peer.datagram(now, path, datagram) {
                    self.stats.drop(reason);
                }
                if peer.path() != before {
                    self.stats.count(Count::PathMoves, 1);
                }
                Some(key)
            }
            Kind::Unknown => {
                self.stats.drop(Drop::Malformed);
                None
            }
        }
    }

    fn binding(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Option<u64> {
        let request = match Request::parse(datagram) {
            Ok(request) => request,
            // Responses and indications: browsers send indications as keepalives.
            Err(StunError::NotARequest) => return None,
            Err(StunError::Malformed | StunError::Unauthenticated) => {
                self.stats.drop(Drop::MalformedStun);
                return None;
            }
        };
        let Some(key) = self.demux.by_ufrag(now, request.local_ufrag) else {
            self.stats.drop(Drop::UnknownUfrag);
            return None;
        };
        if self.forward_to_worker(now, key, path, datagram) {
            return None;
        }
        let before = self.viewers.get(&key)?.peer.path();
        let (response, proven) = match self.viewers.get_mut(&key)?.peer.binding(now, path, &request) {
            Binding::Proven(response) => (response, true),
            Binding::Conflict(response) => (response, false),
            Binding::Forged => {
                self.stats.drop(Drop::StunIntegrity);
                return None;
            }
            Binding::Replayed => {
                self.stats.drop(Drop::StunReplayed);
                return None;
            }
        };
        if proven {
            self.demux.seen(path.remote, key);
        }
        if self.viewers.get(&key)?.peer.path() != before {
            self.stats.count(Count::PathMoves, 1);
        }
        self.socket.send(path, &response, &mut self.stats);
        Some(key)
    }
}
