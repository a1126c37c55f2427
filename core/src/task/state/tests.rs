//! The word, field by field.

use super::*;
use crate::sync::fused;

fn seen(state: &State) -> Seen {
    match state.start_poll() {
        StartPoll::Poll(seen) => seen,
        StartPoll::Cancel => panic!("not cancelled"),
    }
}

#[test]
fn the_fields_fill_the_word_and_do_not_overlap() {
    let flags = COMPLETE | CANCELLED | JOIN_INTEREST | JOIN_WAKER | COALESCED;
    let wakes = !(WAKE - 1);
    assert_eq!(flags & REF_MASK, 0);
    assert_eq!(REF_MASK & wakes, 0);
    assert_eq!(flags | REF_MASK | wakes, usize::MAX);
    if usize::BITS == 64 {
        assert_eq!((WAKE_BITS, REF_MASK.count_ones()), (32, 27));
    } else {
        assert_eq!((WAKE_BITS, REF_MASK.count_ones()), (11, 16));
    }
}

#[test]
fn a_wake_during_a_poll_asks_for_another() {
    let state = State::new();
    let first = seen(&state);
    assert_eq!(fused(|f| state.wake_by_ref(f)), Wake::Nothing);
    assert_eq!(state.end_poll(first), EndPoll::Again);
    let second = seen(&state);
    assert_eq!(state.end_poll(second), EndPoll::Idle);
    assert_eq!(fused(|f| state.wake_by_ref(f)), Wake::Schedule);
    assert_eq!(fused(|f| state.wake_by_ref(f)), Wake::Nothing);
}

#[test]
fn a_full_counter_is_folded_and_no_wake_is_lost() {
    let state = State::new();
    let before = seen(&state);
    // As if the field were half full.
    state.0.fetch_add((HALF_OF_WAKES - 1) << WAKE_SHIFT, Ordering::Relaxed);
    assert_eq!(fused(|f| state.wake_by_ref(f)), Wake::Nothing);
    assert_eq!(state.load(Ordering::Relaxed).wakes(), 1, "folded");
    assert_eq!(state.end_poll(before), EndPoll::Again, "the folded wake is not forgotten");
    let after = seen(&state);
    assert_eq!(state.end_poll(after), EndPoll::Idle);
}

#[test]
fn cancelling_claims_an_idle_task_and_flags_a_busy_one() {
    let state = State::new();
    let poll = seen(&state);
    assert_eq!(state.cancel(), Cancel::Busy);
    assert_eq!(state.end_poll(poll), EndPoll::Again);
    assert!(matches!(state.start_poll(), StartPoll::Cancel));

    let idle = State::new();
    let poll = seen(&idle);
    assert_eq!(idle.end_poll(poll), EndPoll::Idle);
    assert_eq!(idle.cancel(), Cancel::Claimed);
    assert_eq!(idle.cancel(), Cancel::Busy);
    let done = idle.complete(0);
    assert!(done.join_interest && !done.join_waker);
    assert_eq!(idle.cancel(), Cancel::Complete);
}

#[test]
fn only_an_idle_task_is_claimed_and_a_wake_meanwhile_is_answered() {
    let state = State::new();
    assert!(!state.claim_idle(), "scheduled");
    let poll = seen(&state);
    assert!(!state.claim_idle(), "being polled");
    assert_eq!(state.end_poll(poll), EndPoll::Idle);
    assert!(state.claim_idle());
    assert_eq!(fused(|f| state.wake_by_ref(f)), Wake::Nothing, "there is a Runnable");
    let unasked = seen(&state);
    assert_eq!(fused(|f| state.wake_by_ref(f)), Wake::Nothing);
    assert_eq!(state.end_poll(unasked), EndPoll::Again);
    let _ = state.complete(0);
    assert!(!state.claim_idle(), "complete");
}

#[test]
fn the_last_reference_is_told_so() {
    let state = State::new();
    assert!(state.clone_references(1));
    let _ = state.complete(0);
    assert!(matches!(state.drop_join(|| {}), DropJoin::Complete));
    assert!(!state.drop_reference());
    assert_eq!(fused(|f| state.wake_by_val(f)), Wake::Nothing);
    assert!(state.drop_reference());
}

#[test]
fn completion_gives_up_what_the_poller_has_to_spare() {
    let shared = State::new();
    assert!(shared.clone_references(3));
    // One was given away.
    assert!(shared.complete(2).join_interest);
    assert!(matches!(shared.drop_join(|| {}), DropJoin::Complete));
    assert!(!shared.drop_reference() && !shared.drop_reference());
    assert!(shared.drop_reference());

    let alone = State::new();
    assert!(alone.clone_references(3));
    assert!(matches!(alone.drop_join(|| {}), DropJoin::Detached));
    assert!(alone.complete_alone(3));
    assert!(alone.drop_last_reference());
}

#[test]
fn a_joined_task_leaves_its_list_as_it_completes() {
    let shared = State::new();
    assert!(shared.clone_references(2));
    assert!(shared.complete_and_leave(2, || panic!("there is no join waker")));
    assert!(matches!(shared.drop_join(|| {}), DropJoin::Complete));
    assert!(shared.drop_last_reference());

    let awaited = State::new();
    awaited.set_join_waker().unwrap();
    let mut copies = 0;
    assert!(awaited.complete_and_leave(0, || copies += 1));
    assert!(copies == 1 && awaited.is_complete());
}

#[test]
fn a_task_does_not_leave_its_list_with_what_may_be_out_of_date() {
    let detached = State::new();
    assert!(detached.clone_references(1));
    assert!(matches!(detached.drop_join(|| {}), DropJoin::Detached));
    assert!(!detached.complete_and_leave(0, || {}), "its output is the completer's");

    let state = State::new();
    state.set_join_waker().unwrap();
    let another_waker = || {
        state.unset_join_waker().unwrap();
        state.set_join_waker().unwrap();
    };
    assert!(!state.complete_and_leave(0, another_waker), "a copy of the old one");
    assert!(!state.complete_and_leave(0, || {}), "the one before has not ended");
    assert!(state.complete(0).join_waker);
}
