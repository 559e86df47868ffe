//! A lineage as a picture: what a thing came from on the left, what it led to on
//! the right, each a link to its own picture.

use std::collections::BTreeMap;

use gyre_lineage::{Lineage, Node, RunRow};
use maud::{Markup, html};

use super::text::hostile;
use crate::present::node_id;

/// Steps shown each way, and things of one step.
const STEPS: i32 = 3;
const ROWS: usize = 8;

const BOX_WIDTH: f64 = 148.0;
const BOX_HEIGHT: f64 = 38.0;
const COLUMN: f64 = 196.0;
const ROW: f64 = 50.0;
const MARGIN: f64 = 8.0;

/// Where a thing stands.
#[derive(Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
}

/// Draws the neighbourhood of a node.
pub(crate) fn graph(run: &RunRow, node: &Node, lineage: &Lineage) -> Markup {
    let columns = columns(node, lineage);
    let tallest = columns.values().map(|column| column.len().min(ROWS)).max().unwrap_or(1);
    let first = columns.keys().min().copied().unwrap_or(0);
    let last = columns.keys().max().copied().unwrap_or(0);
    let width = f64::from(last - first) * COLUMN + BOX_WIDTH + 2.0 * MARGIN;
    let height = tallest as f64 * ROW + 2.0 * MARGIN + 14.0;
    let mut places = BTreeMap::new();
    for (step, column) in &columns {
        let shown = column.len().min(ROWS);
        let top = (tallest - shown) as f64 * ROW / 2.0;
        for (row, node) in column.iter().take(ROWS).enumerate() {
            let x = MARGIN + f64::from(step - first) * COLUMN;
            places.insert((*node).clone(), Place { x, y: MARGIN + top + row as f64 * ROW });
        }
    }
    let edges = lineage.upstream.iter().chain(&lineage.downstream);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Lineage, drawn" {
            svg.graph width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="group"
                aria-label="What it came from on the left, what it led to on the right; the lists below say the same" {
                @for edge in edges {
                    @if let (Some(from), Some(to)) = (places.get(&edge.from), places.get(&edge.to)) { (line(*from, *to)) }
                }
                @for (node_shown, place) in &places { (thing(run, node_shown, *place, node_shown == node)) }
                @for (step, column) in &columns {
                    @if column.len() > ROWS {
                        text.axis x=(MARGIN + f64::from(step - first) * COLUMN) y=(height - MARGIN) { "and " (column.len() - ROWS) " more" }
                    }
                }
            }
        }
    }
}

/// Things by their distance, those before it negative; nearest first.
fn columns<'l>(node: &'l Node, lineage: &'l Lineage) -> BTreeMap<i32, Vec<&'l Node>> {
    let mut steps = BTreeMap::from([(node, 0_i32)]);
    let mut columns = BTreeMap::from([(0, vec![node])]);
    let upstream = lineage.upstream.iter().map(|edge| (&edge.to, &edge.from, -1));
    let downstream = lineage.downstream.iter().map(|edge| (&edge.from, &edge.to, 1));
    for (known, next, way) in upstream.chain(downstream) {
        let Some(step) = steps.get(known).map(|step| step + way) else { continue };
        if step.abs() <= STEPS && !steps.contains_key(next) {
            steps.insert(next, step);
            columns.entry(step).or_insert_with(Vec::new).push(next);
        }
    }
    columns
}

fn line(from: Place, to: Place) -> Markup {
    let (x1, y1) = (from.x + BOX_WIDTH, from.y + BOX_HEIGHT / 2.0);
    let (x2, y2) = (to.x, to.y + BOX_HEIGHT / 2.0);
    let bend = ((x2 - x1) / 2.0).max(24.0);
    let path = format!("M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2 - bend);
    html! { path.edge d=(path) {} }
}

fn thing(run: &RunRow, node: &Node, place: Place, is_here: bool) -> Markup {
    let (kind, name) = (kind(node), short(node));
    html! {
        a.thing.here[is_here] href=(format!("/runs/{}/lineage/{}", run.id, node_id(node)))
            aria-current=[is_here.then_some("true")] aria-label=(format!("{kind} {name}")) {
            title { (hostile(&node.to_string())) }
            rect x=(place.x) y=(place.y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="6" {}
            text.kind x=(place.x + 10.0) y=(place.y + 15.0) { (kind) }
            text.name x=(place.x + 10.0) y=(place.y + 30.0) { (hostile(&name)) }
        }
    }
}

/// An id that fits a box.
fn short(node: &Node) -> String {
    let id = node_id(node);
    match node {
        Node::Verdict(_, revision) => format!("revision {revision}"),
        Node::Gate(round) => format!("round {round}"),
        Node::Promotion(ordinal) => format!("number {ordinal}"),
        _ => id.split_once('-').map_or(id.clone(), |(_, rest)| rest.chars().take(16).collect()),
    }
}

/// What a thing is.
pub(crate) fn kind(node: &Node) -> &'static str {
    match node {
        Node::Task(_) => "Task",
        Node::Rollout(_) => "Rollout",
        Node::Verdict(..) => "Verdict",
        Node::Shard(_) => "Shard",
        Node::Checkpoint(_) => "Checkpoint",
        Node::Gate(_) => "Gate",
        Node::Promotion(_) => "Promotion",
    }
}
