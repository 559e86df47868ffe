use crate::StoreError;

/// A backup that is not what it should be.
pub(super) fn unusable(reason: impl Into<String>) -> StoreError {
    StoreError::BackupUnusable { reason: reason.into() }
}
