use apalis::prelude::BoxDynError;

/// Why a queue could not do something.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database of the queue, or the engine, failed.
    #[error("cannot {doing} the queue in {location}")]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// Where, without a password.
        location: String,
        /// Why.
        #[source]
        source: BoxDynError,
    },
}

/// Makes a [`QueueError`] of what the engine says.
pub(crate) fn failed<E: Into<BoxDynError>>(
    doing: &'static str,
    location: &str,
) -> impl FnOnce(E) -> QueueError {
    let location = location.to_owned();
    move |source| QueueError::Failed { doing, location, source: source.into() }
}

/// A point at which a test may make the queue fail; see `gyre_fault::POINTS`.
pub(crate) fn point(name: &str, location: &str) -> Result<(), QueueError> {
    gyre_fault::io_point(name).map_err(failed("write", location))
}
