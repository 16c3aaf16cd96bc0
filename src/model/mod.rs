//! What the house speaks of, as plain values: identifiers, times, states and rows.
//!
//! Below everything: knows no other module but the messages of `playgate-signaling`. Does nothing; what happens to these
//! values is decided by those who hold them.

pub mod clock;
pub mod events;
pub mod hosted;
pub mod ids;
pub mod instance;
pub mod nodes;
pub mod quality;
pub mod rows;
pub mod session;

pub use clock::{Clock, Millis};
