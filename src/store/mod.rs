//! What is remembered: one `Store` interface over SQL, and the `SaveStore` of save archives. No SQL type leaks out.
