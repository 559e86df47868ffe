//! Where answers that are to be drawn wait for a thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Job;

/// Jobs for a number of threads, which take what they have room for.
pub(crate) struct Queue {
    threads: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

impl Queue {
    /// An empty queue that so many threads will take from.
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), state: Mutex::default(), arrived: Condvar::new() }
    }

    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        self.state().waiting.extend(jobs);
        self.arrived.notify_all();
    }

    /// No more jobs come: threads end once none is left.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.arrived.notify_all();
    }

    /// Up to `room` jobs, and no more than this thread's share of those that wait.
    /// Waits for one where `wait` says so; gives none once the queue is closed.
    pub(super) fn take(&self, room: usize, wait: bool) -> Vec<Job> {
        let mut state = self.state();
        while wait && state.waiting.is_empty() && !state.is_closed {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let share = state.waiting.len().div_ceil(self.threads);
        state.waiting.drain(..share.min(room)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
