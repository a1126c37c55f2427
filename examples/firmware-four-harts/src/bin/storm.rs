//! No wake is lost between four harts, wherever it comes: from a hart's own interrupt or from another
//! hart, at a random moment of the way from a task to WFI.
//!
//! Each wake is the only one of its task, so a lost one would leave all harts asleep for ever.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use firmware_board::{self as board, Exit, println, riscv::interrupted_instruction};
use firmware_four_harts::{Bell, HARTS, Handle, Virt, hart, run, set_alarm};
use jenny_core::smp;

const ROUNDS: usize = 2_000;
/// The latest alarm, in ticks of the clock: when most harts sleep that wait for it.
const AHEAD: u32 = 256;
/// Tasks that may move.
const ROAMING: usize = 8;

/// Rung by the alarm of each hart.
static ALARMS: [Bell; HARTS] = [const { Bell::new() }; HARTS];
/// Rung by the hart next to each, for the task that this one keeps.
static NEIGHBOURS: [Bell; HARTS] = [const { Bell::new() }; HARTS];
/// Rung by each task that may move for its partner.
static PARTNERS: [Bell; ROAMING] = [const { Bell::new() }; ROAMING];
/// Rung by each task that a hart keeps, when it has done all its rounds.
static STAYED: Bell = Bell::new();

#[board::entry]
fn main() -> ! {
    run(conduct, |spawner| drop(spawner.spawn_local(stay())));
    println!("{} instructions were interrupted", places());
    board::exit(Exit::Success)
}

/// A task that one hart keeps.
async fn stay() {
    let home = hart();
    let mut random = Random(home as u32 + 1);
    for _ in 0..ROUNDS {
        alarm(&mut random).await;
    }
    volley(&NEIGHBOURS, home, &mut random).await;
    STAYED.ring();
}

async fn conduct(handle: Handle) {
    STAYED.rung(HARTS).await;
    println!("tasks that stay: {} alarms came back", total(&ALARMS));
    println!("tasks that stay: {} rings of others came back", total(&NEIGHBOURS));

    // From here on a wake that no hart hears of is not made good by those of other tasks.
    let mut random = Random(HARTS as u32 + 1);
    for _ in 0..ROUNDS {
        alarm(&mut random).await;
    }
    println!("a task that moves: {} alarms came back", total(&ALARMS) - HARTS * ROUNDS);

    let players = core::array::from_fn::<_, ROAMING, _>(|number| {
        handle.spawn(async move {
            volley(&PARTNERS, number, &mut Random(number as u32 + 1)).await;
        })
    });
    for player in players {
        player.await.expect("nobody has aborted it");
    }
    println!("tasks that move: {} rings of others came back", total(&PARTNERS));
    handle.close();
}

/// Waits for an alarm of this hart at a random moment.
async fn alarm(random: &mut Random) {
    let hart = hart();
    let rings = ALARMS[hart].rings() + 1;
    set_alarm(hart, board::timer::now() + u64::from(random.below(AHEAD)));
    assert_eq!(ALARMS[hart].rung(rings).await, rings, "an alarm too many");
}

/// Rings a partner's bell and waits for its own, over and over. The partner does the same.
async fn volley(bells: &'static [Bell], own: usize, random: &mut Random) {
    for round in 1..=ROUNDS {
        board::spin(2 + random.below(4_096));
        bells[own ^ 1].ring();
        let rings = bells[own].rung(round).await;
        // The partner may be ahead by what it need not wait for.
        assert!((round..=round + 1).contains(&rings), "{rings} rings in round {round}");
    }
}

fn total(bells: &[Bell]) -> usize {
    bells.iter().map(Bell::rings).sum()
}

/// The handler of each hart's alarm.
#[unsafe(no_mangle)]
extern "C" fn MachineTimer() {
    set_alarm(hart(), u64::MAX);
    note(interrupted_instruction());
    smp::in_interrupt::<Virt, _>(|| ALARMS[hart()].ring());
}

/// A bit for each place where an instruction may be. The program is at the start of the memory.
static PLACES: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];

fn note(instruction: usize) {
    let place = instruction / 2 % (32 * PLACES.len());
    PLACES[place / 32].fetch_or(1 << (place % 32), Relaxed);
}

fn places() -> u32 {
    PLACES.iter().map(|bits| bits.load(Relaxed).count_ones()).sum()
}

/// Numbers that differ from round to round (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u32);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}
