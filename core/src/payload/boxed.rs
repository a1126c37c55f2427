use alloc::{boxed::Box, string::String};
use core::any::Any;

/// What a panicking task leaves behind.
pub type PanicPayload = Box<dyn Any + Send + 'static>;

/// What the panic said, if it said a string.
pub(crate) fn message(payload: &PanicPayload) -> Option<&str> {
    let payload: &(dyn Any + Send) = &**payload;
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
