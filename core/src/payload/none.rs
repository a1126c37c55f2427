/// What a panicking task leaves behind: without an allocator, nothing.
#[derive(Debug)]
pub enum PanicPayload {}

/// What the panic said.
pub(crate) fn message(payload: &PanicPayload) -> Option<&str> {
    match *payload {}
}
