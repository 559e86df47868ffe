use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a whole: a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(#[schemars(range(min = 0.0, max = 1.0))] f64);

/// A number that is no share.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a share: shares lie from 0 to 1")]
pub struct ShareError(pub f64);

impl Share {
    /// None of it.
    pub const NONE: Self = Self(0.0);
    /// All of it.
    pub const ALL: Self = Self(1.0);

    /// Checks a number.
    ///
    /// # Errors
    ///
    /// When it is NaN, below 0 or above 1.
    pub const fn new(value: f64) -> Result<Self, ShareError> {
        if value >= 0.0 && value <= 1.0 { Ok(Self(value)) } else { Err(ShareError(value)) }
    }

    /// The share of so many thousandths.
    ///
    /// # Panics
    ///
    /// Above 1000. Meant for constants.
    pub(crate) const fn permille(thousandths: u32) -> Self {
        assert!(thousandths <= 1000, "a share is at most the whole");
        Self(thousandths as f64 / 1000.0)
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The nearest number of thousandths, for arithmetic in whole numbers.
    pub(crate) fn to_permille(self) -> u64 {
        (self.0 * 1000.0).round() as u64
    }

    /// This share of `whole`, rounded up, so that a share above 0 of something
    /// is never nothing.
    pub(crate) fn ceil_of(self, whole: usize) -> usize {
        (self.0 * whole as f64).ceil() as usize
    }
}

impl TryFrom<f64> for Share {
    type Error = ShareError;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        Self::new(value)
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}
