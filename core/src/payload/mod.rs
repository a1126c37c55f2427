//! What a panicking task leaves behind. Without an allocator panics do not unwind, and leave nothing.

#[cfg(feature = "alloc")]
mod boxed;
#[cfg(not(feature = "alloc"))]
mod none;

#[cfg(feature = "alloc")]
pub use self::boxed::PanicPayload;
#[cfg(feature = "alloc")]
pub(crate) use self::boxed::message;
#[cfg(not(feature = "alloc"))]
pub use self::none::PanicPayload;
#[cfg(not(feature = "alloc"))]
pub(crate) use self::none::message;
