//! Waiting for the disk: every record of a batch shares one [`Flight`], and whoever must know whether it is durable waits for it to land.

use crate::store::Core;
use crate::{BlobId, Result};
use parking_lot::{Condvar, Mutex};
use std::future::Future;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A blob that is readable and on its way to the disk.
///
/// While it is held, [`crate::Blobs::reclaim`] leaves the blob alone. So hold it until the row that refers to the blob is committed.
#[derive(Clone, Debug)]
#[must_use = "the blob is durable only after `durable` or `wait` returned"]
pub struct Commit {
    pub(crate) len: u64,
    /// `None`: was durable before.
    pub(crate) flight: Option<Arc<Flight>>,
    pub(crate) pin: Pin,
}

impl Commit {
    /// The blob's id.
    pub fn id(&self) -> BlobId {
        self.pin.id
    }

    /// Length of the content in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the content is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Waits until the blob is on stable storage: fdatasync has returned, and the directory was synced where a file is new.
    /// After an error the blob is not kept.
    pub async fn durable(&self) -> Result<()> {
        match &self.flight {
            None => Ok(()),
            Some(flight) => {
                self.pin.core.hurry(flight);
                Landing { flight, seat: None }.await
            }
        }
    }

    /// The same for threads that may block.
    pub fn wait(&self) -> Result<()> {
        match &self.flight {
            None => Ok(()),
            Some(flight) => {
                self.pin.core.hurry(flight);
                flight.wait()
            }
        }
    }

    /// How it went, without waiting: `None` where that is not known yet.
    pub fn landed(&self) -> Option<bool> {
        match &self.flight {
            None => Some(true),
            Some(flight) => flight.progress.lock().outcome.as_ref().map(Result::is_ok),
        }
    }

    /// A pin on the same blob, for holding it without the commit.
    pub fn pin(&self) -> Pin {
        self.pin.clone()
    }
}

/// Keeps reclaiming away from one blob.
#[derive(Debug)]
pub struct Pin {
    pub(crate) core: Arc<Core>,
    pub(crate) id: BlobId,
}

impl Pin {
    pub(crate) fn new(core: &Arc<Core>, id: BlobId) -> Pin {
        core.state.lock().pin(id);
        Pin {
            core: Arc::clone(core),
            id,
        }
    }

    /// The blob's id.
    pub fn id(&self) -> BlobId {
        self.id
    }
}

impl Clone for Pin {
    fn clone(&self) -> Pin {
        Pin::new(&self.core, self.id)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.core.state.lock().unpin(&self.id);
    }
}

/// One batch on its way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    progress: Mutex<Progress>,
    landed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    outcome: Option<Result<()>>,
    seats: Vec<Option<Waker>>,
}

impl Flight {
    /// Says how it went, once, to all who wait and all who will ask.
    pub(crate) fn land(&self, outcome: Result<()>) {
        let seats = {
            let mut progress = self.progress.lock();
            progress.outcome.get_or_insert(outcome);
            std::mem::take(&mut progress.seats)
        };
        self.landed.notify_all();
        seats.into_iter().flatten().for_each(Waker::wake);
    }

    pub(crate) fn wait(&self) -> Result<()> {
        let mut progress = self.progress.lock();
        loop {
            if let Some(outcome) = &progress.outcome {
                return outcome.clone();
            }
            self.landed.wait(&mut progress);
        }
    }
}

/// The future of a landing; each takes one seat and gives it up when dropped.
struct Landing<'a> {
    flight: &'a Flight,
    seat: Option<usize>,
}

impl Future for Landing<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flight = self.flight;
        let mut progress = flight.progress.lock();
        if let Some(outcome) = &progress.outcome {
            return Poll::Ready(outcome.clone());
        }
        let seat = self.seat.unwrap_or_else(|| {
            progress.seats.push(None);
            progress.seats.len() - 1
        });
        if let Some(taken) = progress.seats.get_mut(seat) {
            match taken {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *taken = Some(cx.waker().clone()),
            }
        }
        self.seat = Some(seat);
        Poll::Pending
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat
            && let Some(taken) = self.flight.progress.lock().seats.get_mut(seat)
        {
            *taken = None;
        }
    }
}
