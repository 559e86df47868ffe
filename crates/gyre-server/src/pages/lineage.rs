use std::collections::BTreeSet;

use gyre_lineage::{Edge, Node, RunRow};
use maud::{Markup, html};

use super::graph::{graph, kind};
use super::layout::Page;
use super::parts::{export, link, trail};
use super::text::hostile;
use crate::api::{Asked, EDGES_MAX};
use crate::app::App;
use crate::failure::Failure;
use crate::present::{node_id, node_of};

/// One node with its nearest neighbours, each a step to click, and the rest of
/// the way in both directions.
pub(crate) fn page(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let node = node_of(asked.name("node"))
        .ok_or_else(|| Failure::bad("bad_id", "that is no id of a lineage"))?;
    let lineage = app.project.wait(app.project.store.lineage(&run.id, &node, EDGES_MAX))?;
    if lineage.upstream.is_empty() && lineage.downstream.is_empty() {
        known(app, run, &node)?;
    }
    let body = html! {
        (trail(run, &[]))
        h1 { "Lineage of " (node.to_string()) }
        @if lineage.truncated { p.notice { "There are more edges than are shown here." } }
        (graph(run, &node, &lineage))
        div.lineage {
            section aria-label="Came from" {
                h2 { "← Came from" }
                (side(run, &node, &lineage.upstream, |edge| (&edge.from, &edge.to)))
            }
            section.here aria-label="This" {
                h2 { (kind(&node)) }
                p.id { (node.to_string()) }
                (opens(run, &node))
            }
            section aria-label="Led to" {
                h2 { "Led to →" }
                (side(run, &node, &lineage.downstream, |edge| (&edge.to, &edge.from)))
            }
        }
        (export(params))
    };
    Ok(Page { title: format!("Lineage of {node}"), run: Some(run.id.clone()), section: "", body })
}

/// Refuses a node that the run does not have.
fn known(app: &App, run: &RunRow, node: &Node) -> Result<(), Failure> {
    let found = match node {
        Node::Task(id) | Node::Rollout(id) | Node::Shard(id) | Node::Checkpoint(id) => {
            let found = app.project.wait(app.project.store.find(id))?;
            found.iter().any(|found| found.run == run.id && found.id == *id)
        }
        Node::Verdict(..) | Node::Gate(_) | Node::Promotion(_) => false,
    };
    if found { Ok(()) } else { Err(Failure::not_found("node", &node_id(node))) }
}

/// Nearest first: direct neighbours, then what lies further along.
fn side<'a>(
    run: &RunRow,
    node: &Node,
    edges: &'a [Edge],
    ends: impl Fn(&'a Edge) -> (&'a Node, &'a Node),
) -> Markup {
    let mut seen = BTreeSet::new();
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for edge in edges {
        let (other, this) = ends(edge);
        if seen.insert(other) {
            if this == node { near.push((other, this)) } else { far.push((other, this)) }
        }
    }
    html! {
        @if near.is_empty() { p.quiet { "Nothing." } }
        ul { @for (other, _) in &near { li { (step(run, other)) } } }
        @if !far.is_empty() {
            h3 { "Further" }
            ul { @for (other, this) in &far { li { (step(run, other)) " " span.quiet { "by way of " (kind(this)) } } } }
        }
    }
}

fn step(run: &RunRow, node: &Node) -> Markup {
    html! { a.id href=(format!("/runs/{}/lineage/{}", run.id, node_id(node))) { (hostile(&node.to_string())) } }
}

/// The page that shows the thing itself.
fn opens(run: &RunRow, node: &Node) -> Markup {
    html! { @match node {
        Node::Task(id) => { p { "Open " (link(&run.id, "tasks", id)) } }
        Node::Rollout(id) | Node::Verdict(id, _) => { p { "Open " (link(&run.id, "rollouts", id)) } }
        Node::Shard(_) => { p { a href=(format!("/runs/{}/dataset", run.id)) { "Open the dataset" } } }
        Node::Gate(round) => { p { a href=(format!("/runs/{}/rounds/{round}", run.id)) { "Open round " (round) } } }
        Node::Checkpoint(id) => { p { a href=(format!("/runs/{}/rollouts?checkpoint={id}", run.id)) { "Rollouts that it sampled" } } }
        Node::Promotion(_) => { p { a href=(format!("/runs/{}", run.id)) { "Open the overview" } } }
    } }
}
