//! Without an allocator no task lies on the heap.

/// A place on the heap.
#[derive(Debug)]
pub enum Place {}
