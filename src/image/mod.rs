//! `playgate image`: makes images that run games under the runner contract, and judges whether an image keeps it.
