//! The whole mail service of an organisation in one program.

mod cli;
mod config;
mod failure;

fn main() {}
