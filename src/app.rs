//! The composition root: puts a gateway together from its configuration and takes it down in order.
