//! Attribute macros of jenny.
