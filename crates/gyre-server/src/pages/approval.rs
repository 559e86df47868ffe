//! A person's word on a candidate, and what promotions are handed over to.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use gyre_lineage::{AnswerVia, HandoverRow, RunRow};
use gyre_orchestrator::{PersonAnswer, RoundSummary, standing};
use maud::{Markup, html};

use super::layout::failed;
use super::parts::time;
use super::text::hostile;
use crate::api::{Asked, PathParts};
use crate::app::App;
use crate::failure::Failure;

/// Bytes of a name and of a reason, at most.
const BY_BYTES_MAX: usize = 60;
const WHY_BYTES_MAX: usize = 400;

/// What people were asked about a round's candidate, with the buttons to answer.
pub(super) fn section(app: &App, run: &RunRow, summary: &RoundSummary, signed_in: bool) -> Markup {
    let Some(approval) = &summary.approval else { return html! {} };
    html! {
        h2 { "Approval: " (approval.state) }
        dl.facts {
            dt { "Asked" } dd { (time(approval.asked_at_ms)) }
            @if approval.state == "waiting" { dt { "Expires" } dd { (time(approval.expires_at_ms)) } }
            @if let Some(at_ms) = approval.answered_at_ms { dt { "Answered" } dd { (time(at_ms)) } }
            @if let Some(by) = &approval.by { dt { "By" } dd { (hostile(by)) } }
            @if let Some(why) = &approval.why { dt { "Why" } dd { (hostile(why)) } }
        }
        @if approval.state == "waiting" { (controls(app, run, summary.round, signed_in)) }
    }
}

fn controls(app: &App, run: &RunRow, round: u32, signed_in: bool) -> Markup {
    let action = |answer: &str| format!("/runs/{}/rounds/{round}/{answer}", run.id);
    html! {
        @if signed_in {
            div.controls role="group" aria-label="Answer" {
                form method="post" action=(action("approve")) {
                    label { "Your name" input name="by" type="text" maxlength=(BY_BYTES_MAX) autocomplete="name"; }
                    button type="submit" { "Promote" }
                }
                form method="post" action=(action("decline")) {
                    label { "Your name" input name="by" type="text" maxlength=(BY_BYTES_MAX) autocomplete="name"; }
                    label { "Why" input name="why" type="text" maxlength=(WHY_BYTES_MAX) autocomplete="off"; }
                    button type="submit" { "Decline" }
                }
            }
        } @else if app.guard.token.is_some() {
            p { a href="/login" { "Sign in" } " to promote the candidate or decline it." }
        } @else {
            p { "This service has no token, so it changes nothing: " code { "gyre promote" } " does." }
        }
    }
}

/// Where the hand-overs of a round stand.
pub(super) fn handovers(rows: &[HandoverRow], round: u32) -> Markup {
    let own: Vec<_> = rows.iter().filter(|row| row.handover.round == round).collect();
    html! {
        @if !own.is_empty() {
            h2 { "Handed over" }
            ul { @for row in own { li {
                (hostile(&standing(row)))
                @if let Some(last) = &row.last { " " span.quiet { (time(last.at_ms)) } }
            } } }
        }
    }
}

/// Takes an answer and shows the round.
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    path: PathParts,
    uri: Uri,
    fields: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let fields = fields.map(|Form(fields)| fields).unwrap_or_default();
    let answered = match Asked::new(path, &uri, &[]) {
        Ok(asked) => app.read(move |app| answered(app, &asked, &fields)).await,
        Err(failure) => Err(failure),
    };
    match answered.and_then(|href| HeaderValue::from_str(&href).map_err(|e| Failure::internal(&e)))
    {
        Ok(href) => {
            let mut response = StatusCode::SEE_OTHER.into_response();
            response.headers_mut().insert(LOCATION, href);
            response
        }
        Err(failure) => failed(&failure),
    }
}

/// Records an answer, and gives where it shows.
fn answered(app: &App, asked: &Asked, fields: &[(String, String)]) -> Result<String, Failure> {
    let (run, round) = (asked.run(app)?, asked.round()?);
    let field = |name: &str| {
        let given = fields.iter().find(|(field, _)| field == name);
        given.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let approves = match asked.name("answer") {
        "approve" => true,
        "decline" => false,
        other => return Err(Failure::not_found("answer", other)),
    };
    let said = PersonAnswer {
        approves,
        by: app.signed_by(field("by")),
        via: AnswerVia::Page,
        why: field("why").filter(|_| !approves).map(str::to_owned),
    };
    app.answer(&run.id, round, &said)?;
    Ok(format!("/runs/{}/rounds/{round}", run.id))
}
