//! Errors in the body are reported in the body.

#[jenny::main]
async fn wrong_tail() -> u32 {
    "hello"
}

#[jenny::main]
async fn wrong_return(early: bool) -> u32 {
    if early {
        return "early";
    }
    1
}

#[jenny::main]
async fn nothing_to_return() {
    5
}

#[jenny::main]
async fn unknown_name() {
    let _ = unknown;
}

fn main() {}
