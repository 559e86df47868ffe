use gyre_lineage::VerifierRow;
use maud::{Markup, html};
use serde_json::Value;

use super::layout::Page;
use super::parts::{export, time};
use super::text::hostile;
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;

/// Registered verifiers.
pub(crate) fn list(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let verifiers = app.project.wait(app.project.store.verifiers())?;
    let body = html! {
        h1 { "Verifiers" }
        @if verifiers.is_empty() {
            p.notice { "No verifier of one's own is registered: families are judged by the built-in comparison of cases, or by what their folder holds. " code { "gyre verifier register" } " adds one." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Verifiers" { table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "Status" } th scope="col" { "Registered" } th scope="col" { "Digest" } } }
                tbody { @for row in &verifiers { tr {
                    th scope="row" { a href=(format!("/verifiers/{}", row.digest)) { (hostile(&row.name)) } }
                    td { (row.kind.as_str()) @if row.trusted { " (outside the sandbox)" } }
                    td { (status(row)) }
                    td { (time(row.registered_at_ms)) }
                    td.id { (row.digest) }
                } } }
            } }
        }
        (export(&asked.params))
    };
    Ok(Page { title: "Verifiers".to_owned(), run: None, section: "verifiers", body })
}

/// One verifier with its scorecard.
pub(crate) fn one(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let digest = asked.name("digest");
    let found = app.project.wait(app.project.store.verifier(&digest.parse()?))?;
    let body = html! {
        @match &found {
            Some(row) => (described(row)),
            None => {
                h1 { "Verifier" }
                p.id { (hostile(digest)) }
                p.notice { "It is not in the registry: it is built in, or lies in a family's own folder. " code { "gyre verifier audit" } " measures it." }
            }
        }
        (export(&asked.params))
    };
    Ok(Page { title: "Verifier".to_owned(), run: None, section: "verifiers", body })
}

fn described(row: &VerifierRow) -> Markup {
    html! {
        h1 { (hostile(&row.name)) " " (status(row)) }
        dl.facts {
            dt { "Kind" } dd { (row.kind.as_str()) }
            dt { "Digest" } dd.id { (row.digest) }
            dt { "Registered" } dd { (time(row.registered_at_ms)) }
            @if let Some(revoked) = &row.revoked {
                dt { "Revoked" } dd { (time(revoked.at_ms)) ": " (hostile(&revoked.why)) }
                @if let Some(by) = &revoked.replaced_by { dt { "Replaced by" } dd { a.id href=(format!("/verifiers/{by}")) { (by) } } }
            }
        }
        h2 { "Scorecard" }
        (tree(&row.scorecard))
    }
}

fn status(row: &VerifierRow) -> Markup {
    let class = if row.revoked.is_some() { "fail" } else { "pass" };
    html! { span.tag.(class) { (row.status.as_str()) } }
}

/// A scorecard as an outline: its form has versions, so it is shown as it is.
fn tree(value: &Value) -> Markup {
    html! { @match value {
        Value::Object(entries) => { dl.facts { @for (key, value) in entries { dt { (hostile(&key.replace('_', " "))) } dd { (tree(value)) } } } }
        Value::Array(items) if items.is_empty() => { "none" }
        Value::Array(items) => { ol { @for item in items { li { (tree(item)) } } } }
        Value::String(text) => { (hostile(text)) }
        Value::Number(number) if number.is_f64() => { (format!("{:.4}", number.as_f64().unwrap_or_default())) }
        other => { (other.to_string()) }
    } }
}
