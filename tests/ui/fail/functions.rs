//! Functions that the attributes do not go on.

#[jenny::main]
fn not_async() {}

#[jenny::test]
fn not_async_test() {}

#[jenny::test]
#[test]
async fn two_test_attributes() {}

#[jenny::main]
struct NotAFunction;

mod with_arguments {
    #[jenny::main]
    async fn main(arguments: Vec<String>) {}
}

fn main() {}
