//! Hands a guest's instance out again, once its memory is what it was.
//!
//! Most of what a fresh guest costs is the kernel's: it maps the image, copies
//! each page that the guest writes to, and takes all of that away again. So a
//! worker keeps one instance from job to job. The pages that nearly every program
//! writes to are copied back from a guest that never ran; what else was written
//! is discarded, and comes from the image again.
//!
//! Beside its memory a guest can change its stack pointer alone (see
//! [`artefact`](crate::artefact)). An instance whose memory has grown, whose stack
//! pointer is elsewhere, or that ended by a trap is dropped.

use crate::guest::{Guest, GuestImage};
use crate::protocol::{Fault, WireSpec};

/// The instance that a worker keeps for its next guest.
pub(crate) struct Recycler {
    spare: Option<Guest>,
    resets: u64,
    /// Every which reset is compared with the image, byte by byte.
    checked_every: u64,
    /// Set when a reset left another memory than the image's.
    retired: bool,
}

impl Recycler {
    pub(crate) fn new(checked_every: u64) -> Self {
        Self { spare: None, resets: 0, checked_every: checked_every.max(1), retired: false }
    }

    /// A fresh guest.
    pub(crate) fn start(&mut self, image: &GuestImage, spec: WireSpec) -> Result<Guest, Fault> {
        let host = image.host(spec)?;
        match self.spare.take() {
            Some(mut guest) => {
                guest.become_next(host);
                Ok(guest)
            }
            None => image.start(host),
        }
    }

    /// Takes an instance back whose guest is done and died of nothing.
    ///
    /// Fails when its memory is not the image's after it was reset: then nothing
    /// that this worker says can be believed.
    pub(crate) fn keep(&mut self, image: &GuestImage, mut guest: Guest) -> Result<(), Fault> {
        let Some(fresh) = image.untouched().filter(|_| self.spare.is_none() && !self.retired)
        else {
            return Ok(());
        };
        if !guest.reset(fresh, image.hot()) {
            return Ok(());
        }
        self.resets += 1;
        if self.resets.is_multiple_of(self.checked_every) && !guest.is_like(fresh) {
            self.retired = true;
            let message = "a guest's memory differs from the image after it was reset".to_owned();
            return Err(Fault::Engine { message });
        }
        self.spare = Some(guest);
        Ok(())
    }
}
