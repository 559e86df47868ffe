//! Verifiers that are components, from the registry.

use gyre_types::Digest;
use gyre_verify::Verifier;

use super::{Judging, Unready};

pub(super) fn ready(
    judging: &Judging,
    name: &str,
    _digest: Option<&Digest>,
) -> Result<Verifier, Unready> {
    let _registry = judging.registry.as_ref();
    Err(Unready::Unusable(format!("it is the component {name:?}: not here yet")))
}
