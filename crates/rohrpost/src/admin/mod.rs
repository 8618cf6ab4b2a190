//! Administration: one set of commands, carried out by the running server for whoever asks through its socket, or by the command itself
//! where no server runs.

pub mod request;
pub mod socket;
