//! Millions of spawns, wakes, aborts and shutdowns on real threads, counted in and out.
#![cfg(not(jenny_loom))]
