//! Ports for programs that cannot be asked for one of the system's choice.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what the system gives to whoever connects somewhere (from 32768 on): there somebody else may have taken the port before the program does.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;
/// So many for each process of tests.
const EACH: u32 = 37;

/// A port that is free for TCP and UDP on all addresses.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let number = std::process::id()
            .wrapping_mul(EACH)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).expect("a port");
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
