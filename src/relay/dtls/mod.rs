//! What the relay reads of DTLS itself, before `rtc` does: records, whole handshake messages, and the ClientHello.
//!
//! `rtc` chooses the SRTP cipher when it is built, so the viewer's ClientHello has to be known first; and a peer must not be
//! ended, slowed down or filled up by plaintext that anybody could have sent. Everything here is pure, bounded in bytes and
//! linear in its input.
//!
//! Does not: decrypt, answer, or keep time.

mod client_hello;
mod inflow;
mod record;

pub(super) use client_hello::ClientHello;
#[cfg(test)]
pub(super) use client_hello::tests::message as hello_message;
pub(super) use inflow::{Inflow, LARGEST_MESSAGE};
pub(super) use record::{Content, records};
