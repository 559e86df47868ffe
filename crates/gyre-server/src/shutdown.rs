use std::sync::Arc;

use tokio::sync::watch;

/// Asks everything that a service runs to end: the HTTP server, its streams,
/// and whatever is spawned beside it. Clones share the wish.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Shutdown {
    /// Asks to end.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_started(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks.
    pub async fn started(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = receiver.wait_for(|asked| *asked).await;
    }
}
