//! The whole mail service of an organisation in one program.
fn main() {}
