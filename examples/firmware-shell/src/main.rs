//! A shell on the serial port: `cargo run --release`, and type `help`.
//!
//! The port's interrupt brings bytes, one task makes lines of them and answers, and each `after` is
//! a task of its own.

#![no_std]
#![no_main]

use core::fmt::{self, Write};

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use firmware_board::{self as board, Exit, serial};
use firmware_one_core::{Chip, now, sleep_until, start_clock, tick};
use heapless::{String, Vec};
use jenny_core::{
    single::{Executor, Spawner},
    task::JoinHandle,
};

type Line = String<64>;

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static RECEIVED: Channel<CriticalSectionRawMutex, u8, 64> = Channel::new();

board::on_timer!(tick);
board::on_serial!(receive);

fn receive() {
    while !RECEIVED.is_full() {
        let Some(byte) = serial::receive() else { return };
        RECEIVED.try_send(byte).expect("it has room");
    }
    // The rest waits in the port until `line` has made room.
    serial::disable_interrupt();
}

struct Terminal;

impl Write for Terminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::send(text.as_bytes());
        Ok(())
    }
}

fn say(text: fmt::Arguments<'_>) {
    // `Terminal` never fails.
    let _ = writeln!(Terminal, "{text}");
}

#[board::entry]
fn main() -> ! {
    board::heap!(16 * 1024);
    start_clock();
    serial::enable_interrupt();
    EXECUTOR.run(|spawner| drop(spawner.spawn_local(shell(spawner))));
    board::exit(Exit::Success)
}

async fn shell(spawner: Spawner<Chip>) {
    let mut later: Vec<JoinHandle<()>, 8> = Vec::new();
    say(format_args!("jenny shell"));
    loop {
        let line = line().await;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (command, rest.split_once(' ')) {
            ("", _) => {}
            ("echo", _) => say(format_args!("{rest}")),
            ("after", Some((milliseconds, words))) => match milliseconds.parse() {
                Ok(milliseconds) => {
                    let words = words.try_into().expect("it is shorter than the line");
                    let task = spawner.spawn_local(after(milliseconds, words));
                    later.retain(|task| !task.is_finished());
                    if let Err(task) = later.push(task) {
                        task.abort();
                        say(format_args!("too much to do"));
                    }
                }
                Err(error) => say(format_args!("{milliseconds}: {error}")),
            },
            ("abort", _) => {
                let aborted = later.iter().filter(|task| !task.is_finished());
                say(format_args!("{} aborted", aborted.map(JoinHandle::abort).count()));
            }
            ("wait", _) => {
                let mut done = 0;
                while let Some(task) = later.pop() {
                    done += usize::from(task.await.is_ok());
                }
                say(format_args!("{done} done"));
            }
            ("exit", _) => break,
            ("help", _) => say(format_args!("echo WORDS, after MS WORDS, wait, abort, exit")),
            _ => say(format_args!("{command}: unknown, try help")),
        }
    }
    say(format_args!("bye"));
    EXECUTOR.close();
}

async fn after(milliseconds: u64, words: Line) {
    sleep_until(now() + milliseconds).await;
    say(format_args!("{words}"));
}

async fn line() -> Line {
    let mut line = Line::new();
    loop {
        let byte = RECEIVED.receive().await;
        serial::enable_interrupt();
        match byte {
            b'\n' | b'\r' => return line,
            // The end of a line that is too long is cut off.
            _ => drop(line.push(byte.into())),
        }
    }
}
