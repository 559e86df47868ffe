use serde_json::{Value, json};

use super::{Asked, EDGES_MAX};
use crate::app::App;
use crate::failure::Failure;
use crate::present;

pub(super) fn lineage(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let run = asked.run(app)?;
    let node = present::node_of(asked.name("node"));
    let node = node.ok_or_else(|| Failure::bad("bad_id", "that is no id of a lineage"))?;
    let lineage = app.project.wait(app.project.store.lineage(&run.id, &node, EDGES_MAX))?;
    Ok(json!({
        "node": present::node(&node),
        "upstream": lineage.upstream.iter().map(present::edge).collect::<Vec<_>>(),
        "downstream": lineage.downstream.iter().map(present::edge).collect::<Vec<_>>(),
        "truncated": lineage.truncated,
    }))
}
