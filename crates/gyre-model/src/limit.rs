//! How many requests are in flight: fewer while the server says, or shows, that it
//! has too many.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// Requests in flight at first.
const START: f64 = 8.0;
/// What remains of the limit after congestion (as TCP's Reno).
const CUT: f64 = 0.5;
/// Answers by which the throughput is measured, for each request of the limit, and at
/// least. A few say nothing: one answer may take a hundred times as long as another,
/// and of those that were begun together the quick ones come first.
const MEASURED: f64 = 4.0;
const MEASURED_MIN: u32 = 64;
/// What the best throughput loses with each measurement, so that an old best is
/// forgotten.
const FORGET: f64 = 0.9;
/// Below this share of the best throughput the server does worse by having more
/// to do: it swaps, or its threads wait for each other.
const COLLAPSE: f64 = 0.4;

/// Gives out permits: additive increase, multiplicative decrease.
#[derive(Debug)]
pub(crate) struct Limiter {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// Permits that exist, those given out included.
    permits: usize,
    /// Permits that go away when they are returned.
    surplus: usize,
    /// No request is sent before.
    paused_until: Option<Instant>,
}

impl Limiter {
    pub(crate) fn new(in_flight_max: u32) -> Self {
        let window = Window::new(in_flight_max);
        let permits = window.size();
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            state: Mutex::new(State { window, permits, surplus: 0, paused_until: None }),
        }
    }

    /// Waits for a permit, and for the end of a pause.
    pub(crate) async fn acquire(&self) -> Permit<'_> {
        // The semaphore is never closed, so this never fails.
        let permit = self.permits.clone().acquire_owned().await.ok();
        let permit = {
            let state = self.state();
            let in_flight = state.permits - self.permits.available_permits().min(state.permits);
            Permit { limiter: self, permit, epoch: state.window.epoch, in_flight }
        };
        loop {
            let pause = self.state().paused_until;
            match pause.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return permit,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes as many permits as the window wants. Those in use are taken back when
    /// they are returned.
    fn resize(&self, state: &mut State) {
        let wanted = state.window.size();
        if wanted > state.permits {
            let more = wanted - state.permits;
            let kept = more.min(state.surplus);
            state.surplus -= kept;
            self.permits.add_permits(more - kept);
        } else {
            let fewer = state.permits - wanted;
            state.surplus += fewer - self.permits.forget_permits(fewer);
        }
        state.permits = wanted;
    }

    #[cfg(test)]
    fn size(&self) -> usize {
        self.state().permits
    }
}

/// The right to have one request in flight.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    limiter: &'a Limiter,
    permit: Option<OwnedSemaphorePermit>,
    epoch: u64,
    in_flight: usize,
}

impl Permit<'_> {
    /// The server answered, within this time and with so many tokens.
    pub(crate) fn answered(self, took: Duration, tokens: u64) {
        let mut state = self.limiter.state();
        state.window.answered(self.epoch, self.in_flight, took, tokens);
        self.limiter.resize(&mut state);
    }

    /// The server has too much to do. Nothing more is sent for as long as it asks.
    pub(crate) fn congested(self, pause: Duration) {
        let mut state = self.limiter.state();
        state.window.congested(self.epoch);
        let until = Instant::now() + pause;
        state.paused_until = state.paused_until.max(Some(until));
        self.limiter.resize(&mut state);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        if state.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            state.surplus -= 1;
            permit.forget();
        }
    }
}

/// How large the limit is: a pure state.
#[derive(Debug)]
struct Window {
    limit: f64,
    max: f64,
    /// Until the first congestion the limit doubles with each round of requests.
    doubles: bool,
    /// Grows with each cut. A request that was sent before a cut does not cut again.
    epoch: u64,
    /// What was answered since the throughput was measured last.
    measured: Measured,
    /// Tokens a second of all requests in flight together, at its best.
    best: f64,
}

/// Answers, added up.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    answers: u32,
    tokens: f64,
    seconds: f64,
    in_flight: f64,
}

impl Measured {
    fn add(&mut self, in_flight: usize, took: Duration, tokens: u64) {
        self.answers += 1;
        self.tokens += tokens.max(1) as f64;
        self.seconds += took.as_secs_f64().max(1e-6);
        self.in_flight += in_flight.max(1) as f64;
    }

    /// Tokens a second of one request, times the requests that were in flight. Sums
    /// and no mean of rates: a few quick answers would outweigh all others in that.
    fn throughput(&self) -> f64 {
        self.tokens / self.seconds * self.in_flight / f64::from(self.answers)
    }
}

impl Window {
    fn new(in_flight_max: u32) -> Self {
        let max = f64::from(in_flight_max.max(1));
        Self {
            limit: START.min(max),
            max,
            doubles: true,
            epoch: 0,
            measured: Measured::default(),
            best: 0.0,
        }
    }

    fn size(&self) -> usize {
        self.limit as usize
    }

    fn answered(&mut self, epoch: u64, in_flight: usize, took: Duration, tokens: u64) {
        if in_flight * 2 < self.size() {
            // While the limit is not reached, nothing is learnt about another one.
            return;
        }
        self.measured.add(in_flight, took, tokens);
        if self.is_collapsed() {
            self.congested(epoch);
        } else {
            let step = if self.doubles { 1.0 } else { 1.0 / self.limit };
            self.limit = (self.limit + step).min(self.max);
        }
    }

    /// Whether enough was measured to say that the server does worse than it did.
    fn is_collapsed(&mut self) -> bool {
        if self.measured.answers < MEASURED_MIN.max((MEASURED * self.limit) as u32) {
            return false;
        }
        let now = std::mem::take(&mut self.measured).throughput();
        let is_collapsed = now < self.best * COLLAPSE;
        self.best = if is_collapsed { now } else { now.max(self.best * FORGET) };
        is_collapsed
    }

    fn congested(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.epoch += 1;
            self.doubles = false;
            self.limit = (self.limit * CUT).max(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_window_doubles_until_the_first_congestion_and_then_grows_slowly() {
        let mut window = Window::new(64);
        assert_eq!(window.size(), 8);
        for _ in 0..8 {
            window.answered(0, 8, SECOND, 10);
        }
        assert_eq!(window.size(), 16);
        window.congested(0);
        assert_eq!(window.size(), 8);
        window.congested(0);
        assert_eq!(window.size(), 8, "sent before the cut");
        for _ in 0..9 {
            window.answered(1, 8, SECOND, 10);
        }
        assert_eq!(window.size(), 9);
        for epoch in 1..20 {
            window.congested(epoch);
        }
        assert_eq!(window.size(), 1);
        assert_eq!(Window::new(3).size(), 3);
    }

    #[test]
    fn a_window_that_is_not_filled_does_not_grow() {
        let mut window = Window::new(64);
        for _ in 0..100 {
            window.answered(0, 1, SECOND, 10);
        }
        assert_eq!(window.size(), 8);
    }

    #[test]
    fn slower_answers_are_no_congestion_while_more_come_at_a_time() {
        let mut window = Window::new(64);
        for in_flight in 8..64_u32 {
            window.answered(0, in_flight as usize, SECOND * in_flight, 10);
        }
        assert_eq!((window.size(), window.epoch), (64, 0));
        for _ in 0..200 {
            window.answered(0, 64, SECOND * 64, 10);
        }
        assert_eq!((window.size(), window.epoch), (64, 0));
        // One measurement is made of each 256 answers, and the first is over.
        for _ in 0..256 {
            window.answered(0, 64, SECOND * 640, 10);
        }
        assert_eq!((window.size(), window.epoch), (32, 1), "a tenth of the throughput");
    }

    /// The same load, whose answers take from 50 ms to 5 s in any order.
    #[test]
    fn answers_that_take_longer_than_others_are_no_congestion() {
        let mut window = Window::new(16);
        let mut draw = 1_u64;
        for _ in 0..5_000 {
            // A simple generator will do: what counts is that answers differ.
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let share = (draw >> 33) as f64 / f64::from(1_u32 << 31);
            let took = Duration::from_secs_f64(0.05 * 100_f64.powf(share));
            window.answered(0, window.size(), took, 20);
        }
        assert_eq!((window.size(), window.epoch), (16, 0));
    }

    #[tokio::test]
    async fn permits_in_use_are_taken_back_when_they_are_returned() {
        let limiter = Limiter::new(4);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(limiter.acquire().await);
        }
        held.pop().expect("four").congested(Duration::ZERO);
        assert_eq!((limiter.size(), limiter.permits.available_permits()), (2, 0));
        held.pop();
        assert_eq!(limiter.permits.available_permits(), 0);
        held.pop();
        assert_eq!(limiter.permits.available_permits(), 1);
        held.pop();
        assert_eq!(limiter.permits.available_permits(), 2);
    }
}
