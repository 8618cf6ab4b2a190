//! Mutated input for whatever reads bytes from strangers, on stable Rust.
//!
//! A [`Target`] is a function that takes bytes, drives one of our readers with them, and panics where a promise is broken: it must not
//! panic itself, must give the same whatever pieces the bytes come in, must keep within its limits. What it returns sums up what the
//! input made the reader do; an input that makes it do something new is kept and mutated further. That is a poor man's coverage
//! feedback, and needs no instrumentation.
//!
//! [`Campaign`] is the driver. The same functions serve cargo-fuzz where a nightly compiler is at hand: see `fuzz/README.md`.

mod campaign;
mod corpus;
mod mutation;
mod rng;
mod signature;
mod targets;

pub use campaign::{Campaign, Finding, Tally};
pub use corpus::seeds;
pub use rng::Rng;
pub use signature::Signature;
pub use targets::{Target, targets};
