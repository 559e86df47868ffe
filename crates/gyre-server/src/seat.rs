//! Places of open connections, which are bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A connection's place among those that are open.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// A request is being answered.
    serving: AtomicBool,
    /// The other end does not take what is written.
    stalled: AtomicBool,
    /// Somebody else needs the place.
    gone: Notify,
}

impl Seat {
    /// Says that a whole request is there, and is being answered from here on.
    pub(crate) fn serve(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Says that the answer is handed over: the connection is between requests.
    pub(crate) fn rest(&self) {
        self.serving.store(false, Ordering::Relaxed);
    }

    /// Ends when the place is given to another connection.
    pub(crate) async fn given_up(&self) {
        self.gone.notified().await;
    }

    fn is_idle(&self) -> bool {
        !self.serving.load(Ordering::Relaxed)
    }
}

/// The open connections by age.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    taken: Mutex<(u64, BTreeMap<u64, Arc<Seat>>)>,
}

impl Seats {
    /// Gives a new connection a place: a free one, or that of the oldest which is
    /// between requests, or else of the oldest whose other end does not read.
    /// None where every place is at work.
    pub(crate) fn take(&self, most: usize) -> Option<(u64, Arc<Seat>)> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, seats) = &mut *taken;
        if seats.len() >= most {
            let stalled = |seat: &Seat| seat.stalled.load(Ordering::Relaxed);
            let idle = seats.iter().find(|(_, seat)| seat.is_idle());
            let given_up = idle.or_else(|| seats.iter().find(|(_, seat)| stalled(seat)));
            let number = *given_up?.0;
            if let Some(seat) = seats.remove(&number) {
                seat.gone.notify_one();
            }
        }
        let seat = Arc::<Seat>::default();
        *next += 1;
        seats.insert(*next, seat.clone());
        Some((*next, seat))
    }

    pub(crate) fn leave(&self, number: u64) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
    }
}
