//! `playgate bots`: headless players over the `webrtc` crate, for load tests and for proof. Never imports `relay`.
