//! Memory that reports on their way may take together.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// So many bytes, of which shares are taken and given back.
pub(crate) struct Budget {
    bytes_max: u64,
    taken: Mutex<Taken>,
    given_back: Condvar,
}

#[derive(Default)]
struct Taken {
    bytes: u64,
    peak: u64,
}

/// A part of a [`Budget`], given back when it is dropped.
pub(crate) struct Share {
    of: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, taken: Mutex::default(), given_back: Condvar::new() }
    }

    /// Takes a share, if there is room. One that is larger than the whole budget
    /// is had while there is no other.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let mut taken = self.taken();
        self.has_room(&taken, bytes).then(|| self.share(&mut taken, bytes))
    }

    /// Takes a share, as soon as there is room.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Share {
        let mut taken = self.taken();
        while !self.has_room(&taken, bytes) {
            taken = self.given_back.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        self.share(&mut taken, bytes)
    }

    /// The most bytes that were taken at one time.
    pub(crate) fn peak(&self) -> u64 {
        self.taken().peak
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it is held.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, taken: &Taken, bytes: u64) -> bool {
        taken.bytes == 0 || taken.bytes.saturating_add(bytes) <= self.bytes_max
    }

    fn share(self: &Arc<Self>, taken: &mut Taken, bytes: u64) -> Share {
        taken.bytes = taken.bytes.saturating_add(bytes);
        taken.peak = taken.peak.max(taken.bytes);
        Share { of: Arc::clone(self), bytes }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.bytes = taken.bytes.saturating_sub(self.bytes);
        drop(taken);
        self.of.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_and_go_within_the_budget() {
        let budget = Arc::new(Budget::new(10));
        let first = budget.try_take(7).unwrap();
        assert!(budget.try_take(4).is_none());
        let second = budget.try_take(3).unwrap();
        drop(first);
        let third = budget.try_take(7).unwrap();
        drop((second, third));
        // Larger than all of it: alone.
        let large = budget.try_take(20).unwrap();
        assert!(budget.try_take(0).is_none());
        drop(large);
        assert_eq!(budget.peak(), 20);
        let waiting = budget.take(10);
        let other = Arc::clone(&budget);
        let taker = std::thread::spawn(move || drop(other.take(1)));
        drop(waiting);
        taker.join().unwrap();
    }
}
