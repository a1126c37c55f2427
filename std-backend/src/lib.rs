//! jenny.
