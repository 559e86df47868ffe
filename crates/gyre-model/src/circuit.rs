//! No storm against a server that does not answer: after some failures in a row one
//! request at a time is sent to find out whether it is back, and the others wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Requests in a row, of whichever episodes, that have to fail.
const FAILURES_MAX: u32 = 5;

/// Knows whether the server answers.
#[derive(Debug)]
pub(crate) struct Circuit {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    is_probed: bool,
    /// Probes that ended without an answer.
    given_up: u64,
}

impl State {
    fn is_open(self) -> bool {
        self.failures >= FAILURES_MAX
    }
}

/// What a request may do.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Send,
    Probe,
    Wait,
    Down(u32),
}

/// The right to send a request.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    circuit: &'a Circuit,
    is_probe: bool,
}

impl Circuit {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), changes: watch::Sender::new(()) }
    }

    /// Waits until a request may be sent.
    ///
    /// # Errors
    ///
    /// How many requests have failed, when the one that was waited for gave up.
    pub(crate) async fn enter(&self) -> Result<Pass<'_>, u32> {
        let mut changes = self.changes.subscribe();
        let given_up = self.state().given_up;
        loop {
            changes.mark_unchanged();
            match self.turn(given_up) {
                Turn::Send => return Ok(Pass { circuit: self, is_probe: false }),
                Turn::Probe => return Ok(Pass { circuit: self, is_probe: true }),
                Turn::Down(failures) => return Err(failures),
                // The sender lives as long as `self`.
                Turn::Wait => _ = changes.changed().await,
            }
        }
    }

    fn turn(&self, given_up: u64) -> Turn {
        let mut state = self.state();
        if !state.is_open() {
            Turn::Send
        } else if state.given_up > given_up {
            Turn::Down(state.failures)
        } else if state.is_probed {
            Turn::Wait
        } else {
            state.is_probed = true;
            Turn::Probe
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changes.send_replace(());
    }
}

impl Pass<'_> {
    /// The server answered, if only to refuse.
    pub(crate) fn answered(&self) {
        self.circuit.change(|state| state.failures = 0);
    }

    /// The server did not answer.
    pub(crate) fn failed(&self) {
        self.circuit.change(|state| state.failures = state.failures.saturating_add(1));
    }

    /// Whether the circuit was opened since, and another request finds out.
    pub(crate) fn has_to_wait(&self) -> bool {
        !self.is_probe && self.circuit.state().is_open()
    }

    /// The request ends without an answer. If it was the one that the others
    /// waited for, they end too.
    pub(crate) fn give_up(self) {
        if self.is_probe {
            self.circuit.change(|state| state.given_up += 1);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.circuit.change(|state| state.is_probed = false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// A circuit that is open.
    async fn open() -> Circuit {
        let circuit = Circuit::new();
        for _ in 0..FAILURES_MAX {
            circuit.enter().await.expect("closed").failed();
        }
        circuit
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn one_request_probes_and_the_others_wait() {
        let circuit = open().await;
        let probe = circuit.enter().await.expect("the first probes");
        assert!(probe.is_probe);
        let mut waits = pin!(circuit.enter());
        assert!(poll(waits.as_mut()).is_pending());
        probe.answered();
        drop(probe);
        let pass = waits.await.expect("the server is back");
        assert!(!pass.is_probe && !pass.has_to_wait());
    }

    #[tokio::test]
    async fn those_that_waited_end_with_the_probe_and_the_next_one_probes() {
        let circuit = open().await;
        let probe = circuit.enter().await.expect("the first probes");
        let mut waits = pin!(circuit.enter());
        assert!(poll(waits.as_mut()).is_pending());
        probe.give_up();
        assert_eq!(waits.await.expect_err("down"), FAILURES_MAX);
        assert!(circuit.enter().await.expect("a later request").is_probe);
    }

    #[tokio::test]
    async fn a_probe_that_is_cancelled_hands_on() {
        let circuit = open().await;
        let probe = circuit.enter().await.expect("the first probes");
        let mut waits = pin!(circuit.enter());
        assert!(poll(waits.as_mut()).is_pending());
        drop(probe);
        assert!(waits.await.expect("its turn").is_probe);
    }

    #[tokio::test]
    async fn an_answer_between_failures_keeps_it_closed() {
        let circuit = Circuit::new();
        for _ in 0..FAILURES_MAX * 3 {
            let pass = circuit.enter().await.expect("closed");
            pass.failed();
            pass.failed();
            pass.answered();
        }
        assert!(!circuit.enter().await.expect("closed").is_probe);
    }
}
