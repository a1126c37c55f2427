//! Every behaviour on every runtime.
#![cfg(not(jenny_loom))]

mod block_in_place;
mod block_on_runs_tasks;
mod blocking;
mod builder;
mod combinations;
mod coop;
mod dump;
mod dump_local_set;
mod dump_traces;
mod embassy_time;
mod fairness;
mod hooks;
mod join_set;
mod join_wakers;
mod local_runtime;
mod local_set;
mod local_support;
mod metrics;
mod misuse;
mod net_tcp;
mod runtime;
mod shutdown;
mod signal;
mod stuck_wakers;
mod support;
mod task;
mod task_builder;
mod task_local;
mod thread_ends;
mod time;
mod time_paused;
mod time_workers;
mod tracing;
