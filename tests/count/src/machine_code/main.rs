//! Counts read-modify-writes in the machine code itself, of jenny and of Tokio: a parent runs the
//! measured thread instruction by instruction and looks at each. What the counting build is told by
//! the source, this sees in the program that users run, the standard library and Tokio included.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod decode;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod paths;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod step;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(),
        ["--run", runtime, path] => paths::run(runtime, path),
        _ => {
            eprintln!("it takes no arguments");
            std::process::exit(2);
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn main() {
    eprintln!("this reads the machine code of x86-64 on Linux");
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn table() {
    let names = paths::RUNTIMES;
    print!("| on the measured thread, per operation |");
    for what in ["RMW", "fences", "instructions"] {
        names.iter().for_each(|runtime| print!(" {what}, {runtime} |"));
    }
    println!("\n|---|{}", "---|".repeat(3 * names.len()));
    for path in paths::names() {
        let counts = names.map(|runtime| step::count(runtime, path));
        let each = |of: fn(&step::Counts) -> u64| {
            counts.each_ref().map(|counts| of(counts) as f64 / paths::OPERATIONS as f64)
        };
        print!("| {path} |");
        for value in each(|counts| counts.rmw) {
            print!(" {value:.2} |");
        }
        for value in each(|counts| counts.fences) {
            print!(" {value:.2} |");
        }
        for value in each(|counts| counts.instructions) {
            print!(" {value:.0} |");
        }
        println!();
    }
}
