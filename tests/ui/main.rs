//! What the attribute macros accept, and how they refuse the rest.
//!
//! After a deliberate change of a message: `TRYBUILD=overwrite cargo test -p jenny-tests --test ui`.

#[test]
fn attributes() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
