use serde_json::Value;

use super::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::present;

pub(super) fn verifiers(app: &App, _: &Asked) -> Result<Value, Failure> {
    let verifiers = app.project.wait(app.project.store.verifiers())?;
    Ok(present::whole(verifiers.iter().map(present::verifier).collect()))
}

pub(super) fn verifier(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let digest = asked.name("digest");
    let found = app.project.wait(app.project.store.verifier(&digest.parse()?))?;
    let row = found.ok_or_else(|| Failure::not_found("verifier", digest))?;
    Ok(present::verifier(&row))
}
