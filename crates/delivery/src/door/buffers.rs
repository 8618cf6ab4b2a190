//! Large buffers, for connections that take a message right now. They go from one to the next, since clearing a fresh one for every
//! message costs more than reading into it.

use parking_lot::Mutex;

const OCTETS: usize = 64 * 1024;
/// Kept when nobody needs them: 4 MiB.
const KEPT: usize = 64;

/// The buffers of a door.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Box<[u8]>>>);

impl Buffers {
    pub(super) fn take(&self) -> Box<[u8]> {
        let kept = self.0.lock().pop();
        kept.unwrap_or_else(|| vec![0; OCTETS].into_boxed_slice())
    }

    pub(super) fn give(&self, buffer: Box<[u8]>) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}
