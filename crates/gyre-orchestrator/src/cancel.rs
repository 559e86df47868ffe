use tokio_util::sync::CancellationToken;

/// Asks a run to stop at the next point where nothing is lost. Clones share the wish.
#[derive(Debug, Clone, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Asks to stop.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.0
    }
}
