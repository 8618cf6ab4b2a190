//! The whole mail service of an organisation in one program.

mod admin;
mod check;
mod cli;
mod config;
mod failure;
mod files;
mod log;
mod privileges;
mod readiness;
mod tls;

fn main() {}
