//! With a real Docker engine: whatever a test makes there bears a node name of its own and is removed with it.

mod node_check;
