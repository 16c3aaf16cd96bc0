//! What of a viewer's DTLS is handed to `rtc`: plaintext handshake messages once they are whole, and what is protected.
//!
//! Anybody who can send from a viewer's address can write plaintext records, so they are held to what a handshake needs:
//!
//! - Handshake messages are put together here from fragments in any order, repeated or overlapping, and handed on once
//!   each, whole, in a record of our own numbering. So neither a forged sequence number nor fragments without end reach
//!   `rtc`, whose own reassembly is recursive and keeps what it was sent.
//! - A message that was handed on before is a retransmission: the caller repeats its own last flight (RFC 6347 section
//!   4.2.4). `rtc` does not do that: it stops its timer at any handshake record.
//! - Alerts are reported and not handed on. After the handshake no plaintext is.
//!
//! Invariant: what is kept and what is handed on before the handshake is done are bounded in bytes.

use super::client_hello::ClientHello;
use super::record::{Content, Record, push_plaintext, records};
use std::borrow::Cow;

/// The longest handshake message; a chain of certificates is the largest there is.
pub(in crate::relay) const LARGEST_MESSAGE: usize = 16 * 1024;
/// Bytes of messages that are not whole yet.
const LARGEST_PARTIAL: usize = 48 * 1024;
/// Messages that are not whole yet: a flight has five.
const PARTIALS: usize = 8;
/// Pieces of one message with holes between them.
const PIECES: usize = 32;
/// Handshake messages of one side are numbered below this (a handshake has seven).
const MESSAGES: u16 = 32;
/// Bytes handed on before the handshake is done.
const BEFORE_CONNECTED: usize = 128 * 1024;
/// Protected handshake records hold a Finished and nothing else: this long at most, and repeated this often.
const LARGEST_FINISHED: usize = 128;
const FINISHED: u16 = 64;
/// Type, length, message number, offset and length of the fragment (RFC 6347 section 4.2.2).
const MESSAGE_HEADER: usize = 12;
const CLIENT_HELLO: u8 = 1;
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;

/// What came of a datagram.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::relay) struct Admitted<'a> {
    /// Records for `rtc`; empty when there is nothing for it.
    pub(in crate::relay) records: Cow<'a, [u8]>,
    /// The first whole ClientHello among them.
    pub(in crate::relay) hello: Option<ClientHello>,
    /// At least one handshake message among them is new.
    pub(in crate::relay) news: bool,
    /// A message was sent again that had been handed on before.
    pub(in crate::relay) repeated: bool,
    /// The description of a plaintext alert (RFC 5246 section 7.2), which anybody can forge.
    pub(in crate::relay) alert: Option<u8>,
    /// There is a protected alert among the records.
    pub(in crate::relay) sealed_alert: bool,
    /// Something was neither handed on nor kept.
    pub(in crate::relay) refused: bool,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(in crate::relay) struct Inflow {
    partial: Vec<Partial>,
    /// One bit for each message that was handed on.
    done: u32,
    /// Of the next plaintext record.
    sequence: u64,
    handed_on: usize,
    finished: u16,
}

/// A message of which pieces are missing.
#[derive(Debug)]
struct Partial {
    kind: u8,
    number: u16,
    bytes: Vec<u8>,
    /// Which of them are there: sorted, apart from each other.
    pieces: Vec<(usize, usize)>,
}

/// A fragment of a handshake message.
struct Fragment<'a> {
    kind: u8,
    length: usize,
    number: u16,
    offset: usize,
    bytes: &'a [u8],
}

impl Inflow {
    /// Takes a datagram. `connected`: the handshake is done.
    pub(in crate::relay) fn admit<'a>(&mut self, datagram: &'a [u8], connected: bool) -> Admitted<'a> {
        let mut admitted = Admitted::default();
        if connected && let Some(whole) = only_application_data(datagram) {
            admitted.records = Cow::Borrowed(whole);
            return admitted;
        }
        let mut out = Vec::new();
        for record in records(datagram) {
            match (record.epoch, record.content) {
                (0, Content::Handshake) => self.handshake(&record, connected, &mut admitted, &mut out),
                (0, Content::ChangeCipherSpec) if !connected && record.body == [1] => {
                    if self.may_hand_on(record.bytes.len(), connected, &mut admitted) {
                        self.push(&mut out, CHANGE_CIPHER_SPEC, record.body);
                    }
                }
                (0, Content::Alert) => admitted.alert = admitted.alert.or(record.body.get(1).copied()),
                (1, Content::Handshake) => {
                    let fits = record.bytes.len() <= LARGEST_FINISHED && self.finished < FINISHED;
                    if fits && self.may_hand_on(record.bytes.len(), connected, &mut admitted) {
                        self.finished += 1;
                        out.extend_from_slice(record.bytes);
                    }
                    admitted.refused |= !fits;
                }
                (1, Content::Alert | Content::ApplicationData) => {
                    if self.may_hand_on(record.bytes.len(), connected, &mut admitted) {
                        admitted.sealed_alert |= record.content == Content::Alert;
                        out.extend_from_slice(record.bytes);
                    }
                }
                _ => admitted.refused |= !connected,
            }
        }
        admitted.records = Cow::Owned(out);
        admitted
    }

    /// Keeps within [`BEFORE_CONNECTED`].
    fn may_hand_on(&mut self, bytes: usize, connected: bool, admitted: &mut Admitted<'_>) -> bool {
        let may = connected || self.handed_on + bytes <= BEFORE_CONNECTED;
        if may {
            self.handed_on = self.handed_on.saturating_add(bytes);
        }
        admitted.refused |= !may;
        may
    }

    fn push(&mut self, out: &mut Vec<u8>, content: u8, body: &[u8]) {
        push_plaintext(out, content, self.sequence, body);
        self.sequence += 1;
    }

    fn handshake(
        &mut self,
        record: &Record<'_>,
        connected: bool,
        admitted: &mut Admitted<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut rest = record.body;
        while let Some(fragment) = Fragment::read(&mut rest) {
            if fragment.number < MESSAGES && self.done & (1 << fragment.number) != 0 {
                admitted.repeated |= fragment.offset == 0;
                continue;
            }
            let fits = fragment.number < MESSAGES
                && fragment.length <= LARGEST_MESSAGE
                && fragment.offset + fragment.bytes.len() <= fragment.length;
            if connected || !fits {
                admitted.refused = true;
                continue;
            }
            let Some(message) = self.complete(&fragment, admitted) else { continue };
            if fragment.kind == CLIENT_HELLO {
                let hello = message.get(MESSAGE_HEADER..).and_then(ClientHello::parse);
                if hello.is_none() {
                    admitted.refused = true;
                    continue;
                }
                admitted.hello = admitted.hello.or(hello);
            }
            if self.may_hand_on(message.len(), connected, admitted) {
                self.done |= 1 << fragment.number;
                admitted.news = true;
                self.push(out, HANDSHAKE, &message);
            }
        }
        admitted.refused |= !rest.is_empty();
    }

    /// Puts a fragment in its place; gives the message, header and all, when nothing of it is missing.
    fn complete(&mut self, fragment: &Fragment<'_>, admitted: &mut Admitted<'_>) -> Option<Vec<u8>> {
        if fragment.bytes.len() == fragment.length {
            self.partial.retain(|partial| partial.number != fragment.number);
            return Some(message(fragment.kind, fragment.number, fragment.bytes));
        }
        // A message that is announced in another form replaces the first: one of the two is forged, and only the sender's
        // own is sent again.
        self.partial.retain(|partial| {
            partial.number != fragment.number
                || (partial.kind == fragment.kind && partial.bytes.len() == fragment.length)
        });
        let at = match self.partial.iter().position(|partial| partial.number == fragment.number) {
            Some(at) => at,
            None => {
                let kept: usize = self.partial.iter().map(|partial| partial.bytes.len()).sum();
                if self.partial.len() >= PARTIALS || kept + fragment.length > LARGEST_PARTIAL {
                    admitted.refused = true;
                    return None;
                }
                self.partial.push(Partial {
                    kind: fragment.kind,
                    number: fragment.number,
                    bytes: vec![0; fragment.length],
                    pieces: Vec::new(),
                });
                self.partial.len() - 1
            }
        };
        let partial = self.partial.get_mut(at)?;
        admitted.refused |= !partial.put(fragment.offset, fragment.bytes);
        if partial.pieces != [(0, partial.bytes.len())] {
            return None;
        }
        let whole = self.partial.swap_remove(at);
        Some(message(whole.kind, whole.number, &whole.bytes))
    }
}

impl Partial {
    /// False: the piece would leave too many holes.
    fn put(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let (mut from, mut to) = (offset, offset + bytes.len());
        let apart = |piece: &(usize, usize)| piece.1 < from || piece.0 > to;
        if self.pieces.len() >= PIECES && self.pieces.iter().all(apart) {
            return false;
        }
        if let Some(place) = self.bytes.get_mut(offset..to) {
            place.copy_from_slice(bytes);
        }
        self.pieces.retain(|piece| {
            if piece.1 < from || piece.0 > to {
                return true;
            }
            (from, to) = (from.min(piece.0), to.max(piece.1));
            false
        });
        let at = self.pieces.partition_point(|piece| piece.0 < from);
        self.pieces.insert(at, (from, to));
        true
    }
}

impl<'a> Fragment<'a> {
    /// The first fragment of `rest`, which is shortened by it; `None` at its end and at what is cut off.
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let (header, after) = rest.split_first_chunk::<MESSAGE_HEADER>()?;
        let [kind, l0, l1, l2, n0, n1, o0, o1, o2, f0, f1, f2] = *header;
        let number = |high: u8, middle: u8, low: u8| {
            usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
        };
        let (bytes, after) = after.split_at_checked(number(f0, f1, f2))?;
        *rest = after;
        Some(Self {
            kind,
            length: number(l0, l1, l2),
            number: u16::from_be_bytes([n0, n1]),
            offset: number(o0, o1, o2),
            bytes,
        })
    }
}

/// A message as one fragment: its form in the transcript that both sides sign (RFC 6347 section 4.2.6).
fn message(kind: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let [.., l0, l1, l2] = body.len().to_be_bytes();
    let [n0, n1] = number.to_be_bytes();
    let mut message = Vec::with_capacity(MESSAGE_HEADER + body.len());
    message.extend_from_slice(&[kind, l0, l1, l2, n0, n1, 0, 0, 0, l0, l1, l2]);
    message.extend_from_slice(body);
    message
}

/// The datagram, if it is nothing but one protected record of application data: most are.
fn only_application_data(datagram: &[u8]) -> Option<&[u8]> {
    let first = records(datagram).next()?;
    (first.epoch == 1 && first.content == Content::ApplicationData && first.bytes.len() == datagram.len())
        .then_some(datagram)
}

#[cfg(test)]
#[path = "inflow_tests.rs"]
mod tests;
