use super::super::client_hello::tests::message as hello;
use super::super::record::HEADER;
use super::*;
use proptest::prelude::*;

const CERTIFICATE: u8 = 11;

/// A plaintext record around handshake bytes.
fn record(sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_plaintext(&mut out, HANDSHAKE, sequence, body);
    out
}

/// A fragment of a message with its header.
fn fragment(kind: u8, number: u16, body: &[u8], from: usize, to: usize) -> Vec<u8> {
    let three = |number: usize| number.to_be_bytes()[5..].to_vec();
    let piece = &body[from..to];
    [
        vec![kind],
        three(body.len()),
        number.to_be_bytes().to_vec(),
        three(from),
        three(piece.len()),
        piece.to_vec(),
    ]
    .concat()
}

/// The messages handed on, as (type, number, body).
fn messages(admitted: &[u8]) -> Vec<(u8, u16, Vec<u8>)> {
    let mut found = Vec::new();
    for record in records(admitted) {
        let mut rest = record.body;
        while let Some(fragment) = Fragment::read(&mut rest) {
            assert_eq!((fragment.offset, fragment.bytes.len()), (0, fragment.length), "whole");
            found.push((fragment.kind, fragment.number, fragment.bytes.to_vec()));
        }
        assert!(rest.is_empty());
    }
    found
}

fn sealed(content: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_plaintext(&mut out, content, 5, body);
    out[4] = 1;
    out
}

#[test]
fn a_hello_over_two_datagrams_is_handed_on_when_it_is_whole() {
    let body = hello(&[1, 7], &[], 1400);
    let mut inflow = Inflow::default();
    let first = inflow.admit(&record(0, &fragment(CLIENT_HELLO, 0, &body, 0, 1200)), false).clone_owned();
    assert_eq!((first.records.len(), first.hello, first.news), (0, None, false));
    let datagram = record(1, &fragment(CLIENT_HELLO, 0, &body, 1200, body.len()));
    let second = inflow.admit(&datagram, false);
    assert_eq!(messages(&second.records), [(CLIENT_HELLO, 0, body)]);
    assert!(second.news && second.hello.is_some_and(|hello| hello.srtp.is_some()));
}

#[test]
fn a_repeated_message_is_reported_and_not_handed_on() {
    let body = hello(&[1], &[], 0);
    let mut inflow = Inflow::default();
    let datagram = record(0, &fragment(CLIENT_HELLO, 0, &body, 0, body.len()));
    assert!(!inflow.admit(&datagram, false).repeated);
    let again = inflow.admit(&datagram, false);
    assert!(again.repeated && !again.news && again.records.is_empty() && !again.refused);
    // The answer to a HelloVerifyRequest is another message.
    let cookie = hello(&[1], &[3; 20], 0);
    let datagram = record(7, &fragment(CLIENT_HELLO, 1, &cookie, 0, cookie.len()));
    let second = inflow.admit(&datagram, false);
    assert_eq!(messages(&second.records), [(CLIENT_HELLO, 1, cookie)]);
    assert_eq!(second.records.get(5..11), Some([0, 0, 0, 0, 0, 1].as_slice()), "numbered by ourselves");
}

#[test]
fn a_forged_announcement_gives_way_to_the_senders_own() {
    let body = hello(&[7], &[], 600);
    let forged = vec![9; 5000];
    let mut inflow = Inflow::default();
    assert!(inflow.admit(&record(0, &fragment(CLIENT_HELLO, 0, &forged, 10, 20)), false).records.is_empty());
    let first = record(1, &fragment(CLIENT_HELLO, 0, &body, 0, 400));
    assert!(inflow.admit(&first, false).records.is_empty());
    let rest = record(2, &fragment(CLIENT_HELLO, 0, &body, 400, body.len()));
    assert_eq!(messages(&inflow.admit(&rest, false).records), [(CLIENT_HELLO, 0, body)]);
}

#[test]
fn a_hello_that_cannot_be_read_does_not_take_its_number() {
    let mut inflow = Inflow::default();
    let junk = [7; 50];
    let refused = record(0, &fragment(CLIENT_HELLO, 0, &junk, 0, junk.len()));
    let refused = inflow.admit(&refused, false);
    assert!(refused.refused && refused.records.is_empty());
    let body = hello(&[1], &[], 0);
    let datagram = record(1, &fragment(CLIENT_HELLO, 0, &body, 0, body.len()));
    assert!(inflow.admit(&datagram, false).news);
}

#[test]
fn plaintext_alerts_are_reported_and_never_handed_on() {
    let mut alert = Vec::new();
    push_plaintext(&mut alert, 21, 1, &[2, 40]);
    let mut inflow = Inflow::default();
    for connected in [false, true] {
        let admitted = inflow.admit(&alert, connected);
        assert_eq!((admitted.alert, admitted.records.len()), (Some(40), 0));
        assert!(!admitted.sealed_alert);
    }
    let alert = sealed(21, &[0; 26]);
    let admitted = inflow.admit(&alert, true);
    assert!(admitted.sealed_alert && admitted.alert.is_none());
    assert_eq!(admitted.records, alert);
}

#[test]
fn plaintext_that_no_handshake_needs_is_refused() {
    let mut inflow = Inflow::default();
    for (content, body) in [(23, b"data".as_slice()), (20, &[2]), (20, &[1, 1]), (24, &[1]), (25, &[1])] {
        let mut datagram = Vec::new();
        push_plaintext(&mut datagram, content, 1, body);
        let admitted = inflow.admit(&datagram, false);
        assert!(admitted.refused && admitted.records.is_empty(), "{content}");
    }
    let mut change = Vec::new();
    push_plaintext(&mut change, CHANGE_CIPHER_SPEC, 9, &[1]);
    assert!(!inflow.admit(&change, false).records.is_empty());
    assert!(inflow.admit(&change, true).records.is_empty(), "not after the handshake");
}

#[test]
fn protected_handshake_records_are_few_and_short() {
    let mut inflow = Inflow::default();
    assert!(inflow.admit(&sealed(HANDSHAKE, &[0; 500]), true).refused);
    for _ in 0..FINISHED {
        assert!(!inflow.admit(&sealed(HANDSHAKE, &[0; 48]), true).records.is_empty());
    }
    assert!(inflow.admit(&sealed(HANDSHAKE, &[0; 48]), true).refused);
}

#[test]
fn what_is_kept_and_handed_on_is_bounded() {
    let mut inflow = Inflow::default();
    let body = vec![0; LARGEST_MESSAGE];
    let mut handed_on = 0;
    for round in 0..2000_u16 {
        // Pieces of one byte with holes between them, of every message; and what fills the queue behind the handshake.
        let number = round % MESSAGES;
        let at = usize::from(round) * 2 % body.len();
        let piece = fragment(CERTIFICATE, number, &body, at, at + 1);
        handed_on += inflow.admit(&record(0, &piece), false).records.len();
        handed_on += inflow.admit(&sealed(23, &[0; 1000]), false).records.len();
        let kept: usize = inflow.partial.iter().map(|partial| partial.bytes.len()).sum();
        assert!(kept <= LARGEST_PARTIAL && inflow.partial.len() <= PARTIALS);
        assert!(inflow.partial.iter().all(|partial| partial.pieces.len() <= PIECES));
    }
    assert!(handed_on <= BEFORE_CONNECTED);
    let longer = fragment(CERTIFICATE, 3, &vec![0; LARGEST_MESSAGE + 1], 0, 5);
    assert!(inflow.admit(&record(0, &longer), false).refused);
}

impl Admitted<'_> {
    fn clone_owned(self) -> Admitted<'static> {
        Admitted { records: Cow::Owned(self.records.into_owned()), ..self }
    }
}

/// Number of a message, and from where to where a piece of it reaches.
type Piece = (u16, usize, usize);

/// Bodies of a client's messages, cut into overlapping pieces; then the order in which pieces are sent, with repetitions.
fn pieces() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<Piece>)> {
    let bodies = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 1..4);
    // No body is cut into more pieces than may lie apart (`PIECES`).
    (bodies, 40usize..400, 0usize..40, any::<prop::sample::Index>()).prop_flat_map(
        |(rest, size, overlap, twice)| {
            let mut bodies = vec![hello(&[1, 7], &[], 900)];
            bodies.extend(rest);
            let mut pieces = Vec::new();
            for (number, body) in (0u16..).zip(&bodies) {
                let mut from = 0;
                loop {
                    let to = (from + size).min(body.len());
                    pieces.push((number, from.saturating_sub(overlap), to));
                    if to == body.len() {
                        break;
                    }
                    from = to;
                }
            }
            pieces.push(pieces[twice.index(pieces.len())]);
            (Just(bodies), Just(pieces).prop_shuffle())
        },
    )
}

proptest! {
    #[test]
    fn messages_arrive_whole_and_once_in_any_order_of_their_pieces((bodies, pieces) in pieces(), pack in 1usize..4) {
        let mut inflow = Inflow::default();
        let mut found = Vec::new();
        let mut hellos = 0;
        for pieces in pieces.chunks(pack) {
            // Several records in a datagram, or several fragments in a record.
            let fragments: Vec<Vec<u8>> = pieces
                .iter()
                .map(|(number, from, to)| {
                    let kind = if *number == 0 { CLIENT_HELLO } else { CERTIFICATE };
                    fragment(kind, *number, &bodies[usize::from(*number)], *from, *to)
                })
                .collect();
            let datagram = if pieces.len() % 2 == 0 {
                record(3, &fragments.concat())
            } else {
                fragments.iter().flat_map(|fragment| record(3, fragment)).collect()
            };
            let admitted = inflow.admit(&datagram, false);
            prop_assert!(!admitted.refused);
            hellos += usize::from(admitted.hello.is_some());
            found.extend(messages(&admitted.records));
        }
        found.sort();
        let expected: Vec<_> = (0u16..)
            .zip(&bodies)
            .map(|(number, body)| {
                let kind = if number == 0 { CLIENT_HELLO } else { CERTIFICATE };
                (kind, number, body.clone())
            })
            .collect();
        let mut expected = expected;
        expected.sort();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(hellos, 1);
        prop_assert!(inflow.partial.is_empty());
    }

    #[test]
    fn no_datagram_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), connected in any::<bool>()) {
        let mut inflow = Inflow::default();
        let mut framed = record(0, &bytes);
        framed[0] = 20 + bytes.first().copied().unwrap_or(0) % 6;
        for datagram in [&bytes, &framed] {
            let admitted = inflow.admit(datagram, connected);
            let length: usize = records(&admitted.records).map(|record| record.bytes.len()).sum();
            prop_assert_eq!(length, admitted.records.len(), "well-formed records");
        }
        prop_assert!(framed.len() >= HEADER);
    }
}
