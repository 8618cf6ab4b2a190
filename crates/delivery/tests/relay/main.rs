//! Relaying over a simulated network, in simulated time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounces;
mod fairness;
mod soak;
mod world;
