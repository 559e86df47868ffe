use serde_json::Value;

use super::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::present;

/// Those that are told of: a fleet is smaller, and what is older is of no use.
pub(super) const WORKERS_MAX: u32 = 500;

pub(super) fn workers(app: &App, _: &Asked) -> Result<Value, Failure> {
    let rows = app.project.wait(app.project.store.workers(WORKERS_MAX))?;
    Ok(present::whole(rows.iter().map(present::worker).collect()))
}
