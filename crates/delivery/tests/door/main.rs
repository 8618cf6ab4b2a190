//! The doors, with real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepting;
mod client;
mod house;
mod limits;
mod programs;
mod sending;
mod speed;
mod submission;
