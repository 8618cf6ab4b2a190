//! A thousand houses lose their power, each twice: whatever was accepted is delivered exactly once, and nothing else is; what another server was
//! given reaches it once, and twice at most where it was in hand at that moment; who is to be told of a failure is told once.
//! `ROHRPOST_POWER_CUTS` gives another number, `ROHRPOST_FIRST_SEED` others.

#![allow(clippy::unwrap_used, clippy::panic)]

use crash::{Fault, World, number};

/// Every fourth seed, so that four tests share the work.
fn seeds(of_four: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let first = number("ROHRPOST_FIRST_SEED", 0);
    let last = first + number("ROHRPOST_POWER_CUTS", 1000);
    for seed in (first..last).filter(|seed| seed % 4 == of_four) {
        runtime.block_on(World::new(seed).run(2));
    }
}

#[test]
fn accepted_is_delivered_once_1() {
    seeds(0);
}

#[test]
fn accepted_is_delivered_once_2() {
    seeds(1);
}

#[test]
fn accepted_is_delivered_once_3() {
    seeds(2);
}

#[test]
fn accepted_is_delivered_once_4() {
    seeds(3);
}

/// The tests of the test: each fault is noticed, in one world or another.
fn is_noticed(fault: Fault) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    (0..2000).any(|seed| {
        let life = || runtime.block_on(World::with(seed, fault).run(2));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(life)).is_err()
    })
}

/// Bytes reclaimed before their references' removal is durable are missed when the removal is undone.
#[test]
fn a_fault_in_the_order_of_syncs_is_noticed() {
    assert!(is_noticed(Fault::Forgetful));
}

/// What was sent, and is not known to have been, is sent again: more than the one message in hand.
#[test]
fn a_connection_that_does_not_wait_for_the_disk_is_noticed() {
    assert!(is_noticed(Fault::Hasty));
}

/// A notice is there, and what it says is not so yet: it comes twice.
#[test]
fn a_notice_that_is_not_settled_with_its_cause_is_noticed() {
    assert!(is_noticed(Fault::Apart));
}
