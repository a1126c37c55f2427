//! The examples are programs of their own: see `examples/*/main.rs`.
