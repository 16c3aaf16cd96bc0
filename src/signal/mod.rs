//! Signaling endpoints: `WS /session/{id}/signal` and `/session/{id}/whep`. They move SDP and messages, never media.
